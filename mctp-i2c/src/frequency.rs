//! The clock frequency of a bus (DSP0237, section 6.17, Tables 5 to 7).

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

/// How fast a device may drive the bus when it is the controller.
///
/// What comes with it, in microseconds: how long a fair device leaves the bus alone after a
/// transaction of its own (section 6.13). Bold is what is taken; the ranges are those of the tables.
///
/// | | 100 kHz | 400 kHz | 1 MHz |
/// |-|-|-|-|
/// | `idle_window_us`, T<sub>IDLE_WINDOW</sub> | 30 to **60** | 5 to **20** | 3 to **6** |
/// | `idle_delay_us`, T<sub>IDLE_DELAY</sub> | **31** or more | **16** or more | 3.1 or more: **4** |
///
/// Numbers of DSP0237 1.1.0; those of 1.2.0 that are public are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum BusFrequency {
    /// 100 kHz: its times are right for every faster bus too, on which they cost some 80 µs for each
    /// packet.
    #[default]
    Khz100 = 0,
    /// 400 kHz.
    Khz400 = 1,
    /// 1 MHz.
    Mhz1 = 2,
}

impl BusFrequency {
    /// Clock periods in a second, for the timing registers of a controller.
    pub const fn hertz(self) -> u32 {
        match self {
            Self::Khz100 => 100_000,
            Self::Khz400 => 400_000,
            Self::Mhz1 => 1_000_000,
        }
    }

    /// After a transaction of its own, a fair device waits until the bus was free for so long, so
    /// that whoever lost arbitration meanwhile comes first (FAIR_IDLE, section 6.13).
    pub const fn idle_window_us(self) -> u32 {
        match self {
            Self::Khz100 => 60,
            Self::Khz400 => 20,
            Self::Mhz1 => 6,
        }
    }

    /// Then for so long, whatever is on the bus, because the windows of other devices may be longer.
    pub const fn idle_delay_us(self) -> u32 {
        match self {
            Self::Khz100 => 31,
            Self::Khz400 => 16,
            Self::Mhz1 => 4,
        }
    }
}

impl fmt::Display for BusFrequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Khz100 => "100 kHz",
            Self::Khz400 => "400 kHz",
            Self::Mhz1 => "1 MHz",
        })
    }
}

/// A [`BusFrequency`] that may change while a sender and its controller use it, such as that which a
/// management controller sets over NVMe-MI. Who sets it and who reads it may run in different
/// executors.
#[derive(Debug, Default)]
pub struct SharedBusFrequency(AtomicU8);

impl SharedBusFrequency {
    /// With this value.
    pub const fn new(frequency: BusFrequency) -> Self {
        Self(AtomicU8::new(frequency as u8))
    }

    /// The value now.
    pub fn get(&self) -> BusFrequency {
        match self.0.load(Ordering::Relaxed) {
            1 => BusFrequency::Khz400,
            2 => BusFrequency::Mhz1,
            _ => BusFrequency::Khz100,
        }
    }

    /// Holds from the next transaction on. A response that is to go at the old frequency has to be
    /// out before.
    pub fn set(&self, frequency: BusFrequency) {
        self.0.store(frequency as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [BusFrequency; 3] = [
        BusFrequency::Khz100,
        BusFrequency::Khz400,
        BusFrequency::Mhz1,
    ];

    #[test]
    fn a_fair_device_waits_for_longer_than_the_windows_of_others_differ() {
        // DSP0237 1.1.0, section 6.17, Tables 5 to 7: shortest and longest window, and start window.
        let times = [(30, 60, 20), (5, 20, 4), (3, 6, 2)];
        for (frequency, (shortest, longest, start)) in ALL.into_iter().zip(times) {
            assert!((shortest..=longest).contains(&frequency.idle_window_us()));
            assert!(frequency.idle_window_us() > start);
            assert!(frequency.idle_delay_us() > longest - shortest);
        }
    }

    #[test]
    fn the_times_of_a_slower_bus_are_right_for_a_faster_one() {
        for slower_and_faster in ALL.windows(2) {
            let times =
                |frequency: BusFrequency| (frequency.idle_window_us(), frequency.idle_delay_us());
            assert!(times(slower_and_faster[0]) >= times(slower_and_faster[1]));
            assert!(slower_and_faster[0].hertz() < slower_and_faster[1].hertz());
        }
    }

    #[test]
    fn a_shared_frequency_is_that_which_was_set_last() {
        let shared = SharedBusFrequency::default();
        assert_eq!(shared.get(), BusFrequency::Khz100);
        for frequency in ALL {
            shared.set(frequency);
            assert_eq!(shared.get(), frequency);
            assert_eq!(SharedBusFrequency::new(frequency).get(), frequency);
        }
    }
}
