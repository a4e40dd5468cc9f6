//! The two halves of a transport on one peripheral, behind a lock.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_sync::waitqueue::WakerRegistration;
use embedded_hal_async::i2c::{ErrorType, I2c, Operation};
use mctp_i2c::{BusStatus, Target, TargetAddress, TargetError};

use crate::engine::Engine;
use crate::error::WriteError;
use crate::registers::{Registers, status};
use crate::timing::BusTiming;

/// The peripheral: in a `static`, where its interrupt handlers find it.
///
/// 1. Make one, which does nothing yet.
/// 2. Switch on the clock and the pins of the peripheral, and [`start`](Self::start) it.
/// 3. Enable both of its interrupts, whose handlers call [`on_interrupt`](Self::on_interrupt).
///
/// `M` has to keep out the interrupts: `CriticalSectionRawMutex`.
pub struct TwoWire<M: RawMutex, R>(Mutex<M, RefCell<Shared<R>>>);

struct Shared<R> {
    registers: R,
    engine: Engine,
    is_started: bool,
    receiver: WakerRegistration,
    sender: WakerRegistration,
}

/// The two sides of a peripheral that has been started, and what it knows of the bus.
pub struct Halves<'d, M: RawMutex, R> {
    /// For a [`Sender`](mctp_i2c::Sender).
    pub controller: ControllerHalf<'d, M, R>,
    /// For a [`Receiver`](mctp_i2c::Receiver).
    pub target: TargetHalf<'d, M, R>,
    /// For a [`Sender`](mctp_i2c::Sender).
    pub status: PeripheralStatus<'d, M, R>,
}

impl<M: RawMutex, R: Registers> TwoWire<M, R> {
    /// The peripheral behind these registers.
    pub const fn new(registers: R) -> Self {
        Self(Mutex::new(RefCell::new(Shared {
            registers,
            engine: Engine::new(),
            is_started: false,
            receiver: WakerRegistration::new(),
            sender: WakerRegistration::new(),
        })))
    }

    /// Starts the peripheral as the target at `address`. `None` when it has been started before.
    pub fn start(&self, address: TargetAddress, timing: BusTiming) -> Option<Halves<'_, M, R>> {
        let is_first = self.look(|shared| {
            let is_first = !core::mem::replace(&mut shared.is_started, true);
            if is_first {
                shared.engine.start(&mut shared.registers, address, timing);
            }
            is_first
        });
        is_first.then_some(Halves {
            controller: ControllerHalf(self),
            target: TargetHalf(self),
            status: PeripheralStatus(self),
        })
    }

    /// Handles the interrupts of the peripheral, those of events as well as those of errors.
    pub fn on_interrupt(&self) {
        self.look(|shared| {
            let changes = shared.engine.on_interrupt(&mut shared.registers);
            if changes.received {
                shared.receiver.wake();
            }
            if changes.sent {
                shared.sender.wake();
            }
        });
    }

    fn look<T>(&self, f: impl FnOnce(&mut Shared<R>) -> T) -> T {
        // Nobody keeps it: what `f` calls does not come back here.
        self.0.lock(|shared| f(&mut shared.borrow_mut()))
    }
}

impl<M: RawMutex, R> core::fmt::Debug for TwoWire<M, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TwoWire").finish_non_exhaustive()
    }
}

/// What controllers write to the device.
pub struct TargetHalf<'d, M: RawMutex, R>(&'d TwoWire<M, R>);

impl<M: RawMutex, R: Registers> Target for TargetHalf<'_, M, R> {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TargetError> {
        poll_fn(|context| {
            self.0.look(|shared| {
                let taken = shared.engine.take(&mut shared.registers, buffer);
                if taken.is_none() {
                    shared.receiver.register(context.waker());
                }
                taken.map_or(Poll::Pending, Poll::Ready)
            })
        })
        .await
    }
}

/// What the device writes to others.
pub struct ControllerHalf<'d, M: RawMutex, R>(&'d TwoWire<M, R>);

impl<M: RawMutex, R> ErrorType for ControllerHalf<'_, M, R> {
    type Error = WriteError;
}

impl<M: RawMutex, R: Registers> I2c for ControllerHalf<'_, M, R> {
    /// Writes all operations as one; a read is [`WriteError::NotSupported`], and nothing is written.
    ///
    /// When the future is dropped, the device lets go of the bus.
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), WriteError> {
        let is_read = |operation: &Operation<'_>| matches!(operation, Operation::Read(_));
        if operations.iter().any(is_read) {
            return Err(WriteError::NotSupported);
        }
        let write = WriteInProgress(self.0);
        self.0.look(|shared| {
            let parts = operations.iter().filter_map(|operation| match operation {
                Operation::Write(bytes) => Some(*bytes),
                Operation::Read(_) => None,
            });
            shared.engine.write(&mut shared.registers, address, parts);
        });
        write.outcome().await
    }
}

/// A write, which ends when this is dropped.
struct WriteInProgress<'d, M: RawMutex, R: Registers>(&'d TwoWire<M, R>);

impl<M: RawMutex, R: Registers> WriteInProgress<'_, M, R> {
    async fn outcome(&self) -> Result<(), WriteError> {
        poll_fn(|context| {
            self.0.look(|shared| {
                let outcome = shared.engine.take_outcome();
                if outcome.is_none() {
                    shared.sender.register(context.waker());
                }
                outcome.map_or(Poll::Pending, Poll::Ready)
            })
        })
        .await
    }
}

impl<M: RawMutex, R: Registers> Drop for WriteInProgress<'_, M, R> {
    fn drop(&mut self) {
        self.0.look(|shared| {
            if shared.engine.give_up(&mut shared.registers) {
                shared.receiver.wake();
            }
        });
    }
}

/// What the peripheral knows of the bus.
pub struct PeripheralStatus<'d, M: RawMutex, R>(&'d TwoWire<M, R>);

impl<M: RawMutex, R: Registers> BusStatus for PeripheralStatus<'_, M, R> {
    fn is_busy(&mut self) -> bool {
        self.0
            .look(|shared| shared.registers.status() & status::BUSY != 0)
    }
}
