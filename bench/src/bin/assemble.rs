//! Assembling alone, through the async routers.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::shell::assemble),
        ("mctp-estack", estack::shell::assemble),
    ])
}
