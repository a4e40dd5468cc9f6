//! The packet error code (SMBus 3.x, section 5.4.1; DSP0237, section 6.3).

/// x⁸ + x² + x + 1, the bit of x⁸ left out.
const POLYNOMIAL: u8 = 0x07;

/// The packet error code of a transaction: CRC-8 over every byte before it, the destination byte
/// included.
///
/// Polynomial 07h, start value 0, no bit reversed, nothing added at the end. Any error of one bit
/// changes it, and any within eight bits.
///
/// ```
/// assert_eq!(mctp_i2c::pec(b"123456789"), 0xF4);
/// ```
pub fn pec(bytes: &[u8]) -> u8 {
    continued(0, bytes)
}

/// The code of what has the code `code`, and `bytes` behind it.
pub(crate) fn continued(code: u8, bytes: &[u8]) -> u8 {
    bytes.iter().fold(code, |code, byte| shifted(code ^ byte))
}

/// The code, eight bits of the message later.
const fn shifted(mut code: u8) -> u8 {
    let mut bit = 0_u8;
    while bit < 8 {
        let is_subtracted = code & 0x80 != 0;
        code <<= 1;
        if is_subtracted {
            code ^= POLYNOMIAL;
        }
        bit = bit.wrapping_add(1);
    }
    code
}
