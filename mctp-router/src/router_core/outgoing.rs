//! Packetising: a message from its sender's slices into transfers (DSP0236 1.3.3, sections 8.4 and
//! 8.5).

use mctp::{Eid, MCTP_ADDR_NULL, MsgIC};
use mctp_transport::{AssemblyKey, MessageTag, PhysicalAddress, RawHeader, Transfer};

use super::key::Key;
use super::newest::{self, Newest, RequestNumber};
use super::{ChannelId, Origin, Port};
use crate::config::{NetworkId, PortId};

/// A message being sent: where it goes, and how much of it is in transfers already.
///
/// All packets but the last have the same payload, the unit. The message itself stays with its
/// sender.
#[derive(Clone, Debug)]
pub struct Outgoing {
    channel: ChannelId,
    network: NetworkId,
    port: PortId,
    pub(crate) address: PhysicalAddress,
    /// Of the next packet, without EOM, and without its source until the message is begun. Has SOM
    /// until the first packet is in a transfer.
    pub(crate) header: RawHeader,
    type_ic: u8,
    /// The port's session in which it was asked for, and once it is begun, in which it began.
    pub(crate) session: u32,
    /// The request that it is the response to; none if it is a request itself.
    request: RequestNumber,
    unit: usize,
    /// Bytes not yet in a transfer, the message type byte included.
    remaining: usize,
    /// Where the next byte is: which slice, and where in it.
    slice: usize,
    offset: usize,
}

impl Outgoing {
    pub(crate) fn new(
        channel: ChannelId,
        network: NetworkId,
        (port, address): (PortId, PhysicalAddress),
        session: u32,
        header: RawHeader,
        type_ic: u8,
    ) -> Self {
        Self {
            channel,
            network,
            port,
            address,
            header,
            type_ic,
            session,
            request: RequestNumber::NONE,
            unit: 0,
            remaining: 0,
            slice: 0,
            offset: 0,
        }
    }

    /// The response to a message that came from there.
    #[inline]
    pub(crate) fn response(origin: &Origin, integrity_check: MsgIC) -> Self {
        Self {
            request: origin.number,
            ..Self::new(
                origin.channel,
                origin.network,
                origin.neighbour(),
                origin.session,
                origin.header.of_response(MCTP_ADDR_NULL),
                mctp::encode_type_ic(origin.message_type(), integrity_check),
            )
        }
    }

    /// Whether it is a response, and its requester is known to have used the tag for another request
    /// since.
    #[inline]
    pub(super) fn is_superseded(&self, newest: &Newest, last: RequestNumber) -> bool {
        // None is newer than the last of all.
        if self.request == last || self.header.is_tag_owner() {
            return false;
        }
        let request = AssemblyKey::new(self.header.destination(), true, self.header.tag());
        newest::is_superseded(newest, (Key::new(self.network, request), self.request))
    }

    /// The channel whose place in the send queue it takes, and whose sender is
    /// [woken](super::Wakes::Sender) when it can go on.
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// The network of that port.
    pub(super) const fn network(&self) -> NetworkId {
        self.network
    }

    /// The port it leaves by.
    pub const fn port(&self) -> PortId {
        self.port
    }

    /// Bytes not yet in a transfer; 0 while it is not begun.
    pub(crate) const fn remaining(&self) -> usize {
        self.remaining
    }

    /// What is known when `message` is about to be sent, in packets of `unit`.
    pub(crate) fn start(&mut self, source: Eid, session: u32, unit: usize, message: &[&[u8]]) {
        self.header = self.header.with_source(source);
        self.session = session;
        self.unit = unit;
        self.remaining = message
            .iter()
            .fold(1, |sum: usize, slice| sum.saturating_add(slice.len()));
    }

    /// Puts as many packets into the port's transfers as fit. `true` when the last one is in.
    #[inline(never)]
    pub(crate) fn fill(&mut self, port: &mut Port<'_>, message: &[&[u8]]) -> bool {
        let slice = message.get(self.slice).copied().unwrap_or_default();
        let Some(mut rest) = slice.get(self.offset..) else {
            return false;
        };
        while let Some(transfer) = port.current() {
            rest = self.fill_transfer(transfer, message, rest);
            if self.remaining == 0 {
                return true;
            }
            if !port.advance() {
                break;
            }
        }
        let slice = message.get(self.slice).copied().unwrap_or_default();
        self.offset = slice.len().wrapping_sub(rest.len());
        false
    }

    /// Puts as many packets into the transfer as fit. `rest` is what is not yet sent of the current
    /// slice; returns what is then.
    #[inline]
    fn fill_transfer<'m>(
        &mut self,
        transfer: &mut Transfer<'_>,
        message: &[&'m [u8]],
        mut rest: &'m [u8],
    ) -> &'m [u8] {
        let Some(mut room) = transfer.room(self.address) else {
            return rest;
        };
        let unit = self.unit;
        let (mut header, mut remaining) = (self.header, self.remaining);
        if header.is_start() {
            let len = remaining.min(unit);
            let first_header = if len == remaining {
                header.with_end()
            } else {
                header
            };
            let Some([first, to @ ..]) = room.push(first_header, len) else {
                return rest;
            };
            *first = self.type_ic;
            rest = self.copy(message, rest, to);
            remaining = remaining.wrapping_sub(len);
            header = header.next();
        }
        while remaining > unit {
            let len = rest.len();
            // The last packet of the message has at least one byte.
            let keep = usize::from(remaining == len);
            header = room.push_run(header, unit, &mut rest, keep);
            let sent = len.wrapping_sub(rest.len());
            remaining = remaining.wrapping_sub(sent);
            let has_no_room = sent > 0 && rest.len() >= unit.wrapping_add(keep);
            if has_no_room || remaining <= unit {
                break;
            }
            // One that ends in another slice than it begins, or any in a transfer for one packet
            // only.
            let Some(to) = room.push(header, unit) else {
                break;
            };
            rest = self.copy(message, rest, to);
            remaining = remaining.wrapping_sub(unit);
            header = header.next();
        }
        if remaining > 0
            && remaining <= unit
            && let Some(to) = room.push(header.with_end(), remaining)
        {
            rest = self.copy(message, rest, to);
            remaining = 0;
        }
        (self.header, self.remaining) = (header, remaining);
        rest
    }

    /// Copies the next bytes of the message: most often all from `rest`, what is not yet sent of
    /// the current slice. Returns what is then.
    #[inline(always)]
    fn copy<'m>(&mut self, message: &[&'m [u8]], rest: &'m [u8], to: &mut [u8]) -> &'m [u8] {
        match rest.split_at_checked(to.len()) {
            Some((from, behind)) => {
                to.copy_from_slice(from);
                behind
            }
            None => self.gather(message, rest, to),
        }
    }

    /// Copies the next bytes of the message, from as many of its slices as it takes. Returns what
    /// is left of the slice it ended in.
    fn gather<'m>(
        &mut self,
        message: &[&'m [u8]],
        mut rest: &'m [u8],
        mut to: &mut [u8],
    ) -> &'m [u8] {
        loop {
            let len = rest.len().min(to.len());
            let (to_now, to_later) = core::mem::take(&mut to).split_at_mut(len);
            let (from, later) = rest.split_at(len);
            to_now.copy_from_slice(from);
            rest = later;
            to = to_later;
            let next = self.slice.wrapping_add(1);
            let Some(slice) = message.get(next).filter(|_| !to.is_empty()) else {
                return rest;
            };
            self.slice = next;
            rest = slice;
        }
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Target {
    /// To an endpoint by its route; without one, to where the network's bus owner is; else by the
    /// first port of the network.
    Endpoint(NetworkId, Eid),
    /// To a neighbour of a port. With endpoint ID 0 the physical address alone says who is meant.
    Neighbour(PortId, PhysicalAddress, Eid),
}

impl Target {
    /// The endpoint ID asked; 0 for the endpoint at the physical address, whatever its ID.
    pub const fn endpoint_id(&self) -> Eid {
        match *self {
            Self::Endpoint(_, endpoint_id) | Self::Neighbour(_, _, endpoint_id) => endpoint_id,
        }
    }
}

/// Why a request was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError {
    /// The router has no such port or network.
    #[error("the router has no such port or network")]
    NoPort,
    /// All of the router's channels are in use.
    #[error("all channels of the router are in use")]
    NoChannel,
    /// All eight tags to the peer are in use.
    #[error("all eight tags to the peer are in use")]
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
