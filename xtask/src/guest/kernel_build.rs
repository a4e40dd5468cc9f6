//! A guest kernel from Debian's `linux-source` package, for whoever has none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::{self, Apt};
use super::computer::Computer;
use super::debian::Architecture;
use super::kernel::Kernel;
use super::scenario::Linux;
use crate::install::{self, Needed};
use crate::process::output;
use crate::project::Project;

/// Where Debian has kernels that are newer than its releases.
const SUITES: &str = "sid trixie-backports";
/// What a build of Linux needs.
const TOOLS: &[Needed] = &[
    Needed::program("make", "build-essential"),
    Needed::program("gcc", "build-essential"),
    Needed::program("flex", "flex"),
    Needed::program("bison", "bison"),
    Needed::program("bc", "bc"),
    Needed::program("xz", "xz-utils"),
    Needed::header("limits.h", "build-essential"),
];
/// What it needs besides for x86: a program of the build reads object files.
const TOOLS_OF_X86: &[Needed] = &[Needed::header("gelf.h", "libelf-dev")];
/// Our device tree, as it is called among Linux's own.
const DEVICE_TREE: &str = "aspeed-ast2600-mctp";

/// Builds a kernel, for the places in `results`. Says first what that takes.
pub(super) fn build(
    project: &Project,
    computer: Computer,
    linux: Linux,
    results: &Kernel,
) -> Result<()> {
    let version = linux.version();
    let tools = match computer {
        Computer::X86 => [TOOLS, TOOLS_OF_X86].concat(),
        Computer::Ast2600 => [TOOLS, computer.compiler()].concat(),
    };
    install::debian(&tools)?;
    let folder = results
        .image
        .with_file_name(format!("linux-{version}-{}", computer.name()));
    eprintln!("{}", announcement(computer, version, &folder));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let tree = unpack(version, &folder)?;
    let files = project.root.join("xtask/guest");
    match (computer, &results.device_tree) {
        (Computer::Ast2600, Some(device_tree)) => ast2600(&tree, &files, device_tree)?,
        _ => x86(&tree, &files)?,
    }
    let boot = tree.join("arch").join(architecture(computer)).join("boot");
    fs::copy(boot.join(image(computer)), &results.image)
        .context("the build left no kernel image")?;
    fs::remove_dir_all(&folder)?;
    eprintln!("Linux {version} is at {}", results.image.display());
    Ok(())
}

/// What a build costs, as measured with Linux 7.3.
fn announcement(computer: Computer, version: &str, folder: &Path) -> String {
    format!(
        "building Linux {version} for {} in {}, once: 170 MB to download, 2.5 GB of disk meanwhile, and \
         about 7 minutes of one processor",
        computer.name(),
        folder.display()
    )
}

/// As Linux calls it.
fn architecture(computer: Computer) -> &'static str {
    match computer {
        Computer::X86 => "x86",
        Computer::Ast2600 => "arm",
    }
}

fn image(computer: Computer) -> &'static str {
    match computer {
        Computer::X86 => "bzImage",
        Computer::Ast2600 => "zImage",
    }
}

fn unpack(version: &str, folder: &Path) -> Result<PathBuf> {
    let name = format!("linux-source-{version}");
    let package = Apt::of_suites(SUITES, Architecture::Amd64, folder)?
        .download(&name)
        .with_context(|| format!("Debian has no sources of Linux {version} any more"))?;
    apt::unpack(&package, folder)?;
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

fn x86(tree: &Path, files: &Path) -> Result<()> {
    compile(tree, &files.join("kernel.config"), &["bzImage"], &[])
}

/// The board's own device tree comes into the folder of Linux's, which has what ours includes.
fn ast2600(tree: &Path, files: &Path, device_tree: &Path) -> Result<()> {
    let folder = tree.join("arch/arm/boot/dts/aspeed");
    let source = format!("{DEVICE_TREE}.dts");
    fs::copy(files.join(&source), folder.join(source))
        .context("this Linux has no device trees of Aspeed")?;
    let built = format!("aspeed/{DEVICE_TREE}.dtb");
    let variables = ["ARCH=arm", "CROSS_COMPILE=arm-linux-gnueabihf-"];
    let config = files.join("ast2600.config");
    compile(tree, &config, &["zImage", &built], &variables)?;
    fs::copy(folder.join(format!("{DEVICE_TREE}.dtb")), device_tree)
        .context("the build left no device tree")?;
    Ok(())
}

fn compile(tree: &Path, config: &Path, targets: &[&str], variables: &[&str]) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let make = |targets: &[&str]| {
        let mut command = Command::new("make");
        command
            .current_dir(tree)
            .arg(format!("-j{jobs}"))
            .args(variables)
            .args(targets);
        output(&mut command)
    };
    make(&["tinyconfig"])?;
    output(
        Command::new("scripts/kconfig/merge_config.sh")
            .current_dir(tree)
            .args(["-m", ".config"])
            .arg(config),
    )?;
    make(&["olddefconfig"])?;
    make(targets).map(drop)
}
