//! Forwarding: packets for other endpoints go on by the routing table (DSP0236 1.3.3, section 9.6).
//!
//! A packet is copied once, from where its transport has it into a transfer of the port that its
//! route names, and only its physical address changes. It is not assembled, and takes no message
//! buffer. Nothing here is linked into a device that does not call [`RouterCore::forward_by`].
//!
//! Who shares a port that is full:
//!
//! - A packet from a neighbour that can wait is [held back](Receipt::HeldBack). The port that it came
//!   by takes a place in the send queue of the full port, beside the messages of the device itself,
//!   and has its turn when it is first there: one packet.
//! - A packet from a neighbour that cannot wait goes into the reserve, one more transfer that only such
//!   packets use, and is discarded when that is full, too.
//! - A port that takes nothing for [`Config::hold_time`](crate::Config::hold_time) is waited for no
//!   more until it does: packets to it are discarded, those to other ports go on.

use core::fmt::Debug;

use mctp::{Eid, MCTP_ADDR_NULL, MsgType};
use mctp_time::Instant;
use mctp_transport::{DropReason, PhysicalAddress, RawHeader, Transfer};

use super::port_buffers::ForwardingBuffer;
use super::{ChannelId, Link, Port, Receipt, RouterCore};
use crate::config::PortId;

/// Decides which packets a port forwards: a bridge with one is a firewall.
///
/// It is asked for each packet that came by the port, is for another endpoint, and has a way there.
pub trait ForwardingFilter: Debug + Sync {
    /// Whether the packet may go on. One that may not is counted as
    /// [`DropReason::ForwardingRefused`].
    fn allows(&self, packet: &ForwardedPacket) -> bool;
}

/// A packet that is about to be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ForwardedPacket {
    /// The port it came by.
    pub from: PortId,
    /// The port it leaves by.
    pub to: PortId,
    /// Its source endpoint.
    pub source: Eid,
    /// Its destination endpoint.
    pub destination: Eid,
    /// The message type, which only the first packet of a message has. Who refuses that one need not
    /// refuse the others: their receiver discards what has no beginning.
    pub message_type: Option<MsgType>,
}

/// Why a port was not made to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ForwardError {
    /// The router has no such port.
    #[error("the router has no such port")]
    NoPort,
    /// All of the router's channels are in use.
    #[error("all channels of the router are in use")]
    NoChannel,
    /// The buffer is shorter than the others of the port.
    #[error("the buffer has {len} bytes, the others of the port {wanted}")]
    BufferTooShort {
        /// Bytes of the buffer.
        len: usize,
        /// Bytes of each other transfer buffer of the port.
        wanted: u16,
    },
}

/// What a port that forwards has beside the others.
pub(crate) struct PortForwarding<'b> {
    /// One more transfer, for packets of neighbours that cannot wait. It goes behind those that are
    /// full or being filled. `None` while the transport has it.
    reserve: Option<&'b mut Transfer<'b>>,
    /// The place of packets that came by the port, in the send queues of others.
    channel: ChannelId,
    /// While there is no room at the port for a packet that waits: the number of the look at which
    /// that began.
    full_since: Option<u16>,
    /// How many packets that came by the port were forwarded.
    forwarded: u32,
    filter: Option<&'b dyn ForwardingFilter>,
    /// [`RouterCore::forward_packet`]: called by its address, it is linked only where it is used.
    forward: ForwardPacket,
}

impl Debug for PortForwarding<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PortForwarding")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// A packet that came by a port and is for another endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Passing<'p> {
    pub(super) now: Instant,
    pub(super) from: (PortId, PhysicalAddress),
    pub(super) header: RawHeader,
    pub(super) payload: &'p [u8],
}

/// `None` when the packet may be for the device itself.
pub(crate) type ForwardPacket =
    for<'b> fn(&mut RouterCore<'b>, &Passing<'_>) -> Option<Result<Receipt, DropReason>>;

/// Setting up a bridge.
impl<'b> RouterCore<'b> {
    /// Makes a port forward: a packet that comes by it for another endpoint goes on to where the
    /// [route](Self::add_route) of that endpoint leads, if the port there forwards as well. Ports of
    /// one network that forward are a bridge.
    ///
    /// It takes one of the router's [channels](crate::storage::Channels). `buffer` is as long as the
    /// other transfer buffers of the port.
    ///
    /// # Errors
    ///
    /// When there is no such port or no channel, or the buffer is too short.
    pub fn forward_by<const TRANSFER_LEN: usize>(
        &mut self,
        port: PortId,
        buffer: &'b mut ForwardingBuffer<'b, TRANSFER_LEN>,
    ) -> Result<(), ForwardError> {
        let wanted = self.port(port).ok_or(ForwardError::NoPort)?.transfer_len;
        if TRANSFER_LEN < wanted.into() {
            let len = TRANSFER_LEN;
            return Err(ForwardError::BufferTooShort { len, wanted });
        }
        let channel = self.channels.open_forwarder(port);
        let channel = channel.ok_or(ForwardError::NoChannel)?;
        let (state, reserve) = buffer.parts();
        let forwarding = PortForwarding {
            reserve: Some(reserve),
            channel,
            full_since: None,
            forwarded: 0,
            filter: None,
            forward: |core, packet| core.forward_packet(packet),
        };
        if let Some(port) = self.port(port) {
            port.set_forwarding(state.insert(forwarding));
        }
        Ok(())
    }

    /// Has `filter` asked about each packet that comes by the port for other endpoints. `false` when
    /// the port does not forward.
    pub fn filter_forwarding(&mut self, port: PortId, filter: &'b dyn ForwardingFilter) -> bool {
        let port = self.port(port);
        let forwarding = port.and_then(|port| port.forwarding.as_mut());
        forwarding.is_some_and(|forwarding| {
            forwarding.filter = Some(filter);
            true
        })
    }

    /// How many packets that came by the port were forwarded, to whatever port.
    pub fn packets_forwarded(&self, port: PortId) -> u32 {
        let port = self.ports.get(usize::from(port.0));
        let forwarding = port.and_then(|port| port.forwarding.as_ref());
        forwarding.map_or(0, |forwarding| forwarding.forwarded)
    }
}

/// Packets for others.
impl<'b> RouterCore<'b> {
    /// Forwards a packet, or says why not. `None` when the device has no endpoint ID yet and there is
    /// no route: then the device itself may be meant.
    fn forward_packet(&mut self, packet: &Passing<'_>) -> Option<Result<Receipt, DropReason>> {
        let port = self.ports.get(usize::from(packet.from.0.0))?;
        let (network, channel) = (port.network, port.forwarding.as_ref()?.channel);
        let own = self.endpoint_id(network);
        let Some(route) = self.routes.to(network, packet.header.destination()) else {
            return (own != MCTP_ADDR_NULL).then_some(Err(DropReason::UnroutableDestination));
        };
        let way = (route.port, route.address);
        let result = if way == packet.from || packet.header.source() == own {
            Err(DropReason::ForwardingLoop)
        } else {
            self.forward_to(way, channel, packet)
        };
        if result != Ok(Receipt::HeldBack) {
            self.leave_send_queue(channel);
        }
        Some(result)
    }

    fn forward_to(
        &mut self,
        (to, address): (PortId, PhysicalAddress),
        channel: ChannelId,
        packet: &Passing<'_>,
    ) -> Result<Receipt, DropReason> {
        let from = usize::from(packet.from.0.0);
        let from_port = self.ports.get(from);
        let filter = from_port.and_then(|port| port.forwarding.as_ref()?.filter);
        if filter.is_some_and(|filter| !filter.allows(&packet.description(to))) {
            return Err(DropReason::ForwardingRefused);
        }
        let can_wait = from_port.is_some_and(|port| port.can_wait);
        let first = self.send_queue.first(to);
        let is_first = first.is_none_or(|first| first == channel);
        let port = self.ports.get_mut(usize::from(to.0));
        let port = port.filter(|port| port.forwarding.is_some());
        let port = port.ok_or(DropReason::UnroutableDestination)?;
        port.check(packet.payload)?;
        let is_put = match can_wait {
            true => is_first && port.put(address, packet),
            false => port.put_or_reserve(is_first, address, packet),
        };
        if is_put {
            if port.note_waiting(packet.now) {
                self.look_soon(packet.now);
            }
            let from_port = self.ports.get_mut(from);
            if let Some(forwarding) = from_port.and_then(|port| port.forwarding.as_mut()) {
                forwarding.forwarded = forwarding.forwarded.saturating_add(1);
            }
            return Ok(Receipt::Forwarded(to));
        }
        if !can_wait || !port.is_waited_for(self.looks, self.hold_limit) {
            return Err(DropReason::NoForwardingRoom);
        }
        self.wait_for_room(packet, channel, to);
        Ok(Receipt::HeldBack)
    }

    /// Has packets that came by a port wait for their turn at another one.
    fn wait_for_room(&mut self, packet: &Passing<'_>, channel: ChannelId, to: PortId) {
        if self
            .send_queue
            .port_of(channel)
            .is_some_and(|port| port != to)
        {
            self.leave_send_queue(channel);
        }
        self.send_queue.join(channel, to);
        if let Some(port) = self.port(packet.from.0) {
            port.holds_back = true;
        }
        self.holds_back = true;
        self.look_soon(packet.now);
    }

    /// Takes back the place that packets that came by a port have in a send queue: nobody offers them
    /// again.
    pub(super) fn forget_waiting(&mut self, port: PortId) {
        let port = self.ports.get(usize::from(port.0));
        let forwarding = port.and_then(|port| port.forwarding.as_ref());
        if let Some(channel) = forwarding.map(|forwarding| forwarding.channel) {
            self.leave_send_queue(channel);
        }
    }

    /// The same for each port that was to offer its packet again since the last look, and has not.
    pub(super) fn forget_absent(&mut self) {
        for number in (0..=u8::MAX).take(self.ports.len()) {
            let port = self.ports.get(usize::from(number));
            if port.is_some_and(|port| !port.holds_back) {
                self.forget_waiting(PortId(number));
            }
        }
    }
}

impl Passing<'_> {
    /// Copies the packet into a transfer. `false` when it does not fit.
    #[inline]
    fn put_into(&self, transfer: &mut Transfer<'_>, address: PhysicalAddress) -> bool {
        let len = self.payload.len();
        let place = transfer.push(address, self.header, len);
        // It has that length already; the compiler, which does not see into `push`, needs to be
        // shown.
        let place = place.and_then(|place| place.get_mut(..len));
        place.is_some_and(|place| {
            place.copy_from_slice(self.payload);
            true
        })
    }

    fn description(&self, to: PortId) -> ForwardedPacket {
        let message_type = self.payload.first().filter(|_| self.header.is_start());
        ForwardedPacket {
            from: self.from.0,
            to,
            source: self.header.source(),
            destination: self.header.destination(),
            message_type: message_type.map(|type_ic| mctp::decode_type_ic(*type_ic).0),
        }
    }
}

/// The reserve of a port, and room for packets of others.
impl<'b> Port<'b> {
    /// How a packet goes on for which the port's own endpoint may not be the destination; `None` when
    /// the port does not forward.
    #[inline]
    pub(super) fn forwards(&self) -> Option<ForwardPacket> {
        self.forwarding
            .as_ref()
            .map(|forwarding| forwarding.forward)
    }

    fn set_forwarding(&mut self, forwarding: &'b mut PortForwarding<'b>) {
        self.forwarding = Some(forwarding);
        let layout = self.layout;
        if let Some(reserve) = self.reserve_mut() {
            reserve.reset(layout);
        }
    }

    /// Whether a packet can leave by the port at all.
    fn check(&self, payload: &[u8]) -> Result<(), DropReason> {
        if matches!(self.link, Link::Absent | Link::Down) || !self.has_layout() {
            return Err(DropReason::ForwardingLinkDown);
        }
        match payload.len() > self.max_unit() {
            true => Err(DropReason::UnsupportedTransmissionUnit),
            false => Ok(()),
        }
    }

    /// Puts a packet into the transfer that is being filled, or into the next one. `false` when there
    /// is no room.
    #[inline]
    fn put(&mut self, address: PhysicalAddress, packet: &Passing<'_>) -> bool {
        if self.link == Link::Stalled {
            return false;
        }
        let put = |port: &mut Self| {
            let current = port.current();
            current.is_some_and(|current| packet.put_into(current, address))
        };
        put(self) || (self.advance() && put(self))
    }

    /// The same, if nobody else `is_first`, or else into the reserve. No packet overtakes those that
    /// are there.
    fn put_or_reserve(
        &mut self,
        is_first: bool,
        address: PhysicalAddress,
        packet: &Passing<'_>,
    ) -> bool {
        if is_first && !self.reserve_has_packets() && self.put(address, packet) {
            return true;
        }
        let forwarding = self.forwarding.as_mut();
        let reserve = forwarding.and_then(|forwarding| forwarding.reserve.as_deref_mut());
        let reserve = reserve.filter(|_| self.link == Link::Up);
        reserve.is_some_and(|reserve| packet.put_into(reserve, address))
    }

    /// Whether the port, which has no room now, has not been without room for too long.
    fn is_waited_for(&mut self, looks: u16, limit: u16) -> bool {
        let forwarding = self.forwarding.as_mut().filter(|_| self.link == Link::Up);
        forwarding.is_some_and(|forwarding| {
            let since = *forwarding.full_since.get_or_insert(looks);
            looks.wrapping_sub(since) < limit
        })
    }

    /// The transport has taken something.
    #[inline]
    pub(super) fn note_taken(&mut self) {
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.full_since = None;
        }
    }

    /// The reserve, if it is there.
    #[inline]
    pub(super) fn reserve(&self) -> Option<&Option<&'b mut Transfer<'b>>> {
        self.forwarding
            .as_ref()
            .map(|forwarding| &forwarding.reserve)
    }

    /// The same, to be emptied.
    pub(super) fn reserve_mut(&mut self) -> Option<&mut Transfer<'b>> {
        self.forwarding.as_mut()?.reserve.as_deref_mut()
    }

    #[inline]
    pub(super) fn reserve_has_packets(&self) -> bool {
        let reserve = self.reserve().and_then(Option::as_ref);
        reserve.is_some_and(|reserve| !reserve.is_empty())
    }

    /// Takes the reserve, if it has packets.
    #[inline]
    pub(super) fn take_reserve(&mut self) -> Option<&'b mut Transfer<'b>> {
        let forwarding = self.forwarding.as_mut()?;
        forwarding.reserve.take_if(|reserve| !reserve.is_empty())
    }

    /// Makes an empty transfer the reserve; returns it if there is one already.
    #[inline]
    pub(super) fn fill_reserve(
        &mut self,
        transfer: &'b mut Transfer<'b>,
    ) -> Option<&'b mut Transfer<'b>> {
        match &mut self.forwarding {
            Some(forwarding) if forwarding.reserve.is_none() => {
                forwarding.reserve = Some(transfer);
                None
            }
            _ => Some(transfer),
        }
    }
}
