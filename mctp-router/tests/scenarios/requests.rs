//! Requests of the device, and their responses.

use core::time::Duration;

use mctp::MsgType;
use mctp_router::{Service, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use crate::Device;
use crate::support::driver::{Asked, Came, Driver, Failure, Question, Response, Taking};
use crate::support::{
    Assembled, DEVICE, HOST, I2C, NETWORK, POINT_TO_POINT, REQUEST, USB, Wire, assemble, config,
    echo_message,
};

const PLAIN_TYPE: u8 = 5;
const PLAIN: Service = Service::message_type(MsgType(PLAIN_TYPE));
const LATE: [Response; 1] = [Err(Failure::TimedOut)];

/// Asks the host, which has so many milliseconds to answer.
fn ask(device: &mut Device, timeout: u64) -> Asked {
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST));
    device.ask(Question::new(target, &[PLAIN_TYPE, b'?']).timeout(timeout))
}

/// Sends the host a request of so many bytes behind the message type.
fn send(device: &mut Device, len: usize) -> Asked {
    let target = Target::Endpoint(NETWORK, Eid(HOST));
    device.ask(Question::new(target, &vec![PLAIN_TYPE; 1 + len]))
}

/// The host's answer to what it was asked.
fn answer_to(asked: &Assembled, answer: &[u8]) -> Vec<Vec<u8>> {
    let header = Wire {
        tag_owner: false,
        ..REQUEST.tag(asked.header.tag)
    };
    header.packets(&with_type(answer), 64)
}

fn with_type(answer: &[u8]) -> Vec<u8> {
    [&[PLAIN_TYPE], answer].concat()
}

#[test]
fn a_request_gets_its_response() {
    let mut device = Device::large();
    for len in [0, 1, 63, 64, 500] {
        let asked = ask(&mut device, 1000);
        let sent = assemble(&device.sent());
        assert_eq!(sent[0].message, [PLAIN_TYPE, b'?']);
        assert!(sent[0].header.tag_owner);
        device.receive_all(&answer_to(&sent[0], &vec![7; len]));
        assert_eq!(device.answers(asked), [Ok(with_type(&vec![7; len]))]);
        device.end_request(asked);
    }
}

#[test]
fn a_request_that_the_neighbour_does_not_acknowledge_waits_for_nothing() {
    let mut device = Device::large();
    for (network, peer) in [(true, HOST), (false, HOST), (false, 0)] {
        let target = match network {
            true => Target::Endpoint(NETWORK, Eid(peer)),
            false => Target::Neighbour(USB, POINT_TO_POINT, Eid(peer)),
        };
        for len in [1, 3000] {
            device.set_refuses(USB, true);
            let question = Question::new(target, &vec![PLAIN_TYPE; 1 + len]);
            let refused = device.ask(question.timeout(1000));
            let by_address = Target::Neighbour(I2C, PhysicalAddress::from_byte(9), Eid(HOST));
            let other = device.ask(Question::new(by_address, &[PLAIN_TYPE]).timeout(1000));
            // Of a long one, the rest is not sent; a short one is sent, and has no response.
            let outcome = device.request_outcome(refused).unwrap();
            let answers = device.answers(refused);
            match outcome {
                Ok(()) => assert_eq!(answers, [Err(Failure::Unreachable)]),
                Err(failure) => assert_eq!((failure, answers), (Failure::Unreachable, vec![])),
            }
            assert_eq!(outcome.is_err(), len > 1000);
            device.set_refuses(USB, false);
            device.sent();
            assert_eq!(device.answers(other), [], "a request by another port waits");
            device.advance(1000);
            assert_eq!(device.answers(other), LATE);
            device.end_request(refused);
            device.end_request(other);
        }
    }
    let asked = ask(&mut device, 1000);
    let sent = assemble(&device.sent());
    device.receive_all(&answer_to(&sent[0], &[7]));
    assert_eq!(device.answers(asked), [Ok(with_type(&[7]))]);
}

#[test]
fn a_response_that_is_not_acknowledged_ends_no_request_of_the_same_tag() {
    let (mut device, echo) = Device::echo();
    let asked = ask(&mut device, 1000);
    let tag = assemble(&device.sent())[0].header.tag;
    device.receive(&REQUEST.tag(tag).packet(&echo_message(9)));
    let taken = device.take_as(echo, Taking::InPlace).unwrap();
    device.set_refuses(USB, true);
    device.respond(&taken, false, &[taken.bytes()]);
    device.give_back(taken);
    device.set_refuses(USB, false);
    assert_eq!(device.answers(asked), []);
    device.advance(1000);
    assert_eq!(device.answers(asked), LATE);
}

#[test]
fn a_request_times_out_on_time_with_no_traffic_at_all() {
    let mut device = Device::large();
    let asked = ask(&mut device, 700);
    let slower = ask(&mut device, 900);
    device.advance(699);
    assert_eq!(device.answers(asked), []);
    device.advance(1);
    assert_eq!(device.answers(asked), LATE);
    device.advance(199);
    assert_eq!(device.answers(slower), []);
    device.advance(1);
    assert_eq!(device.answers(slower), LATE);
}

#[test]
fn the_default_time_limit_is_the_configured_one() {
    let response_timeout = Duration::from_millis(50);
    let mut config = config();
    config.response_timeout = response_timeout;
    let mut device = Device::large_with(&config);
    let asked = send(&mut device, 1);
    device.advance(49);
    assert_eq!(device.answers(asked), []);
    device.advance(1);
    assert_eq!(device.answers(asked), LATE);
}

#[test]
fn a_late_response_is_not_taken_for_the_next_ones() {
    let mut device = Device::large();
    let asked = ask(&mut device, 100);
    let first = assemble(&device.sent()).remove(0);
    device.advance(100);
    assert_eq!(device.answers(asked), LATE);
    let asked = ask(&mut device, 100);
    device.receive_all(&answer_to(&first, b"late"));
    assert_eq!(device.answers(asked), []);
    assert_eq!(device.drops(DropReason::UnexpectedResponse), 1);
    let second = assemble(&device.sent()).remove(0);
    device.receive_all(&answer_to(&second, b"on time"));
    assert_eq!(device.answers(asked), [Ok(with_type(b"on time"))]);
}

#[test]
fn eight_requests_answered_in_the_other_order_get_each_its_own_response() {
    let mut device = Device::large();
    let asked = [(); 8].map(|()| ask(&mut device, 1000));
    let ninth = ask(&mut device, 1000);
    let no_tag = Some(Err(Failure::TagUnavailable));
    assert_eq!(device.request_outcome(ninth), no_tag);
    let sent = assemble(&device.sent());
    // More than there are buffers for, one after the other.
    for (asked, sent) in asked.iter().zip(&sent).rev() {
        let answer = [sent.header.tag; 100];
        device.receive_all(&answer_to(sent, &answer));
        assert_eq!(device.answers(*asked), [Ok(with_type(&answer))]);
        device.end_request(*asked);
    }
    ask(&mut device, 1000);
    assert_eq!(device.sent().len(), 1);
}

#[test]
fn a_server_may_ask_who_asked_it() {
    let mut device = Device::large();
    let plain = device.listen(PLAIN).unwrap();
    let from = PhysicalAddress::from_byte(0x44);
    device.receive_at(I2C, from, &REQUEST.from(0x30).packet(&[PLAIN_TYPE, 1]));
    let taken = device.copy(plain);
    let nobody = Target::Endpoint(NETWORK, Eid(0));
    let asked = device.ask_back(&taken, Question::new(nobody, &with_type(b"who?")));
    let (to, packets) = device.transfers(I2C).remove(0);
    let (header, _) = Wire::parse(&packets[0]);
    assert_eq!(
        (to, header.destination, header.tag_owner),
        (from, 0x30, true)
    );
    let answer = Wire {
        tag_owner: false,
        ..REQUEST.tag(header.tag).from(0x30)
    };
    let answer = answer.packet(&[PLAIN_TYPE, b'I']);
    assert_eq!(device.receive_at(I2C, from, &answer), Came::Accepted);
    assert_eq!(device.answers(asked), [Ok(with_type(b"I"))]);
}

#[test]
fn one_request_may_have_several_responses() {
    let mut device = Device::large();
    let asked = ask(&mut device, 100);
    let sent = assemble(&device.sent());
    for answer in 0..5 {
        device.advance(99);
        device.receive_all(&answer_to(&sent[0], &[answer]));
        assert_eq!(device.answers(asked), [Ok(with_type(&[answer]))]);
    }
    device.advance(100);
    assert_eq!(device.answers(asked), LATE);
}

#[test]
fn ended_requests_leak_no_tag_channel_or_buffer() {
    let mut device = Device::large();
    for round in 0..1000 {
        let asked = ask(&mut device, 1000);
        let sent = assemble(&device.sent());
        // Ended while it waits, with half of its response here, or with all of it.
        let answer = answer_to(&sent[0], &[7; 100]);
        device.receive_all(&answer[..round % 3]);
        device.end_request(asked);
    }
    // All eight tags and all four long buffers are free.
    let asked = [(); 8].map(|()| ask(&mut device, 1000));
    let sent = assemble(&device.sent());
    assert_eq!(sent.len(), 8);
    for four in sent.chunks(4) {
        let answers: Vec<_> = four.iter().map(|sent| answer_to(sent, &[8; 100])).collect();
        for packet in 0..2 {
            answers.iter().for_each(|answer| {
                device.receive(&answer[packet]);
            });
        }
    }
    for asked in asked {
        assert_eq!(device.answers(asked), [Ok(with_type(&[8; 100]))]);
    }
}

#[test]
fn ended_senders_leak_no_tag_channel_or_place_in_the_line() {
    let mut device = Device::large();
    device.stop_reading(USB);
    for _ in 0..1000 {
        let asked = [(); 3].map(|()| send(&mut device, 3000));
        for asked in asked {
            assert_eq!(device.request_outcome(asked), None);
            device.end_request(asked);
        }
    }
    device.read_again(USB);
    device.sent();
    let asked = [(); 8].map(|()| ask(&mut device, 1000));
    let sent = Some(Ok(()));
    assert_eq!(asked.map(|asked| device.request_outcome(asked)), [sent; 8]);
    assert_eq!(assemble(&device.sent()).len(), 8);
}

#[test]
fn senders_ended_anywhere_in_the_line_leave_the_others_their_places() {
    for ended in 0..5 {
        let mut device = Device::large();
        device.stop_reading(USB);
        let mut asked = [(); 5].map(|()| send(&mut device, 3000)).to_vec();
        device.end_request(asked.remove(ended));
        device.read_again(USB);
        for asked in asked {
            assert_eq!(device.request_outcome(asked), Some(Ok(())));
        }
        let ends = device.sent();
        let ends = ends.iter().filter(|packet| Wire::parse(packet).0.end);
        assert_eq!(ends.count(), 4, "without number {ended}");
    }
}

#[test]
fn sending_without_a_link_is_unreachable() {
    let mut device = Device::large();
    device.link_down(USB);
    let asked = ask(&mut device, 1000);
    let outcome = device.request_outcome(asked);
    assert_eq!(outcome, Some(Err(Failure::Unreachable)));
}

#[test]
fn a_host_that_stops_reading_makes_senders_fail_after_the_time_limit() {
    let mut device = Device::large();
    device.stop_reading(USB);
    let asked = [(); 3].map(|()| send(&mut device, 3000));
    device.advance(5999);
    assert_eq!(asked.map(|asked| device.request_outcome(asked)), [None; 3]);
    device.advance(1);
    let stalled = Some(Err(Failure::Stalled));
    assert_eq!(
        asked.map(|asked| device.request_outcome(asked)),
        [stalled; 3]
    );
    assert_eq!(device.drops(DropReason::SendTimeout), 3);
    let asked = ask(&mut device, 1000);
    let outcome = device.request_outcome(asked);
    assert_eq!(outcome, stalled, "at once, until it reads again");
    device.read_again(USB);
    device.sent();
    let asked = ask(&mut device, 1000);
    assert_eq!(device.request_outcome(asked), Some(Ok(())));
    assert_eq!(assemble(&device.sent()).len(), 1);
}

#[test]
fn a_process_that_was_stopped_gives_up_nobody_who_reads() {
    for stopped in [1500, 3000, 5000, 60_000] {
        let mut device = Device::large();
        device.stop_reading(USB);
        let asked = send(&mut device, 3000);
        device.advance(5999);
        device.oversleep(stopped);
        device.run();
        device.read_again(USB);
        let message = assemble(&device.sent()).remove(0);
        assert_eq!(message.message.len(), 3001);
        // The response waited in the transport all the time.
        device.advance(5999);
        device.oversleep(stopped);
        device.run();
        device.receive_all(&answer_to(&message, &[9]));
        let answers = device.answers(asked);
        assert_eq!(answers, [Ok(with_type(&[9]))], "stopped for {stopped} ms");
        assert_eq!(device.drop_counters().total(), 0);
    }
}

/// An echo of one full packet, on its own.
fn ask_for_echo(device: &mut Device) {
    let message = echo_message(64);
    assert_eq!(device.receive(&REQUEST.packet(&message)), Came::Accepted);
}

#[test]
fn a_message_of_one_packet_that_is_not_taken_is_timed_although_nothing_else_happens() {
    let mut device = Device::echoing();
    device.stop_reading(USB);
    ask_for_echo(&mut device);
    // The transport keeps what it has; nothing waits any more, and no time limit runs.
    device.link_down(USB);
    device.link_up(USB);
    device.advance(60_000);
    ask_for_echo(&mut device);
    device.advance(60_000);
    ask_for_echo(&mut device);
    assert_eq!(device.drops(DropReason::SendTimeout), 1);
}

#[test]
fn a_host_that_stops_reading_once_more_is_timed_once_more() {
    let mut device = Device::echoing();
    device.stop_reading(USB);
    ask_for_echo(&mut device);
    ask_for_echo(&mut device);
    device.advance(60_000);
    // It takes the first of the two.
    assert!(device.transfer(USB).is_some());
    device.advance(60_000);
    ask_for_echo(&mut device);
    assert_eq!(device.drops(DropReason::SendTimeout), 1);
}

#[test]
fn a_host_that_stops_reading_blocks_no_other_port_and_no_service() {
    let mut device = Device::echoing();
    device.serve_echo(PLAIN, Taking::InPlace);
    device.stop_reading(USB);
    let from = PhysicalAddress::from_byte(0x10);
    for round in 0..200 {
        let request = REQUEST.tag(round % 8);
        let message = echo_message(1000);
        device.receive_all(&request.packets(&message, 64));
        device.receive(&request.packet(&[0, 0x80, 2]));
        let packet = request.from(0x30).packet(&[PLAIN_TYPE, round]);
        device.receive_at(I2C, from, &packet);
        device.receive_at(I2C, from, &REQUEST.from(0x31).packet(&[0, 0x80, 2]));
        device.advance(30);
        assert_eq!(device.transfers(I2C).len(), 2, "round {round}");
    }
    device.read_again(USB);
    device.sent();
    device.assert_echoes(3, 5000);
}

#[test]
fn a_host_that_reads_again_gets_its_control_answer_at_once() {
    let mut device = Device::echoing();
    device.stop_reading(USB);
    let message = echo_message(20_000);
    device.receive_all(&REQUEST.packets(&message, 64));
    device.advance(5000);
    device.receive(&REQUEST.tag(5).packet(&[0, 0x85, 2]));
    device.read_again(USB);
    let transfers = device.transfers(USB);
    // One transfer was with the transport; the answer is the next.
    assert_eq!(Wire::parse(&transfers[1].1[0]).1[0], 0);
    device.assert_echoes(1, 300);
}

#[test]
fn the_link_goes_down_and_up_ten_times_under_load() {
    let mut device = Device::echoing();
    for cycle in 0..10 {
        device.set_speed(USB, 40);
        let message = echo_message(20_000);
        device.receive_all(&REQUEST.packets(&message, 64));
        device.receive_all(&REQUEST.tag(1).packets(&message[..700], 64)[..5]);
        device.advance(50 + cycle);
        device.link_down(USB);
        device.advance(20);
        device.sent();
        device.set_speed(USB, usize::MAX);
        device.link_up(USB);
        assert_eq!(device.sent(), [[0u8; 0]; 0], "nothing from before");
        device.assert_echoes(cycle as u8 % 8, 3000);
    }
    let own = device.endpoint_id(NETWORK);
    assert_eq!(own, Eid(DEVICE));
}
