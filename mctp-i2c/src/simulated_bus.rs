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
//!   takes `9 n + 2` periods of the clock (with START and STOP as one each), and the bus-free time
//!   (4.7 µs up to 100 kHz, 1.3 µs up to 400 kHz, else 0.5 µs).
//! - *Targets* have room for a number of transactions, and refuse the command code of the next one
//!   (DSP0237, section 6.14).
//!
//! What is not simulated: two controllers that begin at the same time (arbitration is lost when the
//! rule says so), reads, 10-bit addresses, and the shape of signals.
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

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::mem;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use mctp_time::{Clock, Instant};

use crate::{BusStatus, Target, TargetAddress, TargetError};

/// What becomes of a transaction. Bytes are counted from 0, the destination byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It reaches its target. If there is none, its address is not acknowledged; if the target has
    /// no room, the command code.
    Delivered,
    /// Another controller wins arbitration within this byte. Its transaction, which reaches no
    /// target here, is as long as this one would have been: until then the bus is busy.
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
    /// The time that they took, bus-free time included.
    pub time: Duration,
}

/// What decides the fate of each transaction.
type Rule = Box<dyn FnMut(u64, &[u8]) -> Fate>;

struct State {
    period: Duration,
    bus_free: Duration,
    now: Duration,
    /// When the transaction of a controller that is not simulated ends.
    busy_until: Duration,
    usage: Usage,
    rule: Rule,
    is_connected: bool,
    is_stuck: bool,
    /// How often the bus was released.
    releases: u64,
    targets: Vec<TargetState>,
    /// Delays under way: a number for each, and when it ends.
    delays: Vec<(u64, Duration)>,
    last_delay: u64,
    /// Everything that happened so far: whether there is more to wait for.
    events: u64,
    waiting: Vec<Waker>,
}

struct TargetState {
    address: TargetAddress,
    is_present: bool,
    /// How many transactions there is room for.
    room: usize,
    received: VecDeque<Result<Vec<u8>, TargetError>>,
    /// The bus was disconnected, which is to be told.
    is_lost: bool,
}

/// What came of a transaction.
enum Outcome {
    Ended(Result<(), ErrorKind>),
    /// It lasts until the bus is released.
    Held,
}

fn not_acknowledged(byte: usize) -> Result<(), ErrorKind> {
    Err(ErrorKind::NoAcknowledge(match byte {
        0 => NoAcknowledgeSource::Address,
        _ => NoAcknowledgeSource::Data,
    }))
}

impl State {
    /// Something happened: whoever waits looks again.
    fn notify(&mut self) {
        self.events += 1;
        for waker in mem::take(&mut self.waiting) {
            waker.wake();
        }
    }

    /// Wakers stay until something happens; one that waits twice is woken twice.
    fn wait(&mut self, context: &Context<'_>) {
        self.waiting.push(context.waker().clone());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.notify();
    }

    fn target(&mut self, address: u8) -> Option<&mut TargetState> {
        let mut targets = self.targets.iter_mut();
        targets.find(|target| target.is_present && target.address.as_byte() == address)
    }

    /// So many bytes pass on the bus, from START to STOP; `seen` of them until the controller knows
    /// what became of its transaction.
    fn use_bus(&mut self, bytes: usize, seen: usize) {
        let time = |bytes: usize| self.period * (9 * bytes as u32 + 2) + self.bus_free;
        let (whole, seen) = (time(bytes), time(seen.min(bytes)));
        self.usage.bytes += bytes as u64;
        self.usage.time += whole;
        self.busy_until = self.now + whole;
        self.pass(seen);
    }

    /// A transaction, the destination byte first.
    fn transact(&mut self, bytes: &[u8]) -> Outcome {
        self.pass(self.busy_until.saturating_sub(self.now));
        let number = self.usage.transactions;
        self.usage.transactions += 1;
        let last = bytes.len().saturating_sub(1);
        let fate = (self.rule)(number, bytes);
        Outcome::Ended(match fate {
            Fate::Delivered => self.deliver(bytes.to_vec(), None),
            Fate::Overrun => self.deliver(bytes.to_vec(), Some(TargetError::Overrun)),
            Fate::BitFlipped { bit } => {
                let mut seen = bytes.to_vec();
                if let Some(byte) = seen.get_mut(bit / 8) {
                    *byte ^= 0x80 >> (bit % 8);
                }
                self.deliver(seen, None)
            }
            Fate::CutOff { len } => {
                let seen = bytes.get(..len).unwrap_or(bytes).to_vec();
                let _ = self.deliver(seen, None);
                Err(ErrorKind::Bus)
            }
            Fate::NotAcknowledged { byte } => {
                let byte = byte.min(last);
                self.use_bus(byte + 1, byte + 1);
                not_acknowledged(byte)
            }
            Fate::ArbitrationLost { byte } => {
                self.use_bus(bytes.len(), byte + 1);
                Err(ErrorKind::ArbitrationLoss)
            }
            Fate::Stretched | Fate::Stuck => {
                self.is_stuck = fate == Fate::Stuck;
                return Outcome::Held;
            }
        })
    }

    /// What the targets make of these bytes: they are lost with `error`, if any.
    fn deliver(&mut self, bytes: Vec<u8>, error: Option<TargetError>) -> Result<(), ErrorKind> {
        let Some((destination, behind)) = bytes.split_first() else {
            return Ok(());
        };
        let is_write = destination & 1 == 0;
        let refused = match self.target(destination >> 1) {
            None => Some(0),
            // A target that is read drives the bytes; nobody acknowledges them.
            Some(_) if !is_write => Some(1),
            Some(target) if target.received.len() >= target.room => Some(1),
            Some(target) => {
                target.received.push_back(match error {
                    Some(error) => Err(error),
                    None => Ok(behind.to_vec()),
                });
                None
            }
        };
        match refused {
            Some(byte) => {
                let len = (byte + 1).min(bytes.len());
                self.use_bus(len, len);
                not_acknowledged(byte)
            }
            None => {
                self.use_bus(bytes.len(), bytes.len());
                Ok(())
            }
        }
    }

    fn next_delay(&self) -> Option<Duration> {
        self.delays.iter().map(|(_, end)| *end).min()
    }
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
    /// A bus of so many bits in a second, at least 1: 100,000, 400,000 or 1,000,000. It is
    /// connected, and nobody is on it.
    pub fn new(bits_per_second: u32) -> Self {
        let rate = bits_per_second.max(1);
        let bus_free = match rate {
            0..=100_000 => 4_700,
            100_001..=400_000 => 1_300,
            _ => 500,
        };
        Self(Rc::new(RefCell::new(State {
            period: Duration::from_secs(1) / rate,
            bus_free: Duration::from_nanos(bus_free),
            now: Duration::ZERO,
            busy_until: Duration::ZERO,
            usage: Usage::default(),
            rule: Box::new(|_, _| Fate::Delivered),
            is_connected: true,
            is_stuck: false,
            releases: 0,
            targets: Vec::new(),
            delays: Vec::new(),
            last_delay: 0,
            events: 0,
            waiting: Vec::new(),
        })))
    }

    /// A controller on this bus.
    pub fn controller(&self) -> SimulatedController {
        SimulatedController(self.clone())
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

    /// A transaction of another controller, the destination byte first, whatever bytes they are.
    ///
    /// # Errors
    ///
    /// As a controller's; [`ErrorKind::Bus`] when the bus is held.
    pub fn write(&self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let mut state = self.0.borrow_mut();
        if state.is_stuck || !state.is_connected {
            return Err(ErrorKind::Bus);
        }
        match state.transact(bytes) {
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

/// Time of the suite, in milliseconds of the virtual clock.
impl Clock for SimulatedBus {
    fn now(&self) -> Instant {
        Instant::from_millis(self.elapsed().as_millis() as u64)
    }

    async fn wait_until(&self, deadline: Instant) {
        if deadline == Instant::NEVER {
            return core::future::pending().await;
        }
        let end = Duration::from_millis(deadline.as_millis());
        Delay::new(self, end).await;
    }
}

/// A delay under way. It ends no wait any more when it is dropped.
struct Delay {
    bus: SimulatedBus,
    number: u64,
    end: Duration,
}

impl Delay {
    fn new(bus: &SimulatedBus, end: Duration) -> Self {
        let mut state = bus.0.borrow_mut();
        state.last_delay += 1;
        let number = state.last_delay;
        state.delays.push((number, end));
        Self {
            bus: bus.clone(),
            number,
            end,
        }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(self: core::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.bus.0.borrow_mut();
        if self.end <= state.now {
            return Poll::Ready(());
        }
        state.wait(context);
        Poll::Pending
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        let mut state = self.bus.0.borrow_mut();
        state.delays.retain(|(number, _)| *number != self.number);
        state.events += 1;
    }
}

/// Delays on the virtual clock of a bus.
#[derive(Clone, Debug)]
pub struct SimulatedDelay(SimulatedBus);

impl DelayNs for SimulatedDelay {
    async fn delay_ns(&mut self, ns: u32) {
        let end = self.0.elapsed() + Duration::from_nanos(ns.into());
        Delay::new(&self.0, end).await;
    }
}

/// A controller on a bus, which writes only.
#[derive(Clone, Debug)]
pub struct SimulatedController(SimulatedBus);

/// What a controller says of a failed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError(pub ErrorKind);

impl Error for BusError {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl ErrorType for SimulatedController {
    type Error = BusError;
}

impl SimulatedController {
    /// One poll of a transaction; `held` is how often the bus had been released when it was held.
    fn poll(
        &self,
        bytes: &[u8],
        held: &mut Option<u64>,
        context: &Context<'_>,
    ) -> Poll<Result<(), ErrorKind>> {
        let mut state = self.0.0.borrow_mut();
        if !state.is_connected || held.is_some_and(|releases| releases < state.releases) {
            return Poll::Ready(Err(ErrorKind::Bus));
        }
        if held.is_none() && !state.is_stuck {
            match state.transact(bytes) {
                Outcome::Ended(result) => return Poll::Ready(result),
                Outcome::Held => *held = Some(state.releases),
            }
        }
        state.wait(context);
        Poll::Pending
    }
}

impl I2c for SimulatedController {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        let mut bytes = Vec::from([address << 1]);
        for operation in operations {
            match operation {
                Operation::Write(written) => bytes.extend_from_slice(written),
                Operation::Read(_) => return Err(BusError(ErrorKind::Other)),
            }
        }
        let mut held = None;
        let result = poll_fn(|context| self.poll(&bytes, &mut held, context)).await;
        result.map_err(BusError)
    }
}

/// A target on a bus. Dropped, it is not on the bus any more.
#[derive(Debug)]
pub struct SimulatedTarget {
    bus: SimulatedBus,
    address: TargetAddress,
}

impl SimulatedTarget {
    fn poll(&self, context: &Context<'_>) -> Poll<Result<Vec<u8>, TargetError>> {
        let mut state = self.bus.0.borrow_mut();
        let mut targets = state.targets.iter_mut();
        let target = targets.find(|target| target.address == self.address);
        let received = target.and_then(|target| match mem::take(&mut target.is_lost) {
            true => Some(Err(TargetError::Disabled)),
            false => target.received.pop_front(),
        });
        match received {
            Some(received) => {
                state.events += 1;
                Poll::Ready(received)
            }
            None => {
                state.wait(context);
                Poll::Pending
            }
        }
    }
}

impl Target for SimulatedTarget {
    async fn wait_enabled(&mut self) {
        poll_fn(|context| {
            let mut state = self.bus.0.borrow_mut();
            if !state.is_connected {
                state.wait(context);
                return Poll::Pending;
            }
            for target in &mut state.targets {
                target.is_lost &= target.address != self.address;
            }
            Poll::Ready(())
        })
        .await;
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TargetError> {
        let bytes = poll_fn(|context| self.poll(context)).await?;
        let len = bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(&bytes) {
            *place = *byte;
        }
        Ok(len)
    }
}

impl Drop for SimulatedTarget {
    fn drop(&mut self) {
        let mut state = self.bus.0.borrow_mut();
        state
            .targets
            .retain(|target| target.address != self.address);
    }
}

/// The status of a bus.
#[derive(Clone, Debug)]
pub struct SimulatedStatus(SimulatedBus);

impl BusStatus for SimulatedStatus {
    fn is_connected(&mut self) -> bool {
        self.0.0.borrow().is_connected
    }

    fn is_busy(&mut self) -> bool {
        let state = self.0.0.borrow();
        state.is_stuck || state.now < state.busy_until
    }

    async fn clear_stuck_bus(&mut self) {
        self.0.release();
    }
}
