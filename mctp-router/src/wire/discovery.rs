//! Prepare for Endpoint Discovery (0Bh), Endpoint Discovery (0Ch) and Discovery Notify (0Dh)
//! (DSP0236 1.3.3, sections 12.14 to 12.16).
//!
//! Only some transport bindings have discovery, such as PCIe VDM. On the others, as on USB, I2C and
//! serial, an endpoint answers ERROR_UNSUPPORTED_CMD.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, empty};

/// Prepare for Endpoint Discovery: every endpoint on this bus becomes undiscovered. There are no
/// request and no response data (DSP0236 1.3.3, section 12.14, table 28).
///
/// Sent by a bus owner, mostly as a broadcast, before Endpoint Discovery. An endpoint clears its
/// Discovered flag, keeps its endpoint ID, and answers.
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
pub struct PrepareForEndpointDiscoveryRequest;

impl Request for PrepareForEndpointDiscoveryRequest {
    const COMMAND: Command = Command::PREPARE_FOR_ENDPOINT_DISCOVERY;
    type Response<'d> = ();

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        empty(data)
    }
}

/// Endpoint Discovery: who on this bus is undiscovered? There are no request and no response data
/// (DSP0236 1.3.3, section 12.15, table 29).
///
/// Sent by a bus owner, mostly as a broadcast. Only an endpoint whose Discovered flag is clear
/// answers; the bus owner learns its physical address from the answer.
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
pub struct EndpointDiscoveryRequest;

impl Request for EndpointDiscoveryRequest {
    const COMMAND: Command = Command::ENDPOINT_DISCOVERY;
    type Response<'d> = ();

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        empty(data)
    }
}

/// Discovery Notify: here is an endpoint to be discovered. There are no request and no response
/// data (DSP0236 1.3.3, section 12.16, table 30).
///
/// Sent by an endpoint to its bus owner, from its physical address to the null endpoint ID. A
/// simple endpoint answers ERROR_UNSUPPORTED_CMD, and so does mctpd as the bus owner.
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
pub struct DiscoveryNotifyRequest;

impl Request for DiscoveryNotifyRequest {
    const COMMAND: Command = Command::DISCOVERY_NOTIFY;
    type Response<'d> = ();

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        empty(data)
    }
}
