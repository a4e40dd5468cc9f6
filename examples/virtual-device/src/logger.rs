//! What the program logs: on standard error, and for whoever opens the device's serial port.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

use device_log::{DeviceLog, Reader, Sink};
use log::LevelFilter;

/// Bytes of the first lines that are kept.
const EARLY: usize = 4096;
/// Bytes of the newest lines that are kept.
const RECENT: usize = 65_536;

/// Reads what the program has logged.
pub type LogReader = Reader<'static, EARLY, RECENT>;

/// Longer lines are cut: what QEMU has to be told, with two long paths, fits.
const LINE: usize = 1024;

static LOG: DeviceLog<StandardError, EARLY, RECENT, LINE> = DeviceLog::new(StandardError);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

struct StandardError;

impl Sink for StandardError {
    fn uptime(&self) -> u64 {
        START.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    fn write(&self, text: &[u8]) {
        let line = text.strip_suffix(b"\r\n").unwrap_or(text);
        // Nothing is left to be done about a closed standard error.
        let _ = std::io::stderr().write_all(&[line, b"\n"].concat());
    }
}

/// Logs from now on, each line with the seconds since this.
pub fn start(level: LevelFilter) {
    LazyLock::force(&START);
    // There is one logger already only if this was called before.
    let _ = LOG.start(level);
}

/// A reader, from the first line on.
pub fn reader() -> LogReader {
    LOG.reader()
}
