//! The log, as text on UART1.

use core::fmt::Write;

use embassy_time::Instant;
use log::{LevelFilter, Log, Metadata, Record};
use qemu_an500::uart::UART1;
use reference_device::{DropCounters, Event, Observer};

struct Wire;

impl Write for Wire {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        UART1.send_now(text.as_bytes());
        Ok(())
    }
}

impl Log for Wire {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let time = Instant::now().as_millis();
        // One line at a time, whoever preempts whom. It does not fail.
        let _ = critical_section::with(|_| {
            writeln!(
                Wire,
                "{:5}.{:03} {:<5} {}",
                time / 1000,
                time % 1000,
                record.level(),
                record.args()
            )
        });
    }

    fn flush(&self) {}
}

/// Starts the log.
pub fn start() {
    // It fails only for the second one.
    let _ = log::set_logger(&Wire);
    log::set_max_level(LevelFilter::Info);
}

/// Logs what happens to the device.
pub struct EventLog;

impl Observer for EventLog {
    fn event(&self, event: Event, drops: &DropCounters) {
        log::info!("{event:?}; packets dropped so far: {}", drops.total());
    }
}
