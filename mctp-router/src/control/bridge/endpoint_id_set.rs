//! Which endpoint IDs are of bridges.

use mctp::Eid;

/// A set of endpoint IDs.
#[derive(Debug, Default)]
pub(crate) struct EndpointIdSet([u32; 8]);

impl EndpointIdSet {
    /// Puts an endpoint ID in, or takes it out.
    pub(crate) fn set(&mut self, endpoint_id: Eid, is_in: bool) {
        let (word, bit) = place(endpoint_id);
        if let Some(word) = self.0.get_mut(word) {
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }

    /// Whether it has an endpoint ID.
    pub(crate) fn contains(&self, endpoint_id: Eid) -> bool {
        let (word, bit) = place(endpoint_id);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The word of an endpoint ID, and its bit there.
const fn place(endpoint_id: Eid) -> (usize, u32) {
    let word = endpoint_id.0 >> 5;
    (word as usize, 1_u32.wrapping_shl(endpoint_id.0 as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_id_is_in_or_out_for_itself() {
        let mut set = EndpointIdSet::default();
        for endpoint_id in (0..=255).step_by(3) {
            set.set(Eid(endpoint_id), true);
        }
        set.set(Eid(33), false);
        for endpoint_id in 0..=255 {
            let expected = endpoint_id % 3 == 0 && endpoint_id != 33;
            assert_eq!(set.contains(Eid(endpoint_id)), expected, "{endpoint_id}");
        }
    }
}
