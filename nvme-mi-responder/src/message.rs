//! Message framing (NVMe-MI 1.2): the header, the Message Integrity Check, and what is dropped
//! without an answer.
//!
//! Offsets here and everywhere count from the message type byte, as those of the specification's
//! Parameter Error Location do. The MCTP traits keep that byte to themselves: a body starts at
//! offset 1.

use crate::Crc32c;
use crate::bytes::{put_u32, u32_at};

/// The longest message, message type byte and Message Integrity Check included (NVMe-MI 1.2,
/// section 3.1).
pub const MAX_MESSAGE_LENGTH: usize = 4224;

/// Message type NVMe-MI (04h) with the integrity check bit: byte 0 of every message.
pub(crate) const MESSAGE_TYPE: u8 = 0x84;
/// Bytes of the message header.
pub(crate) const HEADER_LENGTH: usize = 4;
/// Bytes of the Message Integrity Check.
pub(crate) const CHECK_LENGTH: usize = 4;

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DropReason {
    /// Too short for a header and a Message Integrity Check.
    TooShort,
    /// Longer than [`MAX_MESSAGE_LENGTH`].
    TooLong,
    /// The integrity check bit of the message type is not set.
    NoIntegrityCheck,
    /// The Message Integrity Check is wrong.
    BadIntegrityCheck,
    /// A response, not a request.
    NotARequest,
    /// The message type field (NMIMT) is reserved, or an Asynchronous Event Message. The sources
    /// for this crate disagree on whether a reserved one is dropped or answered; one whose
    /// layout is unknown cannot be answered with a location, so it is dropped.
    UnknownKind,
    /// A command for a slot that is not idle.
    SlotBusy,
}

/// How many messages were dropped, by reason. The counts stay at their maximum when they reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drops([u32; 7]);

impl Drops {
    /// How many messages were dropped for `reason`.
    pub fn count(&self, reason: DropReason) -> u32 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many messages were dropped.
    pub fn total(&self) -> u32 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// What a request message carries: field NMIMT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ControlPrimitive = 0,
    Management = 1,
    Admin = 2,
    Pcie = 4,
}

/// The header of a request.
///
/// | byte | bits | field |
/// |-|-|-|
/// | 0 | 7 | integrity check, 1 |
/// | 0 | 6:0 | message type, 04h |
/// | 1 | 7 | ROR: 0 request, 1 response |
/// | 1 | 6:3 | NMIMT: 0 control primitive, 1 MI command, 2 Admin command, 4 PCIe command |
/// | 1 | 0 | CSI, the command slot; a response has that of its request |
/// | 2 | 1 | CIAP, pause when the response is ready |
/// | 2 | 0 | MEB, the data are in the Management Endpoint Buffer: for the command to refuse |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// 0 or 1.
    pub(crate) slot: usize,
    pub(crate) auto_pause: bool,
}

impl Header {
    fn parse(flags: u8, more_flags: u8) -> Result<Self, DropReason> {
        if flags & 0x80 != 0 {
            return Err(DropReason::NotARequest);
        }
        let kind = match flags >> 3 & 0xF {
            0 => Kind::ControlPrimitive,
            1 => Kind::Management,
            2 => Kind::Admin,
            4 => Kind::Pcie,
            _ => return Err(DropReason::UnknownKind),
        };
        Ok(Self {
            kind,
            slot: usize::from(flags & 1),
            auto_pause: more_flags & 2 != 0,
        })
    }

    /// The first 4 bytes of the response.
    pub(crate) fn response(self) -> [u8; HEADER_LENGTH] {
        let flags = 0x80 | (self.kind as u8) << 3 | self.slot as u8;
        [MESSAGE_TYPE, flags, 0, 0]
    }
}

/// Checks the frame around a message whose body, all after the message type byte, is `body`.
/// Returns the header, and the message without the type byte and the Message Integrity Check.
pub(crate) fn open<'b>(
    crc: &mut impl Crc32c,
    integrity_check: bool,
    body: &'b [u8],
) -> Result<(Header, &'b [u8]), DropReason> {
    if !integrity_check {
        return Err(DropReason::NoIntegrityCheck);
    }
    if body.len() >= MAX_MESSAGE_LENGTH {
        return Err(DropReason::TooLong);
    }
    let (content, check) = body
        .split_last_chunk::<CHECK_LENGTH>()
        .ok_or(DropReason::TooShort)?;
    let [flags, more_flags, _, ..] = content else {
        return Err(DropReason::TooShort);
    };
    if crc.crc32c(&[&[MESSAGE_TYPE], content]) != u32_at(check, 0) {
        return Err(DropReason::BadIntegrityCheck);
    }
    Ok((Header::parse(*flags, *more_flags)?, content))
}

/// Ends the message of `length` bytes at the start of `buffer`: pads it with zeros to a multiple of
/// 4 bytes, since libnvme before 1.6 takes no other, and appends the Message Integrity Check.
/// Returns the length of the whole.
pub(crate) fn seal(crc: &mut impl Crc32c, buffer: &mut [u8], length: usize) -> usize {
    let limit = buffer.len().saturating_sub(CHECK_LENGTH);
    let padded = length.next_multiple_of(4).min(limit);
    if let Some(padding) = buffer.get_mut(length..padded) {
        padding.fill(0);
    }
    let check = crc.crc32c(&[buffer.get(..padded).unwrap_or_default()]);
    put_u32(buffer, padded, check);
    padded.saturating_add(CHECK_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SoftwareCrc32c;

    /// Read NVMe-MI Data Structure, subsystem information.
    const REQUEST: [u8; 19] = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xE2, 0, 6, 7];

    fn open_drop(integrity_check: bool, body: &[u8]) -> Option<DropReason> {
        open(&mut SoftwareCrc32c, integrity_check, body).err()
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut message = vec![0; MAX_MESSAGE_LENGTH];
        message[0] = MESSAGE_TYPE;
        message[1..][..content.len()].copy_from_slice(content);
        let check = SoftwareCrc32c.crc32c(&[&message[..=content.len()]]);
        [content, &check.to_le_bytes()].concat()
    }

    #[test]
    fn opens_a_good_request() {
        let (header, content) = open(&mut SoftwareCrc32c, true, &REQUEST).unwrap();
        assert_eq!((header.kind, header.slot), (Kind::Management, 0));
        assert_eq!(content, &REQUEST[..15]);
    }

    #[test]
    fn drops_a_message_without_the_integrity_check_bit() {
        assert_eq!(
            open_drop(false, &REQUEST),
            Some(DropReason::NoIntegrityCheck)
        );
    }

    #[test]
    fn drops_a_message_with_a_wrong_integrity_check() {
        for byte in 0..REQUEST.len() {
            let mut damaged = REQUEST;
            damaged[byte] ^= 0x10;
            assert_eq!(
                open_drop(true, &damaged),
                Some(DropReason::BadIntegrityCheck),
                "byte {byte}"
            );
        }
    }

    #[test]
    fn drops_what_is_too_short_for_header_and_check() {
        for length in 0..7 {
            assert_eq!(
                open_drop(true, &REQUEST[..length]),
                Some(DropReason::TooShort)
            );
        }
    }

    #[test]
    fn drops_what_is_longer_than_the_longest_message() {
        assert_eq!(
            open_drop(true, &[0; MAX_MESSAGE_LENGTH]),
            Some(DropReason::TooLong)
        );
        assert_eq!(
            open_drop(true, &[0; MAX_MESSAGE_LENGTH - 1]),
            Some(DropReason::BadIntegrityCheck)
        );
    }

    #[test]
    fn drops_responses_and_reserved_kinds() {
        assert_eq!(
            open_drop(true, &sealed(&[0x88, 0, 0])),
            Some(DropReason::NotARequest)
        );
        for kind in [3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
            assert_eq!(
                open_drop(true, &sealed(&[kind << 3, 0, 0])),
                Some(DropReason::UnknownKind)
            );
        }
    }

    #[test]
    fn reserved_header_bits_are_ignored() {
        let (header, _) = open(&mut SoftwareCrc32c, true, &sealed(&[0x0E, 0xFC, 0xFF])).unwrap();
        assert_eq!(
            header,
            Header {
                kind: Kind::Management,
                slot: 0,
                auto_pause: false
            }
        );
    }

    #[test]
    fn a_response_carries_the_command_slot_of_its_request() {
        let (header, _) = open(&mut SoftwareCrc32c, true, &sealed(&[0x09, 0, 0])).unwrap();
        assert_eq!(header.response(), [0x84, 0x89, 0, 0]);
    }

    #[test]
    fn pads_a_message_to_four_bytes_before_the_check() {
        let mut buffer = [0xFF; 16];
        assert_eq!(seal(&mut SoftwareCrc32c, &mut buffer, 5), 12);
        assert_eq!(buffer[5..8], [0, 0, 0]);
    }
}
