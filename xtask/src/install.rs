//! What the checks need beyond a plain Rust toolchain. Everything present is left alone.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{output, succeeds, with_retries};

/// Adds the standard library for `targets` to the toolchain in use.
pub(crate) fn targets(targets: &[&str]) -> Result<()> {
    let present = output(Command::new("rustup").args(["target", "list", "--installed"]))?;
    let missing = targets
        .iter()
        .filter(|target| !present.lines().any(|line| line == **target));
    for target in missing {
        with_retries(Command::new("rustup").args(["target", "add", target]))
            .with_context(|| format!("cannot install the target {target}"))?;
    }
    Ok(())
}

/// Adds `components`, such as clippy, to the toolchain in use.
pub(crate) fn components(components: &[&str]) -> Result<()> {
    let present = output(Command::new("rustup").args(["component", "list", "--installed"]))?;
    let missing = components
        .iter()
        .filter(|component| !present.lines().any(|line| line.starts_with(**component)));
    for component in missing {
        with_retries(Command::new("rustup").args(["component", "add", component]))
            .with_context(|| format!("cannot install the component {component}"))?;
    }
    Ok(())
}

/// Installs a whole toolchain, such as the oldest supported one.
pub(crate) fn toolchain(version: &str) -> Result<()> {
    if succeeds(Command::new("rustup").args(["run", version, "cargo", "--version"])) {
        return Ok(());
    }
    with_retries(Command::new("rustup").args([
        "toolchain",
        "install",
        version,
        "--profile",
        "minimal",
    ]))
    .with_context(|| format!("cannot install Rust {version}"))
}
