//! Vital Product Data (NVMe-MI 1.2, section 8.2).

use zerocopy::IntoBytes;

/// Why the VPD could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum VpdError {
    /// It has been written as often as it can be.
    UpdatesExceeded,
    /// The store failed.
    Failed,
}

/// Where the Vital Product Data are kept. The responder keeps accesses inside `0..size()`.
pub trait VpdStore {
    /// Bytes of the VPD.
    fn size(&self) -> u16 {
        0
    }

    /// Fills `into` with the bytes from `offset`.
    fn read(&mut self, offset: u16, into: &mut [u8]) {
        let _ = (offset, into);
    }

    /// Whether VPD Write is supported.
    fn is_writable(&self) -> bool {
        false
    }

    /// Writes `data` from `offset`, all or nothing. The responder calls this only if a byte of it
    /// is different from what [`read`](Self::read) returns: a requester that did not get a response
    /// sends the same VPD Write again, which is no update.
    ///
    /// # Errors
    ///
    /// Nothing was written. Each has a response status: VPD Updates Exceeded (20h), Internal Error
    /// (02h).
    fn write(&mut self, offset: u16, data: &[u8]) -> Result<(), VpdError> {
        let _ = (offset, data);
        Err(VpdError::Failed)
    }

    /// How often it can still be written, for VWCI of Identify Controller; `None`: that is not
    /// known.
    fn remaining_writes(&self) -> Option<u8> {
        None
    }
}

/// `N` bytes of VPD in memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryVpd<const N: usize> {
    content: [u8; N],
    remaining_writes: Option<u8>,
}

impl<const N: usize> MemoryVpd<N> {
    /// With this content, to be written as often as anyone likes.
    pub const fn new(content: [u8; N]) -> Self {
        Self {
            content,
            remaining_writes: None,
        }
    }

    /// To be written `writes` times.
    #[must_use]
    pub const fn with_remaining_writes(mut self, writes: u8) -> Self {
        self.remaining_writes = Some(writes);
        self
    }

    /// All of it.
    pub const fn content(&self) -> &[u8; N] {
        &self.content
    }
}

impl<const N: usize> VpdStore for MemoryVpd<N> {
    fn size(&self) -> u16 {
        u16::try_from(N).unwrap_or(u16::MAX)
    }

    fn read(&mut self, offset: u16, into: &mut [u8]) {
        let rest = self.content.get(usize::from(offset)..).unwrap_or_default();
        if let Some(bytes) = rest.get(..into.len()) {
            let _ = bytes.write_to(into);
        }
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn write(&mut self, offset: u16, data: &[u8]) -> Result<(), VpdError> {
        let remaining = match self.remaining_writes {
            Some(0) => return Err(VpdError::UpdatesExceeded),
            remaining => remaining.map(|writes| writes.saturating_sub(1)),
        };
        let rest = self.content.get_mut(usize::from(offset)..);
        let written = rest.and_then(|rest| data.write_to_prefix(rest).ok());
        written.ok_or(VpdError::Failed)?;
        self.remaining_writes = remaining;
        Ok(())
    }

    fn remaining_writes(&self) -> Option<u8> {
        self.remaining_writes
    }
}
