//! Resolve Endpoint ID (07h) (DSP0236 1.3.3, section 12.10).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, Response, exactly};

/// Resolve Endpoint ID: which physical address do packets for this endpoint go to? (DSP0236 1.3.3,
/// section 12.10, table 22).
///
/// | byte | field |
/// |-|-|
/// | 0 | `endpoint_id`: target endpoint ID |
///
/// Sent by anybody to the bus owner of its bus, or to a bridge. ERROR: an endpoint ID that the
/// responder does not know; mctpd answers so too. A simple endpoint answers ERROR_UNSUPPORTED_CMD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct ResolveEndpointIdRequest {
    /// Target endpoint ID.
    pub endpoint_id: u8,
}

impl Request for ResolveEndpointIdRequest {
    const COMMAND: Command = Command::RESOLVE_ENDPOINT_ID;
    type Response<'d> = &'d ResolveEndpointIdResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// Response data of Resolve Endpoint ID (DSP0236 1.3.3, section 12.10, table 22).
///
/// | byte | field |
/// |-|-|
/// | 0 | `bridge`: endpoint ID of the bridge to the target; the target's own if it is on this bus |
/// | 1 on | `address`: physical address, most significant byte first |
///
/// The address is one of the requester's bus; its length follows from the transport binding: see
/// [`BindingId::decode_address`](super::BindingId::decode_address).
#[derive(Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ResolveEndpointIdResponse {
    /// Bridge endpoint ID.
    pub bridge: u8,
    /// Physical address.
    pub address: [u8],
}

impl ResolveEndpointIdResponse {
    /// Appends the response data.
    pub fn emit(bridge: u8, address: &[u8], response: &mut Response) {
        response.put(&[bridge]);
        response.put(address);
    }
}
