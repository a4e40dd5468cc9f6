//! What all messages have in common: header, status, and the responses that are not a success
//! (NVMe-MI 1.2, sections 3.1.1 and 4.1).
//!
//! A requester sends requests and reads responses, a responder reads requests and sends responses.
//! Both sides use the same types.
//!
//! ```
//! use nvme_mi_responder::wire::{InvalidParameterResponse, MessageKind, ResponseStatus};
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! // What a responder says of a wrong transmission unit size.
//! let response = InvalidParameterResponse::new(MessageKind::MANAGEMENT, 0, 12, 0);
//! assert_eq!(response.as_bytes(), [0x88, 0, 0, 0x04, 0, 12, 0]);
//!
//! // What the requester makes of it.
//! let bytes = [0x88, 0, 0, 0x04, 0, 12, 0];
//! let response = InvalidParameterResponse::read_from_bytes(&bytes).unwrap();
//! assert_eq!(response.status, ResponseStatus::INVALID_PARAMETER);
//! assert_eq!(response.byte_location.get(), 12);
//! ```

use zerocopy::little_endian::U16;

use super::layout::{values, wire};

values! {
    /// NMIMT, the NVMe-MI message type: what a message carries (NVMe-MI 1.2, section 3.1.1, Figure
    /// 18). Bits 6:3 of byte 1.
    pub struct MessageKind(u8) {
        /// A control primitive: [`ControlPrimitiveRequest`](super::ControlPrimitiveRequest).
        CONTROL_PRIMITIVE = 0x0,
        /// A Management Interface command: [`ManagementRequest`](super::ManagementRequest).
        MANAGEMENT = 0x1,
        /// An NVM Express Admin command: [`AdminRequest`](super::AdminRequest).
        ADMIN = 0x2,
        /// A PCIe command: [`PcieRequest`](super::PcieRequest).
        PCIE = 0x4,
        /// An Asynchronous Event Message (2.0): [`EventMessage`](super::EventMessage).
        ASYNCHRONOUS_EVENT = 0x5,
    }

    /// STATUS, the Response Message Status (NVMe-MI 1.2, section 4.1.2, Figure 26): byte 4 of a
    /// response. Values from E0h are the vendor's, others without a name are reserved.
    pub struct ResponseStatus(u8) {
        /// Success: the command is done.
        SUCCESS = 0x00,
        /// More Processing Required: the response follows later.
        MORE_PROCESSING_REQUIRED = 0x01,
        /// Internal Error: something failed that the requester cannot help.
        INTERNAL_ERROR = 0x02,
        /// Invalid Command Opcode: the opcode is reserved or not supported.
        INVALID_COMMAND_OPCODE = 0x03,
        /// Invalid Parameter: a field has a value that it cannot have.
        INVALID_PARAMETER = 0x04,
        /// Invalid Command Size: the request is shorter or longer than its command, Request Data
        /// aside.
        INVALID_COMMAND_SIZE = 0x05,
        /// Invalid Command Input Data Size: there is too much or too little Request Data.
        INVALID_COMMAND_INPUT_DATA_SIZE = 0x06,
        /// Access Denied: the endpoint does not allow the command.
        ACCESS_DENIED = 0x07,
        /// Unable to Abort (2.1).
        UNABLE_TO_ABORT = 0x08,
        /// VPD Updates Exceeded: the VPD has been written as often as it can be.
        VPD_UPDATES_EXCEEDED = 0x20,
        /// PCIe Inaccessible: the PCIe function cannot be reached.
        PCIE_INACCESSIBLE = 0x21,
        /// Management Endpoint Buffer Cleared Due to Sanitize.
        BUFFER_CLEARED_DUE_TO_SANITIZE = 0x22,
        /// Enclosure Services Failure.
        ENCLOSURE_SERVICES_FAILURE = 0x23,
        /// Enclosure Services Transfer Failure.
        ENCLOSURE_SERVICES_TRANSFER_FAILURE = 0x24,
        /// Enclosure Failure.
        ENCLOSURE_FAILURE = 0x25,
        /// Enclosure Services Transfer Refused.
        ENCLOSURE_SERVICES_TRANSFER_REFUSED = 0x26,
        /// Unsupported Enclosure Function.
        UNSUPPORTED_ENCLOSURE_FUNCTION = 0x27,
        /// Enclosure Services Unavailable.
        ENCLOSURE_SERVICES_UNAVAILABLE = 0x28,
        /// Enclosure Degraded.
        ENCLOSURE_DEGRADED = 0x29,
        /// Sanitize In Progress: a sanitize operation does not allow the command.
        SANITIZE_IN_PROGRESS = 0x2A,
    }
}

wire! {
    /// The header of every message behind the message type byte (NVMe-MI 1.2, section 3.1.1,
    /// Figures 17 and 18).
    ///
    /// Byte 0, which MCTP keeps to itself, is 84h: message type 04h with the integrity check bit.
    pub struct RequestHeader: 3 from 1 {
        /// Bit 7 ROR, request or response: 1 for a response; bits 6:3 NMIMT, the
        /// [kind](MessageKind) of message; bits 2:1 reserved; bit 0 CSI, the command slot
        /// identifier, which a response copies from its request.
        1 pub kind_and_slot: u8,
        /// Bit 1 CIAP, command initiated auto pause: pause before the command is processed; bit 0
        /// MEB, the data are in the Management Endpoint Buffer. 0 in a response.
        2 pub flags: u8,
        3 pub(crate) reserved_3: u8,
    }

    /// A response without data, of success or of an error (NVMe-MI 1.2, section 4.1.2.1, Figure
    /// 27).
    ///
    /// Every status but Invalid Parameter and More Processing Required has this form when it is
    /// not a success; an Admin command that is refused so has no completion.
    pub struct GenericResponse: 7 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS.
        4 pub status: ResponseStatus,
        7:5 pub(crate) reserved_5: [u8; 3],
    }

    /// The response with status Invalid Parameter (NVMe-MI 1.2, section 4.1.2.2, Figures 28 and
    /// 29).
    pub struct InvalidParameterResponse: 7 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS: Invalid Parameter, 04h.
        4 pub status: ResponseStatus,
        /// PEL, Parameter Error Location, bits 7:0: bits 2:0 the least significant bit of the wrong
        /// field; bits 7:3 reserved.
        5 pub bit_location: u8,
        /// PEL, bits 23:8: the byte of the request that has that bit, counted from the message type
        /// byte; FFFFh if it is beyond byte 65534. [`location!`](super::location) gives the number
        /// of a field.
        7:6 pub byte_location: U16,
    }

    /// The response that is sent before the one of a command that takes long: status More
    /// Processing Required (NVMe-MI 1.2, section 4.1.2.3, Figures 30 and 31).
    pub struct MoreProcessingRequiredResponse: 7 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS: More Processing Required, 01h.
        4 pub status: ResponseStatus,
        5 pub(crate) reserved_5: u8,
        /// MPRT, More Processing Required Time: the longest time until the response, in units of
        /// 100 ms; FFFFh is 6553.5 s or more.
        7:6 pub time: U16,
    }
}

impl RequestHeader {
    /// ROR in `kind_and_slot`: the message is a response.
    pub const RESPONSE: u8 = 1 << 7;
    /// CIAP in `flags`: command initiated auto pause.
    pub const AUTO_PAUSE: u8 = 1 << 1;
    /// MEB in `flags`: the data are in the Management Endpoint Buffer.
    pub const ENDPOINT_BUFFER: u8 = 1 << 0;

    /// The header of a request for command slot `slot`, 0 or 1.
    pub const fn request(kind: MessageKind, slot: u8) -> Self {
        Self {
            kind_and_slot: (kind.0 & 0xF) << 3 | slot & 1,
            flags: 0,
            reserved_3: 0,
        }
    }

    /// The header of a response from command slot `slot`, 0 or 1.
    pub const fn response(kind: MessageKind, slot: u8) -> Self {
        let request = Self::request(kind, slot);
        Self {
            kind_and_slot: request.kind_and_slot | Self::RESPONSE,
            ..request
        }
    }

    /// NMIMT, what the message carries.
    pub const fn kind(self) -> MessageKind {
        MessageKind(self.kind_and_slot >> 3 & 0xF)
    }

    /// CSI, the command slot: 0 or 1.
    pub const fn slot(self) -> u8 {
        self.kind_and_slot & 1
    }

    /// ROR: whether the message is a response.
    pub const fn is_response(self) -> bool {
        self.kind_and_slot & Self::RESPONSE != 0
    }

    /// CIAP: whether the endpoint pauses when the command is going to be processed.
    pub const fn pauses(self) -> bool {
        self.flags & Self::AUTO_PAUSE != 0
    }

    /// MEB: whether the data are in the Management Endpoint Buffer.
    pub const fn uses_endpoint_buffer(self) -> bool {
        self.flags & Self::ENDPOINT_BUFFER != 0
    }
}

impl GenericResponse {
    /// The response to a request of that kind in that command slot.
    pub const fn new(kind: MessageKind, slot: u8, status: ResponseStatus) -> Self {
        Self {
            header: RequestHeader::response(kind, slot),
            status,
            reserved_5: [0; 3],
        }
    }
}

impl InvalidParameterResponse {
    /// The response to a request in which the field is wrong that begins at bit `bit` of byte
    /// `byte`.
    pub const fn new(kind: MessageKind, slot: u8, byte: u16, bit: u8) -> Self {
        Self {
            header: RequestHeader::response(kind, slot),
            status: ResponseStatus::INVALID_PARAMETER,
            bit_location: bit & 7,
            byte_location: U16::new(byte),
        }
    }
}

impl MoreProcessingRequiredResponse {
    /// The response that announces another after at most `time` times 100 ms.
    pub const fn new(kind: MessageKind, slot: u8, time: u16) -> Self {
        Self {
            header: RequestHeader::response(kind, slot),
            status: ResponseStatus::MORE_PROCESSING_REQUIRED,
            reserved_5: 0,
            time: U16::new(time),
        }
    }
}
