//! Reset, opcode 07h, and Shutdown, opcode 0Ch (NVMe-MI 1.2).
//!
//! Byte 11 of the request is the type: Reset 00h, an NVM Subsystem Reset; Shutdown 00h in order,
//! 01h at once. A Reset that is carried out has no response. The subsystem is shut down after the
//! response to Shutdown was sent. Both activate firmware that waits for a reset.
//!
//! Errors: Invalid Parameter at byte 11 for another type; Invalid Command Input Data Size for any
//! Request Data.

use crate::context::{Context, Effect};
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Refusal};
use crate::world::ShutdownKind;

use super::Request;

/// Reset.
pub(super) fn reset<W>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    if request.dword0 >> 24 != 0 {
        return Err(Failure::parameter(11, 0).into());
    }
    exchange.expect_request_data(0)?;
    *context.effect = Some(Effect::Reset);
    Err(Refusal::SILENCE)
}

/// Shutdown.
pub(super) fn shut_down<W>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let kind = match request.dword0 >> 24 {
        0x00 => ShutdownKind::Normal,
        0x01 => ShutdownKind::Abrupt,
        _ => return Err(Failure::parameter(11, 0).into()),
    };
    exchange.expect_request_data(0)?;
    *context.effect = Some(Effect::Shutdown(kind));
    Ok(0)
}
