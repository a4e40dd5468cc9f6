//! Firmware slots with their images in memory.

use core::task::Poll;

use crate::bytes::put;
use crate::image::revision_of_image;
use crate::slots::{AT_ONCE, index_of};
use crate::{FirmwareError, FirmwareSlots, Images};

/// `SLOTS` firmware slots, 1 to 7, in memory that the caller lends.
///
/// The memory is parted into `SLOTS + 1` equal areas: one for each slot, one for what is
/// downloaded. A commit exchanges two areas and copies nothing, so the image that was there is
/// whole until then. Where no memory is lent there are no downloads, only revisions.
///
/// An image is as [`firmware_image_header`](crate::firmware_image_header) says, unless
/// [`with_verification`](FirmwareSlots::with_verification) says otherwise.
///
/// ```
/// use firmware_store::MemoryFirmware;
///
/// let mut memory = [0; 4 * 8192];
/// let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
/// let store = MemoryFirmware::new(&mut memory, slots).with_read_only_first_slot();
/// assert_eq!(store.image(3), None);
/// ```
pub type MemoryFirmware<'b, const SLOTS: usize> = FirmwareSlots<ImageAreas<'b, SLOTS>, SLOTS>;

/// The images of a [`MemoryFirmware`].
#[derive(Debug)]
pub struct ImageAreas<'b, const SLOTS: usize> {
    memory: &'b mut [u8],
    /// Bytes of an area.
    area_length: usize,
    /// The area for what is downloaded.
    download: usize,
    slots: [Image; SLOTS],
    verify: fn(&[u8]) -> Option<[u8; 8]>,
}

#[derive(Clone, Copy, Debug)]
struct Image {
    area: usize,
    /// Bytes of the image in its area. 0 for the revisions from the beginning, of which there is
    /// no image.
    length: usize,
}

impl<'b, const SLOTS: usize> MemoryFirmware<'b, SLOTS> {
    /// Slots with images of these revisions, `None` for the empty ones. The first is active. Pieces
    /// of images are multiples of 4096 bytes.
    pub fn new(memory: &'b mut [u8], revisions: [Option<[u8; 8]>; SLOTS]) -> Self {
        // Whole dwords, so that any piece fits or is out of range as a whole.
        let areas = SLOTS.saturating_add(1);
        let area_length = memory.len().checked_div(areas).unwrap_or(0) & !3;
        let mut area = 0usize;
        let slots = [(); SLOTS].map(|()| {
            area = area.saturating_add(1);
            Image { area, length: 0 }
        });
        let images = ImageAreas {
            memory,
            area_length,
            download: 0,
            slots,
            verify: revision_of_image,
        };
        Self::with_images(images, revisions)
    }

    /// The same with another kind of images: `verify` returns the revision of a good one.
    #[must_use]
    pub const fn with_verification(mut self, verify: fn(&[u8]) -> Option<[u8; 8]>) -> Self {
        self.images.verify = verify;
        self
    }

    /// The image in `slot` that was downloaded, as it was committed.
    pub fn image(&self, slot: u8) -> Option<&[u8]> {
        let slot = self.images.slots.get(index_of(slot)?)?;
        self.images
            .area(slot.area)?
            .get(..slot.length)
            .filter(|image| !image.is_empty())
    }
}

impl<const SLOTS: usize> ImageAreas<'_, SLOTS> {
    fn area(&self, area: usize) -> Option<&[u8]> {
        let start = area.checked_mul(self.area_length)?;
        self.memory.get(start..)?.get(..self.area_length)
    }
}

impl<const SLOTS: usize> Images for ImageAreas<'_, SLOTS> {
    fn capacity(&self) -> u32 {
        u32::try_from(self.area_length).unwrap_or(u32::MAX)
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

    fn longest_write(&self) -> u32 {
        AT_ONCE
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<[u8; 8], FirmwareError>> {
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
        slot.length = length;
        Poll::Ready(Ok(revision))
    }

    fn longest_commit(&self) -> u32 {
        AT_ONCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FirmwareStore, firmware_image_header};

    const REVISION: Option<[u8; 8]> = Some(*b"REF00002");

    /// An image of 32 bytes.
    fn image() -> Vec<u8> {
        let content = *b"8 bytes.";
        let mut image = firmware_image_header(*b"REF00002", &content).to_vec();
        image.extend(content);
        image
    }

    #[test]
    fn a_committed_image_is_kept_and_the_next_download_does_not_touch_it() {
        let mut memory = [0; 3 * 32];
        let mut store = MemoryFirmware::new(&mut memory, [Some(*b"REF00001"), None]);
        assert_eq!((store.slots(), store.capacity()), (2, 32));
        assert_eq!(store.write(0, &image()), Poll::Ready(Ok(())));
        assert_eq!(store.commit(2, 32), Poll::Ready(Ok(())));
        assert_eq!(store.write(0, &[0xEE; 32]), Poll::Ready(Ok(())));
        let invalid = Poll::Ready(Err(FirmwareError::InvalidImage));
        assert_eq!(store.commit(2, 32), invalid);
        assert_eq!(store.image(2), Some(&image()[..]));
        assert_eq!((store.image(1), store.revision(2)), (None, REVISION));
    }

    #[test]
    fn a_slot_that_does_not_exist_gets_no_image() {
        let mut memory = [0; 3 * 32];
        let mut store = MemoryFirmware::new(&mut memory, [Some(*b"REF00001"), None]);
        assert_eq!(store.write(0, &image()), Poll::Ready(Ok(())));
        for slot in [0, 3, 255] {
            let failed = Poll::Ready(Err(FirmwareError::Failed));
            assert_eq!(store.commit(slot, 32), failed, "{slot}");
            assert_eq!((store.revision(slot), store.image(slot)), (None, None));
        }
    }

    #[test]
    fn a_commit_of_more_bytes_than_there_is_memory_is_refused() {
        let mut memory = [0; 3 * 32];
        let mut store = MemoryFirmware::new(&mut memory, [None, None]);
        let invalid = Poll::Ready(Err(FirmwareError::InvalidImage));
        assert_eq!(store.commit(1, 33), invalid);
        assert_eq!(store.commit(1, u32::MAX), invalid);
    }

    #[test]
    fn an_activation_is_at_once_or_at_the_next_reset() {
        let slots = [Some(*b"REF00001"), REVISION];
        let mut later = MemoryFirmware::new(&mut [], slots);
        assert_eq!(later.activate(2), Err(FirmwareError::NeedsControllerReset));
        assert_eq!(later.activate_on_reset(2), Ok(()));
        assert_eq!((later.active_slot(), later.next_slot()), (1, Some(2)));
        assert!(later.reset() && !later.reset());
        assert_eq!((later.active_slot(), later.next_slot()), (2, None));
        let mut at_once = MemoryFirmware::new(&mut [], slots).with_immediate_activation();
        assert_eq!(at_once.activate(2), Ok(()));
        assert_eq!(at_once.running_revision(), REVISION);
    }

    #[test]
    fn an_activation_of_the_active_slot_takes_that_of_another_back() {
        let slots = [Some(*b"REF00001"), REVISION];
        let mut store = MemoryFirmware::new(&mut [], slots);
        assert_eq!(store.activate_on_reset(2), Ok(()));
        assert_eq!(store.activate_on_reset(1), Ok(()));
        assert_eq!(store.next_slot(), None, "the active one stays");
        assert!(!store.reset());
        assert_eq!(store.active_slot(), 1);
    }

    #[test]
    fn nothing_takes_time() {
        let store = MemoryFirmware::new(&mut [], [REVISION]);
        assert_eq!((store.longest_write(), store.longest_commit()), (1, 1));
    }
}
