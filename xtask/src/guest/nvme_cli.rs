//! Debian's nvme-cli for the guests: the program, its loader and the libraries that it needs, of
//! several releases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::Object;

use super::apt::{self, Apt};
use super::initramfs::File;

const PROGRAM: &str = "usr/sbin/nvme";
/// Where releases put libraries.
const LIBRARY_FOLDERS: [&str; 3] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "lib64"];
const LOADER: &str = "ld-linux-x86-64.so.2";

/// What `guest-tests nvme-check` checks of every release, in this order.
pub(super) const CHAPTERS: &[&str] = &[
    "identify",
    "logs",
    "settings",
    "namespaces",
    "media",
    "firmware",
];

/// A Debian release, for its nvme-cli.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// nvme-cli 2.3 with libnvme 1.3, which takes no message whose length is not a multiple of
    /// four.
    Bookworm,
    /// nvme-cli 2.13 with libnvme 1.13.
    Trixie,
    /// Whatever is new: in 2026 nvme-cli 2.16 with libnvme 1.16.
    Sid,
}

impl Release {
    /// As Debian names the suite.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// Where its nvme-cli is in the guest: `nvme`, `loader`, and the libraries.
    pub(super) fn folder(self) -> String {
        format!("nvme-cli-{}", self.name())
    }

    /// What a guest needs, downloaded to `tools` if it is not there.
    pub(super) fn files(self, tools: &Path) -> Result<Vec<File>> {
        let root = tools.join(self.folder());
        if !root.join(PROGRAM).exists() {
            fetch(self, &root)?;
        }
        let folder = self.folder();
        let mut files = vec![
            program(root.join(PROGRAM), format!("{folder}/nvme"))?,
            program(library(&root, LOADER)?, format!("{folder}/loader"))?,
        ];
        let mut next = 0;
        // Each file read names libraries, whose own needs are looked at in their turn.
        while let Some(file) = files.get(next) {
            for name in needed(&file.content)? {
                let place = format!("{folder}/{name}");
                if name != LOADER && files.iter().all(|file| file.name != place) {
                    files.push(program(library(&root, &name)?, place)?);
                }
            }
            next += 1;
        }
        Ok(files)
    }
}

fn fetch(release: Release, root: &Path) -> Result<()> {
    println!("downloading nvme-cli of Debian {}", release.name());
    let download = root.with_extension("download");
    for folder in [root, &download] {
        // What an earlier try left.
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    fs::create_dir_all(&download)?;
    let packages =
        Apt::of_suites(release.name(), &download)?.download_with_dependencies("nvme-cli")?;
    let unpacked = download.join("root");
    for package in packages {
        apt::unpack(&package, &unpacked)?;
    }
    ensure!(
        unpacked.join(PROGRAM).exists(),
        "Debian's nvme-cli package has another layout than expected"
    );
    // The name it is looked for under only when it is complete.
    fs::rename(unpacked, root)?;
    fs::remove_dir_all(download)?;
    Ok(())
}

fn program(path: PathBuf, name: String) -> Result<File> {
    let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(File { name, content })
}

fn library(root: &Path, name: &str) -> Result<PathBuf> {
    LIBRARY_FOLDERS
        .iter()
        .map(|folder| root.join(folder).join(name))
        .find(|path| path.exists())
        .with_context(|| format!("no package of {} has {name}", root.display()))
}

/// The libraries that an ELF file asks its loader for.
fn needed(content: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(content)?;
    file.import_libraries()?
        .map(|library| Ok(String::from_utf8(library?.name().to_vec())?))
        .collect()
}
