//! The receiver's side: what came, and what did not.

use mctp_time::Instant;

use crate::FIRST_SEQUENCE_NUMBER;
use crate::pattern;
use crate::wire::Data;

/// Numbers further ahead than this are behind.
const HALF: u32 = 1 << 31;

/// Follows one stream at a time. Time is an argument.
///
/// A message with [`FIRST_SEQUENCE_NUMBER`] begins a new stream, and new statistics, unless it is
/// that number's turn. Two streams at once look like gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receiver {
    expected: u32,
    statistics: Statistics,
}

impl Receiver {
    /// Before the first message.
    pub const fn new() -> Self {
        Self {
            expected: FIRST_SEQUENCE_NUMBER,
            statistics: Statistics::NONE,
        }
    }

    /// Counts a data message that comes `now`.
    pub fn receive(&mut self, now: Instant, data: &Data<'_>) {
        let number = data.sequence_number;
        if number == FIRST_SEQUENCE_NUMBER && number != self.expected {
            *self = Self::new();
        }
        self.statistics.count(now, data.message_len());
        let ahead = number.wrapping_sub(self.expected);
        if ahead < HALF {
            let dropped = &mut self.statistics.dropped;
            *dropped = dropped.saturating_add(ahead.into());
        }
        if ahead >= HALF || !pattern::is_intact(data.payload) {
            self.count_invalid();
        }
        self.expected = number.wrapping_add(1);
    }

    /// Counts a message that is no data message, though it says so.
    pub fn count_invalid(&mut self) {
        let invalid = &mut self.statistics.invalid;
        *invalid = invalid.saturating_add(1);
    }

    /// What came of the stream so far.
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Statistics {
    /// Data messages, invalid ones included.
    pub messages: u64,
    /// Their bytes, message type not counted.
    pub bytes: u64,
    /// Messages missing: the gaps in the sequence numbers.
    pub dropped: u64,
    /// Messages with another payload than they should have, out of their order, or cut off before
    /// the payload.
    pub invalid: u64,
    /// When the first message came.
    pub first: Instant,
    /// When the last message came.
    pub last: Instant,
    first_len: u64,
}

impl Statistics {
    const NONE: Self = Self {
        messages: 0,
        bytes: 0,
        dropped: 0,
        invalid: 0,
        first: Instant::START,
        last: Instant::START,
        first_len: 0,
    };

    /// Bytes per second from the first message to the last. `None` as long as they came in the same
    /// millisecond.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let milliseconds = self.last.since(self.first);
        // What came at the start of the time did not come in it.
        let bytes = self.bytes.saturating_sub(self.first_len);
        bytes.saturating_mul(1000).checked_div(milliseconds)
    }

    fn count(&mut self, now: Instant, len: u64) {
        if self.messages == 0 {
            self.first = now;
            self.first_len = len;
        }
        self.last = now;
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len);
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::payload;

    /// A stream's message by its place in the stream, from 0.
    fn message(place: u32, payload: &[u8]) -> Data<'_> {
        Data {
            sequence_number: FIRST_SEQUENCE_NUMBER.wrapping_add(place),
            payload,
        }
    }

    fn after(places: impl IntoIterator<Item = u32>) -> Statistics {
        let mut receiver = Receiver::new();
        let payload = payload(91);
        for (place, now) in places.into_iter().zip(0..) {
            receiver.receive(Instant::from_millis(now), &message(place, &payload));
        }
        receiver.statistics()
    }

    #[test]
    fn a_whole_stream_has_no_gaps_even_where_its_numbers_wrap() {
        let statistics = after(0..100);
        assert_eq!((statistics.messages, statistics.bytes), (100, 10_000));
        assert_eq!((statistics.dropped, statistics.invalid), (0, 0));
    }

    #[test]
    fn messages_missing_before_the_first_one_count_too() {
        assert_eq!(after([3, 4]).dropped, 3);
    }

    #[test]
    fn the_first_number_begins_a_new_stream_unless_it_is_its_turn() {
        let statistics = after((0..50).chain(0..7));
        assert_eq!((statistics.messages, statistics.dropped), (7, 0));
        assert_eq!(statistics.first, Instant::from_millis(50));
        assert_eq!(statistics.last, Instant::from_millis(56));
        let whole_circle = Receiver {
            expected: FIRST_SEQUENCE_NUMBER,
            statistics: after(0..50),
        };
        let mut receiver = whole_circle;
        receiver.receive(Instant::START, &message(0, &[]));
        assert_eq!(receiver.statistics().messages, 51);
    }

    #[test]
    fn a_message_behind_is_invalid_and_no_gap() {
        let statistics = after([0, 1, 2, 2, 3]);
        assert_eq!((statistics.dropped, statistics.invalid), (0, 1));
    }

    #[test]
    fn a_damaged_payload_is_invalid_and_its_number_still_counts() {
        let mut receiver = Receiver::new();
        receiver.receive(Instant::START, &message(0, &[9, 10]));
        receiver.receive(Instant::START, &message(1, &[9, 11]));
        receiver.receive(Instant::START, &message(2, &[9, 10]));
        let statistics = receiver.statistics();
        assert_eq!((statistics.messages, statistics.dropped), (3, 0));
        assert_eq!(statistics.invalid, 1);
    }

    #[test]
    fn throughput_is_what_came_after_the_first_message_over_the_time_since() {
        assert_eq!(after(0..101).bytes_per_second(), Some(100_000));
        assert_eq!(after(0..1).bytes_per_second(), None);
        assert_eq!(Statistics::default().bytes_per_second(), None);
    }

    proptest! {
        #[test]
        fn received_and_dropped_messages_are_all_up_to_the_last_one(lost in prop::collection::vec(any::<bool>(), 1..300)) {
            let places = (0..).zip(&lost).filter(|(_, lost)| !**lost).map(|(place, _)| place);
            let last = places.clone().last();
            let statistics = after(places);
            prop_assert_eq!(statistics.invalid, 0);
            prop_assert_eq!(statistics.messages + statistics.dropped, last.map_or(0, |last| u64::from(last) + 1));
        }

        #[test]
        fn any_messages_at_any_time_are_counted(messages: Vec<(u64, u32, Vec<u8>)>) {
            let mut receiver = Receiver::new();
            for (now, sequence_number, payload) in &messages {
                let before = receiver.statistics();
                receiver.receive(Instant::from_millis(*now), &Data { sequence_number: *sequence_number, payload });
                let after = receiver.statistics();
                prop_assert!(after.messages == before.messages + 1 || after.messages == 1);
                let _ = after.bytes_per_second();
            }
        }
    }
}
