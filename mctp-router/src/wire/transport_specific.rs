//! Transport specific commands (F0h to FFh) (DSP0236 1.3.3, section 12.24).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BindingId, CompletionCode, MediumId, Vendor};

/// The first bytes of the data of a transport specific request; the others are as the transport
/// binding says (DSP0236 1.3.3, section 12.24, table 39).
///
/// | byte | field |
/// |-|-|
/// | 0 | `binding`: physical transport binding identifier |
/// | 1 | `medium`: physical medium identifier |
/// | 2 on | data of the request |
///
/// Sent between endpoints on the same medium. If the binding is that of a vendor, FFh, the data of
/// the request begin with the IANA enterprise number of the vendor, 4 bytes, most significant
/// first. An endpoint that does not know the command answers ERROR_UNSUPPORTED_CMD.
///
/// ```
/// use mctp_router::wire::{BindingId, MediumId, TransportSpecific, Vendor};
///
/// let data = [0xFF, 0x11, 0x00, 0x00, 0xA0, 0x15, 7];
/// let (start, data) = TransportSpecific::parse(&data)?;
/// assert_eq!(start.medium, MediumId::USB_2_0);
/// assert_eq!(start.vendor(data), Some((Vendor::Iana(40981), &[7][..])));
/// # Ok::<(), mctp_router::wire::CompletionCode>(())
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct TransportSpecific {
    /// Physical transport binding identifier.
    pub binding: BindingId,
    /// Physical medium identifier.
    pub medium: MediumId,
}

impl TransportSpecific {
    /// Reads request data: these fields, and the data after them.
    ///
    /// # Errors
    ///
    /// [`CompletionCode::INVALID_LENGTH`], which the responder answers, when the data are shorter.
    pub fn parse(data: &[u8]) -> Result<(&Self, &[u8]), CompletionCode> {
        Self::ref_from_prefix(data).map_err(|_| CompletionCode::INVALID_LENGTH)
    }

    /// The vendor whose command it is, and the data after its number. `data` are those that
    /// [`parse`](Self::parse) returned; `None` if the binding is not that of a vendor, or if they
    /// are too short.
    pub fn vendor<'d>(&self, data: &'d [u8]) -> Option<(Vendor, &'d [u8])> {
        let (number, data) = U32::ref_from_prefix(data).ok()?;
        (self.binding == BindingId::VENDOR_DEFINED).then_some((Vendor::Iana(number.get()), data))
    }
}
