//! Whoever reads the log.

use core::future::poll_fn;
use core::task::Poll;

use crate::buffer::Place;
use crate::logger::{Lock, register};

/// Reads what is kept of a log, at its own pace. Made by
/// [`DeviceLog::reader`](crate::DeviceLog::reader).
pub struct Reader<'l, const EARLY: usize, const RECENT: usize> {
    pub(crate) lock: &'l Lock<EARLY, RECENT>,
    pub(crate) place: Place,
}

impl<const EARLY: usize, const RECENT: usize> Reader<'_, EARLY, RECENT> {
    /// Begins anew, with the first lines: for the next one who looks at them.
    pub fn attach(&mut self) {
        self.place = Place::START;
    }

    /// Reads what there is, as far as it fits. Returns how many bytes: 0 when there is nothing new.
    pub fn try_read(&mut self, out: &mut [u8]) -> usize {
        self.lock.lock(|shared| match shared.try_borrow() {
            Ok(shared) => shared.buffer.read(&mut self.place, out),
            Err(_) => 0,
        })
    }

    /// Waits until there is something, and reads it. At most one reader of a log can wait at a
    /// time.
    ///
    /// May be dropped at any time: what is read was returned.
    pub async fn read(&mut self, out: &mut [u8]) -> usize {
        if out.is_empty() {
            return 0;
        }
        poll_fn(|context| match self.try_read(out) {
            0 => {
                register(self.lock, context);
                // A line that came in between has woken nobody.
                match self.try_read(out) {
                    0 => Poll::Pending,
                    length => Poll::Ready(length),
                }
            }
            length => Poll::Ready(length),
        })
        .await
    }
}
