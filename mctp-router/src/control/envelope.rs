//! The envelope of control messages (DSP0236 1.3.3, sections 11.4 to 11.8).
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 0 | 7 / 6:0 | IC, always 0 / message type, 00h |
//! | 1 | 7 | Rq: request |
//! | 1 | 6 | D: datagram, a request without a response |
//! | 1 | 5 | reserved: 0 on send, ignored on receipt |
//! | 1 | 4:0 | instance ID: a repeated request has that of the first try, its response the same |
//! | 2 | 7:0 | command |
//! | 3 | 7:0 | completion code; responses only |
//! | 3 or 4 | | data |

use mctp::Eid;
use mctp_transport::{DropReason, MessageTag, Packet, PhysicalAddress};

use super::{CompletionCode, Payload};
use crate::config::{BusOwner, PortId};

pub(crate) const SET_ENDPOINT_ID: u8 = 0x01;
pub(crate) const GET_ENDPOINT_ID: u8 = 0x02;
pub(crate) const GET_ENDPOINT_UUID: u8 = 0x03;
pub(crate) const GET_VERSION_SUPPORT: u8 = 0x04;
pub(crate) const GET_MESSAGE_TYPE_SUPPORT: u8 = 0x05;
pub(crate) const GET_VENDOR_SUPPORT: u8 = 0x06;

const INTEGRITY_CHECK: u8 = 0x80;
const REQUEST: u8 = 0x80;
const DATAGRAM: u8 = 0x40;
const INSTANCE_ID: u8 = 0x1F;

/// A control request, its flags checked, its data not.
#[derive(Debug)]
pub(crate) struct ControlRequest<'a> {
    /// The requester's endpoint ID.
    pub(crate) source: Eid,
    pub(crate) port: PortId,
    pub(crate) address: PhysicalAddress,
    /// Whom the request was addressed to: us, 0, or 0xFF.
    pub(crate) destination: Eid,
    pub(crate) tag: MessageTag,
    pub(crate) instance_id: u8,
    pub(crate) is_datagram: bool,
    pub(crate) command: u8,
    pub(crate) data: &'a [u8],
}

impl<'a> ControlRequest<'a> {
    /// Reads a packet with the tag owner bit set. Whatever is no request or datagram of one packet is to be discarded (section 11.5).
    pub(crate) fn parse(
        packet: &Packet<'a>,
        port: PortId,
        address: PhysicalAddress,
    ) -> Result<Self, DropReason> {
        let &[type_ic, flags, command, ref data @ ..] = packet.payload else {
            return Err(DropReason::InvalidControlMessage);
        };
        if type_ic & INTEGRITY_CHECK != 0 {
            return Err(DropReason::BadIntegrityCheck);
        }
        if flags & REQUEST == 0 || !packet.header.end {
            return Err(DropReason::InvalidControlMessage);
        }
        Ok(Self {
            source: packet.header.source,
            port,
            address,
            destination: packet.header.destination,
            tag: packet.header.tag,
            instance_id: flags & INSTANCE_ID,
            is_datagram: flags & DATAGRAM != 0,
            command,
            data,
        })
    }

    /// The data, which must be `N` bytes long.
    pub(crate) fn data_of_len<const N: usize>(&self) -> Result<[u8; N], CompletionCode> {
        self.data
            .try_into()
            .map_err(|_| CompletionCode::InvalidLength)
    }

    /// Who sent the request.
    pub(crate) fn requester(&self) -> BusOwner {
        BusOwner {
            endpoint_id: self.source,
            port: self.port,
            address: self.address,
        }
    }

    /// The response up to its data, successful so far.
    pub(crate) fn response_payload(&self) -> Payload {
        self.response_with(CompletionCode::Success)
    }

    /// Makes `payload` an error response.
    pub(crate) fn fail(&self, payload: &mut Payload, code: CompletionCode) {
        *payload = self.response_with(code);
    }

    fn response_with(&self, code: CompletionCode) -> Payload {
        Payload::from([
            mctp::MCTP_TYPE_CONTROL.0,
            self.instance_id,
            self.command,
            code as u8,
        ])
    }
}

/// Whether a control message body, from behind the message type, has the flags of a response.
pub(crate) fn is_response(body: &[u8]) -> bool {
    matches!(body, [flags, _command, _completion_code, ..] if flags & (REQUEST | DATAGRAM) == 0)
}
