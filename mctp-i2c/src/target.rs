//! What the receive half needs of the hardware: the target mode of an I2C peripheral.

use core::future::Future;

/// An I2C peripheral in target mode, which takes what controllers write to the device's own
/// address.
///
/// `embedded-hal-async` has no such trait, hence this one. It is implemented for a HAL's
/// peripheral, or by a firmware on a wrapper of it.
///
/// # For users
///
/// Give it to a [`Receiver`](crate::Receiver), which calls [`receive`](Self::receive) again at once
/// after each transaction.
///
/// # For HAL authors
///
/// - Only writes to the device's own address are delivered, one for each call, and only those that
///   ended with a STOP. Bytes before a repeated START are given up, as Linux does; what controllers
///   read is FFh.
/// - The address is acknowledged always: one that is not says that there is no device (DSP0237,
///   section 6.12.1).
/// - While no `receive` is pending, keep what comes: best in a buffer for one whole transaction in
///   the driver, filled by interrupt or DMA. Or stretch the clock, by at most 250 µs for each byte
///   of the packet (section 6.18, Table 8, PT1c), not past the acknowledge bit of other targets'
///   addresses (6.12.2).
/// - Only a device that has no room for a whole packet may refuse it: the command code or one of
///   the bytes behind it, up to the message tag, is not acknowledged, nor anything behind it until
///   the next START or STOP (6.14, Figure 3: bytes 2 to 8, counted from 1). The sender tries again,
///   at least eight times. Never refuse because the device has something to send itself (6.16).
///   Linux does not try again beyond what its bus driver does: it drops the rest of the message,
///   without a word to the requester. So refuse as a last resort.
/// - Arbitration: when the device's own transaction loses to one that addresses the device, the
///   peripheral has to turn target within that byte. Both halves of the transport are used at the
///   same time; a driver that has one object for both shares it inside.
/// - The future of `receive` may be dropped at any time. A transaction is gone from the driver
///   only when `receive` has returned it.
///
/// ```
/// use mctp_i2c::{Target, TargetError};
///
/// /// Stands for a peripheral whose interrupt handler puts each write into a queue.
/// struct Peripheral {
///     writes: std::collections::VecDeque<Vec<u8>>,
/// }
///
/// impl Target for Peripheral {
///     async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TargetError> {
///         core::future::poll_fn(|_context| {
///             // An interrupt handler would wake the task of `_context`.
///             let Some(bytes) = self.writes.pop_front() else {
///                 return core::task::Poll::Pending;
///             };
///             let len = bytes.len().min(buffer.len());
///             buffer[..len].copy_from_slice(&bytes[..len]);
///             core::task::Poll::Ready(Ok(len))
///         })
///         .await
///     }
/// }
/// ```
pub trait Target {
    /// Waits until the device is on a bus that can carry packets: it has power, and the peripheral
    /// listens. The default returns at once: that is right for a device that has no power itself
    /// without the bus.
    ///
    /// For HAL authors: what was received before is forgotten.
    fn wait_enabled(&mut self) -> impl Future<Output = ()> {
        core::future::ready(())
    }

    /// Waits for the next write to the device's own address, and puts its bytes into `buffer`,
    /// without the address byte. Returns how many there were, at most as many as `buffer` has: the
    /// rest is acknowledged and forgotten.
    ///
    /// # Errors
    ///
    /// When a transaction was lost, or the device is not on the bus any more. Not when the device
    /// has to wait.
    fn receive(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, TargetError>>;
}

impl<T: Target> Target for &mut T {
    fn wait_enabled(&mut self) -> impl Future<Output = ()> {
        T::wait_enabled(self)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, TargetError>> {
        T::receive(self, buffer)
    }
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TargetError {
    /// The device is not on the bus any more: power or connection is lost, or the firmware took the
    /// peripheral away. Told once for each loss; [`Target::wait_enabled`] waits for it to come
    /// back.
    #[error("the device is not on the bus")]
    Disabled,
    /// Bytes of a transaction were lost, because nobody took them from the peripheral in time.
    /// Costs that transaction.
    #[error("bytes of a transaction were lost")]
    Overrun,
    /// A START or STOP came within a byte, or another fault of the bus. Costs that transaction.
    #[error("a fault of the bus")]
    Bus,
}
