//! Forwarding by our sans-IO core.

use std::process::ExitCode;

use bench::ours;

fn main() -> ExitCode {
    bench::main(&[("ours", ours::core::forward)])
}
