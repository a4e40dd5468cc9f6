//! Senders that begin at the same moment: arbitration bit by bit, as on the wires.

mod support;

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_futures::join::{join, join3};
use embassy_futures::poll_once;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{Error, ErrorKind, I2c, NoAcknowledgeSource};
use mctp_i2c::simulated_bus::{Fate, SimulatedBus, SimulatedController, SimulatedTarget};
use mctp_i2c::{Config, RECEIVE_BUFFER_LEN, Target, TargetAddress, Timing};
use mctp_transport::{RawHeader, SendError, Transfer, TransportTx};
use support::{BMC, DRIVE, HEADER, Seen, SimulatedSender, packet, receiver, seen, sender};

const DRIVES: [TargetAddress; 3] = [
    TargetAddress::new(0x1D).unwrap(),
    TargetAddress::new(0x1E).unwrap(),
    TargetAddress::new(0x2A).unwrap(),
];

/// Bytes of the transaction of a packet with a payload of one byte.
const TRANSACTION: usize = 10;

/// Sends packets with the payloads 0, 1 and so on, of one byte each, until one is not taken.
async fn send_numbered(
    mut sender: SimulatedSender,
    destination: TargetAddress,
    count: u8,
) -> Result<(), SendError> {
    for number in 0..count {
        send_number(&mut sender, destination, number).await?;
    }
    Ok(())
}

async fn send_number(
    sender: &mut SimulatedSender,
    destination: TargetAddress,
    number: u8,
) -> Result<(), SendError> {
    let mut buffer = [0; TRANSACTION];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    let header = RawHeader::from_bytes(HEADER);
    let place = transfer.push(destination.into(), header, 1);
    place.unwrap().fill(number);
    sender.send(&mut transfer).await
}

fn numbered(source: TargetAddress, count: u8) -> Vec<Seen> {
    let packets = (0..count).map(|number| Seen::Packet(source, packet(&[number])));
    packets.collect()
}

/// The source addresses of the transactions on the bus, in their order.
fn recorded(bus: &SimulatedBus) -> Rc<RefCell<Vec<TargetAddress>>> {
    let sources = Rc::new(RefCell::new(Vec::new()));
    bus.decide({
        let sources = sources.clone();
        move |_, bytes| {
            let source = TargetAddress::new(bytes[3] >> 1).unwrap();
            sources.borrow_mut().push(source);
            Fate::Delivered
        }
    });
    sources
}

/// What the time of so many transactions is, at 100 kHz.
fn time_of(transactions: u32) -> Duration {
    transactions * Duration::from_nanos((9 * TRANSACTION as u64 + 2) * 10_000 + 4_700)
}

#[test]
fn both_ends_that_send_at_once_get_each_others_packets() {
    let bus = SimulatedBus::new(100_000);
    let sources = recorded(&bus);
    let mut bmc = receiver(&bus, BMC, RECEIVE_BUFFER_LEN);
    let mut drive = receiver(&bus, DRIVE, RECEIVE_BUFFER_LEN);
    let sends = join(
        send_numbered(sender(&bus, Config::new(BMC)), DRIVE, 1),
        send_numbered(sender(&bus, Config::new(DRIVE)), BMC, 1),
    );
    assert_eq!(bus.block_on(sends), Some((Ok(()), Ok(()))));
    // The destination byte 20h wins against 3Ah: the management controller loses, is addressed, and
    // begins again at once. Nobody waits but for the fair idle time behind the last transaction.
    assert_eq!(*sources.borrow(), [DRIVE, BMC]);
    assert_eq!(seen(&bus, &mut bmc), numbered(DRIVE, 1));
    assert_eq!(seen(&bus, &mut drive), numbered(BMC, 1));
    assert_eq!(bus.usage().time, time_of(2));
    assert_eq!(bus.elapsed(), time_of(2) + Duration::from_micros(60 + 31));
}

#[test]
fn both_ends_that_send_at_once_each_time_lose_no_packet() {
    for rate in [100_000, 400_000, 1_000_000] {
        let bus = SimulatedBus::new(rate);
        let addresses = [BMC, DRIVE];
        let mut receivers = addresses.map(|own| receiver(&bus, own, RECEIVE_BUFFER_LEN));
        let [mut bmc, mut drive] = addresses.map(|own| sender(&bus, Config::new(own)));
        for number in 0..200 {
            let sends = join(
                send_number(&mut bmc, DRIVE, number),
                send_number(&mut drive, BMC, number),
            );
            assert_eq!(bus.block_on(sends), Some((Ok(()), Ok(()))));
            for (receiver, source) in receivers.iter_mut().zip([DRIVE, BMC]) {
                let expected = Seen::Packet(source, packet(&[number]));
                assert_eq!(seen(&bus, receiver), [expected]);
            }
        }
        let usage = bus.usage();
        assert_eq!((usage.transactions, usage.arbitrations_lost), (400, 200));
    }
}

/// Three drives that all send so many packets to the management controller, from the same moment on.
fn drives_send(
    bus: &SimulatedBus,
    timing: Timing,
    count: u8,
) -> [Result<(), SendError>; DRIVES.len()] {
    let [first, second, third] = DRIVES.map(|drive| {
        let config = Config::new(drive).with_timing(timing);
        send_numbered(sender(bus, config), BMC, count)
    });
    let sent = bus.block_on(join3(first, second, third));
    sent.expect("every send ends").into()
}

#[test]
fn fair_senders_to_one_target_take_turns() {
    let bus = SimulatedBus::new(100_000);
    let sources = recorded(&bus);
    let _bmc = bus.target(BMC, 64);
    let rounds = 10;
    let sent = drives_send(&bus, Timing::new(), rounds);
    assert_eq!(sent, [Ok(()); 3]);
    // The bytes differ in the source address first, of which the lowest wins.
    let expected = DRIVES.repeat(rounds.into());
    assert_eq!(*sources.borrow(), expected);
}

#[test]
fn a_sender_that_is_not_fair_keeps_the_bus_from_others() {
    let bus = SimulatedBus::new(100_000);
    let sources = recorded(&bus);
    let _bmc = bus.target(BMC, 64);
    let sent = drives_send(&bus, Timing::new().without_fairness(), 20);
    let given_up = Err(SendError::NotAccepted);
    assert_eq!(sent, [Ok(()), given_up, given_up]);
    assert_eq!(*sources.borrow(), [DRIVES[0]; 20]);
}

type Written = Result<(), ErrorKind>;

async fn write(mut controller: SimulatedController, bytes: &[u8]) -> Written {
    let written = controller.write(BMC.as_byte(), bytes).await;
    written.map_err(|error| error.kind())
}

/// What becomes of two writes to the management controller that begin at the same moment.
fn writes(bus: &SimulatedBus, one: &[u8], other: &[u8]) -> (Written, Written) {
    let both = join(write(bus.controller(), one), write(bus.controller(), other));
    bus.block_on(both).expect("both end")
}

const LOST: Written = Err(ErrorKind::ArbitrationLoss);
const REFUSED: Written = Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data));

/// The bytes of the next transaction that a target gets.
fn next(bus: &SimulatedBus, target: &mut SimulatedTarget) -> Vec<u8> {
    let mut buffer = [0; 16];
    let received = bus.block_on(target.receive(&mut buffer));
    buffer[..received.unwrap().unwrap()].to_vec()
}

#[test]
fn the_lower_byte_wins_and_of_all_that_contend_there_is_one_transaction() {
    for (lower, higher) in [
        ([0x0F, 8, 0x21], [0x0F, 8, 0x3B]),
        ([0x0F, 0x7F, 1], [0x0F, 0x80, 0]),
        ([0x0E, 0xFF, 0xFF], [0x0F, 0, 0]),
    ] {
        let bus = SimulatedBus::new(100_000);
        let mut bmc = bus.target(BMC, 8);
        assert_eq!(writes(&bus, &lower, &higher), (Ok(()), LOST));
        assert_eq!(writes(&bus, &higher, &lower), (LOST, Ok(())));
        assert_eq!([(); 2].map(|()| next(&bus, &mut bmc)), [lower; 2]);
        let usage = bus.usage();
        assert_eq!((usage.transactions, usage.bytes), (2, 8));
        assert_eq!(usage.arbitrations_lost, 2);
    }
}

#[test]
fn the_same_bytes_win_together() {
    let bus = SimulatedBus::new(100_000);
    let mut bmc = bus.target(BMC, 8);
    assert_eq!(writes(&bus, &[1, 2], &[1, 2]), (Ok(()), Ok(())));
    assert_eq!(next(&bus, &mut bmc), [1, 2]);
    assert_eq!(bus.usage().transactions, 1);
}

#[test]
fn a_transaction_that_ends_before_the_bytes_differ_ends_for_all() {
    // The command code is refused; they differ behind it.
    let bus = SimulatedBus::new(100_000);
    let _bmc = bus.target(BMC, 0);
    let written = writes(&bus, &[0x0F, 8, 1], &[0x0F, 8, 2]);
    assert_eq!(written, (REFUSED, REFUSED));
    // They differ in the byte that is refused: that one is lost before.
    assert_eq!(writes(&bus, &[0x0E], &[0x0F]), (REFUSED, LOST));
}

#[test]
fn a_controller_that_lets_go_before_it_is_its_turn_contends_no_more() {
    let bus = SimulatedBus::new(100_000);
    let mut bmc = bus.target(BMC, 8);
    let mut dropped = Box::pin(write(bus.controller(), &[1]));
    assert!(poll_once(dropped.as_mut()).is_pending());
    drop(dropped);
    let other = bus.block_on(write(bus.controller(), &[2]));
    assert_eq!(other, Some(Ok(())));
    assert_eq!(next(&bus, &mut bmc), [2]);
}

#[test]
fn controllers_that_wait_for_a_bus_that_is_held_contend_when_it_is_released() {
    let bus = SimulatedBus::new(100_000);
    let mut bmc = bus.target(BMC, 8);
    bus.stick();
    let release = async {
        bus.delay().delay_us(50).await;
        bus.release();
    };
    let all = join3(
        write(bus.controller(), &[9]),
        write(bus.controller(), &[4]),
        release,
    );
    let (high, low, ()) = bus.block_on(all).unwrap();
    assert_eq!((high, low), (LOST, Ok(())));
    assert_eq!(next(&bus, &mut bmc), [4]);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_that_is_polled_again_and_again_is_woken_once() {
    let bus = SimulatedBus::new(100_000);
    let mut target = bus.target(TargetAddress::new(0x20).unwrap(), 2);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut context = Context::from_waker(&waker);
    let mut buffer = [0; 8];
    let mut receive = pin!(target.receive(&mut buffer));
    for _ in 0..1000 {
        assert!(receive.as_mut().poll(&mut context).is_pending());
    }
    bus.write(&[0x40, 1, 2]).unwrap();
    let woken = wakes.0.load(Ordering::Relaxed);
    // Time passes before the transaction, and during it; the task waits only once.
    assert_eq!(woken, 1);
    assert_eq!(receive.as_mut().poll(&mut context), Poll::Ready(Ok(2)));
}
