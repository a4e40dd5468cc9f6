//! Set Endpoint ID (01h) and Get Endpoint ID (02h) (DSP0236 1.3.3, sections 12.3 to 12.5).
//!
//! # Set Endpoint ID
//!
//! The bus owner gives the device its endpoint ID.
//!
//! Request data:
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 0 | 7:2 | reserved |
//! | 0 | 1:0 | operation: 0 set, 1 force (the same on one bus), 2 reset to the static endpoint ID, 3 set the Discovered flag |
//! | 1 | 7:0 | endpoint ID, 8 to 254; not read by operation 2 |
//!
//! Response data:
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 0 | 5:4 | assignment: 0 accepted |
//! | 0 | 1:0 | 0: no pool of endpoint IDs |
//! | 1 | 7:0 | the endpoint ID now in force |
//! | 2 | 7:0 | pool size, 0 |
//!
//! `ERROR_INVALID_DATA`: an endpoint ID of 0 to 7 or 255; operation 2 without a static endpoint ID;
//! operation 3, as no transport of this suite has discovery.
//!
//! The same request again with the same instance ID within 5 s is a retransmission: it is answered
//! again and does nothing more. The response's source is the endpoint ID that was asked, see
//! section 12.4.
//!
//! # Get Endpoint ID
//!
//! Anybody asks who this is. There is no request data.
//!
//! | byte | bits | field of the response data |
//! |-|-|-|
//! | 0 | 7:0 | endpoint ID; 0 while there is none |
//! | 1 | 5:4 | 0: a simple endpoint |
//! | 1 | 1:0 | 0 the endpoint ID is dynamic; 2 there is a static one and it is in force; 3 there is one, another is in force |
//! | 2 | 7:0 | medium specific, 0 |

use mctp::Eid;
use mctp_transport::PhysicalAddress;

use super::{CompletionCode, ControlRequest, Responder};
use crate::clock::Instant;
use crate::config::{BusOwner, Event, PortId};

/// How long a repeated instance ID means a repeated request: the instance ID expiration interval
/// MT4, 5 s in DSP0237. DSP0283 gives no value of its own.
const INSTANCE_ID_EXPIRATION: u32 = 5_000;

const OPERATION: u8 = 0x03;
const SET: u8 = 0;
const FORCE: u8 = 1;
const RESET_TO_STATIC: u8 = 2;

/// A Set Endpoint ID that was carried out.
#[derive(Debug)]
pub(crate) struct SetRequest {
    requester: BusOwner,
    instance_id: u8,
    data: [u8; 2],
    expires: Instant,
}

impl SetRequest {
    /// One that expired long ago.
    pub(crate) const NONE: Self = Self {
        requester: BusOwner {
            endpoint_id: mctp::MCTP_ADDR_NULL,
            port: PortId(0),
            address: PhysicalAddress::POINT_TO_POINT,
        },
        instance_id: 0,
        data: [0; 2],
        expires: Instant::START,
    };
}

/// Carries out Set Endpoint ID.
pub(crate) fn set_endpoint_id(
    responder: &mut Responder,
    now: Instant,
    request: &ControlRequest<'_>,
    data: [u8; 2],
) -> Result<[u8; 3], CompletionCode> {
    let [operation, wanted] = data;
    let assigned = match operation & OPERATION {
        SET | FORCE => Eid::new_normal(wanted).ok(),
        RESET_TO_STATIC => responder.static_endpoint_id,
        _ => None,
    };
    let assigned = assigned.ok_or(CompletionCode::InvalidData)?;
    let set = SetRequest {
        requester: request.requester,
        instance_id: request.instance_id,
        data,
        expires: now.after(INSTANCE_ID_EXPIRATION),
    };
    if responder.endpoint_id != assigned || !responder.was_carried_out(now, &set) {
        responder.assign(assigned, set);
    }
    Ok([0, assigned.0, 0])
}

impl Responder {
    fn was_carried_out(&self, now: Instant, set: &SetRequest) -> bool {
        self.set_requests.iter().any(|last| {
            last.requester == set.requester
                && last.instance_id == set.instance_id
                && last.data == set.data
                && now < last.expires
        })
    }

    fn assign(&mut self, assigned: Eid, set: SetRequest) {
        let requester = set.requester;
        self.endpoint_id = assigned;
        self.bus_owner = Some(requester);
        self.events.push(Event::EndpointIdSet(assigned));
        self.events.push(Event::BusOwnerSeen(requester));
        // One entry a requester; the one that was heard of longest ago makes room.
        let mut newer = set;
        for place in &mut self.set_requests {
            core::mem::swap(place, &mut newer);
            if newer.requester == requester {
                return;
            }
        }
    }
}

/// Answers Get Endpoint ID.
pub(crate) fn get_endpoint_id(endpoint_id: Eid, static_endpoint_id: Option<Eid>) -> [u8; 3] {
    let id_type = match static_endpoint_id {
        None => 0,
        Some(id) if id == endpoint_id => 2,
        Some(_) => 3,
    };
    [endpoint_id.0, id_type, 0]
}
