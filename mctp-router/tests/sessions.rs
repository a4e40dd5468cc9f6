//! What belongs to one session of a link does not reach the next: who asks after a reset of the
//! link is another one, with the same endpoint ID and the same tags.

mod support;

use mctp_router::{LentMessage, Outgoing, PortConfig, Progress, Receipt, SendFailure, Target};
use mctp_transport::{DropReason, Eid, TransferLayout};
use support::{
    Device, ECHO_TYPE, HOST, POINT_TO_POINT, REQUEST, USB, USB_LAYOUT, Wire, assemble, config,
    echo_message,
};

fn reset_link(device: &mut Device) {
    device.core.link_down(USB);
    device.core.link_up(USB);
}

/// A message that a service has, and a response to it the beginning of which is in transfers.
fn half_sent(config: PortConfig) -> (Device, LentMessage<'static>, Outgoing) {
    let (mut device, echo) = Device::echo();
    device.core.configure_port(USB, config);
    for packet in REQUEST.packets(&echo_message(2_000), 64) {
        device.receive(&packet);
    }
    let taken = device.core.take_message(echo).unwrap();
    let mut response = taken.response(taken.integrity_check());
    let begun = device.send(&mut response, &[taken.bytes()]);
    assert_eq!(begun, Ok(Progress::Partial));
    (device, taken, response)
}

#[test]
fn a_message_taken_before_a_reset_is_not_answered_to_the_next_host() {
    let (mut device, echo) = Device::echo();
    let (old, new) = (echo_message(20), echo_message(30));
    device.receive(&REQUEST.tag(1).packet(&old));
    let taken = device.core.take_message(echo).unwrap();
    let mut before = taken.response(taken.integrity_check());
    reset_link(&mut device);
    device.receive(&REQUEST.tag(1).packet(&new));
    let mut after = taken.response(taken.integrity_check());
    for late in [&mut before, &mut after] {
        let sent = device.send(late, &[taken.bytes()]);
        assert_eq!(sent, Err(SendFailure::NoLink));
    }
    device.core.give_back(taken);
    device.echo_one(echo);
    let sent = assemble(&device.sent());
    assert_eq!(sent.len(), 1, "one answer, to who asked: {sent:?}");
    assert_eq!((sent[0].header.tag, &sent[0].message), (1, &new));
}

#[test]
fn a_message_that_nobody_took_before_a_reset_is_dropped() {
    let (mut device, echo) = Device::echo();
    let by_i2c = echo_message(25);
    device.receive(&REQUEST.packet(&echo_message(20)));
    let packets = REQUEST.tag(1).packets(&echo_message(300), 64);
    for packet in &packets {
        device.receive(packet);
    }
    let packet = REQUEST.tag(2).packet(&by_i2c);
    device.receive_at(support::I2C, POINT_TO_POINT, &packet);
    let drops = device.drops_of(|device| device.core.link_down(USB));
    assert_eq!(drops, [(DropReason::LinkDown, 2)]);
    assert_eq!(device.take(echo).unwrap(), by_i2c, "that of the other link");
    assert_eq!(device.take(echo), None);
    device.core.link_up(USB);
    device.assert_serves(echo);
}

#[test]
fn half_a_message_does_not_go_on_after_any_number_of_resets() {
    for resets in (1..=256).chain([65_536]) {
        let (mut device, taken, mut response) = half_sent(PortConfig::default());
        (0..resets).for_each(|_| reset_link(&mut device));
        let rest = device.send(&mut response, &[taken.bytes()]);
        assert_eq!(rest, Err(SendFailure::NoLink), "after {resets} resets");
    }
}

#[test]
fn what_the_next_peer_sends_answers_no_request_to_the_one_before() {
    let (mut device, _) = Device::echo();
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST));
    let opened = device
        .core
        .open_request(&target, mctp::MsgType(ECHO_TYPE), mctp::MsgIC(false));
    let (channel, mut request) = opened.unwrap();
    assert_eq!(device.send(&mut request, &[&[1, 2]]), Ok(Progress::Done));
    device.core.await_response(device.now(), channel, 1_000);
    let (asked, _) = Wire::parse(&device.sent()[0]);
    reset_link(&mut device);
    assert!(device.core.has_expired(channel));
    let response = Wire {
        tag_owner: false,
        ..REQUEST.tag(asked.tag)
    };
    let receipt = device.receive(&response.packet(&[ECHO_TYPE, 3, 4]));
    assert_eq!(receipt, Receipt::Dropped(DropReason::UnexpectedResponse));
    assert!(!device.core.has_message(channel));
}

#[test]
fn a_layout_that_comes_while_the_transport_has_both_transfers_counts() {
    let (mut device, taken, mut response) = half_sent(PortConfig {
        unit: 247,
        ..Default::default()
    });
    let now = device.now();
    let at_transport = [(); 2].map(|()| device.core.poll_transmit(USB).unwrap());
    let shorter = TransferLayout {
        max_packet: 204,
        ..USB_LAYOUT
    };
    device.core.set_layout(USB, shorter);
    let rest = device.send(&mut response, &[taken.bytes()]);
    assert_eq!(rest, Err(SendFailure::NoLink), "its beginning was given up");
    for outbound in at_transport {
        device.core.transmit_done(now, USB, outbound, Ok(()));
    }
    let mut again = taken.response(taken.integrity_check());
    let transfers = device.send_all(&mut again, &[taken.bytes()]);
    let packets: Vec<_> = transfers
        .into_iter()
        .flat_map(|(_, packets)| packets)
        .collect();
    let units = &assemble(&packets)[0].units;
    assert_eq!(
        units[0], 200,
        "as much as the new layout carries: {units:?}"
    );
}

#[test]
fn a_control_answer_before_the_transport_is_seen_has_no_link() {
    let storage = Box::leak(Box::new(mctp_router::RouterStorage::<
        1,
        512,
        2,
        2,
        4224,
        4,
        2,
    >::new()));
    let mut core = mctp_router::RouterCore::new(storage, &config());
    core.link_up(USB);
    let packet = REQUEST.to(0).packet(&[0x00, 0x80, 0x02]);
    let receipt = core.receive(mctp_router::Instant::START, USB, POINT_TO_POINT, &packet);
    assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
}
