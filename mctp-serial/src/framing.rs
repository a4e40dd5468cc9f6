//! Frames on a serial line (DSP0253 1.0.0, section 7), without I/O.
//!
//! Each MCTP packet is in one frame. Both sides send the same frames: the binding has no roles and
//! no addresses.
//!
//! | byte | field | value |
//! |-|-|-|
//! | 0 | opening flag | [`FLAG`], 7Eh |
//! | 1 | serial protocol revision | [`REVISION`], 01h |
//! | 2 | byte count | bytes of the MCTP packet, escapes not counted: 4 to 255 |
//! | 3 to count + 2 | MCTP packet, packet header first | escaped: 7Eh is sent as 7Dh 5Eh, 7Dh as 7Dh 5Dh |
//! | count + 3, count + 4 | frame check sequence, most significant byte first | see below |
//! | count + 5 | closing flag | [`FLAG`] |
//!
//! # The frame check sequence
//!
//! The FCS-16 of RFC 1662, appendix C.2 (polynomial 8408h, bits reflected, initial value FFFFh),
//! but without the final inversion, and with its most significant byte first: that of the ASCII
//! text `123456789` is 6F91h. It covers revision, byte count and packet **before** escaping.
//!
//! We know the rules of the frame check sequence from what others send, not from the text of
//! DSP0253:
//!
//! | | check covers | its bytes 7Eh and 7Dh |
//! |-|-|-|
//! | Linux (7.2, 7.3), libmctp, mctp-estack | bytes before escaping | are sent and expected as they are |
//! | ODP's mctp-rs | escaped bytes | are escaped |
//! | DMTF PMCI Protocol Validator | sends DEADh, checks nothing | are escaped, as are revision and byte count |
//!
//! This crate is with the first. [`FrameCheckSequence`] says whether the bytes of a check that is
//! sent are escaped; both forms are received. With mctp-rs only frames agree in which nothing is
//! escaped. The frames of the validator are dropped.
//!
//! A byte count of 7Dh or 7Eh is escaped here, as bytes of the packet are, so that there is no flag
//! within a frame but in its check. Linux has no such counts: it sends packets of at most 68 bytes,
//! and drops those of more than 74. What the others do with them is not known.
//!
//! # Flags
//!
//! A frame that is sent has a flag of its own before and behind it, and nothing is sent between
//! frames. Linux needs exactly this: behind one more flag it receives nothing any more. On receipt,
//! one flag may close a frame and open the next, and there may be any number of flags between them.
//!
//! # The recovery preamble
//!
//! Linux 7.2 and 7.3 lose track of frames for good when they see a frame that was cut off, a wrong
//! revision, a byte too much, or an odd number of flags between frames: each frame behind it is
//! dropped until the line discipline is attached anew. [`PREAMBLE`] brings them back from wherever
//! they are. [`Encoder`] puts it before the first frame, and before the next one after a frame that
//! was cut off.

use mctp_transport::{BASELINE_TRANSMISSION_UNIT, HEADER_LEN};

mod decoder;
mod encoder;

pub use decoder::{Decoded, Decoder};
pub use encoder::{Encoder, Frame, frame};

/// Opens and closes each frame.
pub const FLAG: u8 = 0x7E;

/// Comes before a byte that would be a flag or an escape. That byte is sent with its bit 5
/// inverted.
pub const ESCAPE: u8 = 0x7D;

/// The bit of an escaped byte that is inverted.
const ESCAPED_BIT: u8 = 0x20;

/// The serial protocol revision of DSP0253 1.0.
pub const REVISION: u8 = 0x01;

/// The packet, in bytes, that every receiver takes: packet header and baseline transmission unit
/// (DSP0236, 8.4). Linux sends no longer ones.
pub const BASELINE_PACKET: usize = HEADER_LEN + BASELINE_TRANSMISSION_UNIT;

/// A receive buffer of this length takes every packet that there can be.
pub const MAX_PACKET: usize = 255;

/// What brings the receiver of Linux 7.2 and 7.3 back from any state: zeros for as long as the
/// longest frame that it may take them for, then two frames that it drops.
///
/// A receiver that was between frames drops them as three faults.
pub const PREAMBLE: [u8; 88] = {
    let mut bytes = [0; 88];
    let frames = [
        FLAG, 0x00, 0x00, 0x00, FLAG, REVISION, 0x00, 0x00, 0x00, FLAG,
    ];
    let (_, end) = bytes.split_at_mut(78);
    end.copy_from_slice(&frames);
    bytes
};

/// How the two bytes of the frame check sequence are sent when they are 7Eh or 7Dh.
///
/// It makes a difference for one frame in 64. [`Decoder`] takes both forms: it knows the two bytes
/// by then, and no form of the end of a frame is the beginning of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameCheckSequence {
    /// As they are. What Linux, libmctp and mctp-estack send and expect.
    #[default]
    Raw,
    /// Escaped, as bytes of the packet are. What the DMTF PMCI Protocol Validator sends and
    /// expects.
    Escaped,
}

/// The receive buffer is shorter than [`BASELINE_PACKET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the receive buffer has {len} bytes, at least 68 are needed")]
pub struct BufferTooSmall {
    /// Bytes in the buffer.
    pub len: usize,
}

/// The frame check sequence of no bytes.
const FCS_OF_NOTHING: u16 = 0xFFFF;

/// The frame check sequence with one byte more: the eight steps of the polynomial 8408h in one,
/// which takes neither a table nor a loop.
const fn add_to_fcs(fcs: u16, byte: u8) -> u16 {
    let [high, low] = fcs.to_be_bytes();
    let mixed = byte ^ low;
    let mixed = mixed ^ (mixed << 4);
    let wide = mixed as u16;
    (high as u16) ^ (wide << 8) ^ (wide << 3) ^ (wide >> 4)
}

/// Whether a byte looks like a flag or an escape.
const fn is_special(byte: u8) -> bool {
    matches!(byte, FLAG | ESCAPE)
}

/// What is sent behind the packet: frame check sequence and closing flag, at most [`MAX_END`] bytes.
fn frame_end(fcs: u16, form: FrameCheckSequence) -> FrameEnd {
    let escaped = |byte| match is_special(byte) && form == FrameCheckSequence::Escaped {
        true => [Some(ESCAPE), Some(byte ^ ESCAPED_BIT)],
        false => [None, Some(byte)],
    };
    let [high, low] = fcs.to_be_bytes().map(escaped);
    let bytes = [high[0], high[1], low[0], low[1], Some(FLAG)];
    bytes.into_iter().flatten()
}

type FrameEnd = core::iter::Flatten<core::array::IntoIter<Option<u8>, MAX_END>>;

/// The longest [`frame_end`]: two escaped bytes and a flag.
const MAX_END: usize = 5;

#[cfg(test)]
mod tests {
    use crc::{CRC_16_MCRF4XX, Crc};
    use proptest::prelude::*;

    use super::*;

    fn fcs(bytes: &[u8]) -> u16 {
        bytes
            .iter()
            .fold(FCS_OF_NOTHING, |fcs, byte| add_to_fcs(fcs, *byte))
    }

    fn end(fcs: u16, form: FrameCheckSequence) -> Vec<u8> {
        frame_end(fcs, form).collect()
    }

    #[test]
    fn the_check_is_the_fcs_16_of_rfc_1662_without_the_final_inversion() {
        assert_eq!(fcs(b"123456789"), 0x6F91);
        for byte in 0..=u8::MAX {
            let mut one_bit_after_the_other = u16::from(byte) ^ 0x1234;
            for _ in 0..8 {
                let is_set = one_bit_after_the_other & 1 == 1;
                one_bit_after_the_other =
                    (one_bit_after_the_other >> 1) ^ if is_set { 0x8408 } else { 0 };
            }
            assert_eq!(add_to_fcs(0x1234, byte), one_bit_after_the_other);
        }
    }

    proptest! {
        #[test]
        fn the_check_is_that_of_another_implementation(bytes: Vec<u8>) {
            prop_assert_eq!(fcs(&bytes), Crc::<u16>::new(&CRC_16_MCRF4XX).checksum(&bytes));
        }
    }

    #[test]
    fn no_end_of_a_frame_is_the_beginning_of_its_other_form() {
        for fcs in 0..=u16::MAX {
            let raw = end(fcs, FrameCheckSequence::Raw);
            let escaped = end(fcs, FrameCheckSequence::Escaped);
            assert!(escaped.len() <= MAX_END);
            assert!(raw == escaped || !escaped.starts_with(&raw), "{fcs:#06x}");
            assert!(raw == escaped || !raw.starts_with(&escaped), "{fcs:#06x}");
        }
    }

    #[test]
    fn the_preamble_is_78_zeros_and_two_bad_frames() {
        let (zeros, frames) = PREAMBLE.split_at(78);
        assert!(zeros.iter().all(|byte| *byte == 0));
        assert_eq!(frames, [0x7E, 0, 0, 0, 0x7E, 0x01, 0, 0, 0, 0x7E]);
    }

    #[test]
    fn says_how_long_the_buffer_must_be() {
        assert_eq!(BASELINE_PACKET, 68);
        assert_eq!(
            BufferTooSmall { len: 67 }.to_string(),
            "the receive buffer has 67 bytes, at least 68 are needed"
        );
    }
}
