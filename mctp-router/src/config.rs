//! What a device chooses.

use core::time::Duration;

use mctp::Eid;
use mctp_transport::{BASELINE_TRANSMISSION_UNIT, PhysicalAddress};

/// How long Linux keeps the tag of a request, and the beginning of a message whose rest does not
/// come: 6 s (`mctp_key_lifetime` in its `net/mctp/route.c`).
///
/// A host that was stopped for less goes on where it was, and the device has to as well. What comes
/// later is of no use to it.
pub const LINUX_TAG_LIFETIME: Duration = Duration::from_secs(6);

/// One of the router's ports: an index from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortId(pub u8);

/// One of the router's networks: an index from 0, below the number that the storage has.
///
/// A network is what one bus owner, or one hierarchy of them, gives endpoint IDs in. The device has
/// an endpoint ID of its own in each, and nothing of one network is ever matched with anything of
/// another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NetworkId(pub u8);

/// Settings of the device as a whole. Its time limits hold to 100 ms, and count no time in which
/// the device did not run: see [`RouterCore::expire`](crate::RouterCore::expire).
///
/// ```
/// use core::time::Duration;
/// use mctp_router::Config;
///
/// let mut config = Config::new([0x11; 16]);
/// config.max_message_len = 4096;
/// config.send_timeout = Duration::from_secs(1);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The device's UUID as Get Endpoint UUID reports it: RFC 9562 order, most significant byte
    /// first. It must never change, and must not be nil: mctpd recognises a device by it.
    pub uuid: [u8; 16],
    /// The longest message accepted, in bytes, the message type byte not counted. The storage
    /// limits it as well, and alone unless this is set.
    pub max_message_len: usize,
    /// The longest time between two packets of a message (DSP0236 section 8.9). The default is
    /// [`LINUX_TAG_LIFETIME`]; DSP0283 gives no value.
    pub assembly_timeout: Duration,
    /// When no buffer is free, an unfinished message that is late by this much makes room for a new
    /// one: no packet came for so long, or it is so far behind 500 bytes a second. The default is
    /// 250 ms.
    pub eviction_age: Duration,
    /// How long at most a packet that finds no message buffer is left with a transport that
    /// [can wait](mctp_transport::TransportRx::can_wait), while a service has a message whose
    /// buffer it may give back. The service that the packet is for gets that time once, until it
    /// gives one back. The default is 200 ms.
    pub hold_time: Duration,
    /// How long a neighbour may take no transfer, as the router hands them to the transport,
    /// before what is being sent to it is given up. The default is [`LINUX_TAG_LIFETIME`].
    pub send_timeout: Duration,
    /// How long a request waits for its response, unless the request channel says otherwise. The
    /// default is [`LINUX_TAG_LIFETIME`].
    pub response_timeout: Duration,
}

impl Config {
    /// The usual settings for a device of this UUID.
    pub const fn new(uuid: [u8; 16]) -> Self {
        Self {
            uuid,
            max_message_len: usize::MAX,
            assembly_timeout: LINUX_TAG_LIFETIME,
            eviction_age: Duration::from_millis(250),
            hold_time: Duration::from_millis(200),
            send_timeout: LINUX_TAG_LIFETIME,
            response_timeout: LINUX_TAG_LIFETIME,
        }
    }
}

/// Settings of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct PortConfig {
    /// Packet payload bytes of the middle packets sent from this port, where no [`Route`] says
    /// otherwise. At least 64, and no more than the transport carries, whatever is asked for.
    /// Larger than 64 only where it was negotiated (DSP0236 section 8.4).
    pub transmission_unit: usize,
    /// The largest packet payload accepted, in bytes; never below 64. Whatever the transport
    /// carries, unless set.
    pub max_receive_transmission_unit: usize,
}

impl PortConfig {
    /// Sends packets of this [`transmission_unit`](Self::transmission_unit), accepts whatever the
    /// transport carries.
    pub const fn new(transmission_unit: usize) -> Self {
        Self {
            transmission_unit,
            max_receive_transmission_unit: usize::MAX,
        }
    }

    /// Sets [`max_receive_transmission_unit`](Self::max_receive_transmission_unit).
    #[must_use]
    pub const fn with_max_receive_transmission_unit(
        mut self,
        max_receive_transmission_unit: usize,
    ) -> Self {
        self.max_receive_transmission_unit = max_receive_transmission_unit;
        self
    }
}

impl Default for PortConfig {
    /// Sends packets of the [baseline transmission unit](BASELINE_TRANSMISSION_UNIT), accepts
    /// whatever the transport carries.
    fn default() -> Self {
        Self::new(BASELINE_TRANSMISSION_UNIT)
    }
}

/// Where the endpoints of a range are, in the network of the port, and how large packets to them may
/// be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Route {
    /// The first endpoint ID of the range.
    pub first: Eid,
    /// The last endpoint ID of the range.
    pub last: Eid,
    /// The port that leads there.
    pub port: PortId,
    /// The neighbour on that port.
    pub address: PhysicalAddress,
    /// Packet payload bytes of the middle packets sent there; limited like
    /// [`PortConfig::transmission_unit`]. The baseline of 64 unless set.
    pub transmission_unit: usize,
    /// Where the route comes from. [`RouteOrigin::Static`] unless set.
    pub origin: RouteOrigin,
}

impl Route {
    /// The static route to the endpoint IDs from `first` to `last`, by packets of the baseline
    /// transmission unit.
    pub const fn new(first: Eid, last: Eid, port: PortId, address: PhysicalAddress) -> Self {
        Self {
            first,
            last,
            port,
            address,
            transmission_unit: BASELINE_TRANSMISSION_UNIT,
            origin: RouteOrigin::Static,
        }
    }

    /// Sets [`transmission_unit`](Self::transmission_unit).
    #[must_use]
    pub const fn with_transmission_unit(mut self, transmission_unit: usize) -> Self {
        self.transmission_unit = transmission_unit;
        self
    }

    /// Sets [`origin`](Self::origin).
    #[must_use]
    pub const fn with_origin(mut self, origin: RouteOrigin) -> Self {
        self.origin = origin;
        self
    }

    pub(crate) fn covers(&self, endpoint_id: Eid) -> bool {
        (self.first.0..=self.last.0).contains(&endpoint_id.0)
    }

    #[inline]
    pub(crate) fn leads_by(&self, neighbour: (PortId, PhysicalAddress)) -> bool {
        (self.port, self.address) == neighbour
    }
}

/// Where a route comes from (DSP0236 1.3.3, section 12.13: static and dynamic entries of a routing
/// table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// No value is 0, so that `None` of a route is all zeros: see `RouterStorage::new`.
#[repr(u8)]
pub enum RouteOrigin {
    /// The device's own configuration.
    Static = 1,
    /// Learnt from the network: it may have to be removed when its neighbour is gone.
    Dynamic = 2,
}

/// Something that happened which the application may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// The bus owner of a network gave the device an endpoint ID there.
    EndpointIdSet {
        /// The network.
        network: NetworkId,
        /// The endpoint ID.
        endpoint_id: Eid,
        /// Who set it.
        bus_owner: BusOwner,
    },
    /// The bus owner of a bridge gave it a pool of endpoint IDs for the endpoints behind it, or took
    /// the pool back.
    PoolAllocated {
        /// The network.
        network: NetworkId,
        /// The first and the last endpoint ID of the pool.
        pool: Option<(Eid, Eid)>,
    },
    /// A neighbour on a bus that the bridge owns is present, and has a route.
    NeighbourPresent {
        /// The network.
        network: NetworkId,
        /// Its endpoint ID.
        endpoint_id: Eid,
        /// The port that leads to it.
        port: PortId,
        /// Its physical address on that port.
        address: PhysicalAddress,
    },
    /// The neighbour that had this endpoint ID is gone, or has another one now.
    NeighbourGone {
        /// The network.
        network: NetworkId,
        /// The endpoint ID.
        endpoint_id: Eid,
    },
    /// The port's link can carry packets.
    LinkUp(PortId),
    /// The port's link was lost. The endpoint ID is kept.
    LinkDown(PortId),
}

/// Where the bus owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BusOwner {
    /// Its endpoint ID; 0 if it has none.
    pub endpoint_id: Eid,
    /// The port it is on.
    pub port: PortId,
    /// Its physical address on that port.
    pub address: PhysicalAddress,
}
