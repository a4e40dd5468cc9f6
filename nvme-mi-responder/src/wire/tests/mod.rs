//! The types against bytes and byte numbers that are written down here independently of them.

mod layouts;
mod locations;
mod vectors;

use crate::wire::{self, COMMANDS, Layout, MessageKind};

/// The layouts of all types.
fn types() -> impl Iterator<Item = &'static Layout> {
    [
        wire::admin::TYPES,
        wire::admin_commands::TYPES,
        wire::control::TYPES,
        wire::events::TYPES,
        wire::features::TYPES,
        wire::health::TYPES,
        wire::identify::TYPES,
        wire::identify::controller::TYPES,
        wire::identify::namespace::TYPES,
        wire::logs::TYPES,
        wire::management::TYPES,
        wire::message::TYPES,
        wire::pcie::TYPES,
        wire::structures::TYPES,
        wire::vpd::TYPES,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn every_command_that_is_dispatched_has_a_request_type() {
    use crate::commands::Entry;
    let tables: [(MessageKind, &[Entry]); 3] = [
        (MessageKind::MANAGEMENT, crate::mi::COMMANDS),
        (MessageKind::ADMIN, crate::admin::COMMANDS),
        (MessageKind::PCIE, crate::pcie::COMMANDS),
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

#[test]
fn the_type_of_a_command_stands_where_its_kind_has_it() {
    for command in COMMANDS {
        let place = (command.request.first, command.request.length);
        let expected = match command.kind {
            MessageKind::MANAGEMENT => (8, 8),
            MessageKind::ADMIN => (44, 24),
            MessageKind::CONTROL_PRIMITIVE => (1, 7),
            _ => (1, 19),
        };
        assert_eq!(place, expected, "{}", command.request.name);
    }
}
