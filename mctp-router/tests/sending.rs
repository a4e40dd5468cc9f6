//! What the router sends: packets of one unit (DSP0236 1.3.3, sections 8.4 and 8.5), packed in
//! transfers, with tags that rotate (sections 8.2 and 11.7), to the right neighbour, and what
//! becomes of it when that neighbour does not read.

mod support;

use mctp_router::{
    ChannelId, OpenError, Outbound, Outgoing, PortId, Progress, Receipt, Route, RouteOrigin,
    SendFailure, Target,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress, SendError, TransferLayout};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    Assembled, DEVICE, Device, HOST, I2C, NETWORK, POINT_TO_POINT, REQUEST, SentTransfer, USB,
    Wire, assemble, echo_message,
};

/// A response to `header`'s sender, who asks by this port from this address.
fn response_by(
    device: &mut Device,
    echo: ChannelId,
    header: Wire,
    port: PortId,
    from: PhysicalAddress,
) -> Outgoing {
    let receipt = device.receive_at(port, from, &header.packet(&echo_message(5)));
    assert_eq!(receipt, Receipt::Delivered(echo));
    let lent = device.core.take_message(echo).unwrap();
    let response = lent.response(lent.integrity_check());
    device.core.give_back(lent);
    response
}

fn response(device: &mut Device, echo: ChannelId, header: Wire) -> Outgoing {
    response_by(device, echo, header, USB, POINT_TO_POINT)
}

fn packets(transfers: &[SentTransfer]) -> Vec<Vec<u8>> {
    transfers
        .iter()
        .flat_map(|(_, packets)| packets.clone())
        .collect()
}

/// Sends a message of `len` bytes, type included, and puts it together again.
fn send(device: &mut Device, echo: ChannelId, len: usize) -> (Assembled, Vec<SentTransfer>) {
    let message = echo_message(len);
    let mut outgoing = response(device, echo, REQUEST.tag(3));
    let transfers = device.send_all(&mut outgoing, &[&message[1..]]);
    let mut assembled = assemble(&packets(&transfers));
    assert_eq!(assembled.len(), 1);
    let assembled = assembled.remove(0);
    assert_eq!(assembled.message, message);
    (assembled, transfers)
}

#[test]
fn all_packets_but_the_last_carry_exactly_the_unit() {
    let around = |middle: usize| middle - 4..=middle + 4;
    let lens = around(60)
        .chain(around(64))
        .chain(around(124))
        .chain(around(128))
        .chain(around(192));
    let lens = lens
        .chain(around(247))
        .chain(around(494))
        .chain(around(4096))
        .chain([65_535, 65_536]);
    let lens: Vec<usize> = lens.collect();
    for unit in [64, 65, 100, 127, 246, 247] {
        let (mut device, echo) = Device::echo();
        device.set_unit(USB, unit);
        for &len in &lens {
            let (sent, _) = send(&mut device, echo, len);
            let (last, middles) = sent.units.split_last().unwrap();
            assert!(
                middles.iter().all(|middle| *middle == unit),
                "unit {unit}, length {len}"
            );
            assert_eq!(sent.units.len(), len.div_ceil(unit));
            assert_eq!(*last, len - (sent.units.len() - 1) * unit);
        }
    }
}

#[test]
fn a_message_of_nothing_but_its_type_is_one_packet_of_one_byte() {
    let (mut device, echo) = Device::echo();
    let mut outgoing = response(&mut device, echo, REQUEST);
    let transfers = device.send_all(&mut outgoing, &[]);
    let wire = Wire {
        tag_owner: false,
        ..REQUEST.from(DEVICE).to(HOST)
    };
    assert_eq!(packets(&transfers), [wire.packet(&[0x7E])]);
}

#[test]
fn slices_are_sent_as_one_however_they_are_cut() {
    let message = echo_message(700);
    for cut in [1, 2, 3, 62, 63, 64, 65, 127, 699] {
        let (mut device, echo) = Device::echo();
        let mut slices: Vec<&[u8]> = vec![&[]];
        for slice in message[1..].chunks(cut) {
            slices.extend([slice, &[]]);
        }
        let mut outgoing = response(&mut device, echo, REQUEST);
        let transfers = device.send_all(&mut outgoing, &slices);
        assert_eq!(
            assemble(&packets(&transfers))[0].message,
            message,
            "cut at {cut}"
        );
    }
}

#[test]
fn the_integrity_check_bit_is_in_the_start_packet() {
    let (mut device, echo) = Device::echo();
    device.receive(&REQUEST.packet(&echo_message(5)));
    let lent = device.core.take_message(echo).unwrap();
    let mut outgoing = lent.response(mctp::MsgIC(true));
    device.core.give_back(lent);
    let transfers = device.send_all(&mut outgoing, &[&[1; 70]]);
    let message = &assemble(&packets(&transfers))[0].message;
    assert_eq!((message[0], &message[1..]), (0xFE, &[1; 70][..]));
}

#[test]
fn a_transfer_of_512_bytes_holds_two_packets_of_247_or_seven_of_64() {
    for (unit, per_transfer) in [(247, 2), (64, 7), (120, 4)] {
        let (mut device, echo) = Device::echo();
        device.set_unit(USB, unit);
        let (_, transfers) = send(&mut device, echo, unit * per_transfer * 5 + 1);
        let counts: Vec<usize> = transfers.iter().map(|(_, packets)| packets.len()).collect();
        let full = [per_transfer; 5];
        assert_eq!(counts, [&full[..], &[1]].concat(), "unit {unit}");
    }
}

#[test]
fn short_messages_share_a_transfer() {
    let (mut device, echo) = Device::echo();
    for tag in 0..5 {
        let mut outgoing = response(&mut device, echo, REQUEST.tag(tag));
        assert_eq!(
            device.send(&mut outgoing, &[&[tag; 10]]),
            Ok(Progress::Done)
        );
    }
    let transfers = device.transfers(USB);
    assert_eq!(transfers.len(), 1);
    assert_eq!(assemble(&transfers[0].1).len(), 5);
}

#[test]
fn a_transport_that_does_not_pack_gets_one_packet_in_a_transfer() {
    let (mut device, echo) = Device::echo();
    let from = PhysicalAddress::from_byte(0x20);
    let mut outgoing = response_by(&mut device, echo, REQUEST, I2C, from);
    let message = echo_message(300);
    let transfers = device.send_all(&mut outgoing, &[&message[1..]]);
    assert_eq!(transfers.len(), 5);
    assert!(
        transfers
            .iter()
            .all(|(to, packets)| *to == from && packets.len() == 1)
    );
    assert_eq!(assemble(&packets(&transfers))[0].message, message);
}

#[test]
fn the_unit_is_at_least_64_and_no_more_than_the_transport_carries() {
    for (asked, port, unit) in [
        (0, USB, 64),
        (10, USB, 64),
        (1000, USB, 247),
        (1000, I2C, 250),
        (63, I2C, 64),
    ] {
        let (mut device, echo) = Device::echo();
        device.set_unit(port, asked);
        let mut outgoing = response_by(&mut device, echo, REQUEST, port, POINT_TO_POINT);
        let transfers = device.send_all(&mut outgoing, &[&[7; 2000]]);
        assert_eq!(assemble(&packets(&transfers))[0].units[0], unit);
    }
}

#[test]
fn a_port_that_nobody_configured_sends_the_baseline_unit() {
    let (mut device, echo) = Device::echo();
    assert_eq!(send(&mut device, echo, 200).0.units, [64, 64, 64, 8]);
}

fn route(first: u8, last: u8, port: PortId, unit: usize) -> Route {
    Route {
        first: Eid(first),
        last: Eid(last),
        port,
        address: PhysicalAddress::from_byte(0x33),
        unit,
        origin: RouteOrigin::Static,
    }
}

#[test]
fn a_route_has_its_own_unit() {
    let (mut device, echo) = Device::echo();
    assert!(device.core.add_route(route(0x20, 0x2F, USB, 128)));
    let mut first_unit = |source: u8, port| {
        let mut outgoing = response_by(
            &mut device,
            echo,
            REQUEST.from(source),
            port,
            POINT_TO_POINT,
        );
        let transfers = device.send_all(&mut outgoing, &[&[7; 600]]);
        assemble(&packets(&transfers))[0].units[0]
    };
    assert_eq!(first_unit(0x1F, USB), 64);
    assert_eq!(first_unit(0x20, USB), 128);
    assert_eq!(first_unit(0x2F, USB), 128);
    assert_eq!(first_unit(0x30, USB), 64);
    assert_eq!(
        first_unit(0x20, I2C),
        64,
        "by another port than the route's"
    );
}

#[test]
fn a_message_for_one_packet_of_the_port_takes_two_of_its_route() {
    let (mut device, echo) = Device::echo();
    device.set_unit(USB, 247);
    assert!(device.core.add_route(route(HOST, HOST, USB, 64)));
    assert_eq!(send(&mut device, echo, 101).0.units, [64, 37]);
}

#[test]
fn a_route_of_the_same_range_is_replaced_and_their_number_is_limited() {
    let (mut device, _) = Device::echo();
    for first in [10, 20, 30, 40] {
        assert!(device.core.add_route(route(first, first + 5, USB, 64)));
    }
    assert!(!device.core.add_route(route(50, 55, USB, 64)));
    assert!(device.core.add_route(route(40, 45, I2C, 64)));
    let (_, outgoing) = open(&mut device, 42).unwrap();
    assert_eq!(outgoing.port(), I2C);
}

fn open_to(device: &mut Device, target: Target) -> Result<(ChannelId, Outgoing), OpenError> {
    device
        .core
        .open_request(&target, mctp::MsgType(5), mctp::MsgIC(false))
}

fn open(device: &mut Device, endpoint_id: u8) -> Result<(ChannelId, Outgoing), OpenError> {
    open_to(device, Target::Endpoint(NETWORK, Eid(endpoint_id)))
}

/// Sends a short request; returns where it went and its header.
fn sent_to(device: &mut Device, mut outgoing: Outgoing) -> (PhysicalAddress, Wire) {
    let transfers = device.send_all(&mut outgoing, &[&[1]]);
    (transfers[0].0, Wire::parse(&transfers[0].1[0]).0)
}

#[test]
fn requests_go_by_route_else_to_the_bus_owner_else_by_port_0() {
    let (mut device, _) = Device::echo();
    device.core.add_route(route(0x20, 0x2F, I2C, 64));
    let (_, outgoing) = open(&mut device, 0x40).unwrap();
    assert_eq!(outgoing.port(), USB);

    let owner = PhysicalAddress::from_byte(0x10);
    device.receive_at(I2C, owner, &REQUEST.packet(&[0, 0x80, 1, 0, 0x50]));
    device.transfers(I2C);
    let (_, outgoing) = open(&mut device, 0x40).unwrap();
    assert_eq!(outgoing.port(), I2C);
    let (to, header) = sent_to(&mut device, outgoing);
    assert_eq!((to, header.destination, header.source), (owner, 0x40, 0x50));
    assert!(header.tag_owner && header.start && header.end);

    let (_, outgoing) = open(&mut device, 0x25).unwrap();
    assert_eq!(
        sent_to(&mut device, outgoing).0,
        PhysicalAddress::from_byte(0x33)
    );
}

#[test]
fn tags_rotate_although_each_is_free_again() {
    let (mut device, _) = Device::echo();
    let mut tags = Vec::new();
    for _ in 0..24 {
        let (channel, outgoing) = open(&mut device, HOST).unwrap();
        tags.push(sent_to(&mut device, outgoing).1.tag);
        device.core.close(channel);
    }
    for (index, tag) in tags.iter().enumerate().skip(1) {
        assert_eq!(*tag, (tags[index - 1] + 1) % 8);
    }
}

#[test]
fn eight_requests_to_a_peer_have_eight_tags_and_the_ninth_has_none() {
    let (mut device, _) = Device::echo();
    let mut tags = Vec::new();
    let mut channels = Vec::new();
    for _ in 0..8 {
        let (channel, outgoing) = open(&mut device, HOST).unwrap();
        channels.push(channel);
        tags.push(sent_to(&mut device, outgoing).1.tag);
    }
    tags.sort_unstable();
    assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(open(&mut device, HOST).unwrap_err(), OpenError::NoTag);
    let physically = Target::Neighbour(USB, POINT_TO_POINT, Eid(0));
    assert_eq!(
        open_to(&mut device, physically).unwrap_err(),
        OpenError::NoTag,
        "it could be the same endpoint"
    );
    // Tags are per peer. That was the last channel, with the echo service's.
    open(&mut device, 0x20).unwrap();
    assert_eq!(open(&mut device, 0x21).unwrap_err(), OpenError::NoChannel);
    device.core.close(channels[5]);
    open(&mut device, HOST).unwrap();
}

#[test]
fn a_response_goes_back_by_the_port_and_address_that_its_request_came_by() {
    let (mut device, echo) = Device::echo();
    let neighbours = [
        (I2C, PhysicalAddress::from_byte(0x10)),
        (USB, POINT_TO_POINT),
        (I2C, PhysicalAddress::from_byte(0x11)),
    ];
    let asked: Vec<Outgoing> = neighbours
        .iter()
        .zip([0x20, 0x22, 0x21])
        .map(|((port, from), source)| {
            response_by(&mut device, echo, REQUEST.from(source).tag(2), *port, *from)
        })
        .collect();
    // A bus owner or route elsewhere does not matter.
    device.core.add_route(route(0x20, 0x22, USB, 64));
    for (mut outgoing, (port, from)) in asked.into_iter().zip(neighbours) {
        let transfers = device.send_all(&mut outgoing, &[&[1, 2]]);
        assert_eq!((outgoing.port(), transfers[0].0), (port, from));
        assert_eq!(Wire::parse(&transfers[0].1[0]).0.tag, 2);
        let other = if port == USB { I2C } else { USB };
        assert_eq!(device.transfers(other), []);
    }
}

#[test]
fn messages_to_two_neighbours_do_not_share_a_transfer() {
    let (mut device, echo) = Device::echo();
    // A bus with addresses whose transport packs.
    device.core.set_layout(
        I2C,
        TransferLayout {
            transfers_at_once: 1,
            packs: true,
            max_transfer: 512,
            ..support::I2C_LAYOUT
        },
    );
    let [one, other] = [0x10, 0x11].map(PhysicalAddress::from_byte);
    let mut to_one = response_by(&mut device, echo, REQUEST, I2C, one);
    let mut to_other = response_by(&mut device, echo, REQUEST.tag(1), I2C, other);
    assert_eq!(device.send(&mut to_one, &[&[1]]), Ok(Progress::Done));
    let mut transfers = Vec::new();
    while device.send(&mut to_other, &[&[2]]) != Ok(Progress::Done) {
        transfers.extend(device.transfer(I2C));
    }
    transfers.extend(device.transfers(I2C));
    let destinations: Vec<_> = transfers
        .iter()
        .map(|(to, packets)| (*to, packets.len()))
        .collect();
    assert_eq!(destinations, [(one, 1), (other, 1)]);
}

#[test]
fn several_messages_interleave_by_their_tags() {
    let (mut device, echo) = Device::echo();
    let messages: Vec<Vec<u8>> = (0..4)
        .map(|index| echo_message(3000 + 100 * index))
        .collect();
    let mut outgoing: Vec<Outgoing> = (0..4)
        .map(|tag| response(&mut device, echo, REQUEST.tag(tag)))
        .collect();
    let mut done = [false; 4];
    let mut transfers = Vec::new();
    while !done.iter().all(|done| *done) {
        for index in 0..4 {
            if !done[index] {
                let progress = device
                    .send(&mut outgoing[index], &[&messages[index][1..]])
                    .unwrap();
                done[index] = progress == Progress::Done;
                transfers.extend(device.transfers(USB));
            }
        }
    }
    let arrived = assemble(&packets(&transfers));
    let order: Vec<u8> = arrived.iter().map(|message| message.header.tag).collect();
    assert_eq!(order, [0, 1, 2, 3], "the shorter ones first");
    for message in arrived {
        assert_eq!(message.message, messages[usize::from(message.header.tag)]);
    }
}

#[test]
fn control_answers_overtake_what_waits() {
    let (mut device, echo) = Device::echo();
    let mut bulk = response(&mut device, echo, REQUEST);
    assert_eq!(
        device.send(&mut bulk, &[&[7; 65_535]]),
        Ok(Progress::Partial)
    );
    // One transfer is with the transport, the next is full.
    let in_flight = device.core.poll_transmit(USB).unwrap();
    assert_eq!(
        device.send(&mut bulk, &[&[7; 65_535]]),
        Ok(Progress::Partial)
    );
    assert_eq!(
        device.receive(&REQUEST.tag(5).packet(&[0, 0x81, 2])),
        Receipt::Control
    );
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Ok(()));
    let (_, next) = device.transfer(USB).unwrap();
    assert_eq!(next, [[0x01, HOST, DEVICE, 0xC5, 0, 1, 2, 0, DEVICE, 0, 0]]);
    let (_, after) = device.transfer(USB).unwrap();
    assert_eq!(after.len(), 7);
}

#[test]
fn control_answers_keep_their_order() {
    let (mut device, _) = Device::echo();
    for instance_id in 0..4 {
        device.receive(&REQUEST.packet(&[0, 0x80 | instance_id, 2]));
    }
    let order: Vec<u8> = device.sent().iter().map(|packet| packet[5]).collect();
    assert_eq!(order, [0, 1, 2, 3]);
}

/// A transport may ask for more room around a packet than an answer has. Only the answers that are
/// too long for it suffer.
#[test]
fn an_answer_that_does_not_fit_the_transport_costs_only_itself() {
    const VERSIONS: [[u8; 4]; 14] = [[0xF1, 0xF0, 0xF0, 0]; 14];
    let (mut device, echo) = Device::echo();
    let roomy = TransferLayout {
        headroom: 40,
        ..support::USB_LAYOUT
    };
    device.core.set_layout(USB, roomy);
    let service = mctp_router::Service::message_type(mctp::MsgType(5)).with_versions(&VERSIONS);
    device.core.open_listener(service).unwrap();
    for _ in 0..5 {
        for _ in 0..4 {
            assert_eq!(
                device.receive(&REQUEST.packet(&[0, 0x80, 2])),
                Receipt::Control
            );
        }
        let refused = device.receive(&REQUEST.packet(&[0, 0x80, 4, 5]));
        assert_eq!(refused, Receipt::Dropped(DropReason::ResponseNotTaken));
        device.sent();
    }
    device.assert_answers_control();
    device.assert_serves(echo);
}

/// A device whose host took the first transfer of a bulk message never: it is with the transport,
/// and the next is full.
fn stalled() -> (Device, ChannelId, Outgoing, Outbound<'static>) {
    let (mut device, echo) = Device::echo();
    let mut bulk = response(&mut device, echo, REQUEST);
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    let in_flight = device.core.poll_transmit(USB).unwrap();
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    (device, echo, bulk, in_flight)
}

#[test]
fn sending_to_a_host_that_takes_nothing_fails_after_the_time_limit_and_not_before() {
    let (mut device, echo, mut bulk, in_flight) = stalled();
    device.advance(5999);
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    device.advance(1);
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::Stalled)
    );
    let mut another = response(&mut device, echo, REQUEST.tag(1));
    assert_eq!(
        device.send(&mut another, &[&[1]]),
        Err(SendFailure::Stalled),
        "at once"
    );
    // It reads again: everything works again.
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Ok(()));
    device.sent();
    device.assert_serves(echo);
    device.advance(10_000);
    device.assert_serves(echo);
}

#[test]
fn a_host_that_stops_after_a_transfer_is_given_its_time_from_there() {
    let (mut device, _, mut bulk, first) = stalled();
    device.advance(500);
    device.core.transmit_done(device.now(), USB, first, Ok(()));
    let _second = device.core.poll_transmit(USB).unwrap();
    device.advance(5999);
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    device.advance(1);
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::Stalled)
    );
}

#[test]
fn a_host_that_takes_a_transfer_now_and_then_is_not_stalled() {
    let (mut device, echo) = Device::echo();
    let message = echo_message(5000);
    let mut bulk = response(&mut device, echo, REQUEST);
    let mut sent = Vec::new();
    while device.send(&mut bulk, &[&message[1..]]) != Ok(Progress::Done) {
        device.advance(5999);
        sent.extend(device.transfer(USB));
    }
    device.advance(5999);
    sent.extend(device.transfers(USB));
    assert_eq!(assemble(&packets(&sent))[0].message, message);
}

#[test]
fn a_device_that_did_not_run_offers_what_it_has_before_it_gives_up() {
    for (waited, stopped) in [(0, 1500), (0, 60_000), (5900, 200), (5950, 3000)] {
        let (mut device, echo, mut bulk, in_flight) = stalled();
        device.advance(waited);
        device.oversleep(stopped);
        // The timer comes first, then the transport takes what it has.
        device.core.expire(device.now());
        assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
        device
            .core
            .transmit_done(device.now(), USB, in_flight, Ok(()));
        let mut sent = Vec::new();
        while device.send(&mut bulk, &[&[7; 5000]]) != Ok(Progress::Done) {
            sent.extend(device.transfer(USB));
        }
        sent.extend(device.transfers(USB));
        assert_eq!(device.core.drop_counters().total(), 0);
        let payload: usize = packets(&sent).iter().map(|packet| packet.len() - 4).sum();
        // All but the transfer in flight: seven packets of 64 bytes, the message type among them.
        assert_eq!(payload, 5001 - 7 * 64, "after {waited} and {stopped} ms");
        device.assert_serves(echo);
    }
}

#[test]
fn the_time_before_and_after_the_device_did_not_run_counts() {
    let (mut device, _, mut bulk, _in_flight) = stalled();
    device.advance(2000);
    device.oversleep(10_000);
    device.core.expire(device.now());
    device.advance(3999);
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    device.advance(1);
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::Stalled)
    );
}

#[test]
fn a_device_that_never_runs_in_time_gives_up_as_well() {
    let (mut device, _, mut bulk, _in_flight) = stalled();
    for _ in 0..7 {
        assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
        device.oversleep(1000);
        device.core.expire(device.now());
    }
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::Stalled)
    );
}

#[test]
fn a_device_that_stops_again_and_again_gives_up_for_the_time_that_it_ran() {
    let (mut device, _, mut bulk, _in_flight) = stalled();
    let mut rounds = 0;
    while device.send(&mut bulk, &[&[7; 5000]]) == Ok(Progress::Partial) {
        device.oversleep(1000);
        device.core.expire(device.now());
        device.advance(100);
        rounds += 1;
        assert!(rounds <= 60, "it ran for 6 s");
    }
    assert_eq!(rounds, 60);
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::Stalled)
    );
}

#[test]
fn what_is_sent_first_after_a_pause_gets_its_time_limit_and_no_more() {
    let (mut device, echo) = Device::echo();
    let mut answers = [1, 2, 3].map(|tag| response(&mut device, echo, REQUEST.tag(tag)));
    // Something that the device must look at, so that the pause is seen.
    device.receive(&REQUEST.packets(&echo_message(100), 64)[0]);
    device.oversleep(60_000);
    let [first, second, third] = &mut answers;
    assert_eq!(device.send(first, &[&[7]]), Ok(Progress::Done));
    device.core.expire(device.now());
    device.advance(5999);
    assert_eq!(device.send(second, &[&[7]]), Ok(Progress::Done));
    device.advance(1);
    assert_eq!(device.send(third, &[&[7]]), Err(SendFailure::Stalled));
}

#[test]
fn a_port_with_nothing_to_send_never_stalls() {
    let (mut device, echo) = Device::echo();
    device.advance(100_000);
    device.assert_serves(echo);
    device.advance(100_000);
    device.assert_serves(echo);
    device.assert_answers_control();
}

#[test]
fn a_stalled_host_gets_its_control_answers_as_soon_as_it_reads_again() {
    let (mut device, echo, _, in_flight) = stalled();
    device.advance(60_000);
    let drops = device.drops_of(|device| {
        for instance_id in 0..10 {
            assert_eq!(
                device.receive(&REQUEST.packet(&[0, 0x80 | instance_id, 2])),
                Receipt::Control
            );
        }
    });
    assert_eq!(
        drops,
        [(DropReason::ResponseNotTaken, 6)],
        "four places; the oldest make room"
    );
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Ok(()));
    let answers: Vec<u8> = (0..4)
        .map(|_| device.transfer(USB).unwrap().1[0][5])
        .collect();
    assert_eq!(answers, [6, 7, 8, 9]);
    device.sent();
    device.assert_answers_control();
    device.assert_serves(echo);
}

#[test]
fn a_stalled_port_leaves_the_other_alone() {
    let (mut device, echo, _, _in_flight) = stalled();
    device.advance(60_000);
    let from = PhysicalAddress::from_byte(0x20);
    let mut outgoing = response_by(&mut device, echo, REQUEST.from(0x20), I2C, from);
    let transfers = device.send_all(&mut outgoing, &[&[1; 500]]);
    assert_eq!(assemble(&packets(&transfers))[0].message.len(), 501);
    device.receive_at(I2C, from, &REQUEST.packet(&[0, 0x80, 2]));
    assert_eq!(device.transfers(I2C).len(), 1);
}

#[test]
fn an_answer_that_the_host_does_not_take_stalls_the_port_too() {
    let (mut device, echo) = Device::echo();
    device.receive(&REQUEST.packet(&[0, 0x80, 2]));
    let in_flight = device.core.poll_transmit(USB).unwrap();
    device.advance(6000);
    let mut outgoing = response(&mut device, echo, REQUEST);
    assert_eq!(
        device.send(&mut outgoing, &[&[1]]),
        Err(SendFailure::Stalled)
    );
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Ok(()));
    device.assert_serves(echo);
}

#[test]
fn a_message_of_one_packet_that_the_host_does_not_take_stalls_the_port_too() {
    let (mut device, echo) = Device::echo();
    let send = |device: &mut Device| {
        let mut outgoing = response(device, echo, REQUEST);
        device.send(&mut outgoing, &[&[1; 10]])
    };
    assert_eq!(send(&mut device), Ok(Progress::Done));
    device.advance(5999);
    assert_eq!(send(&mut device), Ok(Progress::Done));
    device.advance(1);
    assert_eq!(send(&mut device), Err(SendFailure::Stalled));
}

#[test]
fn sending_fails_while_the_link_is_down_and_works_when_it_is_back() {
    let (mut device, echo, mut bulk, in_flight) = stalled();
    device.core.link_down(USB);
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::NoLink)
    );
    let drops = device.drops_of(|device| {
        device
            .core
            .transmit_done(device.now(), USB, in_flight, Err(SendError::LinkDown))
    });
    assert_eq!(drops, [(DropReason::LinkDown, 1)]);
    assert_eq!(
        device.receive(&REQUEST.packet(&[0, 0x80, 2])),
        Receipt::Dropped(DropReason::LinkDown)
    );
    device.core.link_up(USB);
    assert_eq!(device.sent(), [[0u8; 0]; 0], "nothing from before");
    device.assert_serves(echo);
    device.assert_answers_control();
}

#[test]
fn a_message_whose_start_was_lost_with_the_link_does_not_go_on() {
    let (mut device, echo, mut bulk, in_flight) = stalled();
    let mut unsent = response(&mut device, echo, REQUEST.tag(1));
    device.core.link_down(USB);
    device.core.link_up(USB);
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Err(SendError::LinkDown));
    assert_eq!(
        device.send(&mut bulk, &[&[7; 5000]]),
        Err(SendFailure::NoLink)
    );
    assert_eq!(device.sent(), [[0u8; 0]; 0]);
    let old = device.send(&mut unsent, &[&[1; 100]]);
    assert_eq!(old, Err(SendFailure::NoLink), "who asked is gone");
    device.assert_serves(echo);
}

#[test]
fn a_link_that_comes_back_is_not_stalled() {
    let (mut device, echo, _, in_flight) = stalled();
    device.advance(5000);
    device.core.link_down(USB);
    device.core.link_up(USB);
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Err(SendError::LinkDown));
    device.sent();
    device.assert_serves(echo);
}

#[test]
fn a_layout_that_changes_holds_for_the_transfer_on_its_way_once_it_is_back() {
    let (mut device, echo, _, in_flight) = stalled();
    device.core.set_layout(USB, support::I2C_LAYOUT);
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Err(SendError::LinkDown));
    for _ in 0..4 {
        let mut outgoing = response(&mut device, echo, REQUEST);
        let message = echo_message(200);
        let transfers = device.send_all(&mut outgoing, &[&message[1..]]);
        assert_eq!(transfers.len(), 4, "one packet each");
        assert_eq!(assemble(&packets(&transfers))[0].message, message);
    }
}

#[test]
fn ten_link_cycles_lose_no_transfer_buffer() {
    let (mut device, echo) = Device::echo();
    for _ in 0..10 {
        let mut bulk = response(&mut device, echo, REQUEST);
        assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
        let in_flight = device.core.poll_transmit(USB).unwrap();
        device.core.link_down(USB);
        device.core.link_up(USB);
        device
            .core
            .transmit_done(device.now(), USB, in_flight, Err(SendError::LinkDown));
    }
    let mut bulk = response(&mut device, echo, REQUEST);
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    let first = device.core.poll_transmit(USB).unwrap();
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    let second = device
        .core
        .poll_transmit(USB)
        .expect("two transfer buffers");
    device.core.transmit_done(device.now(), USB, first, Ok(()));
    device.core.transmit_done(device.now(), USB, second, Ok(()));
    device.assert_serves(echo);
}

#[test]
fn ports_that_do_not_exist_cost_nothing() {
    let (mut device, echo) = Device::echo();
    let nowhere = PortId(9);
    device.core.link_up(nowhere);
    device.core.link_down(nowhere);
    assert!(device.core.poll_transmit(nowhere).is_none());
    let target = Target::Neighbour(nowhere, POINT_TO_POINT, Eid(HOST));
    assert!(matches!(
        open_to(&mut device, target),
        Err(OpenError::NoPort)
    ));
    device.assert_serves(echo);
}

#[test]
fn a_neighbour_that_does_not_accept_a_transfer_is_there_all_the_same() {
    let (mut device, echo) = Device::echo();
    let mut answer = response(&mut device, echo, REQUEST);
    assert_eq!(device.send(&mut answer, &[&[1]]), Ok(Progress::Done));
    let refused = device.core.poll_transmit(USB).unwrap();
    let drops = device.drops_of(|device| {
        let refusal = Err(SendError::NotAccepted);
        device
            .core
            .transmit_done(device.now(), USB, refused, refusal);
    });
    assert_eq!(drops, [(DropReason::NotAccepted, 1)]);
    device.assert_serves(echo);
}

#[test]
fn a_message_addressed_before_the_layout_shrank_goes_in_packets_that_fit() {
    let (mut device, echo) = Device::echo();
    device.set_unit(USB, 247);
    let mut outgoing = response(&mut device, echo, REQUEST);
    device.core.set_layout(USB, with_max_packet(68));
    assert_eq!(device.send(&mut outgoing, &[&[7; 200]]), Ok(Progress::Done));
    let (_, packets) = device.transfer(USB).unwrap();
    let lengths: Vec<usize> = packets.iter().map(Vec::len).collect();
    assert_eq!(lengths, [68, 68, 68, 4 + 201 - 3 * 64]);
    device.assert_serves(echo);
}

#[test]
fn a_message_begun_before_the_unit_grew_goes_on_with_the_old_one() {
    let (mut device, echo) = Device::echo();
    let mut blocker = response(&mut device, echo, REQUEST);
    // The two transfers have room for one more packet.
    let sent = device.send(&mut blocker, &[&[7; 13 * 64 - 1]]);
    assert_eq!(sent, Ok(Progress::Done));
    let mut outgoing = response(&mut device, echo, REQUEST.tag(1));
    let message: &[&[u8]] = &[&[8; 200]];
    assert_eq!(device.send(&mut outgoing, message), Ok(Progress::Partial));
    let mut transfers = device.transfers(USB);
    device.set_unit(USB, 247);
    assert_eq!(device.send(&mut outgoing, message), Ok(Progress::Done));
    transfers.extend(device.transfers(USB));
    let sent = assemble(&packets(&transfers));
    assert_eq!(sent[1].units, [64, 64, 64, 9]);
}

#[test]
fn a_transport_too_narrow_for_a_packet_gets_none_and_the_port_stays_usable() {
    let (mut device, echo) = Device::echo();
    let mut outgoing = response(&mut device, echo, REQUEST);
    device.core.set_layout(USB, with_max_packet(67));
    assert_eq!(
        device.send(&mut outgoing, &[&[7; 200]]),
        Err(SendFailure::NoLink)
    );
    device.advance(60_000);
    device.core.set_layout(USB, support::USB_LAYOUT);
    device.assert_serves(echo);
}

fn with_max_packet(max_packet: u16) -> TransferLayout {
    TransferLayout {
        max_packet,
        ..support::USB_LAYOUT
    }
}

#[test]
fn a_host_that_asks_without_end_does_not_stop_other_messages() {
    let (mut device, echo) = Device::echo();
    let mut bulk = response(&mut device, echo, REQUEST);
    assert_eq!(device.send(&mut bulk, &[&[7; 200]]), Ok(Progress::Done));
    let mut answers = 0;
    loop {
        device.receive(&REQUEST.packet(&[0, 0x80, 2]));
        let (_, packets) = device.transfer(USB).unwrap();
        if packets.len() > 1 {
            break;
        }
        answers += 1;
        assert!(answers < 100, "the message never gets its turn");
    }
    assert!(answers > 0, "answers go first");
}

#[test]
fn a_short_last_packet_goes_where_a_whole_one_does_not_fit() {
    let (mut device, echo) = Device::echo();
    device.set_unit(USB, 100);
    let mut answer = response(&mut device, echo, REQUEST);
    // Four packets of 108 bytes leave 80 of 512: too few for a fifth, enough for a last one of 4 +
    // 4 + 50.
    let message = vec![7; 4 * 100 + 50 - 1];
    assert_eq!(device.send(&mut answer, &[&message]), Ok(Progress::Done));
    assert_eq!(device.transfers(USB).len(), 1);
}

/// Something that a message on its way out can meet.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send { source: u8, len: usize },
    GoOn(usize),
    Time(u64),
    HandOver,
    Taken(Result<(), SendError>),
    Unit(usize),
    LinkDown,
    LinkUp,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![0..70usize, 95..105usize, 240..250usize, 300..1500usize];
    let result = prop_oneof![
        4 => Just(Ok(())),
        1 => Just(Err(SendError::NotAccepted)),
        1 => Just(Err(SendError::LinkDown)),
    ];
    prop_oneof![
        12 => (HOST..HOST + 2, len).prop_map(|(source, len)| Step::Send { source, len }),
        4 => (0..8usize).prop_map(Step::GoOn),
        2 => (0..1100u64).prop_map(Step::Time),
        5 => Just(Step::HandOver),
        5 => result.prop_map(Step::Taken),
        1 => prop_oneof![Just(64usize), Just(100), Just(247)].prop_map(Step::Unit),
        1 => Just(Step::LinkDown),
        2 => Just(Step::LinkUp),
    ]
}

/// A device that sends bytes of `len` as `slices` cuts them; peer `HOST + 1` has a route.
struct Sender {
    device: Device,
    echo: ChannelId,
    slices: fn(&[u8]) -> Vec<&[u8]>,
    unfinished: Vec<(Outgoing, usize)>,
    in_flight: Option<Outbound<'static>>,
}

impl Sender {
    fn new(slices: fn(&[u8]) -> Vec<&[u8]>) -> Self {
        let (mut device, echo) = Device::echo();
        assert!(device.core.add_route(route(HOST + 1, HOST + 1, USB, 100)));
        Self {
            device,
            echo,
            slices,
            unfinished: Vec::new(),
            in_flight: None,
        }
    }

    fn send(&mut self, mut outgoing: Outgoing, len: usize) -> Result<Progress, SendFailure> {
        let body = vec![len as u8; len];
        let progress = self.device.send(&mut outgoing, &(self.slices)(&body));
        if progress == Ok(Progress::Partial) {
            self.unfinished.push((outgoing, len));
        }
        progress
    }

    /// What can be seen of a step.
    fn take(&mut self, step: Step) -> impl PartialEq + core::fmt::Debug + use<> {
        let now = self.device.now();
        let (mut progress, mut packets) = (None, Vec::new());
        match step {
            Step::Send { source, len } => {
                let outgoing = response(&mut self.device, self.echo, REQUEST.from(source));
                progress = Some(self.send(outgoing, len));
            }
            Step::GoOn(index) if index < self.unfinished.len() => {
                let (outgoing, len) = self.unfinished.remove(index);
                progress = Some(self.send(outgoing, len));
            }
            Step::GoOn(_) => {}
            Step::Time(milliseconds) => self.device.advance(milliseconds),
            Step::HandOver if self.in_flight.is_none() => {
                self.in_flight = self.device.core.poll_transmit(USB);
                if let Some(outbound) = &self.in_flight {
                    packets.extend(outbound.transfer.packets().map(<[u8]>::to_vec));
                }
            }
            Step::HandOver => {}
            Step::Taken(result) => {
                if let Some(outbound) = self.in_flight.take() {
                    self.device.core.transmit_done(now, USB, outbound, result);
                }
            }
            Step::Unit(unit) => self.device.set_unit(USB, unit),
            Step::LinkDown => self.device.core.link_down(USB),
            Step::LinkUp => self.device.core.link_up(USB),
        }
        let deadline = self.device.core.next_deadline();
        let drops = self.device.core.drop_counters().total();
        (progress, packets, deadline, drops)
    }
}

proptest! {
    #[test]
    fn a_message_is_sent_alike_in_one_slice_and_in_two(steps in vec(step(), 1..60)) {
        let mut one = Sender::new(|body| vec![body]);
        let mut two = Sender::new(|body| vec![&[], body]);
        for step in steps {
            prop_assert_eq!(one.take(step), two.take(step), "{:?}", step);
        }
    }
}

#[test]
fn a_layout_without_room_for_the_baseline_unit_fails_each_message_and_is_counted() {
    let (mut device, echo) = Device::echo();
    device.core.set_layout(
        USB,
        TransferLayout {
            max_packet: 67,
            ..support::USB_LAYOUT
        },
    );
    let mut outgoing = response(&mut device, echo, REQUEST);
    let drops = device.drops_of(|device| {
        let sent = device.send(&mut outgoing, &[&[0; 100]]);
        assert_eq!(sent, Err(SendFailure::NoLink));
    });
    assert_eq!(drops, [(DropReason::UnsupportedTransmissionUnit, 1)]);
}

#[test]
fn the_most_specific_route_holds_until_it_is_removed() {
    let (mut device, _) = Device::echo();
    assert!(device.core.add_route(route(0x20, 0x2F, I2C, 64)));
    assert!(device.core.add_route(route(0x22, 0x22, USB, 64)));
    let ways = |device: &mut Device| {
        [0x21, 0x22].map(|peer| {
            let target = Target::Endpoint(NETWORK, Eid(peer));
            let (channel, outgoing) = open_to(device, target).unwrap();
            device.core.close(channel);
            outgoing.port()
        })
    };
    assert_eq!(ways(&mut device), [I2C, USB]);
    assert_eq!(device.core.routes(NETWORK).count(), 2);
    assert!(device.core.remove_route(NETWORK, Eid(0x22), Eid(0x22)));
    assert!(!device.core.remove_route(NETWORK, Eid(0x22), Eid(0x22)));
    assert_eq!(ways(&mut device), [I2C, I2C]);
    let nowhere = route(0x20, 0x2F, PortId(9), 64);
    assert!(!device.core.add_route(nowhere), "there is no such port");
}
