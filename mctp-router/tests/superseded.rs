//! A requester that gave up and used the tag of its request anew gets the response to the newer
//! request, whole, and no more of the one to the older.

mod support;

use mctp::{AsyncListener, AsyncRespChannel, MsgType};
use mctp_router::{ChannelId, LentMessage, Outgoing, Progress, SendFailure, Service};
use support::shell::Running;
use support::{
    Assembled, Device, ECHO, ECHO_TYPE, HOST, REQUEST, Wire, assemble, config, echo_message,
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

/// A device with both services, and the request A of the host to the one with this payload, taken.
fn asked(payload: &[u8]) -> (Device, [ChannelId; 2], LentMessage<'static>) {
    let (mut device, echo) = Device::echo();
    let plain = device.core.open_listener(PLAIN).unwrap();
    for packet in REQUEST.packets(payload, 64) {
        device.receive(&packet);
    }
    let channel = match payload[0] {
        PLAIN_TYPE => plain,
        _ => echo,
    };
    let lent = device.core.take_message(channel).unwrap();
    (device, [echo, plain], lent)
}

fn respond(lent: &LentMessage<'_>) -> Outgoing {
    lent.response(lent.integrity_check())
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
                let request = |message_type| match message_type {
                    ECHO_TYPE => echo_message(9),
                    plain => vec![plain, 1],
                };
                let (mut device, [echo, plain], older) = asked(&request(first));
                let mut packets = Vec::new();
                let mut response = respond(&older);
                if begun {
                    let sent = device.send(&mut response, &[&body]);
                    assert_eq!(sent, Ok(Progress::Partial));
                    packets.extend(device.sent());
                }
                device.receive(&REQUEST.packet(&request(second)));
                let channel = if second == PLAIN_TYPE { plain } else { echo };
                let newer = device.core.take_message(channel).unwrap();
                let sent = device.send(&mut response, &[&body]);
                assert_eq!(sent, Err(SendFailure::Superseded));
                let answer = &body[..len];
                for (_, sent) in device.send_all(&mut respond(&newer), &[answer]) {
                    packets.extend(sent);
                }
                device.core.give_back(older);
                device.core.give_back(newer);
                let answers = for_the_newer_request(&packets);
                assert_eq!(answers.len(), 1);
                assert_eq!(answers[0].message[0], second);
                assert_eq!(&answers[0].message[1..], answer);
            }
        }
    }
}

#[test]
fn a_control_request_under_the_tag_ends_the_older_response_as_well() {
    let (mut device, _, older) = asked(&echo_message(9));
    let mut response = respond(&older);
    let body = [0x5A; 4000];
    assert_eq!(device.send(&mut response, &[&body]), Ok(Progress::Partial));
    device.sent();
    device.assert_answers_control();
    assert_eq!(device.send(&mut response, &[&body]), Ok(Progress::Partial));
    device.sent();
    // The same tag.
    device.control(REQUEST.to(0), &[0x00, 0x9F, 0x02]);
    assert_eq!(
        device.send(&mut response, &[&body]),
        Err(SendFailure::Superseded)
    );
    device.core.give_back(older);
}

#[test]
fn requests_of_others_and_under_other_tags_end_nothing() {
    let (mut device, [echo, _], older) = asked(&echo_message(9));
    let mut response = respond(&older);
    let mut packets = Vec::new();
    let body = vec![0x5A; 9000];
    for (tag, source) in (1..8)
        .map(|tag| (tag, HOST))
        .chain([(0, 9), (0, 10), (0, 11)])
    {
        assert_eq!(device.send(&mut response, &[&body]), Ok(Progress::Partial));
        packets.extend(device.sent());
        device.receive(&REQUEST.tag(tag).from(source).packet(&echo_message(9)));
        // A response of the host's, to nothing.
        let answer = Wire {
            tag_owner: false,
            ..REQUEST
        };
        device.receive(&answer.packet(&[PLAIN_TYPE, 1]));
        assert!(device.take(echo).is_some());
    }
    for (_, sent) in device.send_all(&mut response, &[&body]) {
        packets.extend(sent);
    }
    device.core.give_back(older);
    assert_eq!(assemble(&packets)[0].message.len(), 9001);
}

#[test]
fn a_newer_request_for_which_there_is_no_buffer_ends_the_older_response_all_the_same() {
    let (mut device, [echo, _], older) = asked(&echo_message(9));
    for tag in [1, 2, 3, 4, 5] {
        device.receive(&REQUEST.tag(tag).packet(&echo_message(9)));
    }
    device.receive(&REQUEST.packet(&echo_message(9)));
    let mut response = respond(&older);
    assert_eq!(
        device.send(&mut response, &[&[1]]),
        Err(SendFailure::Superseded)
    );
    device.core.give_back(older);
    assert!(device.take(echo).is_some());
}

/// Two responders of one listener, in one task: the older one ends, the newer one goes out whole.
#[test]
fn of_two_responders_of_one_listener_the_older_ends() {
    let mut running = Running::new(&config());
    let listener = running.router.listener(PLAIN).unwrap();
    let outcome = running.world.spawn(async move {
        let (mut first, mut second) = (&listener, &listener);
        let (_, _, _, mut first) = first.recv(&mut [0; 10]).await.unwrap();
        let long = vec![1; 9_000];
        let older = first.send(&long);
        let newer = async {
            let (_, _, _, mut second) = second.recv(&mut [0; 10]).await.unwrap();
            second.send(&[2; 500]).await
        };
        embassy_futures::join::join(older, newer).await
    });
    running.usb.set_speed(512);
    running.usb.packet(&REQUEST.packet(&[PLAIN_TYPE, 1]));
    running.world.advance(5);
    running.usb.packet(&REQUEST.packet(&[PLAIN_TYPE, 2]));
    running.world.advance(100);
    let (older, newer) = outcome.take();
    assert!(matches!(older, Err(mctp::Error::Unreachable)));
    assert!(newer.is_ok());
    let answers = for_the_newer_request(&running.usb.sent());
    assert_eq!(
        answers[0].message,
        [vec![PLAIN_TYPE], vec![2; 500]].concat()
    );
    running.serve_echo(ECHO);
    running.usb.packet(&REQUEST.packet(&echo_message(9)));
    running.world.advance(10);
    assert_eq!(assemble(&running.usb.sent())[0].message, echo_message(9));
}
