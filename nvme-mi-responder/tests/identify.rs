//! Identify: NVM Express Base 2.0, and what NVMe-MI 1.2 makes of it.

mod support;

use nvme_mi_responder::world::{Health, HealthReport, Media, MemoryFirmware, MemoryVpd, World};
use nvme_mi_responder::{ControllerConfig, ControllerId, Function, NamespaceId, PortId, Subsystem};
use support::{
    ADMIN, Admin, Device, IDENTITY, PCIE_PORT, Parts, TWO_WIRE_PORT, everything, field, with_second,
};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
const ALL: u32 = 0xFFFF_FFFF;

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

/// One controller, and none of the optional commands.
fn device_without_anything() -> Device<Parts<HealthReport>> {
    let subsystem = Box::leak(Box::new(Subsystem::<1, 1, 4>::new(IDENTITY).unwrap()));
    let port = subsystem.add_port(PCIE_PORT).unwrap();
    let function = ControllerConfig::default();
    subsystem.add_controller(port, function).unwrap();
    let world = Parts::new(HealthReport::healthy());
    Device::at(subsystem.model(), port, world)
}

fn identify(cns: u8, namespace: u32) -> Admin<'static> {
    Admin {
        opcode: 0x06,
        namespace,
        length: 4096,
        dwords: [u32::from(cns), 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

/// With CNTID.
fn identify_from(cns: u8, namespace: u32, controller: u16) -> Admin<'static> {
    let mut command = identify(cns, namespace);
    command.dwords[0] |= u32::from(controller) << 16;
    command
}

/// With a command set.
fn identify_in(cns: u8, namespace: u32, command_set: u8) -> Admin<'static> {
    let mut command = identify(cns, namespace);
    command.dwords[1] = u32::from(command_set) << 24;
    command
}

fn controller_of(device: &mut Device<impl World>) -> Vec<u8> {
    let (value, data) = device.admin_ok(identify(0x01, 0));
    assert_eq!(value, 0);
    data
}

/// The list of namespaces, up to the zero that ends it.
fn namespaces(device: &mut Device<impl World>, command: Admin<'_>) -> Vec<u32> {
    let (_, data) = device.admin_ok(command);
    assert_eq!(data.len(), 4096);
    let ids: Vec<_> = data
        .chunks(4)
        .map(|id| u32::from_le_bytes(id.try_into().unwrap()))
        .collect();
    let count = ids.iter().position(|id| *id == 0).unwrap();
    assert!(ids[count..].iter().all(|id| *id == 0));
    ids[..count].to_vec()
}

fn controllers(device: &mut Device<impl World>, command: Admin<'_>) -> Vec<u64> {
    let (_, data) = device.admin_ok(command);
    assert_eq!(data.len(), 4096);
    let count = field(&data, 0, 2) as usize;
    assert!(data[2 + 2 * count..].iter().all(|byte| *byte == 0));
    (1..=count).map(|n| field(&data, 2 * n, 2)).collect()
}

fn is_zero(data: &[u8]) -> bool {
    data.len() == 4096 && data.iter().all(|byte| *byte == 0)
}

#[test]
fn the_controller_says_who_made_it_and_which_one_it_is() {
    let data = controller_of(&mut device());
    assert_eq!(field(&data, 0, 2), 0xFFFF);
    assert_eq!(field(&data, 2, 2), 0xFFFF);
    assert_eq!(data[4..24], *b"REF0123456789       ");
    assert_eq!(data[24..64], *b"Reference NVM subsystem                 ");
    assert_eq!(data[64..72], *b"REF00001");
    assert_eq!(
        data[73..76],
        [0x48, 0xDE, 0xAC],
        "least significant byte first"
    );
    assert_eq!(field(&data, 80, 4), 0x0002_0000);
    assert_eq!(data[111], 1);
    let name = b"nqn.2014-08.com.example:reference";
    assert_eq!(data[768..768 + name.len()], *name);
    assert!(data[768 + name.len()..1024].iter().all(|byte| *byte == 0));
}

/// Zeros, with these bytes at these offsets.
fn structure(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut data = vec![0; 4096];
    for (offset, bytes) in fields {
        data[*offset..][..bytes.len()].copy_from_slice(bytes);
    }
    data
}

#[test]
fn identify_controller_has_every_byte_where_it_belongs_and_no_other() {
    let capacity: u64 = 4 << 30;
    let left = capacity - 3 * 1_048_576 * 512;
    let expected = structure(&[
        (0, &[0xFF, 0xFF, 0xFF, 0xFF]),
        (4, b"REF0123456789       "),
        (24, b"Reference NVM subsystem                 "),
        (64, b"REF00001"),
        (73, &[0x48, 0xDE, 0xAC]),
        (76, &[0b11, 0, 0, 0]),
        (80, &[0, 0, 2, 0]),
        (92, &[0, 1, 0, 0]),
        (111, &[1]),
        (253, &[1, 0, with_second(1, 3)]),
        (256, &[1 << 3, 0]),
        (258, &[3, 3, 0b11, 0b10_0110, 15, 0]),
        (266, &343u16.to_le_bytes()),
        (268, &353u16.to_le_bytes()),
        (280, &capacity.to_le_bytes()),
        (296, &left.to_le_bytes()),
        (512, &[0x66, 0x44]),
        (516, &[4, 0, 0, 0]),
        (520, &[0x50, 0]),
        (540, &[4, 0, 0, 0]),
        (768, b"nqn.2014-08.com.example:reference"),
    ]);
    assert_eq!(controller_of(&mut device()), expected);
}

#[test]
fn identify_namespace_has_every_byte_where_it_belongs_and_no_other() {
    // The CRC-32C of the serial number of the subsystem, of which this is the first namespace.
    let [s0, s1, s2, s3] = [3, 2, 1, 0].map(|at| support::crc(b"REF0123456789")[at]);
    let eui64 = [0xAC, 0xDE, 0x48, s1, s2, s3, 0, 0];
    let nguid = [&[s0, s1, s2, s3, 0, 0, 0, 0], &eui64[..]].concat();
    let blocks = 2_097_152u64.to_le_bytes();
    let expected = structure(&[
        (0, &blocks),
        (8, &blocks),
        (16, &blocks),
        (25, &[1]),
        (30, &[1]),
        (48, &(1u64 << 30).to_le_bytes()),
        (104, &nguid),
        (120, &eui64),
        (128, &[0, 0, 9, 0, 0, 0, 12, 0]),
    ]);
    assert_eq!(device().admin_ok(identify(0x00, 1)).1, expected);
    assert_eq!(device().admin_ok(identify(0x11, 1)).1, expected);
}

#[test]
fn the_controller_says_where_it_is() {
    let mut device = device();
    for controller in 0..2 {
        let command = Admin {
            controller,
            ..identify(0x01, 0)
        };
        let (_, data) = device.admin_ok(command);
        assert_eq!(data[76], 0b011, "several ports and controllers");
        assert_eq!(field(&data, 78, 2), u64::from(controller));
        assert_eq!(data[253], 1, "a storage device");
        assert_eq!(
            data[255],
            with_second(1, 3),
            "an endpoint at a two-wire port"
        );
    }
}

#[test]
fn a_lonely_controller_with_its_endpoint_at_pcie_says_so() {
    let subsystem = Box::leak(Box::new(Subsystem::<1, 1, 1>::new(IDENTITY).unwrap()));
    let port = subsystem.add_port(PCIE_PORT).unwrap();
    let function = ControllerConfig {
        function: Function::Virtual,
        ..ControllerConfig::default()
    };
    subsystem.add_controller(port, function).unwrap();
    let world = Parts::new(HealthReport::healthy());
    let mut device = Device::at(subsystem.model(), PortId(0), world);
    let data = controller_of(&mut device);
    assert_eq!(data[76], 0b100, "a virtual function");
    assert_eq!(data[255], 2);
    assert_eq!(field(&data, 516, 4), 1, "room for one namespace");
}

#[test]
fn nn_is_the_highest_id_that_a_namespace_can_have() {
    let mut device = device();
    let data = controller_of(&mut device);
    assert_eq!((field(&data, 516, 4), field(&data, 540, 4)), (4, 4));
    let model = device.model();
    while model.add_namespace(1).is_ok() {}
    assert_eq!(namespaces(&mut device, identify(0x10, 0)), [1, 2, 3, 4]);
}

#[test]
fn capacity_is_told_in_bytes() {
    let data = controller_of(&mut device());
    assert_eq!(field(&data, 280, 8), 4 << 30);
    assert_eq!(field(&data, 296, 8), (4 << 30) - 3 * 1_048_576 * 512);
    assert_eq!(field(&data, 288, 8), 0);
    assert_eq!(field(&data, 304, 8), 0);
}

#[test]
fn queue_entries_have_the_sizes_that_all_have() {
    let data = controller_of(&mut device());
    assert_eq!(data[512..514], [0x66, 0x44]);
    assert_eq!((data[258], data[259]), (3, 3));
}

#[test]
fn a_device_without_optional_parts_claims_none() {
    let mut device = device_without_anything();
    let data = controller_of(&mut device);
    assert_eq!(field(&data, 256, 2), 0, "OACS");
    assert_eq!(field(&data, 316, 3), 0, "EDSTT and DSTO");
    assert_eq!(data[260], 0b0011, "FRMW: one read-only slot");
    assert_eq!(data[254], 0, "VWCI");
    assert_eq!(field(&data, 328, 4), 0, "SANICAP");
}

/// The opcodes that OACS stands for are those that are dispatched.
fn assert_optional_commands_are_those_claimed(device: &mut Device<impl World>) -> u64 {
    let claimed = field(&controller_of(device), 256, 2);
    for (bit, opcode) in [
        (0, 0x82),
        (1, 0x80),
        (2, 0x11),
        (3, 0x0D),
        (4, 0x14),
        (7, 0x1C),
        (9, 0x86),
    ] {
        let response = device.admin(Admin { opcode, ..ADMIN });
        let is_there = response[0] != 3;
        assert_eq!(is_there, claimed & 1 << bit != 0, "opcode {opcode:02X}h");
    }
    claimed
}

#[test]
fn oacs_stands_for_the_commands_that_work() {
    let mut none = device_without_anything();
    assert_eq!(assert_optional_commands_are_those_claimed(&mut none), 0);
    let mut some = device();
    assert_eq!(
        assert_optional_commands_are_those_claimed(&mut some),
        1 << 3
    );
    let mut all = everything();
    let claimed = assert_optional_commands_are_those_claimed(&mut all);
    assert_eq!(claimed, 0b1_1111);
}

#[test]
fn what_the_media_can_do_is_told() {
    let mut device = everything();
    let data = controller_of(&mut device);
    let media = &mut device.world().media;
    assert_eq!(
        field(&data, 316, 2),
        u64::from(media.extended_self_test_minutes())
    );
    assert_eq!(data[318], 1, "one self-test at a time");
    let capabilities = media.sanitize_capabilities();
    assert_eq!(field(&data, 328, 4), u64::from(capabilities));
    assert_ne!(capabilities & 7, 0);
    assert_eq!(
        data[524],
        u8::from(media.supports_cryptographic_erase()) << 2,
        "FNA: of single namespaces"
    );
}

#[test]
fn firmware_slots_and_granularity_are_those_of_the_store() {
    let memory = || Box::leak(Box::new([0; 8 * 4096]));
    let revisions = || [Some(*b"REF00007"), None, None];
    let store = MemoryFirmware::new(memory(), revisions());
    let world = Parts::new(HealthReport::healthy()).with_firmware(store);
    let data = controller_of(&mut Device::reference(world));
    assert_eq!(data[64..72], *b"REF00007");
    assert_eq!(data[260], 3 << 1);
    assert_eq!(data[319], 1, "pieces of 4 KiB");
    let store = MemoryFirmware::new(memory(), revisions())
        .with_read_only_first_slot()
        .with_immediate_activation()
        .with_pieces_of_any_length();
    let world = Parts::new(HealthReport::healthy()).with_firmware(store);
    let data = controller_of(&mut Device::reference(world));
    assert_eq!(data[260], 1 | 3 << 1 | 1 << 4);
    assert_eq!(data[319], 0xFF);
}

#[test]
fn what_is_left_of_the_vpd_writes_is_told_if_it_is_known() {
    for (writes, expected) in [(5, 0x85), (0, 0x80), (200, 0xFF)] {
        let vpd = MemoryVpd::new([0; 16]).with_remaining_writes(writes);
        let world = Parts::new(HealthReport::healthy()).with_vpd(vpd);
        assert_eq!(controller_of(&mut Device::reference(world))[254], expected);
    }
    let world = Parts::new(HealthReport::healthy()).with_vpd(MemoryVpd::new([0; 16]));
    assert_eq!(controller_of(&mut Device::reference(world))[254], 0);
}

struct Oven;

impl Health for Oven {
    fn report(&mut self, _: ControllerId) -> HealthReport {
        HealthReport::healthy()
    }
    fn warning_temperature(&self) -> u16 {
        400
    }
    fn critical_temperature(&self) -> u16 {
        500
    }
}

#[test]
fn temperature_limits_are_those_of_the_health_source() {
    let data = controller_of(&mut Device::reference(Parts::new(Oven)));
    assert_eq!((field(&data, 266, 2), field(&data, 268, 2)), (400, 500));
}

#[test]
fn the_controller_id_field_is_ignored_for_identify_controller() {
    let mut device = device();
    let expected = controller_of(&mut device);
    let command = identify_from(0x01, 77, 0xABCD);
    assert_eq!(device.admin_ok(command).1, expected);
}

#[test]
fn any_window_of_a_structure_is_that_part_of_it() {
    let mut device = device();
    for command in [identify(0x01, 0), identify(0x00, 1), identify(0x03, 1)] {
        let (_, whole) = device.admin_ok(command);
        for (offset, length) in [
            (0, 4),
            (4, 72),
            (60, 8),
            (100, 40),
            (768, 256),
            (4092, 4),
            (4096, 0),
        ] {
            let (_, part) = device.admin_ok(Admin {
                offset,
                length,
                ..command
            });
            assert_eq!(part, whole[offset as usize..][..length as usize]);
        }
    }
}

#[test]
fn a_window_beyond_the_structure_is_refused_at_its_field() {
    let mut device = device();
    let beyond = |offset, length| Admin {
        offset,
        length,
        ..identify(0x01, 0)
    };
    assert_eq!(device.admin(beyond(4100, 4)), [4, 0, 28, 0]);
    assert_eq!(device.admin(beyond(4, 4096)), [4, 0, 32, 0]);
    assert_eq!(device.admin(beyond(2, 4)), [4, 0, 28, 0]);
    assert_eq!(device.admin(beyond(0, 6)), [4, 0, 32, 0]);
    assert_eq!(device.admin(beyond(0, 4100)), [4, 0, 32, 0]);
}

#[test]
fn without_a_length_a_whole_structure_is_returned() {
    let command = Admin {
        flags: 0,
        length: 0,
        ..identify(0x01, 0)
    };
    assert_eq!(device().admin_ok(command).1.len(), 4096);
}

#[test]
fn a_namespace_has_its_size_and_format() {
    let mut device = device();
    let (_, data) = device.admin_ok(identify(0x00, 1));
    for offset in [0, 8, 16] {
        assert_eq!(field(&data, offset, 8), 2_097_152);
    }
    assert_eq!(field(&data, 24, 1), 0, "no thin provisioning");
    assert_eq!(data[25], 1, "two formats");
    assert_eq!(data[26], 0);
    assert_eq!(data[30] & 1, 1, "both controllers can have it");
    assert_eq!(field(&data, 48, 8), 1 << 30);
    assert_eq!(data[128..136], [0, 0, 9, 0, 0, 0, 12, 0]);
}

#[test]
fn an_inactive_namespace_is_zero_and_an_allocated_one_is_not() {
    let mut device = device();
    assert!(is_zero(&device.admin_ok(identify(0x00, 2)).1));
    assert!(is_zero(&device.admin_ok(identify(0x08, 2)).1));
    let (_, data) = device.admin_ok(identify(0x11, 2));
    assert_eq!(field(&data, 0, 8), 1_048_576);
    for id in [3, 4] {
        assert!(is_zero(&device.admin_ok(identify(0x00, id)).1));
        assert!(is_zero(&device.admin_ok(identify(0x11, id)).1));
    }
}

#[test]
fn namespaces_are_active_for_the_controller_that_is_asked() {
    let mut device = device();
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(1))
        .unwrap();
    let of = |controller, cns, namespace| Admin {
        controller,
        ..identify(cns, namespace)
    };
    assert!(is_zero(&device.admin_ok(of(0, 0x00, 2)).1));
    assert!(!is_zero(&device.admin_ok(of(1, 0x00, 2)).1));
    assert_eq!(namespaces(&mut device, of(0, 0x02, 0)), [1]);
    assert_eq!(namespaces(&mut device, of(1, 0x02, 0)), [1, 2]);
}

#[test]
fn what_all_namespaces_have_in_common_is_told_where_they_can_be_managed() {
    let (_, data) = device().admin_ok(identify(0x00, ALL));
    assert_eq!(field(&data, 0, 8), 0);
    assert_eq!(data[25], 1);
    assert_eq!(data[128..136], [0, 0, 9, 0, 0, 0, 12, 0]);
    let mut fixed = device_without_anything();
    assert_eq!(fixed.admin_status(identify(0x00, ALL)), INVALID_NAMESPACE);
}

#[test]
fn a_namespace_id_that_cannot_be_is_an_invalid_namespace() {
    let mut device = device();
    for cns in [0x00, 0x03, 0x05, 0x08, 0x11, 0x12, 0x1B] {
        for id in [0, 5, 0xFFFF_FFFE] {
            // Of the controllers of no namespace there is no list.
            let expected = match (cns, id) {
                (0x12, 0) => INVALID_FIELD,
                _ => INVALID_NAMESPACE,
            };
            let status = device.admin_status(identify(cns, id));
            assert_eq!(status, expected, "CNS {cns:02X}h of {id}");
        }
    }
}

#[test]
fn all_namespaces_together_are_an_invalid_field_unless_the_structure_says_otherwise() {
    let mut device = device();
    for cns in [0x03, 0x08, 0x12] {
        assert_eq!(device.admin_status(identify(cns, ALL)), INVALID_FIELD);
    }
    for cns in [0x11, 0x1B] {
        assert_eq!(device.admin_status(identify(cns, ALL)), INVALID_NAMESPACE);
    }
}

#[test]
fn the_secondary_controllers_are_told_whatever_the_namespace_is() {
    let (_, data) = device().admin_ok(identify(0x15, 1));
    assert_eq!(data, [0; 4096]);
}

#[test]
fn lists_of_namespaces_start_after_the_id_that_is_given() {
    let mut device = device();
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(0))
        .unwrap();
    for cns in [0x02, 0x07, 0x10, 0x1A] {
        assert_eq!(namespaces(&mut device, identify(cns, 0)), [1, 2]);
        assert_eq!(namespaces(&mut device, identify(cns, 1)), [2]);
        assert_eq!(namespaces(&mut device, identify(cns, 2)), []);
        assert_eq!(namespaces(&mut device, identify(cns, 0xFFFF_FFFD)), []);
        for id in [0xFFFF_FFFE, ALL] {
            assert_eq!(device.admin_status(identify(cns, id)), INVALID_NAMESPACE);
        }
    }
}

#[test]
fn active_and_allocated_namespaces_are_listed_apart() {
    let mut device = device();
    assert_eq!(namespaces(&mut device, identify(0x02, 0)), [1]);
    assert_eq!(namespaces(&mut device, identify(0x10, 0)), [1, 2]);
}

#[test]
fn five_attached_namespaces_and_more_are_listed_whole() {
    let mut device = device();
    let model = device.model();
    while model.add_namespace(1).is_ok() {}
    for namespace in 2..=4 {
        for controller in 0..2 {
            let attached = model.attach_namespace(NamespaceId(namespace), ControllerId(controller));
            attached.unwrap();
        }
    }
    assert_eq!(namespaces(&mut device, identify(0x02, 0)), [1, 2, 3, 4]);
}

/// Type and value of every descriptor.
fn descriptors(data: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = data;
    while rest[0] != 0 {
        let length = usize::from(rest[1]);
        assert_eq!(rest[2..4], [0, 0]);
        found.push((rest[0], rest[4..4 + length].to_vec()));
        rest = &rest[4 + length..];
    }
    assert!(rest.iter().all(|byte| *byte == 0));
    found
}

#[test]
fn a_namespace_has_four_identifiers_that_agree() {
    let mut device = device();
    let (_, structure) = device.admin_ok(identify(0x00, 1));
    let (_, list) = device.admin_ok(identify(0x03, 1));
    let found = descriptors(&list);
    let kinds: Vec<_> = found
        .iter()
        .map(|(kind, value)| (*kind, value.len()))
        .collect();
    assert_eq!(kinds, [(1, 8), (2, 16), (3, 16), (4, 1)]);
    assert_eq!(found[0].1, structure[120..128], "EUI64");
    assert_eq!(found[1].1, structure[104..120], "NGUID");
    assert_eq!(found[0].1[..3], [0xAC, 0xDE, 0x48], "the OUI");
    assert_eq!(found[1].1[8..], found[0].1, "the NGUID ends as the EUI64");
    assert_eq!(found[2].1[6] >> 4, 8, "the version of the UUID");
    assert_eq!(found[3].1, [0], "the NVM command set");
}

#[test]
fn no_two_namespaces_have_an_identifier_in_common() {
    let mut device = device();
    let model = device.model();
    while model.add_namespace(1).is_ok() {}
    for namespace in 2..=4 {
        model
            .attach_namespace(NamespaceId(namespace), ControllerId(0))
            .unwrap();
    }
    let all: Vec<_> = (1..=4)
        .map(|id| descriptors(&device.admin_ok(identify(0x03, id)).1))
        .collect();
    for kind in 0..3 {
        let mut values: Vec<_> = all.iter().map(|found| &found[kind].1).collect();
        values.sort();
        values.dedup();
        assert_eq!(values.len(), 4);
    }
}

#[test]
fn an_inactive_namespace_has_no_descriptors() {
    for id in [2, 3] {
        assert_eq!(device().admin_status(identify(0x03, id)), INVALID_FIELD);
    }
}

#[test]
fn an_active_namespace_is_ready_in_every_command_set() {
    let (_, data) = device().admin_ok(identify(0x08, 1));
    assert_eq!(data[1] & 1, 1);
    assert_eq!(data[14], 1);
}

#[test]
fn structures_of_the_nvm_command_set_are_empty() {
    let mut device = device();
    for cns in [0x05, 0x1B] {
        for id in 1..=4 {
            assert!(is_zero(&device.admin_ok(identify(cns, id)).1));
        }
    }
    assert!(is_zero(&device.admin_ok(identify(0x05, ALL)).1));
    assert!(is_zero(&device.admin_ok(identify(0x06, 0)).1));
}

#[test]
fn another_command_set_is_an_invalid_field() {
    let mut device = device();
    for cns in [0x05, 0x06, 0x07, 0x1A, 0x1B] {
        for command_set in [1, 2, 0xFF] {
            let command = identify_in(cns, 1, command_set);
            assert_eq!(device.admin_status(command), INVALID_FIELD);
        }
    }
    for cns in [0x00, 0x01, 0x02, 0x03, 0x08, 0x10, 0x11, 0x13] {
        device.admin_ok(identify_in(cns, 1, 2));
    }
}

#[test]
fn controllers_are_listed_from_the_one_that_is_given() {
    let mut device = device();
    for (cns, namespace) in [(0x12, 1), (0x13, 0)] {
        let mut from = |id| controllers(&mut device, identify_from(cns, namespace, id));
        assert_eq!(from(0), [0, 1]);
        assert_eq!(from(1), [1]);
        assert_eq!(from(2), []);
        assert_eq!(from(0xFFFF), []);
    }
}

#[test]
fn the_controllers_of_a_namespace_are_those_it_is_attached_to() {
    let mut device = device();
    assert_eq!(controllers(&mut device, identify(0x12, 2)), []);
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(1))
        .unwrap();
    assert_eq!(controllers(&mut device, identify(0x12, 2)), [1]);
    assert_eq!(device.admin_status(identify(0x12, 3)), INVALID_FIELD);
}

#[test]
fn the_controllers_of_the_subsystem_are_those_of_the_management_interface() {
    let mut device = device();
    let response = device.mi(0x00, 0x0200_0000, 0, &[]);
    let (_, data) = device.admin_ok(identify(0x13, 0));
    assert_eq!(response[4..10], data[..6]);
}

#[test]
fn a_controller_has_nothing_to_share_with_secondary_controllers() {
    let mut device = device();
    let command = Admin {
        controller: 1,
        ..identify(0x14, 0)
    };
    let (_, data) = device.admin_ok(command);
    assert_eq!(data[..4], [1, 0, 0, 0]);
    assert!(data[4..].iter().all(|byte| *byte == 0));
    assert!(is_zero(&device.admin_ok(identify(0x15, 0)).1));
}

#[test]
fn primary_capabilities_name_the_port_of_the_controller() {
    let subsystem = Box::leak(Box::new(Subsystem::<2, 1, 4>::new(IDENTITY).unwrap()));
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    let port = subsystem.add_port(PCIE_PORT).unwrap();
    let function = ControllerConfig::default();
    subsystem.add_controller(port, function).unwrap();
    let world = Parts::new(HealthReport::healthy());
    let mut device = Device::of(subsystem.model(), world);
    let (_, data) = device.admin_ok(identify(0x14, 0));
    assert_eq!(data[..4], [0, 0, 1, 0]);
}

#[test]
fn there_are_no_uuids() {
    assert!(is_zero(&device().admin_ok(identify(0x17, 0)).1));
}

#[test]
fn the_nvm_command_set_is_the_only_combination() {
    let mut device = device();
    for id in [0, 1, 0xFFFF] {
        let (_, data) = device.admin_ok(identify_from(0x1C, 0, id));
        assert_eq!(field(&data, 0, 8), 1);
        assert!(data[8..].iter().all(|byte| *byte == 0));
    }
    let command = identify_from(0x1C, 0, 2);
    assert_eq!(device.admin_status(command), INVALID_FIELD);
}

#[test]
fn every_other_structure_is_an_invalid_field() {
    let known = [
        0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17,
        0x1A, 0x1B, 0x1C,
    ];
    let mut device = device();
    for cns in (0..=0xFF).filter(|cns| !known.contains(cns)) {
        assert_eq!(
            device.admin_status(identify(cns, 1)),
            INVALID_FIELD,
            "CNS {cns:02X}h"
        );
    }
}

#[test]
fn subsystem_fields_are_the_same_in_all_controllers() {
    let mut device = device();
    let [first, second] = [0, 1].map(|controller| {
        let command = Admin {
            controller,
            ..identify(0x01, 0)
        };
        device.admin_ok(command).1
    });
    let differ: Vec<_> = (0..4096)
        .filter(|offset| first[*offset] != second[*offset])
        .collect();
    assert_eq!(differ, [78], "only the controller ID differs");
}

#[test]
fn identify_takes_no_request_data() {
    let command = Admin {
        data: &[0; 4],
        ..identify(0x01, 0)
    };
    assert_eq!(device().admin(command), [6, 0, 0, 0]);
}
