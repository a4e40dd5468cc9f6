//! What `embedded-hal-async` does not tell of a bus.

use core::future::Future;

use crate::{BusFrequency, SharedBusFrequency};

/// What a firmware knows of the two wires besides what its controller can do with them.
///
/// Every method has a default that is right where the firmware knows nothing: see [`Unknown`].
pub trait BusStatus {
    /// Whether the device is on a bus that can carry packets. While it is not, sending fails with
    /// [`SendError::LinkDown`](mctp_transport::SendError::LinkDown), without a transaction.
    ///
    /// It says the same as the [`Target`](crate::Target) of the receive half. `true` by default.
    fn is_connected(&mut self) -> bool {
        true
    }

    /// Whether a transaction is on the bus: between START and STOP. Asked for at the end of each
    /// idle window (DSP0237, section 6.13.4 allows to look at its end alone). `false` by default:
    /// the device then waits for one window after its own transaction, and leaves the rest to the
    /// hardware, which waits until the bus is free.
    fn is_busy(&mut self) -> bool {
        false
    }

    /// How fast the device may drive the bus now. Asked for before each transaction, whose fairness
    /// times are those of the answer. 100 kHz by default, whose times are right for every bus.
    ///
    /// The controller has to run at that frequency, too, which `embedded-hal-async` cannot tell it:
    /// an adapter of a HAL's controller reads the same value before each write, and sets the timing
    /// of its peripheral if it changed.
    ///
    /// ```
    /// use embedded_hal_async::i2c::{ErrorType, I2c, Operation};
    /// use mctp_i2c::{BusFrequency, SharedBusFrequency};
    ///
    /// # struct Peripheral;
    /// # impl Peripheral { fn set_hertz(&mut self, _: u32) {} }
    /// # impl ErrorType for Peripheral { type Error = core::convert::Infallible; }
    /// # impl I2c for Peripheral {
    /// #     async fn transaction(
    /// #         &mut self, _: u8, _: &mut [Operation<'_>],
    /// #     ) -> Result<(), Self::Error> { Ok(()) }
    /// # }
    /// /// The peripheral of a HAL that has a `set_hertz`. The sender's status is the same `allowed`.
    /// struct Clocked<'f> {
    ///     peripheral: Peripheral,
    ///     allowed: &'f SharedBusFrequency,
    ///     runs_at: BusFrequency,
    /// }
    ///
    /// impl ErrorType for Clocked<'_> {
    ///     type Error = <Peripheral as ErrorType>::Error;
    /// }
    ///
    /// impl I2c for Clocked<'_> {
    ///     async fn transaction(
    ///         &mut self,
    ///         address: u8,
    ///         operations: &mut [Operation<'_>],
    ///     ) -> Result<(), Self::Error> {
    ///         let allowed = self.allowed.get();
    ///         if self.runs_at != allowed {
    ///             self.peripheral.set_hertz(allowed.hertz());
    ///             self.runs_at = allowed;
    ///         }
    ///         self.peripheral.transaction(address, operations).await
    ///     }
    /// }
    /// ```
    fn bus_frequency(&mut self) -> BusFrequency {
        BusFrequency::Khz100
    }

    /// Clears a bus on which a target holds the data wire low: drive the clock until the target
    /// lets go, then make a STOP (section 6.20). Does nothing by default.
    ///
    /// Called for a [bus owner](crate::Role::BusOwner) only, when its transactions have waited for
    /// two seconds in all (PT3: 2 to 5 s), and none came through in between. A future that takes
    /// longer than a transaction may is dropped.
    fn clear_stuck_bus(&mut self) -> impl Future<Output = ()> {
        core::future::ready(())
    }
}

impl<S: BusStatus> BusStatus for &mut S {
    fn is_connected(&mut self) -> bool {
        S::is_connected(self)
    }

    fn is_busy(&mut self) -> bool {
        S::is_busy(self)
    }

    fn bus_frequency(&mut self) -> BusFrequency {
        S::bus_frequency(self)
    }

    fn clear_stuck_bus(&mut self) -> impl Future<Output = ()> {
        S::clear_stuck_bus(self)
    }
}

/// The status of a bus of which the firmware knows nothing: it is there, and free, and nobody can
/// clear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown;

impl BusStatus for Unknown {}

/// The status of a bus of which the firmware knows the frequency, which may change, and nothing
/// else.
impl BusStatus for &SharedBusFrequency {
    fn bus_frequency(&mut self) -> BusFrequency {
        self.get()
    }
}

/// The status of a bus of which the firmware knows the frequency and nothing else.
impl BusStatus for BusFrequency {
    fn bus_frequency(&mut self) -> BusFrequency {
        *self
    }
}
