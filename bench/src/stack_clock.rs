//! The clock that a stack is given: a board's, or one that stands still, since reading a clock is
//! the board's cost, not the stack's.

use std::future::Future;

use mctp_router::{Clock, Instant};

pub struct StackClock;

#[cfg(feature = "board")]
impl Clock for StackClock {
    fn now(&self) -> Instant {
        Instant::from_millis(crate::clock::now())
    }

    fn wait_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        crate::clock::wait_until(deadline.as_millis())
    }
}

#[cfg(not(feature = "board"))]
impl Clock for StackClock {
    fn now(&self) -> Instant {
        Instant::from_millis(1)
    }

    fn wait_until(&self, _: Instant) -> impl Future<Output = ()> {
        std::future::pending()
    }
}
