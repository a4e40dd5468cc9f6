//! The device's log on its USB serial port, as those who open it find it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::requester;

/// A log is over when it has all expected lines and says nothing for this long.
const QUIET: Duration = Duration::from_millis(800);
/// The longest time until a log is over.
const LONGEST: Duration = Duration::from_secs(45);
/// The end of a line that stands for those that were left out.
const LOST: &str = " bytes lost ...";
/// What a slow reader takes at once, how often, and how long it rests in between.
const SIP: usize = 16;
const SIPS: usize = 200;
const REST: Duration = Duration::from_millis(2);

#[derive(clap::Args)]
pub(crate) struct SerialLogArguments {
    /// The serial port, such as /dev/ttyACM0
    port: PathBuf,
    /// Part of the first line: whoever opens the port gets that first
    #[arg(long)]
    first: String,
    /// Parts of lines that have to follow, in this order
    #[arg(long)]
    expect: Vec<String>,
    /// So much happens while the port is open and not read that the device has to leave lines out,
    /// and say so
    #[arg(long)]
    loss: bool,
}

/// Checks the log of the device with this endpoint ID, which echoes messages of the sizes `busy`
/// while nobody reads.
pub(crate) fn run(endpoint_id: u8, busy: &str, arguments: &SerialLogArguments) -> Result<()> {
    let echoes = format!("echo {endpoint_id} --sizes {busy}");
    let busy = || requester::run(echoes.split_whitespace());
    let notable = || {
        // To the one that it has. Within 5 s it would be the bus owner's request, retransmitted.
        thread::sleep(Duration::from_secs(6));
        let set = format!("control {endpoint_id} 01 00{endpoint_id:02x} --tries 1 --wait 3000");
        requester::run(set.split_whitespace())?;
        Ok(format!("endpoint ID {endpoint_id} was set"))
    };
    check(arguments, busy, notable)
}

/// Opens the port as a terminal, again as a careful program, and a third time without reading while
/// `busy` keeps the device busy. `notable` has to make it log a line with the text that it returns.
fn check(
    arguments: &SerialLogArguments,
    busy: impl FnOnce() -> Result<()>,
    notable: impl FnOnce() -> Result<String>,
) -> Result<()> {
    // As `cat` does: the terminal echoes, so that all of the log goes back to the device.
    let mut port = Port::open(&arguments.port)?;
    let echoed = port.read_until(|text| arguments.has_beginning(text))?;
    arguments.check_beginning(&echoed)?;
    drop(port);
    println!("a terminal gets {} lines", echoed.len());

    let mut port = Port::open(&arguments.port)?;
    port.make_raw()?;
    let again = port.read_until(|text| arguments.has_beginning(text))?;
    arguments.check_beginning(&again)?;
    ensure!(
        again.first() == echoed.first(),
        "the first line is another one the second time"
    );
    drop(port);
    println!(
        "who comes back gets {} lines, the same first one",
        again.len()
    );

    let mut port = Port::open(&arguments.port)?;
    port.make_raw()?;
    busy()?;
    port.read_slowly()?;
    let late = port.read_until(|text| {
        arguments.has_beginning(text) && text.contains(LOST) == arguments.loss
    })?;
    arguments.check_beginning(&late)?;
    let lost: u64 = late.iter().filter_map(|line| lost_bytes(line)).sum();
    ensure!(
        (lost > 0) == arguments.loss,
        "{lost} bytes were lost, which is not as it has to be"
    );
    println!(
        "who did not read gets {} lines late, {lost} bytes are left out",
        late.len()
    );

    let text = notable()?;
    port.read_until(|newest| newest.contains(&text))
        .with_context(|| format!("what happens now does not come: no `{text}`"))?;
    println!("and then what happens: {text}");
    Ok(())
}

impl SerialLogArguments {
    /// Whether everything is in `text` that the log has to begin with, in whatever order.
    fn has_beginning(&self, text: &str) -> bool {
        let mut parts = std::iter::once(&self.first).chain(&self.expect);
        parts.all(|part| text.contains(part))
    }

    /// The first lines are there, and all lines are whole ones of a log.
    fn check_beginning(&self, lines: &[String]) -> Result<()> {
        let first = lines.first().context("the port says nothing")?;
        ensure!(
            first.contains(&self.first),
            "the first line is `{first}`, not one with `{}`",
            self.first
        );
        let mut rest = lines.iter();
        for text in &self.expect {
            ensure!(
                rest.any(|line| line.contains(text)),
                "no line with `{text}` where it is expected"
            );
        }
        for line in lines {
            ensure!(
                is_record(line) || lost_bytes(line).is_some(),
                "`{line}` is no line of a log"
            );
        }
        Ok(())
    }
}

/// `   12.345 INFO  text`.
fn is_record(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let time = words.next().and_then(|time| time.split_once('.'));
    let is_time = time.is_some_and(|(seconds, fraction)| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        digits(seconds) && digits(fraction) && fraction.len() == 3
    });
    let level = words.next().unwrap_or_default();
    is_time && ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level)
}

/// The number in `... 123 bytes lost ...`.
fn lost_bytes(line: &str) -> Option<u64> {
    line.strip_prefix("... ")?.strip_suffix(LOST)?.parse().ok()
}

/// The open port.
struct Port {
    file: File,
    /// Bytes read and not yet given out as lines.
    text: Vec<u8>,
}

impl Port {
    fn open(path: &Path) -> Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.cast_signed())
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            file,
            text: Vec::new(),
        })
    }

    /// No echo, no line editing.
    fn make_raw(&self) -> Result<()> {
        let mut settings = tcgetattr(&self.file).context("this is no terminal")?;
        settings.make_raw();
        tcsetattr(&self.file, OptionalActions::Now, &settings).context("cannot make it raw")
    }

    /// Reads what there is, at most `limit` bytes; `false` when nothing comes for a while.
    fn read(&mut self, limit: usize) -> Result<bool> {
        let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
        let wait = Timespec::try_from(QUIET)?;
        if poll(&mut ready, Some(&wait))? == 0 {
            return Ok(false);
        }
        let mut bytes = vec![0; limit];
        match self.file.read(&mut bytes) {
            Ok(0) => bail!("the port is gone"),
            Ok(length) => self.text.extend(&bytes[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot read the port"),
        }
        Ok(true)
    }

    fn read_slowly(&mut self) -> Result<()> {
        for _ in 0..SIPS {
            self.read(SIP)?;
            thread::sleep(REST);
        }
        Ok(())
    }

    /// The lines until `is_complete` and the log is quiet, those read before included. The last one
    /// has to be whole.
    fn read_until(&mut self, is_complete: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let start = Instant::now();
        let is_over =
            |text: &[u8]| text.ends_with(b"\n") && is_complete(&String::from_utf8_lossy(text));
        while self.read(4096)? || !is_over(&self.text) {
            ensure!(
                start.elapsed() < LONGEST,
                "the log does not end, or does not have all expected lines: {}",
                String::from_utf8_lossy(&self.text)
            );
        }
        let text = std::mem::take(&mut self.text);
        let text = String::from_utf8(text).context("the log is not UTF-8")?;
        // A terminal shows the carriage return as a line end, too.
        let lines = text.lines().filter(|line| !line.is_empty());
        Ok(lines.map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_have_a_time_and_a_level() {
        assert!(is_record("   12.345 INFO  text"));
        assert!(is_record("100000.007 WARN  "));
        for wrong in ["12.345", ".345 INFO", "12.3 INFO", "12.345 LOUD", "text"] {
            assert!(!is_record(wrong), "{wrong}");
        }
    }

    #[test]
    fn losses_are_counted() {
        assert_eq!(lost_bytes("... 123 bytes lost ..."), Some(123));
        assert_eq!(lost_bytes("... many bytes lost ..."), None);
        assert_eq!(lost_bytes("   12.345 INFO  123 bytes lost ..."), None);
    }
}
