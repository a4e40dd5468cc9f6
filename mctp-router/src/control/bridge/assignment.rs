//! What a bridge gets from its bus owner: Set Endpoint ID and Allocate Endpoint IDs (DSP0236 1.3.3,
//! sections 12.4 and 12.11).

use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_time::Instant;

use super::{Bridge, Network, SavedAssignment};
use crate::bus_owner::Range;
use crate::config::{BusOwner, Event, Route, RouteOrigin};
use crate::control::{ControlRequest, INSTANCE_ID_EXPIRATION};
use crate::wire::{
    AllocateEndpointIdsRequest, AllocateEndpointIdsResponse, AllocationOperation, AllocationStatus,
    CompletionCode, Operation, PoolStatus, Request, SetEndpointIdRequest, SetEndpointIdResponse,
    SetEndpointIdStatus,
};

/// The last Allocate Endpoint IDs that was carried out, to know a retransmission by.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastAllocation {
    instance_id: u8,
    wanted: AllocateEndpointIdsRequest,
    requester: BusOwner,
    expires: Instant,
}

impl LastAllocation {
    fn new(request: &ControlRequest<'_>, wanted: &AllocateEndpointIdsRequest) -> Self {
        Self {
            instance_id: request.header.flags.instance_id(),
            wanted: *wanted,
            requester: request.requester,
            expires: request.now.after(INSTANCE_ID_EXPIRATION),
        }
    }

    fn is_repeated_by(
        &self,
        request: &ControlRequest<'_>,
        wanted: &AllocateEndpointIdsRequest,
    ) -> bool {
        self.instance_id == request.header.flags.instance_id()
            && self.wanted == *wanted
            && self.requester == request.requester
            && request.now < self.expires
    }
}

impl Bridge<'_> {
    /// Carries out Set Endpoint ID. A topmost bus owner need not accept it (section 12.2, table 12),
    /// and does not.
    ///
    /// The endpoint ID is taken from the bus that gave the last one; from another bus only by force,
    /// and then that is the bus which gives endpoint IDs from now on.
    pub(super) fn set_endpoint_id(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
    ) -> Result<SetEndpointIdResponse, CompletionCode> {
        if self.is_topmost() {
            return Err(CompletionCode::UNSUPPORTED_COMMAND);
        }
        let wanted = SetEndpointIdRequest::parse(request.data)?;
        let port = request.requester.port;
        let operation = wanted.operation.without_reserved();
        let (endpoint, events) = network.endpoint();
        if operation == Operation::SET_DISCOVERED {
            if !self.has_discovery(port) {
                return Err(CompletionCode::INVALID_DATA);
            }
            self.set_discovered(port, true);
            let present = endpoint.endpoint_id;
            return Ok(self.setting(SetEndpointIdStatus::accepted, present));
        }
        let assigned = endpoint.assignment(wanted)?;
        if operation != Operation::FORCE && !self.is_from_upstream(request) {
            let present = endpoint.endpoint_id;
            return Ok(self.setting(SetEndpointIdStatus::rejected, present));
        }
        endpoint.set_endpoint_id(request, wanted, events)?;
        self.set_upstream(port);
        self.set_discovered(port, true);
        if self.pool.is_some_and(|pool| pool.contains(assigned)) {
            // The bus owner has to allocate another one.
            self.set_pool(None, network);
        }
        self.learn_bus_owner(Some(request.requester), network);
        Ok(self.setting(SetEndpointIdStatus::accepted, assigned))
    }

    /// The response to Set Endpoint ID. The pool size is what the bridge needs, however much of that
    /// it has.
    fn setting(
        &self,
        status: impl Fn(PoolStatus) -> SetEndpointIdStatus,
        endpoint_id: Eid,
    ) -> SetEndpointIdResponse {
        let pool = match (self.pool, self.config.pool_size) {
            (_, 0) => PoolStatus::NoPool,
            (Some(_), _) => PoolStatus::HasPool,
            (None, _) => PoolStatus::NeedsPool,
        };
        SetEndpointIdResponse {
            status: status(pool),
            endpoint_id: endpoint_id.0,
            pool_size: self.config.pool_size,
        }
    }

    /// The way to the bus owner is the way by which its request came.
    fn learn_bus_owner(&mut self, owner: Option<BusOwner>, network: &mut dyn Network) {
        self.are_routes_new = true;
        if let Some(before) = self.owner_route.take() {
            network.forget_route(before, before);
            self.bridges.set(before, false);
        }
        let Some(owner) = owner.filter(|owner| owner.endpoint_id != MCTP_ADDR_NULL) else {
            return;
        };
        let route = Route::new(
            owner.endpoint_id,
            owner.endpoint_id,
            owner.port,
            owner.address,
        )
        .with_transmission_unit(network.unit(owner.port))
        .with_origin(RouteOrigin::Dynamic);
        if network.learn_route(route) {
            self.owner_route = Some(owner.endpoint_id);
            self.bridges.set(owner.endpoint_id, true);
        }
    }

    /// Carries out Allocate Endpoint IDs. Who has no dynamic pool, as a topmost bus owner, does not
    /// support it.
    ///
    /// The pool is taken from the bus that gave the endpoint ID; from another bus only by force, and
    /// then that is the bus which gives endpoint IDs from now on. The same pool once more changes
    /// nothing unless forced; for another one, all endpoints behind the bridge are assigned anew.
    pub(super) fn allocate(
        &mut self,
        request: &ControlRequest<'_>,
        network: &mut dyn Network,
    ) -> Result<AllocateEndpointIdsResponse, CompletionCode> {
        if self.is_topmost() || self.config.pool_size == 0 {
            return Err(CompletionCode::UNSUPPORTED_COMMAND);
        }
        let wanted = AllocateEndpointIdsRequest::parse(request.data)?;
        let force = match wanted.operation.without_reserved() {
            AllocationOperation::ALLOCATE => false,
            AllocationOperation::FORCE => true,
            AllocationOperation::GET_INFORMATION => {
                return Ok(self.allocation(AllocationStatus::ACCEPTED));
            }
            _ => return Err(CompletionCode::INVALID_DATA),
        };
        let pool = self.pool_wanted(wanted, network)?;
        if !force && !self.is_from_upstream(request) {
            return Ok(self.allocation(AllocationStatus::REJECTED));
        }
        let last = self
            .last_allocation
            .filter(|last| last.is_repeated_by(request, wanted));
        if pool != self.pool || (force && last.is_none()) {
            self.set_pool(pool, network);
        }
        self.set_upstream(request.requester.port);
        self.last_allocation = Some(last.unwrap_or_else(|| LastAllocation::new(request, wanted)));
        Ok(self.allocation(AllocationStatus::ACCEPTED))
    }

    /// The pool that a request gives; `None` for one of no endpoint IDs.
    fn pool_wanted(
        &self,
        wanted: &AllocateEndpointIdsRequest,
        network: &mut dyn Network,
    ) -> Result<Option<Range>, CompletionCode> {
        if wanted.count == 0 {
            return Ok(None);
        }
        let (endpoint, _) = network.endpoint();
        let own = endpoint.endpoint_id;
        Range::of_size(Eid(wanted.first), wanted.count)
            .filter(|pool| pool.size() <= self.config.pool_size && !pool.contains(own))
            .map(Some)
            .ok_or(CompletionCode::INVALID_DATA)
    }

    /// The response to Allocate Endpoint IDs: the pool in use.
    fn allocation(&self, status: AllocationStatus) -> AllocateEndpointIdsResponse {
        AllocateEndpointIdsResponse {
            status,
            pool_size: self.pool.map_or(0, |pool| pool.size()),
            first: self.pool.map_or(0, |pool| pool.first().0),
        }
    }

    /// Takes a pool; whatever was assigned of another one is assigned anew.
    fn set_pool(&mut self, pool: Option<Range>, network: &mut dyn Network) {
        self.pool = pool;
        let range = pool.map(|pool| (pool.first(), pool.last()));
        self.owner.set_pool(pool, true);
        let (_, events) = network.endpoint();
        events.push(Event::PoolAllocated {
            network: self.network,
            pool: range,
        });
    }

    /// Takes what was saved before the restart, as far as it fits the settings.
    pub(super) fn restore_assignment(
        &mut self,
        saved: &SavedAssignment,
        network: &mut dyn Network,
    ) {
        let (endpoint, _) = network.endpoint();
        if Eid::new_normal(saved.endpoint_id.0).is_ok() {
            endpoint.endpoint_id = saved.endpoint_id;
            endpoint.bus_owner = saved.bus_owner;
            self.learn_bus_owner(saved.bus_owner, network);
        }
        let upstream = saved.upstream;
        if let Some(port) = upstream.filter(|port| self.config.port(*port).is_some()) {
            self.set_upstream(port);
        }
        let pool = saved.pool.and_then(|(first, last)| Range::new(first, last));
        let fits = |pool: &Range| {
            pool.size() <= self.config.pool_size && !pool.contains(saved.endpoint_id)
        };
        if let Some(pool) = pool.filter(fits) {
            self.set_pool(Some(pool), network);
        }
    }

    /// Saves what has changed since the last call.
    pub(super) fn save_assignment(&mut self, network: &mut dyn Network) {
        let (endpoint, _) = network.endpoint();
        let now = SavedAssignment {
            endpoint_id: endpoint.endpoint_id,
            bus_owner: endpoint.bus_owner,
            upstream: self.upstream,
            pool: self.pool.map(|pool| (pool.first(), pool.last())),
        };
        if let Some(memory) = self.memory.as_deref_mut()
            && memory.assignment() != Some(now)
        {
            memory.save_assignment(&now);
        }
    }
}
