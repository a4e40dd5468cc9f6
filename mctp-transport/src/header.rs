//! The MCTP packet header (DSP0236 1.3.3, section 8.2).
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 0 | 7:4 | reserved: 0 on send, ignored on receipt |
//! | 0 | 3:0 | header version, 1 |
//! | 1 | 7:0 | destination endpoint ID |
//! | 2 | 7:0 | source endpoint ID |
//! | 3 | 7 | SOM: start of message |
//! | 3 | 6 | EOM: end of message |
//! | 3 | 5:4 | packet sequence number, modulo 4 |
//! | 3 | 3 | TO: tag owner, set by the side that chose the tag (a request) |
//! | 3 | 2:0 | message tag |
//! | 4 | 7 | IC: integrity check present; start packet only |
//! | 4 | 6:0 | message type (DSP0239); start packet only |

use mctp::Eid;

/// Length of the packet header, in bytes.
pub const HEADER_LEN: usize = 4;

/// The one header version there is (DSP0236 section 8.2).
pub const HEADER_VERSION: u8 = 1;

/// The baseline transmission unit: packet payload bytes, header not counted, that every endpoint
/// accepts (DSP0236 section 8.4).
pub const BASELINE_TRANSMISSION_UNIT: usize = 64;

const START_SHIFT: u32 = 7;
const END_SHIFT: u32 = 6;
const SEQUENCE_SHIFT: u32 = 4;
const TAG_OWNER_SHIFT: u32 = 3;

/// A message tag: 0 to 7 (DSP0236 section 8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageTag(u8);

impl MessageTag {
    /// How many tags there are.
    pub const COUNT: usize = 8;

    /// The tag in bits 2:0 of `value`; the other bits are ignored.
    pub const fn from_low_bits(value: u8) -> Self {
        Self(value & 0x07)
    }

    /// The tag as a number, 0 to 7.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The tag after this one; 0 comes after 7.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::from_low_bits(self.0.wrapping_add(1))
    }
}

/// A packet sequence number: 0 to 3 (DSP0236 section 8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SequenceNumber(u8);

impl SequenceNumber {
    /// The sequence number in bits 1:0 of `value`; the other bits are ignored.
    pub const fn from_low_bits(value: u8) -> Self {
        Self(value & 0x03)
    }

    /// The sequence number, 0 to 3.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The number that the next packet of the message must have; 0 comes after 3.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::from_low_bits(self.0.wrapping_add(1))
    }
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeaderError {
    /// Fewer than [`HEADER_LEN`] bytes.
    #[error("shorter than a packet header")]
    Truncated,
    /// The header version is not [`HEADER_VERSION`].
    #[error("unsupported header version")]
    UnsupportedVersion,
}

impl From<HeaderError> for crate::DropReason {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Truncated => Self::Truncated,
            HeaderError::UnsupportedVersion => Self::UnsupportedHeaderVersion,
        }
    }
}

/// The fields of a packet header, each with a legal value.
///
/// [`parse`](Self::parse) and [`to_bytes`](Self::to_bytes) are inverse to each other but for the
/// reserved bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketHeader {
    /// Who the packet is for: an endpoint ID, 0 (the endpoint at the physical address), or 0xFF
    /// (everybody on the bus).
    pub destination: Eid,
    /// Who sent it: an endpoint ID, or 0 for a sender that has none yet.
    pub source: Eid,
    /// SOM: the first packet of its message.
    pub start: bool,
    /// EOM: the last packet of its message.
    pub end: bool,
    /// Counts the packets of a message, modulo 4.
    pub sequence: SequenceNumber,
    /// TO: the sender chose `tag`. Set in requests, clear in responses.
    pub tag_owner: bool,
    /// Ties the packets of a message together, and a response to its request.
    pub tag: MessageTag,
}

impl PacketHeader {
    /// Reads a header. Reserved bits are ignored.
    #[inline]
    pub const fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let [version, destination, source, flags] = bytes;
        if version & 0x0F != HEADER_VERSION {
            return Err(HeaderError::UnsupportedVersion);
        }
        Ok(Self {
            destination: Eid(destination),
            source: Eid(source),
            start: flags >> START_SHIFT & 1 != 0,
            end: flags >> END_SHIFT & 1 != 0,
            sequence: SequenceNumber::from_low_bits(flags >> SEQUENCE_SHIFT),
            tag_owner: flags >> TAG_OWNER_SHIFT & 1 != 0,
            tag: MessageTag::from_low_bits(flags),
        })
    }

    /// Writes the header. Reserved bits are zero.
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let flags = (self.start as u8) << START_SHIFT
            | (self.end as u8) << END_SHIFT
            | self.sequence.value() << SEQUENCE_SHIFT
            | (self.tag_owner as u8) << TAG_OWNER_SHIFT
            | self.tag.value();
        [HEADER_VERSION, self.destination.0, self.source.0, flags]
    }
}

/// The four bytes of a packet header as one number, byte 0 the lowest: cheap to compare, and to
/// step from packet to packet of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RawHeader(u32);

impl RawHeader {
    const FLAGS_SHIFT: u32 = 24;
    const START: u32 = 1 << START_SHIFT << Self::FLAGS_SHIFT;
    const END: u32 = 1 << END_SHIFT << Self::FLAGS_SHIFT;
    const SEQUENCE_ONE: u32 = 1 << SEQUENCE_SHIFT << Self::FLAGS_SHIFT;
    const SEQUENCE: u32 = 3 * Self::SEQUENCE_ONE;
    const TAG_OWNER: u32 = 1 << TAG_OWNER_SHIFT << Self::FLAGS_SHIFT;
    const TAG: u32 = 7 << Self::FLAGS_SHIFT;
    const RESERVED: u32 = 0xF0;

    /// The header in these bytes, not checked.
    #[inline]
    pub const fn from_bytes(bytes: [u8; HEADER_LEN]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// The bytes of the header.
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        self.0.to_le_bytes()
    }

    /// The header with its fields, checked.
    #[inline]
    pub const fn parse(self) -> Result<PacketHeader, HeaderError> {
        PacketHeader::parse(self.to_bytes())
    }

    /// Whether the header version is the one there is, 1.
    #[inline]
    pub const fn has_known_version(self) -> bool {
        self.0 & 0x0F == HEADER_VERSION as u32
    }

    /// The destination endpoint ID.
    #[inline]
    pub const fn destination(self) -> Eid {
        Eid((self.0 >> 8) as u8)
    }

    /// The source endpoint ID.
    #[inline]
    pub const fn source(self) -> Eid {
        Eid((self.0 >> 16) as u8)
    }

    /// Whether a packet can have this source: an endpoint ID, or 0 for a sender that has none yet;
    /// neither a reserved endpoint ID (1 to 7) nor 0xFF, which is everybody (DSP0236 1.3.3, section
    /// 8.2, table 2).
    #[inline]
    pub const fn has_legal_source(self) -> bool {
        !matches!(self.source().0, 1..=7 | 0xFF)
    }

    /// Source endpoint ID, tag owner bit and tag: what the packets of a message have in common.
    #[inline]
    pub const fn assembly_key(self) -> AssemblyKey {
        AssemblyKey::from_number(self.0)
    }

    /// Whether the TO bit is set: the sender chose the tag.
    #[inline]
    pub const fn is_tag_owner(self) -> bool {
        self.0 & Self::TAG_OWNER != 0
    }

    /// The message tag.
    #[inline]
    pub const fn tag(self) -> MessageTag {
        MessageTag::from_low_bits((self.0 >> Self::FLAGS_SHIFT) as u8)
    }

    /// The header of the first packet of the response to a message that began with this header: to
    /// its source, with its tag, which it does not own.
    #[inline]
    #[must_use]
    pub const fn of_response(self, source: Eid) -> Self {
        let tag = self.0 & Self::TAG;
        let source = (source.0 as u32) << 16;
        Self(Self::START | tag | source | self.0 >> 8 & 0xFF00 | HEADER_VERSION as u32)
    }

    /// The same header from another source.
    #[inline]
    #[must_use]
    pub const fn with_source(self, source: Eid) -> Self {
        Self(self.0 & !0x00FF_0000 | (source.0 as u32) << 16)
    }

    /// Whether the SOM bit is set.
    #[inline]
    pub const fn is_start(self) -> bool {
        self.0 & Self::START != 0
    }

    /// Whether the EOM bit is set.
    #[inline]
    pub const fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    /// The same header with the EOM bit set.
    #[inline]
    #[must_use]
    pub const fn with_end(self) -> Self {
        Self(self.0 | Self::END)
    }

    /// The header of the packet after this one, if that is a middle packet: without SOM and EOM,
    /// with the next sequence number.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        self.after(1)
    }

    /// As [`next`](Self::next), `packets` times; 0 times leaves the sequence number as it is.
    #[inline]
    #[must_use]
    pub const fn after(self, packets: usize) -> Self {
        let step = (packets as u32).wrapping_mul(Self::SEQUENCE_ONE);
        // The sequence number carries into EOM and SOM, which are cleared.
        Self(self.0.wrapping_add(step) & !(Self::START | Self::END))
    }
}

/// What ties the packets of a message together within a network: source endpoint ID, TO bit and
/// message tag (DSP0236 1.3.3, section 8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AssemblyKey(u32);

impl AssemblyKey {
    const TAG_OWNER: u32 = RawHeader::TAG_OWNER;
    const SOURCE_SHIFT: u32 = 16;
    const SOURCE: u32 = 0xFF << Self::SOURCE_SHIFT;

    /// The key of the packets that have these in their headers.
    #[inline]
    pub const fn new(source: Eid, tag_owner: bool, tag: MessageTag) -> Self {
        let tag_owner = if tag_owner { Self::TAG_OWNER } else { 0 };
        let tag = (tag.value() as u32) << RawHeader::FLAGS_SHIFT;
        Self(tag_owner | tag | (source.0 as u32) << Self::SOURCE_SHIFT)
    }

    /// The key as a number, with as many zeros below as a stack needs for the number of a network:
    /// bits 23:16 are the source endpoint ID, bits 26:24 the tag, bit 27 is the TO bit; all others
    /// are 0.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The key that has this [number](Self::number); the bits that are 0 there are ignored.
    #[inline]
    pub const fn from_number(number: u32) -> Self {
        Self(number & (Self::SOURCE | Self::TAG_OWNER | RawHeader::TAG))
    }

    /// The source endpoint ID.
    #[inline]
    pub const fn source(self) -> Eid {
        Eid((self.0 >> Self::SOURCE_SHIFT) as u8)
    }

    /// The message tag.
    #[inline]
    pub const fn tag(self) -> MessageTag {
        MessageTag::from_low_bits((self.0 >> RawHeader::FLAGS_SHIFT) as u8)
    }
}

/// The header that the next packet of a message has, if all goes well. Reserved bits and EOM are
/// left open, which a packet may have either way.
///
/// A stack that keeps it with an unfinished message needs one comparison to know the next packet
/// of that message: the version, destination, source, TO bit, tag and sequence number are right,
/// and SOM is clear.
///
/// ```
/// use mctp_transport::{ExpectedHeader, RawHeader};
///
/// let start = RawHeader::from_bytes([0x01, 9, 8, 0b1011_1000]);
/// let expected = ExpectedHeader::after(start);
/// assert!(expected.is_met_by(RawHeader::from_bytes([0x01, 9, 8, 0b0000_1000])));
/// assert!(expected.is_met_by(RawHeader::from_bytes([0xF1, 9, 8, 0b0100_1000])));
/// assert!(!expected.is_met_by(RawHeader::from_bytes([0x01, 9, 8, 0b0001_1000])));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ExpectedHeader(u32);

impl ExpectedHeader {
    const OPEN: u32 = RawHeader::RESERVED | RawHeader::END;

    /// Met by no packet, and with sequence number 0.
    pub const NONE: Self = Self(RawHeader::END);

    /// The header expected behind a packet that has this one.
    #[inline]
    pub const fn after(header: RawHeader) -> Self {
        Self(header.next().0 & !Self::OPEN)
    }

    /// Whether a packet is the expected one by its header.
    #[inline]
    pub const fn is_met_by(self, header: RawHeader) -> bool {
        header.0 & !Self::OPEN == self.0
    }

    /// Whether a packet has the expected sequence number, whatever else it has.
    #[inline]
    pub const fn has_sequence_of(self, header: RawHeader) -> bool {
        (header.0 ^ self.0) & RawHeader::SEQUENCE == 0
    }

    /// Met by no packet any more; the sequence number stays.
    #[inline]
    #[must_use]
    pub const fn unmet(self) -> Self {
        Self(self.0 & RawHeader::SEQUENCE | Self::NONE.0)
    }
}

impl From<PacketHeader> for RawHeader {
    #[inline]
    fn from(header: PacketHeader) -> Self {
        Self::from_bytes(header.to_bytes())
    }
}

/// A checked view of the bytes of one packet.
///
/// ```
/// use mctp_transport::{HeaderError, Packet};
///
/// let bytes = [0x01, 0x09, 0x08, 0xC8, 0x00, 0x80, 0x02];
/// let packet = Packet::parse(&bytes)?;
/// assert_eq!((packet.header.source.0, packet.header.tag.value()), (8, 0));
/// assert_eq!(packet.payload, [0x00, 0x80, 0x02]);
/// assert_eq!(Packet::parse(&bytes[..3]), Err(HeaderError::Truncated));
/// # Ok::<(), HeaderError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header, read and checked.
    pub header: PacketHeader,
    /// What follows the header. In a start packet its first byte is the IC bit and the message
    /// type.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Views `bytes`, which begin at the header and end with the packet, as a packet.
    #[inline]
    pub const fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, payload)) = bytes.split_first_chunk() else {
            return Err(HeaderError::Truncated);
        };
        match PacketHeader::parse(*header) {
            Ok(header) => Ok(Self { header, payload }),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: PacketHeader = PacketHeader {
        destination: Eid(9),
        source: Eid(8),
        start: true,
        end: false,
        sequence: SequenceNumber(2),
        tag_owner: true,
        tag: MessageTag(5),
    };

    #[test]
    fn fields_stand_where_section_8_2_puts_them() {
        assert_eq!(FIELDS.to_bytes(), [0x01, 0x09, 0x08, 0xAD]);
        assert_eq!(PacketHeader::parse([0x01, 0x09, 0x08, 0xAD]), Ok(FIELDS));
    }

    #[test]
    fn reserved_bits_are_ignored_on_receipt_and_zero_on_send() {
        assert_eq!(PacketHeader::parse([0xF1, 0x09, 0x08, 0xAD]), Ok(FIELDS));
        assert_eq!(FIELDS.to_bytes()[0] & 0xF0, 0);
    }

    #[test]
    fn refuses_every_version_but_1() {
        for version in (0..16).filter(|version| *version != 1) {
            assert_eq!(
                PacketHeader::parse([version, 9, 8, 0]),
                Err(HeaderError::UnsupportedVersion)
            );
        }
    }

    #[test]
    fn every_header_survives_a_round_trip() {
        for flags in 0..=255 {
            let bytes = [0x01, 200, 100, flags];
            assert_eq!(PacketHeader::parse(bytes).unwrap().to_bytes(), bytes);
        }
    }

    #[test]
    fn a_raw_header_steps_to_the_middle_packets_of_its_message() {
        let raw = RawHeader::from(FIELDS);
        assert!(raw.is_start() && !raw.is_end() && raw.with_end().is_end());
        assert_eq!(raw.to_bytes(), FIELDS.to_bytes());
        let mut expected = FIELDS;
        expected.start = false;
        for packets in 1..6 {
            expected.sequence = expected.sequence.next();
            assert_eq!(raw.with_end().after(packets), expected.into());
        }
        assert_eq!(raw.next(), raw.after(1));
    }

    #[test]
    fn a_raw_header_has_the_fields_of_the_checked_one() {
        for flags in 0..=255 {
            let raw = RawHeader::from_bytes([0x01, 200, 100, flags]);
            let header = raw.parse().unwrap();
            assert_eq!((raw.destination(), raw.source()), (Eid(200), Eid(100)));
            assert_eq!(raw.tag(), header.tag);
            assert_eq!(raw.is_tag_owner(), header.tag_owner);
            let expected = PacketHeader {
                destination: Eid(100),
                source: Eid(7),
                start: true,
                end: false,
                sequence: SequenceNumber(0),
                tag_owner: false,
                tag: header.tag,
            };
            assert_eq!(raw.of_response(Eid(7)), expected.into());
            assert_eq!(raw.with_source(Eid(7)).to_bytes(), [0x01, 200, 7, flags]);
        }
        let versions =
            (0..=255).filter(|byte| RawHeader::from_bytes([*byte, 9, 8, 0]).has_known_version());
        assert!(versions.eq((0..16).map(|reserved| reserved << 4 | 1)));
    }

    #[test]
    fn a_reserved_endpoint_id_or_everybody_sends_no_packet() {
        let from = |source| RawHeader::from_bytes([1, 9, source, 0]).has_legal_source();
        let legal = (0..=255).filter(|source| from(*source));
        assert!(legal.eq([0].into_iter().chain(8..=254)));
    }

    #[test]
    fn an_assembly_key_is_source_tag_owner_and_tag_and_nothing_else() {
        let parts = |header: RawHeader| (header.source(), header.is_tag_owner(), header.tag());
        for flags in 0..=255 {
            let header = RawHeader::from_bytes([0x01, 9, 200, flags]);
            let (source, tag_owner, tag) = parts(header);
            let key = header.assembly_key();
            assert_eq!(key, AssemblyKey::new(source, tag_owner, tag));
            assert_eq!((key.source(), key.tag()), (source, tag));
            assert_eq!(AssemblyKey::from_number(key.number() | 0xF000_FFFF), key);
            for other_flags in 0..=255 {
                let other = RawHeader::from_bytes([0xF1, 10, 200, other_flags]);
                assert_eq!(key == other.assembly_key(), parts(header) == parts(other));
            }
        }
        let number = AssemblyKey::new(Eid(0x65), true, MessageTag(3)).number();
        assert_eq!(number, 0x0B65_0000);
    }

    #[test]
    fn the_expected_header_is_that_of_the_next_packet_with_reserved_bits_and_eom_left_open() {
        for flags in 0..=255 {
            let header = RawHeader::from_bytes([0x01, 9, 8, flags]);
            let expected = ExpectedHeader::after(header);
            let next = header.next();
            for other_flags in 0..=255 {
                let other = RawHeader::from_bytes([0xA1, 9, 8, other_flags]);
                let is_next = !other.is_start()
                    && other.assembly_key() == next.assembly_key()
                    && other_flags >> 4 & 3 == (flags >> 4).wrapping_add(1) & 3;
                assert_eq!(expected.is_met_by(other), is_next);
                assert!(
                    !expected.unmet().is_met_by(other) && !ExpectedHeader::NONE.is_met_by(other)
                );
                let has_sequence = other_flags >> 4 & 3 == next.to_bytes()[3] >> 4 & 3;
                assert_eq!(expected.has_sequence_of(other), has_sequence);
                assert_eq!(expected.unmet().has_sequence_of(other), has_sequence);
            }
        }
        let expected = ExpectedHeader::after(RawHeader::from_bytes([0x01, 9, 8, 0x80]));
        for bytes in [[0x02, 9, 8, 0x10], [0x01, 10, 8, 0x10], [0x01, 9, 7, 0x10]] {
            assert!(!expected.is_met_by(RawHeader::from_bytes(bytes)));
        }
    }

    #[test]
    fn tags_and_sequence_numbers_wrap() {
        assert_eq!(MessageTag(7).next(), MessageTag(0));
        assert_eq!(SequenceNumber(3).next(), SequenceNumber(0));
    }
}
