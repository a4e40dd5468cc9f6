//! Lists of slots. A slot moves from one to another by reference.

use super::key::BUCKETS;
use super::slots::{Slot, Which};

/// Where a list has a slot, or its end.
pub(super) type Place<'b> = Option<&'b mut Slot<'b>>;

/// Slots one behind the other.
#[derive(Debug)]
pub struct List<'b> {
    first: Place<'b>,
}

impl<'b> List<'b> {
    pub(super) const EMPTY: Self = Self { first: None };

    #[inline]
    pub(super) fn push_first(&mut self, slot: &'b mut Slot<'b>) {
        slot.next = self.first.take();
        self.first = Some(slot);
    }

    #[inline]
    pub(super) fn take_first(&mut self) -> Place<'b> {
        take(&mut self.first)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether there is a slot, and if `and_another`, a second one.
    #[inline]
    pub(super) fn has_one(&self, and_another: bool) -> bool {
        let first = self.first.as_ref();
        first.is_some_and(|first| !and_another || first.next.is_some())
    }

    /// Where the first slot is for which `condition` holds.
    #[inline]
    fn find(&mut self, condition: impl Fn(&Slot<'b>) -> bool) -> Option<&mut Place<'b>> {
        let mut place = &mut self.first;
        while !condition(place.as_deref()?) {
            place = &mut place.as_mut()?.next;
        }
        Some(place)
    }
}

/// Takes the slot at this place out of its list.
#[inline]
pub(super) fn take<'b>(place: &mut Place<'b>) -> Place<'b> {
    let slot = place.take()?;
    *place = slot.next.take();
    Some(slot)
}

/// First in, first out.
#[derive(Debug)]
pub(super) struct Queue<'b> {
    /// The oldest is the first. Empty only if there are no newer ones either.
    oldest: List<'b>,
    /// Those that came later: the newest is the first.
    newer: List<'b>,
}

impl<'b> Queue<'b> {
    pub(super) const EMPTY: Self = Self {
        oldest: List::EMPTY,
        newer: List::EMPTY,
    };

    #[inline]
    pub(super) fn push(&mut self, slot: &'b mut Slot<'b>) {
        if self.oldest.is_empty() {
            self.oldest.push_first(slot);
        } else {
            self.newer.push_first(slot);
        }
    }

    #[inline]
    pub(super) fn take(&mut self) -> Place<'b> {
        let slot = self.oldest.take_first()?;
        if self.oldest.is_empty() && !self.newer.is_empty() {
            self.turn_round();
        }
        Some(slot)
    }

    /// Each slot is turned round once at most.
    #[inline(never)]
    fn turn_round(&mut self) {
        while let Some(slot) = self.newer.take_first() {
            self.oldest.push_first(slot);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_empty()
    }
}

/// Those of [`Unfinished`].
pub(crate) type Buckets<'b> = [List<'b>; BUCKETS];

pub(crate) const fn empty_buckets<'b>() -> Buckets<'b> {
    [const { List::EMPTY }; BUCKETS]
}

/// The unfinished messages, each in the list of its key's bucket.
#[derive(Debug)]
pub(super) struct Unfinished<'b>(pub(super) &'b mut Buckets<'b>);

impl<'b> Unfinished<'b> {
    #[inline]
    pub(super) fn insert(&mut self, slot: &'b mut Slot<'b>) {
        if let Some(bucket) = self.0.get_mut(slot.key().bucket()) {
            bucket.push_first(slot);
        }
    }

    /// Where a message of this bucket is for which `condition` holds.
    #[inline]
    pub(super) fn find(
        &mut self,
        bucket: usize,
        condition: impl Fn(&Slot<'b>) -> bool,
    ) -> Option<&mut Place<'b>> {
        self.0.get_mut(bucket)?.find(condition)
    }

    /// Takes out one of those messages.
    pub(super) fn take_any(&mut self, which: Which) -> Place<'b> {
        for bucket in self.0.iter_mut() {
            if let Some(place) = bucket.find(|slot| slot.is(which)) {
                return take(place);
            }
        }
        None
    }

    /// Not generic, as there is no hurry.
    pub(super) fn for_each(&mut self, act: &mut dyn FnMut(&mut Slot<'b>)) {
        for bucket in self.0.iter_mut() {
            let mut rest = bucket.first.as_deref_mut();
            while let Some(slot) = rest {
                act(slot);
                rest = slot.next.as_deref_mut();
            }
        }
    }

    pub(super) fn look_at_each(&self, look: &mut dyn FnMut(&Slot<'b>)) {
        for bucket in self.0.iter() {
            let mut rest = bucket.first.as_deref();
            while let Some(slot) = rest {
                look(slot);
                rest = slot.next.as_deref();
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let mut count = 0_usize;
        self.look_at_each(&mut |_| count = count.wrapping_add(1));
        count
    }
}
