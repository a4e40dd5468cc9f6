//! The observer that logs (feature `log`), the same for every board whose log is text.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(feature = "bench")]
use mctp_bench::End;
use mctp_router::{Event, NetworkId};
use mctp_transport::DropCounters;

use crate::device::{NETWORK, PORT};
use crate::observer::{Direction, Observer};

/// Bytes of each packet in the log: a whole control packet; of longer ones the beginning says
/// enough.
const LOGGED: usize = 32;

/// Logs through the `log` crate: the host's coming and going at info, with the port or network
/// unless it is the first one; other events and drops at debug, packets at trace.
#[derive(Debug, Default)]
pub struct EventLog {
    drops_told: AtomicU32,
}

impl EventLog {
    /// Nothing logged yet.
    pub const fn new() -> Self {
        Self {
            drops_told: AtomicU32::new(0),
        }
    }

    /// Logs what was dropped, if that changed.
    fn tell_drops(&self, drops: &DropCounters) {
        let total = drops.total();
        // Not an atomic exchange, which not every core has. Events are told one after the other.
        if self.drops_told.load(Ordering::Relaxed) == total {
            return;
        }
        self.drops_told.store(total, Ordering::Relaxed);
        for (reason, count) in drops.nonzero() {
            log::debug!("dropped so far: {count} for {}", reason.as_str());
        }
    }
}

impl Observer for EventLog {
    fn packet(&self, direction: Direction, bytes: &[u8]) {
        let shown = bytes.get(..LOGGED).unwrap_or(bytes);
        log::trace!("{direction:?} {} bytes: {}", bytes.len(), Hex(shown));
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        match event {
            Event::EndpointIdSet {
                network,
                endpoint_id,
                bus_owner,
            } => {
                let endpoint_id = endpoint_id.0;
                match network {
                    NETWORK => log::info!("endpoint ID {endpoint_id} was set"),
                    NetworkId(other) => {
                        log::info!("endpoint ID {endpoint_id} was set in network {other}");
                    }
                }
                log::debug!("the bus owner is {}", bus_owner.endpoint_id.0);
            }
            Event::LinkUp(PORT) => log::info!("the link is up"),
            Event::LinkUp(port) => log::info!("the link of port {} is up", port.0),
            Event::LinkDown(PORT) => log::info!("the link is lost"),
            Event::LinkDown(port) => log::info!("the link of port {} is lost", port.0),
            other => log::debug!("{other:?}"),
        }
        self.tell_drops(drops);
    }

    #[cfg(feature = "bench")]
    fn stream_sent(&self, sent: &mctp_bench::Sent) {
        let (messages, requester) = (sent.messages, sent.requester);
        match &sent.end {
            End::Complete => log::info!("bench: all {messages} messages sent to {requester}"),
            End::Stopped => log::info!("bench: stopped after {messages} messages to {requester}"),
            End::Failed(error) => {
                log::warn!("bench: {messages} messages sent to {requester}, then: {error}");
            }
        }
        if sent.given_up > 0 {
            log::warn!("bench: given up and sent again: {} times", sent.given_up);
        }
    }

    #[cfg(feature = "bench")]
    fn stream_received(&self, statistics: &mctp_bench::Statistics) {
        log::info!(
            "bench: {} messages received, {} kB/s, {} dropped, {} invalid",
            statistics.messages,
            // As the Linux tools count it.
            statistics.bytes_per_second().unwrap_or_default() / 1024,
            statistics.dropped,
            statistics.invalid
        );
    }
}

/// Bytes as people read them: two digits each, spaces between.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn hex_is_readable() {
        assert_eq!(Hex(&[0x00, 0x81, 0xFF]).to_string(), "00 81 ff");
        assert_eq!(Hex(&[]).to_string(), "");
    }
}
