//! Firmware that takes long: nvme-cli waits for it, others are served meanwhile, and a response that
//! is lost is asked for again.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use linux_requester::address::Destination;
use linux_requester::echo;
use linux_requester::netlink::{Change, Rtnetlink};
use linux_requester::nvme_mi::Command;
use linux_requester::socket::MctpSocket;
use nvme_mi_responder::wire::{ResponseStatus, SubsystemHealthPoll};

use super::firmware::{FILE, PAGE, download_command, expect_slots};
use super::program::NvmeCli;
use crate::guest_init::expect_stored;
use crate::image::image;

/// The time of a commit to the model `slow-firmware.toml`.
const COMMIT_TIME: Duration = Duration::from_secs(45);
/// What nvme-cli may take beyond that. Then it hangs.
const ALLOWANCE: Duration = Duration::from_secs(15);
/// How long others may wait for an answer: far less than the commit takes.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two questions to the device.
const PAUSE: Duration = Duration::from_millis(500);

/// Of the image, each of which takes the model a second.
const PIECES: usize = 4;
/// From the end of a request to the time when the device has the whole of it, and has said that
/// the response takes longer. Far from the second that the response takes.
const UNTIL_PENDING: Duration = Duration::from_millis(400);
/// From then on until the response was sent. libnvme waits a second more for it.
const UNTIL_LOST: Duration = Duration::from_millis(1000);
/// This computer's endpoint ID.
const LOCAL: u8 = 8;

/// nvme-cli's commands are in command slot 0.
const OTHER_SLOT: u8 = 1;

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    expect_slots(nvme, 0x01, ["SLO00001", "SLO00002", ""])?;
    let image = image("SLO00003", PIECES * PAGE);
    fs::write(FILE, &image)?;
    lose_a_response(nvme)?;
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
    expect_stored(&image, 3);
    expect_slots(nvme, 0x31, ["SLO00001", "SLO00002", "SLO00003"])
}

/// A download in which the response to the first piece is lost: it comes when this computer does
/// not have its endpoint ID. nvme-cli sends that piece again.
fn lose_a_response(nvme: &NvmeCli) -> Result<()> {
    let interface = nvme.interface();
    let mut netlink = Rtnetlink::open()?;
    let before = interface.sent_bytes()?;
    let pieces_sent = || Ok::<_, anyhow::Error>((interface.sent_bytes()? - before) / PAGE as u64);
    let interface_index = interface.index;
    let mut is_lost = false;
    let limit = Duration::from_secs(2 * PIECES as u64) + ALLOWANCE;
    nvme.text_with_others(&download_command(0), limit, || {
        if !is_lost && pieces_sent()? >= 1 {
            is_lost = true;
            sleep(UNTIL_PENDING);
            let endpoint_id = LOCAL;
            netlink.apply(Change::RemoveAddress {
                interface_index,
                endpoint_id,
            })?;
            sleep(UNTIL_LOST);
            netlink.apply(Change::AddAddress {
                interface_index,
                endpoint_id,
            })?;
        }
        sleep(Duration::from_millis(1));
        Ok(())
    })?;
    ensure!(
        pieces_sent()? > PIECES as u64,
        "no piece was sent again: no response was lost"
    );
    Ok(())
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
