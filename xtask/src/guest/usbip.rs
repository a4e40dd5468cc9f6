//! Debian's `usbip` for the guests: the tool by which a Linux attaches a device from elsewhere.

use super::debian_program::DebianProgram;

/// The tool. In the guest it is `usbip`, with its loader and libraries, in a folder of its own.
pub(super) const TOOL: DebianProgram = DebianProgram {
    package: "usbip",
    path: "usr/sbin/usbip",
    name: "usbip",
};
