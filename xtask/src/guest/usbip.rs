//! Debian's `usbip` for the guests: the tool by which a Linux attaches a device from elsewhere.

use std::path::Path;

use anyhow::Result;

use super::debian::{Architecture, Unpacked};
use super::initramfs::File;
use super::nvme_cli::Release;

const PROGRAM: &str = "usr/sbin/usbip";

/// Where a release's tool is in the guest: `usbip`, `loader`, and the libraries.
pub(super) fn folder(release: Release) -> String {
    format!("usbip-{}", release.name())
}

/// What a guest needs, downloaded to `tools` if it is not there.
pub(super) fn files(release: Release, tools: &Path) -> Result<Vec<File>> {
    let folder = folder(release);
    let root = tools.join(&folder);
    let unpacked = Unpacked::fetch(&root, Architecture::Amd64, release.name(), &["usbip"])?;
    unpacked.program_in_folder(PROGRAM, "usbip", &folder)
}
