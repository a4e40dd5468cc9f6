//! Who made the subsystem, and which one it is.

/// Numbers of the vendor.
///
/// They identify the maker of a device: set your own, in code or with
/// [`vendor_from_build!`](crate::vendor_from_build).
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
    /// Numbers for trials: AC-DE-48 is IEEE's private range, and FFFFh is no vendor's. Not for
    /// distribution.
    pub const NOT_FOR_DISTRIBUTION: Self = Self {
        ieee_oui: [0xAC, 0xDE, 0x48],
        pci_vendor: 0xFFFF,
        pci_device: 0x0000,
        pci_subsystem_vendor: 0xFFFF,
        pci_subsystem: 0x0000,
    };

    /// An OUI from its printed form, three bytes in hexadecimal with dashes between: `ac-de-48`.
    pub const fn parse_oui(text: &str) -> Option<[u8; 3]> {
        let [a, b, b'-', c, d, b'-', e, f] = *text.as_bytes() else {
            return None;
        };
        match (
            hexadecimal(&[a, b]),
            hexadecimal(&[c, d]),
            hexadecimal(&[e, f]),
        ) {
            (Some(first), Some(second), Some(third)) => {
                Some([first as u8, second as u8, third as u8])
            }
            _ => None,
        }
    }

    /// A PCI ID from one to four hexadecimal digits, with or without `0x` before them.
    pub const fn parse_pci_id(text: &str) -> Option<u16> {
        match text.as_bytes() {
            [b'0', b'x', digits @ ..] => hexadecimal(digits),
            digits => hexadecimal(digits),
        }
    }
}

/// The value of one to four hexadecimal digits.
const fn hexadecimal(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    let mut value = 0;
    let mut rest = digits;
    while let [digit, after @ ..] = rest {
        match (*digit as char).to_digit(16) {
            Some(digit) => value = value << 4 | digit as u16,
            None => return None,
        }
        rest = after;
    }
    Some(value)
}

/// The [`Vendor`] that the build environment names, and where it names nothing
/// [`Vendor::NOT_FOR_DISTRIBUTION`].
///
/// | variable | form | number |
/// |-|-|-|
/// | `NVME_MI_DEV_IEEE_OUI` | `ac-de-48` | OUI |
/// | `NVME_MI_DEV_PCI_VID` | hexadecimal | PCI vendor ID |
/// | `NVME_MI_DEV_PCI_DID` | hexadecimal | PCI device ID |
/// | `NVME_MI_DEV_PCI_SVID` | hexadecimal | PCI subsystem vendor ID |
/// | `NVME_MI_DEV_PCI_SDID` | hexadecimal | PCI subsystem ID |
///
/// Evaluated when the crate that uses it is compiled: a variable of another form fails that build
/// with a message that names it.
///
/// ```
/// use nvme_mi_responder::{Vendor, vendor_from_build};
///
/// const VENDOR: Vendor = vendor_from_build!();
/// ```
#[macro_export]
macro_rules! vendor_from_build {
    () => {
        const {
            const fn pci_id(text: Option<&str>, default: u16, message: &str) -> u16 {
                match text {
                    None => default,
                    Some(text) => match $crate::Vendor::parse_pci_id(text) {
                        Some(id) => id,
                        None => panic!("{}", message),
                    },
                }
            }
            let default = $crate::Vendor::NOT_FOR_DISTRIBUTION;
            $crate::Vendor {
                ieee_oui: match option_env!("NVME_MI_DEV_IEEE_OUI") {
                    None => default.ieee_oui,
                    Some(text) => match $crate::Vendor::parse_oui(text) {
                        Some(oui) => oui,
                        None => panic!(
                            "NVME_MI_DEV_IEEE_OUI is not three bytes in hexadecimal with dashes between, as ac-de-48"
                        ),
                    },
                },
                pci_vendor: pci_id(
                    option_env!("NVME_MI_DEV_PCI_VID"),
                    default.pci_vendor,
                    "NVME_MI_DEV_PCI_VID is not one to four hexadecimal digits",
                ),
                pci_device: pci_id(
                    option_env!("NVME_MI_DEV_PCI_DID"),
                    default.pci_device,
                    "NVME_MI_DEV_PCI_DID is not one to four hexadecimal digits",
                ),
                pci_subsystem_vendor: pci_id(
                    option_env!("NVME_MI_DEV_PCI_SVID"),
                    default.pci_subsystem_vendor,
                    "NVME_MI_DEV_PCI_SVID is not one to four hexadecimal digits",
                ),
                pci_subsystem: pci_id(
                    option_env!("NVME_MI_DEV_PCI_SDID"),
                    default.pci_subsystem,
                    "NVME_MI_DEV_PCI_SDID is not one to four hexadecimal digits",
                ),
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oui_is_three_hexadecimal_bytes_with_dashes_between() {
        assert_eq!(Vendor::parse_oui("ac-de-48"), Some([0xAC, 0xDE, 0x48]));
        assert_eq!(Vendor::parse_oui("AC-DE-48"), Some([0xAC, 0xDE, 0x48]));
        for bad in [
            "",
            "acde48",
            "ac:de:48",
            "ac-de-4",
            "ac-de-480",
            "ac-dg-48",
            "+c-de-48",
        ] {
            assert_eq!(Vendor::parse_oui(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pci_id_is_one_to_four_hexadecimal_digits() {
        assert_eq!(Vendor::parse_pci_id("1af4"), Some(0x1AF4));
        assert_eq!(Vendor::parse_pci_id("0x1AF4"), Some(0x1AF4));
        assert_eq!(Vendor::parse_pci_id("7"), Some(7));
        for bad in ["", "0x", "12345", "g", "-1", "0x12345", " 1"] {
            assert_eq!(Vendor::parse_pci_id(bad), None, "{bad}");
        }
    }
}
