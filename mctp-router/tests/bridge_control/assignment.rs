//! Set Endpoint ID and Get Endpoint ID of a bridge (DSP0236 1.3.3, sections 12.4 and 12.5), and the
//! exchange with mctpd, the bus owner of the Linux MCTP tools.

use mctp_router::{AddBridgeError, BridgeConfig, BridgePort, BusOwner, Event, NetworkId, PortId};
use mctp_transport::Eid;

use crate::device::{
    BRIDGE, DISCOVERY_PORTS, Device, FIRST, I2C, OWN_ADDRESS, PORTS, SERIAL, UPSTREAM, eid,
};
use crate::support::{HOST, NETWORK, POINT_TO_POINT, UUID};

const INVALID_DATA: u8 = 2;
const INVALID_LENGTH: u8 = 3;
const UNSUPPORTED: u8 = 5;

/// What mctpd sends in SetupEndpoint until it allocates, and what it needs in answer.
fn set_up_by_mctpd(device: &mut Device, pool_status: u8) {
    let get_uuid = [&[0x01, 8, 9, 0xC0, 0, 4, 3, 0][..], &UUID].concat();
    let exchanges: [(&[u8], &[u8]); 5] = [
        (
            &[0x01, 0, 8, 0xC8, 0, 0x81, 1, 0, 9],
            &[0x01, 8, 0, 0xC0, 0, 1, 1, 0, pool_status, 9, 4],
        ),
        (
            &[0x01, 9, 8, 0xC8, 0, 0x82, 5],
            &[0x01, 8, 9, 0xC0, 0, 2, 5, 0, 2, 0, 0x7E],
        ),
        (
            &[0x01, 9, 8, 0xC8, 0, 0x83, 6, 0],
            &[0x01, 8, 9, 0xC0, 0, 3, 6, 0, 0xFF, 0, 0xCC, 0xDE, 0, 0],
        ),
        (&[0x01, 9, 8, 0xC8, 0, 0x84, 3], &get_uuid),
        (
            &[0x01, 9, 8, 0xC8, 0, 0x85, 8, 0, 4, 10],
            &[0x01, 8, 9, 0xC0, 0, 5, 8, 0, 0, 4, 10],
        ),
    ];
    for (request, response) in exchanges {
        assert_eq!(device.exchange(request), response, "{request:02x?}");
    }
}

#[test]
fn mctpd_gives_the_bridge_an_endpoint_id_and_a_pool() {
    let mut device = Device::bridge();
    let response = device.exchange(&[0x01, 0, 8, 0xC8, 0, 0x80, 2]);
    assert_eq!(response, [0x01, 8, 0, 0xC0, 0, 0, 2, 0, 0, 0x10, 0]);
    set_up_by_mctpd(&mut device, 1);
    let bus_owner = BusOwner {
        endpoint_id: Eid(HOST),
        port: UPSTREAM,
        address: POINT_TO_POINT,
    };
    let set = Event::EndpointIdSet {
        network: NETWORK,
        endpoint_id: Eid(9),
        bus_owner,
    };
    let allocated = Event::PoolAllocated {
        network: NETWORK,
        pool: Some((Eid(10), Eid(13))),
    };
    assert_eq!(device.events(), [set, allocated]);
}

#[test]
fn mctpd_sets_the_bridge_up_again_and_nothing_changes() {
    let mut device = Device::assigned();
    let response = device.exchange(&[0x01, 0, 8, 0xC8, 0, 0x80, 2]);
    assert_eq!(response, [0x01, 8, 9, 0xC0, 0, 0, 2, 0, 9, 0x10, 0]);
    device.now += 60_000;
    set_up_by_mctpd(&mut device, 2);
    let events = device.events();
    let is_pool = |event: &Event| matches!(event, Event::PoolAllocated { .. });
    assert!(!events.iter().any(is_pool), "{events:?}");
    assert_eq!(device.ask(&[8, 2, 0, 0]), [0, 0, 4, 10]);
}

#[test]
fn the_bridge_keeps_what_it_was_given_when_the_link_upstream_is_lost() {
    let mut device = Device::assigned();
    device.core.link_down(UPSTREAM);
    device.now += 60_000;
    device.core.link_up(UPSTREAM);
    assert_eq!(device.ask(&[2]), [0, 9, 0x10, 0]);
    assert_eq!(device.ask(&[8, 2, 0, 0]), [0, 0, 4, 10]);
    set_up_by_mctpd(&mut device, 2);
}

#[test]
fn the_bus_owner_has_a_route_as_long_as_it_has_the_endpoint_id() {
    let mut device = Device::bridge();
    let from = (UPSTREAM, POINT_TO_POINT);
    assert_eq!(device.way_to(HOST), None);
    device.ask(&[1, 0, 9]);
    assert_eq!(device.way_to(HOST), Some(from));
    device.ask_from(from, 0x50, &[1, 0, 20]);
    assert_eq!(
        (device.way_to(HOST), device.way_to(0x50)),
        (None, Some(from))
    );
    device.ask_from(from, 0, &[1, 0, 21]);
    assert_eq!(device.way_to(0x50), None, "it is only known by its address");
}

#[test]
fn a_configured_route_to_the_bus_owner_stays() {
    let mut device = Device::bridge();
    let route = mctp_router::Route::new(Eid(HOST), Eid(HOST), UPSTREAM, POINT_TO_POINT);
    assert!(device.core.add_route(route));
    device.ask(&[1, 0, 9]);
    device.ask_from((UPSTREAM, POINT_TO_POINT), 0x50, &[1, 0, 9]);
    let routes: Vec<_> = device.core.routes(NETWORK).copied().collect();
    assert!(routes.contains(&route), "{routes:?}");
}

#[test]
fn another_bus_is_rejected_with_what_is_there_unless_it_forces() {
    let mut device = Device::assigned();
    let below = (I2C, FIRST);
    assert_eq!(device.ask_from(below, 0x30, &[1, 0, 40]), [0, 0x12, 9, 4]);
    assert_eq!(device.own(), 9);
    assert_eq!(device.events(), []);
    assert_eq!(device.ask_from(below, 0x30, &[1, 1, 40]), [0, 0x02, 40, 4]);
    assert_eq!(device.own(), 40);
    // Now that is the bus which gives endpoint IDs.
    assert_eq!(device.ask(&[1, 0, 9]), [0, 0x12, 40, 4]);
    assert_eq!(device.ask_from(below, 0x30, &[1, 0, 41]), [0, 0x02, 41, 4]);
    assert_eq!(device.ask(&[1, 1, 9]), [0, 0x02, 9, 4]);
}

#[test]
fn a_bus_below_is_rejected_before_the_bus_owner_came() {
    let mut device = Device::bridge();
    let answer = device.ask_from((SERIAL, POINT_TO_POINT), 0x30, &[1, 0, 40]);
    assert_eq!(answer, [0, 0x11, 0, 4]);
    assert_eq!(device.own(), 0);
}

#[test]
fn illegal_endpoint_ids_operations_and_lengths_are_refused_on_every_bus() {
    for from in [(UPSTREAM, POINT_TO_POINT), (I2C, FIRST)] {
        let mut device = Device::assigned();
        for operation in [0, 1] {
            for endpoint_id in [0, 1, 7, 0xFF] {
                let request = [1, operation, endpoint_id];
                assert_eq!(device.ask_from(from, 0x30, &request), [INVALID_DATA]);
            }
        }
        // There is no static endpoint ID, and no discovery.
        for operation in [2, 3] {
            assert_eq!(
                device.ask_from(from, 0x30, &[1, operation, 9]),
                [INVALID_DATA]
            );
        }
        for request in [&[1][..], &[1, 0], &[1, 0, 9, 0], &[2, 0]] {
            assert_eq!(device.ask_from(from, 0x30, request), [INVALID_LENGTH]);
        }
        assert_eq!((device.own(), device.events()), (9, vec![]));
    }
}

#[test]
fn the_reserved_bits_of_the_operation_are_ignored() {
    let mut device = Device::bridge();
    assert_eq!(device.ask(&[1, 0xFC, 9]), [0, 1, 9, 4]);
}

#[test]
fn reset_goes_back_to_the_static_endpoint_id_and_get_tells_so() {
    let mut device = Device::bridge();
    assert!(device.core.set_static_endpoint_id(NETWORK, eid(20)));
    assert_eq!(device.ask(&[2]), [0, 20, 0x12, 0]);
    assert_eq!(device.ask(&[1, 0, 9]), [0, 1, 9, 4]);
    assert_eq!(device.ask(&[2]), [0, 9, 0x13, 0]);
    let below = (I2C, FIRST);
    assert_eq!(device.ask_from(below, 0x30, &[1, 2, 0]), [0, 0x11, 9, 4]);
    assert_eq!(device.ask(&[1, 2, 0]), [0, 1, 20, 4]);
    assert_eq!(device.ask(&[2]), [0, 20, 0x12, 0]);
}

#[test]
fn the_discovered_flag_is_set_where_the_binding_has_it_and_changes_no_endpoint_id() {
    let config = BridgeConfig::bridge(UPSTREAM, 4, &DISCOVERY_PORTS);
    let mut device = Device::new(&config);
    assert_eq!(device.ask(&[1, 3, 0]), [0, 1, 0, 4]);
    assert_eq!(device.ask(&[1, 0, 9]), [0, 1, 9, 4]);
    device.events();
    assert_eq!(device.ask(&[1, 3, 77]), [0, 1, 9, 4]);
    assert_eq!(device.own(), 9);
    assert_eq!(device.events(), []);
    let below = (SERIAL, POINT_TO_POINT);
    assert_eq!(device.ask_from(below, 0x30, &[1, 3, 0]), [0, 1, 9, 4]);
    assert_eq!(
        device.ask_from((I2C, FIRST), 0x30, &[1, 3, 0]),
        [INVALID_DATA]
    );
}

#[test]
fn an_endpoint_id_out_of_the_own_pool_gives_the_pool_up() {
    let mut device = Device::assigned();
    assert_eq!(device.ask(&[1, 0, 12]), [0, 1, 12, 4]);
    assert_eq!(device.ask(&[8, 2, 0, 0]), [0, 0, 0, 0]);
    let lost = Event::PoolAllocated {
        network: NETWORK,
        pool: None,
    };
    assert!(device.events().contains(&lost));
}

#[test]
fn a_bridge_that_needs_no_pool_says_so_and_supports_no_allocation() {
    let mut device = Device::new(&BridgeConfig::bridge(UPSTREAM, 0, &PORTS));
    assert_eq!(device.ask(&[1, 0, 9]), [0, 0, 9, 0]);
    assert_eq!(device.ask(&[2]), [0, 9, 0x10, 0]);
    assert_eq!(device.ask(&[8, 0, 0, 0]), [UNSUPPORTED]);
}

#[test]
fn a_topmost_bus_owner_takes_neither_endpoint_id_nor_pool() {
    let mut device = Device::new(&BridgeConfig::bus_owner(eid(20), eid(29), &PORTS));
    assert!(device.core.set_static_endpoint_id(NETWORK, eid(8)));
    for request in [
        &[1, 0, 9][..],
        &[1, 1, 9],
        &[1, 3, 0],
        &[8, 1, 4, 10],
        &[8, 2, 0, 0],
    ] {
        let answer = device.ask_from((UPSTREAM, POINT_TO_POINT), 0x30, request);
        assert_eq!(answer, [UNSUPPORTED], "{request:02x?}");
    }
    assert_eq!(device.ask(&[2]), [0, 8, 0x12, 0]);
}

#[test]
fn settings_that_do_not_fit_the_network_are_refused_in_words() {
    const NOWHERE: PortId = PortId(3);
    const WITH_NOWHERE: [BridgePort; 4] = [
        PORTS[0],
        PORTS[1],
        PORTS[2],
        BridgePort::new(NOWHERE, PORTS[0].binding, PORTS[0].medium),
    ];
    let two = &PORTS[..2];
    let cases = [
        (
            NETWORK,
            BridgeConfig::bridge(NOWHERE, 4, &PORTS),
            "port 3 is none of network 0",
        ),
        (
            NETWORK,
            BridgeConfig::bridge(UPSTREAM, 4, &WITH_NOWHERE),
            "port 3 is none of network 0",
        ),
        (NetworkId(1), BRIDGE, "port 0 is none of network 1"),
        (
            NETWORK,
            BridgeConfig::bridge(UPSTREAM, 4, two),
            "the settings do not describe port 2",
        ),
        (
            NETWORK,
            BridgeConfig::bus_owner(eid(20), eid(19), &PORTS),
            "the pool is no range of the endpoint IDs 8 to 254",
        ),
    ];
    for (network, config, expected) in cases {
        let mut device = Device::simple();
        let refused = device.add_bridge(network, &config).unwrap_err();
        assert_eq!(refused.to_string(), expected);
        assert_eq!(
            device.add_bridge(NETWORK, &BRIDGE),
            Ok(()),
            "nothing was begun"
        );
        assert_eq!(
            device.add_bridge(NETWORK, &BRIDGE),
            Err(AddBridgeError::Second)
        );
    }
    assert_eq!(PORTS[1].address, OWN_ADDRESS);
}
