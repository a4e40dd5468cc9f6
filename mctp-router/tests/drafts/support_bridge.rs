//! A bridge of four ports in a test's own hands, on a virtual clock of milliseconds.

use std::collections::VecDeque;

use mctp::{MsgIC, MsgType};
use mctp_router::storage::{
    Channels, ForwardingBuffer, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{
    ChannelId, Config, Instant, Outgoing, PacketCounters, PortId, Progress, Receipt, Route,
    RouterCore, RouterStorage, Target,
};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use super::{DEVICE, ECHO, I2C, I2C_LAYOUT, NETWORK, POINT_TO_POINT, USB, USB_LAYOUT, config};

/// USB-like ports behind those of the other tests.
pub(crate) const SECOND: PortId = PortId(2);
pub(crate) const THIRD: PortId = PortId(3);
pub(crate) const PORTS: [PortId; 4] = [USB, I2C, SECOND, THIRD];

/// An endpoint behind a port.
pub(crate) fn behind(port: PortId) -> u8 {
    20 + 10 * port.0
}

/// Where the routes to the endpoints of a port lead.
pub(crate) fn neighbour(port: PortId) -> PhysicalAddress {
    match port {
        I2C => PhysicalAddress::from_byte(0x33),
        _ => POINT_TO_POINT,
    }
}

/// What a port sent: when, to whom, and the packet.
pub(crate) type Sent = (u64, PhysicalAddress, Vec<u8>);

/// A message that the bridge itself sends, again and again.
struct Bulk {
    channel: ChannelId,
    outgoing: Outgoing,
    message: Vec<u8>,
}

pub(crate) struct Bridge {
    pub(crate) core: RouterCore<'static>,
    pub(crate) now: u64,
    /// What the neighbours have for each port.
    pub(crate) inputs: [VecDeque<(PhysicalAddress, Vec<u8>)>; 4],
    /// What each port sent.
    pub(crate) sent: [Vec<Sent>; 4],
    /// How many transfers the neighbours of each port take in a millisecond.
    pub(crate) takes: [usize; 4],
    /// What came of the packets, by reason for those that were dropped.
    pub(crate) receipts: PacketCounters,
    pub(crate) dropped: Vec<DropReason>,
    bulk: Option<Bulk>,
}

impl Bridge {
    /// Its I2C-like port cannot wait, the others can. All forward, all links are up.
    pub(crate) fn new() -> Self {
        Self::with(&config(), &PORTS)
    }

    /// It never had an endpoint ID.
    pub(crate) fn without_endpoint_id() -> Self {
        Self::build(&config(), &PORTS)
    }

    /// Of its ports, these forward.
    pub(crate) fn with(config: &Config, forwarding: &[PortId]) -> Self {
        let mut bridge = Self::build(config, forwarding);
        assert!(bridge.core.set_endpoint_id(NETWORK, Eid(DEVICE)));
        bridge
    }

    fn build(config: &Config, forwarding: &[PortId]) -> Self {
        let storage = Box::leak(Box::new(RouterStorage::<
            Ports<4>,
            Networks<1>,
            ShortMessages<4>,
            LongMessages<2, 4224>,
            Channels<8>,
            Routes<8>,
        >::new()));
        let mut core = RouterCore::new(storage, config);
        for port in PORTS {
            let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
            assert_eq!(core.add_port(NETWORK, buffers), Ok(port));
            if forwarding.contains(&port) {
                let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
                assert_eq!(core.forward_by(port, buffer), Ok(()));
            }
            let layout = if port == I2C { I2C_LAYOUT } else { USB_LAYOUT };
            core.set_layout(port, layout);
            core.set_can_wait(port, port != I2C);
            core.link_up(port);
            let first = Eid(behind(port));
            let route = Route::new(first, Eid(first.0 + 9), port, neighbour(port));
            assert!(core.add_route(route));
        }
        core.open_listener(ECHO).unwrap();
        core.take_wakes();
        Self {
            core,
            now: 0,
            inputs: Default::default(),
            sent: Default::default(),
            takes: [usize::MAX; 4],
            receipts: PacketCounters::default(),
            dropped: Vec::new(),
            bulk: None,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// The packet comes by a port, once, from its neighbour.
    pub(crate) fn receive(&mut self, port: PortId, packet: &[u8]) -> Receipt {
        self.receive_from(port, neighbour(port), packet)
    }

    pub(crate) fn receive_from(
        &mut self,
        port: PortId,
        from: PhysicalAddress,
        packet: &[u8],
    ) -> Receipt {
        let receipt = self.core.receive(self.now(), port, from, packet);
        match receipt {
            Receipt::HeldBack => return receipt,
            Receipt::Forwarded(_) => self.receipts.forwarded += 1,
            Receipt::Dropped(reason) => {
                self.receipts.dropped += 1;
                self.dropped.push(reason);
            }
            Receipt::Delivered(channel) => {
                self.receipts.delivered += 1;
                while let Some(message) = self.core.take_message(channel) {
                    self.core.give_back(message);
                }
            }
            _ => self.receipts.delivered += 1,
        }
        self.receipts.received += 1;
        receipt
    }

    /// The neighbour of a port has this for it.
    pub(crate) fn input(&mut self, port: PortId, packet: &[u8]) {
        self.inputs[usize::from(port.0)].push_back((neighbour(port), packet.to_vec()));
    }

    /// The bridge sends a message of its own to an endpoint behind a port, again and again.
    pub(crate) fn send_bulk(&mut self, port: PortId, len: usize) {
        let target = Target::Endpoint(NETWORK, Eid(behind(port)));
        let opened = self.core.open_request(&target, MsgType(5), MsgIC(false));
        let (channel, outgoing) = opened.unwrap();
        self.bulk = Some(Bulk {
            channel,
            outgoing,
            message: vec![0x55; len],
        });
    }

    /// The task of the bridge's own message goes on.
    fn run_bulk(&mut self) {
        let now = self.now();
        while let Some(bulk) = &mut self.bulk {
            match self.core.send(now, &mut bulk.outgoing, &[&bulk.message]) {
                Ok(Progress::Partial) => break,
                Ok(Progress::Done) => {
                    let (to, len) = (bulk.outgoing_port(), bulk.message.len());
                    self.core.close(bulk.channel);
                    self.send_bulk(to, len);
                }
                Err(_) => self.bulk = None,
            }
        }
    }

    /// The task that receives by a port takes what it can.
    fn run_receiver(&mut self, port: PortId) {
        let index = usize::from(port.0);
        while !self.core.is_held_back(port)
            && let Some((from, packet)) = self.inputs[index].pop_front()
        {
            if self.receive_from(port, from, &packet) == Receipt::HeldBack {
                let (core, now) = (&mut self.core, Instant::from_millis(self.now));
                let (receipts, dropped) = (&mut self.receipts, &mut self.dropped);
                self.inputs[index].retain(|(from, packet)| {
                    let before = core.drop_counters().clone();
                    let is_taken = core.receive_ahead(now, port, *from, packet);
                    let counters = core.drop_counters();
                    let of_packets = counters.nonzero().map(|(reason, _)| reason);
                    // Those two are of messages.
                    let reason = of_packets.filter(|reason| {
                        counters.of(*reason) > before.of(*reason)
                            && *reason != DropReason::ReplacedByNewStart
                            && *reason != DropReason::ResponseNotTaken
                    });
                    let reasons: Vec<_> = reason.collect();
                    receipts.received += u32::from(is_taken);
                    receipts.delivered += u32::from(is_taken && reasons.is_empty());
                    receipts.dropped += reasons.len() as u32;
                    dropped.extend(reasons);
                    !is_taken
                });
                self.inputs[index].push_front((from, packet));
            }
        }
    }

    /// All tasks run until none can go on. Those that receive run before the bridge's own.
    pub(crate) fn run(&mut self) {
        for _ in 0..4 {
            PORTS.into_iter().for_each(|port| self.run_receiver(port));
            self.run_bulk();
        }
    }

    /// A neighbour takes one transfer. `false` when there is none.
    pub(crate) fn take(&mut self, port: PortId) -> bool {
        let Some(outbound) = self.core.poll_transmit(port) else {
            return false;
        };
        let to = outbound.transfer.destination();
        let packets = outbound.transfer.packets();
        let sent = packets.map(|packet| (self.now, to, packet.to_vec()));
        self.sent[usize::from(port.0)].extend(sent);
        self.core.transmit_done(self.now(), port, outbound, Ok(()));
        true
    }

    /// A millisecond passes; deadlines are met.
    pub(crate) fn step(&mut self) {
        self.now += 1;
        if self.core.next_deadline() <= self.now() {
            self.core.expire(self.now());
        }
        self.run();
        for port in PORTS {
            for _ in 0..self.takes[usize::from(port.0)] {
                if !self.take(port) {
                    break;
                }
                self.run();
            }
        }
    }

    pub(crate) fn advance(&mut self, milliseconds: u64) {
        (0..milliseconds).for_each(|_| self.step());
    }

    /// The packets that a port sent since this was called last.
    pub(crate) fn sent_by(&mut self, port: PortId) -> Vec<Vec<u8>> {
        while self.take(port) {}
        let sent = std::mem::take(&mut self.sent[usize::from(port.0)]);
        sent.into_iter().map(|(_, _, packet)| packet).collect()
    }
}

impl Bulk {
    fn outgoing_port(&self) -> PortId {
        self.outgoing.port()
    }
}
