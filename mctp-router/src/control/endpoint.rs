//! The endpoint that the device is in one network: Set Endpoint ID and Get Endpoint ID (DSP0236
//! 1.3.3, sections 12.4 and 12.5).

use mctp::Eid;
use mctp_time::Instant;

use super::{ControlRequest, Events};
use crate::config::{BusOwner, Event};
use crate::wire::{
    CompletionCode, EndpointIdType, EndpointType, GetEndpointIdResponse, Operation,
    SetEndpointIdRequest, SetEndpointIdResponse, SetEndpointIdStatus,
};

/// How long a repeated instance ID means a repeated request: the instance ID expiration interval
/// MT4, 5 s in DSP0237. DSP0283 gives no value of its own.
pub(crate) const INSTANCE_ID_EXPIRATION: u32 = 5_000;

/// The endpoint that the device is in one network.
#[derive(Debug)]
pub struct Endpoint {
    /// 0 while it has none.
    pub(crate) endpoint_id: Eid,
    /// 0 when there is none.
    static_endpoint_id: Eid,
    /// Who sent the last Set Endpoint ID that was carried out.
    pub(crate) bus_owner: Option<BusOwner>,
    /// That request, to know a retransmission by: instance ID and data, and until when it is one.
    last_set: (u8, SetEndpointIdRequest),
    last_set_expires: Instant,
}

impl Endpoint {
    /// Without an endpoint ID: all zeros.
    pub(crate) const NEW: Self = Self {
        endpoint_id: mctp::MCTP_ADDR_NULL,
        static_endpoint_id: mctp::MCTP_ADDR_NULL,
        bus_owner: None,
        last_set: (
            0,
            SetEndpointIdRequest {
                operation: Operation::SET,
                endpoint_id: 0,
            },
        ),
        last_set_expires: Instant::START,
    };

    /// Gives it an endpoint ID of its own, in use until a bus owner sets another one.
    pub(crate) fn set_static_endpoint_id(&mut self, endpoint_id: Eid) {
        self.static_endpoint_id = endpoint_id;
        self.endpoint_id = endpoint_id;
    }

    /// The endpoint ID that a Set Endpoint ID request gives.
    pub(crate) fn assignment(&self, wanted: &SetEndpointIdRequest) -> Result<Eid, CompletionCode> {
        let assigned = match wanted.operation.without_reserved() {
            Operation::SET | Operation::FORCE => wanted.endpoint_id,
            Operation::RESET => self.static_endpoint_id.0,
            _ => return Err(CompletionCode::INVALID_DATA),
        };
        Eid::new_normal(assigned).map_err(|_| CompletionCode::INVALID_DATA)
    }

    /// Carries out Set Endpoint ID.
    pub(crate) fn set_endpoint_id(
        &mut self,
        request: &ControlRequest<'_>,
        wanted: &SetEndpointIdRequest,
        events: &mut Events,
    ) -> Result<SetEndpointIdResponse, CompletionCode> {
        let assigned = self.assignment(wanted)?;
        let set = (request.header.flags.instance_id(), *wanted);
        let is_retransmission = self.endpoint_id == assigned
            && self.bus_owner == Some(request.requester)
            && self.last_set == set
            && request.now < self.last_set_expires;
        if !is_retransmission {
            self.endpoint_id = assigned;
            self.bus_owner = Some(request.requester);
            self.last_set = set;
            self.last_set_expires = request.now.after(INSTANCE_ID_EXPIRATION);
            events.push(Event::EndpointIdSet {
                network: request.network,
                endpoint_id: assigned,
                bus_owner: request.requester,
            });
        }
        Ok(SetEndpointIdResponse {
            status: SetEndpointIdStatus::ACCEPTED,
            endpoint_id: assigned.0,
            pool_size: 0,
        })
    }

    /// Answers Get Endpoint ID.
    pub(crate) fn get_endpoint_id(&self, medium_specific: u8) -> GetEndpointIdResponse {
        GetEndpointIdResponse {
            endpoint_id: self.endpoint_id.0,
            endpoint_type: EndpointType::simple(self.id_type()),
            medium_specific,
        }
    }

    /// Answers Get Endpoint ID of a bridge or bus owner.
    pub(crate) fn get_endpoint_id_of_bridge(&self, medium_specific: u8) -> GetEndpointIdResponse {
        GetEndpointIdResponse {
            endpoint_type: EndpointType::bridge(self.id_type()),
            ..self.get_endpoint_id(medium_specific)
        }
    }

    /// Whether the endpoint ID in use is a static one.
    pub(crate) fn is_static(&self) -> bool {
        self.id_type() == EndpointIdType::StaticInForce
    }

    fn id_type(&self) -> EndpointIdType {
        match self.static_endpoint_id {
            mctp::MCTP_ADDR_NULL => EndpointIdType::Dynamic,
            id if id == self.endpoint_id => EndpointIdType::StaticInForce,
            _ => EndpointIdType::StaticOverridden,
        }
    }
}
