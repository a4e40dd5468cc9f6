//! Vital Product Data: what [`VpdRead`](super::VpdRead) and [`VpdWrite`](super::VpdWrite) carry
//! (NVMe-MI 1.2, section 8.2), in the form of the IPMI Platform Management FRU Information Storage
//! Definition.
//!
//! The elements follow each other: common header, product info area, NVMe MultiRecord, NVMe PCIe
//! Port MultiRecord, Topology MultiRecord. Checksums make the sum of their bytes 0 modulo 256.
//!
//! ```
//! use nvme_mi_responder::wire::{VpdCommonHeader, zero_checksum};
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! // A product info area from byte 8, records from byte 120.
//! let mut header = VpdCommonHeader::default();
//! header.format_version = 1;
//! header.product_info_offset = 8 / 8;
//! header.multi_record_offset = 120 / 8;
//! header.checksum = zero_checksum(header.as_bytes());
//! assert_eq!(header.as_bytes(), [1, 0, 0, 0, 1, 15, 0, 0xEF]);
//!
//! let bytes = [1, 0, 0, 0, 1, 15, 0, 0xEF];
//! let header = VpdCommonHeader::read_from_bytes(&bytes).unwrap();
//! assert_eq!(zero_checksum(header.as_bytes()), 0, "the header is intact");
//! ```

use zerocopy::little_endian::U128;

use super::layout::{values, wire};

values! {
    /// The type of a MultiRecord of the VPD (NVMe-MI 1.2, section 8.2, Figure 146).
    pub struct VpdRecordType(u8) {
        /// NVMe MultiRecord (section 8.2.3): [`NvmeMultiRecord`].
        NVME = 0x0B,
        /// NVMe PCIe Port MultiRecord (section 8.2.4): [`NvmePciePortMultiRecord`].
        NVME_PCIE_PORT = 0x0C,
        /// Topology MultiRecord (section 8.2.5).
        TOPOLOGY = 0x0D,
    }
}

wire! {
    /// Common Header of the VPD (NVMe-MI 1.2, section 8.2.1, Figures 148 and 149).
    ///
    /// Offsets are in units of 8 bytes from the beginning of the VPD; 0 means that there is no such
    /// area.
    pub struct VpdCommonHeader: 8 {
        /// IPMI format version number: 1.
        0 pub format_version: u8,
        /// Internal use area starting offset.
        1 pub internal_use_offset: u8,
        /// Chassis info area starting offset.
        2 pub chassis_info_offset: u8,
        /// Board info area starting offset.
        3 pub board_info_offset: u8,
        /// Product info area starting offset.
        4 pub product_info_offset: u8,
        /// MultiRecord info area starting offset.
        5 pub multi_record_offset: u8,
        6 pub(crate) reserved_6: u8,
        /// Common header checksum.
        7 pub checksum: u8,
    }

    /// Product Info Area of the VPD (NVMe-MI 1.2, section 8.2.2, Figure 150).
    ///
    /// A type/length byte has in bits 7:6 how the text is encoded, 3 for ASCII, and in bits 5:0 how
    /// many bytes it has.
    pub struct VpdProductInfo: 112 {
        /// IPMI format version number: 1.
        0 pub format_version: u8,
        /// PALEN, product area length in units of 8 bytes: 14.
        1 pub area_length: u8,
        /// Language code: 19h, English.
        2 pub language_code: u8,
        /// MNTL, manufacturer name type/length.
        3 pub manufacturer_name_length: u8,
        /// MNAME, manufacturer name.
        11:4 pub manufacturer_name: [u8; 8],
        /// PNTL, product name type/length.
        12 pub product_name_length: u8,
        /// PNAME, product name.
        36:13 pub product_name: [u8; 24],
        /// PPMNNTL, product part/model number type/length.
        37 pub model_number_length: u8,
        /// PPMN, product part/model number.
        77:38 pub model_number: [u8; 40],
        /// PVTL, product version type/length.
        78 pub product_version_length: u8,
        /// PVER, product version.
        80:79 pub product_version: [u8; 2],
        /// PSNTL, product serial number type/length.
        81 pub serial_number_length: u8,
        /// PSN, product serial number.
        101:82 pub serial_number: [u8; 20],
        /// ATTL, asset tag type/length: 0, there is none.
        102 pub asset_tag_length: u8,
        /// FFTL, FRU file ID type/length: 0, there is none.
        103 pub fru_file_id_length: u8,
        /// EOR, end of record: C1h.
        104 pub end_of_record: u8,
        110:105 pub(crate) reserved_105: [u8; 6],
        /// PICHK, product info area checksum.
        111 pub checksum: u8,
    }

    /// The header of every MultiRecord of the VPD (NVMe-MI 1.2, sections 8.2.3 to 8.2.5, Figures
    /// 151 to 153).
    pub struct VpdRecordHeader: 5 {
        /// Record type ID.
        0 pub record_type: VpdRecordType,
        /// Record format: bit 7 last record; bits 6:4 reserved; bits 3:0 record format version, 2.
        1 pub format: u8,
        /// RLEN, record length: bytes of the record behind this header.
        2 pub length: u8,
        /// RCHK, record checksum: of the bytes behind this header.
        3 pub record_checksum: u8,
        /// HCHK, header checksum: of this header.
        4 pub header_checksum: u8,
    }

    /// NVMe MultiRecord of the VPD (NVMe-MI 1.2, section 8.2.3, Figure 151).
    ///
    /// Powers are in watts: 0 if the supply is not used.
    pub struct NvmeMultiRecord: 64 {
        /// The header, type 0Bh.
        4:0 pub header: VpdRecordHeader,
        /// NMRAVN, NVMe MultiRecord area version number.
        5 pub version: u8,
        /// Management endpoint form factor.
        6 pub form_factor: u8,
        12:7 pub(crate) reserved_7: [u8; 6],
        /// Initial 1.8 V power supply requirements.
        13 pub initial_1_8_volt: u8,
        /// Maximum 1.8 V power supply requirements.
        14 pub maximum_1_8_volt: u8,
        /// Initial 3.3 V power supply requirements.
        15 pub initial_3_3_volt: u8,
        /// Maximum 3.3 V power supply requirements.
        16 pub maximum_3_3_volt: u8,
        17 pub(crate) reserved_17: u8,
        /// Maximum 3.3 V aux power supply requirements.
        18 pub maximum_3_3_volt_aux: u8,
        /// Initial 5 V power supply requirements.
        19 pub initial_5_volt: u8,
        /// Maximum 5 V power supply requirements.
        20 pub maximum_5_volt: u8,
        /// Initial 12 V power supply requirements.
        21 pub initial_12_volt: u8,
        /// Maximum 12 V power supply requirements.
        22 pub maximum_12_volt: u8,
        /// Maximum thermal load in watts.
        23 pub maximum_thermal_load: u8,
        /// Total NVM capacity in bytes: 0 if it is not reported.
        39:24 pub total_capacity: U128,
        63:40 pub(crate) reserved_40: [u8; 24],
    }

    /// NVMe PCIe Port MultiRecord of the VPD (NVMe-MI 1.2, section 8.2.4, Figure 152).
    pub struct NvmePciePortMultiRecord: 16 {
        /// The header, type 0Ch.
        4:0 pub header: VpdRecordHeader,
        /// NPPMRAVN, NVMe PCIe port MultiRecord area version number.
        5 pub version: u8,
        /// PCIe port number.
        6 pub port_number: u8,
        /// Port information: bit 0, what follows is so for all PCIe ports; bits 7:1 reserved.
        7 pub port_information: u8,
        /// PCIe link speeds supported: bit 0 2.5 GT/s, 1 5 GT/s, 2 8 GT/s, 3 16 GT/s, 4 32 GT/s.
        8 pub link_speeds: u8,
        /// PCIe maximum link width in lanes.
        9 pub maximum_link_width: u8,
        /// MCTP support: bit 0, the port supports MCTP over PCIe.
        10 pub mctp_support: u8,
        /// Ref Clk capability: bit 0 common clock, 1 SRNS, 2 SRIS, 3 the device tells them apart
        /// by itself.
        11 pub reference_clock: u8,
        /// Port identifier.
        12 pub port_id: u8,
        15:13 pub(crate) reserved_13: [u8; 3],
    }
}

/// What has to be added to the checksum byte in `bytes` so that their sum is 0 modulo 256: the
/// checksum itself while that byte is 0, and 0 if it is right.
pub fn zero_checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |checksum: u8, byte| checksum.wrapping_sub(*byte))
}
