//! What a controller reports of its health.

/// Critical Warning (NVM Express Base 2.0): byte 0 of the SMART log, not inverted.
///
/// | bit | meaning |
/// |-|-|
/// | 0 | available spare is below its threshold |
/// | 1 | a temperature is at or beyond a threshold |
/// | 2 | reliability is degraded |
/// | 3 | the media are read-only |
/// | 4 | the volatile memory backup failed |
/// | 5 | the persistent memory region is unreliable |
pub type CriticalWarning = u8;

/// What a controller reports of its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HealthReport {
    /// Bits as in [`CriticalWarning`].
    pub critical_warning: CriticalWarning,
    /// Composite temperature in kelvins. 0: not known.
    pub temperature: u16,
    /// Available spare in percent, 0 to 100.
    pub available_spare: u8,
    /// The available spare below which bit 0 of the warning is set, in percent.
    pub spare_threshold: u8,
    /// Percentage of the drive's life that is used; 255 means 255 or more.
    pub percentage_used: u8,
    /// Thousands of 512-byte units that the host read.
    pub data_units_read: u64,
    /// Thousands of 512-byte units that the host wrote.
    pub data_units_written: u64,
    /// Read commands completed.
    pub host_reads: u64,
    /// Write commands completed.
    pub host_writes: u64,
    /// Minutes that the controller was busy with I/O.
    pub busy_minutes: u64,
    /// Power cycles.
    pub power_cycles: u64,
    /// Hours powered on.
    pub power_on_hours: u64,
    /// Shutdowns without notice.
    pub unsafe_shutdowns: u64,
    /// Unrecovered data integrity errors.
    pub media_errors: u64,
    /// Minutes at or above the warning temperature.
    pub warning_minutes: u32,
    /// Minutes at or above the critical temperature.
    pub critical_minutes: u32,
    /// Temperatures of sensors 1 to 8 in kelvins. 0: there is no such sensor.
    pub sensors: [u16; 8],
}

impl HealthReport {
    /// 303 kelvins, all of the spare, 3 % used, no warning.
    pub const fn healthy() -> Self {
        Self {
            critical_warning: 0,
            temperature: 303,
            available_spare: 100,
            spare_threshold: 10,
            percentage_used: 3,
            data_units_read: 0,
            data_units_written: 0,
            host_reads: 0,
            host_writes: 0,
            busy_minutes: 0,
            power_cycles: 1,
            power_on_hours: 0,
            unsafe_shutdowns: 0,
            media_errors: 0,
            warning_minutes: 0,
            critical_minutes: 0,
            sensors: [0; 8],
        }
    }
}
