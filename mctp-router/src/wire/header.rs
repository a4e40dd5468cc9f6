//! The headers of control messages (DSP0236 1.3.3, sections 11.4 to 11.8).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, CompletionCode};

/// Message type of control messages (DSP0236 1.3.3, section 8.12, table 3).
pub const MESSAGE_TYPE: u8 = mctp::MCTP_TYPE_CONTROL.0;

const REQUEST: u8 = 0x80;
const DATAGRAM: u8 = 0x40;
const INSTANCE_ID: u8 = 0x1F;
const INTEGRITY_CHECK: u8 = 0x80;

/// A control message as it stands in a packet, its message type first.
///
/// The `mctp` traits and sockets hand over `body` alone, and the message type beside it.
///
/// | byte | bits | field |
/// |-|-|-|
/// | 0 | 7 | IC: 0; a message with an integrity check is discarded |
/// | 0 | 6:0 | message type, 00h |
/// | 1 on | | `body`: a [`Header`], or a [`ResponseHeader`] |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Message<B> {
    /// IC and message type.
    pub type_ic: u8,
    /// What follows the message type.
    pub body: B,
}

impl<B> Message<B> {
    /// A message without integrity check.
    #[inline]
    pub const fn new(body: B) -> Self {
        let type_ic = MESSAGE_TYPE;
        Self { type_ic, body }
    }

    /// Whether the IC bit says that there is an integrity check, which a control message cannot
    /// have.
    #[inline]
    pub const fn has_integrity_check(&self) -> bool {
        self.type_ic & INTEGRITY_CHECK != 0
    }
}

/// Rq, D and instance ID: what a message is, and which request a response is to (DSP0236 1.3.3,
/// section 11.5, table 10).
///
/// | bits | field |
/// |-|-|
/// | 7 | Rq: 1 in requests and datagrams, 0 in responses |
/// | 6 | D: 1 in datagrams, requests without a response |
/// | 5 | reserved: 0 on send, ignored on receipt |
/// | 4:0 | instance ID |
///
/// A repeated request has the instance ID of the first try, a response that of its request (section
/// 11.8).
///
/// Classes of messages by these bits and the packet header (section 11.7, table 11); any other
/// combination is silently discarded:
///
/// | class | destination | tag owner | Rq | D |
/// |-|-|-|-|-|
/// | request | an endpoint | 1 | 1 | 0 |
/// | response | the requester | 0 | 0 | 0 |
/// | broadcast request | FFh | 1 | 1 | 0 |
/// | datagram | an endpoint | 1 | 1 | 1 |
/// | broadcast datagram | FFh | 1 | 1 | 1 |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct Flags(pub u8);

impl Flags {
    /// How many instance IDs there are.
    pub const INSTANCE_IDS: u8 = INSTANCE_ID + 1;

    /// Of a request; bits 4:0 of `instance_id` count.
    #[inline]
    pub const fn request(instance_id: u8) -> Self {
        Self(REQUEST | instance_id & INSTANCE_ID)
    }

    /// Of the response to a message with these flags.
    #[inline]
    #[must_use]
    pub const fn of_response(self) -> Self {
        Self(self.instance_id())
    }

    /// Whether it is a request or a datagram.
    #[inline]
    pub const fn is_request(self) -> bool {
        self.0 & REQUEST != 0
    }

    /// Whether a request is a datagram, which has no response.
    #[inline]
    pub const fn is_datagram(self) -> bool {
        self.0 & DATAGRAM != 0
    }

    /// Whether it is a response: neither Rq nor D.
    #[inline]
    pub const fn is_response(self) -> bool {
        self.0 & (REQUEST | DATAGRAM) == 0
    }

    /// The instance ID, 0 to 31.
    #[inline]
    pub const fn instance_id(self) -> u8 {
        self.0 & INSTANCE_ID
    }
}

/// What follows the message type in requests and datagrams; the data come next (DSP0236 1.3.3,
/// section 11.4, figure 20).
///
/// | byte | field |
/// |-|-|
/// | 0 | `flags`: Rq, D and instance ID |
/// | 1 | `command`: command code |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Header {
    /// Rq, D and instance ID.
    pub flags: Flags,
    /// Command code.
    pub command: Command,
}

impl Header {
    /// Of a request; bits 4:0 of `instance_id` count.
    #[inline]
    pub const fn request(instance_id: u8, command: Command) -> Self {
        let flags = Flags::request(instance_id);
        Self { flags, command }
    }
}

/// What follows the message type in responses; the data come next if there are any (DSP0236 1.3.3,
/// section 11.4, figure 20).
///
/// | byte | field |
/// |-|-|
/// | 0, 1 | `header`: flags without Rq and D; instance ID and command code of the request |
/// | 2 | `completion_code`: data follow only 00h |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct ResponseHeader {
    /// Instance ID and command code.
    pub header: Header,
    /// How the request ended.
    pub completion_code: CompletionCode,
}

impl ResponseHeader {
    /// Of the response to a request.
    #[inline]
    pub const fn to(request: &Header, completion_code: CompletionCode) -> Self {
        Self {
            header: Header {
                flags: request.flags.of_response(),
                command: request.command,
            },
            completion_code,
        }
    }

    /// Whether it is the header of a response to this request.
    pub fn answers(&self, request: &Header) -> bool {
        self.header.flags.is_response()
            && self.header.flags.instance_id() == request.flags.instance_id()
            && self.header.command == request.command
    }
}
