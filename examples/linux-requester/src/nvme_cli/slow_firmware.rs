//! A commit that takes long: nvme-cli waits for it, and others are served meanwhile.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use linux_requester::address::Destination;
use linux_requester::echo;
use linux_requester::nvme_mi::Command;
use linux_requester::socket::MctpSocket;
use nvme_mi_responder::wire::{ResponseStatus, SubsystemHealthPoll};

use super::firmware::{download, expect_slots, image};
use super::program::NvmeCli;

/// The time of a commit to the model `slow-firmware.toml`.
const COMMIT_TIME: Duration = Duration::from_secs(45);
/// What nvme-cli may take beyond that. Then it hangs.
const ALLOWANCE: Duration = Duration::from_secs(15);
/// How long others may wait for an answer: far less than the commit takes.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two questions to the device.
const PAUSE: Duration = Duration::from_millis(500);

/// nvme-cli's commands are in command slot 0.
const OTHER_SLOT: u8 = 1;

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    expect_slots(nvme, 0x01, ["SLO00001", "SLO00002", ""])?;
    download(nvme, &image("SLO00003", 64 << 10))?;
    let start = Instant::now();
    let mut answers = 0;
    let text = nvme.text_with_others(
        "fw-commit --slot=3 --action=1",
        COMMIT_TIME + ALLOWANCE,
        || {
            ask_others(nvme.endpoint_id())?;
            answers += 1;
            sleep(PAUSE);
            Ok(())
        },
    )?;
    let took = start.elapsed();
    println!(
        "the commit took {} ms, in which {answers} health polls and echoes were answered",
        took.as_millis()
    );
    ensure!(text.contains("Success"), "no success: {text}");
    ensure!(took >= COMMIT_TIME, "the commit was not slow");
    ensure!(answers >= 10, "others were asked only {answers} times");
    expect_slots(nvme, 0x31, ["SLO00001", "SLO00002", "SLO00003"])
}

/// A health poll in the other command slot, and an echo.
fn ask_others(endpoint_id: u8) -> Result<()> {
    let destination = Destination::EndpointId(endpoint_id);
    let poll = Command::new(OTHER_SLOT, SubsystemHealthPoll::default());
    let mut socket = MctpSocket::open()?;
    let response = poll.send(&mut socket, destination, PATIENCE)?;
    ensure!(
        response.status == ResponseStatus::SUCCESS,
        "a health poll got status {:02x}h",
        response.status.0
    );
    echo::echo(&mut socket, destination, 200, endpoint_id, PATIENCE)?;
    Ok(())
}
