//! Sending a message: a place in the port's line, and transfers as they become free.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_transport::DropReason;

use super::{Router, Shared, register, wake};
use crate::clock::{Clock, Instant};
use crate::router_core::{ChannelId, Outgoing, Progress, SendFailure};

/// Sends a message. When dropped before its end, the message ends where it is; the receiver discards it.
#[allow(missing_debug_implementations)]
#[must_use = "futures do nothing unless polled"]
pub struct SendMessage<'s, 'b, M: RawMutex, C: Clock> {
    router: &'s Router<'b, M, C>,
    channel: ChannelId,
    outgoing: Outgoing,
    message: &'s [&'s [u8]],
    /// The channel has a place in the line.
    waits: bool,
}

impl<'s, 'b, M: RawMutex, C: Clock> SendMessage<'s, 'b, M, C> {
    /// Sends `message` for `channel`, to where `outgoing` says.
    #[inline]
    pub(super) fn new(
        router: &'s Router<'b, M, C>,
        channel: ChannelId,
        outgoing: Outgoing,
        message: &'s [&'s [u8]],
    ) -> Self {
        Self {
            router,
            channel,
            outgoing,
            message,
            waits: false,
        }
    }
}

impl<M: RawMutex, C: Clock> Future for SendMessage<'_, '_, M, C> {
    type Output = mctp::Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let now = this.router.clock.now();
        this.router.lock(|shared| {
            match shared.try_send(now, this.channel, &mut this.outgoing, this.message) {
                Some(result) => {
                    // Whoever keeps the finished future does not keep its place.
                    if this.waits {
                        this.waits = false;
                        shared.end_turn(this.channel);
                    }
                    Poll::Ready(result)
                }
                None => {
                    this.waits = true;
                    shared.wait_for_turn(this.channel, context);
                    Poll::Pending
                }
            }
        })
    }
}

impl<M: RawMutex, C: Clock> Drop for SendMessage<'_, '_, M, C> {
    fn drop(&mut self) {
        if self.waits {
            self.router.lock(|shared| shared.end_turn(self.channel));
        }
    }
}

impl Shared<'_> {
    /// Sends as much as is possible now. `None` when there is more; then the channel has its place in line.
    #[inline]
    fn try_send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Option<mctp::Result<()>> {
        let port = outgoing.port();
        let Some(wakers) = self.ports.get_mut(usize::from(port.0)) else {
            return Some(Err(mctp::Error::Unreachable));
        };
        if wakers.line.first().is_some_and(|first| first != channel) {
            self.join_line(channel, port);
            return None;
        }
        match self.core.send(now, outgoing, message) {
            Ok(Progress::Done) => {
                wake(&mut wakers.transmit);
                self.rearm();
                Some(Ok(()))
            }
            Ok(Progress::Partial) => {
                wake(&mut wakers.transmit);
                // Having had its turn it goes to the end of the line, so that all messages proceed together.
                if wakers.line.last() != Some(channel) {
                    self.go_to_end_of_line(channel, port);
                }
                self.rearm();
                None
            }
            Err(SendFailure::NoLink) => Some(Err(mctp::Error::Unreachable)),
            Err(SendFailure::Stalled) => {
                self.core.count_drop(DropReason::SendTimeout);
                Some(Err(mctp::Error::TxFailure))
            }
        }
    }

    fn end_turn(&mut self, channel: ChannelId) {
        if let Some(wakers) = self.channel(channel) {
            wakers.send = None;
        }
        if let Some(port) = self.leave_line(channel) {
            // The room it left in the transfer is the next one's.
            self.wake_next_sender(port);
        }
    }

    fn wait_for_turn(&mut self, channel: ChannelId, context: &Context<'_>) {
        if let Some(wakers) = self.channel(channel) {
            register(&mut wakers.send, context);
        }
    }
}
