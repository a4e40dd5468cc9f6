//! The other stack: `mctp-estack`, with `mctp-usb-embassy`.

pub mod core;
pub mod shell;
pub mod usb;

use mctp_estack::config::MAX_PAYLOAD;

use crate::case::Case;

/// Its transmission unit counts the packet header.
const HEADER_LEN: usize = 4;

fn mtu(case: &Case) -> usize {
    case.unit + HEADER_LEN
}

/// Its capacities are set when it is built: they must be those of the case, as they are part of
/// what it costs.
fn check_room(case: &Case) {
    assert_eq!(
        MAX_PAYLOAD,
        case.longest_message(),
        "another build is for that"
    );
}
