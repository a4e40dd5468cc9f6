//! Get Endpoint UUID (03h) (DSP0236 1.3.3, section 12.6).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, exactly};

/// Get Endpoint UUID: what is this device recognised by, whatever its endpoint ID? There are no
/// request data (DSP0236 1.3.3, section 12.6, table 16).
///
/// Sent by anybody. An endpoint that can be plugged in while the bus is in use has to answer.
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
pub struct GetEndpointUuidRequest;

impl Request for GetEndpointUuidRequest {
    const COMMAND: Command = Command::GET_ENDPOINT_UUID;
    type Response<'d> = &'d GetEndpointUuidResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// Response data of Get Endpoint UUID (DSP0236 1.3.3, section 12.6, tables 16 and 17).
///
/// | byte | field |
/// |-|-|
/// | 0 to 3 | time low |
/// | 4, 5 | time mid |
/// | 6, 7 | time high and version |
/// | 8, 9 | clock sequence and variant |
/// | 10 to 15 | node |
///
/// Each most significant byte first, as RFC 9562 has them. The UUID is the same on every bus of the
/// device and never changes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetEndpointUuidResponse {
    /// The UUID.
    pub uuid: [u8; 16],
}
