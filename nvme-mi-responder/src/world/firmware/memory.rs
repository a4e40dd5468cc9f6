use core::task::Poll;

use super::{FirmwareError, FirmwareStore};
use crate::bytes::{put, u32_at};
use crate::crc::{Crc32c, SoftwareCrc32c};

/// First bytes of an image that [`MemoryFirmware`] takes.
const MAGIC: [u8; 8] = *b"NVMI-IMG";
/// Bytes of its header.
const HEADER_LENGTH: usize = 24;

/// `SLOTS` firmware slots, 1 to 7, in memory that the caller lends.
///
/// The memory is parted into `SLOTS + 1` equal areas: one for each slot, one for what is downloaded. A commit exchanges two areas and
/// copies nothing, so the image that was there is whole until then. Where no memory is lent there are no downloads, only revisions.
///
/// An image is, unless [`with_verification`](Self::with_verification) says otherwise:
///
/// | byte | content |
/// |-|-|
/// | 7:0 | `NVMI-IMG` |
/// | 15:8 | the revision, printable ASCII, padded with spaces |
/// | 19:16 | length of the content |
/// | 23:20 | CRC-32C of bytes 0 to 19 and of the content |
/// | 24.. | content, and then anything |
///
/// ```
/// use nvme_mi_responder::world::MemoryFirmware;
///
/// let mut memory = [0; 4 * 8192];
/// let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
/// let store = MemoryFirmware::new(&mut memory, slots).with_read_only_first_slot();
/// assert_eq!(store.image(3), None);
/// ```
#[derive(Debug)]
pub struct MemoryFirmware<'b, const SLOTS: usize> {
    memory: &'b mut [u8],
    /// Bytes of an area.
    area_length: usize,
    /// The area for what is downloaded.
    download: usize,
    slots: [MemorySlot; SLOTS],
    active: u8,
    next: Option<u8>,
    running: Option<[u8; 8]>,
    first_slot_read_only: bool,
    activates_without_reset: bool,
    whole_pages: bool,
    verify: fn(&[u8]) -> Option<[u8; 8]>,
}

#[derive(Clone, Copy, Debug)]
struct MemorySlot {
    revision: Option<[u8; 8]>,
    area: usize,
    /// Bytes of the image in its area. 0 for the revisions from the beginning, of which there is no image.
    length: usize,
}

impl<'b, const SLOTS: usize> MemoryFirmware<'b, SLOTS> {
    /// Slots with images of these revisions, `None` for the empty ones. The first is active. Pieces of images are multiples of 4096 bytes.
    pub fn new(memory: &'b mut [u8], revisions: [Option<[u8; 8]>; SLOTS]) -> Self {
        const { assert!(SLOTS >= 1 && SLOTS <= 7, "there are 1 to 7 firmware slots") };
        // Whole dwords, so that any piece fits or is out of range as a whole.
        let areas = SLOTS.saturating_add(1);
        let area_length = memory.len().checked_div(areas).unwrap_or(0) & !3;
        let mut area = 0usize;
        let slots = revisions.map(|revision| {
            area = area.saturating_add(1);
            MemorySlot {
                revision,
                area,
                length: 0,
            }
        });
        Self {
            memory,
            area_length,
            download: 0,
            slots,
            active: 1,
            next: None,
            running: revisions.first().copied().flatten(),
            first_slot_read_only: false,
            activates_without_reset: false,
            whole_pages: true,
            verify: revision_of_image,
        }
    }

    /// The same with a slot 1 that cannot be written.
    #[must_use]
    pub const fn with_read_only_first_slot(mut self) -> Self {
        self.first_slot_read_only = true;
        self
    }

    /// The same with images that can run without a reset.
    #[must_use]
    pub const fn with_immediate_activation(mut self) -> Self {
        self.activates_without_reset = true;
        self
    }

    /// The same with pieces of any multiple of 4 bytes.
    #[must_use]
    pub const fn with_pieces_of_any_length(mut self) -> Self {
        self.whole_pages = false;
        self
    }

    /// The same with another kind of images: `verify` returns the revision of a good one.
    #[must_use]
    pub const fn with_verification(mut self, verify: fn(&[u8]) -> Option<[u8; 8]>) -> Self {
        self.verify = verify;
        self
    }

    /// The image in `slot` that was downloaded, as it was committed.
    pub fn image(&self, slot: u8) -> Option<&[u8]> {
        let slot = self.slots.get(index_of(slot)?)?;
        self.area(slot.area)?
            .get(..slot.length)
            .filter(|image| !image.is_empty())
    }

    fn area(&self, area: usize) -> Option<&[u8]> {
        let start = area.checked_mul(self.area_length)?;
        self.memory.get(start..)?.get(..self.area_length)
    }
}

impl<const SLOTS: usize> FirmwareStore for MemoryFirmware<'_, SLOTS> {
    fn slots(&self) -> u8 {
        u8::try_from(SLOTS).unwrap_or(7)
    }

    fn is_first_slot_read_only(&self) -> bool {
        self.first_slot_read_only
    }

    fn active_slot(&self) -> u8 {
        self.active
    }

    fn next_slot(&self) -> Option<u8> {
        self.next
    }

    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        self.slots.get(index_of(slot)?)?.revision
    }

    fn running_revision(&self) -> Option<[u8; 8]> {
        self.running
    }

    fn capacity(&self) -> u32 {
        u32::try_from(self.area_length).unwrap_or(u32::MAX)
    }

    fn takes_only_whole_pages(&self) -> bool {
        self.whole_pages
    }

    fn activates_without_reset(&self) -> bool {
        self.activates_without_reset
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        let start = self.download.saturating_mul(self.area_length);
        put(
            &mut *self.memory,
            start.saturating_add(offset as usize),
            data,
        );
        Poll::Ready(Ok(()))
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let length = length as usize;
        let image = self.area(self.download).and_then(|area| area.get(..length));
        let Some(revision) = image.and_then(self.verify) else {
            return Poll::Ready(Err(FirmwareError::InvalidImage));
        };
        let found = index_of(slot).and_then(|index| self.slots.get_mut(index));
        let Some(slot) = found else {
            return Poll::Ready(Err(FirmwareError::Failed));
        };
        core::mem::swap(&mut slot.area, &mut self.download);
        slot.revision = Some(revision);
        slot.length = length;
        Poll::Ready(Ok(()))
    }

    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.next = Some(slot);
        Ok(())
    }

    fn activate(&mut self, slot: u8) -> Result<(), FirmwareError> {
        if !self.activates_without_reset {
            return Err(FirmwareError::NeedsControllerReset);
        }
        self.active = slot;
        self.next = None;
        self.running = self.revision(slot);
        Ok(())
    }

    fn reset(&mut self) -> bool {
        let before = (self.active, self.running);
        self.active = self.next.take().unwrap_or(self.active);
        self.running = self.revision(self.active);
        (self.active, self.running) != before
    }
}

/// Where in a list of slots the one of this number is.
fn index_of(slot: u8) -> Option<usize> {
    usize::from(slot).checked_sub(1)
}

/// The header of an image with this revision and content, as [`MemoryFirmware`] takes it.
pub fn firmware_image_header(revision: [u8; 8], content: &[u8]) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    put(&mut header, 0, &MAGIC);
    put(&mut header, 8, &revision);
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    put(&mut header, 16, &length.to_le_bytes());
    let check = check_of(&header, content);
    put(&mut header, 20, &check.to_le_bytes());
    header
}

fn check_of(header: &[u8], content: &[u8]) -> u32 {
    SoftwareCrc32c.crc32c(&[header.get(..20).unwrap_or_default(), content])
}

fn revision_of_image(image: &[u8]) -> Option<[u8; 8]> {
    let (header, rest) = image.split_first_chunk::<HEADER_LENGTH>()?;
    let content = rest.get(..u32_at(header, 16) as usize)?;
    let revision = *header.get(8..)?.first_chunk::<8>()?;
    let good = header.starts_with(&MAGIC)
        && revision.iter().all(|byte| (0x20..0x7F).contains(byte))
        && check_of(header, content) == u32_at(header, 20);
    good.then_some(revision)
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
