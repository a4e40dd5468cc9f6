//! Reset, opcode 07h (NVMe-MI 1.2, section 5.8, Figure 102), and Shutdown, opcode 0Ch (NVMe-MI 1.2,
//! section 5.11, Figure 107).
//!
//! The requests are [`Reset`] and [`Shutdown`]. A Reset that is carried out has no response. The
//! subsystem is shut down after the response to Shutdown was sent: every controller then shows that
//! its shutdown is complete. Both activate firmware that waits for a reset.
//!
//! A Reset that is sent again resets again: the requester sees from NSSRO of Get State that the
//! first one was carried out. A Shutdown that is sent again succeeds, and no controller changes;
//! the [`ResetHook`](crate::world::ResetHook) is told again.
//!
//! Errors: Invalid Parameter at RSTTYP or SHDNTYP for another type; Invalid Command Input Data Size
//! for any Request Data.

use crate::context::{Context, Effect};
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Refusal};
use crate::wire::{ManagementRequest, Reset, ResetType, Shutdown, ShutdownType, location};
use crate::world::ShutdownKind;

/// Reset.
pub(super) fn reset<W>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: Reset = request.command();
    if command.reset_type != ResetType::SUBSYSTEM_RESET {
        return Err(Failure::parameter(location!(Reset, reset_type), 0).into());
    }
    exchange.expect_request_data(0)?;
    *context.effect = Some(Effect::Reset);
    Err(Refusal::SILENCE)
}

/// Shutdown.
pub(super) fn shut_down<W>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: Shutdown = request.command();
    let kind = match command.shutdown_type {
        ShutdownType::NORMAL => ShutdownKind::Normal,
        ShutdownType::ABRUPT => ShutdownKind::Abrupt,
        _ => return Err(Failure::parameter(location!(Shutdown, shutdown_type), 0).into()),
    };
    exchange.expect_request_data(0)?;
    *context.effect = Some(Effect::Shutdown(kind));
    Ok(0)
}
