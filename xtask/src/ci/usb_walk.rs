//! A USB host that goes through chapter 9 with the whole device, in a process and on the emulated
//! board.

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
    let process = walk(
        project,
        &folder.join("process.sock"),
        TO_THE_PROCESS,
        |socket, log| {
            let mut device = Command::new(program(project, "virtual-device"));
            let address = format!("unix:{}", socket.display());
            device.args(["usbredir", "--serial-log", "--listen", &address]);
            device.stderr(std::fs::File::create(log)?);
            Ok(device)
        },
    )?;
    let firmware = emulate::build(project, FIRMWARE, &[])?;
    let board = walk(
        project,
        &folder.join("board.sock"),
        TO_THE_BOARD,
        |socket, log| {
            let cable = Cable::Listen(socket);
            Ok(emulate::board(&firmware, &cable, &Log::File(log), &[]))
        },
    )?;
    Ok(format!("process: {process}; emulated board: {board}"))
}

fn program(project: &Project, name: &str) -> PathBuf {
    project.target_dir.join("release").join(name)
}

fn walk(
    project: &Project,
    socket: &Path,
    random: u32,
    device: impl FnOnce(&Path, &Path) -> Result<Command>,
) -> Result<String> {
    let log = socket.with_extension("log");
    // Left by an earlier run.
    let _ = std::fs::remove_file(socket);
    let mut device = device(socket, &log)?;
    device.stdin(Stdio::null()).stdout(Stdio::null());
    let mut running = Running(device.spawn().context("cannot start the device")?);
    let deadline = Instant::now() + START;
    while !socket.exists() {
        if Instant::now() > deadline || running.0.try_wait()?.is_some() {
            bail!("the device does not listen; its log: {}", log.display());
        }
        sleep(Duration::from_millis(50));
    }
    let mut host = Command::new(program(project, "usb-walk"));
    host.arg(format!("unix:{}", socket.display()));
    host.args(["--random", &random.to_string()]);
    let told = output(&mut host).with_context(|| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        format!("the device's log:\n{log}")
    })?;
    Ok(told.lines().collect::<Vec<_>>().join(", "))
}
