//! Critical sections that cost as little as a microcontroller's with a single core: a flag that is
//! read and set. Those of a program with threads are a lock each.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use critical_section::{Impl, RawRestoreState, set_impl};

struct SingleThread;
set_impl!(SingleThread);

/// As the flag that a microcontroller has for whether interrupts are off.
static ENTERED: AtomicBool = AtomicBool::new(false);

// SAFETY: the programs have one thread and no interrupts.
unsafe impl Impl for SingleThread {
    unsafe fn acquire() -> RawRestoreState {
        let before = ENTERED.load(Relaxed);
        ENTERED.store(true, Relaxed);
        before
    }

    unsafe fn release(before: RawRestoreState) {
        ENTERED.store(before, Relaxed);
    }
}
