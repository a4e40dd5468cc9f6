//! The smallest executor that polls only those who were woken, and the rounds that count.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

use crate::case::Case;
use crate::link::Link;
use crate::meter::{counted, start};

/// One of the device's tasks.
pub type Task = Pin<Box<dyn Future<Output = Infallible>>>;

/// Who was woken, one bit for each task of the one executor there is.
static READY: AtomicU64 = AtomicU64::new(0);

struct Bit(u64);

impl Wake for Bit {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        READY.fetch_or(self.0, Relaxed);
    }
}

struct Executor(Vec<(Task, Waker)>);

impl Executor {
    /// Starts `tasks`: each runs until it waits.
    fn new(tasks: Vec<Task>) -> Self {
        let wakers = (0..u64::BITS).map(|index| Waker::from(Arc::new(Bit(1 << index))));
        let mut executor = Self(tasks.into_iter().zip(wakers).collect());
        READY.store((1 << executor.0.len()) - 1, Relaxed);
        while READY.load(Relaxed) != 0 {
            executor.poll_first();
        }
        executor
    }

    /// Polls the first of those who were woken.
    fn poll_first(&mut self) {
        #[cfg(feature = "board")]
        crate::clock::tick();
        let ready = READY.load(Relaxed);
        assert_ne!(ready, 0, "all tasks wait, and there is no end");
        READY.store(ready & (ready - 1), Relaxed);
        let (task, waker) = &mut self.0[ready.trailing_zeros() as usize];
        let mut context = Context::from_waker(waker);
        let _ = counted(|| task.as_mut().poll(&mut context));
    }
}

/// Measures rounds in which `tasks` do what there is to do with a group of messages.
pub fn measure(case: &Case, link: &'static Link, tasks: Vec<Task>) {
    let mut executor = Executor::new(tasks);
    measure_rounds(case, link, || {
        link.begin();
        while !link.has_ended() {
            executor.poll_first();
        }
    });
}

/// Measures `round`, which does what there is to do with a group of messages, for all groups and
/// [`Case::rounds`] times.
///
/// First, without being measured, all groups with what was sent checked. Prints how much was
/// measured.
pub fn measure_rounds(case: &Case, link: &Link, mut round: impl FnMut()) {
    for _ in 0..link.groups().max(4) {
        link.start_capture();
        round();
        link.check_capture(case);
    }
    let before = link.sent_bytes();
    let rounds = link.groups() * case.rounds;
    start();
    for _ in 0..rounds {
        round();
    }
    let (messages, bytes) = (
        rounds * link.messages_of_round(),
        link.sent_bytes() - before,
    );
    println!("{messages} messages, {bytes} bytes sent");
}
