//! The clock of a board: it goes on with every poll of a task, and rings for the one task that
//! waits for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};

use crate::meter::uncounted;

/// Polls a millisecond: about a microsecond each, as a poll takes some hundred instructions.
const TICKS_SHIFT: u32 = 10;

static TICKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static DEADLINE: Cell<u64> = const { Cell::new(u64::MAX) };
    static WAITING: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Milliseconds since the start.
#[inline]
pub fn now() -> u64 {
    TICKS.load(Relaxed) >> TICKS_SHIFT
}

/// Until `deadline`, in milliseconds.
#[inline]
pub async fn wait_until(deadline: u64) {
    poll_fn(|context| {
        uncounted(|| {
            if has_come(deadline) {
                return Poll::Ready(());
            }
            DEADLINE.set(deadline);
            WAITING.set(Some(context.waker().clone()));
            Poll::Pending
        })
    })
    .await;
}

/// What a timer and its interrupt do, which is not counted.
pub fn tick() {
    TICKS.fetch_add(1, Relaxed);
    if has_come(DEADLINE.get()) {
        DEADLINE.set(u64::MAX);
        if let Some(waker) = WAITING.take() {
            waker.wake();
        }
    }
}

fn has_come(deadline: u64) -> bool {
    TICKS.load(Relaxed) >> TICKS_SHIFT >= deadline
}
