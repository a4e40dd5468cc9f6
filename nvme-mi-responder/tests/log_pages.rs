//! Get Log Page: NVM Express Base 2.0, as NVMe-MI 1.2, figure 121, asks for it.

mod support;

use nvme_mi_responder::world::{Health, HealthReport, MemoryFirmware, MemoryTelemetry, World};
use nvme_mi_responder::{ControllerId, NamespaceId, Subsystem};
use support::{
    ADMIN, Admin, Device, IDENTITY, NotSupported, PCIE_PORT, Parts, TWO_WIRE_PORT, everything,
    field,
};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
const INVALID_LOG_PAGE: u16 = 0x109;
const ALL: u32 = 0xFFFF_FFFF;

/// Retain Asynchronous Event.
const RETAIN: u32 = 1 << 15;
/// Telemetry: capture.
const CAPTURE: u32 = 1 << 8;

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

/// `length` bytes of a log from `offset`, as nvme-cli asks for them.
fn log_part(id: u8, offset: u64, length: u32) -> Admin<'static> {
    let dwords = (length / 4).wrapping_sub(1);
    Admin {
        opcode: 0x02,
        namespace: ALL,
        length,
        dwords: [
            u32::from(id) | dwords << 16,
            dwords >> 16,
            offset as u32,
            (offset >> 32) as u32,
            0,
            0,
        ],
        ..ADMIN
    }
}

fn log(id: u8, length: u32) -> Admin<'static> {
    log_part(id, 0, length)
}

fn with_dword10(command: Admin<'static>, bits: u32) -> Admin<'static> {
    let mut command = command;
    command.dwords[0] |= bits;
    command
}

fn read(device: &mut Device<impl World>, id: u8, length: u32) -> Vec<u8> {
    let (value, data) = device.admin_ok(log(id, length));
    assert_eq!((value, data.len()), (0, length as usize));
    data
}

/// The dwords of a table that are not zero, by number.
fn table(data: &[u8]) -> Vec<(u8, u64)> {
    (0..=255u8)
        .map(|number| (number, field(data, 4 * usize::from(number), 4)))
        .filter(|(_, dword)| *dword != 0)
        .collect()
}

const LENGTHS: [(u8, u32); 10] = [
    (0x00, 1024),
    (0x01, 1024),
    (0x02, 512),
    (0x03, 512),
    (0x04, 4096),
    (0x05, 4096),
    (0x06, 564),
    (0x12, 1024),
    (0x13, 4096),
    (0x81, 512),
];

#[test]
fn the_logs_that_nvme_mi_asks_for_are_supported() {
    let supported = table(&read(&mut device(), 0x00, 1024));
    for id in [0x00, 0x01, 0x02, 0x03, 0x12] {
        assert!(supported.contains(&(id, 1)), "LID {id:02X}h");
    }
}

#[test]
fn the_logs_that_can_be_read_are_those_that_are_reported() {
    check_logs(&mut device());
    check_logs(&mut everything());
}

fn check_logs(device: &mut Device<impl World>) {
    let supported = table(&read(device, 0x00, 1024));
    for id in 0..=0xFF {
        let response = device.admin(log(id, 4));
        let status = field(&response, 12, 4) >> 17 & 0x7FF;
        if supported.contains(&(id, 1)) {
            assert_eq!(status, 0, "LID {id:02X}h");
        } else {
            assert_eq!(status, u64::from(INVALID_LOG_PAGE), "LID {id:02X}h");
        }
    }
}

#[test]
fn log_attributes_of_the_controller_are_those_of_the_logs() {
    let mut device = device();
    let identify = Admin {
        opcode: 0x06,
        length: 4096,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let (_, data) = device.admin_ok(identify);
    let supported = table(&read(&mut device, 0x00, 1024));
    let has = |id| supported.contains(&(id, 1));
    let attributes = data[261];
    assert_eq!(attributes & 1, 0, "no health of single namespaces");
    assert_eq!(attributes & 1 << 1 != 0, has(0x05));
    assert_ne!(attributes & 1 << 2, 0, "partial reads");
    assert_eq!(attributes & 1 << 3 != 0, has(0x07) && has(0x08));
    assert_eq!(attributes & 1 << 4 != 0, has(0x0D));
    assert_eq!(
        attributes & 1 << 5 != 0,
        has(0x00) && has(0x12) && has(0x13)
    );
    assert_eq!(u32::from(data[262]) + 1, 1024 / 64, "ELPE");
}

#[test]
fn any_part_of_a_log_is_that_part_of_it() {
    let mut device = everything();
    for (id, length) in LENGTHS {
        let whole = read(&mut device, id, length);
        for (offset, part) in [
            (0, 4),
            (4, 8),
            (12, 64),
            (length / 8 * 4, 256),
            (length - 4, 4),
        ] {
            let (_, data) = device.admin_ok(log_part(id, offset.into(), part));
            let expected = &whole[offset as usize..];
            let expected = &expected[..expected.len().min(part as usize)];
            assert_eq!(data[..expected.len()], *expected, "LID {id:02X}h");
        }
    }
}

#[test]
fn what_lies_beyond_the_end_of_a_log_is_zero() {
    let mut device = everything();
    for (id, length) in LENGTHS {
        let (_, data) = device.admin_ok(log_part(id, u64::from(length) - 4, 64));
        assert_eq!(data.len(), 64);
        assert_eq!(data[4..], [0; 60]);
        let (_, data) = device.admin_ok(log_part(id, length.into(), 64));
        assert_eq!(data, [0; 64]);
    }
    assert_eq!(read(&mut device, 0x02, 4096)[512..], [0; 4096 - 512]);
}

#[test]
fn an_offset_beyond_the_end_is_an_invalid_field() {
    let mut device = everything();
    for (id, length) in LENGTHS {
        for offset in [u64::from(length) + 4, 1 << 32, u64::MAX - 3] {
            let command = log_part(id, offset, 4);
            assert_eq!(device.admin_status(command), INVALID_FIELD);
        }
    }
}

#[test]
fn an_offset_inside_of_a_dword_is_an_invalid_field() {
    for offset in 1..4 {
        let command = log_part(0x02, offset, 4);
        assert_eq!(device().admin_status(command), INVALID_FIELD);
    }
}

#[test]
fn an_offset_that_is_an_index_is_an_invalid_field() {
    let mut command = log(0x02, 512);
    command.dwords[4] = 1 << 23;
    assert_eq!(device().admin_status(command), INVALID_FIELD);
}

#[test]
fn the_window_of_the_message_is_inside_of_the_part_of_the_log() {
    let mut device = device();
    let whole = read(&mut device, 0x02, 512);
    let window = |offset, length| Admin {
        offset,
        length,
        ..log_part(0x02, 32, 128)
    };
    let (_, data) = device.admin_ok(window(16, 64));
    assert_eq!(data, whole[48..112]);
    assert_eq!(device.admin(window(132, 4)), [4, 0, 28, 0]);
    assert_eq!(device.admin(window(64, 68)), [4, 0, 32, 0]);
}

#[test]
fn without_a_length_the_part_of_the_log_is_returned() {
    let command = Admin {
        flags: 0,
        length: 0,
        ..log(0x02, 512)
    };
    assert_eq!(device().admin_ok(command).1.len(), 512);
    let long = Admin {
        flags: 0,
        length: 0,
        ..log(0x02, 8192)
    };
    assert_eq!(
        device().admin_ok(long).1.len(),
        4096,
        "the most there can be"
    );
}

#[test]
fn the_number_of_dwords_has_32_bits() {
    let mut command = log(0x02, 512);
    command.dwords[0] |= 0xFFFF << 16;
    command.dwords[1] = 0xFFFF;
    assert_eq!(device().admin_ok(command).1.len(), 512);
}

#[test]
fn no_log_is_of_a_single_namespace() {
    let mut device = device();
    let of = |namespace| Admin {
        namespace,
        ..log(0x02, 512)
    };
    device.admin_ok(of(0));
    device.admin_ok(of(ALL));
    for id in 1..=4 {
        assert_eq!(device.admin_status(of(id)), INVALID_FIELD);
    }
    assert_eq!(device.admin_status(of(5)), INVALID_NAMESPACE);
    assert_eq!(device.admin_status(of(0xFFFF_FFFE)), INVALID_NAMESPACE);
}

#[test]
fn a_log_takes_no_request_data() {
    let command = Admin {
        data: &[0; 4],
        ..log(0x02, 512)
    };
    assert_eq!(device().admin(command), [6, 0, 0, 0]);
}

#[test]
fn health_is_all_that_the_source_says() {
    let report = HealthReport {
        critical_warning: 0x0C,
        temperature: 311,
        available_spare: 88,
        spare_threshold: 12,
        percentage_used: 7,
        data_units_read: 0x0102_0304_0506_0708,
        data_units_written: 2,
        host_reads: 3,
        host_writes: 4,
        busy_minutes: 5,
        power_cycles: 6,
        power_on_hours: 7,
        unsafe_shutdowns: 8,
        media_errors: 9,
        warning_minutes: 10,
        critical_minutes: 11,
        sensors: [301, 302, 0, 0, 0, 0, 0, 308],
    };
    let data = read(&mut Device::reference(Parts::new(report)), 0x02, 512);
    assert_eq!(data[..6], [0x0C, 0x37, 0x01, 88, 12, 7]);
    assert_eq!(data[6..32], [0; 26]);
    assert_eq!(field(&data, 32, 8), report.data_units_read);
    assert_eq!(field(&data, 40, 8), 0);
    for n in 2..=9 {
        assert_eq!(field(&data, 16 + 16 * n, 16), n as u64);
    }
    assert_eq!(field(&data, 176, 16), 0, "no errors");
    assert_eq!((field(&data, 192, 4), field(&data, 196, 4)), (10, 11));
    let sensors: Vec<_> = (0..8).map(|n| field(&data, 200 + 2 * n, 2)).collect();
    assert_eq!(sensors, [301, 302, 0, 0, 0, 0, 0, 308]);
    assert!(data[216..].iter().all(|byte| *byte == 0));
}

#[test]
fn all_reports_of_health_agree() {
    let report = HealthReport {
        critical_warning: 0x05,
        temperature: 320,
        available_spare: 9,
        percentage_used: 101,
        ..HealthReport::healthy()
    };
    let mut device = Device::reference(Parts::new(report));
    let log = read(&mut device, 0x02, 512);
    let subsystem = device.mi(0x01, 0, 0, &[])[4..].to_vec();
    let controller = device.mi(0x02, 0x8700_0000, 0, &[])[4..].to_vec();
    assert_eq!(field(&log, 1, 2), field(&controller, 4, 2), "kelvins");
    assert_eq!(field(&log, 1, 2), 273 + u64::from(subsystem[2]), "Celsius");
    assert_eq!(log[0], controller[8]);
    assert_eq!(log[0], !subsystem[1] & 0x3F, "inverted");
    assert_eq!((log[3], log[5]), (controller[7], controller[6]));
    assert_eq!(log[5], subsystem[3]);
}

struct Twins;

impl Health for Twins {
    fn report(&mut self, controller: ControllerId) -> HealthReport {
        HealthReport {
            temperature: 300 + controller.0,
            ..HealthReport::healthy()
        }
    }
}

#[test]
fn health_is_that_of_the_controller_that_is_asked() {
    let mut device = Device::reference(Parts::new(Twins));
    for controller in 0..2 {
        let command = Admin {
            controller,
            ..log(0x02, 512)
        };
        let (_, data) = device.admin_ok(command);
        assert_eq!(field(&data, 1, 2), 300 + u64::from(controller));
    }
}

fn wrong_identify(namespace: u32) -> Admin<'static> {
    Admin {
        opcode: 0x06,
        namespace,
        length: 4096,
        dwords: [0xFF, 0, 0, 0, 0, 0],
        ..ADMIN
    }
}

#[test]
fn a_fresh_controller_has_no_errors() {
    assert_eq!(read(&mut device(), 0x01, 1024), [0; 1024]);
}

#[test]
fn a_failed_command_is_in_the_error_log() {
    let mut device = device();
    device.admin_status(wrong_identify(7));
    let data = read(&mut device, 0x01, 1024);
    assert_eq!(field(&data, 0, 8), 1, "its number");
    assert_eq!(field(&data, 8, 4), 0, "Admin queue, command ID 0");
    assert_eq!(field(&data, 12, 2), 0x4002 << 1, "the status field");
    assert_eq!(field(&data, 14, 2), 0xFFFF, "no parameter location");
    assert_eq!(field(&data, 16, 8), 0);
    assert_eq!(field(&data, 24, 4), 7, "the namespace");
    assert_eq!(data[28..31], [0; 3]);
    assert_eq!(data[31], 0x06, "the opcode");
    assert_eq!(data[63], 1, "the version");
    assert_eq!(data[64..], [0; 1024 - 64]);
}

#[test]
fn errors_are_counted_in_the_health_log_and_listed_newest_first() {
    let mut device = device();
    for namespace in 1..=20 {
        device.admin_status(wrong_identify(namespace));
    }
    let data = read(&mut device, 0x01, 1024);
    let entries: Vec<_> = data
        .chunks(64)
        .map(|entry| (field(entry, 0, 8), field(entry, 24, 4)))
        .collect();
    let expected: Vec<_> = (5..=20).rev().map(|n| (n, n)).collect();
    assert_eq!(entries, expected);
    assert_eq!(field(&read(&mut device, 0x02, 512), 176, 16), 20);
}

#[test]
fn a_command_that_was_none_is_not_in_the_error_log() {
    let mut device = device();
    device.admin(Admin {
        opcode: 0x05,
        ..ADMIN
    });
    device.admin(Admin {
        controller: 9,
        ..wrong_identify(1)
    });
    device.admin(Admin {
        data: &[0; 4],
        ..wrong_identify(1)
    });
    device.admin(Admin {
        offset: 2,
        ..wrong_identify(1)
    });
    assert_eq!(read(&mut device, 0x01, 1024), [0; 1024]);
}

#[test]
fn every_controller_has_its_own_errors() {
    let mut device = device();
    device.admin_status(Admin {
        controller: 1,
        ..wrong_identify(3)
    });
    assert_eq!(read(&mut device, 0x01, 64), [0; 64]);
    let command = Admin {
        controller: 1,
        ..log(0x01, 64)
    };
    assert_eq!(field(&device.admin_ok(command).1, 24, 4), 3);
}

#[test]
fn the_error_log_stays_through_a_reset() {
    let mut device = device();
    device.admin_status(wrong_identify(3));
    device.inner.reset_subsystem();
    assert_eq!(field(&read(&mut device, 0x01, 64), 0, 8), 1);
}

#[test]
fn a_device_without_a_store_has_one_slot_with_its_revision() {
    let data = read(&mut device(), 0x03, 512);
    assert_eq!(data[0], 0x01);
    assert_eq!(data[8..16], *b"REF00001");
    assert!(data[16..].iter().all(|byte| *byte == 0));
}

#[test]
fn firmware_slots_are_those_of_the_store() {
    let memory = Box::leak(Box::new([0; 4 * 4096]));
    let revisions = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let store = MemoryFirmware::new(memory, revisions);
    let world = Parts::new(HealthReport::healthy()).with_firmware(store);
    let mut device = Device::reference(world);
    let data = read(&mut device, 0x03, 512);
    assert_eq!(data[0], 0x01);
    assert_eq!(data[1..8], [0; 7]);
    assert_eq!(data[8..24], *b"REF00001REF00002");
    assert_eq!(data[24..], [0; 512 - 24]);
    let activate = Admin {
        opcode: 0x10,
        dwords: [2 | 2 << 3, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.admin_ok(activate);
    assert_eq!(
        read(&mut device, 0x03, 512)[0],
        0x21,
        "slot 2 after a reset"
    );
    device.inner.reset_subsystem();
    assert_eq!(read(&mut device, 0x03, 512)[0], 0x02);
}

#[test]
fn changed_namespaces_are_listed_until_they_are_read_for_good() {
    let mut device = device();
    let changed = |device: &mut Device<_>, bits| {
        let (_, data) = device.admin_ok(with_dword10(log(0x04, 4096), bits));
        (field(&data, 0, 4), field(&data, 4, 4), field(&data, 8, 4))
    };
    assert_eq!(changed(&mut device, 0), (0, 0, 0), "as it was built");
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(0))
        .unwrap();
    model
        .detach_namespace(NamespaceId(1), ControllerId(0))
        .unwrap();
    assert_eq!(changed(&mut device, RETAIN), (1, 2, 0));
    assert_eq!(changed(&mut device, !RETAIN & 0x7F00), (1, 2, 0));
    assert_eq!(changed(&mut device, 0), (0, 0, 0));
}

#[test]
fn a_reset_forgets_which_namespaces_changed() {
    let mut device = device();
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(0))
        .unwrap();
    device.inner.reset_subsystem();
    assert_eq!(read(&mut device, 0x04, 8), [0; 8]);
}

#[test]
fn changed_namespaces_are_those_of_the_controller() {
    let mut device = device();
    let list = |controller| Admin {
        controller,
        ..log(0x04, 8)
    };
    for controller in 0..2 {
        device.admin_ok(list(controller));
    }
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(1))
        .unwrap();
    assert_eq!(device.admin_ok(list(0)).1, [0; 8]);
    assert_eq!(device.admin_ok(list(1)).1, [2, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_list_of_changed_namespaces_that_is_incomplete_says_so() {
    let subsystem = Box::leak(Box::new(Subsystem::<2, 1, 40>::new(IDENTITY).unwrap()));
    let port = subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    let controller = subsystem.add_controller(port, Default::default()).unwrap();
    let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
    let model = device.model();
    for _ in 0..40 {
        let namespace = model.add_namespace(1).unwrap();
        model.attach_namespace(namespace, controller).unwrap();
    }
    let data = read(&mut device, 0x04, 4096);
    assert_eq!(field(&data, 0, 4), u64::from(ALL));
    assert!(data[4..].iter().all(|byte| *byte == 0));
}

#[test]
fn commands_with_effects_are_those_that_are_dispatched() {
    check_effects(&mut device());
    check_effects(&mut everything());
}

fn check_effects(device: &mut Device<impl World>) {
    let data = read(device, 0x05, 4096);
    for opcode in 0..=0xFF {
        let effects = field(&data, 4 * usize::from(opcode), 4);
        let response = device.admin(Admin {
            opcode,
            controller: 9,
            ..ADMIN
        });
        // The controller is looked at after the opcode.
        let is_there = response == [4, 0, 6, 0];
        assert!(is_there || response == [3, 0, 0, 0]);
        assert_eq!(effects & 1 != 0, is_there, "opcode {opcode:02X}h");
        assert!(is_there || effects == 0);
    }
}

#[test]
fn commands_that_nvme_mi_prohibits_have_no_effects() {
    let data = read(&mut everything(), 0x05, 4096);
    let prohibited = [
        0x00, 0x01, 0x04, 0x05, 0x08, 0x0C, 0x18, 0x19, 0x1A, 0x1D, 0x1E, 0x7C, 0x7F,
    ];
    for opcode in prohibited {
        assert_eq!(field(&data, 4 * opcode, 4), 0, "opcode {opcode:02X}h");
    }
}

#[test]
fn the_io_commands_are_flush_write_and_read() {
    let data = read(&mut device(), 0x05, 4096);
    assert_eq!(table(&data[1024..]), [(0, 1), (1, 3), (2, 1)]);
}

#[test]
fn effects_in_another_command_set_are_an_invalid_field() {
    let mut command = log(0x05, 4096);
    command.dwords[4] = 1 << 24;
    assert_eq!(device().admin_status(command), INVALID_FIELD);
    command.dwords[0] = log(0x02, 4096).dwords[0];
    device().admin_ok(command);
}

#[test]
fn management_commands_with_effects_are_those_that_are_dispatched() {
    check_management_effects(&mut device());
    check_management_effects(&mut everything());
}

fn check_management_effects(device: &mut Device<impl World>) {
    let data = read(device, 0x13, 4096);
    for opcode in 0..=0xFF {
        // Too much data for any of them: none is carried out.
        let is_there = device.mi(opcode, 0, 0, &[0; 3])[0] != 3;
        let effects = field(&data, 4 * usize::from(opcode), 4);
        assert_eq!(effects, u64::from(is_there), "opcode {opcode:02X}h");
    }
    assert!(data[1024..].iter().all(|byte| *byte == 0));
}

#[test]
fn features_with_effects_are_those_that_can_be_got() {
    let mut device = device();
    let data = read(&mut device, 0x12, 1024);
    for id in 0..=255u8 {
        let command = Admin {
            opcode: 0x0A,
            dwords: [u32::from(id) | 3 << 8, 0, 0, 0, 0, 0],
            ..ADMIN
        };
        let is_there = field(&device.admin(command), 12, 4) == 0;
        let effects = field(&data, 4 * usize::from(id), 4);
        assert_eq!(effects & 1 != 0, is_there, "FID {id:02X}h");
        let scope = if id == 0x7F { 1 << 20 } else { 1 << 21 };
        assert_eq!(effects, if is_there { 1 | scope } else { 0 });
    }
}

type Telemetric = Parts<
    HealthReport,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    NotSupported,
    MemoryTelemetry<700>,
>;

fn telemetric() -> Device<Telemetric> {
    let content = core::array::from_fn(|at| at as u8 | 1);
    let telemetry = MemoryTelemetry::new(content);
    Device::reference(Parts::new(HealthReport::healthy()).with_telemetry(telemetry))
}

#[test]
fn a_device_without_telemetry_does_not_offer_its_logs() {
    let mut device = device();
    for id in [0x07, 0x08] {
        assert_eq!(device.admin_status(log(id, 512)), INVALID_LOG_PAGE);
    }
    let supported = read(&mut device, 0x00, 1024);
    assert_eq!(supported[4 * 7..4 * 9], [0; 8]);
    let identify = Admin {
        opcode: 0x06,
        length: 4096,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    assert_eq!(device.admin_ok(identify).1[261] & 1 << 3, 0, "LPA");
    let mut telemetric = telemetric();
    assert_eq!(telemetric.admin_ok(identify).1[261] & 1 << 3, 1 << 3);
    assert_eq!(
        read(&mut telemetric, 0x00, 1024)[4 * 7..4 * 9],
        [1, 0, 0, 0, 1, 0, 0, 0]
    );
}

#[test]
fn telemetry_without_a_capture_is_a_header() {
    let mut device = telemetric();
    for id in [0x07, 0x08] {
        let data = read(&mut device, id, 512);
        assert_eq!(data[0], id);
        assert_eq!(data[5..8], [0x48, 0xDE, 0xAC]);
        let mut rest = data;
        rest[0] = 0;
        rest[5..8].fill(0);
        assert_eq!(rest, [0; 512]);
        let status = device.admin_status(log_part(id, 516, 4));
        assert_eq!(status, INVALID_FIELD);
    }
}

#[test]
fn telemetry_of_a_host_is_what_was_captured() {
    let mut device = telemetric();
    let expected = device.world().telemetry.content;
    let (_, header) = device.admin_ok(with_dword10(log(0x07, 512), CAPTURE));
    for area in [8, 10, 12] {
        assert_eq!(field(&header, area, 2), 2, "700 bytes are two blocks");
    }
    assert_eq!(header[381], 1, "the generation");
    device.world().telemetry.content = [0xEE; 700];
    let data = read(&mut device, 0x07, 1536);
    assert_eq!(data[..512], header);
    assert_eq!(data[512..512 + 700], expected);
    assert_eq!(data[512 + 700..], [0; 324]);
    device.admin_ok(with_dword10(log(0x07, 512), CAPTURE));
    let data = read(&mut device, 0x07, 1536);
    assert_eq!(data[381], 2);
    assert_eq!(data[512..512 + 700], [0xEE; 700]);
}

#[test]
fn telemetry_comes_in_chunks_of_any_size() {
    let mut device = telemetric();
    device.admin_ok(with_dword10(log(0x07, 512), CAPTURE));
    let whole = read(&mut device, 0x07, 1536);
    for size in [4, 64, 500, 512, 1000] {
        let chunks = (0..1536).step_by(size).flat_map(|offset| {
            let command = log_part(0x07, offset as u64, size as u32);
            device.admin_ok(command).1
        });
        let read: Vec<_> = chunks.take(1536).collect();
        assert_eq!(read, whole);
    }
}

#[test]
fn telemetry_of_the_controller_is_available_until_it_is_read_for_good() {
    let mut device = telemetric();
    let expected = device.world().telemetry.content;
    device.world().telemetry.capture_by_controller();
    let known = device.model().telemetry_captured(ControllerId(0));
    known.unwrap();
    let header = read(&mut device, 0x07, 512);
    assert_eq!((header[382], header[383]), (1, 1), "as host telemetry says");
    let retained = device.admin_ok(with_dword10(log(0x08, 1536), RETAIN)).1;
    assert_eq!((retained[382], retained[383]), (1, 1));
    assert_eq!(retained[512..512 + 700], expected);
    assert_eq!(read(&mut device, 0x08, 512)[382], 1);
    let header = read(&mut device, 0x08, 512);
    assert_eq!((header[382], header[383]), (0, 1));
}

#[test]
fn telemetry_of_the_controller_is_a_change_of_its_status() {
    let mut device = telemetric();
    device.mi(0x01, 0, 1 << 31, &[]);
    let known = device.model().telemetry_captured(ControllerId(1));
    known.unwrap();
    let flags = field(&device.mi(0x01, 0, 0, &[]), 8, 2);
    assert_eq!(flags, 1 << 13 | 1 << 8);
    let missing = device.model().telemetry_captured(ControllerId(2));
    assert!(missing.is_err());
}

#[test]
fn capturing_is_asked_of_the_host_log_only() {
    let mut device = telemetric();
    device.admin_ok(with_dword10(log(0x08, 512), CAPTURE));
    device.admin_ok(with_dword10(log(0x02, 512), CAPTURE));
    assert_eq!(read(&mut device, 0x07, 512)[381], 0);
}
