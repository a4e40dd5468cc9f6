//! Device programs that are attached to this machine by USB/IP: they do that themselves, or listen
//! for the tool that does it.

use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use linux_requester::interface::{self, Interface};
use rustix::process::{Pid, Signal, kill_process};

/// Where the programs' log is.
pub(crate) const LOG: &str = "/tmp/device.log";
/// Where a program listens for the tool.
const ADDRESS: &str = "127.0.0.1:3240";

/// For the kernel to find the device, and for it to be gone.
pub(crate) const TIME: Duration = Duration::from_secs(30);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// The program that runs, from one command of a plan to the next.
static PROGRAM: Mutex<Option<Program>> = Mutex::new(None);

/// A device program that runs.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(program: &str, arguments: &[String]) -> Result<Self> {
        let log = File::options().create(true).append(true).open(LOG)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self(
            child.with_context(|| format!("cannot start {program}"))?,
        ))
    }

    /// Asks the program to end, which has to do so, and with success.
    pub(crate) fn end(mut self) -> Result<()> {
        let id = Pid::from_child(&self.0);
        kill_process(id, Signal::TERM).context("cannot end the device")?;
        let deadline = Instant::now() + TIME;
        let status = loop {
            if let Some(status) = self.0.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("the device did not end when it was asked to");
            }
            thread::sleep(POLL_PAUSE);
        };
        ensure!(status.success(), "the device ended with {status}");
        Ok(())
    }
}

/// No program outlives the step that failed.
impl Drop for Program {
    fn drop(&mut self) {
        // Nothing is left to be done about a program that cannot be killed; one that has ended is
        // left alone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program with these arguments, and waits for its interface. Without one, the program
/// is ended.
pub(crate) fn attach(program: &str, arguments: &[String]) -> Result<Interface> {
    start(program, arguments)?;
    interface::wait_for_another(None, TIME).inspect_err(|_| drop(take()))
}

/// Starts the program with these arguments, and waits until it listens. If it does not, it is ended.
pub(crate) fn listen(program: &str, arguments: &[String]) -> Result<()> {
    start(program, arguments)?;
    wait_until_it_listens().inspect_err(|_| drop(take()))
}

fn wait_until_it_listens() -> Result<()> {
    let deadline = Instant::now() + TIME;
    while let Err(error) = TcpStream::connect(ADDRESS) {
        ensure!(Instant::now() < deadline, "no device at {ADDRESS}: {error}");
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}

fn start(program: &str, arguments: &[String]) -> Result<()> {
    let mut running = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(running.is_none(), "the device runs already");
    ensure!(
        interface::first()?.is_none(),
        "there is an MCTP interface over USB already"
    );
    *running = Some(Program::start(program, arguments)?);
    Ok(())
}

fn take() -> Option<Program> {
    let mut running = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    running.take()
}

/// Asks the program to end, and waits until its interface is gone.
pub(crate) fn detach() -> Result<()> {
    take().context("no device runs")?.end()?;
    wait_until_gone(|| Ok(interface::first()?.is_none()))
}

/// Waits until an interface is gone, of which `is_gone` says so.
pub(crate) fn wait_until_gone(is_gone: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + TIME;
    while !is_gone()? {
        ensure!(
            Instant::now() < deadline,
            "the interface of a device that was detached is still there"
        );
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}
