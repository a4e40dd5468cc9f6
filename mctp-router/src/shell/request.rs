//! Sending requests and receiving their responses.

use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{AsyncReqChannel, Eid, MsgIC, MsgType};
use mctp_time::Clock;

use super::sending::SendMessage;
use super::{NextMessage, Router, copied};
use crate::clock::milliseconds;
use crate::router_core::{ChannelId, LentMessage, OpenError, Target};

impl<'b, M: RawMutex, C: Clock> Router<'b, M, C> {
    /// A channel for requests to there.
    pub fn request_channel(&self, target: Target) -> RequestChannel<'_, 'b, M, C> {
        RequestChannel::new(self, target)
    }
}

/// Requests to one endpoint, one at a time, and their responses.
///
/// A request takes a tag and one of the router's channels from `send` on, until the next `send`, a
/// timeout, or the channel's end. Dropping the future of `send` gives both back; dropping that of
/// `recv` does not, and it can be called again.
#[derive(Debug)]
pub struct RequestChannel<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    target: Target,
    /// The last request, from when it is sent.
    open: Option<OpenRequest<'r, 'b, M, C>>,
    timeout: u32,
}

/// A request's tag and channel. Dropping it gives both back.
#[derive(Debug)]
struct OpenRequest<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
}

impl<M: RawMutex, C: Clock> Drop for OpenRequest<'_, '_, M, C> {
    fn drop(&mut self) {
        self.router.close(self.channel);
    }
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

    fn await_response(&self, channel: ChannelId) {
        let now = self.router.clock.now();
        self.router
            .lock(|shared| shared.core.await_response(now, channel, self.timeout));
    }

    /// Waits for a response of `channel`; `None` when it did not come in time.
    async fn next_response(&self, channel: ChannelId) -> Option<LentMessage<'b>> {
        let mut next = NextMessage::new(self.router, channel);
        poll_fn(|context| {
            self.router.look(|shared| match next.poll(shared, context) {
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
    /// [`Unreachable`](mctp::Error::Unreachable) while the link is down, or when there is no such
    /// port, and
    /// [`TxFailure`](mctp::Error::TxFailure) while the neighbour takes nothing.
    async fn send_vectored(
        &mut self,
        typ: MsgType,
        integrity_check: MsgIC,
        bufs: &[&[u8]],
    ) -> mctp::Result<()> {
        self.open = None;
        let opened = self
            .router
            .look(|shared| shared.core.open_request(&self.target, typ, integrity_check));
        let (channel, outgoing) = opened.map_err(|error| match error {
            OpenError::NoPort => mctp::Error::Unreachable,
            OpenError::NoChannel => mctp::Error::NoSpace,
            OpenError::NoTag => mctp::Error::TagUnavailable,
        })?;
        let request = OpenRequest {
            router: self.router,
            channel,
        };
        SendMessage::new(self.router, outgoing, bufs).await?;
        self.open = Some(request);
        self.await_response(channel);
        Ok(())
    }

    /// [`mctp::Error::BadArgument`] without a `send` before, [`TimedOut`](mctp::Error::TimedOut)
    /// when no response came in time or the link was lost,
    /// [`Unreachable`](mctp::Error::Unreachable) when the neighbour did not acknowledge the request,
    /// and [`NoSpace`](mctp::Error::NoSpace) when `buf` is too short for it; it is then lost.
    async fn recv<'f>(
        &mut self,
        buf: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8])> {
        let request = self.open.as_ref();
        let channel = request.ok_or(mctp::Error::BadArgument)?.channel;
        let Some(lent) = self.next_response(channel).await else {
            let is_refused = self.router.look(|shared| shared.core.is_refused(channel));
            self.open = None;
            return Err(match is_refused {
                true => mctp::Error::Unreachable,
                false => mctp::Error::TimedOut,
            });
        };
        let (message_type, integrity_check) = (
            lent.origin().message_type(),
            lent.origin().integrity_check(),
        );
        let copied = copied(lent.bytes(), buf).map(|copy| (message_type, integrity_check, copy));
        self.router.give_back(lent);
        self.await_response(channel);
        copied
    }

    fn remote_eid(&self) -> Eid {
        self.target.endpoint_id()
    }
}
