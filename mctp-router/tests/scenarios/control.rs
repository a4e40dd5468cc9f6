//! The control protocol responder, byte for byte (DSP0236 1.3.3, sections 11 and 12). Vectors are
//! of that document unless a source is named; where mctpd (the bus owner of the Linux MCTP tools)
//! checks more, its checks are played too.

use mctp_router::wire::Version;
use mctp_router::{BusOwner, Event, Service, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use crate::Device;
use crate::support::driver::{Came, Driver, Failure, Question};
use crate::support::{
    DEVICE, ECHO, HOST, I2C, I2C_MEDIUM_SPECIFIC, NETWORK, POINT_TO_POINT, REQUEST, USB, UUID,
    Wire, config,
};

const SET_ENDPOINT_ID: u8 = 1;
const GET_ENDPOINT_ID: u8 = 2;
const GET_UUID: u8 = 3;
const GET_VERSION: u8 = 4;
const GET_TYPES: u8 = 5;
const GET_VENDOR: u8 = 6;

const INVALID_DATA: u8 = 2;
const INVALID_LENGTH: u8 = 3;
const UNSUPPORTED: u8 = 5;
const TYPE_NOT_SUPPORTED: u8 = 0x80;

/// A request with Rq set and this instance ID.
fn request(instance_id: u8, command: u8, data: &[u8]) -> Vec<u8> {
    [&[0, 0x80 | instance_id, command], data].concat()
}

/// What follows the command in the response: completion code and data. The envelope is checked.
#[track_caller]
fn ask(device: &mut Device, command: u8, data: &[u8]) -> Vec<u8> {
    let own = device.endpoint_id(NETWORK).0;
    let response = device.control(REQUEST.to(own), &request(0x15, command, data));
    assert_eq!(
        response[..3],
        [0, 0x15, command],
        "type, instance ID, command"
    );
    assert!(response.len() <= 64);
    response[3..].to_vec()
}

fn endpoint_id_set(endpoint_id: Eid, bus_owner: BusOwner) -> Event {
    Event::EndpointIdSet {
        network: NETWORK,
        endpoint_id,
        bus_owner,
    }
}

fn bus_owner() -> BusOwner {
    BusOwner {
        endpoint_id: Eid(HOST),
        port: USB,
        address: POINT_TO_POINT,
    }
}

fn with_static_id() -> Device {
    let mut device = Device::blank(&config());
    assert!(device.set_static_endpoint_id(NETWORK, Eid(20)));
    device
}

// The envelope.

#[test]
fn a_response_packet_goes_back_with_the_tag_to_requester_and_address() {
    let mut device = Device::blank(&config());
    device.set_endpoint_id(NETWORK, Eid(DEVICE));
    let from = PhysicalAddress::from_byte(0x10);
    for tag in 0..8 {
        let header = REQUEST.tag(tag).from(0x44);
        let packet = header.packet(&request(3, GET_ENDPOINT_ID, &[]));
        assert_eq!(device.receive_at(I2C, from, &packet), Came::Accepted);
        let answer = [
            0x01,
            0x44,
            DEVICE,
            0xC0 | tag,
            0x00,
            0x03,
            0x02,
            0x00,
            DEVICE,
            0x00,
            0x01,
        ];
        assert_eq!(device.transfers(I2C), [(from, vec![answer.to_vec()])]);
        assert_eq!(device.sent(), [[0u8; 0]; 0], "nothing by the other port");
    }
}

#[test]
fn every_instance_id_comes_back_and_the_reserved_bit_does_not() {
    let (mut device, _) = Device::echo();
    for instance_id in 0..32 {
        let response = device.control(REQUEST, &[0, 0xA0 | instance_id, GET_ENDPOINT_ID]);
        assert_eq!(response, [0, instance_id, GET_ENDPOINT_ID, 0, DEVICE, 0, 0]);
    }
}

/// Section 11.7: requests and datagrams, to us or to everybody, have Rq and the tag owner bit set.
/// A response is one that nobody waits for here; everything else is silently discarded.
#[test]
fn the_flags_tell_the_class_of_a_control_message() {
    use DropReason::{InvalidControlMessage, NotOurDestination, UnexpectedResponse};
    // tag owner, Rq, D, broadcast: answered, or why not.
    let classes = [
        (true, true, false, false, Ok(true)),
        (true, true, false, true, Ok(true)),
        (true, true, true, false, Ok(false)),
        (true, true, true, true, Ok(false)),
        (true, false, false, false, Err(InvalidControlMessage)),
        (true, false, false, true, Err(InvalidControlMessage)),
        (true, false, true, false, Err(InvalidControlMessage)),
        (true, false, true, true, Err(InvalidControlMessage)),
        (false, false, false, false, Err(UnexpectedResponse)),
        (false, false, false, true, Err(NotOurDestination)),
        (false, false, true, false, Err(InvalidControlMessage)),
        (false, false, true, true, Err(NotOurDestination)),
        (false, true, false, false, Err(InvalidControlMessage)),
        (false, true, false, true, Err(NotOurDestination)),
        (false, true, true, false, Err(InvalidControlMessage)),
        (false, true, true, true, Err(NotOurDestination)),
    ];
    for (tag_owner, rq, d, broadcast, expected) in classes {
        let (mut device, echo) = Device::echo();
        let destination = if broadcast { 0xFF } else { DEVICE };
        let header = Wire {
            tag_owner,
            destination,
            ..REQUEST
        };
        let flags = (rq as u8) << 7 | (d as u8) << 6 | 4;
        let packet = header.packet(&[0, flags, SET_ENDPOINT_ID, 0, 0x30]);
        match expected {
            Ok(answered) => {
                assert_eq!(device.receive(&packet), Came::Accepted);
                assert_eq!(device.sent().len(), usize::from(answered));
                assert_eq!(device.endpoint_id(NETWORK), Eid(0x30), "carried out");
                assert_eq!(device.drop_counters().total(), 0);
                device.set_endpoint_id(NETWORK, Eid(DEVICE));
            }
            Err(reason) => {
                device.assert_drops(&packet, reason);
                assert_eq!(device.endpoint_id(NETWORK), Eid(DEVICE));
            }
        }
        device.assert_serves(echo);
        device.assert_answers_control();
    }
}

#[test]
fn control_messages_too_short_or_of_several_packets_are_discarded() {
    let (mut device, echo) = Device::echo();
    let whole = request(1, GET_ENDPOINT_ID, &[]);
    for short in [&whole[..1], &whole[..2]] {
        device.assert_drops(&REQUEST.packet(short), DropReason::InvalidControlMessage);
    }
    let long = request(1, GET_ENDPOINT_ID, &[0; 80]);
    let packets = REQUEST.packets(&long, 64);
    device.assert_drops(&packets[0], DropReason::InvalidControlMessage);
    device.assert_drops(&packets[1], DropReason::MiddleWithoutStart);
    device.assert_answers_control();
    device.assert_serves(echo);
}

#[test]
fn an_awaited_control_response_of_several_packets_is_discarded() {
    let (mut device, _) = Device::echo();
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST));
    let asked = device.ask(Question::new(target, &[0, 0x81, GET_ENDPOINT_ID]));
    let tag = Wire::parse(&device.sent()[0]).0.tag;
    let response = Wire {
        tag_owner: false,
        ..REQUEST.tag(tag)
    };
    let several = response.packets(&[[0, 1, 2, 0].as_slice(), &[0; 80]].concat(), 64);
    device.assert_drops(&several[0], DropReason::InvalidControlMessage);
    device.assert_drops(&several[1], DropReason::MiddleWithoutStart);
    let whole = response.packet(&[0, 1, GET_ENDPOINT_ID, 0, HOST, 0x10, 0]);
    assert_eq!(device.receive(&whole), Came::Accepted);
    assert_eq!(device.answers(asked), [Ok(whole[4..].to_vec())]);
}

#[test]
fn every_other_command_is_unsupported_whatever_its_length() {
    let (mut device, _) = Device::echo();
    for command in (0..=0xFF).filter(|command| !(1..=6).contains(command)) {
        for len in [0, 1, 2, 5, 61] {
            assert_eq!(
                ask(&mut device, command, &vec![0; len]),
                [UNSUPPORTED],
                "command {command:02X}h"
            );
        }
    }
    assert_eq!(device.drop_counters().total(), 0);
}

#[test]
fn data_of_another_length_is_an_invalid_length() {
    let lengths = [(1, 2), (2, 0), (3, 0), (4, 1), (5, 0), (6, 1)];
    let (mut device, _) = Device::echo();
    for (command, right) in lengths {
        for len in 0..=61 {
            let response = ask(&mut device, command, &vec![0; len]);
            if len == right {
                assert_ne!(
                    response[0], INVALID_LENGTH,
                    "command {command}, {len} bytes"
                );
            } else {
                assert_eq!(response, [INVALID_LENGTH], "command {command}, {len} bytes");
            }
        }
    }
    assert_eq!(device.endpoint_id(NETWORK), Eid(DEVICE));
    assert_eq!(device.events(), []);
}

#[test]
fn datagrams_with_errors_are_not_answered_either() {
    let (mut device, _) = Device::echo();
    for command in 0..=0xFF {
        let packet = REQUEST.packet(&[0, 0xC0, command, 1, 2, 3]);
        assert_eq!(device.receive(&packet), Came::Accepted);
    }
    assert_eq!(device.sent(), [[0u8; 0]; 0]);
    assert_eq!(device.drop_counters().total(), 0);
}

// 01h, Set Endpoint ID: section 12.4.

#[test]
fn set_endpoint_id_accepts_8_to_254_by_set_and_by_force() {
    for operation in [0, 1] {
        let mut device = Device::blank(&config());
        for endpoint_id in 8..=254 {
            assert_eq!(
                ask(&mut device, SET_ENDPOINT_ID, &[operation, endpoint_id]),
                [0, 0, endpoint_id, 0]
            );
            assert_eq!(device.endpoint_id(NETWORK), Eid(endpoint_id));
            let seen = [endpoint_id_set(Eid(endpoint_id), bus_owner())];
            assert_eq!(device.events(), seen);
        }
        assert_eq!(device.bus_owner(NETWORK), Some(bus_owner()));
    }
}

#[test]
fn set_endpoint_id_refuses_null_reserved_and_broadcast_ids() {
    let (mut device, _) = Device::echo();
    for operation in [0, 1] {
        for endpoint_id in [0, 1, 2, 3, 4, 5, 6, 7, 0xFF] {
            assert_eq!(
                ask(&mut device, SET_ENDPOINT_ID, &[operation, endpoint_id]),
                [INVALID_DATA]
            );
        }
    }
    assert_eq!(device.endpoint_id(NETWORK), Eid(DEVICE));
    assert_eq!(device.bus_owner(NETWORK), None);
    assert_eq!(device.events(), []);
}

#[test]
fn set_endpoint_id_ignores_the_reserved_bits_of_the_operation() {
    let (mut device, _) = Device::echo();
    assert_eq!(
        ask(&mut device, SET_ENDPOINT_ID, &[0xFC, 0x40]),
        [0, 0, 0x40, 0]
    );
    assert_eq!(
        ask(&mut device, SET_ENDPOINT_ID, &[0xFD, 0x41]),
        [0, 0, 0x41, 0]
    );
    assert_eq!(
        ask(&mut device, SET_ENDPOINT_ID, &[0xFF, 0x42]),
        [INVALID_DATA]
    );
}

#[test]
fn reset_to_static_needs_a_static_endpoint_id() {
    let (mut device, _) = Device::echo();
    assert_eq!(
        ask(&mut device, SET_ENDPOINT_ID, &[2, 0x40]),
        [INVALID_DATA]
    );
    assert_eq!(device.endpoint_id(NETWORK), Eid(DEVICE));

    let mut device = with_static_id();
    assert_eq!(
        ask(&mut device, SET_ENDPOINT_ID, &[0, 0x40]),
        [0, 0, 0x40, 0]
    );
    assert_eq!(ask(&mut device, SET_ENDPOINT_ID, &[2, 0]), [0, 0, 20, 0]);
    assert_eq!(device.endpoint_id(NETWORK), Eid(20));
}

#[test]
fn set_discovered_flag_is_invalid_without_discovery() {
    for mut device in [Device::echo().0, with_static_id()] {
        let own = device.endpoint_id(NETWORK);
        assert_eq!(
            ask(&mut device, SET_ENDPOINT_ID, &[3, 0x40]),
            [INVALID_DATA]
        );
        assert_eq!(device.endpoint_id(NETWORK), own);
    }
}

/// Section 12.4: the response comes from the endpoint ID that the request was addressed to.
#[test]
fn set_endpoint_id_is_answered_by_the_endpoint_id_that_was_asked() {
    let answered_by = |device: &mut Device, destination, data: &[u8]| {
        let packet = REQUEST
            .to(destination)
            .packet(&request(1, SET_ENDPOINT_ID, data));
        assert_eq!(device.receive(&packet), Came::Accepted);
        Wire::parse(&device.sent()[0]).0.source
    };
    let (mut device, _) = Device::echo();
    assert_eq!(answered_by(&mut device, DEVICE, &[0, 0x30]), DEVICE);
    assert_eq!(answered_by(&mut device, 0, &[0, 0x31]), 0);
    assert_eq!(
        answered_by(&mut device, 0xFF, &[0, 0x32]),
        0x31,
        "a broadcast is addressed to whom it finds"
    );
    assert_eq!(
        answered_by(&mut device, 0x32, &[0, 7]),
        0x32,
        "errors as well"
    );
    assert_eq!(answered_by(&mut device, 0, &[0, 7]), 0);
    let mut undiscovered = Device::blank(&config());
    assert_eq!(answered_by(&mut undiscovered, 0x77, &[0, 0x30]), 0x77);
    // Every other command is answered by the endpoint ID in force.
    let packet = REQUEST.to(0).packet(&request(1, GET_UUID, &[]));
    undiscovered.receive(&packet);
    assert_eq!(Wire::parse(&undiscovered.sent()[0]).0.source, 0x30);
}

fn set(instance_id: u8, tag: u8, endpoint_id: u8) -> (Wire, Vec<u8>) {
    (
        REQUEST.to(0).tag(tag),
        request(instance_id, SET_ENDPOINT_ID, &[0, endpoint_id]),
    )
}

/// Section 11.8: a repeated instance ID is a repeated request. mctpd repeats up to three times,
/// mostly with another tag.
#[test]
fn a_retransmission_gets_the_same_answer_and_does_nothing_more() {
    let mut device = Device::blank(&config());
    let (header, payload) = set(7, 0, 0x30);
    let first = device.control(header, &payload);
    assert_eq!(first, [0, 7, SET_ENDPOINT_ID, 0, 0, 0x30, 0]);
    assert_eq!(device.events().len(), 1);
    for tag in 0..8 {
        device.advance(600);
        let (header, payload) = set(7, tag, 0x30);
        assert_eq!(device.control(header, &payload), first);
        assert_eq!(device.events(), []);
    }
    assert_eq!(device.endpoint_id(NETWORK), Eid(0x30));
}

#[test]
fn a_request_with_another_instance_id_is_a_new_one() {
    let mut device = Device::blank(&config());
    for instance_id in 0..32 {
        let (header, payload) = set(instance_id, 0, 0x30);
        assert_eq!(device.control(header, &payload)[3..], [0, 0, 0x30, 0]);
        assert_eq!(device.events().len(), 1);
    }
}

#[test]
fn a_repeated_instance_id_is_a_new_request_after_5_seconds() {
    let mut device = Device::blank(&config());
    let (header, payload) = set(7, 0, 0x30);
    device.control(header, &payload);
    device.events();
    device.advance(4999);
    device.control(header, &payload);
    assert_eq!(device.events(), []);
    device.advance(1);
    device.control(header, &payload);
    assert_eq!(device.events().len(), 1);
}

#[test]
fn the_same_instance_id_from_another_requester_is_a_new_request() {
    let mut device = Device::blank(&config());
    let (header, payload) = set(7, 0, 0x30);
    device.control(header, &payload);
    device.events();
    device.control(header.from(0x50), &payload);
    let owner = BusOwner {
        endpoint_id: Eid(0x50),
        ..bus_owner()
    };
    assert_eq!(device.events(), [endpoint_id_set(Eid(0x30), owner)]);
    assert_eq!(device.bus_owner(NETWORK), Some(owner));
}

#[test]
fn the_same_instance_id_with_other_data_is_a_new_request() {
    let mut device = Device::blank(&config());
    for endpoint_id in [0x30, 0x31, 0x30] {
        let (header, payload) = set(7, 0, endpoint_id);
        assert_eq!(
            device.control(header, &payload)[3..],
            [0, 0, endpoint_id, 0]
        );
        assert_eq!(device.endpoint_id(NETWORK), Eid(endpoint_id));
        assert_eq!(device.events().len(), 1);
    }
}

/// To answer "accepted" while another endpoint ID is in force would be untrue.
#[test]
fn a_repeated_request_whose_endpoint_id_is_no_longer_in_force_is_carried_out() {
    let mut device = Device::blank(&config());
    let (header, payload) = set(7, 0, 0x30);
    device.control(header, &payload);
    device.set_endpoint_id(NETWORK, Eid(0x50));
    device.events();
    assert_eq!(device.control(header, &payload)[3..], [0, 0, 0x30, 0]);
    assert_eq!(device.endpoint_id(NETWORK), Eid(0x30));
    assert_eq!(device.events().len(), 1);
}

#[test]
fn a_retransmission_takes_nothing_back_that_a_refused_request_left() {
    let mut device = Device::blank(&config());
    let (header, payload) = set(7, 0, 0x30);
    device.control(header, &payload);
    assert_eq!(
        device.control(header, &request(8, SET_ENDPOINT_ID, &[0, 5])),
        [0, 8, 1, INVALID_DATA]
    );
    assert_eq!(
        device.control(header, &request(8, SET_ENDPOINT_ID, &[0, 5])),
        [0, 8, 1, INVALID_DATA]
    );
    device.events();
    assert_eq!(device.control(header, &payload), [0, 7, 1, 0, 0, 0x30, 0]);
    assert_eq!(device.events(), []);
}

#[test]
fn the_newest_eight_events_are_kept_for_an_application_that_does_not_look() {
    let mut device = Device::blank(&config());
    for index in 0..20 {
        let (header, payload) = set(index, 0, 0x30 + index);
        device.control(header, &payload);
    }
    let events = device.events();
    assert_eq!(events.len(), 8);
    assert_eq!(events[7..], [endpoint_id_set(Eid(0x43), bus_owner())]);
}

// 02h, Get Endpoint ID: section 12.5.

#[test]
fn get_endpoint_id_tells_the_id_and_its_type() {
    let mut device = Device::blank(&config());
    assert_eq!(ask(&mut device, GET_ENDPOINT_ID, &[]), [0, 0, 0, 0]);
    device.set_endpoint_id(NETWORK, Eid(DEVICE));
    assert_eq!(ask(&mut device, GET_ENDPOINT_ID, &[]), [0, DEVICE, 0, 0]);
    let mut device = with_static_id();
    assert_eq!(ask(&mut device, GET_ENDPOINT_ID, &[]), [0, 20, 2, 0]);
    ask(&mut device, SET_ENDPOINT_ID, &[0, 0x40]);
    assert_eq!(ask(&mut device, GET_ENDPOINT_ID, &[]), [0, 0x40, 3, 0]);
    ask(&mut device, SET_ENDPOINT_ID, &[2, 0]);
    assert_eq!(ask(&mut device, GET_ENDPOINT_ID, &[]), [0, 20, 2, 0]);
}

#[test]
fn get_endpoint_id_says_what_the_transport_that_it_came_by_says_of_itself() {
    let mut device = Device::blank(&config());
    let from = PhysicalAddress::from_byte(0x10);
    let packet = REQUEST.packet(&request(3, GET_ENDPOINT_ID, &[]));
    for (port, address, medium_specific) in [
        (USB, POINT_TO_POINT, 0),
        (I2C, from, I2C_MEDIUM_SPECIFIC),
        (USB, POINT_TO_POINT, 0),
    ] {
        device.receive_at(port, address, &packet);
        let answer = device.transfers(port).remove(0).1.remove(0);
        assert_eq!(answer[7..], [0, 0, 0, medium_specific]);
    }
}

// 03h, Get Endpoint UUID: section 12.6.

#[test]
fn get_endpoint_uuid_tells_the_most_significant_byte_first() {
    let mut device = Device::blank(&config());
    let expected = [&[0], &UUID[..]].concat();
    assert_eq!(ask(&mut device, GET_UUID, &[]), expected);
    ask(&mut device, SET_ENDPOINT_ID, &[0, 0x40]);
    assert_eq!(
        ask(&mut device, GET_UUID, &[]),
        expected,
        "whatever the endpoint ID"
    );
}

// 04h, Get MCTP Version Support: section 12.7; the encodings are those of 12.7.2.

#[test]
fn base_and_control_versions_are_those_up_to_1_3_3_oldest_first() {
    let mut device = Device::blank(&config());
    for message_type in [0xFF, 0x00] {
        let versions = [
            0, 4, 0xF1, 0xF0, 0xFF, 0x00, 0xF1, 0xF1, 0xFF, 0x00, 0xF1, 0xF2, 0xFF, 0x00, 0xF1,
            0xF3, 0xF3, 0x00,
        ];
        assert_eq!(ask(&mut device, GET_VERSION, &[message_type]), versions);
    }
}

#[test]
fn versions_of_what_is_not_served_are_not_supported() {
    let (mut device, _) = Device::echo();
    for message_type in 1..=0xFE {
        assert_eq!(
            ask(&mut device, GET_VERSION, &[message_type]),
            [TYPE_NOT_SUPPORTED]
        );
    }
}

#[test]
fn a_service_states_its_versions() {
    const BYTES: [u8; 4] = [0xF1, 0xF2, 0xF0, 0x61];
    const VERSIONS: [Version; 14] = [Version::from_bytes(BYTES); 14];
    let mut device = Device::blank(&config());
    const ONE: [Version; 1] = [Version::from_bytes([0xF1, 0xF0, 0xF2, 0])];
    let one = Service::message_type(mctp::MsgType(5)).with_versions(&ONE);
    let channel = device.listen(one).unwrap();
    assert_eq!(
        ask(&mut device, GET_VERSION, &[5]),
        [0, 1, 0xF1, 0xF0, 0xF2, 0]
    );
    device.close(channel);
    assert_eq!(ask(&mut device, GET_VERSION, &[5]), [TYPE_NOT_SUPPORTED]);
    // As many as one packet holds.
    device.listen(one.with_versions(&VERSIONS)).unwrap();
    assert_eq!(
        ask(&mut device, GET_VERSION, &[5]),
        [&[0, 14], [BYTES; 14].as_flattened()].concat()
    );
}

#[test]
fn more_versions_than_a_packet_holds_are_an_error_not_a_broken_response() {
    const VERSIONS: [Version; 15] = [Version::from_bytes([0xF1, 0xF2, 0xF0, 0x61]); 15];
    let mut device = Device::blank(&config());
    let many = Service::message_type(mctp::MsgType(5)).with_versions(&VERSIONS);
    device.listen(many).unwrap();
    let response = ask(&mut device, GET_VERSION, &[5]);
    assert_eq!(response.len(), 1, "{response:02X?}");
    assert_ne!(response[0], 0);
}

// 05h, Get Message Type Support: section 12.8.

#[test]
fn message_types_are_those_served_at_this_moment() {
    let mut device = Device::blank(&config());
    assert_eq!(ask(&mut device, GET_TYPES, &[]), [0, 1, 0]);
    let echo = device.listen(ECHO).unwrap();
    assert_eq!(ask(&mut device, GET_TYPES, &[]), [0, 2, 0, 0x7E]);
    let nvme = device
        .listen(Service::message_type(mctp::MsgType(4)))
        .unwrap();
    assert_eq!(ask(&mut device, GET_TYPES, &[]), [0, 3, 0, 4, 0x7E]);
    // The same type again, another vendor: still one entry.
    let other = device.listen(Service::vendor_pci(0x1234, &[])).unwrap();
    assert_eq!(ask(&mut device, GET_TYPES, &[]), [0, 3, 0, 4, 0x7E]);
    device.close(echo);
    assert_eq!(ask(&mut device, GET_TYPES, &[]), [0, 3, 0, 4, 0x7E]);
    device.close(other);
    device.close(nvme);
    assert_eq!(ask(&mut device, GET_TYPES, &[]), [0, 1, 0]);
}

#[test]
fn every_reported_type_is_served_and_no_other() {
    let mut device = Device::blank(&config());
    let services = [1, 4, 5].map(|message_type| {
        let service = Service::message_type(mctp::MsgType(message_type));
        (message_type, device.listen(service).unwrap())
    });
    let reported = ask(&mut device, GET_TYPES, &[])[2..].to_vec();
    assert_eq!(reported, [0, 1, 4, 5]);
    for message_type in 1..0x80 {
        device.receive(&REQUEST.to(0).packet(&[message_type, 1, 2]));
        let mut takes = |served| device.take(served).is_some();
        let taken: Vec<_> = services
            .iter()
            .filter(|(_, served)| takes(*served))
            .collect();
        let taken: Vec<u8> = taken
            .iter()
            .map(|(message_type, _)| *message_type)
            .collect();
        let is_reported = reported.contains(&message_type);
        assert_eq!(
            taken,
            if is_reported {
                vec![message_type]
            } else {
                vec![]
            }
        );
    }
}

// 06h, Get Vendor Defined Message Support: section 12.9.

#[test]
fn vendors_are_told_one_by_one() {
    let mut device = Device::blank(&config());
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[0]),
        [INVALID_DATA],
        "nobody to tell of"
    );
    device.listen(ECHO.with_command_set(0x0102)).unwrap();
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[0]),
        [0, 0xFF, 0, 0xCC, 0xDE, 1, 2]
    );
    let plain = device
        .listen(Service::message_type(mctp::MsgType(4)))
        .unwrap();
    let iana = Service::vendor_iana(0x0A0B_0C0D, &[]).with_command_set(0xFFFE);
    device.listen(iana).unwrap();
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[0]),
        [0, 1, 0, 0xCC, 0xDE, 1, 2]
    );
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[1]),
        [0, 0xFF, 1, 0x0A, 0x0B, 0x0C, 0x0D, 0xFF, 0xFE]
    );
    for selector in 2..=0xFF {
        assert_eq!(ask(&mut device, GET_VENDOR, &[selector]), [INVALID_DATA]);
    }
    device.close(plain);
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[1])[..2],
        [0, 0xFF],
        "selectors have no gaps"
    );
}

#[test]
fn services_that_share_vendor_and_command_set_are_one_entry() {
    let mut device = Device::blank(&config());
    device.listen(ECHO).unwrap();
    device.listen(Service::vendor_pci(0x1234, &[])).unwrap();
    let bench = device.listen(Service::vendor_pci(0xCCDE, &[0xF1])).unwrap();
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[0]),
        [0, 1, 0, 0xCC, 0xDE, 0, 0]
    );
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[1]),
        [0, 0xFF, 0, 0x12, 0x34, 0, 0]
    );
    device.close(bench);
    let other_set = Service::vendor_pci(0xCCDE, &[0xF1]).with_command_set(1);
    device.listen(other_set).unwrap();
    assert_eq!(
        ask(&mut device, GET_VENDOR, &[2]),
        [0, 0xFF, 0, 0xCC, 0xDE, 0, 1]
    );
}

// What can be served.

#[test]
fn listeners_that_would_get_the_same_messages_are_refused() {
    let (mut device, _) = Device::echo();
    let refused = |device: &mut Device, service| device.listen(service) == Err(Failure::AddrInUse);
    assert!(refused(&mut device, ECHO));
    assert!(refused(&mut device, Service::vendor_pci(0xCCDE, &[])));
    assert!(refused(
        &mut device,
        Service::vendor_pci(0xCCDE, &[0xF0, 1])
    ));
    assert!(!refused(&mut device, Service::vendor_pci(0xCCDE, &[0xF1])));
    for invalid in [0x00, 0x7E, 0x7F, 0x80] {
        let opened = device.listen(Service::message_type(mctp::MsgType(invalid)));
        assert_eq!(opened, Err(Failure::BadArgument));
    }
}

// mctpd, from SetupEndpoint to the object on D-Bus, with the checks that it makes (mctpd.c).

/// One request as mctpd sends it; the answer as it takes it: instance ID, command, completion code
/// 0, at least `min` bytes.
#[track_caller]
fn mctpd(device: &mut Device, destination: u8, command: u8, data: &[u8], min: usize) -> Vec<u8> {
    let packet = REQUEST
        .to(destination)
        .tag(command)
        .packet(&request(command + 9, command, data));
    assert_eq!(device.receive(&packet), Came::Accepted);
    let sent = device.sent();
    let (header, payload) = Wire::parse(&sent[0]);
    assert_eq!(
        (sent.len(), header.destination, header.tag, header.tag_owner),
        (1, HOST, command, false)
    );
    if destination != 0 {
        assert_eq!(
            header.source, destination,
            "Linux takes a response only from the endpoint that it asked"
        );
    }
    let answer = &payload[1..];
    assert!(answer.len() >= min.max(3), "{answer:02X?}");
    assert_eq!(answer[..3], [command + 9, command, 0]);
    answer.to_vec()
}

#[test]
fn mctpd_sets_the_endpoint_up_from_beginning_to_end() {
    let mut device = Device::blank(&config());
    device.listen(ECHO).unwrap();
    device
        .listen(Service::message_type(mctp::MsgType(4)))
        .unwrap();
    device.listen(Service::vendor_iana(0xA015, &[])).unwrap();

    // By physical address: who is there? Nobody with an endpoint ID.
    assert_eq!(
        mctpd(&mut device, 0, GET_ENDPOINT_ID, &[], 6)[3..],
        [0, 0, 0]
    );
    // The lowest free one, no pool.
    assert_eq!(
        mctpd(&mut device, 0, SET_ENDPOINT_ID, &[0, 10], 6)[3..],
        [0, 10, 0]
    );
    // From here on by endpoint ID. The list must be exactly as long as its count says.
    let types = mctpd(&mut device, 10, GET_TYPES, &[], 4);
    assert_eq!(types.len(), 4 + usize::from(types[3]));
    assert_eq!(types[4..], [0, 4, 0x7E, 0x7F]);
    // Types 7Eh and 7Fh: who? Each selector is one more than the last, or FFh.
    let (mut selector, mut vendors) = (0, Vec::new());
    while selector != 0xFF {
        let vendor = mctpd(&mut device, 10, GET_VENDOR, &[selector], 8);
        assert!(vendor[3] == selector + 1 || vendor[3] == 0xFF);
        vendors.push(vendor[4..].to_vec());
        selector = vendor[3];
    }
    assert_eq!(
        vendors,
        [vec![0, 0xCC, 0xDE, 0, 0], vec![1, 0, 0, 0xA0, 0x15, 0, 0]]
    );
    assert_eq!(mctpd(&mut device, 10, GET_UUID, &[], 19)[3..], UUID);
    assert_eq!(device.events(), [endpoint_id_set(Eid(10), bus_owner())]);

    // Endpoint.Recover: by physical address, the endpoint ID is the same.
    assert_eq!(
        mctpd(&mut device, 0, GET_ENDPOINT_ID, &[], 6)[3..],
        [10, 0, 0]
    );
    // A second SetupEndpoint sets the same one again, and is welcome to.
    device.advance(6000);
    assert_eq!(
        mctpd(&mut device, 0, SET_ENDPOINT_ID, &[0, 10], 6)[3..],
        [0, 10, 0]
    );
    assert_eq!(device.drop_counters().total(), 0);
}

#[test]
fn mctpd_finds_the_uuid_again_after_a_restart_of_the_device() {
    let mut before = Device::blank(&config());
    let mut after = Device::blank(&config());
    mctpd(&mut before, 0, SET_ENDPOINT_ID, &[0, 10], 6);
    assert_eq!(mctpd(&mut after, 0, GET_ENDPOINT_ID, &[], 6)[3], 0);
    let uuid = |device: &mut Device| mctpd(device, 0, GET_UUID, &[], 19)[3..].to_vec();
    assert_eq!(uuid(&mut before), uuid(&mut after));
    assert_ne!(uuid(&mut after), [0; 16]);
}
