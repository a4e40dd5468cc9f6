//! Tables of commands: the one source of what is carried out and of what is reported as supported.

use crate::bytes::u8_at;
use crate::exchange::Exchange;
use crate::failure::{Failure, Status};
use crate::support::Abilities;

/// A command that exists if the device has what it needs.
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    /// Whether the Optionally Supported Command List names it.
    pub(crate) optional: bool,
    needs: Abilities,
    /// Its dword of the log of supported commands and their effects (NVM Express Base 2.0): bit 0
    /// supported, 1 logical block content, 2 namespace capability, 3 namespace inventory, 4
    /// controller capability change, 18:16 submission.
    pub(crate) effects: u32,
}

impl Entry {
    pub(crate) const fn mandatory(opcode: u8) -> Self {
        Self {
            opcode,
            optional: false,
            needs: Abilities::NONE,
            effects: 1,
        }
    }

    pub(crate) const fn optional(opcode: u8, needs: Abilities) -> Self {
        Self {
            opcode,
            optional: true,
            needs,
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
pub(crate) fn supported(
    commands: &'static [Entry],
    abilities: Abilities,
) -> impl Iterator<Item = &'static Entry> {
    commands
        .iter()
        .filter(move |entry| abilities.include(entry.needs))
}

/// What a request asks for, the fixed part of which is whole. Checked in this order, as for every
/// kind of command: opcode, and that the data are not in the Management Endpoint Buffer, which no
/// command uses.
pub(crate) fn find(
    commands: &'static [Entry],
    abilities: Abilities,
    exchange: &Exchange<'_>,
) -> Result<&'static Entry, Failure> {
    let opcode = u8_at(exchange.request(), 4);
    let entry = supported(commands, abilities)
        .find(|entry| entry.opcode == opcode)
        .ok_or(Failure::new(Status::InvalidOpcode))?;
    exchange.refuse_endpoint_buffer()?;
    Ok(entry)
}
