//! Firmware slots that keep no images.

use core::task::Poll;

use mctp_crc32c::{Crc32c, SoftwareCrc32c};

use crate::image::ImageCheck;
use crate::slots::AT_ONCE;
use crate::{FirmwareError, FirmwareSlots, Images};

/// `SLOTS` firmware slots, 1 to 7, that keep no images: an image is checked while it comes, and its
/// revision is what remains of it. For a device that is there to be updated, and has no memory for
/// what it is updated with.
///
/// An image is as [`firmware_image_header`](crate::firmware_image_header) says and of any length.
/// Its pieces have to come in order, as all known hosts send them; one that does not is refused
/// with [`FirmwareError::Failed`].
///
/// ```
/// use firmware_store::{FirmwareStore, StreamedFirmware};
///
/// let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
/// let store = StreamedFirmware::new(slots).with_read_only_first_slot();
/// assert_eq!(store.revision(2), Some(*b"REF00002"));
/// ```
///
/// `C` computes the check of the image: the software, or a CRC unit.
pub type StreamedFirmware<const SLOTS: usize, C = SoftwareCrc32c> =
    FirmwareSlots<CheckedImages<C>, SLOTS>;

impl<const SLOTS: usize> StreamedFirmware<SLOTS> {
    /// Slots with images of these revisions, `None` for the empty ones. The first is active. Pieces
    /// of images are multiples of 4096 bytes.
    pub const fn new(revisions: [Option<[u8; 8]>; SLOTS]) -> Self {
        Self::checked_by(SoftwareCrc32c, revisions)
    }
}

impl<const SLOTS: usize, C: Crc32c> StreamedFirmware<SLOTS, C> {
    /// The same as [`new`](StreamedFirmware::new), with the check of images by `crc32c`.
    pub const fn checked_by(crc32c: C, revisions: [Option<[u8; 8]>; SLOTS]) -> Self {
        let images = CheckedImages {
            stream: None,
            crc32c,
        };
        Self::with_images(images, revisions)
    }
}

/// The images of a [`StreamedFirmware`]: the one that is being downloaded.
#[derive(Debug)]
pub struct CheckedImages<C = SoftwareCrc32c> {
    stream: Option<Stream>,
    crc32c: C,
}

/// What came of an image.
#[derive(Debug)]
struct Stream {
    /// Where the next piece begins.
    end: u32,
    /// `None` if it is no image.
    check: Option<ImageCheck>,
}

impl<C: Crc32c> Images for CheckedImages<C> {
    /// Any length whose end an offset can tell.
    fn capacity(&self) -> u32 {
        !0xFFF
    }

    fn discard(&mut self) {
        self.stream = None;
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let end = offset.saturating_add(length);
        match &mut self.stream {
            None if offset == 0 => {
                let check = ImageCheck::begin(data, &mut self.crc32c);
                self.stream = Some(Stream { end, check });
            }
            Some(stream) if offset == stream.end => {
                stream.end = end;
                if let Some(check) = &mut stream.check {
                    check.add(data, &mut self.crc32c);
                }
            }
            _ => return Poll::Ready(Err(FirmwareError::Failed)),
        }
        Poll::Ready(Ok(()))
    }

    fn longest_write(&self) -> u32 {
        AT_ONCE
    }

    fn commit(&mut self, _slot: u8, length: u32) -> Poll<Result<[u8; 8], FirmwareError>> {
        let stream = self.stream.as_ref();
        let whole = stream.filter(|stream| stream.end == length);
        let check = whole.and_then(|stream| stream.check.as_ref());
        let revision = check.and_then(ImageCheck::revision);
        Poll::Ready(revision.ok_or(FirmwareError::InvalidImage))
    }

    fn longest_commit(&self) -> u32 {
        AT_ONCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FirmwareStore, firmware_image_header};

    const PIECE: usize = 4096;

    fn store() -> StreamedFirmware<3> {
        StreamedFirmware::new([Some(*b"REF00001"), None, None])
    }

    fn image() -> Vec<u8> {
        let content: Vec<u8> = (0..3 * PIECE - 100).map(|index| index as u8).collect();
        let mut image = firmware_image_header(*b"REF00009", &content).to_vec();
        image.extend(content);
        image.resize(3 * PIECE, 0xFF);
        image
    }

    fn write(store: &mut StreamedFirmware<3>, piece: usize, image: &[u8]) -> bool {
        let data = &image[piece * PIECE..][..PIECE];
        store.write((piece * PIECE) as u32, data) == Poll::Ready(Ok(()))
    }

    fn commit(store: &mut StreamedFirmware<3>) -> Poll<Result<(), FirmwareError>> {
        store.commit(2, 3 * PIECE as u32)
    }

    #[test]
    fn an_image_in_order_is_committed_and_activated() {
        let (mut store, image) = (store(), image());
        for piece in 0..3 {
            assert!(write(&mut store, piece, &image));
        }
        assert_eq!(commit(&mut store), Poll::Ready(Ok(())));
        assert_eq!(store.revision(2), Some(*b"REF00009"));
        assert_eq!(store.activate_on_reset(2), Ok(()));
        assert!(store.reset());
        assert_eq!(store.running_revision(), Some(*b"REF00009"));
    }

    #[test]
    fn a_damaged_image_is_refused_and_the_slot_keeps_what_it_had() {
        for damaged in [0, 15, 16, 20, 24, PIECE, 3 * PIECE - 200] {
            let (mut store, mut image) = (store(), image());
            image[damaged] ^= 0x80;
            for piece in 0..3 {
                assert!(write(&mut store, piece, &image));
            }
            let invalid = Poll::Ready(Err(FirmwareError::InvalidImage));
            assert_eq!(commit(&mut store), invalid, "byte {damaged}");
            assert_eq!(store.revision(2), None);
        }
    }

    #[test]
    fn a_piece_out_of_order_is_refused_and_the_right_one_is_still_taken() {
        let (mut store, image) = (store(), image());
        assert!(!write(&mut store, 1, &image));
        assert!(write(&mut store, 0, &image));
        assert!(!write(&mut store, 2, &image));
        assert!(write(&mut store, 1, &image));
        assert!(write(&mut store, 2, &image));
        assert_eq!(commit(&mut store), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_discarded_image_cannot_be_committed_and_another_one_can_begin() {
        let (mut store, image) = (store(), image());
        assert!(write(&mut store, 0, &image));
        store.discard();
        assert_eq!(
            store.commit(2, PIECE as u32),
            Poll::Ready(Err(FirmwareError::InvalidImage))
        );
        for piece in 0..3 {
            assert!(write(&mut store, piece, &image));
        }
        assert_eq!(commit(&mut store), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_store_of_three_slots_takes_less_than_100_bytes_and_no_time() {
        assert!(size_of::<StreamedFirmware<3>>() < 100);
        assert_eq!((store().longest_write(), store().longest_commit()), (1, 1));
    }
}
