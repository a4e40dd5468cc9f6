//! A firmware store that says what happens to it.

use std::task::Poll;

use nvme_mi_responder::world::{FirmwareError, FirmwareStore, MemoryFirmware};
use sha2::{Digest, Sha256};

/// Three slots in memory. Logs each image that is stored, with its digest, and each that runs.
pub(crate) struct LoggedFirmware<'b>(pub(crate) MemoryFirmware<'b, 3>);

impl LoggedFirmware<'_> {
    fn tell_stored(&self, slot: u8) {
        let image = self.0.image(slot).unwrap_or_default();
        let digest: String = Sha256::digest(image)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        log::info!(
            "firmware slot {slot} has {}: {} bytes, SHA-256 {digest}",
            text(self.0.revision(slot)),
            image.len()
        );
    }

    fn tell_running(&self) {
        log::info!("firmware {} runs", text(self.0.running_revision()));
    }
}

fn text(revision: Option<[u8; 8]>) -> String {
    let revision = revision.unwrap_or(*b"(none)  ");
    String::from_utf8_lossy(&revision).trim_end().to_owned()
}

impl FirmwareStore for LoggedFirmware<'_> {
    fn slots(&self) -> u8 {
        self.0.slots()
    }

    fn is_first_slot_read_only(&self) -> bool {
        self.0.is_first_slot_read_only()
    }

    fn active_slot(&self) -> u8 {
        self.0.active_slot()
    }

    fn next_slot(&self) -> Option<u8> {
        self.0.next_slot()
    }

    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        self.0.revision(slot)
    }

    fn running_revision(&self) -> Option<[u8; 8]> {
        self.0.running_revision()
    }

    fn capacity(&self) -> u32 {
        self.0.capacity()
    }

    fn takes_only_whole_pages(&self) -> bool {
        self.0.takes_only_whole_pages()
    }

    fn activates_without_reset(&self) -> bool {
        self.0.activates_without_reset()
    }

    fn discard(&mut self) {
        self.0.discard();
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        self.0.write(offset, data)
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let result = self.0.commit(slot, length);
        if let Poll::Ready(Ok(())) = result {
            self.tell_stored(slot);
        }
        result
    }

    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.0.activate_on_reset(slot)
    }

    fn activate(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.0.activate(slot)?;
        self.tell_running();
        Ok(())
    }

    fn reset(&mut self) -> bool {
        let changed = self.0.reset();
        if changed {
            self.tell_running();
        }
        changed
    }
}
