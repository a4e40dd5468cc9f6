//! Routing Information Update and Get Routing Table Entries (DSP0236 1.3.3, sections 12.12 and
//! 12.13).

use mctp_router::{BridgeConfig, BridgePort, PortId, Route, RouteOrigin};
use mctp_transport::{Eid, PhysicalAddress};

use crate::device::{Device, FIRST, I2C, PORTS, SECOND, SERIAL, UPSTREAM, eid};
use crate::support::{HOST, NETWORK, POINT_TO_POINT};

const ERROR: u8 = 1;
const INVALID_DATA: u8 = 2;
const INVALID_LENGTH: u8 = 3;
const UNSUPPORTED: u8 = 5;
const INSUFFICIENT_SPACE: u8 = 0x80;

/// A bridge whose bus owner is on the I2C bus, at [`FIRST`].
fn below_i2c() -> Device {
    const PORTS_BELOW: [BridgePort; 3] = PORTS;
    let mut device = Device::new(&BridgeConfig::bridge(I2C, 4, &PORTS_BELOW));
    let owner = (I2C, FIRST);
    assert_eq!(device.ask_from(owner, HOST, &[1, 0, 9]), [0, 1, 9, 4]);
    assert_eq!(device.ask_from(owner, HOST, &[8, 0, 4, 10]), [0, 0, 4, 10]);
    device
}

fn add_route(device: &mut Device, first: u8, last: u8, port: PortId, address: PhysicalAddress) {
    let route = Route::new(Eid(first), Eid(last), port, address);
    assert!(device.core.add_route(route));
}

/// The pages of the routing table: entries as bytes.
#[track_caller]
fn table(device: &mut Device) -> Vec<Vec<u8>> {
    let (mut entries, mut handle) = (Vec::new(), 0);
    loop {
        let page = device.ask(&[0x0A, handle]);
        assert_eq!(page[0], 0);
        assert!(page.len() <= 61);
        let mut rest = &page[3..];
        for _ in 0..page[2] {
            let len = 6 + usize::from(rest[5]);
            entries.push(rest[..len].to_vec());
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "whole entries");
        match page[1] {
            0xFF => return entries,
            next => assert!(next > handle, "paging ends"),
        }
        handle = page[1];
    }
}

#[test]
fn the_bus_owner_tells_routes_on_its_bus() {
    let mut device = below_i2c();
    let owner = (I2C, FIRST);
    // An endpoint, a bridge with what is behind it, a bridge alone, what is behind that one.
    let update = [
        &[9, 4][..],
        &[0, 1, 30, 0x40],
        &[0xF1, 3, 40, 0x42],
        &[2, 1, 50, 0x44],
        &[3, 2, 60, 0x44],
    ]
    .concat();
    assert_eq!(device.ask_from(owner, HOST, &update), [0]);
    for (endpoint_id, address) in [(30, 0x20), (40, 0x21), (42, 0x21), (50, 0x22), (61, 0x22)] {
        let way = (I2C, PhysicalAddress::from_byte(address));
        assert_eq!(device.way_to(endpoint_id), Some(way), "{endpoint_id}");
    }
    assert_eq!((device.way_to(43), device.way_to(62)), (None, None));
    let mut routes = device.core.routes(NETWORK);
    assert!(routes.all(|route| route.origin == RouteOrigin::Dynamic));
}

#[test]
fn without_addresses_on_the_bus_an_entry_has_three_bytes() {
    let mut device = Device::assigned();
    assert_eq!(device.ask(&[9, 2, 0, 1, 30, 3, 4, 40]), [0]);
    for endpoint_id in [30, 40, 43] {
        assert_eq!(device.way_to(endpoint_id), Some((UPSTREAM, POINT_TO_POINT)));
    }
    assert_eq!(device.ask(&[9, 0]), [0]);
    assert_eq!(device.ask(&[9, 1, 0, 1, 50, 0]), [INVALID_LENGTH]);
    for request in [&[9][..], &[9, 2, 0, 1, 50], &[9, 1, 0, 1]] {
        assert_eq!(device.ask(request), [INVALID_LENGTH]);
    }
    assert_eq!(device.way_to(50), None);
}

#[test]
fn only_the_bus_owner_may_tell_routes() {
    let mut device = below_i2c();
    let update = [9, 1, 0, 1, 30, 0x40];
    assert_eq!(device.ask_from((I2C, SECOND), HOST, &update), [ERROR]);
    let update = [9, 1, 0, 1, 30];
    assert_eq!(device.ask(&update), [ERROR]);
    assert_eq!(device.way_to(30), None);
    let mut topmost = Device::new(&BridgeConfig::bus_owner(eid(20), eid(29), &PORTS));
    assert!(topmost.core.set_static_endpoint_id(NETWORK, eid(8)));
    assert_eq!(topmost.ask(&update), [UNSUPPORTED]);
}

#[test]
fn a_request_with_an_illegal_entry_teaches_nothing() {
    let illegal = [
        [4, 1, 40],
        [0, 0, 40],
        [0, 2, 40],
        [2, 2, 40],
        [0, 1, 7],
        [0, 1, 255],
        [3, 10, 250],
    ];
    for entry in illegal {
        let mut device = Device::assigned();
        let update = [&[9, 2, 0, 1, 30], &entry[..]].concat();
        assert_eq!(device.ask(&update), [INVALID_DATA], "{entry:?}");
        assert_eq!(device.way_to(30), None);
    }
}

#[test]
fn routes_into_the_own_pool_are_left_out() {
    let mut device = Device::assigned();
    let update = [9, 4, 1, 5, 9, 0, 1, 13, 3, 247, 8, 0, 1, 14];
    assert_eq!(device.ask(&update), [0]);
    for endpoint_id in [9, 10, 13, 30] {
        assert_eq!(device.way_to(endpoint_id), None, "{endpoint_id}");
    }
    assert_eq!(device.way_to(14), Some((UPSTREAM, POINT_TO_POINT)));
}

#[test]
fn an_update_that_finds_no_room_says_so_and_keeps_what_fitted() {
    let mut device = Device::assigned();
    let mut learnt = 1;
    let answer = loop {
        let answer = device.ask(&[9, 1, 0, 1, 100 + learnt]);
        if answer != [0] {
            break answer;
        }
        learnt += 1;
    };
    assert_eq!(answer, [INSUFFICIENT_SPACE]);
    assert_eq!(learnt, 24, "with the route to the bus owner");
    assert_eq!(device.ask(&[9, 1, 0, 1, 101]), [0], "the same once more");
}

#[test]
fn the_table_shows_the_bridge_and_every_route() {
    let mut device = Device::assigned();
    assert_eq!(device.ask(&[9, 2, 1, 3, 40, 2, 1, 50]), [0]);
    add_route(&mut device, 10, 10, I2C, FIRST);
    add_route(&mut device, 11, 12, SERIAL, POINT_TO_POINT);
    let expected: [&[u8]; 6] = [
        // Size, first, kind and port, binding, medium, address size, address.
        &[1, 9, 0x80, 3, 0x11, 0],
        &[1, HOST, 0x80, 3, 0x11, 0],
        &[3, 40, 0x40, 3, 0x11, 0],
        &[1, 50, 0x80, 3, 0x11, 0],
        &[1, 10, 0x21, 1, 3, 1, 0x3A],
        &[2, 11, 0xE2, 5, 0x24, 0],
    ];
    assert_eq!(table(&mut device), expected);
    assert!(device.core.set_static_endpoint_id(NETWORK, eid(9)));
    assert_eq!(table(&mut device)[0], [1, 9, 0xA0, 3, 0x11, 0]);
}

#[test]
fn a_bridge_without_endpoint_id_or_routes_has_an_empty_table() {
    let mut device = Device::bridge();
    assert_eq!(device.ask(&[0x0A, 0]), [0, 0xFF, 0]);
    add_route(&mut device, 10, 10, I2C, FIRST);
    assert_eq!(table(&mut device), [[1, 10, 0x21, 1, 3, 1, 0x3A]]);
}

#[test]
fn a_topmost_bus_owner_has_its_own_entry_and_those_of_its_routes() {
    let mut device = Device::new(&BridgeConfig::bus_owner(eid(20), eid(29), &PORTS));
    assert!(device.core.set_static_endpoint_id(NETWORK, eid(8)));
    assert_eq!(table(&mut device), [[1, 8, 0xA0, 3, 0x11, 0]]);
}

#[test]
fn a_page_has_whole_entries_and_the_next_handle_goes_on() {
    let mut device = Device::assigned();
    for endpoint_id in 100..120 {
        add_route(&mut device, endpoint_id, endpoint_id, I2C, FIRST);
    }
    let page = device.ask(&[0x0A, 0]);
    // Two entries of six bytes, six of seven: 54 of 58 bytes.
    assert_eq!((page.len(), page[1], page[2]), (3 + 54, 8, 8));
    let first: Vec<u8> = table(&mut device).iter().map(|entry| entry[1]).collect();
    let expected: Vec<u8> = [9, HOST].into_iter().chain(100..120).collect();
    assert_eq!(first, expected);
}

#[test]
fn handles_that_are_none_are_invalid() {
    let mut device = Device::assigned();
    for handle in [2, 3, 254, 255] {
        assert_eq!(device.ask(&[0x0A, handle]), [INVALID_DATA], "{handle}");
    }
    assert_eq!(device.ask(&[0x0A, 1])[..3], [0, 0xFF, 1]);
    for request in [&[0x0A][..], &[0x0A, 0, 0]] {
        assert_eq!(device.ask(request), [INVALID_LENGTH]);
    }
}
