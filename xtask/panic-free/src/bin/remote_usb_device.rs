//! `remote-usb-device`: reading and writing messages of both sides, of usbredir with any capabilities
//! in force, and of USB/IP.
#![no_std]
#![no_main]

use core::hint::black_box;

use panic_free::{any_bytes, any_number, any_state};
use remote_usb_device::usbip::wire::{Command, Operation, OperationStatus, Reply};
use remote_usb_device::usbredir::wire::{Capabilities, Header, Message};

panic_free::entry!(run);

fn run() {
    let capabilities = black_box(Capabilities::DEVICE);
    let mut out = [0; 256];
    let out = any_state(&mut out[..]);
    if let Some((header, length)) = Header::parse(any_bytes(), capabilities) {
        black_box(header.emit(capabilities, out));
        let body = any_bytes().get(length..).unwrap_or_default();
        black_box(body);
    }
    if let Some(message) = Message::parse(any_number() as u32, capabilities, any_bytes()) {
        let (id, data_length) = (any_number() as u64, any_number() as u32);
        black_box(message.emit(capabilities, id, data_length, out));
    }
    if let Some(header) = any_bytes().first_chunk() {
        black_box(Command::parse(header).map(|command| command.emit()));
        black_box(Reply::parse(header).map(|reply| reply.emit()));
    }
    if let Some(operation) = any_bytes().first_chunk().and_then(Operation::parse) {
        black_box(operation.request());
        black_box(operation.reply(black_box(OperationStatus::InUse)));
    }
}
