//! Debian's nvme-cli for the guests: the program, its loader and the libraries that it needs, of
//! several releases.

use std::path::Path;

use anyhow::Result;

use super::debian::{Architecture, Unpacked};
use super::initramfs::File;

const PROGRAM: &str = "usr/sbin/nvme";

/// What `linux-requester nvme-check` checks of every release, in this order.
pub(super) const CHAPTERS: &[&str] = &[
    "identify",
    "logs",
    "settings",
    "others",
    "namespaces",
    "media",
    "firmware",
];

/// A Debian release, for its nvme-cli.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
        let folder = self.folder();
        let root = tools.join(&folder);
        let unpacked = Unpacked::fetch(&root, Architecture::Amd64, self.name(), &["nvme-cli"])?;
        unpacked.program_in_folder(PROGRAM, "nvme", &folder)
    }
}
