//! Dwords 10 to 15 of Admin commands, bytes 67:44 of an [`AdminRequest`](super::AdminRequest) (NVM
//! Express Base 2.0, chapter 5).
//!
//! ```
//! use nvme_mi_responder::wire::{AdminRequest, GetLogPage, LogPageId};
//!
//! // The requester: the 512 bytes of the SMART / Health Information log.
//! let mut command = GetLogPage::default();
//! command.log_page_id = LogPageId::SMART_HEALTH;
//! command.number_of_dwords_lower.set(512 / 4 - 1);
//! let mut request = AdminRequest::new(0, 1, command);
//! request.namespace_id.set(0xFFFF_FFFF);
//! request.data_length.set(512);
//!
//! // The responder.
//! let command: GetLogPage = request.command();
//! assert_eq!((command.log_page_id, command.length()), (LogPageId::SMART_HEALTH, 512));
//! ```

use zerocopy::little_endian::{U16, U32, U64};

use super::layout::{bytes, wire};
use super::{AdminCommand, AdminOpcode, FeatureId, IdentifyStructure, LogPageId};

wire! {
    /// Dwords 10 to 15 of Get Log Page (NVM Express Base 2.0, section 5.16, Figures 196 to 202).
    pub struct GetLogPage: 24 from 44 {
        /// LID, log page identifier.
        44 pub log_page_id: LogPageId,
        /// Bits 6:0 LSP, log specific parameter, of LID 07h bit 0: create telemetry data; bit 7
        /// RAE, retain asynchronous event.
        45 pub parameter: u8,
        /// NUMDL, number of dwords lower: with NUMDU the dwords that are wanted, less one.
        47:46 pub number_of_dwords_lower: U16,
        /// NUMDU, number of dwords upper.
        49:48 pub number_of_dwords_upper: U16,
        /// LSI, log specific identifier.
        51:50 pub log_specific_id: U16,
        /// LPOL and LPOU, log page offset: the first byte that is wanted, a multiple of 4.
        59:52 pub log_page_offset: U64,
        /// UUID index: bits 6:0.
        60 pub uuid_index: u8,
        61 pub(crate) reserved_61: u8,
        /// Bit 7 OT, offset type: the offset is an index.
        62 pub offset_type: u8,
        /// CSI, command set identifier.
        63 pub command_set: u8,
        67:64 pub(crate) reserved_64: [u8; 4],
    }

    /// Dwords 10 to 15 of Identify (NVM Express Base 2.0, section 5.17, Figures 269 to 273).
    pub struct Identify: 24 from 44 {
        /// CNS, controller or namespace structure: what is wanted.
        44 pub structure: IdentifyStructure,
        45 pub(crate) reserved_45: u8,
        /// CNTID, controller identifier, of the structures that need one.
        47:46 pub controller_id: U16,
        /// CNS specific identifier.
        49:48 pub specific_id: U16,
        50 pub(crate) reserved_50: u8,
        /// CSI, command set identifier (Figure 274): 00h NVM.
        51 pub command_set: u8,
        59:52 pub(crate) reserved_52: [u8; 8],
        /// UUID index: bits 6:0.
        60 pub uuid_index: u8,
        67:61 pub(crate) reserved_61: [u8; 7],
    }

    /// Dwords 10 to 15 of Get Features (NVM Express Base 2.0, section 5.15, Figures 191 to 193).
    pub struct GetFeatures: 24 from 44 {
        /// FID, feature identifier.
        44 pub feature_id: FeatureId,
        /// Bits 2:0 SEL, select: 0 current, 1 default, 2 saved, 3 supported capabilities; bits 7:3
        /// reserved.
        45 pub select: u8,
        47:46 pub(crate) reserved_46: [u8; 2],
        /// Dword 11: as the feature says.
        51:48 pub dword11: U32,
        59:52 pub(crate) reserved_52: [u8; 8],
        /// UUID index: bits 6:0.
        60 pub uuid_index: u8,
        67:61 pub(crate) reserved_61: [u8; 7],
    }

    /// Dwords 10 to 15 of Set Features (NVM Express Base 2.0, section 5.27, Figures 313 to 315).
    pub struct SetFeatures: 24 from 44 {
        /// FID, feature identifier.
        44 pub feature_id: FeatureId,
        46:45 pub(crate) reserved_45: [u8; 2],
        /// Bit 7 SV, save: the value stays after a reset.
        47 pub save: u8,
        /// Dword 11: as the feature says.
        51:48 pub dword11: U32,
        /// Dword 12: as the feature says.
        55:52 pub dword12: U32,
        /// Dword 13: as the feature says.
        59:56 pub dword13: U32,
        /// UUID index: bits 6:0.
        60 pub uuid_index: u8,
        63:61 pub(crate) reserved_61: [u8; 3],
        /// Dword 15: as the feature says.
        67:64 pub dword15: U32,
    }

    /// Dwords 10 to 15 of Firmware Commit (NVM Express Base 2.0, section 5.12, Figure 181).
    ///
    /// Dword 0 of the completion has in bits 1:0 MUD, multiple update detected.
    pub struct FirmwareCommit: 24 from 44 {
        /// Bits 2:0 FS, firmware slot: 1 to 7, 0 the controller chooses; bits 5:3 CA, commit
        /// action: 0 store the image, 1 store and activate it at the next reset, 2 activate the
        /// image of the slot at the next reset, 3 activate immediately, 6 replace a boot partition,
        /// 7 activate a boot partition; bits 7:6 reserved.
        44 pub slot_and_action: u8,
        46:45 pub(crate) reserved_45: [u8; 2],
        /// Bit 7 BPID, boot partition ID.
        47 pub boot_partition: u8,
        67:48 pub(crate) reserved_48: [u8; 20],
    }

    /// Dwords 10 to 15 of Firmware Image Download (NVM Express Base 2.0, section 5.13, Figures 185
    /// and 186).
    pub struct FirmwareImageDownload: 24 from 44 {
        /// NUMD, number of dwords of this piece, less one.
        47:44 pub number_of_dwords: U32,
        /// OFST, offset: the first dword of the piece in the image.
        51:48 pub offset: U32,
        67:52 pub(crate) reserved_52: [u8; 16],
    }

    /// Dwords 10 to 15 of Namespace Management (NVM Express Base 2.0, section 5.23, Figures 298 and
    /// 299).
    ///
    /// [Data](super::NamespaceManagementData) follow to create one. Dword 0 of the completion is
    /// the ID of the namespace that was created.
    pub struct NamespaceManagement: 24 from 44 {
        /// Bits 3:0 SEL, select: 0 create, 1 delete; bits 7:4 reserved.
        44 pub select: u8,
        50:45 pub(crate) reserved_45: [u8; 6],
        /// CSI, command set identifier: 00h NVM.
        51 pub command_set: u8,
        67:52 pub(crate) reserved_52: [u8; 16],
    }

    /// Dwords 10 to 15 of Namespace Attachment (NVM Express Base 2.0, section 5.22, Figure 295).
    ///
    /// A [Controller List](super::ControllerListHeader) follows as Request Data.
    pub struct NamespaceAttachment: 24 from 44 {
        /// Bits 3:0 SEL, select: 0 attach, 1 detach; bits 7:4 reserved.
        44 pub select: u8,
        67:45 pub(crate) reserved_45: [u8; 23],
    }

    /// Dwords 10 to 15 of Device Self-test (NVM Express Base 2.0, section 5.9, Figure 171).
    pub struct DeviceSelfTest: 24 from 44 {
        /// Bits 3:0 STC, self-test code: 1 short, 2 extended, Eh the vendor's, Fh abort; bits 7:4
        /// reserved.
        44 pub code: u8,
        67:45 pub(crate) reserved_45: [u8; 23],
    }

    /// Dwords 10 to 15 of Format NVM (NVM Express Base 2.0, section 5.14, Figure 189).
    pub struct FormatNvm: 24 from 44 {
        /// Bits 3:0 LBAFL, LBA format lower; bit 4 MSET, metadata settings; bits 7:5 PI, protection
        /// information type: 0 none, 1 to 3.
        44 pub format: u8,
        /// Bit 0 PIL, protection information location; bits 3:1 SES, secure erase settings: 0 none,
        /// 1 user data erase, 2 cryptographic erase; bits 5:4 LBAFU, LBA format upper; bits 7:6
        /// reserved.
        45 pub erase: u8,
        67:46 pub(crate) reserved_46: [u8; 22],
    }

    /// Dwords 10 to 15 of Security Send (NVM Express Base 2.0, section 5.26, Figures 311 and 312).
    pub struct SecuritySend: 24 from 44 {
        /// NSSF, NVMe security specific field: of protocol EAh only.
        44 pub nvme_specific: u8,
        /// SPSP0 and SPSP1, SP specific.
        46:45 pub protocol_specific: U16,
        /// SECP, security protocol.
        47 pub protocol: u8,
        /// TL, transfer length: how many bytes follow as Request Data.
        51:48 pub transfer_length: U32,
        67:52 pub(crate) reserved_52: [u8; 16],
    }

    /// Dwords 10 to 15 of Security Receive (NVM Express Base 2.0, section 5.25, Figures 307 and
    /// 308).
    pub struct SecurityReceive: 24 from 44 {
        /// NSSF, NVMe security specific field: of protocol EAh only.
        44 pub nvme_specific: u8,
        /// SPSP0 and SPSP1, SP specific.
        46:45 pub protocol_specific: U16,
        /// SECP, security protocol.
        47 pub protocol: u8,
        /// AL, allocation length: how many bytes are wanted.
        51:48 pub allocation_length: U32,
        67:52 pub(crate) reserved_52: [u8; 16],
    }

    /// Dwords 10 to 15 of Sanitize (NVM Express Base 2.0, section 5.24, Figures 303 and 304; over
    /// NVMe-MI: NVMe-MI 1.2, section 6.4, Figure 122).
    pub struct Sanitize: 24 from 44 {
        /// Bits 2:0 SANACT, sanitize action: 1 exit failure mode, 2 block erase, 3 overwrite, 4
        /// crypto erase, 5 exit media verification state (2.1); bit 3 AUSE, allow unrestricted
        /// sanitize exit; bits 7:4 OWPASS, overwrite pass count: 0 is 16.
        44 pub action: u8,
        /// Bit 0 OIPBP, overwrite invert pattern between passes; bit 1 NDAS, no-deallocate after
        /// sanitize; bit 2 EMVS, enter media verification state (2.1); bits 7:3 reserved.
        45 pub options: u8,
        47:46 pub(crate) reserved_46: [u8; 2],
        /// OVRPAT, overwrite pattern.
        51:48 pub overwrite_pattern: U32,
        67:52 pub(crate) reserved_52: [u8; 16],
    }
}

macro_rules! opcodes {
    ($($name:ident = $opcode:ident),+ $(,)?) => {
        bytes! { 24: $($name),+ }

        $(impl AdminCommand for $name {
            const OPCODE: AdminOpcode = AdminOpcode::$opcode;
        })+
    };
}

opcodes! {
    GetLogPage = GET_LOG_PAGE,
    Identify = IDENTIFY,
    SetFeatures = SET_FEATURES,
    GetFeatures = GET_FEATURES,
    NamespaceManagement = NAMESPACE_MANAGEMENT,
    FirmwareCommit = FIRMWARE_COMMIT,
    FirmwareImageDownload = FIRMWARE_IMAGE_DOWNLOAD,
    DeviceSelfTest = DEVICE_SELF_TEST,
    NamespaceAttachment = NAMESPACE_ATTACHMENT,
    FormatNvm = FORMAT_NVM,
    SecuritySend = SECURITY_SEND,
    SecurityReceive = SECURITY_RECEIVE,
    Sanitize = SANITIZE,
}

impl GetLogPage {
    /// RAE in `parameter`: what the log reports remains to be reported.
    pub const RETAIN_ASYNCHRONOUS_EVENT: u8 = 1 << 7;
    /// LSP of LID 07h in `parameter`: create telemetry data.
    pub const CREATE_TELEMETRY: u8 = 1 << 0;
    /// OT in `offset_type`: the offset is an index.
    pub const OFFSET_IS_INDEX: u8 = 1 << 7;

    /// How many bytes are wanted: NUMD as bytes.
    pub const fn length(&self) -> u64 {
        let lower = self.number_of_dwords_lower.get() as u64;
        let upper = self.number_of_dwords_upper.get() as u64;
        (lower | upper << 16).wrapping_add(1).wrapping_mul(4)
    }
}

impl SetFeatures {
    /// SV in `save`.
    pub const SAVE: u8 = 1 << 7;
}

impl FirmwareCommit {
    /// The commit of a slot, 0 to 7, with an action, 0 to 7.
    pub fn new(slot: u8, action: u8) -> Self {
        Self {
            slot_and_action: slot & 7 | (action & 7) << 3,
            ..Self::default()
        }
    }

    /// FS, firmware slot: 1 to 7; 0: the controller chooses.
    pub const fn slot(&self) -> u8 {
        self.slot_and_action & 7
    }

    /// CA, commit action.
    pub const fn action(&self) -> u8 {
        self.slot_and_action >> 3 & 7
    }
}

impl FormatNvm {
    /// The index of the LBA format: LBAFL and LBAFU.
    pub const fn format_index(&self) -> u8 {
        self.format & 0xF | (self.erase >> 4 & 3) << 4
    }

    /// PI, protection information type.
    pub const fn protection_information(&self) -> u8 {
        self.format >> 5
    }

    /// SES, secure erase settings.
    pub const fn secure_erase(&self) -> u8 {
        self.erase >> 1 & 7
    }
}

impl Sanitize {
    /// AUSE in `action`.
    pub const ALLOW_UNRESTRICTED_EXIT: u8 = 1 << 3;
    /// OIPBP in `options`.
    pub const INVERT_PATTERN: u8 = 1 << 0;
    /// NDAS in `options`.
    pub const NO_DEALLOCATE: u8 = 1 << 1;
    /// EMVS in `options` (2.1).
    pub const ENTER_MEDIA_VERIFICATION: u8 = 1 << 2;
}
