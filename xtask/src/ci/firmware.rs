//! Boards build for their microcontroller, and take no more memory than their `Cargo.toml` allows.

use anyhow::Result;

use crate::image::Image;
use crate::install;
use crate::project::Project;

/// Folders of the workspaces that hold one board each.
pub(super) const BOARDS: &[&str] = &["examples/nucleo-h7s3"];
/// The boards' Cortex-M7.
pub(super) const TARGET: &str = "thumbv7em-none-eabihf";

pub(crate) fn check(project: &Project) -> Result<String> {
    install::targets(&[TARGET])?;
    let mut lines = Vec::new();
    for folder in BOARDS {
        lines.push(check_board(project, folder)?);
    }
    Ok(lines.join("; "))
}

fn check_board(project: &Project, folder: &str) -> Result<String> {
    let (image, package) = Image::build(project, folder, TARGET)?;
    image.size()?.within_budget_of(&package)
}
