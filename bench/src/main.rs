//! Round trips to be counted by callgrind: `bench SUBJECT PAYLOAD UNIT ROUNDS`, and `bench nvme-mi COMMAND CHECK ROUNDS`, for which see
//! [`responder`].
//!
//! A round trip: the packets of a request enter the receive side of the device, are assembled, go to the echo service by an async listener,
//! and the packets of its response leave by the send side. PAYLOAD is the length of the message behind the message type byte, UNIT the
//! payload of a packet, packet header not counted. `cargo xtask instructions` runs this twice, with different ROUNDS: what differs is
//! what round trips cost, without the start of the program.

mod estack;
mod link;
mod ours;
mod responder;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Waker};

use link::Link;

/// Bytes of the longest message, the message type byte not counted, for which each stack has buffers.
const LONGEST_MESSAGE: usize = 4224;
/// Round trips before those that count, in which the response is checked.
const CHECKED_ROUNDS: usize = 4;

type Subject = fn(&Case);

/// Stacks and parts, by the name under which they are measured.
const SUBJECTS: &[(&str, Subject)] = &[
    ("in-place", ours::echo_in_place),
    ("core", ours::echo_by_core),
    ("traits", ours::echo_through_traits),
    ("mctp-estack", estack::echo),
    ("mctp-estack-core", estack::echo_by_core),
    ("assemble", ours::assemble),
    ("packetise", ours::packetise),
];

/// One of the device's tasks.
type Task<'t> = Pin<&'t mut dyn Future<Output = Infallible>>;

/// What to measure.
pub struct Case {
    payload: usize,
    unit: usize,
    rounds: usize,
    echoes: bool,
}

impl Case {
    /// The echo request: the header of the echo service, then a pattern.
    fn body(&self) -> Vec<u8> {
        let [high, low] = mctp_echo::VENDOR_ID.to_be_bytes();
        let pattern = (0..=u8::MAX).cycle().skip(usize::from(high));
        let body = [high, low, mctp_echo::SUBTYPE].into_iter().chain(pattern);
        body.take(self.payload).collect()
    }

    fn link(&self) -> Link {
        Link::new(&self.body(), self.unit)
    }
}

/// Runs the device's tasks, and checks the first round trips.
fn run(case: &Case, link: &Link, tasks: &mut [Task<'_>]) {
    // Each says what it is before the first request comes.
    poll(tasks);
    for _ in 0..CHECKED_ROUNDS {
        link.start_capture();
        round_trip(link, tasks);
        if case.echoes {
            link.check_capture(&case.body(), case.unit);
        }
    }
    let each = link.sent_bytes() / CHECKED_ROUNDS;
    measured(case.rounds, link, tasks);
    assert_eq!(
        link.sent_bytes(),
        each * (CHECKED_ROUNDS + case.rounds),
        "all rounds alike"
    );
}

/// What counts.
#[inline(never)]
fn measured(rounds: usize, link: &Link, tasks: &mut [Task<'_>]) {
    for _ in 0..rounds {
        round_trip(link, tasks);
    }
}

/// The smallest executor: polls everybody until the end of the response is out.
fn round_trip(link: &Link, tasks: &mut [Task<'_>]) {
    link.begin();
    while !link.has_ended() {
        poll(tasks);
    }
}

fn poll(tasks: &mut [Task<'_>]) {
    let mut context = Context::from_waker(Waker::noop());
    for task in tasks {
        let _ = task.as_mut().poll(&mut context);
    }
}

fn parse(arguments: &[String]) -> Option<(Subject, Case)> {
    let [subject, payload, unit, rounds] = arguments else {
        return None;
    };
    let (name, run) = SUBJECTS.iter().find(|(name, _)| name == subject)?;
    let case = Case {
        payload: payload.parse().ok()?,
        unit: unit.parse().ok()?,
        rounds: rounds.parse().ok()?,
        echoes: *name != "assemble",
    };
    Some((*run, case))
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some((run, case)) = parse(&arguments) {
        run(&case);
    } else if let Some(commands) = responder::parse(&arguments) {
        commands.run();
    } else {
        eprintln!(
            "usage: bench in-place|core|traits|mctp-estack|mctp-estack-core|assemble|packetise PAYLOAD UNIT ROUNDS\n\
                    bench nvme-mi health-poll|identify|firmware-download software|table|engine ROUNDS"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
