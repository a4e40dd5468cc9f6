//! Packets in: addressing, assembly and the discards of DSP0236 1.3.3, sections 8.6 to 8.10.

use mctp::{MCTP_ADDR_ANY, MCTP_ADDR_NULL};
use mctp_time::Instant;
use mctp_transport::{
    BASELINE_TRANSMISSION_UNIT, DropReason, HEADER_LEN, HeaderError, PhysicalAddress, RawHeader,
    Received,
};

use super::forward::Passing;
use super::list;
use super::newest::{self, RequestNumber};
use super::slots::{LentMessage, Mismatch, Origin, Slot, Start};
use super::{ChannelId, Link, Port, Receipt, RouterCore, Wakes};
use crate::config::{BusOwner, Event, NetworkId, PortId};
use crate::control::{self, ControlRequest};
use crate::wire::Response;

const TYPE_MASK: u8 = 0x7F;

/// The least payload of packets that are not the last of their message. That is the baseline unit,
/// 64 (DSP0236 section 8.4); mctp-estack 0.1 counts the packet header in.
const LEAST_UNIT: usize = BASELINE_TRANSMISSION_UNIT - HEADER_LEN;

/// A packet whose header is legal, and where it came from.
struct Packet<'p> {
    now: Instant,
    /// The message type is that of a start packet, once it is known; the channel never is.
    origin: Origin,
    payload: &'p [u8],
}

/// Whether a packet begins a control request.
fn is_control_request(bytes: &[u8]) -> bool {
    let Some((header, [type_ic, ..])) = bytes.split_first_chunk() else {
        return false;
    };
    let header = RawHeader::from_bytes(*header);
    header.is_start() && header.is_tag_owner() && is_control(*type_ic)
}

#[inline]
fn is_control(type_ic: u8) -> bool {
    type_ic & TYPE_MASK == mctp::MCTP_TYPE_CONTROL.0
}

impl From<Mismatch> for DropReason {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Sequence => Self::OutOfSequence,
            Mismatch::Size => Self::PacketSizeMismatch,
            Mismatch::TooLong => Self::MessageTooLong,
        }
    }
}

/// Inputs from the transport, and messages out of it.
impl<'b> RouterCore<'b> {
    /// Takes whatever a transport's receive half returned.
    #[inline]
    pub fn received(
        &mut self,
        now: Instant,
        port: PortId,
        received: Received<'_>,
    ) -> Option<Receipt> {
        match received {
            Received::Packet { source, bytes } => Some(self.receive(now, port, source, bytes)),
            Received::Broadcast { source, bytes } => {
                Some(self.receive_broadcast(now, port, source, bytes))
            }
            other => self.received_other(port, other),
        }
    }

    fn received_other(&mut self, port: PortId, received: Received<'_>) -> Option<Receipt> {
        match received {
            Received::Dropped(reason) => {
                return Some(self.discard(reason));
            }
            Received::LinkUp => self.link_up(port),
            Received::LinkDown => self.link_down(port),
            Received::Packet { .. } | Received::Broadcast { .. } => {}
        }
        None
    }

    /// The port's link can carry packets.
    pub fn link_up(&mut self, port_id: PortId) {
        if let Some(port) = self.port(port_id)
            && port.link == Link::Down
        {
            port.set_link(Link::Up);
            self.tell_bridge_of_link(port_id, true);
            self.responder.events.push(Event::LinkUp(port_id));
            self.wakes.add(Wakes::Everybody);
        }
    }

    /// The port's link is lost: messages that came by it and were not taken yet, whole or not, and
    /// what waits to be sent are given up. What was taken can no longer be answered: the next host
    /// that uses the tag would take the answer for its own. Requests that were sent by it wait no
    /// longer. The endpoint ID is kept (DSP0236 section 8.18.6).
    pub fn link_down(&mut self, port_id: PortId) {
        let Some(port) = self.port(port_id) else {
            return;
        };
        if port.link == Link::Down {
            return;
        }
        let unsent = port.set_link(Link::Down);
        self.forget_waiting(port_id);
        self.channels.end_requests_by(port_id);
        let untaken = self.slots.free_all_by(port_id);
        self.count_drops(DropReason::LinkDown, unsent.saturating_add(untaken));
        self.tell_bridge_of_link(port_id, false);
        self.responder.events.push(Event::LinkDown(port_id));
        self.note_buffer_freed();
        self.wakes.add(Wakes::Everybody);
    }

    /// Takes one packet from the neighbour at `address`. One that is [`Receipt::HeldBack`] is to be
    /// offered again.
    #[inline]
    pub fn receive(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Receipt {
        match self.receive_expected(now, (port, address), bytes) {
            Some(receipt) => receipt,
            None => self.receive_other(now, port, address, bytes),
        }
    }

    /// Takes one packet that the neighbour at `address` sent to all devices on the bus. It is for this
    /// device by its endpoint ID, or by the broadcast endpoint ID; no physical address says so.
    pub fn receive_broadcast(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Receipt {
        let Some(header) = bytes.first_chunk() else {
            return self.discard(DropReason::Truncated);
        };
        let destination = RawHeader::from_bytes(*header).destination();
        let network = self.port(port).map(|port| port.network);
        let own = network.map_or(MCTP_ADDR_NULL, |network| self.endpoint_id(network));
        if destination == MCTP_ADDR_ANY || (destination == own && own != MCTP_ADDR_NULL) {
            self.receive_other(now, port, address, bytes)
        } else {
            self.discard(DropReason::NotOurDestination)
        }
    }

    fn discard(&mut self, reason: DropReason) -> Receipt {
        self.drops.count(reason);
        Receipt::Dropped(reason)
    }

    #[inline(never)]
    fn receive_other(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Receipt {
        self.try_receive(now, port, address, bytes)
            .unwrap_or_else(|reason| self.discard(reason))
    }

    /// Takes any packet. One that is to be discarded is not counted yet.
    #[inline]
    fn try_receive(
        &mut self,
        now: Instant,
        port_id: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Result<Receipt, DropReason> {
        let (header, payload) = bytes.split_first_chunk().ok_or(DropReason::Truncated)?;
        let header = RawHeader::from_bytes(*header);
        if !header.has_known_version() {
            return Err(HeaderError::UnsupportedVersion.into());
        }
        if !header.has_legal_source() {
            return Err(DropReason::InvalidSource);
        }
        let port = self.ports.get(usize::from(port_id.0));
        let port = port.filter(|port| port.exists());
        let port = port.ok_or(DropReason::LinkDown)?;
        if payload.len() > port.max_receive_unit() {
            return Err(DropReason::UnsupportedTransmissionUnit);
        }
        let (network, session) = (port.network, port.session());
        if let Some(forward) = port.forwards()
            && self.may_be_for_another(network, header)
        {
            let passing = Passing {
                now,
                from: (port_id, address),
                header,
                payload,
            };
            if let Some(result) = forward(self, &passing) {
                return result;
            }
        }
        let mut packet = Packet {
            now,
            origin: Origin {
                address,
                header,
                session,
                number: RequestNumber::NONE,
                port: port_id,
                network,
                channel: ChannelId(0),
                type_ic: 0,
            },
            payload,
        };
        if header.is_start() {
            self.start_message(&mut packet)
        } else {
            self.continue_message(&packet)
        }
    }

    /// Whether a packet may be for an endpoint elsewhere. Bridges forward none to or from a null
    /// endpoint ID, and no broadcast (DSP0236 section 8.3).
    #[inline]
    fn may_be_for_another(&self, network: NetworkId, header: RawHeader) -> bool {
        let destination = header.destination();
        destination != self.endpoint_id(network)
            && !matches!(destination, MCTP_ADDR_NULL | MCTP_ADDR_ANY)
            && header.source() != MCTP_ADDR_NULL
    }

    /// Takes a packet that waits behind one that is [held back](Receipt::HeldBack), if it need not:
    /// a control request needs no buffer. Whether it was taken; its answer waits at the port.
    pub fn receive_ahead(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> bool {
        let is_taken = is_control_request(bytes) && !self.would_forward(port, bytes);
        if is_taken {
            self.receive_other(now, port, address, bytes);
        }
        is_taken
    }

    /// Whether a packet may be one to forward, which does not overtake others.
    fn would_forward(&self, port: PortId, bytes: &[u8]) -> bool {
        let port = self.ports.get(usize::from(port.0));
        let port = port.filter(|port| port.forwards().is_some());
        let header = bytes
            .first_chunk()
            .map(|header| RawHeader::from_bytes(*header));
        port.zip(header)
            .is_some_and(|(port, header)| self.may_be_for_another(port.network, header))
    }

    /// Whether a packet that came by this port is [held back](Receipt::HeldBack). When it no longer
    /// is, it can be offered again: a buffer has come free since, or its time is over.
    pub fn is_held_back(&self, port: PortId) -> bool {
        let port = self.ports.get(usize::from(port.0));
        port.is_some_and(|port| port.holds_back)
    }

    /// Takes the packet that an unfinished message waits for, the commonest by far, without asking
    /// what its start was asked: its header is as predicted, and it comes from where the start came
    /// from.
    #[inline(always)]
    fn receive_expected(
        &mut self,
        now: Instant,
        from: (PortId, PhysicalAddress),
        bytes: &[u8],
    ) -> Option<Receipt> {
        let (header, payload) = bytes.split_first_chunk()?;
        let header = RawHeader::from_bytes(*header);
        if header.is_start() {
            return None;
        }
        let place = self.slots.expecting(header, from)?;
        let slot = place.as_deref_mut()?;
        if !slot.append_expected(now, header, payload) {
            return None;
        }
        if header.is_end()
            && let Some(slot) = list::take(place)
        {
            return Some(self.complete(slot));
        }
        Some(Receipt::Stored)
    }

    /// Whether a packet is for this endpoint. While it has no endpoint ID it is known by its
    /// physical address only.
    #[inline]
    fn is_for_us(&self, packet: &Packet<'_>) -> bool {
        let own = self.endpoint_id(packet.origin.network);
        let destination = packet.origin.header.destination();
        destination == own || destination.0 == 0 || (own.0 == 0 && destination != MCTP_ADDR_ANY)
    }

    fn continue_message(&mut self, packet: &Packet<'_>) -> Result<Receipt, DropReason> {
        if !self.is_for_us(packet) {
            return Err(DropReason::NotOurDestination);
        }
        let &Packet {
            now,
            ref origin,
            payload,
        } = packet;
        let header = origin.header;
        // By another neighbour only if that is the way to its source by now.
        let way = self.routes.to(origin.network, header.source());
        let is_by_route = way.is_some_and(|way| way.leads_by(origin.neighbour()));
        let Some(place) = self.slots.assembling(origin, is_by_route) else {
            let awaited =
                header.is_tag_owner() || self.channels.request_answered_by(origin).is_some();
            return Err(if awaited {
                DropReason::MiddleWithoutStart
            } else {
                DropReason::UnexpectedResponse
            });
        };
        let slot = place.as_deref_mut().ok_or(DropReason::MiddleWithoutStart)?;
        let appended = slot.append(now, header, payload);
        if appended.is_ok() && !header.is_end() {
            return Ok(Receipt::Stored);
        }
        let slot = list::take(place).ok_or(DropReason::MiddleWithoutStart)?;
        match appended {
            Ok(()) => Ok(self.complete(slot)),
            Err(mismatch) => {
                self.slots.release(slot);
                Err(mismatch.into())
            }
        }
    }

    /// The message in `slot` is complete.
    #[inline(never)]
    fn complete(&mut self, slot: &'b mut Slot<'b>) -> Receipt {
        let owner = self.slots.complete(slot);
        self.deliver(owner)
    }

    #[inline]
    fn start_message(&mut self, packet: &mut Packet<'_>) -> Result<Receipt, DropReason> {
        let header = packet.origin.header;
        let (&type_ic, body) = packet.payload.split_first().ok_or(DropReason::Truncated)?;
        packet.origin.type_ic = type_ic;
        let is_control = is_control(type_ic);
        if is_control && header.is_tag_owner() {
            return self.receive_control_request(packet);
        }
        if !self.is_for_us(packet) {
            return Err(DropReason::NotOurDestination);
        }
        if header.is_tag_owner() {
            packet.origin.number = self.note_request(packet);
        } else if is_control
            && header.is_end()
            && control::is_response(body)
            && self.answers_bridge(packet.now, &packet.origin, packet.payload)
        {
            self.accepted = self.accepted.saturating_add(1);
            return Ok(Receipt::Control);
        }
        if !header.is_end() {
            // The packets to come are of this message, even if it is not for us: none of them may
            // end up in an older one.
            self.replace_unfinished(packet);
            if packet.payload.len() < LEAST_UNIT {
                return Err(DropReason::UnsupportedTransmissionUnit);
            }
        }
        let channel = if header.is_tag_owner() {
            self.channels
                .listener_for(packet.origin.network, packet.payload)
                .ok_or(DropReason::UnsupportedMessageType)?
        } else if is_control && !(header.is_end() && control::is_response(body)) {
            return Err(DropReason::InvalidControlMessage);
        } else {
            self.channels
                .request_answered_by(&packet.origin)
                .ok_or(DropReason::UnexpectedResponse)?
        };
        if header.is_end() {
            self.replace_unfinished(packet);
        }
        let mut start = Start {
            origin: &packet.origin,
            channel,
            body,
            // With several services, none may take all buffers.
            fair: self.channels.open_count() > 1,
        };
        while !self.slots.begin(packet.now, &start) {
            if start.fair && self.slots.has_nothing_whole(channel) {
                // Unless they are unfinished: of those it can be made to give one up.
                start.fair = false;
                continue;
            }
            // As often as a message can be given up for it.
            if !self.make_room(packet.now, &start)? {
                return self.hold_back(packet.now, &start);
            }
        }
        if header.is_end() {
            return Ok(self.deliver(channel));
        }
        self.look_soon(packet.now);
        Ok(Receipt::Stored)
    }

    /// Gives up a message that is late, if that helps a new one to a buffer.
    fn make_room(&mut self, now: Instant, start: &Start<'_>) -> Result<bool, DropReason> {
        if start.body.len() > self.slots.longest() {
            return Err(DropReason::MessageTooLong);
        }
        let has_made_room = self.slots.evict(now, self.eviction_age, start);
        if has_made_room {
            self.drops.count(DropReason::EvictedUnfinished);
        }
        Ok(has_made_room)
    }

    /// Leaves a packet for which there is no buffer with the neighbour, if that helps.
    fn hold_back(&mut self, now: Instant, start: &Start<'_>) -> Result<Receipt, DropReason> {
        let port = self.ports.get_mut(usize::from(start.origin.port.0));
        // Asked only then: a neighbour that cannot wait does not use up the time of one that can.
        let port = port.filter(|port| {
            port.can_wait && self.slots.holds_back(self.looks, self.hold_limit, start)
        });
        port.ok_or(DropReason::NoMessageBuffer)?.holds_back = true;
        self.holds_back = true;
        self.look_soon(now);
        Ok(Receipt::HeldBack)
    }

    /// There is a message for the channel.
    fn deliver(&mut self, owner: ChannelId) -> Receipt {
        self.accepted = self.accepted.saturating_add(1);
        Receipt::Delivered(owner)
    }

    /// The sender of a request uses its tag anew: what it asked before under it, it waits for no
    /// longer.
    #[inline]
    fn note_request(&mut self, packet: &Packet<'_>) -> RequestNumber {
        self.last_request = self.last_request.next();
        // Who has no endpoint ID is not known by it.
        if packet.origin.source().0 != 0 {
            newest::note(self.newest, packet.origin.key(), self.last_request);
        }
        self.last_request
    }

    /// A new start packet ends the unfinished message of the same terminus (DSP0236 section 8.9).
    #[inline]
    fn replace_unfinished(&mut self, packet: &Packet<'_>) {
        if self.slots.abandon(&packet.origin) {
            self.drops.count(DropReason::ReplacedByNewStart);
        }
    }

    /// Control requests need no buffer: they are answered from their packet, and the answer has its
    /// own place at the port.
    #[inline(never)]
    fn receive_control_request(&mut self, packet: &Packet<'_>) -> Result<Receipt, DropReason> {
        let &Packet {
            now,
            ref origin,
            payload,
        } = packet;
        let header = origin.header;
        if !self.is_for_us(packet) && header.destination() != MCTP_ADDR_ANY {
            return Err(DropReason::NotOurDestination);
        }
        self.note_request(packet);
        let parsed = control::parse_request(header, payload);
        if parsed.is_ok() || !header.is_end() {
            // As for any other message.
            self.replace_unfinished(packet);
        }
        let (control_header, data) = parsed?;
        self.accepted = self.accepted.saturating_add(1);
        let port = self.ports.get(usize::from(origin.port.0));
        let medium_specific = port.map_or(0, |port| port.medium_specific);
        let request = ControlRequest {
            now,
            network: origin.network,
            packet: header,
            requester: BusOwner {
                endpoint_id: header.source(),
                port: origin.port,
                address: origin.address,
            },
            header: control_header,
            data,
            medium_specific,
        };
        let own = self.endpoint_id(origin.network);
        let mut response = Response::to(control_header);
        let answer = match self.answer_as_bridge(&request, &mut response) {
            Some(answer) => answer,
            None => {
                let endpoint = self.endpoints.get_mut(usize::from(origin.network.0));
                let endpoint = endpoint.ok_or(DropReason::NotOurDestination)?;
                let services = self.channels.services_at(origin.network);
                let responder = &mut self.responder;
                responder.answer(&request, endpoint, &services, &mut response)
            }
        };
        let own_now = self.endpoint_id(origin.network);
        if own_now != own {
            self.slots.expect_anew();
        }
        let header = request.respond((own, own_now), answer, &mut response);
        if self.responder.events.any() {
            self.wakes.add(Wakes::Everybody);
        }
        let queued = match header {
            Some(header) => self.queue_response(packet, header, response.as_bytes()),
            None => Ok(()),
        };
        if self.bridge.is_some() {
            self.drive_bridge(now);
        }
        queued.map(|()| Receipt::Control)
    }

    fn queue_response(
        &mut self,
        packet: &Packet<'_>,
        header: RawHeader,
        payload: &[u8],
    ) -> Result<(), DropReason> {
        let (port_id, address) = packet.origin.neighbour();
        let port = self.ports.get_mut(usize::from(port_id.0));
        let takes_responses = |port: &&mut Port<'_>| {
            port.link != Link::Down && (port.has_layout() || port.awaits_layout())
        };
        let port = port.filter(takes_responses);
        let port = port.ok_or(DropReason::LinkDown)?;
        let replaced = port
            .queue_response(address, header, payload)
            .map_err(|()| DropReason::ResponseNotTaken)?;
        if port.note_waiting(packet.now) {
            self.look_soon(packet.now);
        }
        self.count_drops(DropReason::ResponseNotTaken, replaced.into());
        Ok(())
    }

    /// Whether a complete message waits for `channel`.
    pub fn has_message(&self, channel: ChannelId) -> bool {
        self.slots.has_complete(channel)
    }

    /// Lends the oldest complete message of `channel`.
    #[inline]
    pub fn take_message(&mut self, channel: ChannelId) -> Option<LentMessage<'b>> {
        self.slots.lend(channel)
    }

    /// Takes a lent message back; its buffer is free again.
    #[inline]
    pub fn give_back(&mut self, message: LentMessage<'b>) {
        self.note_buffer_freed();
        self.slots.give_back(message);
    }
}
