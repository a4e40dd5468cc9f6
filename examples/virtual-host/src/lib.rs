#![doc = include_str!("../README.md")]

pub mod clock;
pub mod demo;
pub mod enumeration;
pub mod guest;
pub mod requester;
pub mod transport;
pub mod waker;

use mctp_transport::BASELINE_TRANSMISSION_UNIT;
use tokio::io::{AsyncRead, AsyncWrite};

use enumeration::{EnumerationError, enumerate};
use guest::{Guest, UsbError};
use requester::Requester;
use transport::{PacketLog, Pipes};

/// Why there is no device to ask.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody on the bus speaks usbredir.
    #[error("no device on the bus: {0}")]
    NoDevice(#[from] UsbError),
    /// What is there is not a USB device.
    #[error("the device cannot be enumerated: {0}")]
    Enumeration(#[from] EnumerationError),
    /// It is a USB device for something else.
    #[error("the device has no MCTP interface")]
    NotMctp,
}

/// Enumerates the device on this bus, and runs an MCTP stack for as long as `programs` run: they ask
/// the device, in packets of 64 bytes of payload.
///
/// Must be called in a tokio `LocalSet`.
///
/// # Errors
///
/// When there is no MCTP device on the bus.
pub async fn with_device<T>(
    bus: impl AsyncRead + AsyncWrite + Unpin + 'static,
    programs: impl AsyncFnOnce(Requester<'_, '_>) -> T,
) -> Result<T, ConnectError> {
    let guest = Guest::attach(bus).await?;
    let found = enumerate(&guest).await?;
    let mut interfaces = found.configuration.interfaces.iter();
    let pipes = interfaces
        .find_map(Pipes::of)
        .ok_or(ConnectError::NotMctp)?;
    let log = PacketLog::default();
    let unit = BASELINE_TRANSMISSION_UNIT;
    Ok(requester::run(&guest, pipes, unit, &log, programs).await)
}
