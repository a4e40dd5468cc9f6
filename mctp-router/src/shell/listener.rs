//! Receiving requests and answering them.

use core::future::poll_fn;

use embassy_sync::blocking_mutex::raw::RawMutex;
use mctp::{AsyncListener, AsyncRespChannel, Eid, MsgIC, MsgType};
use mctp_transport::{DropReason, PhysicalAddress};

use super::{RequestChannel, Router};
use crate::clock::Clock;
use crate::config::PortId;
use crate::router_core::{ChannelId, LentMessage, Origin, Target};

/// The messages of one [`Service`](crate::Service). Dropping it ends the service.
///
/// Receive in place with [`receive`](Self::receive), or through [`mctp::AsyncListener`], which copies.
#[allow(missing_debug_implementations)]
pub struct Listener<'r, 'b, M: RawMutex, C: Clock> {
    router: &'r Router<'b, M, C>,
    channel: ChannelId,
}

impl<'r, 'b, M: RawMutex, C: Clock> Listener<'r, 'b, M, C> {
    pub(super) fn new(router: &'r Router<'b, M, C>, channel: ChannelId) -> Self {
        Self { router, channel }
    }

    /// Waits for the next message, and lends it in place. The future may be dropped at any time without losing a message.
    pub async fn receive(&mut self) -> Message<'_, 'b, M, C> {
        let _forget = Forget {
            router: self.router,
            channel: self.channel,
        };
        let lent = poll_fn(|context| self.router.take_message(self.channel, context)).await;
        let responder = Responder {
            router: self.router,
            channel: self.channel,
            origin: lent.origin,
        };
        Message {
            lent: Some(lent),
            responder,
        }
    }
}

impl<M: RawMutex, C: Clock> Drop for Listener<'_, '_, M, C> {
    fn drop(&mut self) {
        self.router.close(self.channel);
    }
}

/// Forgets the waker of a future that is dropped.
pub(super) struct Forget<'r, 'b, M: RawMutex, C: Clock> {
    pub(super) router: &'r Router<'b, M, C>,
    pub(super) channel: ChannelId,
}

impl<M: RawMutex, C: Clock> Drop for Forget<'_, '_, M, C> {
    fn drop(&mut self) {
        self.router.forget_receiver(self.channel);
    }
}

/// A received message, in the router's buffer. Dropping it frees the buffer.
#[allow(missing_debug_implementations)]
pub struct Message<'m, 'b, M: RawMutex, C: Clock> {
    /// `Some` until dropped.
    lent: Option<LentMessage<'b>>,
    responder: Responder<'m, 'b, M, C>,
}

impl<'m, 'b, M: RawMutex, C: Clock> Message<'m, 'b, M, C> {
    /// The message from behind the message type byte. If it has an integrity check, that is its end.
    pub fn bytes(&self) -> &[u8] {
        self.lent
            .as_ref()
            .map(LentMessage::bytes)
            .unwrap_or_default()
    }

    /// The message type.
    pub fn message_type(&self) -> MsgType {
        self.responder.origin.message_type()
    }

    /// Whether the message says that it has an integrity check (the IC bit).
    pub fn integrity_check(&self) -> MsgIC {
        mctp::decode_type_ic(self.responder.origin.type_ic).1
    }

    /// Who sent it.
    pub fn source(&self) -> Eid {
        self.responder.origin.source
    }

    /// The port it came by, and the neighbour that it came from.
    pub fn neighbour(&self) -> (PortId, PhysicalAddress) {
        (self.responder.origin.port, self.responder.origin.address)
    }

    /// Sends `response`, its slices as one, to whoever sent the message. The slices may be parts of the message itself.
    ///
    /// Errors as of [`Responder`]'s `send_vectored`.
    pub async fn respond(&self, integrity_check: MsgIC, response: &[&[u8]]) -> mctp::Result<()> {
        self.responder
            .send_response(integrity_check, response)
            .await
    }

    /// Discards the message because its integrity check failed, and counts it (DSP0236 section 8.9).
    pub fn discard_bad_integrity_check(self) {
        self.responder
            .router
            .count_drop(DropReason::BadIntegrityCheck);
    }
}

impl<M: RawMutex, C: Clock> Drop for Message<'_, '_, M, C> {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            self.responder.router.give_back(lent);
        }
    }
}

/// The way back to the sender of a message: to its endpoint ID and physical address, with its tag.
///
/// Sending fails with [`mctp::Error::Unreachable`] while the link is down, and with [`mctp::Error::TxFailure`] when the neighbour has taken
/// nothing for [`Config::send_timeout`](crate::Config::send_timeout), and until it takes something again.
#[allow(missing_debug_implementations)]
pub struct Responder<'m, 'b, M: RawMutex, C: Clock> {
    router: &'m Router<'b, M, C>,
    channel: ChannelId,
    origin: Origin,
}

impl<M: RawMutex, C: Clock> Responder<'_, '_, M, C> {
    async fn send_response(&self, integrity_check: MsgIC, message: &[&[u8]]) -> mctp::Result<()> {
        let outgoing = self
            .router
            .lock(|shared| shared.core.response(&self.origin, integrity_check));
        self.router.send(self.channel, outgoing, message).await
    }
}

impl<'m, 'b, M: RawMutex, C: Clock> AsyncRespChannel for Responder<'m, 'b, M, C> {
    type ReqChannel<'a>
        = RequestChannel<'a, 'b, M, C>
    where
        Self: 'a;

    async fn send_vectored(&mut self, integrity_check: MsgIC, bufs: &[&[u8]]) -> mctp::Result<()> {
        self.send_response(integrity_check, bufs).await
    }

    fn remote_eid(&self) -> Eid {
        self.origin.source
    }

    fn req_channel(&self) -> mctp::Result<Self::ReqChannel<'_>> {
        let neighbour = Some((self.origin.port, self.origin.address));
        Ok(RequestChannel::new(
            self.router,
            Target {
                endpoint_id: self.origin.source,
                neighbour,
            },
        ))
    }
}

impl<'r, 'b, M: RawMutex, C: Clock> AsyncListener for Listener<'r, 'b, M, C> {
    type RespChannel<'a>
        = Responder<'a, 'b, M, C>
    where
        Self: 'a;

    /// [`mctp::Error::NoSpace`] when `buf` is too short for the message, which is then lost.
    async fn recv<'f>(
        &mut self,
        buf: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8], Self::RespChannel<'_>)> {
        let message = self.receive().await;
        let bytes = message.bytes();
        let buf = buf.get_mut(..bytes.len()).ok_or(mctp::Error::NoSpace)?;
        buf.copy_from_slice(bytes);
        let Responder {
            router,
            channel,
            origin,
        } = message.responder;
        let (message_type, integrity_check) = (message.message_type(), message.integrity_check());
        Ok((
            message_type,
            integrity_check,
            buf,
            Responder {
                router,
                channel,
                origin,
            },
        ))
    }
}
