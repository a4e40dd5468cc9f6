//! What every transport must do, by the checks of mctp-transport, over the simulated bus.

use std::cell::Cell;
use std::rc::Rc;

use embedded_hal_async::delay::DelayNs;
use mctp_i2c::framing::{MAX_TRANSACTION, encode};
use mctp_i2c::simulated_bus::{Fate, SimulatedBus, SimulatedTarget};
use mctp_i2c::{
    Config, RECEIVE_BUFFER_LEN, Receiver, Role, Sender, Target, TargetAddress, Timing, framing,
};
use mctp_transport::PhysicalAddress;
use mctp_transport::conformance::{Act, Neighbour, Subject, check};

const OWN: TargetAddress = TargetAddress::new(0x1D).unwrap();
const NEIGHBOUR: TargetAddress = TargetAddress::new(0x10).unwrap();

/// The checks poll without a clock: what is shorter than a transaction passes at once, time limits
/// never come.
struct ShortDelays;

impl DelayNs for ShortDelays {
    async fn delay_ns(&mut self, ns: u32) {
        if ns > 1_000_000 {
            std::future::pending().await
        }
    }
}

/// The other end of the bus.
struct OtherDevice {
    bus: SimulatedBus,
    target: SimulatedTarget,
    reads: Rc<Cell<bool>>,
    /// How many transactions are not acknowledged yet.
    refused: Rc<Cell<u32>>,
}

impl OtherDevice {
    fn new(bus: &SimulatedBus) -> Self {
        let (reads, refused) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
        let is_to_neighbour = |bytes: &[u8]| bytes[0] == NEIGHBOUR.destination_byte();
        bus.decide({
            let (reads, refused) = (reads.clone(), refused.clone());
            move |_, bytes| match is_to_neighbour(bytes) {
                true if refused.get() > 0 => {
                    refused.set(refused.get() - 1);
                    Fate::NotAcknowledged { byte: 2 }
                }
                true if !reads.get() => Fate::Stretched,
                _ => Fate::Delivered,
            }
        });
        Self {
            bus: bus.clone(),
            target: bus.target(NEIGHBOUR, 64),
            reads,
            refused,
        }
    }

    fn send(&self, packet: &[u8], len: impl Fn(usize) -> usize) {
        let mut buffer = [0; MAX_TRANSACTION];
        let bytes = encode(OWN, NEIGHBOUR, packet, &mut buffer).unwrap();
        self.bus.write(&bytes[..len(bytes.len())]).unwrap();
    }
}

impl Neighbour for OtherDevice {
    fn act(&mut self, act: Act) {
        match act {
            Act::LinkUp => self.bus.set_connected(true),
            Act::LinkDown => self.bus.set_connected(false),
            Act::Send(packets) => {
                for packet in packets {
                    self.send(&packet, |len| len);
                }
            }
            Act::SendCut(packet) => self.send(&packet, |len| len / 2),
            // Without a STOP, the target has nothing yet.
            Act::SendPart(_) => {}
            Act::Read(reads) => self.reads.set(reads),
            // With all retries.
            Act::RefuseNext => self.refused.set(1 + u32::from(Timing::new().retries)),
        }
    }

    fn address(&self) -> PhysicalAddress {
        NEIGHBOUR.into()
    }

    fn taken(&mut self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        let mut buffer = [0; MAX_TRANSACTION];
        buffer[0] = NEIGHBOUR.destination_byte();
        let bus = self.bus.clone();
        while let Some(received) = bus.block_on(self.target.receive(&mut buffer[1..])) {
            if let Ok(len) = received {
                let decoded = framing::decode(&buffer[..1 + len]).unwrap();
                assert_eq!(decoded.source, OWN);
                taken.push(decoded.packet.to_vec());
            }
        }
        taken
    }

    fn can_cut(&self) -> bool {
        true
    }

    fn can_refuse(&self) -> bool {
        true
    }
}

fn check_role(role: Role, rates: &[u32]) {
    for bits_per_second in rates {
        check(|| {
            let bus = SimulatedBus::new(*bits_per_second);
            bus.set_connected(false);
            let target = bus.target(OWN, 8);
            let buffer = Vec::leak(vec![0; RECEIVE_BUFFER_LEN]);
            let config = Config::new(OWN).with_role(role);
            Subject {
                receiver: Receiver::new(target, OWN, buffer).unwrap(),
                sender: Sender::with_status(bus.controller(), ShortDelays, bus.status(), config),
                neighbour: OtherDevice::new(&bus),
            }
        });
    }
}

#[test]
fn mctp_over_i2c_is_a_transport_by_all_checks() {
    check_role(Role::Device, &[100_000, 1_000_000]);
}

#[test]
fn a_bus_owner_is_a_transport_by_all_checks() {
    check_role(Role::BusOwner, &[400_000]);
}
