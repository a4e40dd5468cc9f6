//! Allocate Endpoint IDs (DSP0236 1.3.3, section 12.11, table 23).

use mctp_router::Event;
use mctp_transport::Eid;

use crate::device::{Device, FIRST, I2C, UPSTREAM};
use crate::support::{NETWORK, POINT_TO_POINT, REQUEST};

const INVALID_DATA: u8 = 2;
const INVALID_LENGTH: u8 = 3;

fn allocated(first: u8, last: u8) -> Event {
    Event::PoolAllocated {
        network: NETWORK,
        pool: Some((Eid(first), Eid(last))),
    }
}

#[test]
fn the_same_pool_is_accepted_again_and_another_one_takes_its_place() {
    let mut device = Device::assigned();
    assert_eq!(device.ask(&[8, 0, 4, 10]), [0, 0, 4, 10]);
    assert_eq!(device.events(), []);
    assert_eq!(device.ask(&[8, 0, 3, 20]), [0, 0, 3, 20]);
    assert_eq!(device.events(), [allocated(20, 22)]);
    assert_eq!(device.ask(&[8, 2, 0, 0]), [0, 0, 3, 20]);
}

#[test]
fn forced_the_same_pool_is_taken_anew_but_not_for_a_retransmission() {
    let mut device = Device::assigned();
    assert_eq!(device.ask(&[8, 1, 4, 10]), [0, 0, 4, 10]);
    assert_eq!(device.events(), [allocated(10, 13)]);
    // The same instance ID within 5 s.
    device.now += 4_999;
    assert_eq!(device.ask(&[8, 1, 4, 10]), [0, 0, 4, 10]);
    assert_eq!(device.events(), []);
    device.now += 1;
    assert_eq!(device.ask(&[8, 1, 4, 10]), [0, 0, 4, 10]);
    assert_eq!(device.events(), [allocated(10, 13)]);
    let request = |instance_id: u8| REQUEST.packet(&[0, 0x80 | instance_id, 8, 1, 4, 10]);
    for instance_id in [3, 4] {
        device.exchange(&request(instance_id));
        assert_eq!(device.events(), [allocated(10, 13)], "another request");
    }
}

#[test]
fn the_bridge_lives_with_fewer_endpoint_ids_than_it_asked_for() {
    let mut device = Device::bridge();
    device.ask(&[1, 0, 9]);
    assert_eq!(device.ask(&[8, 0, 1, 10]), [0, 0, 1, 10]);
    assert_eq!(device.ask(&[1, 0, 9]), [0, 2, 9, 4], "it still needs four");
}

#[test]
fn more_endpoint_ids_than_asked_for_are_invalid() {
    let mut device = Device::assigned();
    for operation in [0, 1] {
        assert_eq!(device.ask(&[8, operation, 5, 20]), [INVALID_DATA]);
    }
    assert_eq!(
        device.ask(&[8, 2, 5, 20]),
        [0, 0, 4, 10],
        "get looks at neither"
    );
}

#[test]
fn a_pool_of_no_endpoint_ids_is_legal() {
    let mut device = Device::assigned();
    for first in [0, 10, 0xFF] {
        assert_eq!(device.ask(&[8, 0, 0, first]), [0, 0, 0, 0]);
    }
    assert_eq!(device.ask(&[1, 0, 9]), [0, 1, 9, 4]);
    let mut device = Device::bridge();
    device.ask(&[1, 0, 9]);
    assert_eq!(device.ask(&[8, 2, 0, 0]), [0, 0, 0, 0]);
}

#[test]
fn pools_with_illegal_endpoint_ids_or_the_own_one_are_invalid() {
    let mut device = Device::assigned();
    for first in [0, 1, 7, 6, 8, 9, 252, 254, 255] {
        for operation in [0, 1] {
            let answer = device.ask(&[8, operation, 4, first]);
            assert_eq!(answer, [INVALID_DATA], "first {first}");
        }
    }
    assert_eq!(device.ask(&[8, 0, 4, 251]), [0, 0, 4, 251]);
}

#[test]
fn reserved_operations_and_other_lengths_are_refused() {
    let mut device = Device::assigned();
    assert_eq!(device.ask(&[8, 3, 4, 10]), [INVALID_DATA]);
    assert_eq!(
        device.ask(&[8, 0xFE, 0, 0]),
        [0, 0, 4, 10],
        "reserved bits are ignored"
    );
    for request in [&[8][..], &[8, 0, 4], &[8, 0, 4, 10, 0]] {
        assert_eq!(device.ask(request), [INVALID_LENGTH]);
    }
}

#[test]
fn another_bus_is_rejected_with_the_present_pool_unless_it_forces() {
    let mut device = Device::assigned();
    let below = (I2C, FIRST);
    assert_eq!(device.ask_from(below, 0x30, &[8, 0, 2, 40]), [0, 1, 4, 10]);
    assert_eq!(device.ask_from(below, 0x30, &[8, 2, 0, 0]), [0, 0, 4, 10]);
    assert_eq!(device.events(), []);
    assert_eq!(device.ask_from(below, 0x30, &[8, 1, 2, 40]), [0, 0, 2, 40]);
    assert_eq!(device.events(), [allocated(40, 41)]);
    let above = (UPSTREAM, POINT_TO_POINT);
    assert_eq!(device.ask_from(above, 8, &[8, 0, 4, 10]), [0, 1, 2, 40]);
}
