//! Frozen messages. Do not change these: a failure here means that the responder changed for its
//! requesters.
//!
//! Source: requests as libnvme builds them and responses computed from NVMe-MI 1.2 and 2.0, each with
//! its Message Integrity Check; kept in the project's notes on the specification, section 1.8. (The
//! version that is reported was 1.2 and became 2.0, and smart warnings of 3Fh became FFh, before the
//! first release.)

mod support;

use nvme_mi_responder::world::HealthReport;
use nvme_mi_responder::{Crc32c, PortConfig, SoftwareCrc32c};
use support::golden::{
    CONTROLLER_1, CONTROLLER_LIST, GET_FREQUENCY, GET_UNIT, Golden, PORT_1, REQUESTS,
    SET_FREQUENCY_400, SET_UNIT_256, SUBSYSTEM_HEALTH, SUBSYSTEM_INFORMATION, bytes,
};
use support::{ADMIN, Admin, Device, IDENTITY, NotSupported, PCIE_PORT, Parts, TWO_WIRE_PORT};

const SUCCESS: &str = "84 88 00 00 00 00 00 00 24 55 77 22";
const INVALID_PARAMETER_8: &str = "84 88 00 00 04 00 08 00 6f a7 41 c4";
const INVALID_PARAMETER_12: &str = "84 88 00 00 04 00 0c 00 b3 c6 cb 8a";
const INVALID_OPCODE: &str = "84 88 00 00 03 00 00 00 1d dc 55 40";
const ADMIN_INVALID_CONTROLLER: &str = "84 90 00 00 04 00 06 00 10 32 ec e2";
const ADMIN_INVALID_FIELD: &str =
    "84 90 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 04 80 e3 17 7c 44";

fn device() -> Device<Parts<HealthReport>> {
    Device::reference(Parts::new(HealthReport::healthy()))
}

/// Responses with values that this responder chooses otherwise, and an Asynchronous Event Message.
const OTHERS: [&str; 2] = [
    "84 88 00 00 01 00 32 00 f1 dd 39 98",
    "84 28 00 00 01 00 11 00 00 07 08 09 01 00 06 00 00 00 00 02 46 30 c3 8c 02",
];

#[test]
fn every_message_has_the_integrity_check_of_this_crate() {
    let requests = REQUESTS.iter().map(Golden::bytes);
    for message in requests.chain(OTHERS.map(bytes)) {
        let (content, check) = message.split_last_chunk::<4>().unwrap();
        let computed = SoftwareCrc32c.crc32c(&[content]).to_le_bytes();
        assert_eq!(computed, *check, "{message:02x?}");
    }
}

#[test]
fn every_request_gets_an_answer() {
    for request in REQUESTS {
        assert!(device().raw(&request.bytes()).is_some(), "{}", request.name);
    }
}

#[test]
fn subsystem_information_of_two_ports_is_frozen() {
    let expected = [
        &bytes("84 88 00 00 00 20 00 00 01 02 00")[..],
        &[0; 29],
        &bytes("b9 db 44 f0"),
    ]
    .concat();
    assert_eq!(device().raw(&SUBSYSTEM_INFORMATION.bytes()), Some(expected));
}

#[test]
fn a_success_without_data_is_frozen() {
    assert_eq!(
        device().raw(&SET_FREQUENCY_400.bytes()),
        Some(bytes(SUCCESS))
    );
}

#[test]
fn a_transmission_unit_of_256_is_too_much_for_250_and_right_for_256() {
    assert_eq!(
        device().raw(&SET_UNIT_256.bytes()),
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
    assert_eq!(device.raw(&SET_UNIT_256.bytes()), Some(bytes(SUCCESS)));
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
fn an_admin_command_that_succeeds_without_data_is_frozen() {
    let identify_nothing = Admin {
        opcode: 0x06,
        dwords: [1, 0, 0, 0, 0, 0],
        ..ADMIN
    };
    let response = device()
        .raw(&support::sealed(&identify_nothing.message()))
        .unwrap();
    assert_eq!(response[..20], [&[0x84, 0x90][..], &[0; 18]].concat());
    assert_eq!(response[20..], [0x47, 0x4D, 0x00, 0x88]);
}

#[test]
fn health_of_the_reference_device_is_frozen() {
    let expected = support::sealed(&[0x84, 0x88, 0, 0, 0, 0, 0, 0, 0x38, 0xFF, 30, 3, 0, 0, 0, 0]);
    assert_eq!(device().raw(&SUBSYSTEM_HEALTH.bytes()), Some(expected));
}

#[test]
fn port_controllers_and_units_of_the_reference_device_are_frozen() {
    let mut device = device();
    let mut expect = |request: &Golden, content: &[u8]| {
        let mut response = vec![0x84, 0x88, 0, 0];
        response.extend(content);
        assert_eq!(
            device.raw(&request.bytes()),
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
    let _: NotSupported = device.world().vpd;
}

#[test]
fn two_wire_port_of_the_reference_device_is_frozen() {
    let response = device().raw(&PORT_1.bytes()).unwrap();
    assert_eq!(response[4..9], [0, 32, 0, 0, 2]);
    assert_eq!(response[10..21], [250, 0, 0, 0, 0, 0, 0x53, 2, 0x1D, 3, 0]);
    assert_eq!(response[21..40], [0; 19]);
}
