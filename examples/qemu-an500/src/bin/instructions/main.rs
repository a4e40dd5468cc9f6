//! What packets and messages cost, to be counted: [`round_trip`]s, [`commands`] from body to body,
//! and [`stream`]s in one direction.
//!
//! The settings are those of the boards: every lock is a critical section, transfer buffers have
//! 512 bytes, the clock runs. With the feature `mctp-estack` it is the round trips through that
//! which are counted. One line for each case and number of rounds, on QEMU's standard output: name,
//! of a stream the bytes of a message, rounds, ticks of TIMER0. `cargo xtask instructions` starts
//! it with `-icount`, so that a tick is a number of instructions and every run counts the same.

#![no_std]
#![no_main]
// Of ours it then uses the cases and the link.
#![cfg_attr(feature = "mctp-estack", allow(dead_code))]

#[cfg(not(feature = "mctp-estack"))]
mod commands;
#[cfg(feature = "mctp-estack")]
mod estack;
mod round_trip;
#[cfg(not(feature = "mctp-estack"))]
mod stream;

use core::convert::Infallible;
use core::fmt::Display;
use core::future::{Future, pending};
use core::panic::PanicInfo;
use core::pin::Pin;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use cortex_m_rt::{entry, exception};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use mctp_router::{Clock, Instant, NetworkId, PortId};
use mctp_transport::{Eid, HEADER_LEN, MessageTag, PacketHeader, SequenceNumber};
use qemu_an500::{stack, time};
use semihosting::{eprintln, println, process};

const PORT: PortId = PortId(0);
const NETWORK: NetworkId = NetworkId(0);
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
    #[cfg(not(feature = "mctp-estack"))]
    {
        round_trip::measure_all();
        commands::measure_all();
        stream::measure_all();
    }
    #[cfg(feature = "mctp-estack")]
    estack::measure_all();
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

/// Who was woken, a bit for each task.
static WOKEN: AtomicU32 = AtomicU32::new(0);

/// Of wakers that are a bit in the form of a pointer.
static WAKERS: RawWakerVTable = RawWakerVTable::new(
    |bit| RawWaker::new(bit, &WAKERS),
    |bit| wake(bit.addr() as u32),
    |bit| wake(bit.addr() as u32),
    |_| {},
);

fn wake(tasks: u32) {
    WOKEN.fetch_or(tasks, Ordering::Relaxed);
}

/// The smallest executor there is: polls each that was woken.
fn poll(tasks: &mut [Task<'_>]) {
    for (index, task) in tasks.iter_mut().enumerate() {
        let bit = 1 << index;
        if WOKEN.load(Ordering::Relaxed) & bit == 0 {
            continue;
        }
        WOKEN.fetch_and(!bit, Ordering::Relaxed);
        let waker = RawWaker::new(ptr::without_provenance(bit as usize), &WAKERS);
        // SAFETY: the functions of the table take the pointer for a number, and own nothing.
        let waker = unsafe { Waker::from_raw(waker) };
        let _ = task.as_mut().poll(&mut Context::from_waker(&waker));
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

/// The timer's cycles are shifted to units of about a millisecond: as cheap as the clock of the
/// Nucleo.
const UNIT_SHIFT: u32 = 15;

fn now() -> u64 {
    u64::from(time::cycles() >> UNIT_SHIFT)
}

/// Rounds are over long before anything expires, so that no alarm is set.
async fn wait_until(deadline: u64) {
    if now() < deadline {
        pending().await
    }
}

#[derive(Clone, Copy)]
struct Running;

impl Clock for Running {
    fn now(&self) -> Instant {
        Instant::from_millis(now())
    }

    async fn wait_until(&self, deadline: Instant) {
        wait_until(deadline.as_millis()).await;
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
