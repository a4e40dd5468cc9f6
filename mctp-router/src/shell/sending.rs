//! Sending a message: a part whenever its channel is first in the send queue.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_time::Clock;

use super::Router;
use crate::router_core::{Outgoing, Progress, SendFailure};

/// Sends a message. When dropped before its end, the message ends where it is; the receiver
/// discards it.
pub(super) struct SendMessage<'r, 'b, 's, 'p, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    outgoing: Outgoing,
    message: &'s [&'p [u8]],
    /// A part of it is to come.
    waits: bool,
}

impl<'r, 'b, 's, 'p, M: RawMutex, C: Clock> SendMessage<'r, 'b, 's, 'p, M, C> {
    /// Sends `message` there.
    #[inline]
    pub(super) fn new(
        router: &'r Router<'b, M, C>,
        outgoing: Outgoing,
        message: &'s [&'p [u8]],
    ) -> Self {
        Self {
            router,
            outgoing,
            message,
            waits: false,
        }
    }
}

impl<M: RawMutex, C: Clock> Future for SendMessage<'_, '_, '_, '_, M, C> {
    type Output = mctp::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let now = this.router.clock.now();
        this.router.lock(|shared| {
            let progress = shared.core.send(now, &mut this.outgoing, this.message);
            shared.wakers.wake_transport(this.outgoing.port());
            this.waits = false;
            match progress {
                Ok(Progress::Done) => Poll::Ready(Ok(())),
                Ok(Progress::Partial) => {
                    this.waits = true;
                    if let Some(wakers) = shared.wakers.channel(this.outgoing.channel()) {
                        wakers.send.register(context);
                    }
                    Poll::Pending
                }
                Err(SendFailure::NoLink | SendFailure::Superseded) => {
                    Poll::Ready(Err(mctp::Error::Unreachable))
                }
                Err(SendFailure::Stalled) => Poll::Ready(Err(mctp::Error::TxFailure)),
            }
        })
    }
}

impl<M: RawMutex, C: Clock> Drop for SendMessage<'_, '_, '_, '_, M, C> {
    fn drop(&mut self) {
        if self.waits {
            self.router
                .lock(|shared| shared.core.abandon(&self.outgoing));
        }
    }
}
