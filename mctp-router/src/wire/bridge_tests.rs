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
