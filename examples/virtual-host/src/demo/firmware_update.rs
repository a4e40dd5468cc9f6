//! A firmware update over NVMe-MI (NVM Express Base 2.0, sections 5.11, 5.12 and 5.16.1.4).

use std::time::Instant;

use crc::{CRC_32_ISCSI, Crc};

use nvme_mi_responder::wire::{
    ConfigurationGet, ConfigurationIdentifier, FirmwareCommit, FirmwareImageDownload,
    FirmwareSlotInformation, IdentifyController, IdentifyStructure, LogPageId, Reset,
    SetTransmissionUnitSize, SubsystemHealth, TransmissionUnitSizeResult,
};
use zerocopy::IntoBytes;

use super::control::DEVICE;
use super::expectations::FirmwareModel;
use super::expected::{firmware_slots, padded, read, same};
use super::management::{Host, size};
use super::nvme_mi::{AdminCommand, Completion, MiCommand};
use super::screen::Screen;

/// The revision of the new image.
const REVISION: &str = "DEMO0001";

/// Bytes of an image in a command.
const PIECE: usize = 4096;

/// Composite Controller Status Flags of a subsystem reset with new firmware: ready, subsystem
/// reset, enabled, firmware activated, and that of the status as a whole.
const AFTER_UPDATE: u16 = SubsystemHealth::READY
    | SubsystemHealth::SUBSYSTEM_RESET_OCCURRED
    | SubsystemHealth::ENABLE_CHANGE_OCCURRED
    | SubsystemHealth::FIRMWARE_ACTIVATED
    | SubsystemHealth::CONTROLLER_STATUS_CHANGE;

/// Commit Action: store the image, and activate it at the next reset.
const STORE_AND_ACTIVATE_ON_RESET: u8 = 1;

/// The transmission unit after a reset.
const BASELINE_UNIT: u16 = 64;

/// Status code type 1, 07h.
const INVALID_FIRMWARE_IMAGE: u16 = 0x107;

/// The slots as they are, or should be.
struct Slots {
    revisions: Vec<String>,
    active: usize,
    next: Option<usize>,
}

impl Slots {
    fn of(firmware: &FirmwareModel) -> Self {
        Self {
            revisions: firmware.revisions().collect(),
            active: 1,
            next: None,
        }
    }

    /// The Firmware Slot Information log page.
    fn page(&self) -> FirmwareSlotInformation {
        firmware_slots(self.active, self.next, &self.revisions)
    }

    fn text(&self) -> String {
        let slot = |(number, revision): (usize, &String)| {
            let revision = if revision.is_empty() {
                "empty"
            } else {
                revision
            };
            let state = if number == self.active {
                " runs"
            } else if Some(number) == self.next {
                " next"
            } else {
                ""
            };
            format!("{number}: {revision}{state}")
        };
        let slots: Vec<_> = (1..).zip(&self.revisions).map(slot).collect();
        slots.join(", ")
    }

    /// Where to store an image: in the first slot that is empty, or else the last that can be
    /// written.
    fn target(&self, firmware: &FirmwareModel) -> Option<usize> {
        let first = if firmware.first_slot_read_only { 2 } else { 1 };
        let writable = first..=self.revisions.len();
        let is_empty = |slot: &usize| self.revisions[*slot - 1].is_empty();
        writable.clone().find(is_empty).or(writable.last())
    }
}

impl Host<'_, '_, '_, '_> {
    /// `length` is that of the image, in bytes.
    pub(super) async fn show_update(
        &self,
        length: usize,
        screen: &mut Screen<'_>,
    ) -> anyhow::Result<()> {
        screen.heading("NVMe-MI: the host updates the firmware")?;
        let firmware = &self.expectations.model.firmware;
        let mut slots = Slots::of(firmware);
        screen.highlight("slots before", self.slots(&slots).await)?;
        let Some(target) = slots.target(firmware) else {
            screen.note("none of them can be written")?;
            return Ok(());
        };
        if firmware.is_slow {
            screen.note("they take longer than this host waits")?;
            return Ok(());
        }
        screen.check(
            "Configuration Set, transmission unit",
            self.enlarge_unit().await,
        )?;
        let result = self.refuse_damaged(target, &slots).await;
        screen.check("a damaged image", result)?;
        let downloaded = self.download(&image(length), screen).await;
        let goes_on = downloaded.is_ok();
        screen.highlight(DOWNLOAD, downloaded)?;
        if !goes_on {
            return Ok(());
        }

        slots.revisions[target - 1] = REVISION.into();
        slots.next = Some(target);
        let committed = self.commit(target).await;
        screen.check("Firmware Commit", committed)?;
        screen.check("slots after the commit", self.slots(&slots).await)?;
        screen.check("NVM Subsystem Reset", self.reset().await)?;
        slots.active = target;
        slots.next = None;
        screen.highlight("slots after the reset", self.slots(&slots).await)?;
        screen.check(
            "Identify Controller after the reset",
            self.runs(REVISION).await,
        )?;
        screen.check(
            "subsystem health after the reset",
            self.tells_of_update().await,
        )?;
        Ok(())
    }

    /// The Firmware Slot Information log page must be this.
    async fn slots(&self, slots: &Slots) -> Result<String, String> {
        const LENGTH: u16 = size_of::<FirmwareSlotInformation>() as u16;
        let id = LogPageId::FIRMWARE_SLOT_INFORMATION;
        let found = self.log_page(id, LENGTH).await?;
        same("Firmware Slot Information", &found, slots.page().as_bytes())?;
        Ok(slots.text())
    }

    /// Lets both sides send the longest packets that the port and the link have.
    async fn enlarge_unit(&self) -> Result<String, String> {
        let model = &self.expectations.model;
        let port = model.management_port.0;
        let most = model.ports[usize::from(port)].max_transmission_unit;
        let unit = most.min(self.expectations.usb.max_packet() - 4);
        let mut set = SetTransmissionUnitSize::default();
        set.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
        set.port_id = port;
        set.size.set(unit);
        MiCommand::new(set).run(self.exchanger, 0).await?;
        self.exchanger.set_unit(unit.into());
        let mut get = ConfigurationGet::default();
        get.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
        get.port_id = port;
        let answer = MiCommand::new(get).run(self.exchanger, 0).await?;
        let found = TransmissionUnitSizeResult::from(answer.result).size.get();
        if found != unit {
            return Err(format!("it is {found} and should be {unit}"));
        }
        let packet = unit + 4;
        Ok(format!("{unit}: now packets have up to {packet} bytes"))
    }

    async fn send_piece(&self, offset: usize, piece: &[u8]) -> Result<(), String> {
        let mut download = FirmwareImageDownload::default();
        let dwords = (piece.len() / 4 - 1) as u32;
        download.number_of_dwords.set(dwords);
        download.offset.set((offset / 4) as u32);
        let command = AdminCommand::new(0, download).with_data(piece);
        command.run(self.exchanger).await.map(drop)
    }

    async fn download(&self, image: &[u8], screen: &mut Screen<'_>) -> Result<String, String> {
        let start = Instant::now();
        let pieces = image.len() / PIECE;
        for (index, piece) in image.chunks(PIECE).enumerate() {
            self.send_piece(index * PIECE, piece)
                .await
                .map_err(|error| format!("piece {index} of {pieces}: {error}"))?;
            screen
                .progress(DOWNLOAD, index + 1, pieces)
                .map_err(|error| error.to_string())?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let bytes = size(image.len() as u64);
        Ok(format!("{bytes}, {pieces} pieces, {seconds:.1} s"))
    }

    /// Firmware Commit: stores the image, to be activated at the next reset.
    async fn complete_commit(&self, slot: usize) -> Result<Completion, String> {
        let commit = FirmwareCommit::new(slot as u8, STORE_AND_ACTIVATE_ON_RESET);
        let command = AdminCommand::new(0, commit);
        command.complete(self.exchanger).await
    }

    async fn commit(&self, slot: usize) -> Result<String, String> {
        match self.complete_commit(slot).await?.status {
            0 => Ok(format!("to slot {slot}, which runs after the next reset")),
            status => Err(format!("status {status:03x}h")),
        }
    }

    async fn refuse_damaged(&self, slot: usize, slots: &Slots) -> Result<String, String> {
        let mut damaged = image(PIECE);
        damaged[PIECE / 2] ^= 0x10;
        self.send_piece(0, &damaged).await?;
        match self.complete_commit(slot).await?.status {
            INVALID_FIRMWARE_IMAGE => {}
            status => return Err(format!("status {status:03x}h, should be 107h")),
        }
        self.slots(slots).await?;
        Ok("refused (Invalid Firmware Image), slots as before".into())
    }

    /// Resets the subsystem, which has no answer.
    async fn reset(&self) -> Result<String, String> {
        let command = MiCommand::new(Reset::default());
        let message = command.message();
        self.exchanger.ask_in_vain(DEVICE, &message).await?;
        self.exchanger.set_unit(BASELINE_UNIT.into());
        Ok(format!(
            "has no answer; the transmission unit is {BASELINE_UNIT} again"
        ))
    }

    async fn runs(&self, revision: &str) -> Result<String, String> {
        let structure = IdentifyStructure::CONTROLLER;
        let found = self.ask_identity(structure, 0, 0).await?;
        let found: IdentifyController = read("it", &found)?;
        let expected = padded::<8>(revision);
        same("its revision", &found.firmware_revision, &expected)?;
        Ok(format!("firmware {revision} runs"))
    }

    /// The health poll tells what happened, and tells it once.
    async fn tells_of_update(&self) -> Result<String, String> {
        self.poll_subsystem(AFTER_UPDATE).await?;
        self.poll_subsystem(0).await?;
        Ok("tells of the reset and of new firmware, once".into())
    }
}

const DOWNLOAD: &str = "Firmware Image Download";

/// An image that the device takes: the header that `MemoryFirmware` in `nvme-mi-responder`
/// documents, then content without meaning.
fn image(length: usize) -> Vec<u8> {
    const HEADER: usize = 24;
    let content = (0..length - HEADER).map(|index| (index >> 8 ^ index) as u8);
    let mut image = b"NVMI-IMG".to_vec();
    image.extend(padded::<8>(REVISION));
    image.extend(((length - HEADER) as u32).to_le_bytes());
    let start = image.len();
    image.extend(content);
    let check = Crc::<u32>::new(&CRC_32_ISCSI).checksum(&image);
    image.splice(start..start, check.to_le_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(slots: &[&str], first_slot_read_only: bool) -> FirmwareModel {
        let slot = |text: &&str| {
            let revision = padded(text);
            (!text.is_empty()).then_some(revision)
        };
        FirmwareModel {
            slots: slots.iter().map(slot).collect(),
            first_slot_read_only,
            activates_without_reset: true,
            is_slow: false,
        }
    }

    #[test]
    fn the_image_goes_where_it_does_least_harm() {
        for (slots, read_only, target) in [
            (&["A", "B", ""][..], true, Some(3)),
            (&["A", "", ""], true, Some(2)),
            (&["A", "B", "C"], true, Some(3)),
            (&["A"], false, Some(1)),
            (&["A"], true, None),
        ] {
            let firmware = firmware(slots, read_only);
            assert_eq!(Slots::of(&firmware).target(&firmware), target, "{slots:?}");
        }
    }

    #[test]
    fn slots_have_their_page_and_their_words() {
        let mut slots = Slots::of(&firmware(&["REF00001", "X", ""], true));
        slots.next = Some(2);
        let page = slots.page();
        let page = page.as_bytes();
        assert_eq!(page[..24], *b"\x21\0\0\0\0\0\0\0REF00001X       ");
        assert!(page[24..].iter().all(|byte| *byte == 0));
        assert_eq!(slots.text(), "1: REF00001 runs, 2: X next, 3: empty");
    }

    #[test]
    fn an_image_has_the_header_that_is_documented() {
        let image = image(PIECE);
        assert_eq!(image.len(), PIECE);
        assert_eq!(image[..20], *b"NVMI-IMGDEMO0001\xe8\x0f\0\0");
        assert_eq!(image[24..28], [0, 1, 2, 3]);
        let check = Crc::<u32>::new(&CRC_32_ISCSI);
        let without = [&image[..20], &image[24..]].concat();
        assert_eq!(image[20..24], check.checksum(&without).to_le_bytes());
    }
}
