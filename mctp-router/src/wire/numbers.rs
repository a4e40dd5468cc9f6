//! Transport bindings and physical media by number (DSP0239), and how a control message carries a
//! physical address (DSP0236 1.3.3, sections 12.10 to 12.13).

use core::fmt;

use mctp_transport::PhysicalAddress;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Physical transport binding identifier (DSP0239, table 3).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct BindingId(pub u8);

impl BindingId {
    /// SMBus/I2C (DSP0237).
    pub const SMBUS: Self = Self(0x01);
    /// PCIe VDM (DSP0238).
    pub const PCIE_VDM: Self = Self(0x02);
    /// USB (DSP0283).
    pub const USB: Self = Self(0x03);
    /// KCS (DSP0254).
    pub const KCS: Self = Self(0x04);
    /// Serial (DSP0253).
    pub const SERIAL: Self = Self(0x05);
    /// I3C (DSP0233).
    pub const I3C: Self = Self(0x06);
    /// Memory-mapped buffer interface (DSP0284).
    pub const MMBI: Self = Self(0x07);
    /// Platform communication channel (DSP0292).
    pub const PCC: Self = Self(0x08);
    /// UCIe.
    pub const UCIE: Self = Self(0x09);
    /// Of a vendor.
    pub const VENDOR_DEFINED: Self = Self(0xFF);

    /// How many bytes a physical address has; `None` for a binding that this module does not know.
    ///
    /// 1 over SMBus/I2C, 2 over PCIe VDM, none over USB and serial, which are point to point.
    pub const fn address_len(self) -> Option<usize> {
        match self {
            Self::SMBUS => Some(1),
            Self::PCIE_VDM => Some(2),
            Self::USB | Self::SERIAL => Some(0),
            _ => None,
        }
    }

    /// The bytes that control messages carry for this address.
    ///
    /// An SMBus/I2C address is in bits 7:1 of its byte, and bit 0 is clear (DSP0237, section 6.8,
    /// table 3). Addresses of other bindings are as they are.
    ///
    /// ```
    /// use mctp_router::wire::BindingId;
    /// use mctp_transport::PhysicalAddress;
    ///
    /// let address = PhysicalAddress::from_byte(0x1D);
    /// let sent = BindingId::SMBUS.encode_address(address);
    /// assert_eq!(sent.as_bytes(), [0x3A]);
    /// assert_eq!(BindingId::SMBUS.decode_address(sent.as_bytes()), Some(address));
    /// ```
    pub fn encode_address(self, address: PhysicalAddress) -> WireAddress {
        WireAddress(match (self, address.as_bytes()) {
            (Self::SMBUS, [byte]) => PhysicalAddress::from_byte(byte << 1),
            _ => address,
        })
    }

    /// The address that these bytes of a control message stand for; `None` if the binding has no
    /// address of this length. Bit 0 of an SMBus/I2C address is ignored.
    pub fn decode_address(self, bytes: &[u8]) -> Option<PhysicalAddress> {
        let fits = self.address_len().is_none_or(|len| len == bytes.len());
        match (self, bytes) {
            (Self::SMBUS, [byte]) => Some(PhysicalAddress::from_byte(byte >> 1)),
            _ if fits => PhysicalAddress::new(bytes),
            _ => None,
        }
    }
}

/// The number, such as `binding 03h`.
impl fmt::Display for BindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "binding {:02x}h", self.0)
    }
}

/// A physical address as control messages carry it: made by [`BindingId::encode_address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WireAddress(PhysicalAddress);

impl WireAddress {
    /// The bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Physical medium identifier (DSP0239, table 2).
///
/// 08h to 0Eh are generations of PCIe, which have no names here.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct MediumId(pub u8);

impl MediumId {
    /// Unspecified.
    pub const UNSPECIFIED: Self = Self(0x00);
    /// SMBus 2.0, 100 kHz.
    pub const SMBUS_100_KHZ: Self = Self(0x01);
    /// SMBus 2.0 and I2C, 100 kHz.
    pub const SMBUS_I2C_100_KHZ: Self = Self(0x02);
    /// I2C, 100 kHz (standard mode).
    pub const I2C_100_KHZ: Self = Self(0x03);
    /// SMBus 3.0 or I2C, 400 kHz (fast mode).
    pub const I2C_400_KHZ: Self = Self(0x04);
    /// SMBus 3.0 or I2C, 1 MHz (fast mode plus).
    pub const I2C_1_MHZ: Self = Self(0x05);
    /// I2C, 3.4 MHz (high-speed mode).
    pub const I2C_3_4_MHZ: Self = Self(0x06);
    /// PCI.
    pub const PCI: Self = Self(0x0F);
    /// USB 1.1.
    pub const USB_1_1: Self = Self(0x10);
    /// USB 2.0.
    pub const USB_2_0: Self = Self(0x11);
    /// USB 3.0.
    pub const USB_3_0: Self = Self(0x12);
    /// NC-SI over RBT.
    pub const NCSI_RBT: Self = Self(0x18);
    /// UCIe.
    pub const UCIE: Self = Self(0x19);
    /// Platform communication channel.
    pub const PCC: Self = Self(0x1A);
    /// Asynchronous serial, between a management controller and a device.
    pub const SERIAL: Self = Self(0x24);
    /// I3C.
    pub const I3C: Self = Self(0x30);
    /// PCIe 6 in flit mode, or CXL 3.
    pub const PCIE_6_FLIT_MODE: Self = Self(0x40);
}

/// The number, such as `medium 11h`.
impl fmt::Display for MediumId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "medium {:02x}h", self.0)
    }
}
