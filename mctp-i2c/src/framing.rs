//! A transaction with one MCTP packet (DSP0237, section 6.3, Table 1 and Figure 1), without any
//! I/O.
//!
//! Every MCTP packet is one SMBus block write with a packet error code, from START to STOP:
//!
//! | byte | content |
//! |-|-|
//! | 0 | destination: target address in bits 7:1, bit 0 is 0 (write) |
//! | 1 | command code: 0Fh ([`COMMAND_CODE`]) |
//! | 2 | byte count: bytes from here to the last of the packet, so packet length + 1; 5 to 255 |
//! | 3 | source: target address of the sender in bits 7:1, bit 0 is 1 |
//! | 4 | MCTP packet: header version |
//! | 5 | destination endpoint ID |
//! | 6 | source endpoint ID |
//! | 7 | start, end, packet sequence number, tag owner, message tag |
//! | 8 to n - 1 | payload, 0 to 250 bytes; 64 unless more was negotiated |
//! | n | packet error code ([`pec`]) over bytes 0 to n - 1 |
//!
//! DSP0237 counts from 1: its byte 4 is the source here called byte 3. A payload of 64 bytes has
//! byte count 69 and 73 bytes in all, the longest one of 250 bytes has byte count 255 and 259 bytes
//! in all.
//!
//! A sender makes the first four bytes and the last one; [`encode`] does it for a whole transaction
//! in a buffer. [`decode`] takes a transaction apart, or says what is wrong with it.
//!
//! ```
//! use mctp_i2c::TargetAddress;
//! use mctp_i2c::framing::{MAX_TRANSACTION, decode, encode};
//!
//! let (bmc, drive) = (TargetAddress::new(0x10).unwrap(), TargetAddress::new(0x1D).unwrap());
//! // Get Endpoint ID, as Linux sends it.
//! let packet = [0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02];
//! let mut buffer = [0; MAX_TRANSACTION];
//! let transaction = encode(drive, bmc, &packet, &mut buffer).unwrap();
//! assert_eq!(transaction, [0x3A, 0x0F, 8, 0x21, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02, 0x56]);
//!
//! let decoded = decode(transaction).unwrap();
//! assert_eq!((decoded.destination, decoded.source, decoded.packet), (drive, bmc, &packet[..]));
//! ```

use mctp_transport::{DropReason, Frame};

use crate::TargetAddress;
use crate::pec::{continued, pec};

/// The second byte of every transaction (DSP0237, section 6.3, Table 1).
pub const COMMAND_CODE: u8 = 0x0F;

/// Bytes before the packet: destination, command code, byte count, source.
pub const HEADER_LEN: usize = 4;

/// Bytes behind the packet: the packet error code.
pub const TRAILER_LEN: usize = 1;

/// The longest MCTP packet, in bytes, packet header included: the byte count, at most 255, counts
/// the source byte too.
pub const MAX_PACKET: usize = 254;

/// The longest transaction, in bytes, destination and packet error code included.
pub const MAX_TRANSACTION: usize = HEADER_LEN + MAX_PACKET + TRAILER_LEN;

/// The shortest transaction that has a whole MCTP packet header.
const MIN_TRANSACTION: usize = HEADER_LEN + mctp_transport::HEADER_LEN + TRAILER_LEN;

/// A transaction that was taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The target that was addressed.
    pub destination: TargetAddress,
    /// The device that sent the packet: an answer goes there.
    pub source: TargetAddress,
    /// The MCTP packet, header first. Nothing in it has been looked at.
    pub packet: &'a [u8],
}

/// What is wrong with a transaction.
///
/// Linux's `mctp-i2c` discards the same ones but for [`NotMctp`](Self::NotMctp) by the source byte,
/// which it does not check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than a packet header needs. A probe for devices, such as that of `i2cdetect`,
    /// writes the address alone.
    #[error("too short for an MCTP packet")]
    TooShort,
    /// Another protocol: another command code, a read, or a source byte with bit 0 clear, which is
    /// how IPMI messages are told from MCTP packets (DSP0237, section 6.21.1).
    #[error("not an MCTP packet")]
    NotMctp,
    /// The byte count is not the number of bytes that came.
    #[error("wrong byte count")]
    WrongByteCount,
    /// The packet error code does not fit the bytes.
    #[error("wrong packet error code")]
    WrongPec,
    /// The destination or the source is an address that I2C reserves: there is nobody to answer.
    #[error("reserved address")]
    ReservedAddress,
}

impl From<FrameError> for DropReason {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooShort => Self::Truncated,
            _ => Self::BadLinkIntegrity,
        }
    }
}

/// Takes a transaction apart: `bytes` are all from START to STOP, the destination byte first.
///
/// # Errors
///
/// When it is not a whole MCTP packet with the right packet error code. The form is checked first,
/// so that another protocol is told from a damaged packet.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, FrameError> {
    if bytes.len() < MIN_TRANSACTION {
        return Err(FrameError::TooShort);
    }
    let (checked, [code]) = bytes
        .split_last_chunk::<TRAILER_LEN>()
        .ok_or(FrameError::TooShort)?;
    let ([destination, command, byte_count, source], packet) = checked
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(FrameError::TooShort)?;
    if *command != COMMAND_CODE || destination & 1 != 0 || source & 1 != 1 {
        return Err(FrameError::NotMctp);
    }
    if usize::from(*byte_count) != packet.len().saturating_add(1) {
        return Err(FrameError::WrongByteCount);
    }
    if *code != pec(checked) {
        return Err(FrameError::WrongPec);
    }
    let address = |byte: &u8| TargetAddress::new(byte >> 1).ok_or(FrameError::ReservedAddress);
    Ok(Decoded {
        destination: address(destination)?,
        source: address(source)?,
        packet,
    })
}

/// No transaction can have a packet of this length, or the buffer is too short for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("a packet has 4 to 254 bytes, and its transaction 5 more")]
pub struct WrongLength;

/// Writes the transaction from `source` to `destination` with `packet` into `buffer`, and returns
/// it.
///
/// A caller that has room around the packet spares the copy: see [`complete`].
///
/// # Errors
///
/// When the packet is shorter than its header or longer than [`MAX_PACKET`], or the buffer has no
/// room for it.
pub fn encode<'b>(
    destination: TargetAddress,
    source: TargetAddress,
    packet: &[u8],
    buffer: &'b mut [u8],
) -> Result<&'b [u8], WrongLength> {
    let len = packet.len().saturating_add(HEADER_LEN + TRAILER_LEN);
    if !(MIN_TRANSACTION..=MAX_TRANSACTION).contains(&len) {
        return Err(WrongLength);
    }
    let transaction = buffer.get_mut(..len).ok_or(WrongLength)?;
    let (headroom, behind) = transaction
        .split_at_mut_checked(HEADER_LEN)
        .ok_or(WrongLength)?;
    let (place, tailroom) = behind
        .split_at_mut_checked(packet.len())
        .ok_or(WrongLength)?;
    place.copy_from_slice(packet);
    let frame = Frame {
        headroom,
        packet: place,
        tailroom,
    };
    complete(destination, source, frame)?;
    Ok(transaction)
}

/// Writes what stands around the packet of a frame: [`HEADER_LEN`] bytes of headroom, and
/// [`TRAILER_LEN`] of tailroom.
///
/// # Errors
///
/// When the frame has other room, or the packet is longer than [`MAX_PACKET`]. Nothing is written
/// then.
pub fn complete(
    destination: TargetAddress,
    source: TargetAddress,
    frame: Frame<'_>,
) -> Result<(), WrongLength> {
    let byte_count = frame.packet.len().saturating_add(1);
    let byte_count = u8::try_from(byte_count).map_err(|_| WrongLength)?;
    let before = <&mut [u8; HEADER_LEN]>::try_from(frame.headroom).map_err(|_| WrongLength)?;
    let [code] = <&mut [u8; TRAILER_LEN]>::try_from(frame.tailroom).map_err(|_| WrongLength)?;
    *before = [
        destination.destination_byte(),
        COMMAND_CODE,
        byte_count,
        source.source_byte(),
    ];
    *code = continued(pec(before), frame.packet);
    Ok(())
}

#[cfg(test)]
mod tests;
