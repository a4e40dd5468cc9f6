//! What the checks need beyond a plain Rust toolchain. Everything present is left alone, and the
//! system is changed with `--install` only.
//!
//! Without it, a Debian package that is missing is an error with the command that installs it.
//! Parts of Rust's toolchains are the user's own, and programs that run from the build folder are
//! unpacked there: both need no root, and are only said.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::process::{output, succeeds, with_retries};

/// Whether `--install` was given.
static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Lets the system be changed from now on.
pub(crate) fn allow() {
    ALLOWED.store(true, Ordering::Relaxed);
}

fn is_allowed() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// The option for another process of this program, if it was given to this one.
pub(crate) fn option() -> Option<&'static str> {
    is_allowed().then_some("--install")
}

/// Something that has to be on this computer, and the Debian package that has it, or several with
/// spaces between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Needed {
    name: &'static str,
    kind: Kind,
    package: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Program,
    /// A header that the compiler finds.
    Header,
    /// A file that the compiler of this name finds among its own.
    Library(&'static str),
}

impl Needed {
    pub(crate) const fn program(name: &'static str, package: &'static str) -> Self {
        let kind = Kind::Program;
        Self {
            name,
            kind,
            package,
        }
    }

    pub(crate) const fn header(name: &'static str, package: &'static str) -> Self {
        let kind = Kind::Header;
        Self {
            name,
            kind,
            package,
        }
    }

    /// A library of `compiler`.
    pub(crate) const fn library(
        name: &'static str,
        compiler: &'static str,
        package: &'static str,
    ) -> Self {
        let kind = Kind::Library(compiler);
        Self {
            name,
            kind,
            package,
        }
    }

    fn is_there(&self) -> bool {
        match self.kind {
            Kind::Program => is_program(self.name),
            Kind::Header => ["/usr/include", "/usr/local/include"]
                .iter()
                .any(|folder| Path::new(folder).join(self.name).exists()),
            // Its answer is a path if it has that file.
            Kind::Library(compiler) => {
                output(Command::new(compiler).arg(format!("-print-file-name={}", self.name)))
                    .is_ok_and(|path| path.starts_with('/'))
            }
        }
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Program => f.write_str(self.name),
            Kind::Header => write!(f, "the header {}", self.name),
            Kind::Library(compiler) => write!(f, "{} of {compiler}", self.name),
        }
    }
}

/// Whether there is a program of this name; not every one has an option that does nothing.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Has everything in `needed` on this computer: installs what is missing if that is allowed.
pub(crate) fn debian(needed: &[Needed]) -> Result<()> {
    let missing: Vec<_> = needed.iter().filter(|one| !one.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let has_apt = is_program("apt-get");
    if !(has_apt && is_allowed()) {
        bail!(sentence(&missing, has_apt));
    }
    let packages = packages(&missing);
    eprintln!("installing with apt-get: {}", packages.join(" "));
    apt_get(&packages)
}

fn packages(missing: &[&Needed]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in missing.iter().flat_map(|one| one.package.split(' ')) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

/// What is missing, and how it comes here.
fn sentence(missing: &[&Needed], has_apt: bool) -> String {
    let names: Vec<_> = missing
        .iter()
        .map(|one| format!("{one} (Debian package `{}`)", one.package))
        .collect();
    let verb = if missing.len() == 1 { "is" } else { "are" };
    let mut sentence = format!("{} {verb} needed, and not on this system", listed(&names));
    if has_apt {
        sentence.push_str(&format!(
            ": install with `sudo apt-get install --no-install-recommends {}`, or give --install to have it done",
            packages(missing).join(" ")
        ));
    }
    sentence
}

/// What is said where a program is too old or not there, and cannot be unpacked in the build folder.
pub(crate) fn too_old(
    program: &str,
    oldest: (u32, u32),
    found: Option<(u32, u32)>,
    package: &str,
) -> String {
    let found = match found {
        Some((major, minor)) => format!("this system has {major}.{minor}"),
        None => "this system has none".to_owned(),
    };
    let (major, minor) = oldest;
    format!(
        "{program} {major}.{minor} or later is needed (Debian package `{package}`, of Debian 13 or later), and {found}"
    )
}

/// `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

fn apt_get(packages: &[&str]) -> Result<()> {
    let mut install = as_root("env");
    install
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install"])
        .args(["--yes", "--no-install-recommends"])
        // Another installation may be running.
        .args(["-o", "DPkg::Lock::Timeout=600"])
        .args(packages);
    with_retries(as_root("apt-get").arg("update"))
        .and_then(|()| with_retries(&mut install))
        .context("cannot install Debian packages, for which root or password-free sudo is needed")
}

fn as_root(program: &str) -> Command {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if is_root {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

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
        eprintln!("adding {target} to the user's Rust toolchain, with rustup");
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
        eprintln!("adding {component} to the user's Rust toolchain, with rustup");
        with_retries(Command::new("rustup").args(["component", "add", component]))
            .with_context(|| format!("cannot install the component {component}"))?;
    }
    Ok(())
}

/// Installs a whole toolchain, such as the oldest supported one, with the standard library for
/// `targets`.
pub(crate) fn toolchain(version: &str, targets: &[&str]) -> Result<()> {
    if !succeeds(Command::new("rustup").args(["run", version, "cargo", "--version"])) {
        eprintln!("installing Rust {version} for this user, with rustup");
        let install = ["toolchain", "install", version, "--profile", "minimal"];
        with_retries(Command::new("rustup").args(install))
            .with_context(|| format!("cannot install Rust {version}"))?;
    }
    add_targets(&["--toolchain", version], targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEX: Needed = Needed::program("flex", "flex");
    const ELF: Needed = Needed::header("gelf.h", "libelf-dev");
    const VALGRIND: Needed = Needed::program("valgrind", "valgrind libc6-dbg");

    #[test]
    fn what_is_missing_is_an_error_that_names_program_package_and_command() {
        let nothing = Needed::program("no-such-program", "no-such-package");
        let error = debian(&[nothing]).unwrap_err().to_string();
        assert!(
            error.starts_with("no-such-program (Debian package `no-such-package`) is needed"),
            "{error}"
        );
        assert_eq!(
            sentence(&[&FLEX], true),
            "flex (Debian package `flex`) is needed, and not on this system: install with \
             `sudo apt-get install --no-install-recommends flex`, or give --install to have it done"
        );
        assert_eq!(
            sentence(&[&FLEX, &ELF, &VALGRIND], true),
            "flex (Debian package `flex`), the header gelf.h (Debian package `libelf-dev`) and \
             valgrind (Debian package `valgrind libc6-dbg`) are needed, and not on this system: install \
             with `sudo apt-get install --no-install-recommends flex libelf-dev valgrind libc6-dbg`, or \
             give --install to have it done"
        );
    }

    #[test]
    fn a_package_that_has_several_things_is_installed_once() {
        let make = Needed::program("make", "build-essential");
        let gcc = Needed::program("gcc", "build-essential");
        assert_eq!(packages(&[&make, &FLEX, &gcc]), ["build-essential", "flex"]);
    }

    #[test]
    fn a_system_without_apt_is_told_no_command_of_it() {
        assert_eq!(
            sentence(&[&ELF], false),
            "the header gelf.h (Debian package `libelf-dev`) is needed, and not on this system"
        );
    }

    #[test]
    fn what_is_there_is_left_alone() {
        assert!(Needed::program("sh", "dash").is_there());
        assert!(debian(&[Needed::program("sh", "dash")]).is_ok());
        assert!(!Needed::library("no-such.a", "no-such-compiler", "none").is_there());
        assert!(!Needed::header("no-such.h", "none").is_there());
    }

    #[test]
    fn a_program_that_is_too_old_is_said_with_both_versions() {
        let of = |found| too_old("qemu-system-arm", (9, 2), found, "qemu-system-arm");
        let sentence = "qemu-system-arm 9.2 or later is needed (Debian package `qemu-system-arm`, of Debian \
                        13 or later), and this system has ";
        assert_eq!(of(Some((7, 2))), format!("{sentence}7.2"));
        assert_eq!(of(None), format!("{sentence}none"));
    }
}
