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
    #[inline(never)]
    pub(crate) const fn is_late_for(self, deadline: Self) -> bool {
        self.0.saturating_sub(deadline.0) >= LOOK_INTERVAL as u64
    }

    /// How many milliseconds it is after `earlier`, or as many as fit.
    pub(crate) fn since(self, earlier: Self) -> u32 {
        let milliseconds = self.0.wrapping_sub(earlier.0);
        milliseconds.try_into().unwrap_or(u32::MAX)
    }

    /// Moves it on by `lost` milliseconds, but not beyond `latest`.
    #[inline(never)]
    pub(crate) fn credit(&mut self, lost: u32, latest: Self) {
        *self = self.after(lost).min(latest);
    }

    /// Whether `milliseconds` have passed at `now`.
    #[inline]
    pub(crate) const fn is_over(self, milliseconds: u32, now: Self) -> bool {
        self.after(milliseconds).0 <= now.0
    }

    /// The point in time `milliseconds` after this one. Wraps only with a clock that has run for
    /// 500 million years.
    #[must_use]
    #[inline]
    pub(crate) const fn after(self, milliseconds: u32) -> Self {
        Self(self.0.wrapping_add(milliseconds as u64))
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

/// Whole milliseconds of `duration`, as many as fit.
pub(crate) fn milliseconds(duration: Duration) -> u32 {
    duration.as_millis().try_into().unwrap_or(u32::MAX)
}
