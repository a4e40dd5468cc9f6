//! tshark as judge of what the device captured.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::install::Tshark;

/// Bytes before each packet in a Linux cooked capture.
pub(super) const COOKED_HEADER: u32 = 16;

/// Which packets of a capture have to be good.
#[derive(Clone, Copy, Debug)]
pub(super) enum Judged {
    All,
    /// Those that the device sent; what it received was malformed on purpose.
    Sent,
}

impl Judged {
    fn filter(self) -> &'static str {
        match self {
            Self::All => "frame",
            // "Sent by us" in a Linux cooked capture.
            Self::Sent => "sll.pkttype == 4",
        }
    }
}

/// Checks that every packet judged in `capture` is decoded and none is malformed; how many there
/// are.
pub(super) fn check(tshark: &Tshark, capture: &Path, judged: Judged) -> Result<usize> {
    let judged = judged.filter();
    // Packets that are not MCTP, or that a dissector could not decode.
    let undecoded = format!("{judged} && (!mctp || _ws.malformed)");
    let undecoded = read(tshark, capture, &["-Y", &undecoded])?;
    if !undecoded.is_empty() {
        let first: Vec<_> = undecoded.lines().take(10).collect();
        bail!(
            "tshark cannot decode {} packets of {}, such as\n{}",
            undecoded.lines().count(),
            capture.display(),
            first.join("\n")
        );
    }
    let numbers = ["-Y", judged, "-T", "fields", "-e", "frame.number"];
    let packets = read(tshark, capture, &numbers)?.lines().count();
    if packets == 0 {
        bail!("{} has no such packets", capture.display());
    }
    Ok(packets)
}

/// Bytes of the longest packet that the device sent, MCTP header included.
pub(super) fn longest_sent(tshark: &Tshark, capture: &Path) -> Result<u32> {
    let sent = [
        "-Y",
        Judged::Sent.filter(),
        "-T",
        "fields",
        "-e",
        "frame.len",
    ];
    let lengths = read(tshark, capture, &sent)?;
    let longest = lengths
        .lines()
        .filter_map(|line| line.parse::<u32>().ok())
        .max();
    Ok(longest
        .context("the device sent nothing")?
        .saturating_sub(COOKED_HEADER))
}

/// tshark's output. The capture is its standard input.
fn read(tshark: &Tshark, capture: &Path, args: &[&str]) -> Result<String> {
    let file = File::open(capture).with_context(|| format!("there is no {}", capture.display()))?;
    let output = tshark
        .command()?
        .args(["-n", "-r", "-"])
        .args(args)
        .stdin(Stdio::from(file))
        .output()
        .context("cannot start tshark")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!(
            "tshark cannot read {}: {}",
            capture.display(),
            reason.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
