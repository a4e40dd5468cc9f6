//! Echo by the sans-IO cores.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::core::echo_in_place),
        ("mctp-estack", estack::core::echo_in_place),
    ])
}
