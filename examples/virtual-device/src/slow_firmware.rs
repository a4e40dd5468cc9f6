//! Firmware slots that take their time, as those in flash memory do: `commit_seconds` of a model
//! file.

use std::task::Poll;

use mctp_router::{Clock, Instant};
use nvme_mi_responder::world::{FirmwareError, FirmwareStore};

/// How much longer than a commit takes, in milliseconds, a requester is asked to wait: for the
/// responder to look again, and for the response to arrive.
const ALLOWANCE: u32 = 1000;

/// Another store, in which each commit is pending for a time.
#[derive(Debug)]
pub struct SlowFirmware<S, C> {
    store: S,
    clock: C,
    /// In milliseconds. 0: as long as the other store takes.
    commit_time: u32,
    commit: Option<PendingCommit>,
}

#[derive(Clone, Copy, Debug)]
struct PendingCommit {
    slot: u8,
    length: u32,
    ends_at: Instant,
}

impl<S: FirmwareStore, C: Clock> SlowFirmware<S, C> {
    /// Commits to `store` take `commit_time` milliseconds by this clock.
    pub fn new(store: S, clock: C, commit_time: u32) -> Self {
        Self {
            store,
            clock,
            commit_time,
            commit: None,
        }
    }

    /// Whether the time of this commit, which begins unless it has begun, is over.
    fn has_taken_its_time(&mut self, slot: u8, length: u32) -> bool {
        let now = self.clock.now();
        let is_this = |pending: &PendingCommit| (pending.slot, pending.length) == (slot, length);
        let commit = self.commit.filter(is_this).unwrap_or(PendingCommit {
            slot,
            length,
            ends_at: now.after(self.commit_time),
        });
        self.commit = Some(commit);
        now >= commit.ends_at
    }

    /// The store, for a call that means that a pending commit was given up.
    fn free(&mut self) -> &mut S {
        self.commit = None;
        &mut self.store
    }
}

impl<S: FirmwareStore, C: Clock> FirmwareStore for SlowFirmware<S, C> {
    fn slots(&self) -> u8 {
        self.store.slots()
    }

    fn is_first_slot_read_only(&self) -> bool {
        self.store.is_first_slot_read_only()
    }

    fn active_slot(&self) -> u8 {
        self.store.active_slot()
    }

    fn next_slot(&self) -> Option<u8> {
        self.store.next_slot()
    }

    fn revision(&self, slot: u8) -> Option<[u8; 8]> {
        self.store.revision(slot)
    }

    fn running_revision(&self) -> Option<[u8; 8]> {
        self.store.running_revision()
    }

    fn capacity(&self) -> u32 {
        self.store.capacity()
    }

    fn takes_only_whole_pages(&self) -> bool {
        self.store.takes_only_whole_pages()
    }

    fn activates_without_reset(&self) -> bool {
        self.store.activates_without_reset()
    }

    fn discard(&mut self) {
        self.free().discard();
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Poll<Result<(), FirmwareError>> {
        self.free().write(offset, data)
    }

    fn longest_write(&self) -> u32 {
        self.store.longest_write()
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        if self.commit_time != 0 && !self.has_taken_its_time(slot, length) {
            return Poll::Pending;
        }
        let result = self.store.commit(slot, length);
        if result.is_ready() {
            self.commit = None;
        }
        result
    }

    fn longest_commit(&self) -> u32 {
        match self.commit_time {
            0 => self.store.longest_commit(),
            time => time.saturating_add(ALLOWANCE),
        }
    }

    fn activate_on_reset(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.free().activate_on_reset(slot)
    }

    fn activate(&mut self, slot: u8) -> Result<(), FirmwareError> {
        self.free().activate(slot)
    }

    fn reset(&mut self) -> bool {
        self.free().reset()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use nvme_mi_responder::world::{MemoryFirmware, firmware_image_header};

    use super::*;

    /// A clock that a test moves.
    #[derive(Default)]
    struct Moved(Cell<u64>);

    impl Clock for Moved {
        fn now(&self) -> Instant {
            Instant::from_millis(self.0.get())
        }

        async fn wait_until(&self, _: Instant) {
            pending().await
        }
    }

    type Slow<'b, 'c> = SlowFirmware<MemoryFirmware<'b, 2>, &'c Moved>;

    /// Slot 1 has firmware; an image of 32 bytes was downloaded.
    fn downloaded<'b, 'c>(memory: &'b mut [u8], clock: &'c Moved, time: u32) -> Slow<'b, 'c> {
        let slots = [Some(*b"OLD00001"), None];
        let mut store = SlowFirmware::new(MemoryFirmware::new(memory, slots), clock, time);
        let content = [7; 8];
        let image = [&firmware_image_header(*b"NEW00001", &content)[..], &content].concat();
        assert_eq!(store.write(0, &image), Poll::Ready(Ok(())));
        store
    }

    #[test]
    fn a_commit_is_pending_for_its_time() {
        let (mut memory, clock) = ([0; 96], Moved::default());
        let mut store = downloaded(&mut memory, &clock, 45_000);
        assert_eq!(store.longest_commit(), 46_000);
        for now in [0, 1, 44_999] {
            clock.0.set(now);
            assert_eq!(store.commit(2, 32), Poll::Pending, "{now}");
            assert_eq!(store.revision(2), None);
        }
        clock.0.set(45_000);
        assert_eq!(store.commit(2, 32), Poll::Ready(Ok(())));
        assert_eq!(store.revision(2), Some(*b"NEW00001"));
    }

    #[test]
    fn a_commit_that_was_given_up_takes_its_whole_time_again() {
        let (mut memory, clock) = ([0; 96], Moved::default());
        let mut store = downloaded(&mut memory, &clock, 1000);
        assert_eq!(store.commit(2, 32), Poll::Pending);
        clock.0.set(500);
        assert_eq!(store.commit(1, 32), Poll::Pending);
        clock.0.set(1499);
        assert_eq!(store.commit(1, 32), Poll::Pending);
        store.discard();
        clock.0.set(1500);
        assert_eq!(store.commit(1, 32), Poll::Pending);
    }

    #[test]
    fn without_a_time_a_commit_is_that_of_the_store() {
        let (mut memory, clock) = ([0; 96], Moved::default());
        let mut store = downloaded(&mut memory, &clock, 0);
        assert_eq!(store.commit(2, 32), Poll::Ready(Ok(())));
        assert_eq!(store.longest_commit(), store.store.longest_commit());
    }
}
