#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_debug_implementations)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

/// Computes CRC-32C: polynomial 1EDC6F41h, bits reflected, initial value and final inversion
/// FFFFFFFFh.
///
/// Implement it for a hardware engine: only [`continue_crc32c`](Self::continue_crc32c) is required.
/// A mutable reference to an implementation is one too, `&mut dyn Crc32c` among them.
pub trait Crc32c {
    /// The CRC of `parts`, as if concatenated. Over the ASCII text `123456789` it is E3069283h.
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        self.continue_crc32c(0, parts)
    }

    /// The CRC of what `crc` is the CRC of, and of `parts` behind it. That of nothing is 0.
    fn continue_crc32c(&mut self, crc: u32, parts: &[&[u8]]) -> u32;
}

impl<C: Crc32c + ?Sized> Crc32c for &mut C {
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        (**self).crc32c(parts)
    }

    fn continue_crc32c(&mut self, crc: u32, parts: &[&[u8]]) -> u32 {
        (**self).continue_crc32c(crc, parts)
    }
}

/// In software, 4 bits at a time, with a table of 64 bytes: 7 instructions for a byte on thumbv7em.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftwareCrc32c;

/// What a nibble adds, for the reflected polynomial 82F63B78h.
#[rustfmt::skip]
const NIBBLES: [u32; 16] = [
    0x0000_0000, 0x105E_C76F, 0x20BD_8EDE, 0x30E3_49B1, 0x417B_1DBC, 0x5125_DAD3, 0x61C6_9362, 0x7198_540D,
    0x82F6_3B78, 0x92A8_FC17, 0xA24B_B5A6, 0xB215_72C9, 0xC38D_26C4, 0xD3D3_E1AB, 0xE330_A81A, 0xF36E_6F75,
];

impl Crc32c for SoftwareCrc32c {
    fn continue_crc32c(&mut self, crc: u32, parts: &[&[u8]]) -> u32 {
        fold(!crc, parts, shift_two_nibbles)
    }
}

fn shift_two_nibbles(crc: u32) -> u32 {
    shift_nibble(shift_nibble(crc))
}

fn shift_nibble(crc: u32) -> u32 {
    // The index is below 16: the default costs nothing and is never taken.
    let added = NIBBLES.get((crc & 0xF) as usize).copied().unwrap_or(0);
    crc >> 4 ^ added
}

/// In software, 8 bits at a time, with a table of 1 KiB: 4 instructions for a byte on thumbv7em.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TableCrc32c;

/// What a byte adds.
static BYTES: [u32; 256] = byte_table();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, for which either would be an error"
)]
const fn byte_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let low = NIBBLES[index & 0xF];
        let first = low ^ (index as u32 >> 4);
        table[index] = first >> 4 ^ NIBBLES[(first & 0xF) as usize];
        index += 1;
    }
    table
}

impl Crc32c for TableCrc32c {
    fn continue_crc32c(&mut self, crc: u32, parts: &[&[u8]]) -> u32 {
        fold(!crc, parts, |crc| {
            // The index is below 256: the default costs nothing and is never taken.
            let added = BYTES.get((crc & 0xFF) as usize).copied().unwrap_or(0);
            crc >> 8 ^ added
        })
    }
}

/// The CRC of `parts`, with `shift` to move a byte out of it. Four bytes are added at once, which
/// saves a third of the instructions.
fn fold(mut crc: u32, parts: &[&[u8]], shift: impl Fn(u32) -> u32) -> u32 {
    for part in parts {
        let (words, bytes) = part.as_chunks();
        for word in words {
            crc = shift(shift(shift(shift(crc ^ u32::from_le_bytes(*word)))));
        }
        for byte in bytes {
            crc = shift(crc ^ u32::from(*byte));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_check_value_of_crc_32c() {
        assert_eq!(SoftwareCrc32c.crc32c(&[b"123456789"]), 0xE306_9283);
    }

    #[test]
    fn the_table_gives_the_same_as_the_nibbles() {
        assert_eq!(TableCrc32c.crc32c(&[b"123456789"]), 0xE306_9283);
        let every: [u8; 256] = core::array::from_fn(|index| index as u8);
        assert_eq!(
            TableCrc32c.crc32c(&[&every]),
            SoftwareCrc32c.crc32c(&[&every])
        );
    }

    #[test]
    fn a_reference_to_an_engine_is_the_same_engine() {
        let mut software = SoftwareCrc32c;
        let engine: &mut dyn Crc32c = &mut software;
        assert_eq!(check_value(engine), 0xE306_9283);
    }

    fn check_value(mut engine: impl Crc32c) -> u32 {
        let first = engine.crc32c(&[b"1234"]);
        engine.continue_crc32c(first, &[b"56789"])
    }

    #[test]
    fn parts_count_as_if_concatenated() {
        let text = b"123456789";
        for end in 0..=text.len() {
            for start in 0..=end {
                let parts = [&text[..start], &text[start..end], &text[end..]];
                assert_eq!(SoftwareCrc32c.crc32c(&parts), 0xE306_9283);
                assert_eq!(TableCrc32c.crc32c(&parts), 0xE306_9283);
                let first = TableCrc32c.crc32c(&parts[..1]);
                assert_eq!(TableCrc32c.continue_crc32c(first, &parts[1..]), 0xE306_9283);
            }
        }
    }
}
