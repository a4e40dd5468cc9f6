//! Requests and responses of NVM Express Admin commands over NVMe-MI (NVMe-MI 1.2, chapter 6).
//!
//! A request is an [`AdminRequest`] whose dwords 10 to 15 are one of the commands in
//! [this family](super), then Request Data if the command sends any. A response is an
//! [`AdminResponse`], then Response Data; a command that NVMe-MI refuses gets a
//! [`GenericResponse`](super::GenericResponse) or an
//! [`InvalidParameterResponse`](super::InvalidParameterResponse) instead.
//!
//! ```
//! use nvme_mi_responder::wire::{AdminRequest, AdminResponse, Identify, IdentifyStructure};
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! // The first 72 bytes of Identify Controller, of controller 0: what libnvme asks first.
//! let mut command = Identify::default();
//! command.structure = IdentifyStructure::CONTROLLER;
//! let mut request = AdminRequest::new(0, 0, command);
//! request.data_length.set(72);
//! request.flags = AdminRequest::DATA_LENGTH_VALID;
//! assert_eq!(request.as_bytes()[..5], [0x10, 0, 0, 0x06, 0x01]);
//!
//! // A response: Invalid Field in Command, do not retry.
//! let mut answer = [0; 19];
//! answer[0] = 0x90;
//! answer[17..].copy_from_slice(&[0x04, 0x80]);
//! let (response, data) = AdminResponse::read_from_prefix(&answer).unwrap();
//! assert_eq!(response.completion_status(), 0x4002);
//! assert!(data.is_empty());
//! ```

use zerocopy::little_endian::{U16, U32};
use zerocopy::transmute;

use super::layout::{values, wire};
use super::{MessageKind, RequestHeader, ResponseStatus};

values! {
    /// The opcode of an Admin command (NVM Express Base 2.0, chapter 5, Figure 138; over NVMe-MI:
    /// NVMe-MI 1.2, chapter 6, Figure 114).
    ///
    /// Bits 1:0 say which way data go: 0 none, 1 to the controller, 2 from the controller. Values
    /// from C0h are the vendor's.
    pub struct AdminOpcode(u8) {
        /// Delete I/O Submission Queue: prohibited over NVMe-MI.
        DELETE_IO_SUBMISSION_QUEUE = 0x00,
        /// Create I/O Submission Queue: prohibited over NVMe-MI.
        CREATE_IO_SUBMISSION_QUEUE = 0x01,
        /// Get Log Page (section 5.16): mandatory.
        GET_LOG_PAGE = 0x02,
        /// Delete I/O Completion Queue: prohibited over NVMe-MI.
        DELETE_IO_COMPLETION_QUEUE = 0x04,
        /// Create I/O Completion Queue: prohibited over NVMe-MI.
        CREATE_IO_COMPLETION_QUEUE = 0x05,
        /// Identify (section 5.17): mandatory.
        IDENTIFY = 0x06,
        /// Abort (section 5.1): prohibited over NVMe-MI.
        ABORT = 0x08,
        /// Set Features (section 5.27).
        SET_FEATURES = 0x09,
        /// Get Features (section 5.15): mandatory.
        GET_FEATURES = 0x0A,
        /// Asynchronous Event Request (section 5.2): prohibited over NVMe-MI.
        ASYNCHRONOUS_EVENT_REQUEST = 0x0C,
        /// Namespace Management (section 5.23).
        NAMESPACE_MANAGEMENT = 0x0D,
        /// Firmware Commit (section 5.12).
        FIRMWARE_COMMIT = 0x10,
        /// Firmware Image Download (section 5.13).
        FIRMWARE_IMAGE_DOWNLOAD = 0x11,
        /// Device Self-test (section 5.9).
        DEVICE_SELF_TEST = 0x14,
        /// Namespace Attachment (section 5.22).
        NAMESPACE_ATTACHMENT = 0x15,
        /// Keep Alive (section 5.18): prohibited over NVMe-MI.
        KEEP_ALIVE = 0x18,
        /// Directive Send: prohibited over NVMe-MI.
        DIRECTIVE_SEND = 0x19,
        /// Directive Receive: prohibited over NVMe-MI.
        DIRECTIVE_RECEIVE = 0x1A,
        /// Virtualization Management (section 5.28).
        VIRTUALIZATION_MANAGEMENT = 0x1C,
        /// NVMe-MI Send (section 5.21): prohibited over NVMe-MI.
        NVME_MI_SEND = 0x1D,
        /// NVMe-MI Receive (section 5.20): prohibited over NVMe-MI.
        NVME_MI_RECEIVE = 0x1E,
        /// Capacity Management (section 5.3).
        CAPACITY_MANAGEMENT = 0x20,
        /// Lockdown (section 5.19).
        LOCKDOWN = 0x24,
        /// Doorbell Buffer Config: prohibited over NVMe-MI.
        DOORBELL_BUFFER_CONFIG = 0x7C,
        /// Fabrics commands: prohibited over NVMe-MI.
        FABRICS = 0x7F,
        /// Format NVM (section 5.14).
        FORMAT_NVM = 0x80,
        /// Security Send (section 5.26).
        SECURITY_SEND = 0x81,
        /// Security Receive (section 5.25).
        SECURITY_RECEIVE = 0x82,
        /// Sanitize (section 5.24).
        SANITIZE = 0x84,
        /// Get LBA Status (NVM Command Set specification).
        GET_LBA_STATUS = 0x86,
    }

    /// A generic status code, status code type 0 (NVM Express Base 2.0, section 3.3.3.2.1.1, Figure
    /// 94): those that a command over NVMe-MI can get.
    pub struct GenericStatus(u8) {
        /// Successful Completion.
        SUCCESS = 0x00,
        /// Invalid Command Opcode.
        INVALID_COMMAND_OPCODE = 0x01,
        /// Invalid Field in Command.
        INVALID_FIELD_IN_COMMAND = 0x02,
        /// Internal Error.
        INTERNAL_ERROR = 0x06,
        /// Invalid Namespace or Format.
        INVALID_NAMESPACE_OR_FORMAT = 0x0B,
        /// Sanitize Failed.
        SANITIZE_FAILED = 0x1C,
        /// Sanitize In Progress.
        SANITIZE_IN_PROGRESS = 0x1D,
        /// Format In Progress.
        FORMAT_IN_PROGRESS = 0x84,
    }

    /// A command specific status code, status code type 1 (NVM Express Base 2.0, section
    /// 3.3.3.2.1.2, Figure 95): those that a command over NVMe-MI can get.
    pub struct CommandSpecificStatus(u8) {
        /// Invalid Firmware Slot.
        INVALID_FIRMWARE_SLOT = 0x06,
        /// Invalid Firmware Image.
        INVALID_FIRMWARE_IMAGE = 0x07,
        /// Invalid Log Page.
        INVALID_LOG_PAGE = 0x09,
        /// Invalid Format.
        INVALID_FORMAT = 0x0A,
        /// Firmware Activation Requires Conventional Reset.
        FIRMWARE_NEEDS_CONVENTIONAL_RESET = 0x0B,
        /// Feature Identifier Not Saveable.
        FEATURE_NOT_SAVEABLE = 0x0D,
        /// Feature Not Changeable.
        FEATURE_NOT_CHANGEABLE = 0x0E,
        /// Feature Not Namespace Specific.
        FEATURE_NOT_NAMESPACE_SPECIFIC = 0x0F,
        /// Firmware Activation Requires NVM Subsystem Reset.
        FIRMWARE_NEEDS_SUBSYSTEM_RESET = 0x10,
        /// Firmware Activation Requires Controller Level Reset.
        FIRMWARE_NEEDS_CONTROLLER_LEVEL_RESET = 0x11,
        /// Firmware Activation Requires Maximum Time Violation.
        FIRMWARE_MAXIMUM_TIME_VIOLATION = 0x12,
        /// Firmware Activation Prohibited.
        FIRMWARE_ACTIVATION_PROHIBITED = 0x13,
        /// Overlapping Range.
        OVERLAPPING_RANGE = 0x14,
        /// Namespace Insufficient Capacity.
        NAMESPACE_INSUFFICIENT_CAPACITY = 0x15,
        /// Namespace Identifier Unavailable.
        NAMESPACE_IDENTIFIER_UNAVAILABLE = 0x16,
        /// Namespace Already Attached.
        NAMESPACE_ALREADY_ATTACHED = 0x18,
        /// Namespace Is Private.
        NAMESPACE_IS_PRIVATE = 0x19,
        /// Namespace Not Attached.
        NAMESPACE_NOT_ATTACHED = 0x1A,
        /// Thin Provisioning Not Supported.
        THIN_PROVISIONING_NOT_SUPPORTED = 0x1B,
        /// Controller List Invalid.
        CONTROLLER_LIST_INVALID = 0x1C,
        /// Device Self-test In Progress.
        DEVICE_SELF_TEST_IN_PROGRESS = 0x1D,
        /// Boot Partition Write Prohibited.
        BOOT_PARTITION_WRITE_PROHIBITED = 0x1E,
        /// ANA Group Identifier Invalid.
        ANA_GROUP_IDENTIFIER_INVALID = 0x24,
        /// Namespace Attachment Limit Exceeded.
        NAMESPACE_ATTACHMENT_LIMIT_EXCEEDED = 0x27,
        /// I/O Command Set Not Supported.
        IO_COMMAND_SET_NOT_SUPPORTED = 0x29,
    }
}

wire! {
    /// The request of an Admin command (NVMe-MI 1.2, chapter 6, Figures 115 and 116).
    ///
    /// Request Data follow from byte 68.
    pub struct AdminRequest: 67 from 1 {
        /// The message header.
        3:1 pub header: RequestHeader,
        /// OPC, the opcode.
        4 pub opcode: AdminOpcode,
        /// CFLGS, command flags: bit 0 DLENV, data length valid; bit 1 DOFSTV, data offset valid
        /// (1.1 only); bit 2 ISH, ignore shutdown (2.0).
        5 pub flags: u8,
        /// CTLID, the controller that the command is for.
        7:6 pub controller_id: U16,
        /// SQEDW1, submission queue entry dword 1: NSID, the namespace.
        11:8 pub namespace_id: U32,
        /// SQEDW2 to SQEDW5, dwords 2 to 5.
        27:12 pub dwords_2_to_5: [U32; 4],
        /// DOFST, data offset: the first byte of the result that is returned, a multiple of 4; 0 if
        /// nothing is returned.
        31:28 pub data_offset: U32,
        /// DLEN, data length: bytes to return, or bytes of Request Data; a multiple of 4, at most
        /// 4096.
        35:32 pub data_length: U32,
        43:36 pub(crate) reserved_36: [u8; 8],
        /// SQEDW10 to SQEDW15, dwords 10 to 15: what the command says.
        67:44 pub dwords_10_to_15: [U32; 6],
    }

    /// The response to an Admin command that a controller carried out, or refused with a status of
    /// its own (NVMe-MI 1.2, chapter 6, Figures 117 and 118).
    ///
    /// Response Data follow from byte 20, unless the command failed.
    pub struct AdminResponse: 19 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS: success, whatever the completion says.
        4 pub status: ResponseStatus,
        7:5 pub(crate) reserved_5: [u8; 3],
        /// CQEDW0, completion queue entry dword 0: what the command says.
        11:8 pub dword0: U32,
        /// CQEDW1, completion queue entry dword 1.
        15:12 pub dword1: U32,
        /// CQEDW3, completion queue entry dword 3 (NVM Express Base 2.0, section 3.3.3.2, Figures
        /// 91 and 92): bit 31 DNR, do not retry; 30 M, more; 29:28 CRD, command retry delay; 27:25
        /// SCT, status code type; 24:17 SC, status code; 16 phase tag; 15:0 command identifier, 0.
        19:16 pub dword3: U32,
    }
}

/// What an Admin command has in dwords 10 to 15, bytes 67:44 of its request.
pub trait AdminCommand: From<[u8; 24]> + Into<[u8; 24]> {
    /// The opcode of the command.
    const OPCODE: AdminOpcode;
}

impl AdminRequest {
    /// DLENV in `flags`.
    pub const DATA_LENGTH_VALID: u8 = 1 << 0;
    /// DOFSTV in `flags` (1.1 only).
    pub const DATA_OFFSET_VALID: u8 = 1 << 1;
    /// ISH in `flags` (2.0).
    pub const IGNORE_SHUTDOWN: u8 = 1 << 2;

    /// The request of `command` for controller `controller_id` in command slot `slot`; the rest is
    /// 0.
    pub fn new<C: AdminCommand>(slot: u8, controller_id: u16, command: C) -> Self {
        let dwords: [u8; 24] = command.into();
        Self {
            header: RequestHeader::request(MessageKind::ADMIN, slot),
            opcode: C::OPCODE,
            controller_id: U16::new(controller_id),
            dwords_10_to_15: transmute!(dwords),
            ..Self::default()
        }
    }

    /// Dwords 10 to 15 as those of a command. The opcode says which.
    pub fn command<C: From<[u8; 24]>>(&self) -> C {
        let dwords: [u8; 24] = transmute!(self.dwords_10_to_15);
        dwords.into()
    }
}

impl AdminResponse {
    /// The completion of a command in command slot `slot`. Bits of `completion_status` are those of
    /// [`completion_status`](Self::completion_status).
    pub const fn new(slot: u8, dword0: u32, completion_status: u16) -> Self {
        Self {
            header: RequestHeader::response(MessageKind::ADMIN, slot),
            status: ResponseStatus::SUCCESS,
            reserved_5: [0; 3],
            dword0: U32::new(dword0),
            dword1: U32::ZERO,
            dword3: U32::new((completion_status as u32) << 17),
        }
    }

    /// The status field without the phase tag: bits 7:0 status code, 10:8 status code type, 12:11
    /// command retry delay, 13 more, 14 do not retry.
    pub const fn completion_status(&self) -> u16 {
        (self.dword3.get() >> 17) as u16
    }

    /// SCT, status code type: 0 generic, 1 command specific.
    pub const fn status_code_type(&self) -> u8 {
        (self.dword3.get() >> 25 & 7) as u8
    }

    /// SC, status code.
    pub const fn status_code(&self) -> u8 {
        (self.dword3.get() >> 17) as u8
    }

    /// DNR: whether the same command would fail again.
    pub const fn do_not_retry(&self) -> bool {
        self.dword3.get() >> 31 != 0
    }
}
