//! Get Vendor Defined Message Support (06h) (DSP0236 1.3.3, section 12.9).

use core::fmt;

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, Response, exactly};

/// The vendor of a vendor defined message type (DSP0236 1.3.3, section 12.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// Values from which the compiler makes 0 that of a channel without service: see
// `RouterStorage::new`.
#[repr(u8)]
pub enum Vendor {
    /// Message type 7Eh: a PCI vendor ID, sent as 2 bytes, most significant first.
    Pci(u16) = 4,
    /// Message type 7Fh: an IANA enterprise number, sent as 4 bytes, most significant first.
    Iana(u32) = 5,
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(id) => write!(f, "PCI vendor {id:04x}h"),
            Self::Iana(number) => write!(f, "IANA enterprise {number}"),
        }
    }
}

/// Get Vendor Defined Message Support: whose vendor defined messages? (DSP0236 1.3.3, section 12.9,
/// table 20).
///
/// | byte | field |
/// |-|-|
/// | 0 | `selector`: vendor ID set selector: 0 first, then what the last response says |
///
/// Sent by anybody to an endpoint that lists message type 7Eh or 7Fh. ERROR_INVALID_DATA: there is
/// no such selector.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetVendorSupportRequest {
    /// Vendor ID set selector.
    pub selector: u8,
}

impl Request for GetVendorSupportRequest {
    const COMMAND: Command = Command::GET_VENDOR_SUPPORT;
    type Response<'d> = VendorSupport;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        VendorSupport::parse(data)
    }
}

/// Vendor ID format (DSP0236 1.3.3, section 12.9, table 21): what kind of number a vendor ID is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct VendorIdFormat(pub u8);

impl VendorIdFormat {
    /// A PCI vendor ID, 2 bytes.
    pub const PCI: Self = Self(0x00);
    /// An IANA enterprise number, 4 bytes.
    pub const IANA: Self = Self(0x01);
}

impl fmt::Display for VendorIdFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}h", self.0)
    }
}

/// Response data of Get Vendor Defined Message Support (DSP0236 1.3.3, section 12.9, tables 20 and
/// 21, figure 21). `Id` is a [`U16`] or a [`U32`]; [`VendorSupport`] is either of them as a value.
///
/// | byte, PCI | byte, IANA | field |
/// |-|-|-|
/// | 0 | 0 | `next_selector`: vendor ID set selector of the next one, FFh after the last |
/// | 1 | 1 | `format`: vendor ID format, 00h PCI, 01h IANA |
/// | 2, 3 | 2 to 5 | `vendor_id`, most significant byte first |
/// | 4, 5 | 6, 7 | `command_set`: command set type, most significant byte first |
///
/// What a command set type means is the vendor's.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct GetVendorSupportResponse<Id> {
    /// Vendor ID set selector of the next vendor ID set.
    pub next_selector: u8,
    /// Vendor ID format.
    pub format: VendorIdFormat,
    /// Vendor ID.
    pub vendor_id: Id,
    /// Command set type.
    pub command_set: U16,
}

/// Whose vendor defined messages an endpoint takes: a [`GetVendorSupportResponse`] with a vendor ID
/// of either format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VendorSupport {
    /// Vendor ID set selector of the next one: [`LAST`](Self::LAST) after the last. mctpd takes
    /// only selectors without gaps.
    pub next_selector: u8,
    /// Vendor ID, with its format.
    pub vendor: Vendor,
    /// Command set type.
    pub command_set: u16,
}

impl VendorSupport {
    /// The selector that says that no further vendor ID set follows.
    pub const LAST: u8 = 0xFF;

    /// Reads response data.
    ///
    /// # Errors
    ///
    /// When the format is unknown, or is not the one that the length is for.
    pub fn parse(data: &[u8]) -> Result<Self, InvalidResponse> {
        type Start = GetVendorSupportResponse<[u8; 0]>;
        let (start, _) =
            Start::ref_from_prefix(data).map_err(|_| InvalidResponse::Length(data.len()))?;
        match start.format {
            VendorIdFormat::PCI => {
                let response: &GetVendorSupportResponse<U16> = exactly(data)?;
                let vendor = Vendor::Pci(response.vendor_id.get());
                Ok(response.with(vendor))
            }
            VendorIdFormat::IANA => {
                let response: &GetVendorSupportResponse<U32> = exactly(data)?;
                let vendor = Vendor::Iana(response.vendor_id.get());
                Ok(response.with(vendor))
            }
            unknown => Err(InvalidResponse::VendorIdFormat(unknown)),
        }
    }

    /// Appends the response data.
    pub fn emit(&self, response: &mut Response) {
        match self.vendor {
            Vendor::Pci(id) => response.put(self.of(VendorIdFormat::PCI, U16::new(id)).as_bytes()),
            Vendor::Iana(id) => {
                response.put(self.of(VendorIdFormat::IANA, U32::new(id)).as_bytes())
            }
        }
    }

    fn of<Id>(&self, format: VendorIdFormat, vendor_id: Id) -> GetVendorSupportResponse<Id> {
        GetVendorSupportResponse {
            next_selector: self.next_selector,
            format,
            vendor_id,
            command_set: self.command_set.into(),
        }
    }
}

impl<Id> GetVendorSupportResponse<Id> {
    fn with(&self, vendor: Vendor) -> VendorSupport {
        VendorSupport {
            next_selector: self.next_selector,
            vendor,
            command_set: self.command_set.get(),
        }
    }
}
