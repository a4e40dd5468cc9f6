//! `firmware-store` and `mctp-crc32c`: the bookkeeping of a download, and both kinds of stores.
#![no_std]
#![no_main]

use core::hint::black_box;

use firmware_store::{
    Download, FirmwareStore, MemoryFirmware, Piece, StreamedFirmware, firmware_image_header,
};
use mctp_crc32c::{Crc32c, SoftwareCrc32c, TableCrc32c};
use panic_free::{any_bytes, any_number, any_state};

panic_free::entry!(run);

fn run() {
    check(&mut SoftwareCrc32c);
    check(&mut TableCrc32c);
    black_box(firmware_image_header([0; 8], any_bytes()));
    track(any_state(&mut Download::new()));
    let slots = black_box([Some(*b"REF00001"), None, None]);
    let mut images = [0; 64];
    let mut in_memory = MemoryFirmware::new(any_state(&mut images[..]), slots);
    black_box(any_state(&mut in_memory).image(any_number() as u8));
    store(any_state(&mut in_memory));
    let mut streamed = StreamedFirmware::checked_by(TableCrc32c, slots);
    store(any_state(&mut streamed));
}

fn check(engine: &mut dyn Crc32c) {
    let parts = [any_bytes(), any_bytes()];
    let parts = black_box(&parts[..]);
    let crc = engine.crc32c(parts);
    black_box(engine.continue_crc32c(crc, parts));
}

fn track(download: &mut Download) {
    if let Some(piece) = Piece::new(any_number() as u32, any_number() as u32) {
        let crc = any_number() as u32;
        black_box((piece.offset(), piece.end()));
        black_box(download.is_repetition(piece, crc));
        let _ = black_box(download.check(piece));
        let _ = black_box(any_state(download).add(piece, crc));
    }
    black_box((download.is_empty(), download.has_beginning()));
    black_box(any_state(download).length());
    any_state(download).clear();
}

fn store(store: &mut dyn FirmwareStore) {
    let (slot, number) = (any_number() as u8, any_number() as u32);
    black_box((store.slots(), store.capacity(), store.active_slot()));
    black_box((store.revision(slot), store.running_revision()));
    black_box((store.longest_write(), store.longest_commit()));
    let _ = black_box(store.write(number, any_bytes()));
    let _ = black_box(store.commit(slot, number));
    let _ = black_box(store.activate(slot));
    let _ = black_box(store.activate_on_reset(slot));
    store.discard();
    black_box(store.reset());
}
