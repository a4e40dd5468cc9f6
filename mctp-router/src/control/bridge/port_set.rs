//! Sets of ports.

use crate::config::PortId;

/// A set of the ports of a bridge, of which there are [32](super::MAX_PORTS) at most.
#[derive(Debug, Default)]
pub(crate) struct PortSet(u32);

impl PortSet {
    /// Puts a port in, or takes it out.
    pub(crate) fn set(&mut self, port: PortId, is_in: bool) {
        if is_in {
            self.0 |= bit(port);
        } else {
            self.0 &= !bit(port);
        }
    }

    /// Whether it has a port.
    pub(crate) fn has(&self, port: PortId) -> bool {
        self.0 & bit(port) != 0
    }
}

/// The bit of a port; none from port 32 on.
fn bit(port: PortId) -> u32 {
    1_u32.checked_shl(port.0.into()).unwrap_or(0)
}
