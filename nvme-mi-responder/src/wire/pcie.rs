//! The PCIe command set: access to the PCI functions of controllers (NVMe-MI 1.2, chapter 7).
//!
//! ```
//! use nvme_mi_responder::wire::{PcieOpcode, PcieRequest};
//! use zerocopy::IntoBytes;
//!
//! // Vendor ID and device ID of controller 1.
//! let mut request = PcieRequest::new(0, PcieOpcode::CONFIGURATION_READ, 1);
//! request.length.set(4);
//! assert_eq!(request.as_bytes()[..9], [0x20, 0, 0, 0x00, 0, 1, 0, 4, 0]);
//! ```

use zerocopy::little_endian::{U16, U32};

use super::layout::{values, wire};
use super::{MessageKind, RequestHeader, ResponseStatus};

values! {
    /// The opcode of a PCIe command (NVMe-MI 1.2, chapter 7, Figure 128).
    pub struct PcieOpcode(u8) {
        /// PCIe Configuration Read (section 7.1).
        CONFIGURATION_READ = 0x00,
        /// PCIe Configuration Write (section 7.2).
        CONFIGURATION_WRITE = 0x01,
        /// PCIe Memory Read (section 7.5).
        MEMORY_READ = 0x02,
        /// PCIe Memory Write (section 7.6).
        MEMORY_WRITE = 0x03,
        /// PCIe I/O Read (section 7.3).
        IO_READ = 0x04,
        /// PCIe I/O Write (section 7.4).
        IO_WRITE = 0x05,
    }
}

wire! {
    /// The request of every PCIe command (NVMe-MI 1.2, chapter 7, Figures 126 and 127; dwords:
    /// sections 7.1 to 7.6, Figures 131 to 144).
    ///
    /// Data to write follow from byte 20, padded to 4 bytes.
    pub struct PcieRequest: 19 from 1 {
        /// The message header.
        3:1 pub header: RequestHeader,
        /// OPC, the opcode.
        4 pub opcode: PcieOpcode,
        5 pub(crate) reserved_5: u8,
        /// CTLID, the controller whose function is accessed.
        7:6 pub controller_id: U16,
        /// LENGTH, how many bytes are read or written: 0 to 4096.
        9:8 pub length: U16,
        /// Memory and I/O: bits 2:0 BAR, the Base Address Register, 0 to 5; bits 7:3 reserved.
        10 pub base_address_register: u8,
        11 pub(crate) reserved_11: u8,
        /// OFFSET, the first byte; of configuration space bits 11:0.
        15:12 pub offset: U32,
        /// Memory: OFFSET, bits 63:32.
        19:16 pub offset_upper: U32,
    }

    /// The response to a PCIe command (NVMe-MI 1.2, chapter 7, Figures 129 and 130).
    ///
    /// Data that were read follow from byte 8, padded to 4 bytes.
    pub struct PcieResponse: 7 from 1 {
        /// The message header, with ROR 1.
        3:1 pub header: RequestHeader,
        /// STATUS.
        4 pub status: ResponseStatus,
        7:5 pub(crate) reserved_5: [u8; 3],
    }
}

impl PcieRequest {
    /// A request for controller `controller_id` in command slot `slot`; the rest is 0.
    pub const fn new(slot: u8, opcode: PcieOpcode, controller_id: u16) -> Self {
        Self {
            header: RequestHeader::request(MessageKind::PCIE, slot),
            opcode,
            reserved_5: 0,
            controller_id: U16::new(controller_id),
            length: U16::ZERO,
            base_address_register: 0,
            reserved_11: 0,
            offset: U32::ZERO,
            offset_upper: U32::ZERO,
        }
    }

    /// OFFSET of a memory command: both halves.
    pub const fn memory_offset(self) -> u64 {
        self.offset.get() as u64 | (self.offset_upper.get() as u64) << 32
    }
}

impl PcieResponse {
    /// A success in command slot `slot`.
    pub const fn success(slot: u8) -> Self {
        Self {
            header: RequestHeader::response(MessageKind::PCIE, slot),
            status: ResponseStatus::SUCCESS,
            reserved_5: [0; 3],
        }
    }
}
