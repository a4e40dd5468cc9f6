//! Why a packet or message was discarded (DSP0236 1.3.3, sections 8.7 and 8.9), and how often.

/// Defines the reasons once: variant, sentence, clause.
macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// Why a packet, or the message it was part of, was discarded without an answer.
        ///
        /// The first thirteen are the conditions of DSP0236 itself; the rest are limits and faults
        /// of the receiver or the link. Every discard anywhere below the message level has exactly
        /// one of these reasons, and is counted under it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum DropReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl DropReason {
            /// Every reason, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The reason in a few words, for logs and tables.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

drop_reasons! {
    /// A middle or end packet of a message whose start was not seen (8.7).
    MiddleWithoutStart = "middle or end packet without a start";
    /// The link's own check failed: framing, length, PEC or FCS (8.7). Reported by the transport.
    BadLinkIntegrity = "bad link framing, length or checksum";
    /// A response (tag owner bit clear) that nobody waits for: its tag is unknown, expired, or of
    /// another peer (8.7).
    UnexpectedResponse = "unexpected or expired message tag";
    /// No route to the destination endpoint ID (8.7). Bridges only.
    UnroutableDestination = "no route to the destination";
    /// The header version is not 1 (8.7).
    UnsupportedHeaderVersion = "unsupported header version";
    /// The packet's payload is longer than the receiver supports (8.7), or shorter than the
    /// baseline unit though it is not the last of its message (8.4). Of a message to be sent: the
    /// transport has no room for a packet of the baseline unit.
    UnsupportedTransmissionUnit = "unsupported transmission unit";
    /// The destination endpoint ID is not ours (8.7).
    NotOurDestination = "destination is another endpoint";
    /// No service for this message type, or for this vendor within it (8.7, 8.10).
    UnsupportedMessageType = "unsupported message type";
    /// A new start packet ended an unfinished message of the same tag and source (8.9). The new
    /// message goes on.
    ReplacedByNewStart = "unfinished message replaced by a new start";
    /// Too much time between two packets of a message (8.9).
    AssemblyTimeout = "time between packets exceeded";
    /// The packet sequence number is not the next one (8.9).
    OutOfSequence = "packet out of sequence";
    /// A middle packet's size differs from the start packet's, or an end packet is larger (8.9).
    PacketSizeMismatch = "packet size differs from the start packet";
    /// The message integrity check failed, or the message type has none (8.9). Reported by the service.
    BadIntegrityCheck = "bad message integrity check";
    /// Too short for a packet header, or a start packet without a message type.
    Truncated = "packet too short";
    /// The source endpoint ID is reserved (1 to 7) or broadcast (section 8.3).
    InvalidSource = "invalid source endpoint ID";
    /// The message outgrew the largest buffer of the receiver.
    MessageTooLong = "message longer than the receive buffers";
    /// No buffer was free for a new message.
    NoMessageBuffer = "no message buffer free";
    /// An unfinished message of which no packet came, or which came too slowly, made room for a newer
    /// one.
    EvictedUnfinished = "stalled unfinished message evicted";
    /// A control message outside the flag classes of section 11.7, of more than one packet, or too
    /// short to be answered.
    InvalidControlMessage = "invalid control message";
    /// The neighbour did not take an answer in time, and a newer one took its place.
    ResponseNotTaken = "response not taken by the neighbour";
    /// The neighbour took nothing for the send time limit: the rest of the message was given up.
    SendTimeout = "send time limit exceeded";
    /// The neighbour did not accept a transfer, such as an I2C target that did not acknowledge.
    NotAccepted = "transfer not accepted by the neighbour";
    /// The link went down with this unfinished message, or this transfer, on it.
    LinkDown = "link down";
    /// It would go back where it came from, or comes from the bridge itself. Bridges only.
    ForwardingLoop = "would go back where it came from";
    /// The filter of a bridge does not let it through.
    ForwardingRefused = "refused by the forwarding filter";
    /// The port that leads to its destination has no room. Bridges only.
    NoForwardingRoom = "no room on the way to the destination";
    /// The link that leads to its destination is down. Bridges only.
    ForwardingLinkDown = "link to the destination down";
}

/// One counter for each [`DropReason`]. Counters stop at their maximum; they do not wrap.
///
/// RAM: four bytes a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DropCounters([u32; DropReason::COUNT]);

impl DropCounters {
    /// All counters at zero.
    pub const fn new() -> Self {
        Self([0; DropReason::COUNT])
    }

    /// Counts one discard.
    #[inline(never)]
    pub fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter = counter.saturating_add(1);
        }
    }

    /// How often something was discarded for `reason`.
    pub fn of(&self, reason: DropReason) -> u32 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How often something was discarded for any reason.
    pub fn total(&self) -> u32 {
        self.0
            .iter()
            .fold(0, |sum, counter| sum.saturating_add(*counter))
    }

    /// The reasons that were counted at least once, with their counts.
    pub fn nonzero(&self) -> impl Iterator<Item = (DropReason, u32)> + '_ {
        DropReason::ALL
            .iter()
            .map(|reason| (*reason, self.of(*reason)))
            .filter(|(_, count)| *count > 0)
    }
}

impl Default for DropCounters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        for reason in DropReason::ALL {
            let mut counters = DropCounters::new();
            counters.count(*reason);
            assert_eq!(counters.nonzero().collect::<Vec<_>>(), [(*reason, 1)]);
        }
    }

    #[test]
    fn a_full_counter_stays_full() {
        let mut counters = DropCounters([u32::MAX; DropReason::COUNT]);
        counters.count(DropReason::Truncated);
        assert_eq!(counters.of(DropReason::Truncated), u32::MAX);
        assert_eq!(counters.total(), u32::MAX);
    }
}
