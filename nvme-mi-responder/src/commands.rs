//! Tables of commands: the one source of what is carried out and of what is reported as supported.

use core::mem::offset_of;

use crate::bytes::u8_at;
use crate::context::{Ability, Context};
use crate::exchange::Exchange;
use crate::failure::{Failure, Status};
use crate::wire::{AdminOpcode, ManagementOpcode, ManagementRequest, PcieOpcode};
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

/// The Admin commands (NVM Express Base 2.0, chapter 5, Figure 138), in ascending order.
pub(crate) const ADMIN: &[Entry] = &[
    Entry::mandatory(AdminOpcode::GET_LOG_PAGE.0),
    Entry::mandatory(AdminOpcode::IDENTIFY.0),
    Entry::optional(AdminOpcode::SET_FEATURES.0, Ability::Nothing),
    Entry::mandatory(AdminOpcode::GET_FEATURES.0),
    Entry::optional(
        AdminOpcode::NAMESPACE_MANAGEMENT.0,
        Ability::NamespaceManagement,
    )
    .with_effects(ALONE | INVENTORY_CHANGES),
    Entry::optional(AdminOpcode::FIRMWARE_COMMIT.0, Ability::Firmware)
        .with_effects(ALONE | CONTROLLER_CHANGES),
    Entry::optional(AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD.0, Ability::Firmware).with_effects(ALONE),
    Entry::optional(AdminOpcode::DEVICE_SELF_TEST.0, Ability::SelfTest),
    Entry::optional(
        AdminOpcode::NAMESPACE_ATTACHMENT.0,
        Ability::NamespaceManagement,
    )
    .with_effects(ALONE | INVENTORY_CHANGES),
    Entry::optional(AdminOpcode::FORMAT_NVM.0, Ability::Format)
        .with_effects(ALONE | BLOCKS_CHANGE | NAMESPACE_CHANGES),
    Entry::optional(AdminOpcode::SECURITY_SEND.0, Ability::Security).with_effects(ALONE),
    Entry::optional(AdminOpcode::SECURITY_RECEIVE.0, Ability::Security).with_effects(ALONE),
    Entry::optional(AdminOpcode::SANITIZE.0, Ability::Sanitize).with_effects(ALONE | BLOCKS_CHANGE),
];

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
    // It is at the same place in each kind of request.
    let opcode = u8_at(exchange.request(), offset_of!(ManagementRequest, opcode));
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
