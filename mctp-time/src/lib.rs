#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_debug_implementations)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use core::future::Future;

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
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's start.
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The point in time `milliseconds` after this one, at most [`NEVER`](Self::NEVER).
    #[must_use]
    // A call costs less than 64 bits in line: 128 bytes of the flash of the reference device.
    #[inline(never)]
    pub const fn after(self, milliseconds: u32) -> Self {
        Self(self.0.saturating_add(milliseconds as u64))
    }

    /// How many milliseconds this is after `earlier`; 0 if it is before.
    #[inline]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clock of the device.
///
/// A device implements it once, for its router and for every service. A reference to a clock is a
/// clock too.
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::Poll;

    use embassy_futures::poll_once;

    use super::*;

    #[test]
    fn time_is_counted_from_the_start_in_milliseconds() {
        assert_eq!(Instant::default(), Instant::START);
        assert_eq!(Instant::START.as_millis(), 0);
        let noon = Instant::START.after(250);
        assert_eq!(noon, Instant::from_millis(250));
        assert_eq!(noon.after(1).since(noon), 1);
        assert!(Instant::START < noon && noon < Instant::NEVER);
    }

    #[test]
    fn more_than_32_bits_of_milliseconds_are_counted() {
        let late = Instant::from_millis(u64::from(u32::MAX)).after(u32::MAX);
        assert_eq!(late.as_millis(), 0x1_FFFF_FFFE);
        assert_eq!(late.since(Instant::START), 0x1_FFFF_FFFE);
    }

    #[test]
    fn what_is_too_late_to_count_never_comes() {
        assert_eq!(Instant::NEVER.after(1), Instant::NEVER);
        let last = Instant::from_millis(u64::MAX - 1);
        assert_eq!(last.after(u32::MAX), Instant::NEVER);
    }

    #[test]
    fn the_time_since_a_later_point_is_zero() {
        assert_eq!(Instant::START.since(Instant::from_millis(1)), 0);
        assert_eq!(Instant::from_millis(9).since(Instant::NEVER), 0);
    }

    /// A clock that a test moves.
    struct Moved(Cell<u64>);

    impl Clock for Moved {
        fn now(&self) -> Instant {
            Instant::from_millis(self.0.get())
        }

        fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()> {
            std::future::poll_fn(move |_| match self.now() < deadline {
                true => Poll::Pending,
                false => Poll::Ready(()),
            })
        }
    }

    fn waits(clock: impl Clock, millis: u64) -> bool {
        let waiting = pin!(clock.wait_until(Instant::from_millis(millis)));
        poll_once(waiting).is_pending()
    }

    fn time_of(clock: impl Clock) -> Instant {
        clock.now()
    }

    #[test]
    fn a_reference_to_a_clock_is_the_same_clock() {
        let clock = Moved(Cell::new(5));
        assert_eq!(time_of(&clock), Instant::from_millis(5));
        assert!(waits(&clock, 6) && !waits(&clock, 5));
        clock.0.set(6);
        assert_eq!(time_of(&clock), clock.now());
        assert!(!waits(&clock, 6) && !waits(clock, 6));
    }
}
