//! Messages out: tags, routes and units (DSP0236 1.3.3, sections 8.4 to 8.6 and 11.7).

use mctp::{MCTP_ADDR_NULL, MsgIC, MsgType};
use mctp_time::Instant;
use mctp_transport::{
    DropReason, PacketHeader, PhysicalAddress, SendError, SequenceNumber, Transfer,
};

use super::channels::Request;
use super::outgoing::next_free_tag;
use super::{
    ChannelId, Link, OpenError, Outbound, Outgoing, Port, Progress, RouterCore, SendFailure,
    Target, Wakes,
};
use crate::config::PortId;

/// Outputs to the transport, and messages into it.
impl<'b> RouterCore<'b> {
    /// The next transfer for the port's transport, if there is one. Control responses come first.
    #[inline]
    pub fn poll_transmit(&mut self, port: PortId) -> Option<Outbound<'b>> {
        self.ports.get_mut(usize::from(port.0))?.take()
    }

    /// Takes back a transfer that [`poll_transmit`](Self::poll_transmit) gave. `result` says
    /// whether the neighbour has it; a transfer that it has not is lost, and counted.
    #[inline]
    pub fn transmit_done(
        &mut self,
        now: Instant,
        port: PortId,
        outbound: Outbound<'b>,
        result: Result<(), SendError>,
    ) {
        if let Err(error) = result {
            self.note_unsent(now, port, outbound.transfer, error);
        }
        let Some(place) = self.ports.get_mut(usize::from(port.0)) else {
            return;
        };
        place.give_back(outbound, result);
        let waits = place.has_waiting();
        place.wait_anew(now, waits);
        if waits {
            self.look_soon(now);
        }
        self.wake_first_sender(port);
    }

    /// From now on [`is_sent`](Self::is_sent) tells of what was [sent](Self::send) by the port so far:
    /// [`Progress::Done`] says no more than that a message is in transfers. For something that must
    /// not happen before a response is out, such as another clock rate. A later call takes the place
    /// of an earlier one.
    pub fn watch_sent(&mut self, port: PortId) {
        if let Some(port) = self.port(port) {
            port.watch_sent();
        }
    }

    /// Whether the neighbour has what was sent by the port before [`watch_sent`](Self::watch_sent)
    /// was called last, or it was given up. What was sent later makes no difference, nor do control
    /// responses, which wait apart.
    pub fn is_sent(&self, port: PortId) -> bool {
        let port = self.ports.get(usize::from(port.0));
        port.is_none_or(Port::is_sent)
    }

    /// A transfer was not sent. The sender of a request that was in it need not wait for the time
    /// limit of the response.
    #[inline(never)]
    fn note_unsent(
        &mut self,
        now: Instant,
        port: PortId,
        transfer: &Transfer<'_>,
        error: SendError,
    ) {
        self.drops.count(error.into());
        if error == SendError::NotAccepted {
            self.refuse_bridge(now, port, transfer);
        }
        if error == SendError::NotAccepted
            && let Some(packet) = transfer.first_header()
            && self.channels.refuse(port, packet)
        {
            self.wakes.add(Wakes::Everybody);
        }
    }

    /// Opens a request to `target`: finds its way, and a tag that no other request to the same peer
    /// has.
    ///
    /// [`send`](Self::send) it, then [`await_response`](Self::await_response);
    /// [`close`](Self::close) the channel when done with it.
    pub fn open_request(
        &mut self,
        target: &Target,
        message_type: MsgType,
        integrity_check: MsgIC,
    ) -> Result<(ChannelId, Outgoing), OpenError> {
        let type_ic = mctp::encode_type_ic(message_type, integrity_check);
        let peer = target.endpoint_id();
        let (port_id, address) = self.way_to(target).ok_or(OpenError::NoPort)?;
        let port = self.port(port_id).ok_or(OpenError::NoPort)?;
        let (network, session) = (port.network, port.session());
        let bridge = self.bridge.as_deref();
        let in_use = |tag| {
            self.channels.has_request(network, peer, port_id, tag)
                || bridge.is_some_and(|bridge| bridge.uses_tag(port_id, tag))
        };
        let tag = next_free_tag(self.last_tag, in_use).ok_or(OpenError::NoTag)?;
        let request = Request::new(network, peer, tag, (port_id, address));
        let channel = self
            .channels
            .open_request(request)
            .ok_or(OpenError::NoChannel)?;
        self.last_tag = tag;
        let first = PacketHeader {
            destination: peer,
            source: MCTP_ADDR_NULL,
            start: true,
            end: false,
            sequence: SequenceNumber::default(),
            tag_owner: true,
            tag,
        };
        let way = (port_id, address);
        let outgoing = Outgoing::new(channel, network, way, session, first.into(), type_ic);
        Ok((channel, outgoing))
    }

    /// Starts the wait for the response of `channel`, or starts it anew for one more: `timeout`
    /// milliseconds.
    pub fn await_response(&mut self, now: Instant, channel: ChannelId, timeout: u32) {
        if self.channels.await_response(now, channel, timeout) {
            self.look_within(now, timeout);
        }
    }

    /// Whether the request of `channel` waits no longer: it has waited for too long, its link was
    /// lost, or it [was refused](Self::is_refused).
    pub fn has_expired(&self, channel: ChannelId) -> bool {
        self.channels.has_expired(channel)
    }

    /// Whether the neighbour did not acknowledge the request of `channel`, or a part of it:
    /// [`SendError::NotAccepted`]. On a bus with addresses, there is probably nobody.
    ///
    /// It is known of the first message in a transfer, which is the only one where transfers have
    /// one packet each.
    pub fn is_refused(&self, channel: ChannelId) -> bool {
        self.channels.is_refused(channel)
    }

    /// Puts as much of a message into the port's transfer as fits, when its channel is first in the
    /// port's send queue. `message` is all of it, the same at each call; its slices are sent as one,
    /// behind the message type. Not to be called again once it is [`Progress::Done`], or failed.
    ///
    /// The messages that are being sent by a port proceed together: each goes to the end of the
    /// port's send queue when it has put something into a transfer. One that is tried while there is
    /// no room keeps its place.
    #[inline]
    pub fn send(
        &mut self,
        now: Instant,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Result<Progress, SendFailure> {
        let progress = self.try_send(now, outgoing, message);
        if progress != Ok(Progress::Partial) {
            self.leave_send_queue(outgoing.channel());
        }
        progress
    }

    /// Ends a message that is not to be sent to its end; the receiver discards what it has of it.
    pub fn abandon(&mut self, outgoing: &Outgoing) {
        self.leave_send_queue(outgoing.channel());
    }

    fn try_send(
        &mut self,
        now: Instant,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Result<Progress, SendFailure> {
        let (port_id, channel) = (outgoing.port(), outgoing.channel());
        let source = match outgoing.header.is_start() {
            true => self.endpoint_id(outgoing.network()),
            false => MCTP_ADDR_NULL,
        };
        let port = self.ports.get_mut(usize::from(port_id.0));
        let port = port.ok_or(SendFailure::NoLink)?;
        let first = self.send_queue.first(port_id);
        if first.is_some_and(|first| first != channel) {
            self.send_queue.join(channel, port_id);
            return Ok(Progress::Partial);
        }
        if port.link == Link::Stalled {
            self.drops.count(DropReason::SendTimeout);
            return Err(SendFailure::Stalled);
        }
        if port.link != Link::Up {
            return Err(SendFailure::NoLink);
        }
        if outgoing.header.is_start() {
            if !port.is_linked_since(outgoing.session) {
                // The requester, or the neighbour that is to be asked, is gone.
                return Err(SendFailure::NoLink);
            }
            let route = self.routes.to(port.network, outgoing.header.destination());
            let unit = match route.filter(|route| route.port == port_id) {
                Some(route) => port.usable_unit(route.transmission_unit),
                None => port.unit(),
            };
            outgoing.start(source, port.session(), unit, message);
        } else if outgoing.session != port.session() || self.channels.is_refused(channel) {
            // Its beginning was given up, or not acknowledged.
            return Err(SendFailure::NoLink);
        }
        if outgoing.is_superseded(self.newest, self.last_request) {
            return Err(SendFailure::Superseded);
        }
        let unsent = outgoing.remaining();
        let is_done = outgoing.fill(port, message);
        if !is_done && port.takes_nothing() {
            // The layout has changed since the message was begun, or has no room for any. Nothing of
            // it waits, so no time limit would end it.
            self.drops.count(DropReason::UnsupportedTransmissionUnit);
            return Err(SendFailure::NoLink);
        }
        if port.note_waiting(now) {
            self.look_soon(now);
        }
        if is_done {
            return Ok(Progress::Done);
        }
        if !self.send_queue.is_last(channel) {
            if outgoing.remaining() != unsent {
                self.send_queue.leave(channel);
            }
            self.send_queue.join(channel, port_id);
        }
        Ok(Progress::Partial)
    }

    fn way_to(&self, target: &Target) -> Option<(PortId, PhysicalAddress)> {
        let (network, endpoint_id) = match *target {
            Target::Neighbour(port, address, _) => return Some((port, address)),
            Target::Endpoint(network, endpoint_id) => (network, endpoint_id),
        };
        if let Some(route) = self.routes.to(network, endpoint_id) {
            return Some((route.port, route.address));
        }
        if let Some(owner) = self.bus_owner(network) {
            return Some((owner.port, owner.address));
        }
        let is_in_network = |port: &Port<'_>| port.exists() && port.network == network;
        let first = self.ports.iter().position(is_in_network)?;
        Some((PortId(first as u8), PhysicalAddress::POINT_TO_POINT))
    }
}
