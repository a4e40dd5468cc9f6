//! `mctp-i2c`: taking transactions apart and making them, from any bytes and for any addresses, and the
//! time limits of a sender.
#![no_std]
#![no_main]

use core::hint::black_box;

use mctp_i2c::{Config, TargetAddress, Timing, framing, pec};
use mctp_transport::{Frame, PhysicalAddress};
use panic_free::{any_bytes, any_number, any_state};

panic_free::entry!(run);

fn run() {
    let _ = black_box(framing::decode(any_bytes()));
    black_box(pec(any_bytes()));
    let addresses = (any_address(), any_address());
    if let (Some(destination), Some(source)) = addresses {
        transactions(destination, source);
        times(source);
    }
    if let Some(address) = PhysicalAddress::new(any_bytes()) {
        let _ = black_box(TargetAddress::try_from(address));
    }
}

fn any_address() -> Option<TargetAddress> {
    TargetAddress::new(any_number() as u8)
}

fn transactions(destination: TargetAddress, source: TargetAddress) {
    let mut buffer = [0; 600];
    let buffer = any_state(&mut buffer[..]);
    let _ = black_box(framing::encode(destination, source, any_bytes(), buffer));
    let (mut headroom, mut packet, mut tailroom) = ([0; 16], [0; 300], [0; 16]);
    let frame = Frame {
        headroom: any_state(&mut headroom[..]),
        packet: any_state(&mut packet[..]),
        tailroom: any_state(&mut tailroom[..]),
    };
    let _ = black_box(framing::complete(destination, source, frame));
}

fn times(address: TargetAddress) {
    let mut config = Config::new(address).with_timing(Timing::new());
    let timing = any_state(&mut config).timing;
    black_box(timing.transaction_limit_us(any_number()));
    black_box(timing.send_limit_us(any_number()));
}
