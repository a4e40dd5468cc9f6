//! A future that is polled when it was woken, as an executor does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

pub(crate) struct Task<'f> {
    /// None when it has completed.
    future: Option<Pin<Box<dyn Future<Output = ()> + 'f>>>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'f> Task<'f> {
    pub(crate) fn new(future: impl Future<Output = ()> + 'f) -> Self {
        Self {
            future: Some(Box::pin(future)),
            woken: Arc::new(Flag(AtomicBool::new(true))),
        }
    }

    /// Polls the future if it was woken; whether it was.
    pub(crate) fn poll(&mut self) -> bool {
        let Some(future) = &mut self.future else {
            return false;
        };
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return false;
        }
        let waker = Waker::from(self.woken.clone());
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.future = None;
        }
        true
    }
}
