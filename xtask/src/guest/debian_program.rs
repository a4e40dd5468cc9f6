//! A program of a Debian package for the guests, with its loader and the libraries that it needs:
//! there are no others in a guest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::Object;

use super::apt::{self, Apt};
use super::initramfs::File;
use super::nvme_cli::Release;

/// Where releases put libraries.
const LIBRARY_FOLDERS: [&str; 3] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "lib64"];
const LOADER: &str = "ld-linux-x86-64.so.2";

/// A program that Debian has.
pub(super) struct DebianProgram {
    pub(super) package: &'static str,
    /// From the root of the package.
    pub(super) path: &'static str,
    /// What it is called in the guest.
    pub(super) name: &'static str,
}

impl DebianProgram {
    /// The folder in the guest that has the program under its name, `loader`, and the libraries.
    pub(super) fn folder(&self, release: Release) -> String {
        format!("{}-{}", self.package, release.name())
    }

    /// What a guest needs, downloaded to `tools` if it is not there.
    pub(super) fn files(&self, release: Release, tools: &Path) -> Result<Vec<File>> {
        let folder = self.folder(release);
        let root = tools.join(&folder);
        if !root.join(self.path).exists() {
            self.fetch(release, &root)?;
        }
        let mut files = vec![
            file(root.join(self.path), format!("{folder}/{}", self.name))?,
            file(library(&root, LOADER)?, format!("{folder}/loader"))?,
        ];
        let mut next = 0;
        // Each file read names libraries, whose own needs are looked at in their turn.
        while let Some(read) = files.get(next) {
            for name in needed(&read.content)? {
                let place = format!("{folder}/{name}");
                if name != LOADER && files.iter().all(|file| file.name != place) {
                    files.push(file(library(&root, &name)?, place)?);
                }
            }
            next += 1;
        }
        Ok(files)
    }

    fn fetch(&self, release: Release, root: &Path) -> Result<()> {
        let package = self.package;
        println!("downloading {package} of Debian {}", release.name());
        let download = root.with_extension("download");
        for folder in [root, &download] {
            // What an earlier try left.
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        fs::create_dir_all(&download)?;
        let apt = Apt::of_suites(release.name(), &download)?;
        let unpacked = download.join("root");
        for package in apt.download_with_dependencies(package)? {
            apt::unpack(&package, &unpacked)?;
        }
        ensure!(
            unpacked.join(self.path).exists(),
            "Debian's package {package} has another layout than expected"
        );
        // The name it is looked for under only when it is complete.
        fs::rename(unpacked, root)?;
        fs::remove_dir_all(download)?;
        Ok(())
    }
}

fn file(path: PathBuf, name: String) -> Result<File> {
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
