//! Message framing (NVMe-MI 1.2): the header, the Message Integrity Check, and what is dropped
//! without an answer.
//!
//! The MCTP traits keep the message type byte to themselves: a body begins behind it.

use zerocopy::FromBytes;

use crate::bytes::{put_u32, u32_at};
use crate::wire::{MessageKind, RequestHeader};
use crate::world::World;

/// The longest message, message type byte and Message Integrity Check included (NVMe-MI 1.2,
/// section 3.1).
pub const MAX_MESSAGE_LENGTH: usize = 4224;

/// Message type NVMe-MI (04h) with the integrity check bit: byte 0 of every message.
pub(crate) const MESSAGE_TYPE: u8 = 0x84;
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
    ///
    /// **Reading.** A reserved message kind: dropped, and counted.
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

/// The header of a request, as a [`RequestHeader`] says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// 0 or 1.
    pub(crate) slot: usize,
    pub(crate) auto_pause: bool,
}

impl Header {
    fn parse(header: RequestHeader) -> Result<Self, DropReason> {
        if header.is_response() {
            return Err(DropReason::NotARequest);
        }
        let kind = match header.kind() {
            MessageKind::CONTROL_PRIMITIVE => Kind::ControlPrimitive,
            MessageKind::MANAGEMENT => Kind::Management,
            MessageKind::ADMIN => Kind::Admin,
            MessageKind::PCIE => Kind::Pcie,
            _ => return Err(DropReason::UnknownKind),
        };
        Ok(Self {
            kind,
            slot: usize::from(header.slot()),
            auto_pause: header.pauses(),
        })
    }

    /// The header of the response.
    pub(crate) fn response(self) -> RequestHeader {
        RequestHeader::response(self.kind.into(), self.slot as u8)
    }
}

impl From<Kind> for MessageKind {
    fn from(kind: Kind) -> Self {
        Self(kind as u8)
    }
}

/// A request whose frame is good.
#[derive(Debug)]
pub(crate) struct Opened<'b> {
    pub(crate) header: Header,
    /// The body without the Message Integrity Check.
    pub(crate) content: &'b [u8],
    /// The Message Integrity Check.
    pub(crate) check: u32,
}

/// Checks the frame around a message whose body, all after the message type byte, is `body`.
pub(crate) fn open<'b>(
    world: &mut impl World,
    integrity_check: bool,
    body: &'b [u8],
) -> Result<Opened<'b>, DropReason> {
    if !integrity_check {
        return Err(DropReason::NoIntegrityCheck);
    }
    if body.len() >= MAX_MESSAGE_LENGTH {
        return Err(DropReason::TooLong);
    }
    let (content, check) = body
        .split_last_chunk::<CHECK_LENGTH>()
        .ok_or(DropReason::TooShort)?;
    let Ok((header, _)) = RequestHeader::read_from_prefix(content) else {
        return Err(DropReason::TooShort);
    };
    let check = u32_at(check, 0);
    if check_of(world, content) != check {
        return Err(DropReason::BadIntegrityCheck);
    }
    Ok(Opened {
        header: Header::parse(header)?,
        content,
        check,
    })
}

/// The Message Integrity Check of a message whose body without it is `content` (NVMe-MI 1.2,
/// section 3.1.1.1).
fn check_of(world: &mut impl World, content: &[u8]) -> u32 {
    world.crc32c(&[&[MESSAGE_TYPE], content])
}

/// Appends the Message Integrity Check to the body of `length` bytes at the start of `buffer`.
/// Returns the length with it.
pub(crate) fn seal_exactly(world: &mut impl World, buffer: &mut [u8], length: usize) -> usize {
    let check = check_of(world, buffer.get(..length).unwrap_or_default());
    put_u32(buffer, length, check);
    length.saturating_add(CHECK_LENGTH)
}

/// The same, and pads the message before with zeros to a multiple of 4 bytes, since libnvme before
/// 1.6 takes no other. Only for data whose length the device chooses: a requester that asked for so
/// many bytes has room for no more, and libnvme takes the 4 bytes behind them for the check.
pub(crate) fn seal(world: &mut impl World, buffer: &mut [u8], length: usize) -> usize {
    let limit = buffer.len().saturating_sub(CHECK_LENGTH);
    let padded = (length | 3).min(limit);
    for padding in buffer.iter_mut().take(padded).skip(length) {
        *padding = 0;
    }
    seal_exactly(world, buffer, padded)
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;
    use crate::world::Health;
    use crate::{Crc32c, SoftwareCrc32c};

    struct OnlyCrc;

    impl World for OnlyCrc {
        fn health(&mut self) -> &mut dyn Health {
            unreachable!("framing asks for nothing but the CRC")
        }
        fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
            SoftwareCrc32c.crc32c(parts)
        }
    }

    /// Read NVMe-MI Data Structure, subsystem information.
    const REQUEST: [u8; 19] = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xE2, 0, 6, 7];

    fn open_drop(integrity_check: bool, body: &[u8]) -> Option<DropReason> {
        open(&mut OnlyCrc, integrity_check, body).err()
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
        let opened = open(&mut OnlyCrc, true, &REQUEST).unwrap();
        let (header, content) = (opened.header, opened.content);
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
        let Opened { header, .. } = open(&mut OnlyCrc, true, &sealed(&[0x0E, 0xFC, 0xFF])).unwrap();
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
        let Opened { header, .. } = open(&mut OnlyCrc, true, &sealed(&[0x09, 0, 0])).unwrap();
        assert_eq!(header.response().as_bytes(), [0x89, 0, 0]);
    }

    #[test]
    fn pads_a_message_to_four_bytes_before_the_check() {
        let mut buffer = [0xFF; 16];
        assert_eq!(seal(&mut OnlyCrc, &mut buffer, 4), 11);
        assert_eq!(buffer[4..7], [0, 0, 0]);
    }
}
