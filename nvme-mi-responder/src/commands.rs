//! Tables of commands: the one source of what is carried out and of what is reported as supported.

use crate::bytes::u8_at;
use crate::context::{Ability, Context};
use crate::exchange::Exchange;
use crate::failure::{Failure, Status};
use crate::wire::{ManagementOpcode, PcieOpcode};
use crate::world::World;

/// A command that exists if the device has what it needs.
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    /// Whether the Optionally Supported Command List names it.
    pub(crate) optional: bool,
    pub(crate) needs: Ability,
    /// Its dword of the log of supported commands and their effects (NVM Express Base 2.0, section
    /// 5.16.1.6, Figure 211): bit 0 supported, 1 logical block content, 2 namespace capability, 3
    /// namespace inventory, 4 controller capability change, 18:16 submission.
    pub(crate) effects: u32,
}

impl Entry {
    const fn mandatory(opcode: u8) -> Self {
        Self {
            opcode,
            optional: false,
            needs: Ability::Nothing,
            effects: 1,
        }
    }

    const fn optional(opcode: u8, needs: Ability) -> Self {
        Self {
            opcode,
            optional: true,
            needs,
            effects: 1,
        }
    }

    /// With these effects beside being supported.
    const fn with_effects(mut self, effects: u32) -> Self {
        self.effects |= effects;
        self
    }

    /// Whether no other command that changes the device may be carried out before this one ends.
    pub(crate) const fn is_exclusive(&self) -> bool {
        self.effects & ALONE != 0
    }
}

/// Opcodes of Admin commands (NVM Express Base 2.0, section 5, Figure 138).
pub(crate) mod admin_opcode {
    pub(crate) const GET_LOG_PAGE: u8 = 0x02;
    pub(crate) const IDENTIFY: u8 = 0x06;
    pub(crate) const SET_FEATURES: u8 = 0x09;
    pub(crate) const GET_FEATURES: u8 = 0x0A;
    pub(crate) const NAMESPACE_MANAGEMENT: u8 = 0x0D;
    pub(crate) const FIRMWARE_COMMIT: u8 = 0x10;
    pub(crate) const FIRMWARE_DOWNLOAD: u8 = 0x11;
    pub(crate) const SELF_TEST: u8 = 0x14;
    pub(crate) const NAMESPACE_ATTACHMENT: u8 = 0x15;
    pub(crate) const FORMAT: u8 = 0x80;
    pub(crate) const SECURITY_SEND: u8 = 0x81;
    pub(crate) const SECURITY_RECEIVE: u8 = 0x82;
    pub(crate) const SANITIZE: u8 = 0x84;
}

/// The commands of the Management Interface, in ascending order.
pub(crate) const MANAGEMENT: &[Entry] = {
    use ManagementOpcode as Opcode;
    &[
        Entry::mandatory(Opcode::READ_DATA_STRUCTURE.0),
        Entry::mandatory(Opcode::SUBSYSTEM_HEALTH_STATUS_POLL.0),
        Entry::mandatory(Opcode::CONTROLLER_HEALTH_STATUS_POLL.0),
        Entry::mandatory(Opcode::CONFIGURATION_SET.0),
        Entry::mandatory(Opcode::CONFIGURATION_GET.0),
        Entry::mandatory(Opcode::VPD_READ.0),
        Entry::optional(Opcode::VPD_WRITE.0, Ability::VpdWrite),
        Entry::optional(Opcode::RESET.0, Ability::Reset),
        Entry::optional(Opcode::ENDPOINT_BUFFER_READ.0, Ability::EndpointBuffer),
        Entry::optional(Opcode::ENDPOINT_BUFFER_WRITE.0, Ability::EndpointBuffer),
        Entry::optional(Opcode::SHUTDOWN.0, Ability::Shutdown),
    ]
};

/// Effects: no other command is to be submitted to the subsystem until this one is done.
const ALONE: u32 = 2 << 16;
/// Effects: the content of logical blocks may change.
const BLOCKS_CHANGE: u32 = 1 << 1;
/// Effects: the capabilities of a namespace may change.
const NAMESPACE_CHANGES: u32 = 1 << 2;
/// Effects: the namespaces of the subsystem may change.
const INVENTORY_CHANGES: u32 = 1 << 3;
/// Effects: the capabilities of controllers may change.
const CONTROLLER_CHANGES: u32 = 1 << 4;

/// The Admin commands, in ascending order.
pub(crate) const ADMIN: &[Entry] = {
    use admin_opcode::*;
    &[
        Entry::mandatory(GET_LOG_PAGE),
        Entry::mandatory(IDENTIFY),
        Entry::optional(SET_FEATURES, Ability::Nothing),
        Entry::mandatory(GET_FEATURES),
        Entry::optional(NAMESPACE_MANAGEMENT, Ability::NamespaceManagement)
            .with_effects(ALONE | INVENTORY_CHANGES),
        Entry::optional(FIRMWARE_COMMIT, Ability::Firmware)
            .with_effects(ALONE | CONTROLLER_CHANGES),
        Entry::optional(FIRMWARE_DOWNLOAD, Ability::Firmware).with_effects(ALONE),
        Entry::optional(SELF_TEST, Ability::SelfTest),
        Entry::optional(NAMESPACE_ATTACHMENT, Ability::NamespaceManagement)
            .with_effects(ALONE | INVENTORY_CHANGES),
        Entry::optional(FORMAT, Ability::Format)
            .with_effects(ALONE | BLOCKS_CHANGE | NAMESPACE_CHANGES),
        Entry::optional(SECURITY_SEND, Ability::Security).with_effects(ALONE),
        Entry::optional(SECURITY_RECEIVE, Ability::Security).with_effects(ALONE),
        Entry::optional(SANITIZE, Ability::Sanitize).with_effects(ALONE | BLOCKS_CHANGE),
    ]
};

/// The PCIe commands (NVMe-MI 1.2, chapter 7, Figure 128), in ascending order.
pub(crate) const PCIE: &[Entry] = &[
    Entry::optional(PcieOpcode::CONFIGURATION_READ.0, Ability::Pcie),
    Entry::optional(PcieOpcode::CONFIGURATION_WRITE.0, Ability::Pcie),
    Entry::optional(PcieOpcode::MEMORY_READ.0, Ability::PcieMemory),
    Entry::optional(PcieOpcode::MEMORY_WRITE.0, Ability::PcieMemory),
    Entry::optional(PcieOpcode::IO_READ.0, Ability::PcieIo),
    Entry::optional(PcieOpcode::IO_WRITE.0, Ability::PcieIo),
];

/// What a request asks for, the fixed part of which is whole. Checked in this order, as for every
/// kind of command: opcode, and that the data are not in the Management Endpoint Buffer, which no
/// command uses.
pub(crate) fn find<W: World>(
    commands: &'static [Entry],
    context: &mut Context<'_, '_, W>,
    exchange: &Exchange<'_>,
) -> Result<&'static Entry, Failure> {
    let opcode = u8_at(exchange.request(), 3);
    let found = commands.iter().find(|entry| entry.opcode == opcode);
    let entry = found.filter(|entry| context.has(entry.needs));
    let entry = entry.ok_or(Failure::new(Status::InvalidOpcode))?;
    exchange.refuse_endpoint_buffer()?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::Entry;
    use crate::wire::{COMMANDS, MessageKind};

    #[test]
    fn every_command_that_is_dispatched_has_a_request_type() {
        let tables: [(MessageKind, &[Entry]); 3] = [
            (MessageKind::MANAGEMENT, super::MANAGEMENT),
            (MessageKind::ADMIN, super::ADMIN),
            (MessageKind::PCIE, super::PCIE),
        ];
        let dispatched: Vec<(MessageKind, u8)> = tables
            .iter()
            .flat_map(|(kind, entries)| entries.iter().map(|entry| (*kind, entry.opcode)))
            .chain((0..=4).map(|opcode| (MessageKind::CONTROL_PRIMITIVE, opcode)))
            .collect();
        for (kind, opcode) in &dispatched {
            let found = COMMANDS
                .iter()
                .filter(|command| command.kind == *kind && command.opcode == *opcode)
                .count();
            assert_eq!(found, 1, "{:?}, opcode {opcode:02x}h", kind.name());
        }
        assert_eq!(dispatched.len(), COMMANDS.len(), "no others");
    }
}
