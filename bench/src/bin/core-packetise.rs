//! Packetising alone, by the sans-IO cores.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::core::packetise),
        ("mctp-estack", estack::core::packetise),
    ])
}
