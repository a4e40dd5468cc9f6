//! Target and controller on one peripheral.

mod anything;
mod simulation;
mod transport;

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use embassy_futures::poll_once;
use embedded_hal_async::i2c::{I2c, Operation};
use mctp_i2c::{BusStatus, Target, TargetError};
use stm32_two_wire::WriteError;

use simulation::{Answer, DeviceHalves, Foreign, NEIGHBOUR, OWN, Simulation};

/// A device that listens, with interrupts at once, and with late ones.
fn each(test: impl Fn(Simulation, DeviceHalves<'static>)) {
    for interrupts_are_late in [false, true] {
        let mut simulation = Simulation::new();
        simulation.interrupts_are_late = interrupts_are_late;
        let halves = simulation.device.start(OWN, Simulation::timing()).unwrap();
        test(simulation, halves);
    }
}

/// What has been received, without waiting: each time, a future is made and dropped.
fn receive(halves: &mut DeviceHalves<'_>) -> Option<Result<Vec<u8>, TargetError>> {
    let mut buffer = [0; 259];
    match poll_once(halves.target.receive(&mut buffer)) {
        Poll::Ready(Ok(len)) => Some(Ok(buffer[..len].to_vec())),
        Poll::Ready(Err(error)) => Some(Err(error)),
        Poll::Pending => None,
    }
}

fn received(bytes: &[u8]) -> Option<Result<Vec<u8>, TargetError>> {
    Some(Ok(bytes.to_vec()))
}

/// A write, for as long as the bus goes on. `Pending` when it was dropped before its end.
fn write(
    simulation: &mut Simulation,
    halves: &mut DeviceHalves<'_>,
    bytes: &[u8],
) -> Poll<Result<(), WriteError>> {
    let mut write = pin!(halves.controller.write(NEIGHBOUR, bytes));
    let first = poll_once(write.as_mut());
    if first.is_ready() {
        return first;
    }
    simulation.run();
    poll_once(write)
}

/// What the neighbour has got, the address included.
fn delivery(bytes: &[u8]) -> Vec<u8> {
    [&[NEIGHBOUR], bytes].concat()
}

const PACKET: [u8; 5] = [0x0F, 2, 0x41, 7, 0xAA];

#[test]
fn what_a_controller_writes_is_received() {
    each(|mut simulation, mut halves| {
        for bytes in [&PACKET[..], &[], &[1; 258], &PACKET[..1]] {
            simulation.foreign_write(bytes);
            simulation.run();
            assert_eq!(receive(&mut halves), received(bytes));
            assert_eq!(receive(&mut halves), None);
        }
    });
}

#[test]
fn of_a_transaction_that_is_too_long_the_beginning_is_received() {
    each(|mut simulation, mut halves| {
        simulation.foreign_write(&[9; 400]);
        simulation.run();
        assert_eq!(receive(&mut halves), received(&[9; 259]));
        let mut short = [0; 3];
        simulation.foreign_write(&PACKET);
        simulation.run();
        let len = poll_once(halves.target.receive(&mut short));
        assert_eq!((len, short), (Poll::Ready(Ok(3)), [0x0F, 2, 0x41]));
    });
}

#[test]
fn two_transactions_are_kept_and_the_third_holds_the_clock_until_one_was_taken() {
    each(|mut simulation, mut halves| {
        for byte in 1..=4 {
            simulation.foreign_write(&[byte; 3]);
        }
        simulation.run();
        assert!(simulation.is_held());
        // Nor does the device hold on for longer when it is asked for a write.
        assert_eq!(
            poll_once(halves.controller.write(NEIGHBOUR, &[1])),
            Poll::Pending
        );
        simulation.run();
        for byte in 1..=4 {
            assert_eq!(receive(&mut halves), received(&[byte; 3]));
            simulation.run();
        }
        assert_eq!(receive(&mut halves), None);
        assert_eq!(simulation.resets(), 0);
    });
}

#[test]
fn whoever_reads_gets_ffh_and_nothing_is_received() {
    each(|mut simulation, mut halves| {
        let own = OWN.as_byte();
        simulation
            .foreign
            .extend([Foreign::Read(own), Foreign::Take, Foreign::Take]);
        simulation
            .foreign
            .extend([Foreign::TakeLast, Foreign::Stop]);
        simulation.run();
        assert_eq!(simulation.taken, [0xFF; 3]);
        assert_eq!(receive(&mut halves), None);
        // Nor of a write that was lost to the read.
        simulation.device_is_first = true;
        simulation.answer = Answer::Lose(2);
        simulation
            .foreign
            .extend([Foreign::Read(own), Foreign::Take, Foreign::TakeLast]);
        simulation.foreign.push_back(Foreign::Stop);
        let lost = write(&mut simulation, &mut halves, &[0x11, 0x22, 0x33]);
        assert_eq!(lost, Poll::Ready(Err(WriteError::ArbitrationLost)));
        assert_eq!(simulation.taken, [0xFF; 5]);
        assert_eq!(receive(&mut halves), None);
    });
}

#[test]
fn bytes_before_a_repeated_start_are_given_up() {
    each(|mut simulation, mut halves| {
        let own = OWN.as_byte();
        simulation
            .foreign
            .extend([Foreign::Write(own), Foreign::Byte(1), Foreign::Byte(2)]);
        simulation.foreign_write(&PACKET);
        simulation
            .foreign
            .extend([Foreign::Write(own), Foreign::Byte(3), Foreign::Read(own)]);
        simulation
            .foreign
            .extend([Foreign::TakeLast, Foreign::Stop]);
        simulation.run();
        assert_eq!(receive(&mut halves), received(&PACKET));
        assert_eq!(receive(&mut halves), None);
    });
}

#[test]
fn what_others_are_written_is_not_received() {
    each(|mut simulation, mut halves| {
        simulation
            .foreign
            .extend([Foreign::Write(0x1C), Foreign::Byte(1), Foreign::Stop]);
        simulation
            .foreign
            .extend([Foreign::Write(0), Foreign::Byte(1), Foreign::Stop]);
        assert!(simulation.step());
        assert!(halves.status.is_busy());
        simulation.run();
        assert!(!halves.status.is_busy());
        assert_eq!(receive(&mut halves), None);
    });
}

#[test]
fn writes_of_every_length_are_sent() {
    each(|mut simulation, mut halves| {
        let bytes: Vec<u8> = (0..=u8::MAX).chain(0..2).collect();
        for len in 0..=bytes.len() {
            let sent = write(&mut simulation, &mut halves, &bytes[..len]);
            assert_eq!(sent, Poll::Ready(Ok(())));
            assert_eq!(simulation.delivered.pop(), Some(delivery(&bytes[..len])));
        }
        let sent = write(&mut simulation, &mut halves, &[0; 259]);
        assert_eq!(sent, Poll::Ready(Err(WriteError::TooLong)));
        assert!(!simulation.start_is_set());
    });
}

#[test]
fn several_writes_of_a_transaction_are_one_and_a_read_is_refused() {
    each(|mut simulation, mut halves| {
        let mut parts = [
            Operation::Write(&[1, 2]),
            Operation::Write(&[]),
            Operation::Write(&[3]),
        ];
        {
            let mut transaction = pin!(halves.controller.transaction(NEIGHBOUR, &mut parts));
            assert!(poll_once(transaction.as_mut()).is_pending());
            simulation.run();
            assert_eq!(poll_once(transaction), Poll::Ready(Ok(())));
        }
        assert_eq!(simulation.delivered, [delivery(&[1, 2, 3])]);
        let read = poll_once(halves.controller.write_read(NEIGHBOUR, &[1], &mut [0]));
        assert_eq!(read, Poll::Ready(Err(WriteError::NotSupported)));
        assert!(!simulation.start_is_set());
    });
}

#[test]
fn nobody_writes_to_its_own_address() {
    each(|simulation, mut halves| {
        let sent = poll_once(halves.controller.write(OWN.as_byte(), &PACKET));
        assert_eq!(sent, Poll::Ready(Err(WriteError::NotAcknowledged)));
        assert!(!simulation.start_is_set());
    });
}

#[test]
fn a_byte_that_is_not_acknowledged_ends_the_write_and_not_the_next() {
    each(|mut simulation, mut halves| {
        for byte in 0..=PACKET.len() {
            simulation.answer = Answer::Refuse(byte);
            let sent = write(&mut simulation, &mut halves, &PACKET);
            assert_eq!(sent, Poll::Ready(Err(WriteError::NotAcknowledged)));
            simulation.answer = Answer::Acknowledge;
            let sent = write(&mut simulation, &mut halves, &[1, 2, 3]);
            assert_eq!(sent, Poll::Ready(Ok(())));
            assert_eq!(simulation.delivered.pop(), Some(delivery(&[1, 2, 3])));
        }
        assert_eq!(simulation.resets(), 0);
    });
}

#[test]
fn a_write_that_is_lost_to_one_that_addresses_the_device_costs_nothing() {
    each(|mut simulation, mut halves| {
        simulation.device_is_first = true;
        for byte in 0..=PACKET.len() {
            simulation.answer = Answer::Lose(byte);
            simulation.foreign_write(&[8, 9]);
            let sent = write(&mut simulation, &mut halves, &PACKET);
            assert_eq!(sent, Poll::Ready(Err(WriteError::ArbitrationLost)));
            assert_eq!(receive(&mut halves), received(&[8, 9]));
            simulation.answer = Answer::Acknowledge;
            let sent = write(&mut simulation, &mut halves, &PACKET);
            assert_eq!(sent, Poll::Ready(Ok(())));
            assert_eq!(simulation.delivered.pop(), Some(delivery(&PACKET)));
        }
        assert_eq!(simulation.resets(), 0);
    });
}

#[test]
fn both_begin_at_once_and_the_other_one_wins() {
    each(|mut simulation, mut halves| {
        simulation.foreign_write(&[8, 9]);
        let sent = write(&mut simulation, &mut halves, &PACKET);
        assert_eq!(sent, Poll::Ready(Err(WriteError::ArbitrationLost)));
        assert_eq!(receive(&mut halves), received(&[8, 9]));
        assert!(simulation.delivered.is_empty());
    });
}

/// Asks for a write at every point of a transaction that addresses the device.
#[test]
fn a_write_that_finds_the_bus_in_use_is_sent_behind() {
    each(|mut simulation, mut halves| {
        for steps in 1..=8 {
            simulation.foreign_write(&PACKET);
            for _ in 0..steps {
                simulation.step();
                if !simulation.interrupts_are_late || simulation.is_held() {
                    simulation.interrupts();
                }
            }
            let sent = write(&mut simulation, &mut halves, &[4, 5, 6]);
            assert_eq!(sent, Poll::Ready(Ok(())), "{steps}");
            assert_eq!(simulation.delivered.pop(), Some(delivery(&[4, 5, 6])));
            assert_eq!(receive(&mut halves), received(&PACKET));
        }
        assert_eq!(simulation.resets(), 0);
    });
}

/// The same, with START set before the address of the device comes.
#[test]
fn a_write_that_waited_for_the_bus_is_sent_behind_one_that_addresses_the_device() {
    each(|mut simulation, mut halves| {
        for foreign in [OWN.as_byte(), 0x40] {
            simulation
                .foreign
                .extend([Foreign::Write(0x40), Foreign::Byte(1)]);
            simulation
                .foreign
                .extend([Foreign::Write(foreign), Foreign::Byte(2), Foreign::Stop]);
            assert!(simulation.step());
            let sent = write(&mut simulation, &mut halves, &[4, 5, 6]);
            assert_eq!(sent, Poll::Ready(Ok(())));
            assert_eq!(simulation.delivered.pop(), Some(delivery(&[4, 5, 6])));
        }
        assert_eq!(receive(&mut halves), received(&[2]));
        assert_eq!(receive(&mut halves), None);
        assert_eq!(simulation.resets(), 0);
    });
}

/// Drops the write after each number of steps, alone on the bus and beside others.
#[test]
fn a_write_that_is_dropped_wedges_nothing() {
    each(|mut simulation, mut halves| {
        simulation.device_is_first = true;
        let others: [&[Foreign]; 3] = [
            &[],
            &[
                Foreign::Write(OWN.as_byte()),
                Foreign::Byte(1),
                Foreign::Byte(2),
                Foreign::Stop,
            ],
            &[Foreign::Write(0x40), Foreign::Byte(1), Foreign::Stop],
        ];
        for steps in 0..14 {
            for others in others {
                for begun in 0..others.len().max(1) {
                    simulation.foreign.extend(others);
                    for _ in 0..begun {
                        simulation.step();
                        simulation.interrupts();
                    }
                    let resets = simulation.resets();
                    {
                        let mut write = pin!(halves.controller.write(NEIGHBOUR, &[7; 6]));
                        assert!(poll_once(write.as_mut()).is_pending());
                        for _ in 0..steps {
                            simulation.step();
                            if !simulation.interrupts_are_late {
                                simulation.interrupts();
                            }
                        }
                    }
                    assert!(simulation.resets() - resets <= 1);
                    simulation.run();
                    simulation.delivered.clear();
                    let sent = write(&mut simulation, &mut halves, &PACKET);
                    assert_eq!(sent, Poll::Ready(Ok(())));
                    assert_eq!(simulation.delivered.pop(), Some(delivery(&PACKET)));
                    if others.first() == Some(&Foreign::Write(OWN.as_byte())) {
                        // Lost only when it did nothing while the write was waiting.
                        let expected = match (begun, steps) {
                            (1.., 0) => Some(Err(TargetError::Bus)),
                            _ => received(&[1, 2]),
                        };
                        assert_eq!(receive(&mut halves), expected, "{begun} {steps}");
                    }
                    assert_eq!(receive(&mut halves), None);
                }
            }
        }
    });
}

/// The interrupt of the address comes after both.
#[test]
fn a_write_may_follow_one_that_was_dropped_when_the_device_was_addressed() {
    each(|mut simulation, mut halves| {
        simulation.foreign.extend([Foreign::Write(0x40)]);
        assert!(simulation.step());
        simulation.foreign_write(&PACKET);
        {
            let mut first = pin!(halves.controller.write(NEIGHBOUR, &[1]));
            assert!(poll_once(first.as_mut()).is_pending());
            assert!(simulation.start_is_set() && simulation.step() && simulation.is_held());
        }
        let sent = write(&mut simulation, &mut halves, &[2]);
        assert_eq!(sent, Poll::Ready(Ok(())));
        assert_eq!(simulation.delivered, [delivery(&[2])]);
        assert_eq!(receive(&mut halves), received(&PACKET));
    });
}

#[test]
fn a_fault_of_the_bus_costs_the_transaction_that_had_it() {
    each(|mut simulation, mut halves| {
        let own = OWN.as_byte();
        let misplaced_start = &[Foreign::MisplacedStart, Foreign::Stop][..];
        for fault in [
            &[Foreign::MisplacedStop][..],
            misplaced_start,
            &[Foreign::HoldClock],
        ] {
            simulation
                .foreign
                .extend([Foreign::Write(own), Foreign::Byte(1)]);
            simulation.step();
            simulation.interrupts();
            simulation.foreign.extend(fault);
            // It waits for the transaction that has the fault.
            let sent = write(&mut simulation, &mut halves, &[4, 5]);
            assert_eq!(sent, Poll::Ready(Ok(())));
            assert_eq!(simulation.delivered.pop(), Some(delivery(&[4, 5])));
            assert_eq!(receive(&mut halves), Some(Err(TargetError::Bus)));
            simulation.foreign_write(&PACKET);
            simulation.run();
            assert_eq!(receive(&mut halves), received(&PACKET));
        }
    });
}

#[test]
fn a_target_that_holds_the_clock_costs_the_write() {
    each(|mut simulation, mut halves| {
        for byte in 0..=2 {
            simulation.answer = Answer::Hold(byte);
            let sent = write(&mut simulation, &mut halves, &[4, 5]);
            assert_eq!(sent, Poll::Ready(Err(WriteError::Timeout)));
            simulation.answer = Answer::Acknowledge;
            assert_eq!(
                write(&mut simulation, &mut halves, &[6]),
                Poll::Ready(Ok(()))
            );
            assert_eq!(simulation.delivered.pop(), Some(delivery(&[6])));
        }
    });
}

/// The controller is gone in the middle of a transaction that addresses the device, and no flag says
/// so.
#[test]
fn a_controller_that_vanishes_delays_two_writes_at_most() {
    each(|mut simulation, mut halves| {
        let own = OWN.as_byte();
        simulation
            .foreign
            .extend([Foreign::Write(own), Foreign::Byte(1), Foreign::Vanish]);
        simulation.run();
        assert_eq!(write(&mut simulation, &mut halves, &[4]), Poll::Pending);
        assert_eq!(
            write(&mut simulation, &mut halves, &[5]),
            Poll::Ready(Ok(()))
        );
        assert_eq!(receive(&mut halves), Some(Err(TargetError::Bus)));
        // The first write was there before.
        simulation.foreign.push_back(Foreign::Write(0x40));
        simulation.step();
        simulation
            .foreign
            .extend([Foreign::Write(own), Foreign::Byte(1), Foreign::Vanish]);
        assert_eq!(write(&mut simulation, &mut halves, &[6]), Poll::Pending);
        assert_eq!(write(&mut simulation, &mut halves, &[7]), Poll::Pending);
        assert_eq!(
            write(&mut simulation, &mut halves, &[8]),
            Poll::Ready(Ok(()))
        );
        assert_eq!(receive(&mut halves), Some(Err(TargetError::Bus)));
        assert_eq!(simulation.resets(), 2);
        // Without writes, the next transaction takes its place.
        simulation
            .foreign
            .extend([Foreign::Write(own), Foreign::Byte(1), Foreign::Vanish]);
        simulation.foreign_write(&PACKET);
        simulation.run();
        assert_eq!(receive(&mut halves), received(&PACKET));
        assert_eq!(receive(&mut halves), None);
    });
}

#[test]
fn a_bus_that_is_never_free_is_let_go() {
    each(|mut simulation, mut halves| {
        simulation
            .foreign
            .extend([Foreign::Write(0x40), Foreign::Vanish]);
        simulation.run();
        assert_eq!(write(&mut simulation, &mut halves, &[4]), Poll::Pending);
        assert!(!halves.status.is_busy());
        assert_eq!(
            write(&mut simulation, &mut halves, &[5]),
            Poll::Ready(Ok(()))
        );
        assert_eq!(simulation.delivered, [delivery(&[5])]);
    });
}

#[test]
fn it_is_started_once() {
    let simulation = Simulation::new();
    assert!(simulation.device.start(OWN, Simulation::timing()).is_some());
    assert!(simulation.device.start(OWN, Simulation::timing()).is_none());
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn each_half_is_woken_when_it_can_go_on() {
    each(|mut simulation, mut halves| {
        let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
        let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
        let counted = || {
            counts
                .each_ref()
                .map(|count| count.0.load(Ordering::Relaxed))
        };
        let mut buffer = [0; 16];
        let [mut receiver, mut sender] = wakers.each_ref().map(Context::from_waker);
        {
            let mut receive = pin!(halves.target.receive(&mut buffer));
            let mut write = pin!(halves.controller.write(NEIGHBOUR, &PACKET));
            assert!(receive.as_mut().poll(&mut receiver).is_pending());
            assert!(write.as_mut().poll(&mut sender).is_pending());
            simulation.run();
            assert_eq!(counted(), [0, 1]);
            assert_eq!(write.as_mut().poll(&mut sender), Poll::Ready(Ok(())));
            simulation.foreign_write(&PACKET);
            simulation.run();
            assert_eq!(counted(), [1, 1]);
            assert_eq!(receive.as_mut().poll(&mut receiver), Poll::Ready(Ok(5)));
        }
        // Faults wake, too.
        let mut receive = pin!(halves.target.receive(&mut buffer));
        let mut write = pin!(halves.controller.write(NEIGHBOUR, &PACKET));
        assert!(receive.as_mut().poll(&mut receiver).is_pending());
        assert!(write.as_mut().poll(&mut sender).is_pending());
        simulation.answer = Answer::Hold(1);
        simulation.run();
        assert_eq!(counted(), [1, 2]);
        let own = OWN.as_byte();
        simulation
            .foreign
            .extend([Foreign::Write(own), Foreign::HoldClock]);
        simulation.run();
        assert_eq!(counted(), [2, 2]);
    });
}
