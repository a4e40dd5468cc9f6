//! What a Configuration Set does outside the responder.

use crate::model::{PortId, SmbusFrequency};

use super::NotSupported;

/// Told when a port's settings change. A change is reported after the response to the command that made it was sent: that response
/// still travels with the old setting.
pub trait Effects {
    /// Packets of the port may now carry `unit` bytes of message, without the packet header.
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        let _ = (port, unit);
    }

    /// The two-wire port may now run at `frequency`.
    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        let _ = (port, frequency);
    }
}

impl Effects for NotSupported {}
