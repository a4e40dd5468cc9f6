//! Commands that nvme-cli sends to drives with a device file alone, though Admin commands that it
//! sends over MCTP do the same, or NVMe-MI has a command for it.

use anyhow::{Result, ensure};

use super::program::NvmeCli;

/// With options that would change nothing.
const COMMANDS: &[&str] = &[
    "set-feature -f 4 --value=343",
    "device-self-test -s 0xf",
    "reset",
    "subsystem-reset",
    "show-regs",
    "virt-mgmt -c 0 -a 9",
    "read -n 1 -s 0 -c 0 -z 512",
    "flush -n 1",
    "io-passthru --opcode=0",
];

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    for command in COMMANDS {
        ensure!(
            !nvme.is_for_mctp(command)?,
            "nvme {command} is sent over MCTP: check what it does, and give it another place"
        );
    }
    Ok(())
}
