//! Packetising: a message from its sender's slices into transfers (DSP0236 1.3.3, sections 8.4 and 8.5).

use mctp::Eid;
use mctp_transport::{MessageTag, PhysicalAddress, RawHeader, Transfer};

use super::Port;
use crate::config::PortId;

/// A message being sent: where it goes, and how much of it is in transfers already.
///
/// All packets but the last have the same payload, the unit. The message itself stays with its sender.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) port: PortId,
    pub(crate) address: PhysicalAddress,
    pub(crate) header: RawHeader,
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
        header: RawHeader,
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
        if self.header.is_start() {
            self.remaining = message
                .iter()
                .fold(1, |sum: usize, slice| sum.saturating_add(slice.len()));
        }
    }

    /// Puts a message of one slice and one packet into the port's transfer: the commonest, and the one where every instruction counts most.
    /// `false`, and nothing done, if it is another or does not fit.
    #[inline]
    pub(crate) fn fill_one(&mut self, port: &mut Port<'_>, message: &[&[u8]]) -> bool {
        let ([message], Some(transfer)) = (message, port.current()) else {
            return false;
        };
        if !self.header.is_start() || self.remaining > self.unit {
            return false;
        }
        match transfer.push(self.address, self.header.with_end(), self.remaining) {
            Some([first, rest @ ..]) if rest.len() == message.len() => {
                *first = self.type_ic;
                rest.copy_from_slice(message);
                self.remaining = 0;
                true
            }
            _ => false,
        }
    }

    /// Puts as many packets into the port's transfers as fit. `true` when the last one is in.
    #[inline(never)]
    pub(crate) fn fill_many(&mut self, port: &mut Port<'_>, message: &[&[u8]]) -> bool {
        while let Some(transfer) = port.current() {
            self.fill_transfer(transfer, message);
            if self.remaining == 0 {
                return true;
            }
            if !port.advance() {
                break;
            }
        }
        false
    }

    #[inline]
    fn fill_transfer(&mut self, transfer: &mut Transfer<'_>, message: &[&[u8]]) {
        let mut has_room = !self.header.is_start() || self.push_one(transfer, message);
        while has_room && self.remaining > 0 {
            // What stops a run is the end of the room, the last packet, or a packet that begins in one slice and ends in another.
            has_room = if self.push_run(transfer, message) {
                transfer.fits(self.unit.min(self.remaining))
            } else {
                self.push_one(transfer, message)
            };
        }
    }

    /// Puts the packets into a transfer that are as a whole in one slice, the last packet excepted. `false` if there is none.
    #[inline]
    fn push_run(&mut self, transfer: &mut Transfer<'_>, message: &[&[u8]]) -> bool {
        let slice = message.get(self.slice).copied().unwrap_or_default();
        let rest = slice.get(self.offset..).unwrap_or_default();
        // The last packet has at least one byte. None of this wraps: something remains, and a run is part of it.
        let run = rest.get(..self.remaining.wrapping_sub(1)).unwrap_or(rest);
        let packets = transfer.push_run(self.address, self.header, self.unit, run);
        let len = packets.wrapping_mul(self.unit);
        self.offset = self.offset.wrapping_add(len);
        self.remaining = self.remaining.wrapping_sub(len);
        self.header = self.header.after(packets);
        packets > 0
    }

    /// Puts the next packet into a transfer. `false` when there is no room for it.
    #[inline(never)]
    fn push_one(&mut self, transfer: &mut Transfer<'_>, message: &[&[u8]]) -> bool {
        let payload_len = self.remaining.min(self.unit);
        let header = if payload_len == self.remaining {
            self.header.with_end()
        } else {
            self.header
        };
        let Some(payload) = transfer.push(self.address, header, payload_len) else {
            return false;
        };
        match payload {
            [first, rest @ ..] if self.header.is_start() => {
                *first = self.type_ic;
                self.copy_next(message, rest);
            }
            payload => self.copy_next(message, payload),
        }
        self.remaining = self.remaining.saturating_sub(payload_len);
        self.header = self.header.next();
        true
    }

    /// Copies the next bytes of the message, from as many of its slices as it takes.
    #[inline]
    fn copy_next(&mut self, message: &[&[u8]], mut to: &mut [u8]) {
        while let Some(slice) = message.get(self.slice) {
            let from = slice.get(self.offset..).unwrap_or_default();
            let len = from.len().min(to.len());
            let (to_now, to_later) = core::mem::take(&mut to).split_at_mut(len);
            to_now.copy_from_slice(from.split_at(len).0);
            self.offset = self.offset.wrapping_add(len);
            to = to_later;
            if to.is_empty() {
                return;
            }
            self.slice = self.slice.wrapping_add(1);
            self.offset = 0;
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
