//! Panics on purpose: must not link.
#![no_std]
#![no_main]

panic_free::entry!(run);

fn run() {
    core::hint::black_box(panic_free::panic_on_purpose());
}
