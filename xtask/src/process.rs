//! Running other programs: quiet when they succeed, with their whole output when they fail.

use std::io::{Seek, Write};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Runs `command`; its standard output on success, an error with everything it printed otherwise.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = finish(command)?;
    succeeded(command, &output)
}

/// The same for a command that reads `input`.
pub(crate) fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    let output = command.stdin(file).output();
    let output = output.with_context(|| format!("cannot start {}", describe(command)))?;
    succeeded(command, &output)
}

fn succeeded(command: &Command, output: &Output) -> Result<String> {
    if !output.status.success() {
        bail!(
            "{} ended with {}\n{}",
            describe(command),
            output.status,
            text(output)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command`, which has to fail; everything it printed.
pub(crate) fn failure(command: &mut Command) -> Result<String> {
    let output = finish(command)?;
    if output.status.success() {
        bail!("{} succeeded, although it has to fail", describe(command));
    }
    Ok(text(&output))
}

/// Whether `command` could be started and succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    finish(command).is_ok_and(|output| output.status.success())
}

/// Runs what depends on the network up to three times, with a pause that grows.
pub(crate) fn with_retries(command: &mut Command) -> Result<()> {
    let mut result = output(command);
    for pause in [2, 10] {
        if result.is_ok() {
            break;
        }
        sleep(Duration::from_secs(pause));
        result = output(command);
    }
    result.map(drop)
}

fn finish(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", describe(command)))
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    match command.get_current_dir() {
        Some(folder) => format!("`{line}` in {}", folder.display()),
        None => format!("`{line}`"),
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
