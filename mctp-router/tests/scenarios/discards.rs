//! Every discard of DSP0236 1.3.3, sections 8.7 and 8.9: its own counter moves by one and no other,
//! a message in progress fares as the section says, nothing is sent, and the next good message is
//! served.

use core::time::Duration;

use mctp_router::{Event, PortConfig, Route, Service, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use crate::Device;
use crate::support::driver::{Asked, Came, Driver, Failure, Question, Response, Served, Taking};
use crate::support::{
    DEVICE, ECHO, HOST, I2C, NETWORK, POINT_TO_POINT, REQUEST, USB, Wire, assemble, config,
    echo_message,
};

/// A message of three packets: 64, 64 and 22 bytes.
const LEN: usize = 150;

fn three_packets(header: Wire) -> Vec<Vec<u8>> {
    header.packets(&echo_message(LEN), 64)
}

/// A device that has the first two of three packets of a message.
fn in_progress() -> (Device, Served, Vec<Vec<u8>>) {
    let (mut device, echo) = Device::echo();
    let mut packets = three_packets(REQUEST);
    for packet in packets.drain(..2) {
        assert_eq!(device.receive(&packet), Came::Stored);
    }
    (device, echo, packets)
}

/// The packet is dropped for `reason`; the message in progress is none the worse.
#[track_caller]
fn drops_and_leaves_assembly(packet: &[u8], reason: DropReason) {
    let (mut device, echo, rest) = in_progress();
    device.assert_drops(packet, reason);
    assert_eq!(device.receive(&rest[0]), Came::Accepted);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    device.assert_serves(echo);
}

/// The packet is dropped for `reason`, and the message in progress with it: what follows has no
/// start.
#[track_caller]
fn drops_and_ends_assembly(packet: &[u8], reason: DropReason) {
    let (mut device, echo, rest) = in_progress();
    device.assert_drops(packet, reason);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    assert_eq!(device.take(echo), None);
    device.assert_serves(echo);
}

// Section 8.7: dropped packets.

#[test]
fn d1_drops_middle_packet_without_start() {
    drops_and_leaves_assembly(
        &REQUEST.tag(1).middle(1).packet(&[0; 64]),
        DropReason::MiddleWithoutStart,
    );
}

#[test]
fn d1_drops_end_packet_without_start() {
    drops_and_leaves_assembly(
        &REQUEST.tag(1).last(2).packet(&[0; 8]),
        DropReason::MiddleWithoutStart,
    );
}

#[test]
fn d1_drops_end_packet_without_start_that_looks_like_a_request() {
    drops_and_leaves_assembly(
        &REQUEST.tag(1).last(2).packet(&echo_message(8)),
        DropReason::MiddleWithoutStart,
    );
}

#[test]
fn d2_counts_what_the_transport_found_broken() {
    let (mut device, echo, rest) = in_progress();
    let drops = device.drops_of(|device| device.receive_broken(USB));
    assert_eq!(drops, [(DropReason::BadLinkIntegrity, 1)]);
    assert_eq!(device.receive(&rest[0]), Came::Accepted);
    device.take(echo);
    device.assert_serves(echo);
}

fn response(tag: u8) -> Wire {
    Wire {
        tag_owner: false,
        ..REQUEST.tag(tag)
    }
}

#[test]
fn d3_drops_response_to_a_tag_that_nobody_sent() {
    drops_and_leaves_assembly(
        &response(0).packet(&echo_message(10)),
        DropReason::UnexpectedResponse,
    );
    drops_and_leaves_assembly(
        &response(0).first().packet(&echo_message(64)),
        DropReason::UnexpectedResponse,
    );
    drops_and_leaves_assembly(
        &response(0).middle(1).packet(&[0; 64]),
        DropReason::UnexpectedResponse,
    );
    drops_and_leaves_assembly(
        &response(0).last(1).packet(&[0; 4]),
        DropReason::UnexpectedResponse,
    );
}

/// What comes of a request without a response in time.
const LATE: [Response; 1] = [Err(Failure::TimedOut)];

/// Sends a request of 10 bytes to the host, which has a second to answer; returns its tag, too.
fn ask(device: &mut Device, endpoint_id: u8) -> (Asked, u8) {
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(endpoint_id));
    let message = [&[5][..], &[0x55; 9]].concat();
    let asked = device.ask(Question::new(target, &message).timeout(1000));
    let sent = device.sent();
    let (header, payload) = Wire::parse(&sent[0]);
    assert_eq!(payload, message);
    assert!(header.tag_owner && header.destination == endpoint_id && header.source == DEVICE);
    (asked, header.tag)
}

#[test]
fn d3_takes_an_awaited_response_once_it_is_complete() {
    let (mut device, echo) = Device::echo();
    let (asked, tag) = ask(&mut device, HOST);
    let message: Vec<u8> = (0..130)
        .map(|index| if index == 0 { 5 } else { index })
        .collect();
    let packets = response(tag).packets(&message, 64);
    let drops = device.drops_of(|device| {
        let came: Vec<_> = packets
            .iter()
            .map(|packet| device.receive(packet))
            .collect();
        assert_eq!(came, [Came::Stored, Came::Stored, Came::Accepted]);
    });
    assert_eq!(drops, []);
    assert_eq!(device.answers(asked), [Ok(message)]);
    device.assert_serves(echo);
}

#[test]
fn d3_drops_an_awaited_tag_from_another_endpoint() {
    let (mut device, echo) = Device::echo();
    let (asked, tag) = ask(&mut device, HOST);
    device.assert_drops(
        &response(tag).from(0x30).packet(&[5, 1]),
        DropReason::UnexpectedResponse,
    );
    assert_eq!(
        device.receive(&response(tag).packet(&[5, 2])),
        Came::Accepted
    );
    assert_eq!(device.answers(asked), [Ok(vec![5, 2])]);
    device.assert_serves(echo);
}

#[test]
fn d3_drops_a_response_after_its_time() {
    let (mut device, echo) = Device::echo();
    let (asked, tag) = ask(&mut device, HOST);
    device.advance(999);
    assert_eq!(device.answers(asked), []);
    device.advance(1);
    assert_eq!(device.answers(asked), LATE);
    device.assert_drops(
        &response(tag).packet(&[5, 1]),
        DropReason::UnexpectedResponse,
    );
    device.assert_serves(echo);
}

#[test]
fn d3_does_not_count_the_time_in_which_the_device_did_not_run() {
    for is_answered in [false, true] {
        let (mut device, _) = Device::echo();
        let (asked, tag) = ask(&mut device, HOST);
        device.oversleep(60_000);
        device.run();
        device.advance(999);
        assert_eq!(device.answers(asked), []);
        if is_answered {
            let answer = response(tag).packet(&[5, 1]);
            assert_eq!(device.receive(&answer), Came::Accepted);
            assert_eq!(device.answers(asked), [Ok(vec![5, 1])]);
        } else {
            device.advance(1);
            assert_eq!(device.answers(asked), LATE, "the time that it ran counts");
        }
    }
}

#[test]
fn d3_counts_the_time_that_a_device_ran_which_stops_again_and_again() {
    let (mut device, _) = Device::echo();
    let (asked, _) = ask(&mut device, HOST);
    for _ in 0..10 {
        assert_eq!(device.answers(asked), []);
        device.oversleep(60_000);
        device.run();
        device.advance(100);
    }
    assert_eq!(device.answers(asked), LATE);
}

#[test]
fn d3_drops_a_response_to_a_closed_request() {
    let (mut device, echo) = Device::echo();
    let (asked, tag) = ask(&mut device, HOST);
    device.end_request(asked);
    device.assert_drops(
        &response(tag).packet(&[5, 1]),
        DropReason::UnexpectedResponse,
    );
    device.assert_serves(echo);
}

#[test]
fn a_physically_addressed_request_is_answered_from_that_address_only() {
    let (mut device, _) = Device::echo();
    let at = PhysicalAddress::from_byte(0x1D);
    let target = Target::Neighbour(I2C, at, Eid(0));
    let asked = device.ask(Question::new(target, &[5, 1]));
    let sent = device.transfers(I2C);
    assert_eq!(sent[0].0, at);
    let (header, _) = Wire::parse(&sent[0].1[0]);
    let answer = response(header.tag).from(0x42).packet(&[5, 1]);
    let elsewhere = PhysicalAddress::from_byte(0x1E);
    assert_eq!(
        device.receive_at(I2C, elsewhere, &answer),
        Came::Dropped(DropReason::UnexpectedResponse)
    );
    assert_eq!(
        device.receive(&answer),
        Came::Dropped(DropReason::UnexpectedResponse)
    );
    assert_eq!(device.receive_at(I2C, at, &answer), Came::Accepted);
    assert_eq!(device.answers(asked), [Ok(vec![5, 1])]);
}

/// D4, an unroutable destination, is a bridge's: an endpoint routes for nobody, even where it has a
/// route itself.
#[test]
fn d4_a_packet_for_another_endpoint_is_dropped_as_not_ours_and_goes_nowhere() {
    let (mut device, echo) = Device::echo();
    let address = PhysicalAddress::from_byte(0x1D);
    assert!(device.add_route(Route::new(Eid(20), Eid(20), I2C, address)));
    for destination in [20, 21] {
        let drops = device.drops_of(|device| {
            device.receive(&REQUEST.to(destination).packet(&echo_message(9)));
        });
        assert_eq!(drops, [(DropReason::NotOurDestination, 1)]);
        assert_eq!(device.transfers(I2C), []);
    }
    device.assert_serves(echo);
}

#[test]
fn d5_drops_every_header_version_but_1() {
    for version in (0..16).filter(|version| *version != 1) {
        let headers = [REQUEST, REQUEST.tag(1), REQUEST.middle(2)];
        let [start, other, middle] = headers.map(|header| Wire { version, ..header });
        for start in [start, other] {
            drops_and_leaves_assembly(
                &start.packet(&echo_message(10)),
                DropReason::UnsupportedHeaderVersion,
            );
        }
        drops_and_leaves_assembly(
            &middle.packet(&[0; 64]),
            DropReason::UnsupportedHeaderVersion,
        );
    }
}

#[test]
fn d6_drops_packets_beyond_the_supported_unit() {
    for header in [REQUEST.tag(1), REQUEST, REQUEST.middle(2), REQUEST.last(2)] {
        let (mut device, echo, rest) = in_progress();
        let config = PortConfig::default().with_max_receive_transmission_unit(100);
        device.configure_port(USB, config);
        device.assert_drops(
            &header.packet(&echo_message(101)),
            DropReason::UnsupportedTransmissionUnit,
        );
        assert_eq!(device.receive(&rest[0]), Came::Accepted);
        assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
        device.assert_serves(echo);
        assert_eq!(
            device.receive(&REQUEST.tag(2).packet(&echo_message(100))),
            Came::Accepted
        );
    }
}

#[test]
fn d6_accepts_every_payload_of_up_to_64_bytes_whatever_is_configured() {
    let (mut device, echo) = Device::echo();
    let config = PortConfig::new(10).with_max_receive_transmission_unit(10);
    device.configure_port(USB, config);
    for len in 4..=64 {
        assert_eq!(
            device.receive(&REQUEST.packet(&echo_message(len))),
            Came::Accepted
        );
        device.echo_one(echo);
        assert_eq!(assemble(&device.sent())[0].message, echo_message(len));
    }
    device.assert_serves(echo);
}

#[test]
fn d7_drops_packets_for_another_endpoint() {
    for other in (1..=254).filter(|other| *other != DEVICE) {
        drops_and_leaves_assembly(
            &REQUEST.to(other).packet(&echo_message(9)),
            DropReason::NotOurDestination,
        );
    }
    for header in [REQUEST.middle(2), REQUEST.last(2)] {
        drops_and_leaves_assembly(
            &header.to(10).packet(&[0; 64]),
            DropReason::NotOurDestination,
        );
    }
    // Control requests too, once there is an endpoint ID.
    drops_and_leaves_assembly(
        &REQUEST.to(10).packet(&[0, 0x80, 2]),
        DropReason::NotOurDestination,
    );
}

#[test]
fn d7_broadcasts_are_for_control_requests_only() {
    for header in [REQUEST, REQUEST.first(), REQUEST.middle(2), REQUEST.last(2)] {
        drops_and_leaves_assembly(
            &header.to(0xFF).packet(&echo_message(64)),
            DropReason::NotOurDestination,
        );
    }
    let (mut device, _) = Device::echo();
    let response = device.control(REQUEST.to(0xFF), &[0, 0x81, 2]);
    assert_eq!(response, [0, 1, 2, 0, DEVICE, 0, 0]);
}

#[test]
fn d8_drops_message_types_without_a_service() {
    for message_type in (1..=0x7F).filter(|message_type| *message_type != 0x7E) {
        drops_and_leaves_assembly(
            &REQUEST.tag(1).packet(&[message_type, 1, 2]),
            DropReason::UnsupportedMessageType,
        );
    }
}

#[test]
fn d8_single_packet_of_an_unsupported_type_leaves_a_message_of_the_same_tag_alone() {
    drops_and_leaves_assembly(
        &REQUEST.packet(&[0x01, 1, 2]),
        DropReason::UnsupportedMessageType,
    );
}

#[test]
fn d8_drops_vendors_without_a_service() {
    let strangers: [&[u8]; 5] = [
        &[0x7E],
        &[0x7E, 0xCC, 0xDE],
        &[0x7E, 0xCC, 0xDF, 0xF0, 1],
        &[0x7E, 0xCC, 0xDE, 0xF1, 1],
        &[0x7F, 0xCC, 0xDE, 0xF0, 1],
    ];
    for stranger in strangers {
        drops_and_leaves_assembly(
            &REQUEST.tag(1).packet(stranger),
            DropReason::UnsupportedMessageType,
        );
    }
}

#[test]
fn d8_drops_the_rest_of_an_unsupported_message_as_without_start() {
    let (mut device, echo) = Device::echo();
    device.assert_drops(
        &REQUEST.first().packet(&[5; 64]),
        DropReason::UnsupportedMessageType,
    );
    device.assert_drops(
        &REQUEST.middle(1).packet(&[5; 64]),
        DropReason::MiddleWithoutStart,
    );
    device.assert_drops(
        &REQUEST.last(2).packet(&[5; 64]),
        DropReason::MiddleWithoutStart,
    );
    device.assert_serves(echo);
}

/// The sender has given up the old message, or it would not have used its tag again.
#[test]
fn packets_of_an_unsupported_message_never_end_up_in_another_message() {
    let (mut device, echo) = Device::echo();
    let old = REQUEST.packets(&echo_message(192), 64);
    assert_eq!(device.receive(&old[0]), Came::Stored);
    for packet in REQUEST.packets(&[5; 192], 64) {
        device.receive(&packet);
    }
    assert_eq!(device.take(echo), None);
    device.assert_serves(echo);
}

// Section 8.9: messages given up.

#[test]
fn t1_an_end_packet_in_sequence_completes_the_message() {
    let (mut device, echo, rest) = in_progress();
    let accepted = device.messages_accepted();
    let drops = device.drops_of(|device| assert_eq!(device.receive(&rest[0]), Came::Accepted));
    assert_eq!(drops, []);
    assert_eq!(device.messages_accepted(), accepted + 1);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    // It has ended: its last packet again has no start.
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.assert_serves(echo);
}

#[test]
fn a_message_of_one_packet_is_counted_as_any_other() {
    let (mut device, echo) = Device::echo();
    let came = device.receive(&REQUEST.packet(&echo_message(8)));
    assert_eq!(came, Came::Accepted);
    assert_eq!(device.messages_accepted(), 1);
    assert_eq!(device.take(echo), Some(echo_message(8)));
}

#[test]
fn t2_a_new_start_replaces_the_unfinished_message_and_goes_on() {
    let (mut device, echo, rest) = in_progress();
    let new: Vec<u8> = [&echo_message(4)[..], &[0xEE; 100]].concat();
    let new_packets = REQUEST.packets(&new, 64);
    let drops = device.drops_of(|device| assert_eq!(device.receive(&new_packets[0]), Came::Stored));
    assert_eq!(drops, [(DropReason::ReplacedByNewStart, 1)]);
    assert_eq!(device.receive(&new_packets[1]), Came::Accepted);
    assert_eq!(device.take(echo).unwrap(), new);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.assert_serves(echo);
}

#[test]
fn t2_a_new_message_of_one_packet_replaces_the_unfinished_one() {
    let (mut device, echo, rest) = in_progress();
    let drops = device.drops_of(|device| {
        assert_eq!(
            device.receive(&REQUEST.packet(&echo_message(9))),
            Came::Accepted
        );
    });
    assert_eq!(drops, [(DropReason::ReplacedByNewStart, 1)]);
    assert_eq!(device.take(echo).unwrap(), echo_message(9));
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.assert_serves(echo);
}

#[test]
fn t2_a_control_request_of_the_same_tag_replaces_the_unfinished_message() {
    let (mut device, echo, rest) = in_progress();
    let drops = device.drops_of(|device| {
        assert_eq!(
            device.control(REQUEST, &[0, 0x80, 2]),
            [0, 0, 2, 0, DEVICE, 0, 0]
        );
    });
    assert_eq!(drops, [(DropReason::ReplacedByNewStart, 1)]);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.assert_serves(echo);
}

#[test]
fn t2_a_repeated_start_packet_starts_the_message_anew() {
    let (mut device, echo) = Device::echo();
    let packets = three_packets(REQUEST);
    device.receive(&packets[0]);
    let drops = device.drops_of(|device| assert_eq!(device.receive(&packets[0]), Came::Stored));
    assert_eq!(drops, [(DropReason::ReplacedByNewStart, 1)]);
    device.receive(&packets[1]);
    assert_eq!(device.receive(&packets[2]), Came::Accepted);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    device.assert_serves(echo);
}

#[test]
fn t3_gives_up_a_message_that_stood_still_with_no_traffic_at_all() {
    let (mut device, echo, rest) = in_progress();
    assert_eq!(device.drops_of(|device| device.advance(5999)), []);
    let drops = device.drops_of(|device| device.advance(1));
    assert_eq!(drops, [(DropReason::AssemblyTimeout, 1)]);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.assert_serves(echo);
}

#[test]
fn t3_counts_from_the_last_packet() {
    let (mut device, echo) = Device::echo();
    let packets = three_packets(REQUEST);
    let drops = device.drops_of(|device| {
        device.receive(&packets[0]);
        device.advance(5999);
        device.receive(&packets[1]);
        device.advance(5999);
        assert_eq!(device.receive(&packets[2]), Came::Accepted);
    });
    assert_eq!(drops, []);
    device.take(echo);
    device.assert_serves(echo);
}

#[test]
fn t3_does_not_count_the_time_in_which_the_device_did_not_run() {
    for is_looked_at_first in [false, true] {
        let (mut device, echo, rest) = in_progress();
        let drops = device.drops_of(|device| {
            device.oversleep(60_000);
            if is_looked_at_first {
                device.run();
            }
            assert_eq!(device.receive(&rest[0]), Came::Accepted);
        });
        assert_eq!(drops, []);
        assert_eq!(device.take(echo), Some(echo_message(LEN)));
    }
    let (mut device, echo, _) = in_progress();
    device.oversleep(60_000);
    device.run();
    assert_eq!(device.drops_of(|device| device.advance(5999)), []);
    assert_eq!(
        device.drops_of(|device| device.advance(1)),
        [(DropReason::AssemblyTimeout, 1)],
        "the time that it ran counts"
    );
    device.assert_serves(echo);
}

#[test]
fn t3_counts_the_time_that_a_device_ran_which_stops_again_and_again() {
    let (mut device, echo, _) = in_progress();
    let drops = device.drops_of(|device| {
        for _ in 0..60 {
            device.oversleep(1000);
            device.run();
            device.advance(100);
        }
    });
    assert_eq!(drops, [(DropReason::AssemblyTimeout, 1)]);
    device.assert_serves(echo);
}

#[test]
fn t3_takes_its_interval_from_the_configuration() {
    let mut short = config();
    short.assembly_timeout = Duration::from_millis(100);
    let (mut device, echo) = Device::echo_with(&short);
    device.receive(&three_packets(REQUEST)[0]);
    assert_eq!(device.drops_of(|device| device.advance(99)), []);
    assert_eq!(
        device.drops_of(|device| device.advance(1)),
        [(DropReason::AssemblyTimeout, 1)]
    );
    device.assert_serves(echo);
}

#[test]
fn t3_every_stalled_message_is_counted_in_its_time() {
    let (mut device, echo, _) = in_progress();
    device.advance(3000);
    device.receive(&three_packets(REQUEST.tag(1))[0]);
    let one = [(DropReason::AssemblyTimeout, 1)];
    assert_eq!(device.drops_of(|device| device.advance(2999)), []);
    assert_eq!(device.drops_of(|device| device.advance(1)), one);
    assert_eq!(device.drops_of(|device| device.advance(2999)), []);
    assert_eq!(device.drops_of(|device| device.advance(1)), one);
    device.assert_serves(echo);
}

#[test]
fn t4_a_gap_ends_the_message() {
    for sequence in [0, 1, 3] {
        drops_and_ends_assembly(
            &REQUEST.middle(sequence).packet(&[0; 64]),
            DropReason::OutOfSequence,
        );
        drops_and_ends_assembly(
            &REQUEST.last(sequence).packet(&[0; 4]),
            DropReason::OutOfSequence,
        );
    }
}

#[test]
fn t4_a_duplicate_packet_ends_the_message() {
    let duplicate = &three_packets(REQUEST)[1];
    drops_and_ends_assembly(duplicate, DropReason::OutOfSequence);
}

#[test]
fn t4_no_message_is_delivered_short_after_the_sequence_came_round() {
    // Linux 7.2 keeps the message and so delivers it four packets short.
    let (mut device, echo) = Device::echo();
    let packets = REQUEST.packets(&echo_message(64 * 12), 64);
    for (index, packet) in packets.iter().enumerate() {
        if !(3..7).contains(&index) && index != 2 {
            device.receive(packet);
        }
    }
    assert_eq!(device.take(echo), None);
    device.assert_serves(echo);
}

#[test]
fn t5_a_middle_packet_of_another_size_ends_the_message() {
    for len in [0, 1, 63, 65, 247] {
        drops_and_ends_assembly(
            &REQUEST.middle(2).packet(&vec![0; len]),
            DropReason::PacketSizeMismatch,
        );
    }
}

#[test]
fn t5_an_end_packet_larger_than_the_start_ends_the_message() {
    drops_and_ends_assembly(
        &REQUEST.last(2).packet(&[0; 65]),
        DropReason::PacketSizeMismatch,
    );
}

#[test]
fn t5_an_end_packet_may_have_any_size_up_to_that_of_the_start() {
    for len in 0..=64 {
        let (mut device, echo, _) = in_progress();
        assert_eq!(
            device.receive(&REQUEST.last(2).packet(&vec![7; len])),
            Came::Accepted
        );
        assert_eq!(device.take(echo).unwrap().len(), 128 + len);
    }
}

#[test]
fn t6_a_bad_integrity_check_is_counted_by_who_finds_it() {
    let (mut device, echo) = Device::echo();
    let mut message = echo_message(20);
    message[0] |= 0x80;
    assert_eq!(device.receive(&REQUEST.packet(&message)), Came::Accepted);
    let taken = device.lend(echo);
    assert!(taken.integrity_check);
    assert_eq!(taken.message, echo_message(20));
    let drops = device.drops_of(|device| device.discard_bad_integrity_check(taken));
    assert_eq!(drops, [(DropReason::BadIntegrityCheck, 1)]);
    let drops = device.drops_of(|device| device.count_drop(DropReason::BadIntegrityCheck));
    assert_eq!(
        drops,
        [(DropReason::BadIntegrityCheck, 1)],
        "of a layer above"
    );
    device.assert_serves(echo);
}

#[test]
fn t6_control_messages_have_no_integrity_check() {
    drops_and_leaves_assembly(
        &REQUEST.tag(1).packet(&[0x80, 0x80, 0x02]),
        DropReason::BadIntegrityCheck,
    );
}

// Section 8.6: what ties packets together.

#[test]
fn the_key_has_no_destination() {
    let (mut device, echo) = Device::echo();
    let packets = three_packets(REQUEST);
    let drops = device.drops_of(|device| {
        for (packet, destination) in packets.iter().zip([DEVICE, 0, DEVICE]) {
            let (header, payload) = Wire::parse(packet);
            device.receive(&header.to(destination).packet(payload));
        }
    });
    assert_eq!(drops, []);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    // A new start to the other destination is the same terminus.
    device.receive(&packets[0]);
    let drops = device.drops_of(|device| device.receive(&REQUEST.to(0).packet(&echo_message(5))));
    assert_eq!(drops, [(DropReason::ReplacedByNewStart, 1)]);
}

#[test]
fn the_key_has_the_tag_owner_bit() {
    let (mut device, echo) = Device::echo();
    let (asked, tag) = ask(&mut device, HOST);
    let answer: Vec<u8> = [5].into_iter().chain(1..150).collect();
    let requests = three_packets(REQUEST.tag(tag));
    let responses = response(tag).packets(&answer, 64);
    let drops = device.drops_of(|device| {
        for (request, response) in requests.iter().zip(&responses) {
            device.receive(request);
            device.receive(response);
        }
    });
    assert_eq!(drops, []);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    assert_eq!(device.answers(asked), [Ok(answer)]);
}

#[test]
fn the_key_has_the_source() {
    let (mut device, echo) = Device::echo();
    let [mine, yours] = [HOST, 0x20].map(|source| three_packets(REQUEST.from(source)));
    let drops = device.drops_of(|device| {
        for (mine, yours) in mine.iter().zip(&yours) {
            device.receive(mine);
            device.receive(yours);
        }
    });
    assert_eq!(drops, []);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
}

#[test]
fn the_key_has_the_tag() {
    let (mut device, echo) = Device::echo();
    let [one, other] = [3, 4].map(|tag| three_packets(REQUEST.tag(tag)));
    for (one, other) in one.iter().zip(&other) {
        device.receive(one);
        device.receive(other);
    }
    assert_eq!(device.drop_counters().total(), 0);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
}

#[test]
fn reserved_header_bits_are_ignored() {
    let (mut device, echo) = Device::echo();
    for packet in three_packets(Wire {
        version: 0xF1,
        ..REQUEST
    }) {
        device.receive(&packet);
    }
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    assert_eq!(device.drop_counters().total(), 0);
}

#[test]
fn the_sequence_may_start_at_any_number() {
    let (mut device, echo) = Device::echo();
    for sequence in 0..4 {
        for packet in (Wire {
            sequence,
            ..REQUEST
        })
        .packets(&echo_message(64 * 9 + 5), 64)
        {
            device.receive(&packet);
        }
        assert_eq!(device.take(echo).unwrap(), echo_message(64 * 9 + 5));
        assert_eq!(
            device.receive(
                &Wire {
                    sequence,
                    ..REQUEST
                }
                .packet(&echo_message(9))
            ),
            Came::Accepted
        );
        device.take(echo);
    }
    assert_eq!(device.drop_counters().total(), 0);
}

// Section 8.3: endpoint IDs.

#[test]
fn the_null_destination_is_whoever_is_at_the_physical_address() {
    let (mut device, echo) = Device::echo();
    assert_eq!(
        device.receive(&REQUEST.to(0).packet(&echo_message(9))),
        Came::Accepted
    );
    device.echo_one(echo);
    let (header, _) = Wire::parse(&device.sent()[0]);
    assert_eq!((header.source, header.destination), (DEVICE, HOST));
}

#[test]
fn a_sender_without_endpoint_id_is_answered_at_its_address() {
    let (mut device, echo) = Device::echo();
    let from = PhysicalAddress::from_byte(0x10);
    device.receive_at(I2C, from, &REQUEST.from(0).packet(&echo_message(9)));
    device.echo_one(echo);
    let transfers = device.transfers(I2C);
    assert_eq!(transfers[0].0, from);
    let (header, _) = Wire::parse(&transfers[0].1[0]);
    assert_eq!((header.source, header.destination), (DEVICE, 0));
}

#[test]
fn reserved_and_broadcast_sources_are_dropped() {
    for source in [1, 2, 3, 4, 5, 6, 7, 0xFF] {
        drops_and_leaves_assembly(
            &REQUEST.from(source).packet(&echo_message(9)),
            DropReason::InvalidSource,
        );
        drops_and_leaves_assembly(
            &REQUEST.from(source).packet(&[0, 0x80, 2]),
            DropReason::InvalidSource,
        );
        drops_and_leaves_assembly(
            &REQUEST.from(source).middle(2).packet(&[0; 64]),
            DropReason::InvalidSource,
        );
    }
}

#[test]
fn an_undiscovered_device_answers_whatever_destination_it_sees() {
    for destination in 0..=0xFF {
        let mut device = Device::blank(&config());
        let response = device.control(REQUEST.to(destination), &[0, 0x81, 2]);
        assert_eq!(response, [0, 1, 2, 0, 0, 0, 0], "asked at {destination}");
        assert_eq!(device.drop_counters().total(), 0);
    }
}

#[test]
fn an_undiscovered_device_takes_no_broadcast_but_control_requests() {
    let mut device = Device::blank(&config());
    let echo = device.listen(ECHO).unwrap();
    device.assert_drops(
        &REQUEST.to(0xFF).packet(&echo_message(9)),
        DropReason::NotOurDestination,
    );
    device.assert_drops(
        &REQUEST.to(0xFF).middle(1).packet(&[0; 64]),
        DropReason::NotOurDestination,
    );
    let response = Wire {
        tag_owner: false,
        ..REQUEST.to(0xFF)
    };
    device.assert_drops(
        &response.packet(&[0, 1, 2, 0, 8, 0, 0]),
        DropReason::NotOurDestination,
    );
    device.set_endpoint_id(NETWORK, Eid(DEVICE));
    device.assert_serves(echo);
}

#[test]
fn an_endpoint_id_given_within_a_message_does_not_cut_it() {
    let mut device = Device::blank(&config());
    let echo = device.listen(ECHO).unwrap();
    let packets = three_packets(REQUEST.to(0));
    device.receive(&packets[0]);
    device.control(REQUEST.to(0).tag(1), &[0, 0x81, 1, 0, 0x40]);
    device.receive(&packets[1]);
    assert_eq!(device.receive(&packets[2]), Came::Accepted);
    device.echo_one(echo);
    assert_eq!(
        Wire::parse(&device.sent()[0]).0.source,
        0x40,
        "the one in force"
    );
}

#[test]
fn packets_for_the_endpoint_id_that_the_device_had_before_are_anothers() {
    for destination in [DEVICE, 0] {
        let (mut device, echo) = Device::echo();
        let packets = three_packets(REQUEST.to(destination));
        device.receive(&packets[0]);
        device.control(REQUEST.to(0).tag(1), &[0, 0x81, 1, 0, 0x40]);
        if destination == 0 {
            assert_eq!(device.receive(&packets[1]), Came::Stored);
            assert_eq!(device.receive(&packets[2]), Came::Accepted);
            assert_eq!(device.take(echo), Some(echo_message(LEN)));
        } else {
            device.assert_drops(&packets[1], DropReason::NotOurDestination);
            device.assert_drops(&packets[2], DropReason::NotOurDestination);
        }
    }
}

/// Nothing of a message that is over answers to a header of zeros.
#[test]
fn packets_of_zeros_are_dropped_in_every_state() {
    let zeros = |device: &mut Device| {
        for len in [0, 1, 22, 63, 64, 65, 247] {
            for flags in [0x00, 0x40, 0x10, 0x50] {
                let packet = [&[0, 0, 0, flags], vec![0; len].as_slice()].concat();
                device.assert_drops(&packet, DropReason::UnsupportedHeaderVersion);
            }
        }
    };
    let (mut device, echo) = Device::echo();
    zeros(&mut device);
    let packets = three_packets(REQUEST);
    device.receive(&packets[0]);
    zeros(&mut device);
    device.set_endpoint_id(NETWORK, Eid(0x40));
    zeros(&mut device);
    device.set_endpoint_id(NETWORK, Eid(DEVICE));
    zeros(&mut device);
    device.receive(&packets[1]);
    device.receive(&packets[2]);
    zeros(&mut device);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
    zeros(&mut device);
    device.receive(&packets[0]);
    device.receive(&packets[2]);
    zeros(&mut device);
    assert_eq!(device.take(echo), None);
    device.assert_serves(echo);
}

// Limits of this receiver.

#[test]
fn fewer_bytes_than_a_header_are_dropped() {
    for len in 0..4 {
        drops_and_leaves_assembly(&REQUEST.packet(&[])[..len], DropReason::Truncated);
    }
}

#[test]
fn a_start_without_message_type_is_dropped() {
    drops_and_leaves_assembly(&REQUEST.packet(&[]), DropReason::Truncated);
    drops_and_leaves_assembly(&REQUEST.first().packet(&[]), DropReason::Truncated);
}

#[test]
fn a_message_that_outgrows_the_buffers_is_given_up_and_counted_once() {
    let (mut device, echo) = Device::echo();
    // Buffers hold 4,224 bytes behind the message type.
    let longest = echo_message(4225);
    for packet in REQUEST.packets(&longest, 64) {
        device.receive(&packet);
    }
    assert_eq!(device.take(echo).unwrap(), longest);
    let packets = REQUEST.packets(&echo_message(4226), 64);
    let (last, rest) = packets.split_last().unwrap();
    for packet in rest {
        assert_eq!(device.receive(packet), Came::Stored);
    }
    device.assert_drops(last, DropReason::MessageTooLong);
    device.assert_drops(last, DropReason::MiddleWithoutStart);
    device.assert_serves(echo);
}

#[test]
fn a_packet_longer_than_a_short_buffer_takes_a_long_one() {
    let (mut device, echo) = Device::echo();
    for len in [256, 257, 258, 1000, 4225] {
        assert_eq!(
            device.receive(&REQUEST.packet(&echo_message(len))),
            Came::Accepted
        );
        assert_eq!(device.take(echo).unwrap(), echo_message(len));
    }
    device.assert_drops(
        &REQUEST.packet(&echo_message(4226)),
        DropReason::MessageTooLong,
    );
    device.assert_serves(echo);
}

#[test]
fn the_configured_message_length_holds_for_one_packet_too() {
    let mut config = config();
    config.max_message_len = 200;
    let (mut device, echo) = Device::echo_with(&config);
    assert_eq!(
        device.receive(&REQUEST.packet(&echo_message(201))),
        Came::Accepted
    );
    assert_eq!(device.take(echo).unwrap(), echo_message(201));
    device.assert_drops(
        &REQUEST.packet(&echo_message(202)),
        DropReason::MessageTooLong,
    );
    device.assert_serves(echo);
}

#[test]
fn without_a_free_buffer_new_messages_are_dropped_and_waiting_ones_kept() {
    let (mut device, echo) = Device::echo();
    // Two short and two long buffers.
    for index in 0..4 {
        assert_eq!(
            device.receive(&REQUEST.packet(&echo_message(20 + index))),
            Came::Accepted
        );
    }
    device.assert_drops(
        &REQUEST.packet(&echo_message(30)),
        DropReason::NoMessageBuffer,
    );
    device.assert_drops(
        &REQUEST.first().packet(&echo_message(64)),
        DropReason::NoMessageBuffer,
    );
    device.assert_answers_control();
    for index in 0..4 {
        assert_eq!(
            device.take(echo).unwrap(),
            echo_message(20 + index),
            "in the order of their arrival"
        );
    }
    device.assert_serves(echo);
}

#[test]
fn messages_are_lent_in_the_order_in_which_they_were_complete() {
    let (mut device, echo) = Device::echo();
    let mut sent = 0..;
    let mut receive = |device: &mut Device, count| {
        for number in sent.by_ref().take(count) {
            let len = if number % 3 == 0 { 100 } else { 10 };
            for packet in REQUEST.packets(&[&echo_message(len)[..], &[number]].concat(), 64) {
                device.receive(&packet);
            }
        }
    };
    receive(&mut device, 2);
    for expected in 0..100 {
        // Buffers come free in another order than they are filled again.
        assert_eq!(device.take(echo).unwrap().last(), Some(&expected));
        receive(&mut device, 1);
    }
    assert_eq!(device.drop_counters().total(), 0);
}

#[test]
fn a_lent_message_keeps_its_buffer_until_it_is_given_back() {
    let (mut device, echo) = Device::echo();
    for _ in 0..4 {
        device.receive(&REQUEST.packet(&echo_message(20)));
    }
    let lent = device.lend(echo);
    device.assert_drops(
        &REQUEST.packet(&echo_message(30)),
        DropReason::NoMessageBuffer,
    );
    assert_eq!(lent.message, echo_message(20));
    device.give_back(lent);
    assert_eq!(
        device.receive(&REQUEST.packet(&echo_message(30))),
        Came::Accepted
    );
}

#[test]
fn a_stalled_unfinished_message_makes_room_for_a_new_one() {
    let (mut device, echo, rest) = in_progress();
    device.advance(100);
    device.receive(&three_packets(REQUEST.tag(1))[0]);
    device.advance(149);
    // The first stands still for 249 ms.
    device.assert_drops(
        &three_packets(REQUEST.tag(2))[0],
        DropReason::NoMessageBuffer,
    );
    device.advance(1);
    let new = three_packets(REQUEST.tag(2));
    let drops = device.drops_of(|device| assert_eq!(device.receive(&new[0]), Came::Stored));
    assert_eq!(drops, [(DropReason::EvictedUnfinished, 1)]);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.receive(&new[1]);
    assert_eq!(device.receive(&new[2]), Came::Accepted);
    device.take(echo);
    // The younger one goes on.
    let younger = three_packets(REQUEST.tag(1));
    device.receive(&younger[1]);
    assert_eq!(device.receive(&younger[2]), Came::Accepted);
    device.take(echo);
    device.assert_serves(echo);
}

#[test]
fn nothing_is_evicted_for_the_time_in_which_the_device_did_not_run() {
    let (mut device, echo, rest) = in_progress();
    device.receive(&three_packets(REQUEST.tag(1))[0]);
    let new = three_packets(REQUEST.tag(2));
    device.oversleep(1000);
    device.run();
    device.assert_drops(&new[0], DropReason::NoMessageBuffer);
    device.advance(249);
    device.assert_drops(&new[0], DropReason::NoMessageBuffer);
    assert_eq!(device.receive(&rest[0]), Came::Accepted);
    assert!(device.take(echo).is_some());
    assert_eq!(device.receive(&new[0]), Came::Stored);
    device.advance(1);
    let drops = device.drops_of(|device| {
        device.receive(&three_packets(REQUEST.tag(3))[0]);
    });
    assert_eq!(drops, [(DropReason::EvictedUnfinished, 1)]);
}

#[test]
fn a_message_that_moves_is_not_evicted() {
    let (mut device, echo) = Device::echo();
    let packets = REQUEST.packets(&echo_message(64 * 10), 64);
    let rival = three_packets(REQUEST.tag(1));
    device.receive(&rival[0]);
    for packet in &packets[..9] {
        device.receive(packet);
        device.advance(100);
    }
    let drops = device.drops_of(|device| device.receive(&three_packets(REQUEST.tag(2))[0]));
    assert_eq!(drops, [(DropReason::EvictedUnfinished, 1)]);
    assert_eq!(device.receive(&packets[9]), Came::Accepted);
    assert_eq!(device.take(echo), Some(echo_message(640)));
}

/// Echo, and a service of message type 5.
fn two_services() -> (Device, Served, Served) {
    let (mut device, echo) = Device::echo();
    let service = Service::message_type(mctp::MsgType(5));
    let other = device.listen(service).unwrap();
    (device, echo, other)
}

#[test]
fn nothing_is_evicted_where_it_does_not_help() {
    let (mut device, echo, other) = two_services();
    // The other service has one of the two long buffers, unfinished; echo has one, complete.
    let unfinished: Vec<u8> = vec![5; 100];
    let unfinished = REQUEST.tag(1).packets(&unfinished, 64);
    device.receive(&unfinished[0]);
    for packet in three_packets(REQUEST) {
        device.receive(&packet);
    }
    device.advance(300);
    let drops = device.drops_of(|device| device.receive(&three_packets(REQUEST.tag(2))[0]));
    assert_eq!(drops, [(DropReason::NoMessageBuffer, 1)]);
    assert_eq!(device.receive(&unfinished[1]), Came::Accepted);
    assert_eq!(device.take(other).unwrap(), [5; 100]);
    assert_eq!(device.take(echo).unwrap(), echo_message(LEN));
}

#[test]
fn a_service_gives_up_its_own_stalled_message_for_a_new_one() {
    let (mut device, echo, other) = two_services();
    // Each has one of the two long buffers, unfinished; that of echo is the older one.
    device.receive(&three_packets(REQUEST)[0]);
    device.advance(1);
    let others = REQUEST.tag(1).packets(&[5; 100], 64);
    device.receive(&others[0]);
    device.advance(300);
    let new = three_packets(REQUEST.tag(2));
    let drops = device.drops_of(|device| assert_eq!(device.receive(&new[0]), Came::Stored));
    assert_eq!(drops, [(DropReason::EvictedUnfinished, 1)]);
    device.receive(&new[1]);
    assert_eq!(device.receive(&new[2]), Came::Accepted);
    assert_eq!(device.receive(&others[1]), Came::Accepted);
    assert_eq!(device.take(echo), Some(echo_message(LEN)));
    assert_eq!(device.take(other).unwrap(), [5; 100]);
}

#[test]
fn one_busy_service_leaves_a_buffer_to_the_others() {
    let (mut device, echo, other) = two_services();
    for tag in 0..8 {
        device.receive(&REQUEST.tag(tag).packet(&echo_message(20)));
        device.receive(&REQUEST.tag(tag).from(0x20).packets(&echo_message(100), 64)[0]);
    }
    assert_eq!(device.receive(&REQUEST.packet(&[5, 1, 2])), Came::Accepted);
    assert_eq!(device.take(other).unwrap(), [5, 1, 2]);
    let long = REQUEST.packets(&[5; 100], 64);
    assert_eq!(device.receive(&long[0]), Came::Stored);
    assert_eq!(device.receive(&long[1]), Came::Accepted);
    assert_eq!(device.take(other).unwrap(), [5; 100]);
    assert!(device.take(echo).is_some());
}

#[test]
fn unfinished_messages_from_anyone_never_keep_control_from_being_answered() {
    let (mut device, echo) = Device::echo();
    for source in 8..=0xFE {
        for tag in 0..8 {
            device.receive(&three_packets(REQUEST.from(source).tag(tag))[0]);
        }
        device.assert_answers_control();
    }
    assert_eq!(
        device.drops_of(|device| device.advance(6000)),
        [(DropReason::AssemblyTimeout, 2)]
    );
    device.assert_serves(echo);
}

#[test]
fn link_down_gives_up_unfinished_messages_of_that_port_only() {
    let (mut device, echo, rest) = in_progress();
    let from = PhysicalAddress::from_byte(0x10);
    let other = three_packets(REQUEST.from(0x20));
    device.receive_at(I2C, from, &other[0]);
    let drops = device.drops_of(|device| device.link_down(USB));
    assert_eq!(drops, [(DropReason::LinkDown, 1)]);
    assert_eq!(
        device.endpoint_id(NETWORK),
        Eid(DEVICE),
        "kept, section 8.18.6"
    );
    device.link_up(USB);
    assert_eq!(device.events(), [Event::LinkDown(USB), Event::LinkUp(USB)]);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.receive_at(I2C, from, &other[1]);
    assert_eq!(device.receive_at(I2C, from, &other[2]), Came::Accepted);
    device.take(echo);
    device.assert_serves(echo);
}

#[test]
fn link_down_gives_up_and_counts_what_waits_to_be_sent() {
    let (mut device, echo) = Device::echo();
    device.stop_reading(USB);
    device.receive(&REQUEST.packet(&echo_message(20)));
    device.echo_one(echo);
    assert_eq!(
        device.receive(&REQUEST.packet(&[0, 0x80, 2])),
        Came::Accepted
    );
    let drops = device.drops_of(|device| device.link_down(USB));
    assert_eq!(
        drops,
        [(DropReason::LinkDown, 2)],
        "an answer and a transfer"
    );
    device.link_up(USB);
    device.read_again(USB);
    assert_eq!(device.sent(), [[0u8; 0]; 0]);
    device.assert_serves(echo);
}

#[test]
fn link_down_twice_is_link_down_once() {
    let (mut device, echo, _) = in_progress();
    let drops = device.drops_of(|device| {
        device.link_down(USB);
        device.link_down(USB);
    });
    assert_eq!(drops, [(DropReason::LinkDown, 1)]);
    assert_eq!(device.events(), [Event::LinkDown(USB)]);
    device.link_up(USB);
    device.assert_serves(echo);
}

#[test]
fn a_message_taken_before_the_link_went_down_cannot_be_answered() {
    for taking in [Taking::InPlace, Taking::Copied] {
        let (mut device, echo) = Device::echo();
        device.receive(&REQUEST.packet(&echo_message(20)));
        let taken = device.take_as(echo, taking).unwrap();
        device.link_down(USB);
        let response = device.respond(&taken, false, &[taken.bytes()]);
        let outcome = device.outcome(response);
        assert_eq!(outcome, Some(Err(Failure::Unreachable)));
        device.give_back(taken);
        device.link_up(USB);
        device.assert_serves(echo);
    }
}

#[test]
fn packets_of_a_closed_service_are_of_an_unsupported_type() {
    let (mut device, echo, rest) = in_progress();
    device.receive(&REQUEST.tag(3).packet(&echo_message(20)));
    device.close(echo);
    device.assert_drops(&rest[0], DropReason::MiddleWithoutStart);
    device.assert_drops(
        &REQUEST.packet(&echo_message(9)),
        DropReason::UnsupportedMessageType,
    );
    let again = device.listen(ECHO).unwrap();
    let old = device.take(again);
    assert_eq!(old, None, "messages for the old listener are gone");
    device.assert_serves(again);
}

#[test]
fn after_any_single_discard_the_send_side_is_as_it_was() {
    let (mut device, echo) = Device::echo();
    device.assert_drops(
        &REQUEST.middle(1).packet(&[0; 64]),
        DropReason::MiddleWithoutStart,
    );
    device.receive(&REQUEST.packet(&echo_message(20)));
    device.echo_one(echo);
    assert_eq!(assemble(&device.sent())[0].message, echo_message(20));
}
