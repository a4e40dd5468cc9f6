//! Health status polls (NVMe-MI 1.2) and what sets and clears their flags.

mod support;

use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{ControllerConfig, ControllerId, Function, NamespaceId, PortId, Subsystem};
use support::{ADMIN, Admin, Device, IDENTITY, PCIE_PORT, Parts, TWO_WIRE_PORT, field};

type Healthy = Device<Parts<HealthReport>>;

const RDY: u64 = 1 << 0;
const CFS: u64 = 1 << 1;
const SHST: u64 = 1 << 2;
const NSSRO: u64 = 1 << 4;
const CECO: u64 = 1 << 5;
const NAC: u64 = 1 << 6;
const FA: u64 = 1 << 7;
const CSTS: u64 = 1 << 8;
const CTEMP: u64 = 1 << 9;
const PDLU: u64 = 1 << 10;
const SPARE: u64 = 1 << 11;
const CWARN: u64 = 1 << 12;
const TCIDA: u64 = 1 << 13;

const CLEAR: u32 = 1 << 31;
const PLAIN_FUNCTIONS: u32 = 1 << 24;
const ALL: u32 = 1 << 31;
const EVERY_PLAIN: u32 = ALL | PLAIN_FUNCTIONS | 254 << 16;
const CHANGED_PLAIN: u32 = PLAIN_FUNCTIONS | 254 << 16;

fn device() -> Healthy {
    Device::reference(Parts::new(HealthReport::healthy()))
}

fn health(device: &mut Healthy) -> &mut HealthReport {
    &mut device.world().health
}

fn poll_subsystem(device: &mut Healthy, clear: bool) -> Vec<u8> {
    let response = device.mi(0x01, 0, if clear { CLEAR } else { 0 }, &[]);
    assert_eq!(response.len(), 12);
    assert_eq!(response[..4], [0; 4]);
    response[4..].to_vec()
}

/// The composite flags, which are then cleared.
fn composite(device: &mut Healthy) -> u64 {
    field(&poll_subsystem(device, true), 4, 2)
}

/// The controllers' structures.
fn poll(device: &mut Healthy, dword0: u32, dword1: u32) -> Vec<Vec<u8>> {
    let response = device.mi(0x02, dword0, dword1, &[]);
    assert_eq!(response[..3], [0; 3]);
    assert_eq!(response.len(), 4 + 16 * usize::from(response[3]));
    response[4..].chunks(16).map(<[u8]>::to_vec).collect()
}

fn ids(device: &mut Healthy, dword0: u32, dword1: u32) -> Vec<u64> {
    poll(device, dword0, dword1)
        .iter()
        .map(|controller| field(controller, 0, 2))
        .collect()
}

#[test]
fn the_warnings_of_the_subsystem_are_inverted() {
    let mut device = device();
    assert_eq!(poll_subsystem(&mut device, false)[1], 0xFF);
    for warning in 0..6 {
        health(&mut device).critical_warning = 1 << warning;
        assert_eq!(poll_subsystem(&mut device, false)[1], !(1u8 << warning));
    }
}

#[test]
fn reserved_warning_bits_are_no_warnings() {
    let mut device = device();
    health(&mut device).critical_warning = 0xC0;
    assert_eq!(poll_subsystem(&mut device, false)[1], 0xFF);
    assert_eq!(poll(&mut device, EVERY_PLAIN, 0)[0][8], 0);
}

#[test]
fn reserved_warning_bits_are_no_changes() {
    let mut device = device();
    composite(&mut device);
    health(&mut device).critical_warning = 0xC0;
    assert_eq!(composite(&mut device), 0);
}

#[test]
fn both_polls_report_the_same_health_each_in_its_units() {
    let mut device = device();
    *health(&mut device) = HealthReport {
        temperature: 353,
        percentage_used: 255,
        available_spare: 7,
        critical_warning: 3,
        ..HealthReport::healthy()
    };
    let subsystem = poll_subsystem(&mut device, false);
    assert_eq!(subsystem[1..4], [0xFC, 80, 255]);
    let controller = &poll(&mut device, EVERY_PLAIN, 0)[1];
    assert_eq!(
        controller[..11],
        [1, 0, 1, 0, 0x61, 0x01, 255, 7, 3, 0, 0x1E]
    );
    assert_eq!(controller[11..], [0; 5]);
}

#[test]
fn a_drive_with_failed_controllers_needs_a_reset_and_one_with_none_left_has_failed() {
    let mut device = device();
    assert_eq!(poll_subsystem(&mut device, false)[0], 0x38);
    device.model().set_fatal(ControllerId(0), true).unwrap();
    assert_eq!(poll_subsystem(&mut device, false)[0], 0x28);
    device.model().set_fatal(ControllerId(1), true).unwrap();
    assert_eq!(poll_subsystem(&mut device, false)[0], 0x08);
}

#[test]
fn a_link_that_goes_down_is_not_active() {
    let mut device = device();
    device.model().set_link(PortId(0), None).unwrap();
    assert_eq!(poll_subsystem(&mut device, false)[0], 0x30);
}

#[test]
fn nothing_has_changed_when_the_endpoint_starts() {
    let mut device = device();
    assert_eq!(composite(&mut device), 0);
    assert_eq!(ids(&mut device, CHANGED_PLAIN, 0x1F), [0u64; 0]);
}

#[test]
fn composite_flags_are_cleared_only_when_asked_and_after_they_are_copied() {
    let mut device = device();
    health(&mut device).temperature = 310;
    assert_eq!(field(&poll_subsystem(&mut device, false), 4, 2), CTEMP);
    assert_eq!(field(&poll_subsystem(&mut device, true), 4, 2), CTEMP);
    assert_eq!(field(&poll_subsystem(&mut device, false), 4, 2), 0);
}

#[test]
fn each_change_of_health_sets_its_own_flag() {
    let mut device = device();
    health(&mut device).temperature = 304;
    assert_eq!(composite(&mut device), CTEMP);
    health(&mut device).percentage_used = 4;
    assert_eq!(composite(&mut device), PDLU);
    health(&mut device).available_spare = 99;
    assert_eq!(composite(&mut device), SPARE);
    health(&mut device).critical_warning = 4;
    assert_eq!(composite(&mut device), CWARN);
}

#[test]
fn each_change_of_status_sets_its_own_flag_and_that_of_the_status() {
    let mut device = device();
    let first = ControllerId(0);
    device.model().set_ready(first, false).unwrap();
    assert_eq!(composite(&mut device), 0, "that it ends is no change");
    device.model().set_ready(first, true).unwrap();
    assert_eq!(composite(&mut device), RDY | CSTS);
    device.model().set_fatal(first, true).unwrap();
    assert_eq!(composite(&mut device), CFS | CSTS);
    device.model().set_shutdown_status(first, 1).unwrap();
    assert_eq!(composite(&mut device), SHST | CSTS);
    device.model().set_enabled(first, false).unwrap();
    assert_eq!(composite(&mut device), CECO | CSTS);
    device
        .model()
        .attach_namespace(NamespaceId(2), first)
        .unwrap();
    assert_eq!(composite(&mut device), NAC | CSTS);
}

#[test]
fn setting_what_is_set_already_changes_nothing() {
    let mut device = device();
    device.model().set_ready(ControllerId(0), true).unwrap();
    device.model().set_enabled(ControllerId(0), true).unwrap();
    device.model().set_fatal(ControllerId(0), false).unwrap();
    assert_eq!(composite(&mut device), 0);
}

#[test]
fn a_fatal_status_that_ends_is_not_a_change() {
    let mut device = device();
    device.model().set_fatal(ControllerId(0), true).unwrap();
    assert_eq!(composite(&mut device), CFS | CSTS);
    device.model().set_fatal(ControllerId(0), false).unwrap();
    assert_eq!(composite(&mut device), 0);
}

#[test]
fn a_warning_that_ends_is_not_a_change() {
    let mut device = device();
    for (warning, changed) in [
        (0b011, CWARN),
        (0b001, 0),
        (0b101, CWARN),
        (0b010, CWARN),
        (0, 0),
    ] {
        health(&mut device).critical_warning = warning;
        assert_eq!(composite(&mut device), changed, "{warning:03b}");
    }
}

#[test]
fn composite_flags_do_not_come_back_from_a_controllers_flags() {
    let mut device = device();
    health(&mut device).temperature = 310;
    assert_eq!(composite(&mut device), CTEMP);
    assert_eq!(ids(&mut device, CHANGED_PLAIN, 1 << 1), [0, 1]);
    assert_eq!(composite(&mut device), 0);
}

#[test]
fn a_controllers_flags_are_cleared_only_when_asked_and_without_touching_the_composite() {
    let mut device = device();
    health(&mut device).temperature = 310;
    assert_eq!(
        field(&poll(&mut device, CHANGED_PLAIN, 1 << 1)[0], 9, 2),
        CTEMP
    );
    assert_eq!(
        field(&poll(&mut device, CHANGED_PLAIN, CLEAR | 1 << 1)[0], 9, 2),
        CTEMP
    );
    assert_eq!(ids(&mut device, CHANGED_PLAIN, 0x1F), [0u64; 0]);
    assert_eq!(composite(&mut device), CTEMP);
}

#[test]
fn only_the_flags_of_controllers_that_are_returned_are_cleared() {
    let mut device = device();
    health(&mut device).temperature = 310;
    assert_eq!(ids(&mut device, PLAIN_FUNCTIONS, CLEAR | 1 << 1), [0]);
    assert_eq!(ids(&mut device, CHANGED_PLAIN, 1 << 1), [1]);
}

#[test]
fn a_selected_change_is_what_includes_a_controller() {
    let mut device = device();
    for ready in [false, true] {
        device.model().set_ready(ControllerId(1), ready).unwrap();
    }
    for (selection, expected) in [
        (1u32 << 0, &[1u64][..]),
        (1 << 1, &[]),
        (1 << 2, &[]),
        (1 << 3, &[]),
        (1 << 4, &[]),
        (0, &[]),
    ] {
        assert_eq!(
            ids(&mut device, CHANGED_PLAIN, selection),
            expected,
            "selection {selection}"
        );
    }
    for (flag, change) in [(1, 1u32 << 1), (2, 1 << 2), (3, 1 << 3), (4, 1 << 4)] {
        let mut device = self::device();
        match flag {
            1 => health(&mut device).temperature = 1,
            2 => health(&mut device).percentage_used = 9,
            3 => health(&mut device).available_spare = 9,
            _ => health(&mut device).critical_warning = 9,
        }
        assert_eq!(ids(&mut device, CHANGED_PLAIN, change), [0, 1]);
        assert_eq!(ids(&mut device, CHANGED_PLAIN, 0x1F & !change), [0u64; 0]);
    }
}

#[test]
fn without_an_included_function_type_no_controller_is_returned() {
    assert_eq!(ids(&mut device(), ALL | 254 << 16, 0x1F), [0u64; 0]);
}

#[test]
fn each_function_type_is_included_by_its_own_bit() {
    let subsystem = Box::leak(Box::new(Subsystem::<2, 3, 0>::new(IDENTITY).unwrap()));
    let pcie = subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(TWO_WIRE_PORT).unwrap();
    for function in [Function::Plain, Function::Physical, Function::Virtual] {
        subsystem
            .add_controller(
                pcie,
                ControllerConfig {
                    function,
                    address: None,
                },
            )
            .unwrap();
    }
    let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
    for included in 0..8u32 {
        let expected: Vec<u64> = (0..3).filter(|bit| included >> bit & 1 == 1).collect();
        assert_eq!(
            ids(&mut device, ALL | included << 24 | 254 << 16, 0),
            expected
        );
    }
}

#[test]
fn the_poll_starts_at_the_controller_asked_for_and_returns_no_more_than_wanted() {
    let mut device = device();
    assert_eq!(ids(&mut device, EVERY_PLAIN | 1, 0), [1]);
    assert_eq!(ids(&mut device, EVERY_PLAIN | 2, 0), [0u64; 0]);
    assert_eq!(ids(&mut device, ALL | PLAIN_FUNCTIONS, 0), [0]);
}

#[test]
fn a_poll_for_256_entries_is_refused_at_byte_10() {
    assert_eq!(
        device().mi(0x02, ALL | PLAIN_FUNCTIONS | 255 << 16, 0, &[]),
        [4, 0, 10, 0]
    );
}

#[test]
fn polls_take_no_request_data() {
    assert_eq!(device().mi(0x01, 0, 0, &[0]), [6, 0, 0, 0]);
    assert_eq!(device().mi(0x02, EVERY_PLAIN, 0, &[0; 4]), [6, 0, 0, 0]);
}

#[test]
fn status_bits_that_record_an_event_are_cleared_with_the_flags() {
    let mut device = device();
    device
        .model()
        .attach_namespace(NamespaceId(2), ControllerId(0))
        .unwrap();
    assert_eq!(
        field(&poll(&mut device, EVERY_PLAIN, CLEAR)[0], 2, 2),
        NAC | RDY
    );
    assert_eq!(field(&poll(&mut device, EVERY_PLAIN, 0)[0], 2, 2), RDY);
}

#[test]
fn every_status_bit_that_records_an_event_is_cleared_with_the_flags() {
    let mut device = device_of_firmware_that_waits();
    device.inner.reset_subsystem();
    let first = ControllerId(0);
    let model = device.model();
    model.attach_namespace(NamespaceId(2), first).unwrap();
    model.telemetry_captured(first).unwrap();
    let status = |device: &mut Device<_>, clear| {
        let response = device.mi(0x02, EVERY_PLAIN, clear, &[]);
        field(&response, 4 + 2, 2)
    };
    // RDY, NSSRO, CECO, NAC, FA, and TCIDA, which is bit 8 here.
    assert_eq!(status(&mut device, CLEAR), 0x01F1);
    assert_eq!(status(&mut device, 0), RDY);
}

#[test]
fn what_changes_with_a_reset_is_not_reported_besides_the_reset() {
    let mut device = device();
    health(&mut device).temperature = 350;
    device.inner.reset_subsystem();
    assert_eq!(composite(&mut device) & (CTEMP | CWARN), 0);
}

#[test]
fn configuration_set_clears_the_composite_flags_of_its_mask_which_has_no_gap() {
    // Bit of the mask, and the flag it stands for: from bit 3 on they differ.
    let flags = [
        (0, RDY),
        (1, CFS),
        (2, SHST),
        (3, NSSRO),
        (4, CECO),
        (5, NAC),
        (7, CSTS),
        (8, CTEMP),
        (9, PDLU),
        (10, SPARE),
        (11, CWARN),
    ];
    let every = flags.iter().fold(0, |all, (_, flag)| all | flag);
    for (bit, flag) in flags {
        let mut device = device();
        device.inner.reset_subsystem();
        let first = ControllerId(0);
        device.model().set_fatal(first, true).unwrap();
        device.model().set_shutdown_status(first, 1).unwrap();
        device
            .model()
            .attach_namespace(NamespaceId(2), first)
            .unwrap();
        *health(&mut device) = HealthReport {
            critical_warning: 1,
            ..HealthReport::default()
        };
        assert_eq!(field(&poll_subsystem(&mut device, false), 4, 2), every);
        assert_eq!(device.mi(0x03, 0x02, 1 << bit, &[]), [0; 4]);
        assert_eq!(
            field(&poll_subsystem(&mut device, false), 4, 2),
            every & !flag,
            "bit {bit}"
        );
    }
}

/// With firmware that a reset activates.
fn device_of_firmware_that_waits() -> Device<support::Everything> {
    let mut device = support::everything();
    let activate_on_reset = Admin {
        opcode: 0x10,
        dwords: [2 << 3 | 2, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    device.admin_ok(activate_on_reset);
    device
}

#[test]
fn configuration_set_clears_firmware_activation_and_telemetry_too() {
    for (bit, flag) in [(6, FA), (12, TCIDA)] {
        let mut device = device_of_firmware_that_waits();
        device.inner.reset_subsystem();
        let first = ControllerId(0);
        device.model().telemetry_captured(first).unwrap();
        let before = field(&device.mi(0x01, 0, 0, &[]), 8, 2);
        assert_eq!(before & (FA | TCIDA), FA | TCIDA);
        device.mi(0x03, 0x02, 1 << bit, &[]);
        let after = field(&device.mi(0x01, 0, 0, &[]), 8, 2);
        assert_eq!(after, before & !flag, "bit {bit}");
    }
}

#[test]
fn a_reserved_selection_includes_no_controller() {
    let mut device = device();
    let first = ControllerId(0);
    device.model().telemetry_captured(first).unwrap();
    for selection in 5..31 {
        let included = ids(&mut device, CHANGED_PLAIN, 1 << selection);
        assert_eq!(included, [], "selection {selection}");
    }
}

#[test]
fn a_drive_without_controllers_works() {
    let subsystem = Box::leak(Box::new(Subsystem::<1, 0, 0>::new(IDENTITY).unwrap()));
    subsystem.add_port(PCIE_PORT).unwrap();
    let world = Parts::new(HealthReport::healthy());
    let mut device = Device::at(subsystem.model(), PortId(0), world);
    let health = poll_subsystem(&mut device, false);
    assert_eq!(health[..4], [0x38, 0xFF, 0x80, 0]);
}
