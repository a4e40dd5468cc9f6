//! Features, and what nvme-cli does not send over NVMe-MI by a name of its own.

use anyhow::{Result, ensure};

use super::program::NvmeCli;

const INVALID_FIELD: u16 = 0x002;

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    values(nvme)?;
    timestamp(nvme)?;
    for prohibited in [0x01, 0x03, 0x05, 0x0B, 0x16, 0x18, 0x78, 0xC0] {
        nvme.refused(&format!("get-feature -n 1 -f {prohibited}"), INVALID_FIELD)?;
    }
    // Reserved values of the select field.
    nvme.refused("admin-passthru --opcode=0x0a --cdw10=0x404", INVALID_FIELD)
}

fn values(nvme: &NvmeCli) -> Result<()> {
    // Current, default and saved value of the temperature threshold: the warning temperature, 343 K.
    for select in 0..3 {
        let command = format!("get-feature -n 1 -f 4 -s {select}");
        expect_value(nvme, &command, "0x00000157")?;
    }
    expect_value(nvme, "get-feature -n 1 -f 2", "00000000")?;
    nvme.text("get-feature -n 1 -f 4 -s 3").map(drop)
}

/// Printed with or without its leading zeros.
fn expect_value(nvme: &NvmeCli, command: &str, value: &str) -> Result<()> {
    let text = nvme.text(command)?;
    let short = value.trim_start_matches("0x").trim_start_matches('0');
    ensure!(
        text.contains(value)
            || (!short.is_empty() && text.trim_end().ends_with(&format!("0x{short}"))),
        "{value} is not in {text}"
    );
    Ok(())
}

/// Data of a feature, which libnvme 1.x asks for without saying how much.
fn timestamp(nvme: &NvmeCli) -> Result<()> {
    let bytes = nvme.raw("get-feature -n 1 -f 14 -b")?;
    ensure!(bytes.len() == 8, "a timestamp of {} bytes", bytes.len());
    Ok(())
}
