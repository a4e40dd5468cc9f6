//! Echo through the async routers: ours on the message in place, mctp-estack's by the `mctp`
//! traits.

use std::process::ExitCode;

use bench::{estack, ours};

fn main() -> ExitCode {
    bench::main(&[
        ("ours", ours::shell::echo_in_place),
        ("mctp-estack", estack::shell::echo_through_traits),
    ])
}
