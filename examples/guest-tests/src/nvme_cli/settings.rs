//! Features, and what nvme-cli does not send over NVMe-MI by a name of its own.

use anyhow::{Result, ensure};

use super::program::NvmeCli;

const INVALID_FIELD: u16 = 0x002;
const NOT_SAVEABLE: u16 = 0x10D;
const NOT_CHANGEABLE: u16 = 0x10E;
/// NVMe-MI Invalid Command Opcode.
const INVALID_OPCODE: u16 = 0x03;
/// Queues, Abort, Asynchronous Event Request, Keep Alive, Directives, NVMe-MI Send and Receive,
/// doorbells; then some that do not exist. libnvme does not send those whose lowest two bits are
/// set.
const PROHIBITED_COMMANDS: [u8; 14] = [
    0x00, 0x01, 0x04, 0x05, 0x08, 0x0C, 0x18, 0x19, 0x1A, 0x1D, 0x1E, 0x7C, 0x3C, 0xC0,
];

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    values(nvme)?;
    timestamp(nvme)?;
    changes(nvme)?;
    for prohibited in [0x01, 0x03, 0x05, 0x0B, 0x16, 0x18, 0x78, 0xC0] {
        nvme.refused(&format!("get-feature -n 1 -f {prohibited}"), INVALID_FIELD)?;
    }
    // Reserved values of the select field.
    nvme.refused("admin-passthru --opcode=0x0a --cdw10=0x404", INVALID_FIELD)?;
    for prohibited in PROHIBITED_COMMANDS {
        let command = format!("admin-passthru --opcode={prohibited}");
        nvme.refused_by_endpoint(&command, INVALID_OPCODE)?;
    }
    Ok(())
}

fn values(nvme: &NvmeCli) -> Result<()> {
    // Current, default and saved value of the temperature threshold: the warning temperature, 343
    // K.
    for select in 0..3 {
        let command = format!("get-feature -n 1 -f 4 -s {select}");
        expect_value(nvme, &command, "0x00000157")?;
    }
    expect_value(nvme, "get-feature -n 1 -f 2", "00000000")?;
    nvme.text("get-feature -n 1 -f 4 -s 3").map(drop)
}

/// Set Features, for which nvme-cli 2 has no command over NVMe-MI: by its opcode.
fn changes(nvme: &NvmeCli) -> Result<()> {
    let set = |feature: u32, value: u32| {
        format!("admin-passthru --opcode=0x09 --cdw10={feature:#x} --cdw11={value}")
    };
    nvme.refused(&set(0x01, 0), INVALID_FIELD)?;
    nvme.refused(&set(0x02, 1), NOT_CHANGEABLE)?;
    nvme.refused(&set(1 << 31 | 0x04, 300), NOT_SAVEABLE)?;
    expect_value(nvme, "get-feature -n 1 -f 4", "0x00000157")?;
    nvme.text(&set(0x04, 300))?;
    expect_value(nvme, "get-feature -n 1 -f 4", "0x0000012c")?;
    expect_value(nvme, "get-feature -n 1 -f 4 -s 1", "0x00000157")?;
    nvme.text(&set(0x04, 343))?;
    expect_value(nvme, "get-feature -n 1 -f 4", "0x00000157")
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
