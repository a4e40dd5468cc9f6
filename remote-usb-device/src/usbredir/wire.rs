//! The messages of the USB redirection protocol 0.7, for either side of the connection.
//!
//! Every message is a header, a fixed part, and for four types some data. All numbers are
//! little-endian and packed.
//!
//! | offset | size | header field |
//! |---|---|---|
//! | 0 | 4 | type, see [`kind`] |
//! | 4 | 4 | length of everything after the header, in bytes |
//! | 8 | 4 or 8 | id: 8 bytes once both sides have [`Capabilities::IDS_64_BITS`], but always 4 for hello |
//!
//! The shape of several messages depends on the capabilities *in force*: those that both sides
//! announced in their hello ([`Capabilities::common`]). Before that, and for hello itself, use
//! [`Capabilities::NONE`].
//!
//! A writer calls [`Message::emit`], then writes `data_length` bytes of data. A reader calls
//! [`Header::parse`], collects [`fixed_length`] bytes, calls [`Message::parse`], and takes the rest
//! of `length` as data.
//!
//! ```
//! use remote_usb_device::usbredir::wire::{Capabilities, Header, Message, Status, kind};
//!
//! let caps = Capabilities::DEVICE;
//! let message = Message::ConfigurationStatus { status: Status::SUCCESS, configuration: 1 };
//! let mut bytes = [0; 32];
//! let length = message.emit(caps, 7, 0, &mut bytes).unwrap();
//! let (header, header_length) = Header::parse(&bytes, caps).unwrap();
//! assert_eq!((header.kind, header.length, header.id), (kind::CONFIGURATION_STATUS, 2, 7));
//! let body = &bytes[header_length..length];
//! assert_eq!(Message::parse(header.kind, caps, body), Some(message));
//! ```
//!
//! Not modelled: isochronous streams, bulk streams (USB 3), device filters, buffered bulk
//! receiving. Their type numbers are in [`kind`], so that a reader can name what it skips.

mod cursor;
mod message;

pub use message::{
    BulkHeader, ControlHeader, DeviceConnect, ENDPOINT_SLOTS, EndpointInfo, Hello, INTERFACE_SLOTS,
    InterfaceInfo, InterruptHeader, Message, endpoint_slot, fixed_length,
};

use cursor::{Cursor, Output};

/// The length of the longest header, in bytes.
pub const MAX_HEADER_LENGTH: usize = 16;

/// The length of the longest header and fixed part that [`Message::emit`] writes, in bytes.
pub const MAX_MESSAGE_LENGTH: usize = MAX_HEADER_LENGTH + 288;

/// The most bytes one message can claim after its header: a bulk transfer of 128 MiB and its fixed
/// part.
///
/// A header that claims more is not from this protocol.
pub const MAX_LENGTH: u32 = (128 << 20) + 10;

/// Message type numbers (header field `type`).
#[allow(missing_docs, reason = "the names are the protocol's own")]
pub mod kind {
    pub const HELLO: u32 = 0;
    pub const DEVICE_CONNECT: u32 = 1;
    pub const DEVICE_DISCONNECT: u32 = 2;
    pub const RESET: u32 = 3;
    pub const INTERFACE_INFO: u32 = 4;
    pub const ENDPOINT_INFO: u32 = 5;
    pub const SET_CONFIGURATION: u32 = 6;
    pub const GET_CONFIGURATION: u32 = 7;
    pub const CONFIGURATION_STATUS: u32 = 8;
    pub const SET_ALT_SETTING: u32 = 9;
    pub const GET_ALT_SETTING: u32 = 10;
    pub const ALT_SETTING_STATUS: u32 = 11;
    pub const START_ISO_STREAM: u32 = 12;
    pub const STOP_ISO_STREAM: u32 = 13;
    pub const ISO_STREAM_STATUS: u32 = 14;
    pub const START_INTERRUPT_RECEIVING: u32 = 15;
    pub const STOP_INTERRUPT_RECEIVING: u32 = 16;
    pub const INTERRUPT_RECEIVING_STATUS: u32 = 17;
    pub const ALLOC_BULK_STREAMS: u32 = 18;
    pub const FREE_BULK_STREAMS: u32 = 19;
    pub const BULK_STREAMS_STATUS: u32 = 20;
    pub const CANCEL_DATA_PACKET: u32 = 21;
    pub const FILTER_REJECT: u32 = 22;
    pub const FILTER_FILTER: u32 = 23;
    pub const DEVICE_DISCONNECT_ACK: u32 = 24;
    pub const START_BULK_RECEIVING: u32 = 25;
    pub const STOP_BULK_RECEIVING: u32 = 26;
    pub const BULK_RECEIVING_STATUS: u32 = 27;
    pub const CONTROL_PACKET: u32 = 100;
    pub const BULK_PACKET: u32 = 101;
    pub const ISO_PACKET: u32 = 102;
    pub const INTERRUPT_PACKET: u32 = 103;
    pub const BUFFERED_BULK_PACKET: u32 = 104;
}

/// The set of optional parts of the protocol that one side, or both, can do.
///
/// One 32-bit word of the hello message, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Nothing optional.
    pub const NONE: Self = Self(0);
    /// Bit 1: device_connect ends with the device's version.
    pub const CONNECT_DEVICE_VERSION: Self = Self(1 << 1);
    /// Bit 3: the peer acknowledges device_disconnect.
    pub const DEVICE_DISCONNECT_ACK: Self = Self(1 << 3);
    /// Bit 4: ep_info carries the maximum packet sizes.
    pub const ENDPOINT_MAX_PACKET_SIZE: Self = Self(1 << 4);
    /// Bit 5: header ids have 64 bits.
    pub const IDS_64_BITS: Self = Self(1 << 5);
    /// Bit 6: bulk lengths have 32 bits.
    pub const BULK_LENGTH_32_BITS: Self = Self(1 << 6);
    /// What this crate's device side announces: bits 1, 4, 5 and 6.
    pub const DEVICE: Self = Self(0x72);

    /// What is in force between a side with `self` and one with `other`.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// True when every capability of `other` is in `self`.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a request ended (field `status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(pub u8);

impl Status {
    /// It succeeded.
    pub const SUCCESS: Self = Self(0);
    /// It was cancelled, by the guest or because the device was reset or reconfigured.
    pub const CANCELLED: Self = Self(1);
    /// The request made no sense: no such endpoint, or of another type.
    pub const INVALID: Self = Self(2);
    /// It failed on the way.
    pub const IO_ERROR: Self = Self(3);
    /// The endpoint is halted, or the control request was refused.
    pub const STALL: Self = Self(4);
    /// It took too long.
    pub const TIMEOUT: Self = Self(5);
    /// The device sent more than was asked for.
    pub const BABBLE: Self = Self(6);
}

/// Bus speed of the device (device_connect field `speed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Speed(pub u8);

impl Speed {
    /// 1.5 Mbit/s.
    pub const LOW: Self = Self(0);
    /// 12 Mbit/s.
    pub const FULL: Self = Self(1);
    /// 480 Mbit/s.
    pub const HIGH: Self = Self(2);
    /// 5 Gbit/s.
    pub const SUPER: Self = Self(3);
}

/// Transfer type of an endpoint (ep_info field `type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndpointKind(pub u8);

impl EndpointKind {
    /// Control.
    pub const CONTROL: Self = Self(0);
    /// Isochronous.
    pub const ISOCHRONOUS: Self = Self(1);
    /// Bulk.
    pub const BULK: Self = Self(2);
    /// Interrupt.
    pub const INTERRUPT: Self = Self(3);
    /// There is no such endpoint.
    pub const ABSENT: Self = Self(255);
}

/// What every message starts with; see the table at the top of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// Message type, see [`kind`].
    pub kind: u32,
    /// Bytes that follow the header.
    pub length: u32,
    /// Pairs a reply with its request; the guest chooses it, and may use it again once it was
    /// answered.
    pub id: u64,
}

impl Header {
    /// The length of a header with `caps` in force, in bytes: 12 or 16.
    pub const fn encoded_length(caps: Capabilities) -> usize {
        if caps.has(Capabilities::IDS_64_BITS) {
            16
        } else {
            12
        }
    }

    /// Reads a header and returns it with its own length; `None` when `bytes` is too short.
    pub fn parse(bytes: &[u8], caps: Capabilities) -> Option<(Self, usize)> {
        let mut cursor = Cursor(bytes);
        let kind = cursor.u32()?;
        let length = cursor.u32()?;
        let id = if caps.has(Capabilities::IDS_64_BITS) {
            cursor.u64()?
        } else {
            cursor.u32()?.into()
        };
        Some((Self { kind, length, id }, Self::encoded_length(caps)))
    }

    /// Writes a header and returns its length; `None` when `out` is too short.
    ///
    /// An id above 32 bits loses its upper half when [`Capabilities::IDS_64_BITS`] is not in force.
    pub fn emit(&self, caps: Capabilities, out: &mut [u8]) -> Option<usize> {
        let mut output = Output::new(out);
        output.u32(self.kind)?;
        output.u32(self.length)?;
        if caps.has(Capabilities::IDS_64_BITS) {
            output.u64(self.id)?;
        } else {
            output.u32(self.id as u32)?;
        }
        Some(output.length())
    }
}
