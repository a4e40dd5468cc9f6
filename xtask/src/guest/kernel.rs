//! Where the guest's kernel comes from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::computer::Computer;
use super::scenario::Linux;
use super::{kernel_build, required};
use crate::project::Project;

/// What a guest boots.
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// A PC tells its kernel itself what it has.
    pub(super) device_tree: Option<PathBuf>,
}

/// The folders of kernels, in the order they are looked at.
struct Folders {
    /// Shared by those who work on the project: beside the checkout.
    shared: PathBuf,
    /// What was built earlier.
    built: PathBuf,
}

impl Folders {
    fn find(&self, name: &str) -> Option<PathBuf> {
        let candidates = [&self.shared, &self.built].map(|folder| folder.join(name));
        candidates.into_iter().find(|path| path.exists())
    }
}

/// The first of: the one given, which is for x86, one in the shared folder beside the checkout, one
/// built earlier, one built now.
pub(super) fn find(
    project: &Project,
    computer: Computer,
    linux: Linux,
    given: Option<&Path>,
    may_build: bool,
) -> Result<Kernel> {
    let folders = Folders {
        shared: project.root.join("../shared/guest"),
        built: project.target_dir.join("guest-tools"),
    };
    match computer {
        Computer::X86 => Ok(Kernel {
            image: x86(project, &folders, linux, given, may_build)?,
            device_tree: None,
        }),
        Computer::Ast2600 => ast2600(&folders, linux),
    }
}

fn x86(
    project: &Project,
    folders: &Folders,
    linux: Linux,
    given: Option<&Path>,
    may_build: bool,
) -> Result<PathBuf> {
    if let Some(kernel) = given {
        return required(kernel.to_owned(), "the kernel image");
    }
    let name = format!("bzImage-{}", linux.version());
    if let Some(kernel) = folders.find(&name) {
        return Ok(kernel);
    }
    if !may_build {
        bail!(
            "no kernel image for Linux {}: give one with --kernel, or have it built with --build-kernel",
            linux.version()
        );
    }
    let built = folders.built.join(name);
    kernel_build::build(project, linux, &built)?;
    Ok(built)
}

/// It has a device tree of its own and the test driver `i2c-vlink`, and is not built here.
fn ast2600(folders: &Folders, linux: Linux) -> Result<Kernel> {
    let image = format!("zImage-{}-ast2600", linux.version());
    let device_tree = "ast2600-mctp.dtb";
    match (folders.find(&image), folders.find(device_tree)) {
        (Some(image), Some(device_tree)) => Ok(Kernel {
            image,
            device_tree: Some(device_tree),
        }),
        _ => bail!(
            "no kernel for the AST2600: {image} and {device_tree} have to be in {} or {}",
            folders.shared.display(),
            folders.built.display()
        ),
    }
}
