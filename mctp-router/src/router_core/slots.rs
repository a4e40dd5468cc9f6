//! Received messages: the buffers they are assembled in, and wait in until their service takes them.

use mctp::{Eid, MsgIC, MsgType};
use mctp_transport::{MessageTag, PhysicalAddress, RawHeader};

use super::ChannelId;
use crate::clock::Instant;
use crate::config::PortId;

/// What ties the packets of a message together: source endpoint ID, tag owner bit and tag, and nothing else (DSP0236 section 8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u16);

impl Key {
    #[inline]
    pub(crate) const fn of(header: RawHeader) -> Self {
        // The source endpoint ID, then the flags without SOM, EOM and packet sequence number.
        Self((header.bits() >> 16) as u16 & 0x0FFF)
    }
}

/// Where a message came from: all that its response needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) port: PortId,
    pub(crate) address: PhysicalAddress,
    pub(crate) source: Eid,
    pub(crate) tag: MessageTag,
    /// Message type and IC bit, as in the start packet.
    pub(crate) type_ic: u8,
}

const SEQUENCE: u32 = 3 << 28;
/// The header of no packet: it has a bit that [`next_header`] clears.
const NO_HEADER: u32 = 1 << 30;

impl Origin {
    pub(crate) const NOBODY: Self = Self {
        port: PortId(0),
        address: PhysicalAddress::POINT_TO_POINT,
        source: Eid(0),
        tag: MessageTag::from_low_bits(0),
        type_ic: 0,
    };

    pub(crate) fn message_type(&self) -> MsgType {
        mctp::decode_type_ic(self.type_ic).0
    }

    pub(crate) fn integrity_check(&self) -> MsgIC {
        mctp::decode_type_ic(self.type_ic).1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Waits for its next packet.
    Assembling,
    /// Waits for its service, in the order of the tickets.
    Complete {
        ticket: u32,
    },
    /// Its service reads it.
    Lent,
}

/// One message buffer and the message in it.
#[derive(Debug)]
pub(crate) struct Slot<'b> {
    /// `None` while lent.
    buffer: Option<&'b mut [u8]>,
    state: State,
    key: Key,
    owner: ChannelId,
    origin: Origin,
    len: usize,
    /// Payload bytes of the start packet, which all middle packets must have.
    unit: usize,
    /// The header of the next packet if all goes well, as [`next_header`] has it; of no packet unless assembling.
    next_header: u32,
    last_packet: Instant,
}

/// A packet header but for the bits that a packet may have either way: the reserved ones, and EOM.
#[inline]
const fn next_header(header: RawHeader) -> u32 {
    header.bits() & 0xBFFF_FF0F
}

/// Which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId {
    long: bool,
    index: u8,
}

/// The start of a message, as its slot needs it.
pub(crate) struct Start {
    pub(crate) header: RawHeader,
    pub(crate) owner: ChannelId,
    pub(crate) origin: Origin,
    /// Set for a message of one packet: its place among the complete ones.
    pub(crate) complete: Option<u32>,
}

/// Why a packet ended the message that it continued.
pub(crate) enum Mismatch {
    Sequence,
    Size,
    TooLong,
}

impl<'b> Slot<'b> {
    pub(crate) const EMPTY: Self = Self {
        buffer: None,
        state: State::Free,
        key: Key(0),
        owner: ChannelId(0),
        origin: Origin::NOBODY,
        len: 0,
        unit: 0,
        next_header: NO_HEADER,
        last_packet: Instant::START,
    };

    pub(crate) fn set_buffer(&mut self, buffer: &'b mut [u8]) {
        self.buffer = Some(buffer);
    }

    fn limit(&mut self, len: usize) {
        self.buffer = match self.buffer.take() {
            Some(buffer) if buffer.len() > len => buffer.get_mut(..len),
            buffer => buffer,
        };
    }

    fn is_free(&self) -> bool {
        self.state == State::Free && self.buffer.is_some()
    }

    #[inline]
    fn assembles(&self, key: Key) -> bool {
        self.key == key && self.state == State::Assembling
    }

    fn holds_message(&self) -> bool {
        matches!(self.state, State::Assembling | State::Complete { .. })
    }

    /// Puts the first bytes of a message in.
    #[inline]
    fn begin(&mut self, now: Instant, start: &Start, body: &[u8]) -> Result<(), Mismatch> {
        let buffer = self.buffer.as_deref_mut().ok_or(Mismatch::TooLong)?;
        buffer
            .get_mut(..body.len())
            .ok_or(Mismatch::TooLong)?
            .copy_from_slice(body);
        self.state = match start.complete {
            Some(ticket) => State::Complete { ticket },
            None => State::Assembling,
        };
        self.key = Key::of(start.header);
        self.owner = start.owner;
        self.origin = start.origin;
        self.len = body.len();
        // The unit counts the message type byte as well.
        self.unit = body.len().saturating_add(1);
        self.last_packet = now;
        self.next_header = match start.complete {
            Some(_) => NO_HEADER,
            None => next_header(start.header.next()),
        };
        Ok(())
    }

    /// Adds a packet whose header is the expected one. `false`, and nothing done, if anything else about it is not as expected.
    #[inline]
    pub(crate) fn append_expected(
        &mut self,
        now: Instant,
        header: RawHeader,
        payload: &[u8],
    ) -> bool {
        let fits_unit =
            payload.len() == self.unit || (header.is_end() && payload.len() < self.unit);
        if !fits_unit {
            return false;
        }
        let Some(place) = self
            .buffer
            .as_deref_mut()
            .and_then(|buffer| buffer.get_mut(self.len..)?.get_mut(..payload.len()))
        else {
            return false;
        };
        place.copy_from_slice(payload);
        // Not beyond the buffer.
        self.len = self.len.wrapping_add(payload.len());
        self.last_packet = now;
        self.next_header = next_header(header.next());
        true
    }

    /// Adds a middle or end packet.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        header: RawHeader,
        payload: &[u8],
    ) -> Result<(), Mismatch> {
        if (header.bits() ^ self.next_header) & SEQUENCE != 0 {
            return Err(Mismatch::Sequence);
        }
        let fits_unit = if header.is_end() {
            payload.len() <= self.unit
        } else {
            payload.len() == self.unit
        };
        if !fits_unit {
            return Err(Mismatch::Size);
        }
        let buffer = self.buffer.as_deref_mut().ok_or(Mismatch::TooLong)?;
        buffer
            .get_mut(self.len..)
            // By the payload's own length, so that the compiler sees that a copy between equal lengths cannot panic.
            .and_then(|rest| rest.get_mut(..payload.len()))
            .ok_or(Mismatch::TooLong)?
            .copy_from_slice(payload);
        self.len = self.len.wrapping_add(payload.len());
        self.last_packet = now;
        self.next_header = next_header(header.next());
        Ok(())
    }

    pub(crate) fn complete(&mut self, ticket: u32) {
        self.state = State::Complete { ticket };
        self.next_header = NO_HEADER;
    }

    /// Gives up the message; the buffer is free again.
    pub(crate) fn free(&mut self) {
        self.state = State::Free;
        self.next_header = NO_HEADER;
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn owner(&self) -> ChannelId {
        self.owner
    }

    pub(crate) fn deadline(&self, timeout: u32) -> Instant {
        self.last_packet.after(timeout)
    }
}

/// A complete message, lent to whoever reads it. Give it back to [`RouterCore::give_back`](crate::RouterCore::give_back).
#[derive(Debug)]
#[must_use = "a message that is not given back keeps its buffer"]
pub struct LentMessage<'b> {
    slot: SlotId,
    buffer: &'b mut [u8],
    len: usize,
    pub(crate) origin: Origin,
}

impl LentMessage<'_> {
    /// The message from behind the message type byte. If it has an integrity check, that is its end.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The message type.
    pub fn message_type(&self) -> MsgType {
        self.origin.message_type()
    }

    /// Whether the message says that it has an integrity check (the IC bit).
    pub fn integrity_check(&self) -> MsgIC {
        self.origin.integrity_check()
    }

    /// Who sent it.
    pub fn source(&self) -> Eid {
        self.origin.source
    }

    /// The port it came by, and the neighbour that it came from.
    pub fn neighbour(&self) -> (PortId, PhysicalAddress) {
        (self.origin.port, self.origin.address)
    }
}

/// All message buffers. Short ones hold complete messages of one packet, long ones any message.
pub(crate) struct Slots<'b> {
    short: &'b mut [Slot<'b>],
    long: &'b mut [Slot<'b>],
    /// The long slot that got a packet last.
    latest: usize,
    /// How many messages are complete and wait for their service.
    complete: u8,
}

impl<'b> Slots<'b> {
    /// All slots, none of which takes a message longer than `max_message_len`.
    pub(crate) fn new(
        short: &'b mut [Slot<'b>],
        long: &'b mut [Slot<'b>],
        max_message_len: usize,
    ) -> Self {
        for slot in short.iter_mut().chain(long.iter_mut()) {
            slot.limit(max_message_len);
        }
        Self {
            short,
            long,
            latest: 0,
            complete: 0,
        }
    }

    /// Counts a message that [`Slot::complete`] made complete.
    #[inline]
    pub(crate) fn note_complete(&mut self) {
        self.complete = self.complete.saturating_add(1);
    }

    /// The length of the longest message that there is a buffer for.
    pub(crate) fn longest(&self) -> usize {
        let buffers = self.long.iter().filter_map(|slot| slot.buffer.as_ref());
        buffers.map(|buffer| buffer.len()).max().unwrap_or(0)
    }

    /// The unfinished message that a packet belongs to.
    #[inline]
    pub(crate) fn assembling(&mut self, key: Key) -> Option<&mut Slot<'b>> {
        self.long.iter_mut().find(|slot| slot.assembles(key))
    }

    /// The unfinished message whose next packet has this header, if all goes well.
    #[inline]
    pub(crate) fn expecting(&mut self, header: RawHeader) -> Option<&mut Slot<'b>> {
        let is_awaited = |slot: &Slot<'_>| slot.next_header == next_header(header);
        // Most often it is for the same message as the packet before.
        if !self.long.get(self.latest).is_some_and(is_awaited) {
            if header.is_start() {
                return None;
            }
            self.latest = self.find_expecting(header)?;
        }
        self.long.get_mut(self.latest)
    }

    #[inline(never)]
    fn find_expecting(&self, header: RawHeader) -> Option<usize> {
        let header = next_header(header);
        self.long.iter().position(|slot| slot.next_header == header)
    }

    /// Has the destination of the packets to come looked at again: the own endpoint ID changed.
    pub(crate) fn expect_anew(&mut self) {
        for slot in self.long.iter_mut() {
            slot.next_header = slot.next_header & SEQUENCE | NO_HEADER;
        }
    }

    /// Starts a message; `false` when there is no buffer for it. One of a single packet goes to a short buffer if it can.
    #[inline(always)]
    pub(crate) fn begin(&mut self, now: Instant, start: &Start, body: &[u8], fair: bool) -> bool {
        let fits_short =
            start.complete.is_some() && body.len() <= crate::storage::SHORT_MESSAGE_LEN;
        let short = if fits_short {
            free_for(self.short, start.owner, fair)
        } else {
            None
        };
        let slot = match short {
            Some(index) => self.short.get_mut(index),
            None => {
                free_for(self.long, start.owner, fair).and_then(|index| self.long.get_mut(index))
            }
        };
        let begun = slot.is_some_and(|slot| slot.begin(now, start, body).is_ok());
        self.complete = self
            .complete
            .saturating_add(u8::from(begun && start.complete.is_some()));
        begun
    }

    /// Frees the unfinished message that has stood still for longest, if that is at least `age` and `owner` may have its place.
    pub(crate) fn evict(&mut self, now: Instant, age: u32, owner: ChannelId, fair: bool) -> bool {
        let unfinished = self.long.iter().zip(0_usize..);
        let oldest = unfinished
            .filter(|(slot, _)| slot.state == State::Assembling && slot.deadline(age) <= now)
            .min_by_key(|(slot, _)| slot.last_packet);
        let Some((_, oldest)) = oldest else {
            return false;
        };
        self.set_state(oldest, State::Free);
        let helps = free_for(self.long, owner, fair).is_some();
        if !helps {
            self.set_state(oldest, State::Assembling);
        }
        helps
    }

    fn set_state(&mut self, long: usize, state: State) {
        if let Some(slot) = self.long.get_mut(long) {
            slot.state = state;
            slot.next_header = slot.next_header & SEQUENCE | NO_HEADER;
        }
    }

    /// Frees the unfinished messages for which `condition` holds; returns how many there were.
    pub(crate) fn free_unfinished(
        &mut self,
        mut condition: impl FnMut(&Slot<'b>) -> bool,
    ) -> usize {
        let unfinished = self
            .long
            .iter_mut()
            .filter(|slot| slot.state == State::Assembling);
        unfinished
            .filter(|slot| condition(slot))
            .map(|slot| slot.free())
            .count()
    }

    /// Frees all messages of a channel that nobody reads.
    pub(crate) fn free_owned(&mut self, owner: ChannelId) {
        let owned = self.short.iter_mut().chain(self.long.iter_mut());
        owned
            .filter(|slot| slot.owner == owner && slot.holds_message())
            .for_each(Slot::free);
        let all = self.short.iter().chain(self.long.iter());
        let complete = all.filter(|slot| matches!(slot.state, State::Complete { .. }));
        self.complete = complete.fold(0, |count: u8, _| count.saturating_add(1));
    }

    /// When the unfinished message that has stood still for longest was last heard of.
    pub(crate) fn oldest_unfinished(&self) -> Option<Instant> {
        self.long
            .iter()
            .filter(|slot| slot.state == State::Assembling)
            .map(|slot| slot.last_packet)
            .min()
    }

    /// Whether a complete message waits for a channel.
    pub(crate) fn has_complete(&self, owner: ChannelId) -> bool {
        let mut slots = self.short.iter().chain(self.long.iter());
        slots.any(|slot| slot.owner == owner && matches!(slot.state, State::Complete { .. }))
    }

    /// Lends the oldest complete message of a channel.
    #[inline]
    pub(crate) fn take(&mut self, owner: ChannelId) -> Option<LentMessage<'b>> {
        if self.complete == 0 {
            return None;
        }
        let id = self.oldest_complete(owner)?;
        self.lend(id)
    }

    fn oldest_complete(&self, owner: ChannelId) -> Option<SlotId> {
        let mut unseen = self.complete;
        let mut oldest = None;
        'found: for (long, slots) in [(false, &*self.short), (true, &*self.long)] {
            for (slot, index) in slots.iter().zip(0..) {
                if unseen == 0 {
                    break 'found;
                }
                if let State::Complete { ticket } = slot.state {
                    unseen = unseen.saturating_sub(1);
                    if slot.owner == owner
                        && oldest.is_none_or(|(other, _)| is_older(ticket, other))
                    {
                        oldest = Some((ticket, SlotId { long, index }));
                    }
                }
            }
        }
        oldest.map(|(_, id)| id)
    }

    #[inline]
    fn lend(&mut self, id: SlotId) -> Option<LentMessage<'b>> {
        let slot = self.get_mut(id)?;
        let buffer = slot.buffer.take()?;
        slot.state = State::Lent;
        let message = LentMessage {
            slot: id,
            buffer,
            len: slot.len,
            origin: slot.origin,
        };
        self.complete = self.complete.saturating_sub(1);
        Some(message)
    }

    /// Takes back a lent buffer.
    pub(crate) fn give_back(&mut self, message: LentMessage<'b>) {
        if let Some(slot) = self.get_mut(message.slot) {
            slot.buffer = Some(message.buffer);
            slot.state = State::Free;
        }
    }

    fn get_mut(&mut self, id: SlotId) -> Option<&mut Slot<'b>> {
        let slots = if id.long {
            &mut *self.long
        } else {
            &mut *self.short
        };
        slots.get_mut(usize::from(id.index))
    }
}

/// A free slot that `owner` may take. With `fair`, the last free one is kept for owners that hold none.
#[inline]
fn free_for(slots: &[Slot<'_>], owner: ChannelId, fair: bool) -> Option<usize> {
    let first = slots.iter().position(Slot::is_free)?;
    if !fair {
        return Some(first);
    }
    let another_free = slots.iter().filter(|slot| slot.is_free()).nth(1).is_some();
    let holds_one = || {
        slots
            .iter()
            .any(|slot| slot.owner == owner && slot.state != State::Free)
    };
    (another_free || !holds_one()).then_some(first)
}

/// Compares tickets although they wrap.
fn is_older(ticket: u32, other: u32) -> bool {
    (ticket.wrapping_sub(other) as i32) < 0
}
