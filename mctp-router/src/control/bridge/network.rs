//! What of the router a bridge works with.

use mctp::Eid;
use mctp_transport::PhysicalAddress;

use crate::config::{PortId, Route};
use crate::control::{Endpoint, Events};

/// The network of a bridge, as far as its control plane reads and changes it.
pub(crate) trait Network {
    /// The endpoint that the device is in it, and where events go.
    fn endpoint(&mut self) -> (&mut Endpoint, &mut Events);

    /// The UUID of the device.
    fn uuid(&self) -> &[u8; 16];

    /// The route to an endpoint.
    fn route_to(&self, endpoint_id: Eid) -> Option<&Route>;

    /// The first route, in whatever order, for which this holds.
    fn find_route(&self, is_it: &mut dyn FnMut(&Route) -> bool) -> Option<&Route>;

    /// Adds a route that was learnt, or replaces the learnt route of the same range. A static one
    /// of that range stays. `false` when there is no room for it.
    fn learn_route(&mut self, route: Route) -> bool;

    /// Removes the learnt route of a range, if there is one.
    fn forget_route(&mut self, first: Eid, last: Eid);

    /// Puts a control request among the control responses of a port, unless the link is down or no
    /// place is free.
    fn send(&mut self, neighbour: (PortId, PhysicalAddress), destination: Eid, payload: &[u8]);

    /// Packet payload bytes that a port sends where no route says otherwise.
    fn unit(&self, port: PortId) -> usize;

    /// Packet payload bytes that are sent by a route.
    fn unit_of(&self, route: &Route) -> usize;

    /// The largest packet payload that a port accepts and its transport carries.
    fn largest_received(&self, port: PortId) -> usize;
}
