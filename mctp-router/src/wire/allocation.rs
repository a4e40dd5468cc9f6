//! Allocate Endpoint IDs (08h) (DSP0236 1.3.3, section 12.11).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, InvalidResponse, Request, exactly};

/// What an Allocate Endpoint IDs request asks for: bits 1:0 of its first byte, the others are
/// reserved. 3 is reserved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct AllocationOperation(pub u8);

impl AllocationOperation {
    /// Allocate EIDs: take the pool. A bridge that has one from another bus rejects it.
    pub const ALLOCATE: Self = Self(0);
    /// Force allocation: take the pool even if another bus has given one. The bridge clears its
    /// routing table and assigns the endpoint IDs behind it anew.
    pub const FORCE: Self = Self(1);
    /// Get allocation information: answer the pool in use and change nothing. Count and first
    /// endpoint ID of the request are ignored.
    pub const GET_INFORMATION: Self = Self(2);

    /// The operation without the reserved bits.
    #[inline]
    #[must_use]
    pub const fn without_reserved(self) -> Self {
        Self(self.0 & 0x03)
    }
}

/// Allocate Endpoint IDs: the bus owner gives a bridge a pool of endpoint IDs for the buses that
/// the bridge owns (DSP0236 1.3.3, section 12.11, table 23).
///
/// | byte | bits | field |
/// |-|-|-|
/// | 0 | 7:2 | reserved |
/// | 0 | 1:0 | `operation` |
/// | 1 | 7:0 | `count`: number of endpoint IDs; 0 is legal |
/// | 2 | 7:0 | `first`: starting endpoint ID |
///
/// Sent by a bus owner to a bridge that said in its answer to Set Endpoint ID that it uses a pool.
/// ERROR_INVALID_DATA: more endpoint IDs than the pool size of that answer; a range that contains
/// an endpoint ID of 0 to 7 or 255; an operation that the bridge does not support. A simple
/// endpoint answers ERROR_UNSUPPORTED_CMD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct AllocateEndpointIdsRequest {
    /// Operation flags.
    pub operation: AllocationOperation,
    /// Number of endpoint IDs.
    pub count: u8,
    /// Starting endpoint ID.
    pub first: u8,
}

impl Request for AllocateEndpointIdsRequest {
    const COMMAND: Command = Command::ALLOCATE_ENDPOINT_IDS;
    type Response<'d> = &'d AllocateEndpointIdsResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        exactly(data)
    }
}

/// Allocation status: bits 1:0 of the first byte of the response, the others are reserved. 2 and 3
/// are reserved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct AllocationStatus(pub u8);

impl AllocationStatus {
    /// Allocation was accepted.
    pub const ACCEPTED: Self = Self(0);
    /// Allocation was rejected: the bridge has a pool already, from another bus, which it keeps.
    pub const REJECTED: Self = Self(1);

    /// The status without the reserved bits.
    #[inline]
    #[must_use]
    pub const fn without_reserved(self) -> Self {
        Self(self.0 & 0x03)
    }
}

/// Response data of Allocate Endpoint IDs (DSP0236 1.3.3, section 12.11, table 23).
///
/// | byte | bits | field |
/// |-|-|-|
/// | 0 | 7:2 | reserved |
/// | 0 | 1:0 | `status` |
/// | 1 | 7:0 | `pool_size`: endpoint ID pool size, how many endpoint IDs the pool has |
/// | 2 | 7:0 | `first`: first endpoint ID of the pool, 0 if there is none |
///
/// If the allocation was rejected, size and first endpoint ID are those of the pool that the bridge
/// keeps. mctpd takes back the pool unless both are exactly those of the request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct AllocateEndpointIdsResponse {
    /// Allocation status.
    pub status: AllocationStatus,
    /// Endpoint ID pool size.
    pub pool_size: u8,
    /// First endpoint ID.
    pub first: u8,
}
