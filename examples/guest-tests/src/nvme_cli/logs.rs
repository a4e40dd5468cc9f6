//! Log pages.

use std::fs;

use anyhow::{Context, Result, anyhow, ensure};
use nvme_mi_responder::wire::{
    CommandEffects, LogPageId, SanitizeStatus, SmartHealth, SupportedLogPages, TelemetryHeader,
};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

use super::program::NvmeCli;
use super::{array, expect, expect_numbers, number};

const INVALID_FIELD: u16 = 0x002;
const INVALID_LOG_PAGE: u16 = 0x109;

/// What nvme-cli writes to.
const FILE: &str = "/tmp/log";

/// The logs of the default model.
const LOGS: [u8; 12] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x12, 0x13, 0x81,
];

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    health(nvme)?;
    parts(nvme)?;
    errors(nvme)?;
    which_exist(nvme)?;
    effects(nvme)?;
    idle_operations(nvme)?;
    changed_namespaces(nvme)?;
    telemetry(nvme)
}

/// Log `id` whole, `length` bytes.
fn log(nvme: &NvmeCli, id: u8, length: usize) -> Result<Vec<u8>> {
    part(nvme, id, 0, length)
}

fn part(nvme: &NvmeCli, id: u8, offset: usize, length: usize) -> Result<Vec<u8>> {
    let bytes = nvme.raw(&format!(
        "get-log --log-id={id} --lpo={offset} --log-len={length} -b"
    ))?;
    expect("bytes of the log", bytes.len(), length)?;
    Ok(bytes)
}

/// Log `id` whole, as its structure.
fn structure<T: FromBytes>(nvme: &NvmeCli, id: LogPageId) -> Result<T> {
    let (id, length) = (id.0, size_of::<T>());
    nvme.structure(&format!("get-log --log-id={id} --log-len={length} -b"))
}

fn health(nvme: &NvmeCli) -> Result<()> {
    let found = nvme.json("smart-log")?;
    expect_numbers(
        &found,
        &[
            ("critical_warning", 0),
            ("temperature", 303),
            ("avail_spare", 100),
            ("spare_thresh", 10),
            ("percent_used", 3),
            ("data_units_read", 0),
            ("data_units_written", 0),
            ("host_read_commands", 0),
            ("host_write_commands", 0),
            ("controller_busy_time", 0),
            ("power_cycles", 1),
            ("power_on_hours", 0),
            ("unsafe_shutdowns", 0),
            ("media_errors", 0),
            ("warning_temp_time", 0),
            ("critical_comp_time", 0),
        ],
    )?;
    let log: SmartHealth = structure(nvme, LogPageId::SMART_HEALTH)?;
    let healthy = [0, 0x2F, 0x01, 100, 10, 3];
    ensure!(
        log.as_bytes().starts_with(&healthy),
        "the log does not start with {healthy:02x?}"
    );
    expect(
        "num_err_log_entries",
        u128::from(number(&found, "num_err_log_entries")?),
        log.error_log_entries.get(),
    )
}

/// Any part of a log is that part of the whole; what is behind its end is zero.
fn parts(nvme: &NvmeCli) -> Result<()> {
    let whole = log(nvme, 0x05, 4096)?;
    let parts = [
        (0, 4),
        (4, 4),
        (8, 512),
        (1020, 12),
        (0, 2048),
        (2048, 2048),
        (4092, 4),
    ];
    for (offset, length) in parts {
        let found = part(nvme, 0x05, offset, length)?;
        ensure!(
            found == whole[offset..][..length],
            "{length} bytes at {offset} are not those of the whole log"
        );
    }
    let beyond = part(nvme, 0x02, 508, 4096)?;
    let (_, behind) = beyond.split_at(size_of::<u32>());
    ensure!(
        behind.iter().all(|byte| *byte == 0),
        "behind the end of the log are no zeros"
    );
    // More than fits into one message: nvme-cli asks for one part after the other.
    let long = log(nvme, 0x05, 3 * 4096);
    ensure!(long.is_err(), "a log of 4096 bytes has more parts");
    nvme.refused("get-log --log-id=2 --lpo=516 --log-len=4", INVALID_FIELD)?;
    nvme.refused("get-log --log-id=0xBF --log-len=64", INVALID_LOG_PAGE)
}

/// A command that fails is the newest entry of the error log, and counted in the health log.
fn errors(nvme: &NvmeCli) -> Result<()> {
    nvme.refused("get-log --log-id=0xBE --log-len=64", INVALID_LOG_PAGE)?;
    let found = nvme.json("error-log -e 16")?;
    let entries = array(&found, "errors")?;
    expect("entries", entries.len(), 16)?;
    let newest = entries.first().context("no entry")?;
    let count = number(newest, "error_count")?;
    expect(
        "status",
        number(newest, "status_field")? & 0x7FF,
        INVALID_LOG_PAGE.into(),
    )?;
    expect_numbers(newest, &[("sqid", 0), ("cmdid", 0)])?;
    for (older, entry) in entries.iter().enumerate() {
        let expected = count.saturating_sub(older as u64);
        expect("error_count", number(entry, "error_count")?, expected)?;
    }
    expect_numbers(&nvme.json("smart-log")?, &[("num_err_log_entries", count)])
}

/// The Supported Log Pages log names the logs that can be read, and only those.
fn which_exist(nvme: &NvmeCli) -> Result<()> {
    let supported: SupportedLogPages = structure(nvme, LogPageId::SUPPORTED_LOG_PAGES)?;
    for (id, effects) in (0..=u8::MAX).zip(supported.log_pages) {
        expect(
            &format!("log {id:#x} is listed"),
            is_supported(effects),
            LOGS.contains(&id),
        )?;
    }
    for id in LOGS {
        log(nvme, id, 64)?;
    }
    for id in [0x09, 0x0A, 0x0C, 0x0D, 0x14, 0x70, 0x80, 0x82] {
        let command = format!("get-log --log-id={id} --log-len=64");
        nvme.refused(&command, INVALID_LOG_PAGE)?;
    }
    let text = nvme.text("supported-log-pages")?;
    for id in LOGS {
        // `LID 0x12 - ...` or `LID 0x12 (...)`; 0 without its 0x.
        let listed = text.lines().any(|line| line_names(line, id));
        ensure!(listed, "log {id:#x} is not in the printed list");
    }
    Ok(())
}

/// Bit 0 of what these logs say of a log page or a command.
fn is_supported(effects: U32) -> bool {
    effects.get() & 1 != 0
}

fn line_names(line: &str, id: u8) -> bool {
    let mut words = line.split_whitespace();
    let digits = words.nth(1).map(|word| word.trim_start_matches("0x"));
    // All zeros of a number were trimmed with its 0x.
    digits.is_some_and(|digits| u8::from_str_radix(digits, 16).unwrap_or(0) == id)
}

fn effects(nvme: &NvmeCli) -> Result<()> {
    let log: CommandEffects = structure(nvme, LogPageId::COMMAND_EFFECTS)?;
    // Admin commands, and the three I/O commands that every controller has.
    let admin = [
        0x02, 0x06, 0x09, 0x0A, 0x0D, 0x10, 0x11, 0x14, 0x15, 0x80, 0x81, 0x82, 0x84,
    ];
    let commands = log.admin_commands.into_iter().zip(log.io_commands);
    for (opcode, (of_admin, of_io)) in (0..=u8::MAX).zip(commands) {
        let what = format!("opcode {opcode:#x} is supported");
        expect(&what, is_supported(of_admin), admin.contains(&opcode))?;
        expect(&what, is_supported(of_io), [0, 1, 2].contains(&opcode))?;
    }
    let text = nvme.text("effects-log --csi=0")?;
    for name in ["Identify", "Firmware Commit", "Format NVM"] {
        ensure!(text.contains(name), "{name} is not in the printed list");
    }
    Ok(())
}

fn idle_operations(nvme: &NvmeCli) -> Result<()> {
    let found = nvme.json("self-test-log")?;
    let operation = found.get("Current Device Self-Test Operation");
    let operation = operation.or_else(|| found.get("Current operation"));
    expect(
        "current self-test",
        operation.and_then(serde_json::Value::as_u64),
        Some(0),
    )?;
    let log: SanitizeStatus = structure(nvme, LogPageId::SANITIZE_STATUS)?;
    expect("sanitize progress", log.progress.get(), u16::MAX)?;
    expect("sanitize status", log.status.get() & 0b111, 0)?;
    nvme.text("sanitize-log").map(drop)
}

fn changed_namespaces(nvme: &NvmeCli) -> Result<()> {
    let log = log(nvme, 0x04, 4096)?;
    ensure!(log.iter().all(|byte| *byte == 0), "namespaces have changed");
    nvme.text("changed-ns-list-log").map(drop)
}

/// What a host has captured, as nvme-cli reads it: 32 lines of text behind the header, each with its
/// number to the base of 32. The controllers have captured nothing by themselves: of that only the
/// header is read, as nvme-cli 2.13 cannot write a file of nothing more.
fn telemetry(nvme: &NvmeCli) -> Result<()> {
    for id in [
        LogPageId::TELEMETRY_HOST_INITIATED,
        LogPageId::TELEMETRY_CONTROLLER_INITIATED,
    ] {
        let header: TelemetryHeader = structure(nvme, id)?;
        expect("log identifier", header.log_page_id, id)?;
        expect("OUI", header.ieee_oui, [0x48, 0xDE, 0xAC])?;
    }
    for controller in 0..2 {
        let nvme = nvme.of_controller(controller);
        nvme.raw(&format!(
            "telemetry-log --output-file={FILE} --host-generate=1"
        ))?;
        let log = fs::read(FILE)?;
        let (_, found) = TelemetryHeader::ref_from_prefix(&log)
            .map_err(|_| anyhow!("a log of {} bytes", log.len()))?;
        let line = |number| {
            let digit = char::from_digit(number, 32).unwrap_or('?');
            let digit = digit.to_ascii_uppercase();
            format!("telemetry of controller {controller}: {digit}...\n")
        };
        let text: String = (0..32).map(line).collect();
        ensure!(
            found == text.as_bytes(),
            "telemetry is {:?}",
            String::from_utf8_lossy(found)
        );
    }
    Ok(())
}
