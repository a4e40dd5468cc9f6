//! What two stacks cost, to be counted by callgrind: the parts of programs that measure one subject
//! each.
//!
//! Packets of messages enter the receive side of the device and are assembled there; the echo
//! service sends them back, packets leave by the send side. Both stacks do so over the same mock of
//! a link. `cargo xtask instructions` and `cargo xtask performance` run the programs under
//! Valgrind's callgrind; [`meter`] says what is counted.
//!
//! Each subject has a program of its own, so that the compiler sees one use of a stack, as it does
//! in firmware: it inlines less where there are several. So all that a subject instantiates is
//! `#[inline]` here.

pub mod case;
#[cfg(feature = "board")]
pub mod clock;
#[cfg(not(feature = "host"))]
mod critical_section;
pub mod estack;
pub mod executor;
pub mod link;
pub mod meter;
pub mod ours;
pub mod stack_clock;
pub mod usb_host;

use std::process::ExitCode;

use mctp::{AsyncListener, AsyncRespChannel, Error};

use case::Case;

/// A stack's part of a subject.
pub type Subject = fn(&Case);

/// Runs `STACK ROOM PAYLOAD UNIT ROUNDS PEERS PORTS ROUTES IN_FLIGHT LISTENERS`: for which see [`Case`].
pub fn main(stacks: &[(&str, Subject)]) -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let asked = arguments.split_first().and_then(|(name, rest)| {
        let (_, run) = stacks.iter().find(|(stack, _)| stack == name)?;
        Some((run, Case::parse(rest)?))
    });
    let Some((run, case)) = asked else {
        let names: Vec<_> = stacks.iter().map(|(stack, _)| *stack).collect();
        eprintln!(
            "usage: {} usual|long|many PAYLOAD UNIT ROUNDS PEERS PORTS ROUTES IN_FLIGHT LISTENERS",
            names.join("|")
        );
        return ExitCode::FAILURE;
    };
    run(&case);
    ExitCode::SUCCESS
}

/// Puts what lives as long as the measurement where it stays.
fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// The echo service through the `mctp` traits, the same for both stacks.
async fn echo_through_traits(listener: &mut impl AsyncListener, buffer: &mut [u8]) -> Error {
    loop {
        match listener.recv(buffer).await {
            Ok((_, integrity_check, body, mut response)) => {
                let sent = response.send_vectored(integrity_check, &[body]).await;
                sent.expect("the link is up");
            }
            Err(error) => return error,
        }
    }
}
