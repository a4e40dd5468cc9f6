//! A bridge forwards packets by its routing table (DSP0236 1.3.3, sections 8.3, 8.7 and 9.6).

mod support;

use std::collections::VecDeque;

use mctp_router::storage::{
    Channels, ForwardingBuffer, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{
    ChannelId, ForwardError, ForwardedPacket, ForwardingFilter, Instant, NetworkId, PortId,
    Progress, Receipt, Route, RouterCore, RouterStorage, Wakes,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress, SendError};
use support::{
    DEVICE, ECHO, HOST, I2C_LAYOUT, NETWORK, POINT_TO_POINT, REQUEST, SentTransfer, USB,
    USB_LAYOUT, Wire, assemble, config, echo_message,
};

/// Two buses behind the bridge.
const BUS_A: PortId = PortId(1);
const BUS_B: PortId = PortId(2);
const PORTS: [PortId; 3] = [USB, BUS_A, BUS_B];

/// Two drives on bus A, one on bus B: endpoint IDs and physical addresses.
const DRIVE: u8 = 20;
const OTHER_DRIVE: u8 = 21;
const FAR_DRIVE: u8 = 30;
const DRIVE_ADDRESS: PhysicalAddress = PhysicalAddress::from_byte(0x1D);
const OTHER_DRIVE_ADDRESS: PhysicalAddress = PhysicalAddress::from_byte(0x1E);
const FAR_DRIVE_ADDRESS: PhysicalAddress = PhysicalAddress::from_byte(0x1D);

/// A bridge of endpoint ID [`DEVICE`] with the host on USB and an echo service of its own. The
/// neighbour on USB can wait, those on the buses cannot.
struct Bridge {
    core: RouterCore<'static>,
    echo: ChannelId,
    now: u64,
}

fn route_to(endpoint_id: u8, port: PortId, address: PhysicalAddress) -> Route {
    Route::new(Eid(endpoint_id), Eid(endpoint_id), port, address)
}

impl Bridge {
    fn new() -> Self {
        let storage = Box::new(RouterStorage::<
            Ports<4>,
            Networks<2>,
            ShortMessages<4>,
            LongMessages<2, 4224>,
            Channels<8>,
            Routes<200>,
        >::new());
        let mut core = RouterCore::new(Box::leak(storage), &config());
        for port in PORTS {
            let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
            assert_eq!(core.add_port(NETWORK, buffers), Ok(port));
            let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
            assert_eq!(core.forward_by(port, buffer), Ok(()));
            core.set_layout(port, if port == USB { USB_LAYOUT } else { I2C_LAYOUT });
            core.set_can_wait(port, port == USB);
            core.link_up(port);
        }
        assert!(core.set_endpoint_id(NETWORK, Eid(DEVICE)));
        for route in [
            route_to(HOST, USB, POINT_TO_POINT),
            route_to(DRIVE, BUS_A, DRIVE_ADDRESS),
            route_to(OTHER_DRIVE, BUS_A, OTHER_DRIVE_ADDRESS),
            route_to(FAR_DRIVE, BUS_B, FAR_DRIVE_ADDRESS),
        ] {
            assert!(core.add_route(route));
        }
        let echo = core.open_listener(ECHO).unwrap();
        while core.poll_event().is_some() {}
        core.take_wakes();
        Self { core, echo, now: 0 }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn receive(&mut self, port: PortId, from: PhysicalAddress, packet: &[u8]) -> Receipt {
        self.core.receive(self.now(), port, from, packet)
    }

    /// From the host.
    fn down(&mut self, packet: &[u8]) -> Receipt {
        self.receive(USB, POINT_TO_POINT, packet)
    }

    /// From the drive.
    fn up(&mut self, packet: &[u8]) -> Receipt {
        self.receive(BUS_A, DRIVE_ADDRESS, packet)
    }

    fn advance(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.core.next_deadline().as_millis() <= end {
            self.now = self.core.next_deadline().as_millis().max(self.now);
            self.core.expire(self.now());
        }
        self.now = end;
    }

    fn transfer(&mut self, port: PortId) -> Option<SentTransfer> {
        let outbound = self.core.poll_transmit(port)?;
        let packets = outbound.transfer.packets().map(<[u8]>::to_vec).collect();
        let sent = (outbound.transfer.destination(), packets);
        self.core.transmit_done(self.now(), port, outbound, Ok(()));
        Some(sent)
    }

    fn transfers(&mut self, port: PortId) -> Vec<SentTransfer> {
        std::iter::from_fn(|| self.transfer(port)).collect()
    }

    fn packets(&mut self, port: PortId) -> Vec<Vec<u8>> {
        let transfers = self.transfers(port).into_iter();
        transfers.flat_map(|(_, packets)| packets).collect()
    }

    #[track_caller]
    fn assert_drops(
        &mut self,
        (port, from): (PortId, PhysicalAddress),
        packet: &[u8],
        reason: DropReason,
    ) {
        let before = self.core.drop_counters().clone();
        assert_eq!(self.receive(port, from, packet), Receipt::Dropped(reason));
        assert_eq!(self.core.drop_counters().of(reason), before.of(reason) + 1);
        assert_eq!(self.core.drop_counters().total(), before.total() + 1);
        for port in PORTS {
            assert_eq!(self.transfers(port), [], "nothing is sent for it");
        }
    }

    /// Fills a bus until it takes no more; returns how many packets that took.
    fn fill(&mut self, packet: &[u8]) -> usize {
        let taken = (0..100).take_while(|_| self.down(packet) != Receipt::HeldBack);
        taken.count()
    }
}

fn to(destination: u8) -> Wire {
    REQUEST.to(destination)
}

/// A response of an endpoint to the host.
fn response_of(source: u8) -> Wire {
    Wire {
        tag_owner: false,
        ..REQUEST.to(HOST).from(source)
    }
}

#[test]
fn a_packet_goes_on_byte_for_byte_to_the_physical_address_of_its_route() {
    let mut bridge = Bridge::new();
    for len in [1, 2, 63, 64, 65, 247] {
        for header in [
            to(DRIVE),
            to(DRIVE).first(),
            to(DRIVE).middle(2),
            to(DRIVE).last(3).tag(5),
        ] {
            let packet = Wire {
                version: 0xF1,
                ..header
            }
            .packet(&echo_message(250)[..len]);
            assert_eq!(bridge.down(&packet), Receipt::Forwarded(BUS_A));
            assert_eq!(bridge.transfers(BUS_A), [(DRIVE_ADDRESS, vec![packet])]);
        }
    }
    let packet = to(FAR_DRIVE).packet(&[5]);
    assert_eq!(
        bridge.up(&packet),
        Receipt::Forwarded(BUS_B),
        "from one bus to another"
    );
    assert_eq!(bridge.transfers(BUS_B), [(FAR_DRIVE_ADDRESS, vec![packet])]);
    let packet = to(OTHER_DRIVE).from(DRIVE).packet(&[5]);
    assert_eq!(
        bridge.up(&packet),
        Receipt::Forwarded(BUS_A),
        "to another device of the bus"
    );
    assert_eq!(
        bridge.transfers(BUS_A),
        [(OTHER_DRIVE_ADDRESS, vec![packet])]
    );
    let packet = response_of(DRIVE).packet(&[5, 6]);
    assert_eq!(bridge.up(&packet), Receipt::Forwarded(USB));
    assert_eq!(bridge.transfers(USB), [(POINT_TO_POINT, vec![packet])]);
    assert_eq!(bridge.core.packets_forwarded(USB), 24);
    assert_eq!(bridge.core.packets_forwarded(BUS_A), 3);
    assert_eq!(bridge.core.drop_counters().total(), 0);
    assert_eq!(
        bridge.core.messages_accepted(),
        0,
        "a bridge assembles none of them"
    );
}

#[test]
fn packets_for_several_endpoints_share_a_transfer_where_the_transport_packs() {
    let mut bridge = Bridge::new();
    let sent: Vec<_> = (0..5)
        .map(|tag| response_of(DRIVE).tag(tag).packet(&[0; 64]))
        .collect();
    for packet in &sent {
        assert_eq!(bridge.up(packet), Receipt::Forwarded(USB));
    }
    assert_eq!(bridge.transfers(USB), [(POINT_TO_POINT, sent)]);
}

#[test]
fn control_requests_for_others_go_on_and_those_for_the_bridge_are_answered() {
    let mut bridge = Bridge::new();
    let get_endpoint_id = [0, 0x80, 2];
    let packet = to(DRIVE).packet(&get_endpoint_id);
    assert_eq!(bridge.down(&packet), Receipt::Forwarded(BUS_A));
    assert_eq!(bridge.packets(BUS_A), [packet]);
    for own in [0, DEVICE, 0xFF] {
        assert_eq!(
            bridge.down(&to(own).packet(&get_endpoint_id)),
            Receipt::Control
        );
        assert_eq!(bridge.packets(USB).len(), 1);
    }
}

#[test]
fn what_has_no_destination_or_no_source_is_not_forwarded() {
    let mut bridge = Bridge::new();
    // A route for them makes no difference.
    for endpoint_id in [0, 0xFF] {
        bridge
            .core
            .add_route(route_to(endpoint_id, BUS_A, DRIVE_ADDRESS));
    }
    let from_host = (USB, POINT_TO_POINT);
    let unserved = [5];
    bridge.assert_drops(
        from_host,
        &to(0).packet(&unserved),
        DropReason::UnsupportedMessageType,
    );
    bridge.assert_drops(
        from_host,
        &to(0xFF).packet(&unserved),
        DropReason::NotOurDestination,
    );
    let null_source = to(DRIVE).from(0).packet(&unserved);
    bridge.assert_drops(from_host, &null_source, DropReason::NotOurDestination);
    let null_source = to(DRIVE).from(0).packet(&[0, 0x80, 2]);
    bridge.assert_drops(from_host, &null_source, DropReason::NotOurDestination);
}

#[test]
fn what_cannot_go_on_is_discarded_under_its_name() {
    let mut bridge = Bridge::new();
    let from_host = (USB, POINT_TO_POINT);
    let message = [5, 6, 7];
    bridge.assert_drops(
        from_host,
        &to(99).packet(&message),
        DropReason::UnroutableDestination,
    );
    let own = to(DRIVE).from(DEVICE).packet(&message);
    bridge.assert_drops(from_host, &own, DropReason::ForwardingLoop);
    let back = to(DRIVE).packet(&message);
    bridge.assert_drops((BUS_A, DRIVE_ADDRESS), &back, DropReason::ForwardingLoop);
    let too_long = response_of(DRIVE).packet(&[0; 248]);
    let reason = DropReason::UnsupportedTransmissionUnit;
    bridge.assert_drops((BUS_A, DRIVE_ADDRESS), &too_long, reason);
    let bad_version = Wire {
        version: 2,
        ..to(DRIVE)
    }
    .packet(&message);
    bridge.assert_drops(
        from_host,
        &bad_version,
        DropReason::UnsupportedHeaderVersion,
    );
    let bad_source = to(DRIVE).from(7).packet(&message);
    bridge.assert_drops(from_host, &bad_source, DropReason::InvalidSource);
    bridge.core.link_down(BUS_A);
    let down = to(DRIVE).packet(&message);
    bridge.assert_drops(from_host, &down, DropReason::ForwardingLinkDown);
    assert!(bridge.core.remove_route(NETWORK, Eid(DRIVE), Eid(DRIVE)));
    bridge.assert_drops(from_host, &down, DropReason::UnroutableDestination);
}

#[test]
fn a_port_that_does_not_forward_neither_takes_nor_gives() {
    let mut bridge = Bridge::new();
    let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
    let plain = bridge.core.add_port(NETWORK, buffers).unwrap();
    bridge.core.set_layout(plain, USB_LAYOUT);
    bridge.core.link_up(plain);
    bridge.core.add_route(route_to(40, plain, POINT_TO_POINT));
    let reason = DropReason::UnroutableDestination;
    bridge.assert_drops((USB, POINT_TO_POINT), &to(40).packet(&[5]), reason);
    let reason = DropReason::NotOurDestination;
    bridge.assert_drops((plain, POINT_TO_POINT), &to(DRIVE).packet(&[5]), reason);
}

#[test]
fn nothing_goes_from_one_network_to_another() {
    let mut bridge = Bridge::new();
    let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
    let apart = bridge.core.add_port(NetworkId(1), buffers).unwrap();
    let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
    assert_eq!(bridge.core.forward_by(apart, buffer), Ok(()));
    bridge.core.set_layout(apart, USB_LAYOUT);
    bridge.core.link_up(apart);
    assert!(bridge.core.set_endpoint_id(NetworkId(1), Eid(DEVICE)));
    let reason = DropReason::UnroutableDestination;
    bridge.assert_drops((apart, POINT_TO_POINT), &to(DRIVE).packet(&[5]), reason);
}

#[test]
fn a_bridge_without_an_endpoint_id_forwards_what_it_has_a_route_for() {
    let mut bridge = Bridge::new();
    let storage = Box::leak(Box::new(RouterStorage::<
        Ports<2>,
        Networks<1>,
        ShortMessages<4>,
        LongMessages<2, 4224>,
        Channels<8>,
        Routes<4>,
    >::new()));
    bridge.core = RouterCore::new(storage, &config());
    for port in [USB, BUS_A] {
        let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
        bridge.core.add_port(NETWORK, buffers).unwrap();
        let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
        bridge.core.forward_by(port, buffer).unwrap();
        bridge.core.set_layout(port, USB_LAYOUT);
        bridge.core.link_up(port);
    }
    bridge.core.add_route(route_to(DRIVE, BUS_A, DRIVE_ADDRESS));
    assert_eq!(
        bridge.down(&to(DRIVE).packet(&[5])),
        Receipt::Forwarded(BUS_A)
    );
    // Of an endpoint without an ID, the physical address says who is meant.
    assert_eq!(bridge.down(&to(77).packet(&[0, 0x80, 2])), Receipt::Control);
}

#[test]
fn ports_and_buffers_that_do_not_fit_are_refused() {
    let mut bridge = Bridge::new();
    let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
    assert_eq!(
        bridge.core.forward_by(PortId(9), buffer),
        Err(ForwardError::NoPort)
    );
    let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
    let port = bridge.core.add_port(NETWORK, buffers).unwrap();
    let buffer = Box::leak(Box::new(ForwardingBuffer::<511>::new()));
    let error = ForwardError::BufferTooShort {
        len: 511,
        wanted: 512,
    };
    assert_eq!(bridge.core.forward_by(port, buffer), Err(error));
    assert_eq!(
        error.to_string(),
        "the buffer has 511 bytes, the others of the port 512"
    );
    assert!(!bridge.core.filter_forwarding(port, &Firewall));
    // Four channels are in use: three ports and the echo service.
    for message_type in 1..=4 {
        let service = mctp_router::Service::message_type(mctp::MsgType(message_type));
        bridge.core.open_listener(service).unwrap();
    }
    let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
    assert_eq!(
        bridge.core.forward_by(port, buffer),
        Err(ForwardError::NoChannel)
    );
}

/// Lets only the host ask, and only NVMe-MI.
#[derive(Debug)]
struct Firewall;

impl ForwardingFilter for Firewall {
    fn allows(&self, packet: &ForwardedPacket) -> bool {
        assert_eq!((packet.from, packet.to), (USB, BUS_A));
        let is_allowed = |message_type: mctp::MsgType| message_type.0 == 4;
        packet.source == Eid(HOST) && packet.message_type.is_none_or(is_allowed)
    }
}

#[test]
fn a_filter_is_asked_about_what_came_by_its_port() {
    let mut bridge = Bridge::new();
    assert!(bridge.core.filter_forwarding(USB, &Firewall));
    let (nvme_mi, other) = ([0x84, 1], [0x85, 1]);
    assert_eq!(
        bridge.down(&to(DRIVE).packet(&nvme_mi)),
        Receipt::Forwarded(BUS_A)
    );
    assert_eq!(
        bridge.down(&to(DRIVE).last(1).packet(&other)),
        Receipt::Forwarded(BUS_A)
    );
    bridge.transfers(BUS_A);
    let reason = DropReason::ForwardingRefused;
    bridge.assert_drops((USB, POINT_TO_POINT), &to(DRIVE).packet(&other), reason);
    let stranger = to(DRIVE).from(77).packet(&nvme_mi);
    bridge.assert_drops((USB, POINT_TO_POINT), &stranger, reason);
    assert_eq!(
        bridge.up(&response_of(DRIVE).packet(&other)),
        Receipt::Forwarded(USB)
    );
    // It is not asked about what is for the bridge itself.
    assert_eq!(
        bridge.down(&to(DEVICE).packet(&[0, 0x80, 2])),
        Receipt::Control
    );
}

#[test]
fn a_neighbour_that_can_wait_is_held_back_and_nothing_is_lost_or_overtaken() {
    let mut bridge = Bridge::new();
    let packets = to(DRIVE).packets(&echo_message(4_000), 64);
    let mut arrived = Vec::new();
    for packet in &packets {
        while bridge.down(packet) == Receipt::HeldBack {
            assert!(bridge.core.is_held_back(USB));
            bridge.core.take_wakes();
            bridge.now += 7;
            arrived.push(bridge.transfer(BUS_A).expect("it is full").1.remove(0));
            assert!(!bridge.core.is_held_back(USB), "there is room for it");
            assert_eq!(bridge.core.take_wakes(), Wakes::HeldBack);
        }
    }
    arrived.extend(bridge.packets(BUS_A));
    assert_eq!(arrived, packets);
    assert_eq!(bridge.core.drop_counters().total(), 0);
}

#[test]
fn a_packet_held_back_lets_control_requests_by_but_none_that_is_to_be_forwarded() {
    let mut bridge = Bridge::new();
    bridge.fill(&to(DRIVE).packet(&[5]));
    let now = bridge.now();
    let own = to(DEVICE).packet(&[0, 0x80, 2]);
    let others = to(DRIVE).packet(&[0, 0x80, 2]);
    assert!(!bridge.core.receive_ahead(now, USB, POINT_TO_POINT, &others));
    assert!(bridge.core.receive_ahead(now, USB, POINT_TO_POINT, &own));
    assert_eq!(bridge.packets(USB).len(), 1);
}

#[test]
fn a_port_that_takes_nothing_costs_its_own_packets_only() {
    let mut bridge = Bridge::new();
    let stuck = to(DRIVE).packet(&[5]);
    let filled = bridge.fill(&stuck);
    assert!(filled >= 2, "transfers that can be filled: {filled}");
    let begin = bridge.now;
    while bridge.down(&stuck) == Receipt::HeldBack {
        bridge.advance(10);
    }
    let waited = bridge.now - begin;
    assert!(
        (100..=300).contains(&waited),
        "{waited} ms, the hold time is 200 ms"
    );
    // From then on it is waited for no more.
    for _ in 0..10 {
        let reason = DropReason::NoForwardingRoom;
        assert_eq!(bridge.down(&stuck), Receipt::Dropped(reason));
        assert_eq!(
            bridge.down(&to(FAR_DRIVE).packet(&[5])),
            Receipt::Forwarded(BUS_B)
        );
        assert_eq!(bridge.packets(BUS_B).len(), 1);
    }
    // Until it takes something.
    assert!(bridge.transfer(BUS_A).is_some());
    assert_eq!(bridge.down(&stuck), Receipt::Forwarded(BUS_A));
    assert_eq!(bridge.down(&stuck), Receipt::HeldBack);
}

#[test]
fn a_neighbour_that_takes_nothing_for_the_send_time_limit_is_given_up() {
    let mut bridge = Bridge::new();
    bridge.fill(&to(DRIVE).packet(&[5]));
    bridge.advance(10_000);
    let reason = DropReason::NoForwardingRoom;
    assert_eq!(
        bridge.down(&to(DRIVE).packet(&[5])),
        Receipt::Dropped(reason)
    );
    let far = to(DRIVE).from(FAR_DRIVE).packet(&[5]);
    assert_eq!(
        bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &far),
        Receipt::Dropped(reason)
    );
    assert!(bridge.transfer(BUS_A).is_some());
    assert_eq!(
        bridge.down(&to(DRIVE).packet(&[5])),
        Receipt::Forwarded(BUS_A)
    );
}

/// The bridge itself sends without end to the neighbour of `port`.
struct Bulk {
    outgoing: Option<mctp_router::Outgoing>,
    message: Vec<u8>,
    port: PortId,
}

impl Bulk {
    fn new(port: PortId) -> Self {
        Self {
            outgoing: None,
            message: echo_message(4_000),
            port,
        }
    }

    /// Goes on as far as it can.
    fn go_on(&mut self, bridge: &mut Bridge) {
        for _ in 0..100 {
            if self.outgoing.is_none() {
                let (port, address, peer) = match self.port {
                    USB => (USB, POINT_TO_POINT, HOST),
                    port => (port, DRIVE_ADDRESS, DRIVE),
                };
                let packet = REQUEST.from(peer).packet(&self.message[..9]);
                let now = bridge.now();
                let receipt = bridge.core.receive(now, port, address, &packet);
                assert_eq!(receipt, Receipt::Delivered(bridge.echo));
                let lent = bridge.core.take_message(bridge.echo).unwrap();
                self.outgoing = Some(lent.origin().response(mctp::MsgIC(false)));
                bridge.core.give_back(lent);
            }
            let now = bridge.now();
            let outgoing = self.outgoing.as_mut().unwrap();
            match bridge.core.send(now, outgoing, &[&self.message]) {
                Ok(Progress::Partial) => return,
                Ok(Progress::Done) => self.outgoing = None,
                Err(failure) => panic!("{failure:?}"),
            }
        }
        panic!("it is never full");
    }
}

#[test]
fn packets_of_a_neighbour_that_cannot_wait_get_through_beside_bulk_of_the_bridge() {
    let mut bridge = Bridge::new();
    let mut bulk = Bulk::new(USB);
    let mut arrived = Vec::new();
    let sent: Vec<_> = (0..50)
        .map(|number| response_of(DRIVE).packet(&[5, number]))
        .collect();
    for packet in &sent {
        bulk.go_on(&mut bridge);
        assert_eq!(bridge.up(packet), Receipt::Forwarded(USB));
        bulk.go_on(&mut bridge);
        arrived.extend(bridge.transfer(USB).expect("bulk").1);
    }
    bridge.now += 1;
    arrived.extend(bridge.packets(USB));
    let of_drive = arrived.iter().filter(|packet| packet[2] == DRIVE);
    assert!(of_drive.eq(&sent));
    assert!(
        arrived.len() > 200,
        "bulk goes on: {} packets",
        arrived.len()
    );
}

#[test]
fn the_host_and_the_bridge_itself_take_turns_at_a_bus() {
    let mut bridge = Bridge::new();
    let mut bulk = Bulk::new(BUS_A);
    let forwarded = to(DRIVE).packet(&[5, 6, 7]);
    let mut from = [0_usize; 2];
    for _ in 0..400 {
        // Whoever is woken: both try.
        if !bridge.core.is_held_back(USB) {
            bridge.down(&forwarded);
        }
        bulk.go_on(&mut bridge);
        let (_, packets) = bridge.transfer(BUS_A).expect("bulk");
        from[usize::from(packets[0] == forwarded)] += 1;
    }
    assert!(
        from.iter().all(|packets| *packets >= 150),
        "own and forwarded packets: {from:?}"
    );
}

#[test]
fn two_ports_that_can_wait_take_turns() {
    let mut bridge = Bridge::new();
    bridge.core.set_can_wait(BUS_B, true);
    let packets = [
        to(DRIVE).packet(&[5, 0]),
        to(DRIVE).from(FAR_DRIVE).packet(&[5, 1]),
    ];
    let mut arrived = Vec::new();
    for _ in 0..100 {
        for _ in 0..3 {
            // The host is always the first to try.
            if !bridge.core.is_held_back(USB) {
                bridge.down(&packets[0]);
            }
            if !bridge.core.is_held_back(BUS_B) {
                bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &packets[1]);
            }
        }
        arrived.extend(
            bridge
                .transfer(BUS_A)
                .map(|(_, packets)| packets[0].clone()),
        );
    }
    let of_host = arrived
        .iter()
        .filter(|packet| **packet == packets[0])
        .count();
    assert_eq!(arrived.len(), 100);
    assert!((45..=55).contains(&of_host), "{of_host} of 100");
}

#[test]
fn a_place_in_the_queue_that_nobody_uses_blocks_nobody() {
    let mut bridge = Bridge::new();
    bridge.fill(&to(DRIVE).packet(&[5]));
    // The packet is not offered again; somebody else has something to send.
    bridge.transfers(BUS_A);
    bridge.core.set_can_wait(BUS_B, true);
    let other = to(DRIVE).from(FAR_DRIVE).packet(&[5]);
    let mut receipt = bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &other);
    for _ in 0..3 {
        bridge.advance(100);
        if receipt == Receipt::HeldBack {
            receipt = bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &other);
        }
    }
    assert_eq!(receipt, Receipt::Forwarded(BUS_A));
}

#[test]
fn a_link_that_is_lost_takes_its_place_in_the_queue_and_what_waits_to_be_sent() {
    let mut bridge = Bridge::new();
    bridge.core.set_can_wait(BUS_B, true);
    let filled = bridge.fill(&to(DRIVE).packet(&[5]));
    bridge.core.link_down(USB);
    assert!(!bridge.core.is_held_back(USB));
    assert_eq!(
        bridge.transfers(BUS_A).len(),
        filled,
        "what is in transfers goes on"
    );
    let other = to(DRIVE).from(FAR_DRIVE).packet(&[5]);
    assert_eq!(
        bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &other),
        Receipt::Forwarded(BUS_A)
    );
    let before = bridge.core.drop_counters().of(DropReason::LinkDown);
    bridge.core.link_down(BUS_A);
    let after = bridge.core.drop_counters().of(DropReason::LinkDown);
    assert_eq!(after, before + 1);
    bridge.core.link_up(BUS_A);
    assert_eq!(bridge.transfers(BUS_A), []);
}

#[test]
fn every_transfer_comes_back_to_its_place_whatever_is_lost_or_changed() {
    let mut bridge = Bridge::new();
    let mut random = 1_u32;
    let mut at_transport: [VecDeque<_>; 3] = Default::default();
    for step in 0..100_000_u64 {
        random = random.wrapping_mul(0x9E37_79B1).wrapping_add(12345);
        let [kind, which, ..] = random.to_be_bytes();
        let port = PORTS[usize::from(which) % 3];
        bridge.now = step / 8;
        let now = bridge.now();
        match kind {
            0..60 => _ = bridge.down(&to([DRIVE, FAR_DRIVE][usize::from(which & 1)]).packet(&[5])),
            60..120 => _ = bridge.up(&response_of(DRIVE).packet(&[5, which])),
            120..180 => {
                let queue = &mut at_transport[usize::from(port.0)];
                if queue.len() < 2 {
                    queue.extend(bridge.core.poll_transmit(port));
                }
            }
            180..245 => {
                if let Some(outbound) = at_transport[usize::from(port.0)].pop_front() {
                    let result = match which & 15 {
                        0 => Err(SendError::NotAccepted),
                        _ => Ok(()),
                    };
                    bridge.core.transmit_done(now, port, outbound, result);
                }
            }
            245..247 => bridge.core.link_down(port),
            247 => bridge
                .core
                .set_layout(port, [USB_LAYOUT, I2C_LAYOUT][usize::from(which & 1)]),
            _ => bridge.core.link_up(port),
        }
    }
    for port in PORTS {
        bridge.core.link_up(port);
        for outbound in std::mem::take(&mut at_transport[usize::from(port.0)]) {
            bridge
                .core
                .transmit_done(bridge.now(), port, outbound, Ok(()));
        }
        bridge.transfers(port);
        bridge.core.set_layout(port, I2C_LAYOUT);
    }
    // Two transfers for those that can wait, and the reserve for the others.
    bridge.advance(1_000);
    assert_eq!(bridge.fill(&to(DRIVE).packet(&[5])), 2);
    let other = to(DRIVE).from(FAR_DRIVE).packet(&[5]);
    assert_eq!(
        bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &other),
        Receipt::Forwarded(BUS_A)
    );
    let full = Receipt::Dropped(DropReason::NoForwardingRoom);
    assert_eq!(bridge.receive(BUS_B, FAR_DRIVE_ADDRESS, &other), full);
    assert_eq!(bridge.transfers(BUS_A).len(), 3);
}

/// Packets that a bridge received are those that were for it, those that it forwarded, and those
/// that it discarded by name.
#[test]
fn no_packet_is_unaccounted_for() {
    let mut bridge = Bridge::new();
    let mut random = 7_u32;
    let [mut received, mut delivered, mut forwarded, mut dropped] = [0_u32; 4];
    for step in 0..200_000_u64 {
        random = random.wrapping_mul(0x9E37_79B1).wrapping_add(12345);
        let [kind, which, flags, len] = random.to_be_bytes();
        bridge.now = step / 4;
        if bridge.core.next_deadline() <= bridge.now() {
            bridge.core.expire(bridge.now());
        }
        let ends = [[HOST, DRIVE, OTHER_DRIVE, FAR_DRIVE], [DEVICE, 0, 77, 0xFF]];
        let destination = ends[usize::from(which >> 6 & 1)][usize::from(which & 3)];
        let source = ends[usize::from(which >> 7)][usize::from(which >> 2 & 3)];
        let header = Wire {
            version: 1 + u8::from(len == 0),
            destination,
            source,
            start: flags & 1 != 0,
            end: flags & 2 != 0,
            sequence: flags >> 2 & 3,
            tag_owner: flags & 16 != 0,
            tag: flags >> 5,
        };
        let packet = header.packet(&echo_message(256)[..usize::from(len)]);
        let port = PORTS[usize::from(kind) % 3];
        match kind {
            0..220 => {
                let from = if port == USB {
                    POINT_TO_POINT
                } else {
                    DRIVE_ADDRESS
                };
                let before = bridge.core.drop_counters().clone();
                let receipt = bridge.receive(port, from, &packet);
                match receipt {
                    Receipt::HeldBack => continue,
                    Receipt::Stored | Receipt::Delivered(_) | Receipt::Control => delivered += 1,
                    Receipt::Forwarded(_) => forwarded += 1,
                    Receipt::Dropped(reason) => {
                        assert_eq!(
                            bridge.core.drop_counters().of(reason),
                            before.of(reason) + 1
                        );
                        dropped += 1;
                    }
                    other => panic!("{other:?}"),
                }
                received += 1;
                if let Receipt::Delivered(channel) = receipt {
                    let lent = bridge.core.take_message(channel).unwrap();
                    bridge.core.give_back(lent);
                }
            }
            220..250 => _ = bridge.transfer(port),
            250 => bridge.core.link_down(port),
            _ => bridge.core.link_up(port),
        }
    }
    assert_eq!(received, delivered + forwarded + dropped);
    let by_port = PORTS.map(|port| bridge.core.packets_forwarded(port));
    assert_eq!(by_port.iter().sum::<u32>(), forwarded);
    for (what, count) in [
        ("delivered", delivered),
        ("forwarded", forwarded),
        ("dropped", dropped),
    ] {
        assert!(count > 1_000, "{what}: {count}");
    }
}

#[test]
fn a_message_through_the_bridge_is_put_together_at_its_end() {
    let mut bridge = Bridge::new();
    let message = echo_message(1_000);
    let mut arrived = Vec::new();
    for packet in to(DRIVE).packets(&message, 247) {
        assert_eq!(bridge.down(&packet), Receipt::Forwarded(BUS_A));
        arrived.extend(bridge.packets(BUS_A));
    }
    assert_eq!(assemble(&arrived)[0].message, message);
}
