//! Bridges, endpoints and a scripted bus owner, joined by links and buses, in virtual time.
//!
//! A bus takes one transfer at a time, for as long as its bytes take there. A receiver that can wait
//! takes no more while packets wait in front of it; one that cannot wait is offered each packet once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mctp_router::storage::{
    Channels, ForwardingBuffer, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::wire::{BindingId, MediumId};
use mctp_router::{
    BridgeConfig, BridgeMemory, BridgeMemoryInRam, BridgePort, BridgeStorage, ChannelId, Config,
    Instant, Outbound, Outgoing, PortId, Progress, Receipt, RouterCore, RouterStorage,
    SavedAssignment, SavedNeighbour, Target,
};
use mctp_transport::{Eid, PhysicalAddress, SendError};

use super::{ECHO, HOST, I2C_LAYOUT, NETWORK, POINT_TO_POINT, REQUEST, USB_LAYOUT, Wire, assemble};

const PLACES: usize = 8;
/// How many packets wait in front of a receiver that can wait.
const WAITING: usize = 4;

/// Numbers that look random, the same at every run.
#[derive(Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// A memory that outlasts its bridge.
#[derive(Clone, Debug)]
struct Memory(Arc<Mutex<BridgeMemoryInRam<PLACES>>>);

impl BridgeMemory for Memory {
    fn assignment(&mut self) -> Option<SavedAssignment> {
        self.0.lock().unwrap().assignment()
    }

    fn save_assignment(&mut self, assignment: &SavedAssignment) {
        self.0.lock().unwrap().save_assignment(assignment);
    }

    fn neighbour(&mut self, place: usize) -> Option<SavedNeighbour> {
        self.0.lock().unwrap().neighbour(place)
    }

    fn save_neighbour(&mut self, place: usize, neighbour: Option<&SavedNeighbour>) {
        self.0.lock().unwrap().save_neighbour(place, neighbour);
    }
}

/// What a port is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attachment {
    bus: usize,
    address: PhysicalAddress,
}

struct Port {
    at: Attachment,
    queue: VecDeque<(PhysicalAddress, Vec<u8>)>,
    sending: Option<(u64, Outbound<'static>)>,
}

/// What came of the packets that a device was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) received: u32,
    pub(crate) delivered: u32,
    pub(crate) forwarded: u32,
    pub(crate) dropped: u32,
}

pub(crate) struct Node {
    pub(crate) core: RouterCore<'static>,
    pub(crate) receipts: Receipts,
    echo: ChannelId,
    ports: Vec<Port>,
    sends: Vec<(Outgoing, Vec<u8>)>,
    requests: Vec<(ChannelId, Vec<u8>)>,
    memory: Memory,
    /// How many endpoint IDs a bridge asks for; 0 for an endpoint.
    wants: u8,
    uuid: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Usb,
    TwoWire,
}

impl Medium {
    /// Microseconds: 480 Mbit/s with its microframes, or 400 kHz with nine clocks a byte.
    fn time(self, bytes: usize) -> u64 {
        match self {
            Self::Usb => 125 + bytes as u64 / 40,
            Self::TwoWire => 60 + bytes as u64 * 45 / 2,
        }
    }
}

struct Bus {
    medium: Medium,
    busy_until: u64,
    is_up: bool,
}

/// All of it. Node numbers count from 0; the bus owner at the top is none of them.
pub(crate) struct Bridges {
    /// Microseconds.
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    buses: Vec<Bus>,
    /// One packet in so many is lost; 0 for none.
    pub(crate) loss: usize,
    pub(crate) numbers: Numbers,
    top_out: VecDeque<Vec<u8>>,
    top_sending: Option<(u64, Vec<u8>)>,
    pub(crate) top_in: Vec<(u64, Vec<u8>)>,
    instance_id: u8,
    /// Round trips between endpoints that came back right.
    pub(crate) answered: usize,
    pub(crate) control_answered: usize,
}

fn core_of(
    node: &(u8, u8),
    ports: &[(Attachment, Medium)],
    memory: &Memory,
    remembers: bool,
) -> (RouterCore<'static>, ChannelId) {
    let (uuid, wants) = *node;
    let storage = Box::new(RouterStorage::<
        Ports<4>,
        Networks<1>,
        ShortMessages<4>,
        LongMessages<2, 4224>,
        Channels<16>,
        Routes<64>,
    >::new());
    let mut core = RouterCore::new(Box::leak(storage), &Config::new([uuid; 16]));
    let mut described = Vec::new();
    for (number, (at, medium)) in ports.iter().enumerate() {
        let port = PortId(number as u8);
        let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
        assert_eq!(core.add_port(NETWORK, buffers), Ok(port));
        if wants > 0 {
            let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
            core.forward_by(port, buffer).unwrap();
        }
        let is_usb = *medium == Medium::Usb;
        core.set_layout(port, if is_usb { USB_LAYOUT } else { I2C_LAYOUT });
        core.set_can_wait(port, is_usb);
        core.link_up(port);
        described.push(match is_usb {
            true => BridgePort::new(port, BindingId::USB, MediumId::USB_2_0),
            false => BridgePort::new(port, BindingId::SMBUS, MediumId::I2C_400_KHZ)
                .with_address(at.address),
        });
    }
    let echo = core.open_listener(ECHO).unwrap();
    if wants > 0 {
        let config = BridgeConfig::bridge(PortId(0), wants, Vec::leak(described));
        let storage = Box::leak(Box::new(BridgeStorage::<PLACES>::new()));
        core.add_bridge(NETWORK, storage, &config).unwrap();
        if remembers {
            assert!(core.set_bridge_memory(Box::leak(Box::new(memory.clone()))));
        }
    }
    (core, echo)
}

impl Bridges {
    /// Only the bus owner, with bus 0 like USB.
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            now: 1_000_000,
            nodes: Vec::new(),
            buses: Vec::new(),
            loss: 0,
            numbers: Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            top_out: VecDeque::new(),
            top_sending: None,
            top_in: Vec::new(),
            instance_id: 0,
            answered: 0,
            control_answered: 0,
        };
        world.link();
        world
    }

    fn add_bus(&mut self, medium: Medium) -> usize {
        self.buses.push(Bus {
            medium,
            busy_until: 0,
            is_up: true,
        });
        self.buses.len() - 1
    }

    /// A link to a single neighbour, like USB.
    pub(crate) fn link(&mut self) -> usize {
        self.add_bus(Medium::Usb)
    }

    /// A bus with addresses, like I2C at 400 kHz.
    pub(crate) fn bus(&mut self) -> usize {
        self.add_bus(Medium::TwoWire)
    }

    /// A device at these buses, that of its bus owner first. `wants` is the pool that a bridge asks
    /// for; 0 is an endpoint. Bridges expect devices that are added to their buses later.
    pub(crate) fn add(&mut self, wants: u8, buses: &[usize]) -> usize {
        let number = self.nodes.len() as u8;
        let at = |bus: &usize| match self.buses[*bus].medium {
            Medium::Usb => Attachment {
                bus: *bus,
                address: POINT_TO_POINT,
            },
            Medium::TwoWire => Attachment {
                bus: *bus,
                address: PhysicalAddress::from_byte(0x10 + number),
            },
        };
        let attached: Vec<_> = buses
            .iter()
            .map(|bus| (at(bus), self.buses[*bus].medium))
            .collect();
        let memory = Memory(Arc::new(Mutex::new(BridgeMemoryInRam::new())));
        let uuid = 0x40 + number;
        let (core, echo) = core_of(&(uuid, wants), &attached, &memory, false);
        let ports = attached.iter().map(|(at, _)| Port {
            at: *at,
            queue: VecDeque::new(),
            sending: None,
        });
        self.nodes.push(Node {
            core,
            receipts: Receipts::default(),
            echo,
            ports: ports.collect(),
            sends: Vec::new(),
            requests: Vec::new(),
            memory,
            wants,
            uuid,
        });
        self.expect_all();
        number.into()
    }

    fn expect_all(&mut self) {
        let mut places = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            places.push((number, node.ports[0].at));
        }
        for (number, node) in self
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(_, node)| node.wants > 0)
        {
            for (index, port) in node.ports.iter().enumerate().skip(1) {
                for (other, at) in &places {
                    if *other != number && at.bus == port.at.bus {
                        assert!(node.core.expect_endpoint(PortId(index as u8), at.address));
                    }
                }
            }
        }
    }

    /// The device loses its power for a moment: all that it had is gone but what it saved.
    pub(crate) fn restart(&mut self, number: usize, remembers: bool) {
        let medium = |at: Attachment| self.buses[at.bus].medium;
        let node = &mut self.nodes[number];
        let attached: Vec<_> = node
            .ports
            .iter()
            .map(|port| (port.at, medium(port.at)))
            .collect();
        if !remembers {
            *node.memory.0.lock().unwrap() = BridgeMemoryInRam::new();
        }
        for port in &mut node.ports {
            port.queue.clear();
            port.sending = None;
        }
        (node.core, node.echo) = core_of(&(node.uuid, node.wants), &attached, &node.memory, true);
        node.receipts = Receipts::default();
        node.sends.clear();
        node.requests.clear();
        self.expect_all();
        for bus in 0..self.buses.len() {
            if !self.buses[bus].is_up {
                self.set_up(bus, false);
            }
        }
    }

    /// The link or bus comes up or goes down at all who are attached.
    pub(crate) fn set_up(&mut self, bus: usize, is_up: bool) {
        self.buses[bus].is_up = is_up;
        for node in &mut self.nodes {
            for (index, port) in node.ports.iter_mut().enumerate() {
                if port.at.bus == bus && is_up {
                    node.core.link_up(PortId(index as u8));
                } else if port.at.bus == bus {
                    port.queue.clear();
                    node.core.link_down(PortId(index as u8));
                }
            }
        }
    }

    pub(crate) fn bus_count(&self) -> usize {
        self.buses.len()
    }

    pub(crate) fn endpoint_id(&self, number: usize) -> u8 {
        self.nodes[number].core.endpoint_id(NETWORK).0
    }

    fn instant(&self) -> Instant {
        Instant::from_millis(self.now / 1_000)
    }

    fn is_lost(&mut self) -> bool {
        self.loss > 0 && self.numbers.below(self.loss) == 0
    }

    /// Who is attached to the bus there, beside the sender.
    fn receiver(&self, bus: usize, address: PhysicalAddress, but: usize) -> Option<(usize, usize)> {
        let mut all = self.nodes.iter().enumerate().flat_map(|(number, node)| {
            node.ports
                .iter()
                .enumerate()
                .map(move |(index, port)| (number, index, port.at))
        });
        let there =
            all.find(|(number, _, at)| *number != but && *at == Attachment { bus, address });
        there.map(|(number, index, _)| (number, index))
    }

    fn is_full(&self, (number, index): (usize, usize)) -> bool {
        let port = &self.nodes[number].ports[index];
        self.buses[port.at.bus].medium == Medium::Usb && port.queue.len() >= WAITING
    }

    /// Ends the transfers whose time is over. Whether there was one.
    fn finish_transfers(&mut self) -> bool {
        let mut is_any = false;
        for number in 0..self.nodes.len() {
            for index in 0..self.nodes[number].ports.len() {
                is_any |= self.finish_transfer(number, index);
            }
        }
        if self
            .top_sending
            .as_ref()
            .is_some_and(|(done, _)| *done <= self.now)
        {
            let to = self.receiver(0, POINT_TO_POINT, usize::MAX);
            if let Some(to) = to.filter(|to| !self.is_full(*to) || !self.buses[0].is_up) {
                let (_, packet) = self.top_sending.take().unwrap();
                let is_lost = self.is_lost() || !self.buses[0].is_up;
                if !is_lost {
                    self.nodes[to.0].ports[to.1]
                        .queue
                        .push_back((POINT_TO_POINT, packet));
                }
                is_any = true;
            }
        }
        is_any
    }

    fn finish_transfer(&mut self, number: usize, index: usize) -> bool {
        let port = &self.nodes[number].ports[index];
        let at = port.at;
        let Some((done, outbound)) = &port.sending else {
            return false;
        };
        if *done > self.now {
            return false;
        }
        let destination = outbound.transfer.destination();
        let to = self.receiver(at.bus, destination, number);
        let is_up = self.buses[at.bus].is_up;
        if is_up && to.is_some_and(|to| self.is_full(to)) {
            return false;
        }
        let (_, outbound) = self.nodes[number].ports[index].sending.take().unwrap();
        let result = if !is_up {
            Err(SendError::LinkDown)
        } else if to.is_none() && at.bus != 0 {
            Err(SendError::NotAccepted)
        } else {
            Ok(())
        };
        let packets: Vec<Vec<u8>> = outbound.transfer.packets().map(<[u8]>::to_vec).collect();
        for packet in packets.into_iter().filter(|_| result.is_ok()) {
            if self.is_lost() {
                continue;
            }
            match to {
                Some((to, port)) => self.nodes[to].ports[port]
                    .queue
                    .push_back((at.address, packet)),
                None => self.top_in.push((self.now, packet)),
            }
        }
        let now = self.instant();
        self.nodes[number]
            .core
            .transmit_done(now, PortId(index as u8), outbound, result);
        true
    }

    fn start_transfers(&mut self) -> bool {
        let mut is_any = false;
        let first = self.numbers.below(self.nodes.len().max(1));
        let count = self.nodes.len();
        for offset in 0..count {
            let node = &mut self.nodes[(first + offset) % count];
            for (index, port) in node.ports.iter_mut().enumerate() {
                let bus = &mut self.buses[port.at.bus];
                let is_shared = bus.medium == Medium::TwoWire;
                if port.sending.is_some() || (is_shared && bus.busy_until > self.now) {
                    continue;
                }
                if let Some(outbound) = node.core.poll_transmit(PortId(index as u8)) {
                    let len: usize = outbound.transfer.packets().map(<[u8]>::len).sum();
                    let done = self.now + bus.medium.time(len);
                    bus.busy_until = done;
                    port.sending = Some((done, outbound));
                    is_any = true;
                }
            }
        }
        if self.top_sending.is_none()
            && let Some(packet) = self.top_out.pop_front()
        {
            let done = self.now + Medium::Usb.time(packet.len());
            self.top_sending = Some((done, packet));
            is_any = true;
        }
        is_any
    }

    /// Everything that can be done without time passing.
    fn settle(&mut self) {
        loop {
            let mut is_any = self.finish_transfers();
            let now = self.instant();
            for node in &mut self.nodes {
                is_any |= node.receive(now);
                is_any |= node.serve(now, &mut self.answered);
                is_any |= node.send(now);
            }
            is_any |= self.start_transfers();
            if !is_any {
                return;
            }
        }
    }

    fn next(&self) -> u64 {
        let mut next = u64::MAX;
        for node in &self.nodes {
            next = next.min(node.core.next_deadline().as_millis().saturating_mul(1_000));
            for port in &node.ports {
                if let Some((done, _)) = &port.sending {
                    next = next.min((*done).max(self.now + 100));
                }
            }
        }
        if let Some((done, _)) = &self.top_sending {
            next = next.min((*done).max(self.now + 100));
        }
        for bus in self.buses.iter().filter(|bus| bus.busy_until > self.now) {
            next = next.min(bus.busy_until);
        }
        next
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds * 1_000;
        loop {
            self.settle();
            let next = self.next();
            if next > end {
                self.now = end;
                return;
            }
            self.now = next.max(self.now);
            let now = self.instant();
            for node in &mut self.nodes {
                if node.core.next_deadline() <= now {
                    node.core.expire(now);
                }
            }
            self.check();
        }
    }

    /// What holds at all times.
    pub(crate) fn check(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            let Receipts {
                received,
                delivered,
                forwarded,
                dropped,
            } = node.receipts;
            assert_eq!(received, delivered + forwarded + dropped, "node {number}");
            assert!(
                node.core.drop_counters().total() >= dropped,
                "node {number}"
            );
            let by_port =
                (0..node.ports.len()).map(|port| node.core.packets_forwarded(PortId(port as u8)));
            assert_eq!(by_port.sum::<u32>(), forwarded, "node {number}");
        }
    }

    // The bus owner at the top.

    /// Sends packets from the top.
    pub(crate) fn send_from_top(&mut self, packets: Vec<Vec<u8>>) {
        self.top_out.extend(packets);
    }

    /// A control request from the top, up to three times: completion code and data.
    pub(crate) fn ask(&mut self, destination: u8, request: &[u8]) -> Option<Vec<u8>> {
        self.instance_id = (self.instance_id + 1) % 32;
        let header = REQUEST.to(destination).from(HOST).tag(self.instance_id % 8);
        let message = [&[0, 0x80 | self.instance_id], request].concat();
        for _ in 0..3 {
            self.top_out.push_back(header.packet(&message));
            for _ in 0..15 {
                self.run(20);
                for (_, packet) in std::mem::take(&mut self.top_in) {
                    let (_, answer) = Wire::parse(&packet);
                    if answer.starts_with(&[0, self.instance_id, request[0]]) {
                        return Some(answer[3..].to_vec());
                    }
                }
            }
        }
        None
    }

    /// What mctpd does with a device that may be a bridge: its endpoint ID, and the pool that it gets.
    pub(crate) fn set_up_as_mctpd(
        &mut self,
        operation: u8,
        endpoint_id: u8,
    ) -> (u8, Option<(u8, u8)>) {
        let get = self.ask(0, &[2]).expect("Get Endpoint ID");
        assert_eq!(get[2] >> 4, 1, "a bridge");
        let set = self
            .ask(0, &[1, operation, endpoint_id])
            .expect("Set Endpoint ID");
        assert_eq!((set[0], set[1] & 0x30, set[2]), (0, 0, endpoint_id));
        self.ask(endpoint_id, &[5])
            .expect("Get Message Type Support");
        self.ask(endpoint_id, &[3]).expect("Get Endpoint UUID");
        let (count, first) = (set[3], endpoint_id + 1);
        let allocated = self
            .ask(endpoint_id, &[8, operation, count, first])
            .expect("Allocate");
        assert_eq!(allocated, [0, 0, count, first]);
        (endpoint_id, Some((first, count)))
    }

    /// Sends an echo request from the top; whether the echo came back, byte for byte.
    pub(crate) fn echoes(&mut self, destination: u8, message: &[u8]) -> bool {
        self.instance_id = (self.instance_id + 1) % 32;
        let tag = self.instance_id % 8;
        self.top_in.clear();
        let packets = REQUEST
            .to(destination)
            .from(HOST)
            .tag(tag)
            .packets(message, 64);
        self.send_from_top(packets);
        self.run(1_000);
        let mut back: Vec<_> = std::mem::take(&mut self.top_in)
            .into_iter()
            .map(|(_, packet)| packet)
            .collect();
        back.retain(|packet| {
            packet[2] == destination && packet[3] & 0xF == tag && packet[4..] != [0]
        });
        if back.is_empty() {
            return false;
        }
        let assembled = assemble(&back);
        assembled.len() == 1 && assembled[0].message == message
    }

    /// Sends an echo request from one device to another; `false` when it finds no way or channel.
    pub(crate) fn request(&mut self, from: usize, to: u8, message: &[u8]) -> bool {
        let node = &mut self.nodes[from];
        let target = Target::Endpoint(NETWORK, Eid(to));
        let opened = node
            .core
            .open_request(&target, mctp::MsgType(message[0]), mctp::MsgIC(false));
        let Ok((channel, outgoing)) = opened else {
            return false;
        };
        node.sends.push((outgoing, message.to_vec()));
        node.requests.push((channel, message.to_vec()));
        let now = Instant::from_millis(self.now / 1_000);
        node.core.await_response(now, channel, 2_000);
        true
    }
}

impl Node {
    fn receive(&mut self, now: Instant) -> bool {
        let mut is_any = false;
        for (index, port) in self.ports.iter_mut().enumerate() {
            let id = PortId(index as u8);
            while !self.core.is_held_back(id)
                && let Some((address, packet)) = port.queue.front()
            {
                let before = self.core.drop_counters().clone();
                let receipt = self.core.receive(now, id, *address, packet);
                let counts = &mut self.receipts;
                match receipt {
                    Receipt::HeldBack => {
                        break;
                    }
                    Receipt::Stored | Receipt::Delivered(_) | Receipt::Control => {
                        counts.delivered += 1
                    }
                    Receipt::Forwarded(_) => counts.forwarded += 1,
                    Receipt::Dropped(reason) => {
                        assert_eq!(self.core.drop_counters().of(reason), before.of(reason) + 1);
                        counts.dropped += 1;
                    }
                    other => panic!("{other:?}"),
                }
                counts.received += 1;
                port.queue.pop_front();
                is_any = true;
            }
            if self.core.is_held_back(id) {
                let mut kept = VecDeque::new();
                let mut queue = std::mem::take(&mut port.queue).into_iter();
                kept.extend(queue.next());
                for (address, packet) in queue {
                    let before = self.core.drop_counters().total();
                    if !self.core.receive_ahead(now, id, address, &packet) {
                        kept.push_back((address, packet));
                        continue;
                    }
                    let is_dropped = self.core.drop_counters().total() > before;
                    self.receipts.received += 1;
                    match is_dropped {
                        true => self.receipts.dropped += 1,
                        false => self.receipts.delivered += 1,
                    }
                    is_any = true;
                }
                port.queue = kept;
            }
        }
        while self.core.poll_event().is_some() {}
        self.core.take_wakes();
        is_any
    }

    fn serve(&mut self, now: Instant, answered: &mut usize) -> bool {
        let mut is_any = false;
        let _ = now;
        while let Some(lent) = self.core.take_message(self.echo) {
            let message = [&[lent.origin().message_type().0], lent.bytes()].concat();
            // The destination is in the message, which is checked byte for byte at the sender.
            let own = self.core.endpoint_id(NETWORK).0;
            assert_eq!(
                message[4], own,
                "arrived at another endpoint: {message:02x?}"
            );
            let response = lent.origin().response(mctp::MsgIC(false));
            self.core.give_back(lent);
            self.sends.push((response, message));
            is_any = true;
        }
        let mut requests = std::mem::take(&mut self.requests);
        requests.retain(|(channel, message)| {
            if let Some(lent) = self.core.take_message(*channel) {
                assert_eq!(lent.bytes(), &message[1..], "the echo is another one");
                self.core.give_back(lent);
                *answered += 1;
            } else if !self.core.has_expired(*channel) {
                return true;
            }
            self.sends
                .retain(|(outgoing, _)| outgoing.channel() != *channel);
            self.core.close(*channel);
            is_any = true;
            false
        });
        self.requests = requests;
        is_any
    }

    fn send(&mut self, now: Instant) -> bool {
        let mut is_any = false;
        let mut sends = std::mem::take(&mut self.sends);
        sends.retain_mut(|(outgoing, message)| {
            let is_waiting =
                self.core.send(now, outgoing, &[&message[1..]]) == Ok(Progress::Partial);
            is_any |= !is_waiting;
            is_waiting
        });
        self.sends = sends;
        is_any
    }
}

/// An echo request of `len` bytes to an endpoint: type and prefix, the endpoint ID, and bytes that
/// differ from message to message.
pub(crate) fn message_to(endpoint_id: u8, number: usize, len: usize) -> Vec<u8> {
    let mut message = super::echo_message(len.max(8));
    message[4] = endpoint_id;
    for (index, byte) in message.iter_mut().enumerate().skip(5) {
        *byte = (index * 7 + number * 13) as u8;
    }
    message
}
