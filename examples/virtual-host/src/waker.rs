//! One waker for one task.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Waker};

/// Runs `future` with the same waker at each poll, for as long as it belongs to the same task.
///
/// What embassy-sync wakes by, `WakerRegistration` and `Signal`, has room for one waiter: when
/// another one comes it wakes the one before. tokio's wakers of one task may look like different
/// ones: each refers to a table of functions, of which the compiler may have made several. Then a
/// task that does nothing but wait wakes itself for ever.
pub async fn with_one_waker<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut kept: Option<Waker> = None;
    poll_fn(|context| {
        let task = context.waker().data();
        if kept.as_ref().is_none_or(|waker| waker.data() != task) {
            kept = Some(context.waker().clone());
        }
        let waker = kept.as_ref().unwrap_or(context.waker());
        future.as_mut().poll(&mut Context::from_waker(waker))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Poll, Wake};

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_newest_task_is_woken() {
        let tasks = [(); 2].map(|()| Arc::new(Task::default()));
        let mut seen = Vec::new();
        let future = with_one_waker(poll_fn(|context| {
            seen.push(context.waker().clone());
            match seen.len() {
                4 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }));
        {
            let mut future = pin!(future);
            for task in [0, 0, 1, 1] {
                let waker = Waker::from(Arc::clone(&tasks[task]));
                let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
            }
        }
        assert!(seen[0].will_wake(&seen[1]) && seen[2].will_wake(&seen[3]));
        seen[3].wake_by_ref();
        let woken = tasks.map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
    }
}
