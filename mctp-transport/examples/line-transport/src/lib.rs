//! Writes a transport: packets behind a length, over any byte stream of `embedded-io-async`.
//!
//! A frame is two bytes of length, the least significant first, and an MCTP packet. The stream is
//! reliable, so the link is up from the first byte that can be read, and down when the stream ends.

#![no_std]
#![forbid(unsafe_code)]

use embedded_io_async::{Read, Write};
use mctp_transport::{
    DropReason, HEADER_LEN, PhysicalAddress, Received, SendError, Transfer, TransferLayout,
    TransportRx, TransportTx,
};

/// The longest MCTP packet, in bytes.
pub const MAX_PACKET: usize = 1024;
const LENGTH_LEN: usize = 2;

/// Where the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Not told yet that it is up.
    Starting,
    Up,
    /// Nothing more can come, which is to be told.
    Ending,
    Down,
}

/// The receive half.
#[derive(Debug)]
pub struct LineReceiver<R> {
    stream: R,
    link: Link,
    /// A length and the packet behind it, as far as they have come.
    frame: [u8; LENGTH_LEN + MAX_PACKET],
    filled: usize,
    /// The frame is complete, and its packet is with the stack.
    is_lent: bool,
}

impl<R: Read> LineReceiver<R> {
    /// Receives from `stream`.
    pub const fn new(stream: R) -> Self {
        Self {
            stream,
            link: Link::Starting,
            frame: [0; LENGTH_LEN + MAX_PACKET],
            filled: 0,
            is_lent: false,
        }
    }

    /// How many bytes the frame has in all, as far as is known.
    fn frame_len(&self) -> usize {
        let length = match self.filled {
            0 | 1 => 0,
            _ => self
                .frame
                .first_chunk()
                .map_or(0, |length| u16::from_le_bytes(*length)),
        };
        usize::from(length).saturating_add(LENGTH_LEN)
    }

    /// Reads until the frame is complete. It may be dropped at any time: what has come stays.
    async fn fill(&mut self) -> Result<(), Received<'static>> {
        while self.filled < self.frame_len() {
            let len = self.frame_len();
            let Some(place) = self.frame.get_mut(self.filled..len) else {
                // Nobody knows where the next frame begins.
                self.link = Link::Ending;
                return Err(Received::Dropped(DropReason::BadLinkIntegrity));
            };
            match self.stream.read(place).await {
                Ok(0) | Err(_) => {
                    self.link = Link::Down;
                    return Err(Received::LinkDown);
                }
                Ok(len) => self.filled = self.filled.saturating_add(len),
            }
        }
        Ok(())
    }
}

impl<R: Read> TransportRx for LineReceiver<R> {
    async fn receive(&mut self) -> Received<'_> {
        match self.link {
            Link::Starting => {
                self.link = Link::Up;
                return Received::LinkUp;
            }
            Link::Up => {}
            Link::Ending => {
                self.link = Link::Down;
                return Received::LinkDown;
            }
            // A stream that has ended does not come back.
            Link::Down => core::future::pending().await,
        }
        if core::mem::take(&mut self.is_lent) {
            self.filled = 0;
        }
        if let Err(event) = self.fill().await {
            return event;
        }
        self.is_lent = true;
        Received::Packet {
            source: PhysicalAddress::POINT_TO_POINT,
            bytes: self.frame.get(LENGTH_LEN..self.filled).unwrap_or_default(),
        }
    }
}

/// The send half.
#[derive(Debug)]
pub struct LineSender<W> {
    stream: W,
    /// A frame was cut off. The other end cannot find those behind it.
    is_cut_off: bool,
}

impl<W: Write> LineSender<W> {
    /// Sends to `stream`.
    pub const fn new(stream: W) -> Self {
        Self {
            stream,
            is_cut_off: false,
        }
    }

    /// Writes whole frames. A stream that takes nothing is no error to `embedded-io-async`, whose
    /// `write_all` panics then.
    async fn write(&mut self, mut frames: &[u8]) -> Result<(), SendError> {
        if core::mem::replace(&mut self.is_cut_off, true) {
            return Err(SendError::LinkDown);
        }
        while !frames.is_empty() {
            match self.stream.write(frames).await {
                Ok(0) | Err(_) => return Err(SendError::LinkDown),
                Ok(len) => frames = frames.get(len..).unwrap_or_default(),
            }
        }
        self.is_cut_off = false;
        Ok(())
    }
}

impl<W: Write> TransportTx for LineSender<W> {
    fn layout(&self) -> TransferLayout {
        const MAX_FRAME: usize = LENGTH_LEN + MAX_PACKET;
        TransferLayout::new(LENGTH_LEN as u8, MAX_PACKET as u16, MAX_FRAME as u16).with_packs(true)
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        while let Some(bytes) = transfer.next_bus_transfer(|frame| {
            let length = u16::try_from(frame.packet.len()).unwrap_or(u16::MAX);
            frame.headroom.copy_from_slice(&length.to_le_bytes());
        }) {
            self.write(bytes).await?;
        }
        Ok(())
    }
}

const _: () = assert!(
    MAX_PACKET >= 64 + HEADER_LEN,
    "every endpoint takes the baseline unit"
);
