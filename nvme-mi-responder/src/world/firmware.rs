//! A device without firmware slots.

use core::task::Poll;

use firmware_store::{FirmwareError, FirmwareStore};

use super::NotSupported;

impl FirmwareStore for NotSupported {
    /// None: firmware commands are not supported.
    fn slots(&self) -> u8 {
        0
    }

    fn active_slot(&self) -> u8 {
        1
    }

    fn next_slot(&self) -> Option<u8> {
        None
    }

    fn revision(&self, _: u8) -> Option<[u8; 8]> {
        None
    }

    fn capacity(&self) -> u32 {
        0
    }

    fn discard(&mut self) {}

    fn write(&mut self, _: u32, _: &[u8]) -> Poll<Result<(), FirmwareError>> {
        Poll::Ready(Err(FirmwareError::Failed))
    }

    fn commit(&mut self, _: u8, _: u32) -> Poll<Result<(), FirmwareError>> {
        Poll::Ready(Err(FirmwareError::Failed))
    }

    fn activate_on_reset(&mut self, _: u8) -> Result<(), FirmwareError> {
        Err(FirmwareError::ActivationProhibited)
    }

    fn reset(&mut self) -> bool {
        false
    }
}
