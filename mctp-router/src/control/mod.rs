//! The control protocol responder (DSP0236 1.3.3, sections 11 and 12). What each command answers is
//! in [`crate::wire`].
//!
//! An endpoint answers every command but 01h to 06h with `ERROR_UNSUPPORTED_CMD`; a [bridge](bridge)
//! serves more. A request with data of another length than its command has is answered
//! `ERROR_INVALID_LENGTH`.

mod bridge;
mod endpoint;
mod support;

use heapless::Deque;
use mctp::Eid;
use mctp_time::Instant;
use mctp_transport::{DropReason, RawHeader};
use zerocopy::{FromBytes, IntoBytes};

pub use bridge::{
    AddBridgeError, BridgeConfig, BridgeMemory, BridgeMemoryInRam, BridgePort, BridgeStorage,
    SavedAssignment, SavedNeighbour, TransportCommands, TransportRequest,
};
pub(crate) use bridge::{Answer, Bridge, MAX_PORTS, Network, REQUEST_TAG};
pub(crate) use endpoint::{Endpoint, INSTANCE_ID_EXPIRATION};
pub(crate) use support::Services;

use crate::config::{BusOwner, Config, Event, NetworkId};
use crate::wire::{
    Command, CompletionCode, GetEndpointIdRequest, GetEndpointUuidRequest, GetEndpointUuidResponse,
    GetMessageTypeSupportRequest, GetVendorSupportRequest, GetVersionSupportRequest, Header,
    Message, Request, Response, ResponseHeader, SetEndpointIdRequest,
};

/// A control request, and by whom and when it was sent. Its flags are checked, its data are not.
#[derive(Debug)]
pub(crate) struct ControlRequest<'a> {
    pub(crate) now: Instant,
    pub(crate) network: NetworkId,
    /// Addressed to us, 0, or 0xFF.
    pub(crate) packet: RawHeader,
    pub(crate) requester: BusOwner,
    pub(crate) header: &'a Header,
    pub(crate) data: &'a [u8],
    /// What the transport that it came by says of itself.
    pub(crate) medium_specific: u8,
}

/// Reads the header and the data of a packet with the tag owner bit set. Whatever is no request or
/// datagram of one packet is to be discarded (section 11.7).
pub(crate) fn parse_request(
    packet: RawHeader,
    payload: &[u8],
) -> Result<(&Header, &[u8]), DropReason> {
    let message = Message::<Header>::ref_from_prefix(payload);
    let (message, data) = message.map_err(|_| DropReason::InvalidControlMessage)?;
    if message.has_integrity_check() {
        return Err(DropReason::BadIntegrityCheck);
    }
    if !message.body.flags.is_request() || !packet.is_end() {
        return Err(DropReason::InvalidControlMessage);
    }
    Ok((&message.body, data))
}

/// Whether a control message body, from behind the message type, is a response.
pub(crate) fn is_response(body: &[u8]) -> bool {
    let response = ResponseHeader::ref_from_prefix(body);
    response.is_ok_and(|(response, _)| response.header.flags.is_response())
}

impl ControlRequest<'_> {
    /// The header of the packet of the response, now that the request is carried out: `before` and
    /// `now` were and are the endpoint ID. `None` when there is no response, as to a datagram.
    pub(crate) fn respond(
        &self,
        (before, now): (Eid, Eid),
        answer: Answer,
        response: &mut Response,
    ) -> Option<RawHeader> {
        match answer {
            Answer::Success => {}
            Answer::Refusal(code) => response.refuse(code),
            Answer::Silence => return None,
        }
        // Set Endpoint ID is answered by the endpoint that was asked, not by the one that it makes
        // (section 12.4).
        let source = match (self.header.command, self.packet.destination()) {
            (Command::SET_ENDPOINT_ID, mctp::MCTP_ADDR_ANY) => before,
            (Command::SET_ENDPOINT_ID, asked) => asked,
            _ => now,
        };
        let packet = self.packet.of_response(source).with_end();
        (!self.header.flags.is_datagram()).then_some(packet)
    }
}

/// The newest events that the application has not seen.
#[derive(Debug, Default)]
pub(crate) struct Events(Deque<Event, 8>);

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.0.is_full() {
            self.0.pop_front();
        }
        // There is room now.
        let _ = self.0.push_back(event);
    }

    pub(crate) fn poll(&mut self) -> Option<Event> {
        self.0.pop_front()
    }

    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// What the control protocol knows and can change, beside the [`Endpoint`] of each network.
#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) events: Events,
    uuid: GetEndpointUuidResponse,
}

impl Responder {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            events: Events::default(),
            uuid: GetEndpointUuidResponse { uuid: config.uuid },
        }
    }

    /// The UUID of the device.
    pub(crate) fn uuid(&self) -> &[u8; 16] {
        &self.uuid.uuid
    }

    /// Answers a request as any endpoint does.
    pub(crate) fn answer<'s>(
        &mut self,
        request: &ControlRequest<'_>,
        endpoint: &mut Endpoint,
        services: &impl Services<'s>,
        response: &mut Response,
    ) -> Answer {
        let result = self.carry_out(request, endpoint, services, response);
        result.into()
    }

    fn carry_out<'s>(
        &mut self,
        request: &ControlRequest<'_>,
        endpoint: &mut Endpoint,
        services: &impl Services<'s>,
        response: &mut Response,
    ) -> Result<(), CompletionCode> {
        match request.header.command {
            Command::SET_ENDPOINT_ID => {
                let set = SetEndpointIdRequest::parse(request.data)?;
                let data = endpoint.set_endpoint_id(request, set, &mut self.events)?;
                response.put(data.as_bytes());
            }
            Command::GET_ENDPOINT_ID => {
                GetEndpointIdRequest::parse(request.data)?;
                let answer = endpoint.get_endpoint_id(request.medium_specific);
                response.put(answer.as_bytes());
            }
            Command::GET_ENDPOINT_UUID => {
                GetEndpointUuidRequest::parse(request.data)?;
                response.put(self.uuid.as_bytes());
            }
            Command::GET_VERSION_SUPPORT => {
                let get = GetVersionSupportRequest::parse(request.data)?;
                support::versions(get.message_type, services, response)?;
            }
            Command::GET_MESSAGE_TYPE_SUPPORT => {
                GetMessageTypeSupportRequest::parse(request.data)?;
                support::message_types(services, response);
            }
            Command::GET_VENDOR_SUPPORT => {
                let get = GetVendorSupportRequest::parse(request.data)?;
                support::vendor(get.selector, services)?.emit(response);
            }
            _ => return Err(CompletionCode::UNSUPPORTED_COMMAND),
        }
        Ok(())
    }
}
