//! The payload: every byte has its place in the message as its value, modulo 256.

use crate::MIN_LENGTH;

/// A multiple of 256, so that the table goes on at its beginning. Longer messages are sent as
/// several slices of it: the longer it is, the fewer packets begin in one slice and end in the
/// next.
pub(crate) const TABLE_LEN: usize = 2048;

/// A message from its first byte, but for what stands before the payload.
pub(crate) static TABLE: [u8; TABLE_LEN] = table();

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // At compile time.
const fn table() -> [u8; TABLE_LEN] {
    let mut table = [0; TABLE_LEN];
    let mut place = 0;
    while place < TABLE_LEN {
        table[place] = place as u8;
        place += 1;
    }
    table
}

/// The slices of a payload of `len` bytes.
pub(crate) fn slices(len: usize) -> impl Iterator<Item = &'static [u8]> {
    let first = TABLE.get(MIN_LENGTH.into()..).unwrap_or_default();
    let first = first.get(..len).unwrap_or(first);
    let mut left = len.saturating_sub(first.len());
    let others = core::iter::from_fn(move || {
        let slice = TABLE.get(..left).unwrap_or(&TABLE);
        left = left.saturating_sub(slice.len());
        (!slice.is_empty()).then_some(slice)
    });
    core::iter::once(first)
        .filter(|first| !first.is_empty())
        .chain(others)
}

/// Whether a payload is as it should be.
pub(crate) fn is_intact(mut payload: &[u8]) -> bool {
    for slice in slices(payload.len()) {
        match payload.split_at_checked(slice.len()) {
            Some((first, rest)) if first == slice => payload = rest,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
pub(crate) fn payload(len: usize) -> Vec<u8> {
    (9..9 + len).map(|place| place as u8).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slices_are_the_payload_at_every_length_around_a_boundary() {
        let around = |boundary: usize| boundary.saturating_sub(3)..boundary + 3;
        let boundaries = [0, 256 - 9, TABLE_LEN - 9, 2 * TABLE_LEN - 9, 65_535 - 9];
        for len in boundaries.into_iter().flat_map(around) {
            let slices: Vec<_> = slices(len).collect();
            assert_eq!(slices.concat(), payload(len));
            assert!(slices.iter().all(|slice| !slice.is_empty()));
        }
    }

    proptest! {
        #[test]
        fn payloads_are_intact_until_one_byte_is_changed(len in 1..65_526usize, place: prop::sample::Index, change in 1..=255u8) {
            let mut payload = payload(len);
            prop_assert!(is_intact(&payload));
            payload[place.index(len)] ^= change;
            prop_assert!(!is_intact(&payload));
        }
    }
}
