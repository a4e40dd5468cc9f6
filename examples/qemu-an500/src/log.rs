//! The log: text on UART1, at once, and on the USB serial port for whoever opens it.

use core::sync::atomic::{AtomicBool, Ordering};

use device_log::{DeviceLog, Sink};
use embassy_time::Instant;
use log::LevelFilter;
use qemu_an500::uart::UART1;
use reference_device::{Direction, DropCounters, Event, EventLog, Observer};

use crate::settings::ENDING_ENDPOINT_ID;

/// The first KiB and the newest 4 KiB are kept for the serial port.
pub static LOG: DeviceLog<Wire, 1024, 4096> = DeviceLog::new(Wire);

/// UART1.
pub struct Wire;

impl Sink for Wire {
    fn uptime(&self) -> u64 {
        Instant::now().as_millis()
    }

    fn write(&self, text: &[u8]) {
        UART1.post(text);
    }

    fn write_last(&self, text: &[u8]) {
        UART1.send_last(text);
    }
}

/// Starts the log.
pub fn start(level: LevelFilter) {
    // It fails only for the second one.
    let _ = LOG.start(level);
}

/// Logs what happens to the device.
pub static EVENTS: Events = Events {
    log: EventLog::new(),
    is_asked_to_end: AtomicBool::new(false),
};

/// The log of events, and one event that tests wait for.
pub struct Events {
    log: EventLog,
    is_asked_to_end: AtomicBool,
}

impl Events {
    /// Whether the endpoint ID was set that makes the device end.
    pub fn is_asked_to_end(&self) -> bool {
        self.is_asked_to_end.load(Ordering::Relaxed)
    }
}

impl Observer for Events {
    fn packet(&self, direction: Direction, bytes: &[u8]) {
        self.log.packet(direction, bytes);
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        self.log.event(event, drops);
        if let Event::EndpointIdSet { endpoint_id, .. } = event
            && endpoint_id.0 == ENDING_ENDPOINT_ID
        {
            self.is_asked_to_end.store(true, Ordering::Relaxed);
        }
    }
}
