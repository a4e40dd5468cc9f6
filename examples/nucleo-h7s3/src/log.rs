//! The log, on the debug port: defmt over RTT, which costs little flash and waits for nobody.

use defmt::info;
use defmt_rtt as _;
use reference_device::{DropCounters, Event, Observer};

/// Logs what happens to the device.
pub struct EventLog;

impl Observer for EventLog {
    fn event(&self, event: Event, drops: &DropCounters) {
        info!("{}; packets dropped so far: {}", event, drops);
    }
}
