//! Feature settings, as Set Features changes them (NVM Express Base 2.0, section 5.27.1).

use mctp_time::Instant;

use super::health_report::HealthReport;
use crate::bytes::put;

/// Bytes of host metadata that each of a controller's, and a namespace's, metadata features holds,
/// in descriptors: with the length of them 80 bytes for each.
pub(crate) const METADATA_CAPACITY: usize = 79;

/// Temperatures that have thresholds: the composite one, and 8 sensors.
pub(crate) const TEMPERATURES: usize = 9;

/// Bit 1 of the critical warning (NVM Express Base 2.0, section 5.16.1.3, Figure 207).
const TEMPERATURE_WARNING: u8 = 1 << 1;

/// The settings of a controller. A reset brings all back to their defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) thresholds: Thresholds,
    /// Enhanced Controller Metadata and Controller Metadata.
    pub(crate) metadata: [Metadata; 2],
}

impl Settings {
    pub(crate) const DEFAULT: Self = Self {
        thresholds: Thresholds {
            over: Kelvins::DEFAULT,
            under: Kelvins::DEFAULT,
        },
        metadata: [Metadata::EMPTY; 2],
    };
}

/// The settings of the Temperature Threshold feature (section 5.27.1.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    over: Kelvins,
    under: Kelvins,
}

/// A threshold for each temperature.
#[derive(Clone, Copy, Debug)]
struct Kelvins {
    /// Those that are not the default, a bit for each.
    set: u16,
    values: [u16; TEMPERATURES],
}

impl Kelvins {
    const DEFAULT: Self = Self {
        set: 0,
        values: [0; TEMPERATURES],
    };

    fn of(&self, index: usize, default: u16) -> u16 {
        if self.set & 1u16.unbounded_shl(index as u32) == 0 {
            return default;
        }
        self.values.get(index).copied().unwrap_or(default)
    }

    fn set(&mut self, index: usize, kelvins: u16) {
        if let Some(value) = self.values.get_mut(index) {
            *value = kelvins;
            self.set |= 1u16.unbounded_shl(index as u32);
        }
    }
}

/// The thresholds of temperature `index` by default, over and under: the device's warning
/// temperature for the composite one, if it is reported, and none.
pub(crate) fn default_thresholds(index: usize, warning_temperature: u16) -> (u16, u16) {
    let over = if index == 0 && warning_temperature != 0 {
        warning_temperature
    } else {
        u16::MAX
    };
    (over, 0)
}

impl Thresholds {
    /// The thresholds of temperature `index`, over and under.
    pub(crate) fn of(&self, index: usize, warning_temperature: u16) -> (u16, u16) {
        let (over, under) = default_thresholds(index, warning_temperature);
        (self.over.of(index, over), self.under.of(index, under))
    }

    /// Sets a threshold of temperature `index`.
    pub(crate) fn set(&mut self, index: usize, under: bool, kelvins: u16) {
        if under {
            self.under.set(index, kelvins);
        } else {
            self.over.set(index, kelvins);
        }
    }

    /// Sets bit 1 of the critical warning if a temperature is at or beyond a threshold of its own.
    pub(crate) fn apply(&self, report: &mut HealthReport, warning_temperature: u16) {
        let is_warning = if self.over.set | self.under.set == 0 {
            // By default only the composite temperature has a threshold. One of 0, which is not
            // reported, wraps to the highest.
            report.temperature > warning_temperature.wrapping_sub(1)
        } else {
            let mut sensors = (1..).zip(&report.sensors);
            self.is_beyond(0, report.temperature, warning_temperature)
                || sensors
                    .any(|(sensor, kelvins)| self.is_beyond(sensor, *kelvins, warning_temperature))
        };
        if is_warning {
            report.critical_warning |= TEMPERATURE_WARNING;
        }
    }

    fn is_beyond(&self, index: usize, temperature: u16, warning_temperature: u16) -> bool {
        if temperature == 0 {
            return false;
        }
        let (over, under) = self.of(index, warning_temperature);
        temperature >= over || temperature <= under
    }
}

/// Metadata that a host leaves with the device (section 5.27.1.23): element descriptors, one after
/// the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    bytes: [u8; METADATA_CAPACITY],
    length: u8,
}

impl Metadata {
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; METADATA_CAPACITY],
        length: 0,
    };

    /// The descriptors.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// Adds a descriptor at the end. `None`: there is no room.
    pub(crate) fn push(&mut self, descriptor: &[u8]) -> Option<()> {
        let start = usize::from(self.length);
        let end = start.checked_add(descriptor.len())?;
        put(self.bytes.get_mut(..end)?, start, descriptor);
        self.length = u8::try_from(end).ok()?;
        Some(())
    }
}

/// The Timestamp feature (section 5.27.1.11): the time of day, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timestamp {
    /// When it was set; `None`: it counts from the responder's start.
    pub(crate) set: Option<(Instant, u64)>,
}

impl Timestamp {
    /// The value at `now`, 48 bits.
    pub(crate) fn at(self, now: Instant) -> u64 {
        let (since, value) = self.set.unwrap_or((Instant::START, 0));
        let elapsed = now.since(since);
        value.wrapping_add(elapsed) & 0xFFFF_FFFF_FFFF
    }
}
