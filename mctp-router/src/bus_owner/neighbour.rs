//! What a bus owner knows of one place on its buses.

use mctp::{Eid, MCTP_ADDR_NULL};
use mctp_time::Instant;
use mctp_transport::PhysicalAddress;

use super::Range;
use crate::config::PortId;
use crate::requester::Exchange;

/// What a neighbour is to be asked next. As no value is 0, `None` of a [`Neighbour`] is all zeros,
/// which cost nothing in a static variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    /// Get Endpoint ID: is it there, and does it have the endpoint ID that it was given?
    Probe = 1,
    /// Set Endpoint ID.
    Assign = 2,
    /// Allocate Endpoint IDs, to a bridge.
    Allocate = 3,
    /// Get Endpoint UUID.
    Identify = 4,
    /// Routing Information Update, to a bridge.
    Inform = 5,
}

/// Where an endpoint is or may be, and what is known of it.
#[derive(Clone, Debug)]
pub struct Neighbour {
    pub(super) port: PortId,
    pub(super) address: PhysicalAddress,
    /// What it was given, also while it is absent; 0 when it was given none.
    pub(super) endpoint_id: Eid,
    /// What it was allocated for the endpoints behind it, also while it is absent.
    pub(super) range: Option<Range>,
    /// How many endpoint IDs it wants for them.
    pub(super) wants: u8,
    /// What it is being allocated.
    pub(super) proposed: Option<Range>,
    pub(super) uuid: Option<[u8; 16]>,
    pub(super) is_bridge: bool,
    pub(super) keeps_its_own: bool,
    pub(super) is_present: bool,
    /// What [`poll_change`](super::BusOwner::poll_change) has told of it.
    pub(super) told: Option<(Eid, Option<Range>)>,
    pub(super) step: Step,
    /// The request that it has not answered.
    pub(super) exchange: Option<Exchange>,
    /// When it is to be asked, without such a request.
    pub(super) due: Instant,
    /// The next page of the routing information that it is to be told.
    pub(super) page: u8,
    /// The routing information has changed since that page was sent.
    pub(super) is_page_old: bool,
    /// The turn in which it was asked last.
    pub(super) asked: u64,
    /// When its endpoint ID may be given to another, if it is absent until then.
    pub(super) reclaim: Option<Instant>,
}

impl Neighbour {
    pub(super) const fn new(port: PortId, address: PhysicalAddress) -> Self {
        Self {
            port,
            address,
            endpoint_id: MCTP_ADDR_NULL,
            range: None,
            wants: 0,
            proposed: None,
            uuid: None,
            is_bridge: false,
            keeps_its_own: false,
            is_present: false,
            told: None,
            step: Step::Probe,
            exchange: None,
            due: Instant::START,
            page: 0,
            is_page_old: false,
            asked: 0,
            reclaim: None,
        }
    }

    /// The port, and the physical address there.
    pub fn place(&self) -> (PortId, PhysicalAddress) {
        (self.port, self.address)
    }

    /// The endpoint ID that it has, or had when it was present last; `None` when it has none.
    pub fn endpoint_id(&self) -> Option<Eid> {
        Some(self.endpoint_id).filter(|endpoint_id| *endpoint_id != MCTP_ADDR_NULL)
    }

    /// The endpoint IDs that it was allocated for the endpoints behind it.
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// Its UUID, if it has told one.
    pub fn uuid(&self) -> Option<&[u8; 16]> {
        self.uuid.as_ref()
    }

    /// Whether it says that it is a bridge or bus owner itself.
    pub fn is_bridge(&self) -> bool {
        self.is_bridge
    }

    /// Whether it rejected the endpoint ID that it was given, and keeps its own.
    pub fn keeps_its_own(&self) -> bool {
        self.keeps_its_own
    }

    /// Whether it answered when it was asked last, and has its endpoint ID.
    pub fn is_present(&self) -> bool {
        self.is_present
    }

    /// What there is to tell of it.
    pub(super) fn reach(&self) -> Option<(Eid, Option<Range>)> {
        self.is_present.then_some((self.endpoint_id, self.range))
    }

    pub(super) fn has(&self, endpoint_id: Eid) -> bool {
        let ranges = [self.range, self.proposed];
        self.endpoint_id == endpoint_id
            || ranges
                .into_iter()
                .flatten()
                .any(|range| range.contains(endpoint_id))
    }

    /// Forgets what it was given.
    pub(super) fn forget(&mut self) {
        *self = Self {
            told: self.told,
            ..Self::new(self.port, self.address)
        };
    }

    /// Nobody is there, until it is asked again.
    pub(super) fn is_gone(&mut self, again: Instant) {
        self.is_present = false;
        self.ask(Step::Probe, again);
    }

    /// It is asked that next.
    pub(super) fn ask(&mut self, step: Step, due: Instant) {
        self.exchange = None;
        self.is_page_old = false;
        self.proposed = self.proposed.filter(|_| step == Step::Allocate);
        self.step = step;
        self.due = due;
    }
}
