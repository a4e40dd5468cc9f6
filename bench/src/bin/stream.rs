//! The bench service's stream into USB transfers.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::usb::stream),
        ("mctp-estack", estack::usb::stream),
    ])
}
