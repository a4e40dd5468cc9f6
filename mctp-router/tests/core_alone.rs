//! What only the core shows: what came of each packet, messages that its user sends part by part,
//! transfers and layouts in the hands of a transport, ports that do not exist.

mod support;

use mctp::{MsgIC, MsgType};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::wire::Version;
use mctp_router::{
    ChannelId, Instant, LentMessage, NetworkId, OpenError, Outbound, Outgoing, PortConfig, PortId,
    Progress, Receipt, RouterCore, RouterStorage, SendFailure, Service, Target, Wakes,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress, Received, SendError, TransferLayout};
use support::bare_core::BareCore;
use support::{
    DEVICE, HOST, I2C, I2C_LAYOUT, NETWORK, POINT_TO_POINT, REQUEST, SentTransfer, USB, USB_LAYOUT,
    Wire, assemble, config, echo_message, route,
};

#[test]
fn packets_by_a_port_that_does_not_exist_are_dropped() {
    let (mut device, _) = BareCore::echo();
    let set_endpoint_id = [0, 0x80, 1, 0, 9];
    for payload in [&echo_message(9)[..], &set_endpoint_id] {
        let packet = REQUEST.to(0).packet(payload);
        let receipt = device.receive_at(PortId(9), POINT_TO_POINT, &packet);
        assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
    }
    let [start, end] = &REQUEST.packets(&echo_message(100), 64)[..] else {
        panic!("two packets");
    };
    assert_eq!(device.receive(start), Receipt::Stored);
    let receipt = device.receive_at(PortId(9), POINT_TO_POINT, end);
    assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
    assert!(matches!(device.receive(end), Receipt::Delivered(_)));
}

#[test]
fn a_response_is_superseded_before_it_is_begun_and_after() {
    for begun in [false, true] {
        let (mut device, taken, mut response) = half_sent(PortConfig::default());
        if !begun {
            response = taken.origin().response(taken.origin().integrity_check());
        }
        device.receive(&REQUEST.packet(&echo_message(9)));
        device.sent();
        let sent = device.send(&mut response, &[taken.bytes()]);
        assert_eq!(sent, Err(SendFailure::Superseded));
    }
}

/// A message that a service has, and a response to it the beginning of which is in transfers.
fn half_sent(config: PortConfig) -> (BareCore, LentMessage<'static>, Outgoing) {
    let (mut device, echo) = BareCore::echo();
    device.core.configure_port(USB, config);
    for packet in REQUEST.packets(&echo_message(2_000), 64) {
        device.receive(&packet);
    }
    let taken = device.core.take_message(echo).unwrap();
    let mut response = taken.origin().response(taken.origin().integrity_check());
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
    let (mut device, taken, mut response) = half_sent(PortConfig::new(247));
    let now = device.now();
    let at_transport = [(); 2].map(|()| device.core.poll_transmit(USB).unwrap());
    device.core.set_layout(USB, with_max_packet(204));
    let rest = device.send(&mut response, &[taken.bytes()]);
    assert_eq!(rest, Err(SendFailure::NoLink), "its beginning was given up");
    for outbound in at_transport {
        device.core.transmit_done(now, USB, outbound, Ok(()));
    }
    let mut again = taken.origin().response(taken.origin().integrity_check());
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
fn a_layout_without_room_that_comes_while_the_transport_has_both_transfers_fails_messages() {
    let (mut device, taken, _) = half_sent(PortConfig::default());
    let now = device.now();
    let at_transport = [(); 2].map(|()| device.core.poll_transmit(USB).unwrap());
    device.core.set_layout(USB, with_max_packet(67));
    for outbound in at_transport {
        device.core.transmit_done(now, USB, outbound, Ok(()));
    }
    let mut again = taken.origin().response(taken.origin().integrity_check());
    let sent = device.send(&mut again, &[taken.bytes()]);
    assert_eq!(sent, Err(SendFailure::NoLink));
}

/// A router with room for two ports in two networks.
fn without_ports() -> RouterCore<'static> {
    type Storage = RouterStorage<
        Ports<'static, 2>,
        Networks<2>,
        ShortMessages<'static, 2>,
        LongMessages<'static, 2, 4224>,
        Channels<'static, 4>,
        Routes<2, 2>,
    >;
    RouterCore::new(Box::leak(Box::new(Storage::new())), &config())
}

fn buffers() -> &'static mut PortBuffers<'static, 512> {
    Box::leak(Box::new(PortBuffers::new()))
}

#[test]
fn ports_are_numbered_as_they_are_added_until_there_is_no_room() {
    let mut core = without_ports();
    let refused = core.add_port(NetworkId(2), buffers()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no network 2: the router has 2, counted from 0"
    );
    assert_eq!(core.add_port(NetworkId(1), buffers()), Ok(USB));
    assert_eq!(core.add_port(NetworkId(1), buffers()), Ok(I2C));
    let refused = core.add_port(NETWORK, buffers()).unwrap_err();
    assert_eq!(refused.to_string(), "the router has room for 2 ports only");
}

#[test]
fn nothing_comes_or_goes_by_a_port_that_was_not_added() {
    let mut core = without_ports();
    assert_eq!(core.add_port(NETWORK, buffers()), Ok(USB));
    core.link_up(I2C);
    assert_eq!(core.poll_event(), None);
    for packet in [
        &REQUEST.to(0).packet(&[0x00, 0x80, 0x02])[..],
        &[1, 0, 8, 0xC8],
    ] {
        let receipt = core.receive(Instant::START, I2C, POINT_TO_POINT, packet);
        assert_eq!(receipt, Receipt::Dropped(DropReason::LinkDown));
    }
    assert!(core.poll_transmit(I2C).is_none());
    assert!(!core.add_route(route(HOST, HOST, I2C, 64)));
    let targets = [
        Target::Neighbour(I2C, POINT_TO_POINT, Eid(HOST)),
        Target::Endpoint(NetworkId(1), Eid(HOST)),
    ];
    for target in targets {
        let opened = core.open_request(&target, MsgType(0x7E), MsgIC(false));
        assert_eq!(opened.unwrap_err(), OpenError::NoPort);
    }
}

/// A request of the device to the host, which has a second to answer, and its tag.
fn ask(device: &mut BareCore) -> (ChannelId, u8) {
    let target = Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST));
    let opened = device.core.open_request(&target, MsgType(5), MsgIC(false));
    let (channel, mut outgoing) = opened.unwrap();
    let sent = device.send_all(&mut outgoing, &[&[1]]);
    device.core.await_response(device.now(), channel, 1000);
    (channel, Wire::parse(&sent[0].1[0]).0.tag)
}

#[test]
fn a_request_that_is_first_after_a_pause_has_its_time_and_no_more() {
    let (mut device, _) = BareCore::echo();
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
    let (mut device, _) = BareCore::echo();
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
    let (mut device, _) = BareCore::echo();
    assert_eq!(device.core.next_deadline(), Instant::NEVER);
    device.receive(&REQUEST.packets(&echo_message(100), 64)[0]);
    assert_eq!(device.core.next_deadline(), Instant::from_millis(100));
    let drops = device.drops_of(|device| device.advance(6000));
    assert_eq!(drops, [(DropReason::AssemblyTimeout, 1)]);
    assert_eq!(device.core.next_deadline(), Instant::NEVER);
}

/// A response to `header`'s sender, who asks by this port from this address.
fn response_by(
    device: &mut BareCore,
    echo: ChannelId,
    header: Wire,
    port: PortId,
    from: PhysicalAddress,
) -> Outgoing {
    let receipt = device.receive_at(port, from, &header.packet(&echo_message(5)));
    assert_eq!(receipt, Receipt::Delivered(echo));
    let lent = device.core.take_message(echo).unwrap();
    let response = lent.origin().response(lent.origin().integrity_check());
    device.core.give_back(lent);
    response
}

fn response(device: &mut BareCore, echo: ChannelId, header: Wire) -> Outgoing {
    response_by(device, echo, header, USB, POINT_TO_POINT)
}

fn packets(transfers: &[SentTransfer]) -> Vec<Vec<u8>> {
    transfers
        .iter()
        .flat_map(|(_, packets)| packets.clone())
        .collect()
}

#[test]
fn messages_to_two_neighbours_do_not_share_a_transfer() {
    let (mut device, echo) = BareCore::echo();
    // A bus with addresses whose transport packs.
    let mut layout = I2C_LAYOUT.with_packs(true);
    layout.max_transfer = 512;
    device.core.set_layout(I2C, layout);
    let [one, other] = [0x10, 0x11].map(PhysicalAddress::from_byte);
    let mut to_one = response_by(&mut device, echo, REQUEST, I2C, one);
    let mut to_other = response_by(&mut device, echo, REQUEST.tag(1), I2C, other);
    assert_eq!(device.send(&mut to_one, &[&[1]]), Ok(Progress::Done));
    let mut transfers = Vec::new();
    while device.send(&mut to_other, &[&[2]]) != Ok(Progress::Done) {
        transfers.extend(device.transfer(I2C));
    }
    transfers.extend(device.transfers(I2C));
    let destinations: Vec<_> = transfers
        .iter()
        .map(|(to, packets)| (*to, packets.len()))
        .collect();
    assert_eq!(destinations, [(one, 1), (other, 1)]);
}

/// A transport may ask for more room around a packet than an answer has. Only the answers that are
/// too long for it suffer.
#[test]
fn an_answer_that_does_not_fit_the_transport_costs_only_itself() {
    const VERSIONS: [Version; 14] = [Version::from_bytes([0xF1, 0xF0, 0xF0, 0]); 14];
    let (mut device, echo) = BareCore::echo();
    let mut roomy = USB_LAYOUT;
    roomy.headroom = 40;
    device.core.set_layout(USB, roomy);
    let service = Service::message_type(MsgType(5)).with_versions(&VERSIONS);
    device.core.open_listener(service).unwrap();
    for _ in 0..5 {
        for _ in 0..4 {
            assert_eq!(
                device.receive(&REQUEST.packet(&[0, 0x80, 2])),
                Receipt::Control
            );
        }
        let refused = device.receive(&REQUEST.packet(&[0, 0x80, 4, 5]));
        assert_eq!(refused, Receipt::Dropped(DropReason::ResponseNotTaken));
        device.sent();
    }
    device.receive(&REQUEST.packet(&[0, 0x80, 2]));
    assert_eq!(device.sent().len(), 1);
    device.assert_serves(echo);
}

#[test]
fn what_is_sent_first_after_a_pause_gets_its_time_limit_and_no_more() {
    let (mut device, echo) = BareCore::echo();
    let mut answers = [1, 2, 3].map(|tag| response(&mut device, echo, REQUEST.tag(tag)));
    // Something that the device must look at, so that the pause is seen.
    device.receive(&REQUEST.packets(&echo_message(100), 64)[0]);
    device.oversleep(60_000);
    let [first, second, third] = &mut answers;
    assert_eq!(device.send(first, &[&[7]]), Ok(Progress::Done));
    device.core.expire(device.now());
    device.advance(5999);
    assert_eq!(device.send(second, &[&[7]]), Ok(Progress::Done));
    device.advance(1);
    assert_eq!(device.send(third, &[&[7]]), Err(SendFailure::Stalled));
}

/// A device whose host took the first transfer of a bulk message never: it is with the transport,
/// and the next is full.
fn stalled() -> (BareCore, ChannelId, Outgoing, Outbound<'static>) {
    let (mut device, echo) = BareCore::echo();
    let mut bulk = response(&mut device, echo, REQUEST);
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    let in_flight = device.core.poll_transmit(USB).unwrap();
    assert_eq!(device.send(&mut bulk, &[&[7; 5000]]), Ok(Progress::Partial));
    (device, echo, bulk, in_flight)
}

#[test]
fn a_layout_that_changes_holds_for_the_transfer_on_its_way_once_it_is_back() {
    let (mut device, echo, _, in_flight) = stalled();
    device.core.set_layout(USB, I2C_LAYOUT);
    device
        .core
        .transmit_done(device.now(), USB, in_flight, Err(SendError::LinkDown));
    for _ in 0..4 {
        let mut outgoing = response(&mut device, echo, REQUEST);
        let message = echo_message(200);
        let transfers = device.send_all(&mut outgoing, &[&message[1..]]);
        assert_eq!(transfers.len(), 4, "one packet each");
        assert_eq!(assemble(&packets(&transfers))[0].message, message);
    }
}

#[test]
fn a_layout_that_changes_ends_a_stall() {
    let (mut device, echo, mut bulk, _in_flight) = stalled();
    device.advance(6000);
    let sent = device.send(&mut bulk, &[&[7; 5000]]);
    assert_eq!(sent, Err(SendFailure::Stalled));
    device.core.set_layout(USB, I2C_LAYOUT);
    let mut answer = response(&mut device, echo, REQUEST);
    assert_eq!(device.send(&mut answer, &[&[1]]), Ok(Progress::Done));
}

#[test]
fn ports_that_do_not_exist_cost_nothing() {
    let (mut device, echo) = BareCore::echo();
    let nowhere = PortId(9);
    device.core.link_up(nowhere);
    device.core.link_down(nowhere);
    assert!(device.core.poll_transmit(nowhere).is_none());
    let target = Target::Neighbour(nowhere, POINT_TO_POINT, Eid(HOST));
    let opened = device.core.open_request(&target, MsgType(5), MsgIC(false));
    assert!(matches!(opened, Err(OpenError::NoPort)));
    device.assert_serves(echo);
}

#[test]
fn a_message_addressed_before_the_layout_shrank_goes_in_packets_that_fit() {
    let (mut device, echo) = BareCore::echo();
    device.set_unit(USB, 247);
    let mut outgoing = response(&mut device, echo, REQUEST);
    device.core.set_layout(USB, with_max_packet(68));
    assert_eq!(device.send(&mut outgoing, &[&[7; 200]]), Ok(Progress::Done));
    let (_, packets) = device.transfer(USB).unwrap();
    let lengths: Vec<usize> = packets.iter().map(Vec::len).collect();
    assert_eq!(lengths, [68, 68, 68, 4 + 201 - 3 * 64]);
    device.assert_serves(echo);
}

#[test]
fn a_transport_too_narrow_for_a_packet_gets_none_and_the_port_stays_usable() {
    let (mut device, echo) = BareCore::echo();
    let mut outgoing = response(&mut device, echo, REQUEST);
    device.core.set_layout(USB, with_max_packet(67));
    assert_eq!(
        device.send(&mut outgoing, &[&[7; 200]]),
        Err(SendFailure::NoLink)
    );
    device.advance(60_000);
    device.core.set_layout(USB, USB_LAYOUT);
    device.assert_serves(echo);
}

fn with_max_packet(max_packet: u16) -> TransferLayout {
    let mut layout = USB_LAYOUT;
    layout.max_packet = max_packet;
    layout
}

#[test]
fn a_layout_without_room_for_the_baseline_unit_fails_each_message_and_is_counted() {
    let (mut device, echo) = BareCore::echo();
    device.core.set_layout(USB, with_max_packet(67));
    let mut outgoing = response(&mut device, echo, REQUEST);
    let drops = device.drops_of(|device| {
        let sent = device.send(&mut outgoing, &[&[0; 100]]);
        assert_eq!(sent, Err(SendFailure::NoLink));
    });
    assert_eq!(drops, [(DropReason::UnsupportedTransmissionUnit, 1)]);
}

#[test]
fn the_routes_of_a_network_are_those_of_its_ports() {
    let mut core = without_ports();
    for (port, network) in [(USB, 0), (I2C, 1)] {
        assert_eq!(core.add_port(NetworkId(network), buffers()), Ok(port));
    }
    let in_first = route(0x20, 0x20, USB, 64);
    let in_second = route(0x20, 0x20, I2C, 64);
    assert!(core.add_route(in_first) && core.add_route(in_second));
    let routes = |network| core.routes(NetworkId(network)).collect::<Vec<_>>();
    assert_eq!(routes(0), [&in_first]);
    assert_eq!(routes(1), [&in_second]);
}

/// A device both of whose long buffers are with its service, and the start of a third message.
fn both_lent() -> (BareCore, [LentMessage<'static>; 2], Vec<Vec<u8>>) {
    let (mut device, echo) = BareCore::echo();
    device.core.set_can_wait(USB, true);
    let lent = [1, 2].map(|tag| {
        for packet in REQUEST.tag(tag).packets(&echo_message(100), 64) {
            device.receive(&packet);
        }
        device.core.take_message(echo).unwrap()
    });
    let third = REQUEST.tag(3).packets(&echo_message(100), 64);
    (device, lent, third)
}

#[test]
fn a_packet_that_was_held_back_is_offered_again_when_the_core_says_so() {
    let (mut device, [first, second], third) = both_lent();
    let drops = device.drops_of(|device| {
        assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
        assert!(device.core.is_held_back(USB));
        device.core.take_wakes();
        assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
        device.core.give_back(first);
        assert_eq!(device.core.take_wakes(), Wakes::HeldBack);
        assert!(!device.core.is_held_back(USB));
        assert_eq!(device.receive(&third[0]), Receipt::Stored);
        assert!(matches!(device.receive(&third[1]), Receipt::Delivered(_)));
        device.core.give_back(second);
        assert_eq!(device.core.take_wakes(), Wakes::Nobody);
    });
    assert_eq!(drops, []);
}

#[test]
fn the_end_of_the_hold_time_is_a_deadline() {
    let (mut device, _lent, third) = both_lent();
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
    device.advance(100);
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
    assert_eq!(device.core.next_deadline(), Instant::from_millis(200));
    device.advance(100);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
    device.advance(1_000);
    assert_eq!(device.core.next_deadline(), Instant::NEVER, "nothing waits");
}

#[test]
fn a_physical_broadcast_is_for_the_endpoint_id_and_not_for_the_physical_address() {
    let (mut device, echo) = BareCore::echo();
    let get_endpoint_id = [0, 0x80, 0x02];
    let received = |device: &mut BareCore, destination, message: &[u8]| {
        let bytes = Wire {
            destination,
            ..REQUEST
        }
        .packet(message);
        let source = PhysicalAddress::from_byte(0x10);
        let received = Received::Broadcast {
            source,
            bytes: &bytes,
        };
        device.core.received(device.now(), I2C, received).unwrap()
    };
    let not_ours = Receipt::Dropped(DropReason::NotOurDestination);
    assert_eq!(
        received(&mut device, 0xFF, &get_endpoint_id),
        Receipt::Control
    );
    assert_eq!(
        received(&mut device, DEVICE, &get_endpoint_id),
        Receipt::Control
    );
    assert_eq!(received(&mut device, 0, &get_endpoint_id), not_ours);
    assert_eq!(
        received(&mut device, DEVICE + 1, &get_endpoint_id),
        not_ours
    );
    assert_eq!(
        received(&mut device, DEVICE, &echo_message(9)),
        Receipt::Delivered(echo)
    );
    assert_eq!(received(&mut device, 0, &echo_message(9)), not_ours);
    let cut = Received::Broadcast {
        source: PhysicalAddress::from_byte(0x10),
        bytes: &[1, 0xFF],
    };
    let receipt = device.core.received(device.now(), I2C, cut);
    assert_eq!(receipt, Some(Receipt::Dropped(DropReason::Truncated)));
    // Without an endpoint ID it is known by its physical address alone, which a broadcast has not.
    let (mut device, _) = BareCore::echo();
    device.core = {
        let mut core = without_ports();
        for layout in [USB_LAYOUT, I2C_LAYOUT] {
            let port = core.add_port(NetworkId(0), buffers()).unwrap();
            core.set_layout(port, layout);
            core.link_up(port);
        }
        core
    };
    assert_eq!(received(&mut device, DEVICE, &get_endpoint_id), not_ours);
    assert_eq!(
        received(&mut device, 0xFF, &get_endpoint_id),
        Receipt::Control
    );
}

#[test]
fn the_rest_of_a_request_that_was_not_acknowledged_is_not_sent() {
    let (mut device, _) = BareCore::echo();
    let neighbour = PhysicalAddress::from_byte(0x20);
    let target = Target::Neighbour(I2C, neighbour, Eid(HOST));
    let opened = device.core.open_request(&target, MsgType(5), MsgIC(false));
    let (channel, mut outgoing) = opened.unwrap();
    let message = [7; 3000];
    let now = device.now();
    let sent = device.core.send(now, &mut outgoing, &[&message]);
    assert_eq!(sent, Ok(Progress::Partial));
    let first = device.core.poll_transmit(I2C).unwrap();
    let refused = Err(SendError::NotAccepted);
    device.core.transmit_done(now, I2C, first, refused);
    let sent = device.core.send(now, &mut outgoing, &[&message]);
    assert_eq!(sent, Err(SendFailure::NoLink));
    assert!(device.core.is_refused(channel));
}

// When what was sent is out.

/// Puts the echo of a message with this tag into transfers.
fn answer(device: &mut BareCore, echo: ChannelId, tag: u8) {
    device.receive(&REQUEST.tag(tag).packet(&echo_message(9)));
    let taken = device.core.take_message(echo).unwrap();
    let mut response = taken.origin().response(taken.origin().integrity_check());
    let sent = device.send(&mut response, &[taken.bytes()]);
    assert_eq!(sent, Ok(Progress::Done));
    device.core.give_back(taken);
}

#[test]
fn what_is_watched_is_sent_when_it_is_out_whatever_comes_behind_it_or_overtakes_it() {
    let (mut device, echo) = BareCore::echo();
    let now = device.now();
    device.core.set_layout(USB, USB_LAYOUT.with_packs(false));
    assert!(device.core.is_sent(USB), "nobody asked");
    device.core.watch_sent(USB);
    assert!(device.core.is_sent(USB), "nothing waits");

    // One is with the transport, one waits.
    answer(&mut device, echo, 0);
    let first = device.core.poll_transmit(USB).unwrap();
    answer(&mut device, echo, 1);
    device.core.watch_sent(USB);
    assert!(!device.core.is_sent(USB));
    device.core.transmit_done(now, USB, first, Ok(()));
    answer(&mut device, echo, 2);
    device.receive(&REQUEST.to(0).packet(&[0, 0x80, 2]));
    assert!(device.transfer(USB).is_some(), "the control response");
    assert!(!device.core.is_sent(USB));
    let second = device.core.poll_transmit(USB).unwrap();
    assert!(!device.core.is_sent(USB), "it is on its way");
    device.core.transmit_done(now, USB, second, Ok(()));
    assert!(device.core.is_sent(USB));
    assert!(device.transfer(USB).is_some(), "what was sent later");
}

#[test]
fn what_is_watched_is_sent_when_it_is_given_up() {
    for refused in [SendError::NotAccepted, SendError::LinkDown] {
        let (mut device, echo) = BareCore::echo();
        answer(&mut device, echo, 0);
        device.core.watch_sent(USB);
        let outbound = device.core.poll_transmit(USB).unwrap();
        let now = device.now();
        device.core.transmit_done(now, USB, outbound, Err(refused));
        assert!(device.core.is_sent(USB));
    }
    let give_up: [fn(&mut RouterCore<'_>); 2] = [
        |core| core.link_down(USB),
        |core| core.set_layout(USB, USB_LAYOUT),
    ];
    for give_up in give_up {
        let (mut device, echo) = BareCore::echo();
        answer(&mut device, echo, 0);
        device.core.watch_sent(USB);
        assert!(!device.core.is_sent(USB));
        give_up(&mut device.core);
        assert!(device.core.is_sent(USB));
    }
    let (mut device, _) = BareCore::echo();
    device.core.watch_sent(PortId(9));
    assert!(device.core.is_sent(PortId(9)), "there is no such port");
}

#[test]
fn a_control_response_waits_for_the_layout_of_its_port() {
    for layout in [USB_LAYOUT, I2C_LAYOUT] {
        let (mut device, _) = BareCore::echo();
        device.core = without_ports();
        let port = device.core.add_port(NetworkId(0), buffers()).unwrap();
        device.core.link_up(port);
        let drops = device.drops_of(|device| {
            for tag in 0..3 {
                let request = REQUEST.to(0).tag(tag).packet(&[0, 0x80 | tag, 2]);
                assert_eq!(device.receive(&request), Receipt::Control);
                assert!(device.core.poll_transmit(port).is_none());
            }
            device.core.set_layout(port, layout);
        });
        assert_eq!(drops, []);
        let outbound = device.core.poll_transmit(port).unwrap();
        assert_eq!(outbound.transfer.layout().headroom, layout.headroom);
        assert_eq!(outbound.transfer.layout().tailroom, layout.tailroom);
        let response = outbound.transfer.packets().next().unwrap().to_vec();
        assert_eq!(response[3..7], [0xC0, 0, 0, 2]);
        let now = device.now();
        device.core.transmit_done(now, port, outbound, Ok(()));
        let tags = device.sent().into_iter().map(|response| response[5]);
        assert_eq!(tags.collect::<Vec<_>>(), [1, 2], "in their order");
    }
}

#[test]
fn a_control_response_for_which_the_first_layout_has_no_room_is_counted() {
    let (mut device, _) = BareCore::echo();
    device.core = without_ports();
    let port = device.core.add_port(NetworkId(0), buffers()).unwrap();
    device.core.link_up(port);
    let request = REQUEST.to(0).packet(&[0, 0x80, 2]);
    assert_eq!(device.receive(&request), Receipt::Control);
    let drops = device.drops_of(|device| device.core.set_layout(port, with_max_packet(8)));
    assert_eq!(drops, [(DropReason::LinkDown, 1)]);
    assert!(device.core.poll_transmit(port).is_none());
}
