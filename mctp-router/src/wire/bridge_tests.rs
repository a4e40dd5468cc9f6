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
