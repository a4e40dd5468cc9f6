//! Which packets belong to a benchmark's stream: a second of it has more packets than everything
//! else of a day.

use mctp_bench::Message;
use reference_device::Direction;

/// Messages that are in flight at once: as many as there are tags for two endpoints.
const MESSAGES: usize = 32;

/// The message type of vendor-defined messages with a PCI vendor ID (DSP0236 1.3.3, section 8.2.1).
const VENDOR_DEFINED_PCI: u8 = 0x7E;

const START_OF_MESSAGE: u8 = 0x80;
const END_OF_MESSAGE: u8 = 0x40;
/// Tag owner and message tag.
const TAG: u8 = 0x0F;

/// What the packets of a message have in common: direction, destination, source, and tag.
type MessageKey = (bool, u8, u8, u8);

/// Tells the packets of streams from others.
///
/// Only the first packet of a message says what is in it.
#[derive(Default)]
pub(crate) struct StreamFilter {
    /// The messages of streams of which packets are to come, the oldest first.
    in_flight: Vec<MessageKey>,
}

impl StreamFilter {
    /// Whether this packet, packet header first, has a part of a data message of the benchmark.
    pub(crate) fn is_of_stream(&mut self, direction: Direction, packet: &[u8]) -> bool {
        let [_, destination, source, flags, message @ ..] = packet else {
            return false;
        };
        let is_sent = matches!(direction, Direction::Sent);
        let key = (is_sent, *destination, *source, flags & TAG);
        let place = self.in_flight.iter().position(|other| *other == key);
        let is_of_stream = if flags & START_OF_MESSAGE != 0 {
            is_data(message)
        } else {
            place.is_some()
        };
        if let Some(place) = place {
            self.in_flight.remove(place);
        }
        if is_of_stream && flags & END_OF_MESSAGE == 0 {
            if self.in_flight.len() == MESSAGES {
                self.in_flight.remove(0);
            }
            self.in_flight.push(key);
        }
        is_of_stream
    }
}

fn is_data(message: &[u8]) -> bool {
    match message.split_first() {
        Some((&VENDOR_DEFINED_PCI, body)) => matches!(Message::parse(body), Some(Message::Data(_))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Received, Sent};
    use super::*;

    const DATA: [u8; 10] = [0x7E, 0xCC, 0xDE, 0xF1, 0xCA, 0xBE, 1, 0, 0, 0];
    const COMMAND: [u8; 12] = [0x7E, 0xCC, 0xDE, 0xF1, 0xDD, 0x22, 1, 0, 5, 0, 0, 0];

    fn packet(flags: u8, message: &[u8]) -> Vec<u8> {
        [&[1, 8, 9, flags], message].concat()
    }

    #[test]
    fn every_packet_of_a_data_message_is_of_a_stream_and_none_of_another() {
        let mut filter = StreamFilter::default();
        let mut is = |direction, packet: &[u8]| filter.is_of_stream(direction, packet);
        assert!(is(Sent, &packet(0x8A, &DATA)));
        // Another message between them: another tag, another direction.
        assert!(!is(Sent, &packet(0x8B, &[0x7E, 0xCC, 0xDE, 0xF1, 0x55])));
        assert!(!is(Received, &packet(0x1A, &[0xCA; 64])));
        assert!(is(Sent, &packet(0x1A, &[0x55; 64])));
        assert!(!is(Sent, &packet(0x1B, &DATA)));
        assert!(is(Sent, &packet(0x6A, &[0x55; 3])));
        assert!(!is(Sent, &packet(0x6A, &[0x55; 3])), "it has ended");
        assert!(is(Received, &packet(0xC9, &DATA)), "in one packet");
        assert!(!is(Received, &packet(0x49, &DATA)));
    }

    #[test]
    fn the_commands_of_the_benchmark_are_of_no_stream() {
        let mut filter = StreamFilter::default();
        for message in [&COMMAND[..], &DATA[..9], &[], &[0x7E], &[0x00, 0x80, 0x02]] {
            assert!(!filter.is_of_stream(Received, &packet(0xC8, message)));
        }
        assert!(!filter.is_of_stream(Received, &[1, 2, 3]));
    }

    #[test]
    fn messages_that_never_end_take_a_bounded_memory() {
        let mut filter = StreamFilter::default();
        for endpoint in 0..=255 {
            let packet = [&[1, endpoint, 9, 0x8A][..], &DATA].concat();
            assert!(filter.is_of_stream(Sent, &packet));
        }
        assert_eq!(filter.in_flight.len(), MESSAGES);
    }
}
