//! QEMU and tshark from Debian's packages. What is there already is left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::first_line;
use crate::process::{output, succeeds, with_retries};

/// The oldest QEMU whose chardevs know `reconnect-ms`.
const OLDEST_QEMU: (u32, u32) = (9, 2);
/// The oldest tshark that decodes MCTP.
const OLDEST_TSHARK: (u32, u32) = (4, 2);
/// The Debian release that has such a tshark, for hosts that have an older one.
const TSHARK_RELEASE: &str = "trixie";
/// The Debian release whose own QEMU package conflicts with what is often installed; its backport
/// does not.
const BACKPORTED: &str = "bookworm";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A QEMU, for one kind of computer.
pub(crate) struct Qemu {
    pub(crate) program: &'static str,
    package: &'static str,
}

/// The guests'.
pub(crate) const X86: Qemu = Qemu {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
};

/// The emulated board's.
pub(crate) const ARM: Qemu = Qemu {
    program: "qemu-system-arm",
    package: "qemu-system-arm",
};

/// Installs a QEMU unless there is one that is new enough.
pub(crate) fn qemu(qemu: &Qemu) -> Result<()> {
    if version_of(&mut Command::new(qemu.program)).is_some_and(|version| version >= OLDEST_QEMU) {
        return Ok(());
    }
    println!("installing {}", qemu.program);
    need_debian(qemu.program, qemu.package)?;
    if codename()? != BACKPORTED {
        return install(&[qemu.package]);
    }
    let suite = format!("{BACKPORTED}-backports");
    enable_suite(&suite)?;
    install(&["-t", &suite, qemu.package])
}

/// A tshark that decodes MCTP.
pub(crate) struct Tshark {
    /// The root folder to change to before it is started, if it is not the host's own.
    root: Option<PathBuf>,
}

impl Tshark {
    /// The program, ready for arguments.
    pub(crate) fn command(&self) -> Command {
        match &self.root {
            None => Command::new("tshark"),
            Some(root) => {
                let mut command = as_root("chroot");
                command.arg(root).arg("tshark");
                command
            }
        }
    }

    fn is_new_enough(&self) -> bool {
        version_of(&mut self.command()).is_some_and(|version| version >= OLDEST_TSHARK)
    }
}

/// A tshark that is new enough and there already: the host's, or the one unpacked under
/// `target_dir`.
pub(crate) fn installed_tshark(target_dir: &Path) -> Result<Option<Tshark>> {
    let candidates = [None, Some(unpacked(target_dir))];
    Ok(candidates
        .into_iter()
        .map(|root| Tshark { root })
        .find(Tshark::is_new_enough))
}

/// A tshark that is new enough; installed, or unpacked with a newer Debian release under
/// `target_dir`, if need be.
pub(crate) fn tshark(target_dir: &Path) -> Result<Tshark> {
    if let Some(tshark) = installed_tshark(target_dir)? {
        return Ok(tshark);
    }
    println!("installing tshark");
    need_debian("tshark 4.2 or later", "tshark")?;
    if codename()? == BACKPORTED {
        unpack(&unpacked(target_dir))?;
    } else {
        install(&["tshark"])?;
    }
    installed_tshark(target_dir)?.context("tshark was installed, but is older than 4.2")
}

fn unpacked(target_dir: &Path) -> PathBuf {
    target_dir.join("guest-tools").join(TSHARK_RELEASE)
}

fn unpack(folder: &Path) -> Result<()> {
    if !succeeds(Command::new("debootstrap").arg("--version")) {
        install(&["debootstrap"])?;
    }
    // A half-unpacked folder of an earlier try would be in the way.
    if folder.exists() {
        output(as_root("rm").args(["-r", "--one-file-system"]).arg(folder))?;
    }
    fs::create_dir_all(folder)?;
    let mut command = as_root("debootstrap");
    command
        .args(["--variant=minbase", "--include=tshark", TSHARK_RELEASE])
        .arg(folder)
        .arg(archive()?);
    output(&mut command).map(drop)
}

/// Adds a suite of the archive that apt uses already.
fn enable_suite(suite: &str) -> Result<()> {
    let entry = format!(
        "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n",
        archive()?
    );
    let scratch = tempfile::NamedTempFile::new()?;
    fs::write(scratch.path(), entry)?;
    let target = format!("/etc/apt/sources.list.d/{suite}.sources");
    output(
        as_root("install")
            .args(["-m", "644"])
            .arg(scratch.path())
            .arg(target),
    )
    .map(drop)
}

/// Installs Debian packages for a program that is not there.
pub(super) fn packages(program: &str, packages: &[&str]) -> Result<()> {
    need_debian(program, &packages.join("`, `"))?;
    install(packages)
}

pub(crate) fn install(args: &[&str]) -> Result<()> {
    with_retries(as_root("apt-get").arg("update"))?;
    with_retries(
        as_root("env")
            .args([
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "install",
                "--yes",
            ])
            .arg("--no-install-recommends")
            .args(args),
    )
    .context("cannot install a Debian package; root or password-free sudo is needed")
}

fn as_root(program: &str) -> Command {
    let is_root = first_line(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
    if is_root {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

fn need_debian(program: &str, package: &str) -> Result<()> {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("{program} is needed: install it (Debian package `{package}`)");
    }
    Ok(())
}

fn codename() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("which system is this?")?;
    Ok(release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned())
}

/// The address of the Debian archive that this computer uses.
pub(super) fn archive() -> Result<String> {
    let folder = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten();
    let files = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "sources" || end == "list")
        })
        .chain([PathBuf::from("/etc/apt/sources.list")]);
    files
        .filter_map(|file| archive_in(&fs::read_to_string(file).ok()?))
        .next()
        .context("apt has no entry for a Debian archive")
}

/// The archive in one apt file, of the older (`deb URI suite`) or newer (`URIs: URI`) form: its
/// path ends in `/debian`.
fn archive_in(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

/// The version that a program prints; `None` if it cannot be run.
fn version_of(program: &mut Command) -> Option<(u32, u32)> {
    version_in(&first_line(program.arg("--version"))?)
}

/// The first `major.minor` in a line such as `TShark (Wireshark) 4.4.7.`
fn version_in(line: &str) -> Option<(u32, u32)> {
    line.split_whitespace().find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_what_programs_print() {
        assert_eq!(version_in("TShark (Wireshark) 4.4.18."), Some((4, 4)));
        assert_eq!(
            version_in("QEMU emulator version 7.2.22 (Debian)"),
            Some((7, 2))
        );
        assert_eq!(
            version_in("TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged)"),
            Some((4, 0))
        );
        assert_eq!(version_in("no version"), None);
    }

    #[test]
    fn archive_is_found_in_both_forms_and_security_updates_are_not_it() {
        let newer = "Types: deb\n# URIs: x://a/debian\nURIs: x://b/debian\nSuites: s\n";
        assert_eq!(archive_in(newer).as_deref(), Some("x://b/debian"));
        let older = "deb [signed-by=k] x://c/debian/ s main\n";
        assert_eq!(archive_in(older).as_deref(), Some("x://c/debian/"));
        assert_eq!(archive_in("URIs: x://d/debian-security\n"), None);
    }
}
