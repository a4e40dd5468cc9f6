//! Read NVMe-MI Data Structure, opcode 00h (NVMe-MI 1.2, section 5.7).

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Answer, Failure, Handled};
use crate::world::World;

use super::Request;

/// Bytes of the subsystem, port and controller structures.
const STRUCTURE_LENGTH: usize = 32;

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let [_, _, _, data_type] = request.dword0.to_le_bytes();
    match data_type {
        0x00 => subsystem_information(context, exchange),
        _ => Err(Failure::parameter(11, 0).into()),
    }
}

fn subsystem_information<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    exchange.expect_request_data(0)?;
    let ports = context.model.ports.len();
    let mut page = exchange.answer(0, STRUCTURE_LENGTH);
    page.put_u8(0, u8::try_from(ports.saturating_sub(1)).unwrap_or(u8::MAX));
    page.put_u8(1, 1);
    page.put_u8(2, 2);
    Ok(Answer::Done(STRUCTURE_LENGTH as u32))
}
