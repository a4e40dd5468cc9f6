//! Messages share a port: each has its turns, and control answers overtake them all.

use mctp_router::{Service, Target};
use mctp_transport::Eid;

use crate::Device;
use crate::support::driver::{Asked, Driver, Question, Taking};
use crate::support::{HOST, NETWORK, REQUEST, SentTransfer, USB, Wire, assemble, echo_message};

const PLAIN_TYPE: u8 = 5;

/// Sends the host a request of so many bytes behind the message type.
fn send(device: &mut Device, message_type: u8, len: usize) -> Asked {
    let message = vec![message_type; 1 + len];
    let target = Target::Endpoint(NETWORK, Eid(HOST));
    device.ask(Question::new(target, &message).timeout(1_000_000))
}

fn control_request(tag: u8) -> Vec<u8> {
    REQUEST.tag(tag).packet(&[0, 0x80 | tag, 2])
}

fn is_control((_, (_, packets)): &(u64, SentTransfer)) -> bool {
    let (header, payload) = Wire::parse(&packets[0]);
    header.start && payload[0] == 0
}

#[test]
fn several_bulk_messages_proceed_together() {
    let mut device = Device::large();
    device.set_speed(USB, 512);
    for message_type in [1, 2, 3, 4] {
        send(&mut device, message_type, 10_000);
    }
    device.advance(60);
    let mut transfers = device.transfers(USB);
    let turns: Vec<u8> = transfers[..40]
        .iter()
        .map(|(_, packets)| Wire::parse(&packets[0]).0.tag)
        .collect();
    // The first to come found both transfers empty.
    for round in turns[4..].windows(4) {
        let mut round = round.to_vec();
        round.sort_unstable();
        round.dedup();
        let turns_in_round = round.len();
        assert_eq!(turns_in_round, 4, "everybody has one: {turns:?}");
    }
    device.advance(1000);
    transfers.extend(device.transfers(USB));
    let packets: Vec<_> = transfers
        .into_iter()
        .flat_map(|(_, packets)| packets)
        .collect();
    assert_eq!(assemble(&packets).len(), 4);
}

#[test]
fn a_short_message_does_not_wait_for_the_end_of_a_bulk_message() {
    let mut device = Device::echoing();
    device.set_speed(USB, 512);
    send(&mut device, 1, 65_535);
    device.advance(20);
    device.receive(&REQUEST.packet(&echo_message(30)));
    device.sent();
    // Behind the transfer on its way, the one that is full, and one turn of the bulk message; each
    // takes a millisecond.
    device.advance(4);
    let is_echo = |packet: &Vec<u8>| !Wire::parse(packet).0.tag_owner;
    assert!(device.sent().iter().any(is_echo));
}

#[test]
fn a_short_message_does_not_overtake_who_waits_in_line() {
    let mut device = Device::large();
    device.set_unit(USB, 100);
    device.stop_reading(USB);
    // The long one leaves room for the short one in each transfer.
    let sends = [5000, 1].map(|len| send(&mut device, PLAIN_TYPE, len));
    assert_eq!(sends.map(|send| device.request_outcome(send)), [None; 2]);
    device.read_again(USB);
    let sent = Some(Ok(()));
    assert_eq!(sends.map(|send| device.request_outcome(send)), [sent; 2]);
}

/// A link of 8 KB a second, slower than any of MCTP's: a transfer of 512 bytes takes 64 ms by
/// itself. What waits for the wire is then told from what waits in the device: the answer goes out
/// with the next transfer after the one on its way.
#[test]
fn control_is_answered_with_the_next_transfer_while_64_kib_are_being_sent() {
    for unit in [64, 247] {
        let mut device = Device::large();
        device.set_unit(USB, unit);
        device.set_speed(USB, 8);
        send(&mut device, 1, 65_535);
        device.advance(1000);
        for round in 0..20 {
            device.timed_transfers(USB);
            device.receive(&control_request(round % 8));
            let asked = device.millis();
            device.advance(150);
            let transfers = device.timed_transfers(USB);
            let answered = transfers[..2].iter().find(|transfer| is_control(transfer));
            let (at, _) = answered.expect("an answer");
            assert!(at - asked <= 64 + 2, "one transfer and the answer itself");
        }
    }
}

/// USB at full speed carries about 1,000 bytes a millisecond.
#[test]
fn control_is_answered_within_2_ms_while_64_kib_are_being_sent_at_full_speed() {
    let mut device = Device::large();
    device.set_speed(USB, 1000);
    for message_type in [1, 2, 3] {
        send(&mut device, message_type, 65_535);
    }
    for round in 0..20 {
        device.receive(&control_request(round % 8));
        let asked = device.millis();
        device.advance(5);
        let transfers = device.timed_transfers(USB);
        let answered = transfers.iter().find(|transfer| is_control(transfer));
        assert!(answered.expect("an answer").0 - asked <= 2);
    }
}

#[test]
fn four_forty_or_four_hundred_unfinished_messages_never_delay_get_endpoint_id() {
    for unfinished in [4_u32, 40, 400] {
        let mut device = Device::echoing();
        let plain = Service::message_type(mctp::MsgType(PLAIN_TYPE));
        device.serve_echo(plain, Taking::InPlace);
        device.set_speed(USB, 8);
        for index in 0..unfinished {
            let header = REQUEST.tag((index % 8) as u8).from(8 + (index / 8) as u8);
            let message = if index % 2 == 0 {
                echo_message(64)
            } else {
                vec![PLAIN_TYPE; 64]
            };
            device.receive(&header.first().packet(&message));
        }
        for round in 0..10 {
            // They go on, too.
            let header = REQUEST.tag(round % 8).from(0xF0 + round);
            device.receive(&header.first().packet(&echo_message(64)));
            let header = REQUEST.to(0).from(0xFE).tag(round % 8);
            device.receive(&header.packet(&[0, 0x80, 2]));
            let asked = device.millis();
            device.advance(30);
            let transfers = device.timed_transfers(USB);
            assert_eq!(transfers.len(), 1, "{unfinished} unfinished messages");
            assert!(is_control(&transfers[0]));
            // The frame itself takes 2 ms at this speed.
            assert!(transfers[0].0 - asked <= 2);
        }
        // Whole messages get through as well, once the others have stood still for a while.
        device.set_speed(USB, usize::MAX);
        device.advance(250);
        device.assert_echoes(0, 500);
    }
}
