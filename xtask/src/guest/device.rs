//! The device of a scenario: a process on this computer, or firmware on an emulated board.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::scenario::{Board, Listener, Scenario, Wire};
use crate::emulate::{self, Cable, Log};

/// The programs that there are.
pub(super) struct Devices {
    pub(super) virtual_device: PathBuf,
    /// The same for a guest. Built only if a scenario needs it.
    pub(super) in_the_guest: Option<PathBuf>,
    /// Where its model files are.
    pub(super) models: PathBuf,
    /// Firmware of the emulated board, by its name: built only if a scenario needs it.
    pub(super) an500: BTreeMap<&'static str, PathBuf>,
}

/// Where one start of a device puts what it has to say.
pub(super) struct Files {
    /// Its log.
    pub(super) log: PathBuf,
    /// What else its program prints.
    pub(super) output: PathBuf,
    /// The packets, if it captures them.
    pub(super) capture: Option<PathBuf>,
}

impl Files {
    /// For the start of this number.
    pub(super) fn new(folder: &Path, number: usize, board: Board) -> Self {
        Self {
            log: folder.join(format!("device-{number}.log")),
            output: folder.join(format!("device-{number}-output.log")),
            capture: (board == Board::Pc).then(|| folder.join(format!("capture-{number}.pcap"))),
        }
    }
}

impl Devices {
    /// The device, ready to be started.
    pub(super) fn command(
        &self,
        scenario: &Scenario,
        socket: &Path,
        files: &Files,
    ) -> Result<Command> {
        let firmware = scenario.firmware().and_then(|name| self.an500.get(name));
        let mut command = match firmware {
            Some(firmware) => an500(firmware, scenario, socket, &files.log),
            None => self.pc(scenario, socket, files)?,
        };
        command.stdin(Stdio::null());
        match scenario.board {
            Board::Pc => command
                .stdout(Stdio::null())
                .stderr(File::create(&files.log)?),
            Board::An500 => {
                let output = File::create(&files.output)?;
                command.stdout(output.try_clone()?).stderr(output)
            }
        };
        Ok(command)
    }

    fn pc(&self, scenario: &Scenario, socket: &Path, files: &Files) -> Result<Command> {
        let how = match scenario.listener {
            Listener::Qemu => "--connect",
            Listener::Device => "--listen",
        };
        let mut command = Command::new(&self.virtual_device);
        let (wire, usb) = match scenario.wire {
            Wire::Usb(_) => (
                "usbredir",
                &["--usb", scenario.usb, "--speed", scenario.speed][..],
            ),
            Wire::Usbip => bail!("the device is in the guest"),
            Wire::Serial => ("serial", &[][..]),
            Wire::I2c => ("i2c", &["--address", "1D"][..]),
        };
        command
            .args([wire, how, &format!("unix:{}", socket.display())])
            .args(usb)
            .args(["--mtu", &scenario.device_mtu().to_string()])
            .args(["--max-message", "65536"])
            .args(["--message-buffers", &scenario.message_buffers.to_string()])
            .args(["--log", scenario.log_level()])
            .args(scenario.serial_log.then_some("--serial-log"));
        if let Some(model) = scenario.model {
            command.arg("--model").arg(self.models.join(model));
        }
        if let Some(capture) = &files.capture {
            command.arg("--pcap").arg(capture).arg("--with-streams");
        }
        Ok(command)
    }
}

fn an500(firmware: &Path, scenario: &Scenario, socket: &Path, log: &Path) -> Command {
    let cable = match scenario.listener {
        Listener::Qemu => Cable::Connect(socket),
        Listener::Device => Cable::Listen(socket),
    };
    let mut settings = vec![
        format!("mtu={}", scenario.device_mtu()),
        format!("log={}", scenario.log_level()),
    ];
    settings.extend(scenario.end.map(|end| format!("end={}", end.name())));
    emulate::board(firmware, &cable, &Log::File(log), &settings)
}
