//! Debian packages as files: downloaded and unpacked with lists of our own, so that the computer's
//! apt set-up stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::Architecture;
use super::install;
use crate::process::{output, with_retries};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt with its lists and downloads in a folder.
pub(super) struct Apt {
    folder: PathBuf,
    architecture: Architecture,
}

impl Apt {
    /// For these suites of the archive that the computer uses. The folder has to exist.
    pub(super) fn of_suites(
        suites: &str,
        architecture: Architecture,
        folder: &Path,
    ) -> Result<Self> {
        let entry = format!(
            "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n",
            install::archive()?
        );
        fs::write(folder.join("apt.sources"), entry)?;
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        // As if nothing were installed.
        fs::write(folder.join("status"), "")?;
        let apt = Self {
            folder: folder.to_owned(),
            architecture,
        };
        apt.get(&["update"])?;
        Ok(apt)
    }

    /// Downloads one package.
    pub(super) fn download(&self, package: &str) -> Result<PathBuf> {
        self.get(&["download", package])?;
        packages(&self.folder)?
            .pop()
            .context("no package was downloaded")
    }

    /// Downloads packages with all that they depend on.
    pub(super) fn download_with_dependencies(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let install = [
            "install",
            "--download-only",
            "--yes",
            "--no-install-recommends",
        ];
        self.get(&[&install, names].concat())?;
        packages(&self.folder.join("cache/archives"))
    }

    fn get(&self, args: &[&str]) -> Result<()> {
        let place = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new("apt-get");
        command.current_dir(&self.folder);
        for (option, value) in [
            ("Dir::Etc::SourceList", place("apt.sources")),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::State::Lists", place("lists")),
            ("Dir::State::Status", place("status")),
            ("Dir::Cache", place("cache")),
            ("APT::Architecture", self.architecture.name().into()),
            ("APT::Architectures", self.architecture.name().into()),
            // A mirror may be behind; what it has is signed all the same.
            ("Acquire::Check-Valid-Until", "false".into()),
            // Otherwise only root may ask for an installation, even for one that only downloads.
            ("Debug::NoLocking", "true".into()),
        ] {
            command.args(["-o", &format!("{option}={value}")]);
        }
        with_retries(command.args(args))
    }
}

/// Unpacks a package's files.
pub(super) fn unpack(package: &Path, folder: &Path) -> Result<()> {
    output(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder)).map(drop)
}

fn packages(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "deb"))
        .collect())
}
