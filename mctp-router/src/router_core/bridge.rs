//! The bridge or bus owner that a router is in one network: how its control plane is driven.

use core::fmt::Debug;

use mctp::Eid;
use mctp_time::Instant;
use mctp_transport::{MessageTag, PacketHeader, PhysicalAddress, SequenceNumber, Transfer};

use super::{Link, Origin, Port, RouterCore, RoutingTable, Wakes};
use crate::config::{NetworkId, PortId, Route, RouteOrigin};
use crate::control::{
    AddBridgeError, Answer, Bridge, BridgeConfig, BridgeMemory, BridgeStorage, ControlRequest,
    Endpoint, Events, MAX_PORTS, Network, REQUEST_TAG, Responder, TransportCommands,
};
use crate::wire::Response;

/// Setting up a bridge.
impl<'b> RouterCore<'b> {
    /// Makes the device a bridge, or a bus owner, in a network to which its ports were added before.
    /// A router can be one in a single network.
    ///
    /// From now on the control protocol answers in that network as a bridge does: see
    /// [`BridgeConfig`]. The storage has to have room for the [routes](crate::storage::Routes) that
    /// are learnt: one to the bus owner, one to each neighbour, and as many as the bus owner tells of
    /// its bus; what finds no room is not reached. A topmost bus owner has an endpoint ID of its own: see
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
        let bridge = storage.bridge(network, config)?;
        for (port, number) in self.ports.iter().zip(0..) {
            if port.network == network && matches!(port.link, Link::Up | Link::Stalled) {
                bridge.note_link(PortId(number), true);
            }
        }
        self.bridge = Some(bridge);
        self.wakes.add(Wakes::Timer);
        Ok(())
    }

    /// Says that there may be an endpoint at an address of a bus that the bridge owns: the bridge asks
    /// there now and then, and gives whoever answers an endpoint ID. On a link to a single neighbour,
    /// one is expected already. `false` when the bridge does not own that bus, or its storage has no
    /// room for another one.
    pub fn expect_endpoint(&mut self, port: PortId, address: PhysicalAddress) -> bool {
        let bridge = self.bridge.as_deref_mut();
        let is_expected = bridge.is_some_and(|bridge| bridge.expect(port, address));
        if is_expected {
            self.wakes.add(Wakes::Timer);
        }
        is_expected
    }

    /// Restores what the bridge saved in `memory` before a restart: its endpoint ID, its pool, and
    /// what it gave its neighbours. From now on the bridge saves to it. `false` when there is no
    /// bridge.
    ///
    /// Call it next after [`add_bridge`](Self::add_bridge).
    pub fn set_bridge_memory(&mut self, memory: &'b mut (dyn BridgeMemory + 'b)) -> bool {
        let Some(bridge) = self.bridge.take() else {
            return false;
        };
        bridge.set_memory(self, memory);
        self.bridge = Some(bridge);
        self.slots.expect_anew();
        self.wakes.add(Wakes::Timer);
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

/// Driving it. All of the [`ControlPlane`] is reached by its function table.
impl RouterCore<'_> {
    /// Lets the bridge answer a control request in its network. `None` when it leaves that to the
    /// endpoint, or there is no bridge.
    #[inline]
    pub(super) fn answer_as_bridge(
        &mut self,
        request: &ControlRequest<'_>,
        response: &mut Response,
    ) -> Option<Answer> {
        let bridge = self.bridge.take()?;
        let answer = bridge.answer(self, request, response);
        self.bridge = Some(bridge);
        answer
    }

    /// Lets the bridge take a control response. `false` when it did not ask for it.
    #[inline]
    pub(super) fn answers_bridge(
        &mut self,
        now: Instant,
        origin: &Origin,
        response: &[u8],
    ) -> bool {
        let bridge = self.bridge.as_deref_mut();
        let is_taken = bridge.is_some_and(|bridge| bridge.takes(now, origin, response));
        if is_taken {
            self.drive_bridge(now);
        }
        is_taken
    }

    /// A neighbour did not acknowledge a transfer, which may have a request of the bridge.
    pub(super) fn refuse_bridge(&mut self, now: Instant, port: PortId, transfer: &Transfer<'_>) {
        let bridge = self.bridge.as_deref_mut();
        if bridge.is_some_and(|bridge| bridge.is_refused(now, port, transfer)) {
            self.drive_bridge(now);
        }
    }

    /// Sends what the bridge asks of its neighbours, and learns and forgets routes as they come and
    /// go.
    pub(super) fn drive_bridge(&mut self, now: Instant) {
        if let Some(bridge) = self.bridge.take() {
            bridge.drive(self, now);
            self.bridge = Some(bridge);
        }
    }

    /// The endpoint ID in a network was set from the device's side.
    pub(super) fn tell_bridge_of_endpoint_id(&mut self, network: NetworkId) {
        if let Some(bridge) = self.bridge.as_deref_mut()
            && network == bridge.network()
        {
            bridge.look_at_once();
            self.wakes.add(Wakes::Timer);
        }
    }

    /// The application added or removed a route of a network.
    pub(super) fn tell_bridge_of_routes(&mut self, network: NetworkId) {
        if let Some(bridge) = self.bridge.as_deref_mut()
            && network == bridge.network()
        {
            bridge.note_routes();
            self.wakes.add(Wakes::Timer);
        }
    }

    /// The link of a port came up or was lost.
    pub(super) fn tell_bridge_of_link(&mut self, port: PortId, is_up: bool) {
        let network = self.port(port).map(|port| port.network);
        if let Some(bridge) = self.bridge.as_deref_mut()
            && network == Some(bridge.network())
        {
            bridge.note_link(port, is_up);
        }
    }
}

/// What the core calls of a bridge. A trait object, so that a device without a bridge links neither
/// it nor what it needs of the core: [`add_bridge`](RouterCore::add_bridge) alone makes one.
pub(super) trait ControlPlane<'b>: Debug + Send {
    /// The network that it bridges.
    fn network(&self) -> NetworkId;

    /// Answers a control request, if it came by a port of its network. `None` when the endpoint
    /// answers it as any endpoint does.
    fn answer(
        &mut self,
        core: &mut RouterCore<'b>,
        request: &ControlRequest<'_>,
        response: &mut Response,
    ) -> Option<Answer>;

    /// Whether a control response is to one of its requests, and was taken.
    fn takes(&mut self, now: Instant, origin: &Origin, response: &[u8]) -> bool;

    /// Whether a transfer that a neighbour did not acknowledge was one of its requests.
    fn is_refused(&mut self, now: Instant, port: PortId, transfer: &Transfer<'_>) -> bool;

    /// Sends what it asks of its neighbours, and learns and forgets routes as they come and go.
    fn drive(&mut self, core: &mut RouterCore<'b>, now: Instant);

    /// When [`drive`](Self::drive) must be called at the latest.
    fn deadline(&self) -> Instant;

    /// [`drive`](Self::drive) is to be called as soon as there is a clock.
    fn look_at_once(&mut self);

    /// Routes were added or removed by the application.
    fn note_routes(&mut self);

    /// The link of a port came up or was lost.
    fn note_link(&mut self, port: PortId, is_up: bool);

    /// Whether the requests of the bridge that leave by a port have this tag.
    fn uses_tag(&self, port: PortId, tag: MessageTag) -> bool;

    /// There may be an endpoint at an address of the bus of a port. `false` when there is no room to
    /// know of it, or the bridge does not own that bus.
    fn expect(&mut self, port: PortId, address: PhysicalAddress) -> bool;

    /// Restores what this memory has, and saves to it from now on.
    fn set_memory(&mut self, core: &mut RouterCore<'b>, memory: &'b mut (dyn BridgeMemory + 'b));

    /// Sets what carries out the commands of transport bindings.
    fn set_transport_commands(&mut self, commands: &'b mut (dyn TransportCommands + 'b));
}

impl<'b> ControlPlane<'b> for Bridge<'b> {
    fn network(&self) -> NetworkId {
        self.network()
    }

    fn answer(
        &mut self,
        core: &mut RouterCore<'b>,
        request: &ControlRequest<'_>,
        response: &mut Response,
    ) -> Option<Answer> {
        if self.network() != request.network {
            return None;
        }
        let mut network = BridgedNetwork::of(core, self.network(), request.now)?;
        self.answer(request, &mut network, response)
    }

    fn takes(&mut self, now: Instant, origin: &Origin, response: &[u8]) -> bool {
        let terminus = (origin.source(), origin.header.tag());
        self.network() == origin.network()
            && self.receive_response(now, origin.neighbour(), terminus, response)
    }

    fn is_refused(&mut self, now: Instant, port: PortId, transfer: &Transfer<'_>) -> bool {
        let header = transfer.first_header();
        let is_request =
            header.is_some_and(|header| header.is_tag_owner() && self.uses_tag(port, header.tag()));
        if is_request {
            self.refused(now, (port, transfer.destination()));
        }
        is_request
    }

    fn drive(&mut self, core: &mut RouterCore<'b>, now: Instant) {
        let Some(mut network) = BridgedNetwork::of(core, self.network(), now) else {
            return;
        };
        self.drive(now, &mut network);
        let has_sent = network.has_sent;
        if has_sent {
            core.look_soon(now);
        }
        if has_sent || core.responder.events.any() {
            core.wakes.add(Wakes::Everybody);
        } else {
            core.wakes.add(Wakes::Timer);
        }
    }

    fn deadline(&self) -> Instant {
        self.deadline()
    }

    fn look_at_once(&mut self) {
        self.look_at_once();
    }

    fn note_routes(&mut self) {
        self.note_routes();
    }

    fn note_link(&mut self, port: PortId, is_up: bool) {
        self.note_link(port, is_up);
    }

    fn uses_tag(&self, port: PortId, tag: MessageTag) -> bool {
        self.uses_tag(port, tag)
    }

    fn expect(&mut self, port: PortId, address: PhysicalAddress) -> bool {
        self.expect((port, address))
    }

    fn set_memory(&mut self, core: &mut RouterCore<'b>, memory: &'b mut (dyn BridgeMemory + 'b)) {
        // Nothing is sent here.
        if let Some(mut network) = BridgedNetwork::of(core, self.network(), Instant::START) {
            self.set_memory(memory, &mut network);
        }
    }

    fn set_transport_commands(&mut self, commands: &'b mut (dyn TransportCommands + 'b)) {
        self.set_transport_commands(commands);
    }
}

/// What of the core belongs to the network of the bridge.
struct BridgedNetwork<'r, 'b> {
    now: Instant,
    network: NetworkId,
    ports: &'r mut [Port<'b>],
    routes: &'r mut RoutingTable<'b>,
    endpoint: &'r mut Endpoint,
    responder: &'r mut Responder,
    has_sent: bool,
}

impl<'r, 'b> BridgedNetwork<'r, 'b> {
    fn of(core: &'r mut RouterCore<'b>, network: NetworkId, now: Instant) -> Option<Self> {
        Some(Self {
            now,
            network,
            ports: core.ports,
            routes: &mut core.routes,
            endpoint: core.endpoints.get_mut(usize::from(network.0))?,
            responder: &mut core.responder,
            has_sent: false,
        })
    }

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
        (self.endpoint, &mut self.responder.events)
    }

    fn uuid(&self) -> &[u8; 16] {
        self.responder.uuid()
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

    fn send(
        &mut self,
        (port, address): (PortId, PhysicalAddress),
        destination: Eid,
        payload: &[u8],
    ) {
        let Some(port) = self.ports.get_mut(usize::from(port.0)) else {
            return;
        };
        if !port.has_response_place() {
            return;
        }
        let header = PacketHeader {
            destination,
            source: self.endpoint.endpoint_id,
            start: true,
            end: true,
            sequence: SequenceNumber::default(),
            tag_owner: true,
            tag: REQUEST_TAG,
        };
        if port.queue_response(address, header.into(), payload).is_ok() {
            port.note_waiting(self.now);
            self.has_sent = true;
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
