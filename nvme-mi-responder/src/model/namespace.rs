//! Namespaces.

use super::settings::Metadata;

/// A namespace, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NamespaceId(pub u32);

/// The block sizes of the LBA formats, as powers of two.
pub(crate) const LBA_FORMATS: [u8; 2] = [9, 12];

/// An allocated namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespace {
    pub(crate) id: NamespaceId,
    /// Its size in blocks.
    pub(crate) blocks: u64,
    /// Index of its format in [`LBA_FORMATS`].
    pub(crate) format: u8,
    /// No other namespace of this subsystem has or had this number; its identifiers are made of it.
    pub(crate) serial: u16,
    /// The controllers it is attached to: bit n is the n-th controller of the model.
    pub(crate) attached: u32,
    /// Feature 7Fh.
    pub(crate) metadata: Metadata,
}

impl Namespace {
    pub(crate) fn block_shift(&self) -> u8 {
        LBA_FORMATS
            .get(usize::from(self.format))
            .copied()
            .unwrap_or(9)
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        bytes_of(self.blocks, self.block_shift())
    }
}

/// Bytes of `blocks` blocks, as many as can be counted.
pub(crate) fn bytes_of(blocks: u64, shift: u8) -> u64 {
    blocks.saturating_mul(1 << (shift & 0x1F))
}
