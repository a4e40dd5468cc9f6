//! Sending a message: a place in the port's queue, and transfers as they become free.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp_transport::DropReason;

use super::{Router, Shared, register};
use crate::clock::{Clock, Instant};
use crate::router_core::{ChannelId, Outgoing, Progress, SendFailure};

impl<'b, M: RawMutex, C: Clock> Router<'b, M, C> {
    /// Sends `message` for `channel`. When dropped before its end, the message ends where it is; the receiver discards it.
    pub(super) async fn send(
        &self,
        channel: ChannelId,
        mut outgoing: Outgoing,
        message: &[&[u8]],
    ) -> mctp::Result<()> {
        let _place = Place {
            router: self,
            channel,
            outgoing_port: outgoing.port(),
        };
        poll_fn(|context| {
            let now = self.clock.now();
            self.lock(|shared| shared.poll_send(now, channel, &mut outgoing, message, context))
        })
        .await
    }
}

impl Shared<'_> {
    fn poll_send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        outgoing: &mut Outgoing,
        message: &[&[u8]],
        context: &Context<'_>,
    ) -> Poll<mctp::Result<()>> {
        let port = outgoing.port();
        let ahead = self.first_in_line(port).filter(|first| *first != channel);
        let progress = match ahead {
            Some(_) => Ok(Progress::Partial),
            None => self.core.send(now, outgoing, message),
        };
        match progress {
            Ok(Progress::Done) => {
                self.wake_port(port);
                self.rearm();
                Poll::Ready(Ok(()))
            }
            Ok(Progress::Partial) => {
                self.wake_port(port);
                self.rearm();
                self.wait_in_line(channel, outgoing, ahead.is_none(), context);
                Poll::Pending
            }
            Err(SendFailure::NoLink) => Poll::Ready(Err(mctp::Error::Unreachable)),
            Err(SendFailure::Stalled) => {
                self.core.count_drop(DropReason::SendTimeout);
                Poll::Ready(Err(mctp::Error::TxFailure))
            }
        }
    }

    /// Waits for a transfer. A sender that had its turn goes to the end of the line, so that all messages proceed together.
    fn wait_in_line(
        &mut self,
        channel: ChannelId,
        outgoing: &Outgoing,
        had_turn: bool,
        context: &Context<'_>,
    ) {
        let place = self.next_place;
        let Some(wakers) = self.channels.get_mut(channel.index()) else {
            return;
        };
        register(&mut wakers.send, context);
        if had_turn || wakers.place.is_none() {
            wakers.place = Some((outgoing.port(), place));
            self.next_place = place.wrapping_add(1);
        }
    }
}

/// A sender's place in the line, given up when it ends.
struct Place<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
    outgoing_port: crate::config::PortId,
}

impl<M: RawMutex, C: Clock> Drop for Place<'_, '_, M, C> {
    fn drop(&mut self) {
        self.router.lock(|shared| {
            let Some(wakers) = shared.channel(self.channel) else {
                return;
            };
            wakers.send = None;
            if wakers.place.take().is_some() {
                // The room it left in the transfer is the next one's.
                shared.wake_next_sender(self.outgoing_port);
            }
        });
    }
}
