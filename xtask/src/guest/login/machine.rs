//! The guest's QEMU and the device, from start to end.

use std::fs::{self, File};
use std::io::{Read, Write, stdout};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::files::{END, FAILED, Terminal};
use crate::emulate::escaped;
use crate::guest::computer::Computer;
use crate::guest::kernel::Kernel;
use crate::guest::scenario::Controller;
use crate::guest::vm::{Running, lines_of};

/// A guest that runs commands and prints nothing for this long hangs.
const SILENCE: Duration = Duration::from_secs(300);
const SOCKET_TIME: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A guest to start.
pub(super) struct Machine<'a> {
    pub(super) computer: Computer,
    pub(super) kernel: &'a Kernel,
    pub(super) initramfs: &'a Path,
    pub(super) device: &'a Path,
    /// Options beside those that join it to the guest.
    pub(super) device_options: &'a [String],
    /// For what the programs log.
    pub(super) folder: &'a Path,
}

/// The sockets and files between the processes. A socket's path may have about a hundred characters,
/// which a build folder can exceed.
struct Links {
    folder: tempfile::TempDir,
}

impl Links {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for sockets")?;
        Ok(Self { folder })
    }

    /// The cable of the device.
    fn device(&self) -> PathBuf {
        self.folder.path().join("device")
    }

    /// Where QEMU takes commands.
    fn monitor(&self) -> PathBuf {
        self.folder.path().join("monitor")
    }

    /// The guest's second serial port, on which it says that it can be switched off.
    fn off(&self) -> PathBuf {
        self.folder.path().join("off")
    }

    fn is_off(&self) -> bool {
        fs::metadata(self.off()).is_ok_and(|file| file.len() > 0)
    }
}

impl Machine<'_> {
    /// A shell for the person at the terminal, for as long as that takes.
    pub(super) fn shell(&self) -> Result<()> {
        let links = Links::new()?;
        eprintln!(
            "booting; the device's log is {}",
            self.device_log().display()
        );
        // With the monitor, QEMU gives the guest all keys, that for an interrupt too.
        let mut command = self.qemu("mon:stdio", &links)?;
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit());
        let mut qemu = Running(command.spawn().context("cannot start QEMU")?);
        let _device = self.start_device(&links)?;
        let status = loop {
            if let Some(status) = qemu.0.try_wait()? {
                break status;
            }
            if links.is_off() {
                // It sets the terminal back before it ends.
                quit(&links.monitor())?;
                break qemu.0.wait()?;
            }
            thread::sleep(PAUSE);
        };
        if !status.success() {
            let log = fs::read_to_string(self.qemu_log())?;
            bail!("QEMU ended with {status}: {}", log.trim());
        }
        Ok(())
    }

    /// Commands, whose output goes to standard output. They have to succeed.
    pub(super) fn script(&self) -> Result<()> {
        let links = Links::new()?;
        let mut command = self.qemu("stdio", &links)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut qemu = Running(command.spawn().context("cannot start QEMU")?);
        let _device = self.start_device(&links)?;
        let lines = lines_of(&mut qemu.0)?;
        loop {
            let line = match lines.recv_timeout(SILENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the guest printed nothing for {} s", SILENCE.as_secs());
                }
                Err(RecvTimeoutError::Disconnected) => bail!(
                    "QEMU ended before the commands did{}",
                    fs::read_to_string(self.qemu_log())
                        .map_or_else(|_| String::new(), |log| format!(": {}", log.trim()))
                ),
            };
            // What was printed before need not end with a line.
            if let Some((before, code)) = line.split_once(END) {
                print!("{before}");
                stdout().flush()?;
                if code != "0" {
                    bail!("the commands in the guest ended with exit code {code}");
                }
                return Ok(());
            }
            if line == FAILED {
                bail!("the guest could not take the device into service");
            }
            println!("{line}");
        }
    }

    fn qemu(&self, console: &str, links: &Links) -> Result<Command> {
        let computer = self.computer;
        // Only emergencies on the console, where people and programs read.
        let append = format!("{} loglevel=2 panic=-1", computer.kernel_options());
        let cable = escaped(&links.device());
        let mut command = computer.qemu().command();
        command
            .args(["-accel", "tcg", "-nodefaults", "-display", "none"])
            .arg("-no-reboot")
            .args(computer.options(1))
            .args(["-serial", console])
            .arg("-serial")
            .arg(format!("file:{}", links.off().display()))
            .arg("-qmp")
            .arg(format!(
                "unix:{},server=on,wait=off",
                escaped(&links.monitor())
            ))
            .arg("-chardev")
            .arg(format!("socket,id=link,path={cable},server=on,wait=off"))
            .args(computer.usb_device(Controller::Ehci, "usb-redir,chardev=link"))
            .args(["-append", &append, "-kernel"])
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(self.initramfs)
            .stderr(File::create(self.qemu_log())?);
        if let Some(device_tree) = &self.kernel.device_tree {
            command.arg("-dtb").arg(device_tree);
        }
        Ok(command)
    }

    fn start_device(&self, links: &Links) -> Result<Running> {
        let socket = links.device();
        let deadline = Instant::now() + SOCKET_TIME;
        while !socket.exists() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.qemu_log())?;
                bail!("QEMU does not start: {}", log.trim());
            }
            thread::sleep(PAUSE);
        }
        let mut command = Command::new(self.device);
        command
            .args(["usbredir", "--connect"])
            .arg(format!("unix:{}", socket.display()))
            .args(["--max-message", "65536"])
            .args(self.device_options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.device_log())?);
        let mut device = Running(command.spawn().context("cannot start the device")?);
        // Options that it does not know end it at once.
        thread::sleep(PAUSE);
        if device.0.try_wait()?.is_some_and(|status| !status.success()) {
            bail!("{}", fs::read_to_string(self.device_log())?.trim());
        }
        Ok(device)
    }

    fn device_log(&self) -> PathBuf {
        self.folder.join("device.log")
    }

    fn qemu_log(&self) -> PathBuf {
        self.folder.join("qemu.log")
    }
}

/// Has QEMU end.
fn quit(monitor: &Path) -> Result<()> {
    let mut monitor = UnixStream::connect(monitor).context("QEMU takes no commands")?;
    for command in ["qmp_capabilities", "quit"] {
        writeln!(monitor, "{{\"execute\": \"{command}\"}}")?;
    }
    // What it has not read is lost when the connection ends, which it does itself.
    let _ = monitor.read_to_end(&mut Vec::new());
    Ok(())
}

/// The terminal on which this program runs.
pub(super) fn terminal() -> Terminal {
    let mut stty = Command::new("stty");
    stty.arg("size").stdin(Stdio::inherit());
    let size = stty.output().ok();
    let size = size.and_then(|size| numbers(&String::from_utf8_lossy(&size.stdout)));
    Terminal {
        name: std::env::var("TERM").unwrap_or_else(|_| "vt100".to_owned()),
        size,
    }
}

fn numbers(text: &str) -> Option<(u16, u16)> {
    let (rows, columns) = text.trim().split_once(' ')?;
    let size = (rows.parse().ok()?, columns.parse().ok()?);
    // Terminals that nobody sees have none.
    (size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_of_a_terminal_is_two_numbers_above_zero() {
        assert_eq!(numbers("24 80\n"), Some((24, 80)));
        for none in ["", "0 0\n", "24\n", "24 x\n"] {
            assert_eq!(numbers(none), None, "{none:?}");
        }
    }
}
