//! Over the driver that the boards have, with registers in memory.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod support;

use anyhow::{Result, bail};
use embassy_usb_guard::{Guard, State, SynopsysOtg};
use otg_simulator::{Simulator, Speed, TransferError};
use support::{Memory, SendsBack, device};
use usb_walk::host::{Host, Outcome, Until};
use usb_walk::random::random;
use usb_walk::walk::walk;

const SET_ADDRESS: [u8; 2] = [0x00, 0x05];
const SET_CONFIGURATION: [u8; 2] = [0x00, 0x09];
const SET_INTERFACE: [u8; 2] = [0x01, 0x0B];
const CLEAR_FEATURE: [u8; 2] = [0x02, 0x01];

/// A host that keeps address and toggles as the requests it makes have them.
struct OtgHost<'s> {
    bus: otg_simulator::Host<'s>,
}

fn outcome(result: Result<Vec<u8>, TransferError>) -> Result<Outcome> {
    match result {
        Ok(bytes) => Ok(Outcome::Done(bytes)),
        Err(TransferError::Stall) => Ok(Outcome::Stall),
        Err(error) => bail!("{error}"),
    }
}

fn length(setup: [u8; 8]) -> usize {
    u16::from_le_bytes([setup[6], setup[7]]).into()
}

impl OtgHost<'_> {
    /// Takes note of what a request that was accepted means for the host.
    fn accepted(&mut self, setup: [u8; 8]) {
        let [.., value, _, index, _, _, _] = setup;
        match [setup[0], setup[1]] {
            SET_ADDRESS => self.bus.assume_address(value),
            SET_CONFIGURATION => self.bus.forget_toggles(),
            SET_INTERFACE => {
                let endpoints = match index {
                    0 => support::FIRST_INTERFACE,
                    _ => support::SECOND_INTERFACE,
                };
                for endpoint in endpoints {
                    self.bus.forget_toggle(endpoint);
                }
            }
            CLEAR_FEATURE => self.bus.forget_toggle(index),
            _ => {}
        }
    }
}

impl Host for OtgHost<'_> {
    const ASSIGNS_ADDRESSES: bool = true;

    fn reset(&mut self) -> Result<()> {
        self.bus.reset();
        Ok(())
    }

    fn control(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Outcome> {
        if setup[0] & 0x80 != 0 {
            return outcome(self.bus.control_in(setup));
        }
        let done = self.bus.control_out(setup, data).map(|()| Vec::new());
        if done.is_ok() {
            self.accepted(setup);
        }
        outcome(done)
    }

    fn abandon(&mut self, setup: [u8; 8], data: &[u8], until: Until) -> Result<()> {
        // Each stage may be refused; that is an end, too.
        self.bus.setup(setup)?;
        let is_in = setup[0] & 0x80 != 0;
        match until {
            Until::Setup => {}
            Until::FirstPacket if is_in => drop(self.bus.data_in(length(setup).min(64))),
            Until::FirstPacket => drop(self.bus.data_out(&data[..data.len().min(64)])),
            Until::Status if is_in => drop(self.bus.data_in(length(setup))),
            Until::Status => drop(self.bus.data_out(data)),
        }
        // The device may have taken the address, or not: a host that does not know resets it.
        if [setup[0], setup[1]] == SET_ADDRESS {
            self.bus.reset();
        }
        Ok(())
    }

    fn bulk_out(&mut self, endpoint: u8, data: &[u8]) -> Result<Outcome> {
        outcome(self.bus.bulk_out(endpoint, data).map(|()| Vec::new()))
    }

    fn bulk_in(&mut self, endpoint: u8, _: usize) -> Result<Outcome> {
        outcome(self.bus.bulk_in(endpoint & 0x0F))
    }
}

/// Get Descriptor, of no length.
const GET_NOTHING: [u8; 8] = [0x80, 6, 0, 1, 0, 0, 0, 0];

impl OtgHost<'_> {
    fn enumerate(&mut self) {
        self.reset().unwrap();
        for setup in [[0, 5, 5, 0, 0, 0, 0, 0], [0, 9, 1, 0, 0, 0, 0, 0]] {
            let outcome = self.control(setup, &[]);
            assert_eq!(outcome.unwrap(), Outcome::Done(Vec::new()));
        }
    }

    fn is_well(&mut self) {
        let configuration = self.control([0x80, 8, 0, 0, 0, 0, 1, 0], &[]);
        assert_eq!(configuration.unwrap(), Outcome::Done(vec![1]));
    }
}

/// Runs a test with a guarded device at a port of this speed.
fn with_host(speed: Speed, test: impl FnOnce(&mut OtgHost<'_>)) {
    with_simulator(speed, |host, _| test(host));
}

fn with_simulator(speed: Speed, test: impl FnOnce(&mut OtgHost<'_>, &Simulator)) {
    let max_packet_size = match speed {
        Speed::High => 512,
        Speed::Full => 64,
    };
    let state = State::new();
    let mut memory = Memory::new();
    let mut out_buffer = [0; 64 + 2 * 512];
    let simulator = Simulator::new(speed);
    let driver = simulator.driver(&mut out_buffer);
    let driver = SynopsysOtg::new(driver, simulator.instance().regs);
    let guarded = Guard::new(driver, &state);
    let mut bus = otg_simulator::Host::new(&simulator);
    bus.spawn(device(guarded, max_packet_size, &mut memory));
    test(&mut OtgHost { bus }, &simulator);
}

#[test]
fn the_walk_passes_at_both_speeds() {
    for speed in [Speed::High, Speed::Full] {
        with_host(speed, |host| {
            let tally = walk(host, SendsBack).unwrap();
            assert!(tally.requests > 5000, "{tally:?}");
        });
    }
}

#[test]
fn a_packet_of_no_request_is_not_the_data_of_the_next_one() {
    with_host(Speed::High, |host| {
        host.enumerate();
        for length in [1, 7, 64, 100, 128] {
            // The status stage of Windows after an IN request with wLength 0.
            host.bus.setup(GET_NOTHING).unwrap();
            host.bus.status_out().unwrap();
            let data: Vec<u8> = (0..length).collect();
            let stored = host.control([0x40, 1, 0, 0, 0, 0, length, 0], &data);
            assert_eq!(stored.unwrap(), Outcome::Done(Vec::new()));
            let back = host.control([0xC0, 2, 0, 0, 0, 0, 0xFF, 0], &[]);
            assert_eq!(back.unwrap(), Outcome::Done(data));
        }
    });
}

#[test]
fn more_out_data_than_the_request_said_is_refused() {
    with_host(Speed::High, |host| {
        host.enumerate();
        for (said, sent) in [(1, 2), (7, 64), (10, 64), (70, 128)] {
            host.bus.setup([0x40, 1, 0, 0, 0, 0, said, 0]).unwrap();
            let sent = host.bus.data_out(&vec![0x55; sent]);
            let ended = sent.and_then(|()| host.bus.status_in());
            assert_eq!(ended, Err(TransferError::Stall), "{said} bytes");
            host.is_well();
        }
    });
}

#[test]
fn a_suspend_from_before_a_reset_is_forgotten() {
    with_simulator(Speed::High, |host, simulator| {
        host.enumerate();
        // The device does not run meanwhile.
        simulator.suspend();
        simulator.begin_reset();
        simulator.end_reset();
        host.bus.assume_address(0);
        let addressed = host.control([0, 5, 5, 0, 0, 0, 0, 0], &[]);
        assert_eq!(addressed.unwrap(), Outcome::Done(Vec::new()));
    });
}

#[test]
fn random_requests_leave_a_device_that_works() {
    with_host(Speed::High, |host| {
        random(host, 1, 20_000, SendsBack).unwrap();
    });
}
