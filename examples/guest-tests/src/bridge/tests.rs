//! The scenarios against a bridge of this file, good and bad.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use clap::ValueEnum;
use linux_requester::address::Destination;
use linux_requester::exchange::{Exchange, Request};
use linux_requester::link::LinkSettings;
use linux_requester::netlink::{Applied, Change, Route};
use linux_requester::transaction::Kernel;

use super::*;

/// The kernel's routes; what is no route is always changed.
#[derive(Clone, Default)]
struct Routes(Rc<RefCell<BTreeSet<(u8, u8)>>>);

impl Kernel for Routes {
    fn apply(&mut self, change: Change) -> io::Result<Applied> {
        let mut routes = self.0.borrow_mut();
        let changed = match change {
            Change::AddRoute { endpoint_id, .. } => routes.insert((endpoint_id, endpoint_id)),
            Change::RemoveRoute { endpoint_id, .. } => routes.remove(&(endpoint_id, endpoint_id)),
            Change::AddGatewayRoute { first, last, .. } => routes.insert((first, last)),
            Change::RemoveGatewayRoute { first, last, .. } => routes.remove(&(first, last)),
            _ => true,
        };
        Ok(if changed {
            Applied::Changed
        } else {
            Applied::Present
        })
    }

    /// Those behind EID 9 go through it.
    fn routes(&mut self) -> io::Result<Vec<Route>> {
        let route = |(first, last): &(u8, u8)| Route {
            first: *first,
            last: *last,
            gateway: (*first > 9).then_some(9),
        };
        Ok(self.0.borrow().iter().map(route).collect())
    }
}

/// Needs a pool of four, and has endpoints 10 and 12 behind it.
struct Bridge {
    routes: Routes,
    endpoint_id: u8,
    behind: Vec<u8>,
    /// A bridge that answers this command with an error.
    refuses: Option<u8>,
}

impl Bridge {
    fn answer(&mut self, destination: Destination, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        if self.refuses == Some(command) {
            return Some(vec![5]);
        }
        if let Destination::EndpointId(id) = destination
            && id != self.endpoint_id
        {
            return self.behind.contains(&id).then(|| match command {
                2 => vec![0, id, 0, 0],
                5 => vec![0, 1, 0],
                _ => [&[0][..], &[id; 16]].concat(),
            });
        }
        Some(match command {
            1 => {
                self.endpoint_id = data[1];
                vec![0, 1, data[1], 4]
            }
            2 => vec![0, self.endpoint_id, 0x10, 0],
            3 => [&[0][..], &[9; 16]].concat(),
            4 => vec![0, 1, 0xf1, 0xf3, 0xf3, 0],
            5 => vec![0, 2, 0, 0x7e],
            6 => vec![0, 0xff, 0, 0xcc, 0xde, 0, 0xf0],
            _ if data[1] > 4 => vec![2],
            _ => vec![0, 0, data[1], data[2]],
        })
    }
}

impl Exchange for Bridge {
    fn exchange(
        &mut self,
        request: Request<'_>,
        _wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        if let Destination::EndpointId(id) = request.destination {
            let routes = self.routes.0.borrow();
            if !routes
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&id))
            {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
        }
        let [header, command, data @ ..] = request.body else {
            panic!("short request")
        };
        let answer = self.answer(request.destination, *command, data);
        let body = answer.map(|answer| [&[header & 0x1f, *command], &answer[..]].concat());
        Ok(body.filter(|body| accept(body)))
    }
}

fn bridge() -> Bridge {
    Bridge {
        routes: Routes::default(),
        endpoint_id: 0,
        behind: vec![10, 12],
        refuses: None,
    }
}

fn run(scenario: Scenario, mut bridge: Bridge) -> Result<String> {
    let place = Place {
        interface: "mctpusb0".to_owned(),
        link: LinkPlan {
            interface_index: 3,
            before: LinkSettings {
                up: false,
                mtu: 68,
                queue_length: 1000,
            },
            mtu: None,
            local_endpoint_id: 8,
        },
        plan: Plan {
            interface_index: 3,
            hardware_address: None,
            local_endpoint_id: 8,
            endpoint_id: Some(9),
            largest_pool: pool::DEFAULT_LARGEST,
        },
        bridge: 9,
        present: vec![10, 12],
    };
    let mut routes = bridge.routes.clone();
    let said = play(scenario, &place, &mut routes, &mut bridge);
    assert!(routes.0.borrow().is_empty(), "{scenario:?}");
    said
}

fn fails(scenario: Scenario, bridge: Bridge) -> String {
    format!("{:#}", run(scenario, bridge).unwrap_err())
}

#[test]
fn good_bridge_passes_each_scenario_and_no_route_is_left() {
    let said: Vec<_> = Scenario::value_variants()
        .iter()
        .map(|scenario| run(*scenario, bridge()).unwrap())
        .collect();
    let behind = "EID 9 has 10 to 13 behind it, of which [10, 12] are present";
    let without = |name: &str, times: u32| {
        format!(
            "{name}: given {times} times, then EID 9 is in service without a pool and \
            EID 10 has no route"
        )
    };
    assert_eq!(
        said,
        [
            format!("sequence: 16 requests, {behind}"),
            "fewer: the bridge asks for 4 endpoint IDs and takes 1".to_owned(),
            "larger: 20 endpoint IDs asked for, 15 given".to_owned(),
            "no-pool: no pool asked for, and none given".to_owned(),
            format!("has-pool: given again; {behind}"),
            without("rejected", 1),
            without("refused", 1),
            without("other-size", 1),
            without("other-first", 1),
            without("unanswered", 4),
            "poll-silent: EID 10 is asked once, and found by the next poll".to_owned(),
            "poll-other: EID 10 says that it is 11, and is asked no more".to_owned(),
            "poll-failed: EID 10 tells no message types, and is found by the next poll".to_owned(),
            format!("repeated: twice the same; {behind}"),
            format!("state-loss: the bridge had no EID; {behind}"),
        ]
    );
}

#[test]
fn bridge_that_refuses_its_pool_fails_what_needs_one() {
    let refusing = || Bridge {
        refuses: Some(8),
        ..bridge()
    };
    for scenario in [
        Scenario::Sequence,
        Scenario::Fewer,
        Scenario::HasPool,
        Scenario::PollSilent,
        Scenario::Repeated,
        Scenario::StateLoss,
    ] {
        assert_eq!(fails(scenario, refusing()), "the bridge has no pool");
    }
}

#[test]
fn endpoint_that_is_missing_or_too_many_behind_the_bridge_fails() {
    let missing = Bridge {
        behind: vec![10],
        ..bridge()
    };
    let error = fails(Scenario::Sequence, missing);
    assert_eq!(error, "EID 12 behind the bridge: Silent");
    let too_many = Bridge {
        behind: vec![10, 11, 12],
        ..bridge()
    };
    let error = fails(Scenario::PollSilent, too_many);
    assert!(
        error.starts_with("EID 11 behind the bridge: Present"),
        "{error}"
    );
}

#[test]
fn bridge_that_has_kept_its_endpoint_id_has_not_lost_its_state() {
    let kept = Bridge {
        endpoint_id: 9,
        ..bridge()
    };
    let error = fails(Scenario::StateLoss, kept);
    assert_eq!(error, "the bridge had EID 9 still");
}

#[test]
fn bridge_that_cannot_be_taken_into_service_leaves_no_route() {
    for command in [1, 2, 3, 4, 5, 6] {
        let refusing = Bridge {
            refuses: Some(command),
            ..bridge()
        };
        let error = fails(Scenario::Sequence, refusing);
        assert!(error.contains("was refused"), "{error}");
    }
}
