//! The device of the scenarios with the core alone, in a loop.

use std::collections::VecDeque;

use mctp::{MsgIC, MsgType};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{
    BusOwner, ChannelId, Event, Instant, LentMessage, NetworkId, OpenError, Outbound, Outgoing,
    PortConfig, PortId, Progress, Receipt, Route, RouterCore, RouterStorage, SendFailure, Service,
    Target,
};
use mctp_transport::{DropCounters, DropReason, Eid, PhysicalAddress, Received, SendError};

use super::driver::{
    Asked, Came, Driver, Failure, Question, Response, SendResult, Sending, Served, Setup, Taken,
    Taking,
};
use super::{I2C, I2C_LAYOUT, I2C_MEDIUM_SPECIFIC, SentTransfer, USB, USB_LAYOUT};

pub(crate) struct SansIo {
    core: RouterCore<'static>,
    now: u64,
    links: [Link; 2],
    services: Vec<ChannelId>,
    /// The services that echo, with the answer that each is sending.
    echoes: Vec<Echo>,
    taken: Vec<Option<Answerable>>,
    sendings: Vec<Message>,
    /// Those without an outcome.
    unsent: Vec<Sending>,
    requests: Vec<Request>,
    response_timeout: u64,
}

type Echo = (Served, Taking, Option<(Taken, Sending)>);

struct Link {
    /// Packets that wait to be received.
    packets: VecDeque<(PhysicalAddress, Vec<u8>)>,
    is_up: bool,
    reads: usize,
    refuses: bool,
    bytes_per_millisecond: usize,
    at_transport: Option<Outbound<'static>>,
    /// When the host has what it began to read.
    read_at: Option<u64>,
    sent: Vec<(u64, SentTransfer)>,
}

impl Link {
    fn new() -> Self {
        Self {
            packets: VecDeque::new(),
            is_up: true,
            reads: usize::MAX,
            refuses: false,
            bytes_per_millisecond: usize::MAX,
            at_transport: None,
            read_at: None,
            sent: Vec::new(),
        }
    }
}

struct Answerable {
    channel: ChannelId,
    neighbour: (PortId, PhysicalAddress),
    lent: Option<LentMessage<'static>>,
    /// Without and with the integrity check bit.
    responses: [Outgoing; 2],
    sending: Option<Sending>,
}

struct Message {
    outgoing: Outgoing,
    slices: Vec<Vec<u8>>,
    outcome: Option<SendResult>,
}

struct Request {
    /// `None` once it has ended.
    channel: Option<ChannelId>,
    sending: Result<Sending, Failure>,
    is_awaited: bool,
    timeout: u32,
    answers: Vec<Response>,
}

fn index(port: PortId) -> usize {
    usize::from(port.0)
}

impl SansIo {
    fn link(&mut self, port: PortId) -> &mut Link {
        &mut self.links[index(port)]
    }

    fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Lets each part of the device run once; `true` when one did something.
    fn run_once(&mut self) -> bool {
        let mut any = self.receive_packets().is_some();
        if self.core.next_deadline() <= self.instant() {
            self.core.expire(self.instant());
            any = true;
        }
        for index in 0..self.echoes.len() {
            any |= self.echo_next(index);
        }
        for sending in std::mem::take(&mut self.unsent) {
            any |= self.go_on(sending);
            if self.sendings[sending.0].outcome.is_none() {
                self.unsent.push(sending);
            }
        }
        for index in 0..self.requests.len() {
            any |= self.look_at_request(index);
        }
        for port in [USB, I2C] {
            any |= self.transmit(port);
        }
        self.core.take_wakes();
        any
    }

    /// Returns what came of the last packet that was received, or held back for the first time.
    fn receive_packets(&mut self) -> Option<Receipt> {
        let now = self.instant();
        let mut last = None;
        for port in [USB, I2C] {
            while !self.core.is_held_back(port)
                && let Some((from, packet)) = self.links[index(port)].packets.pop_front()
            {
                let receipt = self.core.receive(now, port, from, &packet);
                if receipt == Receipt::HeldBack {
                    let packets = &mut self.links[index(port)].packets;
                    packets.push_front((from, packet));
                    let core = &mut self.core;
                    packets.retain(|(from, packet)| !core.receive_ahead(now, port, *from, packet));
                }
                last = Some(receipt);
            }
        }
        last
    }

    fn transmit(&mut self, port: PortId) -> bool {
        let now = self.now;
        let link = &mut self.links[index(port)];
        let Some(outbound) = &link.at_transport else {
            link.at_transport = self.core.poll_transmit(port);
            return link.at_transport.is_some();
        };
        let transfer = &outbound.transfer;
        let bytes = transfer.as_bytes().len();
        let longest = transfer.layout().max_transfer;
        assert!(bytes <= longest.into(), "no longer than the transport says");
        let result = if link.is_up {
            if link.read_at.is_none() {
                if link.reads == 0 {
                    return false;
                }
                link.reads -= usize::from(link.reads != usize::MAX);
                let duration = match link.bytes_per_millisecond {
                    usize::MAX => 0,
                    speed => bytes.div_ceil(speed) as u64,
                };
                link.read_at = Some(now + if link.refuses { 0 } else { duration });
            }
            if link.read_at > Some(now) {
                return false;
            }
            if link.refuses {
                Err(SendError::NotAccepted)
            } else {
                let packets = transfer.packets().map(<[u8]>::to_vec).collect();
                link.sent.push((now, (transfer.destination(), packets)));
                Ok(())
            }
        } else {
            Err(SendError::LinkDown)
        };
        link.read_at = None;
        let outbound = link.at_transport.take().unwrap();
        let now = self.instant();
        self.core.transmit_done(now, port, outbound, result);
        true
    }

    fn echo_next(&mut self, index: usize) -> bool {
        if let Some((_, sending)) = &self.echoes[index].2 {
            if self.sendings[sending.0].outcome.is_none() {
                return false;
            }
            let (taken, _) = self.echoes[index].2.take().unwrap();
            self.end(taken);
        }
        let (served, taking, _) = self.echoes[index];
        let Some(taken) = self.take(served, taking) else {
            return false;
        };
        let sending = self.answer(&taken, taken.integrity_check, &[taken.bytes()]);
        self.echoes[index].2 = Some((taken, sending));
        true
    }

    fn go_on(&mut self, sending: Sending) -> bool {
        let now = self.instant();
        let message = &mut self.sendings[sending.0];
        if message.outcome.is_some() {
            return false;
        }
        let slices: Vec<&[u8]> = message.slices.iter().map(Vec::as_slice).collect();
        message.outcome = match self.core.send(now, &mut message.outgoing, &slices) {
            Ok(Progress::Done) => Some(Ok(())),
            Ok(Progress::Partial) => None,
            Err(SendFailure::NoLink | SendFailure::Superseded) => Some(Err(Failure::Unreachable)),
            Err(SendFailure::Stalled) => Some(Err(Failure::Stalled)),
            Err(other) => panic!("a failure without a test: {other}"),
        };
        if message.outcome.is_some() {
            message.slices = Vec::new();
        }
        message.outcome.is_some() || self.core.has_wakes()
    }

    fn look_at_request(&mut self, index: usize) -> bool {
        let now = self.instant();
        let request = &mut self.requests[index];
        let (Some(channel), Ok(sending)) = (request.channel, request.sending) else {
            return false;
        };
        match self.sendings[sending.0].outcome {
            None => return false,
            Some(Err(_)) => {
                self.core.close(channel);
                request.channel = None;
                return true;
            }
            Some(Ok(())) => {}
        }
        if !request.is_awaited {
            request.is_awaited = true;
            self.core.await_response(now, channel, request.timeout);
            return true;
        }
        if let Some(lent) = self.core.take_message(channel) {
            let message = [&[lent.origin().message_type().0], lent.bytes()].concat();
            request.answers.push(Ok(message));
            self.core.give_back(lent);
            self.core.await_response(now, channel, request.timeout);
            return true;
        }
        if self.core.has_expired(channel) {
            request
                .answers
                .push(Err(match self.core.is_refused(channel) {
                    true => Failure::Unreachable,
                    false => Failure::TimedOut,
                }));
            self.core.close(channel);
            request.channel = None;
            return true;
        }
        false
    }

    fn take(&mut self, served: Served, taking: Taking) -> Option<Taken> {
        let channel = self.services[served.0];
        let is_there = self.core.has_message(channel);
        let lent = self.core.take_message(channel);
        assert_eq!(lent.is_some(), is_there);
        let lent = lent?;
        let origin = *lent.origin();
        let (port, neighbour) = lent.origin().neighbour();
        let is_in_place = taking == Taking::InPlace;
        let taken = Taken {
            id: self.taken.len(),
            integrity_check: lent.origin().integrity_check().0,
            message: [&[lent.origin().message_type().0], lent.bytes()].concat(),
            source: lent.origin().source(),
            came_by: is_in_place.then_some((origin.network(), port, neighbour)),
        };
        let responses =
            [false, true].map(|integrity_check| lent.origin().response(MsgIC(integrity_check)));
        let lent = match taking {
            Taking::InPlace => Some(lent),
            Taking::Copied => {
                self.core.give_back(lent);
                None
            }
        };
        self.taken.push(Some(Answerable {
            channel,
            neighbour: (port, neighbour),
            lent,
            responses,
            sending: None,
        }));
        Some(taken)
    }

    fn answer(&mut self, taken: &Taken, integrity_check: bool, slices: &[&[u8]]) -> Sending {
        let answerable = self.taken[taken.id].as_ref().expect("not given back");
        let outgoing = match &answerable.lent {
            Some(lent) => lent.origin().response(MsgIC(integrity_check)),
            None => answerable.responses[usize::from(integrity_check)].clone(),
        };
        let sending = self.begin(outgoing, slices);
        self.taken[taken.id].as_mut().unwrap().sending = Some(sending);
        sending
    }

    fn begin(&mut self, outgoing: Outgoing, slices: &[&[u8]]) -> Sending {
        let sending = Sending(self.sendings.len());
        self.sendings.push(Message {
            outgoing,
            slices: slices.iter().map(|slice| slice.to_vec()).collect(),
            outcome: None,
        });
        self.unsent.push(sending);
        sending
    }

    fn end(&mut self, taken: Taken) {
        if let Some(answerable) = self.taken[taken.id].take() {
            self.end_answerable(answerable);
        }
    }

    fn end_answerable(&mut self, answerable: Answerable) {
        if let Some(sending) = answerable.sending {
            self.end_sending(sending);
        }
        if let Some(lent) = answerable.lent {
            self.core.give_back(lent);
        }
    }

    fn end_sending(&mut self, sending: Sending) {
        let message = &mut self.sendings[sending.0];
        if message.outcome.is_none() {
            message.outcome = Some(Err(Failure::Unreachable));
            self.core.abandon(&message.outgoing);
        }
    }
}

impl Driver for SansIo {
    fn new(setup: &Setup) -> Self {
        let mut core = if setup.is_large {
            let storage = RouterStorage::<
                Ports<2>,
                Networks<2>,
                ShortMessages<4>,
                LongMessages<4, 70_000>,
                Channels<12>,
                Routes<4, 2>,
            >::new();
            RouterCore::new(Box::leak(Box::new(storage)), &setup.config)
        } else {
            let storage = RouterStorage::<
                Ports<2>,
                Networks<2>,
                ShortMessages<2>,
                LongMessages<2, 4224>,
                Channels<10>,
                Routes<4, 2>,
            >::new();
            RouterCore::new(Box::leak(Box::new(storage)), &setup.config)
        };
        for (port, network) in [USB, I2C].into_iter().zip(setup.networks) {
            let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
            assert_eq!(core.add_port(network, buffers), Ok(port));
        }
        core.set_layout(USB, USB_LAYOUT);
        core.set_layout(I2C, I2C_LAYOUT);
        core.set_medium_specific(I2C, I2C_MEDIUM_SPECIFIC);
        core.link_up(USB);
        core.link_up(I2C);
        while core.poll_event().is_some() {}
        Self {
            core,
            now: 0,
            links: [Link::new(), Link::new()],
            services: Vec::new(),
            echoes: Vec::new(),
            taken: Vec::new(),
            sendings: Vec::new(),
            unsent: Vec::new(),
            response_timeout: setup.config.response_timeout.as_millis() as u64,
            requests: Vec::new(),
        }
    }

    fn configure_port(&mut self, port: PortId, config: PortConfig) {
        self.core.configure_port(port, config);
    }

    fn add_route(&mut self, route: Route) -> bool {
        self.core.add_route(route)
    }

    fn remove_route(&mut self, network: NetworkId, first: Eid, last: Eid) -> bool {
        self.core.remove_route(network, first, last)
    }

    fn endpoint_id(&self, network: NetworkId) -> Eid {
        self.core.endpoint_id(network)
    }

    fn set_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool {
        self.core.set_endpoint_id(network, endpoint_id)
    }

    fn set_static_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool {
        self.core.set_static_endpoint_id(network, endpoint_id)
    }

    fn bus_owner(&self, network: NetworkId) -> Option<BusOwner> {
        self.core.bus_owner(network)
    }

    fn drop_counters(&self) -> DropCounters {
        self.core.drop_counters().clone()
    }

    fn count_drop(&mut self, reason: DropReason) {
        self.core.count_drop(reason);
    }

    fn messages_accepted(&self) -> u32 {
        self.core.messages_accepted()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.core.poll_event()
    }

    fn millis(&self) -> u64 {
        self.now
    }

    fn advance(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        self.run();
        loop {
            let reads = self.links.iter().filter_map(|link| link.read_at);
            let deadline = self.core.next_deadline().as_millis();
            let next = reads.chain([deadline]).min().unwrap_or(deadline);
            if next > end {
                break;
            }
            self.now = next.max(self.now);
            self.run();
        }
        self.now = end;
    }

    fn oversleep(&mut self, milliseconds: u64) {
        self.now += milliseconds;
    }

    fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.run_once() {
                return;
            }
        }
        panic!("the device never comes to rest");
    }

    fn link_up(&mut self, port: PortId) {
        self.link(port).is_up = true;
        self.core.link_up(port);
        self.run();
    }

    fn link_down(&mut self, port: PortId) {
        self.link(port).is_up = false;
        self.core.link_down(port);
        self.run();
    }

    fn set_can_wait(&mut self, port: PortId, can_wait: bool) {
        self.core.set_can_wait(port, can_wait);
    }

    fn receive_at(&mut self, port: PortId, from: PhysicalAddress, packet: &[u8]) -> Came {
        self.link(port).packets.push_back((from, packet.to_vec()));
        let receipt = self.receive_packets();
        self.run();
        match receipt {
            None | Some(Receipt::HeldBack) => Came::HeldBack,
            Some(Receipt::Stored) => Came::Stored,
            Some(Receipt::Delivered(_) | Receipt::Control) => Came::Accepted,
            Some(Receipt::Dropped(reason)) => Came::Dropped(reason),
            Some(other) => panic!("a receipt without a test: {other:?}"),
        }
    }

    fn receive_all_at(&mut self, port: PortId, from: PhysicalAddress, packets: &[Vec<u8>]) {
        let packets = packets.iter().map(|packet| (from, packet.clone()));
        self.link(port).packets.extend(packets);
        self.run();
    }

    fn receive_broken(&mut self, port: PortId) {
        let broken = Received::Dropped(DropReason::BadLinkIntegrity);
        let receipt = self.core.received(self.instant(), port, broken);
        let dropped = Receipt::Dropped(DropReason::BadLinkIntegrity);
        assert_eq!(receipt, Some(dropped));
    }

    fn set_reads(&mut self, port: PortId, transfers: usize) {
        self.link(port).reads = transfers;
        self.run();
    }

    fn set_speed(&mut self, port: PortId, bytes_per_millisecond: usize) {
        self.link(port).bytes_per_millisecond = bytes_per_millisecond;
    }

    fn set_refuses(&mut self, port: PortId, refuses: bool) {
        self.link(port).refuses = refuses;
    }

    fn timed_transfers(&mut self, port: PortId) -> Vec<(u64, SentTransfer)> {
        std::mem::take(&mut self.link(port).sent)
    }

    fn listen(&mut self, service: Service) -> Result<Served, Failure> {
        let channel = self.core.open_listener(service)?;
        self.services.push(channel);
        Ok(Served(self.services.len() - 1))
    }

    fn close(&mut self, served: Served) {
        let channel = self.services[served.0];
        for index in 0..self.taken.len() {
            let of_service = |taken: &mut Answerable| taken.channel == channel;
            if let Some(answerable) = self.taken[index].take_if(of_service) {
                self.end_answerable(answerable);
            }
        }
        self.core.close(channel);
        self.run();
    }

    fn take_as(&mut self, served: Served, taking: Taking) -> Option<Taken> {
        let taken = self.take(served, taking);
        self.run();
        taken
    }

    fn respond(&mut self, taken: &Taken, integrity_check: bool, slices: &[&[u8]]) -> Sending {
        let sending = self.answer(taken, integrity_check, slices);
        self.run();
        sending
    }

    fn outcome(&mut self, sending: Sending) -> Option<SendResult> {
        self.sendings[sending.0].outcome
    }

    fn abandon(&mut self, sending: Sending) {
        self.end_sending(sending);
        self.run();
    }

    fn give_back(&mut self, taken: Taken) {
        self.end(taken);
        self.run();
    }

    fn discard_bad_integrity_check(&mut self, taken: Taken) {
        self.core.count_drop(DropReason::BadIntegrityCheck);
        self.give_back(taken);
    }

    fn serve_echo(&mut self, service: Service, taking: Taking) {
        let served = self.listen(service).expect("a free channel");
        self.echoes.push((served, taking, None));
    }

    fn ask(&mut self, question: Question) -> Asked {
        let asked = Asked(self.requests.len());
        let (message_type, body) = question.message.split_first().unwrap();
        let message_type = MsgType(*message_type);
        let opened = self
            .core
            .open_request(&question.target, message_type, MsgIC(false));
        let opened = opened.map(|(channel, outgoing)| (channel, self.begin(outgoing, &[body])));
        self.requests.push(Request {
            channel: opened.ok().map(|(channel, _)| channel),
            sending: opened
                .map(|(_, sending)| sending)
                .map_err(|error| match error {
                    OpenError::NoPort => Failure::Unreachable,
                    OpenError::NoChannel => Failure::NoSpace,
                    OpenError::NoTag => Failure::TagUnavailable,
                    other => panic!("an error without a test: {other}"),
                }),
            is_awaited: false,
            timeout: question.timeout.unwrap_or(self.response_timeout) as u32,
            answers: Vec::new(),
        });
        self.run();
        asked
    }

    fn ask_back(&mut self, taken: &Taken, question: Question) -> Asked {
        let answerable = self.taken[taken.id].as_ref().expect("not given back");
        assert!(answerable.lent.is_none(), "only who copied can ask back");
        let (port, address) = answerable.neighbour;
        let target = Target::Neighbour(port, address, taken.source);
        self.ask(Question { target, ..question })
    }

    fn request_outcome(&mut self, asked: Asked) -> Option<SendResult> {
        match self.requests[asked.0].sending {
            Ok(sending) => self.outcome(sending),
            Err(failure) => Some(Err(failure)),
        }
    }

    fn answers(&mut self, asked: Asked) -> Vec<Response> {
        std::mem::take(&mut self.requests[asked.0].answers)
    }

    fn end_request(&mut self, asked: Asked) {
        let request = &mut self.requests[asked.0];
        let (channel, sending) = (request.channel.take(), request.sending);
        if let Ok(sending) = sending {
            self.end_sending(sending);
        }
        if let Some(channel) = channel {
            self.core.close(channel);
        }
        self.run();
    }
}
