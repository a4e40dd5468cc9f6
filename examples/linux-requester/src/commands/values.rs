//! Values on the command line.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail};

#[derive(Clone, Default)]
pub(super) struct HexBytes(pub(super) Vec<u8>);

pub(super) fn hex_byte(text: &str) -> Result<u8, String> {
    u8::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not a hexadecimal byte"))
}

pub(super) fn hex_dword(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not a hexadecimal dword"))
}

pub(super) fn hex_bytes(text: &str) -> Result<HexBytes, String> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(format!(
            "`{text}` is not a row of hexadecimal bytes, two digits each"
        ));
    }
    let bytes = digits
        .chunks(2)
        .map(|pair| hex_byte(&String::from_utf8_lossy(pair)));
    bytes.collect::<Result<_, _>>().map(HexBytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

pub(super) fn size_range(text: &str) -> Result<RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').context("a range is written A-B")?;
    let (first, last) = (first.parse()?, last.parse()?);
    if first > last {
        bail!("the range {text} is empty");
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_data_has_two_digits_a_byte() {
        assert_eq!(hex_bytes("00fF").unwrap().0, [0x00, 0xff]);
        assert_eq!(hex_bytes("").unwrap().0, [0u8; 0]);
        for wrong in ["0", "0g", "+1", "é"] {
            assert!(hex_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_a_range_that_is_not_empty() {
        assert_eq!(size_range("1-1100").unwrap(), 1..=1100);
        for wrong in ["", "5", "6-5", "a-b", "-1-2"] {
            assert!(size_range(wrong).is_err(), "{wrong}");
        }
    }
}
