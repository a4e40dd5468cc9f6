//! Firmware slots.

use super::NotSupported;

/// Where firmware images are kept.
pub trait FirmwareStore {
    /// How many slots there are, 1 to 7. 0, the default: firmware commands are not supported.
    fn slots(&self) -> u8 {
        0
    }

    /// Whether slot 1 cannot be written.
    fn is_first_slot_read_only(&self) -> bool {
        false
    }

    /// The slot of the firmware that runs.
    fn active_slot(&self) -> u8 {
        1
    }

    /// The revision of the image in `slot`, counted from 1: ASCII, padded with spaces.
    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        let _ = slot;
        None
    }
}

impl FirmwareStore for NotSupported {}
