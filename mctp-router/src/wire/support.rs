//! Get MCTP Version Support (04h) and Get Message Type Support (05h) (DSP0236 1.3.3, sections 12.7
//! and 12.8).

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, MESSAGE_TYPE, Request, Response, check_count, exactly};

/// Get MCTP Version Support: which versions of this message type? (DSP0236 1.3.3, section 12.7,
/// table 18).
///
/// | byte | field |
/// |-|-|
/// | 0 | `message_type`: message type number, or FFh for the base specification |
///
/// Sent by anybody; every endpoint answers. A message type that it does not support gets completion
/// code 80h, [`MESSAGE_TYPE_NOT_SUPPORTED`](super::CompletionCode::MESSAGE_TYPE_NOT_SUPPORTED).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetVersionSupportRequest {
    /// Message type number.
    pub message_type: u8,
}

impl GetVersionSupportRequest {
    /// The message type number that stands for the base specification.
    pub const BASE_SPECIFICATION: u8 = 0xFF;
}

impl Request for GetVersionSupportRequest {
    const COMMAND: Command = Command::GET_VERSION_SUPPORT;
    type Response<'d> = &'d GetVersionSupportResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        let response: &GetVersionSupportResponse = exactly(data)?;
        check_count(response.count, response.versions.len())?;
        Ok(response)
    }
}

/// Response data of Get MCTP Version Support (DSP0236 1.3.3, section 12.7, table 18).
///
/// | byte | field |
/// |-|-|
/// | 0 | `count`: version number entry count |
/// | 1 to 4 | the oldest version |
/// | 5 on | newer versions, 4 bytes each, the newest last |
#[derive(Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct GetVersionSupportResponse {
    /// Version number entry count.
    pub count: u8,
    /// Version number entries, oldest first.
    pub versions: [Version],
}

impl GetVersionSupportResponse {
    /// Appends the response data for these versions, oldest first. One packet has room for 14.
    pub fn emit(versions: &[Version], response: &mut Response) {
        response.put(&[versions.len() as u8]);
        response.put(versions.as_bytes());
    }
}

/// A version number (DSP0236 1.3.3, sections 12.7.2 to 12.7.4).
///
/// | byte | field |
/// |-|-|
/// | 0 | `major`: two BCD digits, of which a high one of Fh is none |
/// | 1 | `minor`: the same |
/// | 2 | `update`: the same; FFh: the update is not told |
/// | 3 | `alpha`: a letter in ASCII, or 00h for none |
///
/// ```
/// use mctp_router::wire::Version;
///
/// let version = |bytes| Version::from_bytes(bytes).to_string();
/// assert_eq!(version([0xF1, 0xF3, 0xF3, 0x00]), "1.3.3");
/// assert_eq!(version([0xF1, 0xF0, 0xFF, b'a']), "1.0a");
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Version {
    /// Major version number.
    pub major: u8,
    /// Minor version number.
    pub minor: u8,
    /// Update version number.
    pub update: u8,
    /// Alpha byte.
    pub alpha: u8,
}

impl Version {
    /// The version in these bytes, as they are sent.
    pub const fn from_bytes([major, minor, update, alpha]: [u8; 4]) -> Self {
        Self {
            major,
            minor,
            update,
            alpha,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Digits(self.major), Digits(self.minor))?;
        if self.update != 0xFF {
            write!(f, ".{}", Digits(self.update))?;
        }
        if self.alpha.is_ascii_alphabetic() {
            write!(f, "{}", char::from(self.alpha))?;
        }
        Ok(())
    }
}

struct Digits(u8);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0xF0.. => write!(f, "{:x}", self.0 & 0x0F),
            both => write!(f, "{both:02x}"),
        }
    }
}

/// Get Message Type Support: which message types? There are no request data (DSP0236 1.3.3, section
/// 12.8, table 19).
///
/// Sent by anybody; every endpoint answers.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetMessageTypeSupportRequest;

impl Request for GetMessageTypeSupportRequest {
    const COMMAND: Command = Command::GET_MESSAGE_TYPE_SUPPORT;
    type Response<'d> = &'d GetMessageTypeSupportResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        let response: &GetMessageTypeSupportResponse = exactly(data)?;
        check_count(response.count, response.message_types.len())?;
        Ok(response)
    }
}

/// Response data of Get Message Type Support (DSP0236 1.3.3, section 12.8, table 19).
///
/// | byte | field |
/// |-|-|
/// | 0 | `count`: MCTP message type count |
/// | 1 on | message type numbers, one byte each |
///
/// The standard asks for the types beside control; every implementation lists 00h as well, and so
/// does this one.
#[derive(Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct GetMessageTypeSupportResponse {
    /// MCTP message type count.
    pub count: u8,
    /// List of message type numbers.
    pub message_types: [u8],
}

impl GetMessageTypeSupportResponse {
    /// Appends the response data for control, the first, and these message types. One packet has
    /// room for 59 in all.
    pub fn emit(others: impl Iterator<Item = u8>, response: &mut Response) {
        response.put(&[0, MESSAGE_TYPE]);
        for message_type in others {
            response.put(&[message_type]);
        }
        if let Some((_, data)) = response.parts()
            && let Ok(whole) = Self::mut_from_bytes(data)
        {
            whole.count = whole.message_types.len() as u8;
        }
    }
}
