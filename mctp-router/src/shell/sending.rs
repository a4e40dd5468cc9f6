//! Sending a message: a place in the port's line, and transfers as they become free.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_transport::DropReason;

use super::{Router, Shared, register};
use crate::clock::{Clock, Instant};
use crate::router_core::{ChannelId, Outgoing, Progress, RouterCore, SendFailure};

impl<'b, M: RawMutex, C: Clock> Router<'b, M, C> {
    /// Sends `message` for `channel`, to where `address` says. When dropped before its end, the message ends where it is; the receiver discards it.
    #[inline]
    pub(super) async fn send(
        &self,
        channel: ChannelId,
        address: impl FnOnce(&RouterCore<'b>) -> Outgoing,
        message: &[&[u8]],
    ) -> mctp::Result<()> {
        let mut turn = Turn {
            router: self,
            channel,
            waits: false,
        };
        let mut outgoing = self.lock(|shared| address(&shared.core));
        poll_fn(|context| {
            let now = self.clock.now();
            self.lock(|shared| {
                if let Some(result) = shared.try_send(now, channel, &mut outgoing, message) {
                    return Poll::Ready(result);
                }
                turn.waits = true;
                shared.wait_for_turn(channel, context);
                Poll::Pending
            })
        })
        .await
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
        if self
            .first_in_line(port)
            .is_some_and(|first| first != channel)
        {
            if !self.is_in_line(channel) {
                self.go_to_end_of_line(channel, port);
            }
            return None;
        }
        match self.core.send(now, outgoing, message) {
            Ok(progress) => {
                self.wake_port(port);
                self.rearm();
                if progress == Progress::Done {
                    return Some(Ok(()));
                }
                // Having had its turn it goes to the end of the line, so that all messages proceed together.
                self.go_to_end_of_line(channel, port);
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

/// A sender's place in the line, given up when it ends.
struct Turn<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
    /// It has a place.
    waits: bool,
}

impl<M: RawMutex, C: Clock> Drop for Turn<'_, '_, M, C> {
    fn drop(&mut self) {
        if self.waits {
            self.router.lock(|shared| shared.end_turn(self.channel));
        }
    }
}
