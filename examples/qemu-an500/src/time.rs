//! embassy's clock, in microseconds since start: TIMER0 counts, TIMER1 rings.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use tock_registers::interfaces::{Readable, Writeable};

use crate::registers::{TimerControl, timer0, timer1};

/// Of the timers.
const CYCLES_PER_MICROSECOND: u32 = 25;
/// After so long TIMER0 starts again, and TIMER1 rings at the latest.
const ROUND: u32 = 100_000_000;
const ROUND_CYCLES: u32 = ROUND * CYCLES_PER_MICROSECOND;

struct Clock {
    /// How often TIMER0 has started again.
    rounds: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    rounds: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts the clock, at zero.
pub fn start() {
    let timer = timer0();
    timer.reload.set(ROUND_CYCLES - 1);
    timer.value.set(ROUND_CYCLES - 1);
    timer
        .control
        .write(TimerControl::ENABLE::SET + TimerControl::INTERRUPT::SET);
}

/// Processor cycles since TIMER0 has started again, for measurements that are short.
pub fn cycles() -> u32 {
    ROUND_CYCLES - 1 - timer0().value.get()
}

/// The interrupt handler of TIMER0.
pub(crate) extern "C" fn on_wrap() {
    critical_section::with(|section| {
        // Cleared and counted at once, so that nobody sees one without the other.
        timer0().interrupt_status.set(1);
        let rounds = CLOCK.rounds.borrow(section);
        rounds.set(rounds.get() + 1);
    });
}

/// The interrupt handler of TIMER1.
pub(crate) extern "C" fn on_alarm() {
    timer1().interrupt_status.set(1);
    critical_section::with(|section| CLOCK.ring(section));
}

impl Clock {
    fn now(&self, section: CriticalSection<'_>) -> u64 {
        let timer = timer0();
        let mut rounds = self.rounds.borrow(section).get();
        let mut cycles = cycles();
        // It may have started again without being counted yet, before or after it was read.
        if timer.interrupt_status.get() != 0 {
            rounds += 1;
            cycles = self::cycles();
        }
        rounds * u64::from(ROUND) + u64::from(cycles / CYCLES_PER_MICROSECOND)
    }

    /// Wakes whose time has come, and sets TIMER1 for the next.
    fn ring(&self, section: CriticalSection<'_>) {
        let mut queue = self.queue.borrow_ref_mut(section);
        let timer = timer1();
        timer.control.write(TimerControl::ENABLE::CLEAR);
        timer.interrupt_status.set(1);
        let now = self.now(section);
        let next = queue.next_expiration(now);
        if next == u64::MAX {
            return;
        }
        // Rounded up by one, because the count has begun a microsecond that is not over.
        let wait = next.saturating_sub(now).min(u64::from(ROUND) - 1) as u32 + 1;
        let cycles = wait * CYCLES_PER_MICROSECOND;
        timer.reload.set(cycles - 1);
        timer.value.set(cycles - 1);
        timer
            .control
            .write(TimerControl::ENABLE::SET + TimerControl::INTERRUPT::SET);
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|section| Clock::now(self, section))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let earlier = self.queue.borrow_ref_mut(section).schedule_wake(at, waker);
            if earlier {
                self.ring(section);
            }
        });
    }
}
