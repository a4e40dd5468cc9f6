//! The two halves of a transport.

use core::future::Future;

use crate::{DropReason, PhysicalAddress, Transfer, TransferLayout};

/// What a transport's receive half has for the stack.
///
/// A stack has to do something for each of these, so the variants are complete: another one would
/// be a change of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// One MCTP packet, header first, still in the transport's own buffer.
    ///
    /// Its link-level checks have passed; nothing in it has been looked at.
    Packet {
        /// The neighbour that sent it.
        source: PhysicalAddress,
        /// The bytes of the packet, transport header and trailer removed.
        bytes: &'a [u8],
    },
    /// The transport discarded something; the stack counts it.
    Dropped(DropReason),
    /// The link can carry packets from now on. Nothing from before is on its way any more.
    LinkUp,
    /// The link cannot carry packets any more: unplugged, reset, or not configured. Unfinished
    /// messages are lost.
    LinkDown,
    /// One MCTP packet that went to all devices on the bus, as far as the bus tells: a physical
    /// broadcast. Otherwise as [`Packet`](Self::Packet).
    ///
    /// Nobody in particular was addressed: a null destination endpoint ID, which means the one
    /// device at the physical address, has no meaning in it. That is our reading: we know of no clause
    /// that speaks of the two together.
    Broadcast {
        /// The neighbour that sent it.
        source: PhysicalAddress,
        /// The bytes of the packet, transport header and trailer removed.
        bytes: &'a [u8],
    },
}

/// The receive half of a transport.
///
/// A transport without flow control implements [`receive`](Self::receive) alone: the defaults of
/// the other methods are right for it. One that [can wait](Self::can_wait) implements
/// [`put_back`](Self::put_back) too, and [`take_out_of_turn`](Self::take_out_of_turn) if it
/// receives several packets at once.
pub trait TransportRx {
    /// Waits for the next packet or change of the link.
    ///
    /// For callers: call it again at once, unless it [can wait](Self::can_wait): a transport may
    /// lose packets while nobody receives. The future may be dropped at any time without losing a
    /// packet.
    ///
    /// For implementers: there is no error to return, so that no error can be returned for ever.
    /// What is malformed is one [`Received::Dropped`], and the next good packet comes through.
    /// When the link is lost, say [`Received::LinkDown`] once, then wait for it to come back.
    /// The first call starts with the link down.
    fn receive(&mut self) -> impl Future<Output = Received<'_>>;

    /// Whether the neighbour waits, and nothing is lost, while nobody receives: the stack may then
    /// [put a packet back](Self::put_back) until there is room for it. `false` unless the link has
    /// flow control: USB, a socket, a UART with RTS and CTS.
    fn can_wait(&self) -> bool {
        false
    }

    /// Has the next [`receive`](Self::receive) return once more the packet that the last one
    /// returned; a change of the link may come before it.
    ///
    /// For callers: call it only on a transport that [can wait](Self::can_wait), and before
    /// anything else is received.
    ///
    /// For implementers: the default does nothing. Every transport that can wait implements this
    /// method; no other is asked to put a packet back.
    fn put_back(&mut self) {}

    /// Offers the packets to `take` that [`receive`](Self::receive) returns next without waiting, in
    /// their order, and forgets those for which it returns `true`. Where none are known, `take` is
    /// not called.
    ///
    /// For callers: a stack that has put a packet back takes in this way the packets that need not
    /// wait behind it.
    ///
    /// For implementers: a [`Received::Broadcast`] is not offered, as `take` is not told that it is
    /// one. The default offers none. That is right for a transport that cannot wait,
    /// and for one that has no more than one packet at a time.
    fn take_out_of_turn(&mut self, take: impl FnMut(PhysicalAddress, &[u8]) -> bool) {
        let _ = take;
    }
}

/// Why a transfer was not sent.
///
/// A stack that does not know a variant, which may be added later, counts it under its
/// [`DropReason`] and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The link is down; what was in the transfer is lost.
    #[error("the link is down")]
    LinkDown,
    /// The neighbour did not accept the transfer (such as an I2C address that did not acknowledge).
    #[error("the neighbour did not accept the transfer")]
    NotAccepted,
}

/// The send half of a transport.
pub trait TransportTx {
    /// How packets are to be laid out for this transport. Constant for as long as the link is up.
    fn layout(&self) -> TransferLayout;

    /// What Get Endpoint ID answers in its last byte when it comes by this transport (DSP0236 1.3.3,
    /// section 12.5): as the binding says. Constant for as long as the transport is used.
    ///
    /// For implementers: the default, 0, is right for a binding that says nothing. A transport around
    /// another one passes that one's on.
    fn medium_specific(&self) -> u8 {
        0
    }

    /// Sends one transfer to `transfer.destination()`, and returns when its buffer may be filled
    /// again.
    ///
    /// For callers: a neighbour that reads nothing lets this wait without end; other ports go on
    /// meanwhile. Dropping the future may cut the transfer short on the wire.
    ///
    /// For implementers: send one [`Transfer::next_bus_transfer`] after the other, each frame of which
    /// gets its header and trailer first. Never add a packet, split one or change their order.
    fn send(&mut self, transfer: &mut Transfer<'_>) -> impl Future<Output = Result<(), SendError>>;
}

impl From<SendError> for DropReason {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkDown => Self::LinkDown,
            SendError::NotAccepted => Self::NotAccepted,
        }
    }
}
