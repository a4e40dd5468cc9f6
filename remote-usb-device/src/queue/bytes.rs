//! A first-in first-out byte queue in storage that somebody else owns.

use crate::copy::{copy, move_to_front};

/// Which part of the storage is in use. It is always contiguous: bytes move to the front when the
/// end runs out.
pub(crate) struct ByteQueue {
    start: usize,
    end: usize,
}

impl ByteQueue {
    pub(crate) const fn new() -> Self {
        Self { start: 0, end: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn free(&self, storage: &[u8]) -> usize {
        storage.len().saturating_sub(self.len())
    }

    /// Appends all of `data`, or nothing and returns false.
    pub(crate) fn push(&mut self, storage: &mut [u8], data: &[u8]) -> bool {
        if data.len() > self.free(storage) {
            return false;
        }
        if data.len() > storage.len().saturating_sub(self.end) {
            let used = storage.get_mut(..self.end).unwrap_or_default();
            move_to_front(used, self.start);
            (self.start, self.end) = (0, self.len());
        }
        let end = self.end.saturating_add(data.len());
        if let Some(space) = storage.get_mut(self.end..end) {
            copy(data, space);
            self.end = end;
        }
        true
    }

    /// Moves as many bytes as both sides allow from the front into `out`, and returns how many.
    pub(crate) fn pop(&mut self, storage: &[u8], out: &mut [u8]) -> usize {
        let count = out.len().min(self.len());
        let end = self.start.saturating_add(count);
        if let (Some(from), Some(to)) = (storage.get(self.start..end), out.get_mut(..count)) {
            copy(from, to);
        }
        self.skip(count);
        count
    }

    /// Drops `count` bytes from the front.
    pub(crate) fn skip(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Drops `count` bytes that start `offset` bytes after the front.
    pub(crate) fn remove(&mut self, storage: &mut [u8], offset: usize, count: usize) {
        let from = self.start.saturating_add(offset).min(self.end);
        let to = from.saturating_add(count).min(self.end);
        let dropped = to.saturating_sub(from);
        let rest = storage.get_mut(from..self.end).unwrap_or_default();
        move_to_front(rest, dropped);
        self.end = self.end.saturating_sub(dropped);
    }

    /// Drops `count` bytes from the end.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.end = self.end.saturating_sub(count).max(self.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum Step {
        Push(Vec<u8>),
        Pop(usize),
        Skip(usize),
        Remove(usize, usize),
        Truncate(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Step::Push),
            (0usize..20).prop_map(Step::Pop),
            (0usize..20).prop_map(Step::Skip),
            (0usize..20, 0usize..20).prop_map(|(at, count)| Step::Remove(at, count)),
            (0usize..20).prop_map(Step::Truncate),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_bounded_deque(steps in proptest::collection::vec(step(), 0..60)) {
            let mut storage = [0; 32];
            let mut queue = ByteQueue::new();
            let mut model = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push(data) => {
                        let fits = model.len() + data.len() <= 32;
                        prop_assert_eq!(queue.push(&mut storage, &data), fits);
                        if fits { model.extend(data); }
                    }
                    Step::Pop(count) => {
                        let mut out = vec![0; count];
                        let popped = queue.pop(&storage, &mut out);
                        let expected: Vec<u8> = model.drain(..count.min(model.len())).collect();
                        prop_assert_eq!(&out[..popped], &expected[..]);
                    }
                    Step::Skip(count) => { queue.skip(count); model.drain(..count.min(model.len())); }
                    Step::Remove(at, count) => {
                        queue.remove(&mut storage, at, count);
                        let from = at.min(model.len());
                        let to = (from + count).min(model.len());
                        model.drain(from..to);
                    }
                    Step::Truncate(count) => { queue.truncate(count); model.truncate(model.len().saturating_sub(count)); }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.free(&storage), 32 - model.len());
            }
        }
    }
}
