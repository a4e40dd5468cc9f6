//! The Management Interface command set (NVMe-MI 1.2, chapter 5).
//!
//! A request is a [`ManagementRequest`] whose dwords are a command of
//! [`wire::management`](crate::wire::management), then Request Data. A response is a
//! [`ManagementResponse`] with a result of that module, then
//! Response Data. One that is not a success is as [`wire::message`](crate::wire::message) has it.
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
//!
//! **Reading.** A prohibited opcode: Invalid Command Opcode.
//!
//! **Reading.** The buffer bit in a command that does not use the buffer: Invalid Parameter at byte
//! 2.

pub mod configuration;
pub mod health;
pub mod read_data_structure;
pub mod reset;
pub mod storage;

use zerocopy::transmute;

use crate::commands::{self, MANAGEMENT};
use crate::context::Context;
use crate::exchange::{Exchange, Starts};
use crate::failure::{Failure, Handled, Status};
use crate::wire::{ManagementOpcode, ManagementRequest, ManagementResponse};
use crate::world::World;

/// Where data start in requests and responses, the message type byte not counted.
pub(crate) const STARTS: Starts = Starts {
    request_start: size_of::<ManagementRequest>(),
    response_start: size_of::<ManagementResponse>(),
};

/// Carries out the command in `exchange`. Checked in this order: size of the fixed part, opcode;
/// then each command checks its own fields, the size of its Request Data, and the rest.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let fixed: &[u8; size_of::<ManagementRequest>()] = exchange.fixed_part()?;
    let request: ManagementRequest = transmute!(*fixed);
    commands::find(MANAGEMENT, context, exchange)?;
    let handler: Handler<W> = match request.opcode {
        ManagementOpcode::READ_DATA_STRUCTURE => read_data_structure::run,
        ManagementOpcode::SUBSYSTEM_HEALTH_STATUS_POLL => health::poll_subsystem,
        ManagementOpcode::CONTROLLER_HEALTH_STATUS_POLL => health::poll_controllers,
        ManagementOpcode::CONFIGURATION_SET => configuration::set,
        ManagementOpcode::CONFIGURATION_GET => configuration::get,
        ManagementOpcode::VPD_READ => storage::read_vpd,
        ManagementOpcode::VPD_WRITE => storage::write_vpd,
        ManagementOpcode::RESET => reset::reset,
        ManagementOpcode::ENDPOINT_BUFFER_READ => storage::read_buffer,
        ManagementOpcode::ENDPOINT_BUFFER_WRITE => storage::write_buffer,
        ManagementOpcode::SHUTDOWN => reset::shut_down,
        // It is not in the table.
        _ => return Err(Failure::new(Status::InvalidOpcode).into()),
    };
    handler(context, &request, exchange)
}

/// Carries out one of the commands.
type Handler<W> = fn(&mut Context<'_, '_, W>, &ManagementRequest, &mut Exchange<'_>) -> Handled;

/// A result, the NVMe Management Response, as handlers return it.
pub(crate) fn result(bytes: [u8; 3]) -> u32 {
    let [low, middle, high] = bytes;
    u32::from_le_bytes([low, middle, high, 0])
}
