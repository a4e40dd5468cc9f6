//! What `embedded-hal-async` does not tell of a bus.

use core::future::Future;

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

    fn clear_stuck_bus(&mut self) -> impl Future<Output = ()> {
        S::clear_stuck_bus(self)
    }
}

/// The status of a bus of which the firmware knows nothing: it is there, and free, and nobody can
/// clear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown;

impl BusStatus for Unknown {}
