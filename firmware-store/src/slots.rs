//! Firmware slots without their images.

use core::task::Poll;

use crate::store::TEN_MINUTES;
use crate::{FirmwareError, FirmwareStore};

/// What images that never pend say of the time they take: the shortest that is not 0.
pub(crate) const AT_ONCE: u32 = 1;

/// What becomes of the bytes of images. [`FirmwareSlots`] with it is a [`FirmwareStore`].
pub trait Images {
    /// The longest image, in bytes.
    fn capacity(&self) -> u32;

    /// Forgets what was downloaded. What was committed stays.
    fn discard(&mut self) {}

    /// Keeps a piece of an image, as [`FirmwareStore::write`] says.
    ///
    /// # Errors
    ///
    /// [`FirmwareError::Failed`]; the piece is not kept.
    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>>;

    /// [`FirmwareStore::longest_write`].
    fn longest_write(&self) -> u32 {
        TEN_MINUTES
    }

    /// Checks the `length` bytes that were downloaded, keeps them as the image of `slot`, and
    /// returns their revision: ASCII, padded with spaces.
    ///
    /// # Errors
    ///
    /// The slot has what it had.
    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<[u8; 8], FirmwareError>>;

    /// [`FirmwareStore::longest_commit`].
    fn longest_commit(&self) -> u32 {
        TEN_MINUTES
    }
}

/// `SLOTS` firmware slots, 1 to 7: what they are called and which one runs. Their images are with
/// `I`.
#[derive(Debug)]
pub struct FirmwareSlots<I, const SLOTS: usize> {
    pub(crate) images: I,
    revisions: [Option<[u8; 8]>; SLOTS],
    active: u8,
    next: Option<u8>,
    running: Option<[u8; 8]>,
    first_slot_read_only: bool,
    activates_without_reset: bool,
    whole_pages: bool,
}

impl<I, const SLOTS: usize> FirmwareSlots<I, SLOTS> {
    /// Slots with images of these revisions, `None` for the empty ones. The first is active. Pieces
    /// of images are multiples of 4096 bytes.
    pub const fn with_images(images: I, revisions: [Option<[u8; 8]>; SLOTS]) -> Self {
        const { assert!(SLOTS >= 1 && SLOTS <= 7, "there are 1 to 7 firmware slots") };
        Self {
            images,
            active: 1,
            next: None,
            running: match revisions.first() {
                Some(revision) => *revision,
                None => None,
            },
            revisions,
            first_slot_read_only: false,
            activates_without_reset: false,
            whole_pages: true,
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
}

impl<I: Images, const SLOTS: usize> FirmwareStore for FirmwareSlots<I, SLOTS> {
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
        *self.revisions.get(index_of(slot)?)?
    }

    fn running_revision(&self) -> Option<[u8; 8]> {
        self.running
    }

    fn capacity(&self) -> u32 {
        self.images.capacity()
    }

    fn takes_only_whole_pages(&self) -> bool {
        self.whole_pages
    }

    fn activates_without_reset(&self) -> bool {
        self.activates_without_reset
    }

    fn discard(&mut self) {
        self.images.discard();
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        self.images.write(offset, data)
    }

    fn longest_write(&self) -> u32 {
        self.images.longest_write()
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let found = index_of(slot).and_then(|index| self.revisions.get_mut(index));
        let Some(revision) = found else {
            return Poll::Ready(Err(FirmwareError::Failed));
        };
        let committed = self.images.commit(slot, length);
        committed.map_ok(|committed| *revision = Some(committed))
    }

    fn longest_commit(&self) -> u32 {
        self.images.longest_commit()
    }

    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.next = (slot != self.active).then_some(slot);
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
        self.images.discard();
        self.active = self.next.take().unwrap_or(self.active);
        self.running = self.revision(self.active);
        (self.active, self.running) != before
    }
}

/// Where in a list of slots the one of this number is.
pub(crate) fn index_of(slot: u8) -> Option<usize> {
    usize::from(slot).checked_sub(1)
}
