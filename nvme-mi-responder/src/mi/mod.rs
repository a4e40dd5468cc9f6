//! The Management Interface command set (NVMe-MI 1.2, section 5).

mod read_data_structure;

use crate::bytes::{u8_at, u32_at};
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
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
enum Command {
    ReadDataStructure,
}

/// A command that exists if the device has what it needs.
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    command: Command,
    needs: Abilities,
    /// Whether the Optionally Supported Command List names it.
    pub(crate) optional: bool,
}

impl Entry {
    const fn mandatory(opcode: u8, command: Command) -> Self {
        Self {
            opcode,
            command,
            needs: Abilities::NONE,
            optional: false,
        }
    }

    const fn optional(opcode: u8, command: Command, needs: Abilities) -> Self {
        Self {
            opcode,
            command,
            needs,
            optional: true,
        }
    }
}

/// All commands, in ascending order: the one source of what is carried out and of what is reported as supported.
pub(crate) const COMMANDS: &[Entry] = &[Entry::mandatory(0x00, Command::ReadDataStructure)];

/// The opcodes of the optional commands that a device with `abilities` supports.
pub(crate) fn optional_opcodes(abilities: Abilities) -> impl Iterator<Item = u8> {
    let supported = move |entry: &&Entry| entry.optional && abilities.include(entry.needs);
    COMMANDS.iter().filter(supported).map(|entry| entry.opcode)
}

/// Carries out the command in `exchange`. Checked in this order: size of the fixed part, opcode; then each command its own fields, the
/// size of its Request Data, and whatever else.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let message = exchange.request();
    if message.len() < REQUEST_LENGTH {
        return Err(Failure::new(Status::InvalidCommandSize).into());
    }
    let opcode = u8_at(message, 4);
    let request = Request {
        dword0: u32_at(message, 8),
        dword1: u32_at(message, 12),
    };
    let abilities = context.abilities();
    let command = COMMANDS
        .iter()
        .find(|entry| entry.opcode == opcode && abilities.include(entry.needs))
        .map(|entry| entry.command)
        .ok_or(Failure::new(Status::InvalidOpcode))?;
    match command {
        Command::ReadDataStructure => read_data_structure::run(context, request, exchange),
    }
}
