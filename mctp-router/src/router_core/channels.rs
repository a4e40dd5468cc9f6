//! Listeners and open requests, each found by what it waits for without looking at the others.

use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_time::Instant;
use mctp_transport::{AssemblyKey, MessageTag, PhysicalAddress, RawHeader};

use super::Origin;
use super::key::{BUCKETS, Key};
use crate::clock::Since;
use crate::config::{NetworkId, PortId};
use crate::control::Services;
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
    Free,
    Listener(Service),
    Request(Request),
    /// No message, but packets that come by this port and are forwarded.
    Forwarder(PortId),
}

impl Channel {
    fn service(&self) -> Option<&Service> {
        match self {
            Self::Listener(service) => Some(service),
            _ => None,
        }
    }

    fn request(&self) -> Option<&Request> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    fn request_mut(&mut self) -> Option<&mut Request> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }
}

/// A request whose response is awaited.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Of its responses: the source is the peer that was asked, 0 when it was asked by its physical
    /// address. No two requests have the same.
    response: Key,
    port: PortId,
    address: PhysicalAddress,
    wait: Wait,
}

/// How a request waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// It is not on its way yet.
    Unsent,
    /// Since then, for so many milliseconds.
    Since(Since, u32),
    /// No longer.
    Over,
    /// No longer: the neighbour did not acknowledge it, so nobody has it.
    Refused,
}

impl Wait {
    fn is_over(self) -> bool {
        matches!(self, Self::Over | Self::Refused)
    }
}

impl Request {
    pub(crate) fn new(
        network: NetworkId,
        peer: Eid,
        tag: MessageTag,
        (port, address): (PortId, PhysicalAddress),
    ) -> Self {
        Self {
            response: Key::of_response(network, peer, tag),
            port,
            address,
            wait: Wait::Unsent,
        }
    }
}

/// What is served in a network.
pub(crate) struct ServicesAt<'c>(&'c [Channel], NetworkId);

impl<'c> Services<'c> for ServicesAt<'c> {
    #[inline(never)]
    fn find(&self, is_it: &mut dyn FnMut(&'c Service) -> bool) -> Option<&'c Service> {
        let mut services = self.0.iter().filter_map(Channel::service);
        services.find(|service| service.is_at(self.1) && is_it(service))
    }
}

/// The first channel of each bucket, listeners and requests alike.
pub(crate) type Buckets = [ChannelId; BUCKETS];
pub(crate) const NO_CHANNELS: Buckets = [ChannelId(0); BUCKETS];

/// All channels.
#[derive(Debug)]
pub(crate) struct ChannelTable<'b> {
    all: &'b mut [Channel],
    /// For each channel the one behind it in its list: of those that are free, or of its bucket.
    next: &'b mut [ChannelId],
    buckets: &'b mut Buckets,
    /// The first free one.
    free: ChannelId,
    open: usize,
}

impl<'b> ChannelTable<'b> {
    /// All of them are free.
    pub(crate) fn new(
        all: &'b mut [Channel],
        next: &'b mut [ChannelId],
        buckets: &'b mut Buckets,
    ) -> Self {
        // There is none behind the last: with 255 channels it has the number of `NONE`.
        for (next, behind) in next.iter_mut().zip(1..) {
            *next = ChannelId(behind);
        }
        *buckets = [NONE; BUCKETS];
        Self {
            all,
            next,
            buckets,
            free: ChannelId(0),
            open: 0,
        }
    }

    /// How many are not free.
    pub(crate) fn open_count(&self) -> usize {
        self.open
    }

    /// Opens a listener; `None` when all channels are taken.
    pub(crate) fn open_listener(&mut self, service: Service) -> Option<ChannelId> {
        self.open(service.opening().bucket(), Channel::Listener(service))
    }

    /// Opens a request; `None` when all channels are taken.
    pub(crate) fn open_request(&mut self, request: Request) -> Option<ChannelId> {
        self.open(request.response.bucket(), Channel::Request(request))
    }

    /// Opens a place in the send queue for packets that come by `port` and are forwarded; `None`
    /// when all channels are taken. No message is for it, so it is not counted.
    pub(crate) fn open_forwarder(&mut self, port: PortId) -> Option<ChannelId> {
        let channel = self.open(0, Channel::Forwarder(port))?;
        self.open = self.open.wrapping_sub(1);
        Some(channel)
    }

    /// The port whose forwarded packets the channel stands for.
    #[inline]
    pub(crate) fn forwarder(&self, channel: ChannelId) -> Option<PortId> {
        match self.all.get(channel.index())? {
            Channel::Forwarder(port) => Some(*port),
            _ => None,
        }
    }

    fn open(&mut self, bucket: usize, new: Channel) -> Option<ChannelId> {
        let channel = self.free;
        let place = self.all.get_mut(channel.index())?;
        let next = self.next.get_mut(channel.index())?;
        let first = self.buckets.get_mut(bucket)?;
        self.free = *next;
        *next = core::mem::replace(first, channel);
        *place = new;
        self.open = self.open.wrapping_add(1);
        Some(channel)
    }

    /// Closes a listener or request.
    pub(crate) fn close(&mut self, channel: ChannelId) -> Option<()> {
        let place = self.all.get_mut(channel.index())?;
        let bucket = match place {
            // A port forwards for good.
            Channel::Free | Channel::Forwarder(_) => return None,
            Channel::Listener(service) => service.opening().bucket(),
            Channel::Request(request) => request.response.bucket(),
        };
        *place = Channel::Free;
        let behind = *self.next.get(channel.index())?;
        let first = self.buckets.get_mut(bucket)?;
        if *first == channel {
            *first = behind;
        } else {
            let mut before = *first;
            loop {
                let next = self.next.get_mut(before.index())?;
                before = *next;
                if before == channel {
                    *next = behind;
                    break;
                }
            }
        }
        *self.next.get_mut(channel.index())? = self.free;
        self.free = channel;
        self.open = self.open.wrapping_sub(1);
        Some(())
    }

    /// What is served in a network.
    pub(crate) fn services_at(&self, network: NetworkId) -> ServicesAt<'_> {
        ServicesAt(self.all, network)
    }

    /// Whether a listener gets some of the same requests.
    pub(crate) fn serves_some_of(&self, service: &Service) -> bool {
        let mut services = self.all.iter().filter_map(Channel::service);
        services.any(|other| other.overlaps(service))
    }

    /// The channel of this bucket for which `condition` holds.
    #[inline]
    fn find(&self, bucket: usize, condition: impl Fn(&Channel) -> bool) -> Option<ChannelId> {
        let mut id = *self.buckets.get(bucket)?;
        loop {
            let channel = self.all.get(id.index())?;
            if condition(channel) {
                return Some(id);
            }
            id = *self.next.get(id.index())?;
        }
    }

    /// The listener that a request which begins with `payload` is for.
    pub(crate) fn listener_for(&self, network: NetworkId, payload: &[u8]) -> Option<ChannelId> {
        let opening = Opening::of(payload);
        self.find(opening.bucket(), |channel| {
            let service = channel.service();
            service
                .is_some_and(|service| service.serves(opening, payload) && service.is_at(network))
        })
    }

    /// The request whose responses have this key.
    fn request_of(&self, key: Key) -> Option<(ChannelId, &Request)> {
        let channel = self.find(key.bucket(), |channel| {
            let request = channel.request();
            request.is_some_and(|request| request.response == key)
        })?;
        Some((channel, self.all.get(channel.index())?.request()?))
    }

    /// The request that a response whose start packet comes from there answers.
    pub(crate) fn request_answered_by(&self, response: &Origin) -> Option<ChannelId> {
        let key = response.key();
        if response.source().0 != 0
            && let Some((channel, request)) = self.request_of(key)
            && !request.wait.is_over()
        {
            return Some(channel);
        }
        // Who was asked without an endpoint ID is known by the physical address only.
        let anyone = Key::of_response(response.network(), MCTP_ADDR_NULL, key.tag());
        let (channel, request) = self.request_of(anyone)?;
        let is_there = (request.port, request.address) == response.neighbour();
        (is_there && !request.wait.is_over()).then_some(channel)
    }

    /// Whether a request to this peer, which leaves by this port, could not be told from another
    /// one by its tag.
    pub(crate) fn has_request(
        &self,
        network: NetworkId,
        peer: Eid,
        port: PortId,
        tag: MessageTag,
    ) -> bool {
        let request_to = |peer| self.request_of(Key::of_response(network, peer, tag));
        request_to(peer).is_some()
            || request_to(MCTP_ADDR_NULL).is_some_and(|(_, other)| other.port == port)
            // The endpoint that answers may have any endpoint ID.
            || peer.0 == 0 && self.requests().any(|other| other.port == port && other.response.tag() == tag)
    }

    fn requests(&self) -> impl Iterator<Item = &Request> {
        self.all.iter().filter_map(Channel::request)
    }

    /// Whether the request of a channel has waited for too long.
    pub(crate) fn has_expired(&self, channel: ChannelId) -> bool {
        let request = self.all.get(channel.index()).and_then(Channel::request);
        request.is_none_or(|request| request.wait.is_over())
    }

    /// Starts the wait of a request, or starts it anew; `false` if it is none.
    pub(crate) fn await_response(
        &mut self,
        now: Instant,
        channel: ChannelId,
        timeout: u32,
    ) -> bool {
        let channel = self.all.get_mut(channel.index());
        let Some(request) = channel.and_then(Channel::request_mut) else {
            return false;
        };
        if request.wait != Wait::Refused {
            request.wait = Wait::Since(Since::now(now), timeout);
        }
        true
    }

    /// The neighbour did not acknowledge a packet by this port. If it was of a request, that waits
    /// no longer; `false` if it was not.
    pub(crate) fn refuse(&mut self, port: PortId, packet: RawHeader) -> bool {
        let response = AssemblyKey::new(packet.destination(), false, packet.tag());
        let mut requests = self.all.iter_mut().filter_map(Channel::request_mut);
        let request =
            requests.find(|request| request.port == port && request.response.message() == response);
        let Some(request) = request.filter(|_| packet.is_tag_owner()) else {
            return false;
        };
        request.wait = Wait::Refused;
        true
    }

    /// Whether the neighbour did not acknowledge the request of a channel.
    pub(crate) fn is_refused(&self, channel: ChannelId) -> bool {
        let request = self.all.get(channel.index()).and_then(Channel::request);
        request.is_some_and(|request| request.wait == Wait::Refused)
    }

    /// Ends the wait of the requests by a port whose link is lost: the next peer there never had
    /// them.
    pub(crate) fn end_requests_by(&mut self, port: PortId) {
        for request in self.all.iter_mut().filter_map(Channel::request_mut) {
            if request.port == port && request.wait != Wait::Refused {
                request.wait = Wait::Over;
            }
        }
    }

    /// Ends the wait of the requests that have waited for too long. The `lost` milliseconds before
    /// `now` do not count. Returns for how many milliseconds the first of the others may wait, if
    /// there are any.
    pub(crate) fn expire(&mut self, now: Instant, lost: u32) -> Option<u32> {
        let mut first = None;
        for request in self.all.iter_mut().filter_map(Channel::request_mut) {
            let Wait::Since(since, timeout) = &mut request.wait else {
                continue;
            };
            since.credit(lost, now);
            let left = timeout.saturating_sub(since.elapsed(now));
            if left == 0 {
                request.wait = Wait::Over;
            } else {
                first = Some(first.map_or(left, |first: u32| first.min(left)));
            }
        }
        first
    }
}
