//! Firmware slots that take their time, as those in flash memory do: `piece_seconds` and
//! `commit_seconds` of a model file.

use std::task::Poll;

use mctp_router::{Clock, Instant};
use nvme_mi_responder::world::{FirmwareError, FirmwareStore};

/// How much longer than something takes, in milliseconds, a requester is asked to wait: for the
/// responder to look again, and for the response to arrive.
const ALLOWANCE: u32 = 1000;

/// How long a store takes, in milliseconds. 0: as long as it does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirmwareTimes {
    /// For each piece of an image that it keeps.
    pub piece: u32,
    /// For an image that it stores in a slot.
    pub commit: u32,
}

/// Another store, in which each piece and each commit is pending for a time.
#[derive(Debug)]
pub(crate) struct SlowFirmware<S, C> {
    store: S,
    clock: C,
    times: FirmwareTimes,
    pending: Option<(Operation, Instant)>,
}

/// What can be pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Write { offset: u32 },
    Commit { slot: u8, length: u32 },
}

impl<S: FirmwareStore, C: Clock> SlowFirmware<S, C> {
    /// `store` takes these times by this clock.
    pub(crate) fn new(store: S, clock: C, times: FirmwareTimes) -> Self {
        Self {
            store,
            clock,
            times,
            pending: None,
        }
    }

    /// The store once the operation, which begins unless it has begun, has taken its time.
    fn after(&mut self, operation: Operation, time: u32) -> Poll<&mut S> {
        let now = self.clock.now();
        let begun = self.pending.filter(|(pending, _)| *pending == operation);
        let (_, ends_at) = begun.unwrap_or((operation, now.after(time)));
        self.pending = Some((operation, ends_at));
        match now < ends_at {
            true => Poll::Pending,
            false => Poll::Ready(self.free()),
        }
    }

    /// The store, for a call that means that what is pending was given up.
    fn free(&mut self) -> &mut S {
        self.pending = None;
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
        let time = self.times.piece;
        match self.after(Operation::Write { offset }, time) {
            Poll::Ready(store) => store.write(offset, data),
            Poll::Pending => Poll::Pending,
        }
    }

    fn longest_write(&self) -> u32 {
        longest(self.times.piece).unwrap_or_else(|| self.store.longest_write())
    }

    fn commit(&mut self, slot: u8, length: u32) -> Poll<Result<(), FirmwareError>> {
        let time = self.times.commit;
        match self.after(Operation::Commit { slot, length }, time) {
            Poll::Ready(store) => store.commit(slot, length),
            Poll::Pending => Poll::Pending,
        }
    }

    fn longest_commit(&self) -> u32 {
        longest(self.times.commit).unwrap_or_else(|| self.store.longest_commit())
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

/// What a requester is told of something that takes this time; `None`: that is for the store to say.
fn longest(time: u32) -> Option<u32> {
    (time != 0).then(|| time.saturating_add(ALLOWANCE))
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
    fn downloaded<'b, 'c>(memory: &'b mut [u8], clock: &'c Moved, commit: u32) -> Slow<'b, 'c> {
        let slots = [Some(*b"OLD00001"), None];
        let times = FirmwareTimes { piece: 0, commit };
        let mut store = SlowFirmware::new(MemoryFirmware::new(memory, slots), clock, times);
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
    fn each_piece_is_pending_for_its_time() {
        let (mut memory, clock) = ([0; 96], Moved::default());
        let mut store = downloaded(&mut memory, &clock, 0);
        store.discard();
        store.times.piece = 1000;
        assert_eq!(store.longest_write(), 2000);
        for (start, offset) in [(0, 0), (5000, 8)] {
            clock.0.set(start);
            assert_eq!(store.write(offset, &[7; 8]), Poll::Pending);
            clock.0.set(start + 999);
            assert_eq!(store.write(offset, &[7; 8]), Poll::Pending);
            clock.0.set(start + 1000);
            assert_eq!(store.write(offset, &[7; 8]), Poll::Ready(Ok(())));
        }
    }

    #[test]
    fn without_a_time_a_commit_is_that_of_the_store() {
        let (mut memory, clock) = ([0; 96], Moved::default());
        let mut store = downloaded(&mut memory, &clock, 0);
        assert_eq!(store.commit(2, 32), Poll::Ready(Ok(())));
        assert_eq!(store.longest_commit(), store.store.longest_commit());
    }
}
