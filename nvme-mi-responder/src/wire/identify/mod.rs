//! What Identify returns (NVM Express Base 2.0, section 5.17.2).
//!
//! The responder sends one of these, or a part of it, as Response Data of
//! [`Identify`](super::Identify). Every structure has 4096 bytes; lists are zero behind their last
//! entry.
//!
//! ```
//! use nvme_mi_responder::wire::IdentifyController;
//! use zerocopy::FromBytes;
//!
//! let mut data = [0; 4096];
//! data[..2].copy_from_slice(&0x1234u16.to_le_bytes());
//! data[78] = 1;
//! data[516] = 32;
//! let controller = IdentifyController::ref_from_bytes(&data).unwrap();
//! assert_eq!(controller.pci_vendor_id, 0x1234);
//! assert_eq!((controller.controller_id.get(), controller.number_of_namespaces.get()), (1, 32));
//! ```

pub(crate) mod controller;
pub(crate) mod namespace;

use zerocopy::little_endian::{U16, U32, U64};

use super::layout::{values, wire};

pub use controller::*;
pub use namespace::*;

values! {
    /// CNS, which structure Identify returns (NVM Express Base 2.0, section 5.17.1, Figure 273).
    pub struct IdentifyStructure(u8) {
        /// A namespace that is active (NVM Command Set specification): [`IdentifyNamespace`].
        NAMESPACE = 0x00,
        /// The controller (section 5.17.2.1): [`IdentifyController`].
        CONTROLLER = 0x01,
        /// IDs of active namespaces (section 5.17.2.2): [`NamespaceList`].
        ACTIVE_NAMESPACES = 0x02,
        /// Identification descriptors of a namespace (section 5.17.2.3):
        /// [`NamespaceDescriptorHeader`].
        NAMESPACE_DESCRIPTORS = 0x03,
        /// NVM Set List (section 5.17.2.4).
        NVM_SETS = 0x04,
        /// A namespace, as an I/O command set has it (section 5.17.2.5).
        COMMAND_SET_NAMESPACE = 0x05,
        /// The controller, as an I/O command set has it (section 5.17.2.6).
        COMMAND_SET_CONTROLLER = 0x06,
        /// IDs of active namespaces of an I/O command set (section 5.17.2.7): [`NamespaceList`].
        COMMAND_SET_ACTIVE_NAMESPACES = 0x07,
        /// A namespace, independent of the I/O command set (section 5.17.2.8):
        /// [`IndependentNamespace`].
        INDEPENDENT_NAMESPACE = 0x08,
        /// IDs of allocated namespaces (section 5.17.2.9): [`NamespaceList`].
        ALLOCATED_NAMESPACES = 0x10,
        /// A namespace that is allocated (section 5.17.2.10): [`IdentifyNamespace`].
        ALLOCATED_NAMESPACE = 0x11,
        /// Controllers of a namespace (section 5.17.2.11): [`ControllerList`].
        NAMESPACE_CONTROLLERS = 0x12,
        /// Controllers of the subsystem (section 5.17.2.12): [`ControllerList`].
        CONTROLLERS = 0x13,
        /// Primary Controller Capabilities (section 5.17.2.13): [`PrimaryControllerCapabilities`].
        PRIMARY_CONTROLLER_CAPABILITIES = 0x14,
        /// Secondary Controller List (section 5.17.2.14): [`SecondaryControllerList`].
        SECONDARY_CONTROLLERS = 0x15,
        /// Namespace Granularity List (section 5.17.2.15).
        NAMESPACE_GRANULARITY = 0x16,
        /// UUID List (section 5.17.2.16).
        UUIDS = 0x17,
        /// Domain List (section 5.17.2.17).
        DOMAINS = 0x18,
        /// Endurance Group List (section 5.17.2.18).
        ENDURANCE_GROUPS = 0x19,
        /// IDs of allocated namespaces of an I/O command set (section 5.17.2.19):
        /// [`NamespaceList`].
        COMMAND_SET_ALLOCATED_NAMESPACES = 0x1A,
        /// A namespace that is allocated, as an I/O command set has it (section 5.17.2.20).
        COMMAND_SET_ALLOCATED_NAMESPACE = 0x1B,
        /// I/O command sets (section 5.17.2.21): [`CommandSets`].
        COMMAND_SETS = 0x1C,
    }
}

wire! {
    /// Namespace List (NVM Express Base 2.0, section 4.4.2, Figure 135).
    pub struct NamespaceList: 4096 {
        /// Namespace identifiers in ascending order: 0 behind the last.
        4095:0 pub namespace_ids: [U32; 1024],
    }

    /// Controller List (NVM Express Base 2.0, section 4.4.1, Figure 134): what Identify returns,
    /// and the Request Data of Namespace Attachment.
    pub struct ControllerList: 4096 {
        /// Number of identifiers: at most 2047.
        1:0 pub count: U16,
        /// Controller identifiers in ascending order.
        4095:2 pub controller_ids: [U16; 2047],
    }

    /// Secondary Controller List, CNS 15h (NVM Express Base 2.0, section 5.17.2.14, Figures 282 and
    /// 283).
    pub struct SecondaryControllerList: 4096 {
        /// Number of entries: at most 127.
        0 pub count: u8,
        31:1 pub(crate) reserved_1: [u8; 31],
        /// Secondary Controller Entries, 32 bytes each.
        4095:32 pub entries: [[u8; 32]; 127],
    }

    /// I/O Command Set Data Structure, CNS 1Ch (NVM Express Base 2.0, section 5.17.2.21, Figures
    /// 289 and 290).
    pub struct CommandSets: 4096 {
        /// I/O command set combinations: of each bit 0 the NVM command set, 1 key value, 2 zoned
        /// namespaces; 0 if there is no such combination.
        4095:0 pub combinations: [U64; 512],
    }
}
