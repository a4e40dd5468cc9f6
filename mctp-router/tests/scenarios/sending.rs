//! What the router sends: packets of one unit (DSP0236 1.3.3, sections 8.4 and 8.5), packed in
//! transfers, with tags that rotate (sections 8.2 and 11.7), to the right neighbour, and what
//! becomes of it when that neighbour does not read.

use mctp_router::{PortId, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::Device;
use crate::support::driver::{
    Asked, Came, Driver, Failure, Question, SendResult, Sending, Served, Taken,
};
use crate::support::{
    Assembled, DEVICE, HOST, I2C, NETWORK, POINT_TO_POINT, REQUEST, SentTransfer, USB, Wire,
    assemble, echo_message, route,
};

/// A request of `header`'s sender, by this port from this address, which can be answered.
fn asked_by(
    device: &mut Device,
    echo: Served,
    header: Wire,
    port: PortId,
    from: PhysicalAddress,
) -> Taken {
    let came = device.receive_at(port, from, &header.packet(&echo_message(5)));
    assert_eq!(came, Came::Accepted);
    device.copy(echo)
}

fn asked(device: &mut Device, echo: Served, header: Wire) -> Taken {
    asked_by(device, echo, header, USB, POINT_TO_POINT)
}

/// Begins the response to a request under this header.
fn respond(device: &mut Device, echo: Served, header: Wire, body: &[u8]) -> Sending {
    let taken = asked(device, echo, header);
    device.respond(&taken, false, &[body])
}

/// The response to a request under this header is sent; returns its transfers.
fn send_by(
    device: &mut Device,
    echo: Served,
    header: Wire,
    (port, from): (PortId, PhysicalAddress),
    body: &[u8],
) -> Vec<SentTransfer> {
    let taken = asked_by(device, echo, header, port, from);
    let sending = device.respond(&taken, false, &[body]);
    assert_eq!(device.outcome(sending), Some(Ok(())));
    device.transfers(port)
}

fn packets(transfers: &[SentTransfer]) -> Vec<Vec<u8>> {
    transfers
        .iter()
        .flat_map(|(_, packets)| packets.clone())
        .collect()
}

/// Sends a message of `len` bytes, type included, and puts it together again.
fn send(device: &mut Device, echo: Served, len: usize) -> (Assembled, Vec<SentTransfer>) {
    let message = echo_message(len);
    let way = (USB, POINT_TO_POINT);
    let transfers = send_by(device, echo, REQUEST.tag(3), way, &message[1..]);
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
    let taken = asked(&mut device, echo, REQUEST);
    device.respond(&taken, false, &[]);
    let wire = Wire {
        tag_owner: false,
        ..REQUEST.from(DEVICE).to(HOST)
    };
    assert_eq!(device.sent(), [wire.packet(&[0x7E])]);
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
        let taken = asked(&mut device, echo, REQUEST);
        device.respond(&taken, false, &slices);
        let sent = assemble(&device.sent());
        assert_eq!(sent[0].message, message, "cut at {cut}");
    }
}

#[test]
fn the_integrity_check_bit_is_in_the_start_packet() {
    let (mut device, echo) = Device::echo();
    let taken = asked(&mut device, echo, REQUEST);
    device.respond(&taken, true, &[&[1; 70]]);
    let message = &assemble(&device.sent())[0].message;
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
    device.stop_reading(USB);
    for tag in 0..6 {
        let sending = respond(&mut device, echo, REQUEST.tag(tag), &[tag; 10]);
        assert_eq!(device.outcome(sending), Some(Ok(())));
    }
    device.read_again(USB);
    // The transport has the first one at once.
    let transfers = device.transfers(USB);
    let messages = transfers.iter().map(|(_, packets)| assemble(packets).len());
    assert_eq!(messages.collect::<Vec<_>>(), [1, 5]);
}

#[test]
fn a_transport_that_does_not_pack_gets_one_packet_in_a_transfer() {
    let (mut device, echo) = Device::echo();
    let from = PhysicalAddress::from_byte(0x20);
    let message = echo_message(300);
    let transfers = send_by(&mut device, echo, REQUEST, (I2C, from), &message[1..]);
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
    for (wanted, port, unit) in [
        (0, USB, 64),
        (10, USB, 64),
        (1000, USB, 247),
        (1000, I2C, 250),
        (63, I2C, 64),
    ] {
        let (mut device, echo) = Device::echo();
        device.set_unit(port, wanted);
        let way = (port, POINT_TO_POINT);
        let transfers = send_by(&mut device, echo, REQUEST, way, &[7; 2000]);
        assert_eq!(assemble(&packets(&transfers))[0].units[0], unit);
    }
}

#[test]
fn a_port_that_nobody_configured_sends_the_baseline_unit() {
    let (mut device, echo) = Device::echo();
    assert_eq!(send(&mut device, echo, 200).0.units, [64, 64, 64, 8]);
}

#[test]
fn a_route_has_its_own_unit() {
    let (mut device, echo) = Device::echo();
    assert!(device.add_route(route(0x20, 0x2F, USB, 128)));
    let mut first_unit = |source: u8, port| {
        let way = (port, POINT_TO_POINT);
        let transfers = send_by(&mut device, echo, REQUEST.from(source), way, &[7; 600]);
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
    assert!(device.add_route(route(HOST, HOST, USB, 64)));
    assert_eq!(send(&mut device, echo, 101).0.units, [64, 37]);
}

/// An open request, where it went, and its header.
type Open = (Asked, PortId, PhysicalAddress, Wire);

/// Sends a short request.
fn ask(device: &mut Device, target: Target) -> Result<Open, Failure> {
    let asked = device.ask(Question::new(target, &[5, 1]));
    device.request_outcome(asked).expect("the host reads")?;
    let sent = [USB, I2C].map(|port| (port, device.transfers(port)));
    let sent = sent
        .into_iter()
        .find(|(_, transfers)| !transfers.is_empty());
    let (port, transfers) = sent.expect("a transfer");
    let (address, packets) = &transfers[0];
    Ok((asked, port, *address, Wire::parse(&packets[0]).0))
}

fn ask_endpoint(device: &mut Device, endpoint_id: u8) -> Result<Open, Failure> {
    ask(device, Target::Endpoint(NETWORK, Eid(endpoint_id)))
}

#[test]
fn a_route_of_the_same_range_is_replaced_and_their_number_is_limited() {
    let (mut device, _) = Device::echo();
    for first in [10, 20, 30, 40] {
        assert!(device.add_route(route(first, first + 5, USB, 64)));
    }
    assert!(!device.add_route(route(50, 55, USB, 64)));
    assert!(device.add_route(route(40, 45, I2C, 64)));
    let (_, port, ..) = ask_endpoint(&mut device, 42).unwrap();
    assert_eq!(port, I2C);
}

#[test]
fn requests_go_by_route_else_to_the_bus_owner_else_by_port_0() {
    let (mut device, _) = Device::echo();
    device.add_route(route(0x20, 0x2F, I2C, 64));
    let (_, port, ..) = ask_endpoint(&mut device, 0x40).unwrap();
    assert_eq!(port, USB);

    let owner = PhysicalAddress::from_byte(0x10);
    device.receive_at(I2C, owner, &REQUEST.packet(&[0, 0x80, 1, 0, 0x50]));
    device.transfers(I2C);
    let (_, port, to, header) = ask_endpoint(&mut device, 0x40).unwrap();
    assert_eq!((port, to), (I2C, owner));
    assert_eq!((header.destination, header.source), (0x40, 0x50));
    assert!(header.tag_owner && header.start && header.end);

    let (_, _, to, _) = ask_endpoint(&mut device, 0x25).unwrap();
    assert_eq!(to, PhysicalAddress::from_byte(0x33));
}

#[test]
fn the_most_specific_route_holds_until_it_is_removed() {
    let (mut device, _) = Device::echo();
    assert!(device.add_route(route(0x20, 0x2F, I2C, 64)));
    assert!(device.add_route(route(0x22, 0x22, USB, 64)));
    let ways = |device: &mut Device| {
        [0x21, 0x22].map(|peer| {
            let (asked, port, ..) = ask_endpoint(device, peer).unwrap();
            device.end_request(asked);
            port
        })
    };
    assert_eq!(ways(&mut device), [I2C, USB]);
    assert!(device.remove_route(NETWORK, Eid(0x22), Eid(0x22)));
    assert!(!device.remove_route(NETWORK, Eid(0x22), Eid(0x22)));
    assert_eq!(ways(&mut device), [I2C, I2C]);
    let nowhere = route(0x20, 0x2F, PortId(9), 64);
    assert!(!device.add_route(nowhere), "there is no such port");
}

#[test]
fn a_request_by_a_port_that_does_not_exist_is_unreachable() {
    let (mut device, echo) = Device::echo();
    let target = Target::Neighbour(PortId(9), POINT_TO_POINT, Eid(HOST));
    assert_eq!(ask(&mut device, target).err(), Some(Failure::Unreachable));
    device.assert_serves(echo);
}

#[test]
fn tags_rotate_although_each_is_free_again() {
    let (mut device, _) = Device::echo();
    let mut tags = Vec::new();
    for _ in 0..24 {
        let (asked, _, _, header) = ask_endpoint(&mut device, HOST).unwrap();
        tags.push(header.tag);
        device.end_request(asked);
    }
    for (index, tag) in tags.iter().enumerate().skip(1) {
        assert_eq!(*tag, (tags[index - 1] + 1) % 8);
    }
}

#[test]
fn eight_requests_to_a_peer_have_eight_tags_and_the_ninth_has_none() {
    let (mut device, _) = Device::echo();
    let requests = [(); 8].map(|()| ask_endpoint(&mut device, HOST).unwrap());
    let mut tags = requests.map(|(_, _, _, header)| header.tag);
    tags.sort_unstable();
    assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7]);
    let no_tag = Some(Failure::TagUnavailable);
    assert_eq!(ask_endpoint(&mut device, HOST).err(), no_tag);
    let physically = Target::Neighbour(USB, POINT_TO_POINT, Eid(0));
    let it_could_be_the_same_endpoint = ask(&mut device, physically).err();
    assert_eq!(it_could_be_the_same_endpoint, no_tag);
    // Tags are per peer. That was the last channel, with the echo service's.
    ask_endpoint(&mut device, 0x20).unwrap();
    assert_eq!(
        ask_endpoint(&mut device, 0x21).err(),
        Some(Failure::NoSpace)
    );
    device.end_request(requests[5].0);
    ask_endpoint(&mut device, HOST).unwrap();
}

#[test]
fn a_response_goes_back_by_the_port_and_address_that_its_request_came_by() {
    let (mut device, echo) = Device::echo();
    let neighbours = [
        (I2C, PhysicalAddress::from_byte(0x10)),
        (USB, POINT_TO_POINT),
        (I2C, PhysicalAddress::from_byte(0x11)),
    ];
    let asked: Vec<Taken> = neighbours
        .iter()
        .zip([0x20, 0x22, 0x21])
        .map(|((port, from), source)| {
            let header = REQUEST.from(source).tag(2);
            asked_by(&mut device, echo, header, *port, *from)
        })
        .collect();
    // A bus owner or route elsewhere does not matter.
    device.add_route(route(0x20, 0x22, USB, 64));
    for (taken, (port, from)) in asked.into_iter().zip(neighbours) {
        device.respond(&taken, false, &[&[1, 2]]);
        let transfers = device.transfers(port);
        assert_eq!(transfers[0].0, from);
        assert_eq!(Wire::parse(&transfers[0].1[0]).0.tag, 2);
        let other = if port == USB { I2C } else { USB };
        assert_eq!(device.transfers(other), []);
    }
}

#[test]
fn several_messages_interleave_by_their_tags() {
    let (mut device, echo) = Device::echo();
    let messages: Vec<Vec<u8>> = (0..4)
        .map(|index| echo_message(3000 + 500 * index))
        .collect();
    device.stop_reading(USB);
    for (tag, message) in (0..4).zip(&messages) {
        respond(&mut device, echo, REQUEST.tag(tag), &message[1..]);
    }
    device.read_again(USB);
    let arrived = assemble(&device.sent());
    let order: Vec<u8> = arrived.iter().map(|message| message.header.tag).collect();
    assert_eq!(order, [0, 1, 2, 3], "the shorter ones first");
    for message in arrived {
        assert_eq!(message.message, messages[usize::from(message.header.tag)]);
    }
}

#[test]
fn control_answers_overtake_what_waits() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    let bulk = respond(&mut device, echo, REQUEST, &[7; 65_535]);
    // One transfer is with the transport, the next is full.
    device.receive(&REQUEST.tag(5).packet(&[0, 0x81, 2]));
    assert_eq!(device.outcome(bulk), None);
    let [in_flight, next, after] = [(); 3].map(|()| device.transfer(USB).unwrap().1);
    assert_eq!([in_flight.len(), after.len()], [7, 7]);
    assert_eq!(next, [[0x01, HOST, DEVICE, 0xC5, 0, 1, 2, 0, DEVICE, 0, 0]]);
}

#[test]
fn control_answers_keep_their_order() {
    let (mut device, _) = Device::echo();
    device.stop_reading(USB);
    for instance_id in 0..4 {
        device.receive(&REQUEST.packet(&[0, 0x80 | instance_id, 2]));
    }
    device.read_again(USB);
    let order: Vec<u8> = device.sent().iter().map(|packet| packet[5]).collect();
    assert_eq!(order, [0, 1, 2, 3]);
}

/// A device whose host reads nothing: the first transfer of a bulk message is with the transport,
/// and the next is full.
fn stalled() -> (Device, Served, Sending) {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    let bulk = respond(&mut device, echo, REQUEST, &[7; 5000]);
    assert_eq!(device.outcome(bulk), None);
    (device, echo, bulk)
}

const STALLED: Option<SendResult> = Some(Err(Failure::Stalled));
const UNREACHABLE: Option<SendResult> = Some(Err(Failure::Unreachable));

#[test]
fn sending_to_a_host_that_takes_nothing_fails_after_the_time_limit_and_not_before() {
    let (mut device, echo, bulk) = stalled();
    device.advance(5999);
    assert_eq!(device.outcome(bulk), None);
    device.advance(1);
    assert_eq!(device.outcome(bulk), STALLED);
    let another = respond(&mut device, echo, REQUEST.tag(1), &[1]);
    assert_eq!(device.outcome(another), STALLED, "at once");
    assert_eq!(device.drops(DropReason::SendTimeout), 2);
    // It reads again: everything works again.
    device.read_again(USB);
    device.sent();
    device.assert_serves(echo);
    device.advance(10_000);
    device.assert_serves(echo);
}

#[test]
fn a_host_that_stops_after_a_transfer_is_given_its_time_from_there() {
    let (mut device, _, bulk) = stalled();
    device.advance(500);
    device.transfer(USB).unwrap();
    device.advance(5999);
    assert_eq!(device.outcome(bulk), None);
    device.advance(1);
    assert_eq!(device.outcome(bulk), STALLED);
}

#[test]
fn a_host_that_takes_a_transfer_now_and_then_is_not_stalled() {
    let (mut device, _, bulk) = stalled();
    let mut sent = Vec::new();
    while device.outcome(bulk).is_none() {
        device.advance(5999);
        sent.extend(device.transfer(USB));
    }
    device.advance(5999);
    device.read_again(USB);
    sent.extend(device.transfers(USB));
    assert_eq!(device.outcome(bulk), Some(Ok(())));
    assert_eq!(assemble(&packets(&sent))[0].message.len(), 5001);
}

#[test]
fn a_device_that_did_not_run_offers_what_it_has_before_it_gives_up() {
    for (waited, stopped) in [(0, 1500), (0, 60_000), (5900, 200), (5950, 3000)] {
        let (mut device, echo, bulk) = stalled();
        device.advance(waited);
        device.oversleep(stopped);
        // The timer comes first, then the transport takes what it has.
        device.run();
        assert_eq!(device.outcome(bulk), None);
        device.read_again(USB);
        assert_eq!(device.outcome(bulk), Some(Ok(())));
        assert_eq!(device.drop_counters().total(), 0);
        let sent = assemble(&device.sent());
        let len = sent[0].message.len();
        assert_eq!(len, 5001, "after {waited} and {stopped} ms");
        device.assert_serves(echo);
    }
}

#[test]
fn the_time_before_and_after_the_device_did_not_run_counts() {
    let (mut device, _, bulk) = stalled();
    device.advance(2000);
    device.oversleep(10_000);
    device.run();
    device.advance(3999);
    assert_eq!(device.outcome(bulk), None);
    device.advance(1);
    assert_eq!(device.outcome(bulk), STALLED);
}

#[test]
fn a_device_that_never_runs_in_time_gives_up_as_well() {
    let (mut device, _, bulk) = stalled();
    for _ in 0..7 {
        assert_eq!(device.outcome(bulk), None);
        device.oversleep(1000);
        device.run();
    }
    assert_eq!(device.outcome(bulk), STALLED);
}

#[test]
fn a_device_that_stops_again_and_again_gives_up_for_the_time_that_it_ran() {
    let (mut device, _, bulk) = stalled();
    let mut rounds = 0;
    while device.outcome(bulk).is_none() {
        device.oversleep(1000);
        device.run();
        device.advance(100);
        rounds += 1;
        assert!(rounds <= 60, "it ran for 6 s");
    }
    assert_eq!(rounds, 60);
    assert_eq!(device.outcome(bulk), STALLED);
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
    let (mut device, echo, _) = stalled();
    device.advance(60_000);
    let drops = device.drops_of(|device| {
        for instance_id in 0..10 {
            device.receive(&REQUEST.packet(&[0, 0x80 | instance_id, 2]));
        }
    });
    let places = 4;
    let older = [(DropReason::ResponseNotTaken, 10 - places)];
    assert_eq!(drops, older, "the oldest make room");
    // What was with the transport comes first.
    device.transfer(USB).unwrap();
    let answers = [(); 4].map(|()| device.transfer(USB).unwrap().1[0][5]);
    assert_eq!(answers, [6, 7, 8, 9]);
    device.read_again(USB);
    device.sent();
    device.assert_answers_control();
    device.assert_serves(echo);
}

#[test]
fn a_stalled_port_leaves_the_other_alone() {
    let (mut device, echo, _) = stalled();
    device.advance(60_000);
    let from = PhysicalAddress::from_byte(0x20);
    let transfers = send_by(
        &mut device,
        echo,
        REQUEST.from(0x20),
        (I2C, from),
        &[1; 500],
    );
    assert_eq!(assemble(&packets(&transfers))[0].message.len(), 501);
    device.receive_at(I2C, from, &REQUEST.packet(&[0, 0x80, 2]));
    assert_eq!(device.transfers(I2C).len(), 1);
}

#[test]
fn an_answer_that_the_host_does_not_take_stalls_the_port_too() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    device.receive(&REQUEST.packet(&[0, 0x80, 2]));
    device.advance(6000);
    let sending = respond(&mut device, echo, REQUEST, &[1]);
    assert_eq!(device.outcome(sending), STALLED);
    device.read_again(USB);
    device.sent();
    device.assert_serves(echo);
}

#[test]
fn a_message_of_one_packet_that_the_host_does_not_take_stalls_the_port_too() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    let send = |device: &mut Device| {
        let sending = respond(device, echo, REQUEST, &[1; 10]);
        device.outcome(sending)
    };
    assert_eq!(send(&mut device), Some(Ok(())));
    device.advance(5999);
    assert_eq!(send(&mut device), Some(Ok(())));
    device.advance(1);
    assert_eq!(send(&mut device), STALLED);
}

#[test]
fn sending_fails_while_the_link_is_down_and_works_when_it_is_back() {
    let (mut device, echo, bulk) = stalled();
    let late = asked(&mut device, echo, REQUEST.tag(1));
    let drops = device.drops_of(|device| device.link_down(USB));
    assert_eq!(drops, [(DropReason::LinkDown, 2)], "both transfers");
    assert_eq!(device.outcome(bulk), UNREACHABLE);
    let late = device.respond(&late, false, &[&[1]]);
    assert_eq!(device.outcome(late), UNREACHABLE);
    let get_endpoint_id = REQUEST.packet(&[0, 0x80, 2]);
    let came = device.receive(&get_endpoint_id);
    assert_eq!(came, Came::Dropped(DropReason::LinkDown));
    device.read_again(USB);
    device.link_up(USB);
    assert_eq!(device.sent(), [[0u8; 0]; 0], "nothing from before");
    device.assert_serves(echo);
    device.assert_answers_control();
}

#[test]
fn a_message_whose_start_was_lost_with_the_link_does_not_go_on() {
    let (mut device, echo, bulk) = stalled();
    let unsent = asked(&mut device, echo, REQUEST.tag(1));
    device.link_down(USB);
    device.link_up(USB);
    device.read_again(USB);
    assert_eq!(device.outcome(bulk), UNREACHABLE);
    assert_eq!(device.sent(), [[0u8; 0]; 0]);
    let old = device.respond(&unsent, false, &[&[1; 100]]);
    assert_eq!(device.outcome(old), UNREACHABLE, "who asked is gone");
    device.assert_serves(echo);
}

#[test]
fn a_link_that_comes_back_is_not_stalled() {
    for waited in [5000, 60_000] {
        let (mut device, echo, _) = stalled();
        device.advance(waited);
        device.link_down(USB);
        device.link_up(USB);
        device.read_again(USB);
        device.sent();
        device.assert_serves(echo);
    }
}

#[test]
fn ten_link_cycles_lose_no_transfer_buffer() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    for _ in 0..10 {
        let bulk = respond(&mut device, echo, REQUEST, &[7; 5000]);
        assert_eq!(device.outcome(bulk), None);
        device.link_down(USB);
        device.link_up(USB);
    }
    // As much as two transfers hold is with the router at once.
    let held = [14 * 64 - 1, 1].map(|len| {
        let sending = respond(&mut device, echo, REQUEST.tag(len as u8 & 1), &vec![7; len]);
        device.outcome(sending)
    });
    assert_eq!(held, [Some(Ok(())), None]);
    device.read_again(USB);
    device.sent();
    device.assert_serves(echo);
}

#[test]
fn a_neighbour_that_does_not_accept_a_transfer_is_there_all_the_same() {
    let (mut device, echo) = Device::echo();
    device.set_refuses(USB, true);
    let drops = device.drops_of(|device| {
        let sending = respond(device, echo, REQUEST, &[1]);
        assert_eq!(device.outcome(sending), Some(Ok(())));
    });
    assert_eq!(drops, [(DropReason::NotAccepted, 1)]);
    device.set_refuses(USB, false);
    assert_eq!(device.sent(), [[0u8; 0]; 0]);
    device.assert_serves(echo);
}

#[test]
fn a_message_begun_before_the_unit_grew_goes_on_with_the_old_one() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    // The two transfers have room for one more packet.
    let blocker = respond(&mut device, echo, REQUEST, &[7; 13 * 64 - 1]);
    assert_eq!(device.outcome(blocker), Some(Ok(())));
    let sending = respond(&mut device, echo, REQUEST.tag(1), &[8; 200]);
    assert_eq!(device.outcome(sending), None);
    device.set_unit(USB, 247);
    device.read_again(USB);
    assert_eq!(device.outcome(sending), Some(Ok(())));
    let sent = assemble(&device.sent());
    assert_eq!(sent[1].units, [64, 64, 64, 9]);
}

#[test]
fn a_host_that_asks_without_end_does_not_stop_other_messages() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    let ask = |device: &mut Device| device.receive(&REQUEST.packet(&[0, 0x80, 2]));
    ask(&mut device);
    let bulk = respond(&mut device, echo, REQUEST.tag(1), &[7; 200]);
    assert_eq!(device.outcome(bulk), Some(Ok(())));
    let mut answers = 0;
    loop {
        ask(&mut device);
        let (_, packets) = device.transfer(USB).unwrap();
        if packets.len() > 1 {
            break;
        }
        answers += 1;
        assert!(answers < 100, "the message never gets its turn");
    }
    assert!(answers > 1, "answers go first");
}

#[test]
fn a_short_last_packet_goes_where_a_whole_one_does_not_fit() {
    let (mut device, echo) = Device::echo();
    device.set_unit(USB, 100);
    // Four packets of 108 bytes leave 80 of 512: too few for a fifth, enough for a last one of 4 +
    // 4 + 50.
    let way = (USB, POINT_TO_POINT);
    let transfers = send_by(&mut device, echo, REQUEST, way, &[7; 4 * 100 + 50 - 1]);
    assert_eq!(transfers.len(), 1);
}

/// Something that a message on its way out can meet.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send { source: u8, len: usize },
    Time(u64),
    Read,
    Refuse,
    Unit(usize),
    LinkDown,
    LinkUp,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![0..70usize, 95..105usize, 240..250usize, 300..1500usize];
    prop_oneof![
        12 => (HOST..HOST + 2, len).prop_map(|(source, len)| Step::Send { source, len }),
        2 => (0..1100u64).prop_map(Step::Time),
        6 => Just(Step::Read),
        1 => Just(Step::Refuse),
        1 => prop_oneof![Just(64usize), Just(100), Just(247)].prop_map(Step::Unit),
        1 => Just(Step::LinkDown),
        2 => Just(Step::LinkUp),
    ]
}

/// A device that sends bytes as `slices` cuts them; peer `HOST + 1` has a route.
struct Sender {
    device: Device,
    echo: Served,
    slices: fn(&[u8]) -> Vec<&[u8]>,
    sendings: Vec<Sending>,
}

impl Sender {
    fn new(slices: fn(&[u8]) -> Vec<&[u8]>) -> Self {
        let (mut device, echo) = Device::echo();
        device.stop_reading(USB);
        assert!(device.add_route(route(HOST + 1, HOST + 1, USB, 100)));
        Self {
            device,
            echo,
            slices,
            sendings: Vec::new(),
        }
    }

    /// What can be seen of a step.
    fn take(&mut self, step: Step) -> impl PartialEq + core::fmt::Debug + use<> {
        let device = &mut self.device;
        let mut transfer = None;
        match step {
            Step::Send { source, len } => {
                let taken = asked(device, self.echo, REQUEST.from(source));
                let body = vec![len as u8; len];
                let sending = device.respond(&taken, false, &(self.slices)(&body));
                self.sendings.push(sending);
            }
            Step::Time(milliseconds) => device.advance(milliseconds),
            Step::Read => transfer = device.transfer(USB),
            Step::Refuse => {
                device.set_refuses(USB, true);
                transfer = device.transfer(USB);
                device.set_refuses(USB, false);
            }
            Step::Unit(unit) => device.set_unit(USB, unit),
            Step::LinkDown => device.link_down(USB),
            Step::LinkUp => device.link_up(USB),
        }
        let outcomes = self.sendings.iter();
        let outcomes: Vec<_> = outcomes.map(|sending| device.outcome(*sending)).collect();
        (transfer, outcomes, device.drop_counters())
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
