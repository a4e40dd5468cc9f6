//! Firmware images that the reference device takes.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use crc::{CRC_32_ISCSI, Crc};

/// Where an image has its revision.
pub(crate) const REVISION: Range<usize> = 8..16;
/// The content tells these parts of it apart.
const PIECE: usize = 4096;

/// An image of `length` bytes, at least 24: magic, revision, length and CRC-32C, then the content.
pub(crate) fn image(revision: &str, length: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..length - 24)
        .map(|index| (index * 31 + index / PIECE) as u8)
        .collect();
    let mut image = format!("NVMI-IMG{revision:8}").into_bytes();
    image.extend((content.len() as u32).to_le_bytes());
    let crc = Crc::<u32>::new(&CRC_32_ISCSI);
    let mut digest = crc.digest();
    digest.update(&image);
    digest.update(&content);
    image.extend(digest.finalize().to_le_bytes());
    image.extend(content);
    image
}

/// Writes an image to a file.
pub(crate) fn make(file: &Path, revision: &str, size: usize) -> Result<()> {
    fs::write(file, image(revision, size))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}: revision {revision}, {size} bytes", file.display());
    Ok(())
}

/// A revision on the command line.
pub(crate) fn parse_revision(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !printable || !(1..=8).contains(&text.len()) {
        return Err("a revision has one to eight printable ASCII characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The bytes of an image on the command line.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 0x400..=0x100_0000) if size % 4 == 0 => Ok(size),
        _ => Err("an image has 1024 to 16777216 bytes, a multiple of 4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_begins_with_magic_and_revision_and_has_the_length_asked_for() {
        let image = image("TEST1", 1024);
        assert_eq!(image.len(), 1024);
        assert_eq!(image[..8], *b"NVMI-IMG");
        assert_eq!(image[REVISION], *b"TEST1   ");
        assert_eq!(image[16..20], 1000u32.to_le_bytes());
    }

    #[test]
    fn revision_is_short_and_printable() {
        assert_eq!(parse_revision("REF00003").unwrap(), "REF00003");
        for wrong in ["", "REF000003", "a\n", "é"] {
            assert!(parse_revision(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn image_has_whole_dwords() {
        assert_eq!(parse_size("1024"), Ok(1024));
        for wrong in ["0", "1020", "1026", "16777220", "-4", "x"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
