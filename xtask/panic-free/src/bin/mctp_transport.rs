//! `mctp-transport`: reading packets, and filling and reading transfers.
#![no_std]
#![no_main]

use core::hint::black_box;

use mctp_transport::{Frame, Packet, PhysicalAddress, Transfer, TransferLayout};
use panic_free::{any_bytes, any_number, any_state};

panic_free::entry!(run);

fn run() {
    if let Ok(packet) = Packet::parse(any_bytes()) {
        black_box(packet.header.to_bytes());
    }
    if let Some(address) = PhysicalAddress::new(any_bytes()) {
        black_box(address.as_bytes());
    }
    transfers();
}

fn transfers() {
    let mut buffer = [0; 600];
    let layout = TransferLayout::new(4, 251, 512)
        .with_tailroom(1)
        .with_transfers_at_once(4)
        .with_packs(true);
    let layout = black_box(layout);
    let mut transfer = Transfer::new(any_state(&mut buffer[..]), layout);
    let transfer = any_state(&mut transfer);
    if let Ok(packet) = Packet::parse(any_bytes()) {
        let address = black_box(PhysicalAddress::POINT_TO_POINT);
        black_box(transfer.push(address, packet.header, any_number()));
    }
    black_box(any_state(transfer).packets().count());
    let write = |frame: Frame<'_>| {
        black_box((frame.headroom, frame.packet, frame.tailroom));
    };
    black_box(any_state(transfer).next_bus_transfer(write));
    let transmission_unit = layout.max_transmission_unit(any_number());
    black_box((transmission_unit, transfer.as_bytes()));
    transfer.reset(layout);
}
