//! How long something has waited, in milliseconds of the caller's clock.

use core::time::Duration;

use mctp_time::Instant;

/// How often [`RouterCore::expire`](crate::RouterCore::expire) is called while anything waits, in
/// milliseconds. A device whose call is as much too late did not run.
pub(crate) const LOOK_INTERVAL: u32 = 100;

/// Whether `now` is at least [`LOOK_INTERVAL`] after `deadline`.
pub(crate) const fn is_late(now: Instant, deadline: Instant) -> bool {
    now.since(deadline) >= LOOK_INTERVAL as u64
}

/// How many milliseconds `now` is after `earlier`, or as many as fit.
pub(crate) fn milliseconds_since(now: Instant, earlier: Instant) -> u32 {
    now.since(earlier).try_into().unwrap_or(u32::MAX)
}

/// When something began to wait: the lower 32 bits of an [`Instant`], of which there are many. Good
/// for waits of up to 24 days, whatever the clock has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(u32);

impl Since {
    pub(crate) const START: Self = Self(0);

    #[inline]
    pub(crate) const fn now(now: Instant) -> Self {
        Self(now.as_millis() as u32)
    }

    /// For how many milliseconds it has waited; 0 when another task looked at the clock later.
    #[inline]
    pub(crate) const fn elapsed(self, now: Instant) -> u32 {
        let elapsed = (now.as_millis() as u32).wrapping_sub(self.0);
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
        self.0 = (now.as_millis() as u32).wrapping_sub(self.elapsed(now).saturating_sub(lost));
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
