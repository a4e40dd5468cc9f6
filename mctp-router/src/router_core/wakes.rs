//! Whom the inputs concern, beside those whom their results name.

use super::ChannelId;

/// Whom what was done concerns, beside those whom its result names: those who waited for one of these
/// have to look again. A caller that does not know a variant, which may be added later, wakes
/// everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Wakes {
    /// Nobody.
    #[default]
    Nobody,
    /// The task that sends for this channel: [`send`](crate::RouterCore::send) can go on.
    Sender(ChannelId),
    /// The task that keeps time: the [deadline](crate::RouterCore::next_deadline) has become earlier.
    Timer,
    /// All who have a packet that was [held back](crate::Receipt::HeldBack): it can be offered
    /// again.
    HeldBack,
    /// All who wait for anything.
    Everybody,
}

impl Wakes {
    /// Two who wait for different things are everybody.
    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        *self = match *self {
            Self::Nobody => other,
            same if same == other => same,
            _ => Self::Everybody,
        };
    }
}
