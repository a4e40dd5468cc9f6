//! Feature settings, as Set Features changes them.

use crate::clock::Instant;
use crate::world::{Health, HealthReport};

/// Bytes of host metadata that each of a controller's, and a namespace's, metadata features holds, in descriptors.
pub(crate) const METADATA_CAPACITY: usize = 96;

/// Temperatures that have thresholds: the composite one, and 8 sensors.
pub(crate) const TEMPERATURES: usize = 9;

/// Bit 1 of the critical warning.
const TEMPERATURE_WARNING: u8 = 1 << 1;

/// The settings of a controller. A reset brings all back to their defaults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) thresholds: Thresholds,
    /// Features 7Dh and 7Eh.
    pub(crate) metadata: [Metadata; 2],
}

/// The settings of the Temperature Threshold feature: over thresholds, then under thresholds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Thresholds {
    /// Those that are not the default, a bit for each.
    set: [u16; 2],
    kelvins: [[u16; TEMPERATURES]; 2],
}

/// The thresholds of temperature `index` by default, over and under: the warning temperature for the composite one, and none.
pub(crate) fn default_thresholds(index: usize, health: &impl Health) -> (u16, u16) {
    let over = if index == 0 {
        health.warning_temperature()
    } else {
        u16::MAX
    };
    (over, 0)
}

impl Thresholds {
    /// The thresholds of temperature `index`, over and under.
    pub(crate) fn of(&self, index: usize, health: &impl Health) -> (u16, u16) {
        let (over, under) = default_thresholds(index, health);
        (self.one(0, index, over), self.one(1, index, under))
    }

    fn one(&self, under: usize, index: usize, default: u16) -> u16 {
        let is_set = |set: &u16| set & 1u16.unbounded_shl(index as u32) != 0;
        match self
            .kelvins
            .get(under)
            .and_then(|kelvins| kelvins.get(index))
        {
            Some(kelvins) if self.set.get(under).is_some_and(is_set) => *kelvins,
            _ => default,
        }
    }

    /// Sets a threshold of temperature `index`.
    pub(crate) fn set(&mut self, index: usize, under: bool, kelvins: u16) {
        let under = usize::from(under);
        let row = self.kelvins.get_mut(under);
        if let Some(threshold) = row.and_then(|row| row.get_mut(index))
            && let Some(set) = self.set.get_mut(under)
        {
            *threshold = kelvins;
            *set |= 1u16.unbounded_shl(index as u32);
        }
    }

    /// Sets bit 1 of the critical warning if a temperature is at or beyond a threshold of its own.
    pub(crate) fn apply(&self, report: &mut HealthReport, health: &impl Health) {
        let mut warns = self.is_beyond(0, report.temperature, health);
        for (sensor, temperature) in (1..).zip(&report.sensors) {
            warns |= self.is_beyond(sensor, *temperature, health);
        }
        if warns {
            report.critical_warning |= TEMPERATURE_WARNING;
        }
    }

    fn is_beyond(&self, index: usize, temperature: u16, health: &impl Health) -> bool {
        let (over, under) = self.of(index, health);
        temperature != 0 && (temperature >= over || temperature <= under)
    }
}

/// Metadata that a host leaves with the device: element descriptors, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    bytes: [u8; METADATA_CAPACITY],
    length: usize,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            bytes: [0; METADATA_CAPACITY],
            length: 0,
        }
    }
}

impl Metadata {
    /// The descriptors.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Adds a descriptor at the end. `None`: there is no room.
    pub(crate) fn push(&mut self, descriptor: &[u8]) -> Option<()> {
        let end = self.length.checked_add(descriptor.len())?;
        self.bytes
            .get_mut(self.length..end)?
            .copy_from_slice(descriptor);
        self.length = end;
        Some(())
    }
}

/// Feature 0Eh: the time of day, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timestamp {
    /// When it was set; `None`: it counts from the responder's start.
    pub(crate) set: Option<(Instant, u64)>,
}

impl Timestamp {
    /// The value at `now`, 48 bits.
    pub(crate) fn at(self, now: Instant) -> u64 {
        let (since, value) = self.set.unwrap_or((Instant::START, 0));
        let elapsed = now.as_millis().saturating_sub(since.as_millis());
        value.wrapping_add(elapsed) & 0xFFFF_FFFF_FFFF
    }
}
