//! nvme-cli against a device, each output checked against what the device is known to be.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// nvme-cli as the guest tests have it: the program, `loader` and all libraries in one folder.
pub(crate) struct NvmeCli {
    folder: PathBuf,
    /// `mctp:NETWORK,ENDPOINT`
    device: String,
}

/// What a run of nvme-cli printed, and whether it was content.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl NvmeCli {
    pub(crate) fn new(folder: PathBuf, endpoint_id: u8) -> Self {
        Self {
            folder,
            device: format!("mctp:1,{endpoint_id}"),
        }
    }

    /// Runs one command: its name, then its options; the device is put in between.
    pub(crate) fn run(&self, command: &str) -> Result<Output> {
        let (name, options) = command.split_once(' ').unwrap_or((command, ""));
        let output = Command::new(self.folder.join("loader"))
            .arg("--library-path")
            .arg(&self.folder)
            .arg(self.folder.join("nvme"))
            .args([name, &self.device])
            .args(options.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start nvme-cli in {}", self.folder.display()))?;
        Ok(Output {
            success: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs one command and prints what it prints.
    pub(crate) fn show(&self, command: &str) -> Result<()> {
        let output = self.run(command)?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        print!("{}", output.stderr);
        ensure!(output.success, "nvme {command} failed");
        Ok(())
    }
}
