//! Packetising: a message from its sender's slices into transfers (DSP0236 1.3.3, sections 8.4 and 8.5).

use mctp::Eid;
use mctp_transport::{MessageTag, PacketHeader, PhysicalAddress, Room, Transfer};

use crate::config::PortId;

/// A message being sent: where it goes, and how much of it is in transfers already.
///
/// All packets but the last have the same payload, the unit. The message itself stays with its sender.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) port: PortId,
    pub(crate) address: PhysicalAddress,
    pub(crate) header: PacketHeader,
    pub(crate) type_ic: u8,
    pub(crate) unit: usize,
    /// Bytes not yet in a transfer, the message type byte included.
    remaining: usize,
    /// The port's session in which it began.
    pub(crate) session: u8,
    /// Where the next byte is: which slice, and where in it.
    slice: usize,
    offset: usize,
}

impl Outgoing {
    pub(crate) fn new(
        port: PortId,
        address: PhysicalAddress,
        header: PacketHeader,
        type_ic: u8,
        unit: usize,
    ) -> Self {
        Self {
            port,
            address,
            header,
            type_ic,
            unit,
            remaining: 0,
            session: 0,
            slice: 0,
            offset: 0,
        }
    }

    /// The port it leaves by.
    pub const fn port(&self) -> PortId {
        self.port
    }

    /// Counts what is to be sent, the first time.
    #[inline]
    pub(crate) fn start_with(&mut self, message: &[&[u8]]) {
        if self.header.start {
            self.remaining = message
                .iter()
                .fold(1, |sum: usize, slice| sum.saturating_add(slice.len()));
        }
    }

    /// Puts as many packets into `transfer` as fit. `true` when the last one is in.
    #[inline]
    pub(crate) fn fill(&mut self, transfer: &mut Transfer<'_>, message: &[&[u8]]) -> bool {
        match message {
            [only] if self.header.start && self.remaining <= self.unit => {
                self.fill_one(transfer, only)
            }
            _ => self.fill_many(transfer, message),
        }
    }

    /// Puts a message of one slice and one packet into `transfer`: the commonest, and the one where every instruction counts most.
    #[inline]
    fn fill_one(&mut self, transfer: &mut Transfer<'_>, message: &[u8]) -> bool {
        let header = PacketHeader {
            end: true,
            ..self.header
        };
        match transfer.push(self.address, header, self.remaining) {
            Some([first, rest @ ..]) if rest.len() == message.len() => {
                *first = self.type_ic;
                rest.copy_from_slice(message);
                self.remaining = 0;
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn fill_many(&mut self, transfer: &mut Transfer<'_>, message: &[&[u8]]) -> bool {
        let Some(mut room) = transfer.room_for(self.address) else {
            return false;
        };
        let mut from = Cursor::new(message, self.slice, self.offset);
        let mut has_room = !self.header.start || self.push_one(&mut room, &mut from);
        while has_room && self.remaining > self.unit {
            self.header.end = false;
            let run = from.before_last(self.remaining);
            let len = room.push_run(&mut self.header, self.unit, run);
            from.skip(len);
            self.remaining = self.remaining.saturating_sub(len);
            // What stopped the run is the end of the room, the last packet, or a packet that begins in one slice and ends in another.
            has_room = room.fits(self.unit)
                && (self.remaining <= self.unit || self.push_one(&mut room, &mut from));
        }
        if has_room && self.remaining > 0 {
            self.push_one(&mut room, &mut from);
        }
        (self.slice, self.offset) = (from.slice, from.offset());
        self.remaining == 0
    }

    /// Puts the next packet into a transfer. `false` when there is no room for it.
    #[inline]
    fn push_one(&mut self, room: &mut Room<'_>, from: &mut Cursor<'_>) -> bool {
        let payload_len = self.remaining.min(self.unit);
        self.header.end = payload_len == self.remaining;
        let Some(payload) = room.push(self.header, payload_len) else {
            return false;
        };
        match payload {
            [first, rest @ ..] if self.header.start => {
                *first = self.type_ic;
                from.copy_to(rest);
            }
            payload => from.copy_to(payload),
        }
        self.remaining = self.remaining.saturating_sub(payload_len);
        self.header.start = false;
        self.header.sequence = self.header.sequence.next();
        true
    }
}

/// The next byte of a message.
struct Cursor<'m> {
    message: &'m [&'m [u8]],
    /// Which slice it is in.
    slice: usize,
    /// The rest of that slice, from it on.
    rest: &'m [u8],
}

impl<'m> Cursor<'m> {
    #[inline]
    fn new(message: &'m [&'m [u8]], slice: usize, offset: usize) -> Self {
        let whole = message.get(slice).copied().unwrap_or_default();
        let rest = whole.get(offset..).unwrap_or_default();
        Self {
            message,
            slice,
            rest,
        }
    }

    /// What is in this slice of a message of which `remaining` bytes remain, but for the last byte, which is not a middle packet's.
    #[inline]
    fn before_last(&self, remaining: usize) -> &'m [u8] {
        self.rest
            .get(..remaining.saturating_sub(1))
            .unwrap_or(self.rest)
    }

    #[inline]
    fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    /// How far the next byte is from the start of its slice.
    #[inline]
    fn offset(&self) -> usize {
        let whole = self.message.get(self.slice).copied().unwrap_or_default();
        whole.len().saturating_sub(self.rest.len())
    }

    #[inline]
    fn copy_to(&mut self, to: &mut [u8]) {
        match self.rest.split_at_checked(to.len()) {
            Some((now, later)) => {
                to.copy_from_slice(now);
                self.rest = later;
            }
            None => self.copy_across_slices(to),
        }
    }

    /// Copies bytes that are not all in one slice.
    fn copy_across_slices(&mut self, mut to: &mut [u8]) {
        loop {
            let len = self.rest.len().min(to.len());
            let (now, later) = self.rest.split_at(len);
            let (to_now, to_later) = core::mem::take(&mut to).split_at_mut(len);
            to_now.copy_from_slice(now);
            (self.rest, to) = (later, to_later);
            if to.is_empty() {
                return;
            }
            self.slice = self.slice.saturating_add(1);
            let Some(next) = self.message.get(self.slice) else {
                return;
            };
            self.rest = next;
        }
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The endpoint, or 0 for whoever is at the physical address.
    pub endpoint_id: Eid,
    /// The port and neighbour; `None` looks for a route, and falls back to where the bus owner is, then to port 0.
    pub neighbour: Option<(PortId, PhysicalAddress)>,
}

/// Why a request was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenError {
    /// All of the router's channels are in use.
    NoChannel,
    /// All eight tags to the peer are in use.
    NoTag,
}

/// Picks the tag after `last` that `in_use` does not have.
pub(crate) fn next_free_tag(
    last: MessageTag,
    in_use: impl Fn(MessageTag) -> bool,
) -> Option<MessageTag> {
    let mut tag = last;
    for _ in 0..MessageTag::COUNT {
        tag = tag.next();
        if !in_use(tag) {
            return Some(tag);
        }
    }
    None
}
