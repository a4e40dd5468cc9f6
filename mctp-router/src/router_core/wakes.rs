//! Whom the inputs concern, beside those whom their results name.

use super::ChannelId;

const SENDER: u8 = 1 << 0;
const TIMER: u8 = 1 << 1;
const EVENT: u8 = 1 << 2;
const HELD_BACK: u8 = 1 << 3;
const EVERYBODY: u8 = 1 << 4;

/// Whom what was done concerns, beside those whom its result names: who waited for one of these has
/// to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakes {
    kinds: u8,
    sender: ChannelId,
}

impl Wakes {
    pub(crate) const NONE: Self = Self {
        kinds: 0,
        sender: ChannelId(0),
    };

    /// It concerns nobody.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// Whoever sends for this channel: [`send`](crate::RouterCore::send) can go on.
    #[inline]
    pub fn sender(&self) -> Option<ChannelId> {
        self.has(SENDER).then_some(self.sender)
    }

    /// Whoever keeps time: the [deadline](crate::RouterCore::next_deadline) has become earlier.
    #[inline]
    pub const fn timer(&self) -> bool {
        self.has(TIMER)
    }

    /// The application: there is an [event](crate::RouterCore::poll_event).
    #[inline]
    pub const fn event(&self) -> bool {
        self.has(EVENT)
    }

    /// Whoever has a packet that was [held back](crate::Receipt::HeldBack): it can be offered
    /// again.
    #[inline]
    pub const fn held_back(&self) -> bool {
        self.has(HELD_BACK)
    }

    /// All who wait for anything.
    #[inline]
    pub const fn everybody(&self) -> bool {
        self.has(EVERYBODY)
    }

    #[inline]
    const fn has(&self, kind: u8) -> bool {
        self.kinds & kind != 0
    }

    /// What was noted; then it is nobody.
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::NONE)
    }

    /// Two senders are everybody.
    pub(super) fn note_sender(&mut self, channel: ChannelId) {
        if self.has(SENDER) && self.sender != channel {
            self.kinds |= EVERYBODY;
        }
        self.kinds |= SENDER;
        self.sender = channel;
    }

    #[inline]
    pub(super) fn note_timer(&mut self) {
        self.kinds |= TIMER;
    }

    #[inline]
    pub(super) fn note_event(&mut self) {
        self.kinds |= EVENT;
    }

    #[inline]
    pub(super) fn note_held_back(&mut self) {
        self.kinds |= HELD_BACK;
    }

    #[inline]
    pub(super) fn note_everybody(&mut self) {
        self.kinds |= EVERYBODY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_is_named_and_two_are_everybody() {
        let mut wakes = Wakes::NONE;
        wakes.note_sender(ChannelId(3));
        wakes.note_sender(ChannelId(3));
        assert!(!wakes.everybody() && wakes.sender() == Some(ChannelId(3)));
        wakes.note_sender(ChannelId(4));
        assert!(wakes.everybody());
    }

    #[test]
    fn what_was_taken_is_not_there_again() {
        let mut wakes = Wakes::NONE;
        wakes.note_timer();
        wakes.note_event();
        let taken = wakes.take();
        assert!(taken.timer() && taken.event() && !taken.held_back());
        assert!(wakes.is_empty() && wakes.take().is_empty());
        wakes.note_sender(ChannelId(1));
        assert!(!wakes.timer() && !wakes.everybody());
    }
}
