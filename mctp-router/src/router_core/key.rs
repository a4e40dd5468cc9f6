//! What ties packets, and responses to their requests, together.

use mctp::Eid;
use mctp_transport::{AssemblyKey, MessageTag};

use crate::config::NetworkId;

/// Lists that messages in assembly, and requests, are spread over by their keys. A router has few
/// of either: a list is mostly empty, or one.
pub(crate) const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 5;

/// What ties the packets of a message together: the network and the [`AssemblyKey`] within it, as
/// one number to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u32);

impl Key {
    /// Of no request: those have the tag owner bit.
    pub(crate) const NONE: Self = Self(0);

    #[inline]
    pub(crate) const fn new(network: NetworkId, message: AssemblyKey) -> Self {
        Self(network.0 as u32 | message.number())
    }

    /// Of the response to a request that was sent to `peer` with this tag.
    pub(crate) const fn of_response(network: NetworkId, peer: Eid, tag: MessageTag) -> Self {
        Self::new(network, AssemblyKey::new(peer, false, tag))
    }

    #[inline]
    pub(crate) const fn message(self) -> AssemblyKey {
        AssemblyKey::from_number(self.0)
    }

    pub(crate) const fn tag(self) -> MessageTag {
        self.message().tag()
    }

    /// Eight neighbouring numbers for the tags of a source, others for the next three sources.
    #[inline]
    pub(crate) const fn entry(self) -> usize {
        let tag = self.message().tag().value() as usize;
        let source = self.message().source().0 as usize;
        tag | (source & 3).wrapping_mul(MessageTag::COUNT)
    }

    /// The list that it belongs to.
    #[inline]
    pub(crate) const fn bucket(self) -> usize {
        bucket(self.message())
    }
}

/// Of [`BUCKETS`] lists, the one that messages with this key belong to, of whatever network.
///
/// The multiplier spreads keys that count up, as endpoint IDs and tags do: of 64 messages of
/// neighbouring peers no more than three meet, whatever tags they have.
#[inline]
pub(crate) const fn bucket(message: AssemblyKey) -> usize {
    let product = message.number().wrapping_mul(0x3C07);
    (product >> (u32::BITS - BUCKET_BITS)) as usize
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
        let request = |key: Key| {
            let message = AssemblyKey::new(key.message().source(), true, key.tag());
            Key::new(NetworkId(0), message)
        };
        let requests = |keys: [Key; 64]| keys.map(request);
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
