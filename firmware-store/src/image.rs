//! The images that are downloaded where nothing else is agreed on.

use mctp_crc32c::{Crc32c, SoftwareCrc32c};

use crate::bytes::{put, u32_at};

/// First bytes of an image.
const MAGIC: [u8; 8] = *b"NVMI-IMG";
/// Bytes of its header.
pub(crate) const HEADER_LENGTH: usize = 24;

/// The header of an image with this revision and content, as
/// [`MemoryFirmware`](crate::MemoryFirmware) and [`StreamedFirmware`](crate::StreamedFirmware) take
/// it.
///
/// | byte | content |
/// |-|-|
/// | 7:0 | `NVMI-IMG` |
/// | 15:8 | the revision, printable ASCII, padded with spaces |
/// | 19:16 | length of the content |
/// | 23:20 | CRC-32C of bytes 0 to 19 and of the content |
/// | 24.. | content, and then anything |
pub fn firmware_image_header(revision: [u8; 8], content: &[u8]) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    put(&mut header, 0, &MAGIC);
    put(&mut header, 8, &revision);
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    put(&mut header, 16, &length.to_le_bytes());
    let checked = header.get(..20).unwrap_or_default();
    let check = SoftwareCrc32c.crc32c(&[checked, content]);
    put(&mut header, 20, &check.to_le_bytes());
    header
}

/// Checks an image that comes piece by piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageCheck {
    revision: [u8; 8],
    /// Bytes of the content that are still to come.
    missing: usize,
    /// Of what came.
    crc: u32,
    /// What it has to be in the end.
    expected: u32,
}

impl ImageCheck {
    /// Begins with the first piece, which has the whole header. `None`: it is no image.
    pub(crate) fn begin(piece: &[u8], crc32c: &mut impl Crc32c) -> Option<Self> {
        let (header, content) = piece.split_first_chunk::<HEADER_LENGTH>()?;
        let (checked, _) = header.split_at_checked(20)?;
        let revision = *header.get(8..)?.first_chunk::<8>()?;
        let is_image =
            header.starts_with(&MAGIC) && revision.iter().all(|byte| (0x20..0x7F).contains(byte));
        let mut check = Self {
            revision,
            missing: u32_at(header, 16) as usize,
            crc: crc32c.crc32c(&[checked]),
            expected: u32_at(header, 20),
        };
        check.add(content, crc32c);
        is_image.then_some(check)
    }

    /// Goes on with the next piece.
    pub(crate) fn add(&mut self, piece: &[u8], crc32c: &mut impl Crc32c) {
        let content = piece.get(..self.missing).unwrap_or(piece);
        self.missing = self.missing.saturating_sub(content.len());
        self.crc = crc32c.continue_crc32c(self.crc, &[content]);
    }

    /// The revision, if the image is whole and undamaged.
    pub(crate) fn revision(&self) -> Option<[u8; 8]> {
        (self.missing == 0 && self.crc == self.expected).then_some(self.revision)
    }
}

/// The revision of a good image.
pub(crate) fn revision_of_image(image: &[u8]) -> Option<[u8; 8]> {
    ImageCheck::begin(image, &mut SoftwareCrc32c)?.revision()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_an_image_is_frozen() {
        let header = firmware_image_header(*b"REF00003", b"123456789");
        let mut image = header.to_vec();
        image.extend(b"123456789 and padding");
        assert_eq!(header[..20], *b"NVMI-IMGREF00003\x09\0\0\0");
        assert_eq!(revision_of_image(&image), Some(*b"REF00003"));
    }

    #[test]
    fn an_image_in_pieces_is_the_same_image() {
        let content = [0x5A; 100];
        let mut image = firmware_image_header(*b"REF00003", &content).to_vec();
        image.extend(content);
        image.extend(*b"padding");
        for split in HEADER_LENGTH..=image.len() {
            let (first, second) = image.split_at(split);
            let mut check = ImageCheck::begin(first, &mut SoftwareCrc32c).unwrap();
            let whole = split >= HEADER_LENGTH + content.len();
            assert_eq!(check.revision().is_some(), whole, "{split}");
            check.add(second, &mut SoftwareCrc32c);
            assert_eq!(check.revision(), Some(*b"REF00003"), "{split}");
        }
    }

    #[test]
    fn any_damage_to_an_image_is_seen() {
        let content = [0x5A; 100];
        let mut image = firmware_image_header(*b"REF00003", &content).to_vec();
        image.extend(content);
        for bit in 0..image.len() * 8 {
            image[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(revision_of_image(&image), None, "bit {bit}");
            image[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..image.len() {
            assert_eq!(revision_of_image(&image[..length]), None);
        }
    }
}
