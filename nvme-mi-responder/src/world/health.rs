//! Temperature, wear, spare and warnings.

use crate::model::ControllerId;

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

/// Where the health of controllers comes from. It is asked for every controller before every
/// message, so that changes are seen.
///
/// A [`HealthReport`] is one: the same for all controllers until it is changed.
pub trait Health {
    /// The health of `controller` now.
    fn report(&mut self, controller: ControllerId) -> HealthReport;

    /// The composite temperature in kelvins from which on the device is too hot to perform well
    /// (WCTEMP), and from which on feature 04h warns by default.
    fn warning_temperature(&self) -> u16 {
        343
    }

    /// The composite temperature in kelvins from which on the device may fail (CCTEMP).
    fn critical_temperature(&self) -> u16 {
        353
    }

    /// A host asked for telemetry to be captured: what [`read_telemetry`](Self::read_telemetry)
    /// returns as [`Initiator::Host`] is now that of this moment.
    fn capture_telemetry(&mut self, controller: ControllerId) {
        let _ = controller;
    }

    /// How much captured telemetry there is, in blocks of 512 bytes. None, the default: the
    /// telemetry logs have headers only.
    fn telemetry_blocks(&self, controller: ControllerId, initiator: Initiator) -> u16 {
        let _ = (controller, initiator);
        0
    }

    /// Fills `into`, which is zero, with captured telemetry from `offset` on.
    fn read_telemetry(
        &mut self,
        controller: ControllerId,
        initiator: Initiator,
        offset: u32,
        into: &mut [u8],
    ) {
        let _ = (controller, initiator, offset, into);
    }
}

/// Who had telemetry captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Initiator {
    /// A host, with Get Log Page.
    Host,
    /// The controller itself; see [`Model::telemetry_captured`](crate::Model::telemetry_captured).
    Controller,
}

impl Health for HealthReport {
    fn report(&mut self, _: ControllerId) -> HealthReport {
        *self
    }
}

/// Adds telemetry of `BYTES` bytes, kept in memory, to another source of health.
#[derive(Clone, Copy, Debug)]
pub struct MemoryTelemetry<H, const BYTES: usize> {
    /// Temperature, wear, spare and warnings.
    pub health: H,
    /// What a capture takes.
    pub content: [u8; BYTES],
    by_host: Option<[u8; BYTES]>,
    by_controller: Option<[u8; BYTES]>,
}

impl<H: Health, const BYTES: usize> MemoryTelemetry<H, BYTES> {
    /// With this content, of which nothing is captured yet.
    pub const fn new(health: H, content: [u8; BYTES]) -> Self {
        Self {
            health,
            content,
            by_host: None,
            by_controller: None,
        }
    }

    /// Captures as the controller does by itself.
    /// [`Model::telemetry_captured`](crate::Model::telemetry_captured) makes it known.
    pub fn capture(&mut self) {
        self.by_controller = Some(self.content);
    }

    fn captured(&self, initiator: Initiator) -> &[u8] {
        let captured = match initiator {
            Initiator::Host => &self.by_host,
            Initiator::Controller => &self.by_controller,
        };
        captured.as_ref().map_or(&[], |content| content)
    }
}

impl<H: Health, const BYTES: usize> Health for MemoryTelemetry<H, BYTES> {
    fn report(&mut self, controller: ControllerId) -> HealthReport {
        self.health.report(controller)
    }

    fn warning_temperature(&self) -> u16 {
        self.health.warning_temperature()
    }

    fn critical_temperature(&self) -> u16 {
        self.health.critical_temperature()
    }

    fn capture_telemetry(&mut self, _: ControllerId) {
        self.by_host = Some(self.content);
    }

    fn telemetry_blocks(&self, _: ControllerId, initiator: Initiator) -> u16 {
        let blocks = self.captured(initiator).len().div_ceil(512);
        u16::try_from(blocks).unwrap_or(u16::MAX)
    }

    fn read_telemetry(
        &mut self,
        _: ControllerId,
        initiator: Initiator,
        offset: u32,
        into: &mut [u8],
    ) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let left = self.captured(initiator).get(from..).unwrap_or_default();
        for (byte, captured) in into.iter_mut().zip(left) {
            *byte = *captured;
        }
    }
}
