//! The bytes of the control protocol, message type 00h (DSP0236 1.3.3, sections 11 and 12).
//!
//! For both sides, each header, request and response is a type that is parsed and emitted, and whose
//! page is its byte table. No other module knows where a field stands.
//!
//! # A control message (section 11.4, figure 20; section 11.5, table 10)
//!
//! | byte | bits | field | type |
//! |-|-|-|-|
//! | 0 | 7 | IC: always 0, a control message has no integrity check | [`Message`] |
//! | 0 | 6:0 | message type: [`MESSAGE_TYPE`] | [`Message`] |
//! | 1 | 7 | Rq: request | [`Flags`] in [`Header`] |
//! | 1 | 6 | D: datagram | [`Flags`] in [`Header`] |
//! | 1 | 5 | reserved: 0 on send, ignored on receipt | [`Flags`] in [`Header`] |
//! | 1 | 4:0 | instance ID | [`Flags`] in [`Header`] |
//! | 2 | 7:0 | command code | [`Command`] in [`Header`] |
//! | 3 | 7:0 | completion code, responses only | [`CompletionCode`] in [`ResponseHeader`] |
//! | 3 or 4 on | | message data | a [`Request`], or what answers it |
//!
//! A control message is one packet of at most 64 bytes (section 11.6). Numbers are sent most
//! significant byte first.
//!
//! | code | request | response data | section |
//! |-|-|-|-|
//! | 01h | [`SetEndpointIdRequest`] | [`SetEndpointIdResponse`] | 12.4 |
//! | 02h | [`GetEndpointIdRequest`] | [`GetEndpointIdResponse`] | 12.5 |
//! | 03h | [`GetEndpointUuidRequest`] | [`GetEndpointUuidResponse`] | 12.6 |
//! | 04h | [`GetVersionSupportRequest`] | [`GetVersionSupportResponse`] | 12.7 |
//! | 05h | [`GetMessageTypeSupportRequest`] | [`GetMessageTypeSupportResponse`] | 12.8 |
//! | 06h | [`GetVendorSupportRequest`] | [`VendorSupport`] | 12.9 |
//! | 07h | [`ResolveEndpointIdRequest`] | [`ResolveEndpointIdResponse`] | 12.10 |
//! | 08h | [`AllocateEndpointIdsRequest`] | [`AllocateEndpointIdsResponse`] | 12.11 |
//! | 09h | [`RoutingInformationUpdateRequest`] | none | 12.12 |
//! | 0Ah | [`GetRoutingTableEntriesRequest`] | [`GetRoutingTableEntriesResponse`] | 12.13 |
//! | 0Bh | [`PrepareForEndpointDiscoveryRequest`] | none | 12.14 |
//! | 0Ch | [`EndpointDiscoveryRequest`] | none | 12.15 |
//! | 0Dh | [`DiscoveryNotifyRequest`] | none | 12.16 |
//! | 0Eh | [`GetNetworkIdRequest`] | [`GetNetworkIdResponse`] | 12.17 |
//! | 0Fh | [`QueryHopRequest`] | [`QueryHopResponse`] | 12.18 |
//! | 10h | [`ResolveUuidRequest`] | [`ResolveUuidResponse`] | 12.19 |
//! | F0h to FFh | [`TransportSpecific`], then data of the binding | of the binding | 12.24 |
//!
//! [`Command`] names 11h to 14h too, of rate limits and supported interfaces; they have no types.
//!
//! # Lists
//!
//! The length of a request or response with a list depends on the list. Its type ends with the
//! bytes of the entries, and a method reads them: [`RoutingInformationUpdateRequest::entries`],
//! [`GetRoutingTableEntriesResponse::entries`], [`ResolveUuidResponse::entries`]. [`RoutingUpdate`]
//! and [`Page`] append whole entries and say when one has no room.
//!
//! Physical addresses are bytes, since only the transport binding says what they mean.
//! [`BindingId::encode_address`] and [`BindingId::decode_address`] convert them.
//!
//! # What is checked
//!
//! A parser checks lengths, and counts and formats that a length depends on; it never panics.
//! Reserved bits are kept: `==` sees them, the methods do not. Values that the standard does not
//! define survive parsing. Whether a value is a legal one is for its receiver to decide.
//!
//! ```
//! use mctp_router::wire::{
//!     Command, GetEndpointIdRequest, Header, Message, Request, ResponseHeader,
//! };
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! let request = Message::new(Header::request(5, GetEndpointIdRequest::COMMAND));
//! assert_eq!(request.as_bytes(), [0x00, 0x85, 0x02]);
//!
//! let answer = [0x00, 0x05, 0x02, 0x00, 9, 0x00, 0x00];
//! let (response, data) = Message::<ResponseHeader>::ref_from_prefix(&answer).unwrap();
//! assert!(response.body.answers(&request.body) && response.body.completion_code.is_success());
//! assert_eq!(GetEndpointIdRequest::parse_response(data)?.endpoint_id, 9);
//! # Ok::<(), mctp_router::wire::InvalidResponse>(())
//! ```

mod allocation;
#[cfg(test)]
mod bridge_tests;
mod code;
mod discovery;
mod endpoint_id;
mod header;
mod hop;
mod numbers;
mod page;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod query_tests;
mod resolve;
mod resolve_uuid;
mod response;
mod routing;
mod routing_table;
mod support;
#[cfg(test)]
mod tests;
mod transport_specific;
mod uuid;
mod vendor;

use mctp_transport::BASELINE_TRANSMISSION_UNIT;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use allocation::{
    AllocateEndpointIdsRequest, AllocateEndpointIdsResponse, AllocationOperation, AllocationStatus,
};
pub use code::{Command, CompletionCode};
pub use discovery::{
    DiscoveryNotifyRequest, EndpointDiscoveryRequest, PrepareForEndpointDiscoveryRequest,
};
pub use endpoint_id::{
    AssignmentStatus, EndpointIdType, EndpointType, GetEndpointIdRequest, GetEndpointIdResponse,
    Operation, PoolStatus, SetEndpointIdRequest, SetEndpointIdResponse, SetEndpointIdStatus,
};
pub use header::{Flags, Header, MESSAGE_TYPE, Message, ResponseHeader};
pub use hop::{
    GetNetworkIdRequest, GetNetworkIdResponse, QueryHopRequest, QueryHopResponse, TransmissionUnit,
};
pub use numbers::{BindingId, MediumId, WireAddress};
pub use page::Page;
pub use resolve::{ResolveEndpointIdRequest, ResolveEndpointIdResponse};
pub use resolve_uuid::{ResolveUuidRequest, ResolveUuidResponse, UuidEntry};
pub use response::Response;
pub use routing::{
    RoutingEntryKind, RoutingInformationUpdateRequest, RoutingUpdate, RoutingUpdateEntry,
};
pub use routing_table::{
    GetRoutingTableEntriesRequest, GetRoutingTableEntriesResponse, RoutingEntryFlags,
    RoutingTableEntry,
};
pub use support::{
    GetMessageTypeSupportRequest, GetMessageTypeSupportResponse, GetVersionSupportRequest,
    GetVersionSupportResponse, Version,
};
pub use transport_specific::TransportSpecific;
pub use uuid::{GetEndpointUuidRequest, GetEndpointUuidResponse};
pub use vendor::{
    GetVendorSupportRequest, GetVendorSupportResponse, Vendor, VendorIdFormat, VendorSupport,
};

/// How many bytes of data a request has room for in one packet.
const REQUEST_DATA_MAX: usize = BASELINE_TRANSMISSION_UNIT - size_of::<Message<Header>>();

/// The data of a request: what follows its [`Header`].
///
/// [`as_bytes`](IntoBytes::as_bytes) emits it.
pub trait Request: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned {
    /// The command that it asks for.
    const COMMAND: Command;

    /// The data of a response with [`CompletionCode::SUCCESS`].
    type Response<'d>;

    /// Reads request data.
    ///
    /// # Errors
    ///
    /// [`CompletionCode::INVALID_LENGTH`], which the responder answers, when the data have another
    /// length.
    #[inline]
    fn parse(data: &[u8]) -> Result<&Self, CompletionCode> {
        Self::ref_from_bytes(data).map_err(|_| CompletionCode::INVALID_LENGTH)
    }

    /// Reads what follows the [`ResponseHeader`] of a success.
    ///
    /// # Errors
    ///
    /// When the data are not of this response.
    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse>;
}

/// Why data are not those of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InvalidResponse {
    /// The response never has so many bytes of data.
    #[error("{0} bytes of data, which this response never has")]
    Length(usize),
    /// The number of entries that the response states is not the number that follows.
    #[error("{announced} entries announced, {sent} sent")]
    Count {
        /// As stated.
        announced: u8,
        /// As they follow.
        sent: usize,
    },
    /// The vendor ID has a format of unknown length.
    #[error("vendor ID format {0} is neither PCI nor IANA")]
    VendorIdFormat(VendorIdFormat),
}

/// Data of a response of one length.
fn exactly<T: FromBytes + Immutable + KnownLayout + Unaligned + ?Sized>(
    data: &[u8],
) -> Result<&T, InvalidResponse> {
    T::ref_from_bytes(data).map_err(|_| InvalidResponse::Length(data.len()))
}

/// Data of a response that has none.
fn empty(data: &[u8]) -> Result<(), InvalidResponse> {
    match data {
        [] => Ok(()),
        _ => Err(InvalidResponse::Length(data.len())),
    }
}

/// Data of a response that states how many entries it has.
fn check_count(announced: u8, sent: usize) -> Result<(), InvalidResponse> {
    match usize::from(announced) == sent {
        true => Ok(()),
        false => Err(InvalidResponse::Count { announced, sent }),
    }
}
