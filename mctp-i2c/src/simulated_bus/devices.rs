//! Who is on the bus: controllers, targets, and those who look at its status.

use alloc::vec::Vec;
use core::future::poll_fn;
use core::mem;
use core::task::{Context, Poll};

use embassy_futures::yield_now;
use embedded_hal_async::i2c::{Error, ErrorKind, ErrorType, I2c, Operation};

use super::SimulatedBus;
use super::contention::Attempting;
use super::state::Rate;
use crate::{BusFrequency, BusStatus, Target, TargetAddress, TargetError};

/// A controller on a bus, which writes only.
#[derive(Clone, Debug)]
pub struct SimulatedController {
    pub(super) bus: SimulatedBus,
    pub(super) rate: Rate,
}

/// What a controller says of a failed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError(pub ErrorKind);

impl Error for BusError {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl ErrorType for SimulatedController {
    type Error = BusError;
}

impl SimulatedController {
    /// From now on the controller drives the bus at so many bits in a second, at least 1. It is the
    /// rate of the bus unless set.
    pub fn set_rate(&mut self, bits_per_second: u32) {
        self.rate = Rate::new(bits_per_second);
    }
}

impl I2c for SimulatedController {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        let mut bytes = Vec::from([address << 1]);
        for operation in operations {
            match operation {
                Operation::Write(written) => bytes.extend_from_slice(written),
                Operation::Read(_) => return Err(BusError(ErrorKind::Other)),
            }
        }
        let attempt = Attempting::new(&self.bus, self.rate, bytes);
        // Whoever begins at the same moment does so now.
        yield_now().await;
        let result = poll_fn(|context| attempt.poll(context)).await;
        result.map_err(BusError)
    }
}

/// A target on a bus. Dropped, it is not on the bus any more.
#[derive(Debug)]
pub struct SimulatedTarget {
    pub(super) bus: SimulatedBus,
    pub(super) address: TargetAddress,
}

impl SimulatedTarget {
    fn poll(&self, context: &Context<'_>) -> Poll<Result<Vec<u8>, TargetError>> {
        let mut state = self.bus.0.borrow_mut();
        let mut targets = state.targets.iter_mut();
        let target = targets.find(|target| target.address == self.address);
        let received = target.and_then(|target| match mem::take(&mut target.is_lost) {
            true => Some(Err(TargetError::Disabled)),
            false => target.received.pop_front(),
        });
        match received {
            Some(received) => {
                state.events += 1;
                Poll::Ready(received)
            }
            None => {
                state.wait(context);
                Poll::Pending
            }
        }
    }
}

impl Target for SimulatedTarget {
    async fn wait_enabled(&mut self) {
        poll_fn(|context| {
            let mut state = self.bus.0.borrow_mut();
            if !state.is_connected {
                state.wait(context);
                return Poll::Pending;
            }
            for target in &mut state.targets {
                target.is_lost &= target.address != self.address;
            }
            Poll::Ready(())
        })
        .await;
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TargetError> {
        let bytes = poll_fn(|context| self.poll(context)).await?;
        let len = bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(&bytes) {
            *place = *byte;
        }
        Ok(len)
    }
}

impl Drop for SimulatedTarget {
    fn drop(&mut self) {
        let mut state = self.bus.0.borrow_mut();
        state
            .targets
            .retain(|target| target.address != self.address);
    }
}

/// The status of a bus.
#[derive(Clone, Debug)]
pub struct SimulatedStatus(pub(super) SimulatedBus);

impl BusStatus for SimulatedStatus {
    fn is_connected(&mut self) -> bool {
        self.0.0.borrow().is_connected
    }

    fn is_busy(&mut self) -> bool {
        let state = self.0.0.borrow();
        state.is_stuck || state.now < state.busy_until
    }

    /// The fastest that the bus can do.
    fn bus_frequency(&mut self) -> BusFrequency {
        match self.0.0.borrow().rate.bits_per_second {
            0..400_000 => BusFrequency::Khz100,
            400_000..1_000_000 => BusFrequency::Khz400,
            _ => BusFrequency::Mhz1,
        }
    }

    async fn clear_stuck_bus(&mut self) {
        self.0.release();
    }
}
