//! The Management Interface command set (NVMe-MI 1.2).
//!
//! | byte | request | response |
//! |-|-|-|
//! | 3:0 | message header, kind 1 | the same, with the response bit |
//! | 4 | opcode | [status](crate::Status) |
//! | 7:5 | 0 | NMRESP, or where the invalid parameter is |
//! | 11:8 | NMD0 | Response Data, from 8 on |
//! | 15:12 | NMD1 | |
//! | 16.. | Request Data | |
//!
//! All of it is little-endian, and a message ends with padding to 4 bytes (responses only) and the
//! Message Integrity Check.
//!
//! | opcode | command | supported |
//! |-|-|-|
//! | 00h | [Read NVMe-MI Data Structure](read_data_structure) | always |
//! | 01h | [NVM Subsystem Health Status Poll](health) | always |
//! | 02h | [Controller Health Status Poll](health) | always |
//! | 03h | [Configuration Set](configuration) | always |
//! | 04h | [Configuration Get](configuration) | always |
//! | 05h | [VPD Read](storage) | always |
//! | 06h | [VPD Write](storage) | if the VPD can be written |
//! | 07h | [Reset](reset) | if the reset hook says so |
//! | 0Ah, 0Bh | [Management Endpoint Buffer Read, Write](storage) | if there is a buffer |
//! | 0Ch | [Shutdown](reset) | if the reset hook says so |
//!
//! Every other opcode, among them SES Receive and Send (08h, 09h), which a storage device must not
//! support, is an Invalid Command Opcode. A request is checked in this order: Message Integrity
//! Check, request bit, kind, size of the fixed part, opcode, the Management Endpoint Buffer bit
//! (Invalid Parameter at byte 2: no command uses the buffer), the command's own fields, size of the
//! Request Data.

pub mod configuration;
pub mod health;
pub mod read_data_structure;
pub mod reset;
pub mod storage;

use crate::bytes::u32_at;
use crate::commands::management::*;
use crate::commands::{self, MANAGEMENT};
use crate::context::Context;
use crate::exchange::{Exchange, Starts};
use crate::failure::{Failure, Handled, Status};
use crate::world::World;

/// Where data start in requests and responses, the message type byte not counted.
pub(crate) const STARTS: Starts = Starts {
    request_start: REQUEST_LENGTH,
    response_start: 7,
};

/// Bytes of a request before Request Data, the message type byte not counted.
const REQUEST_LENGTH: usize = 15;

/// The fixed part of a request.
///
/// | byte | field |
/// |-|-|
/// | 4 | opcode |
/// | 11:8 | NMD0 |
/// | 15:12 | NMD1 |
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// NVMe Management Dword 0.
    pub(crate) dword0: u32,
    /// NVMe Management Dword 1.
    pub(crate) dword1: u32,
}

/// Carries out the command in `exchange`. Checked in this order: size of the fixed part, opcode;
/// then each command its own fields, the size of its Request Data, and whatever else.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let message: &[u8; REQUEST_LENGTH] = exchange.fixed_part()?;
    let opcode = commands::find(MANAGEMENT, context, exchange)?.opcode;
    let request = Request {
        dword0: u32_at(message, 7),
        dword1: u32_at(message, 11),
    };
    let handler: Handler<W> = match opcode {
        READ_DATA_STRUCTURE => read_data_structure::run,
        POLL_SUBSYSTEM => health::poll_subsystem,
        POLL_CONTROLLERS => health::poll_controllers,
        SET_CONFIGURATION => configuration::set,
        GET_CONFIGURATION => configuration::get,
        READ_VPD => storage::read_vpd,
        WRITE_VPD => storage::write_vpd,
        RESET => reset::reset,
        READ_BUFFER => storage::read_buffer,
        WRITE_BUFFER => storage::write_buffer,
        SHUT_DOWN => reset::shut_down,
        // It is not in the table.
        _ => return Err(Failure::new(Status::InvalidOpcode).into()),
    };
    handler(context, request, exchange)
}

/// Carries out one of the commands.
type Handler<W> = fn(&mut Context<'_, '_, W>, Request, &mut Exchange<'_>) -> Handled;
