//! The bytes that the kernel is sent, and those that it answers.

use super::*;

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    super::u16_at(bytes, offset).unwrap()
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

#[test]
fn link_up_sets_and_masks_only_the_up_flag() {
    let bytes = encode(
        Change::LinkState {
            interface_index: 7,
            up: true,
        },
        1,
    );
    assert_eq!(bytes.len(), 32);
    assert_eq!(u32_at(&bytes, 0), 32);
    assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6)), (16, 5));
    assert_eq!(
        (u32_at(&bytes, 20), u32_at(&bytes, 24), u32_at(&bytes, 28)),
        (7, 1, 1)
    );
}

#[test]
fn link_down_clears_the_up_flag() {
    let bytes = encode(
        Change::LinkState {
            interface_index: 7,
            up: false,
        },
        1,
    );
    assert_eq!((u32_at(&bytes, 24), u32_at(&bytes, 28)), (0, 1));
}

#[test]
fn mtu_is_a_four_byte_attribute_and_leaves_the_flags_alone() {
    let bytes = encode(
        Change::LinkMtu {
            interface_index: 7,
            mtu: 251,
        },
        1,
    );
    assert_eq!((u32_at(&bytes, 24), u32_at(&bytes, 28)), (0, 0));
    assert_eq!(
        (u16_at(&bytes, 32), u16_at(&bytes, 34), u32_at(&bytes, 36)),
        (8, 4, 251)
    );
}

#[test]
fn one_byte_attributes_are_padded_but_count_their_own_length() {
    let bytes = encode(
        Change::AddAddress {
            interface_index: 7,
            endpoint_id: 8,
        },
        1,
    );
    assert_eq!(bytes.len(), 32);
    assert_eq!(bytes[16], 45);
    assert_eq!((u16_at(&bytes, 24), u16_at(&bytes, 26)), (5, 2));
    assert_eq!(bytes[28..], [8, 0, 0, 0]);
}

#[test]
fn route_names_the_endpoint_id_and_the_interface() {
    let bytes = encode(
        Change::AddRoute {
            interface_index: 7,
            endpoint_id: 9,
            mtu: None,
        },
        2,
    );
    assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
    assert_eq!((u16_at(&bytes, 4), u32_at(&bytes, 8)), (24, 2));
    assert_eq!((bytes[16], bytes[23]), (45, 1));
    assert_eq!(
        (u16_at(&bytes, 28), u16_at(&bytes, 30), bytes[32]),
        (5, 1, 9)
    );
    assert_eq!(
        (u16_at(&bytes, 36), u16_at(&bytes, 38), u32_at(&bytes, 40)),
        (8, 4, 7)
    );
}

/// Linux `rtnetlink(7)`: the metrics are nested attributes, of which 2 is the MTU.
#[test]
fn mtu_of_a_route_is_nested_in_its_metrics() {
    let add = |mtu| Change::AddRoute {
        interface_index: 7,
        endpoint_id: 9,
        mtu,
    };
    let without = encode(add(None), 2);
    let bytes = encode(add(Some(68)), 2);
    assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
    assert_eq!(bytes[4..without.len()], without[4..]);
    let metrics = &bytes[without.len()..];
    assert_eq!((u16_at(metrics, 0), u16_at(metrics, 2)), (12, 0x8008));
    assert_eq!((u16_at(metrics, 4), u16_at(metrics, 6)), (8, 2));
    assert_eq!((u32_at(metrics, 8), metrics.len()), (68, 12));
}

/// `rtm_dst_len` 3 is the extent of four endpoint IDs; no interface; the gateway is in the
/// default network (Linux `include/uapi/linux/mctp.h` and `net/mctp/route.c`).
#[cfg(target_endian = "little")]
#[test]
fn gateway_route_has_the_bytes_that_linux_parses() {
    let add = Change::AddGatewayRoute {
        first: 10,
        last: 13,
        gateway: 9,
        mtu: 68,
    };
    let remove = Change::RemoveGatewayRoute {
        first: 10,
        last: 13,
        gateway: 9,
    };
    let body = [
        0x2d, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, // struct rtmsg
        5, 0, 1, 0, 10, 0, 0, 0, // RTA_DST
        12, 0, 5, 0, 0, 0, 0, 0, 9, 0, 0, 0, // RTA_GATEWAY
    ];
    let metrics = [12, 0, 8, 0x80, 8, 0, 2, 0, 68, 0, 0, 0];
    let new_header = [60, 0, 0, 0, 24, 0, 5, 4, 3, 0, 0, 0, 0, 0, 0, 0];
    let delete_header = [48, 0, 0, 0, 25, 0, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(encode(add, 3), [&new_header[..], &body, &metrics].concat());
    assert_eq!(encode(remove, 4), [&delete_header[..], &body].concat());
}

#[test]
fn neighbour_names_the_interface_the_endpoint_id_and_the_hardware_address() {
    let bytes = encode(
        Change::AddNeighbour {
            interface_index: 7,
            endpoint_id: 9,
            hardware_address: 0x1d,
        },
        2,
    );
    assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
    assert_eq!((u16_at(&bytes, 4), u32_at(&bytes, 8)), (28, 2));
    assert_eq!((bytes[16], u32_at(&bytes, 20)), (45, 7));
    assert_eq!(
        (u16_at(&bytes, 28), u16_at(&bytes, 30), bytes[32]),
        (5, 1, 9)
    );
    assert_eq!(
        (u16_at(&bytes, 36), u16_at(&bytes, 38), bytes[40]),
        (5, 2, 0x1d)
    );
    assert_eq!(bytes.len(), 44);
}

#[test]
fn neighbour_is_removed_by_interface_and_endpoint_id() {
    let bytes = encode(
        Change::RemoveNeighbour {
            interface_index: 7,
            endpoint_id: 9,
        },
        2,
    );
    assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6)), (29, 5));
    assert_eq!((bytes[16], u32_at(&bytes, 20)), (45, 7));
    assert_eq!(bytes[28..], encode_attribute(1, 9));
}

/// One of one byte.
fn encode_attribute(kind: u16, value: u8) -> Vec<u8> {
    let mut bytes = 5u16.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([value, 0, 0, 0]);
    bytes
}

#[test]
fn answers_to_other_requests_are_skipped_and_errors_are_reported() {
    let mut bytes = vec![0; 20];
    bytes[4..6].copy_from_slice(&2u16.to_ne_bytes());
    bytes[8..12].copy_from_slice(&5u32.to_ne_bytes());
    assert!(parse_answer(&bytes, 4).is_none());
    assert!(parse_answer(&bytes, 5).unwrap().is_ok());
    bytes[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
    let error = parse_answer(&bytes, 5).unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(17));
    assert!(parse_answer(&bytes[..18], 5).is_none());
}

/// What Linux says of a gateway route, of a local endpoint ID, and of the end.
fn list_of_routes(sequence: u32) -> Vec<u8> {
    let add = Change::AddGatewayRoute {
        first: 10,
        last: 13,
        gateway: 9,
        mtu: 68,
    };
    let local = Change::AddRoute {
        interface_index: 7,
        endpoint_id: 8,
        mtu: None,
    };
    let done = Message::new(NLMSG_DONE, 0, &[0; 4]).finish(sequence);
    [encode(add, sequence), encode(local, sequence), done].concat()
}

#[test]
fn routes_are_read_until_the_end_of_the_list() {
    let gateway = Route {
        first: 10,
        last: 13,
        gateway: Some(9),
    };
    let local = Route {
        first: 8,
        last: 8,
        gateway: None,
    };
    let mut routes = Vec::new();
    let list = list_of_routes(5);
    assert!(parse_routes(&list, 5, &mut routes).unwrap());
    assert_eq!(routes, [gateway, local]);
    routes.clear();
    assert!(!parse_routes(&list[..60], 5, &mut routes).unwrap());
    assert_eq!(routes, [gateway]);
    routes.clear();
    assert!(!parse_routes(&list, 6, &mut routes).unwrap());
    assert!(routes.is_empty());
}

#[test]
fn list_that_is_cut_off_or_damaged_is_read_without_a_panic() {
    let list = list_of_routes(5);
    for end in 0..list.len() {
        let mut routes = Vec::new();
        assert!(
            !parse_routes(&list[..end], 5, &mut routes).unwrap(),
            "{end}"
        );
    }
    for position in 0..list.len() {
        for value in [0, 1, 0xff] {
            let mut damaged = list.clone();
            damaged[position] = value;
            let mut routes = Vec::new();
            let _ = parse_routes(&damaged, 5, &mut routes);
            assert!(routes.len() <= 2);
        }
    }
}

#[test]
fn refused_list_is_an_error() {
    let refusal = Message::new(NLMSG_ERROR, 0, &(-95i32).to_ne_bytes()).finish(5);
    let error = parse_routes(&refusal, 5, &mut Vec::new()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(95));
}

#[test]
fn routes_are_asked_for_as_a_list() {
    let bytes = encode_get_routes(4);
    assert_eq!((bytes.len(), u32_at(&bytes, 0)), (28, 28));
    assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6)), (26, 0x305));
    assert_eq!((u32_at(&bytes, 8), bytes[16]), (4, 45));
}
