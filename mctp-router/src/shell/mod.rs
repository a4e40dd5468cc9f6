//! The async shell: the core behind a lock, and the wakers of those who wait for it. It calls the
//! core's public methods alone, and decides nothing.

mod listener;
mod request;
mod sending;

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::Eid;
use mctp_time::Clock;
use mctp_transport::{
    DropCounters, DropReason, PhysicalAddress, Received, SendError, TransportRx, TransportTx,
};

use crate::clock::milliseconds;
use crate::config::{BusOwner, Config, Event, NetworkId, PortConfig, PortId, Route};
use crate::control::{
    AddBridgeError, BridgeConfig, BridgeMemory, BridgeStorage, TransportCommands,
};
use crate::router_core::{
    AddPortError, ChannelId, ForwardError, ForwardingFilter, LentMessage, ListenError, Outbound,
    Receipt, RouterCore,
};
use crate::service::Service;
use crate::storage::{AllParts, ForwardingBuffer, PortBuffers, Storage};
use crate::wakers::{Waiting, Wakers};

pub use listener::{Listener, Message, Receive, Responder};
pub use request::RequestChannel;

/// What the lock protects.
struct Shared<'b> {
    core: RouterCore<'b>,
    wakers: Wakers<'b>,
}

/// An MCTP endpoint for async firmware: [`RouterCore`] behind a lock, with wakers.
///
/// 1. Make it from a [`RouterStorage`](crate::RouterStorage), a [`Clock`] and a [`Config`], and
///    [add](Self::add_port) its ports. `M` is [`NoopRawMutex`] where
///    everything runs in one executor, [`CriticalSectionRawMutex`] where interrupts or several
///    cores share it.
/// 2. Run each port with [`run`](Self::run), side by side, for ever; or its halves and the timers
///    apart. Dropping such a future takes its port out of service until it is run again.
/// 3. Serve with [`listener`](Self::listener)s, and ask with
///    [`request_channel`](Self::request_channel)s.
///
/// The lock is held for as long as one packet is copied in, or one transfer filled; never across an
/// `await`.
///
/// [`NoopRawMutex`]: embassy_sync::blocking_mutex::raw::NoopRawMutex
/// [`CriticalSectionRawMutex`]: embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex
pub struct Router<'b, M: RawMutex, C: Clock> {
    shared: Mutex<M, RefCell<Shared<'b>>>,
    clock: C,
    response_timeout: u32,
}

impl<M: RawMutex, C: Clock> fmt::Debug for Router<'_, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl Shared<'_> {
    fn wake(&mut self) {
        self.wakers.wake(self.core.take_wakes());
    }
}

impl<'b, M: RawMutex, C: Clock> Router<'b, M, C> {
    /// A router in `storage`, which it keeps for good, without ports so far.
    pub fn new(storage: &'b mut impl Storage<'b>, clock: C, config: &Config) -> Self {
        let AllParts {
            core,
            channel_wakers,
            port_wakers,
        } = storage.parts(config.max_message_len);
        let shared = Shared {
            core: RouterCore::from_parts(core, config),
            wakers: Wakers {
                channels: channel_wakers,
                ports: port_wakers,
                timer: Waiting::NOBODY,
                event: Waiting::NOBODY,
            },
        };
        Self {
            shared: Mutex::new(RefCell::new(shared)),
            clock,
            response_timeout: milliseconds(config.response_timeout),
        }
    }

    /// Does something with the core, then wakes those whom it concerns.
    #[inline]
    fn lock<R>(&self, f: impl FnOnce(&mut Shared<'b>) -> R) -> R {
        self.look(|shared| {
            let result = f(shared);
            if shared.core.has_wakes() {
                shared.wake();
            }
            result
        })
    }

    /// Does something that concerns nobody else.
    #[inline]
    fn look<R>(&self, f: impl FnOnce(&mut Shared<'b>) -> R) -> R {
        self.shared.lock(|shared| f(&mut shared.borrow_mut()))
    }

    /// [`RouterCore::add_port`].
    pub fn add_port<const TRANSFER_LEN: usize>(
        &self,
        network: NetworkId,
        buffers: &'b mut PortBuffers<'b, TRANSFER_LEN>,
    ) -> Result<PortId, AddPortError> {
        self.look(|shared| shared.core.add_port(network, buffers))
    }

    /// [`RouterCore::forward_by`].
    pub fn forward_by<const TRANSFER_LEN: usize>(
        &self,
        port: PortId,
        buffer: &'b mut ForwardingBuffer<'b, TRANSFER_LEN>,
    ) -> Result<(), ForwardError> {
        self.look(|shared| shared.core.forward_by(port, buffer))
    }

    /// [`RouterCore::filter_forwarding`].
    pub fn filter_forwarding(&self, port: PortId, filter: &'b dyn ForwardingFilter) -> bool {
        self.look(|shared| shared.core.filter_forwarding(port, filter))
    }

    /// [`RouterCore::packets_forwarded`].
    pub fn packets_forwarded(&self, port: PortId) -> u32 {
        self.look(|shared| shared.core.packets_forwarded(port))
    }

    /// [`RouterCore::add_bridge`].
    pub fn add_bridge<const NEIGHBOURS: usize>(
        &self,
        network: NetworkId,
        storage: &'b mut BridgeStorage<'b, NEIGHBOURS>,
        config: &BridgeConfig<'b>,
    ) -> Result<(), AddBridgeError> {
        self.lock(|shared| shared.core.add_bridge(network, storage, config))
    }

    /// [`RouterCore::expect_endpoint`].
    pub fn expect_endpoint(&self, port: PortId, address: PhysicalAddress) -> bool {
        self.lock(|shared| shared.core.expect_endpoint(port, address))
    }

    /// [`RouterCore::set_bridge_memory`].
    pub fn set_bridge_memory(&self, memory: &'b mut (dyn BridgeMemory + 'b)) -> bool {
        self.lock(|shared| shared.core.set_bridge_memory(memory))
    }

    /// [`RouterCore::set_transport_commands`].
    pub fn set_transport_commands(&self, commands: &'b mut (dyn TransportCommands + 'b)) -> bool {
        self.look(|shared| shared.core.set_transport_commands(commands))
    }

    /// Sets the transmission units of a port. Takes effect with the next message.
    pub fn configure_port(&self, port: PortId, config: PortConfig) {
        self.look(|shared| shared.core.configure_port(port, config));
    }

    /// [`RouterCore::watch_sent`].
    pub fn watch_sent(&self, port: PortId) {
        self.look(|shared| shared.core.watch_sent(port));
    }

    /// [`RouterCore::is_sent`].
    pub fn is_sent(&self, port: PortId) -> bool {
        self.look(|shared| shared.core.is_sent(port))
    }

    /// [`RouterCore::add_route`].
    pub fn add_route(&self, route: Route) -> bool {
        self.look(|shared| shared.core.add_route(route))
    }

    /// [`RouterCore::remove_route`].
    pub fn remove_route(&self, network: NetworkId, first: Eid, last: Eid) -> bool {
        self.look(|shared| shared.core.remove_route(network, first, last))
    }

    /// The device's endpoint ID in a network; 0 while it has none.
    pub fn endpoint_id(&self, network: NetworkId) -> Eid {
        self.look(|shared| shared.core.endpoint_id(network))
    }

    /// [`RouterCore::set_endpoint_id`].
    pub fn set_endpoint_id(&self, network: NetworkId, endpoint_id: Eid) -> bool {
        self.lock(|shared| shared.core.set_endpoint_id(network, endpoint_id))
    }

    /// [`RouterCore::set_static_endpoint_id`].
    pub fn set_static_endpoint_id(&self, network: NetworkId, endpoint_id: Eid) -> bool {
        self.lock(|shared| shared.core.set_static_endpoint_id(network, endpoint_id))
    }

    /// The bus owner of a network, once it has set the endpoint ID.
    pub fn bus_owner(&self, network: NetworkId) -> Option<BusOwner> {
        self.look(|shared| shared.core.bus_owner(network))
    }

    /// What was discarded, by reason.
    pub fn drop_counters(&self) -> DropCounters {
        self.look(|shared| shared.core.drop_counters().clone())
    }

    /// Counts something that a service discarded.
    pub fn count_drop(&self, reason: DropReason) {
        self.look(|shared| shared.core.count_drop(reason));
    }

    /// How many messages were received complete.
    pub fn messages_accepted(&self) -> u32 {
        self.look(|shared| shared.core.messages_accepted())
    }

    /// Waits for something that the application may want to know. For one waiter at a time.
    pub async fn next_event(&self) -> Event {
        poll_fn(|context| {
            self.look(|shared| match shared.core.poll_event() {
                Some(event) => Poll::Ready(event),
                None => {
                    shared.wakers.event.register(context);
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Serves `service`. The control protocol reports it for as long as the listener lives.
    ///
    /// # Errors
    ///
    /// As of [`RouterCore::open_listener`].
    pub fn listener(&self, service: Service) -> Result<Listener<'_, 'b, M, C>, ListenError> {
        let channel = self.look(|shared| shared.core.open_listener(service))?;
        Ok(Listener::new(self, channel))
    }

    /// Runs a port for ever: both halves of its transport, and the router's timers. Nothing else has
    /// to run for the port.
    ///
    /// Where the halves belong to different tasks or executors, run
    /// [`run_receive`](Self::run_receive), [`run_send`](Self::run_send) and
    /// [`run_timers`](Self::run_timers) there instead.
    pub async fn run(
        &self,
        port: PortId,
        receiver: &mut impl TransportRx,
        sender: &mut impl TransportTx,
    ) -> Infallible {
        // Before the first packet, so that its answer is laid out as the transport wants it.
        self.open_send(port, sender);
        let halves = join(
            self.run_receive(port, receiver),
            self.keep_sending(port, sender),
        );
        join(halves, self.keep_time(Some(port))).await.1
    }

    /// Takes packets from `transport` for ever. Lets other tasks run now and then, even if the
    /// neighbour never pauses.
    pub async fn run_receive(&self, port: PortId, transport: &mut impl TransportRx) -> Infallible {
        self.look(|shared| shared.core.set_can_wait(port, transport.can_wait()));
        // Counts packets until it wraps. A host that never pauses could otherwise keep a slow device
        // from everything but receiving, even from answering.
        let mut packets_in_a_row: u8 = 0;
        loop {
            let received = transport.receive().await;
            if self.receive(port, received) == Some(Receipt::HeldBack) {
                transport.put_back();
                transport.take_out_of_turn(|source, bytes| self.receive_ahead(port, source, bytes));
                self.no_longer_held_back(port).await;
            }
            packets_in_a_row = packets_in_a_row.wrapping_add(1);
            if packets_in_a_row == 0 {
                // Of tasks that were woken an executor may run the last one first: that is this one
                // again.
                yield_now().await;
                yield_now().await;
            }
        }
    }

    #[inline]
    fn receive(&self, port: PortId, received: Received<'_>) -> Option<Receipt> {
        let now = self.clock.now();
        self.lock(|shared| {
            let receipt = shared.core.received(now, port, received);
            match receipt {
                Some(Receipt::Delivered(channel)) => shared.wakers.wake_receiver(channel),
                Some(Receipt::Control) => shared.wakers.wake_transport(port),
                Some(Receipt::Forwarded(port)) => shared.wakers.wake_transport(port),
                _ => {}
            }
            receipt
        })
    }

    fn receive_ahead(&self, port: PortId, source: PhysicalAddress, bytes: &[u8]) -> bool {
        let now = self.clock.now();
        self.lock(|shared| {
            let is_taken = shared.core.receive_ahead(now, port, source, bytes);
            if is_taken {
                shared.wakers.wake_transport(port);
            }
            is_taken
        })
    }

    /// Waits until what was held back can be offered again.
    fn no_longer_held_back(&self, port: PortId) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            self.look(|shared| {
                if !shared.core.is_held_back(port) {
                    return Poll::Ready(());
                }
                if let Some(wakers) = shared.wakers.port(port) {
                    wakers.receive.register(context);
                }
                Poll::Pending
            })
        })
    }

    /// Gives transfers to `transport` for ever.
    pub async fn run_send(&self, port: PortId, transport: &mut impl TransportTx) -> Infallible {
        self.open_send(port, transport);
        self.keep_sending(port, transport).await
    }

    /// Says how the transport wants its transfers.
    fn open_send(&self, port: PortId, transport: &impl TransportTx) {
        self.lock(|shared| {
            let core = &mut shared.core;
            core.set_medium_specific(port, transport.medium_specific());
            core.set_layout(port, transport.layout());
        });
    }

    async fn keep_sending(&self, port: PortId, transport: &mut impl TransportTx) -> Infallible {
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

    /// Keeps time for ever. Where no port is [run whole](Self::run), nothing times out without it.
    pub fn run_timers(&self) -> impl Future<Output = Infallible> {
        self.keep_time(None)
    }

    /// Keeps time beside the halves of a port, or for all.
    async fn keep_time(&self, beside: Option<PortId>) -> Infallible {
        loop {
            let deadline = self.look(|shared| shared.core.next_deadline());
            let earlier = poll_fn(|context| {
                self.look(|shared| {
                    if shared.core.next_deadline() < deadline {
                        return Poll::Ready(());
                    }
                    shared.wakers.timer(beside).register(context);
                    Poll::Pending
                })
            });
            select(self.clock.wait_until(deadline), earlier).await;
            let now = self.clock.now();
            self.lock(|shared| {
                if shared.core.next_deadline() <= now {
                    shared.core.expire(now);
                }
            });
        }
    }

    #[inline(never)]
    fn give_back(&self, message: LentMessage<'b>) {
        self.lock(|shared| shared.core.give_back(message));
    }

    fn close(&self, channel: ChannelId) {
        self.lock(|shared| shared.core.close(channel));
    }
}

/// A copy of a message.
fn copied<'f>(message: &[u8], buf: &'f mut [u8]) -> mctp::Result<&'f mut [u8]> {
    let copy = buf.get_mut(..message.len());
    let copy = copy.ok_or(mctp::Error::NoSpace)?;
    copy.copy_from_slice(message);
    Ok(copy)
}

/// Waits for a channel's messages.
#[derive(Debug)]
struct NextMessage<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
}

impl<'r, 'b, M: RawMutex, C: Clock> NextMessage<'r, 'b, M, C> {
    fn new(router: &'r Router<'b, M, C>, channel: ChannelId) -> Self {
        Self { router, channel }
    }

    #[inline]
    fn poll(&mut self, shared: &mut Shared<'b>, context: &Context<'_>) -> Poll<LentMessage<'b>> {
        if let Some(message) = shared.core.take_message(self.channel) {
            return Poll::Ready(message);
        }
        if let Some(wakers) = shared.wakers.channel(self.channel) {
            wakers.receive.register(context);
        }
        Poll::Pending
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
            if let Some(last) = self.outbound.take() {
                let now = router.clock.now();
                shared.core.transmit_done(now, port, last, self.result);
            }
            self.outbound = shared.core.poll_transmit(port);
            if self.outbound.is_some() {
                self.result = Err(SendError::LinkDown);
                return Poll::Ready(());
            }
            if let Some(wakers) = shared.wakers.port(port) {
                wakers.transmit.register(context);
            }
            Poll::Pending
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
        });
    }
}
