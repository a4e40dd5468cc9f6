//! The sans-IO core of the router.

mod channels;
mod key;
mod list;
mod outgoing;
mod port;
mod receive;
mod routes;
mod send;
mod slots;

use mctp::Eid;
use mctp_transport::{DropCounters, DropReason, MessageTag, TransferLayout};

use crate::clock::{Instant, LOOK_INTERVAL, milliseconds};
use crate::config::{BusOwner, Config, Event, PortConfig, PortId, Route};
use crate::control::Responder;
use crate::service::Service;
use crate::shell::PortWakers;
use crate::storage::{Parts, RouterStorage};

pub use channels::ChannelId;
pub(crate) use channels::{Channel, Channels, NO_REQUESTS, Requests};
pub(crate) use list::{Buckets, empty_buckets};
pub use outgoing::{OpenError, Outgoing, Target};
pub use port::Outbound;
pub(crate) use port::{Link, Port};
pub(crate) use routes::{RouteTable, Routes};
pub use slots::LentMessage;
pub(crate) use slots::{Inbox, Kind, Origin, Slot, Slots};

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Receipt {
    /// It is part of a message that is not complete.
    Stored,
    /// It completed a message of this channel: [`RouterCore::has_message`].
    Delivered(ChannelId),
    /// It was a control request. If it is to be answered, the answer waits at the port:
    /// [`RouterCore::poll_transmit`].
    Control,
    /// It was discarded and counted.
    Dropped(DropReason),
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// All of the message is in transfers.
    Done,
    /// Go on when the port's next transfer was taken.
    Partial,
}

/// Why sending was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SendFailure {
    /// The port's link is down or was lost meanwhile, its layout changed meanwhile, or there is no
    /// such port.
    NoLink,
    /// The neighbour has taken nothing for the send time limit.
    Stalled,
}

/// An MCTP endpoint without IO: it reads no clock, wakes nobody and needs no executor.
///
/// [`Router`](crate::Router) is this with wakers around it; use the core alone in a super-loop, or
/// to test. Its methods, in four groups:
///
/// - **Setting up**: [`new`](Self::new), [`set_layout`](Self::set_layout),
///   [`configure_port`](Self::configure_port), [`add_route`](Self::add_route),
///   [`open_listener`](Self::open_listener).
/// - **Inputs**, each with the time: [`link_up`](Self::link_up) first, then
///   [`receive`](Self::receive) for every packet, [`transmit_done`](Self::transmit_done) for every
///   transfer taken, [`expire`](Self::expire) at [`next_deadline`](Self::next_deadline).
/// - **Outputs**, to be polled after each input: [`poll_transmit`](Self::poll_transmit) for each
///   port, [`poll_event`](Self::poll_event), [`take_message`](Self::take_message) for each channel.
/// - **Messages**: [`response_to`](Self::response_to) a message taken, or
///   [`open_request`](Self::open_request); then [`send`](Self::send) until it is done;
///   [`give_back`](Self::give_back) what was taken, [`close`](Self::close) what was opened.
///
/// One echo, by hand:
///
/// ```
/// use mctp_router::{Config, Instant, PortId, Progress, RouterCore, RouterStorage, Service};
/// use mctp_transport::{PhysicalAddress, TransferLayout};
///
/// const USB: PortId = PortId(0);
/// let mut storage = RouterStorage::<1, 512, 4, 2, 4224, 4, 2>::new();
/// let mut router = RouterCore::new(&mut storage, &Config::new([0x11; 16]));
/// router.set_layout(USB, TransferLayout { headroom: 4, tailroom: 0, max_packet: 251, max_transfer: 512, transfers_at_once: 1, packs: true });
/// let echo = router.open_listener(Service::vendor_pci(0xCCDE, &[0xF0]))?;
/// router.link_up(USB);
///
/// let now = Instant::from_millis(0);
/// let request = [0x01, 0x00, 0x08, 0xC8, 0x7E, 0xCC, 0xDE, 0xF0, 0x2A];
/// router.receive(now, USB, PhysicalAddress::POINT_TO_POINT, &request);
///
/// let message = router.take_message(echo).unwrap();
/// let mut response = router.response_to(&message, message.integrity_check());
/// assert_eq!(router.send(now, &mut response, &[message.bytes()]), Ok(Progress::Done));
/// router.give_back(message);
///
/// let outbound = router.poll_transmit(USB).unwrap();
/// assert_eq!(outbound.transfer.packets().next(), Some(&[0x01, 0x08, 0x00, 0xC0, 0x7E, 0xCC, 0xDE, 0xF0, 0x2A][..]));
/// router.transmit_done(now, USB, outbound, Ok(()));
/// # Ok::<(), mctp::Error>(())
/// ```
#[allow(missing_debug_implementations)]
pub struct RouterCore<'b> {
    ports: &'b mut [Port<'b>],
    channels: Channels<'b>,
    routes: Routes<'b>,
    slots: Slots<'b>,
    responder: Responder,
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
}

impl<'b> RouterCore<'b> {
    /// A router in `storage`, with the link of every port down.
    pub fn new<
        const PORTS: usize,
        const TRANSFER_LEN: usize,
        const SHORT_MESSAGES: usize,
        const LONG_MESSAGES: usize,
        const LONG_MESSAGE_LEN: usize,
        const CHANNELS: usize,
        const ROUTES: usize,
    >(
        storage: &'b mut RouterStorage<
            'b,
            PORTS,
            TRANSFER_LEN,
            SHORT_MESSAGES,
            LONG_MESSAGES,
            LONG_MESSAGE_LEN,
            CHANNELS,
            ROUTES,
        >,
        config: &Config,
    ) -> Self {
        Self::from_parts(storage.parts(config.max_message_len).0, config)
    }

    pub(crate) fn from_parts(parts: Parts<'b>, config: &Config) -> Self {
        let Parts {
            ports,
            slots,
            channels,
            routes,
        } = parts;
        Self {
            ports,
            channels,
            routes,
            slots,
            responder: Responder::new(config),
            drops: DropCounters::new(),
            accepted: 0,
            last_tag: MessageTag::default(),
            next_deadline: Instant::NEVER,
            last_look: Instant::START,
            was_late: false,
            assembly_timeout: milliseconds(config.assembly_timeout),
            eviction_age: milliseconds(config.eviction_age),
            send_timeout: milliseconds(config.send_timeout),
        }
    }
}

/// Setting up.
impl<'b> RouterCore<'b> {
    /// Sets the units of a port. Takes effect with the next message.
    pub fn configure_port(&mut self, port: PortId, config: PortConfig) {
        if let Some(port) = self.port(port) {
            port.configure(config);
        }
    }

    /// Says how the port's transport wants its transfers filled. What waits at the port is given
    /// up.
    pub fn set_layout(&mut self, port: PortId, layout: TransferLayout) {
        let given_up = self.port(port).map_or(0, |port| port.set_layout(layout));
        self.count_drops(DropReason::LinkDown, given_up);
    }

    /// Adds a route, or replaces the one of the same range. `false` when there is no room for it.
    pub fn add_route(&mut self, route: Route) -> bool {
        self.routes.add(route)
    }

    /// Opens a listener for `service`. From now on the control protocol reports it.
    ///
    /// [`mctp::Error::BadArgument`] for what cannot be served,
    /// [`AddrInUse`](mctp::Error::AddrInUse) when an open listener gets some of the
    /// same requests, [`NoSpace`](mctp::Error::NoSpace) when all channels are taken.
    pub fn open_listener(&mut self, service: Service) -> Result<ChannelId, mctp::Error> {
        if !service.is_valid() {
            return Err(mctp::Error::BadArgument);
        }
        if self
            .channels
            .services()
            .any(|other| other.overlaps(&service))
        {
            return Err(mctp::Error::AddrInUse);
        }
        self.channels
            .open_listener(service)
            .ok_or(mctp::Error::NoSpace)
    }

    /// Closes a listener or request. Messages for it are dropped.
    pub fn close(&mut self, channel: ChannelId) {
        self.slots.free_owned(channel);
        self.channels.close(channel);
    }

    #[inline]
    fn port(&mut self, port: PortId) -> Option<&mut Port<'b>> {
        self.ports.get_mut(usize::from(port.0))
    }
}

/// What the async shell keeps in the core's ports.
impl RouterCore<'_> {
    /// Who waits for a port.
    #[inline]
    pub(crate) fn port_wakers(&mut self, port: PortId) -> Option<&mut PortWakers> {
        Some(&mut self.port(port)?.wakers)
    }

    /// Who waits for each port.
    pub(crate) fn all_port_wakers(&mut self) -> impl Iterator<Item = &mut PortWakers> {
        self.ports.iter_mut().map(|port| &mut port.wakers)
    }
}

/// State.
impl RouterCore<'_> {
    /// The device's endpoint ID; 0 while it has none.
    pub fn endpoint_id(&self) -> Eid {
        self.responder.endpoint_id
    }

    /// Gives the device an endpoint ID from the device's side, as at start from non-volatile
    /// memory. `false` unless it is 8 to 254.
    pub fn set_endpoint_id(&mut self, endpoint_id: Eid) -> bool {
        let valid = Eid::new_normal(endpoint_id.0).is_ok();
        if valid {
            self.responder.endpoint_id = endpoint_id;
            self.slots.expect_anew();
        }
        valid
    }

    /// The bus owner, once it has set the endpoint ID.
    pub fn bus_owner(&self) -> Option<BusOwner> {
        self.responder.bus_owner
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

    /// Whether there is an event to [poll](Self::poll_event).
    pub fn has_event(&self) -> bool {
        self.responder.events.any()
    }
}

/// Time.
impl RouterCore<'_> {
    /// When [`expire`](Self::expire) must be called at the latest. May come before anything really
    /// expires.
    #[inline]
    pub fn next_deadline(&self) -> Instant {
        self.next_deadline
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
        let is_late = now.is_late_for(self.next_deadline);
        let lost = if is_late && !self.was_late {
            now.since(self.last_look)
        } else {
            0
        };
        self.was_late = is_late;
        self.last_look = now;
        self.slots.credit(lost, now);
        self.expire_unfinished(now);
        let mut next_look = now.after(LOOK_INTERVAL);
        let mut any_waits = self.channels.expire(now, lost, &mut next_look);
        any_waits |= self.slots.has_unfinished();
        for port in self.ports.iter_mut() {
            any_waits |= port.expire(now, lost, self.send_timeout);
        }
        self.next_deadline = if any_waits { next_look } else { Instant::NEVER };
    }

    /// Something waits since `now` or before.
    #[inline]
    fn look_soon(&mut self, now: Instant) {
        self.next_deadline = self.next_deadline.min(now.after(LOOK_INTERVAL));
    }

    fn expire_unfinished(&mut self, now: Instant) {
        let timeout = self.assembly_timeout;
        let expired = self.slots.free_unfinished(slots::Which::Late(now, timeout));
        self.count_drops(DropReason::AssemblyTimeout, expired);
    }

    fn count_drops(&mut self, reason: DropReason, times: usize) {
        for _ in 0..times {
            self.drops.count(reason);
        }
    }
}
