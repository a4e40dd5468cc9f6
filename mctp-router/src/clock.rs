//! Time, as an argument.

use core::future::Future;
use core::time::Duration;

/// How often [`RouterCore::expire`](crate::RouterCore::expire) is called while anything waits, in
/// milliseconds. A device whose call is as much too late did not run.
pub(crate) const LOOK_INTERVAL: u32 = 100;

/// A point in time, in milliseconds since a start that the clock chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The earliest point in time.
    pub const START: Self = Self(0);

    /// Later than every point in time that a clock reaches: a deadline that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point in time `millis` milliseconds after the clock's start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whether it is at least [`LOOK_INTERVAL`] after `deadline`.
    pub(crate) const fn is_late_for(self, deadline: Self) -> bool {
        self.0.saturating_sub(deadline.0) >= LOOK_INTERVAL as u64
    }

    /// How many milliseconds it is after `earlier`, or as many as fit.
    pub(crate) fn since(self, earlier: Self) -> u32 {
        let milliseconds = self.0.wrapping_sub(earlier.0);
        milliseconds.try_into().unwrap_or(u32::MAX)
    }

    /// The point in time `milliseconds` after this one. Wraps only with a clock that has run for
    /// 500 million years.
    #[must_use]
    #[inline(never)]
    pub(crate) const fn after(self, milliseconds: u32) -> Self {
        Self(self.0.wrapping_add(milliseconds as u64))
    }
}

/// When something began to wait: the lower 32 bits of an [`Instant`], of which there are many. Good
/// for waits of up to 24 days, whatever the clock has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(u32);

impl Since {
    pub(crate) const START: Self = Self(0);

    #[inline]
    pub(crate) const fn now(now: Instant) -> Self {
        Self(now.0 as u32)
    }

    /// For how many milliseconds it has waited; 0 when another task looked at the clock later.
    #[inline]
    pub(crate) const fn elapsed(self, now: Instant) -> u32 {
        let elapsed = (now.0 as u32).wrapping_sub(self.0);
        if elapsed > i32::MAX as u32 {
            0
        } else {
            elapsed
        }
    }

    /// Whether it has waited for that long.
    #[inline]
    pub(crate) const fn is_over(self, milliseconds: u32, now: Instant) -> bool {
        self.elapsed(now) >= milliseconds
    }

    /// The `lost` milliseconds before `now` do not count.
    pub(crate) const fn credit(&mut self, lost: u32, now: Instant) {
        self.0 = (now.0 as u32).wrapping_sub(self.elapsed(now).saturating_sub(lost));
    }
}

/// The clock of the device: what the world must plug in.
///
/// On embassy boards it is two lines over `embassy_time`.
pub trait Clock {
    /// The time now. Never goes back.
    fn now(&self) -> Instant;

    /// Returns once `deadline` has come; at once if it has. [`Instant::NEVER`] never comes.
    fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()>;
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        (**self).wait_until(deadline)
    }
}

/// Whole milliseconds of `duration`, at most 24 days.
pub(crate) fn milliseconds(duration: Duration) -> u32 {
    let longest = i32::MAX as u32;
    duration
        .as_millis()
        .try_into()
        .map_or(longest, |milliseconds: u32| milliseconds.min(longest))
}

/// How many [`LOOK_INTERVAL`]s there are in `duration`, or as many as fit.
pub(crate) fn looks_in(duration: Duration) -> u16 {
    let looks = milliseconds(duration).wrapping_div(LOOK_INTERVAL);
    looks.try_into().unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_as_long_wherever_the_clock_is() {
        for start in [0, 1, u64::from(u32::MAX) - 50, 1 << 32, (1 << 40) + 7] {
            let at = |milliseconds: u64| Instant::from_millis(start + milliseconds);
            let mut since = Since::now(at(100));
            assert_eq!(since.elapsed(at(100)), 0);
            assert_eq!(since.elapsed(at(99)), 0, "another task's clock");
            assert!(!since.is_over(250, at(349)) && since.is_over(250, at(350)));
            since.credit(200, at(350));
            assert_eq!(since.elapsed(at(350)), 50);
            since.credit(60, at(350));
            assert_eq!(since.elapsed(at(350)), 0, "not in the future");
        }
    }
}
