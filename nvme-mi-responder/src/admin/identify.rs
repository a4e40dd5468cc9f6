//! Identify, opcode 06h (NVM Express Base 2.0, section 5.17).

use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{Answer, CompletionStatus, Handled};
use crate::world::World;

use super::Request;

/// Bytes of every structure.
const STRUCTURE_LENGTH: u32 = 4096;

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let fill = match request.dword10 & 0xFF {
        0x01 => controller,
        _ => return Err(CompletionStatus::INVALID_FIELD.into()),
    };
    let mut page = request.return_data(exchange, 0, STRUCTURE_LENGTH)?;
    fill(context, request, &mut page);
    Ok(Answer::Done(0))
}

/// Controller data structure, CNS 01h.
fn controller<W: World>(context: &mut Context<'_, '_, W>, request: Request, page: &mut Page<'_>) {
    let identity = &context.model.identity;
    page.put_u16(0, identity.vendor.pci_vendor);
    page.put_u16(2, identity.vendor.pci_subsystem_vendor);
    page.put_text(4, 20, identity.serial_number);
    page.put_text(24, 40, identity.model_number);
    if let Some(controller) = context.model.controllers.get(request.controller) {
        page.put_u16(78, controller.id.0);
    }
}
