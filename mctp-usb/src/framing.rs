//! The packet header and the receive parser (DSP0283 1.0 and 1.1), without I/O.
//!
//! Each MCTP packet has four bytes before it:
//!
//! | byte | 1.0 | 1.1 |
//! |-|-|-|
//! | 0, 1 | 1Ah B4h | 1Ah B4h |
//! | 2 | reserved: 0 on send, ignored on receipt | bits 7:5 reserved, bits 4:0 length 12:8 |
//! | 3 | length | length 7:0 |
//!
//! The length counts **these four bytes too**. So a packet of 68 bytes has the length 72; the
//! longest are 255 (1.0: a packet of 251 bytes) and 8191 (1.1: 8187 bytes). A length below 8 has no
//! room for an MCTP packet header and is malformed.
//!
//! [`Reassembler`] finds the packets in what the USB host sends.

use core::ops::Range;

use mctp_transport::DropReason;

mod boundary;

/// Length of the header before each packet, in bytes.
pub const HEADER_LEN: usize = 4;

/// The longest USB packet there is on a bulk endpoint below SuperSpeed, and the longest 1.0
/// transfer, in bytes.
pub const MAX_TRANSFER_1_0: usize = 512;

/// The first two bytes of each header.
pub(crate) const IDENTIFIER: [u8; 2] = [0x1A, 0xB4];

/// The shortest length a header can have: itself and an MCTP packet header.
pub(crate) const MIN_LENGTH: usize = HEADER_LEN + mctp_transport::HEADER_LEN;

/// The smallest limit a receiver may have: header, MCTP packet header and the 64 bytes that every
/// endpoint accepts (DSP0236, 8.4).
#[cfg(feature = "v1-1")]
const BASELINE_LENGTH: usize = MIN_LENGTH + mctp_transport::BASELINE_TRANSMISSION_UNIT;

/// A receive buffer of this length takes every 1.0 transfer, at high and at full speed.
pub const RECEIVE_BUFFER_LEN_1_0: usize = MAX_TRANSFER_1_0;

/// A receive buffer of this length takes the longest 1.1 packet and, behind it, one USB packet, at
/// high and at full speed.
pub const RECEIVE_BUFFER_LEN_1_1: usize = 8191 + 512;

/// The header, in both versions, of an MCTP packet of `packet_len` bytes, which the version
/// carries.
#[inline]
pub(crate) fn header(packet_len: usize) -> [u8; HEADER_LEN] {
    let [first, second] = IDENTIFIER;
    let [high, low] = (packet_len.wrapping_add(HEADER_LEN) as u16).to_be_bytes();
    [first, second, high, low]
}

/// The shortest packet's header as a number, big-endian.
const SHORTEST_HEADER: u32 =
    u32::from_be_bytes([IDENTIFIER[0], IDENTIFIER[1], 0, MIN_LENGTH as u8]);

/// The most that [`past_shortest`] is for a good header of any version.
const MOST_PAST_SHORTEST: u32 = 0xFFFF - MIN_LENGTH as u32;

/// How much longer the packet behind a header is than the shortest one: more than
/// [`MOST_PAST_SHORTEST`] if the header is malformed. So one comparison checks the identifier, the
/// least and the greatest length.
const fn past_shortest(header: [u8; HEADER_LEN], header_bits: u32) -> u32 {
    (u32::from_be_bytes(header) & header_bits).wrapping_sub(SHORTEST_HEADER)
}

/// The length that is so much past the shortest.
const fn length(past_shortest: u32) -> usize {
    (past_shortest as usize).wrapping_add(MIN_LENGTH)
}

/// The version of the binding, which the interface's subclass code tells the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Version {
    /// 1.0: 8-bit length, transfers of at most 512 bytes which hold whole packets only.
    V1_0,
    /// 1.1: 13-bit length, transfers of any length, packets may span them.
    #[cfg(feature = "v1-1")]
    V1_1,
}

impl Version {
    /// The subclass code of the interface: 00h or 02h.
    pub const fn subclass(self) -> u8 {
        match self {
            Self::V1_0 => 0x00,
            #[cfg(feature = "v1-1")]
            Self::V1_1 => 0x02,
        }
    }

    /// Whether a packet may go on in the next transfer.
    pub(crate) const fn spans_transfers(self) -> bool {
        match self {
            Self::V1_0 => false,
            #[cfg(feature = "v1-1")]
            Self::V1_1 => true,
        }
    }

    /// The longest MCTP packet, packet header included, in bytes: 251 or 8187.
    pub const fn max_packet(self) -> u16 {
        match self {
            Self::V1_0 => 251,
            #[cfg(feature = "v1-1")]
            Self::V1_1 => 8187,
        }
    }

    /// The header of an MCTP packet of `packet_len` bytes; `None` when no such packet can be sent.
    #[inline]
    pub fn encode(self, packet_len: usize) -> Option<[u8; HEADER_LEN]> {
        if packet_len < mctp_transport::HEADER_LEN || packet_len > usize::from(self.max_packet()) {
            return None;
        }
        Some(header(packet_len))
    }

    /// The length, header included, that a header gives; `None` when the header is malformed.
    /// Reserved bits are ignored.
    #[inline]
    pub const fn decode(self, header: [u8; HEADER_LEN]) -> Option<usize> {
        match past_shortest(header, self.header_bits()) {
            past @ 0..=MOST_PAST_SHORTEST => Some(length(past)),
            _ => None,
        }
    }

    /// The bits of a header, as a number, that are not reserved.
    const fn header_bits(self) -> u32 {
        match self {
            Self::V1_0 => 0xFFFF_00FF,
            #[cfg(feature = "v1-1")]
            Self::V1_1 => 0xFFFF_1FFF,
        }
    }

    /// The shortest receive buffer with which a receiver works, in bytes, for USB packets of at
    /// most `max_packet_size` bytes.
    ///
    /// In 1.0 it takes every packet. In 1.1 it takes packets of the baseline transmission unit;
    /// each byte more lengthens the longest packet by one, up to [`RECEIVE_BUFFER_LEN_1_1`].
    pub const fn min_receive_buffer_len(self, max_packet_size: u16) -> usize {
        let usb_packet = max_packet_size as usize;
        match self {
            Self::V1_0 if usb_packet >= MAX_TRANSFER_1_0 => usb_packet,
            Self::V1_0 => usb_packet.saturating_add(255),
            #[cfg(feature = "v1-1")]
            Self::V1_1 => usb_packet.saturating_add(BASELINE_LENGTH),
        }
    }
}

impl core::fmt::Display for Version {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::V1_0 => "1.0",
            #[cfg(feature = "v1-1")]
            Self::V1_1 => "1.1",
        })
    }
}

/// The receive buffer is shorter than [`Version::min_receive_buffer_len`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the receive buffer has {len} bytes, at least {needed} are needed")]
pub struct BufferTooSmall {
    /// Bytes in the buffer.
    pub len: usize,
    /// Bytes needed.
    pub needed: usize,
}

/// What to do with the bytes that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// The bytes in the buffer begin with a packet header.
    AtHeader,
    /// This many bytes, more than are in the buffer, belong to a packet that is too long to keep.
    #[cfg(feature = "v1-1")]
    InLongPacket(usize),
    /// Everything up to the transfer's end is the rest of a malformed transfer.
    InBadTransfer,
}

/// What became of the last USB packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastUsbPacket {
    EndedItsTransfer,
    IsFollowed,
    /// It could not be read, which was told.
    Lost,
}

/// What the bytes in the buffer begin with.
enum Found {
    Packet {
        length: usize,
    },
    #[cfg(feature = "v1-1")]
    LongPacket {
        length: usize,
    },
    PartOfPacket,
    Malformed,
}

/// Finds the packets in the USB packets of a bulk OUT endpoint, in place.
///
/// Call in this order:
///
/// 1. **input**: put one USB packet into [`buffer`](Self::buffer), then say with
///    [`received`](Self::received) how long it was (0 for a zero-length packet).
/// 2. **output**: take everything from [`next_packet`](Self::next_packet) until it has no more. Go
///    to 1.
/// 3. **commands**, at any time: [`flush`](Self::flush) when the bus was reset,
///    [`lost`](Self::lost) when a USB packet was not readable, [`put_back`](Self::put_back) when a
///    packet cannot be taken yet.
///
/// Any other order is harmless, and loses packets at most.
///
/// # What is a transfer
///
/// A USB packet shorter than the endpoint's maximum ends a transfer.
///
/// - **1.0, high speed:** each USB packet is a whole transfer, because 512 bytes is the limit of
///   both.
/// - **1.0, full speed:** Linux sends no zero-length packet behind a transfer of 64, 128 or 192
///   bytes, so that the end of a transfer cannot always be seen. A packet is handed out as soon as
///   its bytes are there. If a short USB packet ends the transfer before that, the packet is
///   dropped. After a malformed header everything is skipped until a short USB packet has passed
///   **or** a USB packet begins with a good header: that is the next transfer, or, rarely, payload
///   of the malformed one that looks like a header. A cut-off transfer of a multiple of 64 bytes
///   with nothing short behind it takes the next one with it: nothing tells them apart.
/// - **1.1:** a packet goes on in the next transfer. After a malformed header the rest of the
///   transfer is skipped, and the next transfer begins with a header again. When a transfer ends
///   inside a packet, the first USB packet of the next one decides whether it is the rest of that
///   packet or a new one: see below. A host that breaks off a transfer without a short or
///   zero-length packet has not ended it.
///
/// # A 1.1 packet that a transfer cuts off
///
/// Nothing on the wire says whether a host goes on with a packet or has given it up, and the
/// malformed header of an abandoned packet can claim 8191 bytes. So the next transfer is a **new
/// packet**, and the unfinished one is dropped, when its first USB packet
///
/// 1. begins with a plausible packet: `1A B4`, reserved bits zero, a length of 8 or more, and 01h
///    as the first byte of the MCTP packet;
/// 2. and is consistent: every packet in it is followed by a plausible one, and if the USB packet
///    ends the transfer, so does a packet;
/// 3. and does not end the unfinished packet in a good place: with the USB packet's last byte, or
///    before a plausible packet. This counts only if the unfinished packet's own start is plausible
///    (of a packet too long for the buffer it is not looked at).
///
/// In all other cases it is the rest. What remains uncertain:
///
/// - **A good packet is lost** when the host lets it span transfers, and a transfer that goes on
///   with it satisfies all three: its payload looks like packets from there to the end of the USB
///   packet, and the packet neither ends with that USB packet nor before a plausible packet in it.
///   Random payload does so with a probability below 2<sup>-27</sup> for each such transfer.
///   Payload that contains frames, as a capture does, has to have one exactly where a transfer
///   begins. Then what looks like packets is handed out as packets, up to the end of the span. A
///   host that passes on payload from others and lets them know where it cuts should not let
///   packets span transfers.
/// - **After an abandoned packet, one good transfer is lost**, or its first packets, when the
///   abandoned one's start is plausible and it lacks exactly as many bytes as they are long
///   together, or as one whole USB packet is. They are taken as the rest, and one packet of mixed
///   content is handed out. The next transfer is good again.
/// - **A good transfer is not recognised** after an abandoned packet when it fails 1 or 2: with
///   padding, with reserved bits set, or shorter than a USB packet and itself ending inside a
///   packet.
/// - In every other case **nothing is lost** but the abandoned packet itself, however many
///   transfers were malformed.
///
/// # What is dropped
///
/// A malformed transfer is one [`DropReason::BadLinkIntegrity`]: the packets before the malformed
/// header are good. Padding after the last packet is malformed too, and costs nothing but the
/// count. A 1.1 packet that is given up for another is one [`DropReason::BadLinkIntegrity`] too. A
/// 1.1 packet too long for the buffer is one [`DropReason::UnsupportedTransmissionUnit`], and what
/// is behind it is good.
#[derive(Debug)]
pub struct Reassembler<'b> {
    buffer: &'b mut [u8],
    /// The bytes in the buffer that are not yet handed out.
    pending: Range<usize>,
    /// Where the packet begins that was handed out last, for as long as it can be put back.
    last: usize,
    position: Position,
    last_usb_packet: LastUsbPacket,
    version: Version,
    max_packet_size: usize,
    /// A USB packet of fewer bytes ends its transfer: any where each is a transfer.
    continuing_len: usize,
    /// The bits of a header that are not reserved.
    header_bits: u32,
    /// [`past_shortest`] of the longest packet that the buffer has room for.
    most_past_shortest: u32,
}

impl<'b> Reassembler<'b> {
    /// A parser for an endpoint with USB packets of at most `max_packet_size` bytes.
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`Version::min_receive_buffer_len`].
    pub fn new(
        version: Version,
        max_packet_size: u16,
        buffer: &'b mut [u8],
    ) -> Result<Self, BufferTooSmall> {
        let (len, needed) = (
            buffer.len(),
            version.min_receive_buffer_len(max_packet_size),
        );
        if len < needed {
            return Err(BufferTooSmall { len, needed });
        }
        let max_packet_size = usize::from(max_packet_size);
        let (max_length, continuing_len) = match version {
            // Every packet fits; at high speed each USB packet is a transfer.
            Version::V1_0 if max_packet_size >= MAX_TRANSFER_1_0 => (usize::MAX, usize::MAX),
            Version::V1_0 => (usize::MAX, max_packet_size),
            #[cfg(feature = "v1-1")]
            Version::V1_1 => (len.saturating_sub(max_packet_size), max_packet_size),
        };
        Ok(Self {
            buffer,
            pending: 0..0,
            last: usize::MAX,
            position: Position::AtHeader,
            last_usb_packet: LastUsbPacket::EndedItsTransfer,
            version,
            max_packet_size,
            continuing_len,
            header_bits: version.header_bits(),
            most_past_shortest: max_length
                .saturating_sub(MIN_LENGTH)
                .min(MOST_PAST_SHORTEST as usize) as u32,
        })
    }

    /// Where the next USB packet is to be put: room for the longest there is.
    ///
    /// A packet that is only partly there stays in the buffer. It is moved to the buffer's start
    /// when there is no room behind it: the only time that the bytes of a packet are copied
    /// here, and never in 1.0 at high speed.
    #[inline]
    pub fn buffer(&mut self) -> &mut [u8] {
        if self.pending.is_empty() {
            self.pending = 0..0;
            let len = self.max_packet_size.min(self.buffer.len());
            return self.buffer.get_mut(..len).unwrap_or_default();
        }
        if self.room() < self.max_packet_size {
            self.move_to_start();
        }
        let start = self.pending.end;
        self.buffer
            .get_mut(start..start.wrapping_add(self.max_packet_size))
            .unwrap_or_default()
    }

    /// Takes the USB packet of `len` bytes that is now in [`buffer`](Self::buffer).
    ///
    /// Returns [`DropReason::BadLinkIntegrity`] when an unfinished packet is given up for the one
    /// that begins with it.
    #[must_use = "why a packet was dropped is told only here"]
    pub fn received(&mut self, len: usize) -> Option<DropReason> {
        self.last = usize::MAX;
        let begins_transfer = self.transfer_ended();
        self.last_usb_packet = if len < self.continuing_len {
            LastUsbPacket::EndedItsTransfer
        } else {
            LastUsbPacket::IsFollowed
        };
        let len = len.min(self.max_packet_size);
        let end = self.pending.end.wrapping_add(len).min(self.buffer.len());
        let mut dropped = None;
        if begins_transfer && self.version.spans_transfers() && self.is_new_packet(end) {
            dropped = self.give_up_packet();
        }
        match self.position {
            Position::AtHeader => self.pending.end = end,
            #[cfg(feature = "v1-1")]
            Position::InLongPacket(rest) => self.skip(rest, end),
            Position::InBadTransfer => self.resume_after_bad_transfer(end),
        }
        dropped
    }

    /// The next packet, transport header removed, or the reason for which something was dropped.
    ///
    /// `None` when another USB packet is needed.
    #[inline]
    pub fn next_packet(&mut self) -> Option<Result<&[u8], DropReason>> {
        let found = self.next_length()?;
        Some(found.map(|length| self.hand_out(length)))
    }

    /// Forgets everything received so far: the link was interrupted, and the next USB packet begins
    /// a transfer.
    ///
    /// Returns whether a packet was lost by it. May be called between filling the buffer and
    /// [`received`](Self::received): the USB packet in the buffer is then the first after the
    /// interruption.
    pub fn flush(&mut self) -> bool {
        let lost = self.is_unfinished();
        self.last = usize::MAX;
        self.pending.start = self.pending.end;
        self.position = Position::AtHeader;
        self.last_usb_packet = LastUsbPacket::EndedItsTransfer;
        lost
    }

    /// Drops the transfer of which a USB packet could not be read. The next USB packet begins a
    /// transfer.
    ///
    /// Returns [`DropReason::BadLinkIntegrity`], once for several in a row.
    #[must_use = "why a packet was dropped is told only here"]
    pub fn lost(&mut self) -> Option<DropReason> {
        let first = self.last_usb_packet != LastUsbPacket::Lost;
        self.flush();
        self.last_usb_packet = LastUsbPacket::Lost;
        first.then_some(DropReason::BadLinkIntegrity)
    }

    /// [`next_packet`](Self::next_packet) as the length for [`hand_out`](Self::hand_out), so that a
    /// caller can go on with the parser when there is no packet.
    #[inline]
    pub(crate) fn next_length(&mut self) -> Option<Result<usize, DropReason>> {
        if self.pending.is_empty() {
            return None;
        }
        match self.find(self.pending.clone()) {
            Found::Packet { length } => Some(Ok(length)),
            #[cfg(feature = "v1-1")]
            Found::LongPacket { length } => {
                self.skip(length, self.pending.end);
                Some(Err(DropReason::UnsupportedTransmissionUnit))
            }
            Found::PartOfPacket if self.must_be_whole() => Some(Err(self.drop_transfer())),
            Found::PartOfPacket => None,
            Found::Malformed => Some(Err(self.drop_transfer())),
        }
    }

    /// Fast path: [`received`](Self::received) and [`next_length`](Self::next_length) for a short
    /// USB packet that begins with a packet, when nothing is unfinished. `None`, and nothing is done,
    /// in all other cases.
    ///
    /// A packet of 20 bytes that is a transfer takes 78 instructions so and about 129 without (1.1:
    /// about 143), each of seven in a transfer 45 and 51: x86-64, opt-level 3, the copy from the
    /// endpoint included (`cargo xtask instructions`).
    #[inline]
    pub(crate) fn first_length(&mut self, len: usize) -> Option<usize> {
        if len >= self.max_packet_size
            || self.pending.end != 0
            || self.position != Position::AtHeader
        {
            return None;
        }
        let Found::Packet { length } = self.find(0..len) else {
            return None;
        };
        self.last_usb_packet = LastUsbPacket::EndedItsTransfer;
        self.pending = 0..len;
        Some(length)
    }

    /// The packet that is next, of the length that [`next_length`](Self::next_length) returned.
    #[inline]
    pub(crate) fn hand_out(&mut self, length: usize) -> &[u8] {
        let start = self.pending.start;
        self.last = start;
        self.pending.start = start.wrapping_add(length);
        self.packet_at(start, length)
    }

    /// Has the packet that was handed out last handed out once more, if nothing else was done since.
    pub fn put_back(&mut self) {
        let last = core::mem::replace(&mut self.last, usize::MAX);
        self.pending.start = last.min(self.pending.start);
    }

    /// Offers the packets to `take` that [`next_packet`](Self::next_packet) hands out before another
    /// USB packet is needed, up to the first that is malformed, and forgets those for which it
    /// returns `true`.
    pub fn take_out_of_turn(&mut self, mut take: impl FnMut(&[u8]) -> bool) {
        self.last = usize::MAX;
        let mut start = self.pending.start;
        while let Found::Packet { length } = self.find(start..self.pending.end) {
            if take(self.packet_at(start, length)) {
                // What stands before it takes its place, the last byte first.
                for from in (self.pending.start..start).rev() {
                    let byte = self.buffer.get(from).copied();
                    let to = self.buffer.get_mut(from.wrapping_add(length));
                    if let (Some(byte), Some(to)) = (byte, to) {
                        *to = byte;
                    }
                }
                self.pending.start = self.pending.start.wrapping_add(length);
            }
            start = start.wrapping_add(length);
        }
    }

    fn pending(&self) -> &[u8] {
        self.pending_from(self.pending.start)
    }

    /// The bytes from `start` on that are there.
    fn pending_from(&self, start: usize) -> &[u8] {
        self.buffer.get(start..self.pending.end).unwrap_or_default()
    }

    /// The packet, without header, that [`find`](Self::find) found at `start`.
    fn packet_at(&self, start: usize, length: usize) -> &[u8] {
        let bytes = self.pending_from(start);
        bytes.get(HEADER_LEN..length).unwrap_or_default()
    }

    /// What the bytes at a place in the buffer begin with.
    #[inline]
    fn find(&self, place: Range<usize>) -> Found {
        let Some(bytes) = self.buffer.get(place) else {
            return Found::Malformed;
        };
        let Some(header) = bytes.first_chunk() else {
            return match bytes {
                [0x1A] | [0x1A, 0xB4, ..] => Found::PartOfPacket,
                _ => Found::Malformed,
            };
        };
        let past = past_shortest(*header, self.header_bits);
        let length = length(past);
        match past {
            _ if past <= self.most_past_shortest && length <= bytes.len() => {
                Found::Packet { length }
            }
            _ if past <= self.most_past_shortest => Found::PartOfPacket,
            #[cfg(feature = "v1-1")]
            0..=MOST_PAST_SHORTEST => Found::LongPacket { length },
            _ => Found::Malformed,
        }
    }

    /// Whether what is there of a packet is all that there will be.
    fn must_be_whole(&self) -> bool {
        self.version == Version::V1_0 && self.transfer_ended()
    }

    fn room(&self) -> usize {
        self.buffer.len().wrapping_sub(self.pending.end)
    }

    /// Whether the next USB packet begins a transfer.
    fn transfer_ended(&self) -> bool {
        self.last_usb_packet != LastUsbPacket::IsFollowed
    }

    /// Whether a part of a packet was received.
    fn is_unfinished(&self) -> bool {
        match self.position {
            #[cfg(feature = "v1-1")]
            Position::InLongPacket(_) => true,
            _ => !self.pending.is_empty(),
        }
    }

    fn drop_transfer(&mut self) -> DropReason {
        self.pending.start = self.pending.end;
        self.position = if self.transfer_ended() {
            Position::AtHeader
        } else {
            Position::InBadTransfer
        };
        DropReason::BadLinkIntegrity
    }

    /// Skips `count` bytes, of which those up to `end` in the buffer are there.
    #[cfg(feature = "v1-1")]
    fn skip(&mut self, count: usize, end: usize) {
        self.pending.end = end;
        let skipped = count.min(self.pending.len());
        self.pending.start = self.pending.start.saturating_add(skipped);
        self.position = match count.saturating_sub(skipped) {
            0 => Position::AtHeader,
            rest => Position::InLongPacket(rest),
        };
    }

    /// Skips the USB packet up to `end`, unless it begins a transfer that nothing short separates
    /// from the bad one.
    fn resume_after_bad_transfer(&mut self, end: usize) {
        self.pending = self.pending.end..end;
        if self.version == Version::V1_0 && self.begins_with_header() {
            self.position = Position::AtHeader;
            return;
        }
        self.pending.start = end;
        if self.transfer_ended() {
            self.position = Position::AtHeader;
        }
    }

    /// Whether the USB packet up to `end`, the first of a 1.1 transfer, is not the rest of the
    /// unfinished packet.
    fn is_new_packet(&self, end: usize) -> bool {
        let missing = match self.position {
            #[cfg(feature = "v1-1")]
            Position::InLongPacket(missing) => Some(missing),
            Position::AtHeader
                if matches!(self.find(self.pending.clone()), Found::PartOfPacket) =>
            {
                self.missing()
            }
            Position::AtHeader | Position::InBadTransfer => return false,
        };
        let usb_packet = self.buffer.get(self.pending.end..end).unwrap_or_default();
        boundary::is_run_of_packets(self.version, usb_packet, self.transfer_ended())
            && !missing.is_some_and(|missing| {
                boundary::ends_between_packets(self.version, usb_packet, missing)
            })
    }

    /// What the packet at the start of `pending` lacks, if that is worth believing.
    fn missing(&self) -> Option<usize> {
        let pending = self.pending();
        boundary::plausible_length(self.version, pending)?.checked_sub(pending.len())
    }

    /// Drops the packet that is partly there. One too long for the buffer was told when it began.
    fn give_up_packet(&mut self) -> Option<DropReason> {
        self.pending.start = self.pending.end;
        let position = core::mem::replace(&mut self.position, Position::AtHeader);
        (position == Position::AtHeader).then_some(DropReason::BadLinkIntegrity)
    }

    fn begins_with_header(&self) -> bool {
        self.pending()
            .first_chunk()
            .is_some_and(|header| self.version.decode(*header).is_some())
    }

    fn move_to_start(&mut self) {
        let Some(used) = self.buffer.get_mut(..self.pending.end) else {
            return;
        };
        if self.pending.start <= used.len() {
            used.copy_within(self.pending.start.., 0);
            self.pending = 0..self.pending.len();
        }
        // Only when packets were not taken before the next USB packet is there still no room.
        if self.room() < self.max_packet_size {
            self.pending = 0..0;
        }
    }
}

#[cfg(test)]
mod tests;
