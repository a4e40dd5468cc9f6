//! What the program logs: on standard error, and for whoever opens the device's serial port.

use std::io::Write;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use device_log::{DeviceLog, Reader, Sink};
use log::LevelFilter;

use crate::background_writer::{BackgroundWriter, Handed};

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

/// How many lines wait for a standard error that takes them more slowly than they come.
const ROOM: usize = 1024;

/// Where the lines go once [`write_in_background`] was called.
static BACKGROUND: OnceLock<BackgroundWriter> = OnceLock::new();

struct StandardError;

impl Sink for StandardError {
    fn uptime(&self) -> u64 {
        START.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    fn write(&self, text: &[u8]) {
        let line = text.strip_suffix(b"\r\n").unwrap_or(text);
        print(line);
    }
}

/// Writes a line to standard error, in its place among those of the log.
pub fn print(line: &[u8]) {
    let line = [line, b"\n"].concat();
    match BACKGROUND.get() {
        Some(background) => {
            tell_left_out(background);
            background.hand_over(line, Duration::ZERO);
        }
        // Nothing is left to be done about a closed standard error.
        None => drop(std::io::stderr().write_all(&line)),
    }
}

fn tell_left_out(background: &BackgroundWriter) {
    let lines = background.take_left_out();
    if lines == 0 {
        return;
    }
    let sentence = format!("{lines} lines of the log are left out: nobody read standard error\n");
    if background.hand_over(sentence.into_bytes(), Duration::ZERO) != Handed::Queued {
        background.add_left_out(lines.saturating_sub(1));
    }
}

/// Writes to standard error in the background from now on: a reader that is stopped must not stop
/// the device. Lines that it has no room for are left out, and counted.
///
/// # Errors
///
/// When there can be no thread.
pub fn write_in_background() -> std::io::Result<()> {
    let background = BackgroundWriter::start(ROOM, || Ok(std::io::stderr()))?;
    // There is one already only if this was called before.
    let _ = BACKGROUND.set(background);
    Ok(())
}

/// Waits until the log is written, but no longer than `limit`.
pub fn finish(limit: Duration) {
    if let Some(background) = BACKGROUND.get() {
        tell_left_out(background);
        background.finish(limit, limit);
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
