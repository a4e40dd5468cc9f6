//! Receiving requests and answering them.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{AsyncListener, AsyncRespChannel, Eid, MsgIC, MsgType};
use mctp_time::Clock;
use mctp_transport::DropReason;

use super::sending::SendMessage;
use super::{NextMessage, RequestChannel, Router, copied};
use crate::router_core::{ChannelId, LentMessage, Origin, Target};

/// The messages of one [`Service`](crate::Service). Dropping it ends the service.
///
/// Receive in place with [`receive`](Self::receive), or through [`mctp::AsyncListener`], which
/// copies.
#[derive(Debug)]
pub struct Listener<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
}

impl<'r, 'b, M: RawMutex, C: Clock> Listener<'r, 'b, M, C> {
    pub(super) fn new(router: &'r Router<'b, M, C>, channel: ChannelId) -> Self {
        Self { router, channel }
    }

    /// Waits for the next message, and lends it in place. The future may be dropped at any time
    /// without losing a message. One task may wait at a time.
    #[inline]
    pub fn receive(&self) -> Receive<'_, 'b, M, C> {
        Receive(NextMessage::new(self.router, self.channel))
    }
}

/// The future of [`Listener::receive`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Receive<'l, 'b, M: RawMutex, C: Clock>(NextMessage<'l, 'b, M, C>);

impl<'l, 'b, M: RawMutex, C: Clock> Future for Receive<'l, 'b, M, C> {
    type Output = Message<'l, 'b, M, C>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let router = self.0.router;
        let lent = router.look(|shared| self.0.poll(shared, context));
        lent.map(|lent| Message {
            router,
            lent: Some(lent),
        })
    }
}

impl<M: RawMutex, C: Clock> Drop for Listener<'_, '_, M, C> {
    fn drop(&mut self) {
        self.router.close(self.channel);
    }
}

/// A received message, in the router's buffer. Dropping it frees the buffer.
#[derive(Debug)]
pub struct Message<'m, 'b, M: RawMutex, C: Clock> {
    router: &'m Router<'b, M, C>,
    /// `Some` until dropped.
    lent: Option<LentMessage<'b>>,
}

impl<'m, 'b, M: RawMutex, C: Clock> Message<'m, 'b, M, C> {
    /// The message from behind the message type byte. If it has an integrity check, that is its
    /// end.
    pub fn bytes(&self) -> &[u8] {
        self.lent
            .as_ref()
            .map(LentMessage::bytes)
            .unwrap_or_default()
    }

    /// Where it came from, and what type of message it is.
    pub fn origin(&self) -> &Origin {
        self.lent
            .as_ref()
            .map_or(&Origin::NOBODY, LentMessage::origin)
    }

    /// Sends `response`, its slices as one, to the sender of the message. The slices may be parts of
    /// the message itself. Send one response of a message at a time.
    ///
    /// Errors as of [`Responder`]'s `send_vectored`.
    ///
    /// When its future is dropped before its end, the message ends where it is; the receiver
    /// discards it.
    pub fn respond(
        &self,
        integrity_check: MsgIC,
        response: &[&[u8]],
    ) -> impl Future<Output = mctp::Result<()>> {
        let outgoing = self.origin().response(integrity_check);
        SendMessage::new(self.router, outgoing, response)
    }

    /// Gives the buffer back, and keeps the way back to the sender.
    pub fn into_responder(self) -> Responder<'m, 'b, M, C> {
        Responder {
            router: self.router,
            origin: *self.origin(),
        }
    }

    /// Discards the message because its integrity check failed, and counts it (DSP0236 section
    /// 8.9).
    pub fn discard_bad_integrity_check(self) {
        self.router.count_drop(DropReason::BadIntegrityCheck);
    }
}

impl<M: RawMutex, C: Clock> Drop for Message<'_, '_, M, C> {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            self.router.give_back(lent);
        }
    }
}

/// The way back to the sender of a message: to its endpoint ID and physical address, with its tag.
///
/// Sending fails with [`mctp::Error::Unreachable`] while the link is down, and with
/// [`mctp::Error::TxFailure`] when the neighbour has taken nothing for
/// [`Config::send_timeout`](crate::Config::send_timeout), and until it takes something again.
#[derive(Debug)]
pub struct Responder<'m, 'b, M: RawMutex, C: Clock> {
    router: &'m Router<'b, M, C>,
    origin: Origin,
}

impl<'m, 'b, M: RawMutex, C: Clock> AsyncRespChannel for Responder<'m, 'b, M, C> {
    type ReqChannel<'a>
        = RequestChannel<'a, 'b, M, C>
    where
        Self: 'a;

    fn send_vectored(
        &mut self,
        integrity_check: MsgIC,
        bufs: &[&[u8]],
    ) -> impl Future<Output = mctp::Result<()>> {
        let outgoing = self.origin.response(integrity_check);
        SendMessage::new(self.router, outgoing, bufs)
    }

    fn remote_eid(&self) -> Eid {
        self.origin.source()
    }

    fn req_channel(&self) -> mctp::Result<Self::ReqChannel<'_>> {
        let (port, address) = self.origin.neighbour();
        let target = Target::Neighbour(port, address, self.origin.source());
        Ok(RequestChannel::new(self.router, target))
    }
}

impl<'r, 'b, M: RawMutex, C: Clock> AsyncListener for Listener<'r, 'b, M, C> {
    type RespChannel<'a>
        = Responder<'a, 'b, M, C>
    where
        Self: 'a;

    /// [`mctp::Error::NoSpace`] when `buf` is too short for the message, which is then lost.
    fn recv<'f>(
        &mut self,
        buf: &'f mut [u8],
    ) -> impl Future<Output = mctp::Result<(MsgType, MsgIC, &'f mut [u8], Self::RespChannel<'_>)>>
    {
        self.receive_into(buf)
    }
}

/// For a service that receives the next message while it still owes the response to the last one:
/// several shared references to its listener are that many listeners, for one task: only one of
/// them may receive at a time, and they share one place in the send queue, so that a
/// response by a port that is stuck can delay one by another port for the send time limit.
impl<'l, 'b, M: RawMutex, C: Clock> AsyncListener for &'l Listener<'_, 'b, M, C> {
    type RespChannel<'a>
        = Responder<'l, 'b, M, C>
    where
        Self: 'a;

    /// [`mctp::Error::NoSpace`] when `buf` is too short for the message, which is then lost.
    fn recv<'f>(
        &mut self,
        buf: &'f mut [u8],
    ) -> impl Future<Output = mctp::Result<(MsgType, MsgIC, &'f mut [u8], Self::RespChannel<'_>)>>
    {
        self.receive_into(buf)
    }
}

impl<'b, M: RawMutex, C: Clock> Listener<'_, 'b, M, C> {
    /// Receives a copy of the next message.
    async fn receive_into<'f>(
        &self,
        buf: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8], Responder<'_, 'b, M, C>)> {
        let message = self.receive().await;
        let origin = *message.origin();
        let copy = copied(message.bytes(), buf)?;
        Ok((
            origin.message_type(),
            origin.integrity_check(),
            copy,
            message.into_responder(),
        ))
    }
}
