//! `mctp-serial`: frames to and from bytes, in every state that any bytes can leave.
#![no_std]
#![no_main]

use core::hint::black_box;

use mctp_serial::FrameCheckSequence;
use mctp_serial::framing::{Decoder, Encoder};
use panic_free::{any_bytes, any_state};

panic_free::entry!(run);

fn run() {
    encoder();
    let mut buffer = [0; 255];
    if let Ok(mut decoder) = Decoder::new(any_state(&mut buffer[..])) {
        decode(any_state(&mut decoder));
    }
}

fn encoder() {
    let form = black_box(FrameCheckSequence::Escaped);
    let mut encoder = Encoder::new(form);
    let encoder = any_state(&mut encoder);
    for byte in encoder.begin(any_bytes()).into_iter().flatten() {
        black_box(byte);
    }
    encoder.finish();
    encoder.resynchronise();
}

fn decode(decoder: &mut Decoder<'_>) {
    let mut bytes = any_bytes();
    while let Some(decoded) = any_state(decoder).decode(&mut bytes) {
        black_box((decoded, decoder.packet()));
        decoder.put_back();
    }
    black_box(any_state(decoder).lost());
    black_box(any_state(decoder).reset());
}
