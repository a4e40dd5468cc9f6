//! What the checks need beyond a plain Rust toolchain. Everything present is left alone.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{output, succeeds, with_retries};

/// Adds the standard library for `targets` to the toolchain in use.
pub(crate) fn targets(targets: &[&str]) -> Result<()> {
    add_targets(&[], targets)
}

fn add_targets(of_toolchain: &[&str], targets: &[&str]) -> Result<()> {
    let rustup_target = |command: &str| {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", command]).args(of_toolchain);
        rustup
    };
    let present = output(rustup_target("list").arg("--installed"))?;
    let missing = targets
        .iter()
        .filter(|target| !present.lines().any(|line| line == **target));
    for target in missing {
        with_retries(rustup_target("add").arg(target))
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

/// Installs a whole toolchain, such as the oldest supported one, with the standard library for
/// `targets`.
pub(crate) fn toolchain(version: &str, targets: &[&str]) -> Result<()> {
    if !succeeds(Command::new("rustup").args(["run", version, "cargo", "--version"])) {
        let install = ["toolchain", "install", version, "--profile", "minimal"];
        with_retries(Command::new("rustup").args(install))
            .with_context(|| format!("cannot install Rust {version}"))?;
    }
    add_targets(&["--toolchain", version], targets)
}
