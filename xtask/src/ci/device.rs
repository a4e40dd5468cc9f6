//! Steps that run the whole device: in one process, and behind a Linux kernel.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process::output;
use crate::project::Project;

/// The README's second command: it fails unless every answer that the in-process host gets is right.
pub(super) fn demo(project: &Project) -> Result<String> {
    let mut cargo = project.cargo(".");
    cargo.args([
        "run",
        "--locked",
        "--release",
        "--quiet",
        "--package",
        "virtual-device",
    ]);
    last_line(&output(&mut cargo)?)
}

/// In a process of its own, so that what it prints is seen only when it fails.
pub(super) fn guest(project: &Project) -> Result<String> {
    let mut guest = Command::new(std::env::current_exe()?);
    last_line(&output(guest.arg("guest").current_dir(&project.root))?)
}

fn last_line(text: &str) -> Result<String> {
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    Ok(line.context("it printed nothing")?.trim().to_owned())
}
