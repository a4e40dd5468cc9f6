//! Why a write failed.

use embedded_hal_async::i2c::{Error, ErrorKind, NoAcknowledgeSource};

/// Why a write failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Another controller was faster. Its transaction may address the device.
    #[error("another controller has won the bus")]
    ArbitrationLost,
    /// The address or a byte was not acknowledged, or the address is the device's own.
    #[error("not acknowledged")]
    NotAcknowledged,
    /// The clock was low for 30 ms.
    #[error("the clock was held for too long")]
    Timeout,
    /// The transaction ended before its last byte.
    #[error("a fault of the bus")]
    Bus,
    /// More bytes than a transaction of MCTP has.
    #[error("more than 258 bytes")]
    TooLong,
    /// A read: MCTP has none (DSP0237).
    #[error("the controller does not read")]
    NotSupported,
}

impl Error for WriteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ArbitrationLost => ErrorKind::ArbitrationLoss,
            Self::NotAcknowledged => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::Timeout | Self::Bus => ErrorKind::Bus,
            Self::TooLong | Self::NotSupported => ErrorKind::Other,
        }
    }
}
