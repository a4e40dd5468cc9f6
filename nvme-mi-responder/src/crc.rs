//! CRC-32C, the Message Integrity Check (NVMe-MI 1.2, section 3.1.1.1).

/// What computes the Message Integrity Check: CRC-32C (polynomial 1EDC6F41h, reflected, initial value and final inversion FFFFFFFFh).
///
/// Implement it for a hardware engine and plug it in with [`World::Crc`](crate::world::World::Crc).
pub trait Crc32c {
    /// The CRC of `parts`, as if concatenated. Over the ASCII text `123456789` it is E3069283h.
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32;
}

/// In software, 4 bits at a time, with a table of 64 bytes.
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
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        let bytes = parts.iter().flat_map(|part| part.iter());
        !bytes.fold(u32::MAX, |crc, byte| {
            shift_nibble(shift_nibble(crc ^ u32::from(*byte)))
        })
    }
}

fn shift_nibble(crc: u32) -> u32 {
    // The index is below 16: the default costs nothing and is never taken.
    let added = NIBBLES.get((crc & 0xF) as usize).copied().unwrap_or(0);
    (crc >> 4) ^ added
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_check_value_of_crc_32c() {
        assert_eq!(SoftwareCrc32c.crc32c(&[b"123456789"]), 0xE306_9283);
    }

    #[test]
    fn parts_count_as_if_concatenated() {
        assert_eq!(
            SoftwareCrc32c.crc32c(&[b"1", b"", b"23456789"]),
            0xE306_9283
        );
    }
}
