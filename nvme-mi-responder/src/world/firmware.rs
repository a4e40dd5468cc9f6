//! Firmware slots.

mod image;
mod memory;
mod slots;
mod streamed;

pub use image::firmware_image_header;
pub use memory::{ImageAreas, MemoryFirmware};
pub use slots::{FirmwareSlots, Images};
pub use streamed::{CheckedImages, StreamedFirmware};

use core::task::Poll;

/// Why an image was not stored or not activated. Each has a completion status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FirmwareError {
    /// It is no image of this device, or is damaged: Invalid Firmware Image (type 1, 07h).
    InvalidImage,
    /// The store failed; the same may succeed later: Internal Error (06h).
    Failed,
    /// Done, but the image runs only after a conventional reset (type 1, 0Bh).
    NeedsConventionalReset,
    /// Done, but the image runs only after an NVM Subsystem Reset (type 1, 10h).
    NeedsSubsystemReset,
    /// Done, but the image runs only after a Controller Level Reset (type 1, 11h).
    NeedsControllerReset,
    /// Not activated: that would take longer than the device promises (type 1, 12h).
    MaximumTimeViolation,
    /// Not activated: the image must not run, as when it is older than what the device accepts
    /// (type 1, 13h).
    ActivationProhibited,
}

/// Where firmware images are kept.
///
/// The responder checks pieces and slots, finds gaps and overlaps, and calls in this order:
/// [`write`](Self::write) for every piece, in any order, none twice; [`commit`](Self::commit) when
/// there is no gap; [`activate_on_reset`](Self::activate_on_reset) or [`activate`](Self::activate).
/// [`discard`](Self::discard) and [`reset`](Self::reset) come at any time.
///
/// A method that returns `Pending` is called again with the same arguments until it is ready; the
/// requester is told that more processing is required. Called with others, or another method, the
/// requester gave that up.
pub trait FirmwareStore {
    /// How many slots there are, 1 to 7.
    fn slots(&self) -> u8;

    /// Whether slot 1 cannot be written.
    fn is_first_slot_read_only(&self) -> bool {
        false
    }

    /// The slot of the firmware that runs.
    fn active_slot(&self) -> u8 {
        1
    }

    /// The slot that becomes active at the next reset; `None`: the active one stays.
    fn next_slot(&self) -> Option<u8> {
        None
    }

    /// The revision of the image in `slot`, counted from 1: ASCII, padded with spaces. `None`: it
    /// is empty.
    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        let _ = slot;
        None
    }

    /// The revision of the firmware that runs. It differs from that of the active slot when another
    /// image was stored there since.
    fn running_revision(&self) -> Option<[u8; 8]> {
        self.revision(self.active_slot())
    }

    /// The longest image, in bytes.
    fn capacity(&self) -> u32 {
        0
    }

    /// Whether pieces of an image must begin at, and be, multiples of 4096 bytes: a Firmware Update
    /// Granularity (FWUG) of 01h. If not, it is FFh and they are multiples of 4 bytes. Coarser
    /// pieces would not fit into a message.
    fn takes_only_whole_pages(&self) -> bool {
        false
    }

    /// Whether [`activate`](Self::activate) can succeed.
    fn activates_without_reset(&self) -> bool {
        false
    }

    /// Forgets what was downloaded. What was committed stays.
    fn discard(&mut self) {}

    /// Keeps a piece of an image, all inside [`capacity`](Self::capacity).
    ///
    /// # Errors
    ///
    /// [`FirmwareError::Failed`]; the piece is not kept.
    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        let _ = (offset, data);
        Poll::Ready(Err(FirmwareError::Failed))
    }

    /// Checks the `length` bytes that were downloaded, and stores them in `slot` in place of what
    /// is there. It exists and can be written.
    ///
    /// # Errors
    ///
    /// The slot has what it had.
    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let _ = (slot, length);
        Poll::Ready(Err(FirmwareError::Failed))
    }

    /// Makes the image in `slot`, which is not empty, run after the next reset.
    ///
    /// # Errors
    ///
    /// `Needs...` if it is not just any reset after which it runs; others: nothing changed.
    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        let _ = slot;
        Err(FirmwareError::ActivationProhibited)
    }

    /// Runs the image in `slot`, which is not empty, now.
    ///
    /// # Errors
    ///
    /// `Needs...`: it does so only after a reset; [`activate_on_reset`](Self::activate_on_reset) is
    /// called next. Others: nothing changed.
    fn activate(&mut self, slot: u8) -> Result<(), FirmwareError> {
        let _ = slot;
        Err(FirmwareError::NeedsControllerReset)
    }

    /// The device was reset: what was downloaded and not committed is lost, and the image of
    /// [`next_slot`](Self::next_slot) runs. Returns whether another image runs than before.
    fn reset(&mut self) -> bool {
        false
    }
}
