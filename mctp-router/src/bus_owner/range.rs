//! Endpoint IDs that follow one another.

use mctp::Eid;

/// At least one endpoint ID that can be given to an endpoint, 8 to 254, and those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Range {
    first: Eid,
    last: Eid,
}

impl Range {
    /// From `first` to `last`; `None` when they are not 8 to 254, or in another order.
    pub fn new(first: Eid, last: Eid) -> Option<Self> {
        let are_normal = Eid::new_normal(first.0).is_ok() && Eid::new_normal(last.0).is_ok();
        (are_normal && first.0 <= last.0).then_some(Self { first, last })
    }

    /// `size` endpoint IDs; `None` when it is 0, or not all of them are 8 to 254.
    pub fn of_size(first: Eid, size: u8) -> Option<Self> {
        let last = first.0.checked_add(size.checked_sub(1)?)?;
        Self::new(first, Eid(last))
    }

    /// The first endpoint ID.
    pub const fn first(self) -> Eid {
        self.first
    }

    /// The last endpoint ID.
    pub const fn last(self) -> Eid {
        self.last
    }

    /// How many endpoint IDs there are.
    pub const fn size(self) -> u8 {
        // At most 247.
        self.last.0.wrapping_sub(self.first.0).wrapping_add(1)
    }

    /// Whether an endpoint ID is among them.
    pub const fn contains(self, endpoint_id: Eid) -> bool {
        self.first.0 <= endpoint_id.0 && endpoint_id.0 <= self.last.0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Eid> {
        (self.first.0..=self.last.0).map(Eid)
    }
}
