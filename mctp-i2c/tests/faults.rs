//! What a sender does when the bus or the target fails, and how long that takes.

mod support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::poll_once;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;
use mctp_i2c::simulated_bus::{Fate, SimulatedBus, SimulatedController};
use mctp_i2c::{
    BusFrequency, BusStatus, Config, RECEIVE_BUFFER_LEN, Role, Sender, SharedBusFrequency,
    TargetAddress, Timing,
};
use mctp_transport::{
    PhysicalAddress, RawHeader, SendError, Transfer, TransferLayout, TransportTx,
};
use support::{BMC, DRIVE, Seen, SimulatedSender, packet, receiver, seen, send_to, sender};

const CONFIG: Config = Config::new(DRIVE);
const NOT_ACCEPTED: Option<Result<(), SendError>> = Some(Err(SendError::NotAccepted));

fn send(
    sender: &mut SimulatedSender,
    bus: &SimulatedBus,
    payload: &[u8],
) -> Option<Result<(), SendError>> {
    send_to(BMC.into(), sender, bus, payload)
}

/// Bytes of the transaction of a packet with this payload.
const fn transaction_len(payload: usize) -> usize {
    payload + 9
}

fn micros(microseconds: u32) -> Duration {
    Duration::from_micros(microseconds.into())
}

/// For each byte of a transaction: `fate` happens there once, and the packet arrives once; `fate`
/// happens each time, and the sender is told in time. The next packet arrives, both times.
fn at_every_byte(fate: impl Fn(usize) -> Fate + Copy + 'static) {
    for rate in [100_000, 400_000, 1_000_000] {
        let payload = [7; 64];
        for byte in 0..transaction_len(64) {
            let bus = SimulatedBus::new(rate);
            let mut bmc = receiver(&bus, BMC, RECEIVE_BUFFER_LEN);
            let mut sender = sender(&bus, CONFIG);
            bus.decide(move |number, _| match number {
                0 => fate(byte),
                _ => Fate::Delivered,
            });
            assert_eq!(
                send(&mut sender, &bus, &payload),
                Some(Ok(())),
                "byte {byte}"
            );
            assert_eq!(bus.usage().transactions, 2);
            let arrived = Seen::Packet(DRIVE, packet(&payload));
            assert_eq!(
                seen(&bus, &mut bmc),
                std::slice::from_ref(&arrived),
                "byte {byte}"
            );

            bus.decide(move |_, _| fate(byte));
            let begin = bus.elapsed();
            assert_eq!(
                send(&mut sender, &bus, &payload),
                NOT_ACCEPTED,
                "byte {byte}"
            );
            let limit = micros(CONFIG.timing.send_limit_us(transaction_len(64)));
            assert!(bus.elapsed() - begin < limit, "byte {byte}");
            assert_eq!(bus.usage().transactions, 2 + 9);
            assert_eq!(seen(&bus, &mut bmc), []);

            bus.decide(|_, _| Fate::Delivered);
            assert_eq!(send(&mut sender, &bus, &payload), Some(Ok(())));
            assert_eq!(seen(&bus, &mut bmc), [arrived]);
        }
    }
}

#[test]
fn arbitration_that_is_lost_at_any_byte_is_told_or_made_good() {
    at_every_byte(|byte| Fate::ArbitrationLost { byte });
}

#[test]
fn any_byte_that_is_not_acknowledged_is_told_or_made_good() {
    at_every_byte(|byte| Fate::NotAcknowledged { byte });
}

#[test]
fn a_neighbour_that_is_not_there_is_told_within_three_milliseconds() {
    for rate in [100_000, 400_000, 1_000_000] {
        let bus = SimulatedBus::new(rate);
        let mut sender = sender(&bus, CONFIG);
        assert_eq!(send(&mut sender, &bus, &[0; 250]), NOT_ACCEPTED);
        assert!(bus.elapsed() < Duration::from_millis(3), "{bus:?}");
        assert_eq!(bus.usage().bytes, 9, "the address and nothing else");
    }
}

#[test]
fn a_target_that_vanishes_within_a_message_costs_its_packets_and_nothing_else() {
    let bus = SimulatedBus::new(100_000);
    let (mut bmc, mut sender) = (
        receiver(&bus, BMC, RECEIVE_BUFFER_LEN),
        sender(&bus, CONFIG),
    );
    assert_eq!(send(&mut sender, &bus, &[1; 64]), Some(Ok(())));
    bus.set_present(BMC, false);
    assert_eq!(send(&mut sender, &bus, &[2; 64]), NOT_ACCEPTED);
    bus.set_present(BMC, true);
    assert_eq!(send(&mut sender, &bus, &[3; 64]), Some(Ok(())));
    assert_eq!(
        seen(&bus, &mut bmc),
        [Seen::Packet(DRIVE, packet(&[3; 64]))]
    );
}

#[test]
fn a_bus_that_hangs_is_told_in_the_time_of_one_transaction() {
    for fate in [Fate::Stuck, Fate::Stretched] {
        let bus = SimulatedBus::new(100_000);
        let (mut bmc, mut sender) = (
            receiver(&bus, BMC, RECEIVE_BUFFER_LEN),
            sender(&bus, CONFIG),
        );
        bus.decide(move |_, _| fate);
        for payload in [64, 250] {
            let begin = bus.elapsed();
            assert_eq!(send(&mut sender, &bus, &vec![1; payload]), NOT_ACCEPTED);
            let fair_idle = micros(100_000 + 60 + 31);
            let limit = Timing::new().transaction_limit_us(transaction_len(payload));
            assert!(bus.elapsed() - begin >= micros(limit));
            assert!(bus.elapsed() - begin <= micros(limit) + fair_idle);
        }
        bus.decide(|_, _| Fate::Delivered);
        // A target that stretched the clock let go when the controller did.
        if fate == Fate::Stuck {
            assert_eq!(send(&mut sender, &bus, &[2]), NOT_ACCEPTED);
            bus.release();
        }
        assert_eq!(send(&mut sender, &bus, &[3]), Some(Ok(())), "{fate:?}");
        assert_eq!(seen(&bus, &mut bmc), [Seen::Packet(DRIVE, packet(&[3]))]);
    }
}

#[test]
fn a_bus_owner_clears_a_bus_that_hangs_for_two_seconds_and_a_device_does_not() {
    for role in [Role::BusOwner, Role::Device] {
        let bus = SimulatedBus::new(100_000);
        let mut bmc = receiver(&bus, BMC, RECEIVE_BUFFER_LEN);
        let mut sender = sender(&bus, CONFIG.with_role(role));
        bus.stick();
        let mut lost = 0;
        while send(&mut sender, &bus, &[1; 64]) == NOT_ACCEPTED && lost < 100 {
            lost += 1;
        }
        let waited = lost * Timing::new().transaction_limit_us(transaction_len(64));
        match role {
            Role::BusOwner => {
                assert!((2_000_000..2_200_000).contains(&waited), "{waited} µs");
                assert_eq!(seen(&bus, &mut bmc).len(), 1);
            }
            Role::Device => assert_eq!(lost, 100),
        }
    }
}

/// Counts how often the bus was to be cleared, which never comes to an end.
struct NeverCleared(Rc<Cell<u32>>);

impl BusStatus for NeverCleared {
    async fn clear_stuck_bus(&mut self) {
        self.0.set(self.0.get() + 1);
        pending().await
    }
}

#[test]
fn a_bus_that_works_in_between_is_not_cleared_and_clearing_has_its_time() {
    let bus = SimulatedBus::new(100_000);
    let _bmc = bus.target(BMC, 64);
    let cleared = Rc::new(Cell::new(0));
    let config = CONFIG.with_role(Role::BusOwner);
    let status = NeverCleared(cleared.clone());
    let mut sender = Sender::with_status(bus.controller(), bus.delay(), status, config);
    let mut send = |fate| {
        bus.decide(move |_, _| fate);
        let mut buffer = [0; 259];
        let mut transfer = Transfer::new(&mut buffer, sender.layout());
        let header = RawHeader::from_bytes(support::HEADER);
        assert!(transfer.push(BMC.into(), header, 64).is_some());
        let begin = bus.elapsed();
        let sent = bus.block_on(sender.send(&mut transfer)).unwrap();
        (sent, bus.elapsed() - begin)
    };
    for _ in 0..50 {
        assert_eq!(send(Fate::Stretched).0, Err(SendError::NotAccepted));
        assert_eq!(send(Fate::Delivered).0, Ok(()));
    }
    assert_eq!(cleared.get(), 0);
    let mut longest = Duration::ZERO;
    while cleared.get() < 2 {
        let (sent, time) = send(Fate::Stretched);
        assert_eq!(sent, Err(SendError::NotAccepted));
        longest = longest.max(time);
    }
    let timing = Timing::new();
    let clearing = timing.transaction_limit_us(transaction_len(250));
    let limit = timing.transaction_limit_us(transaction_len(64)) + clearing;
    assert_eq!(longest, micros(limit + 60 + 31));
    assert_eq!(send(Fate::Delivered).0, Ok(()));
}

#[test]
fn a_bus_that_loses_its_power_is_a_link_that_is_down() {
    let bus = SimulatedBus::new(100_000);
    let (mut bmc, mut sender) = (
        receiver(&bus, BMC, RECEIVE_BUFFER_LEN),
        sender(&bus, CONFIG),
    );
    bus.set_connected(false);
    assert_eq!(
        send(&mut sender, &bus, &[1]),
        Some(Err(SendError::LinkDown))
    );
    assert_eq!(bus.usage().transactions, 0);
    bus.set_connected(true);
    // Within a transaction.
    bus.decide(|_, _| Fate::Stretched);
    let mut buffer = [0; 259];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    let header = RawHeader::from_bytes(support::HEADER);
    transfer.push(BMC.into(), header, 1).unwrap().fill(9);
    let cut = async {
        bus.delay().delay_us(50).await;
        bus.set_connected(false);
    };
    let sent = join(sender.send(&mut transfer), cut);
    let (sent, ()) = bus.block_on(sent).unwrap();
    assert_eq!(sent, Err(SendError::LinkDown));
    bus.set_connected(true);
    bus.decide(|_, _| Fate::Delivered);
    assert_eq!(send(&mut sender, &bus, &[2]), Some(Ok(())));
    let arrived = Seen::Packet(DRIVE, packet(&[2]));
    assert_eq!(
        seen(&bus, &mut bmc),
        [Seen::LinkDown, Seen::LinkUp, arrived]
    );
}

#[test]
fn a_busy_target_that_frees_room_between_two_tries_gets_the_packet() {
    let bus = SimulatedBus::new(400_000);
    let target = bus.target(BMC, 0);
    let timing = Timing::new().with_retry_pause_us(1_000);
    let mut sender = sender(&bus, CONFIG.with_timing(timing));
    let begin = bus.elapsed();
    assert_eq!(send(&mut sender, &bus, &[1; 64]), NOT_ACCEPTED);
    let waited = bus.elapsed() - begin;
    assert!(
        waited >= Duration::from_millis(8),
        "eight pauses: {waited:?}"
    );
    assert_eq!(bus.usage().bytes, 9 * 2, "the command code is refused");
    drop(target);
    let mut bmc = receiver(&bus, BMC, RECEIVE_BUFFER_LEN);
    bus.decide(|number, _| match number {
        9..=12 => Fate::NotAcknowledged { byte: 1 },
        _ => Fate::Delivered,
    });
    assert_eq!(send(&mut sender, &bus, &[1; 64]), Some(Ok(())));
    assert_eq!(bus.usage().transactions, 14);
    assert_eq!(seen(&bus, &mut bmc).len(), 1);
}

#[test]
fn the_number_of_retries_is_that_of_the_configuration() {
    for retries in [0, 8, 12] {
        let bus = SimulatedBus::new(100_000);
        let config = CONFIG.with_timing(Timing::new().with_retries(retries));
        let mut sender = sender(&bus, config);
        assert_eq!(send(&mut sender, &bus, &[1]), NOT_ACCEPTED);
        assert_eq!(bus.usage().transactions, u64::from(retries) + 1);
    }
}

#[test]
fn several_targets_each_get_what_is_for_them() {
    let bus = SimulatedBus::new(1_000_000);
    let addresses = [0x08, 0x1D, 0x20, 0x50, 0x77].map(|byte| TargetAddress::new(byte).unwrap());
    let mut targets = addresses.map(|address| receiver(&bus, address, RECEIVE_BUFFER_LEN));
    let mut owner = sender(&bus, Config::new(BMC).with_role(Role::BusOwner));
    for round in 0..3 {
        for address in addresses {
            let payload = [address.as_byte(), round];
            let sent = send_to(address.into(), &mut owner, &bus, &payload);
            assert_eq!(sent, Some(Ok(())));
        }
    }
    for (address, target) in addresses.iter().zip(&mut targets) {
        let packets = [0, 1, 2].map(|round| packet(&[address.as_byte(), round]));
        let packets = packets.map(|packet| Seen::Packet(BMC, packet));
        assert_eq!(seen(&bus, target), packets);
    }
}

#[test]
fn what_goes_to_no_target_is_refused_without_a_transaction() {
    let bus = SimulatedBus::new(100_000);
    let mut sender = sender(&bus, CONFIG);
    for destination in [
        PhysicalAddress::POINT_TO_POINT,
        PhysicalAddress::from_byte(0x00),
        PhysicalAddress::from_byte(0x78),
        PhysicalAddress::from_byte(0x9D),
        PhysicalAddress::new(&[0, 0x10]).unwrap(),
    ] {
        assert_eq!(send_to(destination, &mut sender, &bus, &[1]), NOT_ACCEPTED);
    }
    assert_eq!(bus.usage().transactions, 0);
}

#[test]
fn a_transfer_of_another_layout_is_refused_without_a_transaction() {
    let bus = SimulatedBus::new(100_000);
    let _bmc = bus.target(BMC, 8);
    let mut sender = sender(&bus, CONFIG);
    let layout = sender.layout();
    let others = [
        TransferLayout::new(4, 254, 259),
        TransferLayout::new(2, 254, 257).with_tailroom(1),
        layout.with_tailroom(2),
        layout.with_packs(true),
        TransferLayout::new(4, 255, 260).with_tailroom(1),
    ];
    for (other, is_sent) in others
        .map(|other| (other, false))
        .into_iter()
        .chain([(layout, true)])
    {
        let mut buffer = [0; 600];
        let mut transfer = Transfer::new(&mut buffer, other);
        let header = RawHeader::from_bytes(support::HEADER);
        transfer.push(BMC.into(), header, 5).unwrap().fill(1);
        let sent = bus.block_on(sender.send(&mut transfer)).unwrap();
        assert_eq!(sent.is_ok(), is_sent, "{other:?}");
    }
    assert_eq!(bus.usage().transactions, 1);
}

#[test]
fn the_transactions_on_the_bus_are_those_of_the_specification() {
    let bus = SimulatedBus::new(100_000);
    let _bmc = bus.target(BMC, 8);
    let recorded = Rc::new(RefCell::new(Vec::new()));
    bus.decide({
        let recorded = recorded.clone();
        move |_, bytes| {
            recorded.borrow_mut().push(bytes.to_vec());
            Fate::Delivered
        }
    });
    let mut sender = sender(&bus, CONFIG);
    let mut buffer = [0; 259];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    // The answer to Get Endpoint ID, which Linux took.
    let header = RawHeader::from_bytes([0x01, 0x08, 0x00, 0xC0]);
    let payload = [0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00];
    let place = transfer.push(BMC.into(), header, payload.len());
    place.unwrap().copy_from_slice(&payload);
    assert_eq!(bus.block_on(sender.send(&mut transfer)), Some(Ok(())));
    let expected = [
        0x20, 0x0F, 0x0C, 0x3B, 0x01, 0x08, 0x00, 0xC0, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00,
        0x02,
    ];
    assert_eq!(*recorded.borrow(), [expected]);
}

#[test]
fn bus_time_is_that_of_nine_clocks_a_byte_and_the_ends() {
    for (rate, nanos_per_bit, bus_free) in [
        (100_000, 10_000, 4_700),
        (400_000, 2_500, 1_300),
        (1_000_000, 1_000, 500),
    ] {
        for payload in [64, 250] {
            let bus = SimulatedBus::new(rate);
            let _bmc = bus.target(BMC, 8);
            let mut sender = sender(&bus, CONFIG);
            assert_eq!(send(&mut sender, &bus, &vec![1; payload]), Some(Ok(())));
            let bits = 9 * (payload as u64 + 9) + 2;
            let expected = Duration::from_nanos(bits * nanos_per_bit + bus_free);
            assert_eq!(bus.usage().time, expected);
            assert_eq!(bus.usage().bytes, payload as u64 + 9);
        }
    }
}

/// For how long nobody used the bus.
fn idle(bus: &SimulatedBus) -> Duration {
    bus.elapsed() - bus.usage().time
}

#[test]
fn a_device_lets_others_on_the_bus_after_each_transaction_of_its_own() {
    for (rate, timing, fair_idle) in [
        (100_000, Timing::new(), 91),
        (400_000, Timing::new(), 36),
        (1_000_000, Timing::new(), 10),
        (1_000_000, Timing::new().without_fairness(), 0),
    ] {
        let bus = SimulatedBus::new(rate);
        let _bmc = bus.target(BMC, 8);
        let mut sender = sender(&bus, CONFIG.with_timing(timing));
        for packets in 1..=3 {
            assert_eq!(send(&mut sender, &bus, &[1; 64]), Some(Ok(())));
            assert_eq!(idle(&bus), micros(fair_idle * packets));
        }
    }
}

#[test]
fn a_frequency_that_changes_holds_from_the_next_transaction_on() {
    let bus = SimulatedBus::new(1_000_000);
    let _bmc = bus.target(BMC, 8);
    let frequency = SharedBusFrequency::default();
    let mut sender = Sender::with_status(bus.controller(), bus.delay(), &frequency, CONFIG);
    let mut idle_before = Duration::ZERO;
    let slow_to_fast = [
        (BusFrequency::Khz100, 91),
        (BusFrequency::Khz400, 36),
        (BusFrequency::Mhz1, 10),
    ];
    for (allowed, fair_idle) in slow_to_fast.into_iter().chain([slow_to_fast[0]]) {
        frequency.set(allowed);
        for _ in 0..2 {
            let mut buffer = [0; 259];
            let mut transfer = Transfer::new(&mut buffer, sender.layout());
            let header = RawHeader::from_bytes(support::HEADER);
            assert!(transfer.push(BMC.into(), header, 64).is_some());
            assert_eq!(bus.block_on(sender.send(&mut transfer)), Some(Ok(())));
            assert_eq!(idle(&bus) - idle_before, micros(fair_idle), "{allowed}");
            idle_before = idle(&bus);
        }
    }
}

#[test]
fn a_controller_drives_the_bus_at_its_own_rate() {
    let bus = SimulatedBus::new(100_000);
    let _bmc = bus.target(BMC, 8);
    let (mut controller, mut other) = (bus.controller(), bus.controller());
    controller.set_rate(400_000);
    let time = |nanoseconds| Duration::from_nanos(nanoseconds);
    let writes = async |controller: &mut SimulatedController| {
        let begin = bus.usage().time;
        controller.write(BMC.as_byte(), &[0; 9]).await.unwrap();
        bus.usage().time - begin
    };
    let times = async { (writes(&mut controller).await, writes(&mut other).await) };
    let times = bus.block_on(times);
    let expected = [(2_500, 1_300), (10_000, 4_700)].map(|(bit, free)| time(92 * bit + free));
    assert_eq!(times, Some((expected[0], expected[1])));
}

#[test]
fn a_device_that_lost_arbitration_begins_again_at_once_and_one_that_was_refused_does_not() {
    let lost = Fate::ArbitrationLost { byte: 3 };
    let refused = Fate::NotAcknowledged { byte: 1 };
    for (fates, waits) in [
        ([lost, lost], 1),
        ([lost, refused], 2),
        ([refused, refused], 3),
    ] {
        let bus = SimulatedBus::new(100_000);
        let _bmc = bus.target(BMC, 8);
        let mut sender = sender(&bus, CONFIG);
        bus.decide(move |number, _| {
            let fate = fates.get(number as usize);
            fate.copied().unwrap_or(Fate::Delivered)
        });
        assert_eq!(send(&mut sender, &bus, &[1; 64]), Some(Ok(())));
        assert_eq!(idle(&bus), micros(91 * waits), "{fates:?}");
    }
}

/// A bus that is busy at the end of so many idle windows.
struct Busy(u32);

impl BusStatus for Busy {
    fn is_busy(&mut self) -> bool {
        let was_busy = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        was_busy
    }
}

#[test]
fn a_device_waits_for_an_idle_window_but_not_for_ever() {
    for (busy, windows) in [(0, 1), (1, 2), (5, 6), (u32::MAX, 100_000 / 60 + 1)] {
        let bus = SimulatedBus::new(100_000);
        let _bmc = bus.target(BMC, 8);
        let mut sender = Sender::with_status(bus.controller(), bus.delay(), Busy(busy), CONFIG);
        let mut buffer = [0; 259];
        let mut transfer = Transfer::new(&mut buffer, sender.layout());
        let header = RawHeader::from_bytes(support::HEADER);
        assert!(transfer.push(BMC.into(), header, 1).is_some());
        assert_eq!(bus.block_on(sender.send(&mut transfer)), Some(Ok(())));
        assert_eq!(idle(&bus), micros(60 * windows + 31), "{busy}");
    }
}

#[test]
fn a_send_that_is_dropped_costs_its_packet_and_a_fair_idle_time() {
    let bus = SimulatedBus::new(100_000);
    let (mut bmc, mut sender) = (
        receiver(&bus, BMC, RECEIVE_BUFFER_LEN),
        sender(&bus, CONFIG),
    );
    bus.decide(|number, _| match number {
        0 => Fate::Stretched,
        _ => Fate::Delivered,
    });
    let mut buffer = [0; 259];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    let header = RawHeader::from_bytes(support::HEADER);
    assert!(transfer.push(BMC.into(), header, 64).is_some());
    let mut sending = Box::pin(sender.send(&mut transfer));
    while bus.usage().transactions == 0 {
        assert!(poll_once(sending.as_mut()).is_pending());
    }
    drop(sending);
    assert_eq!(send(&mut sender, &bus, &[2]), Some(Ok(())));
    assert_eq!(idle(&bus), micros(91 * 2));
    assert_eq!(seen(&bus, &mut bmc), [Seen::Packet(DRIVE, packet(&[2]))]);
}
