//! Security Send, opcode 81h, and Security Receive, opcode 82h (NVM Express Base 2.0).
//!
//! | byte | field |
//! |-|-|
//! | 44 | NSSF, of meaning to protocol EAh only |
//! | 46:45 | SPSP, protocol specific |
//! | 47 | SECP, the protocol |
//! | 51:48 | send: TL, bytes sent; receive: AL, bytes wanted |
//! | 68.. | send: the data |
//!
//! Protocol 00h can be received only:
//!
//! | SPSP | answer |
//! |-|-|
//! | 0000h | bytes 7:6 the number of protocols, the most significant byte first, then the protocols, a byte each, ascending |
//! | 0001h | bytes 3:2 the length of the certificates: 0 |
//!
//! What lies beyond the answer is zero.
//!
//! | error | when |
//! |-|-|
//! | NVMe-MI Invalid Parameter at byte 32 | send: TL is not what DLEN says; receive: DLEN is more than AL |
//! | Invalid Field (02h) | there is no such protocol; the protocol does not take that |

use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{CompletionStatus, Handled};
use crate::world::World;

use super::Request;

const INFORMATION: u8 = 0x00;
const PROTOCOL_LIST: u16 = 0x0000;
const CERTIFICATES: u16 = 0x0001;

/// Protocol and SP Specific.
fn protocol_of<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
) -> Result<(u8, u16), CompletionStatus> {
    let [_, low, high, protocol] = request.dword10.to_le_bytes();
    let security = context.world.security();
    if security.is_some_and(|security| security.protocols().contains(&protocol)) {
        Ok((protocol, u16::from_le_bytes([low, high])))
    } else {
        Err(CompletionStatus::INVALID_FIELD)
    }
}

/// Security Send.
pub(super) fn send<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    request.expect_data(exchange, u64::from(request.dword11))?;
    let (protocol, specific) = protocol_of(context, request)?;
    let data = exchange.request_data();
    let security = context.world.security();
    if protocol != INFORMATION
        && security.is_some_and(|security| security.send(protocol, specific, data))
    {
        Ok(0)
    } else {
        Err(CompletionStatus::INVALID_FIELD.into())
    }
}

/// Security Receive.
pub(super) fn receive<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let (protocol, specific) = protocol_of(context, request)?;
    if protocol == INFORMATION && specific > CERTIFICATES {
        return Err(CompletionStatus::INVALID_FIELD.into());
    }
    let offset = request.data_offset;
    let page = request.return_data(exchange, request.dword11)?;
    let Some(security) = context.world.security() else {
        return Ok(0);
    };
    if protocol == INFORMATION {
        if specific == PROTOCOL_LIST {
            put_protocols(security.protocols(), page);
        }
        return Ok(0);
    }
    if security.receive(protocol, specific, offset, page.window()) {
        Ok(0)
    } else {
        Err(CompletionStatus::INVALID_FIELD.into())
    }
}

fn put_protocols(protocols: &[u8], page: &mut Page<'_>) {
    let count = u16::try_from(protocols.len()).unwrap_or(u16::MAX);
    page.put(6, &count.to_be_bytes());
    page.put(8, protocols);
}
