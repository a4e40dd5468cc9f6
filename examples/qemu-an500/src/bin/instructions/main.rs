//! What packets and messages cost, to be counted: [`round_trip`]s, and [`stream`]s in one direction.
//!
//! The clock stands still: what the board costs is not in it. One line for each case and number of rounds, on QEMU's standard output: name, of a stream the bytes of a
//! message, rounds, ticks of TIMER0. `cargo xtask instructions` starts it with `-icount`, so that a tick is a number of instructions and every run counts the same.

#![no_std]
#![no_main]

mod round_trip;
mod stream;

use core::convert::Infallible;
use core::fmt::Display;
use core::future::{Future, pending};
use core::panic::PanicInfo;
use core::pin::Pin;
use core::task::{Context, Waker};

use cortex_m_rt::{entry, exception};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use mctp_router::{Clock, Instant, PortId};
use mctp_transport::{Eid, HEADER_LEN, MessageTag, PacketHeader, SequenceNumber};
use qemu_an500::{stack, time};
use semihosting::{eprintln, println, process};

const PORT: PortId = PortId(0);
const DEVICE: Eid = Eid(9);
const REQUESTER: Eid = Eid(8);
const TAG: MessageTag = MessageTag::from_low_bits(3);
/// Rounds before those that count, in which what comes out is checked.
const CHECKED_ROUNDS: u32 = 4;
/// What differs between the two is what rounds cost, and nothing else.
const ROUNDS: [u32; 2] = [100, 300];

/// As on the boards: every lock is a critical section.
type RawMutex = CriticalSectionRawMutex;
type Task<'t> = Pin<&'t mut dyn Future<Output = Infallible>>;

#[entry]
fn start() -> ! {
    let mut core = cortex_m::Peripherals::take().expect("nobody has taken them before");
    stack::guard(&mut core);
    time::start();
    round_trip::measure_all();
    stream::measure_all();
    process::exit(0)
}

/// Measures so many rounds at once.
fn count(name: &dyn Display, mut run: impl FnMut(u32)) {
    for rounds in ROUNDS {
        let start = time::cycles();
        run(rounds);
        let ticks = time::cycles() - start;
        println!("{name} {rounds} {ticks}");
    }
}

/// The smallest executor there is: gives everybody one turn.
fn poll(tasks: &mut [Task<'_>]) {
    let mut context = Context::from_waker(Waker::noop());
    for task in tasks {
        let _ = task.as_mut().poll(&mut context);
    }
}

/// A message to the device in packets of one tag, with their headers.
fn packets(message: &[u8], unit: usize) -> impl Iterator<Item = ([u8; HEADER_LEN], &[u8])> {
    let count = message.len().div_ceil(unit);
    let mut sequence = SequenceNumber::default();
    message
        .chunks(unit)
        .enumerate()
        .map(move |(index, payload)| {
            let header = PacketHeader {
                destination: DEVICE,
                source: REQUESTER,
                start: index == 0,
                end: index + 1 == count,
                sequence,
                tag_owner: true,
                tag: TAG,
            };
            sequence = sequence.next();
            (header.to_bytes(), payload)
        })
}

/// Reading a clock is the board's cost.
#[derive(Clone, Copy)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Instant {
        Instant::from_millis(1)
    }

    async fn wait_until(&self, _: Instant) {
        pending().await
    }
}

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    eprintln!("{information}");
    process::exit(101)
}

#[exception(trampoline = false)]
unsafe fn HardFault() -> ! {
    process::exit(102)
}
