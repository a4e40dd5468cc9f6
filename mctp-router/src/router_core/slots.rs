//! Received messages: the buffers they are assembled in, and wait in until their service takes
//! them.
//!
//! A slot is a buffer with a message in it. It moves, by reference, from list to list: free,
//! unfinished, the inbox of its channel; then it is lent, and free again. Each step is a pointer
//! moved, and takes as long however many messages there are.

use mctp::{Eid, MsgIC, MsgType};
use mctp_time::Instant;
use mctp_transport::{ExpectedHeader, PhysicalAddress, RawHeader};

use super::key::{Key, bucket};
use super::list::{Buckets, List, Place, Queue, Unfinished, take};
use super::newest::RequestNumber;
use super::{ChannelId, Outgoing};
use crate::clock::Since;
use crate::config::{NetworkId, PortId};

/// Bytes of a short message buffer: the longest message that fits one packet of MCTP over USB 1.0
/// (247) or SMBus (250), rounded up.
pub const SHORT_MESSAGE_LEN: usize = 256;

/// Where a message came from: all that its response needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub(super) address: PhysicalAddress,
    /// Of the start packet.
    pub(super) header: RawHeader,
    /// Of the port, when it came.
    pub(super) session: u32,
    /// Of a request.
    pub(super) number: RequestNumber,
    pub(super) port: PortId,
    pub(super) network: NetworkId,
    /// Whose message it is.
    pub(super) channel: ChannelId,
    /// Message type and IC bit, as in the start packet.
    pub(super) type_ic: u8,
}

impl Origin {
    pub(crate) const NOBODY: Self = Self {
        address: PhysicalAddress::POINT_TO_POINT,
        header: RawHeader::from_bytes([0; 4]),
        session: 0,
        number: RequestNumber::NONE,
        port: PortId(0),
        network: NetworkId(0),
        channel: ChannelId(0),
        type_ic: 0,
    };

    /// Who sent it.
    pub fn source(&self) -> Eid {
        self.header.source()
    }

    /// The network of the port it came by.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The port it came by, and the neighbour that it came from.
    #[inline]
    pub fn neighbour(&self) -> (PortId, PhysicalAddress) {
        (self.port, self.address)
    }

    /// Whether both are of the same endpoint.
    fn has_source_of(&self, other: &Self) -> bool {
        (self.network, self.source(), self.neighbour())
            == (other.network, other.source(), other.neighbour())
    }

    /// What ties it to the other packets of its message, beside the neighbour.
    #[inline]
    pub(super) fn key(&self) -> Key {
        Key::new(self.network, self.header.assembly_key())
    }

    /// The message type.
    pub fn message_type(&self) -> MsgType {
        mctp::decode_type_ic(self.type_ic).0
    }

    /// Whether the message says that it has an integrity check (the IC bit).
    pub fn integrity_check(&self) -> MsgIC {
        mctp::decode_type_ic(self.type_ic).1
    }

    /// The response: to the requester's endpoint ID and physical address, with its tag and message
    /// type.
    #[inline]
    pub fn response(&self, integrity_check: MsgIC) -> Outgoing {
        Outgoing::response(self, integrity_check)
    }
}

/// Milliseconds that each byte of a message may take, so that a sender cannot hold a buffer for less
/// than 500 bytes a second: an I2C bus at 100 kHz is twenty times as fast.
const PACE: u32 = 2;

/// Why a packet ended the message that it continued.
pub(crate) enum Mismatch {
    Sequence,
    Size,
    TooLong,
}

/// Which unfinished messages.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    /// Those for this channel.
    For(ChannelId),
    /// Those that come by this port.
    By(PortId),
    /// Those of which no packet has come for so many milliseconds.
    Late(Instant, u32),
}

/// One message buffer and the message in it.
#[derive(Debug)]
pub(crate) struct Slot<'b> {
    /// The one behind it in its list.
    pub(super) next: Place<'b>,
    buffer: &'b mut [u8],
    len: usize,
    /// Payload bytes of the start packet, which all middle packets must have.
    unit: usize,
    /// While unfinished.
    expected: ExpectedHeader,
    kind: Kind,
    origin: Origin,
    /// When its first and its last packet came.
    began: Since,
    last_packet: Since,
}

/// Which buffers. As no value is 0, `None` of a [`Slot`] is all zeros, which cost nothing in a static
/// variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For complete messages of one packet.
    Short = 1,
    /// For any message.
    Long = 2,
}

impl<'b> Slot<'b> {
    fn new(buffer: &'b mut [u8], kind: Kind) -> Self {
        Self {
            next: None,
            buffer,
            len: 0,
            unit: 0,
            expected: ExpectedHeader::NONE,
            kind,
            origin: Origin::NOBODY,
            began: Since::START,
            last_packet: Since::START,
        }
    }

    /// All packets are as long as the first, but the last may be shorter.
    #[inline]
    fn fits_unit(&self, header: RawHeader, payload: &[u8]) -> bool {
        payload.len() == self.unit || (header.is_end() && payload.len() < self.unit)
    }

    /// Adds a packet whose header is the expected one. `false`, and nothing done, if anything else
    /// about it is not as expected.
    #[inline(always)]
    pub(crate) fn append_expected(
        &mut self,
        now: Instant,
        header: RawHeader,
        payload: &[u8],
    ) -> bool {
        if !self.fits_unit(header, payload) {
            return false;
        }
        // Two slices in memory are shorter than `usize::MAX`.
        let len = self.len.wrapping_add(payload.len());
        let Some(place) = self.buffer.get_mut(self.len..len) else {
            return false;
        };
        self.len = len;
        self.last_packet = Since::now(now);
        self.expected = ExpectedHeader::after(header);
        place.copy_from_slice(payload);
        true
    }

    /// Adds a middle or end packet.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        header: RawHeader,
        payload: &[u8],
    ) -> Result<(), Mismatch> {
        if !self.expected.has_sequence_of(header) {
            return Err(Mismatch::Sequence);
        }
        if !self.fits_unit(header, payload) {
            return Err(Mismatch::Size);
        }
        if self.append_expected(now, header, payload) {
            Ok(())
        } else {
            Err(Mismatch::TooLong)
        }
    }

    pub(super) fn is(&self, which: Which) -> bool {
        match which {
            Which::For(channel) => self.owner() == channel,
            Which::By(port) => self.origin.port == port,
            Which::Late(now, timeout) => self.last_packet.is_over(timeout, now),
        }
    }

    #[inline]
    fn owner(&self) -> ChannelId {
        self.origin.channel
    }

    #[inline]
    pub(super) fn key(&self) -> Key {
        self.origin.key()
    }

    /// By how many milliseconds it is late: no packet came for so long, or it is so far behind
    /// [`PACE`].
    fn lateness(&self, now: Instant) -> u32 {
        let due = (self.len as u32).saturating_mul(PACE);
        let behind = self.began.elapsed(now).saturating_sub(due);
        behind.max(self.last_packet.elapsed(now))
    }
}

/// A complete message, lent to its service. Give it back to
/// [`RouterCore::give_back`](crate::RouterCore::give_back).
#[derive(Debug)]
#[must_use = "a message that is not given back keeps its buffer"]
pub struct LentMessage<'b>(&'b mut Slot<'b>);

impl LentMessage<'_> {
    /// The message from behind the message type byte. If it has an integrity check, that is its
    /// end.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.0.buffer.get(..self.0.len).unwrap_or_default()
    }

    /// Where it came from.
    #[inline]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }
}

/// What a channel has of the slots.
#[derive(Debug)]
pub(crate) struct Inbox<'b> {
    /// Complete messages that wait for the channel's service.
    messages: Queue<'b>,
    /// How many slots are the channel's, whatever becomes of them.
    held: Held,
    /// When a packet for the channel was held back first since its service gave a slot back,
    /// counted as in [`Slots::holds_back`]; 0 when none was.
    held_back_since: u16,
}

#[derive(Debug)]
struct Held {
    short: u8,
    long: u8,
}

impl Inbox<'_> {
    pub(crate) const EMPTY: Self = Self {
        messages: Queue::EMPTY,
        held: Held { short: 0, long: 0 },
        held_back_since: 0,
    };
}

/// All message buffers. Short ones hold complete messages of one packet, long ones any message.
#[derive(Debug)]
pub(crate) struct Slots<'b> {
    free_short: List<'b>,
    free_long: List<'b>,
    /// Those whose next packet has not come.
    unfinished: Unfinished<'b>,
    inboxes: &'b mut [Inbox<'b>],
    longest: usize,
}

/// The start of a message, as its slot needs it.
pub(crate) struct Start<'p> {
    /// But for the channel.
    pub(crate) origin: &'p Origin,
    pub(crate) channel: ChannelId,
    pub(crate) body: &'p [u8],
    /// The last free slot of a kind is kept for owners that hold none.
    pub(crate) fair: bool,
}

impl Start<'_> {
    fn fits_short(&self) -> bool {
        self.origin.header.is_end() && self.body.len() <= SHORT_MESSAGE_LEN
    }

    /// Whether there is a free slot in `list` for the owner, who holds this many of its kind.
    #[inline]
    fn may_take_of(&self, list: &List<'_>, held: u8) -> bool {
        list.has_one(self.fair && held > 0)
    }
}

/// Slots of these buffers, of each of them `max_len` bytes at most.
pub(crate) fn free_slots<'b, const LEN: usize>(
    places: &'b mut [Option<Slot<'b>>],
    buffers: &'b mut [[u8; LEN]],
    kind: Kind,
    max_len: usize,
) -> List<'b> {
    let mut free = List::EMPTY;
    for (place, buffer) in places.iter_mut().zip(buffers) {
        let buffer = buffer.get_mut(..max_len.min(LEN)).unwrap_or_default();
        add_slot(&mut free, place, buffer, kind);
    }
    free
}

// Not for each `LEN` anew, which would be dearer in flash.
#[inline(never)]
fn add_slot<'b>(
    free: &mut List<'b>,
    place: &'b mut Option<Slot<'b>>,
    buffer: &'b mut [u8],
    kind: Kind,
) {
    free.push_first(place.insert(Slot::new(buffer, kind)));
}

impl<'b> Slots<'b> {
    /// None of the slots, all of which are free, takes a message longer than `longest`.
    pub(crate) fn new(
        inboxes: &'b mut [Inbox<'b>],
        unfinished: &'b mut Buckets<'b>,
        free_short: List<'b>,
        free_long: List<'b>,
        longest: usize,
    ) -> Self {
        Self {
            free_short,
            free_long,
            unfinished: Unfinished(unfinished),
            inboxes,
            longest,
        }
    }

    /// The length of the longest message that there is a buffer for.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Gives a slot up: it is nobody's, and free.
    pub(crate) fn release(&mut self, slot: &'b mut Slot<'b>) {
        let Some(inbox) = self.inboxes.get_mut(slot.owner().index()) else {
            return;
        };
        let (held, free) = match slot.kind {
            Kind::Short => (&mut inbox.held.short, &mut self.free_short),
            Kind::Long => (&mut inbox.held.long, &mut self.free_long),
        };
        // It was counted when it began.
        *held = held.wrapping_sub(1);
        free.push_first(slot);
    }

    /// Starts a message of several packets, or takes one of a single packet, which goes to a short
    /// slot if it can. `false` when there is no slot for it.
    #[inline(always)]
    pub(crate) fn begin(&mut self, now: Instant, start: &Start<'_>) -> bool {
        let is_complete = start.origin.header.is_end();
        let Some(inbox) = self.inboxes.get_mut(start.channel.index()) else {
            return false;
        };
        let (free, held) =
            if start.fits_short() && start.may_take_of(&self.free_short, inbox.held.short) {
                (&mut self.free_short, &mut inbox.held.short)
            } else if start.may_take_of(&self.free_long, inbox.held.long) {
                (&mut self.free_long, &mut inbox.held.long)
            } else {
                return false;
            };
        let Some(slot) = free.take_first() else {
            return false;
        };
        let Some(place) = slot.buffer.get_mut(..start.body.len()) else {
            free.push_first(slot);
            return false;
        };
        place.copy_from_slice(start.body);
        slot.len = start.body.len();
        // Not a copy of the whole: that would be a call of `memmove`, 1,574 bytes of flash in a
        // firmware that calls it for nothing else.
        slot.origin = Origin {
            channel: start.channel,
            ..*start.origin
        };
        // There are far fewer slots.
        *held = held.wrapping_add(1);
        if is_complete {
            inbox.messages.push(slot);
        } else {
            // The unit counts the message type byte as well. Does not wrap: a slice is shorter than
            // `usize::MAX`.
            slot.unit = start.body.len().wrapping_add(1);
            slot.began = Since::now(now);
            slot.last_packet = slot.began;
            slot.expected = ExpectedHeader::after(start.origin.header);
            self.unfinished.insert(slot);
        }
        true
    }

    /// Where the unfinished message is whose next packet has this header and comes from there, if
    /// all goes well.
    #[inline]
    pub(crate) fn expecting(
        &mut self,
        header: RawHeader,
        from: (PortId, PhysicalAddress),
    ) -> Option<&mut Place<'b>> {
        self.unfinished.find(bucket(header.assembly_key()), |slot| {
            slot.expected.is_met_by(header) && slot.origin.neighbour() == from
        })
    }

    /// Where the unfinished message is that a packet belongs to: of the same terminus, and begun by
    /// the same neighbour, unless `by_any`.
    pub(crate) fn assembling(&mut self, packet: &Origin, by_any: bool) -> Option<&mut Place<'b>> {
        self.unfinished.find(packet.key().bucket(), |slot| {
            slot.key() == packet.key() && (by_any || slot.origin.neighbour() == packet.neighbour())
        })
    }

    /// Puts a message that is complete into the inbox of its channel. Returns whose it is.
    #[inline]
    pub(crate) fn complete(&mut self, slot: &'b mut Slot<'b>) -> ChannelId {
        let owner = slot.owner();
        if let Some(inbox) = self.inboxes.get_mut(owner.index()) {
            inbox.messages.push(slot);
        }
        owner
    }

    /// Gives up the unfinished message that a packet would belong to; `false` if there is none.
    #[inline]
    pub(crate) fn abandon(&mut self, packet: &Origin) -> bool {
        match self.assembling(packet, false).and_then(take) {
            Some(slot) => {
                self.release(slot);
                true
            }
            None => false,
        }
    }

    /// Has the destination of the packets to come looked at again: the own endpoint ID changed.
    pub(crate) fn expect_anew(&mut self) {
        self.unfinished.for_each(&mut |slot| {
            slot.expected = slot.expected.unmet();
        });
    }

    /// Frees an unfinished message, if that helps `start` to a slot: one that is at least `age`
    /// late. Where there are none but unfinished ones, and `start` is for a channel without any,
    /// one of a channel that has several. Of those, the latest of the source that holds most.
    pub(crate) fn evict(&mut self, now: Instant, age: u32, start: &Start<'_>) -> bool {
        let unfinished = &self.unfinished;
        let held_long = |channel: ChannelId| {
            let inbox = self.inboxes.get(channel.index());
            inbox.map_or(0, |inbox| inbox.held.long)
        };
        let has_none = held_long(start.channel) == 0 && self.whole_messages().1 == 0;
        let mut worst = None;
        unfinished.look_at_each(&mut |slot| {
            let lateness = slot.lateness(now);
            if lateness < age && !(has_none && held_long(slot.owner()) > 1) {
                return;
            }
            let mut held_by_source = 0_u32;
            unfinished.look_at_each(&mut |other| {
                let is_of_source = other.origin.has_source_of(&slot.origin);
                held_by_source = held_by_source.wrapping_add(is_of_source.into());
            });
            let rank = (held_by_source, lateness);
            if worst.is_none_or(|(worst, _)| rank > worst) {
                worst = Some((rank, slot.origin));
            }
        });
        let Some((_, worst)) = worst else {
            return false;
        };
        let owns_both = u8::from(worst.channel == start.channel);
        let holds_another = held_long(start.channel) > owns_both;
        // With this one there are two free ones if there was one before.
        let helps = !start.fair || !holds_another || !self.free_long.is_empty();
        helps && self.abandon(&worst)
    }

    /// How many short and long slots have messages that are whole: with a service, or waiting for
    /// it.
    fn whole_messages(&self) -> (usize, usize) {
        let (mut short, mut long) = (0_usize, 0_usize);
        for inbox in self.inboxes.iter() {
            short = short.wrapping_add(inbox.held.short.into());
            long = long.wrapping_add(inbox.held.long.into());
        }
        // Each unfinished message is in a long one.
        (short, long.wrapping_sub(self.unfinished.count()))
    }

    /// Whether a channel has no message that is whole.
    pub(crate) fn has_nothing_whole(&self, owner: ChannelId) -> bool {
        let mut unfinished = 0_u8;
        self.unfinished.look_at_each(&mut |slot| {
            unfinished = unfinished.wrapping_add((slot.owner() == owner).into());
        });
        let inbox = self.inboxes.get(owner.index());
        inbox.is_some_and(|inbox| inbox.held.short == 0 && inbox.held.long == unfinished)
    }

    /// The `lost` milliseconds before `now` count towards no time limit of an unfinished message.
    pub(crate) fn credit(&mut self, lost: u32, now: Instant) {
        self.unfinished.for_each(&mut |slot| {
            slot.began.credit(lost, now);
            slot.last_packet.credit(lost, now);
        });
    }

    /// Frees those unfinished messages; returns how many there were.
    pub(crate) fn free_unfinished(&mut self, which: Which) -> usize {
        let mut freed = 0_usize;
        while let Some(slot) = self.unfinished.take_any(which) {
            self.release(slot);
            freed = freed.saturating_add(1);
        }
        freed
    }

    /// Frees all messages of a channel that nobody reads.
    pub(crate) fn free_owned(&mut self, owner: ChannelId) {
        let inbox = self.inboxes.get(owner.index());
        if inbox.is_some_and(|inbox| inbox.held.long > 0) {
            self.free_unfinished(Which::For(owner));
        }
        while let Some(slot) = self.take_from_inbox(owner) {
            self.release(slot);
        }
        self.allow_hold(owner);
    }

    /// Packets for a channel may be held back for the whole time again.
    #[inline]
    fn allow_hold(&mut self, owner: ChannelId) {
        if let Some(inbox) = self.inboxes.get_mut(owner.index()) {
            inbox.held_back_since = 0;
        }
    }

    /// Frees all messages that came by a port, but for those that are lent; returns how many there
    /// were.
    pub(crate) fn free_all_by(&mut self, port: PortId) -> usize {
        let mut freed = self.free_unfinished(Which::By(port));
        for index in 0..self.inboxes.len() {
            let owner = ChannelId(index as u8);
            let mut others = Queue::EMPTY;
            while let Some(slot) = self.take_from_inbox(owner) {
                if slot.is(Which::By(port)) {
                    self.release(slot);
                    freed = freed.saturating_add(1);
                } else {
                    others.push(slot);
                }
            }
            if let Some(inbox) = self.inboxes.get_mut(index) {
                inbox.messages = others;
            }
        }
        freed
    }

    /// Whether a message is to be left with the neighbour until there is a slot for it: one that is
    /// with a service, or waits for it, can be given back. A service that gives none back is waited
    /// for once, until `looks` is `limit` more.
    pub(crate) fn holds_back(&mut self, looks: u16, limit: u16, start: &Start<'_>) -> bool {
        let (short, long) = self.whole_messages();
        let inbox = self.inboxes.get_mut(start.channel.index());
        let Some(inbox) = inbox.filter(|_| long > 0 || start.fits_short() && short > 0) else {
            return false;
        };
        if inbox.held_back_since == 0 {
            inbox.held_back_since = looks;
        }
        looks.wrapping_sub(inbox.held_back_since) < limit
    }

    /// Whether there are unfinished messages.
    pub(crate) fn has_unfinished(&self) -> bool {
        self.unfinished.count() > 0
    }

    /// Whether a complete message waits for a channel.
    pub(crate) fn has_complete(&self, owner: ChannelId) -> bool {
        let inbox = self.inboxes.get(owner.index());
        inbox.is_some_and(|inbox| !inbox.messages.is_empty())
    }

    fn take_from_inbox(&mut self, owner: ChannelId) -> Option<&'b mut Slot<'b>> {
        self.inboxes.get_mut(owner.index())?.messages.take()
    }

    /// Lends the oldest complete message of a channel.
    #[inline]
    pub(crate) fn lend(&mut self, owner: ChannelId) -> Option<LentMessage<'b>> {
        self.take_from_inbox(owner).map(LentMessage)
    }

    /// Takes back a lent message.
    #[inline]
    pub(crate) fn give_back(&mut self, message: LentMessage<'b>) {
        self.allow_hold(message.0.owner());
        self.release(message.0);
    }
}
