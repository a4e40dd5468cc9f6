//! A USB host that goes through chapter 9 with the whole device: in a process, over usbredir and over
//! USB/IP, and on the emulated board.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::emulate::{self, Cable, FIRMWARE, Log};
use crate::guest::install;
use crate::process::output;
use crate::project::Project;

/// How long a device may take until a host can connect to it.
const START: Duration = Duration::from_secs(60);
/// Random requests after the walk.
const TO_THE_PROCESS: u32 = 100_000;
const TO_THE_BOARD: u32 = 5000;

/// A device that is stopped with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn check(project: &Project) -> Result<String> {
    install::qemu(&install::ARM)?;
    for package in ["usb-walk", "virtual-device"] {
        let mut cargo = project.cargo(".");
        cargo.args([
            "build",
            "--locked",
            "--release",
            "--quiet",
            "--package",
            package,
        ]);
        output(&mut cargo)?;
    }
    let folder = project.target_dir.join("usb-walk");
    std::fs::create_dir_all(&folder)?;
    let virtual_device = |log: &Path| -> Result<Command> {
        let mut device = Command::new(program(project, "virtual-device"));
        device.stderr(std::fs::File::create(log)?);
        Ok(device)
    };
    let socket = Address::Socket(folder.join("process.sock"));
    let log = folder.join("process.log");
    let mut device = virtual_device(&log)?;
    device.args([
        "usbredir",
        "--serial-log",
        "--listen",
        &socket.of_listener(),
    ]);
    let usbredir = walk(project, device, &socket, &log, TO_THE_PROCESS)?;

    let port = Address::free_port()?;
    let log = folder.join("usbip.log");
    let mut device = virtual_device(&log)?;
    device.args(["usbip", "--serial-log", "--listen", &port.of_listener()]);
    let usbip = walk(project, device, &port, &log, TO_THE_PROCESS)?;

    let firmware = emulate::build(project, FIRMWARE, &[])?;
    let path = folder.join("board.sock");
    let log = folder.join("board.log");
    let device = emulate::board(&firmware, &Cable::Listen(&path), &Log::File(&log), &[]);
    let board = walk(project, device, &Address::Socket(path), &log, TO_THE_BOARD)?;
    Ok(format!(
        "process over usbredir: {usbredir}; over USB/IP: {usbip}; emulated board: {board}"
    ))
}

/// Where a device listens.
enum Address {
    /// For usbredir.
    Socket(PathBuf),
    /// For USB/IP, on this computer.
    Port(u16),
}

impl Address {
    fn free_port() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        Ok(Self::Port(listener.local_addr()?.port()))
    }

    /// As `usb-walk` is told.
    fn text(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix:{}", path.display()),
            Self::Port(_) => format!("usbip:{}", self.of_listener()),
        }
    }

    /// As the listener is told.
    fn of_listener(&self) -> String {
        match self {
            Self::Socket(_) => self.text(),
            Self::Port(port) => format!("127.0.0.1:{port}"),
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Socket(path) => path.exists(),
            // A client that asks for nothing is none.
            Self::Port(port) => TcpStream::connect(("127.0.0.1", *port)).is_ok(),
        }
    }
}

fn program(project: &Project, name: &str) -> PathBuf {
    project.target_dir.join("release").join(name)
}

fn walk(
    project: &Project,
    mut device: Command,
    address: &Address,
    log: &Path,
    random: u32,
) -> Result<String> {
    if let Address::Socket(path) = address {
        // Left by an earlier run.
        let _ = std::fs::remove_file(path);
    }
    device.stdin(Stdio::null()).stdout(Stdio::null());
    let mut running = Running(device.spawn().context("cannot start the device")?);
    let deadline = Instant::now() + START;
    while !address.is_there() {
        if Instant::now() > deadline || running.0.try_wait()?.is_some() {
            bail!("the device does not listen; its log: {}", log.display());
        }
        sleep(Duration::from_millis(50));
    }
    let mut host = Command::new(program(project, "usb-walk"));
    host.arg(address.text());
    host.args(["--random", &random.to_string()]);
    let told = output(&mut host).with_context(|| {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        format!("the device's log:\n{log}")
    })?;
    Ok(told.lines().collect::<Vec<_>>().join(", "))
}
