//! Packetising alone, through the async routers.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::shell::packetise),
        ("mctp-estack", estack::shell::packetise),
    ])
}
