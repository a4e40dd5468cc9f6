//! Messages out: tags, routes and units (DSP0236 1.3.3, sections 8.4 to 8.6 and 11.7).

use mctp::{Eid, MCTP_ADDR_NULL, MsgIC, MsgType};
use mctp_transport::{PacketHeader, PhysicalAddress, SendError, SequenceNumber};

use super::channels::Request;
use super::outgoing::next_free_tag;
use super::{
    ChannelId, LentMessage, Link, OpenError, Outbound, Outgoing, Port, Progress, RouterCore,
    Routes, SendFailure, Target,
};
use crate::clock::{Instant, LOOK_INTERVAL};
use crate::config::PortId;

/// Outputs to the transport, and messages into it.
impl<'b> RouterCore<'b> {
    /// The next transfer for the port's transport, if there is one. Control responses come first.
    #[inline]
    pub fn poll_transmit(&mut self, port: PortId) -> Option<Outbound<'b>> {
        self.port(port)?.take()
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
        self.count_result(result);
        let Some(place) = self.ports.get_mut(usize::from(port.0)) else {
            return;
        };
        place.give_back(outbound, result);
        let waits = place.has_waiting();
        place.wait_anew(now, waits);
        if waits {
            self.look_soon(now);
        }
    }

    /// [`transmit_done`](Self::transmit_done) for the last transfer, then
    /// [`poll_transmit`](Self::poll_transmit) for the next. Returns the port, too.
    #[inline]
    pub(crate) fn next_transmit(
        &mut self,
        port: PortId,
        last: Option<(Instant, Outbound<'b>, Result<(), SendError>)>,
    ) -> Option<(&mut Port<'b>, Option<Outbound<'b>>)> {
        if let Some((_, _, result)) = last {
            self.count_result(result);
        }
        let port = self.ports.get_mut(usize::from(port.0))?;
        let Some((now, last, result)) = last else {
            let next = port.take();
            return Some((port, next));
        };
        port.give_back(last, result);
        // Whatever waits comes now.
        let next = port.take();
        port.wait_anew(now, next.is_some());
        if next.is_some() {
            self.next_deadline = self.next_deadline.min(now.after(LOOK_INTERVAL));
        }
        Some((port, next))
    }

    /// Counts a transfer that the neighbour did not get.
    #[inline]
    fn count_result(&mut self, result: Result<(), SendError>) {
        if let Err(error) = result {
            self.drops.count(error.into());
        }
    }

    /// The response to `message`: to the requester's endpoint ID and physical address, with its tag
    /// and message type.
    #[inline]
    pub fn response_to(&self, message: &LentMessage<'_>, integrity_check: MsgIC) -> Outgoing {
        Outgoing::response(message.origin(), integrity_check)
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
        let (port, address) = target
            .neighbour
            .unwrap_or_else(|| self.way_to(target.endpoint_id));
        let peer = target.endpoint_id;
        let in_use = |tag| self.channels.has_request(peer, port, tag);
        let tag = next_free_tag(self.last_tag, in_use).ok_or(OpenError::NoTag)?;
        let request = Request::new(peer, tag, (port, address));
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
        let session = self.port(port).map_or(0, |port| port.session());
        let outgoing = Outgoing::new((port, address), session, first.into(), type_ic);
        Ok((channel, outgoing))
    }

    /// Starts the wait for the response of `channel`, or starts it anew for one more: `timeout`
    /// milliseconds.
    pub fn await_response(&mut self, now: Instant, channel: ChannelId, timeout: u32) {
        if self.channels.await_response(now, channel, timeout) {
            self.next_deadline = self
                .next_deadline
                .min(now.after(timeout.min(LOOK_INTERVAL)));
        }
    }

    /// Whether the request of `channel` has waited for too long, or its link was lost.
    pub fn has_expired(&self, channel: ChannelId) -> bool {
        self.channels.has_expired(channel)
    }

    /// Puts as much of a message into the port's transfer as fits. `message` is all of it, the same
    /// at each call; its slices are sent as one, behind the message type. Not to be called
    /// again once it is [`Progress::Done`], or failed.
    #[inline]
    pub fn send(
        &mut self,
        now: Instant,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Result<Progress, SendFailure> {
        let Some(port) = self.ports.get_mut(usize::from(outgoing.port().0)) else {
            return Err(SendFailure::NoLink);
        };
        if port.link != Link::Up {
            return Err(match port.link {
                Link::Stalled => SendFailure::Stalled,
                _ => SendFailure::NoLink,
            });
        }
        if outgoing.header.is_start() {
            if !port.is_linked_since(outgoing.session) {
                // Whoever asked for it, or the one it is for, is gone.
                return Err(SendFailure::NoLink);
            }
            let unit = unit_to(&self.routes, port, outgoing);
            outgoing.start(self.responder.endpoint_id, port.session(), unit, message);
        } else if outgoing.session != port.session() {
            // Its beginning was given up.
            return Err(SendFailure::NoLink);
        }
        let is_done = outgoing.fill(port, message);
        if !is_done && port.takes_nothing() {
            // The layout has changed since the message was addressed. Nothing of it waits, so no
            // time limit would end it.
            return Err(SendFailure::NoLink);
        }
        if port.note_waiting(now) {
            self.look_soon(now);
        }
        Ok(if is_done {
            Progress::Done
        } else {
            Progress::Partial
        })
    }

    fn way_to(&self, endpoint_id: Eid) -> (PortId, PhysicalAddress) {
        let by_route = self
            .routes
            .to(endpoint_id)
            .map(|route| (route.port, route.address));
        let by_owner = || {
            self.responder
                .bus_owner
                .map(|owner| (owner.port, owner.address))
        };
        by_route.or_else(by_owner).unwrap_or_default()
    }
}

/// The payload of packets to there: as the route says, or else the port.
#[inline]
fn unit_to(routes: &Routes<'_>, port: &Port<'_>, outgoing: &Outgoing) -> usize {
    let route = routes.to(outgoing.header.destination());
    match route.filter(|route| route.port == outgoing.port()) {
        Some(route) => port.usable_unit(route.unit),
        None => port.unit(),
    }
}
