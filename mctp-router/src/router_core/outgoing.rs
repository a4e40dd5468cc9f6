//! Packetising: a message from its sender's slices into transfers (DSP0236 1.3.3, sections 8.4 and 8.5).

use mctp::Eid;
use mctp_transport::{MessageTag, PacketHeader, PhysicalAddress, Transfer};

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
        while self.remaining > 0 {
            let payload_len = self.remaining.min(self.unit);
            self.header.end = payload_len == self.remaining;
            let Some(payload) = transfer.push(self.address, self.header, payload_len) else {
                return false;
            };
            match payload.split_first_mut() {
                Some((first, rest)) if self.header.start => {
                    *first = self.type_ic;
                    self.copy(rest, message);
                }
                _ => self.copy(payload, message),
            }
            self.remaining = self.remaining.saturating_sub(payload_len);
            self.header.start = false;
            self.header.sequence = self.header.sequence.next();
        }
        true
    }

    /// Copies the next bytes of the message.
    #[inline]
    fn copy(&mut self, mut to: &mut [u8], message: &[&[u8]]) {
        while !to.is_empty() {
            let Some(from) = message
                .get(self.slice)
                .and_then(|slice| slice.get(self.offset..))
            else {
                return;
            };
            let len = from.len().min(to.len());
            let (Some(from), Some((now, later))) = (from.get(..len), to.split_at_mut_checked(len))
            else {
                return;
            };
            now.copy_from_slice(from);
            to = later;
            if to.is_empty() {
                self.offset = self.offset.saturating_add(len);
            } else {
                self.slice = self.slice.saturating_add(1);
                self.offset = 0;
            }
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
