//! Time on the virtual clock of the bus.

use core::task::{Context, Poll};
use core::time::Duration;

use embedded_hal_async::delay::DelayNs;
use mctp_time::{Clock, Instant};

use super::SimulatedBus;

/// Time of the suite, in milliseconds of the virtual clock.
impl Clock for SimulatedBus {
    fn now(&self) -> Instant {
        Instant::from_millis(self.elapsed().as_millis() as u64)
    }

    async fn wait_until(&self, deadline: Instant) {
        if deadline == Instant::NEVER {
            return core::future::pending().await;
        }
        let end = Duration::from_millis(deadline.as_millis());
        Delay::new(self, end).await;
    }
}

/// A delay under way. It ends no wait any more when it is dropped.
pub(super) struct Delay {
    bus: SimulatedBus,
    number: u64,
    end: Duration,
}

impl Delay {
    pub(super) fn new(bus: &SimulatedBus, end: Duration) -> Self {
        let mut state = bus.0.borrow_mut();
        state.last_delay += 1;
        let number = state.last_delay;
        state.delays.push((number, end));
        Self {
            bus: bus.clone(),
            number,
            end,
        }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(self: core::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.bus.0.borrow_mut();
        if self.end <= state.now {
            return Poll::Ready(());
        }
        state.wait(context);
        Poll::Pending
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        let mut state = self.bus.0.borrow_mut();
        state.delays.retain(|(number, _)| *number != self.number);
        state.events += 1;
    }
}

/// Delays on the virtual clock of a bus.
#[derive(Clone, Debug)]
pub struct SimulatedDelay(pub(super) SimulatedBus);

impl DelayNs for SimulatedDelay {
    async fn delay_ns(&mut self, ns: u32) {
        let end = self.0.elapsed() + Duration::from_nanos(ns.into());
        Delay::new(&self.0, end).await;
    }
}
