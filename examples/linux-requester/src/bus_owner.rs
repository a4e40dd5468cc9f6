//! How a bus owner takes an endpoint into service: the sequence of mctpd, the Linux MCTP daemon,
//! with all of its checks.
//!
//! 1. Get Endpoint ID at the physical address. A simple endpoint with a valid and free EID keeps
//!    it.
//! 2. Otherwise the route to the new EID is made first (the endpoint may talk at once), then Set
//!    Endpoint ID is sent, again to the physical address. A rejection teaches the EID that the
//!    endpoint insists on.
//! 3. By EID: Get Message Type Support, Get Vendor Defined Message Support if a vendor type is
//!    listed, Get Endpoint UUID.
//! 4. If a bridge has asked for a pool in its answer to Set Endpoint ID: the gateway route for the
//!    endpoint IDs after its own, then Allocate Endpoint IDs. A bridge that does not take exactly
//!    these is taken into service without a pool.
//! 5. What mctpd does not ask: Get MCTP Version Support, and Get Endpoint ID once more, by EID.
//!
//! Stricter than mctpd, which tolerates failures of the vendor and UUID requests, and an endpoint
//! that accepts another EID than the one it was given. A pool is given only to what says in its
//! answer to Get Endpoint ID that it is a bridge.
//!
//! The sequence is the same each time: a bridge that has its EID and its pool already is given both
//! again, which it has to accept.

use std::fmt::Write;
use std::ops::RangeInclusive;

use mctp_router::wire::{
    AssignmentStatus, GetEndpointIdResponse, GetVersionSupportRequest, VendorSupport, Version,
};

use crate::address::Destination;
use crate::control::{ControlClient, ControlError, InWords, Uuid};
use crate::exchange::Exchange;
use crate::netlink::Change;
use crate::pool::{self, Pool, PoolRefusal};
use crate::transaction::{ChangeError, Kernel, Transaction};

const ASSIGNABLE: RangeInclusive<u8> = 8..=254;
const VENDOR_TYPES: RangeInclusive<u8> = 0x7e..=0x7f;
/// The largest packet that every bus behind a bridge takes: the baseline transmission unit of 64
/// bytes and the header (DSP0236 1.3.3, section 8.4.2). mctpd gives its gateway routes the same.
const BASELINE_MTU: u32 = 68;

/// What the bus owner decides.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The kernel's number of the interface that the endpoint is behind.
    pub interface_index: u32,
    /// Where it is on a bus such as I2C: its 7-bit address.
    pub hardware_address: Option<u8>,
    /// This computer's own EID.
    pub local_endpoint_id: u8,
    /// The EID that the endpoint shall have; without one it keeps its own, or gets the lowest free
    /// one.
    pub endpoint_id: Option<u8>,
    /// How many endpoint IDs a bridge gets at most for what is behind it.
    pub largest_pool: u8,
}

impl Plan {
    fn physical(&self) -> Destination {
        Destination::Physical {
            interface_index: self.interface_index,
            hardware_address: self.hardware_address,
        }
    }
}

/// An endpoint in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The EID now in use.
    pub endpoint_id: u8,
    /// What mctpd asks every endpoint for.
    pub properties: Properties,
    /// Versions of the base specification.
    pub versions: Vec<Version>,
    /// Of a bridge: the endpoint IDs that it has for what is behind it.
    pub pool: Option<Pool>,
}

/// What an endpoint says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Message types, as listed.
    pub message_types: Vec<u8>,
    /// Vendor defined messages, by selector.
    pub vendor_messages: Vec<VendorSupport>,
    /// What the endpoint is recognised by.
    pub uuid: Uuid,
}

/// Why the endpoint was not taken into service.
#[derive(Debug, thiserror::Error)]
pub enum BusOwnerError {
    /// A control request failed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The kernel refused a route or neighbour.
    #[error(transparent)]
    Kernel(#[from] ChangeError),
    /// The endpoint's answers contradict the specification or each other.
    #[error("{0}")]
    Protocol(String),
}

fn protocol(reason: String) -> BusOwnerError {
    BusOwnerError::Protocol(reason)
}

/// Runs the sequence. If it fails, the routes and neighbours that it made go with the transaction.
pub fn set_up<K: Kernel>(
    client: &mut ControlClient<'_, impl Exchange>,
    transaction: &mut Transaction<'_, K>,
    plan: Plan,
) -> Result<Endpoint, BusOwnerError> {
    let present = client.endpoint_id(plan.physical())?;
    transaction.report(&format!(
        "Get Endpoint ID (physical): {}",
        InWords(&present)
    ));

    if keeps_its_id(present, plan) {
        let endpoint_id = present.endpoint_id;
        add_route(transaction, plan, endpoint_id)?;
        transaction.report(&format!("the endpoint keeps EID {endpoint_id}"));
        let mut endpoint = read_properties(client, transaction, endpoint_id)?;
        check(client, transaction, &mut endpoint)?;
        return Ok(endpoint);
    }
    let is_bridge = present.endpoint_type.is_bus_owner_or_bridge();
    let (endpoint_id, pool) = assign(client, transaction, plan, is_bridge)?;
    let mut given = None;
    let result = finish(client, transaction, endpoint_id, pool, &mut given);
    if result.is_err() {
        // A bus owner can give an endpoint another EID, but none.
        transaction.report(&format!(
            "cannot undo: the endpoint keeps EID {endpoint_id}"
        ));
        if let Some(pool) = given {
            transaction.report(&format!("cannot undo: the bridge keeps the pool {pool}"));
        }
    }
    result
}

/// What follows the assignment. `given` is the pool that the bridge has taken, also if a later step
/// fails.
fn finish<K: Kernel>(
    client: &mut ControlClient<'_, impl Exchange>,
    transaction: &mut Transaction<'_, K>,
    endpoint_id: u8,
    pool: Option<Pool>,
    given: &mut Option<Pool>,
) -> Result<Endpoint, BusOwnerError> {
    let mut endpoint = read_properties(client, transaction, endpoint_id)?;
    if let Some(pool) = pool {
        *given = give_pool(client, transaction, endpoint_id, pool)?;
        endpoint.pool = *given;
    }
    check(client, transaction, &mut endpoint)?;
    Ok(endpoint)
}

/// Makes the gateway route, since what is behind the bridge may talk as soon as it has an EID, and
/// gives the pool. `None` if the bridge does not take exactly this pool.
fn give_pool<K: Kernel>(
    client: &mut ControlClient<'_, impl Exchange>,
    transaction: &mut Transaction<'_, K>,
    bridge: u8,
    pool: Pool,
) -> Result<Option<Pool>, BusOwnerError> {
    let position = transaction.position();
    let Pool { first, last } = pool;
    let add = Change::AddGatewayRoute {
        first,
        last,
        gateway: bridge,
        mtu: BASELINE_MTU,
    };
    let remove = Change::RemoveGatewayRoute {
        first,
        last,
        gateway: bridge,
    };
    transaction.apply(add, remove)?;
    match pool::allocate(client, bridge, pool) {
        Ok(()) => {
            transaction.report(&format!("Allocate Endpoint IDs {pool}: accepted"));
            Ok(Some(pool))
        }
        Err(PoolRefusal::Control(error @ ControlError::Socket { .. })) => Err(error.into()),
        Err(refusal) => {
            transaction.undo_since(position)?;
            transaction.report(&format!("the bridge has no pool: {refusal}"));
            Ok(None)
        }
    }
}

fn keeps_its_id(present: GetEndpointIdResponse, plan: Plan) -> bool {
    ASSIGNABLE.contains(&present.endpoint_id)
        && present.endpoint_type.is_simple()
        && present.endpoint_id != plan.local_endpoint_id
        && plan
            .endpoint_id
            .is_none_or(|wanted| wanted == present.endpoint_id)
}

fn assign<K: Kernel>(
    client: &mut ControlClient<'_, impl Exchange>,
    transaction: &mut Transaction<'_, K>,
    plan: Plan,
    is_bridge: bool,
) -> Result<(u8, Option<Pool>), BusOwnerError> {
    let lowest_free = || {
        ASSIGNABLE
            .into_iter()
            .find(|id| *id != plan.local_endpoint_id)
    };
    let wanted = plan.endpoint_id.or_else(lowest_free).unwrap_or_default();
    if !ASSIGNABLE.contains(&wanted) || wanted == plan.local_endpoint_id {
        return Err(protocol(format!(
            "EID {wanted} cannot be given to an endpoint"
        )));
    }
    let position = transaction.position();
    add_route(transaction, plan, wanted)?;
    let answer = client.set_endpoint_id(plan.physical(), wanted)?;
    let accepted = answer.status.assignment() == AssignmentStatus::Accepted;
    let verdict = if accepted { "accepted" } else { "rejected" };
    let asked = pool::asked_for(&answer);
    let pool = match asked {
        1.. if is_bridge => reserve(transaction, plan, wanted, asked)?,
        _ => None,
    };
    let request = describe_request(asked, pool);
    let now = answer.endpoint_id;
    transaction.report(&format!(
        "Set Endpoint ID {wanted}: {verdict}, EID is {now}, {request}"
    ));

    if now == wanted {
        return Ok((wanted, pool));
    }
    transaction.undo_since(position)?;
    if accepted || !ASSIGNABLE.contains(&now) || now == plan.local_endpoint_id {
        return Err(protocol(format!(
            "the endpoint has EID {now} instead of {wanted}"
        )));
    }
    add_route(transaction, plan, now)?;
    // The endpoint IDs after this one were not reserved.
    Ok((now, None))
}

/// What is free after the bridge: what has no route yet, or one through this bridge from before.
fn reserve<K: Kernel>(
    transaction: &mut Transaction<'_, K>,
    plan: Plan,
    bridge: u8,
    asked: u8,
) -> Result<Option<Pool>, ChangeError> {
    let mut routes = transaction.routes()?;
    routes.retain(|route| route.gateway != Some(bridge));
    let has_route = |id| {
        let mut others = routes.iter();
        others.any(|route| (route.first..=route.last).contains(&id))
    };
    let is_taken = |id| id == plan.local_endpoint_id || has_route(id);
    Ok(pool::reserve(bridge, asked, plan.largest_pool, is_taken))
}

fn describe_request(asked: u8, pool: Option<Pool>) -> String {
    match (asked, pool) {
        (0, _) => "no pool".to_owned(),
        (asked, None) => format!("asks for a pool of {asked}, which is not given"),
        (asked, Some(pool)) if pool.size() == asked => format!("asks for a pool of {asked}"),
        (asked, Some(pool)) => {
            format!(
                "asks for a pool of {asked}, of which {} can be given",
                pool.size()
            )
        }
    }
}

/// Makes an endpoint ID reachable through the interface; on a bus the kernel is also told where it
/// is.
fn add_route<K: Kernel>(
    transaction: &mut Transaction<'_, K>,
    plan: Plan,
    endpoint_id: u8,
) -> Result<(), ChangeError> {
    let interface_index = plan.interface_index;
    if let Some(hardware_address) = plan.hardware_address {
        let add = Change::AddNeighbour {
            interface_index,
            endpoint_id,
            hardware_address,
        };
        let remove = Change::RemoveNeighbour {
            interface_index,
            endpoint_id,
        };
        transaction.apply(add, remove)?;
    }
    let add = Change::AddRoute {
        interface_index,
        endpoint_id,
        mtu: None,
    };
    let remove = Change::RemoveRoute {
        interface_index,
        endpoint_id,
    };
    transaction.apply(add, remove)
}

fn read_properties<K: Kernel>(
    client: &mut ControlClient<'_, impl Exchange>,
    transaction: &mut Transaction<'_, K>,
    endpoint_id: u8,
) -> Result<Endpoint, BusOwnerError> {
    let properties = properties(client, endpoint_id, &mut |line| transaction.report(line))?;
    Ok(Endpoint {
        endpoint_id,
        properties,
        versions: Vec::new(),
        pool: None,
    })
}

/// Asks an endpoint that has a route for what mctpd asks every endpoint for.
pub fn properties(
    client: &mut ControlClient<'_, impl Exchange>,
    endpoint_id: u8,
    report: &mut dyn FnMut(&str),
) -> Result<Properties, BusOwnerError> {
    let endpoint = Destination::EndpointId(endpoint_id);
    let message_types = client.message_types(endpoint)?;
    report(&format!(
        "Get Message Type Support:{}",
        hex_list(&message_types)
    ));

    let mut vendor_messages = Vec::new();
    if message_types.iter().any(|kind| VENDOR_TYPES.contains(kind)) {
        vendor_messages = query_vendor_messages(client, endpoint, report)?;
    }
    let uuid = client.uuid(endpoint)?;
    report(&format!("Get Endpoint UUID: {uuid}"));
    Ok(Properties {
        message_types,
        vendor_messages,
        uuid,
    })
}

/// What mctpd does not ask.
fn check<K: Kernel>(
    client: &mut ControlClient<'_, impl Exchange>,
    transaction: &mut Transaction<'_, K>,
    endpoint: &mut Endpoint,
) -> Result<(), BusOwnerError> {
    let endpoint_id = endpoint.endpoint_id;
    let destination = Destination::EndpointId(endpoint_id);
    let versions = client.versions(destination, GetVersionSupportRequest::BASE_SPECIFICATION)?;
    let list: Vec<_> = versions.iter().map(Version::to_string).collect();
    transaction.report(&format!(
        "Get MCTP Version Support (base): {}",
        list.join(", ")
    ));
    if versions.is_empty() {
        return Err(protocol(
            "the endpoint supports no version of the base specification".into(),
        ));
    }
    endpoint.versions = versions;

    let now = client.endpoint_id(destination)?;
    transaction.report(&format!("Get Endpoint ID (by EID): {}", InWords(&now)));
    if now.endpoint_id != endpoint_id {
        return Err(protocol(format!(
            "EID {endpoint_id} says that it is {}",
            now.endpoint_id
        )));
    }
    Ok(())
}

/// Asks for selector 0, 1, 2...: each answer's next selector has to be one more, or FFh in the last
/// one.
fn query_vendor_messages(
    client: &mut ControlClient<'_, impl Exchange>,
    endpoint: Destination,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<VendorSupport>, BusOwnerError> {
    let mut found = Vec::new();
    for selector in 0..VendorSupport::LAST {
        let message = client.vendor_message(endpoint, selector)?;
        report(&format!(
            "Get Vendor Defined Message Support {selector}: {}, command set {:04x}h",
            message.vendor, message.command_set
        ));
        found.push(message);
        if message.next_selector == VendorSupport::LAST {
            break;
        }
        if message.next_selector != selector + 1 {
            let next = message.next_selector;
            return Err(protocol(format!(
                "selector {selector} is followed by {next}"
            )));
        }
    }
    Ok(found)
}

fn hex_list(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, " {byte:02x}h");
        text
    })
}

#[cfg(test)]
mod bridge_tests;

#[cfg(test)]
mod tests;
