//! Forwarding between the ports of a network: what goes on and what does not, in which order, and
//! what it costs others.

mod support;

use core::time::Duration;

use mctp::MsgType;
use mctp_router::storage::ForwardingBuffer;
use mctp_router::{
    ForwardError, ForwardedPacket, ForwardingFilter, NetworkId, PortId, Receipt, Route, Wakes,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress, SendError};
use support::bridge::{Bridge, PORTS, SECOND, THIRD, behind, neighbour};
use support::{DEVICE, I2C, POINT_TO_POINT, REQUEST, USB, Wire, assemble, config, echo_message};

/// A packet from an endpoint behind one port to one behind another.
fn between(from: PortId, to: PortId) -> Wire {
    REQUEST.from(behind(from)).to(behind(to))
}

#[track_caller]
fn assert_drops(bridge: &mut Bridge, by: PortId, packet: &[u8], reason: DropReason) {
    let before = bridge.core.drop_counters().clone();
    let receipt = bridge.receive(by, packet);
    assert_eq!(receipt, Receipt::Dropped(reason));
    let counters = bridge.core.drop_counters();
    assert_eq!(counters.of(reason), before.of(reason) + 1);
    assert_eq!(counters.total(), before.total() + 1);
    for port in PORTS {
        assert_eq!(bridge.sent_by(port), [[0u8; 0]; 0], "nothing goes on");
    }
}

// What goes on.

#[test]
fn a_packet_goes_on_as_it_is_to_the_physical_address_of_its_route() {
    let mut bridge = Bridge::new();
    let headers = (0..=u8::MAX).map(|flags| Wire {
        version: 0xF1,
        start: flags & 0x80 != 0,
        end: flags & 0x40 != 0,
        sequence: flags >> 4 & 3,
        tag_owner: flags & 8 != 0,
        tag: flags & 7,
        ..REQUEST
    });
    for (header, len) in headers.zip((1..=247).cycle()) {
        for (from, to) in [(USB, I2C), (I2C, THIRD), (SECOND, USB)] {
            let payload: Vec<u8> = (0..len).collect();
            let packet = header.from(behind(from)).to(behind(to)).packet(&payload);
            let by = PhysicalAddress::from_byte(0x44);
            assert_eq!(
                bridge.receive_from(from, by, &packet),
                Receipt::Forwarded(to)
            );
            assert!(bridge.take(to));
            let (_, address, sent) = bridge.sent[usize::from(to.0)].pop().unwrap();
            assert_eq!((address, sent), (neighbour(to), packet));
        }
    }
    assert_eq!(bridge.core.drop_counters().total(), 0);
}

#[test]
fn a_control_message_for_another_endpoint_is_forwarded_and_not_answered() {
    let mut bridge = Bridge::new();
    let packet = between(USB, THIRD).packet(&[0, 0x80, 2]);
    assert_eq!(bridge.receive(USB, &packet), Receipt::Forwarded(THIRD));
    assert_eq!(bridge.sent_by(THIRD), [packet]);
    assert_eq!(bridge.sent_by(USB), [[0u8; 0]; 0]);
}

#[test]
fn the_bridge_itself_is_served_as_before() {
    let mut bridge = Bridge::new();
    for destination in [0, DEVICE, 0xFF] {
        let packet = REQUEST.to(destination).packet(&[0, 0x80, 2]);
        assert_eq!(bridge.receive(USB, &packet), Receipt::Control);
        assert_eq!(bridge.sent_by(USB).len(), 1);
    }
    let packet = REQUEST.packet(&echo_message(9));
    assert!(matches!(
        bridge.receive(USB, &packet),
        Receipt::Delivered(_)
    ));
}

#[test]
fn without_an_endpoint_id_packets_that_have_a_route_are_forwarded_and_others_are_the_bridges() {
    let mut bridge = Bridge::without_endpoint_id();
    let packet = between(USB, THIRD).packet(&[5]);
    assert_eq!(bridge.receive(USB, &packet), Receipt::Forwarded(THIRD));
    let control = REQUEST.to(99).packet(&[0, 0x80, 2]);
    assert_eq!(bridge.receive(USB, &control), Receipt::Control);
}

#[test]
fn packets_of_a_message_stay_in_order_whatever_room_they_find() {
    for from in [USB, I2C] {
        let mut bridge = Bridge::new();
        bridge.takes = [1; 4];
        bridge.send_bulk(THIRD, 3000);
        let message = echo_message(60_000);
        let mut packets = between(from, THIRD).packets(&message, 64).into_iter();
        while let Some(packet) = packets.next() {
            bridge.input(from, &packet);
            // As many as the outgoing port takes, now and then all at once.
            if !packets.len().is_multiple_of(3) {
                bridge.step();
            }
        }
        bridge.advance(1000);
        let sent = bridge.sent_by(THIRD);
        let forwarded = sent.into_iter().filter(|packet| packet[2] == behind(from));
        let assembled = assemble(&forwarded.collect::<Vec<_>>());
        assert_eq!(assembled[0].message, message, "by {from:?}");
        assert_eq!(bridge.core.drop_counters().total(), 0);
    }
}

// What does not.

#[test]
fn each_packet_that_is_not_forwarded_is_counted_under_its_reason() {
    let mut bridge = Bridge::new();
    let good = between(USB, THIRD);
    for destination in [1, 7, 99] {
        let packet = good.to(destination).packet(&[5, 1]);
        assert_drops(&mut bridge, USB, &packet, DropReason::UnroutableDestination);
    }
    assert_drops(&mut bridge, USB, &good.packet(&[]), DropReason::Truncated);
    let too_long = DropReason::UnsupportedTransmissionUnit;
    assert_drops(&mut bridge, I2C, &good.packet(&[5; 248]), too_long);
    bridge.core.link_down(THIRD);
    assert_drops(
        &mut bridge,
        USB,
        &good.packet(&[5]),
        DropReason::ForwardingLinkDown,
    );
    bridge.core.link_up(THIRD);
    assert_eq!(
        bridge.receive(USB, &good.packet(&[5])),
        Receipt::Forwarded(THIRD)
    );
}

#[test]
fn null_and_broadcast_are_never_forwarded_whatever_the_routes() {
    let mut bridge = Bridge::new();
    let all = Route::new(Eid(0), Eid(0xFF), THIRD, POINT_TO_POINT);
    assert!(bridge.core.add_route(all));
    let good = between(USB, THIRD);
    assert_drops(
        &mut bridge,
        USB,
        &good.from(0).packet(&[5]),
        DropReason::InvalidSource,
    );
    for source in [1, 7, 0xFF] {
        assert_drops(
            &mut bridge,
            USB,
            &good.from(source).packet(&[5]),
            DropReason::InvalidSource,
        );
    }
    assert_drops(
        &mut bridge,
        USB,
        &good.to(0xFF).packet(&[5]),
        DropReason::NotOurDestination,
    );
    assert_drops(
        &mut bridge,
        USB,
        &good.to(0).packet(&[5]),
        DropReason::UnsupportedMessageType,
    );
    assert_drops(
        &mut bridge,
        USB,
        &good.to(7).packet(&[5]),
        DropReason::UnroutableDestination,
    );
}

#[test]
fn a_packet_of_the_bridge_itself_or_for_where_it_came_from_makes_no_loop() {
    let mut bridge = Bridge::new();
    let own = between(USB, THIRD).from(DEVICE).packet(&[5]);
    assert_drops(&mut bridge, USB, &own, DropReason::ForwardingLoop);
    let back = between(USB, USB).to(behind(USB) + 1).packet(&[5]);
    assert_drops(&mut bridge, USB, &back, DropReason::ForwardingLoop);
    // Another device on the same bus is no loop.
    let packet = between(I2C, I2C).to(behind(I2C) + 1).packet(&[5]);
    assert_drops(&mut bridge, I2C, &packet, DropReason::ForwardingLoop);
    let other = PhysicalAddress::from_byte(0x44);
    assert_eq!(
        bridge.receive_from(I2C, other, &packet),
        Receipt::Forwarded(I2C)
    );
}

#[test]
fn nothing_goes_on_by_or_from_a_port_that_does_not_forward() {
    let mut bridge = Bridge::with(&config(), &[USB, I2C]);
    let to_third = between(USB, THIRD).packet(&[5]);
    assert_drops(
        &mut bridge,
        USB,
        &to_third,
        DropReason::UnroutableDestination,
    );
    let from_third = between(THIRD, USB).packet(&[5]);
    assert_drops(
        &mut bridge,
        THIRD,
        &from_third,
        DropReason::NotOurDestination,
    );
    assert_eq!(
        bridge.receive(USB, &between(USB, I2C).packet(&[5])),
        Receipt::Forwarded(I2C)
    );
}

#[test]
fn a_port_forwards_once_and_takes_a_channel() {
    let mut bridge = Bridge::new();
    let mut forward_by = |port| {
        let buffer = Box::leak(Box::new(ForwardingBuffer::<80>::new()));
        bridge.core.forward_by(port, buffer)
    };
    assert_eq!(forward_by(USB), Err(ForwardError::Forwards));
    assert_eq!(forward_by(PortId(4)), Err(ForwardError::NoPort));
}

struct NoControl;

impl ForwardingFilter for NoControl {
    fn allows(&self, packet: &ForwardedPacket) -> bool {
        assert_eq!((packet.network, packet.to), (NetworkId(0), THIRD));
        assert_eq!(packet.source, Eid(behind(packet.from)));
        assert_eq!(packet.destination, Eid(behind(THIRD)));
        packet.message_type != Some(MsgType(0))
    }
}

#[test]
fn the_filter_decides_by_what_is_known_of_a_packet() {
    let mut bridge = Bridge::new();
    bridge.core.set_forwarding_filter(&NoControl);
    let good = between(USB, THIRD);
    for type_ic in [0, 0x80] {
        let packet = good.packet(&[type_ic, 0x80, 2]);
        assert_drops(&mut bridge, USB, &packet, DropReason::ForwardingRefused);
    }
    for packet in [good.packet(&[5, 0]), good.middle(1).packet(&[0, 0])] {
        assert_eq!(bridge.receive(USB, &packet), Receipt::Forwarded(THIRD));
    }
}

// Room.

/// Fills both transfers of the third port, so that it has no room.
fn fill(bridge: &mut Bridge, from: PortId) -> usize {
    let packet = between(from, THIRD).packet(&[5; 64]);
    (0..100)
        .take_while(|_| bridge.receive(from, &packet) == Receipt::Forwarded(THIRD))
        .count()
}

#[test]
fn a_packet_that_finds_no_room_is_held_back_until_there_is_some() {
    let mut bridge = Bridge::new();
    assert_eq!(fill(&mut bridge, USB), 14, "two transfers of 512 bytes");
    assert!(bridge.core.is_held_back(USB));
    let packet = between(SECOND, THIRD).packet(&[5; 64]);
    assert_eq!(bridge.receive(SECOND, &packet), Receipt::HeldBack);
    bridge.core.take_wakes();
    assert!(bridge.take(THIRD));
    assert_eq!(bridge.core.take_wakes(), Wakes::HeldBack);
    assert!(!bridge.core.is_held_back(USB), "it was first");
    assert!(bridge.core.is_held_back(SECOND), "not its turn");
    assert_eq!(bridge.receive(SECOND, &packet), Receipt::HeldBack);
    assert_eq!(bridge.receive(USB, &packet), Receipt::Forwarded(THIRD));
    assert!(!bridge.core.is_held_back(SECOND), "then it is next");
    assert_eq!(bridge.receive(SECOND, &packet), Receipt::Forwarded(THIRD));
    assert_eq!(bridge.core.drop_counters().total(), 0);
}

#[test]
fn what_is_for_the_bridge_overtakes_a_packet_that_is_held_back_and_what_is_for_others_does_not() {
    let mut bridge = Bridge::new();
    fill(&mut bridge, USB);
    let now = bridge.now();
    let mut ahead = |packet: &[u8]| bridge.core.receive_ahead(now, USB, POINT_TO_POINT, packet);
    assert!(ahead(&REQUEST.packet(&[0, 0x80, 2])));
    assert!(!ahead(&between(USB, SECOND).packet(&[0, 0x80, 2])));
    assert_eq!(bridge.sent_by(SECOND), [[0u8; 0]; 0]);
    assert_eq!(bridge.sent_by(USB).len(), 1, "the answer");
}

#[test]
fn a_port_that_takes_nothing_costs_what_goes_by_it_and_that_for_the_hold_time_once() {
    let mut config = config();
    config.hold_time = Duration::from_millis(300);
    let mut bridge = Bridge::with(&config, &PORTS);
    bridge.takes[usize::from(THIRD.0)] = 0;
    let (stuck, good) = (
        between(USB, THIRD).packet(&[5; 64]),
        between(USB, I2C).packet(&[5; 64]),
    );
    (0..40).for_each(|_| bridge.input(USB, &stuck));
    (0..10).for_each(|_| bridge.input(USB, &good));
    bridge.advance(250);
    assert_eq!(bridge.sent[usize::from(I2C.0)].len(), 0, "they wait behind");
    assert_eq!(bridge.core.drop_counters().total(), 0);
    bridge.advance(150);
    assert_eq!(bridge.sent[usize::from(I2C.0)].len(), 10);
    let reasons: Vec<_> = bridge.core.drop_counters().nonzero().collect();
    assert_eq!(reasons, [(DropReason::NoForwardingRoom, 26)]);
    // Nothing waits for it from now on.
    bridge.input(USB, &stuck);
    bridge.input(USB, &good);
    bridge.step();
    assert_eq!(bridge.sent[usize::from(I2C.0)].len(), 11);
    // Until it takes something.
    assert!(bridge.take(THIRD));
    assert_eq!(fill(&mut bridge, USB), 7);
    assert!(bridge.core.is_held_back(USB));
}

#[test]
fn a_held_packet_of_a_port_that_is_lost_or_stops_blocks_nobody() {
    for is_lost in [true, false] {
        let mut bridge = Bridge::new();
        fill(&mut bridge, USB);
        bridge.send_bulk(THIRD, 1000);
        bridge.run();
        bridge.takes[usize::from(THIRD.0)] = 1;
        if is_lost {
            bridge.core.link_down(USB);
        }
        bridge.advance(300);
        let sent = bridge.sent_by(THIRD);
        let own = sent.iter().filter(|packet| packet[2] == DEVICE).count();
        assert!(own > 300, "{own} packets of its own, link lost: {is_lost}");
    }
}

#[test]
fn a_packet_held_back_for_a_link_that_is_lost_is_dropped_at_once() {
    let mut bridge = Bridge::new();
    fill(&mut bridge, USB);
    bridge.core.link_down(THIRD);
    assert!(!bridge.core.is_held_back(USB));
    let packet = between(USB, THIRD).packet(&[5; 64]);
    assert_drops(&mut bridge, USB, &packet, DropReason::ForwardingLinkDown);
    assert!(!bridge.core.is_held_back(USB));
}

#[test]
fn a_held_packet_whose_route_changes_goes_the_new_way() {
    let mut bridge = Bridge::new();
    fill(&mut bridge, USB);
    let to = Eid(behind(THIRD));
    assert!(
        bridge
            .core
            .add_route(Route::new(to, to, SECOND, POINT_TO_POINT))
    );
    let packet = between(USB, THIRD).packet(&[5; 64]);
    assert_eq!(bridge.receive(USB, &packet), Receipt::Forwarded(SECOND));
    assert!(!bridge.core.is_held_back(USB));
    assert!(bridge.take(THIRD));
    let old_way = between(SECOND, THIRD).to(to.0 + 1).packet(&[5; 64]);
    let receipt = bridge.receive(SECOND, &old_way);
    assert_eq!(receipt, Receipt::Forwarded(THIRD), "nobody is before it");
}

#[test]
fn a_port_that_cannot_wait_has_the_reserve_and_then_drops() {
    let mut bridge = Bridge::new();
    assert_eq!(fill(&mut bridge, USB), 14);
    assert_eq!(fill(&mut bridge, I2C), 7, "the reserve");
    assert_eq!(
        bridge.core.drop_counters().of(DropReason::NoForwardingRoom),
        1
    );
    let sources: Vec<u8> = bridge
        .sent_by(THIRD)
        .iter()
        .map(|packet| packet[2])
        .collect();
    let (first, reserve) = sources.split_at(14);
    assert!(first.iter().all(|source| *source == behind(USB)));
    assert!(
        reserve.iter().all(|source| *source == behind(I2C)),
        "behind what waited"
    );
    bridge.core.link_down(USB);
    assert_eq!(
        fill(&mut bridge, I2C),
        21,
        "all transfers when nobody else waits"
    );
}

#[test]
fn the_reserve_is_given_up_with_its_link_and_used_again() {
    let mut bridge = Bridge::new();
    for _ in 0..3 {
        assert_eq!(fill(&mut bridge, I2C), 21);
        let before = bridge.core.drop_counters().of(DropReason::LinkDown);
        bridge.core.link_down(THIRD);
        bridge.core.link_up(THIRD);
        let lost = bridge.core.drop_counters().of(DropReason::LinkDown) - before;
        assert_eq!(lost, 3, "transfers");
        assert_eq!(bridge.sent_by(THIRD), [[0u8; 0]; 0]);
    }
}

#[test]
fn a_forwarded_request_that_is_not_acknowledged_is_not_taken_for_one_of_the_bridge() {
    let mut bridge = Bridge::new();
    let target = mctp_router::Target::Endpoint(NetworkId(0), Eid(behind(I2C)));
    let opened = bridge
        .core
        .open_request(&target, MsgType(5), mctp::MsgIC(false));
    let (channel, mut outgoing) = opened.unwrap();
    let now = bridge.now();
    assert!(bridge.core.send(now, &mut outgoing, &[&[1]]).is_ok());
    bridge.core.await_response(now, channel, 1000);
    let own = bridge.sent_by(I2C).remove(0);
    let forwarded = Wire::parse(&own).0.from(behind(USB)).packet(&[5]);
    assert_eq!(bridge.receive(USB, &forwarded), Receipt::Forwarded(I2C));
    let outbound = bridge.core.poll_transmit(I2C).unwrap();
    bridge
        .core
        .transmit_done(now, I2C, outbound, Err(SendError::NotAccepted));
    assert!(!bridge.core.is_refused(channel));
}

// Several at once.

#[test]
fn own_messages_and_packets_of_ports_that_can_and_cannot_wait_share_a_port() {
    for len in [64, 247] {
        let mut bridge = Bridge::new();
        bridge.takes[usize::from(THIRD.0)] = 1;
        bridge
            .core
            .configure_port(THIRD, mctp_router::PortConfig::new(len));
        let route = Route::new(Eid(50), Eid(59), THIRD, POINT_TO_POINT);
        assert!(bridge.core.add_route(route.with_transmission_unit(len)));
        bridge.send_bulk(THIRD, 20_000);
        for _ in 0..1000 {
            for from in [USB, I2C, SECOND] {
                let packet = between(from, THIRD).packet(&vec![5; len]);
                while bridge.inputs[usize::from(from.0)].len() < 8 {
                    bridge.input(from, &packet);
                }
            }
            bridge.step();
        }
        let sent = bridge.sent_by(THIRD);
        for source in [DEVICE, behind(USB), behind(I2C), behind(SECOND)] {
            let of_source = sent.iter().filter(|packet| packet[2] == source).count();
            let share = of_source * 100 / sent.len();
            assert!(
                (15..=50).contains(&share),
                "{share} % for {source}, unit {len}"
            );
        }
        let dropped = bridge
            .dropped
            .iter()
            .filter(|reason| **reason != DropReason::NoForwardingRoom);
        assert_eq!(dropped.count(), 0);
    }
}

#[test]
fn control_requests_are_answered_within_30_ms_on_every_port_of_a_flooded_bridge() {
    let mut bridge = Bridge::new();
    bridge.takes = [1; 4];
    let mut asked = [[0; 32]; 4];
    let mut slowest = 0;
    for round in 0..2000_u64 {
        for from in [USB, I2C, SECOND] {
            let packet = between(from, THIRD).packet(&[5; 64]);
            while bridge.inputs[usize::from(from.0)].len() < 20 {
                bridge.input(from, &packet);
            }
        }
        if round % 32 == 0 {
            let instance = (round / 32 % 32) as u8;
            for port in PORTS {
                let request = REQUEST.from(behind(port)).packet(&[0, 0x80 | instance, 2]);
                bridge.input(port, &request);
                asked[usize::from(port.0)][usize::from(instance)] = bridge.now;
            }
        }
        bridge.step();
        for port in PORTS {
            let index = usize::from(port.0);
            for (at, _, packet) in std::mem::take(&mut bridge.sent[index]) {
                if packet[4] == 0 && packet[2] == DEVICE {
                    let asked = std::mem::take(&mut asked[index][usize::from(packet[5] & 31)]);
                    slowest = slowest.max(at - asked);
                }
            }
        }
    }
    assert!(slowest <= 30, "{slowest} ms");
    assert!(
        asked.iter().flatten().all(|at| *at == 0 || *at > 1960),
        "all are answered: {asked:?}"
    );
}

// Counters.

/// Numbers that look random, the same at every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

#[test]
fn packets_received_are_those_delivered_forwarded_and_dropped() {
    let (mut forwarded, mut delivered) = (0, 0);
    for seed in 1..40 {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut bridge = Bridge::new();
        for _ in 0..2000 {
            let port = PORTS[numbers.below(4) as usize];
            match numbers.below(40) {
                0 => bridge.core.link_down(port),
                1 | 2 => bridge.core.link_up(port),
                3 => bridge.takes[usize::from(port.0)] = numbers.below(3) as usize,
                4..=8 => bridge.step(),
                9 => bridge.advance(120),
                _ => {
                    let ids = [0, 3, DEVICE, 20, 30, 31, 40, 50, 99, 0xFF];
                    let header = Wire {
                        version: if numbers.below(50) == 0 { 2 } else { 1 },
                        destination: ids[numbers.below(10) as usize],
                        source: ids[numbers.below(10) as usize],
                        start: numbers.below(2) == 0,
                        end: numbers.below(2) == 0,
                        sequence: numbers.byte() & 3,
                        tag_owner: numbers.below(2) == 0,
                        tag: numbers.byte() & 1,
                    };
                    let len = numbers.below(260) as usize;
                    let mut payload: Vec<u8> = (0..len).map(|_| numbers.byte()).collect();
                    if let [type_ic, ..] = &mut payload[..] {
                        *type_ic = [0, 5, 0x7E, 0x7E][numbers.below(4) as usize];
                    }
                    bridge.input(port, &header.packet(&payload));
                }
            }
            let counters = bridge.core.packet_counters();
            assert_eq!(counters, bridge.receipts, "seed {seed}");
            let parts = counters.delivered + counters.forwarded + counters.dropped;
            assert_eq!(counters.received, parts);
        }
        assert_eq!(bridge.dropped.len(), bridge.receipts.dropped as usize);
        for reason in DropReason::ALL {
            let of_packets = bridge.dropped.iter().filter(|dropped| *dropped == reason);
            assert!(bridge.core.drop_counters().of(*reason) >= of_packets.count() as u32);
        }
        forwarded += bridge.receipts.forwarded;
        delivered += bridge.receipts.delivered;
    }
    assert!(
        forwarded > 1000 && delivered > 100,
        "{forwarded}, {delivered}"
    );
}
