//! Frames that are received, wherever they begin and end in what is read.

use mctp_transport::{DropReason, HEADER_LEN};

use super::{
    BASELINE_PACKET, BufferTooSmall, ESCAPE, ESCAPED_BIT, FCS_OF_NOTHING, FLAG, FrameCheckSequence,
    MAX_END, REVISION, add_to_fcs, frame_end,
};

/// What [`Decoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decoded {
    /// A packet, which is in [`Decoder::packet`].
    Packet,
    /// Something that is no good frame.
    Dropped(DropReason),
}

/// Where in a frame the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind a flag, or at the beginning of the stream: another flag, or the revision of a frame.
    Flag,
    Count,
    Packet,
    /// Frame check sequence and closing flag.
    End,
    /// In what was dropped, up to the next flag.
    Dropped,
}

/// The receive side of a link: finds the packets in the bytes that come.
///
/// - Inputs: the bytes, to [`decode`](Self::decode), as many at a time as there are;
///   [`lost`](Self::lost) when some are missing; [`reset`](Self::reset) when the link was lost.
/// - Outputs: what `decode` found; the packet in [`packet`](Self::packet), until the next call of
///   `decode`.
/// - Command: [`put_back`](Self::put_back), for a packet for which there is no room.
///
/// # Bad frames
///
/// Each is dropped with one reason, and ends with the next flag. **A good frame with a flag of its
/// own before it is always found**, whatever came before:
///
/// | frame | [`DropReason`] |
/// |-|-|
/// | anything but a revision of 01h behind a flag; noise between frames | `BadLinkIntegrity` |
/// | a flag before the end of the packet: a frame that was cut off | `BadLinkIntegrity` |
/// | an escape before anything but 5Eh and 5Dh | `BadLinkIntegrity` |
/// | another frame check sequence, or no flag behind it | `BadLinkIntegrity` |
/// | bytes that the line lost ([`lost`](Self::lost)) | `BadLinkIntegrity` |
/// | a byte count below 4 | `Truncated` |
/// | a byte count above the length of the buffer | `UnsupportedTransmissionUnit` |
///
/// A frame of which the check has an unescaped 7Eh in it is two when it is dropped before that.
///
/// ```
/// use mctp_serial::framing::{Decoded, Decoder};
///
/// let mut buffer = [0; 68];
/// let mut decoder = Decoder::new(&mut buffer)?;
/// // Noise, then Get Endpoint ID from endpoint 9 in two reads.
/// let mut read = &b"login:\x7E\x01\x07\x01\x08"[..];
/// let noise = Decoded::Dropped(mctp_transport::DropReason::BadLinkIntegrity);
/// assert_eq!(decoder.decode(&mut read), Some(noise));
/// assert_eq!(decoder.decode(&mut read), None);
/// let mut read = &b"\x09\xC8\x00\x80\x02\x01\xDD\x7E"[..];
/// assert_eq!(decoder.decode(&mut read), Some(Decoded::Packet));
/// assert_eq!(decoder.packet(), [0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02]);
/// assert_eq!(decoder.decode(&mut read), None);
/// # Ok::<(), mctp_serial::BufferTooSmall>(())
/// ```
#[derive(Debug)]
pub struct Decoder<'d> {
    buffer: &'d mut [u8],
    state: State,
    /// The last byte was an escape.
    is_escaped: bool,
    /// Bytes of the packet: by its count, and as far as they have come.
    count: u8,
    filled: u8,
    /// Of what has come, check and flags not counted.
    fcs: u16,
    /// What has come behind the packet.
    end: [u8; MAX_END],
    end_len: u8,
    /// The last `decode` found a packet.
    has_packet: bool,
    /// The next one is to return it once more.
    is_put_back: bool,
}

impl<'d> Decoder<'d> {
    /// Takes packets of up to as many bytes as `buffer` has, of which no more than 255 are used.
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`BASELINE_PACKET`].
    pub const fn new(buffer: &'d mut [u8]) -> Result<Self, BufferTooSmall> {
        let len = buffer.len();
        if len < BASELINE_PACKET {
            return Err(BufferTooSmall { len });
        }
        Ok(Self {
            buffer,
            state: State::Flag,
            is_escaped: false,
            count: 0,
            filled: 0,
            fcs: FCS_OF_NOTHING,
            end: [0; MAX_END],
            end_len: 0,
            has_packet: false,
            is_put_back: false,
        })
    }

    /// Takes bytes off the front of `bytes` up to the next packet or bad frame; `None` when they
    /// end before that. Call it again until then.
    pub fn decode(&mut self, bytes: &mut &[u8]) -> Option<Decoded> {
        if core::mem::take(&mut self.is_put_back) {
            return Some(Decoded::Packet);
        }
        self.has_packet = false;
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            let decoded = self.take(*byte);
            if decoded.is_some() {
                self.has_packet = decoded == Some(Decoded::Packet);
                return decoded;
            }
        }
        None
    }

    /// The packet that [`decode`](Self::decode) found last, packet header first. Empty when that
    /// was no packet.
    pub fn packet(&self) -> &[u8] {
        let len = if self.has_packet { self.count } else { 0 };
        self.buffer.get(..len.into()).unwrap_or_default()
    }

    /// Has the next [`decode`](Self::decode) return once more the packet that the last one found.
    pub const fn put_back(&mut self) {
        self.is_put_back = self.has_packet;
    }

    /// Bytes of the line were lost: drops what is up to the next flag. `None` when that is dropped
    /// already.
    pub fn lost(&mut self) -> Option<DropReason> {
        let state = core::mem::replace(&mut self.state, State::Dropped);
        (state != State::Dropped).then_some(DropReason::BadLinkIntegrity)
    }

    /// The link was lost: what comes next has nothing to do with what came before. Returns why that
    /// costs the unfinished frame, if there is one.
    pub fn reset(&mut self) -> Option<DropReason> {
        let state = core::mem::replace(&mut self.state, State::Flag);
        self.has_packet = false;
        self.is_put_back = false;
        matches!(state, State::Count | State::Packet | State::End).then_some(DropReason::LinkDown)
    }

    fn take(&mut self, byte: u8) -> Option<Decoded> {
        match self.state {
            State::End => self.take_of_end(byte),
            _ => self.take_before_end(byte),
        }
    }

    fn take_before_end(&mut self, byte: u8) -> Option<Decoded> {
        match self.state {
            State::Count => match self.unescape(byte)? {
                Ok(count) => self.take_count(count),
                Err(decoded) => Some(decoded),
            },
            State::Packet => match self.unescape(byte)? {
                Ok(byte) => self.take_of_packet(byte),
                Err(decoded) => Some(decoded),
            },
            _ if byte == FLAG => {
                self.state = State::Flag;
                None
            }
            State::Flag if byte == REVISION => {
                self.state = State::Count;
                self.is_escaped = false;
                self.fcs = add_to_fcs(FCS_OF_NOTHING, REVISION);
                None
            }
            State::Flag => Some(self.dropped(byte, DropReason::BadLinkIntegrity)),
            State::End | State::Dropped => None,
        }
    }

    /// The byte that was sent; `None` when it is known with the next one only.
    fn unescape(&mut self, byte: u8) -> Option<Result<u8, Decoded>> {
        const SPECIAL: [u8; 2] = [FLAG ^ ESCAPED_BIT, ESCAPE ^ ESCAPED_BIT];
        let byte = match core::mem::take(&mut self.is_escaped) {
            true if SPECIAL.contains(&byte) => byte ^ ESCAPED_BIT,
            false if byte == ESCAPE => {
                self.is_escaped = true;
                return None;
            }
            false if byte != FLAG => byte,
            _ => return Some(Err(self.dropped(byte, DropReason::BadLinkIntegrity))),
        };
        self.fcs = add_to_fcs(self.fcs, byte);
        Some(Ok(byte))
    }

    fn take_count(&mut self, count: u8) -> Option<Decoded> {
        let len = usize::from(count);
        if len < HEADER_LEN {
            return Some(self.dropped(count, DropReason::Truncated));
        }
        if len > self.buffer.len() {
            self.state = State::Dropped;
            return Some(Decoded::Dropped(DropReason::UnsupportedTransmissionUnit));
        }
        self.state = State::Packet;
        self.count = count;
        self.filled = 0;
        None
    }

    fn take_of_packet(&mut self, byte: u8) -> Option<Decoded> {
        if let Some(place) = self.buffer.get_mut(usize::from(self.filled)) {
            *place = byte;
        }
        self.filled = self.filled.saturating_add(1);
        if self.filled >= self.count {
            self.state = State::End;
            self.end_len = 0;
        }
        None
    }

    /// The end is known by now, in both forms: what comes is one of them, or the frame is bad.
    fn take_of_end(&mut self, byte: u8) -> Option<Decoded> {
        if let Some(place) = self.end.get_mut(usize::from(self.end_len)) {
            *place = byte;
        }
        self.end_len = self.end_len.saturating_add(1);
        let mut is_beginning = false;
        for form in [FrameCheckSequence::Raw, FrameCheckSequence::Escaped] {
            match self.is_end(form) {
                Some(true) => {
                    self.state = State::Flag;
                    return Some(Decoded::Packet);
                }
                Some(false) => is_beginning = true,
                None => {}
            }
        }
        if is_beginning {
            return None;
        }
        self.read_end_again();
        Some(Decoded::Dropped(DropReason::BadLinkIntegrity))
    }

    /// Whether all of the frame's end has come, if it is in this form; `None` if it is not.
    fn is_end(&self, form: FrameCheckSequence) -> Option<bool> {
        let mut end = self.end.iter().take(self.end_len.into());
        for expected in frame_end(self.fcs, form) {
            match end.next() {
                Some(byte) if *byte == expected => {}
                Some(_) => return None,
                None => return Some(false),
            }
        }
        Some(true)
    }

    /// These bytes are not the end of this frame. A flag among them, which may have been taken for
    /// a byte of the check, can be that of the next frame. No more than two bytes are behind it;
    /// whether they are bad as well is not told, as the bad frame is.
    fn read_end_again(&mut self) {
        self.state = State::Dropped;
        for byte in self.end.into_iter().take(self.end_len.into()) {
            let _ = self.take_before_end(byte);
        }
    }

    /// The frame is bad by this byte.
    const fn dropped(&mut self, byte: u8, reason: DropReason) -> Decoded {
        self.state = match byte {
            FLAG => State::Flag,
            _ => State::Dropped,
        };
        Decoded::Dropped(reason)
    }
}

#[cfg(test)]
mod tests;
