//! Proof by linking that no panic can be reached from the sans-IO cores.
//!
//! The programs in `xtask/panic-free` have a panic handler that cannot be linked. First one that panics on purpose is
//! built, to show that the method still finds panics with this compiler; then the real ones.

use anyhow::{Result, bail};

use crate::install;
use crate::process::{failure, output};
use crate::project::Project;

const FOLDER: &str = "xtask/panic-free";
const TARGET: &str = "thumbv7em-none-eabihf";
const UNDEFINED: &str = "a_panic_can_be_reached";

pub(super) fn check(project: &Project) -> Result<String> {
    install::targets(&[TARGET])?;
    let control = ["--bin", "on_purpose", "--features", "panic-on-purpose"];
    let text = failure(cargo_build(project).args(control))?;
    if !text.contains(UNDEFINED) {
        bail!("the program that panics on purpose failed for another reason:\n{text}");
    }
    output(cargo_build(project).arg("--bins"))?;
    let small = ["--bins", "--features", "mctp-router/optimize-for-size"];
    output(cargo_build(project).args(small))?;
    Ok(format!(
        "{} link without a panic handler",
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

fn cargo_build(project: &Project) -> std::process::Command {
    let mut cargo = project.cargo(FOLDER);
    cargo.args(["build", "--locked", "--release"]);
    cargo
}
