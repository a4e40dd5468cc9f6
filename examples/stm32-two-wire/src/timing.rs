//! `I2C_TIMINGR` and `I2C_TIMEOUTR` (RM0477, I2C timings and SMBus timeouts).

use crate::registers::timeout;

/// How long a clock may be low before the peripheral is reset, in microseconds: SMBus 3.2, section
/// 4.2.5, lets a target give up from 25 ms on, and asks it to have done so by 35 ms.
const CLOCK_LOW_LIMIT_US: u64 = 30_000;

/// What `TIMEOUTA` counts: this many cycles of the peripheral's clock.
const TIMEOUT_UNIT: u64 = 2048;

/// The times of the two wires, as the peripheral counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusTiming {
    /// Of `I2C_TIMINGR`.
    pub(crate) timing: u32,
    /// Of `I2C_TIMEOUTR`.
    pub(crate) timeout: u32,
}

/// Times of a mode in nanoseconds.
struct Mode {
    low: u32,
    high: u32,
    /// Data may change so long after the clock has fallen.
    hold: u32,
    /// Data are there so long before the clock rises.
    setup: u32,
}

/// 100 kHz: 4.7 µs low and 4 µs high are the least, of a period of 10 µs with both edges, which the
/// peripheral's synchronisation stretches. The setup time has room for a rising edge of 1 µs before
/// 250 ns.
const KHZ_100: Mode = Mode {
    low: 5_000,
    high: 4_000,
    hold: 500,
    setup: 1_250,
};

impl BusTiming {
    /// 100 kHz, of a peripheral whose clock has so many hertz. `None` when it cannot divide that.
    ///
    /// ```
    /// use stm32_two_wire::BusTiming;
    ///
    /// const TIMING: BusTiming = BusTiming::khz_100(150_000_000).unwrap();
    /// assert!(BusTiming::khz_100(1_000_000).is_none());
    /// # let _ = TIMING;
    /// ```
    pub const fn khz_100(clock_hz: u32) -> Option<Self> {
        // SMBus has no slower bus that is common, and below this the edges are too coarse.
        if clock_hz < 4_000_000 {
            return None;
        }
        let mut prescaler = 1;
        while prescaler <= 16 {
            if let Some(timing) = KHZ_100.at(clock_hz, prescaler) {
                let cycles = clock_hz as u64 * CLOCK_LOW_LIMIT_US / 1_000_000;
                let units = (cycles / TIMEOUT_UNIT).saturating_sub(1);
                if units > 0xFFF {
                    return None;
                }
                let timeout = timeout::ENABLE | units as u32;
                return Some(Self { timing, timeout });
            }
            prescaler += 1;
        }
        None
    }
}

impl Mode {
    /// `I2C_TIMINGR` with the clock divided by so much, if all fields have room.
    const fn at(&self, clock_hz: u32, prescaler: u32) -> Option<u32> {
        let low = self.ticks(self.low, clock_hz, prescaler).saturating_sub(1);
        let high = self.ticks(self.high, clock_hz, prescaler).saturating_sub(1);
        let hold = self.ticks(self.hold, clock_hz, prescaler);
        let setup = self
            .ticks(self.setup, clock_hz, prescaler)
            .saturating_sub(1);
        if low > 0xFF || high > 0xFF || hold > 0xF || setup > 0xF {
            return None;
        }
        let fields = low | high << 8 | hold << 16 | setup << 20;
        Some(fields as u32 | (prescaler - 1) << 28)
    }

    /// So many nanoseconds in ticks, rounded up.
    const fn ticks(&self, nanoseconds: u32, clock_hz: u32, prescaler: u32) -> u64 {
        let ticks = nanoseconds as u64 * clock_hz as u64;
        ticks.div_ceil(1_000_000_000 * prescaler as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_that_the_reference_manual_gives_for_a_divided_clock_of_4_mhz() {
        // RM0477, examples of TIMINGR settings, 100 kHz: SCLL 13h, SCLH Fh, SDADEL 2h, SCLDEL 4h.
        assert_eq!(KHZ_100.at(48_000_000, 12), Some(0xB042_0F13));
        assert_eq!(KHZ_100.at(16_000_000, 4), Some(0x3042_0F13));
    }

    #[test]
    fn a_bit_takes_at_least_9_microseconds_and_no_more_than_10_of_any_clock() {
        for clock_hz in [4_000_000, 16_000_000, 64_000_000, 100_000_000, 150_000_000] {
            let timing = BusTiming::khz_100(clock_hz).unwrap().timing;
            let prescaler = u64::from(timing >> 28) + 1;
            let ticks = u64::from(timing & 0xFF) + u64::from(timing >> 8 & 0xFF) + 2;
            let nanoseconds = ticks * prescaler * 1_000_000_000 / u64::from(clock_hz);
            assert!(
                (9_000..10_000).contains(&nanoseconds),
                "{clock_hz}: {nanoseconds}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_low_is_given_up_within_the_times_of_smbus() {
        for clock_hz in [4_000_000, 16_000_000, 150_000_000] {
            let timeout = BusTiming::khz_100(clock_hz).unwrap().timeout;
            let cycles = u64::from((timeout & 0xFFF) + 1) * TIMEOUT_UNIT;
            let microseconds = cycles * 1_000_000 / u64::from(clock_hz);
            assert!((25_000..=35_000).contains(&microseconds), "{microseconds}");
            assert_eq!(timeout & !0xFFF, timeout::ENABLE);
        }
    }

    #[test]
    fn clocks_that_cannot_be_divided_so_have_no_timing() {
        assert_eq!(BusTiming::khz_100(0), None);
        assert_eq!(BusTiming::khz_100(3_999_999), None);
        assert_eq!(BusTiming::khz_100(u32::MAX), None);
    }
}
