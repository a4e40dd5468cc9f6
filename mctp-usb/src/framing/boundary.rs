//! What a 1.1 transfer begins with when the one before it ended inside a packet: the rest of that
//! packet, or another packet.
//!
//! Nothing here looks further than the first USB packet of the transfer, and nothing is copied.

use super::Version;

/// The first byte of an MCTP packet: header version 1, reserved bits zero (DSP0236 1.3.3, 8.2).
const PACKET_HEADER_VERSION_1: u8 = 0x01;

/// The length, header included, when `bytes` begin with both headers of a packet as hosts send it:
/// all reserved bits are zero.
pub(super) fn plausible_length(version: Version, bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [id0, id1, high @ 0..=0x1F, low, PACKET_HEADER_VERSION_1, ..] => {
            version.decode([id0, id1, high, low])
        }
        _ => None,
    }
}

/// Whether `usb_packet` begins with a packet, with which and behind which everything is plausible.
///
/// A transfer that ends with it has to end with a packet: one that is cut off again is no reason to
/// give up another.
pub(super) fn is_run_of_packets(version: Version, usb_packet: &[u8], transfer_ended: bool) -> bool {
    let mut rest = usb_packet;
    loop {
        let Some(length) = plausible_length(version, rest) else {
            return !transfer_ended && is_cut_header(rest);
        };
        match rest.get(length..) {
            Some([]) => return true,
            Some(next) => rest = next,
            None => return !transfer_ended,
        }
    }
}

/// Whether a packet that lacks `missing` bytes ends in `usb_packet` where one may end: with it, or
/// before a plausible packet.
pub(super) fn ends_between_packets(version: Version, usb_packet: &[u8], missing: usize) -> bool {
    match usb_packet.get(missing..) {
        Some([]) => true,
        Some(next) => plausible_length(version, next).is_some(),
        None => false,
    }
}

/// Whether these are the first bytes of what [`plausible_length`] takes, and too few to tell.
fn is_cut_header(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x1A] | [0x1A, 0xB4] | [0x1A, 0xB4, 0..=0x1F] | [0x1A, 0xB4, 0..=0x1F, _]
    )
}
