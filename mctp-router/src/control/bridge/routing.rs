//! The routing table as the control protocol shows and changes it: Routing Information Update and
//! Get Routing Table Entries (DSP0236 1.3.3, sections 12.12 and 12.13).

use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_transport::PhysicalAddress;

use super::{Bridge, BridgePort, Network, overlaps};
use crate::bus_owner::Range;
use crate::config::{Route, RouteOrigin};
use crate::control::ControlRequest;
use crate::wire::{
    CompletionCode, GetRoutingTableEntriesRequest, GetRoutingTableEntriesResponse, Request,
    Response, RoutingEntryFlags, RoutingEntryKind, RoutingInformationUpdateRequest,
    RoutingTableEntry, RoutingUpdateEntry,
};

/// The last number that can be a handle.
const LAST_HANDLE: u8 = GetRoutingTableEntriesResponse::LAST - 1;

/// What an entry of Routing Information Update says.
struct Learnt {
    range: Range,
    is_bridge: bool,
    address: PhysicalAddress,
}

impl Bridge<'_> {
    /// Carries out Routing Information Update: learns the routes on the bus of its bus owner, which
    /// alone may send it. A topmost bus owner has none.
    ///
    /// An entry with an endpoint ID of the bridge or of its pool says nothing new to the bridge, and
    /// is left out. Nothing is learnt from a request that has an entry which is not legal.
    pub(super) fn update_routes(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
    ) -> Result<(), CompletionCode> {
        if self.is_topmost() {
            return Err(CompletionCode::UNSUPPORTED_COMMAND);
        }
        let update = RoutingInformationUpdateRequest::parse(request.data)?;
        let (endpoint, _) = network.endpoint();
        let own = endpoint.endpoint_id;
        let is_from_owner = endpoint.bus_owner.is_some_and(|owner| {
            (owner.port, owner.address) == (request.requester.port, request.requester.address)
        });
        let port = self.config.port(request.requester.port);
        let port = port.filter(|_| is_from_owner && self.is_from_upstream(request));
        let port = port.ok_or(CompletionCode::ERROR)?;
        let own_len = port.address.as_bytes().len();
        let address_len = port.binding.address_len().unwrap_or(own_len);
        for entry in update.entries(address_len)? {
            learnt(&entry, port.binding.decode_address(entry.address))?;
        }
        for entry in update.entries(address_len)? {
            let entry = learnt(&entry, port.binding.decode_address(entry.address))?;
            let (first, last) = (entry.range.first(), entry.range.last());
            let is_own = entry.range.contains(own)
                || self.pool.is_some_and(|pool| overlaps(pool, first, last));
            if is_own {
                continue;
            }
            let route = Route::new(first, last, port.port, entry.address)
                .with_transmission_unit(network.unit(port.port))
                .with_origin(RouteOrigin::Dynamic);
            if !network.learn_route(route) {
                return Err(CompletionCode::INSUFFICIENT_SPACE);
            }
            self.bridges.set(first, entry.is_bridge);
            self.are_routes_new = true;
        }
        Ok(())
    }

    /// Answers Get Routing Table Entries: the bridge itself first, then the routes. A handle is the
    /// number of an entry.
    pub(super) fn routing_table(
        &self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
        response: &mut Response,
    ) -> Result<(), CompletionCode> {
        let from = GetRoutingTableEntriesRequest::parse(request.data)?.handle;
        let is_first = from == GetRoutingTableEntriesRequest::FIRST;
        if !is_first && self.table_entry(from, network).is_none() {
            return Err(CompletionCode::INVALID_DATA);
        }
        let mut page = GetRoutingTableEntriesResponse::page(response);
        let mut number = from;
        while let Some(entry) = self.table_entry(number, network) {
            let address = entry.port.binding.encode_address(entry.address);
            let pushed = RoutingTableEntry {
                range_size: entry.range_size,
                first: entry.first.0,
                flags: RoutingEntryFlags::new(entry.kind, entry.is_static, entry.port.port.0),
                binding: entry.port.binding,
                medium: entry.port.medium,
                address: address.as_bytes(),
            };
            // The number behind this one is no handle, so it cannot be the first of a page.
            let begins_last_page = number == LAST_HANDLE && number != from;
            if begins_last_page || !page.push(&pushed) {
                page.set_next_handle(number);
                break;
            }
            let Some(next) = number.checked_add(1) else {
                break;
            };
            number = next;
        }
        Ok(())
    }

    /// An entry of the routing table by its number. The number FFh, which is no handle, is that of
    /// the 256th and last entry.
    fn table_entry(&self, number: u8, network: &mut dyn Network) -> Option<TableEntry<'_>> {
        let (endpoint, _) = network.endpoint();
        let (own, is_static) = (endpoint.endpoint_id, endpoint.is_static());
        let has_own = own != MCTP_ADDR_NULL;
        if has_own && number == 0 {
            let port = match self.upstream {
                Some(upstream) => self.config.port(upstream),
                None => self.config.ports.first(),
            }?;
            return Some(TableEntry {
                first: own,
                range_size: 1,
                kind: RoutingEntryKind::BRIDGE,
                is_static,
                port,
                address: port.address,
            });
        }
        let mut before = number.saturating_sub(has_own.into());
        let is_listed =
            |route: &Route| route.first.0 <= route.last.0 && self.config.port(route.port).is_some();
        let route = network.find_route(&mut |route| {
            if !is_listed(route) {
                return false;
            }
            let is_it = before == 0;
            before = before.saturating_sub(1);
            is_it
        })?;
        Some(TableEntry {
            first: route.first,
            range_size: range_size(route),
            kind: self.kind_of(route),
            is_static: route.origin == RouteOrigin::Static,
            port: self.config.port(route.port)?,
            address: route.address,
        })
    }

    pub(super) fn kind_of(&self, route: &Route) -> RoutingEntryKind {
        match (
            self.bridges.contains(route.first),
            route.first == route.last,
        ) {
            (false, true) => RoutingEntryKind::ENDPOINT,
            (true, false) => RoutingEntryKind::BRIDGE_AND_RANGE,
            (true, true) => RoutingEntryKind::BRIDGE,
            (false, false) => RoutingEntryKind::RANGE,
        }
    }
}

/// What Get Routing Table Entries says of a route.
struct TableEntry<'c> {
    first: Eid,
    range_size: u8,
    kind: RoutingEntryKind,
    is_static: bool,
    port: &'c BridgePort,
    address: PhysicalAddress,
}

/// How many endpoint IDs a route is for, or as many as an entry can say.
pub(super) fn range_size(route: &Route) -> u8 {
    let behind_first = route.last.0.saturating_sub(route.first.0);
    behind_first.saturating_add(1)
}

/// Reads an entry of Routing Information Update.
fn learnt(
    entry: &RoutingUpdateEntry<'_>,
    address: Option<PhysicalAddress>,
) -> Result<Learnt, CompletionCode> {
    let (is_bridge, is_one) = match entry.kind.without_reserved() {
        RoutingEntryKind::ENDPOINT => (false, true),
        RoutingEntryKind::BRIDGE => (true, true),
        RoutingEntryKind::BRIDGE_AND_RANGE => (true, false),
        RoutingEntryKind::RANGE => (false, false),
        _ => return Err(CompletionCode::INVALID_DATA),
    };
    let range = Range::of_size(Eid(entry.first), entry.range_size)
        .filter(|range| !is_one || range.size() == 1);
    match (range, address) {
        (Some(range), Some(address)) => Ok(Learnt {
            range,
            is_bridge,
            address,
        }),
        _ => Err(CompletionCode::INVALID_DATA),
    }
}
