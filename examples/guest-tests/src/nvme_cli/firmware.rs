//! Firmware updates.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use linux_requester::address::Destination;
use linux_requester::nvme_mi::{Command, ManagementError};
use linux_requester::socket::MctpSocket;
use nvme_mi_responder::wire::Reset;

use super::program::NvmeCli;
use super::{expect, expect_numbers, text};
use crate::guest_init::{self, expect_stored};
use crate::image::image;

const INVALID_FIELD: u16 = 0x002;
const INVALID_SLOT: u16 = 0x106;
const INVALID_IMAGE: u16 = 0x107;
const OVERLAPPING_RANGE: u16 = 0x114;

pub(super) const FILE: &str = "/tmp/image";
pub(super) const PAGE: usize = 4096;
/// Of a download in which the machine is stopped.
const DOWNLOAD_TIME: Duration = Duration::from_secs(50);
/// Of a file that nvme-cli reads without huge pages.
const PART: usize = 256 << 10;
/// Actions of Firmware Commit.
pub(super) const STORE: u8 = 0;
const STORE_AND_ACTIVATE_ON_RESET: u8 = 1;
const ACTIVATE_ON_RESET: u8 = 2;
const ACTIVATE_NOW: u8 = 3;

pub(super) fn check(nvme: &NvmeCli) -> Result<()> {
    expect_slots(nvme, 0x01, ["REF00001", "REF00002", ""])?;
    refusals(nvme)?;
    update(nvme)?;
    bad_images(nvme)?;
    actions(nvme)
}

/// What must not work, and changes nothing.
fn refusals(nvme: &NvmeCli) -> Result<()> {
    refused_commit(nvme, 3, STORE_AND_ACTIVATE_ON_RESET, INVALID_IMAGE)?;
    download(nvme, &image("BAD00001", 4 * PAGE))?;
    // A piece again, one that is no whole page, and one beyond the longest image.
    nvme.refused(&piece(PAGE, PAGE), OVERLAPPING_RANGE)?;
    nvme.refused(&piece(512, 8 * PAGE), INVALID_FIELD)?;
    nvme.refused(&piece(PAGE, 8 * PAGE + 512), INVALID_FIELD)?;
    nvme.refused(&piece(PAGE, 1 << 30), INVALID_FIELD)?;
    // The slot that is read-only, and one that there is not.
    refused_commit(nvme, 1, STORE, INVALID_SLOT)?;
    refused_commit(nvme, 4, STORE, INVALID_SLOT)?;
    // A gap shows when the image is committed.
    nvme.raw(&piece(PAGE, 0))?;
    nvme.raw(&piece(PAGE, 2 * PAGE))?;
    refused_commit(nvme, 3, STORE, INVALID_IMAGE)?;
    expect_slots(nvme, 0x01, ["REF00001", "REF00002", ""])
}

/// Download, commit, reset: the way of an update.
fn update(nvme: &NvmeCli) -> Result<()> {
    install(
        nvme,
        &image("REF00003", 16 * PAGE),
        3,
        STORE_AND_ACTIVATE_ON_RESET,
    )?;
    expect_slots(nvme, 0x31, ["REF00001", "REF00002", "REF00003"])?;
    expect_running(nvme, "REF00001")?;
    reset(nvme)?;
    expect_slots(nvme, 0x03, ["REF00001", "REF00002", "REF00003"])?;
    expect_running(nvme, "REF00003")
}

fn bad_images(nvme: &NvmeCli) -> Result<()> {
    let mut damaged = image("BAD00002", 4 * PAGE);
    damaged[3 * PAGE] ^= 0x01;
    download(nvme, &damaged)?;
    refused_commit(nvme, 2, STORE, INVALID_IMAGE)?;
    // An interrupted download: the rest is lost in a reset.
    let good = image("BAD00003", 4 * PAGE);
    download(nvme, &good[..2 * PAGE])?;
    reset(nvme)?;
    fs::write(FILE, &good[2 * PAGE..])?;
    nvme.raw(&piece(PAGE, 2 * PAGE))?;
    refused_commit(nvme, 2, STORE, INVALID_IMAGE)?;
    expect_slots(nvme, 0x03, ["REF00001", "REF00002", "REF00003"])
}

/// Each action of Firmware Commit.
fn actions(nvme: &NvmeCli) -> Result<()> {
    install(nvme, &image("REF00004", 2 * PAGE), 2, STORE)?;
    expect_slots(nvme, 0x03, ["REF00001", "REF00004", "REF00003"])?;
    commit(nvme, 2, ACTIVATE_ON_RESET)?;
    expect_slots(nvme, 0x23, ["REF00001", "REF00004", "REF00003"])?;
    reset(nvme)?;
    expect_slots(nvme, 0x02, ["REF00001", "REF00004", "REF00003"])?;
    expect_running(nvme, "REF00004")?;
    install(nvme, &image("REF00005", 3 * PAGE), 3, ACTIVATE_NOW)?;
    expect_slots(nvme, 0x03, ["REF00001", "REF00004", "REF00005"])?;
    expect_running(nvme, "REF00005")?;
    // Back to what came with the device.
    commit(nvme, 1, ACTIVATE_NOW)?;
    expect_running(nvme, "REF00001")?;
    expect_slots(nvme, 0x01, ["REF00001", "REF00004", "REF00005"])
}

/// A large image, whose download is killed on its way and then started over.
pub(super) fn download_large(nvme: &NvmeCli, size: usize) -> Result<()> {
    ensure!(
        size >= 16 * PAGE && size.is_multiple_of(PAGE),
        "an image of {size} bytes is not large, or not of whole pages"
    );
    let image = image("LARGE001", size);
    interrupted_download(nvme, &image)?;
    let start = Instant::now();
    install(nvme, &image, 2, STORE_AND_ACTIVATE_ON_RESET)?;
    println!("{size} bytes in {} ms", start.elapsed().as_millis());
    reset(nvme)?;
    expect_running(nvme, "LARGE001")?;
    commit(nvme, 1, ACTIVATE_NOW)
}

/// Kills nvme-cli on its way: when a quarter of the file has left this machine. However slow it is,
/// the other three quarters are many exchanges, in each of which nvme-cli waits and the traffic is
/// looked at.
fn interrupted_download(nvme: &NvmeCli, image: &[u8]) -> Result<()> {
    let length = 2 * PART.min(image.len() / 4) - PAGE;
    fs::write(FILE, &image[..length])?;
    let interface = nvme.interface();
    let before = interface.sent_bytes()?;
    let quarter_sent = || Ok(interface.sent_bytes()? - before > length as u64 / 4);
    let killed = nvme.kill_when(&download_command(0), quarter_sent)?;
    ensure!(killed, "nvme-cli was done before it could be killed");
    // Linux gives the message tag of a killed program to the next one, and with it the response
    // that is on its way.
    sleep(Duration::from_secs(1));
    Ok(())
}

/// Downloads and commits an image, and has the host see that the device stored every byte of it.
pub(super) fn install(nvme: &NvmeCli, image: &[u8], slot: u8, action: u8) -> Result<()> {
    download(nvme, image)?;
    commit(nvme, slot, action)?;
    expect_stored(image, slot);
    Ok(())
}

/// A download that goes on after this machine was stopped in the middle of it, for less than the
/// device waits and for as long as libnvme does.
pub(super) fn download_stopped(nvme: &NvmeCli) -> Result<()> {
    for (stop, revision) in [(3000, "STOP0003"), (5000, "STOP0005")] {
        let image = image(revision, PART);
        fs::write(FILE, &image)?;
        let interface = nvme.interface();
        let before = interface.sent_bytes()?;
        let sent = || Ok::<_, anyhow::Error>(interface.sent_bytes()? - before);
        let (mut host, mut sent_before_stop) = (None, None);
        nvme.text_with_others(&download_command(0), DOWNLOAD_TIME, || {
            match &host {
                None if sent()? > image.len() as u64 / 4 => host = Some(guest_init::stop(stop)),
                Some(host) if host.is_finished() && sent_before_stop.is_none() => {
                    sent_before_stop = Some(sent()?);
                }
                _ => sleep(Duration::from_millis(1)),
            }
            Ok(())
        })?;
        let host = host.context("the download was over before this machine could be stopped")?;
        guest_init::expect_was_stopped(host)?;
        let (before_stop, all) = (sent_before_stop.unwrap_or(u64::MAX), sent()?);
        ensure!(
            before_stop < all,
            "this machine was not stopped in the middle of the download"
        );
        println!("stopped for {stop} ms after {before_stop} bytes of {all}");
        commit(nvme, 3, STORE)?;
        expect_stored(&image, 3);
    }
    Ok(())
}

/// Downloads an image from its beginning.
fn download(nvme: &NvmeCli, image: &[u8]) -> Result<()> {
    fs::write(FILE, image)?;
    if nvme.has_memory_for(&download_command(0))? {
        return Ok(());
    }
    // From 2.13 on nvme-cli wants huge pages for files of 512 KiB and more, which not every kernel
    // has.
    for (index, part) in image.chunks(PART).enumerate() {
        fs::write(FILE, part)?;
        nvme.raw(&download_command(index * PART))?;
    }
    Ok(())
}

/// Downloads the first bytes of the file to `offset`.
pub(super) fn piece(length: usize, offset: usize) -> String {
    format!(
        "admin-passthru --opcode=0x11 --write --input-file={FILE} --data-len={length} --cdw10={} --cdw11={}",
        length / 4 - 1,
        offset / 4
    )
}

pub(super) fn download_command(offset: usize) -> String {
    // Of dwords.
    format!("fw-download --fw={FILE} --offset={}", offset / 4)
}

pub(super) fn commit(nvme: &NvmeCli, slot: u8, action: u8) -> Result<()> {
    let text = nvme.text(&format!("fw-commit --slot={slot} --action={action}"))?;
    ensure!(text.contains("Success"), "no success: {text}");
    Ok(())
}

fn refused_commit(nvme: &NvmeCli, slot: u8, action: u8, status: u16) -> Result<()> {
    nvme.refused(
        &format!("fw-commit --slot={slot} --action={action}"),
        status,
    )
}

/// Checks the firmware slots as nvme-cli shows them: AFI, and the revision of each slot.
pub(super) fn expect_slots(nvme: &NvmeCli, active: u64, revisions: [&str; 3]) -> Result<()> {
    let log = nvme.json("fw-log")?;
    // One object named after the device.
    let Some(slots) = log.as_object().and_then(|log| log.values().next()) else {
        bail!("no slots in {log}");
    };
    expect_numbers(slots, &[("Active Firmware Slot (afi)", active)])?;
    for (slot, revision) in (1..).zip(revisions) {
        let name = format!("Firmware Rev Slot {slot}");
        let found = slots.get(&name).and_then(|text| text.as_str());
        let found = found.and_then(|text| text.split_once('(')?.1.strip_suffix(')'));
        expect(&name, found.unwrap_or_default(), revision)?;
    }
    Ok(())
}

fn expect_running(nvme: &NvmeCli, revision: &str) -> Result<()> {
    for controller in 0..2 {
        let found = nvme.of_controller(controller).json("id-ctrl")?;
        expect("fr", text(&found, "fr")?, revision)?;
    }
    Ok(())
}

/// The Reset command of the Management Interface, which is not answered.
fn reset(nvme: &NvmeCli) -> Result<()> {
    let command = Command::new(0, Reset::default());
    let destination = Destination::EndpointId(nvme.endpoint_id());
    let wait = Duration::from_millis(200);
    match command.send(&mut MctpSocket::open()?, destination, wait) {
        Err(ManagementError::NoAnswer { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(response) => bail!(
            "the reset was answered with status {:02x}h",
            response.status.0
        ),
    }
}
