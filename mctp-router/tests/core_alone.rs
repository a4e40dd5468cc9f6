//! What only the core shows: what came of each packet, messages that its user sends part by part,
//! transfers and layouts in the hands of a transport, ports that do not exist.

mod support;

use mctp_router::{
    ChannelId, Instant, LentMessage, Outgoing, PortConfig, PortId, Progress, Receipt, RouterCore,
    RouterStorage, SendFailure, Target,
};
use mctp_transport::{DropReason, Eid, TransferLayout};
use support::{
    Device, HOST, POINT_TO_POINT, REQUEST, USB, USB_LAYOUT, Wire, assemble, config, echo_message,
};

#[test]
fn packets_by_a_port_that_does_not_exist_are_dropped() {
    let (mut device, _) = Device::echo();
    let set_endpoint_id = [0, 0x80, 1, 0, 9];
    for payload in [&echo_message(9)[..], &set_endpoint_id] {
        let packet = REQUEST.to(0).packet(payload);
        let receipt = device.receive_at(PortId(9), POINT_TO_POINT, &packet);
        assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
    }
}

#[test]
fn a_response_is_superseded_before_it_is_begun_and_after() {
    for begun in [false, true] {
        let (mut device, taken, mut response) = half_sent(PortConfig::default());
        if !begun {
            response = taken.response(taken.integrity_check());
        }
        device.receive(&REQUEST.packet(&echo_message(9)));
        device.sent();
        let sent = device.send(&mut response, &[taken.bytes()]);
        assert_eq!(sent, Err(SendFailure::Superseded));
    }
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
fn half_a_message_does_not_go_on_after_any_number_of_resets() {
    for resets in (1..=256).chain([65_536]) {
        let (mut device, taken, mut response) = half_sent(PortConfig::default());
        (0..resets).for_each(|_| {
            device.core.link_down(USB);
            device.core.link_up(USB);
        });
        let rest = device.send(&mut response, &[taken.bytes()]);
        assert_eq!(rest, Err(SendFailure::NoLink), "after {resets} resets");
    }
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
    let storage = Box::leak(Box::new(RouterStorage::<1, 512, 2, 2, 4224, 4, 2>::new()));
    let mut core = RouterCore::new(storage, &config());
    core.link_up(USB);
    let packet = REQUEST.to(0).packet(&[0x00, 0x80, 0x02]);
    let receipt = core.receive(Instant::START, USB, POINT_TO_POINT, &packet);
    assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
}

/// A request of the device to the host, which has a second to answer, and its tag.
fn ask(device: &mut Device) -> (ChannelId, u8) {
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST));
    let opened = device
        .core
        .open_request(&target, mctp::MsgType(5), mctp::MsgIC(false));
    let (channel, mut outgoing) = opened.unwrap();
    let sent = device.send_all(&mut outgoing, &[&[1]]);
    device.core.await_response(device.now(), channel, 1000);
    (channel, Wire::parse(&sent[0].1[0]).0.tag)
}

#[test]
fn a_request_that_is_first_after_a_pause_has_its_time_and_no_more() {
    let (mut device, _) = Device::echo();
    // Something that the device must look at, so that the pause is seen.
    device.receive(&REQUEST.packets(&echo_message(100), 64)[0]);
    device.oversleep(60_000);
    let (channel, _) = ask(&mut device);
    device.core.expire(device.now());
    device.advance(999);
    assert!(!device.core.has_expired(channel));
    device.advance(1);
    assert!(device.core.has_expired(channel));
}

#[test]
fn a_request_whose_response_is_read_late_goes_on_waiting_and_takes_a_second_one() {
    let (mut device, _) = Device::echo();
    let (channel, tag) = ask(&mut device);
    let response = Wire {
        tag_owner: false,
        ..REQUEST.tag(tag)
    };
    let receipt = device.receive(&response.packet(&[5, 1]));
    assert_eq!(receipt, Receipt::Delivered(channel));
    // The first wait ends meanwhile.
    device.advance(2000);
    assert_eq!(device.take(channel).unwrap(), [5, 1]);
    device.core.await_response(device.now(), channel, 1000);
    assert!(!device.core.has_expired(channel));
    let receipt = device.receive(&response.packet(&[5, 2]));
    assert_eq!(receipt, Receipt::Delivered(channel));
}

#[test]
fn a_core_that_waits_for_nothing_has_no_deadline() {
    let (mut device, _) = Device::echo();
    assert_eq!(device.core.next_deadline(), Instant::NEVER);
    device.receive(&REQUEST.packets(&echo_message(100), 64)[0]);
    assert_eq!(device.core.next_deadline(), Instant::from_millis(100));
    let drops = device.drops_of(|device| device.advance(6000));
    assert_eq!(drops, [(DropReason::AssemblyTimeout, 1)]);
    assert_eq!(device.core.next_deadline(), Instant::NEVER);
}
