//! Tables of commands: the one source of what is carried out and of what is reported as supported.

use crate::bytes::u8_at;
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Failure, Status};
use crate::support::Abilities;
use crate::world::World;

/// A command that exists if the device has what it needs.
pub(crate) struct Entry<C> {
    pub(crate) opcode: u8,
    pub(crate) command: C,
    needs: Abilities,
    /// Whether the Optionally Supported Command List names it.
    optional: bool,
    /// Its dword of the log of supported commands and their effects (NVM Express Base 2.0): bit 0 supported, 1 logical block content,
    /// 2 namespace capability, 3 namespace inventory, 4 controller capability change, 18:16 submission.
    pub(crate) effects: u32,
}

impl<C: Copy> Entry<C> {
    pub(crate) const fn mandatory(opcode: u8, command: C) -> Self {
        Self {
            opcode,
            command,
            needs: Abilities::NONE,
            optional: false,
            effects: 1,
        }
    }

    pub(crate) const fn optional(opcode: u8, command: C, needs: Abilities) -> Self {
        Self {
            opcode,
            command,
            needs,
            optional: true,
            effects: 1,
        }
    }

    /// With these effects beside being supported.
    pub(crate) const fn with_effects(mut self, effects: u32) -> Self {
        self.effects |= effects;
        self
    }
}

/// The commands of a table that a device with `abilities` supports.
pub(crate) fn supported<C>(
    commands: &'static [Entry<C>],
    abilities: Abilities,
) -> impl Iterator<Item = &'static Entry<C>> {
    commands
        .iter()
        .filter(move |entry| abilities.include(entry.needs))
}

/// The opcodes of the optional ones of them.
pub(crate) fn optional_opcodes<C>(
    commands: &'static [Entry<C>],
    abilities: Abilities,
) -> impl Iterator<Item = u8> {
    supported(commands, abilities)
        .filter(|entry| entry.optional)
        .map(|entry| entry.opcode)
}

/// What a request asks for. Checked in this order, as for every kind of command: size of the fixed part, opcode, and that the data are not in the
/// Management Endpoint Buffer, which no command uses.
#[inline]
pub(crate) fn find<C, W: World>(
    commands: &'static [Entry<C>],
    context: &mut Context<'_, '_, W>,
    exchange: &Exchange<'_>,
    request_length: usize,
) -> Result<&'static Entry<C>, Failure> {
    let message = exchange.request();
    if message.len() < request_length {
        return Err(Failure::new(Status::InvalidCommandSize));
    }
    let opcode = u8_at(message, 4);
    let entry = supported(commands, context.abilities())
        .find(|entry| entry.opcode == opcode)
        .ok_or(Failure::new(Status::InvalidOpcode))?;
    exchange.refuse_endpoint_buffer()?;
    Ok(entry)
}
