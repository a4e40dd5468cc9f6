//! What bridges and bus owners say. Vectors are written by hand after DSP0236 1.3.3; each names its
//! section and table.

use zerocopy::IntoBytes;

use super::*;

// 01h, Set Endpoint ID: section 12.4, table 14. 02h, Get Endpoint ID: section 12.5, table 15.

#[test]
fn the_answer_of_a_bridge_to_set_endpoint_id_says_whether_it_needs_a_pool() {
    let pools = [
        PoolStatus::NoPool,
        PoolStatus::NeedsPool,
        PoolStatus::HasPool,
        PoolStatus::Reserved,
    ];
    for (number, pool) in (0..).zip(pools) {
        let (accepted, rejected) = (
            SetEndpointIdStatus::accepted(pool),
            SetEndpointIdStatus::rejected(pool),
        );
        assert_eq!((accepted.0, rejected.0), (number, 0x10 | number));
        assert_eq!(accepted.assignment(), AssignmentStatus::Accepted);
        assert_eq!(rejected.assignment(), AssignmentStatus::Rejected);
        let reserved_bits_set = SetEndpointIdStatus(0xCC | number);
        assert_eq!(reserved_bits_set.pool(), pool);
        assert_eq!(reserved_bits_set.has_pool(), number != 0);
    }
    let accepted = SetEndpointIdStatus::accepted(PoolStatus::NoPool);
    assert_eq!(accepted, SetEndpointIdStatus::ACCEPTED);
    // What a bridge answers that mctpd gives a pool of 4.
    let answer = SetEndpointIdResponse {
        status: SetEndpointIdStatus::accepted(PoolStatus::NeedsPool),
        endpoint_id: 9,
        pool_size: 4,
    };
    assert_eq!(answer.as_bytes(), [0x01, 0x09, 0x04]);
}

#[test]
fn the_endpoint_type_of_a_bridge_has_bit_4() {
    let dynamic = EndpointType::bridge(EndpointIdType::Dynamic);
    assert_eq!(dynamic, EndpointType(0x10));
    assert!(dynamic.is_bus_owner_or_bridge() && !dynamic.is_simple());
    assert_eq!(dynamic.id_type(), EndpointIdType::Dynamic);
}

// 08h, Allocate Endpoint IDs: section 12.11, table 23.

#[test]
fn allocate_endpoint_ids_has_operation_count_and_first_endpoint_id() {
    let request = AllocateEndpointIdsRequest {
        operation: AllocationOperation::ALLOCATE,
        count: 4,
        first: 10,
    };
    assert_eq!(request.as_bytes(), [0x00, 0x04, 0x0A]);
    let parsed = AllocateEndpointIdsRequest::parse(&[0x00, 0x04, 0x0A]);
    assert_eq!(parsed, Ok(&request));
    let operations = [
        AllocationOperation::ALLOCATE,
        AllocationOperation::FORCE,
        AllocationOperation::GET_INFORMATION,
    ];
    for (number, operation) in (0..).zip(operations) {
        assert_eq!(operation.0, number);
        let reserved_bits_set = AllocationOperation(0xFC | number);
        assert_eq!(reserved_bits_set.without_reserved(), operation);
    }
}

#[test]
fn the_answer_to_allocate_endpoint_ids_has_status_size_and_first_endpoint_id() {
    let response = AllocateEndpointIdsResponse {
        status: AllocationStatus::REJECTED,
        pool_size: 4,
        first: 10,
    };
    assert_eq!(response.as_bytes(), [0x01, 0x04, 0x0A]);
    let parsed = AllocateEndpointIdsRequest::parse_response(&[0x01, 0x04, 0x0A]);
    assert_eq!(parsed, Ok(&response));
    let statuses = [AllocationStatus::ACCEPTED, AllocationStatus::REJECTED];
    for (number, status) in (0..).zip(statuses) {
        let reserved_bits_set = AllocationStatus(0xFC | number);
        assert_eq!(reserved_bits_set.without_reserved(), status);
    }
}

// 09h, Routing Information Update: section 12.12, tables 24 and 25.

/// Endpoint 8 at I2C address 10h, bridge 9 with 10 to 13 at 1Dh.
const UPDATE: [u8; 9] = [2, 0x00, 1, 8, 0x20, 0x01, 5, 9, 0x3A];

const UPDATE_ENTRIES: [RoutingUpdateEntry<'static>; 2] = [
    RoutingUpdateEntry {
        kind: RoutingEntryKind::ENDPOINT,
        range_size: 1,
        first: 8,
        address: &[0x20],
    },
    RoutingUpdateEntry {
        kind: RoutingEntryKind::BRIDGE_AND_RANGE,
        range_size: 5,
        first: 9,
        address: &[0x3A],
    },
];

#[test]
fn a_routing_information_update_counts_its_entries() {
    let mut update = RoutingUpdate::new();
    assert_eq!(update.as_bytes(), [0]);
    for entry in &UPDATE_ENTRIES {
        assert!(update.push(entry));
    }
    assert_eq!((update.count(), update.as_bytes()), (2, &UPDATE[..]));

    let request = RoutingInformationUpdateRequest::parse(&UPDATE).unwrap();
    assert_eq!((request.count, request.as_bytes()), (2, &UPDATE[..]));
    let entries = request.entries(1).unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.eq(UPDATE_ENTRIES));
}

#[test]
fn update_entries_on_a_point_to_point_bus_have_no_address() {
    let request = RoutingInformationUpdateRequest::parse(&[1, 0x03, 4, 10]).unwrap();
    let range = RoutingUpdateEntry {
        kind: RoutingEntryKind::RANGE,
        range_size: 4,
        first: 10,
        address: &[],
    };
    assert!(request.entries(0).unwrap().eq([range]));
    let none = RoutingInformationUpdateRequest::parse(&[0]).unwrap();
    assert_eq!(none.entries(0).unwrap().len(), 0);
}

#[test]
fn update_entries_of_another_length_are_an_invalid_length() {
    let parse = RoutingInformationUpdateRequest::parse;
    assert_eq!(parse(&[]).err(), Some(CompletionCode::INVALID_LENGTH));
    let longer = [&UPDATE[..], &[0; 8]].concat();
    for len in 1..longer.len() {
        let entries = parse(&longer[..len]).unwrap().entries(1);
        let error = (len != UPDATE.len()).then_some(CompletionCode::INVALID_LENGTH);
        assert_eq!(entries.err(), error, "{len} bytes");
    }
    for address_len in [0, 2, 3, usize::MAX] {
        let entries = parse(&UPDATE).unwrap().entries(address_len);
        assert_eq!(entries.err(), Some(CompletionCode::INVALID_LENGTH));
    }
}

#[test]
fn an_update_entry_without_room_is_left_out_whole() {
    let entry = &UPDATE_ENTRIES[0];
    let mut update = RoutingUpdate::default();
    let pushed = (0..20).filter(|_| update.push(entry)).count();
    assert_eq!((pushed, update.count()), (15, 15));
    assert_eq!(update.as_bytes().len(), 61, "1 + 15 * 4, all that fits");

    let mut update = RoutingUpdate::new();
    let without_address = RoutingUpdateEntry {
        address: &[],
        ..*entry
    };
    assert!(update.push(&without_address));
    let before = update.clone();
    let too_long = RoutingUpdateEntry {
        address: &[7; 55],
        ..*entry
    };
    assert!(!update.push(&too_long));
    assert_eq!(update, before);
    let just_fits = RoutingUpdateEntry {
        address: &[7; 54],
        ..*entry
    };
    assert!(update.push(&just_fits));
    assert_eq!(update.as_bytes().len(), 61);
}

#[test]
fn reserved_bits_of_an_update_entry_are_ignored_and_not_sent() {
    let data = [1, 0xF2, 1, 9];
    let request = RoutingInformationUpdateRequest::parse(&data).unwrap();
    let entry = request.entries(0).unwrap().next().unwrap();
    assert_eq!(entry.kind.without_reserved(), RoutingEntryKind::BRIDGE);
    let mut update = RoutingUpdate::new();
    assert!(update.push(&entry));
    assert_eq!(update.as_bytes(), [1, 0x02, 1, 9]);
    let kinds = [
        RoutingEntryKind::ENDPOINT,
        RoutingEntryKind::BRIDGE_AND_RANGE,
        RoutingEntryKind::BRIDGE,
        RoutingEntryKind::RANGE,
    ];
    for (number, kind) in (0..).zip(kinds) {
        assert_eq!(kind.0, number);
    }
}

#[test]
fn a_routing_information_update_is_answered_without_data() {
    let parse = RoutingInformationUpdateRequest::parse_response;
    assert_eq!(parse(&[]), Ok(()));
    assert_eq!(parse(&[0]), Err(InvalidResponse::Length(1)));
    assert_eq!(CompletionCode::INSUFFICIENT_SPACE.0, 0x80);
}

// Lengths of everything of one length.

/// Request and response data have these lengths and no others.
fn assert_lengths<R: Request + core::fmt::Debug>(request: usize, response: usize) {
    for len in 0..64 {
        let data = &[0; 64][..len];
        match len == request {
            true => assert_eq!(R::parse(data).unwrap().as_bytes(), data),
            false => assert_eq!(R::parse(data).unwrap_err(), CompletionCode::INVALID_LENGTH),
        }
        assert_eq!(R::parse_response(data).is_ok(), len == response, "{len}");
        if let Err(error) = R::parse_response(data) {
            assert_eq!(error, InvalidResponse::Length(len));
        }
    }
}

#[test]
fn requests_and_responses_of_another_length_are_refused() {
    assert_lengths::<AllocateEndpointIdsRequest>(3, 3);
}
