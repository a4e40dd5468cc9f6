//! The clock of a computer.

use std::future::pending;
use std::time::Duration;

use nvme_mi_responder::{Clock, Instant};
use tokio::time::{self, sleep_until};

/// Milliseconds of tokio's clock since it was started.
pub(crate) struct TokioClock(time::Instant);

impl TokioClock {
    /// A clock that stands at zero now.
    pub(crate) fn start() -> Self {
        Self(time::Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        let elapsed = self.0.elapsed().as_millis();
        Instant::from_millis(elapsed.try_into().unwrap_or(u64::MAX))
    }

    async fn wait_until(&self, deadline: Instant) {
        let since_start = Duration::from_millis(deadline.as_millis());
        match self.0.checked_add(since_start) {
            Some(at) if deadline < Instant::NEVER => sleep_until(at).await,
            _ => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_until_the_deadline_and_for_ever_until_never() {
        let clock = TokioClock::start();
        clock.wait_until(Instant::from_millis(250)).await;
        assert_eq!(clock.now(), Instant::from_millis(250));
        clock.wait_until(Instant::from_millis(100)).await;
        assert_eq!(clock.now(), Instant::from_millis(250));
        let year = Duration::from_secs(365 * 24 * 3600);
        let waited = time::timeout(year, clock.wait_until(Instant::NEVER)).await;
        assert!(waited.is_err());
    }
}
