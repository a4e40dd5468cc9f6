//! Proof by linking that no panic can be reached from the sans-IO cores.
//!
//! The programs in `xtask/panic-free` have a panic handler that cannot be linked. First one that
//! panics on purpose is built, to show that the method still finds panics with this compiler; then
//! the real ones.

use std::process::Command;

use anyhow::{Result, bail};

use crate::install;
use crate::panics;
use crate::process::{failure, output};
use crate::project::Project;
use crate::shipped::{self, TARGET};

const FOLDER: &str = "xtask/panic-free";
const UNDEFINED: &str = "a_panic_can_be_reached";
/// Other code, and other optimisation, than in the shipped build: as a device has it that has flash
/// enough.
const FAST: [&str; 4] = [
    "--config",
    "profile.release.opt-level=3",
    "--features",
    "v1-1",
];

pub(super) fn check(project: &Project) -> Result<String> {
    install::targets(&[TARGET])?;
    let control = ["--bin", "on_purpose", "--features", "panic-on-purpose"];
    let text = failure(cargo_build(project).args(control))?;
    if !text.contains(UNDEFINED) {
        bail!("the program that panics on purpose failed for another reason:\n{text}");
    }
    let features = shipped::features_for(project, FOLDER)?.join(",");
    output(cargo_build(project).args(["--bins", "--features", &features]))?;
    output(cargo_build(project).arg("--bins").args(FAST))?;
    panics::check(project)?;
    Ok(format!(
        "{} link without a panic handler, and no direct branch of ours leads to a panic in the firmware of docs/panics.md",
        programs(project)?.join(", ")
    ))
}

/// The programs that have to link, one for each core.
fn programs(project: &Project) -> Result<Vec<String>> {
    let files = std::fs::read_dir(project.root.join(FOLDER).join("src/bin"))?;
    let names = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<_> = names.filter(|name| name != "on_purpose").collect();
    names.sort();
    Ok(names)
}

fn cargo_build(project: &Project) -> Command {
    shipped::build(project, FOLDER)
}
