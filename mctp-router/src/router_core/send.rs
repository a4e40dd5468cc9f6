//! Messages out: tags, routes and units (DSP0236 1.3.3, sections 8.4 to 8.6 and 11.7).

use mctp::{Eid, MsgIC, MsgType};
use mctp_transport::{
    BASELINE_TRANSMISSION_UNIT, MessageTag, PacketHeader, PhysicalAddress, SendError,
    SequenceNumber,
};

use super::outgoing::next_free_tag;
use super::{
    Channel, ChannelId, LentMessage, OpenError, Origin, Outbound, Outgoing, Progress, Request,
    RouterCore, SendFailure, Target,
};
use crate::clock::Instant;
use crate::config::{PortId, Route};

/// Outputs to the transport, and messages into it.
impl<'b> RouterCore<'b> {
    /// The next transfer for the port's transport, if there is one. Control responses come first.
    #[inline]
    pub fn poll_transmit(&mut self, port: PortId) -> Option<Outbound<'b>> {
        self.port(port)?.take()
    }

    /// Takes back a transfer that [`poll_transmit`](Self::poll_transmit) gave. `result` says whether the neighbour
    /// has it; a transfer that it has not is lost, and counted.
    #[inline]
    pub fn transmit_done(
        &mut self,
        now: Instant,
        port: PortId,
        outbound: Outbound<'b>,
        result: Result<(), SendError>,
    ) {
        let timeout = self.send_timeout;
        if let Err(error) = result {
            self.drops.count(error.into());
        }
        let Some(port) = self.port(port) else { return };
        port.give_back(now, outbound, result != Err(SendError::LinkDown));
        if let Some(deadline) = port.stall_deadline(timeout) {
            self.wake_by(deadline);
        }
    }

    /// The response to `message`: to the requester's endpoint ID and physical address, with its tag and message type.
    pub fn response_to(&self, message: &LentMessage<'_>, integrity_check: MsgIC) -> Outgoing {
        self.response(&message.origin, integrity_check)
    }

    pub(crate) fn response(&self, origin: &Origin, integrity_check: MsgIC) -> Outgoing {
        let type_ic = mctp::encode_type_ic(origin.message_type(), integrity_check);
        let header = PacketHeader {
            destination: origin.source,
            source: self.responder.endpoint_id,
            start: true,
            end: false,
            sequence: SequenceNumber::default(),
            tag_owner: false,
            tag: origin.tag,
        };
        let unit = self.unit_to(origin.source, origin.port);
        Outgoing::new(origin.port, origin.address, header.into(), type_ic, unit)
    }

    /// Opens a request to `target`: finds its way, and a tag that no other request to the same peer has.
    ///
    /// [`send`](Self::send) it, then [`await_response`](Self::await_response); [`close`](Self::close) the channel when done with it.
    pub fn open_request(
        &mut self,
        target: &Target,
        message_type: MsgType,
        integrity_check: MsgIC,
    ) -> Result<(ChannelId, Outgoing), OpenError> {
        let type_ic = mctp::encode_type_ic(message_type, integrity_check);
        let (port, address) = target
            .neighbour
            .unwrap_or_else(|| self.way_to(target.endpoint_id));
        let peer = target.endpoint_id;
        let in_use = |tag: MessageTag| {
            self.channels.iter().any(|channel| match channel {
                Channel::Request(other) if other.tag == tag => {
                    other.peer == peer || (other.port == port && (other.peer.0 == 0 || peer.0 == 0))
                }
                _ => false,
            })
        };
        let tag = next_free_tag(self.last_tag, in_use).ok_or(OpenError::NoTag)?;
        let request = Request {
            peer,
            port,
            address,
            tag,
            deadline: Instant::NEVER,
            expired: false,
        };
        let channel = self
            .open_channel(Channel::Request(request))
            .ok_or(OpenError::NoChannel)?;
        self.last_tag = tag;
        let header = PacketHeader {
            destination: peer,
            source: self.responder.endpoint_id,
            start: true,
            end: false,
            sequence: SequenceNumber::default(),
            tag_owner: true,
            tag,
        };
        Ok((
            channel,
            Outgoing::new(
                port,
                address,
                header.into(),
                type_ic,
                self.unit_to(peer, port),
            ),
        ))
    }

    /// Starts the wait for the response of `channel`, or starts it anew for one more.
    pub fn await_response(&mut self, channel: ChannelId, deadline: Instant) {
        if let Some(Channel::Request(request)) = self.channels.get_mut(channel.index()) {
            request.deadline = deadline;
            request.expired = false;
            self.wake_by(deadline);
        }
    }

    /// Whether the request of `channel` has waited for too long.
    pub fn has_expired(&self, channel: ChannelId) -> bool {
        !matches!(self.channels.get(channel.index()), Some(Channel::Request(request)) if !request.expired)
    }

    /// Puts as much of a message into the port's transfer as fits. `message` is all of it, the same at each call; its slices are
    /// sent as one, behind the message type.
    #[inline(always)]
    pub fn send(
        &mut self,
        now: Instant,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Result<Progress, SendFailure> {
        outgoing.start_with(message);
        let port = self
            .port(outgoing.port)
            .filter(|port| port.link_up)
            .ok_or(SendFailure::NoLink)?;
        if port.stalled {
            return Err(SendFailure::Stalled);
        }
        if outgoing.header.is_start() {
            outgoing.session = port.session;
        } else if outgoing.session != port.session {
            // Its beginning was given up.
            return Err(SendFailure::NoLink);
        }
        let is_done = outgoing.fill_one(port, message) || outgoing.fill_many(port, message);
        if !is_done && port.takes_nothing() {
            // The layout has changed since the message was addressed. Nothing of it waits, so no time limit would end it.
            return Err(SendFailure::NoLink);
        }
        if port.note_waiting(now) {
            self.wake_by(now.after(self.send_timeout));
        }
        Ok(if is_done {
            Progress::Done
        } else {
            Progress::Partial
        })
    }

    fn route_to(&self, endpoint_id: Eid) -> Option<&Route> {
        let covers =
            |route: &&Route| route.first.0 <= endpoint_id.0 && endpoint_id.0 <= route.last.0;
        self.routes.iter().flatten().find(covers)
    }

    fn way_to(&self, endpoint_id: Eid) -> (PortId, PhysicalAddress) {
        let by_route = self
            .route_to(endpoint_id)
            .map(|route| (route.port, route.address));
        let by_owner = || {
            self.responder
                .bus_owner
                .map(|owner| (owner.port, owner.address))
        };
        by_route.or_else(by_owner).unwrap_or_default()
    }

    /// The unit for packets to `endpoint_id` by `port`.
    fn unit_to(&self, endpoint_id: Eid, port_id: PortId) -> usize {
        let route = self
            .route_to(endpoint_id)
            .filter(|route| route.port == port_id);
        let Some(port) = self.ports.get(usize::from(port_id.0)) else {
            return BASELINE_TRANSMISSION_UNIT;
        };
        let wanted = route.map_or(port.config.unit, |route| route.unit);
        wanted.min(port.max_unit()).max(BASELINE_TRANSMISSION_UNIT)
    }
}
