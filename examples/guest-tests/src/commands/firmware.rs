//! A firmware update, as a test of the device and of all that is between.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use linux_requester::address::Destination;
use linux_requester::firmware::{Firmware, PIECE};
use linux_requester::socket::MctpSocket;

use crate::guest_init;
use crate::image::{REVISION, image};
use crate::requester;

/// Where the image is in the guest.
const FILE: &str = "/tmp/image";

#[derive(Args)]
pub(super) struct FirmwareArguments {
    endpoint_id: u8,
    /// The firmware slot that the image goes to
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    slot: u8,
    /// Bytes of the image, a multiple of 4096
    #[arg(long, default_value_t = 128 << 10)]
    size: usize,
    /// The revision of the image, up to eight characters
    #[arg(long, default_value = "LINUX001")]
    revision: String,
    /// Milliseconds to wait for each answer; Linux forgets a request after 6000
    #[arg(long, default_value_t = 6000)]
    wait: u64,
}

pub(super) fn update(arguments: &FirmwareArguments) -> Result<()> {
    let (slot, size) = (arguments.slot, arguments.size);
    ensure!(
        size >= PIECE && size.is_multiple_of(PIECE),
        "an image has a multiple of {PIECE} bytes, not {size}"
    );
    let revision = &arguments.revision;
    ensure!(
        revision.is_ascii() && (1..=REVISION.len()).contains(&revision.len()),
        "a revision has one to eight ASCII characters, not `{revision}`"
    );
    let image = image(revision, size);
    let mut firmware = Firmware {
        socket: &mut MctpSocket::open()?,
        destination: Destination::EndpointId(arguments.endpoint_id),
        wait: Duration::from_millis(arguments.wait),
    };
    let before = firmware.slots()?;
    fs::write(FILE, &image)?;
    let FirmwareArguments {
        endpoint_id, wait, ..
    } = arguments;
    let update = format!("update-firmware {endpoint_id} {FILE} --slot {slot} --wait {wait}");
    requester::run(update.split_whitespace())?;
    let after = firmware.slots()?;
    // Active firmware info: the slot that runs, and that of the next reset.
    let mut expected = before;
    expected.active_firmware = before.active_firmware & 7 | slot << 4;
    expected.revisions[usize::from(slot) - 1].copy_from_slice(&image[REVISION]);
    ensure!(
        after == expected,
        "the firmware slots are {after:?} instead of {expected:?}"
    );
    ensure!(after != before, "the update changed nothing");
    guest_init::expect_stored(&image, slot);
    Ok(())
}
