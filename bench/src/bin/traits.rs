//! Echo through our async router by the `mctp` traits. For mctp-estack see `in-place`.

use std::process::ExitCode;

use bench::ours;

fn main() -> ExitCode {
    bench::main(&[("ours", ours::shell::echo_through_traits)])
}
