//! nvme-cli as a program.

use std::path::PathBuf;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{spawn, yield_now};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use linux_requester::interface::Interface;
use serde_json::Value;
use zerocopy::FromBytes;

/// The bit of a printed status that says Do Not Retry.
const DO_NOT_RETRY: u16 = 0x4000;

/// The host takes a guest that prints nothing for a minute for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// nvme-cli as the guest tests have it: the program, `loader` and all libraries in one folder.
pub(crate) struct NvmeCli {
    folder: PathBuf,
    /// By which the endpoint is reached.
    interface: Interface,
    endpoint_id: u8,
    /// `mctp:NETWORK,ENDPOINT`
    device: String,
}

/// What a run printed, and whether it was content.
struct Output {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

impl From<process::Output> for Output {
    fn from(output: process::Output) -> Self {
        Self {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Output {
    fn all(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), self.stderr)
    }
}

impl NvmeCli {
    pub(crate) fn new(folder: PathBuf, interface: Interface, endpoint_id: u8) -> Self {
        Self {
            folder,
            interface,
            endpoint_id,
            device: format!("mctp:1,{endpoint_id}"),
        }
    }

    pub(crate) fn interface(&self) -> &Interface {
        &self.interface
    }

    pub(crate) fn endpoint_id(&self) -> u8 {
        self.endpoint_id
    }

    /// The same for a controller other than 0.
    pub(crate) fn of_controller(&self, controller: u16) -> Self {
        Self {
            folder: self.folder.clone(),
            interface: self.interface.clone(),
            endpoint_id: self.endpoint_id,
            device: format!("{}:{controller}", self.device),
        }
    }

    /// One command: its name, then its options; the device is put in between.
    fn command(&self, command: &str) -> Command {
        let (name, options) = command.split_once(' ').unwrap_or((command, ""));
        let mut program = Command::new(self.folder.join("loader"));
        program
            .arg("--library-path")
            .arg(&self.folder)
            .arg(self.folder.join("nvme"))
            .args([name, &self.device])
            .args(options.split_whitespace())
            .stdin(Stdio::null());
        program
    }

    fn run(&self, command: &str) -> Result<Output> {
        let mut program = self.command(command);
        let output = with_signs_of_life(|| program.output()).with_context(|| self.no_start())?;
        Ok(output.into())
    }

    fn no_start(&self) -> String {
        format!("cannot start nvme-cli in {}", self.folder.display())
    }

    /// Runs a command and kills it once `is_time`, which is asked without a pause. Whether it had
    /// not ended before.
    pub(crate) fn kill_when(
        &self,
        command: &str,
        is_time: impl Fn() -> Result<bool>,
    ) -> Result<bool> {
        let mut program = self.command(command);
        let mut child = program.spawn().with_context(|| self.no_start())?;
        let mut runs = true;
        while runs && !is_time()? {
            runs = child.try_wait()?.is_none();
            yield_now();
        }
        runs = child.try_wait()?.is_none();
        child.kill()?;
        child.wait()?;
        println!("nvme {command}: killed on its way: {runs}");
        Ok(runs)
    }

    /// What a command prints that has to succeed within `limit`. Meanwhile `others` is called again
    /// and again.
    pub(crate) fn text_with_others(
        &self,
        command: &str,
        limit: Duration,
        mut others: impl FnMut() -> Result<()>,
    ) -> Result<String> {
        let start = Instant::now();
        let mut program = self.command(command);
        let piped = program.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().with_context(|| self.no_start())?;
        let mut last_sign = start;
        let outcome = loop {
            if child.try_wait()?.is_some() {
                break Ok(());
            }
            if start.elapsed() > limit {
                break Err(anyhow!("it has not ended within {} s", limit.as_secs()));
            }
            if let Err(error) = others() {
                break Err(error);
            }
            if last_sign.elapsed() > SIGN_OF_LIFE {
                println!("... still running");
                last_sign = Instant::now();
            }
        };
        if outcome.is_err() {
            child.kill()?;
        }
        let output = Output::from(child.wait_with_output()?);
        outcome.with_context(|| format!("nvme {command}, which said: {}", output.all()))?;
        let stdout = succeeded(command, output)?;
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    /// Whether this version sends the command over NVMe-MI at all. It is run for that, and may
    /// fail.
    pub(crate) fn is_for_mctp(&self, command: &str) -> Result<bool> {
        Ok(!self.run(command)?.all().contains("not a direct transport"))
    }

    /// Whether a command succeeds, and does not fail because the kernel has no huge pages. Versions
    /// before 2.16 fail without a word then.
    pub(crate) fn has_memory_for(&self, command: &str) -> Result<bool> {
        let output = self.run(command)?;
        let (status, text) = (output.status, output.all());
        println!("nvme {command}: {status}, {}", text.trim());
        ensure!(
            status.success() || text.is_empty() || text.contains("huge memory"),
            "nvme {command} ended with {status} and said: {text}"
        );
        Ok(status.success())
    }

    /// What a command prints that has to succeed.
    pub(crate) fn raw(&self, command: &str) -> Result<Vec<u8>> {
        succeeded(command, self.run(command)?)
    }

    /// The structure that a command with `-b` prints.
    pub(crate) fn structure<T: FromBytes>(&self, command: &str) -> Result<T> {
        let bytes = self.raw(command)?;
        let found = bytes.len();
        T::read_from_bytes(&bytes).map_err(|_| {
            let expected = size_of::<T>();
            anyhow!("nvme {command} printed {found} bytes instead of {expected}")
        })
    }

    pub(crate) fn text(&self, command: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.raw(command)?).into_owned())
    }

    /// The object that a command prints.
    pub(crate) fn json(&self, command: &str) -> Result<Value> {
        let command = format!("{command} -o json");
        let output = self.raw(&command)?;
        serde_json::from_slice(&output).with_context(|| {
            let text = String::from_utf8_lossy(&output);
            format!("nvme {command} printed no JSON: {text}")
        })
    }

    /// Runs a command that has to fail with this completion status: bits 10 to 8 its type, 7 to 0
    /// its code.
    pub(crate) fn refused(&self, command: &str, status: u16) -> Result<()> {
        self.failed(command, "NVMe status:", status)
    }

    /// Runs a command that has to fail with this NVMe-MI response status.
    pub(crate) fn refused_by_endpoint(&self, command: &str, status: u16) -> Result<()> {
        self.failed(command, "NVMe-MI status:", status)
    }

    fn failed(&self, command: &str, kind: &str, status: u16) -> Result<()> {
        let output = self.run(command)?;
        let text = output.all();
        ensure!(
            !output.status.success(),
            "nvme {command} succeeded instead of failing with {status:#x}"
        );
        let line = text.lines().find(|line| line.contains(kind));
        let Some(line) = line else {
            bail!("nvme {command} has no {kind} {status:#x} but says: {text}");
        };
        let printed = printed_status(line)
            .with_context(|| format!("nvme {command} printed no status: {line}"))?;
        ensure!(
            printed & !DO_NOT_RETRY == status,
            "nvme {command} failed with {printed:#x} instead of {status:#x}: {line}"
        );
        println!("nvme {command}: {line}");
        Ok(())
    }
}

/// What a run of `command` printed, if it succeeded.
fn succeeded(command: &str, output: Output) -> Result<Vec<u8>> {
    ensure!(
        output.status.success(),
        "nvme {command} ended with {} and said: {}",
        output.status,
        output.all().trim()
    );
    println!("nvme {command}: {} bytes", output.stdout.len());
    Ok(output.stdout)
}

/// Says every now and then that the guest is alive, as long as `work` lasts.
fn with_signs_of_life<T>(work: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    let teller = spawn(move || {
        while is_done.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
            println!("... still running");
        }
    });
    let result = work();
    drop(done);
    // It only prints.
    let _ = teller.join();
    result
}

/// The number in the last parentheses of a line: `...(0x4109)`.
fn printed_status(line: &str) -> Option<u16> {
    let (_, number) = line.rsplit_once("(0x")?;
    let (number, _) = number.split_once(')')?;
    u16::from_str_radix(number, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_the_number_at_the_end_of_the_line() {
        let line = "NVMe status: Invalid Log Page: The log page indicated is invalid(0x4109)";
        assert_eq!(printed_status(line), Some(0x4109));
        assert_eq!(printed_status("NVMe status: (0x2002) "), Some(0x2002));
        assert_eq!(printed_status("no status"), None);
    }
}
