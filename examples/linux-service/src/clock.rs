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
