//! Resolve Endpoint ID, Query Hop and Get Network ID (DSP0236 1.3.3, sections 12.10, 12.17 and
//! 12.18).

use mctp_router::{BridgeConfig, PortConfig, Route};
use mctp_transport::Eid;

use crate::device::{BRIDGE, Device, FIRST, I2C, PORTS, SECOND, SERIAL, UPSTREAM};
use crate::support::{HOST, POINT_TO_POINT};

const ERROR: u8 = 1;
const INVALID_DATA: u8 = 2;
const INVALID_LENGTH: u8 = 3;
const UNSUPPORTED: u8 = 5;

/// An endpoint 10 and a bridge 11 with 12 behind it on the I2C bus, whose units are 128 bytes; an
/// endpoint 20 upstream.
fn populated() -> Device {
    let mut device = Device::assigned();
    device.core.configure_port(I2C, PortConfig::new(128));
    for (first, last, address) in [(10, 10, FIRST), (11, 12, SECOND)] {
        let route = Route::new(Eid(first), Eid(last), I2C, address).with_transmission_unit(128);
        assert!(device.core.add_route(route));
    }
    assert_eq!(device.ask(&[9, 1, 0, 1, 20]), [0]);
    device
}

#[test]
fn an_endpoint_on_another_bus_is_reached_by_the_bridge() {
    let mut device = populated();
    for target in [10, 11, 12] {
        assert_eq!(device.ask(&[7, target]), [0, 9], "no address on USB");
    }
    let below = (I2C, FIRST);
    for target in [HOST, 20] {
        let answer = device.ask_from(below, 10, &[7, target]);
        assert_eq!(answer, [0, 9, 0x20], "the address of the bridge there");
    }
}

#[test]
fn an_endpoint_on_the_bus_of_the_requester_is_reached_directly() {
    let mut device = populated();
    let below = (I2C, SECOND);
    assert_eq!(device.ask_from(below, 11, &[7, 10]), [0, 10, 0x3A]);
    assert_eq!(device.ask(&[7, HOST]), [0, HOST]);
    // On a link to a single neighbour, others are behind it.
    assert_eq!(device.ask(&[7, 20]), [0, HOST]);
}

#[test]
fn an_endpoint_behind_another_bridge_on_that_bus_is_reached_by_that_one() {
    let mut device = Device::assigned();
    // A bridge 40 with 41 and 42 behind it; the bridge 50 and what is behind it apart.
    assert_eq!(device.ask(&[9, 3, 1, 3, 40, 2, 1, 50, 3, 2, 60]), [0]);
    assert_eq!(device.ask(&[7, 42]), [0, 40]);
    assert_eq!(device.ask(&[7, 40]), [0, 40]);
    assert_eq!(device.ask_from((I2C, FIRST), 10, &[7, 61]), [0, 9, 0x20]);
}

#[test]
fn the_bridge_is_itself_resolved_on_each_bus() {
    let mut device = populated();
    assert_eq!(device.ask(&[7, 9]), [0, 9]);
    assert_eq!(device.ask_from((I2C, FIRST), 10, &[7, 9]), [0, 9, 0x20]);
    assert_eq!(
        device.ask_from((SERIAL, POINT_TO_POINT), 0, &[7, 9]),
        [0, 9]
    );
}

#[test]
fn an_endpoint_that_nobody_knows_is_an_error() {
    let mut device = populated();
    for target in [0, 7, 13, 99, 0xFF] {
        assert_eq!(device.ask(&[7, target]), [ERROR], "{target}");
    }
    let mut blank = Device::bridge();
    assert_eq!(blank.ask(&[7, 0]), [ERROR], "it has no endpoint ID itself");
    for request in [&[7][..], &[7, 10, 0]] {
        assert_eq!(device.ask(request), [INVALID_LENGTH]);
    }
}

#[test]
fn a_hop_names_the_target_or_the_bridge_before_it_and_both_units() {
    let mut device = populated();
    // By USB 247 bytes come in: 11 steps of 16 above 64. By I2C 128 go out: 4 steps.
    assert_eq!(device.ask(&[0x0F, 10, 4]), [0, 10, 0xFF, 0, 11, 0, 4]);
    let below = (I2C, FIRST);
    let answer = device.ask_from(below, 10, &[0x0F, HOST, 4]);
    // By I2C 250 bytes come in; 64 go out by USB.
    assert_eq!(answer, [0, HOST, 0xFF, 0, 11, 0, 0]);
    device.ask(&[9, 1, 1, 3, 40]);
    let answer = device.ask_from(below, 10, &[0x0F, 41, 0x7E]);
    assert_eq!(answer, [0, 40, 0xFF, 0, 11, 0, 0]);
}

#[test]
fn a_hop_to_the_bridge_itself_or_past_it_names_no_bridge() {
    let mut device = populated();
    assert_eq!(device.ask(&[0x0F, 9, 4]), [0, 0, 0xFF, 0, 11, 0, 11]);
    // Both are on the same bus.
    assert_eq!(device.ask(&[0x0F, 20, 4]), [0, 0, 0xFF, 0, 11, 0, 0]);
}

#[test]
fn hops_to_nowhere_are_invalid() {
    let mut device = populated();
    for target in [0, 0xFF, 7, 13, 99] {
        assert_eq!(device.ask(&[0x0F, target, 4]), [INVALID_DATA], "{target}");
    }
    for request in [&[0x0F][..], &[0x0F, 10], &[0x0F, 10, 4, 0]] {
        assert_eq!(device.ask(request), [INVALID_LENGTH]);
    }
}

#[test]
fn a_smaller_receive_unit_is_the_incoming_one() {
    let mut device = populated();
    let config = PortConfig::new(64).with_max_receive_transmission_unit(100);
    device.core.configure_port(UPSTREAM, config);
    assert_eq!(device.ask(&[0x0F, 10, 4]), [0, 10, 0xFF, 0, 2, 0, 4]);
}

#[test]
fn the_network_id_is_told_where_there_is_one() {
    let mut device = Device::new(&BRIDGE);
    assert_eq!(device.ask(&[0x0E]), [UNSUPPORTED]);
    let network_id: [u8; 16] = core::array::from_fn(|index| index as u8 + 0x30);
    let config = BridgeConfig::bridge(UPSTREAM, 4, &PORTS).with_network_id(network_id);
    let mut device = Device::new(&config);
    assert_eq!(device.ask(&[0x0E]), [&[0], &network_id[..]].concat());
    assert_eq!(device.ask(&[0x0E, 0]), [INVALID_LENGTH]);
}
