//! Self-test, format, sanitize, and security protocols.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use nvme_mi_responder::wire::{NamespaceList, SanitizeStatus, SelfTestLog};
use zerocopy::FromBytes;

use super::program::NvmeCli;
use super::{expect, expect_numbers};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
const SANITIZE_IN_PROGRESS: u16 = 0x01D;
const INVALID_FORMAT: u16 = 0x10A;
const SELF_TEST_IN_PROGRESS: u16 = 0x11D;

/// No operation of the default model takes longer.
const LONGEST_OPERATION: Duration = Duration::from_secs(20);
/// What a sanitize operation of the default model takes.
const SANITIZE_TIME: Duration = Duration::from_secs(5);
const SANITIZE_TRIES: usize = 4;

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    self_test(nvme)?;
    format(nvme)?;
    sanitize(nvme)?;
    security(nvme)
}

/// Reads a log until `is_over` says so of it.
fn wait_for<T: FromBytes>(
    nvme: &NvmeCli,
    command: &str,
    is_over: impl Fn(&T) -> bool,
) -> Result<T> {
    let deadline = Instant::now() + LONGEST_OPERATION;
    loop {
        let log = nvme.structure(command)?;
        if is_over(&log) {
            return Ok(log);
        }
        ensure!(Instant::now() < deadline, "the operation does not end");
        sleep(Duration::from_millis(500));
    }
}

fn self_test(nvme: &NvmeCli) -> Result<()> {
    let start =
        |code: u8| format!("admin-passthru --opcode=0x14 --namespace-id=0xffffffff --cdw10={code}");
    let log = "get-log --log-id=6 --log-len=564 -b";
    nvme.refused(&start(5), INVALID_FIELD)?;

    nvme.raw(&start(1))?;
    let is_over = |log: &SelfTestLog| log.current_operation == 0;
    let done = wait_for(nvme, log, is_over)?;
    // A short test that passed.
    let [newest, older, ..] = done.results;
    expect("result", newest.status, 0x10)?;
    expect("result before it", older.status & 0x0F, 0x0F)?;

    // An extended one that is aborted. It would take a minute, so that even a slow machine sees it.
    nvme.raw(&start(2))?;
    let running: SelfTestLog = nvme.structure(log)?;
    expect("test under way", running.current_operation, 2)?;
    nvme.text("self-test-log")?;
    nvme.refused(&start(1), SELF_TEST_IN_PROGRESS)?;
    nvme.raw(&start(0xF))?;
    let aborted: SelfTestLog = nvme.structure(log)?;
    expect("test under way", aborted.current_operation, 0)?;
    let [newest, older, ..] = aborted.results;
    expect("result", newest.status, 0x21)?;
    expect("result before it", older.status, 0x10)
}

fn format(nvme: &NvmeCli) -> Result<()> {
    nvme.raw("format -n 1 --lbaf=1 --force")?;
    expect_numbers(
        &nvme.json("id-ns -n 1")?,
        &[("flbas", 1), ("nsze", 262_144), ("nvmcap", 1 << 30)],
    )?;
    // It is the only namespace that changed since the device started.
    let changed: NamespaceList = nvme.structure("get-log --log-id=4 --log-len=4096 -b")?;
    ensure!(
        changed.namespace_ids.iter().any(|id| id.get() == 1),
        "namespace 1 is not in the list of changed ones"
    );
    nvme.raw("format -n 1 --lbaf=0 --ses=1 --force")?;
    expect_numbers(
        &nvme.json("id-ns -n 1")?,
        &[("flbas", 0), ("nsze", 2_097_152)],
    )?;
    nvme.refused("format -n 1 --lbaf=5 --force", INVALID_FORMAT)?;
    nvme.refused("format -n 9 --lbaf=0 --force", INVALID_NAMESPACE)?;
    // It is not attached to this controller.
    let by_opcode = "admin-passthru --opcode=0x80 --namespace-id=2";
    nvme.refused(by_opcode, INVALID_FIELD)
}

fn sanitize(nvme: &NvmeCli) -> Result<()> {
    let log = "get-log --log-id=0x81 --log-len=512 -b";
    let is_over = |log: &SanitizeStatus| log.progress.get() == u16::MAX;
    nvme.refused("admin-passthru --opcode=0x84 --cdw10=6", INVALID_FIELD)?;
    // Nothing has failed that could be left: a success without an effect.
    while_sanitizing(nvme, || {
        let running: SanitizeStatus = nvme.structure(log)?;
        ensure!(!is_over(&running), "the operation was over at once");
        expect("status", running.status.get() & 0b111, 2)?;
        nvme.text("sanitize-log")?;
        nvme.refused("sanitize --sanact=4", SANITIZE_IN_PROGRESS)?;
        nvme.refused(
            "admin-passthru --opcode=0x80 --namespace-id=1",
            SANITIZE_IN_PROGRESS,
        )
    })?;
    nvme.json("id-ctrl")?;
    let done = wait_for(nvme, log, is_over)?;
    expect("status", done.status.get() & 0b111, 1)?;
    expect("dword 10", done.command_dword10.get(), 2)?;
    nvme.text("sanitize-log").map(drop)
}

/// Runs `checks` in the time that a sanitize operation takes.
///
/// On a machine that is too slow for that, the operation ends before the checks do. That says nothing
/// of the device: the operation is started again.
fn while_sanitizing(nvme: &NvmeCli, checks: impl Fn() -> Result<()>) -> Result<()> {
    for _ in 0..SANITIZE_TRIES {
        let start = Instant::now();
        nvme.raw("sanitize --sanact=2")?;
        let result = checks();
        if result.is_ok() || start.elapsed() < SANITIZE_TIME {
            return result;
        }
        // The device began later than `start`: let it end before the next try.
        sleep(SANITIZE_TIME);
    }
    bail!("this machine takes longer for a few commands than a sanitize operation takes")
}

fn security(nvme: &NvmeCli) -> Result<()> {
    let printed = nvme.raw("security-recv --secp=0 --spsp=0 --size=264 --al=264 -b")?;
    // A line that says so, then what was received.
    let start = printed.iter().position(|byte| *byte == b'\n');
    let list = &printed[start.map_or(0, |newline| newline + 1)..];
    expect("bytes", list.len(), 264)?;
    // One protocol: 00h.
    ensure!(
        list.starts_with(&[0, 0, 0, 0, 0, 0, 0, 1, 0]),
        "there are other protocols: {list:02x?}"
    );
    let unknown = "security-recv --secp=0xEA --spsp=0 --size=64 --al=64";
    nvme.refused(unknown, INVALID_FIELD)?;
    std::fs::write("/tmp/security", [0; 64])?;
    let send = "security-send --secp=0 --spsp=0 --tl=64 --file=/tmp/security";
    nvme.refused(send, INVALID_FIELD)
}
