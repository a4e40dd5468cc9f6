//! The device's clock: embassy's.

use embassy_time::Timer;
use reference_device::{Clock, Instant};

/// Milliseconds since the board was switched on.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_millis(embassy_time::Instant::now().as_millis())
    }

    fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        // What is later than the timer counts, such as `Instant::NEVER`, never comes.
        let deadline = embassy_time::Instant::try_from_millis(deadline.as_millis());
        Timer::at(deadline.unwrap_or(embassy_time::Instant::MAX))
    }
}
