//! The seal of an image: a checksum over everything that loading reads.

use crc::{CRC_32_ISO_HDLC, Crc};
use zerocopy::{FromBytes, IntoBytes};

use crate::Refusal;
use crate::image::Image;
use crate::layout::{FileHeader, Seal};

const MARKER: [u8; 3] = *b"CRC";
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Seals `image`, an ELF file, in place; its first bytes, as many as are returned, are what has to
/// be written to the flash.
///
/// The rest of an ELF file as a linker makes it (symbols, debug information) is not needed for
/// loading, so the reference to it, in the file header, is removed. An image that is no loadable
/// ELF file is refused, whatever the memories of the board are; an image that was sealed before is
/// sealed again.
pub fn seal(image: &mut [u8]) -> Result<usize, Refusal> {
    // What is removed must not be where something that is loaded needs it, so first of all this has
    // to be an image.
    Image::find(image)?;
    if let Ok((header, _)) = FileHeader::mut_from_prefix(image) {
        header.section_headers_offset = 0.into();
        header.section_header_count = 0.into();
        header.section_names = 0.into();
        header.seal.marker = MARKER;
    }
    let (len, checksum) = {
        let parts = Image::find(image)?;
        (parts.len, checksum(&parts))
    };
    if let Ok((header, _)) = FileHeader::mut_from_prefix(image) {
        header.seal.checksum = checksum.into();
    }
    Ok(len)
}

/// That `image` is as it was when it was sealed.
pub(crate) fn check(image: &Image<'_>) -> Result<(), Refusal> {
    let Seal {
        marker,
        checksum: sealed,
    } = &image.header.seal;
    if *marker != MARKER {
        return Err(Refusal::NotSealed);
    }
    let (found, sealed) = (checksum(image), sealed.get());
    if found != sealed {
        return Err(Refusal::Damaged { found, sealed });
    }
    Ok(())
}

fn checksum(image: &Image<'_>) -> u32 {
    let mut digest = CRC.digest();
    let header = FileHeader {
        seal: Seal {
            marker: MARKER,
            checksum: 0.into(),
        },
        ..*image.header
    };
    digest.update(header.as_bytes());
    digest.update(image.program_headers.as_bytes());
    for segment in &image.segments {
        digest.update(segment.bytes);
    }
    digest.finalize()
}
