//! Endpoint discovery: Prepare for Endpoint Discovery, Endpoint Discovery and Discovery Notify
//! (DSP0236 1.3.3, sections 12.14 to 12.16), on buses whose binding has it.

use super::Bridge;
use crate::config::PortId;
use crate::wire::BindingId;

impl Bridge<'_> {
    /// Whether the bus of a port has endpoint discovery: of the bindings that are known, PCIe VDM
    /// alone (DSP0238).
    pub(super) fn has_discovery(&self, port: PortId) -> bool {
        let port = self.config.port(port);
        port.is_some_and(|port| port.binding == BindingId::PCIE_VDM)
    }

    /// Sets the Discovered flag of the bus of a port.
    pub(super) fn set_discovered(&mut self, port: PortId, is_discovered: bool) {
        if is_discovered {
            self.discovered |= bit(port);
        } else {
            self.discovered &= !bit(port);
        }
    }
}

fn bit(port: PortId) -> u32 {
    1_u32.checked_shl(port.0.into()).unwrap_or(0)
}
