//! A guest kernel from Debian's `linux-source` package, for whoever has none.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::install;
use super::scenario::Linux;
use crate::process::{output, succeeds, with_retries};
use crate::project::Project;

/// Where Debian has kernels that are newer than its releases.
const SUITES: &str = "sid trixie-backports";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
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
    download(linux, &folder)?;
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

/// Downloads the package with lists of our own, so that the computer's apt set-up stays as it is.
fn download(linux: Linux, folder: &Path) -> Result<()> {
    let entry = format!(
        "Types: deb\nURIs: {}\nSuites: {SUITES}\nComponents: main\nSigned-By: {KEYRING}\n",
        install::archive()?
    );
    let list = folder.join("apt.sources");
    fs::write(&list, entry)?;
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let apt_get = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .current_dir(folder)
            .args(["-o", &format!("Dir::Etc::SourceList={}", list.display())])
            .args(["-o", "Dir::Etc::SourceParts=/dev/null"])
            .args([
                "-o",
                &format!("Dir::State::Lists={}", folder.join("lists").display()),
            ])
            .args([
                "-o",
                &format!("Dir::Cache={}", folder.join("cache").display()),
            ])
            .args(args);
        with_retries(&mut command)
    };
    apt_get(&["update"])?;
    apt_get(&["download", &format!("linux-source-{}", linux.version())]).with_context(|| {
        format!(
            "Debian has no sources of Linux {} any more",
            linux.version()
        )
    })
}

fn unpack(linux: Linux, folder: &Path) -> Result<std::path::PathBuf> {
    let package = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .context("no package was downloaded")?;
    output(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
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
