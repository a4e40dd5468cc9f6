//! What Read NVMe-MI Data Structure returns (NVMe-MI 1.2, section 5.7).
//!
//! The responder sends one of these from byte 8 of a
//! [`ManagementResponse`](super::ManagementResponse).
//!
//! ```
//! use nvme_mi_responder::wire::{PortInformation, PortType, TwoWireFrequency, TwoWirePort};
//! use zerocopy::IntoBytes;
//!
//! let mut two_wire = TwoWirePort::default();
//! two_wire.endpoint_address = 0x1D;
//! two_wire.endpoint_frequency = TwoWireFrequency::KHZ_400;
//! let mut port = PortInformation::default();
//! port.port_type = PortType::TWO_WIRE;
//! port.maximum_transmission_unit.set(250);
//! port.specific = two_wire.into();
//! assert_eq!(port.as_bytes()[..12], [2, 0, 250, 0, 0, 0, 0, 0, 0, 0, 0x1D, 2]);
//!
//! let read = TwoWirePort::from(port.specific);
//! assert_eq!(read.endpoint_frequency, TwoWireFrequency::KHZ_400);
//! ```

use zerocopy::little_endian::{U16, U32};

use super::layout::{bytes, values, wire};
use super::{MessageKind, TwoWireFrequency};

values! {
    /// PRTTYP, what kind of port it is (NVMe-MI 1.2, section 5.7, Figure 94). Others are reserved.
    pub struct PortType(u8) {
        /// The port is inactive.
        INACTIVE = 0x00,
        /// A PCIe port: [`PciePort`].
        PCIE = 0x01,
        /// An SMBus/I2C port, two-wire port in 2.x: [`TwoWirePort`].
        TWO_WIRE = 0x02,
    }
}

wire! {
    /// NVM Subsystem Information Data Structure, DTYP 00h (NVMe-MI 1.2, section 5.7, Figure 93).
    pub struct SubsystemInformation: 32 {
        /// NUMP, number of ports, less one.
        0 pub number_of_ports: u8,
        /// MJR, NVMe-MI major version number.
        1 pub major_version: u8,
        /// MNR, NVMe-MI minor version number.
        2 pub minor_version: u8,
        /// NNSC, NVMe-MI NVM subsystem capabilities (2.0): bit 0 SRE, status
        /// reporting enhancements.
        3 pub capabilities: u8,
        31:4 pub(crate) reserved_4: [u8; 28],
    }

    /// Port Information Data Structure, DTYP 01h (NVMe-MI 1.2, section 5.7, Figure 94).
    pub struct PortInformation: 32 {
        /// PRTTYP, port type.
        0 pub port_type: PortType,
        /// PRTCAP, port capabilities: bit 0 CIAPS, command initiated auto pause is supported; bit 1
        /// AEMS, Asynchronous Event Messages are supported (2.0).
        1 pub capabilities: u8,
        /// MMTUS, maximum MCTP transmission unit size in bytes, without the packet header: 64 or
        /// more.
        3:2 pub maximum_transmission_unit: U16,
        /// MEBS, Management Endpoint Buffer size in bytes: 0 if there is none.
        7:4 pub endpoint_buffer_size: U32,
        /// What depends on the port type: [`PciePort`] or [`TwoWirePort`].
        31:8 pub specific: [u8; 24],
    }

    /// PCIe Port Specific Data, in Port Information (NVMe-MI 1.2, section 5.7, Figure 95).
    pub struct PciePort: 24 from 8 {
        /// PCIe maximum payload size: 0 128 bytes, 1 256 bytes, up to 5 4096 bytes.
        8 pub maximum_payload_size: u8,
        /// PCIe supported link speeds vector: bit 0 2.5 GT/s, 1 5 GT/s, 2 8 GT/s, 3 16 GT/s, 4 32
        /// GT/s, 5 64 GT/s.
        9 pub supported_link_speeds: u8,
        /// PCIe current link speed: 0 the link is not active, 1 2.5 GT/s, up to 6 64 GT/s.
        10 pub current_link_speed: u8,
        /// PCIe maximum link width in lanes: 1, 2, 4, 8, 12, 16 or 32.
        11 pub maximum_link_width: u8,
        /// PCIe negotiated link width in lanes: 0 if the link is not active.
        12 pub negotiated_link_width: u8,
        /// PCIe port number.
        13 pub port_number: u8,
        31:14 pub(crate) reserved_14: [u8; 18],
    }

    /// SMBus Port Specific Data, in Port Information (NVMe-MI 1.2, section 5.7, Figure 96).
    pub struct TwoWirePort: 24 from 8 {
        /// Current VPD SMBus/I2C address: 0 if there is no VPD to access.
        8 pub vpd_address: u8,
        /// Maximum VPD access SMBus/I2C frequency.
        9 pub vpd_frequency: TwoWireFrequency,
        /// Current Management Endpoint SMBus/I2C address: 0 if there is no endpoint.
        10 pub endpoint_address: u8,
        /// Maximum Management Endpoint SMBus/I2C frequency. In 2.x this is in bits 1:0, and bit 7
        /// is I3CSPRT, I3C is supported.
        11 pub endpoint_frequency: TwoWireFrequency,
        /// Bit 0, the NVMe Basic Management Command is supported.
        12 pub basic_management: u8,
        31:13 pub(crate) reserved_13: [u8; 19],
    }

    /// What stands before the identifiers of a Controller List, DTYP 02h (NVM Express Base 2.0,
    /// section 4.4.1, Figure 134).
    ///
    /// The identifiers follow from byte 2 in ascending order, 2 bytes each, at most 2047.
    pub struct ControllerListHeader: 2 {
        /// Number of identifiers.
        1:0 pub count: U16,
    }

    /// Controller Information Data Structure, DTYP 03h (NVMe-MI 1.2, section 5.7, Figure 97).
    pub struct ControllerInformation: 32 {
        /// PORTID, the port of the controller.
        0 pub port_id: u8,
        4:1 pub(crate) reserved_1: [u8; 4],
        /// PRII, PCIe routing ID information: bit 0 PCIERIV, the routing ID is valid.
        5 pub routing_id_information: u8,
        /// PRI, PCIe routing ID: bits 15:8 bus, bits 7:3 device, bits 2:0 function.
        7:6 pub routing_id: U16,
        /// VID, PCI vendor ID.
        9:8 pub vendor_id: U16,
        /// DID, PCI device ID.
        11:10 pub device_id: U16,
        /// SSVID, PCI subsystem vendor ID.
        13:12 pub subsystem_vendor_id: U16,
        /// SSID, PCI subsystem device ID.
        15:14 pub subsystem_id: U16,
        /// PCIESN, PCIe segment number (2.0).
        16 pub segment_number: u8,
        31:17 pub(crate) reserved_17: [u8; 15],
    }

    /// What stands before the commands of the Optionally Supported Command List, DTYP 04h, and of
    /// the Management Endpoint Buffer Supported Command List, DTYP 05h (NVMe-MI 1.2, section 5.7,
    /// Figures 98 and 100).
    ///
    /// A [`SupportedCommand`] for each follows from byte 2.
    pub struct CommandListHeader: 2 {
        /// NUMCMD, number of commands.
        1:0 pub count: U16,
    }

    /// A command in one of these lists (NVMe-MI 1.2, section 5.7, Figures 99 and 101).
    pub struct SupportedCommand: 2 {
        /// CTYP, command type: bits 6:3 NMIMT, the [kind](MessageKind) of message.
        0 pub command_type: u8,
        /// OPC, the opcode.
        1 pub opcode: u8,
    }
}

bytes! {
    24: PciePort, TwoWirePort
}

impl PortInformation {
    /// CIAPS in `capabilities`.
    pub const AUTO_PAUSE_SUPPORTED: u8 = 1 << 0;
    /// AEMS in `capabilities`.
    pub const EVENT_MESSAGES_SUPPORTED: u8 = 1 << 1;
}

impl TwoWirePort {
    /// In `basic_management`.
    pub const BASIC_MANAGEMENT_SUPPORTED: u8 = 1 << 0;
}

impl ControllerInformation {
    /// PCIERIV in `routing_id_information`.
    pub const ROUTING_ID_VALID: u8 = 1 << 0;
}

impl SupportedCommand {
    /// The command of that kind with that opcode.
    pub const fn new(kind: MessageKind, opcode: u8) -> Self {
        Self {
            command_type: (kind.0 & 0xF) << 3,
            opcode,
        }
    }

    /// NMIMT, the kind of message that carries the command.
    pub const fn kind(self) -> MessageKind {
        MessageKind(self.command_type >> 3 & 0xF)
    }
}
