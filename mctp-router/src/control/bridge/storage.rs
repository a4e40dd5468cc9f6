//! The memory of a bridge.

use super::{AddBridgeError, Bridge, BridgeConfig, ControlPlane, Pool};
use crate::config::NetworkId;

/// What a bridge keeps, for `NEIGHBOURS` places at which a neighbour of its downstream ports may be.
///
/// The router borrows it for good, as its [`RouterStorage`](crate::RouterStorage).
#[derive(Debug)]
pub struct BridgeStorage<'b, const NEIGHBOURS: usize> {
    bridge: Option<Bridge<'b>>,
}

impl<'b, const NEIGHBOURS: usize> BridgeStorage<'b, NEIGHBOURS> {
    /// Empty storage.
    pub const fn new() -> Self {
        Self { bridge: None }
    }

    /// A bridge in this storage.
    pub(crate) fn bridge(
        &'b mut self,
        network: NetworkId,
        config: &BridgeConfig<'b>,
    ) -> Result<&'b mut (dyn ControlPlane<'b> + 'b), AddBridgeError> {
        let pool = match (config.upstream, config.pool) {
            (None, Some((first, last))) => {
                Some(Pool::new(first, last).ok_or(AddBridgeError::Pool)?)
            }
            _ => None,
        };
        Ok(self.bridge.insert(Bridge::new(network, config, pool)))
    }
}

impl<const NEIGHBOURS: usize> Default for BridgeStorage<'_, NEIGHBOURS> {
    fn default() -> Self {
        Self::new()
    }
}
