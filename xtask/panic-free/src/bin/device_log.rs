//! `device-log`: keeping lines and handing them out, in every state that its private fields can
//! have. Formatting them is not among it: `core` panics there.
#![no_std]
#![no_main]

use core::hint::black_box;

use device_log::{Buffer, Place};
use panic_free::{any_bytes, any_state};

panic_free::entry!(run);

fn run() {
    let mut buffer = Buffer::<256, 512>::new();
    any_state(&mut buffer).append(any_bytes());
    let (mut place, mut out) = (Place::default(), [0; 64]);
    let out = any_state(&mut out[..]);
    black_box(any_state(&mut buffer).read(any_state(&mut place), out));
    black_box(any_state(&mut buffer).has_more(any_state(&mut place)));
}
