//! What Identify returns of a namespace, and what Namespace Management takes to create one (NVM
//! Express Base 2.0, sections 5.17.2.3, 5.17.2.8 and 5.23; NVM Command Set specification 1.0c,
//! section 4.1.5.1).

use zerocopy::little_endian::{U16, U32, U64, U128};

use crate::wire::layout::{values, wire};

values! {
    /// NIDT, what a Namespace Identification Descriptor has (NVM Express Base 2.0, section
    /// 5.17.2.3, Figure 277). Others are reserved.
    pub struct NamespaceDescriptorType(u8) {
        /// IEEE Extended Unique Identifier: 8 bytes, most significant byte first.
        EUI64 = 0x01,
        /// Namespace Globally Unique Identifier: 16 bytes, most significant byte first.
        NGUID = 0x02,
        /// Namespace UUID: 16 bytes, most significant byte first.
        UUID = 0x03,
        /// Command Set Identifier: 1 byte.
        COMMAND_SET = 0x04,
    }
}

wire! {
    /// Identify Namespace Data Structure of the NVM command set, CNS 00h and 11h (NVM Command Set
    /// specification 1.0c, section 4.1.5.1, Figure 97).
    pub struct IdentifyNamespace: 4096 {
        /// NSZE, namespace size in blocks.
        7:0 pub size: U64,
        /// NCAP, namespace capacity in blocks.
        15:8 pub capacity: U64,
        /// NUSE, namespace utilization in blocks.
        23:16 pub utilization: U64,
        /// NSFEAT, namespace features: bit 0 thin provisioning.
        24 pub features: u8,
        /// NLBAF, number of LBA formats, less one.
        25 pub number_of_formats: u8,
        /// FLBAS, formatted LBA size: bits 3:0 and 6:5 lower and upper bits of the index of the LBA
        /// format; bit 4 metadata are at the end of the data.
        26 pub formatted_size: u8,
        /// MC, metadata capabilities.
        27 pub metadata_capabilities: u8,
        /// DPC, end-to-end data protection capabilities.
        28 pub protection_capabilities: u8,
        /// DPS, end-to-end data protection type settings: bits 2:0 the type, 0 none.
        29 pub protection_settings: u8,
        /// NMIC, namespace multi-path I/O and namespace sharing capabilities: bit 0 it can be
        /// attached to several controllers.
        30 pub sharing: u8,
        /// RESCAP, reservation capabilities.
        31 pub reservation_capabilities: u8,
        /// FPI, format progress indicator: bit 7 supported, bits 6:0 percent that remain.
        32 pub format_progress: u8,
        /// DLFEAT, deallocate logical block features.
        33 pub deallocate_features: u8,
        /// NAWUN, namespace atomic write unit normal.
        35:34 pub atomic_write_unit_normal: U16,
        /// NAWUPF, namespace atomic write unit power fail.
        37:36 pub atomic_write_unit_power_fail: U16,
        /// NACWU, namespace atomic compare and write unit.
        39:38 pub atomic_compare_and_write_unit: U16,
        /// NABSN, namespace atomic boundary size normal.
        41:40 pub atomic_boundary_size_normal: U16,
        /// NABO, namespace atomic boundary offset.
        43:42 pub atomic_boundary_offset: U16,
        /// NABSPF, namespace atomic boundary size power fail.
        45:44 pub atomic_boundary_size_power_fail: U16,
        /// NOIOB, namespace optimal I/O boundary in blocks.
        47:46 pub optimal_io_boundary: U16,
        /// NVMCAP, NVM capacity in bytes.
        63:48 pub nvm_capacity: U128,
        /// NPWG, namespace preferred write granularity in blocks, less one.
        65:64 pub preferred_write_granularity: U16,
        /// NPWA, namespace preferred write alignment in blocks, less one.
        67:66 pub preferred_write_alignment: U16,
        /// NPDG, namespace preferred deallocate granularity in blocks, less one.
        69:68 pub preferred_deallocate_granularity: U16,
        /// NPDA, namespace preferred deallocate alignment in blocks, less one.
        71:70 pub preferred_deallocate_alignment: U16,
        /// NOWS, namespace optimal write size in blocks, less one.
        73:72 pub optimal_write_size: U16,
        /// MSSRL, maximum single source range length.
        75:74 pub maximum_source_range_length: U16,
        /// MCL, maximum copy length.
        79:76 pub maximum_copy_length: U32,
        /// MSRC, maximum source range count, less one.
        80 pub maximum_source_range_count: u8,
        91:81 pub(crate) reserved_81: [u8; 11],
        /// ANAGRPID, ANA group identifier.
        95:92 pub ana_group_id: U32,
        98:96 pub(crate) reserved_96: [u8; 3],
        /// NSATTR, namespace attributes: bit 0 it is write protected.
        99 pub attributes: u8,
        /// NVMSETID, NVM set identifier.
        101:100 pub nvm_set_id: U16,
        /// ENDGID, endurance group identifier.
        103:102 pub endurance_group_id: U16,
        /// NGUID, namespace globally unique identifier, most significant byte first.
        119:104 pub globally_unique_id: [u8; 16],
        /// EUI64, IEEE extended unique identifier, most significant byte first.
        127:120 pub extended_unique_id: [u8; 8],
        /// LBAF0 to LBAF63, LBA formats.
        383:128 pub formats: [LbaFormat; 64],
        4095:384 pub(crate) vendor_384: [u8; 3712],
    }

    /// LBA Format Data Structure, in Identify Namespace (NVM Command Set specification 1.0c,
    /// section 4.1.5.1).
    pub struct LbaFormat: 4 {
        /// MS, metadata size in bytes.
        1:0 pub metadata_size: U16,
        /// LBADS, LBA data size as a power of two: 9 or more; 0 the format is not available.
        2 pub data_size: u8,
        /// Bits 1:0 RP, relative performance: 0 best to 3 degraded; bits 7:2 reserved.
        3 pub relative_performance: u8,
    }

    /// I/O Command Set Independent Identify Namespace Data Structure, CNS 08h (NVM Express Base
    /// 2.0, section 5.17.2.8, Figure 280).
    pub struct IndependentNamespace: 4096 {
        /// NSFEAT, common namespace features.
        0 pub features: u8,
        /// NMIC, namespace multi-path I/O and namespace sharing capabilities: bit 0 it can be
        /// attached to several controllers.
        1 pub sharing: u8,
        /// RESCAP, reservation capabilities.
        2 pub reservation_capabilities: u8,
        /// FPI, format progress indicator.
        3 pub format_progress: u8,
        /// ANAGRPID, ANA group identifier.
        7:4 pub ana_group_id: U32,
        /// NSATTR, namespace attributes: bit 0 it is write protected.
        8 pub attributes: u8,
        9 pub(crate) reserved_9: u8,
        /// NVMSETID, NVM set identifier.
        11:10 pub nvm_set_id: U16,
        /// ENDGID, endurance group identifier.
        13:12 pub endurance_group_id: U16,
        /// NSTAT, namespace status: bit 0 NRDY, the namespace is ready.
        14 pub status: u8,
        4095:15 pub(crate) reserved_15: [u8; 4081],
    }

    /// What stands before the value of a Namespace Identification Descriptor, CNS 03h (NVM Express
    /// Base 2.0, section 5.17.2.3, Figure 277).
    ///
    /// The next descriptor follows the value. A descriptor of length 0 ends the list.
    pub struct NamespaceDescriptorHeader: 4 {
        /// NIDT, namespace identifier type.
        0 pub descriptor_type: NamespaceDescriptorType,
        /// NIDL, namespace identifier length: bytes of the value.
        1 pub length: u8,
        3:2 pub(crate) reserved_2: [u8; 2],
    }

    /// The Request Data of Namespace Management that creates a namespace (NVM Express Base 2.0,
    /// section 5.23, Figures 297 to 302).
    ///
    /// The fields stand where [`IdentifyNamespace`] has them.
    pub struct NamespaceManagementData: 4096 {
        /// NSZE, namespace size in blocks.
        7:0 pub size: U64,
        /// NCAP, namespace capacity in blocks.
        15:8 pub capacity: U64,
        25:16 pub(crate) reserved_16: [u8; 10],
        /// FLBAS, formatted LBA size: bits 3:0 and 6:5 lower and upper bits of the index of the LBA
        /// format.
        26 pub formatted_size: u8,
        28:27 pub(crate) reserved_27: [u8; 2],
        /// DPS, end-to-end data protection type settings: bits 2:0 the type, 0 none.
        29 pub protection_settings: u8,
        /// NMIC, namespace multi-path I/O and namespace sharing capabilities: bit 0 it can be
        /// attached to several controllers.
        30 pub sharing: u8,
        91:31 pub(crate) reserved_31: [u8; 61],
        /// ANAGRPID, ANA group identifier: 0 the controller chooses.
        95:92 pub ana_group_id: U32,
        99:96 pub(crate) reserved_96: [u8; 4],
        /// NVMSETID, NVM set identifier: 0 the controller chooses.
        101:100 pub nvm_set_id: U16,
        /// ENDGID, endurance group identifier: 0 the controller chooses.
        103:102 pub endurance_group_id: U16,
        4095:104 pub(crate) reserved_104: [u8; 3992],
    }
}

impl IdentifyNamespace {
    /// The index of the LBA format: both parts of FLBAS.
    pub const fn format_index(&self) -> u8 {
        format_index(self.formatted_size)
    }
}

impl NamespaceManagementData {
    /// The index of the LBA format: both parts of FLBAS.
    pub const fn format_index(&self) -> u8 {
        format_index(self.formatted_size)
    }
}

/// The index of the LBA format that FLBAS has in two parts.
pub(crate) const fn format_index(formatted_size: u8) -> u8 {
    formatted_size & 0xF | (formatted_size >> 5 & 3) << 4
}
