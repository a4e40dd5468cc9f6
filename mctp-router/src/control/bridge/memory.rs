//! What a bridge keeps over a restart: what its bus owner gave it, and what it gave its neighbours.

use core::fmt::Debug;

use mctp::Eid;
use mctp_transport::PhysicalAddress;

use crate::config::{BusOwner, PortId};

/// What the bus owner of a bridge gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SavedAssignment {
    /// The endpoint ID of the bridge; 0 while it has none.
    pub endpoint_id: Eid,
    /// Who set it.
    pub bus_owner: Option<BusOwner>,
    /// The port to the bus that endpoint ID and pool are taken from without force.
    pub upstream: Option<PortId>,
    /// The first and the last endpoint ID of the pool.
    pub pool: Option<(Eid, Eid)>,
}

/// What a bridge gave a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SavedNeighbour {
    /// The port that leads to it.
    pub port: PortId,
    /// Its physical address on that port.
    pub address: PhysicalAddress,
    /// The endpoint ID that it was given.
    pub endpoint_id: Eid,
    /// The first and the last endpoint ID that were allocated to it, if it is a bridge.
    pub pool: Option<(Eid, Eid)>,
}

/// Where a bridge keeps what has to outlast a restart of the device: set by
/// [`RouterCore::set_bridge_memory`](crate::RouterCore::set_bridge_memory).
///
/// A bridge without one begins anew: its bus owner sets it up again, and it assigns its neighbours
/// anew, from the first endpoint ID of its pool on.
///
/// The methods are called while the router is locked, as packets come: one that writes to flash
/// takes a note and writes later. Only what has changed is saved.
pub trait BridgeMemory: Debug + Send {
    /// What was saved last.
    fn assignment(&mut self) -> Option<SavedAssignment>;

    /// Saves what the bus owner gave the bridge.
    fn save_assignment(&mut self, assignment: &SavedAssignment);

    /// What was saved last for this place, of as many as the bridge has for neighbours.
    fn neighbour(&mut self, place: usize) -> Option<SavedNeighbour>;

    /// Saves what a neighbour was given, or that there is none in this place any more.
    fn save_neighbour(&mut self, place: usize, neighbour: Option<&SavedNeighbour>);
}

/// A [`BridgeMemory`] in RAM, for `NEIGHBOURS` places: for a bridge that is restarted without the
/// device, or for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeMemoryInRam<const NEIGHBOURS: usize> {
    assignment: Option<SavedAssignment>,
    neighbours: [Option<SavedNeighbour>; NEIGHBOURS],
}

impl<const NEIGHBOURS: usize> BridgeMemoryInRam<NEIGHBOURS> {
    /// Nothing is saved yet.
    pub const fn new() -> Self {
        Self {
            assignment: None,
            neighbours: [None; NEIGHBOURS],
        }
    }
}

impl<const NEIGHBOURS: usize> Default for BridgeMemoryInRam<NEIGHBOURS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const NEIGHBOURS: usize> BridgeMemory for BridgeMemoryInRam<NEIGHBOURS> {
    fn assignment(&mut self) -> Option<SavedAssignment> {
        self.assignment
    }

    fn save_assignment(&mut self, assignment: &SavedAssignment) {
        self.assignment = Some(*assignment);
    }

    fn neighbour(&mut self, place: usize) -> Option<SavedNeighbour> {
        self.neighbours.get(place).copied().flatten()
    }

    fn save_neighbour(&mut self, place: usize, neighbour: Option<&SavedNeighbour>) {
        if let Some(place) = self.neighbours.get_mut(place) {
            *place = neighbour.copied();
        }
    }
}
