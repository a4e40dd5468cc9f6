//! Security Send, opcode 81h, and Security Receive, opcode 82h (NVM Express Base 2.0, sections
//! 5.26, Figures 310 to 312, and 5.25, Figures 306 to 309).
//!
//! Dwords 10 and 11 are a [`SecuritySend`] or a [`SecurityReceive`]. NSSF has a meaning to protocol
//! EAh only, and is ignored. What is sent again is handed to the protocol again: only that knows
//! whether it is a repetition.
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
//! | NVMe-MI Invalid Parameter at DLEN | send: TL is not what DLEN says; receive: DLEN is more than AL |
//! | Invalid Field (02h) | there is no such protocol; the protocol does not take that |

use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{CompletionStatus, Handled};
use crate::wire::{SecurityReceive, SecuritySend};
use crate::world::World;

use super::Request;

const INFORMATION: u8 = 0x00;
const PROTOCOL_LIST: u16 = 0x0000;
const CERTIFICATES: u16 = 0x0001;

/// Where the answer of protocol 00h that lists protocols has their number, the most significant
/// byte first, and where the list begins.
const PROTOCOL_COUNT: u32 = 6;
const PROTOCOLS: u32 = 8;

/// Refuses a protocol that there is not.
fn check_protocol<W: World>(
    context: &mut Context<'_, '_, W>,
    protocol: u8,
) -> Result<(), CompletionStatus> {
    let security = context.world.security();
    if security.is_some_and(|security| security.protocols().contains(&protocol)) {
        Ok(())
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
    let command: SecuritySend = request.command();
    request.expect_data(exchange, u64::from(command.transfer_length.get()))?;
    check_protocol(context, command.protocol)?;
    let (protocol, specific) = (command.protocol, command.protocol_specific.get());
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
    let command: SecurityReceive = request.command();
    check_protocol(context, command.protocol)?;
    let (protocol, specific) = (command.protocol, command.protocol_specific.get());
    if protocol == INFORMATION && specific > CERTIFICATES {
        return Err(CompletionStatus::INVALID_FIELD.into());
    }
    let offset = request.data_offset();
    let page = request.return_data(exchange, command.allocation_length.get())?;
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
    page.put(PROTOCOL_COUNT, &count.to_be_bytes());
    page.put(PROTOCOLS, protocols);
}
