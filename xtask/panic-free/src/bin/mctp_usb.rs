//! `mctp-usb`: finding packets in transfers, in every state that any sequence of USB packets can
//! leave.
#![no_std]
#![no_main]

use core::hint::black_box;

use mctp_usb::Version;
use mctp_usb::framing::Reassembler;
use panic_free::{any_bytes, any_number, any_state};

const VERSIONS: &[Version] = &[
    Version::V1_0,
    #[cfg(feature = "v1-1")]
    Version::V1_1,
];

panic_free::entry!(run);

fn run() {
    for version in VERSIONS {
        let version = black_box(*version);
        headers(version);
        let mut buffer = [0; 1024];
        let max_packet_size = any_number() as u16;
        if let Ok(mut parser) =
            Reassembler::new(version, max_packet_size, any_state(&mut buffer[..]))
        {
            packets(any_state(&mut parser));
        }
    }
}

fn headers(version: Version) {
    black_box(version.encode(any_number()));
    if let Some(header) = any_bytes().first_chunk() {
        black_box(version.decode(*header));
    }
}

fn packets(parser: &mut Reassembler<'_>) {
    for (place, byte) in parser.buffer().iter_mut().zip(any_bytes()) {
        *place = *byte;
    }
    black_box(any_state(parser).received(any_number()));
    while let Some(packet) = any_state(parser).next_packet() {
        let _ = black_box(packet);
    }
    black_box(any_state(parser).flush());
    black_box(any_state(parser).lost());
}
