//! Assembling alone, by the sans-IO cores.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::core::assemble),
        ("mctp-estack", estack::core::assemble),
    ])
}
