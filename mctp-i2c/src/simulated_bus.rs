//! A two-wire bus in memory, on a virtual clock: a component for tests.
//!
//! Any number of controllers and targets are on one [`SimulatedBus`]. Each write of a controller is
//! a transaction that takes its time on the virtual clock, and reaches the target it addresses,
//! until a test says otherwise: a rule decides the [`Fate`] of each.
//!
//! - *Time* passes by transactions, by [`pass`](SimulatedBus::pass), and in
//!   [`block_on`](SimulatedBus::block_on) by the shortest delay when all tasks wait. No test waits
//!   for real time.
//! - *Bus time* is reported: how long the bus was in use, and for how many transactions
//!   ([`usage`](SimulatedBus::usage)). A transaction of `n` bytes, the destination byte included,
//!   takes `9 n + 2` periods of its controller's clock (with START and STOP as one each), and the
//!   bus-free time (4.7 µs up to 100 kHz, 1.3 µs up to 400 kHz, else 0.5 µs).
//! - *Targets* have room for a number of transactions, and refuse the command code of the next one
//!   (DSP0237, section 6.14).
//! - *Controllers* that begin at the same moment, as those do that waited for the end of the same
//!   transaction, arbitrate: who sends a 1 where another sends a 0 has lost, so the lowest bytes win,
//!   the destination byte first. That is one transaction, at the winner's rate, and its target gets it
//!   even when a loser has the same address. Losers are told at its end. The same bytes win together;
//!   of some that go on and some that end, the latter win.
//!
//! What is not simulated: reads, 10-bit addresses, the shape of signals, and what others do within a
//! transaction: a delay that ends there ends at its end.
//!
//! ```
//! use mctp_i2c::simulated_bus::{Fate, SimulatedBus};
//! use mctp_i2c::{Config, Sender, TargetAddress};
//! use mctp_transport::{PhysicalAddress, RawHeader, Transfer, TransportTx};
//!
//! let bus = SimulatedBus::new(100_000);
//! let (own, neighbour) = (TargetAddress::new(0x1D).unwrap(), TargetAddress::new(0x10).unwrap());
//! let _bmc = bus.target(neighbour, 4);
//! // The first two transactions fail; the sender tries again.
//! bus.decide(|number, _| match number {
//!     0 => Fate::ArbitrationLost { byte: 3 },
//!     1 => Fate::NotAcknowledged { byte: 1 },
//!     _ => Fate::Delivered,
//! });
//!
//! let mut sender = Sender::new(bus.controller(), bus.delay(), Config::new(own));
//! let mut buffer = [0; 259];
//! let mut transfer = Transfer::new(&mut buffer, sender.layout());
//! let header = RawHeader::from_bytes([1, 8, 9, 0xC0]);
//! transfer.push(PhysicalAddress::from(neighbour), header, 64).unwrap().fill(0);
//! assert_eq!(bus.block_on(sender.send(&mut transfer)), Some(Ok(())));
//! assert_eq!(bus.usage().transactions, 3);
//! ```

#![allow(clippy::arithmetic_side_effects)]

mod contention;
mod delay;
mod devices;
mod state;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use embedded_hal_async::i2c::ErrorKind;

use crate::TargetAddress;
use state::{Outcome, Rate, State, TargetState};

pub use delay::SimulatedDelay;
pub use devices::{BusError, SimulatedController, SimulatedStatus, SimulatedTarget};

/// What becomes of a transaction. Bytes are counted from 0, the destination byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It reaches its target. If there is none, its address is not acknowledged; if the target has
    /// no room, the command code.
    Delivered,
    /// A controller that is not simulated wins arbitration within this byte. Its transaction, which
    /// reaches no target here, is as long as this one would have been: until then the bus is busy.
    ArbitrationLost {
        /// The byte.
        byte: usize,
    },
    /// This byte is not acknowledged; the target forgets the transaction.
    NotAcknowledged {
        /// The byte.
        byte: usize,
    },
    /// The target sees this bit otherwise than it was sent: bit 0 is the most significant one of
    /// the destination byte.
    BitFlipped {
        /// The bit.
        bit: usize,
    },
    /// The controller breaks off behind so many bytes, with a STOP, and fails.
    CutOff {
        /// Bytes that the target gets, the destination byte included.
        len: usize,
    },
    /// All is acknowledged, but the target's peripheral loses bytes, and says so.
    Overrun,
    /// The target stretches the clock without end; until the bus is
    /// [released](SimulatedBus::release), or the controller gives up.
    Stretched,
    /// The target holds a wire low, whatever the controller does, until the bus is
    /// [released](SimulatedBus::release).
    Stuck,
}

/// How the bus was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Transactions, also those that failed.
    pub transactions: u64,
    /// Bytes in them, destination bytes included, as far as they came.
    pub bytes: u64,
    /// How often a controller lost arbitration.
    pub arbitrations_lost: u64,
    /// The time that they took, bus-free time included.
    pub time: Duration,
}

/// The bus. A clone is the same bus.
#[derive(Clone)]
pub struct SimulatedBus(Rc<RefCell<State>>);

impl fmt::Debug for SimulatedBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.borrow();
        f.debug_struct("SimulatedBus")
            .field("now", &state.now)
            .field("usage", &state.usage)
            .field("is_connected", &state.is_connected)
            .field("is_stuck", &state.is_stuck)
            .finish_non_exhaustive()
    }
}

/// How often the tasks are polled without anything happening before they all count as waiting: a
/// task may let others run now and then.
const IDLE_POLLS: usize = 32;

impl SimulatedBus {
    /// A bus of so many bits in a second, at least 1: 100,000, 400,000 or 1,000,000, unless a
    /// controller is [slower or faster](SimulatedController::set_rate). It is connected, and nobody
    /// is on it.
    pub fn new(bits_per_second: u32) -> Self {
        Self(Rc::new(RefCell::new(State {
            rate: Rate::new(bits_per_second),
            now: Duration::ZERO,
            busy_until: Duration::ZERO,
            usage: Usage::default(),
            rule: Box::new(|_, _| Fate::Delivered),
            is_connected: true,
            is_stuck: false,
            releases: 0,
            targets: Vec::new(),
            attempts: Vec::new(),
            last_attempt: 0,
            delays: Vec::new(),
            last_delay: 0,
            events: 0,
            waiting: Vec::new(),
        })))
    }

    /// A controller on this bus.
    pub fn controller(&self) -> SimulatedController {
        SimulatedController {
            bus: self.clone(),
            rate: self.0.borrow().rate,
        }
    }

    /// A target on this bus, with room for so many transactions, until it is dropped.
    pub fn target(&self, address: TargetAddress, room: usize) -> SimulatedTarget {
        self.0.borrow_mut().targets.push(TargetState {
            address,
            is_present: true,
            room,
            received: VecDeque::new(),
            is_lost: false,
        });
        SimulatedTarget {
            bus: self.clone(),
            address,
        }
    }

    /// Delays on the virtual clock.
    pub fn delay(&self) -> SimulatedDelay {
        SimulatedDelay(self.clone())
    }

    /// The status of the bus. Clearing a stuck bus [releases](Self::release) it.
    pub fn status(&self) -> SimulatedStatus {
        SimulatedStatus(self.clone())
    }

    /// From now on `rule` decides what becomes of each transaction: it gets how many there were
    /// before, and the bytes, the destination byte first.
    pub fn decide(&self, rule: impl FnMut(u64, &[u8]) -> Fate + 'static) {
        self.0.borrow_mut().rule = Box::new(rule);
    }

    /// A transaction of another controller, the destination byte first, whatever bytes they are. It
    /// contends with nobody.
    ///
    /// # Errors
    ///
    /// As a controller's; [`ErrorKind::Bus`] when the bus is held.
    pub fn write(&self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let mut state = self.0.borrow_mut();
        if state.is_stuck || !state.is_connected {
            return Err(ErrorKind::Bus);
        }
        let rate = state.rate;
        match state.transact(rate, bytes) {
            Outcome::Ended(result) => result,
            Outcome::Held => Err(ErrorKind::Bus),
        }
    }

    /// The device at this address is gone, or back; what it did not take is lost.
    pub fn set_present(&self, address: TargetAddress, is_present: bool) {
        let mut state = self.0.borrow_mut();
        for target in &mut state.targets {
            if target.address == address {
                target.is_present = is_present;
                target.received.clear();
            }
        }
        state.notify();
    }

    /// A wire is held low from now on, until it is [released](Self::release).
    pub fn stick(&self) {
        self.0.borrow_mut().is_stuck = true;
    }

    /// Both wires are high again. Transactions that were held fail.
    pub fn release(&self) {
        let mut state = self.0.borrow_mut();
        state.is_stuck = false;
        state.releases += 1;
        state.notify();
    }

    /// The bus loses its power, or has it again. Targets lose what they did not take.
    pub fn set_connected(&self, is_connected: bool) {
        let mut state = self.0.borrow_mut();
        state.is_connected = is_connected;
        for target in &mut state.targets {
            target.received.clear();
            target.is_lost |= !is_connected;
        }
        state.notify();
    }

    /// The time since the bus was made.
    pub fn elapsed(&self) -> Duration {
        self.0.borrow().now
    }

    /// How the bus was used so far.
    pub fn usage(&self) -> Usage {
        self.0.borrow().usage
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        self.0.borrow_mut().pass(time);
    }

    /// Polls `future` to its end, and lets time pass until the next delay ends whenever all of it
    /// waits. `None` when it waits for something that no time brings.
    pub fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let mut idle = 0;
        loop {
            let before = self.0.borrow().events;
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            let mut state = self.0.borrow_mut();
            idle = if state.events == before { idle + 1 } else { 0 };
            if idle >= IDLE_POLLS {
                let end = state.next_delay()?;
                let time = end.saturating_sub(state.now);
                state.pass(time);
                idle = 0;
            }
        }
    }
}
