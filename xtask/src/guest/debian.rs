//! Programs from Debian's packages, unpacked in the build folder with all that they need: for the
//! guests, and for this computer where its own are too old. That takes no root, and leaves the
//! system as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use object::Object;

use super::apt::{self, Apt};
use super::initramfs::File;

/// What a program is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    Amd64,
    Armhf,
}

impl Architecture {
    /// Debian's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Armhf => "armhf",
        }
    }

    fn loader(self) -> &'static str {
        match self {
            Self::Amd64 => "ld-linux-x86-64.so.2",
            Self::Armhf => "ld-linux-armhf.so.3",
        }
    }

    /// Where programs expect their loader.
    fn loader_folder(self) -> &'static str {
        match self {
            Self::Amd64 => "lib64",
            Self::Armhf => "lib",
        }
    }

    /// Where releases put libraries.
    fn library_folders(self) -> &'static [&'static str] {
        match self {
            Self::Amd64 => &["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "lib64"],
            Self::Armhf => &["usr/lib/arm-linux-gnueabihf", "lib/arm-linux-gnueabihf"],
        }
    }
}

/// The files of some packages and of all that these depend on.
pub(crate) struct Unpacked {
    root: PathBuf,
    architecture: Architecture,
}

impl Unpacked {
    /// Those in `root`, if they were unpacked there before.
    pub(super) fn find(root: &Path, architecture: Architecture) -> Option<Self> {
        root.exists().then(|| Self {
            root: root.to_owned(),
            architecture,
        })
    }

    /// Those in `root`, downloaded from a suite and unpacked if they are not there.
    pub(super) fn fetch(
        root: &Path,
        architecture: Architecture,
        suite: &str,
        packages: &[&str],
    ) -> Result<Self> {
        if Self::find(root, architecture).is_none() {
            eprintln!(
                "unpacking {} of Debian {suite} in {}",
                packages.join(", "),
                root.display()
            );
            unpack(root, architecture, suite, packages)?;
        }
        Ok(Self {
            root: root.to_owned(),
            architecture,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A program of this computer's architecture, run with the libraries that were made for it.
    pub(super) fn command(&self, program: &str) -> Result<Command> {
        let folders = self.architecture.library_folders().iter();
        let folders: Vec<_> = folders.map(|folder| self.path(folder)).collect();
        let mut command = Command::new(self.library(self.architecture.loader())?);
        command
            .arg("--library-path")
            .arg(std::env::join_paths(folders)?)
            .arg(self.path(program));
        Ok(command)
    }

    /// Programs for a guest, as the names that they have there, with the libraries that they need
    /// where their loader looks.
    pub(super) fn programs(&self, programs: &[(&str, &str)]) -> Result<Vec<File>> {
        let loader = self.architecture.loader();
        let folder = self.architecture.loader_folder();
        let mut files = vec![read(&self.library(loader)?, format!("{folder}/{loader}"))?];
        for (path, name) in programs {
            files.push(read(&self.path(path), (*name).to_owned())?);
        }
        self.add_libraries(&mut files, "lib")?;
        Ok(files)
    }

    /// A program for a guest in a folder of its own: `loader`, the libraries, and the program.
    pub(super) fn program_in_folder(
        &self,
        program: &str,
        name: &str,
        folder: &str,
    ) -> Result<Vec<File>> {
        let loader = self.library(self.architecture.loader())?;
        let mut files = vec![
            read(&self.path(program), format!("{folder}/{name}"))?,
            read(&loader, format!("{folder}/loader"))?,
        ];
        self.add_libraries(&mut files, folder)?;
        Ok(files)
    }

    /// Each file names libraries, whose own needs are looked at in their turn.
    fn add_libraries(&self, files: &mut Vec<File>, folder: &str) -> Result<()> {
        let mut next = 0;
        while let Some(file) = files.get(next) {
            for name in needed(&file.content)? {
                let place = format!("{folder}/{name}");
                let is_loader = name == self.architecture.loader();
                if !is_loader && files.iter().all(|file| file.name != place) {
                    files.push(read(&self.library(&name)?, place)?);
                }
            }
            next += 1;
        }
        Ok(())
    }

    fn library(&self, name: &str) -> Result<PathBuf> {
        let folders = self.architecture.library_folders().iter();
        folders
            .map(|folder| self.root.join(folder).join(name))
            .find(|path| path.exists())
            .with_context(|| format!("no package of {} has {name}", self.root.display()))
    }
}

fn unpack(root: &Path, architecture: Architecture, suite: &str, packages: &[&str]) -> Result<()> {
    let download = root.with_extension("download");
    // What an earlier try left.
    if download.exists() {
        fs::remove_dir_all(&download)?;
    }
    fs::create_dir_all(&download)?;
    let apt = Apt::of_suites(suite, architecture, &download)?;
    let unpacked = download.join("root");
    for package in apt.download_with_dependencies(packages)? {
        apt::unpack(&package, &unpacked)?;
    }
    // The name it is looked for under only when it is complete.
    fs::rename(unpacked, root)?;
    fs::remove_dir_all(download)?;
    Ok(())
}

fn read(path: &Path, name: String) -> Result<File> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(File { name, content })
}

/// The libraries that an ELF file asks its loader for.
fn needed(content: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(content)?;
    file.import_libraries()?
        .map(|library| Ok(String::from_utf8(library?.name().to_vec())?))
        .collect()
}
