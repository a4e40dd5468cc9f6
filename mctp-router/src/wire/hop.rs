//! Get Network ID (0Eh) and Query Hop (0Fh) (DSP0236 1.3.3, sections 12.17 and 12.18).

use core::fmt;

use mctp_transport::BASELINE_TRANSMISSION_UNIT;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, exactly};

/// Get Network ID: which network is this? There are no request data (DSP0236 1.3.3, section 12.17,
/// table 31).
///
/// Sent by anybody. An endpoint of several networks, or of a network on an add-in card, has to
/// answer.
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
pub struct GetNetworkIdRequest;

impl Request for GetNetworkIdRequest {
    const COMMAND: Command = Command::GET_NETWORK_ID;
    type Response<'d> = &'d GetNetworkIdResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// Response data of Get Network ID (DSP0236 1.3.3, section 12.17, table 31).
///
/// | byte | field |
/// |-|-|
/// | 0 to 15 | `network_id`: a UUID, most significant byte first |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetNetworkIdResponse {
    /// Network ID.
    pub network_id: [u8; 16],
}

/// Query Hop: which bridge comes next on the way to this endpoint, and how long may packets be?
/// (DSP0236 1.3.3, section 12.18, table 32).
///
/// | byte | field |
/// |-|-|
/// | 0 | `endpoint_id`: target endpoint ID |
/// | 1 | `message_type`: message type that the units are asked for |
///
/// Sent by anybody to a bus owner or bridge: first to that of its own bus, then to each that the
/// last response names. ERROR_INVALID_DATA: a target endpoint ID of 0 or 255, or without a route. A
/// simple endpoint answers ERROR_UNSUPPORTED_CMD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct QueryHopRequest {
    /// Target endpoint ID.
    pub endpoint_id: u8,
    /// Message type.
    pub message_type: u8,
}

impl Request for QueryHopRequest {
    const COMMAND: Command = Command::QUERY_HOP;
    type Response<'d> = &'d QueryHopResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// Response data of Query Hop (DSP0236 1.3.3, section 12.18, table 32).
///
/// | byte | field |
/// |-|-|
/// | 0 | `next_bridge`: endpoint ID of the next bridge |
/// | 1 | `message_type`: that of the request, or FFh |
/// | 2, 3 | `max_incoming`: maximum supported incoming transmission unit |
/// | 4, 5 | `max_outgoing`: maximum supported outgoing transmission unit |
///
/// The next bridge is 0 if the responder is the target, or packets to it do not go through the
/// responder; it is the target's endpoint ID if the responder is the last bridge.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct QueryHopResponse {
    /// Next bridge endpoint ID.
    pub next_bridge: u8,
    /// Message type.
    pub message_type: u8,
    /// Maximum supported incoming transmission unit.
    pub max_incoming: TransmissionUnit,
    /// Maximum supported outgoing transmission unit.
    pub max_outgoing: TransmissionUnit,
}

impl QueryHopResponse {
    /// The message type of a response that holds for every message type.
    pub const ANY_MESSAGE_TYPE: u8 = 0xFF;
}

/// A transmission unit: how many times 16 bytes it is above the baseline unit of 64 bytes, most
/// significant byte first (DSP0236 1.3.3, section 12.18, table 32).
///
/// ```
/// use mctp_router::wire::TransmissionUnit;
/// use zerocopy::IntoBytes;
///
/// let unit = TransmissionUnit::of_bytes(255);
/// assert_eq!((unit.as_bytes(), unit.bytes()), (&[0x00, 11][..], 240));
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct TransmissionUnit(pub U16);

impl TransmissionUnit {
    /// Bytes that a step stands for.
    const STEP: usize = 16;

    /// The longest unit of at most so many bytes; the baseline unit for fewer than 64.
    pub fn of_bytes(bytes: usize) -> Self {
        let steps = bytes.saturating_sub(BASELINE_TRANSMISSION_UNIT) / Self::STEP;
        Self(U16::new(steps.try_into().unwrap_or(u16::MAX)))
    }

    /// The unit in bytes.
    pub const fn bytes(self) -> usize {
        let above = (self.0.get() as usize).saturating_mul(Self::STEP);
        above.saturating_add(BASELINE_TRANSMISSION_UNIT)
    }
}

/// The unit in bytes, such as `240 bytes`.
impl fmt::Display for TransmissionUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for TransmissionUnit {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} bytes", self.bytes());
    }
}
