//! Who made the subsystem, and which one it is.

/// Numbers of the vendor.
///
/// They identify the maker of a device: set your own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Vendor {
    /// IEEE Organizationally Unique Identifier, as printed: AC-DE-48 is `[0xAC, 0xDE, 0x48]`.
    pub ieee_oui: [u8; 3],
    /// PCI vendor ID.
    pub pci_vendor: u16,
    /// PCI device ID.
    pub pci_device: u16,
    /// PCI subsystem vendor ID.
    pub pci_subsystem_vendor: u16,
    /// PCI subsystem ID.
    pub pci_subsystem: u16,
}

impl Vendor {
    /// Numbers for trials: AC-DE-48 is IEEE's private range, and FFFFh is no vendor's. Not for distribution.
    pub const NOT_FOR_DISTRIBUTION: Self = Self {
        ieee_oui: [0xAC, 0xDE, 0x48],
        pci_vendor: 0xFFFF,
        pci_device: 0x0000,
        pci_subsystem_vendor: 0xFFFF,
        pci_subsystem: 0x0000,
    };
}

/// What tells this subsystem from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity<'i> {
    /// Serial number: ASCII, at most 20 characters.
    pub serial_number: &'i str,
    /// Model number: ASCII, at most 40 characters.
    pub model_number: &'i str,
    /// Firmware revision where there is no firmware store: ASCII, at most 8 characters.
    pub firmware_revision: &'i str,
    /// NVMe Qualified Name: starts with `nqn.`, at most 223 bytes.
    pub qualified_name: &'i str,
    /// Bytes that all namespaces together can have.
    pub capacity: u64,
    /// Numbers of the vendor.
    pub vendor: Vendor,
}
