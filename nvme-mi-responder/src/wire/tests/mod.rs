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
