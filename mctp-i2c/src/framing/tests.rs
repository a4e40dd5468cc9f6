use proptest::prelude::*;

use super::*;

const BMC: TargetAddress = TargetAddress::new(0x10).unwrap();
const DRIVE: TargetAddress = TargetAddress::new(0x1D).unwrap();

/// Where from, where to, the packet, and all bytes of the transaction. Linux (7.2 and 7.3 alike) sent
/// the first and took the second; the third was computed apart from this crate. Do not change them.
const VECTORS: &[(u8, u8, &[u8], &[u8])] = &[
    // mctp-i2c of Linux at 10h asks 1Dh for its endpoint ID.
    (
        0x10,
        0x1D,
        &[0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02],
        &[
            0x3A, 0x0F, 0x08, 0x21, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02, 0x56,
        ],
    ),
    // The answer, which it took.
    (
        0x1D,
        0x10,
        &[
            0x01, 0x08, 0x00, 0xC0, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00,
        ],
        &[
            0x20, 0x0F, 0x0C, 0x3B, 0x01, 0x08, 0x00, 0xC0, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
            0x00, 0x02,
        ],
    ),
    // The same request with endpoint IDs.
    (
        0x10,
        0x1D,
        &[0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02],
        &[
            0x3A, 0x0F, 0x08, 0x21, 0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02, 0x7B,
        ],
    ),
];

fn address(byte: u8) -> TargetAddress {
    TargetAddress::new(byte).unwrap()
}

fn transaction(packet: &[u8]) -> Vec<u8> {
    let mut buffer = [0; MAX_TRANSACTION];
    encode(DRIVE, BMC, packet, &mut buffer).unwrap().to_vec()
}

#[test]
fn transactions_are_byte_for_byte_those_of_linux() {
    for (source, destination, packet, bytes) in VECTORS {
        let (source, destination) = (address(*source), address(*destination));
        let mut buffer = [0; MAX_TRANSACTION];
        assert_eq!(encode(destination, source, packet, &mut buffer), Ok(*bytes));
        let decoded = Decoded {
            destination,
            source,
            packet,
        };
        assert_eq!(decode(bytes), Ok(decoded));
    }
}

#[test]
fn the_packet_error_code_is_that_of_the_catalogue_of_check_values() {
    assert_eq!(pec(b"123456789"), 0xF4);
    assert_eq!(pec(&[]), 0);
}

#[test]
fn a_baseline_packet_has_byte_count_69_and_the_longest_255() {
    for (payload, byte_count, whole) in [(64, 69, 73), (250, 255, 259)] {
        let transaction = transaction(&vec![1; 4 + payload]);
        assert_eq!(usize::from(transaction[2]), byte_count);
        assert_eq!(transaction.len(), whole);
    }
}

#[test]
fn a_packet_that_no_transaction_can_have_is_refused() {
    let mut buffer = [0; 400];
    for len in [0, 3, 255, 256, 300] {
        assert_eq!(
            encode(DRIVE, BMC, &vec![1; len], &mut buffer),
            Err(WrongLength),
            "{len}"
        );
    }
    assert!(encode(DRIVE, BMC, &[1; 4], &mut [0; 8]).is_err());
    assert!(encode(DRIVE, BMC, &[1; 4], &mut [0; 9]).is_ok());
}

#[test]
fn a_frame_with_other_room_is_left_alone() {
    for (headroom, tailroom) in [(3, 1), (5, 1), (4, 0), (4, 2)] {
        let (mut before, mut packet, mut behind) = ([0xEE; 8], [1; 5], [0xEE; 8]);
        let frame = Frame {
            headroom: &mut before[..headroom],
            packet: &mut packet,
            tailroom: &mut behind[..tailroom],
        };
        assert_eq!(complete(DRIVE, BMC, frame), Err(WrongLength));
        assert_eq!((before, behind), ([0xEE; 8], [0xEE; 8]));
    }
}

/// A good transaction with this byte changed, and its packet error code right again.
fn with(index: usize, byte: u8) -> Vec<u8> {
    let mut bytes = transaction(&[1, 0, 8, 0xC8, 0, 0x80, 2]);
    bytes[index] = byte;
    let last = bytes.len() - 1;
    bytes[last] = pec(&bytes[..last]);
    bytes
}

#[test]
fn each_malformed_transaction_has_its_own_error() {
    use FrameError::{NotMctp, ReservedAddress, TooShort, WrongByteCount, WrongPec};
    let good = with(1, COMMAND_CODE);
    assert!(decode(&good).is_ok());
    let mut damaged = good.clone();
    damaged[11] ^= 1;
    let longer = [&good[..], &[0]].concat();
    for (bytes, error) in [
        (&[][..], TooShort),
        (&good[..1], TooShort),
        (&good[..8], TooShort),
        (&with(0, 0x3B), NotMctp),
        (&with(1, 0x0E), NotMctp),
        (&with(3, 0x20), NotMctp),
        (&with(2, 7), WrongByteCount),
        (&with(2, 9), WrongByteCount),
        (&with(2, 0), WrongByteCount),
        (&good[..11], WrongByteCount),
        (&longer, WrongByteCount),
        (&damaged, WrongPec),
        (&with(0, 0x00), ReservedAddress),
        (&with(0, 0xF0), ReservedAddress),
        (&with(3, 0x01), ReservedAddress),
        (&with(3, 0xFF), ReservedAddress),
    ] {
        assert_eq!(decode(bytes), Err(error), "{bytes:02X?}");
    }
}

#[test]
fn what_is_too_short_is_counted_apart_from_what_is_damaged() {
    assert_eq!(
        DropReason::from(FrameError::TooShort),
        DropReason::Truncated
    );
    assert_eq!(
        DropReason::from(FrameError::WrongPec),
        DropReason::BadLinkIntegrity
    );
}

#[test]
fn no_error_of_one_bit_is_taken_for_a_packet() {
    for len in [4, 5, 68, 254] {
        let good = transaction(&(0..len).map(|byte| byte as u8).collect::<Vec<_>>());
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "{len} bytes, bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn any_packet_comes_back_as_it_was(
        source in 0x08..=0x77_u8,
        destination in 0x08..=0x77_u8,
        packet in prop::collection::vec(any::<u8>(), 4..=MAX_PACKET),
    ) {
        let (source, destination) = (address(source), address(destination));
        let mut buffer = [0; MAX_TRANSACTION];
        let bytes = encode(destination, source, &packet, &mut buffer).unwrap();
        let decoded = Decoded { destination, source, packet: &packet };
        prop_assert_eq!(decode(bytes), Ok(decoded));
    }

    #[test]
    fn what_is_taken_for_a_packet_is_one(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Decoded { destination, source, packet }) = decode(&bytes) {
            let mut buffer = [0; MAX_TRANSACTION];
            prop_assert_eq!(encode(destination, source, packet, &mut buffer), Ok(&bytes[..]));
        }
    }

    #[test]
    fn no_burst_of_eight_bits_is_taken_for_a_packet(
        packet in prop::collection::vec(any::<u8>(), 4..=MAX_PACKET),
        at in any::<prop::sample::Index>(),
        burst in 1..=u8::MAX,
        shift in 0..8_u32,
    ) {
        let mut bytes = transaction(&packet);
        let at = at.index(bytes.len() - 1);
        let [first, second] = (u16::from(burst) << shift).to_be_bytes();
        bytes[at] ^= first;
        bytes[at + 1] ^= second;
        prop_assert!(decode(&bytes).is_err());
    }
}
