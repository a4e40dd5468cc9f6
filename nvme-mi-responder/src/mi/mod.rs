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
//! All of it is little-endian, and a message ends with padding to 4 bytes (responses only) and the Message Integrity Check.
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
//! Every other opcode, among them SES Receive and Send (08h, 09h), which a storage device must not support, is an Invalid Command Opcode.
//! A request is checked in this order: Message Integrity Check, request bit, kind, size of the fixed part, opcode, the
//! Management Endpoint Buffer bit (Invalid Parameter at byte 2: no command uses the buffer), the command's own fields, size of the Request
//! Data.

pub mod configuration;
pub mod health;
pub mod read_data_structure;
pub mod reset;
pub mod storage;

use crate::bytes::u32_at;
use crate::commands::{self, Entry};
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::Handled;
use crate::support::Abilities;
use crate::world::World;

/// Bytes of a request before Request Data.
pub(crate) const REQUEST_LENGTH: usize = 16;
/// Bytes of a response before Response Data.
pub(crate) const RESPONSE_LENGTH: usize = 8;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    ReadDataStructure,
    PollSubsystem,
    PollControllers,
    SetConfiguration,
    GetConfiguration,
    ReadVpd,
    WriteVpd,
    Reset,
    ReadBuffer,
    WriteBuffer,
    ShutDown,
}

/// All commands, in ascending order: the one source of what is carried out and of what is reported as supported.
pub(crate) const COMMANDS: &[Entry<Command>] = &[
    Entry::mandatory(0x00, Command::ReadDataStructure),
    Entry::mandatory(0x01, Command::PollSubsystem),
    Entry::mandatory(0x02, Command::PollControllers),
    Entry::mandatory(0x03, Command::SetConfiguration),
    Entry::mandatory(0x04, Command::GetConfiguration),
    Entry::mandatory(0x05, Command::ReadVpd),
    Entry::optional(0x06, Command::WriteVpd, Abilities::VPD_WRITE),
    Entry::optional(0x07, Command::Reset, Abilities::RESET),
    Entry::optional(0x0A, Command::ReadBuffer, Abilities::BUFFER),
    Entry::optional(0x0B, Command::WriteBuffer, Abilities::BUFFER),
    Entry::optional(0x0C, Command::ShutDown, Abilities::SHUTDOWN),
];

/// Carries out the command in `exchange`. Checked in this order: size of the fixed part, opcode; then each command its own fields, the
/// size of its Request Data, and whatever else.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let entry = commands::find(COMMANDS, context, exchange, REQUEST_LENGTH)?;
    let message = exchange.request();
    let request = Request {
        dword0: u32_at(message, 8),
        dword1: u32_at(message, 12),
    };
    match entry.command {
        Command::ReadDataStructure => read_data_structure::run(context, request, exchange),
        Command::PollSubsystem => health::poll_subsystem(context, request, exchange),
        Command::PollControllers => health::poll_controllers(context, request, exchange),
        Command::SetConfiguration => configuration::set(context, request, exchange),
        Command::GetConfiguration => configuration::get(context, request, exchange),
        Command::ReadVpd => storage::read_vpd(context, request, exchange),
        Command::WriteVpd => storage::write_vpd(context, request, exchange),
        Command::Reset => reset::reset(context, request, exchange),
        Command::ReadBuffer => storage::read_buffer(context, request, exchange),
        Command::WriteBuffer => storage::write_buffer(context, request, exchange),
        Command::ShutDown => reset::shut_down(context, request, exchange),
    }
}
