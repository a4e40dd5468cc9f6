//! What a bridge or bus owner is told when it is added.

use mctp::Eid;
use mctp_transport::PhysicalAddress;

use crate::config::{NetworkId, PortId};
use crate::wire::{BindingId, MediumId};

/// Ports of a bridge: an entry of its routing table has five bits for the number of a port (DSP0236
/// 1.3.3, section 12.13, table 27).
pub(crate) const MAX_PORTS: u8 = 32;

/// What the control protocol tells of a port, and of the bus behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgePort {
    /// The port.
    pub port: PortId,
    /// Its physical transport binding. Discovery commands are served where the binding has them.
    pub binding: BindingId,
    /// Its physical medium.
    pub medium: MediumId,
    /// The device's own address on the bus, in the form of [`PhysicalAddress`]:
    /// [`PhysicalAddress::POINT_TO_POINT`] where the bus has no addresses, as unless set.
    pub address: PhysicalAddress,
}

impl BridgePort {
    /// A port to a single neighbour, on a bus without addresses.
    pub const fn new(port: PortId, binding: BindingId, medium: MediumId) -> Self {
        let address = PhysicalAddress::POINT_TO_POINT;
        Self {
            port,
            binding,
            medium,
            address,
        }
    }

    /// Sets [`address`](Self::address).
    #[must_use]
    pub const fn with_address(mut self, address: PhysicalAddress) -> Self {
        self.address = address;
        self
    }
}

/// Settings of a bridge, or of a topmost bus owner.
///
/// ```
/// use mctp_router::wire::{BindingId, MediumId};
/// use mctp_router::{BridgeConfig, BridgePort, PortId};
/// use mctp_transport::PhysicalAddress;
///
/// const UPSTREAM: PortId = PortId(0);
/// let ports = [
///     BridgePort::new(UPSTREAM, BindingId::USB, MediumId::USB_2_0),
///     BridgePort::new(PortId(1), BindingId::SMBUS, MediumId::SMBUS_100_KHZ)
///         .with_address(PhysicalAddress::from_byte(0x10)),
/// ];
/// let config = BridgeConfig::bridge(UPSTREAM, 4, &ports);
/// assert_eq!((config.upstream, config.pool_size), (Some(UPSTREAM), 4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeConfig<'b> {
    /// The port to the bus owner that gives the bridge its endpoint ID and pool. `None` for the
    /// topmost bus owner of the network, which has a pool of its own.
    pub upstream: Option<PortId>,
    /// How many endpoint IDs a bridge asks its bus owner for. It lives with fewer.
    pub pool_size: u8,
    /// The first and the last endpoint ID that a topmost bus owner assigns.
    pub pool: Option<(Eid, Eid)>,
    /// The UUID of the network, which Get Network ID reports; without it that command is not
    /// supported.
    pub network_id: Option<[u8; 16]>,
    /// All ports of the network.
    pub ports: &'b [BridgePort],
}

impl<'b> BridgeConfig<'b> {
    /// A bridge below the bus owner on `upstream`, which asks it for `pool_size` endpoint IDs.
    pub const fn bridge(upstream: PortId, pool_size: u8, ports: &'b [BridgePort]) -> Self {
        Self {
            upstream: Some(upstream),
            pool_size,
            pool: None,
            network_id: None,
            ports,
        }
    }

    /// The topmost bus owner of its network, which assigns the endpoint IDs from `first` to `last`.
    pub const fn bus_owner(first: Eid, last: Eid, ports: &'b [BridgePort]) -> Self {
        Self {
            upstream: None,
            pool_size: 0,
            pool: Some((first, last)),
            network_id: None,
            ports,
        }
    }

    /// Sets [`network_id`](Self::network_id).
    #[must_use]
    pub const fn with_network_id(mut self, network_id: [u8; 16]) -> Self {
        self.network_id = Some(network_id);
        self
    }

    /// What is said of a port.
    pub(crate) fn port(&self, port: PortId) -> Option<&'b BridgePort> {
        self.ports.iter().find(|listed| listed.port == port)
    }
}

/// Why a bridge was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AddBridgeError {
    /// The router has a bridge already.
    #[error("the router has a bridge already: it can be one in a single network")]
    Second,
    /// A port of the settings is none of the network.
    #[error("port {} is none of network {}", port.0, network.0)]
    NotInNetwork {
        /// The port.
        port: PortId,
        /// The network.
        network: NetworkId,
    },
    /// A routing table entry has no room for the number of the port.
    #[error("port {} has no place in a routing table: the last is port 31", .0.0)]
    PortNumber(PortId),
    /// The settings do not describe a port of the network.
    #[error("the settings do not describe port {}", .0.0)]
    NotDescribed(PortId),
    /// The pool has an endpoint ID other than 8 to 254, or its last is before its first.
    #[error("the pool is no range of the endpoint IDs 8 to 254")]
    Pool,
}
