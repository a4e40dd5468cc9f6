//! Where endpoints are: Resolve Endpoint ID, Query Hop and Resolve UUID (DSP0236 1.3.3, sections
//! 12.10, 12.18 and 12.19).

use mctp::{Eid, MCTP_ADDR_ANY, MCTP_ADDR_NULL};

use super::{Bridge, Network};
use crate::config::Route;
use crate::control::ControlRequest;
use crate::wire::{
    CompletionCode, QueryHopRequest, QueryHopResponse, Request, ResolveEndpointIdRequest,
    ResolveEndpointIdResponse, ResolveUuidRequest, ResolveUuidResponse, Response, TransmissionUnit,
    UuidEntry,
};

impl Bridge<'_> {
    /// Answers Resolve Endpoint ID: an endpoint on the bus of the requester is reached directly, or
    /// by another bridge there; every other one by this bridge.
    pub(super) fn resolve_endpoint_id(
        &self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Result<(), CompletionCode> {
        let target = Eid(ResolveEndpointIdRequest::parse(request.data)?.endpoint_id);
        let from = request.requester.port;
        let port = self.config.port(from).ok_or(CompletionCode::ERROR)?;
        let (endpoint, _) = network.endpoint();
        let own = endpoint.endpoint_id;
        let is_own = target == own && own != MCTP_ADDR_NULL;
        let (bridge, address) = match network.route_to(target).copied() {
            Some(route) if route.port == from && !is_own => {
                (self.next_hop(&route, target, network), route.address)
            }
            None if !is_own => return Err(CompletionCode::ERROR),
            _ => (own, port.address),
        };
        let address = port.binding.encode_address(address);
        ResolveEndpointIdResponse::emit(bridge.0, address.as_bytes(), response);
        Ok(())
    }

    /// Answers Query Hop: through which bridge packets go next from here, and how long they may be.
    /// The units hold for all message types.
    pub(super) fn query_hop(
        &self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
    ) -> Result<QueryHopResponse, CompletionCode> {
        let query = QueryHopRequest::parse(request.data)?;
        let target = Eid(query.endpoint_id);
        if target == MCTP_ADDR_NULL || target == MCTP_ADDR_ANY {
            return Err(CompletionCode::INVALID_DATA);
        }
        let from = request.requester.port;
        let incoming = network.largest_received(from);
        let (endpoint, _) = network.endpoint();
        if target == endpoint.endpoint_id {
            return Ok(hop(MCTP_ADDR_NULL, incoming, incoming));
        }
        let route = network.route_to(target).copied();
        let route = route.ok_or(CompletionCode::INVALID_DATA)?;
        let next = match route.port == from {
            // From the bus of the requester it does not go through this bridge.
            true => MCTP_ADDR_NULL,
            false => self.next_hop(&route, target, network),
        };
        Ok(hop(next, incoming, network.unit_of(&route)))
    }

    /// Answers Resolve UUID: the endpoint IDs of the bridge itself, and of those of its neighbours that
    /// are present. A handle is the number of a match.
    pub(super) fn resolve_uuid(
        &self,
        request: &ControlRequest<'_>,
        own_uuid: &[u8; 16],
        response: &mut Response,
    ) -> Result<(), CompletionCode> {
        let wanted = ResolveUuidRequest::parse(request.data)?;
        let from = request.requester.port;
        let itself = Some((self.own, from))
            .filter(|(own, _)| wanted.uuid == *own_uuid && *own != MCTP_ADDR_NULL)
            .and_then(|(own, port)| Some((own, port, self.config.port(port)?.address)));
        let neighbours = self.owner.neighbours().filter_map(|neighbour| {
            let (port, address) = neighbour.place();
            let is_it = neighbour.is_present() && neighbour.uuid() == Some(&wanted.uuid);
            let endpoint_id = neighbour.endpoint_id().filter(|_| is_it)?;
            Some((endpoint_id, port, address))
        });
        let matches = itself.into_iter().chain(neighbours);
        let mut page = ResolveUuidResponse::page(response);
        for (number, (endpoint_id, port, address)) in (0..ResolveUuidResponse::LAST).zip(matches) {
            let Some(described) = self.config.port(port).filter(|_| number >= wanted.handle) else {
                continue;
            };
            let address = described.binding.encode_address(address);
            let entry = UuidEntry {
                endpoint_id: endpoint_id.0,
                binding: described.binding,
                medium: described.medium,
                address: address.as_bytes(),
            };
            if !page.push(&entry) {
                page.set_next_handle(number);
                break;
            }
        }
        Ok(())
    }

    /// The neighbour that packets to `target` are sent to by its route: a bridge, or the target.
    fn next_hop(&self, route: &Route, target: Eid, network: &dyn Network) -> Eid {
        let is_bridge_there = |other: &Route| {
            other.leads_by((route.port, route.address)) && self.bridges.contains(other.first)
        };
        if is_bridge_there(route) {
            return route.first;
        }
        match network.find_route(&mut |other| is_bridge_there(other)) {
            Some(bridge) => bridge.first,
            None if route.first == route.last => target,
            // A configured range behind a bridge whose endpoint ID is not known.
            None => MCTP_ADDR_NULL,
        }
    }
}

/// The response to Query Hop, for all message types.
fn hop(next: Eid, max_incoming: usize, max_outgoing: usize) -> QueryHopResponse {
    QueryHopResponse {
        next_bridge: next.0,
        message_type: QueryHopResponse::ANY_MESSAGE_TYPE,
        max_incoming: TransmissionUnit::of_bytes(max_incoming),
        max_outgoing: TransmissionUnit::of_bytes(max_outgoing),
    }
}
