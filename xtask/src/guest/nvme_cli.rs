//! Debian's nvme-cli for the guests, of several releases.

use std::path::Path;

use anyhow::Result;

use super::debian_program::DebianProgram;
use super::initramfs::File;

const PROGRAM: DebianProgram = DebianProgram {
    package: "nvme-cli",
    path: "usr/sbin/nvme",
    name: "nvme",
};

/// What `guest-tests nvme-check` checks of every release, in this order.
pub(super) const CHAPTERS: &[&str] = &[
    "identify",
    "logs",
    "settings",
    "others",
    "namespaces",
    "media",
    "firmware",
];

/// A Debian release, for its programs.
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
        PROGRAM.folder(self)
    }

    /// What a guest needs for nvme-cli, downloaded to `tools` if it is not there.
    pub(super) fn files(self, tools: &Path) -> Result<Vec<File>> {
        PROGRAM.files(self, tools)
    }
}
