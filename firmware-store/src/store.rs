//! What a device plugs in.

use core::task::Poll;

use crate::FirmwareError;

/// In milliseconds: what a store gets that does not say how long it takes.
pub(crate) const TEN_MINUTES: u32 = 600_000;

/// Where the firmware images of a device are kept.
///
/// The caller is the responder of an update protocol. It checks pieces (with a
/// [`Download`](crate::Download)) and slots, and calls in this order:
///
/// - [`write`](Self::write) for every piece of an image, in any order, none twice;
/// - [`commit`](Self::commit) when the image has no gap;
/// - [`activate_on_reset`](Self::activate_on_reset) or [`activate`](Self::activate).
///
/// [`discard`](Self::discard) and [`reset`](Self::reset) come at any time.
///
/// The caller repeats a call that returned `Pending`, with the same arguments, until it is ready.
/// A call of another method, or with other arguments, means that the requester gave the pending one
/// up.
///
/// A device that has no firmware slots has no store: its responders take an `Option`.
pub trait FirmwareStore {
    /// How many slots there are, 1 to 7.
    fn slots(&self) -> u8;

    /// Whether slot 1 cannot be written.
    fn is_first_slot_read_only(&self) -> bool {
        false
    }

    /// The slot of the firmware that runs.
    fn active_slot(&self) -> u8;

    /// The slot that becomes active at the next reset. `None`: the active one stays.
    fn next_slot(&self) -> Option<u8>;

    /// The revision of the image in `slot`, counted from 1: ASCII, padded with spaces. `None`: the
    /// slot is empty.
    fn revision(&self, slot: u8) -> Option<[u8; 8]>;

    /// The revision of the firmware that runs. It differs from that of the active slot when another
    /// image was stored there since.
    fn running_revision(&self) -> Option<[u8; 8]> {
        self.revision(self.active_slot())
    }

    /// The longest image, in bytes.
    fn capacity(&self) -> u32;

    /// Whether pieces of an image must begin at, and be, multiples of 4096 bytes. If not, they are
    /// multiples of 4 bytes.
    fn takes_only_whole_pages(&self) -> bool {
        false
    }

    /// Whether [`activate`](Self::activate) can succeed.
    fn activates_without_reset(&self) -> bool {
        false
    }

    /// Forgets what was downloaded. What was committed stays.
    fn discard(&mut self);

    /// Keeps a piece of an image, all inside [`capacity`](Self::capacity).
    ///
    /// # Errors
    ///
    /// [`FirmwareError::Failed`]; the piece is not kept.
    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>>;

    /// The longest time, in milliseconds, from the first call of [`write`](Self::write) that
    /// returned `Pending` to the one that is ready. A responder tells its requester to wait that
    /// long. 0 is not a time that a store can promise, and is taken as the shortest that can be
    /// told. Ten minutes if not given.
    fn longest_write(&self) -> u32 {
        TEN_MINUTES
    }

    /// Checks the `length` bytes that were downloaded, and stores them in `slot` in place of what
    /// is there. The slot exists and can be written.
    ///
    /// # Errors
    ///
    /// The slot has what it had.
    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>>;

    /// The longest time, in milliseconds, from the first call of [`commit`](Self::commit) that
    /// returned `Pending` to the one that is ready: as [`longest_write`](Self::longest_write).
    fn longest_commit(&self) -> u32 {
        TEN_MINUTES
    }

    /// Makes the image in `slot`, which is not empty, run after the next reset. The active slot
    /// takes back what was said of another one: there is no [`next_slot`](Self::next_slot) then.
    ///
    /// # Errors
    ///
    /// `Needs...` if the image runs only after that kind of reset. Others: nothing changed.
    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError>;

    /// Runs the image in `slot`, which is not empty, now.
    ///
    /// # Errors
    ///
    /// `Needs...`: it does so only after a reset; [`activate_on_reset`](Self::activate_on_reset) is
    /// called next. Others: nothing changed. If not implemented, the image needs a controller
    /// reset, as fits [`activates_without_reset`](Self::activates_without_reset).
    fn activate(&mut self, slot: u8) -> Result<(), FirmwareError> {
        let _ = slot;
        Err(FirmwareError::NeedsControllerReset)
    }

    /// The device was reset: what was downloaded and not committed is lost, and the image of
    /// [`next_slot`](Self::next_slot) runs. Returns whether another image runs than before.
    fn reset(&mut self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One slot, with what every store has to say.
    struct Plain;

    impl FirmwareStore for Plain {
        fn slots(&self) -> u8 {
            1
        }
        fn active_slot(&self) -> u8 {
            1
        }
        fn next_slot(&self) -> Option<u8> {
            None
        }
        fn revision(&self, slot: u8) -> Option<[u8; 8]> {
            (slot == 1).then_some(*b"REF00001")
        }
        fn capacity(&self) -> u32 {
            4096
        }
        fn discard(&mut self) {}
        fn write(&mut self, _: u32, _: &[u8]) -> Poll<Result<(), FirmwareError>> {
            Poll::Pending
        }
        fn commit(&mut self, _: u8, _: u32) -> Poll<Result<(), FirmwareError>> {
            Poll::Pending
        }
        fn activate_on_reset(&mut self, _: u8) -> Result<(), FirmwareError> {
            Ok(())
        }
        fn reset(&mut self) -> bool {
            false
        }
    }

    #[test]
    fn a_store_that_says_no_more_takes_dwords_and_activates_at_a_reset() {
        let mut plain = Plain;
        let store: &mut dyn FirmwareStore = &mut plain;
        assert_eq!(store.running_revision(), Some(*b"REF00001"));
        assert!(!store.is_first_slot_read_only() && !store.takes_only_whole_pages());
        assert!(!store.activates_without_reset());
        assert_eq!(store.activate(1), Err(FirmwareError::NeedsControllerReset));
    }

    #[test]
    fn a_store_that_does_not_know_how_long_it_takes_gets_ten_minutes() {
        assert_eq!(Plain.longest_write(), 10 * 60 * 1000);
        assert_eq!(Plain.longest_commit(), 10 * 60 * 1000);
    }
}
