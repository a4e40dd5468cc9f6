//! A firmware store that says what happens to it.

use std::task::Poll;

use nvme_mi_responder::world::{FirmwareError, FirmwareStore, MemoryFirmware};
use sha2::{Digest, Sha256};

use crate::model_file::FIRMWARE_SLOTS;

/// Slots in memory. Logs each image that is stored, with its digest, and each that runs.
pub(crate) struct LoggedFirmware<'b> {
    pub(crate) store: MemoryFirmware<'b, FIRMWARE_SLOTS>,
    /// How many of them there are to be.
    pub(crate) slots: u8,
}

impl LoggedFirmware<'_> {
    fn tell_stored(&self, slot: u8) {
        let image = self.store.image(slot).unwrap_or_default();
        let digest: String = Sha256::digest(image)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        log::info!(
            "firmware slot {slot} has {}: {} bytes, SHA-256 {digest}",
            text(self.store.revision(slot)),
            image.len()
        );
    }

    fn tell_running(&self) {
        log::info!("firmware {} runs", text(self.store.running_revision()));
    }
}

fn text(revision: Option<[u8; 8]>) -> String {
    let revision = revision.unwrap_or(*b"(none)  ");
    String::from_utf8_lossy(&revision).trim_end().to_owned()
}

impl FirmwareStore for LoggedFirmware<'_> {
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

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let result = self.store.commit(slot, length);
        if let Poll::Ready(Ok(())) = result {
            self.tell_stored(slot);
        }
        result
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
