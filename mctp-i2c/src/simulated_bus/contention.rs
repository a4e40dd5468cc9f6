//! Controllers that begin at the same moment.

use alloc::vec::Vec;
use core::task::{Context, Poll};

use embedded_hal_async::i2c::ErrorKind;

use super::SimulatedBus;
use super::state::{Outcome, Rate, State};

/// A transaction that a controller begins.
pub(super) struct Attempt {
    number: u64,
    rate: Rate,
    /// The destination byte first.
    bytes: Vec<u8>,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Others may begin at the same moment.
    Begins,
    Ended(Result<(), ErrorKind>),
    /// It fails when the bus was released more often.
    Held(u64),
}

impl Attempt {
    /// The byte within which it loses against `winner`; `None` when both are the same to the end.
    fn loses_at(&self, winner: &[u8]) -> Option<usize> {
        let pairs = self.bytes.iter().zip(winner);
        let same = pairs.take_while(|(own, other)| own == other).count();
        (self.bytes != winner).then_some(same)
    }
}

impl State {
    /// All that begin now arbitrate: each drives its bits, a 0 hides a 1, and who sees another bit
    /// than its own has lost. So the lowest bytes win.
    fn arbitrate(&mut self) {
        let begin = |attempt: &&Attempt| attempt.progress == Progress::Begins;
        let lowest = |one: &&Attempt, other: &&Attempt| one.bytes.cmp(&other.bytes);
        let Some(winner) = self.attempts.iter().filter(begin).min_by(lowest) else {
            return;
        };
        let (rate, bytes) = (winner.rate, winner.bytes.clone());
        let before = self.usage.bytes;
        let outcome = self.transact(rate, &bytes);
        let passed = (self.usage.bytes - before) as usize;
        for attempt in &mut self.attempts {
            if attempt.progress != Progress::Begins {
                continue;
            }
            let loses_at = attempt.loses_at(&bytes);
            attempt.progress = match outcome {
                // It ended before the bytes differed.
                Outcome::Ended(result) if loses_at.is_none_or(|byte| byte >= passed) => {
                    Progress::Ended(result)
                }
                Outcome::Held if loses_at.is_none() => Progress::Held(self.releases),
                _ => {
                    self.usage.arbitrations_lost += 1;
                    Progress::Ended(Err(ErrorKind::ArbitrationLoss))
                }
            };
        }
    }
}

/// An [`Attempt`] of a controller that waits for its end. Dropped, the controller lets go of the
/// bus.
pub(super) struct Attempting<'b> {
    bus: &'b SimulatedBus,
    number: u64,
}

impl<'b> Attempting<'b> {
    pub(super) fn new(bus: &'b SimulatedBus, rate: Rate, bytes: Vec<u8>) -> Self {
        let mut state = bus.0.borrow_mut();
        state.last_attempt += 1;
        state.events += 1;
        let number = state.last_attempt;
        state.attempts.push(Attempt {
            number,
            rate,
            bytes,
            progress: Progress::Begins,
        });
        Self { bus, number }
    }

    /// To be polled when everybody had the chance to begin, too.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<(), ErrorKind>> {
        let mut state = self.bus.0.borrow_mut();
        if !state.is_connected {
            return Poll::Ready(Err(ErrorKind::Bus));
        }
        if !state.is_stuck && self.progress(&state) == Some(Progress::Begins) {
            state.arbitrate();
        }
        match self.progress(&state) {
            Some(Progress::Ended(result)) => Poll::Ready(result),
            Some(Progress::Held(releases)) if releases < state.releases => {
                Poll::Ready(Err(ErrorKind::Bus))
            }
            _ => {
                state.wait(context);
                Poll::Pending
            }
        }
    }

    fn progress(&self, state: &State) -> Option<Progress> {
        let mut attempts = state.attempts.iter();
        let own = attempts.find(|attempt| attempt.number == self.number);
        own.map(|attempt| attempt.progress)
    }
}

impl Drop for Attempting<'_> {
    fn drop(&mut self) {
        let mut state = self.bus.0.borrow_mut();
        state
            .attempts
            .retain(|attempt| attempt.number != self.number);
    }
}
