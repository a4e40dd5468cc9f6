//! The receive half: a target.

use mctp_transport::{DropReason, PhysicalAddress, Received, TransportRx};

use crate::framing::{self, HEADER_LEN, MAX_TRANSACTION, TRAILER_LEN};
use crate::{FrameError, Target, TargetAddress, TargetError};

/// Bytes of a receive buffer for packets of every length: a transaction, and a byte that tells a
/// longer one.
pub const RECEIVE_BUFFER_LEN: usize = MAX_TRANSACTION + 1;

/// Bytes of the shortest receive buffer: for packets of the baseline transmission unit.
///
/// A buffer for payloads of up to `n` bytes has `n` + 10 bytes.
pub const MIN_RECEIVE_BUFFER_LEN: usize = {
    let packet = mctp_transport::HEADER_LEN + mctp_transport::BASELINE_TRANSMISSION_UNIT;
    HEADER_LEN + packet + TRAILER_LEN + 1
};

/// The receive buffer is shorter than [`MIN_RECEIVE_BUFFER_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the receive buffer has no room for a packet of the baseline transmission unit")]
pub struct BufferTooSmall;

/// Receives MCTP packets that controllers write to the device's own address, in place.
///
/// - A packet's source is the address in the transaction's source byte: the router answers
///   there.
/// - What is malformed costs itself, one [`Received::Dropped`] for each transaction (see
///   [`FrameError`]): [`DropReason::BadLinkIntegrity`]; if it is too short for a packet,
///   [`DropReason::Truncated`]; if the packet is longer than the buffer allows,
///   [`DropReason::UnsupportedTransmissionUnit`].
/// - The link goes up and down as the [`Target`] says.
/// - The bus has no flow control for it to [wait](TransportRx::can_wait): a packet that
///   is not acknowledged costs Linux the message.
#[derive(Debug)]
pub struct Receiver<'d, T> {
    target: T,
    address: TargetAddress,
    /// The destination byte, and what the target received behind it.
    buffer: &'d mut [u8],
    is_up: bool,
}

impl<'d, T: Target> Receiver<'d, T> {
    /// Receives what `target`, whose address on the bus is `address`, gets, into `buffer`.
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`MIN_RECEIVE_BUFFER_LEN`].
    pub fn new(
        target: T,
        address: TargetAddress,
        buffer: &'d mut [u8],
    ) -> Result<Self, BufferTooSmall> {
        if buffer.len() < MIN_RECEIVE_BUFFER_LEN {
            return Err(BufferTooSmall);
        }
        Ok(Self {
            target,
            address,
            buffer,
            is_up: false,
        })
    }

    /// What came of receiving `len` bytes behind the destination byte.
    fn received(&self, len: usize) -> Received<'_> {
        let bytes = self.buffer.get(..len.saturating_add(1));
        // The hardware says no more than the buffer has.
        let bytes = bytes.unwrap_or(self.buffer);
        match framing::decode(bytes) {
            Ok(decoded) => Received::Packet {
                source: decoded.source.into(),
                bytes: decoded.packet,
            },
            Err(FrameError::WrongByteCount) if self.is_cut_short(bytes) => {
                Received::Dropped(DropReason::UnsupportedTransmissionUnit)
            }
            Err(error) => Received::Dropped(error.into()),
        }
    }

    /// Whether the buffer was too short for the transaction, going by the byte count.
    fn is_cut_short(&self, bytes: &[u8]) -> bool {
        let byte_count = bytes.get(2).copied().map_or(0, usize::from);
        let whole = byte_count.saturating_add(HEADER_LEN + TRAILER_LEN - 1);
        bytes.len() == self.buffer.len() && whole > self.buffer.len()
    }
}

impl<T: Target> TransportRx for Receiver<'_, T> {
    async fn receive(&mut self) -> Received<'_> {
        if !self.is_up {
            self.target.wait_enabled().await;
            self.is_up = true;
            return Received::LinkUp;
        }
        let Some((destination, behind)) = self.buffer.split_first_mut() else {
            // The buffer is not empty.
            return core::future::pending().await;
        };
        *destination = self.address.destination_byte();
        match self.target.receive(behind).await {
            Ok(len) => self.received(len),
            Err(TargetError::Disabled) => {
                self.is_up = false;
                Received::LinkDown
            }
            Err(TargetError::Overrun | TargetError::Bus) => {
                Received::Dropped(DropReason::BadLinkIntegrity)
            }
        }
    }
}

impl<T> Receiver<'_, T> {
    /// The device's own address, as the router knows it.
    pub fn address(&self) -> PhysicalAddress {
        self.address.into()
    }
}
