//! The send half: a bulk IN endpoint.

use core::ops::Range;

use embassy_usb_driver::{EndpointError, EndpointIn};
use mctp_transport::{Frame, SendError, Transfer, TransferLayout, TransportTx};

use crate::framing::{HEADER_LEN, IDENTIFIER, MAX_TRANSFER_1_0, MIN_LENGTH, header};
use crate::{BusEvents, Version};

/// What completes a 1.1 packet that broke off: the header of the shortest packet, as far as the
/// host does not have it, then zeros.
const COMPLETION: [u8; HEADER_LEN + ZEROS] = {
    let mut bytes = [0; HEADER_LEN + ZEROS];
    [bytes[0], bytes[1]] = IDENTIFIER;
    bytes[3] = SHORTEST_LENGTH;
    bytes
};

/// How many zeros are sent at once.
const ZEROS: usize = 64;

/// The length in the header of the shortest packet.
const SHORTEST_LENGTH: u8 = MIN_LENGTH as u8;

/// The shortest limit there is for a packet: the baseline transmission unit and the MCTP packet
/// header (DSP0236, 8.4).
const BASELINE_PACKET: u16 = 68;

/// How many full USB transfers of 1.0 a stack hands over at once, at most: more would keep control
/// responses waiting, and a host that reads slowly from being told from one that does not read.
const TRANSFERS_AT_ONCE: u8 = 8;

/// What a [`Sender`] may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendLimits {
    /// The longest MCTP packet, packet header included, in bytes; taken as 68 when less, and as
    /// [`Version::max_packet`] when more.
    pub max_packet: u16,
    /// The longest USB transfer, in bytes; taken as one packet when less, and in 1.0 as 512 when
    /// more.
    ///
    /// The default in 1.0 is 511, not 512: at high speed every transfer is then a short USB packet
    /// and ends by itself, for a host that reads 512 bytes at a time (Linux 7.2) as for one
    /// that reads more. It costs nothing for the longest packets, of which two are 510 bytes.
    pub max_transfer: u16,
    /// 1.0 only: whether a zero-length packet follows a transfer of 512 bytes.
    ///
    /// Not needed by hosts that read 512 bytes at a time: they have the whole transfer already.
    /// Others wait for it. Without effect unless `max_transfer` allows 512 bytes.
    pub zlp_after_full_transfer: bool,
}

impl SendLimits {
    /// The longest packets of a version, in transfers of up to 511 bytes (1.0) or one such packet
    /// (1.1).
    pub const fn new(version: Version) -> Self {
        Self {
            max_packet: version.max_packet(),
            max_transfer: match version {
                Version::V1_0 => 511,
                #[cfg(feature = "v1-1")]
                Version::V1_1 => 8191,
            },
            zlp_after_full_transfer: false,
        }
    }
}

/// How far an unfinished transfer came on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Unfinished {
    /// 1.1 only, of the packet it broke off in, header included: bytes that the host has, and
    /// bytes that are missing.
    sent: u16,
    missing: u16,
    /// A USB packet of full length was the last one: the host waits for more.
    open: bool,
}

impl Unfinished {
    /// The host has `sent` bytes more: the first of `bytes`, which begin with those that were
    /// missing.
    fn count(&mut self, version: Version, bytes: &[u8], sent: usize) {
        let mut packet_sent = usize::from(self.sent).wrapping_add(sent);
        let mut end = usize::from(self.missing);
        while end < sent
            && let Some(header) = bytes.get(end..).and_then(<[u8]>::first_chunk)
            && let Some(length) = version.decode(*header)
        {
            packet_sent = sent.wrapping_sub(end);
            end = end.wrapping_add(length);
        }
        // Both are less than the length of a packet, or the packet is complete and only the second
        // counts.
        self.sent = packet_sent as u16;
        self.missing = end.wrapping_sub(sent) as u16;
    }

    /// The send was dropped. A packet that broke off in its header is to become the shortest one
    /// with the header bytes that were sent: so the missing header bytes are always those of
    /// [`COMPLETION`].
    fn cut_off(&mut self) {
        match self.sent {
            // The upper bits of the length were sent. With eight zeros for the lower ones they are
            // a length themselves.
            3 if self.missing > 0xFC => {
                let length = self.missing.wrapping_add(3) & 0xFF00;
                self.missing = length.wrapping_sub(3);
                self.sent = HEADER_LEN as u16;
            }
            sent @ 1..=3 => self.missing = u16::from(SHORTEST_LENGTH).wrapping_sub(sent),
            _ => {}
        }
    }

    /// The next USB packet that completes the packet, of at most `full` bytes.
    fn completion(&self, full: usize) -> Option<&'static [u8]> {
        let begin = usize::from(self.sent).min(HEADER_LEN);
        let len = usize::from(self.missing).min(ZEROS).min(full);
        COMPLETION.get(begin..begin.wrapping_add(len))
    }
}

/// Sends MCTP packets to a bulk IN endpoint.
///
/// In 1.1 a [`Transfer`] is one USB transfer. In 1.0, where USB transfers are short, it may have as
/// many bytes as eight: it goes out as several of whole packets, each as full as
/// [`SendLimits::max_transfer`] allows. So a stack with a longer buffer fills transfers
/// less often.
///
/// The host sees the end of a USB transfer by a short USB packet, or else a zero-length packet; in
/// 1.0 there is none after 512 bytes (which only a [`SendLimits::max_transfer`] of 512 allows)
/// unless [`SendLimits::zlp_after_full_transfer`] asks for it.
///
/// # When a send is dropped half-way
///
/// The next [`send`](TransportTx::send) first ends what is on the wire, so that the host does not
/// join the two:
///
/// - 1.0, high speed: nothing to end, a USB transfer is one USB packet and was sent or not.
/// - 1.0, full speed: a zero-length packet. The host drops the packet that broke off.
/// - 1.1: a packet may go on in the next transfer, so ending the transfer is not enough: the packet
///   that broke off is completed with zeros. The host takes it for a packet; the message it belongs
///   to is damaged, which only a message integrity check shows. A packet that broke off in the four
///   bytes before it becomes a shorter one of nothing but zeros, which hosts discard: its header
///   version is 0. Don't drop a 1.1 send while the link is up if you can wait.
///
/// Not after a bus reset: then the host has forgotten it as well.
#[derive(Debug)]
pub struct Sender<'d, E> {
    endpoint: E,
    events: &'d BusEvents,
    version: Version,
    layout: TransferLayout,
    zlp_after_full_transfer: bool,
    unfinished: Unfinished,
}

impl<'d, E: EndpointIn> Sender<'d, E> {
    /// Sends to `endpoint`.
    pub fn new(endpoint: E, version: Version, events: &'d BusEvents, limits: SendLimits) -> Self {
        Self {
            endpoint,
            events,
            version,
            layout: layout(version, limits),
            zlp_after_full_transfer: limits.zlp_after_full_transfer,
            unfinished: Unfinished::default(),
        }
    }

    fn max_packet_size(&self) -> usize {
        usize::from(self.endpoint.info().max_packet_size).max(1)
    }

    /// The next USB packet: of what an earlier `send` left on the wire, then of `transfer`; with all
    /// that the host does not have of the USB transfer. `None` when there is no more.
    fn next_usb_packet<'t>(
        &mut self,
        transfer: &'t mut Transfer<'_>,
        current: &mut BusTransfer,
    ) -> Option<(&'t [u8], &'t [u8])> {
        let full = self.max_packet_size();
        if current.unsent.is_empty() {
            if self.version.spans_transfers() && self.unfinished.missing > 0 {
                return Some((self.unfinished.completion(full)?, &[]));
            }
            if self.unfinished.open && self.host_waits_after(current.len) {
                return Some((&[], &[]));
            }
            self.unfinished = Unfinished::default();
            current.len = transfer.next_bus_transfer(write_header)?.len();
            let end = transfer.taken();
            current.unsent = end.wrapping_sub(current.len)..end;
        }
        let unsent = transfer.as_bytes().get(current.unsent.clone())?;
        Some((unsent.get(..full).unwrap_or(unsent), unsent))
    }

    /// The host has the first `len` bytes of `unsent`: a USB packet.
    fn sent(&mut self, len: usize, unsent: &[u8]) {
        if self.version.spans_transfers() {
            self.unfinished.count(self.version, unsent, len);
        }
        self.unfinished.open = len == self.max_packet_size();
    }

    /// Whether the host waits for a zero-length packet behind a transfer of whole USB packets.
    fn host_waits_after(&self, transfer_len: usize) -> bool {
        self.version.spans_transfers()
            || transfer_len < MAX_TRANSFER_1_0
            || self.zlp_after_full_transfer
    }

    /// Whether transfers of this layout can be sent.
    fn sends(&self, layout: TransferLayout) -> bool {
        let room = (usize::from(layout.headroom), layout.tailroom);
        room == (HEADER_LEN, 0)
            && layout.max_packet <= self.layout.max_packet
            && layout.max_transfer <= self.layout.max_transfer
    }
}

/// Writes the header of a packet.
fn write_header(frame: Frame<'_>) {
    if let Some(room) = frame.headroom.first_chunk_mut() {
        *room = header(frame.packet.len());
    }
}

impl<E: EndpointIn> TransportTx for Sender<'_, E> {
    fn layout(&self) -> TransferLayout {
        self.layout
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        if !self.sends(transfer.layout()) {
            return Err(SendError::NotAccepted);
        }
        if self.events.take_sender_restarted() {
            self.unfinished = Unfinished::default();
        }
        if self.version.spans_transfers() {
            self.unfinished.cut_off();
        }
        let mut current = BusTransfer::default();
        while let Some((packet, unsent)) = self.next_usb_packet(transfer, &mut current) {
            let mut written = self.endpoint.write(packet).await;
            if written.is_ok() {
                self.sent(packet.len(), unsent);
                current.sent(packet.len());
                if self.events.take_sender_restarted() && !current.is_last_of(transfer) {
                    written = Err(EndpointError::Disabled);
                }
            }
            match written {
                Ok(()) => {}
                Err(EndpointError::Disabled) => {
                    self.unfinished = Unfinished::default();
                    return Err(SendError::LinkDown);
                }
                Err(EndpointError::BufferOverflow) => return Err(SendError::NotAccepted),
            }
        }
        Ok(())
    }
}

/// The USB transfer under way.
#[derive(Default)]
struct BusTransfer {
    /// Bytes of it; 0 while it is one that an earlier `send` left.
    len: usize,
    /// Where in the [`Transfer`] is what the host does not have.
    unsent: Range<usize>,
}

impl BusTransfer {
    fn sent(&mut self, len: usize) {
        self.unsent.start = self.unsent.start.saturating_add(len).min(self.unsent.end);
    }

    /// Whether the host has all of it, and nothing comes after it.
    fn is_last_of(&self, transfer: &Transfer<'_>) -> bool {
        self.unsent.is_empty() && transfer.packets().next().is_none()
    }
}

/// What the stack is asked for.
const fn layout(version: Version, limits: SendLimits) -> TransferLayout {
    let max_packet = if limits.max_packet < BASELINE_PACKET {
        BASELINE_PACKET
    } else if limits.max_packet > version.max_packet() {
        version.max_packet()
    } else {
        limits.max_packet
    };
    let one_packet = max_packet.saturating_add(HEADER_LEN as u16);
    let max_transfer = match version {
        _ if limits.max_transfer < one_packet => one_packet,
        Version::V1_0 if limits.max_transfer > MAX_TRANSFER_1_0 as u16 => MAX_TRANSFER_1_0 as u16,
        _ => limits.max_transfer,
    };
    let transfers_at_once = match version {
        Version::V1_0 => TRANSFERS_AT_ONCE,
        #[cfg(feature = "v1-1")]
        Version::V1_1 => 1,
    };
    TransferLayout::new(HEADER_LEN as u8, max_packet, max_transfer)
        .with_transfers_at_once(transfers_at_once)
        .with_packs(true)
}

#[cfg(test)]
mod tests;
