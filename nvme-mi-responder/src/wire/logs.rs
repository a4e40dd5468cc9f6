//! Log pages (NVM Express Base 2.0, section 5.16.1; over NVMe-MI: NVMe-MI 1.2, section 6.3).
//!
//! The responder sends them, or parts of them, as Response Data of
//! [`GetLogPage`](super::GetLogPage).
//!
//! ```
//! use nvme_mi_responder::wire::SmartHealth;
//! use zerocopy::FromBytes;
//!
//! let mut data = [0; 512];
//! data[1..6].copy_from_slice(&[0x39, 0x01, 100, 10, 3]);
//! data[112] = 7;
//! let log = SmartHealth::ref_from_bytes(&data).unwrap();
//! assert_eq!(log.composite_temperature.get(), 313);
//! assert_eq!((log.available_spare, log.percentage_used), (100, 3));
//! assert_eq!(log.power_cycles.get(), 7);
//! ```

use zerocopy::little_endian::{U16, U32, U64, U128};

use super::layout::{values, wire};

values! {
    /// LID, a log page identifier (NVM Express Base 2.0, section 5.16.1, Figure 202; over NVMe-MI:
    /// NVMe-MI 1.2, section 6.3, Figure 121). Values from C0h are the vendor's.
    pub struct LogPageId(u8) {
        /// Supported Log Pages (section 5.16.1.1): [`SupportedLogPages`]. Mandatory.
        SUPPORTED_LOG_PAGES = 0x00,
        /// Error Information (section 5.16.1.2): [`ErrorInformation`]. Mandatory.
        ERROR_INFORMATION = 0x01,
        /// SMART / Health Information (section 5.16.1.3): [`SmartHealth`]. Mandatory.
        SMART_HEALTH = 0x02,
        /// Firmware Slot Information (section 5.16.1.4): [`FirmwareSlotInformation`]. Mandatory.
        FIRMWARE_SLOT_INFORMATION = 0x03,
        /// Changed Namespace List (section 5.16.1.5): namespace IDs, 4 bytes each.
        CHANGED_NAMESPACE_LIST = 0x04,
        /// Commands Supported and Effects (section 5.16.1.6): [`CommandEffects`].
        COMMAND_EFFECTS = 0x05,
        /// Device Self-test (section 5.16.1.7): [`SelfTestLog`].
        DEVICE_SELF_TEST = 0x06,
        /// Telemetry Host-Initiated (section 5.16.1.8): [`TelemetryHeader`].
        TELEMETRY_HOST_INITIATED = 0x07,
        /// Telemetry Controller-Initiated (section 5.16.1.9): [`TelemetryHeader`].
        TELEMETRY_CONTROLLER_INITIATED = 0x08,
        /// Endurance Group Information (section 5.16.1.10).
        ENDURANCE_GROUP_INFORMATION = 0x09,
        /// Asymmetric Namespace Access (section 5.16.1.13).
        ASYMMETRIC_NAMESPACE_ACCESS = 0x0C,
        /// Persistent Event Log (section 5.16.1.14).
        PERSISTENT_EVENT = 0x0D,
        /// Feature Identifiers Supported and Effects (section 5.16.1.18): [`FeatureEffects`].
        /// Mandatory.
        FEATURE_EFFECTS = 0x12,
        /// NVMe-MI Commands Supported and Effects (section 5.16.1.19): [`ManagementEffects`].
        MANAGEMENT_EFFECTS = 0x13,
        /// Boot Partition (section 5.16.1.21).
        BOOT_PARTITION = 0x15,
        /// Reservation Notification (section 5.16.1.24).
        RESERVATION_NOTIFICATION = 0x80,
        /// Sanitize Status (section 5.16.1.25): [`SanitizeStatus`].
        SANITIZE_STATUS = 0x81,
    }
}

wire! {
    /// Supported Log Pages log, LID 00h (NVM Express Base 2.0, section 5.16.1.1, Figures 203 to
    /// 205).
    pub struct SupportedLogPages: 1024 {
        /// LID supported and effects, of each LID: bit 0 LSUPP, the log page is supported; bit 1
        /// IOS, an index can be its offset; bits 31:16 as the log page says.
        1023:0 pub log_pages: [U32; 256],
    }

    /// An entry of the Error Information log, LID 01h (NVM Express Base 2.0, section 5.16.1.2,
    /// Figure 206; bytes 30, 31 and 63: Base 2.1).
    pub struct ErrorInformation: 64 {
        /// Error count: the number of the error, from 1; 0 if the entry is not used.
        7:0 pub error_count: U64,
        /// SQID, submission queue identifier.
        9:8 pub submission_queue_id: U16,
        /// CID, command identifier.
        11:10 pub command_id: U16,
        /// Status field: bits 15:1 that of the completion, bit 0 the phase tag.
        13:12 pub status: U16,
        /// Parameter error location: bits 7:0 byte, bits 10:8 bit of the command; FFFFh none.
        15:14 pub parameter_error_location: U16,
        /// LBA, the first logical block with the error.
        23:16 pub logical_block: U64,
        /// Namespace.
        27:24 pub namespace_id: U32,
        /// Vendor specific information available: 0, or the log page with it.
        28 pub vendor_log_page: u8,
        /// TRTYPE, transport type.
        29 pub transport_type: u8,
        /// CSI, command set indicator (2.1).
        30 pub command_set: u8,
        /// OPC, opcode of the command (2.1).
        31 pub opcode: u8,
        /// Command specific information.
        39:32 pub command_specific: U64,
        /// Transport type specific information.
        41:40 pub transport_specific: U16,
        62:42 pub(crate) reserved_42: [u8; 21],
        /// LPVER, log page version (2.1): 1 if bytes 30 and 31 are valid.
        63 pub version: u8,
    }

    /// SMART / Health Information log, LID 02h (NVM Express Base 2.0, section 5.16.1.3, Figure
    /// 207).
    pub struct SmartHealth: 512 {
        /// Critical warning: bit 0 the available spare is below its threshold; 1 a temperature is
        /// over or under its threshold; 2 reliability is degraded; 3 the media are read only; 4
        /// the volatile memory backup failed; 5 the persistent memory region is read only or
        /// unreliable.
        0 pub critical_warning: u8,
        /// Composite temperature in kelvins.
        2:1 pub composite_temperature: U16,
        /// Available spare in percent: 0 to 100.
        3 pub available_spare: u8,
        /// Available spare threshold in percent.
        4 pub available_spare_threshold: u8,
        /// Percentage used: 0 to 254; 255 is more.
        5 pub percentage_used: u8,
        /// Endurance group critical warning summary.
        6 pub endurance_group_warning: u8,
        31:7 pub(crate) reserved_7: [u8; 25],
        /// Data units read, in thousands of 512 bytes.
        47:32 pub data_units_read: U128,
        /// Data units written, in thousands of 512 bytes.
        63:48 pub data_units_written: U128,
        /// Host read commands.
        79:64 pub host_read_commands: U128,
        /// Host write commands.
        95:80 pub host_write_commands: U128,
        /// Controller busy time in minutes.
        111:96 pub controller_busy_time: U128,
        /// Power cycles.
        127:112 pub power_cycles: U128,
        /// Power on hours.
        143:128 pub power_on_hours: U128,
        /// Unsafe shutdowns.
        159:144 pub unsafe_shutdowns: U128,
        /// Media and data integrity errors.
        175:160 pub media_errors: U128,
        /// Number of error information log entries over the life of the controller.
        191:176 pub error_log_entries: U128,
        /// Warning composite temperature time in minutes.
        195:192 pub warning_temperature_time: U32,
        /// Critical composite temperature time in minutes.
        199:196 pub critical_temperature_time: U32,
        /// Temperature sensor 1 to 8 in kelvins: 0 if there is none.
        215:200 pub temperature_sensors: [U16; 8],
        /// Thermal management temperature 1 transition count.
        219:216 pub thermal_transitions_1: U32,
        /// Thermal management temperature 2 transition count.
        223:220 pub thermal_transitions_2: U32,
        /// Total time for thermal management temperature 1 in seconds.
        227:224 pub thermal_time_1: U32,
        /// Total time for thermal management temperature 2 in seconds.
        231:228 pub thermal_time_2: U32,
        511:232 pub(crate) reserved_232: [u8; 280],
    }

    /// Firmware Slot Information log, LID 03h (NVM Express Base 2.0, section 5.16.1.4, Figure 209).
    pub struct FirmwareSlotInformation: 512 {
        /// AFI, active firmware info: bits 2:0 the slot of the firmware that runs, bits 6:4 the
        /// slot that is active after the next Controller Level Reset, 0 if that is not known.
        0 pub active_firmware: u8,
        7:1 pub(crate) reserved_1: [u8; 7],
        /// FRS1 to FRS7, firmware revision for slot 1 to 7: 8 characters of ASCII; zero if the slot
        /// is empty.
        63:8 pub revisions: [[u8; 8]; 7],
        511:64 pub(crate) reserved_64: [u8; 448],
    }

    /// Commands Supported and Effects log, LID 05h (NVM Express Base 2.0, section 5.16.1.6, Figures
    /// 210 and 211).
    ///
    /// Of each opcode: bit 0 CSUPP, supported; 1 LBCC, logical block content change; 2 NCC,
    /// namespace capability change; 3 NIC, namespace inventory change; 4 CCC, controller
    /// capability change; 18:16 CSE, command submission and execution: 0 no restriction, 1 no
    /// other command of the namespace, 2 no other command; bits 31:20 scope.
    pub struct CommandEffects: 4096 {
        /// ACS0 to ACS255, Admin commands supported.
        1023:0 pub admin_commands: [U32; 256],
        /// IOCS0 to IOCS255, I/O commands supported.
        2047:1024 pub io_commands: [U32; 256],
        4095:2048 pub(crate) reserved_2048: [u8; 2048],
    }

    /// Device Self-test log, LID 06h (NVM Express Base 2.0, section 5.16.1.7, Figure 212).
    pub struct SelfTestLog: 564 {
        /// Current device self-test operation: bits 3:0, 0 none, 1 short, 2 extended.
        0 pub current_operation: u8,
        /// Current device self-test completion: bits 6:0, in percent.
        1 pub completion: u8,
        3:2 pub(crate) reserved_2: [u8; 2],
        /// Results, the newest first.
        563:4 pub results: [SelfTestResult; 20],
    }

    /// Self-test Result Data Structure, in the Device Self-test log (NVM Express Base 2.0, section
    /// 5.16.1.7, Figure 213).
    pub struct SelfTestResult: 28 {
        /// Device self-test status: bits 7:4 the self-test code; bits 3:0 the result, 0 passed, 1
        /// aborted by Device Self-test, 2 by a Controller Level Reset, 3 a namespace was removed, 4
        /// aborted by Format NVM, 5 fatal error, 6 failed in an unknown segment, 7 failed in the
        /// segment of the next byte, 8 aborted, 9 aborted by a sanitize operation, Fh the entry is
        /// not used.
        0 pub status: u8,
        /// Segment number in which the test failed first.
        1 pub segment: u8,
        /// Valid diagnostic information: bit 0 NSID, 1 failing LBA, 2 status code type, 3 status
        /// code.
        2 pub valid: u8,
        3 pub(crate) reserved_3: u8,
        /// POH, power on hours.
        11:4 pub power_on_hours: U64,
        /// NSID, namespace identifier.
        15:12 pub namespace_id: U32,
        /// Failing LBA.
        23:16 pub failing_logical_block: U64,
        /// Status code type.
        24 pub status_code_type: u8,
        /// Status code.
        25 pub status_code: u8,
        27:26 pub(crate) vendor_26: [u8; 2],
    }

    /// The first block of the Telemetry logs, LID 07h and 08h (NVM Express Base 2.0, sections
    /// 5.16.1.8 and 5.16.1.9, Figures 214 to 216).
    ///
    /// Blocks of 512 bytes follow from byte 512: data area 1, then what area 2 and area 3 have
    /// more.
    pub struct TelemetryHeader: 512 {
        /// Log identifier.
        0 pub log_page_id: LogPageId,
        4:1 pub(crate) reserved_1: [u8; 4],
        /// IEEE OUI identifier, least significant byte first.
        7:5 pub ieee_oui: [u8; 3],
        /// Telemetry data area 1 last block: 0 if it is empty.
        9:8 pub data_area_1_last_block: U16,
        /// Telemetry data area 2 last block: that of area 1 if it is empty.
        11:10 pub data_area_2_last_block: U16,
        /// Telemetry data area 3 last block: that of area 2 if it is empty.
        13:12 pub data_area_3_last_block: U16,
        15:14 pub(crate) reserved_14: [u8; 2],
        /// Telemetry data area 4 last block, if the controller supports that area.
        19:16 pub data_area_4_last_block: U32,
        380:20 pub(crate) reserved_20: [u8; 361],
        /// LID 07h: telemetry host-initiated data generation number.
        381 pub host_generation: u8,
        /// Telemetry controller-initiated data available: 1 until LID 08h is read with RAE 0.
        382 pub controller_data_available: u8,
        /// Telemetry controller-initiated data generation number.
        383 pub controller_generation: u8,
        /// Reason identifier: the vendor's.
        511:384 pub reason_identifier: [u8; 128],
    }

    /// Feature Identifiers Supported and Effects log, LID 12h (NVM Express Base 2.0, section
    /// 5.16.1.18, Figures 255 and 256).
    pub struct FeatureEffects: 1024 {
        /// FID supported and effects, of each FID: bit 0 FSUPP, supported; 1 UDCC, user data
        /// content change; 2 NCC, namespace capability change; 3 NIC, namespace inventory change; 4
        /// CCC, controller capability change; bits 31:20 FSP, scope, of them 20 namespace, 21
        /// controller.
        1023:0 pub features: [U32; 256],
    }

    /// NVMe-MI Commands Supported and Effects log, LID 13h (NVM Express Base 2.0, section
    /// 5.16.1.19, Figures 257 and 258).
    pub struct ManagementEffects: 4096 {
        /// NVMe-MI command supported and effects, of each opcode, with the bits of LID 12h.
        1023:0 pub commands: [U32; 256],
        4095:1024 pub(crate) reserved_1024: [u8; 3072],
    }

    /// Sanitize Status log, LID 81h (NVM Express Base 2.0, section 5.16.1.25, Figure 267).
    ///
    /// An estimate of FFFFFFFFh is not reported.
    pub struct SanitizeStatus: 512 {
        /// SPROG, sanitize progress: the part that is done, of 65536; FFFFh if no operation is in
        /// progress.
        1:0 pub progress: U16,
        /// SSTAT, sanitize status: bits 2:0 the most recent operation, 0 never sanitized, 1
        /// completed, 2 in progress, 3 failed, 4 completed without deallocation; bits 7:3 completed
        /// overwrite passes; bit 8 global data erased; bit 9 media verification canceled (2.1).
        3:2 pub status: U16,
        /// SCDW10, sanitize command dword 10 information.
        7:4 pub command_dword10: U32,
        /// Estimated time for overwrite in seconds.
        11:8 pub overwrite_time: U32,
        /// Estimated time for block erase in seconds.
        15:12 pub block_erase_time: U32,
        /// Estimated time for crypto erase in seconds.
        19:16 pub crypto_erase_time: U32,
        /// Estimated time for overwrite with no-deallocate in seconds.
        23:20 pub overwrite_no_deallocate_time: U32,
        /// Estimated time for block erase with no-deallocate in seconds.
        27:24 pub block_erase_no_deallocate_time: U32,
        /// Estimated time for crypto erase with no-deallocate in seconds.
        31:28 pub crypto_erase_no_deallocate_time: U32,
        /// ETPVDS, estimated time for post-verification deallocation in seconds (2.1).
        35:32 pub post_verification_time: U32,
        /// SSI, sanitize state information (2.1).
        36 pub state: u8,
        511:37 pub(crate) reserved_37: [u8; 475],
    }
}

impl SanitizeStatus {
    /// Global data erased, in `status`: nothing was written since the last sanitize operation.
    pub const GLOBAL_DATA_ERASED: u16 = 1 << 8;
    /// An estimate that is not reported.
    pub const NOT_REPORTED: u32 = u32::MAX;
}
