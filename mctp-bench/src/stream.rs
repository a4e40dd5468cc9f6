//! The sender's side: the messages of a stream, one after the other.

use core::fmt;
use core::ops::Deref;

use crate::pattern::{self, TABLE_LEN};
use crate::wire::{DATA, Request};
use crate::{FIRST_SEQUENCE_NUMBER, MIN_LENGTH};

/// Slices of the longest message: what is before the payload, and the payload.
const MAX_SLICES: usize = 1 + (u16::MAX as usize).div_ceil(TABLE_LEN);

/// What is left of a stream: an iterator of its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stream {
    sequence_number: u32,
    length: u16,
    left: u64,
}

impl Stream {
    /// The stream that is asked for.
    pub const fn new(request: &Request) -> Self {
        Self {
            sequence_number: FIRST_SEQUENCE_NUMBER,
            length: request.length,
            left: request.count,
        }
    }
}

impl Iterator for Stream {
    type Item = DataMessage;

    fn next(&mut self) -> Option<DataMessage> {
        self.left = self.left.checked_sub(1)?;
        let message = DataMessage::new(self.sequence_number, self.length);
        self.sequence_number = self.sequence_number.wrapping_add(1);
        Some(message)
    }
}

/// One message of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DataMessage {
    head: [u8; MIN_LENGTH as usize],
    payload_len: u16,
}

impl DataMessage {
    fn new(sequence_number: u32, length: u16) -> Self {
        let [p0, p1, p2, p3, p4] = DATA;
        let [s0, s1, s2, s3] = sequence_number.to_le_bytes();
        Self {
            head: [p0, p1, p2, p3, p4, s0, s1, s2, s3],
            payload_len: length.saturating_sub(MIN_LENGTH),
        }
    }

    /// Bytes of the message, its type not counted.
    pub(crate) fn length(&self) -> usize {
        usize::from(self.payload_len).saturating_add(MIN_LENGTH.into())
    }

    /// The message from behind the message type, without a copy of it anywhere: to be sent as one.
    pub fn slices(&self) -> Slices<'_> {
        let mut slices = [&self.head[..]; MAX_SLICES];
        let mut count: usize = 1;
        let payload = pattern::slices(self.payload_len.into());
        for (place, part) in slices.iter_mut().skip(1).zip(payload) {
            *place = part;
            count = count.saturating_add(1);
        }
        Slices { slices, count }
    }
}

impl fmt::Debug for DataMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?} and {} bytes", self.head, self.payload_len)
    }
}

/// The slices that make up a message. The longest one has 33: 264 bytes of RAM on a 32-bit target.
#[derive(Clone, Copy, Debug)]
pub struct Slices<'m> {
    slices: [&'m [u8]; MAX_SLICES],
    count: usize,
}

impl<'m> Deref for Slices<'m> {
    type Target = [&'m [u8]];

    fn deref(&self) -> &[&'m [u8]] {
        self.slices.get(..self.count).unwrap_or(&self.slices)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::payload;

    fn stream(length: u16, count: u64) -> Stream {
        Stream::new(&Request {
            instance_id: 0,
            length,
            count,
        })
    }

    fn bytes(message: DataMessage) -> Vec<u8> {
        message.slices().concat()
    }

    #[test]
    fn the_first_message_of_the_least_length_is_the_head_alone() {
        let first = stream(9, 1).next().unwrap();
        let expected = [0xCC, 0xDE, 0xF1, 0xCA, 0xBE, 0xFA, 0xFF, 0xFF, 0xFF];
        assert_eq!(bytes(first), expected);
        assert_eq!(first.slices().len(), 1);
    }

    #[test]
    fn sequence_numbers_pass_through_zero() {
        let number =
            |message: DataMessage| u32::from_le_bytes(bytes(message)[5..].try_into().unwrap());
        let numbers: Vec<_> = stream(9, 8).map(number).collect();
        let mut expected = vec![
            0xFFFF_FFFA,
            0xFFFF_FFFB,
            0xFFFF_FFFC,
            0xFFFF_FFFD,
            0xFFFF_FFFE,
            0xFFFF_FFFF,
        ];
        expected.extend([0, 1]);
        assert_eq!(numbers, expected);
    }

    #[test]
    fn a_stream_has_as_many_messages_as_asked_for() {
        assert_eq!(stream(9, 0).count(), 0);
        assert_eq!(stream(100, 1000).count(), 1000);
        assert!(stream(100, u64::MAX).nth(1000).is_some());
    }

    #[test]
    fn the_longest_message_has_room() {
        let message = stream(u16::MAX, 1).next().unwrap();
        assert_eq!(message.slices().len(), MAX_SLICES);
        assert_eq!(bytes(message).len(), 65_535);
    }

    proptest! {
        #[test]
        fn every_byte_behind_the_head_has_its_place_as_value(length in MIN_LENGTH..) {
            let message = bytes(stream(length, 1).next().unwrap());
            prop_assert_eq!(message.len(), usize::from(length));
            prop_assert_eq!(&message[9..], payload(usize::from(length) - 9));
        }
    }
}
