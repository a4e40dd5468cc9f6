//! QEMU and tshark: those of this computer if they are new enough, else Debian's, unpacked in the
//! build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::debian::{Architecture, Unpacked};
use super::first_line;
use crate::install::too_old;
use crate::project::Project;

/// The oldest QEMU whose chardevs know `reconnect-ms`.
const OLDEST_QEMU: (u32, u32) = (9, 2);
/// The oldest tshark that decodes MCTP.
const OLDEST_TSHARK: (u32, u32) = (4, 2);
/// A Debian release that has both.
const RELEASE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A QEMU, for one kind of computer.
pub(crate) struct Qemu {
    program: &'static str,
    package: &'static str,
    /// The one to use if this computer's own is not.
    unpacked: OnceLock<Unpacked>,
}

/// The guests'.
pub(crate) static X86: Qemu = Qemu::new("qemu-system-x86_64", "qemu-system-x86");

/// The emulated board's.
pub(crate) static ARM: Qemu = Qemu::new("qemu-system-arm", "qemu-system-arm");

impl Qemu {
    const fn new(program: &'static str, package: &'static str) -> Self {
        Self {
            program,
            package,
            unpacked: OnceLock::new(),
        }
    }

    /// The program, ready for arguments. [`qemu`] comes first.
    pub(crate) fn command(&self) -> Command {
        let unpacked = self.unpacked.get();
        let unpacked = unpacked.and_then(|unpacked| self.of(unpacked).ok());
        unpacked.unwrap_or_else(|| Command::new(self.program))
    }

    fn of(&self, unpacked: &Unpacked) -> Result<Command> {
        let mut command = unpacked.command(&format!("usr/bin/{}", self.program))?;
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(unpacked.path(folder));
        }
        let modules = unpacked.path("usr/lib/x86_64-linux-gnu/qemu");
        command.env("QEMU_MODULE_DIR", modules);
        Ok(command)
    }
}

/// Has a QEMU that is new enough.
pub(crate) fn qemu(qemu: &Qemu) -> Result<()> {
    let found = version_of(&mut Command::new(qemu.program));
    if found.is_some_and(|version| version >= OLDEST_QEMU) || qemu.unpacked.get().is_some() {
        return Ok(());
    }
    if !can_unpack() {
        bail!(too_old(qemu.program, OLDEST_QEMU, found, qemu.package));
    }
    let tools = Project::open()?.target_dir.join("guest-tools");
    let root = tools.join(format!("{}-{RELEASE}", qemu.package));
    let unpacked = Unpacked::fetch(&root, Architecture::Amd64, RELEASE, &[qemu.package])?;
    let version = version_of(&mut qemu.of(&unpacked)?);
    version.with_context(|| format!("the {} that was unpacked does not run", qemu.program))?;
    // Another thread may have set the same.
    let _ = qemu.unpacked.set(unpacked);
    Ok(())
}

/// A tshark that decodes MCTP.
pub(crate) struct Tshark(Option<Unpacked>);

impl Tshark {
    /// The program, ready for arguments.
    pub(crate) fn command(&self) -> Result<Command> {
        let Some(unpacked) = &self.0 else {
            return Ok(Command::new("tshark"));
        };
        let mut command = unpacked.command("usr/bin/tshark")?;
        let data = unpacked.path("usr/share/wireshark");
        command.env("WIRESHARK_DATA_DIR", data);
        Ok(command)
    }

    fn version(&self) -> Option<(u32, u32)> {
        version_of(&mut self.command().ok()?)
    }

    fn is_new_enough(&self) -> bool {
        self.version().is_some_and(|found| found >= OLDEST_TSHARK)
    }
}

/// A tshark that is new enough and there already: the host's, or the one unpacked under
/// `target_dir`.
pub(crate) fn installed_tshark(target_dir: &Path) -> Option<Tshark> {
    let unpacked = Unpacked::find(&unpacked_tshark(target_dir), Architecture::Amd64);
    let candidates = [Some(Tshark(None)), unpacked.map(|one| Tshark(Some(one)))];
    candidates.into_iter().flatten().find(Tshark::is_new_enough)
}

/// A tshark that is new enough, unpacked under `target_dir` if need be.
pub(crate) fn tshark(target_dir: &Path) -> Result<Tshark> {
    if let Some(tshark) = installed_tshark(target_dir) {
        return Ok(tshark);
    }
    if !can_unpack() {
        let found = Tshark(None).version();
        bail!(too_old("tshark", OLDEST_TSHARK, found, "tshark"));
    }
    let root = unpacked_tshark(target_dir);
    Unpacked::fetch(&root, Architecture::Amd64, RELEASE, &["tshark"])?;
    installed_tshark(target_dir).context("the tshark that was unpacked does not run")
}

fn unpacked_tshark(target_dir: &Path) -> PathBuf {
    let tools = target_dir.join("guest-tools");
    tools.join(format!("tshark-{RELEASE}"))
}

/// Whether this is a Debian with the architecture of what would be unpacked.
fn can_unpack() -> bool {
    cfg!(target_arch = "x86_64") && Path::new(KEYRING).exists() && archive().is_ok()
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
