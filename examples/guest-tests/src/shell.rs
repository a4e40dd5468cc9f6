//! A shell in a test guest whose file system has BusyBox.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

const BUSYBOX: &str = "/bin/busybox";
const PROGRAMS: &str = "/bin";

/// Runs a script, or without one a shell at the console until the person there leaves it.
pub(crate) fn run(script: Option<&Path>) -> Result<()> {
    busybox(&["--install", "-s", PROGRAMS])?;
    match script {
        Some(script) => busybox(&["sh", &script.to_string_lossy()]),
        None => {
            println!("`exit` switches this machine off.");
            // What the last command of the person was is not for us to judge.
            let _ = command(&["setsid", "cttyhack", "sh"]).status();
            Ok(())
        }
    }
}

fn busybox(args: &[&str]) -> Result<()> {
    let mut command = command(args);
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {BUSYBOX}"))?;
    ensure!(
        status.success(),
        "{BUSYBOX} {} ended with {status}",
        args[0]
    );
    Ok(())
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(BUSYBOX);
    command
        .args(args)
        .env("PATH", PROGRAMS)
        .env("PS1", "# ")
        .current_dir("/tmp");
    command
}
