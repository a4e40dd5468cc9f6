//! Packets in: addressing, assembly and the discards of DSP0236 1.3.3, sections 8.6 to 8.10.

use mctp::{Eid, MCTP_ADDR_ANY, MsgType};
use mctp_transport::{
    BASELINE_TRANSMISSION_UNIT, DropReason, Packet, PacketHeader, PhysicalAddress, RawHeader,
    Received,
};

use super::slots::{Key, LentMessage, Mismatch, Origin, Start};
use super::{Channel, ChannelId, Receipt, RouterCore};
use crate::clock::Instant;
use crate::config::{Event, PortId};
use crate::control::{self, ControlRequest};

const TYPE_MASK: u8 = 0x7F;

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
            Received::Packet { source, bytes } => {
                return Some(self.receive(now, port, source, bytes));
            }
            Received::Dropped(reason) => {
                self.drops.count(reason);
                return Some(Receipt::Dropped(reason));
            }
            Received::LinkUp => self.link_up(port),
            Received::LinkDown => self.link_down(port),
        }
        None
    }

    /// The port's link can carry packets.
    pub fn link_up(&mut self, port_id: PortId) {
        if let Some(port) = self.port(port_id)
            && !port.link_up
        {
            port.link_up = true;
            port.clear();
            self.responder.events.push(Event::LinkUp(port_id));
        }
    }

    /// The port's link is lost: unfinished messages and what waits to be sent are given up. The endpoint ID is kept
    /// (DSP0236 section 8.18.6).
    pub fn link_down(&mut self, port_id: PortId) {
        let Some(port) = self.port(port_id) else {
            return;
        };
        if !core::mem::take(&mut port.link_up) {
            return;
        }
        let unsent = port.clear();
        let unfinished = self
            .slots
            .free_unfinished(|slot| slot.origin().port == port_id);
        self.count_drops(DropReason::LinkDown, unsent.saturating_add(unfinished));
        self.responder.events.push(Event::LinkDown(port_id));
    }

    /// Takes one packet from the neighbour at `address`.
    #[inline]
    pub fn receive(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Receipt {
        if let Some(receipt) = self.receive_expected(now, bytes) {
            return receipt;
        }
        self.receive_other(now, port, address, bytes)
    }

    /// Takes any packet.
    #[inline(never)]
    pub(crate) fn receive_other(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Receipt {
        match self.try_receive(now, port, address, bytes) {
            Ok(receipt) => receipt,
            Err(reason) => {
                self.drops.count(reason);
                Receipt::Dropped(reason)
            }
        }
    }

    /// Takes the packet that an unfinished message waits for, the commonest by far, without asking what its start was asked.
    #[inline(always)]
    pub(crate) fn receive_expected(&mut self, now: Instant, bytes: &[u8]) -> Option<Receipt> {
        let (header, payload) = bytes.split_first_chunk()?;
        let header = RawHeader::from_bytes(*header);
        let slot = self.slots.expecting(header)?;
        let in_time = slot.deadline(self.assembly_timeout) > now;
        if !in_time || !slot.append_expected(now, header, payload) {
            return None;
        }
        if !header.is_end() {
            return Some(Receipt::Stored);
        }
        slot.complete(self.next_ticket);
        let owner = slot.owner();
        self.slots.note_complete();
        Some(self.delivered(owner))
    }

    #[inline]
    fn try_receive(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Result<Receipt, DropReason> {
        let packet = Packet::parse(bytes)?;
        let raw = RawHeader::from_bytes(*bytes.first_chunk().ok_or(DropReason::Truncated)?);
        let source = packet.header.source;
        if source == MCTP_ADDR_ANY || matches!(source.0, 1..=7) {
            return Err(DropReason::InvalidSource);
        }
        let max_receive_unit = self
            .port(port)
            .map_or(0, |port| port.config.max_receive_unit);
        if packet.payload.len() > max_receive_unit.max(BASELINE_TRANSMISSION_UNIT) {
            return Err(DropReason::UnsupportedTransmissionUnit);
        }
        if packet.header.start {
            self.start_message(now, port, address, raw, &packet)
        } else {
            self.continue_message(now, port, address, raw, &packet)
        }
    }

    /// Whether a packet for `destination` is for this endpoint. While it has no endpoint ID it is known by its physical address only.
    #[inline]
    fn is_us(&self, destination: Eid) -> bool {
        let own = self.responder.endpoint_id;
        destination == own || destination.0 == 0 || (own.0 == 0 && destination != MCTP_ADDR_ANY)
    }

    #[inline(never)]
    fn continue_message(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        raw: RawHeader,
        packet: &Packet<'_>,
    ) -> Result<Receipt, DropReason> {
        let header = &packet.header;
        if !self.is_us(header.destination) {
            return Err(DropReason::NotOurDestination);
        }
        let timeout = self.assembly_timeout;
        let Some(slot) = self.slots.assembling(Key::of(raw)) else {
            let awaited =
                header.tag_owner || self.request_answered_by(header, port, address).is_some();
            return Err(if awaited {
                DropReason::MiddleWithoutStart
            } else {
                DropReason::UnexpectedResponse
            });
        };
        if slot.deadline(timeout) <= now {
            slot.free();
            self.drops.count(DropReason::AssemblyTimeout);
            return Err(DropReason::MiddleWithoutStart);
        }
        if let Err(mismatch) = slot.append(now, raw, packet.payload) {
            slot.free();
            return Err(mismatch.into());
        }
        if !header.end {
            return Ok(Receipt::Stored);
        }
        slot.complete(self.next_ticket);
        let owner = slot.owner();
        self.slots.note_complete();
        Ok(self.delivered(owner))
    }

    #[inline(always)]
    fn start_message(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        raw: RawHeader,
        packet: &Packet<'_>,
    ) -> Result<Receipt, DropReason> {
        let header = &packet.header;
        let (&type_ic, body) = packet.payload.split_first().ok_or(DropReason::Truncated)?;
        let message_type = MsgType(type_ic & TYPE_MASK);
        let is_control_request = message_type == mctp::MCTP_TYPE_CONTROL && header.tag_owner;
        let broadcast_control = header.destination == MCTP_ADDR_ANY && is_control_request;
        if !self.is_us(header.destination) && !broadcast_control {
            return Err(DropReason::NotOurDestination);
        }
        if !header.end {
            // The packets to come are of this message, even if it is not for us: none of them may end up in an older one.
            self.replace_unfinished(Key::of(raw));
        }
        if is_control_request {
            return self.answer_control(now, port, address, packet);
        }
        let owner = self.owner_of(message_type, header, body, port, address)?;
        let origin = Origin {
            port,
            address,
            source: header.source,
            tag: header.tag,
            type_ic,
        };
        let start = Start {
            header: raw,
            owner,
            origin,
            complete: header.end.then_some(self.next_ticket),
        };
        if header.end {
            self.replace_unfinished(Key::of(raw));
        }
        if body.len() > self.max_message_len {
            return Err(DropReason::MessageTooLong);
        }
        self.begin(now, &start, body)
    }

    /// Gives a message its buffer and first bytes.
    #[inline]
    fn begin(&mut self, now: Instant, start: &Start, body: &[u8]) -> Result<Receipt, DropReason> {
        // With several services, none may take all buffers.
        let fair = self.open_channels > 1;
        let begun = self.slots.begin(now, start, body, fair)
            || self.begin_in_place_of_another(now, start, body, fair);
        if !begun {
            return Err(DropReason::NoMessageBuffer);
        }
        if start.complete.is_some() {
            return Ok(self.delivered(start.owner));
        }
        self.wake_by(now.after(self.assembly_timeout));
        Ok(Receipt::Stored)
    }

    #[inline(never)]
    fn begin_in_place_of_another(
        &mut self,
        now: Instant,
        start: &Start,
        body: &[u8],
        fair: bool,
    ) -> bool {
        let age = self.eviction_age;
        let evicted = self.slots.evict(now, age, start.owner, fair);
        self.count_drops(DropReason::EvictedUnfinished, evicted.into());
        evicted && self.slots.begin(now, start, body, fair)
    }

    #[inline]
    fn delivered(&mut self, owner: ChannelId) -> Receipt {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.accepted = self.accepted.saturating_add(1);
        Receipt::Delivered(owner)
    }

    /// A new start packet ends the unfinished message of the same terminus (DSP0236 section 8.9).
    #[inline(always)]
    fn replace_unfinished(&mut self, key: Key) {
        if let Some(slot) = self.slots.assembling(key) {
            slot.free();
            self.drops.count(DropReason::ReplacedByNewStart);
        }
    }

    /// Who gets a message: the request that it answers, or the listener of its type.
    fn owner_of(
        &self,
        message_type: MsgType,
        header: &PacketHeader,
        body: &[u8],
        port: PortId,
        address: PhysicalAddress,
    ) -> Result<ChannelId, DropReason> {
        if header.tag_owner {
            let serves = |channel: &Channel| matches!(channel, Channel::Listener(service) if service.serves(message_type, body));
            return self
                .find_channel(serves)
                .ok_or(DropReason::UnsupportedMessageType);
        }
        let is_one_packet_response = header.end && control::is_response(body);
        if message_type == mctp::MCTP_TYPE_CONTROL && !is_one_packet_response {
            return Err(DropReason::InvalidControlMessage);
        }
        self.request_answered_by(header, port, address)
            .ok_or(DropReason::UnexpectedResponse)
    }

    fn request_answered_by(
        &self,
        header: &PacketHeader,
        port: PortId,
        address: PhysicalAddress,
    ) -> Option<ChannelId> {
        self.find_channel(|channel| matches!(channel, Channel::Request(request) if request.is_answered_by(header, port, address)))
    }

    fn find_channel(&self, condition: impl Fn(&Channel) -> bool) -> Option<ChannelId> {
        self.channels
            .iter()
            .zip(0..)
            .find_map(|(channel, index)| condition(channel).then_some(ChannelId(index)))
    }

    /// Control requests need no buffer: they are answered from their packet, and the answer has its own place at the port.
    #[inline(never)]
    fn answer_control(
        &mut self,
        now: Instant,
        port_id: PortId,
        address: PhysicalAddress,
        packet: &Packet<'_>,
    ) -> Result<Receipt, DropReason> {
        let request = ControlRequest::parse(packet, port_id, address)?;
        self.replace_unfinished(Key::of(packet.header.into()));
        self.accepted = self.accepted.saturating_add(1);
        let services = self.channels.iter().filter_map(|channel| match channel {
            Channel::Listener(service) => Some(service),
            _ => None,
        });
        let own = self.responder.endpoint_id;
        let answer = self.responder.answer(now, &request, services);
        if self.responder.endpoint_id != own {
            self.slots.expect_anew();
        }
        let Some(answer) = answer else {
            return Ok(Receipt::Control);
        };
        let Some(port) = self.port(port_id).filter(|port| port.link_up) else {
            return Err(DropReason::LinkDown);
        };
        match port.queue_response(address, answer.header, &answer.payload) {
            Ok(replaced) => self.count_drops(DropReason::ResponseNotTaken, replaced.into()),
            Err(()) => return Err(DropReason::ResponseNotTaken),
        }
        if self
            .port(port_id)
            .is_some_and(|port| port.note_waiting(now))
        {
            self.wake_by(now.after(self.send_timeout));
        }
        Ok(Receipt::Control)
    }

    /// Whether a complete message waits for `channel`.
    pub fn has_message(&self, channel: ChannelId) -> bool {
        self.slots.has_complete(channel)
    }

    /// Lends the oldest complete message of `channel`.
    #[inline]
    pub fn take_message(&mut self, channel: ChannelId) -> Option<LentMessage<'b>> {
        self.slots.take(channel)
    }

    /// Takes a lent message back; its buffer is free again.
    #[inline]
    pub fn give_back(&mut self, message: LentMessage<'b>) {
        self.slots.give_back(message);
    }
}
