//! The control protocol responder (DSP0236 1.3.3, sections 11 and 12), message type 00h.
//!
//! | command | | request data | response data |
//! |-|-|-|-|
//! | 01h | [Set Endpoint ID](endpoint) | operation, endpoint ID | status, endpoint ID, pool size |
//! | 02h | [Get Endpoint ID](endpoint) | - | endpoint ID, type, medium specific |
//! | 03h | Get Endpoint UUID | - | 16 bytes |
//! | 04h | [Get MCTP Version Support](support) | message type | count, versions |
//! | 05h | [Get Message Type Support](support) | - | count, types |
//! | 06h | [Get Vendor Defined Message Support](support) | selector | next selector, vendor, command set |
//!
//! Every other command is answered `ERROR_UNSUPPORTED_CMD`. A request with data of another length
//! than its command has is answered `ERROR_INVALID_LENGTH`. An error response carries nothing but
//! its completion code.
//!
//! Not here: what bus owners and bridges answer (07h to 14h), and discovery (0Bh to 0Dh), which
//! USB, I2C and serial do not have.

pub mod endpoint;
pub mod envelope;
pub mod support;

use heapless::{Deque, Vec};
use mctp_transport::{BASELINE_TRANSMISSION_UNIT, RawHeader};

pub(crate) use envelope::{ControlRequest, is_response};
pub(crate) use support::Services;

use crate::clock::Instant;
use crate::config::{Config, Event, NetworkId};
pub(crate) use endpoint::Endpoint;

/// How a control request ended (DSP0236 section 11.8, table 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CompletionCode {
    Success = 0x00,
    InvalidData = 0x02,
    InvalidLength = 0x03,
    UnsupportedCommand = 0x05,
    /// Get MCTP Version Support: message type number not supported.
    MessageTypeNotSupported = 0x80,
}

/// A control response: message type, header and data, at most one packet of the baseline unit.
pub(crate) type Payload = Vec<u8, BASELINE_TRANSMISSION_UNIT>;

/// Appends response data. What does not fit the one packet of a control response is refused as a
/// whole.
#[inline(never)]
fn put(payload: &mut Payload, data: &[u8]) -> Result<(), CompletionCode> {
    payload
        .extend_from_slice(data)
        .map_err(|_| CompletionCode::InvalidData)
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
    uuid: [u8; 16],
}

impl Responder {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            events: Events::default(),
            uuid: config.uuid,
        }
    }

    /// Carries out a request: the header and payload of its response. `None` when it is a datagram,
    /// which has none.
    pub(crate) fn answer<'s>(
        &mut self,
        now: Instant,
        request: &ControlRequest<'_>,
        (network, endpoint): (NetworkId, &mut Endpoint),
        services: &impl Services<'s>,
        payload: &mut Payload,
    ) -> Option<RawHeader> {
        // Set Endpoint ID is answered by the endpoint that was asked, not by the one that it makes
        // (section 12.4).
        let asked = match request.header.destination() {
            mctp::MCTP_ADDR_ANY => endpoint.endpoint_id,
            destination => destination,
        };
        let network = (network, &mut *endpoint);
        if let Err(code) = self.carry_out(now, request, network, services, payload) {
            *payload = request.response(code);
        }
        let source = match request.command {
            envelope::SET_ENDPOINT_ID => asked,
            _ => endpoint.endpoint_id,
        };
        let header = request.header.of_response(source).with_end();
        (!request.is_datagram).then_some(header)
    }

    fn carry_out<'s>(
        &mut self,
        now: Instant,
        request: &ControlRequest<'_>,
        (network, endpoint): (NetworkId, &mut Endpoint),
        services: &impl Services<'s>,
        payload: &mut Payload,
    ) -> Result<(), CompletionCode> {
        *payload = request.response(CompletionCode::Success);
        match (request.command, request.data) {
            (envelope::SET_ENDPOINT_ID, &[operation, endpoint_id]) => {
                let data = [operation, endpoint_id];
                let events = &mut self.events;
                let data = endpoint.set_endpoint_id(now, network, request, data, events)?;
                put(payload, &data)
            }
            (envelope::GET_ENDPOINT_ID, []) => put(payload, &endpoint.get_endpoint_id()),
            (envelope::GET_ENDPOINT_UUID, []) => put(payload, &self.uuid),
            (envelope::GET_VERSION_SUPPORT, &[message_type]) => {
                support::versions(message_type, services, payload)
            }
            (envelope::GET_MESSAGE_TYPE_SUPPORT, []) => support::message_types(services, payload),
            (envelope::GET_VENDOR_SUPPORT, &[selector]) => {
                support::vendors(selector, services, payload)
            }
            (envelope::SET_ENDPOINT_ID..=envelope::GET_VENDOR_SUPPORT, _) => {
                Err(CompletionCode::InvalidLength)
            }
            _ => Err(CompletionCode::UnsupportedCommand),
        }
    }
}
