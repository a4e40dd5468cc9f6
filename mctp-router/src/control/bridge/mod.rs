//! The control plane of a bridge, and of a bus owner: what the control protocol asks of them beyond
//! what it asks of an endpoint (DSP0236 1.3.3, sections 9 and 12).

mod assignment;
mod config;
mod discovery;
mod endpoint_id_set;
mod lookup;
mod memory;
mod network;
mod pool;
mod routing;
mod storage;
mod transport;

use mctp::Eid;
use zerocopy::IntoBytes;

use super::ControlRequest;
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
pub(crate) use pool::Pool;
pub use storage::BridgeStorage;
pub use transport::{TransportCommands, TransportRequest};

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

/// What the core calls of a [`Bridge`]. A trait object, so that a device without one does not link
/// it.
pub(crate) trait ControlPlane<'b>: core::fmt::Debug + Send {
    /// The network that it bridges.
    fn network(&self) -> NetworkId;

    /// Answers a control request that came by a port of its network. `None` when the endpoint
    /// answers it as any endpoint does.
    fn answer(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Option<Answer>;

    /// Sets what carries out the commands of transport bindings.
    fn set_transport_commands(&mut self, commands: &'b mut (dyn TransportCommands + 'b));

    /// Restores what this memory has, and saves to it from now on.
    fn set_memory(&mut self, memory: &'b mut (dyn BridgeMemory + 'b), network: &mut dyn Network);
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
    pool: Option<Pool>,
    last_allocation: Option<LastAllocation>,
    /// Bit n: the endpoint is discovered on the bus of port n.
    discovered: u32,
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
    pub(crate) fn new(network: NetworkId, config: &BridgeConfig<'b>, pool: Option<Pool>) -> Self {
        Self {
            network,
            config: *config,
            upstream: config.upstream,
            pool,
            last_allocation: None,
            discovered: 0,
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
            Command::GET_NETWORK_ID => self
                .network_id(request)
                .map(|data| response.put(data.as_bytes())),
            Command::QUERY_HOP => self
                .query_hop(request, network)
                .map(|data| response.put(data.as_bytes())),
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

impl<'b> ControlPlane<'b> for Bridge<'b> {
    fn network(&self) -> NetworkId {
        self.network
    }

    fn answer(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Option<Answer> {
        let answer = self.carry_out(request, network, response);
        self.save_assignment(network);
        answer
    }

    fn set_transport_commands(&mut self, commands: &'b mut (dyn TransportCommands + 'b)) {
        self.transport = Some(commands);
    }

    fn set_memory(&mut self, memory: &'b mut (dyn BridgeMemory + 'b), network: &mut dyn Network) {
        let saved = memory.assignment().filter(|_| !self.is_topmost());
        if let Some(saved) = saved {
            self.restore_assignment(&saved, network);
        }
        self.memory = Some(memory);
    }
}
