//! Control primitives: what a requester does to command slots (NVMe-MI 1.2, section 4.2.1).
//!
//! ```
//! use nvme_mi_responder::wire::{
//!     ControlPrimitive, ControlPrimitiveRequest, ControlPrimitiveResponse,
//! };
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! let mut request = ControlPrimitiveRequest::new(1, ControlPrimitive::GET_STATE, 0xA5);
//! request.parameter.set(ControlPrimitiveRequest::CLEAR_ERROR_FLAGS);
//! assert_eq!(request.as_bytes(), [0x01, 0, 0, 0x03, 0xA5, 1, 0]);
//!
//! let bytes = [0x81, 0, 0, 0x00, 0xA5, 0x12, 0x80];
//! let response = ControlPrimitiveResponse::read_from_bytes(&bytes).unwrap();
//! let state = response.parameter.get();
//! assert_ne!(state & ControlPrimitiveResponse::PAUSED, 0);
//! assert_ne!(state & ControlPrimitiveResponse::BAD_INTEGRITY_CHECK, 0);
//! assert_eq!(state & ControlPrimitiveResponse::SLOT_STATE, 2);
//! ```

use zerocopy::little_endian::U16;

use super::layout::{values, wire};
use super::{MessageKind, RequestHeader, ResponseStatus};

values! {
    /// CPO, Control Primitive Opcode (NVMe-MI 1.2, section 4.2.1, Figure 35). Values from F0h are
    /// the vendor's, others without a name are reserved.
    pub struct ControlPrimitive(u8) {
        /// Pause (section 4.2.1.1): holds back responses.
        PAUSE = 0x00,
        /// Resume (section 4.2.1.2): ends a pause.
        RESUME = 0x01,
        /// Abort (section 4.2.1.3): ends the command of a slot.
        ABORT = 0x02,
        /// Get State (section 4.2.1.4): the state of a slot, and what went wrong.
        GET_STATE = 0x03,
        /// Replay (section 4.2.1.5): sends the last response of a slot again.
        REPLAY = 0x04,
    }
}

wire! {
    /// A control primitive (NVMe-MI 1.2, section 4.2.1, Figures 33 and 34). CSI of its header is
    /// the command slot that it is for.
    pub struct ControlPrimitiveRequest: 7 from 1 {
        /// The message header.
        3:1 pub header: RequestHeader,
        /// CPO, Control Primitive Opcode.
        4 pub opcode: ControlPrimitive,
        /// TAG, any number: the response has the same.
        5 pub tag: u8,
        /// CPSP, Control Primitive Specific Parameter. Get State: bit 0 CESF, clear error state
        /// flags; Replay: bits 7:0 RRO, response replay offset, the packet to begin with; else 0.
        7:6 pub parameter: U16,
    }

    /// The response to a control primitive (NVMe-MI 1.2, section 4.2.1, Figures 36 and 37).
    pub struct ControlPrimitiveResponse: 7 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS.
        4 pub status: ResponseStatus,
        /// TAG of the request.
        5 pub tag: u8,
        /// CPSR, Control Primitive Specific Response. Pause: bits 1:0, whether slot 0 and slot 1
        /// are paused (obsolete and 11b in 2.x); Abort: bits 1:0 CPAS, 0 nothing was there to abort
        /// or the command was done, 1 nothing of it was done, 2 some of it was done; Get State: the
        /// constants of this type (Figure 41); Replay: bit 0 RR, the response is sent again;
        /// Resume: 0.
        7:6 pub parameter: U16,
    }
}

impl ControlPrimitiveRequest {
    /// CESF in `parameter` of Get State: clear the error flags after they are copied.
    pub const CLEAR_ERROR_FLAGS: u16 = 1 << 0;

    /// A primitive for command slot `slot`, with parameter 0.
    pub const fn new(slot: u8, opcode: ControlPrimitive, tag: u8) -> Self {
        Self {
            header: RequestHeader::request(MessageKind::CONTROL_PRIMITIVE, slot),
            opcode,
            tag,
            parameter: U16::ZERO,
        }
    }
}

/// In `parameter` of Get State (NVMe-MI 1.2, section 4.2.1.4, Figure 41).
impl ControlPrimitiveResponse {
    /// SSTA, slot state: 0 Idle, 1 Receive, 2 Process, 3 Transmit.
    pub const SLOT_STATE: u16 = 0b11;
    /// CMNICS: a command came to a slot that was not idle.
    pub const COMMAND_TO_BUSY_SLOT: u16 = 1 << 3;
    /// BMICE: a Message Integrity Check was wrong.
    pub const BAD_INTEGRITY_CHECK: u16 = 1 << 4;
    /// WPTT: the next packet of a message did not come in time. Not in 2.1.
    pub const PACKET_TIMEOUT: u16 = 1 << 5;
    /// UTUNT: a packet was longer than the transmission unit that is supported.
    pub const UNSUPPORTED_TRANSMISSION_UNIT: u16 = 1 << 6;
    /// BHVS: a packet header had another version.
    pub const BAD_HEADER_VERSION: u16 = 1 << 7;
    /// UDSTID: the destination endpoint ID was unknown.
    pub const UNKNOWN_DESTINATION: u16 = 1 << 8;
    /// ITU: a packet did not have the transmission unit of its message.
    pub const INCORRECT_TRANSMISSION_UNIT: u16 = 1 << 9;
    /// UMEP: a packet from the middle or the end of a message came without its start.
    pub const UNEXPECTED_MIDDLE_OR_END: u16 = 1 << 10;
    /// OSPSN: a packet was out of sequence.
    pub const OUT_OF_SEQUENCE: u16 = 1 << 11;
    /// BUEMT: a message tag was bad, unexpected or expired.
    pub const BAD_MESSAGE_TAG: u16 = 1 << 12;
    /// BPOPL: a packet was bad, or the physical layer failed in another way.
    pub const BAD_PACKET: u16 = 1 << 13;
    /// NSSRO: an NVM Subsystem Reset occurred.
    pub const SUBSYSTEM_RESET_OCCURRED: u16 = 1 << 14;
    /// PFLG, the pause flag.
    pub const PAUSED: u16 = 1 << 15;

    /// The response to a primitive for command slot `slot`, with parameter 0.
    pub const fn new(slot: u8, status: ResponseStatus, tag: u8) -> Self {
        Self {
            header: RequestHeader::response(MessageKind::CONTROL_PRIMITIVE, slot),
            status,
            tag,
            parameter: U16::ZERO,
        }
    }
}
