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

impl Kernel {
    /// One that somebody has already.
    pub(super) fn given(image: &Path, device_tree: Option<&Path>) -> Result<Self> {
        let tree = device_tree.map(|path| required(path.to_owned(), "the device tree"));
        Ok(Self {
            image: required(image.to_owned(), "the kernel image")?,
            device_tree: tree.transpose()?,
        })
    }
}

/// The names of the files.
struct Names {
    image: String,
    device_tree: Option<&'static str>,
}

impl Names {
    fn new(computer: Computer, linux: Linux) -> Self {
        let version = linux.version();
        match computer {
            Computer::X86 => Self {
                image: format!("bzImage-{version}"),
                device_tree: None,
            },
            Computer::Ast2600 => Self {
                image: format!("zImage-{version}-ast2600"),
                device_tree: Some("ast2600-mctp.dtb"),
            },
        }
    }

    fn in_folder(&self, folder: &Path) -> Kernel {
        Kernel {
            image: folder.join(&self.image),
            device_tree: self.device_tree.map(|name| folder.join(name)),
        }
    }
}

/// The first of: one in the shared folder beside the checkout, one built earlier, one built now.
pub(super) fn find(
    project: &Project,
    computer: Computer,
    linux: Linux,
    may_build: bool,
) -> Result<Kernel> {
    let names = Names::new(computer, linux);
    let built = project.target_dir.join("guest-tools");
    // The first is shared by those who work on the project.
    for folder in [&project.root.join("../shared/guest"), &built] {
        let kernel = names.in_folder(folder);
        let tree_is_there = kernel.device_tree.as_ref().is_none_or(|tree| tree.exists());
        if kernel.image.exists() && tree_is_there {
            return Ok(kernel);
        }
    }
    if !may_build {
        bail!(
            "no kernel image for Linux {} on {}: give one with --kernel, or have it built with --build-kernel",
            linux.version(),
            computer.name()
        );
    }
    let kernel = names.in_folder(&built);
    kernel_build::build(project, computer, linux, &kernel)?;
    Ok(kernel)
}
