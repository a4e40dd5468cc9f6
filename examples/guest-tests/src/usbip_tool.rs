//! Debian's `usbip`, by which a device that listens is attached to this machine.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use linux_requester::interface::{self, Interface};
use linux_requester::netlink::{Change, Rtnetlink};

use crate::usbip_device::{self, TIME};

/// As the device calls itself.
const BUS_ID: &str = "1-1";
const NO_DEVICE: &str = "9-9";
/// The port that the kernel attaches the first device to.
const PORT: &str = "00";
/// How long a command may take.
const COMMAND_TIME: Duration = Duration::from_secs(20);
const POLL_PAUSE: Duration = Duration::from_millis(5);

/// The tool with its loader and libraries in one folder.
pub(crate) struct Tool {
    folder: PathBuf,
}

impl Tool {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Gives the tool what it needs: a network to the device, and a place for its notes.
    pub(crate) fn prepare() -> Result<()> {
        fs::create_dir_all("/var/run")?;
        let loopback = Interface::named("lo")?;
        Rtnetlink::open()?
            .apply(Change::LinkState {
                interface_index: loopback.index,
                up: true,
            })
            .context("cannot set lo up")?;
        Ok(())
    }

    /// Whether a command succeeds, and all that it prints. One that does not end is an error.
    fn run(&self, words: &str) -> Result<(bool, String)> {
        let mut command = Command::new(self.folder.join("loader"));
        command
            .arg("--library-path")
            .arg(&self.folder)
            .arg(self.folder.join("usbip"))
            .args(words.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start usbip")?;
        let deadline = Instant::now() + COMMAND_TIME;
        // It prints less than a pipe takes.
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                bail!("usbip {words} did not end");
            }
            thread::sleep(POLL_PAUSE);
        };
        let mut text = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut text)?;
        }
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut text)?;
        }
        Ok((status.success(), text))
    }

    /// What a command prints that has to succeed, or not, and to say this.
    fn expect(&self, words: &str, success: bool, parts: &[&str]) -> Result<String> {
        let (succeeded, text) = self.run(words)?;
        println!("usbip {words}:\n{}", text.trim_end());
        ensure!(
            succeeded == success,
            "usbip {words}: success is {succeeded}"
        );
        for part in parts {
            ensure!(
                text.contains(part),
                "usbip {words} does not say `{part}` but: {text}"
            );
        }
        Ok(text)
    }

    /// Everything that the tool can be asked, with the device free and taken. In the end it is
    /// attached.
    pub(crate) fn check(&self) -> Result<Interface> {
        let listed = [
            &format!("{BUS_ID}:"),
            "(ccde:0000)",
            "/sys/devices/virtual/usb/1-1",
            "(14/00/01)",
        ];
        let list = "list -r 127.0.0.1";
        self.expect(list, true, &listed)?;
        self.refused(NO_DEVICE, "Device not found")?;
        let interface = self.attach()?;
        self.expect(
            "port",
            true,
            &[
                "Port 00: <Port in Use> at High Speed(480Mbps)",
                "usbip://127.0.0.1:3240/1-1",
            ],
        )?;
        // Others see it, and cannot have it.
        self.expect(list, true, &listed)?;
        self.refused(BUS_ID, "Device busy (exported)")?;
        self.refused(NO_DEVICE, "Device not found")?;
        ensure!(
            Interface::named(&interface.name)? == interface,
            "the interface was lost meanwhile"
        );
        self.detach()?;
        let port = self.expect("port", true, &[])?;
        ensure!(!port.contains("Port 00"), "the port is still in use");
        self.expect(&format!("detach -p {PORT}"), true, &["is already detached"])?;
        self.attach()
    }

    fn refused(&self, bus_id: &str, reason: &str) -> Result<()> {
        let attach = format!("attach -r 127.0.0.1 -b {bus_id}");
        self.expect(&attach, false, &[reason]).map(drop)
    }

    /// Attaches the device, and waits for its interface.
    pub(crate) fn attach(&self) -> Result<Interface> {
        self.expect(&format!("attach -r 127.0.0.1 -b {BUS_ID}"), true, &[])?;
        interface::wait_for_another(None, TIME)
    }

    /// Detaches the device, and waits until its interface is gone.
    pub(crate) fn detach(&self) -> Result<()> {
        self.expect(&format!("detach -p {PORT}"), true, &[])?;
        usbip_device::wait_until_gone(|| Ok(interface::first()?.is_none()))
    }
}
