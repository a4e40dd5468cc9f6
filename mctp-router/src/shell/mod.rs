//! The async shell: the core behind a lock, and the wakers of whoever waits for it. No protocol
//! decision is taken here.

mod line;
mod listener;
mod request;
mod sending;

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::Eid;
use mctp_transport::{
    DropCounters, DropReason, PhysicalAddress, Received, SendError, TransportRx, TransportTx,
};

use crate::clock::{Clock, Instant, milliseconds};
use crate::config::{BusOwner, Config, Event, PortConfig, PortId, Route};
use crate::router_core::{ChannelId, LentMessage, Outbound, Receipt, RouterCore};
use crate::service::Service;
use crate::storage::RouterStorage;

use line::{Line, Place};
pub use listener::{Listener, Message, Receive, Responder};
pub use request::RequestChannel;

/// Whose turn it is, once a transport's packet was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The next packet's.
    Next,
    /// Other tasks'.
    Others,
    /// Other tasks'; then the packet is to be taken, if they made room for it.
    OthersThenAgain,
}

/// Who waits for a channel.
#[derive(Debug)]
pub(crate) struct ChannelWakers {
    receive: Option<Waker>,
    send: Option<Waker>,
    place: Place,
}

impl ChannelWakers {
    pub(crate) const NONE: Self = Self {
        receive: None,
        send: None,
        place: Place::NONE,
    };
}

/// Who waits for a port.
#[derive(Debug)]
pub(crate) struct PortWakers {
    transmit: Option<Waker>,
    line: Line,
}

impl PortWakers {
    pub(crate) const NONE: Self = Self {
        transmit: None,
        line: Line::EMPTY,
    };
}

/// What the lock protects.
struct Shared<'b> {
    core: RouterCore<'b>,
    channels: &'b mut [ChannelWakers],
    timer: Option<Waker>,
    event: Option<Waker>,
    /// The deadline that the timer waits for, or was woken for.
    armed: Instant,
    /// Counts packets until it wraps. Then other tasks get a turn, should more packets be there
    /// already: a host that never pauses could otherwise keep a slow device from everything
    /// but receiving, even from answering.
    packets_in_a_row: u8,
}

/// An MCTP endpoint for async firmware: [`RouterCore`] behind a lock, with wakers.
///
/// 1. Make it from a [`RouterStorage`], a [`Clock`] and a [`Config`]. `M` is [`NoopRawMutex`] where
///    everything runs in one executor, [`CriticalSectionRawMutex`] where interrupts or several
///    cores share it.
/// 2. Run [`run_receive`](Self::run_receive) and [`run_send`](Self::run_send) for each port, and
///    [`run_timers`](Self::run_timers) once, side by side, for ever. Dropping one of these futures
///    takes its port out of service until it is run again.
/// 3. Serve with [`listener`](Self::listener)s, and ask with
///    [`request_channel`](Self::request_channel)s.
///
/// The lock is held for as long as one packet is copied in, or one transfer filled; never across an
/// `await`.
///
/// [`NoopRawMutex`]: embassy_sync::blocking_mutex::raw::NoopRawMutex
/// [`CriticalSectionRawMutex`]: embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex
#[allow(missing_debug_implementations)]
pub struct Router<'b, M: RawMutex, C: Clock> {
    shared: Mutex<M, RefCell<Shared<'b>>>,
    clock: C,
    response_timeout: u32,
}

/// Replaces a waker only by a different one.
fn register(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(waker) if waker.will_wake(context.waker()) => {}
        _ => *place = Some(context.waker().clone()),
    }
}

fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}

impl Shared<'_> {
    fn channel(&mut self, channel: ChannelId) -> Option<&mut ChannelWakers> {
        self.channels.get_mut(channel.index())
    }

    fn wake_port(&mut self, port: PortId) {
        if let Some(wakers) = self.core.port_wakers(port) {
            wake(&mut wakers.transmit);
        }
    }

    /// Wakes whoever is next to send at a port.
    fn wake_next_sender(&mut self, port: PortId) {
        if let Some(first) = self.first_in_line(port) {
            self.wake_sender(first);
        }
    }

    fn wake_sender(&mut self, channel: ChannelId) {
        if let Some(wakers) = self.channel(channel) {
            wake(&mut wakers.send);
        }
    }

    /// Wakes everybody: after the rare inputs that can concern anybody.
    fn wake_all(&mut self) {
        for channel in self.channels.iter_mut() {
            wake(&mut channel.receive);
            wake(&mut channel.send);
        }
        let ports = self.core.all_port_wakers();
        ports.for_each(|wakers| wake(&mut wakers.transmit));
        self.wake_for_event();
    }

    fn wake_for_event(&mut self) {
        if self.core.has_event() {
            wake(&mut self.event);
        }
    }

    /// Lets the timer know of a deadline earlier than it waits for.
    #[inline]
    fn rearm(&mut self) {
        if self.core.next_deadline() < self.armed {
            // Once is enough.
            self.armed = self.core.next_deadline();
            wake(&mut self.timer);
        }
    }

    /// Takes what a transport received.
    #[inline(always)]
    fn received(&mut self, now: Instant, port: PortId, received: Received<'_>) -> Turn {
        match received {
            Received::Packet { source, bytes } => return self.packet(now, port, source, bytes),
            Received::Dropped(reason) => self.core.count_drop(reason),
            Received::LinkUp => {
                self.core.link_up(port);
                self.wake_all();
            }
            Received::LinkDown => {
                self.core.link_down(port);
                self.wake_all();
            }
        }
        self.count_packet()
    }

    /// Takes a packet, and wakes whom it concerns.
    #[inline]
    fn packet(
        &mut self,
        now: Instant,
        port: PortId,
        source: PhysicalAddress,
        bytes: &[u8],
    ) -> Turn {
        match self.core.receive_expected(now, bytes) {
            // Concerns nobody, and no deadline is earlier for it.
            Some(Receipt::Stored) => self.count_packet(),
            Some(receipt) => self.after_packet(port, receipt),
            None => self.other_packet(now, port, source, bytes),
        }
    }

    #[inline(never)]
    fn other_packet(
        &mut self,
        now: Instant,
        port: PortId,
        source: PhysicalAddress,
        bytes: &[u8],
    ) -> Turn {
        match self.core.receive_other(now, port, source, bytes) {
            Ok(receipt) => self.after_packet(port, receipt),
            Err(DropReason::NoMessageBuffer) => Turn::OthersThenAgain,
            Err(reason) => {
                let receipt = self.core.dropped(reason);
                self.after_packet(port, receipt)
            }
        }
    }

    /// Takes a packet for which there was no buffer before others had their turn.
    fn packet_again(&mut self, now: Instant, port: PortId, source: PhysicalAddress, bytes: &[u8]) {
        if self.other_packet(now, port, source, bytes) == Turn::OthersThenAgain {
            self.core.count_drop(DropReason::NoMessageBuffer);
        }
    }

    #[inline(always)]
    fn after_packet(&mut self, port: PortId, receipt: Receipt) -> Turn {
        match receipt {
            Receipt::Delivered(owner) => self.wake_receiver(owner),
            Receipt::Stored => self.rearm(),
            Receipt::Control | Receipt::Dropped(_) => self.after_rare_packet(port, receipt),
        }
        self.count_packet()
    }

    /// Counts a packet, or whatever else came in its place. Returns whose turn it is.
    #[inline(always)]
    fn count_packet(&mut self) -> Turn {
        self.packets_in_a_row = self.packets_in_a_row.wrapping_add(1);
        match self.packets_in_a_row {
            0 => Turn::Others,
            _ => Turn::Next,
        }
    }

    #[inline]
    fn wake_receiver(&mut self, channel: ChannelId) {
        if let Some(wakers) = self.channel(channel) {
            wake(&mut wakers.receive);
        }
    }

    #[inline(never)]
    fn after_rare_packet(&mut self, port: PortId, receipt: Receipt) {
        if receipt == Receipt::Control {
            self.wake_port(port);
            self.rearm();
        }
        // Also for one that was dropped: a request whose answer found no place was carried out all
        // the same.
        self.wake_for_event();
    }
}

impl<'b, M: RawMutex, C: Clock> Router<'b, M, C> {
    /// A router in `storage`, which it keeps for good.
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
        clock: C,
        config: &Config,
    ) -> Self {
        let (parts, channels) = storage.parts(config.max_message_len);
        let shared = Shared {
            core: RouterCore::from_parts(parts, config),
            channels,
            timer: None,
            event: None,
            armed: Instant::NEVER,
            packets_in_a_row: 0,
        };
        Self {
            shared: Mutex::new(RefCell::new(shared)),
            clock,
            response_timeout: milliseconds(config.response_timeout),
        }
    }

    #[inline]
    fn lock<R>(&self, f: impl FnOnce(&mut Shared<'b>) -> R) -> R {
        self.shared.lock(|shared| f(&mut shared.borrow_mut()))
    }

    /// Sets the units of a port. Takes effect with the next message.
    pub fn configure_port(&self, port: PortId, config: PortConfig) {
        self.lock(|shared| shared.core.configure_port(port, config));
    }

    /// Adds a route, or replaces the one of the same range. `false` when there is no room for it.
    pub fn add_route(&self, route: Route) -> bool {
        self.lock(|shared| shared.core.add_route(route))
    }

    /// The device's endpoint ID; 0 while it has none.
    pub fn endpoint_id(&self) -> Eid {
        self.lock(|shared| shared.core.endpoint_id())
    }

    /// Gives the device an endpoint ID from the device's side. `false` unless it is 8 to 254.
    pub fn set_endpoint_id(&self, endpoint_id: Eid) -> bool {
        self.lock(|shared| shared.core.set_endpoint_id(endpoint_id))
    }

    /// The bus owner, once it has set the endpoint ID.
    pub fn bus_owner(&self) -> Option<BusOwner> {
        self.lock(|shared| shared.core.bus_owner())
    }

    /// What was discarded, by reason.
    pub fn drop_counters(&self) -> DropCounters {
        self.lock(|shared| shared.core.drop_counters().clone())
    }

    /// Counts something that a service discarded.
    pub fn count_drop(&self, reason: DropReason) {
        self.lock(|shared| shared.core.count_drop(reason));
    }

    /// How many messages were received complete.
    pub fn messages_accepted(&self) -> u32 {
        self.lock(|shared| shared.core.messages_accepted())
    }

    /// Waits for something that the application may want to know. For one waiter at a time.
    pub async fn next_event(&self) -> Event {
        poll_fn(|context| {
            self.lock(|shared| match shared.core.poll_event() {
                Some(event) => Poll::Ready(event),
                None => {
                    register(&mut shared.event, context);
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Serves `service`. The control protocol reports it for as long as the listener lives.
    ///
    /// Errors as of [`RouterCore::open_listener`].
    pub fn listener(&self, service: Service) -> mctp::Result<Listener<'_, 'b, M, C>> {
        let channel = self.lock(|shared| shared.core.open_listener(service))?;
        Ok(Listener::new(self, channel))
    }

    /// Takes packets from `transport` for ever. Lets other tasks run now and then, even if the
    /// neighbour never pauses, and before a message is discarded because there is no buffer for
    /// it: a service that has only not had its turn may give one back.
    pub async fn run_receive(&self, port: PortId, transport: &mut impl TransportRx) -> Infallible {
        loop {
            let again = {
                let received = transport.receive().await;
                let packet = match received {
                    Received::Packet { source, bytes } => Some((source, bytes)),
                    _ => None,
                };
                let now = self.clock.now();
                match self.lock(|shared| shared.received(now, port, received)) {
                    Turn::Next => continue,
                    Turn::Others => None,
                    Turn::OthersThenAgain => packet,
                }
            };
            // Of tasks that were woken an executor may run the last one first: that is this one
            // again.
            for _ in 0..2 {
                yield_now().await;
            }
            if let Some((source, bytes)) = again {
                let now = self.clock.now();
                self.lock(|shared| shared.packet_again(now, port, source, bytes));
            }
        }
    }

    /// Gives transfers to `transport` for ever.
    pub async fn run_send(&self, port: PortId, transport: &mut impl TransportTx) -> Infallible {
        self.lock(|shared| {
            shared.core.set_layout(port, transport.layout());
            // What waited was given up; those who wait for it to be taken would wait for ever.
            shared.wake_next_sender(port);
        });
        let mut sending = Sending {
            router: self,
            port,
            outbound: None,
            result: Err(SendError::LinkDown),
        };
        loop {
            poll_fn(|context| sending.poll_next(context)).await;
            if let Some(outbound) = &mut sending.outbound {
                sending.result = transport.send(outbound.transfer).await;
            }
        }
    }

    /// Keeps time for ever. Without it nothing ever times out.
    pub async fn run_timers(&self) -> Infallible {
        loop {
            let deadline = self.lock(|shared| {
                shared.armed = shared.core.next_deadline();
                shared.armed
            });
            let earlier = poll_fn(|context| {
                self.lock(|shared| {
                    if shared.core.next_deadline() < deadline {
                        return Poll::Ready(());
                    }
                    register(&mut shared.timer, context);
                    Poll::Pending
                })
            });
            select(self.clock.wait_until(deadline), earlier).await;
            let now = self.clock.now();
            self.lock(|shared| {
                if shared.core.next_deadline() <= now {
                    shared.core.expire(now);
                    shared.wake_all();
                }
            });
        }
    }

    fn give_back(&self, message: LentMessage<'b>) {
        self.lock(|shared| shared.core.give_back(message));
    }

    /// Closes a channel and forgets who waits for it.
    fn close(&self, channel: ChannelId) {
        self.lock(|shared| {
            shared.core.close(channel);
            shared.leave_line(channel);
            if let Some(wakers) = shared.channel(channel) {
                *wakers = ChannelWakers::NONE;
            }
        });
    }
}

/// Waits for a channel's messages. Leaves no waker behind.
struct NextMessage<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
    /// A waker is in place.
    waits: bool,
}

impl<'r, 'b, M: RawMutex, C: Clock> NextMessage<'r, 'b, M, C> {
    fn new(router: &'r Router<'b, M, C>, channel: ChannelId) -> Self {
        Self {
            router,
            channel,
            waits: false,
        }
    }

    #[inline]
    fn poll(&mut self, shared: &mut Shared<'b>, context: &Context<'_>) -> Poll<LentMessage<'b>> {
        if let Some(message) = shared.core.take_message(self.channel) {
            // It was woken for it.
            self.waits = false;
            return Poll::Ready(message);
        }
        if let Some(wakers) = shared.channel(self.channel) {
            register(&mut wakers.receive, context);
            self.waits = true;
        }
        Poll::Pending
    }
}

impl<M: RawMutex, C: Clock> Drop for NextMessage<'_, '_, M, C> {
    fn drop(&mut self) {
        if self.waits {
            self.router.lock(|shared| {
                if let Some(wakers) = shared.channel(self.channel) {
                    wakers.receive = None;
                }
            });
        }
    }
}

/// The transfer that the transport has. It goes back to its port, whatever becomes of its sending.
struct Sending<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    port: PortId,
    outbound: Option<Outbound<'b>>,
    /// What became of it. Until that is known, it is lost.
    result: Result<(), SendError>,
}

impl<M: RawMutex, C: Clock> Sending<'_, '_, M, C> {
    /// Gives back the last transfer, and takes the next one.
    #[inline]
    fn poll_next(&mut self, context: &Context<'_>) -> Poll<()> {
        let (router, port) = (self.router, self.port);
        router.lock(|shared| {
            let last = self.outbound.take();
            let last = last.map(|last| (router.clock.now(), last, self.result));
            let Some((place, next)) = shared.core.next_transmit(port, last) else {
                return Poll::Pending;
            };
            if next.is_none() {
                register(&mut place.wakers.transmit, context);
                return Poll::Pending;
            }
            self.outbound = next;
            self.result = Err(SendError::LinkDown);
            // There is a buffer to fill while this one is sent.
            if let Some(first) = place.wakers.line.first() {
                shared.wake_sender(first);
            }
            shared.rearm();
            Poll::Ready(())
        })
    }
}

impl<M: RawMutex, C: Clock> Drop for Sending<'_, '_, M, C> {
    fn drop(&mut self) {
        let Some(outbound) = self.outbound.take() else {
            return;
        };
        let now = self.router.clock.now();
        self.router.lock(|shared| {
            shared
                .core
                .transmit_done(now, self.port, outbound, self.result);
            shared.wake_next_sender(self.port);
            shared.rearm();
        });
    }
}
