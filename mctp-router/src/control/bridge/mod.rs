//! The control plane of a bridge, and of a bus owner: what the control protocol asks of them beyond
//! what it asks of an endpoint (DSP0236 1.3.3, sections 9 and 12).

mod assignment;
mod config;
mod discovery;
mod downstream;
mod endpoint_id_set;
mod lookup;
mod memory;
mod network;
mod port_set;
mod routing;
mod storage;
mod transport;

use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_time::Instant;
use mctp_transport::{MessageTag, PhysicalAddress};
use zerocopy::IntoBytes;

use super::ControlRequest;
use crate::bus_owner::{BusOwner, Neighbour, Range};
use crate::config::{NetworkId, PortId};
use crate::wire::{
    Command, CompletionCode, GetEndpointIdRequest, GetNetworkIdRequest, GetNetworkIdResponse,
    Request, Response,
};

use assignment::LastAllocation;
pub(crate) use config::MAX_PORTS;
pub use config::{AddBridgeError, BridgeConfig, BridgePort};
use endpoint_id_set::EndpointIdSet;
pub use memory::{BridgeMemory, BridgeMemoryInRam, SavedAssignment, SavedNeighbour};
pub(crate) use network::Network;
use port_set::PortSet;
pub use storage::BridgeStorage;
pub use transport::{TransportCommands, TransportRequest};

/// The tag of the requests of a bridge. No other request that leaves by a port to a bus that the
/// bridge owns has it, so a retransmission has the tag of the first try, and an answer to either is
/// the answer.
pub(crate) const REQUEST_TAG: MessageTag = MessageTag::from_low_bits(7);

/// How a control request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With the data that the response has.
    Success,
    /// With this completion code.
    Refusal(CompletionCode),
    /// Without a response.
    Silence,
}

impl From<Result<(), CompletionCode>> for Answer {
    fn from(result: Result<(), CompletionCode>) -> Self {
        match result {
            Ok(()) => Self::Success,
            Err(code) => Self::Refusal(code),
        }
    }
}

/// The state of a bridge or bus owner.
#[derive(Debug)]
pub(crate) struct Bridge<'b> {
    network: NetworkId,
    config: BridgeConfig<'b>,
    /// The port to the bus whose owner gave the endpoint ID and the pool: the first one, or the
    /// last that forced it. `None` for the topmost bus owner.
    upstream: Option<PortId>,
    /// The endpoint IDs that were allocated; `None` before that.
    pool: Option<Range>,
    last_allocation: Option<LastAllocation>,
    /// The ports on whose buses the endpoint is discovered.
    discovered: PortSet,
    /// The ports whose links are up.
    links: PortSet,
    /// What gives endpoint IDs to the endpoints behind the bridge.
    owner: BusOwner<'b>,
    /// How many places there are for neighbours.
    places: usize,
    /// The endpoint ID that `owner` knows.
    own: Eid,
    /// The bridges behind this one have to be told of other routes.
    are_routes_new: bool,
    /// Something changed that `owner` has to be asked about.
    is_stale: bool,
    /// What carries out the commands of transport bindings.
    transport: Option<&'b mut (dyn TransportCommands + 'b)>,
    /// What it keeps over a restart.
    memory: Option<&'b mut (dyn BridgeMemory + 'b)>,
    /// Endpoint IDs of bridges that there are routes to.
    bridges: EndpointIdSet,
    /// The endpoint ID of the bus owner to which there is a learnt route.
    owner_route: Option<Eid>,
}

impl<'b> Bridge<'b> {
    /// A bridge, or a bus owner with its own pool.
    pub(crate) fn new(
        network: NetworkId,
        config: &BridgeConfig<'b>,
        pool: Option<Range>,
        neighbours: &'b mut [Option<Neighbour>],
    ) -> Self {
        let places = neighbours.len();
        let mut owner = BusOwner::new(neighbours);
        owner.set_pool(pool, false);
        let is_point_to_point =
            |port: &&BridgePort| port.address == PhysicalAddress::POINT_TO_POINT;
        for port in config.ports.iter().filter(is_point_to_point) {
            if config.upstream != Some(port.port) {
                // Where there is no room, nobody is found.
                owner.expect(port.port, port.address);
            }
        }
        Self {
            network,
            config: *config,
            upstream: config.upstream,
            pool,
            last_allocation: None,
            discovered: PortSet::default(),
            links: PortSet::default(),
            owner,
            places,
            own: MCTP_ADDR_NULL,
            are_routes_new: false,
            is_stale: true,
            transport: None,
            memory: None,
            bridges: EndpointIdSet::default(),
            owner_route: None,
        }
    }

    /// Whether it is the topmost bus owner: nobody gives it endpoint IDs.
    fn is_topmost(&self) -> bool {
        self.upstream.is_none()
    }

    /// Whether a request came from the bus whose owner gives it endpoint IDs.
    fn is_from_upstream(&self, request: &ControlRequest<'_>) -> bool {
        self.upstream == Some(request.requester.port)
    }

    /// Carries out what a bridge does otherwise than an endpoint; `None` for the rest.
    fn carry_out(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Option<Answer> {
        let result = match request.header.command {
            Command::SET_ENDPOINT_ID => self
                .set_endpoint_id(request, network)
                .map(|data| response.put(data.as_bytes())),
            Command::GET_ENDPOINT_ID => GetEndpointIdRequest::parse(request.data).map(|_| {
                let (endpoint, _) = network.endpoint();
                let data = endpoint.get_endpoint_id_of_bridge(request.medium_specific);
                response.put(data.as_bytes());
            }),
            Command::RESOLVE_ENDPOINT_ID => self.resolve_endpoint_id(request, network, response),
            Command::ALLOCATE_ENDPOINT_IDS => self
                .allocate(request, network)
                .map(|data| response.put(data.as_bytes())),
            Command::ROUTING_INFORMATION_UPDATE => self.update_routes(request, network),
            Command::GET_ROUTING_TABLE_ENTRIES => self.routing_table(request, network, response),
            Command::PREPARE_FOR_ENDPOINT_DISCOVERY => self.prepare_for_discovery(request),
            Command::ENDPOINT_DISCOVERY => return Some(self.discover(request)),
            Command::DISCOVERY_NOTIFY => self.notify(request),
            Command::GET_NETWORK_ID => self
                .network_id(request)
                .map(|data| response.put(data.as_bytes())),
            Command::QUERY_HOP => self
                .query_hop(request, network)
                .map(|data| response.put(data.as_bytes())),
            Command::RESOLVE_UUID => self.resolve_uuid(request, network.uuid(), response),
            command if command.is_transport_specific() => {
                self.transport_specific(request, response)
            }
            _ => return None,
        };
        Some(result.into())
    }

    /// Answers Get Network ID (DSP0236 1.3.3, section 12.17), if the network has one.
    fn network_id(
        &self,
        request: &ControlRequest<'_>,
    ) -> Result<GetNetworkIdResponse, CompletionCode> {
        let network_id = self.config.network_id;
        let network_id = network_id.ok_or(CompletionCode::UNSUPPORTED_COMMAND)?;
        GetNetworkIdRequest::parse(request.data)?;
        Ok(GetNetworkIdResponse { network_id })
    }
}

/// What the core calls.
impl<'b> Bridge<'b> {
    /// The network that it bridges.
    pub(crate) fn network(&self) -> NetworkId {
        self.network
    }

    /// Answers a control request that came by a port of its network. `None` when the endpoint
    /// answers it as any endpoint does.
    pub(crate) fn answer(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Option<Answer> {
        self.carry_out(request, network, response)
    }

    /// Sets what carries out the commands of transport bindings.
    pub(crate) fn set_transport_commands(
        &mut self,
        commands: &'b mut (dyn TransportCommands + 'b),
    ) {
        self.transport = Some(commands);
    }

    /// Restores what this memory has, and saves to it from now on.
    pub(crate) fn set_memory(
        &mut self,
        memory: &'b mut (dyn BridgeMemory + 'b),
        network: &mut dyn Network,
    ) {
        let saved = memory.assignment().filter(|_| !self.is_topmost());
        if let Some(saved) = saved {
            self.restore_assignment(&saved, network);
        }
        for place in 0..self.places {
            self.restore_neighbour(memory.neighbour(place).as_ref());
        }
        self.memory = Some(memory);
        self.is_stale = true;
    }

    /// Takes a response (message type first) of a neighbour to a request of the bridge. `false` when
    /// it did not ask for it.
    pub(crate) fn receive_response(
        &mut self,
        now: Instant,
        (port, address): (PortId, PhysicalAddress),
        (source, tag): (Eid, MessageTag),
        response: &[u8],
    ) -> bool {
        self.uses_tag(port, tag)
            && self
                .owner
                .receive_response(now, port, address, source, response)
    }

    /// The neighbour there did not acknowledge a request of the bridge.
    pub(crate) fn refused(&mut self, now: Instant, (port, address): (PortId, PhysicalAddress)) {
        self.owner.refused(now, port, address);
    }

    /// Whether the requests of the bridge that leave by a port have this tag.
    pub(crate) fn uses_tag(&self, port: PortId, tag: MessageTag) -> bool {
        tag == REQUEST_TAG && self.owns(port)
    }

    /// [`drive`](Self::drive) is to be called as soon as there is a clock.
    pub(crate) fn look_at_once(&mut self) {
        self.is_stale = true;
    }

    /// When [`drive`](Self::drive) must be called at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        match self.is_stale {
            true => Instant::START,
            false => self.owner.deadline(),
        }
    }

    /// Routes were added or removed by the application.
    pub(crate) fn note_routes(&mut self) {
        self.are_routes_new = true;
        self.is_stale = true;
    }

    /// There may be an endpoint at an address of the bus of a port. `false` when there is no room to
    /// know of it, or the bridge does not own that bus.
    pub(crate) fn expect(&mut self, (port, address): (PortId, PhysicalAddress)) -> bool {
        let is_expected = self.owns(port) && self.owner.expect(port, address);
        self.is_stale |= is_expected;
        is_expected
    }
}

/// Whether a range has an endpoint ID from `first` to `last`.
fn overlaps(range: Range, first: Eid, last: Eid) -> bool {
    first.0 <= range.last().0 && range.first().0 <= last.0
}
