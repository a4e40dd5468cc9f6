//! Listeners and open requests, each found without looking at the others.
//!
//! Listeners have the lowest indices and are gone through; there are as many as the device has services. Requests are in lists by their key.

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

/// What a message can be for.
#[derive(Clone, Debug)]
pub(crate) enum Channel {
    Free,
    Listener(Service),
    Request(Request),
}

/// The list behind those of requests.
const FREE: usize = BUCKETS;
const LISTS: usize = BUCKETS + 1;

/// A request whose response is awaited.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Of its responses: the source is the peer that was asked, 0 for whoever is at the physical address. No two requests have the same.
    pub(crate) response: Key,
    pub(crate) port: PortId,
    pub(crate) address: PhysicalAddress,
    /// When to stop waiting; set once the request is on its way.
    pub(crate) deadline: Instant,
    pub(crate) expired: bool,
}

/// The channel behind each one in its list.
pub(crate) type NextChannel = Option<ChannelId>;

/// All channels.
pub(crate) struct Channels<'b> {
    all: &'b mut [Channel],
    next: &'b mut [NextChannel],
    /// The first channel of each list.
    first: [NextChannel; LISTS],
    /// All listeners are below this index.
    listeners_end: usize,
    open: usize,
}

impl<'b> Channels<'b> {
    /// All of them are free.
    pub(crate) fn new(all: &'b mut [Channel], next: &'b mut [NextChannel]) -> Self {
        let mut first = [None; LISTS];
        let [.., free] = &mut first;
        // The last one is the first to be taken for a request.
        for (next, index) in next.iter_mut().zip(0..) {
            *next = free.replace(ChannelId(index));
        }
        Self {
            all,
            next,
            first,
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
        let mut all = self.all.iter().zip(0..);
        let (_, lowest) = all.find(|(role, _)| matches!(role, Channel::Free))?;
        let channel = self.open(ChannelId(lowest), Channel::Listener(service))?;
        self.note_listeners();
        Some(channel)
    }

    /// Opens a request; `None` when all channels are taken.
    pub(crate) fn open_request(&mut self, request: Request) -> Option<ChannelId> {
        let bucket = request.response.bucket();
        let free = self.list(FREE).next()?;
        let channel = self.open(free, Channel::Request(request))?;
        self.link(bucket, channel)?;
        Some(channel)
    }

    fn open(&mut self, free: ChannelId, role: Channel) -> Option<ChannelId> {
        *self.all.get_mut(free.index())? = role;
        self.open = self.open.saturating_add(1);
        self.unlink(FREE, free)?;
        Some(free)
    }

    /// Closes a listener or request.
    pub(crate) fn close(&mut self, channel: ChannelId) -> Option<()> {
        let place = self.all.get_mut(channel.index())?;
        match core::mem::replace(place, Channel::Free) {
            Channel::Free => return None,
            Channel::Listener(_) => self.note_listeners(),
            Channel::Request(request) => self.unlink(request.response.bucket(), channel)?,
        }
        self.open = self.open.saturating_sub(1);
        self.link(FREE, channel)
    }

    fn note_listeners(&mut self) {
        let is_listener = |channel: &Channel| matches!(channel, Channel::Listener(_));
        let last = self.all.iter().rposition(is_listener);
        self.listeners_end = last.map_or(0, |last| last.saturating_add(1));
    }

    /// Makes a channel the first of a list.
    fn link(&mut self, list: usize, channel: ChannelId) -> Option<()> {
        let first = self.first.get_mut(list)?;
        *self.next.get_mut(channel.index())? = first.replace(channel);
        Some(())
    }

    /// Takes a channel out of a list.
    fn unlink(&mut self, list: usize, channel: ChannelId) -> Option<()> {
        let behind = self.next.get_mut(channel.index())?.take();
        let before = self
            .list(list)
            .find(|other| self.behind(*other) == Some(channel));
        let link = match before {
            Some(before) => self.next.get_mut(before.index())?,
            None => self.first.get_mut(list)?,
        };
        *link = behind;
        Some(())
    }

    #[inline]
    fn behind(&self, channel: ChannelId) -> NextChannel {
        *self.next.get(channel.index())?
    }

    #[inline]
    fn list(&self, list: usize) -> impl Iterator<Item = ChannelId> {
        let first = self.first.get(list).copied().flatten();
        core::iter::successors(first, |channel| self.behind(*channel))
    }

    /// What is served.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> + Clone {
        let listeners = self.all.iter().take(self.listeners_end);
        listeners.filter_map(|channel| match channel {
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
        self.list(key.bucket()).find_map(|channel| {
            let request = self.request(channel)?;
            (request.response == key).then_some((channel, request))
        })
    }

    /// The request that a response with this header, from there, answers.
    pub(crate) fn request_answered_by(
        &self,
        header: RawHeader,
        from: (PortId, PhysicalAddress),
    ) -> Option<ChannelId> {
        let key = Key::of(header);
        let of_peer = self.request_of(key);
        let (channel, _) = of_peer
            .filter(|(_, request)| !request.expired)
            .or_else(|| {
                self.request_of(key.of_anyone()).filter(|(_, request)| {
                    !request.expired && (request.port, request.address) == from
                })
            })?;
        Some(channel)
    }

    /// Whether a request to this peer, which leaves by this port, could not be told from another one by its tag.
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

    /// The open request of a channel.
    pub(crate) fn request(&self, channel: ChannelId) -> Option<&Request> {
        match self.all.get(channel.index())? {
            Channel::Request(request) => Some(request),
            _ => None,
        }
    }

    /// Starts the wait of a request, or starts it anew; `false` if it is none.
    pub(crate) fn await_response(&mut self, channel: ChannelId, deadline: Instant) -> bool {
        let Some(Channel::Request(request)) = self.all.get_mut(channel.index()) else {
            return false;
        };
        request.deadline = deadline;
        request.expired = false;
        true
    }

    /// Ends the wait of the requests that have waited for too long; returns when the next one will have.
    pub(crate) fn expire(&mut self, now: Instant) -> Instant {
        let mut next = Instant::NEVER;
        for channel in self.all.iter_mut() {
            if let Channel::Request(request) = channel {
                request.expired |= request.deadline <= now;
                if !request.expired {
                    next = next.min(request.deadline);
                }
            }
        }
        next
    }
}
