//! The bridge or bus owner that a router is in one network: how its control plane is driven.

use mctp::Eid;

use super::{Port, RouterCore, RoutingTable};
use crate::config::{NetworkId, PortId, Route, RouteOrigin};
use crate::control::{
    AddBridgeError, Answer, BridgeConfig, BridgeMemory, BridgeStorage, ControlPlane,
    ControlRequest, Endpoint, Events, MAX_PORTS, Network, TransportCommands,
};
use crate::wire::Response;

/// Setting up a bridge.
impl<'b> RouterCore<'b> {
    /// Makes the device a bridge, or a bus owner, in a network to which its ports were added before.
    /// A router can be one in a single network.
    ///
    /// From now on the control protocol answers in that network as a bridge does: see
    /// [`BridgeConfig`]. A topmost bus owner has an endpoint ID of its own: see
    /// [`set_static_endpoint_id`](Self::set_static_endpoint_id).
    ///
    /// # Errors
    ///
    /// When the settings do not fit the network, or the router has a bridge.
    pub fn add_bridge<const NEIGHBOURS: usize>(
        &mut self,
        network: NetworkId,
        storage: &'b mut BridgeStorage<'b, NEIGHBOURS>,
        config: &BridgeConfig<'b>,
    ) -> Result<(), AddBridgeError> {
        self.check_bridge_ports(network, config)?;
        self.bridge = Some(storage.bridge(network, config)?);
        Ok(())
    }

    /// Restores what the bridge saved in `memory` before a restart: its endpoint ID, its pool, and
    /// what it gave its neighbours. From now on the bridge saves to it. `false` when there is no
    /// bridge.
    ///
    /// Call it next after [`add_bridge`](Self::add_bridge).
    pub fn set_bridge_memory(&mut self, memory: &'b mut (dyn BridgeMemory + 'b)) -> bool {
        let Some((bridge, mut network)) = self.bridge_and_network() else {
            return false;
        };
        bridge.set_memory(memory, &mut network);
        self.slots.expect_anew();
        true
    }

    /// Sets what carries out the commands of transport bindings, F0h to FFh, in the network of the
    /// bridge. `false` when there is no bridge.
    pub fn set_transport_commands(
        &mut self,
        commands: &'b mut (dyn TransportCommands + 'b),
    ) -> bool {
        let bridge = self.bridge.as_deref_mut();
        bridge.is_some_and(|bridge| {
            bridge.set_transport_commands(commands);
            true
        })
    }

    fn check_bridge_ports(
        &self,
        network: NetworkId,
        config: &BridgeConfig<'b>,
    ) -> Result<(), AddBridgeError> {
        if self.bridge.is_some() {
            return Err(AddBridgeError::Second);
        }
        let is_in_network = |port: PortId| {
            let port = self.ports.get(usize::from(port.0));
            port.is_some_and(|port| port.exists() && port.network == network)
        };
        let listed = config.ports.iter().map(|listed| listed.port);
        for port in listed.chain(config.upstream) {
            if !is_in_network(port) {
                return Err(AddBridgeError::NotInNetwork { port, network });
            }
        }
        for port in (0..self.ports.len() as u8).map(PortId) {
            if !is_in_network(port) {
                continue;
            }
            if port.0 >= MAX_PORTS {
                return Err(AddBridgeError::PortNumber(port));
            }
            if config.port(port).is_none() {
                return Err(AddBridgeError::NotDescribed(port));
            }
        }
        Ok(())
    }
}

/// Driving it.
impl<'b> RouterCore<'b> {
    /// The bridge, and the network that it works in.
    fn bridge_and_network(
        &mut self,
    ) -> Option<(&mut (dyn ControlPlane<'b> + 'b), BridgedNetwork<'_, 'b>)> {
        let bridge = self.bridge.as_deref_mut()?;
        let network = bridge.network();
        let of_core = BridgedNetwork {
            network,
            ports: self.ports,
            routes: &mut self.routes,
            endpoint: self.endpoints.get_mut(usize::from(network.0))?,
            events: &mut self.responder.events,
        };
        Some((bridge, of_core))
    }

    /// Lets the bridge answer a control request in its network. `None` when it leaves that to the
    /// endpoint, or there is no bridge.
    #[inline]
    pub(super) fn answer_as_bridge(
        &mut self,
        request: &ControlRequest<'_>,
        response: &mut Response,
    ) -> Option<Answer> {
        let (bridge, mut network) = self.bridge_and_network()?;
        if bridge.network() != request.network {
            return None;
        }
        bridge.answer(request, &mut network, response)
    }
}

/// What of the core belongs to the network of the bridge.
struct BridgedNetwork<'r, 'b> {
    network: NetworkId,
    ports: &'r mut [Port<'b>],
    routes: &'r mut RoutingTable<'b>,
    endpoint: &'r mut Endpoint,
    events: &'r mut Events,
}

impl<'b> BridgedNetwork<'_, 'b> {
    fn port(&self, port: PortId) -> Option<&Port<'b>> {
        self.ports.get(usize::from(port.0))
    }

    fn has_route_of(&self, origin: RouteOrigin, first: Eid, last: Eid) -> bool {
        let mut routes = self.routes.of(self.network);
        routes.any(|route| (route.origin, route.first, route.last) == (origin, first, last))
    }
}

impl Network for BridgedNetwork<'_, '_> {
    fn endpoint(&mut self) -> (&mut Endpoint, &mut Events) {
        (self.endpoint, self.events)
    }

    fn route_to(&self, endpoint_id: Eid) -> Option<&Route> {
        self.routes.to(self.network, endpoint_id)
    }

    fn find_route(&self, is_it: &mut dyn FnMut(&Route) -> bool) -> Option<&Route> {
        self.routes.of(self.network).find(|route| is_it(route))
    }

    fn learn_route(&mut self, route: Route) -> bool {
        self.has_route_of(RouteOrigin::Static, route.first, route.last)
            || self.routes.add(self.network, route)
    }

    fn forget_route(&mut self, first: Eid, last: Eid) {
        if self.has_route_of(RouteOrigin::Dynamic, first, last) {
            self.routes.remove(self.network, first, last);
        }
    }

    fn unit(&self, port: PortId) -> usize {
        self.port(port).map_or(0, Port::unit)
    }

    fn unit_of(&self, route: &Route) -> usize {
        let port = self.port(route.port);
        port.map_or(0, |port| port.usable_unit(route.transmission_unit))
    }

    fn largest_received(&self, port: PortId) -> usize {
        let port = self.port(port);
        port.map_or(0, |port| port.usable_unit(port.max_receive_unit()))
    }
}
