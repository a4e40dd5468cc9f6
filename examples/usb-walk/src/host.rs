//! What a host can do to a device, whatever is between them.

use anyhow::Result;

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should, with these bytes from the device.
    Done(Vec<u8>),
    /// With STALL.
    Stall,
}

/// How far a host goes with a request that it abandons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The SETUP packet is all that it sends.
    Setup,
    /// One packet of the data stage.
    FirstPacket,
    /// The data stage, without the status stage.
    Status,
}

/// A host, and its only device.
///
/// An error is one of the device: it does not answer in time, or breaks the rules of the bus.
pub trait Host {
    /// Whether [`reset`](Self::reset) leaves the device without an address, and the walk assigns
    /// one.
    const ASSIGNS_ADDRESSES: bool;

    /// Resets the bus.
    ///
    /// # Errors
    ///
    /// When the device is gone.
    fn reset(&mut self) -> Result<()>;

    /// A control transfer, with the `data` of an OUT data stage.
    ///
    /// # Errors
    ///
    /// When it does not end, or the device is gone.
    fn control(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Outcome>;

    /// Begins a control transfer and never ends it.
    ///
    /// # Errors
    ///
    /// When the device is gone.
    fn abandon(&mut self, setup: [u8; 8], data: &[u8], until: Until) -> Result<()>;

    /// A bulk OUT transfer.
    ///
    /// # Errors
    ///
    /// When it does not end, or the device is gone.
    fn bulk_out(&mut self, endpoint: u8, data: &[u8]) -> Result<Outcome>;

    /// A bulk IN transfer of at most `length` bytes.
    ///
    /// # Errors
    ///
    /// When it does not end, or the device is gone.
    fn bulk_in(&mut self, endpoint: u8, length: usize) -> Result<Outcome>;
}

/// The eight bytes of a SETUP packet (USB 2.0, section 9.3).
pub fn setup(request_type: u8, request: u8, value: u16, index: u16, length: u16) -> [u8; 8] {
    let [v0, v1] = value.to_le_bytes();
    let [i0, i1] = index.to_le_bytes();
    let [l0, l1] = length.to_le_bytes();
    [request_type, request, v0, v1, i0, i1, l0, l1]
}
