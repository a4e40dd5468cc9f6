//! The management controller, which updates the firmware.

use std::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use firmware_store::firmware_image_header;
use mctp::{AsyncReqChannel, Eid, MCTP_TYPE_NVME, MsgIC};
use mctp_crc32c::{Crc32c, SoftwareCrc32c};
use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::simulated_bus::SimulatedBus;
use mctp_i2c::{RECEIVE_BUFFER_LEN, TargetAddress};
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Config, NetworkId, PortConfig, PortId, Router, RouterStorage, Target};
use nvme_mi_responder::wire::{
    AdminCommand, AdminRequest, AdminResponse, FirmwareCommit, FirmwareImageDownload,
    ResponseStatus,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::{IMAGE_LEN, Setting, device, link};

/// Address of the management controller on the bus.
const ADDRESS: TargetAddress = TargetAddress::new(0x10).unwrap();

/// Endpoint ID of the management controller.
const ENDPOINT_ID: Eid = Eid(8);

const PORT: PortId = PortId(0);
const NETWORK: NetworkId = NetworkId(0);

/// Bytes of the image in a command.
const PIECE_LEN: usize = 4096;

/// Revision of the new image.
const REVISION: [u8; 8] = *b"REF00003";

/// The empty slot of the default firmware.
const FIRMWARE_SLOT: u8 = 3;

/// Commit Action: store the image, and activate it at the next reset.
const STORE_AND_ACTIVATE_ON_RESET: u8 = 1;

/// Controller that takes the commands.
const CONTROLLER: u16 = 0;

/// Bytes of the integrity check at the end of a message.
const CHECK_LEN: usize = size_of::<u32>();

type Storage<'b> = RouterStorage<
    Ports<'b, 1>,
    Networks<1>,
    ShortMessages<'b, 2>,
    LongMessages<'b, 1, 1024>,
    Channels<'b, 1>,
    Routes<1>,
>;

type HostRouter<'b> = Router<'b, NoopRawMutex, SimulatedBus>;

/// Updates the firmware, and returns how many commands that took.
pub(crate) async fn update(bus: &SimulatedBus, setting: Setting) -> Result<u64, String> {
    let mut storage = Box::new(Storage::new());
    let mut transfers = PortBuffers::<MAX_TRANSACTION>::new();
    let config = Config::new(*b"the host's UUID.");
    let router = HostRouter::new(&mut *storage, bus.clone(), &config);
    let port = router.add_port(NETWORK, &mut transfers);
    assert_eq!(port, Ok(PORT), "the router has room for a port");
    router.configure_port(PORT, PortConfig::new(setting.transmission_unit.into()));
    router.set_endpoint_id(NETWORK, ENDPOINT_ID);

    let mut buffer = [0; RECEIVE_BUFFER_LEN];
    let (mut receiver, mut sender) = link::halves(bus, ADDRESS, Duration::ZERO, &mut buffer);
    let link = router.run(PORT, &mut receiver, &mut sender);
    match select(link, download_and_commit(&router)).await {
        Either::First(never) => match never {},
        Either::Second(commands) => commands,
    }
}

async fn download_and_commit(router: &HostRouter<'_>) -> Result<u64, String> {
    let mut commands = 0;
    for (index, piece) in image().chunks(PIECE_LEN).enumerate() {
        let mut download = FirmwareImageDownload::default();
        download.number_of_dwords.set(dwords(piece.len()) - 1);
        download.offset.set(dwords(index * PIECE_LEN));
        let done = run(router, download, piece).await;
        done.map_err(|error| format!("Firmware Image Download {index}: {error}"))?;
        commands += 1;
    }
    let commit = FirmwareCommit::new(FIRMWARE_SLOT, STORE_AND_ACTIVATE_ON_RESET);
    let done = run(router, commit, &[]).await;
    done.map_err(|error| format!("Firmware Commit: {error}"))?;
    Ok(commands + 1)
}

fn image() -> Vec<u8> {
    let header_len = firmware_image_header(REVISION, &[]).len();
    let content: Vec<u8> = (0..IMAGE_LEN - header_len)
        .map(|index| (index % 251) as u8)
        .collect();
    [&firmware_image_header(REVISION, &content)[..], &content].concat()
}

fn dwords(bytes: usize) -> u32 {
    (bytes / 4) as u32
}

/// Runs an Admin command with `data`. It must succeed.
async fn run(
    router: &HostRouter<'_>,
    command: impl AdminCommand,
    data: &[u8],
) -> Result<(), String> {
    let mut request = AdminRequest::new(0, CONTROLLER, command);
    if !data.is_empty() {
        request.flags = AdminRequest::DATA_LENGTH_VALID;
        request.data_length.set(data.len() as u32);
    }
    let check = integrity_check(&[request.as_bytes(), data]);
    let neighbour = Target::Neighbour(PORT, device::ADDRESS.into(), device::ENDPOINT_ID);
    let mut channel = router.request_channel(neighbour);
    let parts = [request.as_bytes(), data, &check];
    let sent = channel.send_vectored(MCTP_TYPE_NVME, MsgIC(true), &parts);
    sent.await.map_err(|error| error.to_string())?;

    let mut buffer = [0; 64];
    let response = channel.recv(&mut buffer).await;
    let (message_type, checked, response) = response.map_err(|error| error.to_string())?;
    if (message_type, checked) != (MCTP_TYPE_NVME, MsgIC(true)) {
        return Err("the response is not NVMe-MI with an integrity check".into());
    }
    succeeded(response)
}

fn succeeded(response: &[u8]) -> Result<(), String> {
    let (body, check) = response
        .split_last_chunk::<CHECK_LEN>()
        .ok_or("the response has no integrity check")?;
    if *check != integrity_check(&[body]) {
        return Err("the integrity check of the response is wrong".into());
    }
    let response = AdminResponse::read_from_bytes(body)
        .map_err(|_| format!("the response has {} bytes", body.len()))?;
    match (response.status, response.completion_status()) {
        (ResponseStatus::SUCCESS, 0) => Ok(()),
        (status, completion) => Err(format!("{status:?}, completion status {completion:04x}h")),
    }
}

/// CRC-32C of a message with this body, message type included.
fn integrity_check(body: &[&[u8]]) -> [u8; CHECK_LEN] {
    let message_type = mctp::encode_type_ic(MCTP_TYPE_NVME, MsgIC(true));
    let crc = SoftwareCrc32c.crc32c(&[&[message_type]]);
    SoftwareCrc32c.continue_crc32c(crc, body).to_le_bytes()
}
