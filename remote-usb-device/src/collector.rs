//! Collects the bytes of a header from a stream that comes in pieces of any size.

use crate::copy::copy;

/// Up to `N` bytes, and how many of them are there.
pub(crate) struct Collector<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Collector<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            filled: 0,
        }
    }

    /// Collects until there are `length` bytes, and returns how many of `input` that took.
    pub(crate) fn collect(&mut self, length: usize, input: &[u8]) -> usize {
        let count = length.saturating_sub(self.filled).min(input.len());
        let end = self.filled.saturating_add(count);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(self.filled..end), input.get(..count)) {
            copy(from, to);
            self.filled = end;
        }
        count
    }

    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// The whole buffer; what was not collected yet is left over from before.
    pub(crate) fn bytes(&self) -> &[u8; N] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }
}
