//! Listeners and open requests, each found without looking at the others.
//!
//! Listeners have the lowest indices and are gone through; there are as many as the device has
//! services. Requests are in lists by their key.

use mctp::Eid;
use mctp_transport::{MessageTag, PhysicalAddress, RawHeader};

use super::key::{BUCKETS, Key};
use crate::clock::Instant;
use crate::config::PortId;
use crate::service::{Opening, Service};

/// A listener or an open request of the router: an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChannelId(pub(crate) u8);

impl ChannelId {
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

/// The end of a list: a router has at most 255 channels.
const NONE: ChannelId = ChannelId(0xFF);

/// What a message can be for.
#[derive(Clone, Debug)]
pub(crate) enum Channel {
    Free { next: ChannelId },
    Listener(Service),
    Request(Request),
}

impl Channel {
    pub(crate) const UNUSED: Self = Self::Free { next: ChannelId(0) };

    /// The one behind it in its list.
    fn next(&mut self) -> Option<&mut ChannelId> {
        match self {
            Self::Free { next } | Self::Request(Request { next, .. }) => Some(next),
            Self::Listener(_) => None,
        }
    }
}

/// A request whose response is awaited.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    next: ChannelId,
    /// Of its responses: the source is the peer that was asked, 0 for whoever is at the physical
    /// address. No two requests have the same.
    response: Key,
    port: PortId,
    address: PhysicalAddress,
    /// When to stop waiting; set once the request is on its way.
    deadline: Instant,
    timeout: u32,
    expired: bool,
}

impl Request {
    pub(crate) fn new(
        peer: Eid,
        tag: MessageTag,
        (port, address): (PortId, PhysicalAddress),
    ) -> Self {
        Self {
            next: NONE,
            response: Key::of_response(peer, tag),
            port,
            address,
            deadline: Instant::NEVER,
            timeout: 0,
            expired: false,
        }
    }
}

/// The first request of each bucket.
pub(crate) type Requests = [ChannelId; BUCKETS];
pub(crate) const NO_REQUESTS: Requests = [ChannelId(0); BUCKETS];

/// All channels.
pub(crate) struct Channels<'b> {
    all: &'b mut [Channel],
    requests: &'b mut Requests,
    /// The first free one.
    free: ChannelId,
    /// All listeners are below this index.
    listeners_end: usize,
    open: usize,
}

impl<'b> Channels<'b> {
    /// All of them are free.
    pub(crate) fn new(all: &'b mut [Channel], requests: &'b mut Requests) -> Self {
        // The last one is the first to be taken for a request.
        let mut free = NONE;
        for (channel, index) in all.iter_mut().zip(0..) {
            *channel = Channel::Free { next: free };
            free = ChannelId(index);
        }
        *requests = [NONE; BUCKETS];
        Self {
            all,
            requests,
            free,
            listeners_end: 0,
            open: 0,
        }
    }

    /// How many are not free.
    pub(crate) fn open_count(&self) -> usize {
        self.open
    }

    /// Opens a listener; `None` when all channels are taken.
    pub(crate) fn open_listener(&mut self, service: Service) -> Option<ChannelId> {
        let is_free = |channel: &Channel| matches!(channel, Channel::Free { .. });
        let index = self.all.iter().position(is_free)?;
        let channel = ChannelId(index.try_into().ok()?);
        let behind = *self.all.get_mut(index)?.next()?;
        unlink(&mut self.free, self.all, channel, behind);
        *self.all.get_mut(index)? = Channel::Listener(service);
        self.listeners_end = self.listeners_end.max(index.wrapping_add(1));
        self.open = self.open.wrapping_add(1);
        Some(channel)
    }

    /// Opens a request; `None` when all channels are taken.
    pub(crate) fn open_request(&mut self, mut request: Request) -> Option<ChannelId> {
        let channel = self.free;
        let place = self.all.get_mut(channel.index())?;
        self.free = *place.next()?;
        let first = self.requests.get_mut(request.response.bucket())?;
        request.next = core::mem::replace(first, channel);
        *place = Channel::Request(request);
        self.open = self.open.wrapping_add(1);
        Some(channel)
    }

    /// Closes a listener or request.
    pub(crate) fn close(&mut self, channel: ChannelId) -> Option<()> {
        match self.all.get(channel.index())? {
            Channel::Free { .. } => return None,
            Channel::Listener(_) => {}
            Channel::Request(request) => {
                let first = self.requests.get_mut(request.response.bucket())?;
                let behind = request.next;
                unlink(first, self.all, channel, behind)?;
            }
        }
        *self.all.get_mut(channel.index())? = Channel::Free { next: self.free };
        self.free = channel;
        self.open = self.open.wrapping_sub(1);
        Some(())
    }

    /// What is served.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> + Clone {
        self.all.iter().filter_map(|channel| match channel {
            Channel::Listener(service) => Some(service),
            _ => None,
        })
    }

    /// The listener that a request which begins with `payload` is for.
    #[inline(always)]
    pub(crate) fn listener_for(&self, payload: &[u8]) -> Option<ChannelId> {
        let opening = Opening::of(payload);
        let listeners = self.all.get(..self.listeners_end)?;
        for (channel, index) in listeners.iter().zip(0..) {
            if let Channel::Listener(service) = channel
                && service.serves(&opening)
            {
                return Some(ChannelId(index));
            }
        }
        None
    }

    /// The request whose responses have this key.
    fn request_of(&self, key: Key) -> Option<(ChannelId, &Request)> {
        let mut channel = *self.requests.get(key.bucket())?;
        loop {
            let request = self.request(channel)?;
            if request.response == key {
                return Some((channel, request));
            }
            channel = request.next;
        }
    }

    /// The request that a response with this header, from there, answers.
    pub(crate) fn request_answered_by(
        &self,
        header: RawHeader,
        from: (PortId, PhysicalAddress),
    ) -> Option<ChannelId> {
        let key = Key::of(header);
        let is_awaited = |(_, request): &(ChannelId, &Request)| !request.expired;
        let is_there =
            |(_, request): &(ChannelId, &Request)| (request.port, request.address) == from;
        let of_anyone = || self.request_of(key.of_anyone()).filter(is_there);
        // Who has no endpoint ID is known by the physical address only.
        let of_peer = (header.source().0 != 0)
            .then(|| self.request_of(key))
            .flatten();
        let found = of_peer.filter(is_awaited);
        let (channel, _) = found.or_else(|| of_anyone().filter(is_awaited))?;
        Some(channel)
    }

    /// Whether a request to this peer, which leaves by this port, could not be told from another
    /// one by its tag.
    pub(crate) fn has_request(&self, peer: Eid, port: PortId, tag: MessageTag) -> bool {
        let key = Key::of_response(peer, tag);
        let of_anyone = || self.request_of(key.of_anyone());
        self.request_of(key).is_some()
            || of_anyone().is_some_and(|(_, other)| other.port == port)
            // Whoever answers may have any endpoint ID.
            || peer.0 == 0 && self.requests().any(|other| other.port == port && other.response.tag() == tag)
    }

    fn requests(&self) -> impl Iterator<Item = &Request> {
        self.all.iter().filter_map(|channel| match channel {
            Channel::Request(request) => Some(request),
            _ => None,
        })
    }

    fn request(&self, channel: ChannelId) -> Option<&Request> {
        match self.all.get(channel.index())? {
            Channel::Request(request) => Some(request),
            _ => None,
        }
    }

    /// Whether the request of a channel has waited for too long.
    pub(crate) fn has_expired(&self, channel: ChannelId) -> bool {
        let request = self.request(channel);
        request.is_none_or(|request| request.expired)
    }

    /// Starts the wait of a request, or starts it anew; `false` if it is none.
    pub(crate) fn await_response(
        &mut self,
        now: Instant,
        channel: ChannelId,
        timeout: u32,
    ) -> bool {
        let Some(Channel::Request(request)) = self.all.get_mut(channel.index()) else {
            return false;
        };
        request.deadline = now.after(timeout);
        request.timeout = timeout;
        request.expired = false;
        true
    }

    /// Ends the wait of the requests by a port whose link is lost: the next peer there never had
    /// them.
    pub(crate) fn end_requests_by(&mut self, port: PortId) {
        for channel in self.all.iter_mut() {
            if let Channel::Request(request) = channel {
                request.expired |= request.port == port;
            }
        }
    }

    /// Ends the wait of the requests that have waited for too long. The `lost` milliseconds before
    /// `now` do not count. Returns whether others wait. `next_look` becomes the deadline of the
    /// first of them, if that is earlier.
    pub(crate) fn expire(&mut self, now: Instant, lost: u32, next_look: &mut Instant) -> bool {
        let mut any_waits = false;
        for channel in self.all.iter_mut() {
            if let Channel::Request(request) = channel
                && request.deadline != Instant::NEVER
            {
                request.deadline.credit(lost, now.after(request.timeout));
                request.expired |= request.deadline <= now;
                if !request.expired {
                    *next_look = request.deadline.min(*next_look);
                    any_waits = true;
                }
            }
        }
        any_waits
    }
}

/// Takes `channel`, behind which there is `behind`, out of the list that begins with `first`.
#[inline(never)]
fn unlink(
    first: &mut ChannelId,
    all: &mut [Channel],
    channel: ChannelId,
    behind: ChannelId,
) -> Option<()> {
    if *first == channel {
        *first = behind;
        return Some(());
    }
    let mut before = *first;
    loop {
        let link = all.get_mut(before.index())?.next()?;
        before = *link;
        if before == channel {
            *link = behind;
            return Some(());
        }
    }
}
