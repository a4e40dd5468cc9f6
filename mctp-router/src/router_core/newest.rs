//! Which request under a tag is the newest: responses to older ones are not sent to their ends.

use super::key::Key;

/// Entries: eight tags each of four requesters.
const ENTRIES: usize = 32;

/// The newest request of each terminus (network, source, tag), as far as they do not meet in an
/// entry: of two that do, the newer one is known.
pub(crate) type Newest = [(Key, RequestNumber); ENTRIES];
pub(crate) const NO_REQUESTS: Newest = [(Key::NONE, RequestNumber(0)); ENTRIES];

/// Counts the requests that the router has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestNumber(u32);

impl RequestNumber {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A request has come.
#[inline]
pub(crate) fn note(newest: &mut Newest, key: Key, number: RequestNumber) {
    if let Some(entry) = newest.get_mut(key.entry() & (ENTRIES - 1)) {
        *entry = (key, number);
    }
}

/// Whether another request is known to be newer than this one under the same tag.
#[inline]
pub(crate) fn is_superseded(newest: &Newest, (key, number): (Key, RequestNumber)) -> bool {
    let entry = newest.get(key.entry() & (ENTRIES - 1));
    entry.is_some_and(|(newest_key, newest)| *newest_key == key && *newest != number)
}
