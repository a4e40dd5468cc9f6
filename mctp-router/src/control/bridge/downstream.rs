//! The buses that the bridge owns: its bus owner asks the endpoints there, gives them endpoint IDs
//! from the pool, and says which are present; those have routes.

use heapless::Vec;
use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_time::Instant;
use mctp_transport::{BASELINE_TRANSMISSION_UNIT, PhysicalAddress};

use super::routing::range_size;
use super::{Bridge, Network, SavedNeighbour};
use crate::bus_owner::{Change, Range};
use crate::config::{Event, PortId, Route, RouteOrigin};
use crate::control::ControlRequest;
use crate::wire::{
    CompletionCode, DiscoveryNotifyRequest, Request, RoutingEntryKind, RoutingUpdate,
    RoutingUpdateEntry,
};

/// Entries of a Routing Information Update that one packet has room for, whatever their addresses:
/// of 60 bytes, three and an address of up to three for each.
const PAGE_ENTRIES: usize = 10;

impl Bridge<'_> {
    /// Whether the bridge is the bus owner of the bus of a port.
    pub(super) fn owns(&self, port: PortId) -> bool {
        let is_upstream = [self.upstream, self.config.upstream].contains(&Some(port));
        self.config.port(port).is_some() && !is_upstream
    }

    /// Carries out Discovery Notify (DSP0236 1.3.3, section 12.16), on the buses that the bridge
    /// owns: the endpoint that sent it is asked at once.
    pub(super) fn notify(&mut self, request: &ControlRequest<'_>) -> Result<(), CompletionCode> {
        let port = request.requester.port;
        if !self.owns(port) {
            return Err(CompletionCode::UNSUPPORTED_COMMAND);
        }
        DiscoveryNotifyRequest::parse(request.data)?;
        self.owner.notify(port, request.requester.address);
        Ok(())
    }

    /// Sends what the bridge asks of its neighbours, and learns and forgets routes as they come and
    /// go.
    pub(crate) fn drive(&mut self, now: Instant, network: &mut dyn Network) {
        self.is_stale = false;
        let (endpoint, _) = network.endpoint();
        let own = endpoint.endpoint_id;
        if own != self.own {
            self.own = own;
            self.owner.set_own_endpoint_id(own);
            self.are_routes_new = true;
        }
        let mut is_done = false;
        while !is_done {
            is_done = true;
            // One that finds no place at its port is lost, and repeated as any other that is lost.
            while self.send_request(now, network) {
                is_done = false;
            }
            while let Some(change) = self.owner.poll_change() {
                self.note_change(&change, network);
            }
            if core::mem::take(&mut self.are_routes_new) {
                self.owner.inform_bridges(pages(network));
                is_done = false;
            }
        }
        self.save_assignment(network);
        self.save_neighbours();
    }

    /// Gives a neighbour what it had before the restart, as far as the pool has it.
    pub(super) fn restore_neighbour(&mut self, saved: Option<&SavedNeighbour>) {
        let Some(saved) = saved.filter(|saved| self.owns(saved.port)) else {
            return;
        };
        let range = saved.pool.and_then(|(first, last)| Range::new(first, last));
        let has = |endpoint_id| self.pool.is_some_and(|pool| pool.contains(endpoint_id));
        let is_range_had = range.is_none_or(|range| has(range.first()) && has(range.last()));
        if has(saved.endpoint_id) && is_range_had {
            // Where there is no room, it is assigned anew.
            self.owner
                .reserve(saved.port, saved.address, saved.endpoint_id, range);
        }
    }

    /// Saves what has changed of the neighbours since the last call.
    fn save_neighbours(&mut self) {
        let Some(memory) = self.memory.as_deref_mut() else {
            return;
        };
        let saved = self.owner.neighbours().map(|neighbour| {
            let (port, address) = neighbour.place();
            let endpoint_id = neighbour.endpoint_id()?;
            let pool = neighbour.range();
            Some(SavedNeighbour {
                port,
                address,
                endpoint_id,
                pool: pool.map(|pool| (pool.first(), pool.last())),
            })
        });
        for (place, now) in saved.enumerate() {
            if memory.neighbour(place) != now {
                memory.save_neighbour(place, now.as_ref());
            }
        }
    }

    /// Sends the next request of the bus owner, if there is one.
    fn send_request(&mut self, now: Instant, network: &mut dyn Network) -> bool {
        let Some(request) = self.owner.poll_request(now) else {
            return false;
        };
        let neighbour = (request.port, request.address);
        let (destination, page) = (request.destination, request.page);
        let mut message: Vec<u8, BASELINE_TRANSMISSION_UNIT> = Vec::new();
        // A control message is no longer than that.
        let _ = message.extend_from_slice(request.payload);
        if let Some(page) = page {
            let update = self.page(page, neighbour, network);
            let _ = message.extend_from_slice(update.as_bytes());
        }
        network.send(neighbour, destination, &message);
        true
    }

    /// A neighbour that is present has routes, and one that is gone has none.
    fn note_change(&mut self, change: &Change, network: &mut dyn Network) {
        self.are_routes_new = true;
        let (_, events) = network.endpoint();
        match *change {
            Change::Present {
                port,
                address,
                endpoint_id,
                range,
            } => {
                events.push(Event::NeighbourPresent {
                    network: self.network,
                    endpoint_id,
                    port,
                    address,
                });
                let mut neighbours = self.owner.neighbours();
                let is_bridge = neighbours
                    .any(|neighbour| neighbour.place() == (port, address) && neighbour.is_bridge());
                self.bridges.set(endpoint_id, is_bridge);
                let unit = network.unit(port);
                for (first, last) in reached(endpoint_id, range) {
                    let route = Route::new(first, last, port, address)
                        .with_transmission_unit(unit)
                        .with_origin(RouteOrigin::Dynamic);
                    // What finds no room is not reached: see `RouterCore::add_bridge`.
                    network.learn_route(route);
                }
            }
            Change::Gone { endpoint_id, range } => {
                events.push(Event::NeighbourGone {
                    network: self.network,
                    endpoint_id,
                });
                self.bridges.set(endpoint_id, false);
                for (first, last) in reached(endpoint_id, range) {
                    network.forget_route(first, last);
                }
            }
        }
    }

    /// A page of Routing Information Update for a neighbour: who is reached on its bus, or through this
    /// bridge. It is not told of itself.
    fn page(
        &self,
        page: u8,
        (port, address): (PortId, PhysicalAddress),
        network: &dyn Network,
    ) -> RoutingUpdate {
        let mut update = RoutingUpdate::new();
        let Some(described) = self.config.port(port) else {
            return update;
        };
        let own_address = described.binding.encode_address(described.address);
        let first = usize::from(page).saturating_mul(PAGE_ENTRIES);
        if first == 0 && self.own != MCTP_ADDR_NULL {
            // There is room for as many entries, whatever their addresses.
            let _ = update.push(&RoutingUpdateEntry {
                kind: RoutingEntryKind::BRIDGE,
                range_size: 1,
                first: self.own.0,
                address: own_address.as_bytes(),
            });
        }
        let mut number: usize = 0;
        network.find_route(&mut |route| {
            number = number.saturating_add(1);
            let is_on_page = number >= first && number < first.saturating_add(PAGE_ENTRIES);
            if !is_on_page || route.leads_by((port, address)) {
                return false;
            }
            let there = described.binding.encode_address(route.address);
            let (kind, address) = match route.port == port {
                true => (self.kind_of(route), there.as_bytes()),
                false => (RoutingEntryKind::RANGE, own_address.as_bytes()),
            };
            let _ = update.push(&RoutingUpdateEntry {
                kind,
                range_size: range_size(route),
                first: route.first.0,
                address,
            });
            false
        });
        update
    }

    /// The link of a port came up or was lost.
    pub(crate) fn note_link(&mut self, port: PortId, is_up: bool) {
        self.links.set(port, is_up);
        self.tell_owner_of_link(port);
    }

    /// From now on endpoint ID and pool come from the bus of this port.
    pub(super) fn set_upstream(&mut self, port: PortId) {
        let before = self.upstream.replace(port);
        for changed in before.into_iter().chain([port]) {
            if before != Some(port) {
                self.tell_owner_of_link(changed);
            }
        }
    }

    fn tell_owner_of_link(&mut self, port: PortId) {
        match self.links.has(port) && self.owns(port) {
            true => self.owner.link_up(port),
            false => self.owner.link_down(port),
        }
        self.is_stale = true;
    }
}

/// How many pages of routes there are for the bridges behind this one.
fn pages(network: &dyn Network) -> u8 {
    // The bridge itself is in the first one.
    let mut entries: usize = 1;
    network.find_route(&mut |_| {
        entries = entries.saturating_add(1);
        false
    });
    let pages = entries.div_ceil(PAGE_ENTRIES);
    pages.try_into().unwrap_or(u8::MAX)
}

/// The ranges of the routes to an endpoint, and to those that are reached through it: one if they
/// follow one another.
fn reached(endpoint_id: Eid, behind: Option<Range>) -> impl Iterator<Item = (Eid, Eid)> {
    let follows = |range: &Range| endpoint_id.0.checked_add(1) == Some(range.first().0);
    let last = behind.filter(follows).map_or(endpoint_id, Range::last);
    let apart = behind.filter(|range| !follows(range));
    let apart = apart.map(|range| (range.first(), range.last()));
    [(endpoint_id, last)].into_iter().chain(apart)
}
