//! What becomes of each control command, for each role of the device: the table in
//! `docs/control-commands.md`, which is compared with what the router does. Written anew with the
//! environment variable `WRITE_CONTROL_COMMANDS` set.

use std::fmt::Write;
use std::path::Path;

use mctp_router::wire::{Command, CompletionCode};
use mctp_router::{BridgeConfig, PortId, Receipt};
use mctp_transport::PhysicalAddress;

use crate::device::{DISCOVERY_PORTS, Device, PORTS, SERIAL, UPSTREAM, eid};
use crate::support::{HOST, NETWORK, POINT_TO_POINT, REQUEST, UUID, Wire};

const OWN: u8 = 9;
const FOREIGN: u8 = 77;

/// What the device is.
#[derive(Clone, Copy)]
enum Role {
    Endpoint,
    Bridge,
    BridgeWithDiscovery,
    /// A bridge that is asked by an endpoint behind it.
    BridgeFromBehind,
    BusOwner,
}

impl Role {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Endpoint, "Endpoint"),
        (Self::Bridge, "Bridge"),
        (
            Self::BridgeWithDiscovery,
            "Bridge on a bus with endpoint discovery",
        ),
        (
            Self::BridgeFromBehind,
            "Bridge, asked from a bus that it owns",
        ),
        (Self::BusOwner, "Topmost bus owner"),
    ];

    /// Where requests come from.
    fn neighbour(self) -> (PortId, PhysicalAddress) {
        match self {
            Self::BridgeFromBehind => (SERIAL, POINT_TO_POINT),
            _ => (UPSTREAM, POINT_TO_POINT),
        }
    }

    fn device(self, has_endpoint_id: bool) -> Device {
        let mut device = match self {
            Self::Endpoint => Device::simple(),
            Self::Bridge | Self::BridgeFromBehind => {
                bridge(BridgeConfig::bridge(UPSTREAM, 4, &PORTS))
            }
            Self::BridgeWithDiscovery => {
                bridge(BridgeConfig::bridge(UPSTREAM, 4, &DISCOVERY_PORTS))
            }
            Self::BusOwner => bridge(BridgeConfig::bus_owner(eid(20), eid(29), &PORTS)),
        };
        match self {
            _ if !has_endpoint_id => {}
            Self::BusOwner => assert!(device.core.set_static_endpoint_id(NETWORK, eid(OWN))),
            _ => assert_eq!(device.ask(&[1, 0, OWN])[0], 0),
        }
        device.sent();
        device
    }
}

/// One whose network has an ID.
fn bridge(config: BridgeConfig<'static>) -> Device {
    Device::new(&config.with_network_id([0x4E; 16]))
}

/// The data of a legal request with this command.
fn data(role: Role, command: u8) -> Vec<u8> {
    match command {
        // The address of an entry has the length that those of the bus have.
        0x09 if matches!(role, Role::BridgeWithDiscovery) => vec![1, 0, 1, 30, 1, 0],
        0x01 => vec![0, OWN],
        0x04 => vec![0xFF],
        0x06 => vec![0],
        0x07 => vec![OWN],
        0x08 => vec![0, 4, 10],
        0x09 => vec![1, 0, 1, 30],
        0x0A => vec![0],
        0x0F => vec![OWN, 0],
        0x10 => [&UUID[..], &[0]].concat(),
        0x12 => vec![0; 7],
        0x13 => vec![0; 3],
        0xF0.. => vec![3, 0x11],
        _ => vec![],
    }
}

/// What becomes of a request, in a word.
fn outcome(role: Role, has_endpoint_id: bool, destination: u8, command: u8) -> String {
    let mut device = role.device(has_endpoint_id);
    let message = [&[0, 0x81, command], &data(role, command)[..]].concat();
    let packet = REQUEST.to(destination).from(HOST).packet(&message);
    let receipt = device.receive(role.neighbour(), &packet);
    let mut responses = device.sent();
    responses.retain(|(_, _, packet)| packet[3] & 8 == 0);
    match (receipt, &responses[..]) {
        (Receipt::Dropped(reason), []) => reason.as_str().to_owned(),
        (Receipt::Control, []) => "silence".to_owned(),
        (Receipt::Control, [(port, address, response)]) => {
            assert_eq!((*port, *address), role.neighbour());
            let (_, message) = Wire::parse(response);
            assert_eq!(message[..3], [0, 1, command]);
            let is_rejected = match (command, message.get(4)) {
                (1, Some(status)) => status >> 4 == 1,
                (8, Some(status)) => *status == 1,
                _ => false,
            };
            let rejected = if is_rejected { ", rejected" } else { "" };
            format!("{:02X}h{rejected}", message[3])
        }
        other => panic!("{command:02x}h: {other:?}"),
    }
}

fn table(role: Role) -> String {
    let columns = [
        (true, 0),
        (true, OWN),
        (true, 0xFF),
        (true, FOREIGN),
        (false, 0),
        (false, 0xFF),
        (false, FOREIGN),
    ];
    let row = |command| {
        let cells = columns.map(|(has_endpoint_id, destination)| {
            outcome(role, has_endpoint_id, destination, command)
        });
        cells.join(" | ")
    };
    let mut rows: Vec<(u8, u8, String, String)> = Vec::new();
    for command in 0..=0xFF {
        let name = Command(command).name().unwrap_or("reserved").to_owned();
        let cells = row(command);
        match rows.last_mut() {
            Some((_, last, as_named, same)) if (&*as_named, &*same) == (&name, &cells) => {
                *last = command;
            }
            _ => rows.push((command, command, name, cells)),
        }
    }
    let mut table = String::new();
    for (first, last, name, cells) in rows {
        let codes = match first == last {
            true => format!("{first:02X}h"),
            false => format!("{first:02X}h to {last:02X}h"),
        };
        writeln!(table, "| {codes} | {name} | {cells} |").unwrap();
    }
    table
}

fn document() -> String {
    let mut document = String::from(
        "# What becomes of each control command\n\n\
         A request of one packet with legal data comes from the bus owner, or from a neighbour of a \
         bridge or topmost bus owner,\nover a link to a single neighbour. The columns are the \
         destination of its packet: the null endpoint ID, the own one,\nbroadcast, and one that is \
         not ours and has no route. A bridge has a network ID, and nothing that carries out the\n\
         commands of its transport bindings.\n\n\
         A cell is the completion code of the response, \"silence\" when the request is taken and not \
         answered, or why the packet\nwas discarded; \"rejected\" is the status in the response. A \
         datagram is carried out like a request and not answered.\n\n\
         This file is written and checked by the test `bridge_control`: set \
         `WRITE_CONTROL_COMMANDS` to write it.\n\n| code | meaning |\n|-|-|\n",
    );
    let codes = (0..=5).chain([0x80]).map(CompletionCode);
    for code in codes {
        writeln!(document, "| {:02X}h | {} |", code.0, code.name()).unwrap();
    }
    for (role, name) in Role::ALL {
        let heading = "| code | command | null | own | broadcast | foreign | \
                       null, no own | broadcast, no own | foreign, no own |\n\
                       |-|-|-|-|-|-|-|-|-|";
        write!(document, "\n## {name}\n\n{heading}\n{}", table(role)).unwrap();
    }
    document
}

#[test]
fn each_command_is_answered_as_the_committed_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/control-commands.md");
    let now = document();
    if std::env::var_os("WRITE_CONTROL_COMMANDS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    for (committed, now) in committed.lines().zip(now.lines()) {
        assert_eq!(committed, now);
    }
    assert_eq!(committed, now);
}
