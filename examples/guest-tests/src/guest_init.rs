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
use std::time::Instant;

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
            print_kernel_log();
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

/// Has the host check that the device has logged a line with this in it.
pub(crate) fn expect_device_log(text: &str) {
    say(&format!("log: {text}"));
}

/// Has the host check that the device has stored every byte of a firmware image.
pub(crate) fn expect_stored(image: &[u8], slot: u8) {
    let digest: String = Sha256::digest(image)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let revision = String::from_utf8_lossy(&image[REVISION]);
    expect_device_log(&format!(
        "firmware slot {slot} has {revision}: {} bytes, SHA-256 {digest}",
        image.len()
    ));
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

/// What the kernel has logged, for whoever looks for the reason of a failure.
fn print_kernel_log() {
    let Ok(log) = rustix::fs::open(
        "/dev/kmsg",
        OFlags::RDONLY | OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    ) else {
        return;
    };
    let mut log = fs::File::from(log);
    let mut record = [0; 8192];
    // One record a read: `priority,number,time,flags;text`.
    while let Ok(length @ 1..) = log.read(&mut record) {
        let text = String::from_utf8_lossy(&record[..length]);
        let message = text.split_once(';').map_or(&*text, |(_, message)| message);
        println!("kernel: {}", message.lines().next().unwrap_or_default());
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
