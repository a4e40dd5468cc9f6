//! What the checks need to know about the workspace, read from Cargo so that it is stated once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// Workspaces beside the root one: firmware, measurements and link proofs, each with a lock file of
/// its own.
pub(crate) const NESTED_WORKSPACES: &[&str] = &[
    "examples/nucleo-h7s3",
    "examples/nucleo-h7s3-boot",
    "examples/qemu-an500",
    "examples/qemu-an500-boot",
    "xtask/panic-free",
    "xtask/ram",
    "xtask/size",
    "xtask/serial",
    "xtask/two-wire",
    "bench",
];

/// The workspace in which `cargo xtask` was started.
pub(crate) struct Project {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// One build folder for all workspaces, so that CI keeps and limits one.
    pub(crate) target_dir: PathBuf,
    /// The oldest compiler promised to work (`rust-version` of the root `Cargo.toml`).
    pub(crate) msrv: String,
    /// The crates meant for the registry.
    pub(crate) published: Vec<PublishedCrate>,
}

/// A crate meant for the registry.
pub(crate) struct PublishedCrate {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Feature names without `default`.
    pub(crate) features: Vec<String>,
}

impl Project {
    /// Reads the workspace that contains this program's sources.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has no parent folder")?;
        let metadata = metadata(root)?;
        let published: Vec<_> = metadata
            .workspace_packages()
            .into_iter()
            .filter_map(published_crate)
            .collect();
        if published.is_empty() {
            bail!("no crate of this workspace is meant to be published");
        }
        Ok(Self {
            root: root.to_owned(),
            target_dir: metadata.target_directory.clone().into(),
            msrv: msrv(&metadata)?,
            published,
        })
    }

    /// The root workspace and the nested ones, as folders relative to the root.
    pub(crate) fn workspaces(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(".").chain(NESTED_WORKSPACES.iter().copied())
    }

    /// Cargo in `folder` (relative to the root), with the common build folder.
    pub(crate) fn cargo(&self, folder: &str) -> Command {
        self.in_folder(Command::new("cargo"), folder)
    }

    /// Cargo of another toolchain, such as the oldest supported one.
    pub(crate) fn cargo_of(&self, toolchain: &str, folder: &str) -> Command {
        let mut command = Command::new("rustup");
        command.args(["run", toolchain, "cargo"]);
        self.in_folder(command, folder)
    }

    fn in_folder(&self, mut command: Command, folder: &str) -> Command {
        command
            .current_dir(self.root.join(folder))
            .env("CARGO_TARGET_DIR", &self.target_dir)
            .env("CARGO_TERM_PROGRESS_WHEN", "never");
        command
    }
}

/// Cargo's description of the workspace in `folder`.
pub(crate) fn metadata(folder: &Path) -> Result<Metadata> {
    MetadataCommand::new()
        .current_dir(folder)
        .no_deps()
        .exec()
        .with_context(|| format!("cannot read the workspace in {}", folder.display()))
}

fn published_crate(package: &Package) -> Option<PublishedCrate> {
    // `publish = false` reads as an empty list of registries.
    if package.publish.as_ref().is_some_and(Vec::is_empty) {
        return None;
    }
    Some(PublishedCrate {
        name: package.name.to_string(),
        folder: package.manifest_path.parent()?.into(),
        features: package
            .features
            .keys()
            .filter(|name| *name != "default")
            .cloned()
            .collect(),
    })
}

fn msrv(metadata: &Metadata) -> Result<String> {
    let mut versions: Vec<_> = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.rust_version.clone())
        .collect();
    versions.sort();
    versions.dedup();
    match versions.as_slice() {
        [Some(version)] if version.patch == 0 => Ok(format!("{}.{}", version.major, version.minor)),
        [Some(version)] => Ok(version.to_string()),
        _ => bail!("the crates of the workspace must state one common rust-version"),
    }
}
