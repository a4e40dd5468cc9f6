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

use mctp_transport::{DropReason, RawHeader};

use super::{CompletionCode, Payload};
use crate::config::BusOwner;

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
    /// Addressed to us, 0, or 0xFF.
    pub(crate) header: RawHeader,
    pub(crate) requester: BusOwner,
    pub(crate) instance_id: u8,
    pub(crate) is_datagram: bool,
    pub(crate) command: u8,
    pub(crate) data: &'a [u8],
}

impl<'a> ControlRequest<'a> {
    /// Reads a packet with the tag owner bit set. Whatever is no request or datagram of one packet
    /// is to be discarded (section 11.5).
    pub(crate) fn parse(
        header: RawHeader,
        requester: BusOwner,
        payload: &'a [u8],
    ) -> Result<Self, DropReason> {
        let &[type_ic, flags, command, ref data @ ..] = payload else {
            return Err(DropReason::InvalidControlMessage);
        };
        if type_ic & INTEGRITY_CHECK != 0 {
            return Err(DropReason::BadIntegrityCheck);
        }
        if flags & REQUEST == 0 || !header.is_end() {
            return Err(DropReason::InvalidControlMessage);
        }
        Ok(Self {
            header,
            requester,
            instance_id: flags & INSTANCE_ID,
            is_datagram: flags & DATAGRAM != 0,
            command,
            data,
        })
    }

    /// A response of this completion code, without data so far.
    pub(crate) fn response(&self, code: CompletionCode) -> Payload {
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
