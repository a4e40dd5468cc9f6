//! A device program that attaches itself to this machine by USB/IP.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use linux_requester::interface::{self, Interface};
use rustix::process::{Pid, Signal, kill_process};

/// Where the program's log is.
pub(crate) const LOG: &str = "/tmp/device.log";

/// For the kernel to find the device, and for it to be gone.
const TIME: Duration = Duration::from_secs(30);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// The program that runs, from one command of a plan to the next.
static PROGRAM: Mutex<Option<Child>> = Mutex::new(None);

/// Starts the program with these arguments, and waits for its interface.
pub(crate) fn attach(program: &str, arguments: &[String]) -> Result<Interface> {
    let mut running = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(running.is_none(), "the device is attached already");
    ensure!(
        interface::first()?.is_none(),
        "there is an MCTP interface over USB already"
    );
    let log = File::options().create(true).append(true).open(LOG)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let child = command.stdout(log.try_clone()?).stderr(log).spawn();
    *running = Some(child.with_context(|| format!("cannot start {program}"))?);
    interface::wait_for_another(None, TIME)
}

/// Asks the program to end, and waits until its interface is gone.
pub(crate) fn detach() -> Result<()> {
    let mut running = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = running.take().context("no device is attached")?;
    let id = Pid::from_child(&child);
    kill_process(id, Signal::TERM).context("cannot end the device")?;
    let deadline = Instant::now() + TIME;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            bail!("the device did not end when it was asked to");
        }
        thread::sleep(POLL_PAUSE);
    };
    ensure!(status.success(), "the device ended with {status}");
    while interface::first()?.is_some() {
        if Instant::now() > deadline {
            bail!("the interface of a device that has ended is still there");
        }
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}
