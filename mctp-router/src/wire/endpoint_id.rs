//! Set Endpoint ID (01h) and Get Endpoint ID (02h) (DSP0236 1.3.3, sections 12.4 and 12.5).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, exactly};

/// What a Set Endpoint ID request asks for: bits 1:0 of its first byte, the others are reserved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct Operation(pub u8);

impl Operation {
    /// Set EID: take the endpoint ID. An endpoint on one bus accepts it always.
    pub const SET: Self = Self(0);
    /// Force EID: take it even if another bus has set one. The same as [`SET`](Self::SET) on one
    /// bus.
    pub const FORCE: Self = Self(1);
    /// Reset EID: go back to the static endpoint ID. The endpoint ID of the request is ignored.
    /// ERROR_INVALID_DATA without a static one.
    pub const RESET: Self = Self(2);
    /// Set Discovered flag, endpoint ID unchanged. ERROR_INVALID_DATA where the transport binding
    /// has no discovery, as over USB, I2C and serial.
    pub const SET_DISCOVERED: Self = Self(3);

    /// The operation without the reserved bits.
    #[inline]
    #[must_use]
    pub const fn without_reserved(self) -> Self {
        Self(self.0 & 0x03)
    }
}

/// Set Endpoint ID: the bus owner gives an endpoint its endpoint ID (DSP0236 1.3.3, section 12.4,
/// table 14).
///
/// | byte | bits | field |
/// |-|-|-|
/// | 0 | 7:2 | reserved |
/// | 0 | 1:0 | `operation` |
/// | 1 | 7:0 | `endpoint_id`: 8 to 254 |
///
/// Sent by a bus owner, mostly to endpoint ID 0 at a physical address. The receiver learns from it
/// who the bus owner is. ERROR_INVALID_DATA: an endpoint ID of 0 to 7 or 255, which are null,
/// reserved and broadcast; an operation that the receiver does not support.
///
/// The response comes from the endpoint ID that the request was addressed to, not from the new one.
/// The same request again with the same instance ID is a retransmission (section 11.8): it is
/// answered again and does nothing more.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct SetEndpointIdRequest {
    /// Operation.
    pub operation: Operation,
    /// Endpoint ID.
    pub endpoint_id: u8,
}

impl Request for SetEndpointIdRequest {
    const COMMAND: Command = Command::SET_ENDPOINT_ID;
    type Response<'d> = &'d SetEndpointIdResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// The first byte of the response to Set Endpoint ID.
///
/// | bits | field |
/// |-|-|
/// | 7:6 | reserved |
/// | 5:4 | EID assignment status: [`AssignmentStatus`] |
/// | 3:2 | reserved |
/// | 1:0 | endpoint ID allocation status: [`PoolStatus`] |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct SetEndpointIdStatus(pub u8);

/// EID assignment status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AssignmentStatus {
    /// 0: the endpoint took the endpoint ID.
    Accepted,
    /// 1: it has one already, from another bus, which it keeps.
    Rejected,
    /// 2 and 3.
    Reserved,
}

/// Endpoint ID allocation status: whether the endpoint is a bridge that gives endpoint IDs from a
/// pool to the endpoints behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PoolStatus {
    /// The endpoint uses no pool of endpoint IDs.
    NoPool = 0,
    /// It needs a pool, which the bus owner gives it by Allocate Endpoint IDs.
    NeedsPool = 1,
    /// It uses a pool and has been given one already.
    HasPool = 2,
    /// 3.
    Reserved = 3,
}

impl SetEndpointIdStatus {
    const REJECTED: u8 = 0x10;

    /// EID assignment accepted, no pool: the answer of a simple endpoint.
    pub const ACCEPTED: Self = Self(0x00);

    /// EID assignment accepted.
    #[inline]
    pub const fn accepted(pool: PoolStatus) -> Self {
        Self(pool as u8)
    }

    /// EID assignment rejected.
    #[inline]
    pub const fn rejected(pool: PoolStatus) -> Self {
        Self(Self::REJECTED | pool as u8)
    }

    /// Bits 5:4.
    pub const fn assignment(self) -> AssignmentStatus {
        match self.0 >> 4 & 0x03 {
            0 => AssignmentStatus::Accepted,
            1 => AssignmentStatus::Rejected,
            _ => AssignmentStatus::Reserved,
        }
    }

    /// Bits 1:0.
    pub const fn pool(self) -> PoolStatus {
        match self.0 & 0x03 {
            0 => PoolStatus::NoPool,
            1 => PoolStatus::NeedsPool,
            2 => PoolStatus::HasPool,
            _ => PoolStatus::Reserved,
        }
    }

    /// Whether the endpoint uses a pool of endpoint IDs, for the endpoints behind it.
    pub const fn has_pool(self) -> bool {
        self.0 & 0x03 != 0
    }
}

/// Response data of Set Endpoint ID (DSP0236 1.3.3, section 12.4, table 14).
///
/// | byte | field |
/// |-|-|
/// | 0 | `status` |
/// | 1 | `endpoint_id`: EID setting, the one now in force |
/// | 2 | `pool_size`: EID pool size, how many endpoint IDs a bridge needs; 0 without a pool |
///
/// If the assignment was rejected, the EID setting is the endpoint ID that the endpoint keeps.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct SetEndpointIdResponse {
    /// EID assignment status and endpoint ID allocation status.
    pub status: SetEndpointIdStatus,
    /// EID setting.
    pub endpoint_id: u8,
    /// EID pool size.
    pub pool_size: u8,
}

/// Get Endpoint ID: who is this? There are no request data (DSP0236 1.3.3, section 12.5, table 15).
///
/// Sent by anybody; a bus owner sends it to endpoint ID 0 at a physical address. Every endpoint
/// answers.
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
pub struct GetEndpointIdRequest;

impl Request for GetEndpointIdRequest {
    const COMMAND: Command = Command::GET_ENDPOINT_ID;
    type Response<'d> = &'d GetEndpointIdResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// The second byte of the response to Get Endpoint ID.
///
/// | bits | field |
/// |-|-|
/// | 7:6 | reserved |
/// | 5:4 | endpoint type: 0 simple endpoint, 1 bus owner or bridge |
/// | 3:2 | reserved |
/// | 1:0 | endpoint ID type: [`EndpointIdType`] |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct EndpointType(pub u8);

/// Endpoint ID type: where the endpoint ID in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum EndpointIdType {
    /// The endpoint uses only dynamic endpoint IDs.
    Dynamic = 0,
    /// It has a static endpoint ID; whether that is in force is not told.
    Static = 1,
    /// It has a static endpoint ID, which is in force.
    StaticInForce = 2,
    /// It has a static endpoint ID, but another one is in force.
    StaticOverridden = 3,
}

impl EndpointType {
    const BUS_OWNER_OR_BRIDGE: u8 = 0x10;

    /// Of a simple endpoint.
    #[inline]
    pub const fn simple(id_type: EndpointIdType) -> Self {
        Self(id_type as u8)
    }

    /// Of a bus owner or bridge.
    #[inline]
    pub const fn bridge(id_type: EndpointIdType) -> Self {
        Self(Self::BUS_OWNER_OR_BRIDGE | id_type as u8)
    }

    /// Whether it is a simple endpoint.
    pub const fn is_simple(self) -> bool {
        self.0 & 0x30 == 0
    }

    /// Whether it is a bus owner or bridge. Endpoint types 2 and 3, which are reserved, are neither
    /// that nor simple.
    pub const fn is_bus_owner_or_bridge(self) -> bool {
        self.0 & 0x30 == Self::BUS_OWNER_OR_BRIDGE
    }

    /// Bits 1:0.
    pub const fn id_type(self) -> EndpointIdType {
        match self.0 & 0x03 {
            0 => EndpointIdType::Dynamic,
            1 => EndpointIdType::Static,
            2 => EndpointIdType::StaticInForce,
            _ => EndpointIdType::StaticOverridden,
        }
    }
}

/// Response data of Get Endpoint ID (DSP0236 1.3.3, section 12.5, table 15).
///
/// | byte | field |
/// |-|-|
/// | 0 | `endpoint_id`: 0 while none is assigned |
/// | 1 | `endpoint_type` |
/// | 2 | `medium_specific`: as the transport binding says, otherwise 0 |
///
/// Over SMBus/I2C, bit 0 of the last byte is set if the endpoint arbitrates fairly (DSP0237, section
/// 6.9).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetEndpointIdResponse {
    /// Endpoint ID.
    pub endpoint_id: u8,
    /// Endpoint type and endpoint ID type.
    pub endpoint_type: EndpointType,
    /// Medium-specific information.
    pub medium_specific: u8,
}
