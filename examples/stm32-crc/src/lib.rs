#![no_std]
#![doc = include_str!("../README.md")]

use mctp_crc32c::Crc32c;

/// The registers of the CRC unit (RM0477, CRC calculation unit).
pub trait Registers {
    /// Writes 32 bits of input to `CRC_DR`, the first bits in the highest byte.
    fn write_data_word(&mut self, word: u32);
    /// Writes 8 bits of input to the lowest byte of `CRC_DR`, in one access of 8 bits.
    fn write_data_byte(&mut self, byte: u8);
    /// Reads `CRC_DR`, the CRC of the input so far.
    fn data(&mut self) -> u32;
    /// Writes `CRC_CR`.
    fn write_control(&mut self, value: u32);
    /// Writes `CRC_INIT`, what `CRC_DR` is after a reset of the unit.
    fn write_initial_value(&mut self, value: u32);
    /// Writes `CRC_POL`.
    fn write_polynomial(&mut self, value: u32);
}

/// Of CRC-32C, not reflected.
const POLYNOMIAL: u32 = 0x1EDC_6F41;

/// Bits of `CRC_CR`. The polynomial has 32 bits where bits 3 and 4 are zero.
mod control {
    /// `RESET`: begins with the initial value.
    pub(super) const RESET: u32 = 1;
    /// `REV_IN` 01b: the lowest bit of each byte of input is the first.
    pub(super) const REVERSE_EACH_BYTE_IN: u32 = 1 << 5;
    /// `REV_OUT`: the lowest bit of the CRC is that of the highest power.
    pub(super) const REVERSE_OUT: u32 = 1 << 7;
}

/// Computes CRC-32C with the CRC unit.
///
/// ```
/// use mctp_crc32c::Crc32c;
/// use stm32_crc::{CrcUnit, Registers};
///
/// fn check_value(registers: impl Registers) -> u32 {
///     CrcUnit::new(registers).crc32c(&[b"1234", b"56789"])
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CrcUnit<R>(R);

impl<R: Registers> CrcUnit<R> {
    /// The unit behind these registers, whose clock runs.
    pub fn new(mut registers: R) -> Self {
        registers.write_polynomial(POLYNOMIAL);
        Self(registers)
    }
}

impl<R: Registers> Crc32c for CrcUnit<R> {
    fn continue_crc32c(&mut self, crc: u32, parts: &[&[u8]]) -> u32 {
        let Self(registers) = self;
        // As the data register was: neither inverted nor reversed.
        registers.write_initial_value((!crc).reverse_bits());
        registers
            .write_control(control::RESET | control::REVERSE_EACH_BYTE_IN | control::REVERSE_OUT);
        for part in parts {
            let (words, bytes) = part.as_chunks();
            for word in words {
                registers.write_data_word(u32::from_be_bytes(*word));
            }
            for byte in bytes {
                registers.write_data_byte(*byte);
            }
        }
        !registers.data()
    }
}
