//! The clock of a PC.

use std::time::Duration;

use mctp_router::{Clock, Instant};

/// Milliseconds of tokio's clock since it was made. In tests tokio's clock may be paused, and this
/// one is with it.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that stands at zero now.
    pub fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        let elapsed = self.start.elapsed().as_millis();
        Instant::from_millis(elapsed.try_into().unwrap_or(u64::MAX))
    }

    async fn wait_until(&self, deadline: Instant) {
        let since_start = Duration::from_millis(deadline.as_millis());
        match self.start.checked_add(since_start) {
            Some(deadline) if since_start < Duration::from_millis(u64::MAX) => {
                tokio::time::sleep_until(deadline).await;
            }
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_until_the_deadline_and_no_longer() {
        let clock = TokioClock::start();
        clock.wait_until(Instant::from_millis(250)).await;
        assert_eq!(clock.now(), Instant::from_millis(250));
        clock.wait_until(Instant::from_millis(100)).await;
        assert_eq!(clock.now(), Instant::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn never_does_not_come() {
        let clock = TokioClock::start();
        let year = Duration::from_secs(365 * 24 * 3600);
        let waited = tokio::time::timeout(year, clock.wait_until(Instant::NEVER)).await;
        assert!(waited.is_err());
    }
}
