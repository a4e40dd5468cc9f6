//! SHA-1 (RFC 3174) of a short message, for name-based UUIDs only: as a cryptographic hash it is broken.
//!
//! The crates that implement SHA-1 unroll its 80 rounds, which takes 3 KB of a microcontroller's flash. This is one block in a loop.

use core::array;

/// Bytes of a block.
const BLOCK: usize = 64;
const ROUNDS: usize = 80;
/// Behind the message stand a byte 80h and, at the end of the block, its length in bits: 8 bytes.
const LONGEST: usize = BLOCK - 9;

/// The hash of `message`, which has at most 55 bytes, as its five words.
pub(super) fn of_one_block<const N: usize>(message: &[u8; N]) -> [u32; 5] {
    const { assert!(N <= LONGEST, "a message of one block") };
    let mut words = [0; ROUNDS];
    let ended = message.iter().chain(&[0x80]);
    for (index, byte) in ended.enumerate() {
        words[index / 4] |= u32::from(*byte) << (24 - index % 4 * 8);
    }
    words[BLOCK / 4 - 1] = N as u32 * 8;
    for t in BLOCK / 4..ROUNDS {
        words[t] = (words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1);
    }

    let start = [
        0x6745_2301,
        0xEFCD_AB89,
        0x98BA_DCFE,
        0x1032_5476,
        0xC3D2_E1F0,
    ];
    let end = rounds(&words, start);
    array::from_fn(|index| start[index].wrapping_add(end[index]))
}

fn rounds(words: &[u32; ROUNDS], [mut a, mut b, mut c, mut d, mut e]: [u32; 5]) -> [u32; 5] {
    for (t, word) in words.iter().enumerate() {
        let (mixed, constant) = match t / 20 {
            0 => (b & c | !b & d, 0x5A82_7999),
            1 => (b ^ c ^ d, 0x6ED9_EBA1),
            2 => (b & c | b & d | c & d, 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(mixed)
            .wrapping_add(e)
            .wrapping_add(*word)
            .wrapping_add(constant);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    [a, b, c, d, e]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3174, section 7.3, test 1, and the empty message.
    #[test]
    fn hashes_are_those_of_the_standard() {
        assert_eq!(
            of_one_block(b"abc"),
            [
                0xA999_3E36,
                0x4706_816A,
                0xBA3E_2571,
                0x7850_C26C,
                0x9CD0_D89D
            ]
        );
        assert_eq!(
            of_one_block(b""),
            [
                0xDA39_A3EE,
                0x5E6B_4B0D,
                0x3255_BFEF,
                0x9560_1890,
                0xAFD8_0709
            ]
        );
    }
}
