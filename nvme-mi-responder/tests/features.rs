//! Get Features and Set Features: NVM Express Base 2.0, as NVMe-MI 1.2, figure 125, allows them.

mod support;

use nvme_mi_responder::Instant;
use nvme_mi_responder::world::{Health, HealthReport, World};
use nvme_mi_responder::{ControllerId, NamespaceId};
use support::{ADMIN, Admin, Device, Parts, field};

const INVALID_FIELD: u16 = 0x002;
const INVALID_NAMESPACE: u16 = 0x00B;
const NOT_SAVEABLE: u16 = 0x10D;
const NOT_CHANGEABLE: u16 = 0x10E;
const NOT_OF_A_NAMESPACE: u16 = 0x10F;
const ALL: u32 = 0xFFFF_FFFF;

const CURRENT: u32 = 0;
const DEFAULT: u32 = 1;
const SAVED: u32 = 2;
const CAPABILITIES: u32 = 3;

/// Bit 1 of the critical warning.
const TOO_HOT: u8 = 2;

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

/// As libnvme 1.x sends it: without a length.
fn get_selected(id: u8, select: u32, dword11: u32) -> Admin<'static> {
    Admin {
        opcode: 0x0A,
        flags: 0,
        dwords: [u32::from(id) | select << 8, dword11, 0, 0, 0, 0],
        ..ADMIN
    }
}

fn get(id: u8) -> Admin<'static> {
    get_selected(id, CURRENT, 0)
}

fn set(id: u8, dword11: u32, data: &[u8]) -> Admin<'_> {
    Admin {
        opcode: 0x09,
        length: data.len() as u32,
        dwords: [u32::from(id), dword11, 0, 0, 0, 0],
        data,
        ..ADMIN
    }
}

#[test]
fn the_features_are_those_that_nvme_mi_allows() {
    let mut device = device();
    let allowed = [
        0x02, 0x04, 0x0C, 0x0E, 0x10, 0x11, 0x17, 0x19, 0x1A, 0x20, 0x7D, 0x7E, 0x7F,
    ];
    let offered: Vec<u8> = (0..=0xFF)
        .filter(|id| field(&device.admin(get_selected(*id, CAPABILITIES, 0)), 12, 4) == 0)
        .collect();
    assert_eq!(offered, [0x02, 0x04, 0x0E, 0x7D, 0x7E, 0x7F]);
    assert!(offered.iter().all(|id| allowed.contains(id)));
}

#[test]
fn every_other_feature_is_an_invalid_field() {
    let mut device = device();
    let offered = [0x02, 0x04, 0x0E, 0x7D, 0x7E, 0x7F];
    for id in (0..=0xFF).filter(|id| !offered.contains(id)) {
        for select in 0..4 {
            let command = get_selected(id, select, 0);
            assert_eq!(device.admin_status(command), INVALID_FIELD);
        }
        assert_eq!(device.admin_status(set(id, 0, &[])), INVALID_FIELD);
    }
}

#[test]
fn a_scan_of_all_features_meets_no_other_failure() {
    let mut device = device();
    for id in 0..=0xFF {
        let status = field(&device.admin(get(id)), 12, 4) >> 17 & 0x7FF;
        let goes_on = [0, u64::from(INVALID_FIELD), u64::from(INVALID_NAMESPACE)];
        assert!(goes_on.contains(&status), "FID {id:02X}h");
    }
}

/// Data lengths of features as nvme-cli 3.0 fills them in, for those that have data; the odd one is
/// that of FID 1Eh.
const LENGTHS: [(u8, u32); 11] = [
    (0x03, 4096),
    (0x0C, 256),
    (0x0D, 4096),
    (0x0E, 8),
    (0x13, 512),
    (0x16, 512),
    (0x1E, 510),
    (0x7D, 4096),
    (0x7E, 4096),
    (0x7F, 4096),
    (0x81, 8),
];

#[test]
fn a_scan_that_says_how_much_it_wants_goes_on_to_the_end() {
    let mut device = device();
    for id in 0..=0xFF {
        let found = LENGTHS.iter().find(|(feature, _)| *feature == id);
        let length = found.map_or(0, |(_, length)| *length);
        let command = Admin {
            flags: u8::from(length != 0),
            namespace: 1,
            length,
            ..get(id)
        };
        let response = device.admin(command);
        assert_eq!(response[..4], [0; 4], "FID {id:02X}h");
        match field(&response, 12, 4) >> 17 & 0x7FF {
            0 => assert_eq!(response.len(), 16 + length as usize, "FID {id:02X}h"),
            status => assert_eq!(status, u64::from(INVALID_FIELD), "FID {id:02X}h"),
        }
    }
}

#[test]
fn capabilities_say_what_can_be_done_with_a_feature() {
    let mut device = device();
    let mut capabilities = |id| device.admin_ok(get_selected(id, CAPABILITIES, 0));
    assert_eq!(capabilities(0x02), (0, vec![]));
    for id in [0x04, 0x0E, 0x7D, 0x7E] {
        assert_eq!(capabilities(id), (0b100, vec![]));
    }
    assert_eq!(capabilities(0x7F), (0b110, vec![]));
}

#[test]
fn another_selection_is_an_invalid_field() {
    for select in 4..8 {
        let command = get_selected(0x04, select, 0);
        assert_eq!(device().admin_status(command), INVALID_FIELD);
    }
}

#[test]
fn nothing_can_be_saved() {
    let mut device = device();
    for id in [0x02, 0x04, 0x0E, 0x7D, 0x7E, 0x7F] {
        let mut command = set(id, 0, &[]);
        command.dwords[0] |= 1 << 31;
        assert_eq!(device.admin_status(command), NOT_SAVEABLE);
    }
}

#[test]
fn the_only_power_state_cannot_be_changed() {
    let mut device = device();
    for select in [CURRENT, DEFAULT, SAVED] {
        assert_eq!(device.admin_ok(get_selected(0x02, select, 0)), (0, vec![]));
    }
    assert_eq!(device.admin_status(set(0x02, 0, &[])), NOT_CHANGEABLE);
}

#[test]
fn features_of_the_controller_are_not_set_for_a_namespace() {
    let mut device = device();
    let of = |namespace, id| Admin {
        namespace,
        ..set(id, 0, &[])
    };
    for id in [0x02, 0x04, 0x0E, 0x7D, 0x7E] {
        assert_eq!(device.admin_status(of(1, id)), NOT_OF_A_NAMESPACE);
        assert_eq!(device.admin_status(of(4, id)), NOT_OF_A_NAMESPACE);
        assert_eq!(device.admin_status(of(5, id)), INVALID_NAMESPACE);
    }
    device.admin_ok(Admin {
        namespace: ALL,
        ..set(0x04, 350, &[])
    });
}

#[test]
fn features_of_the_controller_are_got_with_any_namespace() {
    for namespace in [0, 1, 9, ALL] {
        let command = Admin {
            namespace,
            ..get(0x04)
        };
        assert_eq!(device().admin_ok(command).0, 343);
    }
}

#[test]
fn a_feature_without_data_returns_none_and_takes_none() {
    let mut device = device();
    let longer = Admin {
        length: 4,
        ..get(0x04)
    };
    assert_eq!(device.admin(longer), [4, 0, 32, 0]);
    assert_eq!(device.admin(set(0x04, 350, &[0; 4])), [6, 0, 0, 0]);
    assert_eq!(device.admin_ok(get(0x04)).0, 343, "it was not set");
}

// Temperature Threshold.

const UNDER: u32 = 1 << 20;

fn threshold(device: &mut Device<impl World>, select: u32, selectors: u32) -> u32 {
    let (value, data) = device.admin_ok(get_selected(0x04, select, selectors));
    assert_eq!(data, []);
    assert_eq!(value & 0x3F_0000, selectors, "the selectors come back");
    value & 0xFFFF
}

/// Critical warnings as every structure has them: SMART log, subsystem poll (inverted), controller
/// poll.
fn warnings(device: &mut Device<impl World>) -> [u8; 3] {
    let log = Admin {
        opcode: 0x02,
        length: 4,
        dwords: [0x02, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let log = device.admin_ok(log).1[0];
    let subsystem = device.mi(0x01, 0, 0, &[])[5];
    let controller = device.mi(0x02, 0x8700_0000, 0, &[])[12];
    [log, !subsystem & 0x3F, controller]
}

#[test]
fn thresholds_are_the_warning_temperature_and_none_by_default() {
    let mut device = device();
    for select in [CURRENT, DEFAULT, SAVED] {
        assert_eq!(threshold(&mut device, select, 0), 343);
        assert_eq!(threshold(&mut device, select, UNDER), 0);
    }
}

#[test]
fn a_threshold_that_is_set_is_current_and_not_default() {
    let mut device = device();
    assert_eq!(device.admin_ok(set(0x04, 350, &[])), (0, vec![]));
    device.admin_ok(set(0x04, UNDER | 280, &[]));
    assert_eq!(threshold(&mut device, CURRENT, 0), 350);
    assert_eq!(threshold(&mut device, CURRENT, UNDER), 280);
    for select in [DEFAULT, SAVED] {
        assert_eq!(threshold(&mut device, select, 0), 343);
        assert_eq!(threshold(&mut device, select, UNDER), 0);
    }
}

#[test]
fn a_feature_that_is_set_again_has_the_same_value() {
    let mut device = device();
    for _ in 0..2 {
        device.admin_ok(set(0x04, 400, &[]));
        assert_eq!(threshold(&mut device, 0, 0), 400);
    }
    for _ in 0..2 {
        set_metadata(&mut device, 0x7E, REPLACE, &[(1, "one")]);
        assert_eq!(metadata_of(&mut device, 0x7E), metadata(&[(1, "one")]));
    }
}

#[test]
fn a_threshold_is_that_of_the_controller() {
    let mut device = device();
    device.admin_ok(Admin {
        controller: 1,
        ..set(0x04, 350, &[])
    });
    assert_eq!(threshold(&mut device, CURRENT, 0), 343);
    let other = Admin {
        controller: 1,
        ..get(0x04)
    };
    assert_eq!(device.admin_ok(other).0, 350);
}

#[test]
fn a_temperature_at_a_threshold_is_a_warning_everywhere() {
    let mut device = device();
    assert_eq!(warnings(&mut device), [0; 3]);
    for (value, expected) in [
        (304, 0),
        (303, TOO_HOT),
        (302, TOO_HOT),
        (0xFFFF, 0),
        (UNDER | 302, 0),
        (UNDER | 303, TOO_HOT),
        (UNDER | 304, TOO_HOT),
        (UNDER, 0),
    ] {
        device.admin_ok(set(0x04, value, &[]));
        assert_eq!(warnings(&mut device), [expected; 3], "threshold {value:X}h");
    }
}

#[test]
fn a_warning_by_threshold_leaves_the_others() {
    let report = HealthReport {
        critical_warning: 0x05,
        temperature: 343,
        ..HealthReport::healthy()
    };
    let mut device = Device::reference(Parts::new(report));
    assert_eq!(warnings(&mut device), [0x07; 3]);
}

#[test]
fn a_temperature_that_is_not_known_is_no_warning() {
    let report = HealthReport {
        temperature: 0,
        ..HealthReport::healthy()
    };
    let mut device = Device::reference(Parts::new(report));
    device.admin_ok(set(0x04, UNDER | 500, &[]));
    assert_eq!(warnings(&mut device), [0; 3]);
}

#[test]
fn a_threshold_that_makes_a_warning_is_a_change() {
    let mut device = device();
    device.mi(0x01, 0, 1 << 31, &[]);
    device.admin_ok(set(0x04, 300, &[]));
    let flags = field(&device.mi(0x01, 0, 1 << 31, &[]), 8, 2);
    assert_eq!(flags, 1 << 12, "the warning changed");
    assert_eq!(field(&device.mi(0x01, 0, 0, &[]), 8, 2), 0);
    device.admin_ok(set(0x04, 350, &[]));
    let flags = field(&device.mi(0x01, 0, 0, &[]), 8, 2);
    assert_eq!(flags, 0, "a warning that ends is no change");
}

fn device_with_sensors() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport {
        sensors: [310, 0, 0, 0, 0, 0, 0, 320],
        ..HealthReport::healthy()
    }))
}

const fn sensor(number: u32) -> u32 {
    number << 16
}

#[test]
fn sensors_have_thresholds_of_their_own() {
    let mut device = device_with_sensors();
    assert_eq!(threshold(&mut device, CURRENT, sensor(8)), 0xFFFF);
    assert_eq!(threshold(&mut device, CURRENT, sensor(8) | UNDER), 0);
    device.admin_ok(set(0x04, sensor(8) | 320, &[]));
    assert_eq!(threshold(&mut device, CURRENT, sensor(8)), 320);
    assert_eq!(threshold(&mut device, CURRENT, sensor(1)), 0xFFFF);
    assert_eq!(threshold(&mut device, CURRENT, 0), 343);
    assert_eq!(warnings(&mut device), [TOO_HOT; 3]);
}

#[test]
fn all_temperatures_are_set_at_once() {
    let mut device = device_with_sensors();
    device.admin_ok(set(0x04, sensor(0xF) | 330, &[]));
    for selected in [0, 1, 8] {
        assert_eq!(threshold(&mut device, CURRENT, sensor(selected)), 330);
    }
    assert_eq!(warnings(&mut device), [0; 3]);
}

#[test]
fn a_sensor_that_is_not_there_is_an_invalid_field() {
    let mut device = device_with_sensors();
    for number in (2..8).chain(9..15) {
        let value = sensor(number) | 300;
        assert_eq!(device.admin_status(set(0x04, value, &[])), INVALID_FIELD);
    }
    for number in (2..8).chain(9..16) {
        let command = get_selected(0x04, CURRENT, sensor(number));
        assert_eq!(device.admin_status(command), INVALID_FIELD);
    }
}

#[test]
fn a_threshold_is_over_or_under() {
    for select in [2 << 20, 3 << 20] {
        let mut device = device();
        assert_eq!(device.admin_status(set(0x04, select, &[])), INVALID_FIELD);
        let command = get_selected(0x04, CURRENT, select);
        assert_eq!(device.admin_status(command), INVALID_FIELD);
    }
}

struct Cool;

impl Health for Cool {
    fn report(&mut self, _: ControllerId) -> HealthReport {
        HealthReport::healthy()
    }
    fn warning_temperature(&self) -> u16 {
        303
    }
}

#[test]
fn the_default_threshold_is_that_of_the_health_source() {
    let mut device = Device::reference(Parts::new(Cool));
    assert_eq!(threshold(&mut device, DEFAULT, 0), 303);
    assert_eq!(warnings(&mut device), [TOO_HOT; 3]);
}

/// Does not say from which temperature on it is too hot.
struct Silent;

impl Health for Silent {
    fn report(&mut self, _: ControllerId) -> HealthReport {
        HealthReport::healthy()
    }
    fn warning_temperature(&self) -> u16 {
        0
    }
}

#[test]
fn a_warning_temperature_that_is_not_reported_is_no_threshold() {
    let mut device = Device::reference(Parts::new(Silent));
    assert_eq!(warnings(&mut device), [0; 3]);
    assert_eq!(threshold(&mut device, DEFAULT, 0), 0xFFFF);
    device.admin_ok(set(0x04, UNDER | 280, &[]));
    assert_eq!(warnings(&mut device), [0; 3]);
    device.admin_ok(set(0x04, 303, &[]));
    assert_eq!(warnings(&mut device), [TOO_HOT; 3]);
}

#[test]
fn a_reset_brings_default_thresholds_back() {
    let mut device = device();
    device.admin_ok(set(0x04, 300, &[]));
    device.inner.reset_subsystem();
    assert_eq!(threshold(&mut device, CURRENT, 0), 343);
    assert_eq!(warnings(&mut device), [0; 3]);
}

// Timestamp.

const JULY_2026: [u8; 8] = [0x00, 0xE4, 0xF1, 0xB8, 0x9F, 0x01, 0, 0];

#[test]
fn a_controller_level_reset_brings_the_defaults_of_that_controller_back() {
    let mut device = device();
    let of_other = |command| Admin {
        controller: 1,
        ..command
    };
    for command in [set(0x04, 300, &[]), of_other(set(0x04, 300, &[]))] {
        device.admin_ok(command);
    }
    device.inner.reset_controller(ControllerId(0)).unwrap();
    assert_eq!(device.admin_ok(get(0x04)).0, 343);
    assert_eq!(device.admin_ok(of_other(get(0x04))).0, 300);
}

#[test]
fn a_timestamp_counts_on_from_where_it_was_set() {
    let mut device = device();
    device.now = Instant::from_millis(5_000);
    device.admin_ok(set(0x0E, 0, &JULY_2026));
    let (value, data) = device.admin_ok(get(0x0E));
    assert_eq!(value, 0);
    assert_eq!(data[..6], JULY_2026[..6]);
    assert_eq!(data[6..], [0b0010, 0], "it was set");
    device.now = Instant::from_millis(5_321);
    let (_, data) = device.admin_ok(get(0x0E));
    assert_eq!(field(&data, 0, 6), field(&JULY_2026, 0, 6) + 321);
}

#[test]
fn a_timestamp_that_was_not_set_counts_from_the_start() {
    let mut device = device();
    device.now = Instant::from_millis(77);
    let (_, data) = device.admin_ok(get(0x0E));
    assert_eq!(data, [77, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_default_timestamp_is_zero() {
    let mut device = device();
    device.now = Instant::from_millis(77);
    device.admin_ok(set(0x0E, 0, &JULY_2026));
    for select in [DEFAULT, SAVED] {
        let (_, data) = device.admin_ok(get_selected(0x0E, select, 0));
        assert_eq!(data, [0; 8]);
    }
}

#[test]
fn a_timestamp_has_48_bits() {
    let mut device = device();
    device.admin_ok(set(0x0E, 0, &[0xFF; 8]));
    device.now = Instant::from_millis(2);
    let (_, data) = device.admin_ok(get(0x0E));
    assert_eq!(data, [1, 0, 0, 0, 0, 0, 0b0010, 0]);
}

#[test]
fn a_timestamp_has_8_bytes() {
    let mut device = device();
    for length in [0, 4, 12, 4096] {
        let data = vec![0; length];
        assert_eq!(device.admin(set(0x0E, 0, &data)), [6, 0, 0, 0]);
    }
    let command = Admin {
        flags: 1,
        length: 8,
        ..get(0x0E)
    };
    assert_eq!(device.admin_ok(command).1.len(), 8);
    let longer = Admin {
        length: 12,
        ..command
    };
    assert_eq!(device.admin(longer), [4, 0, 32, 0]);
    let part = Admin {
        offset: 4,
        length: 4,
        ..command
    };
    assert_eq!(device.admin_ok(part).1.len(), 4);
}

#[test]
fn data_are_taken_from_a_requester_that_does_not_say_how_much_it_sends() {
    let mut device = device();
    let command = Admin {
        flags: 0,
        length: 0,
        ..set(0x0E, 0, &JULY_2026)
    };
    device.admin_ok(command);
    assert_eq!(device.admin_ok(get(0x0E)).1[..6], JULY_2026[..6]);
}

#[test]
fn a_timestamp_stays_through_a_reset() {
    let mut device = device();
    device.admin_ok(set(0x0E, 0, &JULY_2026));
    device.inner.reset_subsystem();
    assert_eq!(device.admin_ok(get(0x0E)).1[..6], JULY_2026[..6]);
}

// Metadata.

const REPLACE: u32 = 0;
const DELETE: u32 = 1 << 13;
const ADD: u32 = 2 << 13;

/// Metadata with these types and values.
fn metadata(elements: &[(u8, &str)]) -> Vec<u8> {
    let mut data = vec![elements.len() as u8, 0];
    for (kind, value) in elements {
        data.extend([*kind, 0]);
        data.extend((value.len() as u16).to_le_bytes());
        data.extend(value.bytes());
    }
    data.resize(4096, 0);
    data
}

fn of_namespace(command: Admin<'_>, namespace: u32) -> Admin<'_> {
    Admin {
        namespace,
        ..command
    }
}

/// All metadata of a feature, of controller 0 or namespace 1.
fn metadata_of(device: &mut Device<impl World>, id: u8) -> Vec<u8> {
    let namespace = u32::from(id == 0x7F);
    let (value, data) = device.admin_ok(of_namespace(get(id), namespace));
    assert_eq!((value, data.len()), (0, 4096));
    data
}

fn set_metadata(device: &mut Device<impl World>, id: u8, action: u32, elements: &[(u8, &str)]) {
    let namespace = u32::from(id == 0x7F);
    let data = metadata(elements);
    device.admin_ok(of_namespace(set(id, action, &data), namespace));
}

#[test]
fn metadata_are_empty_at_first_and_by_default() {
    let mut device = device();
    for id in [0x7D, 0x7E, 0x7F] {
        assert_eq!(metadata_of(&mut device, id), [0; 4096]);
        set_metadata(&mut device, id, REPLACE, &[(1, "Linux")]);
        for select in [DEFAULT, SAVED] {
            let command = of_namespace(get_selected(id, select, 0), u32::from(id == 0x7F));
            assert_eq!(device.admin_ok(command).1, [0; 4096]);
        }
    }
}

#[test]
fn elements_are_added_replaced_and_deleted_by_type() {
    let mut device = device();
    for id in [0x7D, 0x7E, 0x7F] {
        let elements = [(1, "Linux"), (2, "nvme"), (3, "6.1")];
        set_metadata(&mut device, id, REPLACE, &elements);
        assert_eq!(metadata_of(&mut device, id), metadata(&elements));
        set_metadata(&mut device, id, REPLACE, &[(2, "nvme_tcp")]);
        let replaced = [(1, "Linux"), (3, "6.1"), (2, "nvme_tcp")];
        assert_eq!(metadata_of(&mut device, id), metadata(&replaced));
        set_metadata(&mut device, id, DELETE, &[(1, ""), (9, "")]);
        assert_eq!(metadata_of(&mut device, id), metadata(&replaced[1..]));
    }
}

#[test]
fn enhanced_metadata_can_have_several_elements_of_a_type() {
    let mut device = device();
    let elements = [(5, "one"), (5, "two")];
    set_metadata(&mut device, 0x7D, ADD, &elements);
    assert_eq!(metadata_of(&mut device, 0x7D), metadata(&elements));
    set_metadata(&mut device, 0x7D, REPLACE, &[(5, "three")]);
    assert_eq!(metadata_of(&mut device, 0x7D), metadata(&[(5, "three")]));
    set_metadata(&mut device, 0x7D, ADD, &elements);
    set_metadata(&mut device, 0x7D, DELETE, &[(5, "")]);
    assert_eq!(metadata_of(&mut device, 0x7D), [0; 4096]);
}

#[test]
fn other_metadata_have_one_element_of_a_type() {
    let mut device = device();
    let data = metadata(&[(5, "one")]);
    for id in [0x7E, 0x7F] {
        let command = of_namespace(set(id, ADD, &data), u32::from(id == 0x7F));
        assert_eq!(device.admin_status(command), INVALID_FIELD);
        let command = of_namespace(set(id, 3 << 13, &data), u32::from(id == 0x7F));
        assert_eq!(device.admin_status(command), INVALID_FIELD);
    }
}

#[test]
fn metadata_features_are_apart() {
    let mut device = device();
    set_metadata(&mut device, 0x7D, REPLACE, &[(1, "enhanced")]);
    set_metadata(&mut device, 0x7F, REPLACE, &[(1, "namespace")]);
    assert_eq!(metadata_of(&mut device, 0x7E), [0; 4096]);
    let other = Admin {
        controller: 1,
        ..get(0x7D)
    };
    assert_eq!(device.admin_ok(other).1, [0; 4096]);
}

#[test]
fn metadata_of_a_namespace_need_an_active_one() {
    let mut device = device();
    let data = metadata(&[(1, "one")]);
    for (namespace, expected) in [
        (0, INVALID_NAMESPACE),
        (2, INVALID_FIELD),
        (3, INVALID_FIELD),
        (5, INVALID_NAMESPACE),
        (ALL, INVALID_FIELD),
    ] {
        let command = of_namespace(set(0x7F, REPLACE, &data), namespace);
        assert_eq!(device.admin_status(command), expected);
        let command = of_namespace(get(0x7F), namespace);
        assert_eq!(device.admin_status(command), expected);
    }
}

#[test]
fn metadata_of_a_namespace_are_the_same_for_its_controllers_and_go_with_it() {
    let mut device = device();
    set_metadata(&mut device, 0x7F, REPLACE, &[(1, "mine")]);
    let other = Admin {
        controller: 1,
        ..of_namespace(get(0x7F), 1)
    };
    assert_eq!(device.admin_ok(other).1, metadata(&[(1, "mine")]));
    let model = device.model();
    model
        .attach_namespace(NamespaceId(2), ControllerId(0))
        .unwrap();
    let command = of_namespace(get(0x7F), 2);
    assert_eq!(device.admin_ok(command).1, [0; 4096]);
}

#[test]
fn an_element_that_does_not_end_changes_nothing() {
    let mut device = device();
    set_metadata(&mut device, 0x7E, REPLACE, &[(1, "before")]);
    for (count, elements) in [
        (2, [1, 0, 1, 0, b'x', 2, 0, 2, 0, b'y']),
        (2, [1, 0, 0, 0, 2, 0, 0xFF, 0xFF, 0, 0]),
        (2, [1, 0, 6, 0, 0, 0, 0, 0, 0, 0]),
        (255, [0; 10]),
    ] {
        let data = [&[count, 0], &elements[..]].concat();
        let status = device.admin_status(set(0x7E, REPLACE, &data));
        assert_eq!(status, INVALID_FIELD);
        assert_eq!(metadata_of(&mut device, 0x7E), metadata(&[(1, "before")]));
    }
}

#[test]
fn metadata_beyond_what_there_is_room_for_change_nothing() {
    let mut device = device();
    let text = "01234".repeat(15);
    set_metadata(&mut device, 0x7E, REPLACE, &[(1, &text)]);
    let data = metadata(&[(2, "x")]);
    let status = device.admin_status(set(0x7E, REPLACE, &data));
    assert_eq!(status, INVALID_FIELD);
    assert_eq!(metadata_of(&mut device, 0x7E), metadata(&[(1, &text)]));
    set_metadata(&mut device, 0x7E, REPLACE, &[(1, &text)]);
}

#[test]
fn metadata_without_their_count_have_a_wrong_size() {
    let unsaid = |data| Admin {
        flags: 0,
        length: 0,
        ..set(0x7E, REPLACE, data)
    };
    let mut device = device();
    assert_eq!(device.admin(unsaid(&[])), [6, 0, 0, 0]);
    assert_eq!(device.admin(unsaid(&[0])), [6, 0, 0, 0]);
    assert_eq!(device.admin_ok(unsaid(&[0, 0])), (0, vec![]));
}

#[test]
fn metadata_may_end_with_the_last_element() {
    let mut device = device();
    let data = metadata(&[(1, "ab")]);
    device.admin_ok(set(0x7E, REPLACE, &data[..8]));
    assert_eq!(metadata_of(&mut device, 0x7E), data);
}

#[test]
fn a_reset_forgets_the_metadata_of_controllers_only() {
    let mut device = device();
    for id in [0x7D, 0x7E, 0x7F] {
        set_metadata(&mut device, id, REPLACE, &[(1, "x")]);
    }
    device.inner.reset_subsystem();
    assert_eq!(metadata_of(&mut device, 0x7D), [0; 4096]);
    assert_eq!(metadata_of(&mut device, 0x7E), [0; 4096]);
    assert_eq!(metadata_of(&mut device, 0x7F), metadata(&[(1, "x")]));
}
