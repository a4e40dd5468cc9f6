//! What belongs to one session of a link does not reach the next: who asks after a reset of the
//! link is another one, with the same endpoint ID and the same tags.

use mctp_router::Target;
use mctp_transport::{DropReason, Eid};

use crate::Device;
use crate::support::driver::{Driver, Failure, Question, Taking};
use crate::support::{
    ECHO_TYPE, HOST, I2C, POINT_TO_POINT, REQUEST, USB, Wire, assemble, echo_message,
};

fn reset_link(device: &mut Device) {
    device.link_down(USB);
    device.link_up(USB);
}

#[test]
fn a_message_taken_before_a_reset_is_not_answered_to_the_next_host() {
    for taking in [Taking::InPlace, Taking::Copied] {
        let (mut device, echo) = Device::echo();
        let (old, new) = (echo_message(20), echo_message(30));
        device.receive(&REQUEST.tag(1).packet(&old));
        let taken = device.take_as(echo, taking).unwrap();
        reset_link(&mut device);
        device.receive(&REQUEST.tag(1).packet(&new));
        let late = device.respond(&taken, false, &[taken.bytes()]);
        assert_eq!(device.outcome(late), Some(Err(Failure::Unreachable)));
        device.give_back(taken);
        device.echo_one(echo);
        let sent = assemble(&device.sent());
        assert_eq!(sent.len(), 1, "one answer, to who asked: {sent:?}");
        assert_eq!((sent[0].header.tag, &sent[0].message), (1, &new));
    }
}

#[test]
fn a_message_that_nobody_took_before_a_reset_is_dropped() {
    let (mut device, echo) = Device::echo();
    let by_i2c = echo_message(25);
    device.receive(&REQUEST.packet(&echo_message(20)));
    for packet in REQUEST.tag(1).packets(&echo_message(300), 64) {
        device.receive(&packet);
    }
    let packet = REQUEST.tag(2).packet(&by_i2c);
    device.receive_at(I2C, POINT_TO_POINT, &packet);
    let drops = device.drops_of(|device| device.link_down(USB));
    assert_eq!(drops, [(DropReason::LinkDown, 2)]);
    assert_eq!(device.take(echo).unwrap(), by_i2c, "that of the other link");
    assert_eq!(device.take(echo), None);
    device.link_up(USB);
    device.assert_serves(echo);
}

#[test]
fn what_the_next_peer_sends_answers_no_request_to_the_one_before() {
    let (mut device, _) = Device::echo();
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST));
    let asked = device.ask(Question::new(target, &[ECHO_TYPE, 1, 2]).timeout(1_000));
    let (header, _) = Wire::parse(&device.sent()[0]);
    reset_link(&mut device);
    assert_eq!(device.answers(asked), [Err(Failure::TimedOut)]);
    let response = Wire {
        tag_owner: false,
        ..REQUEST.tag(header.tag)
    };
    let response = response.packet(&[ECHO_TYPE, 3, 4]);
    device.assert_drops(&response, DropReason::UnexpectedResponse);
    assert_eq!(device.answers(asked), []);
}
