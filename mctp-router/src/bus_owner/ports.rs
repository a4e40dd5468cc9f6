//! Sets of ports.

use crate::config::PortId;

/// A set of ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports([u32; 8]);

impl Ports {
    pub(super) const NONE: Self = Self([0; 8]);

    pub(super) fn has(&self, port: PortId) -> bool {
        let word = self.0.get(usize::from(port.0 >> 5));
        word.is_some_and(|word| word >> (port.0 & 31) & 1 != 0)
    }

    pub(super) fn set(&mut self, port: PortId, is_in: bool) {
        if let Some(word) = self.0.get_mut(usize::from(port.0 >> 5)) {
            let bit = 1 << (port.0 & 31);
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }
}
