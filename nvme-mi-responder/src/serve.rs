//! The async shell: a management endpoint behind the traits of the `mctp` crate. No protocol
//! decision is taken here.

use core::cell::{Cell, RefCell, RefMut};
use core::convert::Infallible;
use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select, select_array};
use embassy_futures::yield_now;
use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, Eid, Error, MsgIC};
use mctp_time::Clock;

use crate::device::Device;
use crate::endpoint::ManagementEndpoint;
use crate::message::DropReason;
use crate::model::PortId;
use crate::requester::Requester;
use crate::transport_errors::TransportErrors;
use crate::world::World;

/// Where requests come from. [`Listener`] is one for the traits of the `mctp` crate, which copies
/// each request into a buffer; a router that lends messages in place needs no buffer.
pub trait Listen {
    /// A message that was received, where it is.
    type Message<'l>: ReceivedMessage
    where
        Self: 'l;

    /// Waits for the next message of type 04h. The future may be dropped at any time without losing
    /// a message.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`]: a message was too long, and is lost. Others: there will be no more.
    fn listen(&mut self) -> impl Future<Output = mctp::Result<Self::Message<'_>>>;
}

/// A message where it was received.
pub trait ReceivedMessage {
    /// The way back to whoever sent it.
    type Channel: AsyncRespChannel;

    /// Who sent it.
    fn source(&self) -> Eid;
    /// Whether the integrity check bit beside its type is set.
    fn integrity_check(&self) -> bool;
    /// What follows its message type byte.
    fn body(&self) -> &[u8];
    /// Gives its memory back, and keeps the way back.
    fn into_channel(self) -> Self::Channel;
    /// Gives its memory back: its Message Integrity Check is wrong, which whoever counts such
    /// messages is to count.
    fn discard_bad_integrity_check(self)
    where
        Self: Sized,
    {
    }
}

/// A management endpoint that is served, and what happens to it meanwhile.
///
/// - [`serve`](Self::serve) answers requests and sends events, until a listener fails.
/// - [`reset`](Self::reset) and [`note`](Self::note) may be called at any time beside it.
///
/// Several servers, one for each endpoint of a device, may run beside each other: in one task, or in
/// several tasks of one executor. A command of one endpoint that waits for one of another is looked
/// at again every 10 ms.
///
/// ```
/// use core::cell::RefCell;
///
/// use mctp::{AsyncListener, AsyncReqChannel, Eid, Error};
/// use nvme_mi_responder::world::World;
/// use nvme_mi_responder::{
///     Clock, Device, Listener, MAX_MESSAGE_LENGTH, ManagementEndpoint, Server,
/// };
///
/// async fn run<W: World, L: AsyncListener, Q: AsyncReqChannel>(
///     device: &RefCell<Device<'_, W>>,
///     endpoint: ManagementEndpoint<'_>,
///     listeners: [L; 3],
///     event_channel: impl FnMut(Eid) -> Q,
///     clock: impl Clock,
/// ) -> Error {
///     let mut buffer = [0; MAX_MESSAGE_LENGTH];
///     let buffer = RefCell::new(&mut buffer[..]);
///     let listeners = listeners.map(|listener| Listener::new(listener, &buffer));
///     let server = Server::new(device, endpoint);
///     server.serve(listeners, event_channel, &clock).await
/// }
/// ```
pub struct Server<'s, 'd, 'e, W> {
    port: PortId,
    device: &'s RefCell<Device<'d, W>>,
    endpoint: Shared<ManagementEndpoint<'e>>,
    /// Held by the listener that listens: one at a time.
    listens: Shared<()>,
    /// How many listeners are not held up by a message.
    free_listeners: Cell<usize>,
    /// What the endpoint is to be told when nobody uses it.
    link_lost: Cell<bool>,
    noted: Cell<TransportErrors>,
}

/// What a listener does next for the message that it got.
enum Next {
    Send,
    Listen,
    GiveUp,
}

impl<'s, 'd, 'e, W: World> Server<'s, 'd, 'e, W> {
    /// Serves this endpoint of the device.
    pub fn new(device: &'s RefCell<Device<'d, W>>, endpoint: ManagementEndpoint<'e>) -> Self {
        Self {
            port: endpoint.port(),
            device,
            endpoint: Shared::new(endpoint),
            listens: Shared::new(()),
            free_listeners: Cell::new(0),
            link_lost: Cell::new(false),
            noted: Cell::new(TransportErrors::NONE),
        }
    }

    /// The port of the endpoint.
    pub fn port(&self) -> PortId {
        self.port
    }

    /// The link was lost: [`ManagementEndpoint::reset`], as soon as the message that is being sent
    /// has ended.
    pub fn reset(&self) {
        self.noted.set(TransportErrors::NONE);
        self.link_lost.set(true);
        self.endpoint.wake();
    }

    /// Something was wrong with packets for the endpoint: [`ManagementEndpoint::note`], before the
    /// next request.
    pub fn note(&self, errors: TransportErrors) {
        self.noted.set(self.noted.get().and(errors));
    }

    /// The endpoint, which is served no more.
    pub fn into_endpoint(self) -> ManagementEndpoint<'e> {
        self.endpoint.value.into_inner()
    }

    /// Serves until a listener fails; returns why.
    ///
    /// - `listeners` all get the messages of type 04h: each message comes out of one of them. A
    ///   listener cannot take the next message before the last one is answered, hence several of
    ///   them. Three serve everything: one for each command slot and one for control primitives.
    ///   With fewer, commands wait for one that takes long, and a response that is held back by
    ///   Pause when no listener is left to hear Resume counts as sent; Replay still gets it.
    /// - `event_channel` makes a channel for an Asynchronous Event Message to that endpoint: a
    ///   request to which no response comes.
    ///
    /// Responses are sent one after the other, whoever they are for: a channel must fail when its
    /// requester does not read. That is no error here; the requester asks again if it wants to.
    ///
    /// The future may be dropped at any time. When the endpoint is served again, commands that were
    /// pending and responses that were not sent have been aborted.
    pub async fn serve<L, Q, C, const LISTENERS: usize>(
        &self,
        listeners: [L; LISTENERS],
        event_channel: impl FnMut(Eid) -> Q,
        clock: &C,
    ) -> Error
    where
        L: Listen,
        Q: AsyncReqChannel,
        C: Clock,
    {
        let abort_all = |endpoint: &mut ManagementEndpoint<'e>, device: &mut Device<'d, W>| {
            endpoint.abort_all(device);
            Some(())
        };
        self.use_both(abort_all).await;
        self.free_listeners.set(LISTENERS);
        let mut exchanges = 0u16..;
        let lanes = listeners.map(|listener| {
            let exchange = exchanges.next().unwrap_or(u16::MAX);
            self.answer(exchange, listener, clock)
        });
        match select(select_array(lanes), self.keep_time(event_channel, clock)).await {
            Either::First((error, _)) => error,
            Either::Second(never) => match never {},
        }
    }

    /// Takes messages from one listener and sends what there is to send for them.
    async fn answer(&self, exchange: u16, mut listener: impl Listen, clock: &impl Clock) -> Error {
        loop {
            let turn = self.listens.when(|()| Some(())).await;
            let message = match listener.listen().await {
                Ok(message) => message,
                Err(Error::NoSpace) => {
                    let mut endpoint = self.endpoint.when(|_| Some(())).await.0;
                    endpoint.count_drop(DropReason::TooLong);
                    continue;
                }
                Err(error) => return error,
            };
            let free = &self.free_listeners;
            free.set(free.get().saturating_sub(1));
            let requester = Requester {
                endpoint_id: message.source(),
                exchange,
            };
            let receive = |endpoint: &mut ManagementEndpoint<'e>, device: &mut Device<'d, W>| {
                let (now, check) = (clock.now(), message.integrity_check());
                Some(endpoint.receive(device, now, requester, check, message.body()))
            };
            let received = self.use_both(receive).await.1;
            // Until now the message may have been in the buffer that listeners share.
            drop(turn);
            match received {
                // A message that is dropped is counted.
                Err(DropReason::BadIntegrityCheck) => message.discard_bad_integrity_check(),
                _ => self.send_all(exchange, &mut message.into_channel()).await,
            }
            free.set(free.get().saturating_add(1));
            // However many messages wait, time and other tasks get the processor.
            yield_now().await;
        }
    }

    /// Sends what there is to send for a message, until there is nothing left.
    async fn send_all(&self, exchange: u16, channel: &mut impl AsyncRespChannel) {
        loop {
            let next = |endpoint: &mut ManagementEndpoint<'_>, _: &mut Device<'_, W>| {
                if endpoint.transmission_for(exchange).is_some() {
                    Some(Next::Send)
                } else if !endpoint.serves(exchange) {
                    Some(Next::Listen)
                } else if self.free_listeners.get() == 0 && endpoint.holds_back(exchange) {
                    Some(Next::GiveUp)
                } else {
                    None
                }
            };
            let (mut endpoint, next) = self.use_both(next).await;
            match (next, endpoint.transmission_for(exchange)) {
                (Next::Send, Some(transmission)) => {
                    let source = transmission.source;
                    let _ = channel
                        .send_vectored(MsgIC(true), &[transmission.body])
                        .await;
                    self.use_device(|device| endpoint.sent(device, source))
                        .await;
                }
                (Next::GiveUp, _) => {
                    self.use_device(|device| endpoint.give_up(device, exchange))
                        .await;
                    return;
                }
                _ => return,
            }
        }
    }

    /// Sends Asynchronous Event Messages, and tells the endpoint when time has passed.
    async fn keep_time<Q: AsyncReqChannel>(
        &self,
        mut event_channel: impl FnMut(Eid) -> Q,
        clock: &impl Clock,
    ) -> Infallible {
        loop {
            let (_, deadline) = self
                .use_both(|endpoint, _| Some(endpoint.next_deadline()))
                .await;
            let earlier = self.use_both(|endpoint, _| {
                let is_earlier = endpoint.next_deadline() < deadline;
                (is_earlier || endpoint.event_message().is_some()).then_some(())
            });
            select(clock.wait_until(deadline), earlier).await;
            let (mut endpoint, ()) = self.endpoint.when(|_| Some(())).await;
            if let Some(event) = endpoint.event_message() {
                let mut channel = event_channel(event.endpoint_id);
                let _ = channel
                    .send_vectored(mctp::MCTP_TYPE_NVME, MsgIC(true), &[event.body])
                    .await;
                endpoint.event_sent(clock.now());
            }
            let now = clock.now();
            if endpoint.next_deadline() <= now {
                self.use_device(|device| endpoint.advance(device, now))
                    .await;
            }
        }
    }

    /// Waits until nobody uses the endpoint, and `ready` says that it is time. What happened to the
    /// endpoint meanwhile, it is told before.
    fn use_both<R>(
        &self,
        mut ready: impl FnMut(&mut ManagementEndpoint<'e>, &mut Device<'d, W>) -> Option<R>,
    ) -> impl Future<Output = (Use<'_, ManagementEndpoint<'e>>, R)> {
        poll_fn(move |context| {
            self.endpoint.poll(context, |endpoint| {
                let Ok(mut device) = self.device.try_borrow_mut() else {
                    context.waker().wake_by_ref();
                    return None;
                };
                if self.link_lost.take() {
                    endpoint.reset(&mut device);
                }
                endpoint.note(self.noted.take());
                ready(endpoint, &mut device)
            })
        })
    }

    /// Does something with the device as soon as nobody else has it.
    fn use_device<R>(&self, does: impl FnOnce(&mut Device<'d, W>) -> R) -> impl Future<Output = R> {
        let mut does = Some(does);
        poll_fn(move |context| match self.device.try_borrow_mut() {
            Ok(mut device) => match does.take() {
                Some(does) => Poll::Ready(does(&mut device)),
                None => Poll::Pending,
            },
            Err(_) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }
}

/// Requests by the traits of the `mctp` crate, copied into a buffer that several listeners share: a
/// longer message than fits is dropped. [`MAX_MESSAGE_LENGTH`](crate::MAX_MESSAGE_LENGTH) bytes take
/// every message.
#[derive(Debug)]
pub struct Listener<'b, L> {
    listener: L,
    buffer: &'b RefCell<&'b mut [u8]>,
}

impl<'b, L: AsyncListener> Listener<'b, L> {
    /// Copies what comes from `listener` into `buffer`.
    pub const fn new(listener: L, buffer: &'b RefCell<&'b mut [u8]>) -> Self {
        Self { listener, buffer }
    }
}

impl<L: AsyncListener> Listen for Listener<'_, L> {
    type Message<'l>
        = Copied<'l, L::RespChannel<'l>>
    where
        Self: 'l;

    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "a server has one listener listen at a time, and nobody else borrows the buffer"
    )]
    async fn listen(&mut self) -> mctp::Result<Self::Message<'_>> {
        let mut buffer = self.buffer.try_borrow_mut().map_err(|_| Error::NoSpace)?;
        let (_, integrity_check, body, channel) = self.listener.recv(&mut buffer).await?;
        let length = body.len();
        let body = RefMut::map(buffer, |buffer| {
            buffer.get_mut(..length).unwrap_or_default()
        });
        Ok(Copied {
            body,
            integrity_check,
            channel,
        })
    }
}

/// A message of a [`Listener`].
#[derive(Debug)]
pub struct Copied<'l, R> {
    body: RefMut<'l, [u8]>,
    integrity_check: MsgIC,
    channel: R,
}

impl<R: AsyncRespChannel> ReceivedMessage for Copied<'_, R> {
    type Channel = R;

    fn source(&self) -> Eid {
        self.channel.remote_eid()
    }
    fn integrity_check(&self) -> bool {
        self.integrity_check.0
    }
    fn body(&self) -> &[u8] {
        &self.body
    }
    fn into_channel(self) -> R {
        self.channel
    }
}

/// Something that several futures of one task use, one at a time.
struct Shared<T> {
    value: RefCell<T>,
    /// Of the task: it polls all of them.
    waker: Cell<Option<Waker>>,
}

impl<T> Shared<T> {
    const fn new(value: T) -> Self {
        Self {
            value: RefCell::new(value),
            waker: Cell::new(None),
        }
    }

    /// Waits until nobody uses it, and `ready` says that it is time.
    fn when<R>(
        &self,
        mut ready: impl FnMut(&mut T) -> Option<R>,
    ) -> impl Future<Output = (Use<'_, T>, R)> {
        poll_fn(move |context| self.poll(context, &mut ready))
    }

    fn poll<R>(
        &self,
        context: &Context<'_>,
        ready: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<(Use<'_, T>, R)> {
        if let Ok(mut value) = self.value.try_borrow_mut()
            && let Some(result) = ready(&mut value)
        {
            let used = Use {
                value,
                waker: &self.waker,
            };
            return Poll::Ready((used, result));
        }
        // Mostly it is the one that is there already, and a clone would be a call.
        let waker = self.waker.take();
        let same = waker.filter(|waker| waker.will_wake(context.waker()));
        let waker = same.unwrap_or_else(|| context.waker().clone());
        self.waker.set(Some(waker));
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Use of something. Its end is news for all who wait.
struct Use<'t, T> {
    value: RefMut<'t, T>,
    waker: &'t Cell<Option<Waker>>,
}

impl<T> Deref for Use<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Use<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Use<'_, T> {
    fn drop(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
