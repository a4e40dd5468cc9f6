//! A requester that gave up and used the tag of its request anew gets the response to the newer
//! request, whole, and no more of the one to the older.

use mctp::MsgType;
use mctp_router::Service;

use crate::Device;
use crate::support::driver::{Driver, Failure, Served, Taken};
use crate::support::{
    Assembled, ECHO_TYPE, HOST, NETWORK, REQUEST, USB, Wire, assemble, echo_message,
};

const PLAIN_TYPE: u8 = 5;
const PLAIN: Service = Service::message_type(MsgType(PLAIN_TYPE));

/// What a host that took the newer request's tag for that request alone has of `packets`: what came
/// before its response's start is gone.
fn for_the_newer_request(packets: &[Vec<u8>]) -> Vec<Assembled> {
    let starts = |packet: &Vec<u8>| Wire::parse(packet).0.start;
    let newest = packets.iter().rposition(starts).expect("a start packet");
    assemble(&packets[newest..])
}

fn request(message_type: u8) -> Vec<u8> {
    match message_type {
        ECHO_TYPE => echo_message(9),
        plain => vec![plain, 1],
    }
}

/// A device with both services, and the request A of the host to the one of this type, copied.
fn asked(message_type: u8) -> (Device, [Served; 2], Taken) {
    let (mut device, echo) = Device::echo();
    let plain = device.listen(PLAIN).unwrap();
    let taken = ask(&mut device, [echo, plain], message_type);
    (device, [echo, plain], taken)
}

fn ask(device: &mut Device, [echo, plain]: [Served; 2], message_type: u8) -> Taken {
    device.receive(&REQUEST.packet(&request(message_type)));
    let served = if message_type == PLAIN_TYPE {
        plain
    } else {
        echo
    };
    device.copy(served)
}

/// Requests with the same tag to every pair of services, A answered at length and B in one packet or
/// in many, B coming before A's response is begun and while it is being sent.
#[test]
fn the_newer_request_ends_the_older_response_whichever_services_answer() {
    let body = vec![0x5A; 4000];
    for (first, second) in [
        (ECHO_TYPE, ECHO_TYPE),
        (ECHO_TYPE, PLAIN_TYPE),
        (PLAIN_TYPE, ECHO_TYPE),
        (PLAIN_TYPE, PLAIN_TYPE),
    ] {
        for begun in [false, true] {
            for len in [1, 40, 4000] {
                let (mut device, services, older) = asked(first);
                device.stop_reading(USB);
                let before = begun.then(|| device.respond(&older, false, &[&body]));
                assert_eq!(before.and_then(|before| device.outcome(before)), None);
                let newer = ask(&mut device, services, second);
                device.read_again(USB);
                let response = before.unwrap_or_else(|| device.respond(&older, false, &[&body]));
                assert_eq!(device.outcome(response), Some(Err(Failure::Unreachable)));
                let answer = &body[..len];
                let response = device.respond(&newer, false, &[answer]);
                assert_eq!(device.outcome(response), Some(Ok(())));
                let sent = device.sent();
                assert_eq!(begun, sent.len() > len.div_ceil(64) + 1, "of the older");
                let answers = for_the_newer_request(&sent);
                assert_eq!(answers.len(), 1);
                assert_eq!(answers[0].message[0], second);
                assert_eq!(&answers[0].message[1..], answer);
            }
        }
    }
}

#[test]
fn a_control_request_under_the_tag_ends_the_older_response_as_well() {
    let (mut device, _, older) = asked(ECHO_TYPE);
    device.stop_reading(USB);
    let response = device.respond(&older, false, &[&[0x5A; 4000]]);
    let own = device.endpoint_id(NETWORK).0;
    for (tag, ends) in [(6, false), (0, true)] {
        let packet = REQUEST.to(0).tag(tag).packet(&[0x00, 0x9F, 0x02]);
        device.receive(&packet);
        // The one that the transport has, the answer, and the next.
        let transfers = [(); 3].map(|()| device.transfer(USB).unwrap());
        let answer = [0x00, 0x1F, 0x02, 0x00, own, 0x00, 0x00];
        assert_eq!(Wire::parse(&transfers[1].1[0]).1, answer);
        let expected = ends.then_some(Err(Failure::Unreachable));
        assert_eq!(device.outcome(response), expected);
    }
}

#[test]
fn requests_of_others_and_under_other_tags_end_nothing() {
    let (mut device, [echo, _], older) = asked(ECHO_TYPE);
    device.stop_reading(USB);
    let response = device.respond(&older, false, &[&[0x5A; 9000]]);
    let mut packets = Vec::new();
    for (tag, source) in (1..8)
        .map(|tag| (tag, HOST))
        .chain([(0, 9), (0, 10), (0, 11)])
    {
        assert_eq!(device.outcome(response), None);
        packets.extend(device.transfer(USB).unwrap().1);
        device.receive(&REQUEST.tag(tag).from(source).packet(&echo_message(9)));
        // A response of the host's, to nothing.
        let answer = Wire {
            tag_owner: false,
            ..REQUEST
        };
        device.receive(&answer.packet(&[PLAIN_TYPE, 1]));
        assert!(device.take(echo).is_some());
    }
    device.read_again(USB);
    packets.extend(device.sent());
    assert_eq!(device.outcome(response), Some(Ok(())));
    assert_eq!(assemble(&packets)[0].message.len(), 9001);
}

#[test]
fn a_newer_request_for_which_there_is_no_buffer_ends_the_older_response_all_the_same() {
    let (mut device, echo) = Device::echo();
    device.receive(&REQUEST.packet(&echo_message(9)));
    let older = device.lend(echo);
    for tag in [1, 2, 3, 4, 5] {
        device.receive(&REQUEST.tag(tag).packet(&echo_message(9)));
    }
    device.receive(&REQUEST.packet(&echo_message(9)));
    let response = device.respond(&older, false, &[&[1]]);
    assert_eq!(device.outcome(response), Some(Err(Failure::Unreachable)));
    device.give_back(older);
    assert!(device.take(echo).is_some());
}
