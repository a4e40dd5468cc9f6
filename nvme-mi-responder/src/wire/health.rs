//! The data structures of the health status polls (NVMe-MI 1.2, sections 5.3 and 5.6).
//!
//! The responder sends them from byte 8 of a [`ManagementResponse`](super::ManagementResponse).
//!
//! ```
//! use nvme_mi_responder::wire::SubsystemHealth;
//! use zerocopy::{FromBytes, IntoBytes};
//!
//! let mut health = SubsystemHealth::default();
//! health.status = SubsystemHealth::DRIVE_FUNCTIONAL
//!     | SubsystemHealth::RESET_NOT_REQUIRED
//!     | SubsystemHealth::PORT_0_LINK_ACTIVE;
//! health.smart_warnings = 0xFF;
//! health.composite_temperature = 30;
//! health.composite_controller_status.set(SubsystemHealth::READY);
//! assert_eq!(health.as_bytes(), [0x38, 0xFF, 30, 0, 1, 0, 0, 0]);
//!
//! let read = SubsystemHealth::read_from_bytes(&[0x38, 0xFD, 71, 0, 0, 3, 0, 0]).unwrap();
//! assert_eq!(!read.smart_warnings & 0x3F, 1 << 1, "a temperature is over its threshold");
//! ```

use zerocopy::little_endian::U16;

use super::layout::wire;

wire! {
    /// NVM Subsystem Health Data Structure (NVMe-MI 1.2, section 5.6, Figure 89).
    pub struct SubsystemHealth: 8 {
        /// NSS, NVM subsystem status: bit 7 ATF, an Asynchronous Event Message was not acknowledged
        /// (2.0); 6 SFM, sanitize failure mode (2.0); 5 DF, the drive is functional; 4 RNR, a reset
        /// is not required; 3 P0LA, the PCIe link of port 0 is active; 2 P1LA, that of port 1 is;
        /// 1:0 reserved.
        0 pub status: u8,
        /// SW, SMART warnings: each bit the inverse of the same bit of the critical warning of the
        /// [SMART / Health Information log](super::SmartHealth), 0 if any controller has that
        /// warning. FFh is none.
        1 pub smart_warnings: u8,
        /// CTEMP, composite temperature in degrees Celsius: 00h to 7Eh 0 to 126; 7Fh 127 or more;
        /// 80h no data, or too old; 81h the sensor failed; C4h -60 or less; C5h to FFh -59
        /// to -1; others reserved.
        2 pub composite_temperature: u8,
        /// PDLU, percentage drive life used: 0 to 254; 255 is more.
        3 pub percentage_used: u8,
        /// CCS, composite controller status: what changed in any controller since the bit was
        /// cleared. Bit 0 RDY, 1 CFS, 2 SHST, 4 NSSRO, 5 CECO, 6 NAC, 7 FA, 8 CSTS, 9 CTEMP, 10
        /// PDLU, 11 SPARE, 12 CWARN, 13 TCIDA (2.0): the constants of this type.
        5:4 pub composite_controller_status: U16,
        7:6 pub(crate) reserved_6: [u8; 2],
    }

    /// Controller Health Data Structure, one for each controller that a poll returns (NVMe-MI 1.2,
    /// section 5.3, Figure 79).
    pub struct ControllerHealth: 16 {
        /// CTLID, controller identifier.
        1:0 pub controller_id: U16,
        /// CSTS, controller status: bit 0 RDY, ready; 1 CFS, controller fatal status; 3:2 SHST,
        /// shutdown status; 4 NSSRO, NVM subsystem reset occurred; 5 CECO, controller enable change
        /// occurred; 6 NAC, namespace attribute changed; 7 FA, firmware activated; 8 TCIDA,
        /// telemetry controller-initiated data available (2.0).
        3:2 pub status: U16,
        /// CTEMP, composite temperature in kelvins.
        5:4 pub composite_temperature: U16,
        /// PDLU, percentage used: 0 to 254; 255 is more.
        6 pub percentage_used: u8,
        /// SPARE, available spare in percent: 0 to 100.
        7 pub available_spare: u8,
        /// CWARN, critical warning, not inverted: bit 0 ST, the spare is below its threshold; 1
        /// TAUT, a temperature is above or under its threshold; 2 RD, reliability is degraded; 3
        /// RO, the media are read only; 4 VMBF, the volatile memory backup failed; 5 PMRE, the
        /// persistent memory region is read only or unreliable (2.x).
        8 pub critical_warning: u8,
        /// CHSCF, controller health status changed flags, with the bits of CCS in
        /// [`SubsystemHealth`] (2.x; Figure 80 has the flags, and 1.2 does not return them).
        10:9 pub changed_flags: U16,
        15:11 pub(crate) reserved_11: [u8; 5],
    }
}

impl SubsystemHealth {
    /// ATF in `status` (2.0).
    pub const EVENT_TRANSMISSION_FAILED: u8 = 1 << 7;
    /// SFM in `status` (2.0).
    pub const SANITIZE_FAILURE_MODE: u8 = 1 << 6;
    /// DF in `status`.
    pub const DRIVE_FUNCTIONAL: u8 = 1 << 5;
    /// RNR in `status`.
    pub const RESET_NOT_REQUIRED: u8 = 1 << 4;
    /// P0LA in `status`.
    pub const PORT_0_LINK_ACTIVE: u8 = 1 << 3;
    /// P1LA in `status`.
    pub const PORT_1_LINK_ACTIVE: u8 = 1 << 2;

    /// CTEMP: there are no data, or they are too old.
    pub const NO_TEMPERATURE: u8 = 0x80;
    /// CTEMP: the sensor failed.
    pub const SENSOR_FAILED: u8 = 0x81;
}

/// In `composite_controller_status`, and in `changed_flags` of a controller (NVMe-MI 1.2, section
/// 5.3.2, Figure 80).
impl SubsystemHealth {
    /// RDY: a controller became ready.
    pub const READY: u16 = 1 << 0;
    /// CFS: a controller got its fatal status.
    pub const CONTROLLER_FATAL_STATUS: u16 = 1 << 1;
    /// SHST: the shutdown status of a controller changed.
    pub const SHUTDOWN_STATUS: u16 = 1 << 2;
    /// NSSRO: an NVM Subsystem Reset occurred.
    pub const SUBSYSTEM_RESET_OCCURRED: u16 = 1 << 4;
    /// CECO: a controller was enabled or disabled.
    pub const ENABLE_CHANGE_OCCURRED: u16 = 1 << 5;
    /// NAC: an attribute of a namespace changed.
    pub const NAMESPACE_ATTRIBUTE_CHANGED: u16 = 1 << 6;
    /// FA: firmware was activated.
    pub const FIRMWARE_ACTIVATED: u16 = 1 << 7;
    /// CSTS: one of the previous.
    pub const CONTROLLER_STATUS_CHANGE: u16 = 1 << 8;
    /// CTEMP: the composite temperature changed.
    pub const TEMPERATURE_CHANGE: u16 = 1 << 9;
    /// PDLU: the percentage used changed.
    pub const PERCENTAGE_USED_CHANGE: u16 = 1 << 10;
    /// SPARE: the available spare changed.
    pub const AVAILABLE_SPARE_CHANGE: u16 = 1 << 11;
    /// CWARN: a critical warning was set.
    pub const CRITICAL_WARNING_CHANGE: u16 = 1 << 12;
    /// TCIDA: telemetry of the controller became available (2.0).
    pub const TELEMETRY_AVAILABLE: u16 = 1 << 13;
}

/// In `status`.
impl ControllerHealth {
    /// RDY: the controller is ready.
    pub const READY: u16 = 1 << 0;
    /// CFS, controller fatal status.
    pub const FATAL_STATUS: u16 = 1 << 1;
    /// SHST, shutdown status: 0 normal operation, 1 shutdown occurs, 2 shutdown is complete.
    pub const SHUTDOWN_STATUS: u16 = 3 << 2;
    /// NSSRO: an NVM Subsystem Reset occurred.
    pub const SUBSYSTEM_RESET_OCCURRED: u16 = 1 << 4;
    /// CECO: the controller was enabled or disabled.
    pub const ENABLE_CHANGE_OCCURRED: u16 = 1 << 5;
    /// NAC: an attribute of a namespace changed.
    pub const NAMESPACE_ATTRIBUTE_CHANGED: u16 = 1 << 6;
    /// FA: firmware was activated.
    pub const FIRMWARE_ACTIVATED: u16 = 1 << 7;
    /// TCIDA: telemetry of the controller is available (2.0).
    pub const TELEMETRY_AVAILABLE: u16 = 1 << 8;
}
