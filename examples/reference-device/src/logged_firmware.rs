//! A firmware store that says what happens to it (feature `firmware-log`).

use core::fmt::{Display, Formatter};
use core::task::Poll;

use nvme_mi_responder::world::{FirmwareError, FirmwareStore, MemoryFirmware};
use sha2::{Digest, Sha256};

/// Slots in memory. Logs each image that is stored, with its digest, and each that runs.
#[derive(Debug)]
pub struct LoggedFirmware<'b, const SLOTS: usize> {
    /// The slots.
    pub store: MemoryFirmware<'b, SLOTS>,
    /// How many of them there are to be.
    pub slots: u8,
}

impl<const SLOTS: usize> LoggedFirmware<'_, SLOTS> {
    fn tell_stored(&self, slot: u8) {
        let image = self.store.image(slot).unwrap_or_default();
        log::info!(
            "firmware slot {slot} has {}: {} bytes, SHA-256 {}",
            Revision(self.store.revision(slot)),
            image.len(),
            Digits(&Sha256::digest(image))
        );
    }

    fn tell_running(&self) {
        log::info!("firmware {} runs", Revision(self.store.running_revision()));
    }
}

/// ASCII, padded with spaces.
struct Revision(Option<[u8; 8]>);

impl Display for Revision {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        let text = match &self.0 {
            Some(revision) => str::from_utf8(revision).unwrap_or("(no text)"),
            None => "(none)",
        };
        f.write_str(text.trim_end())
    }
}

/// Two digits for each byte.
struct Digits<'a>(&'a [u8]);

impl Display for Digits<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const SLOTS: usize> FirmwareStore for LoggedFirmware<'_, SLOTS> {
    fn slots(&self) -> u8 {
        self.slots
    }

    fn is_first_slot_read_only(&self) -> bool {
        self.store.is_first_slot_read_only()
    }

    fn active_slot(&self) -> u8 {
        self.store.active_slot()
    }

    fn next_slot(&self) -> Option<u8> {
        self.store.next_slot()
    }

    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        self.store.revision(slot)
    }

    fn running_revision(&self) -> Option<[u8; 8]> {
        self.store.running_revision()
    }

    fn capacity(&self) -> u32 {
        self.store.capacity()
    }

    fn takes_only_whole_pages(&self) -> bool {
        self.store.takes_only_whole_pages()
    }

    fn activates_without_reset(&self) -> bool {
        self.store.activates_without_reset()
    }

    fn discard(&mut self) {
        self.store.discard();
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        self.store.write(offset, data)
    }

    fn longest_write(&self) -> u32 {
        self.store.longest_write()
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let result = self.store.commit(slot, length);
        if let Poll::Ready(Ok(())) = result {
            self.tell_stored(slot);
        }
        result
    }

    fn longest_commit(&self) -> u32 {
        self.store.longest_commit()
    }

    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.store.activate_on_reset(slot)
    }

    fn activate(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.store.activate(slot)?;
        self.tell_running();
        Ok(())
    }

    fn reset(&mut self) -> bool {
        let changed = self.store.reset();
        if changed {
            self.tell_running();
        }
        changed
    }
}
