//! The sans-IO core of the router.

mod bridge;
mod channels;
mod forward;
mod key;
mod list;
mod newest;
mod outgoing;
mod port;
mod port_buffers;
mod receive;
mod routes;
mod send;
mod send_queue;
mod slots;
mod wakes;

use mctp::Eid;
use mctp_time::Instant;
use mctp_transport::{DropCounters, DropReason, MessageTag, TransferLayout};

use crate::clock::{LOOK_INTERVAL, is_late, looks_in, milliseconds, milliseconds_since};
use crate::config::{BusOwner, Config, Event, NetworkId, PortConfig, PortId, Route};
use crate::control::{Endpoint, Responder};
use crate::service::Service;
use bridge::ControlPlane;

pub use channels::ChannelId;
pub(crate) use channels::{Buckets as ChannelBuckets, Channel, ChannelTable, NO_CHANNELS};
pub use forward::{ForwardError, ForwardedPacket, ForwardingFilter};
pub(crate) use list::{Buckets, List, empty_buckets};
pub(crate) use newest::{NO_REQUESTS, Newest, RequestNumber};
pub use outgoing::{OpenError, Outgoing, Target};
pub use port::Outbound;
pub(crate) use port::{Link, Port};
pub(crate) use port_buffers::PortParts;
pub use port_buffers::{ForwardingBuffer, PortBuffers};
pub(crate) use routes::{RouteIndex, RoutingTable};
pub(crate) use send_queue::{SendQueue, Sender};
pub(crate) use slots::{Inbox, Kind, Slot, Slots, free_slots};
pub use slots::{LentMessage, Origin, SHORT_MESSAGE_LEN};
pub use wakes::Wakes;

/// What came of a packet.
///
/// Variants that are added later ask nothing of a caller that does not know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Receipt {
    /// It is part of a message that is not complete.
    Stored,
    /// It completed a message of this channel: [`RouterCore::has_message`].
    Delivered(ChannelId),
    /// It was a control request. If it is to be answered, the answer waits at the port:
    /// [`RouterCore::poll_transmit`].
    Control,
    /// It was for another endpoint and is in a transfer of this port, which
    /// [forwards](RouterCore::forward_by): [`RouterCore::poll_transmit`].
    Forwarded(PortId),
    /// There is no buffer for it now, but a service has one that it may give back; or no room at the
    /// port by which it is to be forwarded. Leave the packet where it is, receive no other by its port but for what
    /// [need not wait](RouterCore::receive_ahead), and offer it again once the port
    /// [no longer holds it back](RouterCore::is_held_back).
    HeldBack,
    /// It was discarded and counted.
    Dropped(DropReason),
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// All of the message is in transfers.
    Done,
    /// There is no room for the rest, or another message is first in the send queue: go on when the
    /// [sender](Wakes::Sender) is to be woken.
    Partial,
}

/// Why sending was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendFailure {
    /// The requester has used the tag for another request since, and would take this for the response
    /// to that one.
    #[error("the requester has used the tag anew")]
    Superseded,
    /// The port's link is down or was lost meanwhile, its layout changed meanwhile, there is no such
    /// port, or the neighbour did not acknowledge the beginning
    /// ([`RouterCore::is_refused`]).
    #[error("the link is down")]
    NoLink,
    /// The neighbour has taken nothing for the send time limit.
    #[error("the neighbour takes nothing")]
    Stalled,
}

/// Why a port was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AddPortError {
    /// The storage has no network of this number.
    #[error("there is no network {}: the router has {networks}, counted from 0", network.0)]
    NoNetwork {
        /// The network asked for.
        network: NetworkId,
        /// How many networks there are.
        networks: u8,
    },
    /// All ports that the storage has room for were added before.
    #[error("the router has room for {ports} ports only")]
    NoRoom {
        /// How many ports there are.
        ports: u8,
    },
}

/// Why a listener was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ListenError {
    /// No listener can hold this service: the control protocol, which the router itself answers, a
    /// vendor defined message type without its vendor, or a message type above 7Fh.
    #[error("no listener can hold this service")]
    CannotBeServed,
    /// An open listener gets some of the same requests.
    #[error("an open listener gets some of the same requests")]
    Overlaps,
    /// All of the router's channels are in use.
    #[error("all channels of the router are in use")]
    NoChannel,
}

impl From<ListenError> for mctp::Error {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::CannotBeServed => Self::BadArgument,
            ListenError::Overlaps => Self::AddrInUse,
            ListenError::NoChannel => Self::NoSpace,
        }
    }
}

/// An MCTP endpoint without IO: it reads no clock, wakes nobody and needs no executor.
///
/// [`Router`](crate::Router) is this with a lock and wakers around it; use the core alone in a
/// super-loop, or to test. Its methods, in four groups:
///
/// - **Setting up**: [`new`](Self::new), [`add_port`](Self::add_port),
///   [`set_layout`](Self::set_layout), [`set_can_wait`](Self::set_can_wait),
///   [`set_medium_specific`](Self::set_medium_specific), [`forward_by`](Self::forward_by),
///   [`configure_port`](Self::configure_port), [`add_route`](Self::add_route),
///   [`open_listener`](Self::open_listener).
/// - **Inputs**, each with the time: [`link_up`](Self::link_up) first, then
///   [`receive`](Self::receive) for every packet, [`transmit_done`](Self::transmit_done) for every
///   transfer taken, [`expire`](Self::expire) at [`next_deadline`](Self::next_deadline).
/// - **Outputs**, to be polled after each input and message: [`poll_transmit`](Self::poll_transmit)
///   for the port after [`Receipt::Control`] and each [`send`](Self::send),
///   [`take_message`](Self::take_message) for the channel of [`Receipt::Delivered`],
///   [`poll_event`](Self::poll_event); [`take_wakes`](Self::take_wakes) says who else has something
///   to do. [`is_sent`](Self::is_sent) says whether messages are out.
/// - **Messages**: [`response`](Origin::response) to a message taken, or
///   [`open_request`](Self::open_request); then [`send`](Self::send) until it is done, or
///   [`abandon`](Self::abandon); [`give_back`](Self::give_back) what was taken,
///   [`close`](Self::close) what was opened.
///
/// One echo, by hand:
///
/// ```
/// use mctp_router::storage::{Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages};
/// use mctp_router::{Config, Instant, NetworkId, Progress, RouterCore, RouterStorage, Service};
/// use mctp::MsgIC;
/// use mctp_transport::{PhysicalAddress, TransferLayout};
///
/// type Storage<'b> = RouterStorage<
///     Ports<'b, 1>,
///     Networks<1>,
///     ShortMessages<'b, 4>,
///     LongMessages<'b, 2, 4224>,
///     Channels<'b, 4>,
///     Routes<2>,
/// >;
/// let mut storage = Storage::new();
/// let mut buffers = PortBuffers::<512>::new();
/// let mut router = RouterCore::new(&mut storage, &Config::new([0x11; 16]));
/// let usb = router.add_port(NetworkId(0), &mut buffers)?;
/// router.set_layout(usb, TransferLayout::new(4, 251, 512).with_packs(true));
/// let echo = router.open_listener(Service::vendor_pci(0xCCDE, &[0xF0]))?;
/// router.link_up(usb);
///
/// let now = Instant::from_millis(0);
/// let request = [0x01, 0x00, 0x08, 0xC8, 0x7E, 0xCC, 0xDE, 0xF0, 0x2A];
/// router.receive(now, usb, PhysicalAddress::POINT_TO_POINT, &request);
///
/// let message = router.take_message(echo).unwrap();
/// let mut response = message.origin().response(MsgIC(false));
/// assert_eq!(router.send(now, &mut response, &[message.bytes()]), Ok(Progress::Done));
/// router.give_back(message);
///
/// let outbound = router.poll_transmit(usb).unwrap();
/// let response = [0x01, 0x08, 0x00, 0xC0, 0x7E, 0xCC, 0xDE, 0xF0, 0x2A];
/// assert_eq!(outbound.transfer.packets().next(), Some(&response[..]));
/// router.transmit_done(now, usb, outbound, Ok(()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RouterCore<'b> {
    /// Those that were added, then places for others.
    ports: &'b mut [Port<'b>],
    /// The device in each network.
    endpoints: &'b mut [Endpoint],
    channels: ChannelTable<'b>,
    routes: RoutingTable<'b>,
    slots: Slots<'b>,
    newest: &'b mut Newest,
    /// Of the last request that was received.
    last_request: RequestNumber,
    send_queue: SendQueue<'b>,
    responder: Responder,
    bridge: Option<&'b mut (dyn ControlPlane<'b> + 'b)>,
    wakes: Wakes,
    drops: DropCounters,
    accepted: u32,
    last_tag: MessageTag,
    next_deadline: Instant,
    /// When [`expire`](Self::expire) was called last.
    last_look: Instant,
    /// The last call of [`expire`](Self::expire) was late.
    was_late: bool,
    assembly_timeout: u32,
    eviction_age: u32,
    send_timeout: u32,
    /// How long a packet is held back, in calls of [`expire`](Self::expire) that were in time.
    hold_limit: u16,
    /// Counts such calls; never 0.
    looks: u16,
    /// A packet was held back, and no buffer came free since.
    holds_back: bool,
}

/// What a core works with: all of it in the caller's storage.
#[derive(Debug)]
pub(crate) struct Parts<'b> {
    pub(crate) ports: &'b mut [Port<'b>],
    pub(crate) endpoints: &'b mut [Endpoint],
    pub(crate) slots: Slots<'b>,
    pub(crate) channels: ChannelTable<'b>,
    pub(crate) send_queue: SendQueue<'b>,
    pub(crate) newest: &'b mut Newest,
    pub(crate) routes: RoutingTable<'b>,
}

impl<'b> RouterCore<'b> {
    pub(crate) fn from_parts(parts: Parts<'b>, config: &Config) -> Self {
        Self {
            ports: parts.ports,
            endpoints: parts.endpoints,
            channels: parts.channels,
            routes: parts.routes,
            slots: parts.slots,
            newest: parts.newest,
            last_request: RequestNumber::NONE,
            send_queue: parts.send_queue,
            responder: Responder::new(config),
            bridge: None,
            wakes: Wakes::Nobody,
            drops: DropCounters::new(),
            accepted: 0,
            last_tag: MessageTag::default(),
            next_deadline: Instant::NEVER,
            last_look: Instant::START,
            was_late: false,
            assembly_timeout: milliseconds(config.assembly_timeout),
            eviction_age: milliseconds(config.eviction_age),
            send_timeout: milliseconds(config.send_timeout),
            hold_limit: looks_in(config.hold_time),
            looks: 1,
            holds_back: false,
        }
    }
}

/// Setting up.
impl<'b> RouterCore<'b> {
    /// Adds a port to a network: the ports of one network are ways to the same endpoints. The first
    /// port added is `PortId(0)`, the next `PortId(1)`, and so on. Its link is down.
    ///
    /// # Errors
    ///
    /// When the storage has no such network, or no room for another port.
    pub fn add_port<const TRANSFER_LEN: usize>(
        &mut self,
        network: NetworkId,
        buffers: &'b mut PortBuffers<'b, TRANSFER_LEN>,
    ) -> Result<PortId, AddPortError> {
        self.add_port_with(network, buffers.parts())
    }

    fn add_port_with(
        &mut self,
        network: NetworkId,
        buffers: PortParts<'b>,
    ) -> Result<PortId, AddPortError> {
        let networks = self.endpoints.len() as u8;
        if network.0 >= networks {
            return Err(AddPortError::NoNetwork { network, networks });
        }
        let ports = self.ports.len() as u8;
        let mut places = (0..=u8::MAX).zip(self.ports.iter_mut());
        let place = places.find(|(_, port)| !port.exists());
        let (number, port) = place.ok_or(AddPortError::NoRoom { ports })?;
        port.add(network, buffers);
        Ok(PortId(number))
    }

    /// Sets the transmission units of a port. Takes effect with the next message.
    pub fn configure_port(&mut self, port: PortId, config: PortConfig) {
        if let Some(port) = self.port(port) {
            port.configure(config);
        }
    }

    /// Says how the port's transport wants its transfers filled. What waits at the port is given
    /// up, but for control responses that were answered before the port had any layout: those can
    /// be [polled](Self::poll_transmit) from now on.
    pub fn set_layout(&mut self, port: PortId, layout: TransferLayout) {
        let given_up = self.port(port).map_or(0, |port| port.set_layout(layout));
        self.count_drops(DropReason::LinkDown, given_up);
        // Those who wait for what waited to be taken would wait for ever.
        self.wake_first_sender(port);
    }

    /// Says whether the port's transport
    /// [can wait](mctp_transport::TransportRx::can_wait): where it can, a packet that finds no
    /// buffer is [held back](Receipt::HeldBack) before it is discarded.
    pub fn set_can_wait(&mut self, port: PortId, can_wait: bool) {
        if let Some(port) = self.port(port) {
            port.can_wait = can_wait;
        }
    }

    /// Says what Get Endpoint ID answers in its last byte when it comes by the port: what the
    /// port's transport [has to say](mctp_transport::TransportTx::medium_specific). 0 unless set.
    pub fn set_medium_specific(&mut self, port: PortId, medium_specific: u8) {
        if let Some(port) = self.port(port) {
            port.medium_specific = medium_specific;
        }
    }

    /// Gives the device an endpoint ID of its own in a network, in use until a bus owner sets
    /// another one. Get Endpoint ID reports it as static. `false` when there is no such network,
    /// or the endpoint ID is not 8 to 254.
    pub fn set_static_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool {
        let is_set = self.set_endpoint_id(network, endpoint_id);
        let endpoint = self.endpoint_mut(network);
        if let Some(endpoint) = endpoint.filter(|_| is_set) {
            endpoint.set_static_endpoint_id(endpoint_id);
        }
        is_set
    }

    /// Adds a route to the network of its port, or replaces the one of the same range. `false` when
    /// there is no such port, no room for it, or when the network is not among those that
    /// [`Routes`](crate::storage::Routes) has a table for.
    ///
    /// Where several cover an endpoint ID, the one of the fewest endpoint IDs holds.
    pub fn add_route(&mut self, route: Route) -> bool {
        let network = self.port(route.port).map(|port| port.network);
        let network = network.filter(|network| self.routes.add(*network, route));
        if let Some(network) = network {
            self.tell_bridge_of_routes(network);
        }
        network.is_some()
    }

    /// Removes the route of a range. `false` when there is none.
    pub fn remove_route(&mut self, network: NetworkId, first: Eid, last: Eid) -> bool {
        let is_removed = self.routes.remove(network, first, last);
        if is_removed {
            self.tell_bridge_of_routes(network);
        }
        is_removed
    }

    /// The routes of a network.
    pub fn routes(&self, network: NetworkId) -> impl Iterator<Item = &Route> {
        self.routes.of(network)
    }

    /// Opens a listener for `service`. From now on the control protocol reports it.
    ///
    /// # Errors
    ///
    /// When it cannot be served, or not in addition to what is.
    pub fn open_listener(&mut self, service: Service) -> Result<ChannelId, ListenError> {
        if !service.is_valid() {
            return Err(ListenError::CannotBeServed);
        }
        if self.channels.serves_some_of(&service) {
            return Err(ListenError::Overlaps);
        }
        self.channels
            .open_listener(service)
            .ok_or(ListenError::NoChannel)
    }

    /// Closes a listener or request. Messages for it are dropped.
    pub fn close(&mut self, channel: ChannelId) {
        self.leave_send_queue(channel);
        self.note_buffer_freed();
        self.slots.free_owned(channel);
        self.channels.close(channel);
    }

    fn port(&mut self, port: PortId) -> Option<&mut Port<'b>> {
        let port = self.ports.get_mut(usize::from(port.0))?;
        port.exists().then_some(port)
    }
}

/// State.
impl RouterCore<'_> {
    /// The device's endpoint ID in a network; 0 while it has none.
    pub fn endpoint_id(&self, network: NetworkId) -> Eid {
        let endpoint = self.endpoint(network);
        endpoint.map_or(mctp::MCTP_ADDR_NULL, |endpoint| endpoint.endpoint_id)
    }

    /// Gives the device an endpoint ID in a network from the device's side, as at start from
    /// non-volatile memory. `false` when there is no such network, or it is not 8 to 254.
    pub fn set_endpoint_id(&mut self, network: NetworkId, endpoint_id: Eid) -> bool {
        let endpoint = self.endpoint_mut(network);
        match endpoint.filter(|_| Eid::new_normal(endpoint_id.0).is_ok()) {
            Some(endpoint) => {
                endpoint.endpoint_id = endpoint_id;
                self.slots.expect_anew();
                self.tell_bridge_of_endpoint_id(network);
                true
            }
            None => false,
        }
    }

    /// The bus owner of a network, once it has set the endpoint ID.
    pub fn bus_owner(&self, network: NetworkId) -> Option<BusOwner> {
        self.endpoint(network)?.bus_owner
    }

    #[inline]
    fn endpoint(&self, network: NetworkId) -> Option<&Endpoint> {
        self.endpoints.get(usize::from(network.0))
    }

    fn endpoint_mut(&mut self, network: NetworkId) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(usize::from(network.0))
    }

    /// What was discarded, by reason.
    pub fn drop_counters(&self) -> &DropCounters {
        &self.drops
    }

    /// Counts something that a layer above discarded, such as a message whose integrity check
    /// failed.
    pub fn count_drop(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }

    /// How many messages were received complete (DSP0236 section 8.9), control requests included.
    pub fn messages_accepted(&self) -> u32 {
        self.accepted
    }

    /// Takes the oldest event that the application has not seen. The newest eight are kept.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.responder.events.poll()
    }

    /// Whether there is anybody to [take](Self::take_wakes).
    #[inline]
    pub fn has_wakes(&self) -> bool {
        self.wakes != Wakes::Nobody
    }

    /// Whom what was done since the last call of this concerns.
    #[inline]
    pub fn take_wakes(&mut self) -> Wakes {
        core::mem::take(&mut self.wakes)
    }
}

/// Time.
impl RouterCore<'_> {
    /// When [`expire`](Self::expire) must be called at the latest. May come before anything really
    /// expires.
    #[inline]
    pub fn next_deadline(&self) -> Instant {
        match self.bridge.as_deref() {
            None => self.next_deadline,
            Some(bridge) => self.next_deadline.min(bridge.deadline()),
        }
    }

    /// Gives up whatever has waited for too long: unfinished messages, requests without a response,
    /// neighbours that take nothing.
    ///
    /// Time limits count what a neighbour did, not what a scheduler did. So the core asks to be
    /// called every 100 ms while anything waits. A call that comes 100 ms late, or later, shows
    /// that the device did not run: its transports could neither take nor offer anything. Then the
    /// time since the call before counts towards no time limit, and so nothing is given up before
    /// the transports are polled. All other time counts, however often the device does not run.
    /// The time of a second late call in a row counts as well: a device that never runs in time
    /// gives up too.
    ///
    /// Call it before [`receive`](Self::receive) when both are due: a packet that is received first
    /// finds the messages as old as the clock says, and may evict one.
    pub fn expire(&mut self, now: Instant) {
        let is_late = is_late(now, self.next_deadline);
        let lost = if is_late && !self.was_late {
            milliseconds_since(now, self.last_look)
        } else {
            0
        };
        if !is_late {
            self.looks = self.looks.wrapping_add(1).max(1);
        }
        if self.holds_back {
            self.forget_absent();
        }
        self.note_buffer_freed();
        self.was_late = is_late;
        self.last_look = now;
        self.slots.credit(lost, now);
        let late = slots::Which::Late(now, self.assembly_timeout);
        let expired = self.slots.free_unfinished(late);
        self.count_drops(DropReason::AssemblyTimeout, expired);
        let first_request = self.channels.expire(now, lost);
        let mut any_waits = first_request.is_some() || self.slots.has_unfinished();
        for port in self.ports.iter_mut() {
            any_waits |= port.expire(now, lost, self.send_timeout);
        }
        self.next_deadline = match any_waits {
            true => now.after(first_request.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL)),
            false => Instant::NEVER,
        };
        if self.bridge.is_some() {
            self.drive_bridge(now);
        }
        // Whatever was given up may be anybody's.
        self.wakes.add(Wakes::Everybody);
    }

    /// Something waits since `now` or before.
    fn look_soon(&mut self, now: Instant) {
        self.look_within(now, LOOK_INTERVAL);
    }

    /// Something happens in as many milliseconds.
    #[inline(never)]
    fn look_within(&mut self, now: Instant, milliseconds: u32) {
        let deadline = now.after(milliseconds.min(LOOK_INTERVAL));
        if deadline < self.next_deadline {
            self.next_deadline = deadline;
            self.wakes.add(Wakes::Timer);
        }
    }

    /// What was held back is worth another try.
    #[inline]
    fn note_buffer_freed(&mut self) {
        if self.holds_back {
            self.end_holding_back();
        }
    }

    fn end_holding_back(&mut self) {
        self.holds_back = false;
        for port in self.ports.iter_mut() {
            port.holds_back = false;
        }
        self.wakes.add(Wakes::HeldBack);
    }

    /// A packet that came by this port and was held back is worth another try.
    fn offer_again(&mut self, port: PortId) {
        if let Some(port) = self.port(port) {
            port.holds_back = false;
            self.wakes.add(Wakes::HeldBack);
        }
    }

    fn count_drops(&mut self, reason: DropReason, times: usize) {
        for _ in 0..times {
            self.drops.count(reason);
        }
    }
}
