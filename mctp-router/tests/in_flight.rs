//! Many peers, messages, requests and routes at once: each is found as if it were the only one.
//! Beside models that search through everything.

mod support;

use std::collections::{BTreeMap, VecDeque};

use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{
    ChannelId, Config, Instant, OpenError, PortId, Progress, Receipt, RouterCore, RouterStorage,
    Service, Target,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress};
use support::{
    DEVICE, ECHO, HOST, NETWORK, POINT_TO_POINT, REQUEST, USB, USB_LAYOUT, UUID, Wire, echo_message,
};

const LONG_MESSAGES: usize = 64;
const CHANNELS: usize = 70;
const PORTS: u8 = 3;

/// A device with buffers for 64 long messages, an echo service, and three ports like USB.
fn device() -> (RouterCore<'static>, ChannelId) {
    let storage = RouterStorage::<
        Ports<{ PORTS as usize }>,
        Networks<1>,
        ShortMessages<0>,
        LongMessages<LONG_MESSAGES, 300>,
        Channels<CHANNELS>,
        Routes<4>,
    >::new();
    let mut core = RouterCore::new(Box::leak(Box::new(storage)), &Config::new(UUID));
    for port in (0..PORTS).map(PortId) {
        let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
        assert_eq!(core.add_port(NETWORK, buffers), Ok(port));
        core.set_layout(port, USB_LAYOUT);
        core.link_up(port);
    }
    assert!(core.set_endpoint_id(NETWORK, Eid(DEVICE)));
    let echo = core.open_listener(ECHO).unwrap();
    (core, echo)
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

fn receive(core: &mut RouterCore<'_>, now: u64, packet: &[u8]) -> Receipt {
    core.receive(Instant::from_millis(now), USB, POINT_TO_POINT, packet)
}

fn take(core: &mut RouterCore<'_>, channel: ChannelId) -> Option<(Wire, Vec<u8>)> {
    let lent = core.take_message(channel)?;
    let wire = REQUEST.from(lent.origin().source().0);
    let message = [&[lent.origin().message_type().0], lent.bytes()].concat();
    core.give_back(lent);
    Some((wire, message))
}

/// A message that is told from others by its end.
fn message_of(wire: Wire) -> Vec<u8> {
    let mut message = echo_message(200);
    message[198] = wire.source;
    message[199] = wire.tag;
    message
}

/// Sends a message for each header, packet by packet in turn, the order changing each time; all
/// come through.
fn interleave(headers: &[Wire]) {
    let (mut core, echo) = device();
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    for _ in 0..10 {
        let mut packets: Vec<_> = headers
            .iter()
            .map(|wire| VecDeque::from(wire.packets(&message_of(*wire), 64)))
            .collect();
        let mut order: Vec<usize> = (0..headers.len()).collect();
        for _ in 0..4 {
            random.shuffle(&mut order);
            for index in &order {
                let packet = packets[*index].pop_front().unwrap();
                let expected = match packets[*index].is_empty() {
                    true => Receipt::Delivered(echo),
                    false => Receipt::Stored,
                };
                assert_eq!(receive(&mut core, 0, &packet), expected);
            }
        }
        for index in &order {
            let (_, message) = take(&mut core, echo).unwrap();
            assert_eq!(
                message,
                message_of(headers[*index]),
                "in the order of their ends"
            );
        }
        assert!(take(&mut core, echo).is_none());
    }
    assert_eq!(core.drop_counters().total(), 0);
}

#[test]
fn messages_of_64_peers_interleave_packet_by_packet() {
    let headers: Vec<_> = (0..64).map(|index| REQUEST.from(20 + index)).collect();
    interleave(&headers);
}

#[test]
fn messages_of_8_peers_with_all_tags_interleave_packet_by_packet() {
    let headers = (0..64).map(|index| REQUEST.from(20 + index / 8).tag(index % 8));
    interleave(&headers.collect::<Vec<_>>());
}

#[test]
fn messages_of_random_peers_and_tags_interleave_packet_by_packet() {
    let mut random = Random(0xFEDC_BA98_7654_3211);
    for _ in 0..10 {
        let mut keys: Vec<_> = (8..255_u8)
            .flat_map(|peer| (0..8).map(move |tag| (peer, tag)))
            .collect();
        random.shuffle(&mut keys);
        let headers = keys[..64]
            .iter()
            .map(|(peer, tag)| REQUEST.from(*peer).tag(*tag));
        interleave(&headers.collect::<Vec<_>>());
    }
}

#[test]
fn messages_are_lent_oldest_first_however_receiving_and_lending_alternate() {
    let (mut core, echo) = device();
    let mut random = Random(0x0BAD_CAFE_0BAD_CAFE);
    let mut waiting = VecDeque::new();
    for number in 0..20_000_u32 {
        let mut message = echo_message(20);
        message[16..].copy_from_slice(&number.to_le_bytes());
        if random.below(9) < 5 && waiting.len() < LONG_MESSAGES {
            assert_eq!(
                receive(&mut core, 0, &REQUEST.packet(&message)),
                Receipt::Delivered(echo)
            );
            waiting.push_back(message);
        } else {
            assert_eq!(core.has_message(echo), !waiting.is_empty());
            assert_eq!(
                take(&mut core, echo).map(|(_, message)| message),
                waiting.pop_front()
            );
        }
    }
    assert_eq!(core.drop_counters().total(), 0);
}

/// A message that the device should have unfinished.
struct Pending {
    /// When its first and its last packet came.
    began: u64,
    last: u64,
    /// Bytes of it that came, message type not counted.
    came: u64,
    packets: VecDeque<Vec<u8>>,
}

/// By source and tag.
type Unfinished = BTreeMap<(u8, u8), Pending>;

/// Which message makes room: of those that are late by 250 ms (stood still, or took more than 2 ms a
/// byte), one of the source that has most unfinished ones, and of its the latest.
fn worst(unfinished: &Unfinished, now: u64) -> Option<(u8, u8)> {
    let lateness = |pending: &Pending| {
        let behind = (now - pending.began).saturating_sub(2 * pending.came);
        behind.max(now - pending.last)
    };
    let late = unfinished
        .iter()
        .filter(|(_, pending)| lateness(pending) >= 250);
    let worst = late.max_by_key(|((source, _), pending)| {
        let held = unfinished.keys().filter(|(other, _)| other == source);
        (held.count(), lateness(pending))
    });
    worst.map(|(key, _)| *key)
}

#[test]
fn under_overload_whatever_may_be_evicted_is_and_nothing_else() {
    let (mut core, echo) = device();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut unfinished = Unfinished::new();
    let (mut now, mut evicted, mut refused) = (0, 0, 0);
    for _ in 0..60_000 {
        // No two packets at the same time: the worst message is one.
        now += 1 + random.below(3) as u64;
        // It runs all the time.
        if core.next_deadline() <= Instant::from_millis(now) {
            core.expire(Instant::from_millis(now));
        }
        let key = (8 + random.below(60) as u8, random.below(2) as u8);
        let wire = REQUEST.from(key.0).tag(key.1);
        if let Some(pending) = unfinished.get_mut(&key) {
            // Most never go on.
            if random.below(3) > 0 {
                continue;
            }
            pending.last = now;
            let packet = pending.packets.pop_front().unwrap();
            pending.came += packet.len() as u64 - 4;
            if pending.packets.is_empty() {
                unfinished.remove(&key);
                assert_eq!(receive(&mut core, now, &packet), Receipt::Delivered(echo));
                assert_eq!(take(&mut core, echo).unwrap().1, message_of(wire));
            } else {
                assert_eq!(receive(&mut core, now, &packet), Receipt::Stored);
            }
            continue;
        }
        let mut packets = VecDeque::from(wire.packets(&message_of(wire), 64));
        let first = packets.pop_front().unwrap();
        let receipt = receive(&mut core, now, &first);
        if unfinished.len() == LONG_MESSAGES {
            let Some(worst) = worst(&unfinished, now) else {
                assert_eq!(receipt, Receipt::Dropped(DropReason::NoMessageBuffer));
                refused += 1;
                continue;
            };
            unfinished.remove(&worst);
            evicted += 1;
        }
        assert_eq!(receipt, Receipt::Stored);
        let pending = Pending {
            began: now,
            last: now,
            came: first.len() as u64 - 5,
            packets,
        };
        unfinished.insert(key, pending);
        let counters = core.drop_counters();
        assert_eq!(counters.of(DropReason::EvictedUnfinished), evicted);
        assert_eq!(counters.of(DropReason::NoMessageBuffer), refused);
    }
    assert!(evicted > 1000 && refused > 1000, "{evicted} {refused}");
}

/// A request that the device should have open.
#[derive(Clone, Copy, Debug)]
struct Open {
    channel: ChannelId,
    peer: u8,
    port: u8,
    address: PhysicalAddress,
    tag: u8,
}

/// Opens and sends a request; its tag is on the wire.
fn ask(core: &mut RouterCore<'_>, peer: u8, port: u8, address: u8) -> Result<Open, OpenError> {
    let address = PhysicalAddress::from_byte(address);
    let target = Target::Neighbour(PortId(port), address, Eid(peer));
    let (channel, mut outgoing) =
        core.open_request(&target, mctp::MsgType(5), mctp::MsgIC(false))?;
    let now = Instant::from_millis(0);
    assert_eq!(core.send(now, &mut outgoing, &[&[1]]), Ok(Progress::Done));
    let outbound = core.poll_transmit(PortId(port)).unwrap();
    let (header, _) = Wire::parse(outbound.transfer.packets().next().unwrap());
    core.transmit_done(now, PortId(port), outbound, Ok(()));
    assert_eq!((header.destination, header.tag_owner), (peer, true));
    Ok(Open {
        channel,
        peer,
        port,
        address,
        tag: header.tag,
    })
}

/// A response of one packet comes.
fn answer(
    core: &mut RouterCore<'_>,
    source: u8,
    tag: u8,
    port: u8,
    address: PhysicalAddress,
) -> Receipt {
    let header = Wire {
        tag_owner: false,
        ..REQUEST.from(source).tag(tag)
    };
    core.receive(
        Instant::from_millis(0),
        PortId(port),
        address,
        &header.packet(&[5, 1]),
    )
}

/// From whom it was sent to.
fn answer_to(core: &mut RouterCore<'_>, request: &Open) -> Receipt {
    let Open {
        peer,
        tag,
        port,
        address,
        ..
    } = *request;
    answer(core, peer, tag, port, address)
}

/// All are answered, in any order, and each gets the answer that is its own.
fn answered_in_any_order(core: &mut RouterCore<'_>, mut open: Vec<Open>) {
    Random(0x5555_1234_5555_4321).shuffle(&mut open);
    for request in &open {
        let receipt = answer_to(core, request);
        assert_eq!(receipt, Receipt::Delivered(request.channel));
    }
    for request in open {
        assert_eq!(take(core, request.channel).unwrap().0.source, request.peer);
        core.close(request.channel);
        let receipt = answer_to(core, &request);
        assert_eq!(receipt, Receipt::Dropped(DropReason::UnexpectedResponse));
    }
}

#[test]
fn requests_to_64_peers_get_each_its_own_response() {
    let (mut core, _) = device();
    for _ in 0..3 {
        let open = (0..64).map(|index| ask(&mut core, 20 + index, index % PORTS, 1).unwrap());
        let open = open.collect();
        answered_in_any_order(&mut core, open);
    }
}

#[test]
fn requests_to_8_peers_with_all_tags_get_each_its_own_response() {
    let (mut core, _) = device();
    let open = (0..64).map(|index| ask(&mut core, 20 + index / 8, 0, 1).unwrap());
    let open = open.collect();
    assert_eq!(ask(&mut core, 20, 0, 1).unwrap_err(), OpenError::NoTag);
    answered_in_any_order(&mut core, open);
}

#[test]
fn services_and_requests_opened_and_closed_in_any_order_find_their_messages() {
    let (mut core, echo) = device();
    let mut random = Random(0x0F0F_1E1E_2D2D_3C3C);
    let mut open: Vec<Open> = Vec::new();
    let mut services: Vec<(u8, ChannelId)> = Vec::new();
    let (mut without_tag, mut without_channel) = (0, 0);
    for _ in 0..60_000 {
        let channels = 1 + open.len() + services.len();
        match random.below(10) {
            0..5 => {
                // Few ports and addresses, so that requests to endpoint ID 0 meet others.
                let peer = match random.below(4) {
                    0 => 0,
                    _ => 20 + random.below(16) as u8,
                };
                let port = random.below(PORTS.into()) as u8;
                let meets = |other: &&Open| {
                    other.peer == peer || (other.port == port && (other.peer == 0 || peer == 0))
                };
                let tags: Vec<_> = open.iter().filter(meets).map(|other| other.tag).collect();
                let expected_to_fail = if (0..8).all(|tag| tags.contains(&tag)) {
                    Some(OpenError::NoTag)
                } else if channels == CHANNELS {
                    Some(OpenError::NoChannel)
                } else {
                    None
                };
                match ask(&mut core, peer, port, random.below(2) as u8) {
                    Ok(request) => {
                        assert_eq!(expected_to_fail, None);
                        assert!(!tags.contains(&request.tag), "{request:?} {tags:?}");
                        open.push(request);
                    }
                    Err(error) => {
                        assert_eq!(Some(error), expected_to_fail);
                        without_tag += usize::from(error == OpenError::NoTag);
                        without_channel += usize::from(error == OpenError::NoChannel);
                    }
                }
            }
            5..8 if !open.is_empty() => {
                let request = open.swap_remove(random.below(open.len()));
                core.close(request.channel);
            }
            8 => {
                let message_type = 1 + random.below(8) as u8;
                let known = services
                    .iter()
                    .position(|(other, _)| *other == message_type);
                match known {
                    Some(index) => core.close(services.swap_remove(index).1),
                    None => {
                        let service = Service::message_type(mctp::MsgType(message_type));
                        match core.open_listener(service) {
                            Ok(channel) => services.push((message_type, channel)),
                            Err(error) => {
                                assert!(matches!(error, mctp_router::ListenError::NoChannel));
                                assert_eq!(channels, CHANNELS);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        // A request of any type, and a response from anybody.
        let message_type = 1 + random.below(8) as u8;
        let receipt = receive(&mut core, 0, &REQUEST.from(HOST).packet(&[message_type, 1]));
        match services.iter().find(|(other, _)| *other == message_type) {
            Some((_, channel)) => {
                assert_eq!(receipt, Receipt::Delivered(*channel));
                assert!(take(&mut core, *channel).is_some());
            }
            None => assert_eq!(
                receipt,
                Receipt::Dropped(DropReason::UnsupportedMessageType)
            ),
        }
        let (source, tag) = (20 + random.below(16) as u8, random.below(8) as u8);
        let port = random.below(PORTS.into()) as u8;
        let address = PhysicalAddress::from_byte(random.below(2) as u8);
        let answers = |request: &&Open| {
            let by_address =
                request.peer == 0 && (request.port, request.address) == (port, address);
            request.tag == tag && (request.peer == source || by_address)
        };
        let answered: Vec<_> = open
            .iter()
            .filter(answers)
            .map(|request| request.channel)
            .collect();
        match answer(&mut core, source, tag, port, address) {
            Receipt::Delivered(channel) => {
                assert!(answered.contains(&channel), "{channel:?} {answered:?}");
                assert!(take(&mut core, channel).is_some());
            }
            receipt => {
                assert_eq!(receipt, Receipt::Dropped(DropReason::UnexpectedResponse));
                assert_eq!(answered, []);
            }
        }
        assert_eq!(
            receive(&mut core, 0, &REQUEST.packet(&echo_message(9))),
            Receipt::Delivered(echo)
        );
        assert!(take(&mut core, echo).is_some());
    }
    assert!(
        without_tag > 100 && without_channel > 100,
        "{without_tag} {without_channel}"
    );
}
