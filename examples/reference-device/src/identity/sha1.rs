//! SHA-1 (RFC 3174) of a short message, for name-based UUIDs only: as a cryptographic hash it is broken.
//!
//! The crates that implement SHA-1 unroll its 80 rounds, which takes 3 KB of a microcontroller's flash. This is one block in a loop.

/// Bytes of a block.
const BLOCK: usize = 64;
/// Behind the message stand a byte 80h and, at the end of the block, its length in bits.
const LONGEST: usize = BLOCK - 9;

/// The hash of `message`, which has at most 55 bytes: one block.
pub(super) fn of_one_block<const N: usize>(message: &[u8; N]) -> [u8; 20] {
    const { assert!(N <= LONGEST, "a message of one block") };
    let mut block = [0; BLOCK];
    block[..N].copy_from_slice(message);
    block[N] = 0x80;
    block[BLOCK - 8..].copy_from_slice(&(N as u64 * 8).to_be_bytes());

    let start = [
        0x6745_2301,
        0xEFCD_AB89,
        0x98BA_DCFE,
        0x1032_5476,
        0xC3D2_E1F0,
    ];
    let end = rounds(schedule(&block), start);
    let mut hash = [0; 20];
    for ((bytes, start), end) in hash.chunks_exact_mut(4).zip(start).zip(end) {
        bytes.copy_from_slice(&start.wrapping_add(end).to_be_bytes());
    }
    hash
}

/// W(0) to W(79).
fn schedule(block: &[u8; BLOCK]) -> [u32; 80] {
    let mut words = [0; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    for t in 16..80 {
        words[t] = (words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1);
    }
    words
}

fn rounds(words: [u32; 80], [mut a, mut b, mut c, mut d, mut e]: [u32; 5]) -> [u32; 5] {
    for (t, word) in words.into_iter().enumerate() {
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
            .wrapping_add(word)
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
            *b"\xA9\x99\x3E\x36\x47\x06\x81\x6A\xBA\x3E\x25\x71\x78\x50\xC2\x6C\x9C\xD0\xD8\x9D"
        );
        assert_eq!(
            of_one_block(b""),
            *b"\xDA\x39\xA3\xEE\x5E\x6B\x4B\x0D\x32\x55\xBF\xEF\x95\x60\x18\x90\xAF\xD8\x07\x09"
        );
    }
}
