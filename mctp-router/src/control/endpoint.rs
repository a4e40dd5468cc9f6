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

use super::{CompletionCode, ControlRequest, Events};
use crate::clock::Instant;
use crate::config::{BusOwner, Event, NetworkId};

/// How long a repeated instance ID means a repeated request: the instance ID expiration interval
/// MT4, 5 s in DSP0237. DSP0283 gives no value of its own.
const INSTANCE_ID_EXPIRATION: u32 = 5_000;

const OPERATION: u8 = 0x03;
const SET: u8 = 0;
const FORCE: u8 = 1;
const RESET_TO_STATIC: u8 = 2;

/// The endpoint that the device is in one network.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// 0 while it has none.
    pub(crate) endpoint_id: Eid,
    static_endpoint_id: Option<Eid>,
    /// Who sent the last Set Endpoint ID that was carried out.
    pub(crate) bus_owner: Option<BusOwner>,
    /// That request, to know a retransmission by: instance ID and data, and until when it is one.
    last_set: (u8, [u8; 2]),
    last_set_expires: Instant,
}

impl Endpoint {
    /// Without an endpoint ID: all zeros.
    pub(crate) const NEW: Self = Self {
        endpoint_id: mctp::MCTP_ADDR_NULL,
        static_endpoint_id: None,
        bus_owner: None,
        last_set: (0, [0; 2]),
        last_set_expires: Instant::START,
    };

    /// Gives it an endpoint ID of its own, in use until a bus owner sets another one.
    pub(crate) fn set_static_endpoint_id(&mut self, endpoint_id: Eid) {
        self.static_endpoint_id = Some(endpoint_id);
        self.endpoint_id = endpoint_id;
    }

    /// Carries out Set Endpoint ID.
    pub(crate) fn set_endpoint_id(
        &mut self,
        now: Instant,
        network: NetworkId,
        request: &ControlRequest<'_>,
        data: [u8; 2],
        events: &mut Events,
    ) -> Result<[u8; 3], CompletionCode> {
        let [operation, wanted] = data;
        let assigned = match operation & OPERATION {
            SET | FORCE => Eid::new_normal(wanted).ok(),
            RESET_TO_STATIC => self.static_endpoint_id,
            _ => None,
        };
        let assigned = assigned.ok_or(CompletionCode::InvalidData)?;
        let set = (request.instance_id, data);
        let is_retransmission = self.endpoint_id == assigned
            && self.bus_owner == Some(request.requester)
            && self.last_set == set
            && now < self.last_set_expires;
        if !is_retransmission {
            self.endpoint_id = assigned;
            self.bus_owner = Some(request.requester);
            self.last_set = set;
            self.last_set_expires = now.after(INSTANCE_ID_EXPIRATION);
            events.push(Event::EndpointIdSet {
                network,
                endpoint_id: assigned,
                bus_owner: request.requester,
            });
        }
        Ok([0, assigned.0, 0])
    }

    /// Answers Get Endpoint ID.
    pub(crate) fn get_endpoint_id(&self) -> [u8; 3] {
        let id_type = match self.static_endpoint_id {
            None => 0,
            Some(id) if id == self.endpoint_id => 2,
            Some(_) => 3,
        };
        [self.endpoint_id.0, id_type, 0]
    }
}
