//! Packets out of USB transfers: the receiver of MCTP over USB alone, without a router.

use std::process::ExitCode;

use bench::usb_host::Case;
use bench::{estack, ours};

/// Runs `STACK 1.0|1.1 UNIT PACKETS TRANSFERS`: for which see [`Case`].
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let asked = arguments
        .split_first()
        .and_then(|(stack, rest)| Some((stack.as_str(), Case::parse(rest)?)));
    match asked {
        Some(("ours", case)) => ours::usb::receive_transfers(&case),
        Some(("mctp-estack", case)) if !case.version_1_1 => estack::usb::receive_transfers(&case),
        _ => {
            eprintln!("usage: ours|mctp-estack 1.0|1.1 UNIT PACKETS TRANSFERS");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
