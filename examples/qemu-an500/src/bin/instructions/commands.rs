//! NVMe-MI commands from body to body: through the sans-IO responder with the default model, the
//! Message Integrity Check of both messages included.

use core::hint::black_box;

use heapless::Vec;
use nvme_mi_responder::wire::{AdminRequest, FirmwareImageDownload, Identify, IdentifyStructure};
use nvme_mi_responder::{
    Crc32c, Device, Instant, ManagementEndpoint, MessageBuffer, Requester, TableCrc32c,
};
use reference_device::{
    MANAGEMENT_PORT, ManagementLink, default_firmware, default_subsystem, default_world,
};
use zerocopy::IntoBytes;

use crate::{CHECKED_ROUNDS, count};

/// Data of the largest commands.
const PAGE: usize = 4096;
/// Bytes of the longest message, the message type byte not counted.
const BODY: usize = 4223;
/// Message type NVMe-MI with the integrity check bit.
const MESSAGE_TYPE: [u8; 1] = [0x84];

const REQUESTER: Requester = Requester {
    endpoint_id: mctp::Eid(8),
    exchange: 0,
};

type Body = Vec<u8, BODY>;

/// In place of a CRC unit: what is left is the responder itself.
struct Free;

impl Crc32c for Free {
    fn continue_crc32c(&mut self, _: u32, _: &[&[u8]]) -> u32 {
        0
    }
}

pub fn measure_all() {
    measure("identify-body", &[identify()], PAGE, Free);
    measure("firmware-piece-body", &pieces(), 0, Free);
    measure("identify-body-table", &[identify()], PAGE, TableCrc32c);
    measure("firmware-piece-body-table", &pieces(), 0, TableCrc32c);
}

/// All of Identify Controller.
fn identify() -> Body {
    let mut command = Identify::default();
    command.structure = IdentifyStructure::CONTROLLER;
    let mut request = AdminRequest::new(0, 0, command);
    request.flags = AdminRequest::DATA_LENGTH_VALID;
    request.data_length.set(PAGE as u32);
    body(&request, &[])
}

/// The first piece of an image, and the first of another: the same again would be a repetition.
fn pieces() -> [Body; 2] {
    [0x5A, 0xA5].map(|byte| {
        let mut command = FirmwareImageDownload::default();
        command.number_of_dwords.set(PAGE as u32 / 4 - 1);
        let mut request = AdminRequest::new(0, 0, command);
        request.flags = AdminRequest::DATA_LENGTH_VALID;
        request.data_length.set(PAGE as u32);
        body(&request, &[byte; PAGE])
    })
}

fn body(request: &AdminRequest, data: &[u8]) -> Body {
    let mut body = Body::new();
    for part in [request.as_bytes(), data] {
        body.extend_from_slice(part)
            .expect("there is room for the longest message");
    }
    body
}

/// Sends the requests one after the other, again and again.
fn measure(name: &'static str, requests: &[Body], data: usize, mut crc: impl Crc32c) {
    let mut sealed = Vec::<Body, 2>::new();
    for request in requests {
        let mut request = request.clone();
        let check = crc.crc32c(&[&MESSAGE_TYPE, &request]).to_le_bytes();
        request
            .extend_from_slice(&check)
            .expect("there is room for the check");
        sealed.push(request).expect("there are two");
    }
    let mut subsystem = default_subsystem("0123456789ab").expect("a good serial number");
    let link = ManagementLink::new();
    let mut images = [0; 4 * PAGE];
    let world = default_world(default_firmware(&mut images), &link, crc);
    let mut device = Device::new(subsystem.model(), world);
    let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
    let endpoint = ManagementEndpoint::new(&mut device, MANAGEMENT_PORT, buffers.each_mut());
    let mut endpoint = endpoint.expect("the default model has the port");
    let mut next = sealed.iter().cycle();
    let mut round = || {
        let request = black_box(next.next().expect("there is one"));
        let taken = endpoint.receive(&mut device, Instant::START, REQUESTER, true, request);
        taken.expect("a good request");
        let transmission = endpoint.transmission().expect("a response");
        let response = black_box(transmission.body);
        assert_eq!(response.len(), 19 + data + 4);
        let source = transmission.source;
        endpoint.sent(&mut device, source);
    };
    for _ in 0..CHECKED_ROUNDS {
        round();
    }
    count(&name, |rounds| (0..rounds).for_each(|_| round()));
}
