//! What is on the bus, and what becomes of a transaction.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::task::{Context, Waker};
use core::time::Duration;

use embedded_hal_async::i2c::{ErrorKind, NoAcknowledgeSource};

use super::contention::Attempt;
use super::{Fate, Usage};
use crate::{TargetAddress, TargetError};

/// What decides the fate of each transaction.
pub(super) type Rule = Box<dyn FnMut(u64, &[u8]) -> Fate>;

/// How fast a controller drives the bus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) bits_per_second: u32,
    pub(super) period: Duration,
    pub(super) bus_free: Duration,
}

impl Rate {
    pub(super) fn new(bits_per_second: u32) -> Self {
        let bits_per_second = bits_per_second.max(1);
        let bus_free = match bits_per_second {
            0..=100_000 => 4_700,
            100_001..=400_000 => 1_300,
            _ => 500,
        };
        Self {
            bits_per_second,
            period: Duration::from_secs(1) / bits_per_second,
            bus_free: Duration::from_nanos(bus_free),
        }
    }

    /// The time of a transaction of so many bytes.
    pub(super) fn time(self, bytes: usize) -> Duration {
        self.period * (9 * bytes as u32 + 2) + self.bus_free
    }
}

pub(super) struct State {
    /// That of controllers which were not given another one.
    pub(super) rate: Rate,
    pub(super) now: Duration,
    /// When the transaction of a controller that is not simulated ends.
    pub(super) busy_until: Duration,
    pub(super) usage: Usage,
    pub(super) rule: Rule,
    pub(super) is_connected: bool,
    pub(super) is_stuck: bool,
    /// How often the bus was released.
    pub(super) releases: u64,
    pub(super) targets: Vec<TargetState>,
    /// Transactions that controllers begin, and their numbers so far.
    pub(super) attempts: Vec<Attempt>,
    pub(super) last_attempt: u64,
    /// Delays under way: a number for each, and when it ends.
    pub(super) delays: Vec<(u64, Duration)>,
    pub(super) last_delay: u64,
    /// Everything that happened so far: whether there is more to wait for.
    pub(super) events: u64,
    pub(super) waiting: Vec<Waker>,
}

pub(super) struct TargetState {
    pub(super) address: TargetAddress,
    pub(super) is_present: bool,
    /// How many transactions there is room for.
    pub(super) room: usize,
    pub(super) received: VecDeque<Result<Vec<u8>, TargetError>>,
    /// The bus was disconnected, which is to be told.
    pub(super) is_lost: bool,
}

/// What came of a transaction.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Ended(Result<(), ErrorKind>),
    /// It lasts until the bus is released.
    Held,
}

pub(super) fn not_acknowledged(byte: usize) -> Result<(), ErrorKind> {
    Err(ErrorKind::NoAcknowledge(match byte {
        0 => NoAcknowledgeSource::Address,
        _ => NoAcknowledgeSource::Data,
    }))
}

impl State {
    /// Something happened: whoever waits looks again.
    pub(super) fn notify(&mut self) {
        self.events += 1;
        for waker in mem::take(&mut self.waiting) {
            waker.wake();
        }
    }

    /// Wakers stay until something happens, one for each task: a task that is polled again and again
    /// while nothing happens on the bus takes no more memory each time.
    pub(super) fn wait(&mut self, context: &Context<'_>) {
        let waker = context.waker();
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.notify();
    }

    pub(super) fn target(&mut self, address: u8) -> Option<&mut TargetState> {
        let mut targets = self.targets.iter_mut();
        targets.find(|target| target.is_present && target.address.as_byte() == address)
    }

    /// So many bytes pass on the bus, from START to STOP; `seen` of them until the controller knows
    /// what became of its transaction.
    pub(super) fn use_bus(&mut self, rate: Rate, bytes: usize, seen: usize) {
        let (whole, seen) = (rate.time(bytes), rate.time(seen.min(bytes)));
        self.usage.bytes += bytes as u64;
        self.usage.time += whole;
        self.busy_until = self.now + whole;
        self.pass(seen);
    }

    /// A transaction, the destination byte first.
    pub(super) fn transact(&mut self, rate: Rate, bytes: &[u8]) -> Outcome {
        self.pass(self.busy_until.saturating_sub(self.now));
        let number = self.usage.transactions;
        self.usage.transactions += 1;
        let last = bytes.len().saturating_sub(1);
        let fate = (self.rule)(number, bytes);
        Outcome::Ended(match fate {
            Fate::Delivered => self.deliver(rate, bytes.to_vec(), None),
            Fate::Overrun => self.deliver(rate, bytes.to_vec(), Some(TargetError::Overrun)),
            Fate::BitFlipped { bit } => {
                let mut seen = bytes.to_vec();
                if let Some(byte) = seen.get_mut(bit / 8) {
                    *byte ^= 0x80 >> (bit % 8);
                }
                self.deliver(rate, seen, None)
            }
            Fate::CutOff { len } => {
                let seen = bytes.get(..len).unwrap_or(bytes).to_vec();
                let _ = self.deliver(rate, seen, None);
                Err(ErrorKind::Bus)
            }
            Fate::NotAcknowledged { byte } => {
                let byte = byte.min(last);
                self.use_bus(rate, byte + 1, byte + 1);
                not_acknowledged(byte)
            }
            Fate::ArbitrationLost { byte } => {
                self.use_bus(rate, bytes.len(), byte + 1);
                self.usage.arbitrations_lost += 1;
                Err(ErrorKind::ArbitrationLoss)
            }
            Fate::Stretched | Fate::Stuck => {
                self.is_stuck = fate == Fate::Stuck;
                return Outcome::Held;
            }
        })
    }

    /// What the targets make of these bytes: they are lost with `error`, if any.
    pub(super) fn deliver(
        &mut self,
        rate: Rate,
        bytes: Vec<u8>,
        error: Option<TargetError>,
    ) -> Result<(), ErrorKind> {
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
                self.use_bus(rate, len, len);
                not_acknowledged(byte)
            }
            None => {
                self.use_bus(rate, bytes.len(), bytes.len());
                Ok(())
            }
        }
    }

    pub(super) fn next_delay(&self) -> Option<Duration> {
        self.delays.iter().map(|(_, end)| *end).min()
    }
}
