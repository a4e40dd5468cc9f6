//! Requests and responses of the Management Interface command set (NVMe-MI 1.2, chapter 5).
//!
//! A request is a [`ManagementRequest`] whose dwords are one of the commands of this family, then
//! Request Data if the command has any. A response is a [`ManagementResponse`], whose bytes 7:5 are
//! a result if the command has one, then Response Data.
//!
//! ```
//! use nvme_mi_responder::wire::{
//!     DataStructureType, ManagementRequest, ManagementResponse, PortInformation,
//!     ReadDataStructure, ReadDataStructureResult, ResponseStatus,
//! };
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! // The requester asks for port 1.
//! let mut command = ReadDataStructure::default();
//! command.data_structure_type = DataStructureType::PORT_INFORMATION;
//! command.port_id = 1;
//! let request = ManagementRequest::new(0, command);
//! assert_eq!(
//!     request.as_bytes(),
//!     [0x08, 0, 0, 0x00, 0, 0, 0, 0, 0, 1, 0x01, 0, 0, 0, 0]
//! );
//!
//! // The responder reads that.
//! let asked: ReadDataStructure = request.command();
//! assert_eq!(asked.port_id, 1);
//!
//! // The requester reads what came back: a header, and the structure.
//! let mut answer = [0; 7 + 32];
//! answer[..7].copy_from_slice(&[0x88, 0, 0, 0x00, 32, 0, 0]);
//! answer[7..11].copy_from_slice(&[1, 0, 0x40, 0]);
//! let (response, data) = ManagementResponse::read_from_prefix(&answer).unwrap();
//! assert_eq!(response.status, ResponseStatus::SUCCESS);
//! assert_eq!(response.result::<ReadDataStructureResult>().length.get(), 32);
//! let port = PortInformation::ref_from_bytes(data).unwrap();
//! assert_eq!(port.maximum_transmission_unit.get(), 64);
//! ```

use zerocopy::little_endian::{U16, U32};
use zerocopy::transmute;

use super::layout::{bytes, values, wire};
use super::{MessageKind, RequestHeader, ResponseStatus};

values! {
    /// The opcode of a Management Interface command (NVMe-MI 1.2, chapter 5, Figure 57). Values
    /// from C0h are the vendor's, others without a name are reserved.
    pub struct ManagementOpcode(u8) {
        /// Read NVMe-MI Data Structure (section 5.7).
        READ_DATA_STRUCTURE = 0x00,
        /// NVM Subsystem Health Status Poll (section 5.6).
        SUBSYSTEM_HEALTH_STATUS_POLL = 0x01,
        /// Controller Health Status Poll (section 5.3).
        CONTROLLER_HEALTH_STATUS_POLL = 0x02,
        /// Configuration Set (section 5.2).
        CONFIGURATION_SET = 0x03,
        /// Configuration Get (section 5.1).
        CONFIGURATION_GET = 0x04,
        /// VPD Read (section 5.12).
        VPD_READ = 0x05,
        /// VPD Write (section 5.13).
        VPD_WRITE = 0x06,
        /// Reset (section 5.8).
        RESET = 0x07,
        /// SES Receive (section 5.9): of enclosures, prohibited for a storage device.
        SES_RECEIVE = 0x08,
        /// SES Send (section 5.10): of enclosures, prohibited for a storage device.
        SES_SEND = 0x09,
        /// Management Endpoint Buffer Read (section 5.4).
        ENDPOINT_BUFFER_READ = 0x0A,
        /// Management Endpoint Buffer Write (section 5.5).
        ENDPOINT_BUFFER_WRITE = 0x0B,
        /// Shutdown (section 5.11).
        SHUTDOWN = 0x0C,
    }

    /// DTYP, which structure Read NVMe-MI Data Structure returns (NVMe-MI 1.2, section 5.7, Figure
    /// 92). Others are reserved.
    pub struct DataStructureType(u8) {
        /// [`SubsystemInformation`](super::SubsystemInformation).
        SUBSYSTEM_INFORMATION = 0x00,
        /// [`PortInformation`](super::PortInformation) of the port that the request names.
        PORT_INFORMATION = 0x01,
        /// A [Controller List](super::ControllerListHeader) from the ID in the request on.
        CONTROLLER_LIST = 0x02,
        /// [`ControllerInformation`](super::ControllerInformation) of the controller that the
        /// request names.
        CONTROLLER_INFORMATION = 0x03,
        /// A list of optional commands: [`CommandListHeader`](super::CommandListHeader).
        OPTIONALLY_SUPPORTED_COMMANDS = 0x04,
        /// A list of the commands whose data can be in the Management Endpoint Buffer, of the same
        /// form.
        ENDPOINT_BUFFER_COMMANDS = 0x05,
    }

    /// CID, what Configuration Get and Set are about (NVMe-MI 1.2, section 5.1, Figure 64). Values
    /// from C0h are the vendor's, others without a name are reserved.
    pub struct ConfigurationIdentifier(u8) {
        /// SMBus/I2C Frequency (sections 5.1.1 and 5.2.1).
        SMBUS_FREQUENCY = 0x01,
        /// Health Status Change (sections 5.1.2 and 5.2.2).
        HEALTH_STATUS_CHANGE = 0x02,
        /// MCTP Transmission Unit Size (sections 5.1.3 and 5.2.3).
        TRANSMISSION_UNIT_SIZE = 0x03,
        /// Asynchronous Event (NVMe-MI 2.0, section 5.2.4).
        ASYNCHRONOUS_EVENT = 0x04,
    }

    /// The clock frequency of an SMBus/I2C port (NVMe-MI 1.2, section 5.1.1, Figure 66, and section
    /// 5.7, Figure 96). Others are reserved.
    pub struct TwoWireFrequency(u8) {
        /// There is nothing to access.
        NOT_SUPPORTED = 0x0,
        /// 100 kHz, which a reset of the endpoint brings back.
        KHZ_100 = 0x1,
        /// 400 kHz.
        KHZ_400 = 0x2,
        /// 1 MHz.
        MHZ_1 = 0x3,
    }

    /// RSTTYP, what Reset resets (NVMe-MI 1.2, section 5.8, Figure 102). Others are reserved.
    pub struct ResetType(u8) {
        /// An NVM Subsystem Reset. If it is done there is no response.
        SUBSYSTEM_RESET = 0x00,
    }

    /// SHDNTYP, how Shutdown shuts down (NVMe-MI 1.2, section 5.11, Figure 107). Others are
    /// reserved.
    pub struct ShutdownType(u8) {
        /// Normal shutdown.
        NORMAL = 0x00,
        /// Abrupt shutdown.
        ABRUPT = 0x01,
    }
}

wire! {
    /// The request of a Management Interface command (NVMe-MI 1.2, chapter 5, Figures 55 and 56).
    ///
    /// Request Data follow from byte 16.
    pub struct ManagementRequest: 15 from 1 {
        /// The message header.
        3:1 pub header: RequestHeader,
        /// OPC, the opcode.
        4 pub opcode: ManagementOpcode,
        7:5 pub(crate) reserved_5: [u8; 3],
        /// NMD0, NVMe Management Dword 0: what the command says.
        11:8 pub dword0: U32,
        /// NMD1, NVMe Management Dword 1: what the command says.
        15:12 pub dword1: U32,
    }

    /// The response to a Management Interface command that succeeds (NVMe-MI 1.2, chapter 5,
    /// Figures 60 and 61).
    ///
    /// Response Data follow from byte 8.
    pub struct ManagementResponse: 7 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS.
        4 pub status: ResponseStatus,
        /// NMRESP, NVMe Management Response: what the command says, or 0.
        7:5 pub result: [u8; 3],
    }

    /// NMD0 and NMD1 of Read NVMe-MI Data Structure (NVMe-MI 1.2, section 5.7, Figures 90 and 91).
    pub struct ReadDataStructure: 8 from 8 {
        /// CTRLID, controller identifier: the controller, or the lowest of a list.
        9:8 pub controller_id: U16,
        /// PORTID, port identifier.
        10 pub port_id: u8,
        /// DTYP, data structure type.
        11 pub data_structure_type: DataStructureType,
        /// IOCSI, I/O command set identifier (2.0): filters lists of commands.
        12 pub io_command_set: u8,
        15:13 pub(crate) reserved_13: [u8; 3],
    }

    /// NMRESP of Read NVMe-MI Data Structure (NVMe-MI 1.2, section 5.7).
    pub struct ReadDataStructureResult: 3 from 5 {
        /// RDL, Response Data Length: bytes of the structure, without padding.
        6:5 pub length: U16,
        7 pub(crate) reserved_7: u8,
    }

    /// NMD0 and NMD1 of NVM Subsystem Health Status Poll (NVMe-MI 1.2, section 5.6, Figure 88).
    pub struct SubsystemHealthPoll: 8 from 8 {
        14:8 pub(crate) reserved_8: [u8; 7],
        /// Bit 7 CS, clear status: clear the composite controller status after it is copied.
        15 pub flags: u8,
    }

    /// NMD0 and NMD1 of Controller Health Status Poll (NVMe-MI 1.2, section 5.3, Figures 76 and
    /// 77).
    pub struct ControllerHealthPoll: 8 from 8 {
        /// SCTLID, starting controller ID: the lowest that is returned.
        9:8 pub starting_controller_id: U16,
        /// MAXRENT, maximum response entries, less one: 0 to 254.
        10 pub maximum_entries: u8,
        /// Bit 0 INCF, include PCI functions; bit 1 INCPF, include SR-IOV physical functions; bit 2
        /// INCVF, include SR-IOV virtual functions; bits 6:3 reserved; bit 7 ALL, report all
        /// controllers, even if nothing changed.
        11 pub functions: u8,
        /// Report controllers of which one of these changed: bit 0 CSTS, controller status; bit 1
        /// CTEMP, composite temperature; bit 2 PDLU, percentage used; bit 3 SPARE, available spare;
        /// bit 4 CWARN, critical warning.
        12 pub changes: u8,
        14:13 pub(crate) reserved_13: [u8; 2],
        /// Bit 7 CCF, clear changed flags: of the controllers returned, after they are copied.
        15 pub flags: u8,
    }

    /// NMRESP of Controller Health Status Poll (NVMe-MI 1.2, section 5.3, Figure 78).
    pub struct ControllerHealthPollResult: 3 from 5 {
        6:5 pub(crate) reserved_5: [u8; 2],
        /// RENT, response entries: how many [`ControllerHealth`](super::ControllerHealth) follow.
        7 pub entries: u8,
    }

    /// NMD0 and NMD1 of Configuration Get (NVMe-MI 1.2, section 5.1, Figures 62 to 68).
    pub struct ConfigurationGet: 8 from 8 {
        /// CID, configuration identifier.
        8 pub identifier: ConfigurationIdentifier,
        10:9 pub(crate) reserved_9: [u8; 2],
        /// SMBus/I2C Frequency and MCTP Transmission Unit Size: PORTID, port identifier.
        11 pub port_id: u8,
        15:12 pub(crate) reserved_12: [u8; 4],
    }

    /// NMD0 and NMD1 of Configuration Set, whatever it sets (NVMe-MI 1.2, section 5.2, Figures 69
    /// and 70).
    pub struct ConfigurationSet: 8 from 8 {
        /// CID, configuration identifier: which of the following commands this is.
        8 pub identifier: ConfigurationIdentifier,
        /// As the identifier says.
        15:9 pub parameters: [u8; 7],
    }

    /// NMD0 and NMD1 of Configuration Set, SMBus/I2C Frequency (NVMe-MI 1.2, section 5.2.1, Figure
    /// 71).
    pub struct SetSmbusFrequency: 8 from 8 {
        /// CID: 01h.
        8 pub identifier: ConfigurationIdentifier,
        /// Bits 3:0 SFREQ, the [frequency](TwoWireFrequency); bits 7:4 reserved.
        9 pub frequency: u8,
        10 pub(crate) reserved_10: u8,
        /// PORTID, port identifier.
        11 pub port_id: u8,
        15:12 pub(crate) reserved_12: [u8; 4],
    }

    /// NMD0 and NMD1 of Configuration Set, Health Status Change (NVMe-MI 1.2, section 5.2.2,
    /// Figures 72 and 73): clears bits of the composite controller status.
    pub struct SetHealthStatusChange: 8 from 8 {
        /// CID: 02h.
        8 pub identifier: ConfigurationIdentifier,
        11:9 pub(crate) reserved_9: [u8; 3],
        /// What is cleared: bit 0 RDY, 1 CFS, 2 SHST, 3 NSSRO, 4 CECO, 5 NAC, 6 FA, 7 CSTS, 8
        /// CTEMP, 9 PDLU, 10 SPARE, 11 CWARN, 12 TCIDA (2.0). Unlike in the
        /// [status](super::SubsystemHealth) itself, bit 3 is not left out.
        15:12 pub changes: U32,
    }

    /// NMD0 and NMD1 of Configuration Set, MCTP Transmission Unit Size (NVMe-MI 1.2, section 5.2.3,
    /// Figures 74 and 75).
    pub struct SetTransmissionUnitSize: 8 from 8 {
        /// CID: 03h.
        8 pub identifier: ConfigurationIdentifier,
        10:9 pub(crate) reserved_9: [u8; 2],
        /// PORTID, port identifier.
        11 pub port_id: u8,
        /// MTUS, MCTP transmission unit size in bytes: from 64 to what the port supports.
        13:12 pub size: U16,
        15:14 pub(crate) reserved_14: [u8; 2],
    }

    /// NMD0 and NMD1 of Configuration Set, Asynchronous Event (NVMe-MI 2.0, section 5.2.4, Figure
    /// 91).
    ///
    /// An [AE Enable List](super::EventListHeader) follows from byte 16. Without entries in it, the
    /// command acknowledges the last message.
    pub struct SetAsynchronousEvents: 8 from 8 {
        /// CID: 04h.
        8 pub identifier: ConfigurationIdentifier,
        /// AERD, asynchronous event retry delay in units of 100 ms.
        9 pub retry_delay: u8,
        /// AEMD, asynchronous event message delay in seconds: how long events are collected.
        10 pub delay: u8,
        /// Controller events that are wanted: bit 0 ENCFA, of PCI functions; bit 1 ENPFA, of SR-IOV
        /// physical functions; bit 2 ENVFA, of SR-IOV virtual functions.
        11 pub functions: u8,
        15:12 pub(crate) reserved_12: [u8; 4],
    }

    /// NMRESP of Configuration Get, SMBus/I2C Frequency (NVMe-MI 1.2, section 5.1.1, Figure 66).
    pub struct SmbusFrequencyResult: 3 from 5 {
        /// Bits 3:0 SFREQ, the [frequency](TwoWireFrequency); bits 7:4 reserved.
        5 pub frequency: u8,
        7:6 pub(crate) reserved_6: [u8; 2],
    }

    /// NMRESP of Configuration Get, MCTP Transmission Unit Size (NVMe-MI 1.2, section 5.1.3, Figure
    /// 68).
    pub struct TransmissionUnitSizeResult: 3 from 5 {
        /// MTUS, MCTP transmission unit size in bytes.
        6:5 pub size: U16,
        7 pub(crate) reserved_7: u8,
    }

    /// NMRESP of Configuration Get, Asynchronous Event (NVMe-MI 2.0, Figure 81).
    pub struct AsynchronousEventsResult: 3 from 5 {
        /// AEELVER, the version of the AE Enable List that is supported: 0.
        5 pub enable_list_version: u8,
        7:6 pub(crate) reserved_6: [u8; 2],
    }

    /// NMD0 and NMD1 of VPD Read (NVMe-MI 1.2, section 5.12, Figures 108 and 109).
    pub struct VpdRead: 8 from 8 {
        /// DOFST, data offset: the first byte of the VPD that is read.
        9:8 pub offset: U16,
        11:10 pub(crate) reserved_10: [u8; 2],
        /// DLEN, data length: how many bytes.
        13:12 pub length: U16,
        15:14 pub(crate) reserved_14: [u8; 2],
    }

    /// NMD0 and NMD1 of VPD Write (NVMe-MI 1.2, section 5.13, Figures 111 and 112).
    pub struct VpdWrite: 8 from 8 {
        /// DOFST, data offset: the first byte of the VPD that is written.
        9:8 pub offset: U16,
        11:10 pub(crate) reserved_10: [u8; 2],
        /// DLEN, data length: how many bytes, which follow as Request Data.
        13:12 pub length: U16,
        15:14 pub(crate) reserved_14: [u8; 2],
    }

    /// NMD0 and NMD1 of Management Endpoint Buffer Read (NVMe-MI 1.2, section 5.4, Figures 82 and
    /// 83).
    pub struct EndpointBufferRead: 8 from 8 {
        /// DOFST, data offset: the first byte of the buffer that is read.
        11:8 pub offset: U32,
        /// DLEN, data length: how many bytes.
        13:12 pub length: U16,
        15:14 pub(crate) reserved_14: [u8; 2],
    }

    /// NMD0 and NMD1 of Management Endpoint Buffer Write (NVMe-MI 1.2, section 5.5, Figures 85 and
    /// 86).
    pub struct EndpointBufferWrite: 8 from 8 {
        /// DOFST, data offset: the first byte of the buffer that is written.
        11:8 pub offset: U32,
        /// DLEN, data length: how many bytes, which follow as Request Data.
        13:12 pub length: U16,
        15:14 pub(crate) reserved_14: [u8; 2],
    }

    /// NMD0 and NMD1 of Reset (NVMe-MI 1.2, section 5.8, Figure 102).
    pub struct Reset: 8 from 8 {
        10:8 pub(crate) reserved_8: [u8; 3],
        /// RSTTYP, reset type.
        11 pub reset_type: ResetType,
        15:12 pub(crate) reserved_12: [u8; 4],
    }

    /// NMD0 and NMD1 of Shutdown (NVMe-MI 1.2, section 5.11, Figure 107).
    pub struct Shutdown: 8 from 8 {
        10:8 pub(crate) reserved_8: [u8; 3],
        /// SHDNTYP, shutdown type.
        11 pub shutdown_type: ShutdownType,
        15:12 pub(crate) reserved_12: [u8; 4],
    }
}

bytes! {
    8: ReadDataStructure, SubsystemHealthPoll, ControllerHealthPoll, ConfigurationGet,
    ConfigurationSet, SetSmbusFrequency, SetHealthStatusChange, SetTransmissionUnitSize,
    SetAsynchronousEvents, VpdRead, VpdWrite, EndpointBufferRead, EndpointBufferWrite, Reset,
    Shutdown,
}

bytes! {
    3: ReadDataStructureResult, ControllerHealthPollResult, SmbusFrequencyResult,
    TransmissionUnitSizeResult, AsynchronousEventsResult,
}

/// What a Management Interface command has in NMD0 and NMD1, bytes 15:8 of its request.
pub trait ManagementCommand: From<[u8; 8]> + Into<[u8; 8]> {
    /// The opcode of the command.
    const OPCODE: ManagementOpcode;
}

macro_rules! opcodes {
    ($($name:ident = $opcode:ident),+ $(,)?) => {
        $(impl ManagementCommand for $name {
            const OPCODE: ManagementOpcode = ManagementOpcode::$opcode;
        })+
    };
}

opcodes! {
    ReadDataStructure = READ_DATA_STRUCTURE,
    SubsystemHealthPoll = SUBSYSTEM_HEALTH_STATUS_POLL,
    ControllerHealthPoll = CONTROLLER_HEALTH_STATUS_POLL,
    ConfigurationSet = CONFIGURATION_SET,
    SetSmbusFrequency = CONFIGURATION_SET,
    SetHealthStatusChange = CONFIGURATION_SET,
    SetTransmissionUnitSize = CONFIGURATION_SET,
    SetAsynchronousEvents = CONFIGURATION_SET,
    ConfigurationGet = CONFIGURATION_GET,
    VpdRead = VPD_READ,
    VpdWrite = VPD_WRITE,
    Reset = RESET,
    EndpointBufferRead = ENDPOINT_BUFFER_READ,
    EndpointBufferWrite = ENDPOINT_BUFFER_WRITE,
    Shutdown = SHUTDOWN,
}

impl ManagementRequest {
    /// The request of `command` in command slot `slot`.
    pub fn new<C: ManagementCommand>(slot: u8, command: C) -> Self {
        let dwords: [u8; 8] = command.into();
        let [dword0, dword1]: [U32; 2] = transmute!(dwords);
        Self {
            header: RequestHeader::request(MessageKind::MANAGEMENT, slot),
            opcode: C::OPCODE,
            reserved_5: [0; 3],
            dword0,
            dword1,
        }
    }

    /// NMD0 and NMD1 as those of a command. The opcode says which.
    pub fn command<C: From<[u8; 8]>>(&self) -> C {
        let dwords: [u8; 8] = transmute!([self.dword0, self.dword1]);
        dwords.into()
    }
}

impl ManagementResponse {
    /// A success in command slot `slot`. `result` is a result of this family, or three zeros.
    pub fn success(slot: u8, result: impl Into<[u8; 3]>) -> Self {
        Self {
            header: RequestHeader::response(MessageKind::MANAGEMENT, slot),
            status: ResponseStatus::SUCCESS,
            result: result.into(),
        }
    }

    /// NMRESP as that of a command.
    pub fn result<R: From<[u8; 3]>>(&self) -> R {
        self.result.into()
    }
}

impl SubsystemHealthPoll {
    /// CS in `flags`.
    pub const CLEAR_STATUS: u8 = 1 << 7;
}

impl SetAsynchronousEvents {
    /// ENCFA in `functions`.
    pub const FUNCTIONS: u8 = 1 << 0;
    /// ENPFA in `functions`.
    pub const PHYSICAL_FUNCTIONS: u8 = 1 << 1;
    /// ENVFA in `functions`.
    pub const VIRTUAL_FUNCTIONS: u8 = 1 << 2;
}

impl ControllerHealthPoll {
    /// INCF in `functions`.
    pub const INCLUDE_FUNCTIONS: u8 = 1 << 0;
    /// INCPF in `functions`.
    pub const INCLUDE_PHYSICAL_FUNCTIONS: u8 = 1 << 1;
    /// INCVF in `functions`.
    pub const INCLUDE_VIRTUAL_FUNCTIONS: u8 = 1 << 2;
    /// ALL in `functions`.
    pub const ALL: u8 = 1 << 7;
    /// CCF in `flags`.
    pub const CLEAR_CHANGED_FLAGS: u8 = 1 << 7;
}
