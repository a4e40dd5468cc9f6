//! Bridges that are taken into service, by the sequence of mctpd.

use super::*;
use crate::fake_bridge::{FakeBridge, UUID};
use crate::transaction::fake::{Configuration, FakeKernel};

const PHYSICAL: Destination = Destination::Physical {
    interface_index: 3,
    hardware_address: None,
};
const BY_ID: Destination = Destination::EndpointId(9);
const PLAN: Plan = Plan {
    interface_index: 3,
    hardware_address: None,
    local_endpoint_id: 8,
    endpoint_id: None,
    largest_pool: pool::DEFAULT_LARGEST,
};
const POOL: Pool = Pool {
    first: 10,
    last: 13,
};

/// What came of one setup.
struct Outcome {
    result: Result<Endpoint, BusOwnerError>,
    lines: Vec<String>,
}

fn run(kernel: &mut FakeKernel, bridge: &mut FakeBridge, plan: Plan) -> Outcome {
    let mut lines = Vec::new();
    let mut report = |line: &str| lines.push(line.to_owned());
    let mut transaction = Transaction::begin(kernel, "mctpusb0", &mut report);
    let mut client = ControlClient::new(bridge);
    let result = set_up(&mut client, &mut transaction, plan);
    match result {
        Ok(_) => transaction.keep(),
        Err(_) => drop(transaction),
    }
    Outcome { result, lines }
}

fn with_routes(direct: &[u8], gateway: &[(u8, u8)]) -> Configuration {
    Configuration {
        routes: direct.iter().map(|id| (*id, None)).collect(),
        gateway_routes: gateway.iter().map(|ids| (*ids, 9)).collect(),
        ..Configuration::default()
    }
}

/// The bytes that were seen of mctpd, which ends after the sixth request.
#[test]
fn bridge_is_asked_what_mctpd_asks_in_its_order_and_with_its_bytes() {
    let mut bridge = FakeBridge::default();
    let mut kernel = FakeKernel::default();
    let endpoint = run(&mut kernel, &mut bridge, PLAN).result.unwrap();
    assert_eq!(endpoint.pool, Some(POOL));
    assert_eq!(endpoint.properties.uuid, Uuid(UUID));
    assert_eq!(kernel.configuration, with_routes(&[9], &[(10, 13)]));
    let expected: [(Destination, &[u8]); 8] = [
        (PHYSICAL, &[0x80, 0x02]),
        (PHYSICAL, &[0x81, 0x01, 0x00, 0x09]),
        (BY_ID, &[0x82, 0x05]),
        (BY_ID, &[0x83, 0x06, 0x00]),
        (BY_ID, &[0x84, 0x03]),
        (BY_ID, &[0x85, 0x08, 0x00, 0x04, 0x0a]),
        (BY_ID, &[0x86, 0x04, 0xff]),
        (BY_ID, &[0x87, 0x02]),
    ];
    assert_eq!(
        bridge.requests,
        expected.map(|(to, body)| (to, body.to_vec()))
    );
}

#[test]
fn gateway_route_is_there_before_the_bridge_is_given_its_pool() {
    // The second change is the gateway route; without it nothing is allocated.
    let mut kernel = FakeKernel {
        failing: vec![2],
        ..FakeKernel::default()
    };
    let mut bridge = FakeBridge::default();
    let outcome = run(&mut kernel, &mut bridge, PLAN);
    assert!(matches!(outcome.result, Err(BusOwnerError::Kernel(_))));
    assert!(bridge.allocations().is_empty());
    assert_eq!(kernel.configuration, Configuration::default());
}

#[test]
fn bridge_that_asks_for_more_than_is_given_is_given_less() {
    let mut bridge = FakeBridge {
        assignment: [0x01, 20],
        ..FakeBridge::default()
    };
    let mut kernel = FakeKernel::default();
    let outcome = run(&mut kernel, &mut bridge, PLAN);
    assert_eq!(
        outcome.result.unwrap().pool.map(|pool| pool.size()),
        Some(15)
    );
    assert_eq!(bridge.allocations(), [[0, 15, 10]]);
    assert_eq!(kernel.configuration, with_routes(&[9], &[(10, 24)]));
    assert!(outcome.lines[1].ends_with("asks for a pool of 20, of which 15 can be given"));

    let plan = Plan {
        largest_pool: 0,
        ..PLAN
    };
    let mut bridge = FakeBridge::default();
    let outcome = run(&mut FakeKernel::default(), &mut bridge, plan);
    assert_eq!(outcome.result.unwrap().pool, None);
    assert!(bridge.allocations().is_empty());
}

#[test]
fn pool_ends_before_the_local_endpoint_id() {
    let plan = Plan {
        local_endpoint_id: 12,
        endpoint_id: Some(9),
        ..PLAN
    };
    let mut bridge = FakeBridge::default();
    let outcome = run(&mut FakeKernel::default(), &mut bridge, plan);
    assert_eq!(outcome.result.unwrap().pool.map(|pool| pool.last), Some(11));
    assert_eq!(bridge.allocations(), [[0, 2, 10]]);
}

#[test]
fn bridge_that_has_a_pool_already_is_given_it_again() {
    let mut bridge = FakeBridge {
        assignment: [0x02, 4],
        ..FakeBridge::default()
    };
    let outcome = run(&mut FakeKernel::default(), &mut bridge, PLAN);
    assert_eq!(outcome.result.unwrap().pool, Some(POOL));
}

#[test]
fn bridge_without_a_pool_status_and_endpoint_that_is_no_bridge_get_no_pool() {
    let no_status = FakeBridge {
        assignment: [0x00, 4],
        ..FakeBridge::default()
    };
    let no_bridge = FakeBridge {
        endpoint_type: 0x00,
        ..FakeBridge::default()
    };
    for (mut bridge, line) in [
        (no_status, "no pool"),
        (no_bridge, "asks for a pool of 4, which is not given"),
    ] {
        let mut kernel = FakeKernel::default();
        let outcome = run(&mut kernel, &mut bridge, PLAN);
        assert_eq!(outcome.result.unwrap().pool, None);
        assert!(bridge.allocations().is_empty());
        assert_eq!(kernel.configuration, with_routes(&[9], &[]));
        assert!(outcome.lines[1].ends_with(line), "{}", outcome.lines[1]);
    }
}

#[test]
fn bridge_that_insists_on_another_endpoint_id_gets_no_pool() {
    let mut bridge = FakeBridge {
        endpoint_id: 20,
        insists: true,
        assignment: [0x11, 4],
        ..FakeBridge::default()
    };
    let mut kernel = FakeKernel::default();
    let endpoint = run(&mut kernel, &mut bridge, PLAN).result.unwrap();
    assert_eq!((endpoint.endpoint_id, endpoint.pool), (20, None));
    assert!(bridge.allocations().is_empty());
    assert_eq!(kernel.configuration, with_routes(&[20], &[]));
}

#[test]
fn bridge_that_does_not_take_exactly_its_pool_is_in_service_without_one() {
    let answers: [(&[u8], &str); 6] = [
        (
            &[0, 1, 3, 40],
            "Allocate Endpoint IDs 10 to 13 was rejected: the bridge keeps 3 from 40",
        ),
        (
            &[2],
            "Allocate Endpoint IDs (08h) was refused: ERROR_INVALID_DATA (02h)",
        ),
        (
            &[0, 0, 3, 10],
            "Allocate Endpoint IDs 10 to 13 was answered with 3 from 10",
        ),
        (
            &[0, 0, 4, 11],
            "Allocate Endpoint IDs 10 to 13 was answered with 4 from 11",
        ),
        (
            &[],
            "no answer to Allocate Endpoint IDs (08h) from EID 9 in 4 tries of 250 ms",
        ),
        (
            &[0, 0, 4],
            "bad answer to Allocate Endpoint IDs (08h): 2 bytes",
        ),
    ];
    for (answer, reason) in answers {
        let mut bridge = FakeBridge {
            allocation: Some(answer.to_vec()),
            ..FakeBridge::default()
        };
        let mut kernel = FakeKernel::default();
        let outcome = run(&mut kernel, &mut bridge, PLAN);
        assert_eq!(outcome.result.unwrap().pool, None, "{reason}");
        assert_eq!(kernel.configuration, with_routes(&[9], &[]), "{reason}");
        assert_eq!(
            outcome.lines[5],
            "undo: remove the route to EIDs 10 to 13 through EID 9"
        );
        let sentence = format!("the bridge has no pool: {reason}");
        assert!(
            outcome.lines[6].starts_with(&sentence),
            "{}",
            outcome.lines[6]
        );
        let tries = if answer.is_empty() { 4 } else { 1 };
        assert_eq!(bridge.allocations().len(), tries);
    }
}

#[test]
fn gateway_route_that_cannot_be_removed_fails_the_setup() {
    let mut bridge = FakeBridge {
        allocation: Some(vec![0, 1, 0, 0]),
        ..FakeBridge::default()
    };
    let mut kernel = FakeKernel {
        failing: vec![3],
        ..FakeKernel::default()
    };
    let outcome = run(&mut kernel, &mut bridge, PLAN);
    assert!(matches!(outcome.result, Err(BusOwnerError::Kernel(_))));
    assert!(outcome.lines[5].starts_with("cannot undo: remove the route to EIDs 10 to 13"));
}

#[test]
fn what_fails_after_the_allocation_undoes_the_gateway_route_first() {
    let mut bridge = FakeBridge {
        silent_from: Some(7),
        ..FakeBridge::default()
    };
    let mut kernel = FakeKernel::default();
    let outcome = run(&mut kernel, &mut bridge, PLAN);
    assert!(outcome.result.is_err());
    assert_eq!(kernel.configuration, Configuration::default());
    assert_eq!(
        outcome.lines[5..],
        [
            "Allocate Endpoint IDs 10 to 13: accepted",
            "cannot undo: the endpoint keeps EID 9",
            "cannot undo: the bridge keeps the pool 10 to 13",
            "undo: remove the route to EIDs 10 to 13 through EID 9",
            "undo: remove the route to EID 9 through mctpusb0"
        ]
    );
}

/// Only the sixth request, Allocate Endpoint IDs, may be without an answer.
#[test]
fn whichever_request_is_not_answered_for_good_no_route_is_left() {
    for number in 1..=8 {
        let mut bridge = FakeBridge {
            silent_from: Some(number),
            ..FakeBridge::default()
        };
        let mut kernel = FakeKernel::default();
        assert!(run(&mut kernel, &mut bridge, PLAN).result.is_err());
        assert_eq!(kernel.configuration, Configuration::default(), "{number}");
    }
}

#[test]
fn repeated_setup_gives_the_same_endpoint_ids_and_leaves_the_routes() {
    let mut bridge = FakeBridge::default();
    let mut kernel = FakeKernel::default();
    let first = run(&mut kernel, &mut bridge, PLAN).result.unwrap();
    bridge.assignment = [0x02, 4];
    let second = run(&mut kernel, &mut bridge, PLAN).result.unwrap();
    assert_eq!(first, second);
    assert_eq!(kernel.configuration, with_routes(&[9], &[(10, 13)]));
    let commands = bridge.commands();
    assert_eq!(commands[..8], [2, 1, 5, 6, 3, 8, 4, 2]);
    assert_eq!(commands[..8], commands[8..]);
}

#[test]
fn bridge_that_has_lost_its_state_gets_the_same_endpoint_ids() {
    let mut kernel = FakeKernel::default();
    let first = run(&mut kernel, &mut FakeBridge::default(), PLAN);
    let mut reset = FakeBridge::default();
    let second = run(&mut kernel, &mut reset, PLAN);
    assert_eq!(first.result.unwrap(), second.result.unwrap());
    assert_eq!(reset.allocations(), [[0, 4, 10]]);
}

#[test]
fn repeated_setup_that_fails_leaves_what_was_there_before() {
    let mut kernel = FakeKernel {
        configuration: with_routes(&[9], &[(10, 13)]),
        ..FakeKernel::default()
    };
    let mut bridge = FakeBridge {
        silent_from: Some(7),
        ..FakeBridge::default()
    };
    assert!(run(&mut kernel, &mut bridge, PLAN).result.is_err());
    assert_eq!(kernel.configuration, with_routes(&[9], &[(10, 13)]));
}

#[test]
fn pool_ends_before_what_has_a_route_to_somewhere_else() {
    let mut elsewhere = with_routes(&[], &[]);
    elsewhere.gateway_routes.insert((13, 20), 30);
    for (configuration, last) in [(with_routes(&[12], &[]), 11), (elsewhere, 12)] {
        let mut kernel = FakeKernel {
            configuration,
            ..FakeKernel::default()
        };
        let mut bridge = FakeBridge::default();
        let endpoint = run(&mut kernel, &mut bridge, PLAN).result.unwrap();
        assert_eq!(endpoint.pool.map(|pool| pool.last), Some(last));
        assert_eq!(bridge.allocations(), [[0, last - 9, 10]]);
    }
}
