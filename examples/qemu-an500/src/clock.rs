//! The device's clock: embassy's.

use core::future::pending;

use embassy_time::Timer;
use reference_device::{Clock, Instant};

/// Milliseconds since start.
#[derive(Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_millis(embassy_time::Instant::now().as_millis())
    }

    async fn wait_until(&self, deadline: Instant) {
        match embassy_time::Instant::try_from_millis(deadline.as_millis()) {
            Some(deadline) => Timer::at(deadline).await,
            // Later than the timer counts: `Instant::NEVER`.
            None => pending().await,
        }
    }
}
