//! PCI configuration space, memory and I/O space.

use super::NotSupported;

/// The PCI functions behind the controllers.
pub trait PcieAccess {
    /// Whether configuration space can be read and written. Then the PCIe command set is supported.
    fn supports_configuration(&self) -> bool {
        false
    }
}

impl PcieAccess for NotSupported {}
