//! VPD Read 05h and Write 06h, Management Endpoint Buffer Read 0Ah and Write 0Bh (NVMe-MI 1.2).
//!
//! | byte | VPD | Management Endpoint Buffer |
//! |-|-|-|
//! | 8 | DOFST, the first byte, 2 bytes | the same in 4 bytes |
//! | 12 | DLEN, how many, 2 bytes | the same in 4 bytes |
//!
//! A read returns those bytes from byte 8 of the response, exactly so many, without the padding that
//! other responses have: libnvme makes room for them and takes what follows for the Message
//! Integrity Check. A write has them as Request Data. At most 4096 bytes; none is a success wherever
//! they start.
//!
//! Errors: Invalid Parameter at byte 8 if the first byte, at 12 if the last is outside; Invalid
//! Command Input Data Size if there are more or fewer Request Data than DLEN; VPD Updates Exceeded;
//! Management Endpoint Buffer Cleared Due to Sanitize, once.
//!
//! The width of the buffer's fields is not certain from the sources for this crate; 4 bytes take
//! all readings.

use core::ops::Range;

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
use crate::world::{VpdError, World};

use super::Request;

/// The most bytes that are read or written at once.
const LIMIT: u32 = 4096;

/// VPD Read.
pub(super) fn read_vpd<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let vpd = context.world.vpd();
    let size = vpd.as_ref().map_or(0, |vpd| vpd.size());
    let bytes = part_of_vpd(request, size)?;
    exchange.expect_request_data(0)?;
    let page = exchange.answer_exactly(0, bytes.len());
    if let Some(vpd) = vpd
        && !bytes.is_empty()
    {
        vpd.read(
            u16::try_from(bytes.start).unwrap_or(u16::MAX),
            page.window(),
        );
    }
    Ok(0)
}

/// VPD Write.
pub(super) fn write_vpd<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    // The command is in the table only if there is one.
    let Some(vpd) = context.world.vpd() else {
        return Err(Failure::new(Status::InvalidOpcode).into());
    };
    let bytes = part_of_vpd(request, vpd.size())?;
    exchange.expect_request_data(bytes.len())?;
    if bytes.is_empty() {
        return Ok(0);
    }
    let offset = u16::try_from(bytes.start).unwrap_or(u16::MAX);
    match vpd.write(offset, exchange.request_data()) {
        Ok(()) => Ok(0),
        Err(VpdError::UpdatesExceeded) => Err(Failure::new(Status::VpdUpdatesExceeded).into()),
        Err(VpdError::Failed) => Err(Failure::new(Status::InternalError).into()),
    }
}

/// Management Endpoint Buffer Read.
pub(super) fn read_buffer<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let buffer = &*context.endpoint_buffer;
    let bytes = part(request.dword0, request.dword1, size_of_buffer(buffer))?;
    exchange.expect_request_data(0)?;
    report_loss(&mut context.endpoint.buffer_lost)?;
    exchange
        .answer_exactly(0, bytes.len())
        .put(0, buffer.get(bytes).unwrap_or_default());
    Ok(0)
}

/// Management Endpoint Buffer Write.
pub(super) fn write_buffer<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let bytes = part(
        request.dword0,
        request.dword1,
        size_of_buffer(context.endpoint_buffer),
    )?;
    exchange.expect_request_data(bytes.len())?;
    report_loss(&mut context.endpoint.buffer_lost)?;
    crate::bytes::put(
        context.endpoint_buffer,
        bytes.start,
        exchange.request_data(),
    );
    Ok(0)
}

fn size_of_buffer(buffer: &[u8]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}

/// The first access after a sanitize operation emptied the buffer fails.
fn report_loss(lost: &mut bool) -> Result<(), Failure> {
    if core::mem::take(lost) {
        return Err(Failure::new(Status::BufferClearedBySanitize));
    }
    Ok(())
}

/// The bytes of the VPD that a request wants: offset and length have 16 bits.
fn part_of_vpd(request: Request, size: u16) -> Result<Range<usize>, Failure> {
    part(
        request.dword0 & 0xFFFF,
        request.dword1 & 0xFFFF,
        u32::from(size),
    )
}

/// The bytes of a store of `size` bytes that a request wants.
fn part(offset: u32, length: u32, size: u32) -> Result<Range<usize>, Failure> {
    if length == 0 {
        return Ok(0..0);
    }
    if offset >= size {
        return Err(Failure::parameter(8, 0));
    }
    let end = offset
        .checked_add(length)
        .filter(|end| *end <= size && length <= LIMIT);
    let end = end.ok_or(Failure::parameter(12, 0))?;
    Ok(offset as usize..end as usize)
}
