//! Who asks.

use mctp::Eid;

/// Who sent a request, and which: what the caller needs to send the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requester {
    /// Where it came from.
    pub endpoint_id: Eid,
    /// Any number by which the caller finds the message tag, or the response channel. The
    /// endpoint only gives it back.
    pub exchange: u16,
}
