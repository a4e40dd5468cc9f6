//! The byte stream that frames are received from, and whether its link is there.

use core::future::{Future, pending};

use embedded_io_async::{ErrorKind, ErrorType, Read};

/// A byte stream whose link can be lost and come back: a USB serial port, a socket, a
/// pseudo-terminal, a UART with a carrier detect line. For one whose link is simply there, such as
/// a UART, see [`PermanentLine`].
///
/// What [`read`](Read::read) returns says more than bytes:
///
/// - No bytes, or an error of the kind `NotConnected`, `ConnectionReset`, `ConnectionAborted` or
///   `BrokenPipe`: the link was lost.
/// - Another error: bytes were lost (an overrun, a framing or parity error, noise, a break), the
///   link is still there.
///
/// `read` must be side-effect-free on cancel: a byte is gone from the stream only when `read` has
/// returned it. Drivers with a ring buffer of their own are, as a rule; those that read by DMA into
/// the caller's buffer are not.
///
/// ```
/// use embedded_io_async::{ErrorType, Read};
/// use mctp_serial::Line;
///
/// /// The host opens and closes this port; while it is closed, reads fail with `NotConnected`.
/// trait UsbSerial: Read {
///     async fn wait_opened(&mut self);
/// }
///
/// struct UsbLine<U>(U);
///
/// impl<U: ErrorType> ErrorType for UsbLine<U> {
///     type Error = U::Error;
/// }
///
/// impl<U: Read> Read for UsbLine<U> {
///     async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, U::Error> {
///         self.0.read(buffer).await
///     }
/// }
///
/// impl<U: UsbSerial> Line for UsbLine<U> {
///     async fn wait_connected(&mut self) {
///         self.0.wait_opened().await;
///     }
/// }
/// ```
pub trait Line: Read {
    /// Waits until the link is there. Called before the first byte is read, and again each time
    /// that the link was lost. The future may be dropped at any time.
    fn wait_connected(&mut self) -> impl Future<Output = ()>;
}

/// A byte stream whose link is there from the beginning, and does not come back when it was lost.
#[derive(Debug)]
pub struct PermanentLine<R> {
    stream: R,
    was_connected: bool,
}

impl<R> PermanentLine<R> {
    /// The link of this stream is there.
    pub const fn new(stream: R) -> Self {
        Self {
            stream,
            was_connected: false,
        }
    }
}

impl<R: ErrorType> ErrorType for PermanentLine<R> {
    type Error = R::Error;
}

impl<R: Read> Read for PermanentLine<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        self.stream.read(buffer).await
    }
}

impl<R: Read> Line for PermanentLine<R> {
    async fn wait_connected(&mut self) {
        if core::mem::replace(&mut self.was_connected, true) {
            pending().await
        }
    }
}

/// Whether an error of this kind means that the link was lost.
pub(crate) const fn is_link_lost(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotConnected
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}
