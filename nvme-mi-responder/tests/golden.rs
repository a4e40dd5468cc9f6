//! Frozen messages. Do not change these: a failure here means that the responder changed for its requesters.
//!
//! Source: requests as libnvme builds them and responses computed from NVMe-MI 1.2, each with its Message Integrity Check; kept in the
//! project's notes on the specification, section 1.8.

mod support;

use nvme_mi_responder::world::{HealthReport, NotSupported, Parts};
use nvme_mi_responder::{Crc32c, PortConfig, SoftwareCrc32c};
use support::{Device, IDENTITY, PCIE_PORT, TWO_WIRE_PORT};

pub struct Golden {
    name: &'static str,
    hex: &'static str,
}

const fn golden(name: &'static str, hex: &'static str) -> Golden {
    Golden { name, hex }
}

const SUBSYSTEM_INFORMATION: Golden = golden(
    "Read DS subsys info",
    "84 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 e2 00 06 07",
);
const PORT_1: Golden = golden(
    "Read DS port 1",
    "84 08 00 00 00 00 00 00 00 00 01 01 00 00 00 00 57 04 27 d0",
);
const CONTROLLER_LIST: Golden = golden(
    "Read DS ctrl list",
    "84 08 00 00 00 00 00 00 00 00 00 02 00 00 00 00 ba df 24 77",
);
const CONTROLLER_1: Golden = golden(
    "Read DS ctrl info id 1",
    "84 08 00 00 00 00 00 00 01 00 00 03 00 00 00 00 31 cd 09 06",
);
const SUBSYSTEM_HEALTH: Golden = golden(
    "NSHSP CS=1",
    "84 08 00 00 01 00 00 00 00 00 00 00 00 00 00 80 aa ef 81 b4",
);
const GET_UNIT: Golden = golden(
    "CfgGet MTU port 1",
    "84 08 00 00 04 00 00 00 03 00 00 01 00 00 00 00 e7 b8 94 21",
);
const SET_UNIT_256: Golden = golden(
    "CfgSet MTU 256 port 1",
    "84 08 00 00 03 00 00 00 03 00 00 01 00 01 00 00 09 06 80 12",
);
const GET_FREQUENCY: Golden = golden(
    "CfgGet freq port 1",
    "84 08 00 00 04 00 00 00 01 00 00 01 00 00 00 00 a9 42 ec b3",
);
const SET_FREQUENCY_400: Golden = golden(
    "CfgSet freq 400k port 1",
    "84 08 00 00 03 00 00 00 01 02 00 01 00 00 00 00 a9 37 bf f5",
);
const GET_EVENTS: Golden = golden(
    "CfgGet AE",
    "84 08 00 00 04 00 00 00 04 00 00 00 00 00 00 00 4f d2 dc e3",
);
const ACKNOWLEDGE_EVENTS: Golden = golden(
    "CfgSet AE Ack",
    "84 08 00 00 03 00 00 00 04 00 00 00 00 00 00 00 00 00 05 00 05 97 3b dc f1",
);
const ENABLE_EVENTS: Golden = golden(
    "CfgSet AE Sync en 06h",
    "84 08 00 00 03 00 00 00 04 64 01 00 00 00 00 00 01 00 08 00 05 03 06 80 6b fc fe 7c",
);
const GET_STATE: Golden = golden("Get State slot0", "84 00 00 00 03 00 00 00 ba 2f 16 fb");
const GET_STATE_CLEAR: Golden = golden(
    "Get State CESF s1 tagA5",
    "84 01 00 00 03 a5 01 00 36 21 4b d1",
);

const REQUESTS: [Golden; 14] = [
    SUBSYSTEM_INFORMATION,
    PORT_1,
    CONTROLLER_LIST,
    CONTROLLER_1,
    SUBSYSTEM_HEALTH,
    GET_UNIT,
    SET_UNIT_256,
    GET_FREQUENCY,
    SET_FREQUENCY_400,
    GET_EVENTS,
    ACKNOWLEDGE_EVENTS,
    ENABLE_EVENTS,
    GET_STATE,
    GET_STATE_CLEAR,
];

const SUCCESS: &str = "84 88 00 00 00 00 00 00 24 55 77 22";
const INVALID_PARAMETER_8: &str = "84 88 00 00 04 00 08 00 6f a7 41 c4";
const INVALID_PARAMETER_12: &str = "84 88 00 00 04 00 0c 00 b3 c6 cb 8a";
const INVALID_OPCODE: &str = "84 88 00 00 03 00 00 00 1d dc 55 40";
const ADMIN_INVALID_CONTROLLER: &str = "84 90 00 00 04 00 06 00 10 32 ec e2";
const ADMIN_INVALID_FIELD: &str =
    "84 90 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 04 80 e3 17 7c 44";

fn bytes(hex: &str) -> Vec<u8> {
    hex.split(' ')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

#[test]
fn every_request_has_the_integrity_check_of_this_crate() {
    for request in REQUESTS {
        let message = bytes(request.hex);
        let (content, check) = message.split_last_chunk::<4>().unwrap();
        assert_eq!(
            SoftwareCrc32c.crc32c(&[content]).to_le_bytes(),
            *check,
            "{}",
            request.name
        );
    }
}

#[test]
fn every_request_gets_an_answer() {
    for request in REQUESTS {
        assert!(
            device().raw(&bytes(request.hex)).is_some(),
            "{}",
            request.name
        );
    }
}

#[test]
fn subsystem_information_of_two_ports_is_frozen() {
    let expected = [
        &bytes("84 88 00 00 00 20 00 00 01 01 02")[..],
        &[0; 29],
        &bytes("3c f8 db 52"),
    ]
    .concat();
    assert_eq!(
        device().raw(&bytes(SUBSYSTEM_INFORMATION.hex)),
        Some(expected)
    );
}

#[test]
fn a_success_without_data_is_frozen() {
    assert_eq!(
        device().raw(&bytes(SET_FREQUENCY_400.hex)),
        Some(bytes(SUCCESS))
    );
}

#[test]
fn a_transmission_unit_of_256_is_too_much_for_250_and_right_for_256() {
    assert_eq!(
        device().raw(&bytes(SET_UNIT_256.hex)),
        Some(bytes(INVALID_PARAMETER_12))
    );
    let wide = PortConfig {
        max_transmission_unit: 256,
        ..TWO_WIRE_PORT
    };
    let subsystem = Box::leak(Box::new(
        nvme_mi_responder::Subsystem::<2, 0, 0>::new(IDENTITY).unwrap(),
    ));
    subsystem.add_port(PCIE_PORT).unwrap();
    subsystem.add_port(wide).unwrap();
    let mut device = Device::of(subsystem.model(), Parts::new(HealthReport::healthy()));
    assert_eq!(device.raw(&bytes(SET_UNIT_256.hex)), Some(bytes(SUCCESS)));
}

#[test]
fn an_unknown_configuration_identifier_is_refused_as_frozen() {
    let request = support::sealed(&[0x84, 8, 0, 0, 4, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(device().raw(&request), Some(bytes(INVALID_PARAMETER_8)));
}

#[test]
fn an_unknown_opcode_is_refused_as_frozen() {
    let request = support::sealed(&[0x84, 8, 0, 0, 0x0D, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(device().raw(&request), Some(bytes(INVALID_OPCODE)));
}

#[test]
fn an_admin_command_for_no_controller_is_refused_as_frozen() {
    let mut request = vec![0x84, 0x10, 0, 0, 0x06, 1, 9, 0];
    request.resize(68, 0);
    let response = device().raw(&support::sealed(&request));
    assert_eq!(response, Some(bytes(ADMIN_INVALID_CONTROLLER)));
}

#[test]
fn an_admin_command_with_an_invalid_field_is_refused_as_frozen() {
    let mut request = vec![0x84, 0x10, 0, 0, 0x06, 1, 0, 0];
    request.resize(68, 0);
    request[44] = 0xEE;
    let response = device().raw(&support::sealed(&request));
    assert_eq!(response, Some(bytes(ADMIN_INVALID_FIELD)));
}

#[test]
fn health_of_the_reference_device_is_frozen() {
    let expected = support::sealed(&[0x84, 0x88, 0, 0, 0, 0, 0, 0, 0x38, 0x3F, 30, 3, 0, 0, 0, 0]);
    assert_eq!(device().raw(&bytes(SUBSYSTEM_HEALTH.hex)), Some(expected));
}

#[test]
fn port_controllers_and_units_of_the_reference_device_are_frozen() {
    let mut device = device();
    let mut expect = |request: &Golden, content: &[u8]| {
        let mut response = vec![0x84, 0x88, 0, 0];
        response.extend(content);
        assert_eq!(
            device.raw(&bytes(request.hex)),
            Some(support::sealed(&response)),
            "{}",
            request.name
        );
    };
    let structure = |start: &[u8]| [&[0, 32, 0, 0], start, &vec![0; 32 - start.len()]].concat();
    expect(&CONTROLLER_LIST, &[0, 6, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    expect(
        &CONTROLLER_1,
        &structure(&[0, 0, 0, 0, 0, 1, 0x11, 1, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]),
    );
    expect(&GET_UNIT, &[0, 64, 0, 0]);
    expect(&GET_FREQUENCY, &[0, 1, 0, 0]);
    let _: NotSupported = device.responder.world().vpd;
}

#[test]
fn two_wire_port_of_the_reference_device_is_frozen() {
    let response = device().raw(&bytes(PORT_1.hex)).unwrap();
    assert_eq!(response[4..9], [0, 32, 0, 0, 2]);
    assert_eq!(response[10..21], [250, 0, 0, 0, 0, 0, 0x53, 2, 0x1D, 3, 0]);
    assert_eq!(response[21..40], [0; 19]);
}
