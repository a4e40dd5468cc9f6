//! A pool of endpoint IDs.

use mctp::Eid;

/// A range of endpoint IDs that a bridge assigns: at least one, each 8 to 254.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    first: Eid,
    last: Eid,
}

impl Pool {
    /// The endpoint IDs from `first` to `last`; `None` when they are no such range.
    pub(crate) fn new(first: Eid, last: Eid) -> Option<Self> {
        let is_range = Eid::new_normal(first.0).is_ok() && Eid::new_normal(last.0).is_ok();
        (is_range && first.0 <= last.0).then_some(Self { first, last })
    }

    /// As many endpoint IDs from `first` on; `None` when they are no such range.
    pub(crate) fn of_size(first: Eid, size: u8) -> Option<Self> {
        let last = first.0.checked_add(size.checked_sub(1)?)?;
        Self::new(first, Eid(last))
    }

    /// The first endpoint ID.
    pub(crate) const fn first(&self) -> Eid {
        self.first
    }

    /// The last endpoint ID.
    pub(crate) const fn last(&self) -> Eid {
        self.last
    }

    /// How many endpoint IDs it has.
    pub(crate) const fn size(&self) -> u8 {
        self.last.0.wrapping_sub(self.first.0).wrapping_add(1)
    }

    /// Whether it has this endpoint ID.
    pub(crate) fn contains(&self, endpoint_id: Eid) -> bool {
        (self.first.0..=self.last.0).contains(&endpoint_id.0)
    }

    /// Whether it has an endpoint ID of a range.
    pub(crate) fn overlaps(&self, first: Eid, last: Eid) -> bool {
        first.0 <= self.last.0 && self.first.0 <= last.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_a_range_of_assignable_endpoint_ids() {
        for first in 0..=255 {
            for last in 0..=255 {
                let pool = Pool::new(Eid(first), Eid(last));
                assert_eq!(pool.is_some(), 8 <= first && first <= last && last <= 254);
                let Some(pool) = pool else { continue };
                assert_eq!(u16::from(pool.size()), u16::from(last - first) + 1);
                assert_eq!(Pool::of_size(Eid(first), pool.size()), Some(pool));
                assert!(pool.contains(Eid(first)) && pool.contains(Eid(last)));
                assert!(!pool.contains(Eid(first - 1)) && !pool.contains(Eid(last + 1)));
            }
        }
    }

    #[test]
    fn a_size_that_leads_out_of_the_endpoint_ids_is_no_pool() {
        let sizes = [(8, 0), (7, 1), (8, 248), (254, 2), (255, 1), (10, 255)];
        for (first, size) in sizes {
            assert_eq!(Pool::of_size(Eid(first), size), None, "{first} {size}");
        }
    }
}
