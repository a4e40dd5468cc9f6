//! A guest kernel from Debian's `linux-source` package, for whoever has none.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::{self, Apt};
use super::install;
use super::scenario::Linux;
use crate::process::{output, succeeds};
use crate::project::Project;

/// Where Debian has kernels that are newer than its releases.
const SUITES: &str = "sid trixie-backports";
const TOOLS: &[&str] = &[
    "build-essential",
    "flex",
    "bison",
    "bc",
    "libelf-dev",
    "xz-utils",
];

/// Builds a kernel and puts its image at `image`.
pub(super) fn build(project: &Project, linux: Linux, image: &Path) -> Result<()> {
    println!(
        "building Linux {}; this takes about ten minutes",
        linux.version()
    );
    if !["make", "gcc", "flex", "bison", "bc", "xz"]
        .iter()
        .all(|tool| is_there(tool))
    {
        install::install(TOOLS)?;
    }
    let folder = image.with_file_name(format!("linux-{}", linux.version()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let tree = unpack(linux, &folder)?;
    compile(&tree, &project.root.join("xtask/guest/kernel.config"))?;
    fs::copy(tree.join("arch/x86/boot/bzImage"), image)
        .context("the build left no kernel image")?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn is_there(tool: &str) -> bool {
    succeeds(Command::new(tool).arg("--version"))
}

fn unpack(linux: Linux, folder: &Path) -> Result<std::path::PathBuf> {
    let package = Apt::of_suites(SUITES, folder)?
        .download(&format!("linux-source-{}", linux.version()))
        .with_context(|| {
            format!(
                "Debian has no sources of Linux {} any more",
                linux.version()
            )
        })?;
    apt::unpack(&package, folder)?;
    let name = format!("linux-source-{}", linux.version());
    let archive = folder.join("usr/src").join(format!("{name}.tar.xz"));
    output(
        Command::new("tar")
            .arg("-C")
            .arg(folder)
            .arg("-xf")
            .arg(archive),
    )?;
    let tree = folder.join(name);
    ensure!(
        tree.exists(),
        "the package has another layout than expected"
    );
    Ok(tree)
}

fn compile(tree: &Path, fragment: &Path) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let make = |target: &str| {
        let mut command = Command::new("make");
        output(
            command
                .current_dir(tree)
                .arg(format!("-j{jobs}"))
                .arg(target),
        )
    };
    make("tinyconfig")?;
    output(
        Command::new("scripts/kconfig/merge_config.sh")
            .current_dir(tree)
            .args(["-m", ".config"])
            .arg(fragment),
    )?;
    make("olddefconfig")?;
    make("bzImage").map(drop)
}
