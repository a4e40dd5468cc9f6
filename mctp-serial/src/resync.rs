//! The request for the recovery preamble, shared by the two halves of a port and the firmware.

use core::sync::atomic::{AtomicBool, Ordering};

/// Asks a [`Sender`](crate::Sender) for the recovery preamble
/// ([`framing::PREAMBLE`](crate::framing::PREAMBLE)) while a stack has it.
///
/// The preamble comes before the first frame in any case, and before the first one after the
/// [`Receiver`](crate::Receiver) told the stack that the link is up. Firmware asks for it where the
/// neighbour may have lost track of frames: after many seconds of silence on a link that is polled,
/// after the line was disturbed, or when a person says so.
///
/// A flag that is set and cleared with loads and stores only, as not every core has more.
#[derive(Debug, Default)]
pub struct Resync(AtomicBool);

impl Resync {
    /// Nothing is asked for.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Has the next transfer begin with the recovery preamble. Nothing is sent before that.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Clears the request before it is acted on: one that comes in between is either this one, or
    /// is seen next time.
    pub(crate) fn take(&self) -> bool {
        let is_requested = self.0.load(Ordering::Acquire);
        if is_requested {
            self.0.store(false, Ordering::Release);
        }
        is_requested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once() {
        let resync = Resync::new();
        assert!(!resync.take());
        resync.request();
        resync.request();
        assert!(resync.take());
        assert!(!resync.take());
    }
}
