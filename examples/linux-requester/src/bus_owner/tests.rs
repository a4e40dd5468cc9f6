//! Endpoints that are taken into service.

use std::io;
use std::time::Duration;

use super::*;
use crate::exchange::Request;
use crate::transaction::fake::FakeKernel;

/// An endpoint that answers from its fields, and a log of what was done to it.
#[derive(Clone)]
struct Peer {
    endpoint_id: u8,
    types: u8,
    insists: bool,
    message_types: Vec<u8>,
    next_selectors: Vec<u8>,
    commands: Vec<(Destination, u8)>,
    /// The number of the first request that is not answered.
    silent_from: Option<usize>,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            endpoint_id: 0,
            types: 0,
            insists: false,
            message_types: vec![2, 0x00, 0x7e],
            next_selectors: vec![0xff],
            commands: Vec::new(),
            silent_from: None,
        }
    }
}

impl Exchange for Peer {
    fn exchange(
        &mut self,
        request: Request<'_>,
        _wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let [header, command, data @ ..] = request.body else {
            panic!("short request")
        };
        self.commands.push((request.destination, *command));
        if self
            .silent_from
            .is_some_and(|first| self.commands.len() >= first)
        {
            return Ok(None);
        }
        let mut answer = vec![header & 0x1f, *command, 0];
        match command {
            1 if self.insists => answer.extend([0x10, self.endpoint_id, 0]),
            1 => {
                self.endpoint_id = data[1];
                answer.extend([0, data[1], 0]);
            }
            2 => answer.extend([self.endpoint_id, self.types, 0]),
            3 => answer.extend([0x11; 16]),
            4 => answer.extend([1, 0xf1, 0xf3, 0xf3, 0]),
            5 => answer.extend(&self.message_types),
            6 => {
                let next = self.next_selectors[usize::from(data[0])];
                answer.extend([next, 0, 0xcc, 0xde, 0, 0]);
            }
            _ => answer[2] = 5,
        }
        Ok(accept(&answer).then_some(answer))
    }
}

const PHYSICAL: Destination = Destination::Physical {
    interface_index: 3,
    hardware_address: None,
};
const PLAN: Plan = Plan {
    interface_index: 3,
    hardware_address: None,
    local_endpoint_id: 8,
    endpoint_id: None,
    largest_pool: 15,
};

fn run(peer: &mut Peer, plan: Plan) -> (Result<Endpoint, BusOwnerError>, Vec<u8>) {
    let mut kernel = FakeKernel::default();
    let result = run_with(&mut kernel, peer, plan, &mut |_| {});
    (result, kernel.configuration.routes.into_keys().collect())
}

fn run_with(
    kernel: &mut FakeKernel,
    peer: &mut Peer,
    plan: Plan,
    report: &mut dyn FnMut(&str),
) -> Result<Endpoint, BusOwnerError> {
    let mut transaction = Transaction::begin(kernel, "mctpi2c0", report);
    let mut client = ControlClient::new(peer);
    let endpoint = set_up(&mut client, &mut transaction, plan)?;
    transaction.keep();
    Ok(endpoint)
}

#[test]
fn new_endpoint_gets_the_lowest_free_id_and_is_then_asked_by_it() {
    let mut peer = Peer::default();
    let (result, routes) = run(&mut peer, PLAN);
    assert_eq!(result.unwrap().endpoint_id, 9);
    assert_eq!(routes, [9]);
    let by_id = Destination::EndpointId(9);
    assert_eq!(
        peer.commands,
        [
            (PHYSICAL, 2),
            (PHYSICAL, 1),
            (by_id, 5),
            (by_id, 6),
            (by_id, 3),
            (by_id, 4),
            (by_id, 2)
        ]
    );
}

#[test]
fn simple_endpoint_with_a_free_id_keeps_it() {
    let mut peer = Peer {
        endpoint_id: 20,
        ..Peer::default()
    };
    let (result, routes) = run(&mut peer, PLAN);
    assert_eq!(result.unwrap().endpoint_id, 20);
    assert_eq!(routes, [20]);
    assert!(!peer.commands.contains(&(PHYSICAL, 1)));
}

#[test]
fn conflicting_id_bridge_and_other_wish_lead_to_an_assignment() {
    let conflict = Peer {
        endpoint_id: 8,
        ..Peer::default()
    };
    let bridge = Peer {
        endpoint_id: 20,
        types: 0x10,
        ..Peer::default()
    };
    for mut peer in [conflict, bridge] {
        assert_eq!(run(&mut peer, PLAN).0.unwrap().endpoint_id, 9);
    }
    let mut peer = Peer {
        endpoint_id: 20,
        ..Peer::default()
    };
    let plan = Plan {
        endpoint_id: Some(30),
        ..PLAN
    };
    assert_eq!(run(&mut peer, plan).0.unwrap().endpoint_id, 30);
}

#[test]
fn rejection_teaches_the_id_that_the_endpoint_insists_on() {
    let mut peer = Peer {
        endpoint_id: 20,
        insists: true,
        ..Peer::default()
    };
    let plan = Plan {
        endpoint_id: Some(30),
        ..PLAN
    };
    let (result, routes) = run(&mut peer, plan);
    assert_eq!(result.unwrap().endpoint_id, 20);
    assert_eq!(routes, [20]);
}

#[test]
fn rejection_without_a_usable_id_is_an_error_and_leaves_no_route() {
    let mut peer = Peer {
        insists: true,
        ..Peer::default()
    };
    let (result, routes) = run(&mut peer, PLAN);
    assert_eq!(
        result.unwrap_err().to_string(),
        "the endpoint has EID 0 instead of 9"
    );
    assert!(routes.is_empty());
}

#[test]
fn message_type_list_with_a_wrong_count_is_an_error() {
    let mut peer = Peer {
        message_types: vec![3, 0x00, 0x7e],
        ..Peer::default()
    };
    assert!(run(&mut peer, PLAN).0.is_err());
}

#[test]
fn vendor_selectors_must_be_dense() {
    let mut dense = Peer {
        next_selectors: vec![1, 2, 0xff],
        ..Peer::default()
    };
    assert_eq!(
        run(&mut dense, PLAN)
            .0
            .unwrap()
            .properties
            .vendor_messages
            .len(),
        3
    );
    let mut gap = Peer {
        next_selectors: vec![2],
        ..Peer::default()
    };
    let error = run(&mut gap, PLAN).0.unwrap_err();
    assert_eq!(error.to_string(), "selector 0 is followed by 2");
}

#[test]
fn vendor_messages_are_not_asked_for_without_a_vendor_type() {
    let mut peer = Peer {
        message_types: vec![1, 0x00],
        ..Peer::default()
    };
    assert!(
        run(&mut peer, PLAN)
            .0
            .unwrap()
            .properties
            .vendor_messages
            .is_empty()
    );
    assert!(peer.commands.iter().all(|(_, command)| *command != 6));
}

#[test]
fn own_id_is_never_given_away() {
    let plan = Plan {
        endpoint_id: Some(8),
        ..PLAN
    };
    assert!(run(&mut Peer::default(), plan).0.is_err());
}

fn with_a_bus() -> Plan {
    Plan {
        hardware_address: Some(0x1d),
        ..PLAN
    }
}

#[test]
fn whichever_request_is_not_answered_no_route_and_no_neighbour_is_left() {
    // One that is given an EID is asked seven times, one that keeps its own six times.
    for (endpoint_id, requests) in [(0, 7), (20, 6)] {
        for number in 1..=requests + 1 {
            let mut peer = Peer {
                endpoint_id,
                silent_from: Some(number),
                ..Peer::default()
            };
            let mut kernel = FakeKernel::default();
            let result = run_with(&mut kernel, &mut peer, with_a_bus(), &mut |_| {});
            let is_there = !kernel.configuration.routes.is_empty()
                && !kernel.configuration.neighbours.is_empty();
            let is_untouched = kernel.configuration == FakeKernel::default().configuration;
            let succeeds = number > requests;
            assert_eq!(
                (result.is_ok(), is_there, is_untouched),
                (succeeds, succeeds, !succeeds),
                "request {number} to EID {endpoint_id}"
            );
        }
    }
}

#[test]
fn whichever_change_fails_no_route_and_no_neighbour_is_left() {
    // A neighbour and a route for each EID; one that is rejected is taken back.
    for (insists, changes) in [(false, 2), (true, 6)] {
        for number in 1..=changes + 1 {
            let mut peer = Peer {
                endpoint_id: 20,
                insists,
                ..Peer::default()
            };
            let mut kernel = FakeKernel {
                failing: vec![number],
                ..FakeKernel::default()
            };
            let plan = Plan {
                endpoint_id: Some(30),
                ..with_a_bus()
            };
            let mut lines = Vec::new();
            let report = &mut |line: &str| lines.push(line.to_owned());
            let result = run_with(&mut kernel, &mut peer, plan, report);
            assert_eq!(result.is_ok(), number > changes, "change {number}");
            let left = lines.iter().filter(|line| line.starts_with("cannot undo"));
            let left = left.count();
            let configuration = kernel.configuration;
            let entries = configuration.routes.len() + configuration.neighbours.len();
            let expected = if result.is_ok() { 2 } else { left };
            assert_eq!(entries, expected, "change {number}: {lines:?}");
        }
    }
}

#[test]
fn an_endpoint_id_that_cannot_be_taken_back_is_told() {
    let mut peer = Peer {
        silent_from: Some(3),
        ..Peer::default()
    };
    let mut lines = Vec::new();
    let report = &mut |line: &str| lines.push(line.to_owned());
    let result = run_with(&mut FakeKernel::default(), &mut peer, PLAN, report);
    assert!(result.is_err());
    assert_eq!(
        lines[2..],
        [
            "cannot undo: the endpoint keeps EID 9",
            "undo: remove the route to EID 9 through mctpi2c0"
        ]
    );
}

#[test]
fn a_route_that_was_there_before_stays_when_the_endpoint_rejects_its_id() {
    let mut peer = Peer {
        insists: true,
        ..Peer::default()
    };
    let mut kernel = FakeKernel::default();
    kernel.configuration.routes.insert(9, None);
    let before = kernel.configuration.clone();
    assert!(run_with(&mut kernel, &mut peer, PLAN, &mut |_| {}).is_err());
    assert_eq!(kernel.configuration, before);
}
