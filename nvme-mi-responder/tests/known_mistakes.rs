//! What other responders get wrong, as their users have seen it: one test for each. The list is
//! section 9 of the project's notes on the specification; More Processing Required is tested with
//! the command slots.

mod support;

use nvme_mi_responder::world::{HealthReport, MemoryFirmware, MemoryVpd};
use nvme_mi_responder::{ControllerConfig, Subsystem};
use support::{ADMIN, Admin, Device, IDENTITY, PCIE_PORT, Parts, TWO_WIRE_PORT, field, sealed};

type World = Parts<HealthReport, MemoryFirmware<'static, 3>, MemoryVpd<16>>;

fn world() -> World {
    let memory = Box::leak(vec![0; 4 * 8192].into_boxed_slice());
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    Parts::new(HealthReport::healthy())
        .with_firmware(MemoryFirmware::new(memory, slots))
        .with_vpd(MemoryVpd::new([0; 16]))
}

fn device() -> Device<World> {
    Device::reference(world())
}

fn identify(structure: u32, namespace: u32) -> Admin<'static> {
    Admin {
        opcode: 0x06,
        namespace,
        length: 4096,
        dwords: [structure, 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

/// The namespaces of a list.
fn listed(device: &mut Device<World>, structure: u32) -> Vec<u64> {
    let (_, list) = device.admin_ok(identify(structure, 0));
    let ids = list.chunks(4).map(|entry| field(entry, 0, 4));
    ids.take_while(|id| *id != 0).collect()
}

/// What Namespace Management is given to create a namespace.
fn description(size: u64, capacity: u64) -> Vec<u8> {
    let mut description = vec![0; 4096];
    description[..8].copy_from_slice(&size.to_le_bytes());
    description[8..16].copy_from_slice(&capacity.to_le_bytes());
    description
}

fn create(description: &[u8]) -> Admin<'_> {
    Admin {
        opcode: 0x0D,
        length: 4096,
        data: description,
        ..ADMIN
    }
}

/// Controller 0, in a list.
fn controller_0() -> Vec<u8> {
    let mut list = vec![0; 4096];
    list[0] = 1;
    list
}

fn attach(namespace: u32, controllers: &[u8]) -> Admin<'_> {
    Admin {
        opcode: 0x15,
        namespace,
        length: 4096,
        data: controllers,
        ..ADMIN
    }
}

#[test]
fn configuration_of_events_does_not_end_the_service() {
    let mut device = device();
    assert_eq!(device.mi(0x04, 0x04, 0, &[])[0], 0);
    assert_eq!(device.mi(0x03, 0x04, 0, &[0, 0, 5, 0, 5])[0], 0);
    assert_eq!(device.mi(0x01, 0, 0, &[])[0], 0);
}

#[test]
fn five_attached_namespaces_are_listed() {
    let subsystem = Box::leak(Box::new(Subsystem::<2, 1, 5>::new(IDENTITY).unwrap()));
    let pcie = subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    subsystem
        .add_controller(pcie, ControllerConfig::default())
        .unwrap();
    subsystem.model().allow_namespace_management();
    let mut device = Device::of(subsystem.model(), world());
    for expected in 1..=5 {
        let (created, _) = device.admin_ok(create(&description(8, 8)));
        assert_eq!(created, expected);
        device.admin_ok(attach(created, &controller_0()));
    }
    assert_eq!(listed(&mut device, 0x02), [1, 2, 3, 4, 5]);
}

#[test]
fn each_unknown_value_has_the_status_of_its_kind() {
    let mut device = device();
    assert_eq!(device.mi(0xBF, 0, 0, &[]), [3, 0, 0, 0]);
    assert_eq!(device.mi(0x00, 0x7F00_0000, 0, &[]), [4, 0, 11, 0]);
    assert_eq!(device.mi(0x03, 0x7F, 0, &[]), [4, 0, 8, 0]);
    let log = Admin {
        opcode: 0x02,
        length: 512,
        dwords: [0x007F_00BF, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device.admin_status(log), 0x109);
    assert_eq!(device.admin_status(identify(0xEE, 0)), 0x002);
}

#[test]
fn a_healthy_drive_does_not_report_warnings() {
    assert_eq!(device().mi(0x01, 0, 0, &[])[5], 0xFF);
}

#[test]
fn the_device_number_of_a_routing_id_starts_at_bit_3() {
    // Bus 1, device 2, function 1.
    assert_eq!(
        field(&device().mi(0x00, 0x0300_0001, 0, &[]), 10, 2),
        0x0111
    );
}

#[test]
fn absurd_transmission_units_are_refused() {
    for unit in [1, 65535] {
        assert_eq!(device().mi(0x03, 0x0100_0003, unit, &[]), [4, 0, 12, 0]);
    }
}

#[test]
fn a_namespace_that_does_not_exist_is_not_attached() {
    let mut device = device();
    // Not allocated, and above NN.
    assert_eq!(device.admin_status(attach(4, &controller_0())), 0x002);
    assert_eq!(device.admin_status(attach(5, &controller_0())), 0x00B);
    assert_eq!(listed(&mut device, 0x02), [1]);
}

#[test]
fn a_deleted_namespace_is_no_longer_listed() {
    let mut device = device();
    device.admin_ok(Admin {
        opcode: 0x0D,
        namespace: 1,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    });
    assert_eq!(listed(&mut device, 0x02), [0u64; 0]);
    assert_eq!(listed(&mut device, 0x10), [2]);
}

#[test]
fn thin_provisioning_is_refused_and_a_failed_create_takes_no_number() {
    let mut device = device();
    assert_eq!(device.admin_status(create(&description(9, 8))), 0x11B);
    assert_eq!(
        device.admin_status(create(&description(1 << 50, 1 << 50))),
        0x115
    );
    assert_eq!(device.admin_ok(create(&description(8, 8))).0, 3);
}

#[test]
fn the_second_command_slot_is_served() {
    let response = device().raw(&sealed(&[
        0x84, 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]));
    assert_eq!(response.unwrap()[1], 0x89);
}

#[test]
fn control_primitives_are_answered() {
    for (opcode, result) in [(0, 3), (1, 0), (2, 0), (3, 0), (4, 0)] {
        let response = device()
            .raw(&sealed(&[0x84, 0, 0, 0, opcode, 0xA5, 0, 0]))
            .unwrap();
        assert_eq!(
            response[..8],
            [0x84, 0x80, 0, 0, 0, 0xA5, result, 0],
            "primitive {opcode}"
        );
    }
}

#[test]
fn firmware_is_downloaded_and_committed() {
    let mut device = device();
    let piece = vec![0x5A; 4096];
    let download = Admin {
        opcode: 0x11,
        length: 4096,
        dwords: [1023, 0, 0, 0, 0, 0],
        data: &piece,
        ..ADMIN
    };
    device.admin_ok(download);
    // What was downloaded is not an image; slot 2 holds one.
    let store = Admin {
        opcode: 0x10,
        dwords: [3, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device.admin_status(store), 0x107);
    device.admin_ok(Admin {
        opcode: 0x10,
        dwords: [2 << 3 | 2, 0, 0, 0, 0, 0],
        ..ADMIN
    });
}

#[test]
fn logs_are_read_in_parts() {
    let mut device = device();
    let log = |dwords: [u32; 4], offset, length| Admin {
        opcode: 0x02,
        namespace: u32::MAX,
        offset,
        length,
        dwords: [dwords[0], dwords[1], dwords[2], dwords[3], 0, 0],
        ..ADMIN
    };
    let (_, whole) = device.admin_ok(log([127 << 16 | 3, 0, 0, 0], 0, 512));
    assert_eq!(whole[8..24], *b"REF00001REF00002");
    let (_, by_data_offset) = device.admin_ok(log([127 << 16 | 3, 0, 0, 0], 8, 16));
    let (_, by_log_offset) = device.admin_ok(log([3 << 16 | 3, 0, 8, 0], 0, 16));
    assert_eq!([&by_data_offset[..], &by_log_offset], [&whole[8..24]; 2]);
}

#[test]
fn what_identify_says_is_what_works() {
    let mut device = device();
    let (_, controller) = device.admin_ok(identify(0x01, 0));
    let (_, common) = device.admin_ok(identify(0x00, u32::MAX));
    assert_ne!(field(&controller, 80, 4), 0, "VER");
    assert_eq!(field(&controller, 516, 4), 4, "NN");
    assert_eq!(common.len(), 4096);
    let capabilities = field(&controller, 256, 2);
    for (bit, opcode) in [
        (0, 0x81),
        (1, 0x80),
        (2, 0x11),
        (3, 0x0D),
        (4, 0x14),
        (6, 0x1D),
        (7, 0x1C),
        (9, 0x86),
    ] {
        let is_carried_out = device.admin(Admin {
            opcode,
            controller: 9,
            ..ADMIN
        })[0]
            != 3;
        assert_eq!(
            capabilities >> bit & 1 == 1,
            is_carried_out,
            "OACS bit {bit}"
        );
    }
    let log_attributes = controller[261];
    for (bit, log) in [(1, 0x05), (3, 0x07), (5, 0x00)] {
        let read = Admin {
            opcode: 0x02,
            length: 4,
            dwords: [log, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        let is_there = device.admin(read)[12..] != [0, 0, 0x12, 0x82];
        assert_eq!(log_attributes >> bit & 1 == 1, is_there, "LPA bit {bit}");
    }
}
