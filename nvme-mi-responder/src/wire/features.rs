//! Features (NVM Express Base 2.0, section 5.27.1; over NVMe-MI: NVMe-MI 1.2, section 6.5).
//!
//! The value of a feature is in dword 11 of [`SetFeatures`](super::SetFeatures) and in dword 0 of
//! the completion of [`GetFeatures`](super::GetFeatures), or in data.
//!
//! ```
//! use nvme_mi_responder::wire::{AdminRequest, FeatureId, SetFeatures, TemperatureThreshold};
//! use zerocopy::transmute;
//!
//! // Warn when the composite temperature is 343 K or more.
//! let mut threshold = TemperatureThreshold::default();
//! threshold.threshold.set(343);
//! let mut command = SetFeatures::default();
//! command.feature_id = FeatureId::TEMPERATURE_THRESHOLD;
//! command.dword11 = transmute!(threshold);
//! let request = AdminRequest::new(0, 1, command);
//! assert_eq!(request.dwords_10_to_15[1], 343);
//!
//! let read: TemperatureThreshold = transmute!(request.dwords_10_to_15[1]);
//! assert_eq!(read.threshold, 343);
//! ```

use zerocopy::little_endian::U16;

use super::layout::{values, wire};

values! {
    /// FID, a feature identifier (NVM Express Base 2.0, section 5.27.1, Figure 316; over NVMe-MI:
    /// NVMe-MI 1.2, section 6.5, Figures 123 to 125). Values from C0h are the vendor's.
    pub struct FeatureId(u8) {
        /// Arbitration (section 5.27.1.1): Set is prohibited over NVMe-MI.
        ARBITRATION = 0x01,
        /// Power Management (section 5.27.1.2).
        POWER_MANAGEMENT = 0x02,
        /// Temperature Threshold (section 5.27.1.3): [`TemperatureThreshold`].
        TEMPERATURE_THRESHOLD = 0x04,
        /// Volatile Write Cache (section 5.27.1.4): Set is prohibited over NVMe-MI.
        VOLATILE_WRITE_CACHE = 0x06,
        /// Number of Queues (section 5.27.1.5): Set is prohibited over NVMe-MI.
        NUMBER_OF_QUEUES = 0x07,
        /// Asynchronous Event Configuration (section 5.27.1.8): Set is prohibited over NVMe-MI.
        ASYNCHRONOUS_EVENT_CONFIGURATION = 0x0B,
        /// Autonomous Power State Transition (section 5.27.1.9).
        AUTONOMOUS_POWER_STATE_TRANSITION = 0x0C,
        /// Host Memory Buffer (section 5.27.1.10): Set is prohibited over NVMe-MI.
        HOST_MEMORY_BUFFER = 0x0D,
        /// Timestamp (section 5.27.1.11): [`Timestamp`].
        TIMESTAMP = 0x0E,
        /// Keep Alive Timer (section 5.27.1.12): Set is prohibited over NVMe-MI.
        KEEP_ALIVE_TIMER = 0x0F,
        /// Host Controlled Thermal Management (section 5.27.1.13).
        HOST_CONTROLLED_THERMAL_MANAGEMENT = 0x10,
        /// Non-Operational Power State Config (section 5.27.1.14).
        NON_OPERATIONAL_POWER_STATE_CONFIG = 0x11,
        /// Host Behavior Support (section 5.27.1.18): Set is prohibited over NVMe-MI.
        HOST_BEHAVIOR_SUPPORT = 0x16,
        /// Sanitize Config (section 5.27.1.19).
        SANITIZE_CONFIG = 0x17,
        /// I/O Command Set Profile (section 5.27.1.21).
        IO_COMMAND_SET_PROFILE = 0x19,
        /// Spinup Control (section 5.27.1.22).
        SPINUP_CONTROL = 0x1A,
        /// Enhanced Controller Metadata (section 5.27.1.23.1): [`MetadataHeader`].
        ENHANCED_CONTROLLER_METADATA = 0x7D,
        /// Controller Metadata (section 5.27.1.23.2): [`MetadataHeader`].
        CONTROLLER_METADATA = 0x7E,
        /// Namespace Metadata (section 5.27.1.23.3): [`MetadataHeader`].
        NAMESPACE_METADATA = 0x7F,
        /// Software Progress Marker (section 5.27.1.24).
        SOFTWARE_PROGRESS_MARKER = 0x80,
        /// Host Identifier (section 5.27.1.25).
        HOST_IDENTIFIER = 0x81,
        /// Namespace Write Protection Config (section 5.27.1.28).
        NAMESPACE_WRITE_PROTECTION = 0x84,
    }

    /// SEL, which value of a feature Get Features returns (NVM Express Base 2.0, section 5.15,
    /// Figure 192). Others are reserved.
    pub struct FeatureSelect(u8) {
        /// The current value.
        CURRENT = 0x0,
        /// The default.
        DEFAULT = 0x1,
        /// The saved value.
        SAVED = 0x2,
        /// Supported capabilities: bit 0 saveable, bit 1 namespace specific, bit 2 changeable.
        SUPPORTED_CAPABILITIES = 0x3,
    }
}

wire! {
    /// The value of the Temperature Threshold feature, FID 04h (NVM Express Base 2.0, section
    /// 5.27.1.3, Figure 320): dword 11 of Set and Get Features, dword 0 of the completion of Get
    /// Features.
    pub struct TemperatureThreshold: 4 {
        /// TMPTH, temperature threshold in kelvins.
        1:0 pub threshold: U16,
        /// Bits 3:0 TMPSEL, threshold temperature select: 0 composite temperature, 1 to 8
        /// temperature sensor 1 to 8, Fh all of them (Set only); bits 5:4 THSEL, threshold type
        /// select: 0 over temperature, 1 under temperature; bits 7:6 reserved.
        2 pub select: u8,
        3 pub(crate) reserved_3: u8,
    }

    /// The data of the Timestamp feature, FID 0Eh (NVM Express Base 2.0, section 5.27.1.11, Figures
    /// 339 and 340).
    pub struct Timestamp: 8 {
        /// Timestamp: milliseconds since 1 January 1970, 00:00 UTC.
        5:0 pub milliseconds: [u8; 6],
        /// Get: bit 0 SYNCH, the controller may have stopped counting; bits 3:1 timestamp origin, 0
        /// cleared by a reset, 1 set with Set Features; bits 7:4 reserved. Set: reserved.
        6 pub attributes: u8,
        7 pub(crate) reserved_7: u8,
    }

    /// What stands before the descriptors in the Host Metadata Data Structure of FID 7Dh, 7Eh and
    /// 7Fh (NVM Express Base 2.0, section 5.27.1.23, Figures 358 to 363).
    ///
    /// The descriptors follow from byte 2, without gaps: a [`MetadataDescriptor`] and a value each.
    /// The whole has 4096 bytes.
    pub struct MetadataHeader: 2 {
        /// Number of metadata element descriptors.
        0 pub count: u8,
        1 pub(crate) reserved_1: u8,
    }

    /// What stands before the value of a Metadata Element Descriptor (NVM Express Base 2.0, section
    /// 5.27.1.23, Figures 358 to 363).
    pub struct MetadataDescriptor: 4 {
        /// Bits 5:0 ET, element type; bits 7:6 reserved.
        0 pub element_type: u8,
        /// Bits 3:0 ER, element revision; bits 7:4 reserved.
        1 pub revision: u8,
        /// ELEN, element length: bytes of the value, which is UTF-8 text.
        3:2 pub length: U16,
    }
}

impl TemperatureThreshold {
    /// TMPSEL: 0 composite temperature, 1 to 8 temperature sensor 1 to 8, Fh all of them.
    pub const fn temperature_select(self) -> u8 {
        self.select & 0xF
    }

    /// THSEL: 0 over temperature, 1 under temperature.
    pub const fn threshold_type(self) -> u8 {
        self.select >> 4 & 3
    }
}

impl Timestamp {
    /// Timestamp origin in `attributes`: set with Set Features.
    pub const SET_BY_HOST: u8 = 1 << 1;

    /// The number of milliseconds.
    pub const fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.milliseconds;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}
