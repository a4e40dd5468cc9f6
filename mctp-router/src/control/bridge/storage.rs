//! The memory of a bridge.

use super::{AddBridgeError, Bridge, BridgeConfig};
use crate::bus_owner::{Neighbour, Range};
use crate::config::NetworkId;

/// What a bridge keeps, for `NEIGHBOURS` places at which an endpoint on the buses that it owns may be.
/// On a 32-bit target it takes 280 + `NEIGHBOURS` × 96 bytes.
///
/// The router borrows it for good, as its [`RouterStorage`](crate::RouterStorage).
#[derive(Debug)]
pub struct BridgeStorage<'b, const NEIGHBOURS: usize> {
    bridge: Option<Bridge<'b>>,
    neighbours: [Option<Neighbour>; NEIGHBOURS],
}

impl<'b, const NEIGHBOURS: usize> BridgeStorage<'b, NEIGHBOURS> {
    /// Empty storage.
    pub const fn new() -> Self {
        Self {
            bridge: None,
            neighbours: [const { None }; NEIGHBOURS],
        }
    }

    /// A bridge in this storage.
    pub(crate) fn bridge(
        &'b mut self,
        network: NetworkId,
        config: &BridgeConfig<'b>,
    ) -> Result<&'b mut Bridge<'b>, AddBridgeError> {
        let pool = match (config.upstream, config.pool) {
            (None, Some((first, last))) => {
                Some(Range::new(first, last).ok_or(AddBridgeError::Pool)?)
            }
            _ => None,
        };
        let bridge = Bridge::new(network, config, pool, &mut self.neighbours);
        Ok(self.bridge.insert(bridge))
    }
}

impl<const NEIGHBOURS: usize> Default for BridgeStorage<'_, NEIGHBOURS> {
    fn default() -> Self {
        Self::new()
    }
}

// What the documentation above says.
#[cfg(target_pointer_width = "32")]
const _: () = {
    assert!(size_of::<BridgeStorage<'static, 3>>() == 280 + 3 * 96);
};
