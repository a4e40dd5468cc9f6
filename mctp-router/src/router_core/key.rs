//! What ties packets, and responses to their requests, together.

use mctp::Eid;
use mctp_transport::{MessageTag, RawHeader};

use crate::config::NetworkId;

/// Lists that messages in assembly, and requests, are spread over by their keys. A router has few
/// of either: a list is mostly empty, or one.
pub(crate) const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 5;

/// What ties the packets of a message together: network, source endpoint ID, tag owner bit and tag
/// (DSP0236 section 8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

impl Key {
    /// Of no message.
    pub(crate) const NONE: Self = Self(0);
    /// The tag owner bit and the tag.
    const FLAGS: u32 = 0x0F00_0000;
    const SOURCE: u32 = 0x00FF_0000;

    #[inline]
    pub(crate) const fn of(network: NetworkId, header: RawHeader) -> Self {
        // The source endpoint ID, and the flags without SOM, EOM and packet sequence number.
        Self(header.bits() & (Self::FLAGS | Self::SOURCE) | network.0 as u32)
    }

    /// Of the response to a request that was sent to `peer` with this tag.
    pub(crate) const fn of_response(network: NetworkId, peer: Eid, tag: MessageTag) -> Self {
        Self((tag.value() as u32) << 24 | (peer.0 as u32) << 16 | network.0 as u32)
    }

    /// Eight neighbouring numbers for the tags of a source, others for the next sources.
    #[inline]
    pub(crate) const fn entry(self) -> usize {
        (self.0 >> 24 & 7 | self.0 >> 13 & 0x18) as usize
    }

    /// With the same tag from endpoint ID 0.
    pub(crate) const fn of_anyone(self) -> Self {
        Self(self.0 & !Self::SOURCE)
    }

    pub(crate) const fn tag(self) -> MessageTag {
        MessageTag::from_low_bits((self.0 >> 24) as u8)
    }

    /// The list that it belongs to, below [`BUCKETS`]: the same in all networks.
    #[inline]
    pub(crate) const fn bucket(self) -> usize {
        Self::bucket_of_bits(self.0)
    }

    /// The list that the key of a packet belongs to.
    #[inline]
    pub(crate) const fn bucket_of(header: RawHeader) -> usize {
        Self::bucket_of_bits(header.bits())
    }

    /// The multiplier spreads keys that count up, as endpoint IDs and tags do: of 64 messages of
    /// neighbouring peers no more than three meet, whatever tags they have.
    #[inline]
    const fn bucket_of_bits(bits: u32) -> usize {
        let bits = bits & (Self::FLAGS | Self::SOURCE);
        (bits.wrapping_mul(0x3C07) >> (32 - BUCKET_BITS)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest_list(keys: [Key; 64]) -> usize {
        let mut lists = [0; BUCKETS];
        keys.iter().for_each(|key| lists[key.bucket()] += 1);
        lists.into_iter().max().unwrap()
    }

    #[test]
    fn of_64_messages_in_flight_three_meet_at_most() {
        let key = |peer: usize, tag: usize| {
            Key::of_response(
                NetworkId(0),
                Eid(peer as u8),
                MessageTag::from_low_bits(tag as u8),
            )
        };
        let requests = |keys: [Key; 64]| keys.map(|Key(bits)| Key(bits | 1 << 27));
        for first in 8..=190 {
            let peers_with_tag = |tag| core::array::from_fn(|number| key(first + number, tag));
            let with_all_tags = core::array::from_fn(|number| key(first + number / 8, number % 8));
            let with_rotating_tags = core::array::from_fn(|number| key(first + number, number % 8));
            let in_groups = core::array::from_fn(|number| key(first + number, number / 8));
            let patterns =
                (0..8)
                    .map(peers_with_tag)
                    .chain([with_all_tags, with_rotating_tags, in_groups]);
            for keys in patterns {
                assert!(longest_list(keys) <= 3, "{keys:?}");
                assert!(longest_list(requests(keys)) <= 3, "{keys:?}");
            }
        }
    }
}
