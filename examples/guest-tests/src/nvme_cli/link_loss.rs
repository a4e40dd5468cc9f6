//! What a host leaves behind when its link is lost, and what the next one finds: nothing of it, but
//! for the part of an image that was downloaded.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use linux_requester::address::Destination;
use linux_requester::nvme_mi::{self, Command, ManagementError, Response};
use linux_requester::socket::MctpSocket;
use nvme_mi_responder::wire::{
    ConfigurationGet, ConfigurationIdentifier, ControlPrimitive, ControlPrimitiveResponse,
    EventEntry, EventListHeader, ResponseStatus, SetAsynchronousEvents, SubsystemHealthPoll,
};
use zerocopy::{FromBytes, IntoBytes};

use super::expect;
use super::firmware::{FILE, PAGE, STORE, commit, download_command, expect_slots};
use super::firmware::{install, piece};
use super::program::NvmeCli;
use crate::guest_init::expect_stored;
use crate::image::image;

const WAIT: Duration = Duration::from_secs(3);
/// In which a response that is held back would have come.
const SILENCE: Duration = Duration::from_millis(500);

/// The port of the management endpoint in the default model.
const PORT: u8 = 1;
/// The transmission unit that an endpoint begins with.
const BASELINE_UNIT: u32 = 64;

const MARK: &str = "MARK0001";

const PAGES: usize = 4;
const DOWNLOADED: usize = 2 * PAGE;

/// Of an event in a list: it is enabled, or to be enabled.
const ENABLED: u16 = 1 << 15;

fn new_image() -> Vec<u8> {
    image("LINK0001", PAGES * PAGE)
}

/// What two computers do that the same device is plugged into, one after the other. The first one
/// leaves a mark in slot 2.
pub(super) fn replugged(nvme: &NvmeCli) -> Result<()> {
    if expect_slots(nvme, 0x01, ["REF00001", MARK, ""]).is_ok() {
        return find(nvme);
    }
    expect_slots(nvme, 0x01, ["REF00001", "REF00002", ""])?;
    install(nvme, &image(MARK, PAGE), 2, STORE)?;
    leave_behind(nvme)
}

/// Downloads the first part of an image, subscribes to an event, pauses, and has a response held
/// back.
pub(super) fn leave_behind(nvme: &NvmeCli) -> Result<()> {
    fs::write(FILE, &new_image()[..DOWNLOADED])?;
    nvme.raw(&download_command(0))?;
    let mut peer = Peer::new(nvme)?;
    let event = *peer.events()?.first().context("there is no event")?;
    peer.subscribe(event & !ENABLED)?;
    ensure!(
        peer.events()?.iter().any(|event| event & ENABLED != 0),
        "no event is enabled"
    );
    peer.primitive(0, ControlPrimitive::PAUSE)?;
    let poll = Command::new(1, SubsystemHealthPoll::default());
    match poll.send(&mut peer.socket, peer.destination, SILENCE) {
        Err(ManagementError::NoAnswer { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("a response came in spite of the pause"),
    }
    let state = peer.primitive(1, ControlPrimitive::GET_STATE)?;
    ensure!(
        state & ControlPrimitiveResponse::PAUSED != 0
            && state & ControlPrimitiveResponse::SLOT_STATE != 0,
        "command slot 1 is not paused with a command in it: {state:04x}h"
    );
    Ok(())
}

/// Checks that all is as in the beginning, and downloads the rest of the image.
pub(super) fn find(nvme: &NvmeCli) -> Result<()> {
    let mut peer = Peer::new(nvme)?;
    for slot in [0, 1] {
        let state = peer.primitive(slot, ControlPrimitive::GET_STATE)?;
        let left =
            state & (ControlPrimitiveResponse::PAUSED | ControlPrimitiveResponse::SLOT_STATE);
        expect("pause flag and slot state", left, 0)?;
        peer.send(&Command::new(slot, SubsystemHealthPoll::default()))?;
    }
    let mut unit = ConfigurationGet::default();
    unit.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
    unit.port_id = PORT;
    let unit = peer.send(&Command::new(0, unit))?.management_response;
    expect("the transmission unit", unit, BASELINE_UNIT)?;
    let is_enabled = |event: &u16| event & ENABLED != 0;
    ensure!(
        !peer.events()?.iter().any(is_enabled),
        "an event is still enabled"
    );
    let image = new_image();
    // nvme-cli 2.3 takes the offset for one in the file as well.
    for offset in (DOWNLOADED..image.len()).step_by(PAGE) {
        fs::write(FILE, &image[offset..])?;
        nvme.raw(&piece(PAGE, offset))?;
    }
    commit(nvme, 3, STORE)?;
    expect_stored(&image, 3);
    Ok(())
}

/// The endpoint, without nvme-cli.
struct Peer {
    socket: MctpSocket,
    destination: Destination,
}

impl Peer {
    fn new(nvme: &NvmeCli) -> Result<Self> {
        Ok(Self {
            socket: MctpSocket::open()?,
            destination: Destination::EndpointId(nvme.endpoint_id()),
        })
    }

    /// Sends a command, which has to succeed.
    fn send(&mut self, command: &Command) -> Result<Response> {
        let response = command.send(&mut self.socket, self.destination, WAIT)?;
        let opcode = command.request.opcode.0;
        ensure!(
            response.status == ResponseStatus::SUCCESS,
            "command {opcode:02x}h got status {:02x}h",
            response.status.0
        );
        Ok(response)
    }

    fn primitive(&mut self, slot: u8, primitive: ControlPrimitive) -> Result<u16> {
        let (socket, destination) = (&mut self.socket, self.destination);
        let parameter = nvme_mi::send_primitive(socket, destination, slot, primitive, WAIT)?;
        Ok(parameter)
    }

    /// The events that there are, and which of them are enabled.
    fn events(&mut self) -> Result<Vec<u16>> {
        let mut get = ConfigurationGet::default();
        get.identifier = ConfigurationIdentifier::ASYNCHRONOUS_EVENT;
        let response = self.send(&Command::new(0, get))?;
        let (header, entries) = EventListHeader::ref_from_prefix(&response.data)
            .map_err(|_| anyhow::anyhow!("there is no list of events"))?;
        let entries = entries.chunks_exact(size_of::<EventEntry>());
        let entries = entries.filter_map(|entry| EventEntry::read_from_bytes(entry).ok());
        let events = entries.map(|entry| entry.event.get());
        Ok(events.take(header.count.into()).collect())
    }

    fn subscribe(&mut self, event: u16) -> Result<()> {
        let mut header = EventListHeader::default();
        let mut entry = EventEntry::default();
        header.count = 1;
        header.header_length = size_of::<EventListHeader>() as u8;
        let length = size_of::<EventListHeader>() + size_of::<EventEntry>();
        header.total_length.set(length as u16);
        entry.length = size_of::<EventEntry>() as u8;
        entry.event.set(event | ENABLED);
        let mut set = SetAsynchronousEvents::default();
        set.identifier = ConfigurationIdentifier::ASYNCHRONOUS_EVENT;
        let mut command = Command::new(0, set);
        command.data = [header.as_bytes(), entry.as_bytes()].concat();
        self.send(&command).map(drop)
    }
}
