//! What a Configuration Set does outside the responder, and what goes wrong there.

use crate::control::TransportErrors;
use crate::model::{PortId, SmbusFrequency};

use super::NotSupported;

/// Told when a port's settings change. A change is reported after the response to the command that
/// made it was sent: that response still travels with the old setting. Asked for the errors of the
/// transport, for [Get State](crate::control).
pub trait Effects {
    /// Packets of the port may now carry `unit` bytes of message, without the packet header.
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        let _ = (port, unit);
    }

    /// The two-wire port may now run at `frequency`.
    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        let _ = (port, frequency);
    }

    /// What went wrong in packets for the management endpoint since the last call.
    fn take_errors(&mut self) -> TransportErrors {
        TransportErrors::NONE
    }
}

impl Effects for NotSupported {}

/// Remembers the last change of each. Has errors if given some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryEffects {
    /// The last new transmission unit, and of which port.
    pub transmission_unit: Option<(PortId, u16)>,
    /// The last new frequency, and of which port.
    pub smbus_frequency: Option<(PortId, SmbusFrequency)>,
    /// What went wrong since Get State was asked.
    pub errors: TransportErrors,
}

impl Effects for MemoryEffects {
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        self.transmission_unit = Some((port, unit));
    }

    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        self.smbus_frequency = Some((port, frequency));
    }

    fn take_errors(&mut self) -> TransportErrors {
        core::mem::take(&mut self.errors)
    }
}
