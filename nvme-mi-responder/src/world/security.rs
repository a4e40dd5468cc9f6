//! Security Send and Security Receive.

use super::NotSupported;

/// The security protocols of the device.
pub trait SecurityProtocols {
    /// The protocols in ascending order, 00h (information) among them. None, the default: the commands are not supported.
    fn protocols(&self) -> &[u8] {
        &[]
    }
}

impl SecurityProtocols for NotSupported {}
