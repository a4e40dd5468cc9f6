//! The owner of buses: finds the endpoints on them, gives them endpoint IDs from a pool, and knows
//! who is present (DSP0236 1.3.3, sections 8.18.5, 8.18.7 and 9.1).
//!
//! Sans-IO, and without a router: see [`BusOwner`].

mod assignment;
mod neighbour;
mod ports;
mod range;

use core::time::Duration;

use heapless::Vec;
use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_time::Instant;
use mctp_transport::{BASELINE_TRANSMISSION_UNIT, PhysicalAddress};
use zerocopy::IntoBytes;

use crate::clock::milliseconds;
use crate::config::PortId;
use crate::requester::{Exchange, Limits, Next};
use crate::wire::{
    AllocateEndpointIdsRequest, AllocateEndpointIdsResponse, AllocationOperation, AllocationStatus,
    Command, GetEndpointIdRequest, GetEndpointUuidRequest, Operation, PoolStatus, Request,
    SetEndpointIdRequest, SetEndpointIdResponse,
};

pub use neighbour::Neighbour;
use neighbour::Step;
use ports::Ports;
pub use range::Range;

/// How soon a try is repeated that a neighbour did not acknowledge, in milliseconds: a bus that was
/// disturbed for a moment is not taken for an endpoint that is gone.
const REFUSAL_PAUSE: u32 = 20;

/// A request of a bus owner, to be sent with the tag owner bit and a tag of the sender's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerRequest<'r> {
    /// The port to send it by.
    pub port: PortId,
    /// The physical address there.
    pub address: PhysicalAddress,
    /// The endpoint ID to send it to: 0 while the physical address alone says who is meant.
    pub destination: Eid,
    /// The message, its type first.
    pub payload: &'r [u8],
    /// Which page of the [routing information](BusOwner::inform_bridges) the sender has to append,
    /// if the message is a Routing Information Update.
    pub page: Option<u8>,
}

/// Who can be reached, and who no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// An endpoint is present, and has this endpoint ID.
    Present {
        /// The port it is at.
        port: PortId,
        /// Its physical address there.
        address: PhysicalAddress,
        /// Its endpoint ID.
        endpoint_id: Eid,
        /// Those that are reached through it, if it is a bridge that has them.
        range: Option<Range>,
    },
    /// What was present is so no longer. Another change may follow for the same endpoint.
    Gone {
        /// Its endpoint ID.
        endpoint_id: Eid,
        /// Those that were reached through it.
        range: Option<Range>,
    },
}

/// The owner of the buses of some ports.
///
/// Its methods, in four groups:
///
/// - **Setting up**: [`new`](Self::new), [`set_intervals`](Self::set_intervals),
///   [`set_limits`](Self::set_limits), [`expect`](Self::expect), [`reserve`](Self::reserve).
/// - **Inputs**: [`set_pool`](Self::set_pool), [`set_own_endpoint_id`](Self::set_own_endpoint_id),
///   [`link_up`](Self::link_up), [`link_down`](Self::link_down), [`notify`](Self::notify),
///   [`receive_response`](Self::receive_response), [`refused`](Self::refused),
///   [`inform_bridges`](Self::inform_bridges).
/// - **Outputs**, to be polled until they return `None` after each input, and at
///   [`deadline`](Self::deadline): [`poll_request`](Self::poll_request),
///   [`poll_change`](Self::poll_change).
/// - **State**: [`neighbours`](Self::neighbours).
///
/// What it does:
///
/// - An endpoint is asked for its endpoint ID at each place where one is expected, and is given one of
///   the pool: the lowest that nobody has, and the same one again for as long as the pool has it. When
///   the pool is used up, an endpoint ID of somebody who is absent for five seconds is given away
///   (DSP0237, TRECLAIM; DSP0236 1.3.3, section 8.18.7).
/// - Who rejects it and has one of its own, which nobody else has, keeps that.
/// - A bridge that needs a pool is allocated as many endpoint IDs as it wants and there are, in one
///   range; one is left for each place where somebody may be found.
/// - Who is present is asked again now and then, and given its endpoint ID once more if it was reset.
///   Who does not answer any more is gone.
/// - One request is on its way at each port at any time.
///
/// ```
/// use mctp::Eid;
/// use mctp_router::bus_owner::{BusOwner, Change, Range};
/// use mctp_router::{Instant, PortId};
/// use mctp_transport::PhysicalAddress;
///
/// let (bus, drive) = (PortId(1), PhysicalAddress::from_byte(0x1D));
/// let mut places = [const { None }; 4];
/// let mut owner = BusOwner::new(&mut places);
/// owner.expect(bus, drive);
/// owner.set_own_endpoint_id(Eid(9));
/// owner.set_pool(Range::of_size(Eid(10), 4), false);
/// owner.link_up(bus);
///
/// let now = Instant::from_millis(0);
/// let request = owner.poll_request(now).unwrap();
/// assert_eq!((request.address, request.payload), (drive, &[0x00, 0x80, 0x02][..]));
/// // It has no endpoint ID, and is given 10.
/// owner.receive_response(now, bus, drive, Eid(0), &[0x00, 0x00, 0x02, 0x00, 0, 0, 0]);
/// let request = owner.poll_request(now).unwrap();
/// assert_eq!(request.payload, [0x00, 0x81, 0x01, 0x00, 10]);
/// owner.receive_response(now, bus, drive, Eid(0), &[0x00, 0x01, 0x01, 0x00, 0x00, 10, 0]);
/// let present = Change::Present { port: bus, address: drive, endpoint_id: Eid(10), range: None };
/// assert_eq!(owner.poll_change(), Some(present));
/// ```
#[derive(Debug)]
pub struct BusOwner<'b> {
    neighbours: &'b mut [Option<Neighbour>],
    own: Eid,
    pool: Option<Range>,
    links: Ports,
    /// How many requests there were so far: the instance ID of the next is its low bits.
    turn: u64,
    /// The request that was polled last.
    request: Vec<u8, BASELINE_TRANSMISSION_UNIT>,
    /// Pages of routing information for bridges.
    pages: u8,
    limits: Limits,
    probe_interval: u32,
    keep_interval: u32,
}

/// Setting up.
impl<'b> BusOwner<'b> {
    /// An owner of buses, with room for as many places where endpoints may be.
    pub fn new(neighbours: &'b mut [Option<Neighbour>]) -> Self {
        Self {
            neighbours,
            own: MCTP_ADDR_NULL,
            pool: None,
            links: Ports::NONE,
            turn: 0,
            request: Vec::new(),
            pages: 0,
            limits: Limits::default(),
            probe_interval: 1_000,
            keep_interval: 2_000,
        }
    }

    /// Sets how long after the last answer, or the last silence, an endpoint is asked again: one that
    /// is absent, and one that is present. A second, and two, unless set: an endpoint may be given
    /// another endpoint ID when it was absent for five seconds (DSP0237, TRECLAIM).
    pub fn set_intervals(&mut self, absent: Duration, present: Duration) {
        self.probe_interval = milliseconds(absent).max(1);
        self.keep_interval = milliseconds(present).max(1);
    }

    /// Sets how often requests are sent, and how long each try waits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Says that there may be an endpoint at an address. `false` when there is no room.
    pub fn expect(&mut self, port: PortId, address: PhysicalAddress) -> bool {
        self.place_of(port, address).is_some()
    }

    /// Gives a place the endpoint ID, and the range behind it, that it had before a restart. `false`
    /// when there is no room, or somebody else has one of them.
    pub fn reserve(
        &mut self,
        port: PortId,
        address: PhysicalAddress,
        endpoint_id: Eid,
        range: Option<Range>,
    ) -> bool {
        let Some(index) = self.place_of(port, address) else {
            return false;
        };
        let is_free =
            |owner: &Self, id| Eid::new_normal(id).is_ok() && !owner.is_taken(Eid(id), index);
        let mut wanted = range.into_iter().flat_map(Range::iter).chain([endpoint_id]);
        if !wanted.all(|id| is_free(self, id.0))
            || range.is_some_and(|range| range.contains(endpoint_id))
        {
            return false;
        }
        if let Some(neighbour) = self.neighbour_mut(index) {
            neighbour.endpoint_id = endpoint_id;
            neighbour.range = range;
            neighbour.is_bridge = range.is_some();
        }
        true
    }
}

/// Inputs.
impl BusOwner<'_> {
    /// Sets the endpoint ID of the bus owner itself, which it gives to nobody. All endpoints are told,
    /// by Set Endpoint ID.
    pub fn set_own_endpoint_id(&mut self, own: Eid) {
        if self.own == own {
            return;
        }
        self.own = own;
        for neighbour in self.neighbours.iter_mut().flatten() {
            if own != MCTP_ADDR_NULL && neighbour.has(own) {
                neighbour.forget();
            } else if neighbour.is_present {
                neighbour.ask(Step::Assign, Instant::START);
            }
        }
    }

    /// Sets the endpoint IDs that it may give. Who has one that is not among them is given another;
    /// with `force`, everybody is.
    pub fn set_pool(&mut self, pool: Option<Range>, force: bool) {
        self.pool = pool;
        let has = |endpoint_id| pool.is_some_and(|pool| pool.contains(endpoint_id));
        for neighbour in self.neighbours.iter_mut().flatten() {
            let range = neighbour.range.or(neighbour.proposed);
            let is_kept = neighbour.keeps_its_own || has(neighbour.endpoint_id);
            let is_range_kept = range.is_none_or(|range| has(range.first()) && has(range.last()));
            if force || !is_kept || !is_range_kept {
                neighbour.forget();
            }
        }
    }

    /// The link of a port came up: whoever is there is asked at once.
    pub fn link_up(&mut self, port: PortId) {
        self.links.set(port, true);
        self.each_at(port, |neighbour| neighbour.ask(Step::Probe, Instant::START));
    }

    /// The link of a port was lost, and with it everybody there. They keep what they were given.
    pub fn link_down(&mut self, port: PortId) {
        self.links.set(port, false);
        self.each_at(port, |neighbour| neighbour.is_gone(Instant::START));
    }

    /// An endpoint says that it is there (Discovery Notify, DSP0236 1.3.3, section 12.16): it is
    /// asked when it is its turn, whatever the interval. If it was not [expected](Self::expect), it
    /// is from now on. `false` when there is no room.
    pub fn notify(&mut self, port: PortId, address: PhysicalAddress) -> bool {
        let index = self.place_of(port, address);
        let neighbour = index.and_then(|index| self.neighbour_mut(index));
        let Some(neighbour) = neighbour else {
            return false;
        };
        if neighbour.exchange.is_none() {
            neighbour.due = Instant::START;
        }
        true
    }

    /// Takes a control response (message type first) that came from there. `false` when it answers no
    /// request of the bus owner.
    pub fn receive_response(
        &mut self,
        now: Instant,
        port: PortId,
        address: PhysicalAddress,
        source: Eid,
        message: &[u8],
    ) -> bool {
        let Some(index) = self.index_of(port, address) else {
            return false;
        };
        let Some(neighbour) = self.neighbour_mut(index) else {
            return false;
        };
        let step = neighbour.step;
        let is_asked_by_address = matches!(step, Step::Probe | Step::Assign);
        let response = neighbour
            .exchange
            .and_then(|exchange| exchange.response(message));
        let Some(result) =
            response.filter(|_| is_asked_by_address || source == neighbour.endpoint_id)
        else {
            return false;
        };
        neighbour.exchange = None;
        self.answered(now, index, step, result.ok());
        true
    }

    /// Nobody acknowledged the request that is on its way to that address.
    pub fn refused(&mut self, now: Instant, port: PortId, address: PhysicalAddress) {
        let again = now.after(self.probe_interval);
        let index = self.index_of(port, address);
        let neighbour = index.and_then(|index| self.neighbour_mut(index));
        let Some(neighbour) = neighbour else {
            return;
        };
        match &mut neighbour.exchange {
            Some(exchange) if neighbour.is_present => exchange.give_up_try(now, REFUSAL_PAUSE),
            Some(_) => neighbour.is_gone(again),
            None => {}
        }
    }

    /// Has all bridges on the buses told what they can reach by the bus owner, in so many Routing
    /// Information Updates; the sender fills each [page](OwnerRequest::page).
    pub fn inform_bridges(&mut self, pages: u8) {
        self.pages = pages;
        for neighbour in self.neighbours.iter_mut().flatten() {
            if neighbour.step == Step::Inform && neighbour.exchange.is_some() {
                // Its request stays as it is until it is answered.
                neighbour.is_page_old = true;
                continue;
            }
            neighbour.page = 0;
            if neighbour.is_present && neighbour.is_bridge && neighbour.step == Step::Probe {
                neighbour.ask(Step::Inform, Instant::START);
            }
        }
    }
}

/// Outputs and state.
impl BusOwner<'_> {
    /// The next request to send, if there is one.
    pub fn poll_request(&mut self, now: Instant) -> Option<OwnerRequest<'_>> {
        let index = self.due_request(now)?;
        let neighbour = self.neighbours.get(index)?.as_ref()?;
        let exchange = neighbour.exchange?;
        let by_id = neighbour.endpoint_id;
        let mut page = None;
        let (destination, request) = match neighbour.step {
            Step::Probe => (MCTP_ADDR_NULL, exchange.request(&[])),
            Step::Assign => {
                let set = SetEndpointIdRequest {
                    operation: Operation::SET,
                    endpoint_id: by_id.0,
                };
                (MCTP_ADDR_NULL, exchange.request(set.as_bytes()))
            }
            Step::Allocate => {
                let range = neighbour.proposed?;
                let allocate = AllocateEndpointIdsRequest {
                    operation: AllocationOperation::ALLOCATE,
                    count: range.size(),
                    first: range.first().0,
                };
                (by_id, exchange.request(allocate.as_bytes()))
            }
            Step::Identify => (by_id, exchange.request(&[])),
            Step::Inform => {
                page = Some(neighbour.page);
                (by_id, exchange.request(&[]))
            }
        };
        let (port, address) = neighbour.place();
        self.request = request;
        Some(OwnerRequest {
            port,
            address,
            destination,
            payload: &self.request,
            page,
        })
    }

    /// When [`poll_request`](Self::poll_request) may have something next.
    pub fn deadline(&self) -> Instant {
        let busy = self.busy();
        let linked = self.neighbours.iter().flatten();
        let linked = linked.filter(|neighbour| self.links.has(neighbour.port));
        let deadlines = linked.filter_map(|neighbour| match &neighbour.exchange {
            Some(exchange) => Some(exchange.deadline()),
            None => (!busy.has(neighbour.port)).then_some(neighbour.due),
        });
        deadlines.min().unwrap_or(Instant::NEVER)
    }

    /// The next change of who can be reached. Who is gone comes before who is present.
    pub fn poll_change(&mut self) -> Option<Change> {
        for neighbour in self.neighbours.iter_mut().flatten() {
            let is_as_told = neighbour.told == neighbour.reach();
            if let Some((endpoint_id, range)) = neighbour.told.take_if(|_| !is_as_told) {
                return Some(Change::Gone { endpoint_id, range });
            }
        }
        for neighbour in self.neighbours.iter_mut().flatten() {
            if neighbour.told.is_none()
                && let Some((endpoint_id, range)) = neighbour.reach()
            {
                neighbour.told = neighbour.reach();
                return Some(Change::Present {
                    port: neighbour.port,
                    address: neighbour.address,
                    endpoint_id,
                    range,
                });
            }
        }
        None
    }

    /// All places where endpoints are, were, or may be.
    pub fn neighbours(&self) -> impl Iterator<Item = &Neighbour> {
        self.neighbours.iter().flatten()
    }
}

/// The steps.
impl BusOwner<'_> {
    /// Finds a neighbour that a request is to be sent to, for the first time or once more.
    fn due_request(&mut self, now: Instant) -> Option<usize> {
        for index in 0..self.neighbours.len() {
            let links = self.links;
            let neighbour = self.neighbour_mut(index);
            let Some(neighbour) = neighbour.filter(|neighbour| links.has(neighbour.port)) else {
                continue;
            };
            match neighbour
                .exchange
                .as_mut()
                .map(|exchange| exchange.poll(now))
            {
                None | Some(Next::Wait(_)) => {}
                Some(Next::Send) => return Some(index),
                Some(Next::Over) => {
                    let step = neighbour.step;
                    neighbour.exchange = None;
                    self.answered(now, index, step, None);
                }
            }
        }
        self.note_absence(now);
        let busy = self.busy();
        let may_be_asked = |neighbour: &Neighbour| {
            self.links.has(neighbour.port) && !busy.has(neighbour.port) && neighbour.due <= now
        };
        let all = self.neighbours.iter().enumerate();
        let due = all.filter_map(|(index, neighbour)| Some((index, neighbour.as_ref()?)));
        let due = due.filter(|(_, neighbour)| may_be_asked(neighbour));
        // Who is being assigned an endpoint ID comes first: a bridge is allocated the endpoint IDs
        // behind its own before they are given to others. Of the rest, who has waited longest: one
        // that sends Discovery Notify all the time keeps nobody else waiting.
        let (index, _) = due.min_by_key(|(_, neighbour)| {
            let is_probe = neighbour.step == Step::Probe;
            (is_probe, neighbour.asked, neighbour.due)
        })?;
        let [instance_id, ..] = self.turn.to_le_bytes();
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let limits = self.limits;
        let neighbour = self.neighbour_mut(index)?;
        neighbour.asked = turn;
        let command = match neighbour.step {
            Step::Probe => Command::GET_ENDPOINT_ID,
            Step::Assign => Command::SET_ENDPOINT_ID,
            Step::Allocate => Command::ALLOCATE_ENDPOINT_IDS,
            Step::Identify => Command::GET_ENDPOINT_UUID,
            Step::Inform => Command::ROUTING_INFORMATION_UPDATE,
        };
        let exchange = Exchange::new(instance_id, command, limits);
        let exchange = neighbour.exchange.insert(exchange);
        (exchange.poll(now) == Next::Send).then_some(index)
    }

    /// A neighbour has answered with these data; `None` when it has not, or not with success.
    fn answered(&mut self, now: Instant, index: usize, step: Step, data: Option<&[u8]>) {
        match step {
            Step::Probe => self.probed(now, index, data),
            Step::Assign => {
                let response = data.map(SetEndpointIdRequest::parse_response);
                self.assigned(now, index, response.and_then(Result::ok));
            }
            Step::Allocate => {
                let response = data.map(AllocateEndpointIdsRequest::parse_response);
                self.allocated(now, index, response.and_then(Result::ok));
            }
            Step::Identify => {
                let response = data.map(GetEndpointUuidRequest::parse_response);
                let response = response.and_then(Result::ok);
                if let Some(neighbour) = self.neighbour_mut(index) {
                    let uuid = response.map(|response| response.uuid);
                    // Nobody can be recognised by the nil UUID.
                    neighbour.uuid = uuid.filter(|uuid| *uuid != [0; 16]);
                    neighbour.page = 0;
                }
                self.inform_or_rest(now, index);
            }
            Step::Inform => {
                // Whatever it says: a bridge need not take them.
                if let Some(neighbour) = self.neighbour_mut(index) {
                    neighbour.page = match core::mem::take(&mut neighbour.is_page_old) {
                        true => 0,
                        false => neighbour.page.saturating_add(1),
                    };
                }
                self.inform_or_rest(now, index);
            }
        }
    }

    fn probed(&mut self, now: Instant, index: usize, data: Option<&[u8]>) {
        let response = data.map(GetEndpointIdRequest::parse_response);
        let free = self.endpoint_id_for(now, index);
        let again = now.after(self.probe_interval);
        let Some(neighbour) = self.neighbour_mut(index) else {
            return;
        };
        let Some(Ok(response)) = response else {
            return neighbour.is_gone(again);
        };
        neighbour.is_bridge = response.endpoint_type.is_bus_owner_or_bridge();
        if response.endpoint_id == neighbour.endpoint_id.0
            && neighbour.endpoint_id != MCTP_ADDR_NULL
        {
            if !neighbour.is_present && neighbour.is_bridge {
                // Its answer to Set Endpoint ID says what else it needs.
                return neighbour.ask(Step::Assign, now);
            }
            let was_present = core::mem::replace(&mut neighbour.is_present, true);
            if neighbour.wants > 0 && neighbour.range.is_none() {
                return self.allocate(now, index);
            }
            return match was_present {
                true => self.rest(now, index),
                false => neighbour.ask(Step::Identify, now),
            };
        }
        neighbour.is_gone(again);
        match free {
            Some(endpoint_id) => {
                self.take_away(endpoint_id, index);
                if let Some(neighbour) = self.neighbour_mut(index) {
                    neighbour.endpoint_id = endpoint_id;
                    neighbour.keeps_its_own = false;
                    neighbour.ask(Step::Assign, now);
                }
            }
            None => neighbour.endpoint_id = MCTP_ADDR_NULL,
        }
    }

    fn assigned(&mut self, now: Instant, index: usize, response: Option<&SetEndpointIdResponse>) {
        let again = now.after(self.probe_interval);
        let wants = response.filter(|response| {
            matches!(
                response.status.pool(),
                PoolStatus::NeedsPool | PoolStatus::HasPool
            )
        });
        let wants = wants.map_or(0, |response| response.pool_size);
        let is_free = response.is_some_and(|response| {
            Eid::new_normal(response.endpoint_id).is_ok()
                && !self.is_taken(Eid(response.endpoint_id), index)
        });
        let Some(neighbour) = self.neighbour_mut(index) else {
            return;
        };
        let Some(response) = response else {
            return neighbour.is_gone(again);
        };
        if !is_free {
            // It has one that somebody else has, or none: there is no way to it.
            neighbour.endpoint_id = MCTP_ADDR_NULL;
            return neighbour.is_gone(again);
        }
        let answered = Eid(response.endpoint_id);
        if neighbour.endpoint_id != answered {
            neighbour.endpoint_id = answered;
            neighbour.keeps_its_own = true;
        }
        neighbour.is_present = true;
        neighbour.is_bridge |= wants > 0;
        neighbour.wants = wants;
        self.allocate(now, index);
    }

    /// Allocates what a bridge wants, as far as there is something, and asks for the UUID next.
    fn allocate(&mut self, now: Instant, index: usize) {
        let proposed = self.range_for(index);
        if let Some(neighbour) = self.neighbour_mut(index) {
            neighbour.range = None;
            let step = if proposed.is_some() {
                Step::Allocate
            } else {
                Step::Identify
            };
            neighbour.ask(step, now);
            neighbour.proposed = proposed;
        }
    }

    fn allocated(
        &mut self,
        now: Instant,
        index: usize,
        response: Option<&AllocateEndpointIdsResponse>,
    ) {
        let answered = response.and_then(|response| {
            let range = Range::of_size(Eid(response.first), response.pool_size)?;
            Some((response.status.without_reserved(), range))
        });
        // It may keep what it has already, unless somebody else has some of it.
        let is_kept = |(status, range): &(AllocationStatus, Range)| {
            *status == AllocationStatus::REJECTED
                && !range
                    .iter()
                    .any(|endpoint_id| self.is_taken(endpoint_id, index))
        };
        let kept = answered.filter(is_kept).map(|(_, range)| range);
        let Some(neighbour) = self.neighbour_mut(index) else {
            return;
        };
        // What it took may be a part of what it was given.
        let proposed = neighbour.proposed;
        let is_given = |id| proposed.is_some_and(|proposed| proposed.contains(id));
        let accepted = answered.filter(|(status, range)| {
            *status == AllocationStatus::ACCEPTED
                && is_given(range.first())
                && is_given(range.last())
        });
        let accepted = accepted.map(|(_, range)| range);
        let kept = kept.filter(|range| !range.contains(neighbour.endpoint_id));
        neighbour.range = accepted.or(kept);
        neighbour.ask(Step::Identify, now);
    }

    fn inform_or_rest(&mut self, now: Instant, index: usize) {
        let pages = self.pages;
        match self.neighbour_mut(index) {
            Some(neighbour) if neighbour.is_bridge && neighbour.page < pages => {
                neighbour.ask(Step::Inform, now);
            }
            _ => self.rest(now, index),
        }
    }

    fn rest(&mut self, now: Instant, index: usize) {
        let again = now.after(self.keep_interval);
        let pages = self.pages;
        if let Some(neighbour) = self.neighbour_mut(index) {
            match neighbour.is_bridge && neighbour.page < pages {
                true => neighbour.ask(Step::Inform, now),
                false => neighbour.ask(Step::Probe, again),
            }
        }
    }
}

/// Places.
impl BusOwner<'_> {
    /// Ports with a request on its way.
    fn busy(&self) -> Ports {
        let mut busy = Ports::NONE;
        for neighbour in self.neighbours.iter().flatten() {
            if neighbour.exchange.is_some() {
                busy.set(neighbour.port, true);
            }
        }
        busy
    }

    fn neighbour_mut(&mut self, index: usize) -> Option<&mut Neighbour> {
        self.neighbours.get_mut(index)?.as_mut()
    }

    fn index_of(&self, port: PortId, address: PhysicalAddress) -> Option<usize> {
        let is_there = |neighbour: &Neighbour| neighbour.place() == (port, address);
        let mut places = self.neighbours.iter();
        places.position(|place| place.as_ref().is_some_and(is_there))
    }

    /// The place for an address, if there is one or room for one.
    fn place_of(&mut self, port: PortId, address: PhysicalAddress) -> Option<usize> {
        self.index_of(port, address).or_else(|| {
            let free = self.neighbours.iter().position(Option::is_none)?;
            *self.neighbours.get_mut(free)? = Some(Neighbour::new(port, address));
            Some(free)
        })
    }

    fn each_at(&mut self, port: PortId, mut act: impl FnMut(&mut Neighbour)) {
        let all = self.neighbours.iter_mut().flatten();
        all.filter(|neighbour| neighbour.port == port)
            .for_each(&mut act);
    }
}
