//! Sending requests and receiving their responses.

use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{AsyncReqChannel, Eid, MsgIC, MsgType};
use mctp_transport::PhysicalAddress;

use super::sending::SendMessage;
use super::{NextMessage, Router};
use crate::clock::{Clock, milliseconds};
use crate::config::PortId;
use crate::router_core::{ChannelId, LentMessage, OpenError, Target};

impl<'b, M: RawMutex, C: Clock> Router<'b, M, C> {
    /// A channel for requests to an endpoint, by its route; without one, to where the bus owner is;
    /// else by port 0.
    pub fn request_channel(&self, endpoint_id: Eid) -> RequestChannel<'_, 'b, M, C> {
        RequestChannel::new(
            self,
            Target {
                endpoint_id,
                neighbour: None,
            },
        )
    }

    /// A channel for requests to a neighbour of a port. With endpoint ID 0 the physical address
    /// alone says who is meant.
    pub fn request_channel_at(
        &self,
        port: PortId,
        address: PhysicalAddress,
        endpoint_id: Eid,
    ) -> RequestChannel<'_, 'b, M, C> {
        RequestChannel::new(
            self,
            Target {
                endpoint_id,
                neighbour: Some((port, address)),
            },
        )
    }
}

/// Requests to one endpoint, one at a time, and their responses.
///
/// A request takes a tag and one of the router's channels from `send` on, until the next `send`, a
/// timeout, or the channel's end. Dropping the future of `send` gives both back; dropping that of
/// `recv` does not, and it can be called again.
#[allow(missing_debug_implementations)]
pub struct RequestChannel<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    target: Target,
    open: Option<ChannelId>,
    timeout: u32,
}

impl<'r, 'b, M: RawMutex, C: Clock> RequestChannel<'r, 'b, M, C> {
    pub(super) fn new(router: &'r Router<'b, M, C>, target: Target) -> Self {
        Self {
            router,
            target,
            open: None,
            timeout: router.response_timeout,
        }
    }

    /// Sets how long to wait for a response, from the end of `send` or from the response before.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = milliseconds(timeout);
        self
    }

    fn release(&mut self) {
        if let Some(channel) = self.open.take() {
            self.router.close(channel);
        }
    }

    fn await_response(&self, channel: ChannelId) {
        let now = self.router.clock.now();
        self.router.lock(|shared| {
            shared.core.await_response(now, channel, self.timeout);
            shared.rearm();
        });
    }

    /// Waits for a response of `channel`; `None` when it did not come in time.
    async fn next_response(&self, channel: ChannelId) -> Option<LentMessage<'b>> {
        let mut next = NextMessage::new(self.router, channel);
        poll_fn(|context| {
            self.router.lock(|shared| match next.poll(shared, context) {
                Poll::Ready(lent) => Poll::Ready(Some(lent)),
                Poll::Pending if shared.core.has_expired(channel) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
        })
        .await
    }
}

impl<M: RawMutex, C: Clock> AsyncReqChannel for RequestChannel<'_, '_, M, C> {
    /// [`mctp::Error::TagUnavailable`] when all eight tags to the peer are in use,
    /// [`NoSpace`](mctp::Error::NoSpace) when all channels of the router are;
    /// [`Unreachable`](mctp::Error::Unreachable) while the link is down, and
    /// [`TxFailure`](mctp::Error::TxFailure) while the neighbour takes nothing.
    async fn send_vectored(
        &mut self,
        typ: MsgType,
        integrity_check: MsgIC,
        bufs: &[&[u8]],
    ) -> mctp::Result<()> {
        self.release();
        let opened = self
            .router
            .lock(|shared| shared.core.open_request(&self.target, typ, integrity_check));
        let (channel, outgoing) = opened.map_err(|error| match error {
            OpenError::NoChannel => mctp::Error::NoSpace,
            OpenError::NoTag => mctp::Error::TagUnavailable,
        })?;
        // Whatever happens before the end gives the tag back.
        let mut unsent = Self {
            router: self.router,
            target: self.target,
            open: Some(channel),
            timeout: self.timeout,
        };
        SendMessage::new(self.router, channel, outgoing, bufs).await?;
        self.open = unsent.open.take();
        self.await_response(channel);
        Ok(())
    }

    /// [`mctp::Error::BadArgument`] without a `send` before, [`TimedOut`](mctp::Error::TimedOut)
    /// when no response came in time or the link was lost, and [`NoSpace`](mctp::Error::NoSpace)
    /// when `buf` is too short for it; it is then lost.
    async fn recv<'f>(
        &mut self,
        buf: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8])> {
        let channel = self.open.ok_or(mctp::Error::BadArgument)?;
        let Some(lent) = self.next_response(channel).await else {
            self.release();
            return Err(mctp::Error::TimedOut);
        };
        let copied = match buf.get_mut(..lent.bytes().len()) {
            Some(buf) => {
                buf.copy_from_slice(lent.bytes());
                Ok((lent.message_type(), lent.integrity_check(), buf))
            }
            None => Err(mctp::Error::NoSpace),
        };
        self.router.give_back(lent);
        self.await_response(channel);
        copied
    }

    fn remote_eid(&self) -> Eid {
        self.target.endpoint_id
    }
}

impl<M: RawMutex, C: Clock> Drop for RequestChannel<'_, '_, M, C> {
    fn drop(&mut self) {
        self.release();
    }
}
