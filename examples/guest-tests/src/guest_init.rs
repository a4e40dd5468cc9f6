//! Process 1 of a test guest: runs a plan, says how it went, and powers off.
//!
//! A plan is a text file with one command a line: `linux-requester` and its arguments, or a command
//! of this program; `#` starts a comment line. What the host has to see is printed as a line that starts with [`MARK`]: `pass`, `fail: ` and why,
//! `ask: ` and a request, or `log: ` and what has to be in the device's log.

use std::fs;
use std::io::{self, Read, Write};
use std::iter;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use sha2::{Digest, Sha256};

use crate::commands::{self, Arguments};
use crate::image::REVISION;
use crate::requester;
use crate::usbip_device::LOG;

const MARK: &str = "@guest ";

/// For a line to get into the device's log.
const LOG_TIME: Duration = Duration::from_secs(2);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// What the host says when this machine goes on.
const WAS_STOPPED: &str = "was stopped";

/// How many packets the kernel keeps that have arrived and have not been looked at; it drops those
/// beyond. Of its own accord it keeps 1000: fewer than short messages fill the transfers that its
/// driver for MCTP over USB 1.1 lets a device send at once.
const BACKLOG: (&str, &str) = ("/proc/sys/net/core/netdev_max_backlog", "100000");

/// Runs the plan; returns only if the machine cannot be switched off.
pub(crate) fn run(plan: &Path) -> Result<()> {
    match prepare().and_then(|()| run_plan(plan)) {
        Ok(()) => say("pass"),
        Err(error) => {
            for line in kernel_log().unwrap_or_default() {
                println!("kernel: {line}");
            }
            print!("{}", fs::read_to_string(LOG).unwrap_or_default());
            say(&format!("fail: {error:#}"));
        }
    }
    reboot(RebootCommand::Restart).context("cannot end the guest")
}

/// Prints a line for the host to act on.
pub(crate) fn tell_host(request: &str) {
    say(&format!("ask: {request}"));
}

/// Has the host stop this machine for so many milliseconds. What the thread returns is what the host
/// says when the machine goes on, for [`expect_was_stopped`].
pub(crate) fn stop(milliseconds: u64) -> JoinHandle<io::Result<String>> {
    let host = thread::spawn(host_says);
    tell_host(&format!("stop {milliseconds}"));
    host
}

/// Asks the host for something, and waits until it says what it has done.
pub(crate) fn ask_host(request: &str) -> Result<String> {
    tell_host(request);
    Ok(host_says()?.trim().to_owned())
}

fn host_says() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

/// Checks what the host said.
pub(crate) fn expect_was_stopped(host: JoinHandle<io::Result<String>>) -> Result<()> {
    let answer = host.join().map_err(|_| anyhow!("nothing was read"))??;
    ensure!(
        answer.trim() == WAS_STOPPED,
        "the host answered {answer:?} to the request to stop this machine"
    );
    Ok(())
}

/// Checks that the device has logged a line with this in it: where the device is a program in this
/// guest, it is there, and if not, the host has its log.
pub(crate) fn expect_device_log(text: &str) -> Result<()> {
    if !Path::new(LOG).exists() {
        say(&format!("log: {text}"));
        return Ok(());
    }
    let deadline = Instant::now() + LOG_TIME;
    // The device logs what it does before it answers; the line may still be on its way.
    while !fs::read_to_string(LOG)?.contains(text) {
        ensure!(
            Instant::now() < deadline,
            "the device has not logged `{text}`"
        );
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}

/// Checks that the device has stored every byte of a firmware image, as its log says.
pub(crate) fn expect_stored(image: &[u8], slot: u8) -> Result<()> {
    let digest: String = Sha256::digest(image)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let revision = String::from_utf8_lossy(&image[REVISION]);
    expect_device_log(&format!(
        "firmware slot {slot} has {revision}: {} bytes, SHA-256 {digest}",
        image.len()
    ))
}

fn say(text: &str) {
    println!("{MARK}{text}");
    let _ = io::stdout().flush();
}

fn prepare() -> Result<()> {
    for (kind, folder) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(kind, folder, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {folder}"))?;
    }
    let (setting, packets) = BACKLOG;
    fs::write(setting, packets).with_context(|| format!("cannot change {setting}"))?;
    Ok(())
}

fn run_plan(plan: &Path) -> Result<()> {
    let text = fs::read_to_string(plan).context("cannot read the plan")?;
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| is_command(line))
        .collect();
    for (number, line) in (1..).zip(&lines) {
        println!("--- step {number} of {}: {line}", lines.len());
        let start = Instant::now();
        run_line(line).with_context(|| format!("step {number} ({line})"))?;
        println!("    done in {} ms", start.elapsed().as_millis());
    }
    Ok(())
}

fn is_command(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn run_line(line: &str) -> Result<()> {
    let mut words = line.split_whitespace().peekable();
    if words.next_if_eq(&requester::NAME).is_some() {
        return requester::run(words);
    }
    let words = iter::once("guest-tests").chain(words);
    commands::run(&Arguments::try_parse_from(words)?)
}

/// What the kernel has logged, as far as it still has it.
pub(crate) fn kernel_log() -> Result<Vec<String>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let log = rustix::fs::open("/dev/kmsg", flags, rustix::fs::Mode::empty());
    let mut log = fs::File::from(log.context("cannot open the kernel's log")?);
    let mut lines = Vec::new();
    let mut record = [0; 8192];
    loop {
        // One record a read: `priority,number,time,flags;text`.
        let length = match log.read(&mut record) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(lines),
            // The next record was overwritten meanwhile.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => continue,
            Err(error) => return Err(error).context("cannot read the kernel's log"),
        };
        let text = String::from_utf8_lossy(&record[..length]);
        let message = text.split_once(';').map_or(&*text, |(_, message)| message);
        lines.push(message.lines().next().unwrap_or_default().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_no_commands() {
        assert!(is_command("reset-usb usb"));
        assert!(!is_command(""));
        assert!(!is_command("# reset-usb usb"));
    }

    #[test]
    fn unknown_command_in_a_plan_is_an_error() {
        assert!(run_line("dance").is_err());
    }
}
