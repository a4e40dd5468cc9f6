//! SHA-1 (RFC 3174) of a short message, for name-based UUIDs only: as a cryptographic hash it is
//! broken.
//!
//! The crates that implement SHA-1 unroll its 80 rounds, which takes 3 KB of a microcontroller's
//! flash. This is one block in a loop.

use core::array;

/// Words of a block.
const BLOCK: usize = 16;
const ROUNDS: usize = 80;
/// Behind the message stand one bit that is set and, as the last two words of the block, its length
/// in bits.
const LONGEST: usize = BLOCK - 3;

/// The hash of `message`, which has at most 13 words of four bytes: one block.
pub(super) fn of_one_block<const N: usize>(message: [u32; N]) -> [u32; 5] {
    const { assert!(N <= LONGEST, "a message of one block") };
    let mut words = [0; ROUNDS];
    words[..N].copy_from_slice(&message);
    words[N] = 0x8000_0000;
    words[BLOCK - 1] = N as u32 * u32::BITS;
    for t in BLOCK..ROUNDS {
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

    /// Made with Python's `hashlib.sha1` of `abcd` and of nothing.
    #[test]
    fn hashes_are_those_of_the_standard() {
        assert_eq!(
            of_one_block([0x6162_6364]),
            [
                0x81FE_8BFE,
                0x8757_6C3E,
                0xCB22_426F,
                0x8E57_8473,
                0x8291_7ACF
            ]
        );
        assert_eq!(
            of_one_block([]),
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
