//! Command codes and completion codes (DSP0236 1.3.3, sections 12.2 and 12.3).

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A command code (DSP0236 1.3.3, section 12.2, table 12).
///
/// Codes from 15h to EFh are reserved, those from F0h are of the transport binding
/// ([`is_transport_specific`](Self::is_transport_specific)). A responder answers a code that it
/// does not serve with [`CompletionCode::UNSUPPORTED_COMMAND`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct Command(pub u8);

impl Command {
    /// Set Endpoint ID (section 12.4): from a bus owner to an endpoint or bridge on its bus.
    pub const SET_ENDPOINT_ID: Self = Self(0x01);
    /// Get Endpoint ID (section 12.5): from any endpoint to any.
    pub const GET_ENDPOINT_ID: Self = Self(0x02);
    /// Get Endpoint UUID (section 12.6): from any endpoint to any.
    pub const GET_ENDPOINT_UUID: Self = Self(0x03);
    /// Get MCTP Version Support (section 12.7): from any endpoint to any.
    pub const GET_VERSION_SUPPORT: Self = Self(0x04);
    /// Get Message Type Support (section 12.8): from any endpoint to any.
    pub const GET_MESSAGE_TYPE_SUPPORT: Self = Self(0x05);
    /// Get Vendor Defined Message Support (section 12.9): from any endpoint to any.
    pub const GET_VENDOR_SUPPORT: Self = Self(0x06);
    /// Resolve Endpoint ID (section 12.10): from any endpoint to a bus owner or bridge.
    pub const RESOLVE_ENDPOINT_ID: Self = Self(0x07);
    /// Allocate Endpoint IDs (section 12.11): from a bus owner to a bridge on its bus.
    pub const ALLOCATE_ENDPOINT_IDS: Self = Self(0x08);
    /// Routing Information Update (section 12.12): from a bus owner to a bridge on its bus.
    pub const ROUTING_INFORMATION_UPDATE: Self = Self(0x09);
    /// Get Routing Table Entries (section 12.13): from any endpoint to a bus owner or bridge.
    pub const GET_ROUTING_TABLE_ENTRIES: Self = Self(0x0A);
    /// Prepare for Endpoint Discovery (section 12.14): from a bus owner to its bus.
    pub const PREPARE_FOR_ENDPOINT_DISCOVERY: Self = Self(0x0B);
    /// Endpoint Discovery (section 12.15): from a bus owner to its bus.
    pub const ENDPOINT_DISCOVERY: Self = Self(0x0C);
    /// Discovery Notify (section 12.16): from an endpoint to its bus owner.
    pub const DISCOVERY_NOTIFY: Self = Self(0x0D);
    /// Get Network ID (section 12.17): from any endpoint to any.
    pub const GET_NETWORK_ID: Self = Self(0x0E);
    /// Query Hop (section 12.18): from any endpoint to a bus owner or bridge.
    pub const QUERY_HOP: Self = Self(0x0F);
    /// Resolve UUID (section 12.19): from any endpoint to a bus owner or bridge.
    pub const RESOLVE_UUID: Self = Self(0x10);
    /// Query Rate Limit (section 12.20): from any endpoint to any.
    pub const QUERY_RATE_LIMIT: Self = Self(0x11);
    /// Request TX Rate Limit (section 12.21): from any endpoint to any.
    pub const REQUEST_TX_RATE_LIMIT: Self = Self(0x12);
    /// Update Rate Limit (section 12.22): from any endpoint to any.
    pub const UPDATE_RATE_LIMIT: Self = Self(0x13);
    /// Query Supported Interfaces (section 12.23): from any endpoint to any.
    pub const QUERY_SUPPORTED_INTERFACES: Self = Self(0x14);

    /// The name in table 12; `None` for a reserved code.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SET_ENDPOINT_ID => "Set Endpoint ID",
            Self::GET_ENDPOINT_ID => "Get Endpoint ID",
            Self::GET_ENDPOINT_UUID => "Get Endpoint UUID",
            Self::GET_VERSION_SUPPORT => "Get MCTP Version Support",
            Self::GET_MESSAGE_TYPE_SUPPORT => "Get Message Type Support",
            Self::GET_VENDOR_SUPPORT => "Get Vendor Defined Message Support",
            Self::RESOLVE_ENDPOINT_ID => "Resolve Endpoint ID",
            Self::ALLOCATE_ENDPOINT_IDS => "Allocate Endpoint IDs",
            Self::ROUTING_INFORMATION_UPDATE => "Routing Information Update",
            Self::GET_ROUTING_TABLE_ENTRIES => "Get Routing Table Entries",
            Self::PREPARE_FOR_ENDPOINT_DISCOVERY => "Prepare for Endpoint Discovery",
            Self::ENDPOINT_DISCOVERY => "Endpoint Discovery",
            Self::DISCOVERY_NOTIFY => "Discovery Notify",
            Self::GET_NETWORK_ID => "Get Network ID",
            Self::QUERY_HOP => "Query Hop",
            Self::RESOLVE_UUID => "Resolve UUID",
            Self::QUERY_RATE_LIMIT => "Query Rate Limit",
            Self::REQUEST_TX_RATE_LIMIT => "Request TX Rate Limit",
            Self::UPDATE_RATE_LIMIT => "Update Rate Limit",
            Self::QUERY_SUPPORTED_INTERFACES => "Query Supported Interfaces",
            Self(0xF0..) => "Transport Specific",
            _ => return None,
        })
    }

    /// Whether the transport binding defines the command: F0h to FFh (section 12.24).
    pub const fn is_transport_specific(self) -> bool {
        self.0 >= 0xF0
    }
}

/// Name and number, such as `Get Endpoint ID (02h)`.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or("control request");
        write!(f, "{name} ({:02x}h)", self.0)
    }
}

/// How a request ended (DSP0236 1.3.3, section 12.3, table 13).
///
/// A response with another code than [`SUCCESS`](Self::SUCCESS) carries no data. Codes from 80h on
/// mean what the command says, the others that are not here are reserved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct CompletionCode(pub u8);

impl CompletionCode {
    /// SUCCESS: the request was accepted and completed normally.
    pub const SUCCESS: Self = Self(0x00);
    /// ERROR: a failure without a code of its own.
    pub const ERROR: Self = Self(0x01);
    /// ERROR_INVALID_DATA: a parameter has an invalid or unsupported value.
    pub const INVALID_DATA: Self = Self(0x02);
    /// ERROR_INVALID_LENGTH: the message has another length than the command.
    pub const INVALID_LENGTH: Self = Self(0x03);
    /// ERROR_NOT_READY: the receiver is in a transient state in which it cannot answer.
    pub const NOT_READY: Self = Self(0x04);
    /// ERROR_UNSUPPORTED_CMD: the command is unspecified or not supported.
    pub const UNSUPPORTED_COMMAND: Self = Self(0x05);
    /// Of Get MCTP Version Support: message type number not supported (section 12.7, table 18).
    pub const MESSAGE_TYPE_NOT_SUPPORTED: Self = Self(0x80);
    /// Of Routing Information Update: no room for the entries (section 12.12, table 24).
    pub const INSUFFICIENT_SPACE: Self = Self(0x80);

    /// Whether data follow.
    pub const fn is_success(self) -> bool {
        self.0 == Self::SUCCESS.0
    }

    /// The name in table 13, or which range the code is in.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SUCCESS => "SUCCESS",
            Self::ERROR => "ERROR",
            Self::INVALID_DATA => "ERROR_INVALID_DATA",
            Self::INVALID_LENGTH => "ERROR_INVALID_LENGTH",
            Self::NOT_READY => "ERROR_NOT_READY",
            Self::UNSUPPORTED_COMMAND => "ERROR_UNSUPPORTED_CMD",
            Self(0x80..) => "command specific",
            Self(_) => "reserved",
        }
    }
}

/// Name and number, such as `ERROR_INVALID_DATA (02h)`.
impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:02x}h)", self.name(), self.0)
    }
}
