//! What of the device's doings is logged and captured.

use std::cell::RefCell;
use std::time::Duration;

use mctp_bench::{Sent, Statistics};
use reference_device::{Direction, DropCounters, Event, EventLog, Observer};

use crate::pcap::{self, Capture};
use crate::stream_filter::StreamFilter;

/// Logs what happens and, if asked for, captures what crosses the wire.
#[derive(Default)]
pub struct Log {
    capture: RefCell<Option<Capture>>,
    /// Leaves the streams of the benchmark out. `None`: they are wanted.
    filter: Option<RefCell<StreamFilter>>,
    events: EventLog,
}

impl Log {
    /// With a capture, or without; with the packets of the benchmark's streams, or without.
    pub fn new(capture: Option<Capture>, with_streams: bool) -> Self {
        Self {
            capture: RefCell::new(capture),
            filter: (!with_streams).then(RefCell::default),
            events: EventLog::new(),
        }
    }

    /// Ends the capture, as [`Capture::finish`] does.
    pub fn finish(&self, patience: Duration, limit: Duration) {
        if let Some(capture) = &*self.capture.borrow() {
            capture.finish(patience, limit);
        }
    }

    fn capture(&self, direction: Direction, bytes: &[u8]) {
        let mut place = self.capture.borrow_mut();
        let Some(capture) = place.as_mut() else {
            return;
        };
        let direction = match direction {
            Direction::Received => pcap::Direction::Received,
            Direction::Sent => pcap::Direction::Sent,
        };
        let goes_on = capture.packet(direction, bytes).unwrap_or_else(|error| {
            log::error!("a packet is not captured: {error:#}");
            true
        });
        if !goes_on && let Some(capture) = place.take() {
            log::error!("the capture ends here: {}", capture.into_error());
        }
    }
}

impl Observer for Log {
    fn packet(&self, direction: Direction, bytes: &[u8]) {
        if let Some(filter) = &self.filter
            && filter.borrow_mut().is_of_stream(direction, bytes)
        {
            return;
        }
        self.capture(direction, bytes);
        self.events.packet(direction, bytes);
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        self.events.event(event, drops);
    }

    fn stream_sent(&self, sent: &Sent) {
        self.events.stream_sent(sent);
    }

    fn stream_received(&self, statistics: &Statistics) {
        self.events.stream_received(statistics);
    }
}
