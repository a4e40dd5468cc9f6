//! VPD Read 05h and Write 06h (NVMe-MI 1.2, sections 5.12 and 5.13, Figures 108 to 113), Management
//! Endpoint Buffer Read 0Ah and Write 0Bh (NVMe-MI 1.2, sections 5.4 and 5.5, Figures 82 to 87).
//!
//! The requests are [`VpdRead`], [`VpdWrite`], [`EndpointBufferRead`] and [`EndpointBufferWrite`].
//! A read returns those bytes from byte 8 of the response, exactly so many, without the padding
//! that other responses have: libnvme makes room for them and takes what follows for the Message
//! Integrity Check. A write has them as Request Data. At most 4096 bytes; none is a success
//! wherever they start.
//!
//! A VPD Write of the bytes that are there already succeeds, also when no updates are left, and is
//! no update: a requester that did not get the response sends the command again. A write to the
//! buffer is the same twice. Reads change nothing.
//!
//! After a sanitize operation emptied the buffer, the first access to it fails, and only that one:
//! a requester that did not get this response gets it again with [Replay](crate::control).
//!
//! Errors: Invalid Parameter at DLEN if a part of the bytes is outside of the VPD; at DOFST if the
//! first byte, at DLEN if the last is outside of the buffer; Invalid Command Input Data Size if
//! there are more or fewer Request Data than DLEN; VPD Updates Exceeded; Management Endpoint Buffer
//! Cleared Due to Sanitize.
//!
//! **Reading.** The last byte of the Management Endpoint Buffer: can be read and written, though
//! the text refuses a sum that is not below the size.
//!
//! **Reading.** A VPD Write of the bytes that are there already: succeeds, and is no update.

use core::ops::Range;

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
use crate::wire::{
    EndpointBufferRead, EndpointBufferWrite, ManagementRequest, VpdRead, VpdWrite, location,
};
use crate::world::{VpdError, VpdStore, World};

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
    let data = exchange.request_data();
    if holds(vpd, offset, data) {
        return Ok(0);
    }
    match vpd.write(offset, data) {
        Ok(()) => Ok(0),
        Err(VpdError::UpdatesExceeded) => Err(Failure::new(Status::VpdUpdatesExceeded).into()),
        Err(VpdError::Failed) => Err(Failure::new(Status::InternalError).into()),
    }
}

/// Whether the VPD has `data` from `offset` already.
fn holds(vpd: &mut dyn VpdStore, offset: u16, data: &[u8]) -> bool {
    /// Bytes that are read at once: they are on the stack.
    const CHUNK: usize = 32;
    let mut buffer = [0; CHUNK];
    let mut offset = offset;
    for expected in data.chunks(CHUNK) {
        let chunk = buffer.get_mut(..expected.len()).unwrap_or_default();
        vpd.read(offset, chunk);
        if chunk != expected {
            return false;
        }
        offset = offset.saturating_add(CHUNK as u16);
    }
    true
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

/// The bytes of the VPD that a request wants. If some are outside, DLEN is what is wrong (sections
/// 5.12 and 5.13).
fn part_of_vpd(offset: u16, length: u16, size: u16) -> Result<Range<usize>, Failure> {
    let part = part_of(u32::from(offset), length, usize::from(size));
    part.ok_or(Failure::parameter(location!(VpdRead, length), 0))
}

/// The bytes of the buffer that a request wants. The text of sections 5.4 and 5.5 would refuse the
/// last byte, too; it is taken to mean the first one beyond.
fn part_of_buffer(offset: u32, length: u16, size: usize) -> Result<Range<usize>, Failure> {
    part_of(offset, length, size).ok_or(if offset as usize >= size {
        Failure::parameter(location!(EndpointBufferRead, offset), 0)
    } else {
        Failure::parameter(location!(EndpointBufferRead, length), 0)
    })
}

/// The bytes of a store of `size` bytes that a request wants, if they are inside.
fn part_of(offset: u32, length: u16, size: usize) -> Option<Range<usize>> {
    let (start, length) = (offset as usize, usize::from(length));
    if length == 0 {
        return Some(0..0);
    }
    let end = start.checked_add(length)?;
    (end <= size && length <= LIMIT).then_some(start..end)
}
