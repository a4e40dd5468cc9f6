//! The PCIe command set (NVMe-MI 1.2, chapter 7, Figures 126 to 144): access to the PCI functions
//! of controllers, message kind 4.
//!
//! The request of each command is [`PcieRequest`], then data to write; the response
//! [`PcieResponse`], then the data that were read.
//!
//! | opcode | command | supported |
//! |-|-|-|
//! | 00h, 01h | configuration space read, write | if the [`PcieAccess`](crate::world::PcieAccess) supports configuration space |
//! | 02h, 03h | memory read, write | if it supports memory, too |
//! | 04h, 05h | I/O read, write | if it supports I/O, too |
//!
//! Data are padded to 4 bytes: with zeros in what is read; in what is written the padding is there,
//! and ignored. Reading and writing nothing succeeds.
//!
//! Errors, in the order in which they are looked for: Invalid Command Size; Invalid Command Opcode;
//! Invalid Parameter at MEB for data in the Management Endpoint Buffer, which no command uses, at
//! CTLID for a controller that is not there, at LENGTH for more than 4096, at BAR for a Base
//! Address Register that is not there, at OFFSET for a range outside of its space; Invalid Command
//! Input Data Size; Access Denied, but never for a read of Base Address Registers alone; PCIe
//! Inaccessible.
//!
//! **Reading.** PCIe reads and writes of no bytes: succeed.

use core::task::Poll;

use zerocopy::transmute;

use crate::commands::{self, PCIE};
use crate::context::Context;
use crate::exchange::{Exchange, Starts};
use crate::failure::{Failure, Handled, Refusal, Status};
use crate::model::ControllerId;
use crate::wire::{PcieOpcode, PcieRequest, PcieResponse, location};
use crate::world::{PcieDirection, PcieError, PcieRange, PcieSpace, World};

/// Where data start in requests and responses, the message type byte not counted.
pub(crate) const STARTS: Starts = Starts {
    request_start: size_of::<PcieRequest>(),
    response_start: size_of::<PcieResponse>(),
};

/// The most bytes that are read or written at once.
const LIMIT: u16 = 4096;
/// Bytes of configuration space.
const CONFIGURATION_LENGTH: u64 = 4096;
/// Where in it the Base Address Registers are.
const BASE_ADDRESS_REGISTERS: core::ops::Range<u64> = 0x10..0x28;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Configuration,
    Memory,
    Io,
}

/// What the command of that opcode does, and in which space. The table of commands has no others.
fn access_of(opcode: PcieOpcode) -> Option<(Space, PcieDirection)> {
    Some(match opcode {
        PcieOpcode::CONFIGURATION_READ => (Space::Configuration, PcieDirection::Read),
        PcieOpcode::CONFIGURATION_WRITE => (Space::Configuration, PcieDirection::Write),
        PcieOpcode::MEMORY_READ => (Space::Memory, PcieDirection::Read),
        PcieOpcode::MEMORY_WRITE => (Space::Memory, PcieDirection::Write),
        PcieOpcode::IO_READ => (Space::Io, PcieDirection::Read),
        PcieOpcode::IO_WRITE => (Space::Io, PcieDirection::Write),
        _ => return None,
    })
}

/// Carries out the command in `exchange`.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let fixed: &[u8; size_of::<PcieRequest>()] = exchange.fixed_part()?;
    let request: PcieRequest = transmute!(*fixed);
    commands::find(PCIE, context, exchange)?;
    let access = access_of(request.opcode);
    let (space, direction) = access.ok_or(Failure::new(Status::InvalidOpcode))?;
    let range = parse_range(space, &request);
    if context.model.controller_index(range.controller).is_none() {
        return Err(Failure::parameter(location!(PcieRequest, controller_id), 0).into());
    }
    check_range(range)?;
    let padded = usize::from(range.length).next_multiple_of(4);
    let carried = match direction {
        PcieDirection::Read => 0,
        PcieDirection::Write => padded,
    };
    exchange.expect_request_data(carried)?;
    // The command is in the table only if there is one.
    let Some(pcie) = context.world.pcie() else {
        return Err(Failure::new(Status::InvalidOpcode).into());
    };
    context.longest = pcie.longest_access();
    match pcie.prepare(range, direction) {
        Poll::Pending => return Err(Refusal::PENDING),
        Poll::Ready(Err(PcieError::Denied)) if must_be_readable(range, direction) => {}
        Poll::Ready(prepared) => prepared.map_err(failure)?,
    }
    let length = usize::from(range.length);
    match direction {
        PcieDirection::Read => {
            let page = exchange.answer(0, padded);
            pcie.read(range, page.window().get_mut(..length).unwrap_or_default());
        }
        PcieDirection::Write => {
            let data = exchange.request_data();
            pcie.write(range, data.get(..length).unwrap_or_default());
        }
    }
    Ok(0)
}

fn parse_range(space: Space, request: &PcieRequest) -> PcieRange {
    let register = request.base_address_register & 7;
    let (space, offset) = match space {
        Space::Configuration => {
            let offset = request.offset.get() & 0x0FFF;
            (PcieSpace::Configuration, u64::from(offset))
        }
        Space::Memory => (PcieSpace::Memory(register), request.memory_offset()),
        Space::Io => (PcieSpace::Io(register), u64::from(request.offset.get())),
    };
    PcieRange {
        controller: ControllerId(request.controller_id.get()),
        space,
        offset,
        length: request.length.get(),
    }
}

const WRONG_REGISTER: Failure =
    Failure::parameter(location!(PcieRequest, base_address_register), 0);
const WRONG_OFFSET: Failure = Failure::parameter(location!(PcieRequest, offset), 0);

/// Checks what can be checked without the device.
fn check_range(range: PcieRange) -> Result<(), Failure> {
    if range.length > LIMIT {
        return Err(Failure::parameter(location!(PcieRequest, length), 0));
    }
    if matches!(range.space, PcieSpace::Memory(6..) | PcieSpace::Io(6..)) {
        return Err(WRONG_REGISTER);
    }
    let limit = match range.space {
        PcieSpace::Configuration => CONFIGURATION_LENGTH,
        PcieSpace::Memory(_) => u64::MAX,
        PcieSpace::Io(_) => 1 << 32,
    };
    let end = range.offset.checked_add(u64::from(range.length));
    if end.is_some_and(|end| end <= limit) {
        Ok(())
    } else {
        Err(WRONG_OFFSET)
    }
}

/// Whether it is Base Address Registers that are read, and nothing else.
fn must_be_readable(range: PcieRange, direction: PcieDirection) -> bool {
    let end = range.offset.saturating_add(u64::from(range.length));
    direction == PcieDirection::Read
        && range.space == PcieSpace::Configuration
        && range.offset >= BASE_ADDRESS_REGISTERS.start
        && end <= BASE_ADDRESS_REGISTERS.end
}

fn failure(error: PcieError) -> Failure {
    match error {
        PcieError::NoSuchSpace => WRONG_REGISTER,
        PcieError::OutOfRange => WRONG_OFFSET,
        PcieError::Denied => Failure::new(Status::AccessDenied),
        PcieError::Inaccessible => Failure::new(Status::PcieInaccessible),
    }
}
