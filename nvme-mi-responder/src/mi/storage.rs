//! VPD Read 05h and Write 06h (NVMe-MI 1.2, sections 5.12 and 5.13, Figures 108 to 113), Management
//! Endpoint Buffer Read 0Ah and Write 0Bh (NVMe-MI 1.2, sections 5.4 and 5.5, Figures 82 to 87).
//!
//! The requests are [`VpdRead`], [`VpdWrite`], [`EndpointBufferRead`] and [`EndpointBufferWrite`]. A
//! read returns those bytes from byte 8 of the response, exactly so many, without the padding that
//! other responses have: libnvme makes room for them and takes what follows for the Message
//! Integrity Check. A write has them as Request Data. At most 4096 bytes; none is a success wherever
//! they start.
//!
//! Errors: Invalid Parameter at DOFST if the first byte, at DLEN if the last is outside; Invalid
//! Command Input Data Size if there are more or fewer Request Data than DLEN; VPD Updates Exceeded;
//! Management Endpoint Buffer Cleared Due to Sanitize, once.

use core::ops::Range;

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
use crate::wire::{
    EndpointBufferRead, EndpointBufferWrite, ManagementRequest, VpdRead, VpdWrite, location,
};
use crate::world::{VpdError, World};

/// The most bytes that are read or written at once.
const LIMIT: usize = 4096;

/// VPD Read.
pub(super) fn read_vpd<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: VpdRead = request.command();
    let vpd = context.world.vpd();
    let size = vpd.as_ref().map_or(0, |vpd| vpd.size());
    let bytes = part_of_vpd(command.offset.get(), command.length.get(), size)?;
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
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: VpdWrite = request.command();
    // The command is in the table only if there is one.
    let Some(vpd) = context.world.vpd() else {
        return Err(Failure::new(Status::InvalidOpcode).into());
    };
    let bytes = part_of_vpd(command.offset.get(), command.length.get(), vpd.size())?;
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
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: EndpointBufferRead = request.command();
    let buffer = &*context.endpoint_buffer;
    let bytes = part_of_buffer(command.offset.get(), command.length.get(), buffer.len())?;
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
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: EndpointBufferWrite = request.command();
    let size = context.endpoint_buffer.len();
    let bytes = part_of_buffer(command.offset.get(), command.length.get(), size)?;
    exchange.expect_request_data(bytes.len())?;
    report_loss(&mut context.endpoint.buffer_lost)?;
    crate::bytes::put(
        context.endpoint_buffer,
        bytes.start,
        exchange.request_data(),
    );
    Ok(0)
}

/// The first access after a sanitize operation emptied the buffer fails.
fn report_loss(lost: &mut bool) -> Result<(), Failure> {
    if core::mem::take(lost) {
        return Err(Failure::new(Status::BufferClearedBySanitize));
    }
    Ok(())
}

/// The bytes of the VPD that a request wants.
fn part_of_vpd(offset: u16, length: u16, size: u16) -> Result<Range<usize>, Failure> {
    part_of_buffer(u32::from(offset), length, usize::from(size))
}

/// The bytes of a store of `size` bytes that a request wants.
fn part_of_buffer(offset: u32, length: u16, size: usize) -> Result<Range<usize>, Failure> {
    let (start, length) = (offset as usize, usize::from(length));
    if length == 0 {
        return Ok(0..0);
    }
    if start >= size {
        return Err(Failure::parameter(location!(EndpointBufferRead, offset), 0));
    }
    let end = start
        .checked_add(length)
        .filter(|end| *end <= size && length <= LIMIT);
    let end = end.ok_or(Failure::parameter(location!(EndpointBufferRead, length), 0))?;
    Ok(start..end)
}
