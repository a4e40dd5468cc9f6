//! What a Configuration Set does outside the responder.

use crate::model::{PortId, SmbusFrequency};

/// Told when a port's settings change. A change is reported after the response to the command that
/// made it was sent: that response has to travel with the old setting. A requester that did not get
/// the response sets the same value again, which is reported again.
///
/// Sent means that the stack has taken all of the response. It may still wait for the bus: where that
/// matters, as for a clock rate, see to it that the response is out first. The router of
/// `mctp-router` tells (`is_sent`).
pub trait Effects {
    /// Packets of the port may now carry `unit` bytes of message, without the packet header.
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        let _ = (port, unit);
    }

    /// The two-wire port may run at `frequency` as soon as the response is out.
    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        let _ = (port, frequency);
    }
}

/// Remembers the last change of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryEffects {
    /// The last new transmission unit, and of which port.
    pub transmission_unit: Option<(PortId, u16)>,
    /// The last new frequency, and of which port.
    pub smbus_frequency: Option<(PortId, SmbusFrequency)>,
}

impl Effects for MemoryEffects {
    fn transmission_unit_changed(&mut self, port: PortId, unit: u16) {
        self.transmission_unit = Some((port, unit));
    }

    fn smbus_frequency_changed(&mut self, port: PortId, frequency: SmbusFrequency) {
        self.smbus_frequency = Some((port, frequency));
    }
}
