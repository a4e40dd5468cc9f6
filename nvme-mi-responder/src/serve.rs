//! The async shell: a responder behind the traits of the `mctp` crate. No protocol decision is
//! taken here.

use core::cell::{Cell, RefCell, RefMut};
use core::convert::Infallible;
use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select, select_array};
use embassy_futures::yield_now;
use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, Eid, Error, MsgIC};
use mctp_time::Clock;

use crate::message::DropReason;
use crate::responder::{Requester, Responder};
use crate::world::World;

/// Serves NVMe-MI with `responder` until a listener fails; returns why.
///
/// - `listeners` all get the messages of type 04h: each message comes out of one of them. A
///   listener of these traits cannot take the next message before the last one is answered, hence
///   several of them. Three serve everything: one for each command slot and one for control
///   primitives. With fewer, commands wait for one that takes long, and a response that is held
///   back by Pause when no listener is left to hear Resume counts as sent; Replay still gets it.
/// - `event_channel` makes a channel for an Asynchronous Event Message to that endpoint: a request
///   to which no response comes.
/// - `buffer` takes the message that is being received:
///   [`MAX_MESSAGE_LENGTH`](crate::MAX_MESSAGE_LENGTH) bytes. A longer message than fits is
///   dropped.
///
/// Responses are sent one after the other, whoever they are for: a channel must fail when its
/// requester does not read. That is no error here; the requester asks again if it wants to.
///
/// The future may be dropped at any time. When the responder is served again, commands that were
/// pending and responses that were not sent have been aborted.
///
/// ```
/// use mctp::{AsyncListener, AsyncReqChannel, Eid, Error};
/// use nvme_mi_responder::world::World;
/// use nvme_mi_responder::{Clock, MAX_MESSAGE_LENGTH, Responder, serve};
///
/// async fn run<W: World, L: AsyncListener, Q: AsyncReqChannel>(
///     mut responder: Responder<'_, W>,
///     listeners: [L; 3],
///     event_channel: impl FnMut(Eid) -> Q,
///     clock: impl Clock,
/// ) -> Error {
///     let mut buffer = [0; MAX_MESSAGE_LENGTH];
///     serve(&mut responder, listeners, event_channel, &clock, &mut buffer).await
/// }
/// ```
pub async fn serve<W, L, Q, C, const LISTENERS: usize>(
    responder: &mut Responder<'_, W>,
    listeners: [L; LISTENERS],
    event_channel: impl FnMut(Eid) -> Q,
    clock: &C,
    buffer: &mut [u8],
) -> Error
where
    W: World,
    L: AsyncListener,
    Q: AsyncReqChannel,
    C: Clock,
{
    responder.abort_all();
    let shared = Shared {
        responder: Turns::new(responder),
        buffer: Turns::new(buffer),
        listening: Cell::new(LISTENERS),
        clock,
    };
    let mut exchanges = 0u16..;
    let lanes = listeners.map(|listener| {
        let exchange = exchanges.next().unwrap_or(u16::MAX);
        answer(&shared, exchange, listener)
    });
    match select(select_array(lanes), keep_time(&shared, event_channel)).await {
        Either::First((error, _)) => error,
        Either::Second(never) => match never {},
    }
}

/// What the listeners share.
struct Shared<'s, 'r, 'm, W, C> {
    responder: Turns<&'r mut Responder<'m, W>>,
    buffer: Turns<&'r mut [u8]>,
    /// How many listeners are not held up by a message.
    listening: Cell<usize>,
    clock: &'s C,
}

/// What a listener does next for the message that it got.
enum Next {
    Send,
    Listen,
    GiveUp,
}

/// Takes messages from one listener and sends what there is to send for them.
async fn answer<W: World, C: Clock>(
    shared: &Shared<'_, '_, '_, W, C>,
    exchange: u16,
    mut listener: impl AsyncListener,
) -> Error {
    loop {
        let mut buffer = shared.buffer.turn().await;
        let (_, integrity_check, body, mut channel) = match listener.recv(&mut buffer).await {
            Ok(message) => message,
            Err(Error::NoSpace) => {
                let mut responder = shared.responder.turn().await;
                responder.count_drop(DropReason::TooLong);
                continue;
            }
            Err(error) => return error,
        };
        shared
            .listening
            .set(shared.listening.get().saturating_sub(1));
        let requester = Requester {
            endpoint_id: channel.remote_eid(),
            exchange,
        };
        let mut responder = shared.responder.turn().await;
        // Counted.
        let _ = responder.receive(shared.clock.now(), requester, integrity_check.0, body);
        drop(responder);
        drop(buffer);
        send_all(shared, exchange, &mut channel).await;
        shared
            .listening
            .set(shared.listening.get().saturating_add(1));
        // However many messages wait, time and other tasks have their turns.
        yield_now().await;
    }
}

/// Sends what there is to send for a message, until there is nothing left.
async fn send_all<W: World, C: Clock>(
    shared: &Shared<'_, '_, '_, W, C>,
    exchange: u16,
    channel: &mut impl AsyncRespChannel,
) {
    loop {
        let next = |responder: &mut &mut Responder<'_, W>| {
            if responder.transmission_for(exchange).is_some() {
                Some(Next::Send)
            } else if !responder.serves(exchange) {
                Some(Next::Listen)
            } else if shared.listening.get() == 0 && responder.holds_back(exchange) {
                Some(Next::GiveUp)
            } else {
                None
            }
        };
        let (mut responder, next) = shared.responder.when(next).await;
        match (next, responder.transmission_for(exchange)) {
            (Next::Send, Some(transmission)) => {
                let source = transmission.source;
                let _ = channel
                    .send_vectored(MsgIC(true), &[transmission.body])
                    .await;
                responder.sent(source);
            }
            (Next::GiveUp, _) => return responder.give_up(exchange),
            _ => return,
        }
    }
}

/// Sends Asynchronous Event Messages, and tells the responder when time has passed.
async fn keep_time<W: World, C: Clock, Q: AsyncReqChannel>(
    shared: &Shared<'_, '_, '_, W, C>,
    mut event_channel: impl FnMut(Eid) -> Q,
) -> Infallible {
    loop {
        let deadline = shared.responder.turn().await.next_deadline();
        let earlier = shared.responder.when(|responder| {
            let is_earlier = responder.next_deadline() < deadline;
            (is_earlier || responder.event_message().is_some()).then_some(())
        });
        select(shared.clock.wait_until(deadline), earlier).await;
        let mut responder = shared.responder.turn().await;
        if let Some(event) = responder.event_message() {
            let mut channel = event_channel(event.endpoint_id);
            let _ = channel
                .send_vectored(mctp::MCTP_TYPE_NVME, MsgIC(true), &[event.body])
                .await;
            responder.event_sent(shared.clock.now());
        }
        let now = shared.clock.now();
        if responder.next_deadline() <= now {
            responder.advance(now);
        }
    }
}

/// Something that several futures of one task use in turn.
struct Turns<T> {
    value: RefCell<T>,
    /// Of the task: it polls all of them.
    waker: Cell<Option<Waker>>,
}

impl<T> Turns<T> {
    const fn new(value: T) -> Self {
        Self {
            value: RefCell::new(value),
            waker: Cell::new(None),
        }
    }

    /// Waits until nobody uses it.
    fn turn(&self) -> impl Future<Output = Turn<'_, T>> {
        poll_fn(|context| self.poll(context, |_| Some(())).map(|(turn, ())| turn))
    }

    /// Waits until nobody uses it, and `ready` says that it is time.
    fn when<R>(
        &self,
        mut ready: impl FnMut(&mut T) -> Option<R>,
    ) -> impl Future<Output = (Turn<'_, T>, R)> {
        poll_fn(move |context| self.poll(context, &mut ready))
    }

    fn poll<R>(
        &self,
        context: &Context<'_>,
        ready: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<(Turn<'_, T>, R)> {
        if let Ok(mut value) = self.value.try_borrow_mut()
            && let Some(result) = ready(&mut value)
        {
            let turn = Turn {
                value,
                waker: &self.waker,
            };
            return Poll::Ready((turn, result));
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// Use of something. Its end is news for all who wait.
struct Turn<'t, T> {
    value: RefMut<'t, T>,
    waker: &'t Cell<Option<Waker>>,
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
