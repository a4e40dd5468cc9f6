//! The send half: a byte stream to write to.

use embedded_io_async::{Error, ErrorKind, Write};
use mctp_transport::{SendError, Transfer, TransferLayout, TransportTx};

use crate::framing::{BASELINE_PACKET, Encoder, Frame};
use crate::line::is_link_lost;
use crate::{FrameCheckSequence, Resync};

/// How many bytes are written at once, at most. A frame of the baseline unit takes three writes.
const WRITE_LEN: usize = 32;

/// Sends MCTP packets to a byte stream, one frame for each.
///
/// The recovery preamble ([`framing::PREAMBLE`](crate::framing::PREAMBLE)) comes before the first
/// frame of a sender, after each `LinkUp` of the [`Receiver`](crate::Receiver) with the same
/// [`Resync`], and where [`Resync::request`] asks for it.
///
/// # When a send is dropped half-way, or fails
///
/// How much of the frame is on the wire is not known: the writer may have taken bytes that it did
/// not tell of. The next [`send`](TransportTx::send) begins with the preamble, so the neighbour
/// drops the frame that was cut off, and not the next one. The packet of the cut-off frame is lost,
/// unless all of its bytes were taken already.
///
/// # Errors
///
/// - The writer fails with an error of a kind that [`Line`](crate::Line) names, or takes nothing:
///   [`SendError::LinkDown`].
/// - It fails in another way, or the transfer has another layout than
///   [`layout`](TransportTx::layout): [`SendError::NotAccepted`].
///
/// The writer is flushed behind each frame. On a UART without flow control, `send` returns although
/// nobody may be listening.
#[derive(Debug)]
pub struct Sender<'d, W> {
    stream: W,
    resync: &'d Resync,
    encoder: Encoder,
    max_packet: u8,
}

impl<'d, W: Write> Sender<'d, W> {
    /// Sends to `stream` packets of up to 68 bytes, the baseline unit, as Linux takes them.
    pub const fn new(stream: W, resync: &'d Resync) -> Self {
        Self {
            stream,
            resync,
            encoder: Encoder::new(FrameCheckSequence::Raw),
            max_packet: BASELINE_PACKET as u8,
        }
    }

    /// Sends the frame check sequence in another form than that of Linux.
    #[must_use]
    pub fn with_frame_check_sequence(mut self, form: FrameCheckSequence) -> Self {
        self.encoder = Encoder::new(form);
        self
    }

    /// Sends packets of up to so many bytes, packet header included; taken as 68 when less. The
    /// neighbour must take them: Linux 7.2 and 7.3 drop packets of more than 74 bytes, and lose
    /// track of frames.
    #[must_use]
    pub const fn with_max_packet(mut self, max_packet: u8) -> Self {
        self.max_packet = max_packet;
        if (max_packet as usize) < BASELINE_PACKET {
            self.max_packet = BASELINE_PACKET as u8;
        }
        self
    }

    /// Whether transfers of this layout can be sent.
    fn sends(&self, layout: TransferLayout) -> bool {
        (layout.headroom, layout.tailroom) == (TransferLayout::MIN_HEADROOM, 0)
            && !layout.packs
            && layout.max_packet <= self.max_packet.into()
    }
}

impl<W: Write> TransportTx for Sender<'_, W> {
    fn layout(&self) -> TransferLayout {
        let headroom = TransferLayout::MIN_HEADROOM;
        let max_packet = u16::from(self.max_packet);
        TransferLayout::new(
            headroom,
            max_packet,
            max_packet.saturating_add(headroom.into()),
        )
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        if !self.sends(transfer.layout()) {
            return Err(SendError::NotAccepted);
        }
        if self.resync.take() {
            self.encoder.resynchronise();
        }
        // The layout has one frame in a transfer, behind room that serial frames have no use for.
        while let Some(bytes) = transfer.next_bus_transfer(|_| {}) {
            let packet = bytes.get(TransferLayout::MIN_HEADROOM.into()..);
            let frame = self.encoder.begin(packet.unwrap_or_default());
            let frame = frame.ok_or(SendError::NotAccepted)?;
            write(&mut self.stream, frame).await.map_err(send_error)?;
            self.encoder.finish();
            if let Err(error) = self.stream.flush().await {
                self.encoder.resynchronise();
                return Err(send_error(error.kind()));
            }
        }
        Ok(())
    }
}

/// Writes all bytes.
async fn write(stream: &mut impl Write, mut bytes: Frame<'_>) -> Result<(), ErrorKind> {
    loop {
        let mut piece = [0; WRITE_LEN];
        let places = piece.iter_mut().zip(bytes.by_ref());
        let len = places.map(|(place, byte)| *place = byte).count();
        let mut unwritten = piece.get(..len).unwrap_or_default();
        if unwritten.is_empty() {
            return Ok(());
        }
        while !unwritten.is_empty() {
            let written = stream
                .write(unwritten)
                .await
                .map_err(|error| error.kind())?;
            if written == 0 {
                return Err(ErrorKind::BrokenPipe);
            }
            unwritten = unwritten.get(written..).unwrap_or_default();
        }
    }
}

const fn send_error(kind: ErrorKind) -> SendError {
    match is_link_lost(kind) {
        true => SendError::LinkDown,
        false => SendError::NotAccepted,
    }
}

#[cfg(test)]
mod tests;
