//! Where the guest's kernel comes from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::scenario::Linux;
use super::{kernel_build, required};
use crate::project::Project;

/// The first of: the one given, one in the shared folder beside the checkout, one built earlier,
/// one built now.
pub(super) fn find(
    project: &Project,
    linux: Linux,
    given: Option<&Path>,
    may_build: bool,
) -> Result<PathBuf> {
    if let Some(kernel) = given {
        return required(kernel.to_owned(), "the kernel image");
    }
    let name = format!("bzImage-{}", linux.version());
    let shared = project.root.join("../shared/guest").join(&name);
    let built = project.target_dir.join("guest-tools").join(&name);
    if let Some(kernel) = [shared, built.clone()]
        .into_iter()
        .find(|path| path.exists())
    {
        return Ok(kernel);
    }
    if !may_build {
        bail!(
            "no kernel image for Linux {}: give one with --kernel, or have it built with --build-kernel",
            linux.version()
        );
    }
    kernel_build::build(project, linux, &built)?;
    Ok(built)
}
