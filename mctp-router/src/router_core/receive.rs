//! Packets in: addressing, assembly and the discards of DSP0236 1.3.3, sections 8.6 to 8.10.

use mctp::{Eid, MCTP_ADDR_ANY};
use mctp_transport::{DropReason, HeaderError, PhysicalAddress, RawHeader, Received};

use super::key::Key;
use super::list;
use super::slots::{LentMessage, Mismatch, Origin, Slot, Start};
use super::{ChannelId, Link, Receipt, RouterCore};
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
            && port.link == Link::Down
        {
            port.set_link(Link::Up);
            self.responder.events.push(Event::LinkUp(port_id));
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
        self.channels.end_requests_by(port_id);
        let untaken = self.slots.free_all_by(port_id);
        self.count_drops(DropReason::LinkDown, unsent.saturating_add(untaken));
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
        let receipt = self.receive_other(now, port, address, bytes);
        receipt.unwrap_or_else(|reason| self.dropped(reason))
    }

    /// Takes any packet. When it is to be discarded, it is not counted yet; where only a buffer is
    /// missing, it can be tried again.
    #[inline]
    pub(crate) fn receive_other(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        bytes: &[u8],
    ) -> Result<Receipt, DropReason> {
        let (header, payload) = bytes.split_first_chunk().ok_or(DropReason::Truncated)?;
        let header = RawHeader::from_bytes(*header);
        if !header.has_known_version() {
            return Err(HeaderError::UnsupportedVersion.into());
        }
        if matches!(header.source().0, 1..=7 | 0xFF) {
            return Err(DropReason::InvalidSource);
        }
        let place = self.ports.get(usize::from(port.0));
        let (max_receive_unit, session) =
            place.map_or((0, 0), |port| (port.max_receive_unit(), port.session()));
        if payload.len() > max_receive_unit {
            return Err(DropReason::UnsupportedTransmissionUnit);
        }
        let from = (port, address);
        if header.is_start() {
            self.start_message(now, from, session, header, payload)
        } else {
            self.continue_message(now, from, header, payload)
        }
    }

    /// Counts a packet that is discarded.
    #[inline(never)]
    pub(crate) fn dropped(&mut self, reason: DropReason) -> Receipt {
        self.drops.count(reason);
        Receipt::Dropped(reason)
    }

    /// Takes the packet that an unfinished message waits for, the commonest by far, without asking
    /// what its start was asked.
    #[inline(always)]
    pub(crate) fn receive_expected(&mut self, now: Instant, bytes: &[u8]) -> Option<Receipt> {
        let (header, payload) = bytes.split_first_chunk()?;
        let header = RawHeader::from_bytes(*header);
        if header.is_start() {
            return None;
        }
        let place = self.slots.expecting(header)?;
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

    /// Whether a packet for `destination` is for this endpoint. While it has no endpoint ID it is
    /// known by its physical address only.
    #[inline]
    fn is_us(&self, destination: Eid) -> bool {
        let own = self.responder.endpoint_id;
        destination == own || destination.0 == 0 || (own.0 == 0 && destination != MCTP_ADDR_ANY)
    }

    #[inline(never)]
    fn continue_message(
        &mut self,
        now: Instant,
        from: (PortId, PhysicalAddress),
        header: RawHeader,
        payload: &[u8],
    ) -> Result<Receipt, DropReason> {
        if !self.is_us(header.destination()) {
            return Err(DropReason::NotOurDestination);
        }
        let key = Key::of(header);
        let Some(slot) = self.slots.assembling(key).and_then(Option::as_deref_mut) else {
            let awaited =
                header.is_tag_owner() || self.channels.request_answered_by(header, from).is_some();
            return Err(if awaited {
                DropReason::MiddleWithoutStart
            } else {
                DropReason::UnexpectedResponse
            });
        };
        if let Err(mismatch) = slot.append(now, header, payload) {
            self.slots.abandon(key);
            return Err(mismatch.into());
        }
        if !header.is_end() {
            return Ok(Receipt::Stored);
        }
        let slot = self.slots.assembling(key).and_then(list::take);
        let slot = slot.ok_or(DropReason::MiddleWithoutStart)?;
        Ok(self.complete(slot))
    }

    /// The message in `slot` is complete.
    #[inline]
    fn complete(&mut self, slot: &'b mut Slot<'b>) -> Receipt {
        let owner = self.slots.complete(slot);
        Receipt::Delivered(self.accept(owner))
    }

    #[inline(never)]
    fn start_message(
        &mut self,
        now: Instant,
        (port, address): (PortId, PhysicalAddress),
        session: u32,
        header: RawHeader,
        payload: &[u8],
    ) -> Result<Receipt, DropReason> {
        let (&type_ic, body) = payload.split_first().ok_or(DropReason::Truncated)?;
        let from = (port, address);
        if type_ic & TYPE_MASK == mctp::MCTP_TYPE_CONTROL.0 && header.is_tag_owner() {
            return self.receive_control_request(now, from, header, payload);
        }
        if !self.is_us(header.destination()) {
            return Err(DropReason::NotOurDestination);
        }
        if !header.is_end() {
            // The packets to come are of this message, even if it is not for us: none of them may
            // end up in an older one.
            self.replace_unfinished(header);
        }
        let owner = if header.is_tag_owner() {
            self.channels
                .listener_for(payload)
                .ok_or(DropReason::UnsupportedMessageType)?
        } else {
            self.request_for(header, from, payload)?
        };
        if header.is_end() {
            self.replace_unfinished(header);
        }
        let origin = Origin {
            address,
            header,
            port,
            session,
            type_ic,
        };
        let start = Start {
            owner,
            origin,
            body,
            // With several services, none may take all buffers.
            fair: self.channels.open_count() > 1,
        };
        if !self.slots.begin(now, &start, header.is_end()) {
            // As often as a message can be given up for it.
            self.make_room(now, &start)?;
            return self.start_message(now, from, session, header, payload);
        }
        if header.is_end() {
            return Ok(Receipt::Delivered(self.accept(owner)));
        }
        self.look_soon(now);
        Ok(Receipt::Stored)
    }

    /// Gives up a message that has stood still, if that helps a new one to a buffer.
    #[inline(never)]
    fn make_room(&mut self, now: Instant, start: &Start<'_>) -> Result<(), DropReason> {
        if start.body.len() > self.slots.longest() {
            return Err(DropReason::MessageTooLong);
        }
        if !self.slots.evict(now, self.eviction_age, start) {
            return Err(DropReason::NoMessageBuffer);
        }
        self.drops.count(DropReason::EvictedUnfinished);
        Ok(())
    }

    #[inline]
    fn accept(&mut self, owner: ChannelId) -> ChannelId {
        self.accepted = self.accepted.saturating_add(1);
        owner
    }

    /// A new start packet ends the unfinished message of the same terminus (DSP0236 section 8.9).
    #[inline]
    fn replace_unfinished(&mut self, header: RawHeader) {
        if self.slots.abandon(Key::of(header)) {
            self.drops.count(DropReason::ReplacedByNewStart);
        }
    }

    /// The request that a response is to.
    #[inline(never)]
    fn request_for(
        &self,
        header: RawHeader,
        from: (PortId, PhysicalAddress),
        payload: &[u8],
    ) -> Result<ChannelId, DropReason> {
        let (type_ic, body) = payload.split_first().ok_or(DropReason::Truncated)?;
        let is_one_packet_response = header.is_end() && control::is_response(body);
        if type_ic & TYPE_MASK == mctp::MCTP_TYPE_CONTROL.0 && !is_one_packet_response {
            return Err(DropReason::InvalidControlMessage);
        }
        self.channels
            .request_answered_by(header, from)
            .ok_or(DropReason::UnexpectedResponse)
    }

    /// Control requests need no buffer: they are answered from their packet, and the answer has its
    /// own place at the port.
    #[inline(never)]
    fn receive_control_request(
        &mut self,
        now: Instant,
        from: (PortId, PhysicalAddress),
        header: RawHeader,
        payload: &[u8],
    ) -> Result<Receipt, DropReason> {
        let destination = header.destination();
        if !self.is_us(destination) && destination != MCTP_ADDR_ANY {
            return Err(DropReason::NotOurDestination);
        }
        let request = ControlRequest::parse(header, payload, from);
        if request.is_ok() || !header.is_end() {
            // As for any other message.
            self.replace_unfinished(header);
        }
        let request = request?;
        self.accepted = self.accepted.saturating_add(1);
        let own = self.responder.endpoint_id;
        let mut response = control::Payload::new();
        let header = self
            .responder
            .answer(now, &request, self.channels.services(), &mut response);
        if self.responder.endpoint_id != own {
            self.slots.expect_anew();
        }
        if let Some(header) = header {
            self.queue_response(now, from, header, &response)?;
        }
        Ok(Receipt::Control)
    }

    fn queue_response(
        &mut self,
        now: Instant,
        (port, address): (PortId, PhysicalAddress),
        header: RawHeader,
        payload: &[u8],
    ) -> Result<(), DropReason> {
        let port = self.ports.get_mut(usize::from(port.0));
        let port = port.filter(|port| port.link != Link::Down && port.has_layout());
        let port = port.ok_or(DropReason::LinkDown)?;
        let replaced = port
            .queue_response(address, header, payload)
            .map_err(|()| DropReason::ResponseNotTaken)?;
        if port.note_waiting(now) {
            self.look_soon(now);
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
        self.slots.give_back(message);
    }
}
