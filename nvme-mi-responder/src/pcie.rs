//! The PCIe command set (NVMe-MI 1.2): access to the PCI functions of controllers, message kind 4.
//!
//! | byte | request | response |
//! |-|-|-|
//! | 3:0 | message header | the same, with the response bit |
//! | 4 | opcode | [status](crate::Status) |
//! | 5 | 0 | 0, or where the invalid parameter is |
//! | 7:6 | CTLID, the controller | |
//! | 9:8 | LENGTH, how many bytes, 0 to 4096 | data read, from 8 on |
//! | 10 | 2:0, the Base Address Register, 0 to 5; memory and I/O only | |
//! | 15:12 | OFFSET, the first byte; of configuration space 11:0, the rest ignored | |
//! | 19:16 | the high half of OFFSET, memory only | |
//! | 20.. | data to write | |
//!
//! | opcode | command | supported |
//! |-|-|-|
//! | 00h, 01h | configuration space read, write | if the [`PcieAccess`] supports configuration space |
//! | 02h, 03h | memory read, write | if it supports memory, too |
//! | 04h, 05h | I/O read, write | if it supports I/O, too |
//!
//! Data are padded to 4 bytes: with zeros in what is read; in what is written the padding is there,
//! and ignored. Reading and writing nothing succeeds.
//!
//! Errors, in the order in which they are looked for: Invalid Command Size; Invalid Command Opcode;
//! Invalid Parameter at byte 2 for data in the Management Endpoint Buffer, which no command uses,
//! at 6 for a controller that is not there, at 8 for a LENGTH over 4096, at 10 for a Base Address
//! Register that is not there, at 12 for a range outside of its space; Invalid Command Input Data
//! Size; Access Denied, but never for a read of Base Address Registers alone; PCIe Inaccessible.

use core::task::Poll;

use crate::bytes::{u8_at, u16_at, u32_at, u64_at};
use crate::commands::{self, PCIE};
use crate::context::Context;
use crate::exchange::{Exchange, Starts};
use crate::failure::{Failure, Handled, Refusal, Status};
use crate::model::ControllerId;
use crate::world::{PcieDirection, PcieError, PcieRange, PcieSpace, World};

/// Where data start in requests and responses, the message type byte not counted.
pub(crate) const STARTS: Starts = Starts {
    request_start: REQUEST_LENGTH,
    response_start: 7,
};

/// Bytes of a request before data, the message type byte not counted.
const REQUEST_LENGTH: usize = 19;

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

impl Space {
    /// Which space the command of that opcode is of.
    const fn of(opcode: u8) -> Self {
        match opcode >> 1 {
            0 => Self::Configuration,
            1 => Self::Memory,
            _ => Self::Io,
        }
    }
}

/// Carries out the command in `exchange`.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let message = exchange.fixed_part()?;
    let opcode = commands::find(PCIE, context, exchange)?.opcode;
    let direction = match opcode & 1 {
        0 => PcieDirection::Read,
        _ => PcieDirection::Write,
    };
    let range = parse_range(Space::of(opcode), message);
    if context.model.controller_index(range.controller).is_none() {
        return Err(Failure::parameter(6, 0).into());
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

fn parse_range(space: Space, message: &[u8; REQUEST_LENGTH]) -> PcieRange {
    let register = u8_at(message, 9) & 7;
    let (space, offset) = match space {
        Space::Configuration => {
            let offset = u16_at(message, 11) & 0x0FFF;
            (PcieSpace::Configuration, u64::from(offset))
        }
        Space::Memory => (PcieSpace::Memory(register), u64_at(message, 11)),
        Space::Io => (PcieSpace::Io(register), u64::from(u32_at(message, 11))),
    };
    PcieRange {
        controller: ControllerId(u16_at(message, 5)),
        space,
        offset,
        length: u16_at(message, 7),
    }
}

/// Checks what can be checked without the device.
fn check_range(range: PcieRange) -> Result<(), Failure> {
    if range.length > LIMIT {
        return Err(Failure::parameter(8, 0));
    }
    if matches!(range.space, PcieSpace::Memory(6..) | PcieSpace::Io(6..)) {
        return Err(Failure::parameter(10, 0));
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
        Err(Failure::parameter(12, 0))
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
        PcieError::NoSuchSpace => Failure::parameter(10, 0),
        PcieError::OutOfRange => Failure::parameter(12, 0),
        PcieError::Denied => Failure::new(Status::AccessDenied),
        PcieError::Inaccessible => Failure::new(Status::PcieInaccessible),
    }
}
