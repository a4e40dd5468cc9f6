//! The channels that wait to send, of all ports: first come, first served.

use super::{ChannelId, RouterCore, Wakes};
use crate::config::PortId;

/// A channel that waits to send by a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    port: PortId,
    channel: ChannelId,
}

impl Sender {
    /// What fills a place that is not in use.
    pub(crate) const UNUSED: Self = Self {
        port: PortId(0),
        channel: ChannelId(0),
    };
}

/// Each channel once at most, in the order in which they came.
#[derive(Debug)]
pub(crate) struct SendQueue<'b> {
    /// As many as there are channels.
    places: &'b mut [Sender],
    len: usize,
}

impl<'b> SendQueue<'b> {
    /// Nobody waits.
    pub(crate) fn new(places: &'b mut [Sender]) -> Self {
        Self { places, len: 0 }
    }

    /// Whether nobody waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn waiting(&self) -> &[Sender] {
        self.places.get(..self.len).unwrap_or_default()
    }

    /// The channel that has waited longest for a port.
    #[inline]
    pub(super) fn first(&self, port: PortId) -> Option<ChannelId> {
        if self.is_empty() {
            return None;
        }
        let mut waiting = self.waiting().iter();
        let first = waiting.find(|sender| sender.port == port)?;
        Some(first.channel)
    }

    /// The port that a channel waits for.
    pub(super) fn port_of(&self, channel: ChannelId) -> Option<PortId> {
        let mut waiting = self.waiting().iter();
        let sender = waiting.find(|sender| sender.channel == channel)?;
        Some(sender.port)
    }

    /// Whether a channel has the last place.
    pub(super) fn is_last(&self, channel: ChannelId) -> bool {
        let last = self.waiting().last();
        last.is_some_and(|sender| sender.channel == channel)
    }

    /// Gives a channel the last place, unless it has one.
    pub(super) fn join(&mut self, channel: ChannelId, port: PortId) {
        let waits = |sender: &Sender| sender.channel == channel;
        if !self.waiting().iter().any(waits)
            && let Some(place) = self.places.get_mut(self.len)
        {
            *place = Sender { port, channel };
            self.len = self.len.wrapping_add(1);
        }
    }

    /// Takes a channel's place away. Returns the port that it waited for.
    pub(super) fn leave(&mut self, channel: ChannelId) -> Option<PortId> {
        let mut waiting = self.places.get_mut(..self.len)?.iter_mut();
        let mut place = waiting.find(|sender| sender.channel == channel)?;
        let port = place.port;
        for behind in waiting {
            *place = *behind;
            place = behind;
        }
        self.len = self.len.wrapping_sub(1);
        Some(port)
    }
}

impl RouterCore<'_> {
    /// A message of a channel waits no longer: what it leaves of the transfer is for the channel that
    /// is first then.
    pub(super) fn leave_send_queue(&mut self, channel: ChannelId) {
        if !self.send_queue.is_empty()
            && let Some(port) = self.send_queue.leave(channel)
        {
            // It may have been the place of another of its messages, which has to join anew.
            self.wakes.add(Wakes::Sender(channel));
            self.wake_first_sender(port);
        }
    }

    /// The channel that is first in a port's send queue can go on.
    pub(super) fn wake_first_sender(&mut self, port: PortId) {
        if let Some(first) = self.send_queue.first(port) {
            match self.channels.forwarder(first) {
                Some(from) => self.offer_again(from),
                None => self.wakes.add(Wakes::Sender(first)),
            }
        }
    }
}
