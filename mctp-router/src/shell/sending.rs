//! Sending a message: a place in the port's line, and transfers as they become free.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_transport::DropReason;

use super::{Router, Shared, register};
use crate::clock::{Clock, Instant};
use crate::router_core::{ChannelId, Outgoing, Progress, SendFailure};

/// Sends a message. When dropped before its end, the message ends where it is; the receiver
/// discards it.
pub(super) struct SendMessage<'s, 'b, M: RawMutex, C: Clock> {
    router: &'s Router<'b, M, C>,
    channel: ChannelId,
    outgoing: Outgoing,
    message: &'s [&'s [u8]],
    /// The channel has a place in the line.
    waits: bool,
}

impl<'s, 'b, M: RawMutex, C: Clock> SendMessage<'s, 'b, M, C> {
    /// Sends `message` for `channel`.
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

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let now = this.router.clock.now();
        this.router.lock(|shared| {
            match shared.try_send(now, this.channel, &mut this.outgoing, this.message) {
                Some(result) => Poll::Ready(result),
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
    /// Sends as much as is possible now. `None` when there is more; then the channel has its place
    /// in line.
    fn try_send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
    ) -> Option<mctp::Result<()>> {
        let port = outgoing.port();
        let first = self.first_in_line(port);
        if first.is_some_and(|first| first != channel) {
            self.join_line(channel, port);
            return None;
        }
        let unsent = outgoing.remaining();
        match self.core.send(now, outgoing, message) {
            Ok(progress) => {
                self.wake_port(port);
                self.rearm();
                if progress == Progress::Done {
                    return Some(Ok(()));
                }
                // A channel that has sent something goes to the end of the line, so that all
                // messages proceed together. One that is asked while there is no room keeps its
                // place.
                if outgoing.remaining() == unsent {
                    self.join_line(channel, port);
                } else if self.last_in_line(port) != Some(channel) {
                    self.go_to_end_of_line(channel, port);
                }
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
        // Mostly its own waker; but it may be that of another message of the channel, which then
        // has no place either, and joins the line anew.
        self.wake_sender(channel);
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
