//! The receive half: a byte stream to read from.

use core::future::poll_fn;
use core::ops::Range;
use core::task::Poll;

use embedded_io_async::{Error, ErrorKind, Read};
use mctp_transport::{DropReason, PhysicalAddress, Received, TransportRx};

use crate::framing::{Decoded, Decoder};
use crate::line::is_link_lost;
use crate::{BufferTooSmall, Line, PermanentLine, Resync};

/// How many bytes are read at once, at most.
const READ_LEN: usize = 32;

/// After how many reads without a packet other tasks get a turn, so that neither noise without end
/// nor a driver that always fails keeps them from running.
const READS_BEFORE_PAUSE: u8 = 64;

/// Where the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up,
    /// Down, which is to be told.
    Lost,
}

/// Receives MCTP packets from a byte stream.
///
/// - Reads may be of any size: one byte, or several frames. Up to 32 bytes are read ahead.
/// - Read errors that are not the loss of the link ([`Line`]) cost the frame that they hit, counted
///   as [`DropReason::BadLinkIntegrity`], once for a run of them.
/// - A link that is lost within a frame costs that frame, counted as [`DropReason::LinkDown`].
/// - The future of [`receive`](TransportRx::receive) may be dropped at any time without losing a
///   byte, as far as `read` of the stream may: see [`Line`].
///
/// See [`Decoder`] for what a bad frame costs.
#[derive(Debug)]
pub struct Receiver<'d, L> {
    line: L,
    resync: &'d Resync,
    decoder: Decoder<'d>,
    link: Link,
    bytes: [u8; READ_LEN],
    /// Those of `bytes` that were read and not decoded.
    unread: Range<usize>,
    has_flow_control: bool,
}

impl<'d, R: Read> Receiver<'d, PermanentLine<R>> {
    /// Receives from `stream`, whose link is there from the beginning: a UART. `buffer` has room
    /// for one packet; `resync` is shared with the [`Sender`](crate::Sender).
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`BASELINE_PACKET`](crate::framing::BASELINE_PACKET).
    pub fn new(
        stream: R,
        resync: &'d Resync,
        buffer: &'d mut [u8],
    ) -> Result<Self, BufferTooSmall> {
        Self::on_line(PermanentLine::new(stream), resync, buffer)
    }
}

impl<'d, L> Receiver<'d, L> {
    /// Receives from a stream whose link can be lost and come back. Otherwise as
    /// [`new`](Receiver::new).
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`BASELINE_PACKET`](crate::framing::BASELINE_PACKET).
    pub fn on_line(
        line: L,
        resync: &'d Resync,
        buffer: &'d mut [u8],
    ) -> Result<Self, BufferTooSmall> {
        Ok(Self {
            line,
            resync,
            decoder: Decoder::new(buffer)?,
            link: Link::Down,
            bytes: [0; READ_LEN],
            unread: 0..0,
            has_flow_control: false,
        })
    }

    /// Says that the neighbour waits while nothing is read: a UART with RTS and CTS, a USB serial
    /// port, a socket, a pseudo-terminal. The stack may then leave a packet here until there is
    /// room for it.
    #[must_use]
    pub fn with_flow_control(mut self) -> Self {
        self.has_flow_control = true;
        self
    }

    /// The next packet or bad frame in what was read.
    fn decode(&mut self) -> Option<Decoded> {
        let mut unread = self.bytes.get(self.unread.clone()).unwrap_or_default();
        let decoded = self.decoder.decode(&mut unread);
        self.unread.start = self.unread.end.saturating_sub(unread.len());
        decoded
    }

    /// Takes what came of reading, and returns why that costs a frame.
    fn take(&mut self, read: Result<usize, ErrorKind>) -> Option<DropReason> {
        match read {
            Ok(len @ 1..) => {
                self.unread = 0..len;
                None
            }
            Err(kind) if !is_link_lost(kind) => self.decoder.lost(),
            Ok(0) | Err(_) => {
                self.link = Link::Lost;
                self.decoder.reset()
            }
        }
    }
}

impl<L: Line> TransportRx for Receiver<'_, L> {
    fn can_wait(&self) -> bool {
        self.has_flow_control
    }

    fn put_back(&mut self) {
        self.decoder.put_back();
    }

    async fn receive(&mut self) -> Received<'_> {
        let mut reads = 0_u8;
        loop {
            match self.link {
                Link::Up => {}
                Link::Lost => {
                    self.link = Link::Down;
                    return Received::LinkDown;
                }
                Link::Down => {
                    self.line.wait_connected().await;
                    self.link = Link::Up;
                    self.resync.request();
                    return Received::LinkUp;
                }
            }
            match self.decode() {
                Some(Decoded::Packet) => {
                    return Received::Packet {
                        source: PhysicalAddress::POINT_TO_POINT,
                        bytes: self.decoder.packet(),
                    };
                }
                Some(Decoded::Dropped(reason)) => return Received::Dropped(reason),
                None => {}
            }
            let read = self.line.read(&mut self.bytes).await;
            let read = read.map_err(|error| error.kind());
            if let Some(reason) = self.take(read) {
                return Received::Dropped(reason);
            }
            reads = reads.wrapping_add(1);
            if reads.is_multiple_of(READS_BEFORE_PAUSE) {
                let_others_run().await;
            }
        }
    }
}

async fn let_others_run() {
    let mut has_waited = false;
    poll_fn(|context| {
        if core::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
