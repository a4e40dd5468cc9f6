//! The control plane of a bridge, and of a bus owner: what the control protocol asks of them beyond
//! what it asks of an endpoint (DSP0236 1.3.3, sections 9 and 12).

mod assignment;
mod config;
mod discovery;
mod network;
mod pool;
mod storage;

use mctp::Eid;

use super::ControlRequest;
use crate::config::{NetworkId, PortId};
use crate::wire::{Command, CompletionCode, GetEndpointIdRequest, Request, Response};
use zerocopy::IntoBytes;

pub(crate) use config::MAX_PORTS;
pub use config::{AddBridgeError, BridgeConfig, BridgePort};
pub(crate) use network::Network;
pub(crate) use pool::Pool;
pub use storage::BridgeStorage;

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
pub(crate) trait ControlPlane: core::fmt::Debug + Send {
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
    /// Bit n: the endpoint is discovered on the bus of port n.
    discovered: u32,
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
            discovered: 0,
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
    ) -> Option<Result<(), CompletionCode>> {
        Some(match request.header.command {
            Command::SET_ENDPOINT_ID => self
                .set_endpoint_id(request, network)
                .map(|answer| response.put(answer.as_bytes())),
            Command::GET_ENDPOINT_ID => GetEndpointIdRequest::parse(request.data).map(|_| {
                let (endpoint, _) = network.endpoint();
                let answer = endpoint.get_endpoint_id_of_bridge(request.medium_specific);
                response.put(answer.as_bytes());
            }),
            Command::ALLOCATE_ENDPOINT_IDS => self
                .allocate(request, network)
                .map(|answer| response.put(answer.as_bytes())),
            _ => return None,
        })
    }
}

impl ControlPlane for Bridge<'_> {
    fn network(&self) -> NetworkId {
        self.network
    }

    fn answer(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Option<Answer> {
        self.carry_out(request, network, response).map(Answer::from)
    }
}
