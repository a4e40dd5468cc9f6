//! A bus owner on simulated buses: endpoints that come, go, are reset, answer late, twice or not at
//! all, and have endpoint IDs of their own (DSP0236 1.3.3, sections 8.18, 12.4, 12.5, 12.6 and
//! 12.11).

use std::collections::BTreeMap;
use std::time::Duration;

use mctp_router::bus_owner::{BusOwner, Change, Range};
use mctp_router::requester::Limits;
use mctp_router::{Instant, PortId};
use mctp_transport::{Eid, PhysicalAddress};

const BUS: PortId = PortId(1);
const OTHER_BUS: PortId = PortId(2);
const OWN: u8 = 9;

/// An endpoint on a bus.
#[derive(Clone, Debug, Default)]
struct Device {
    endpoint_id: u8,
    /// It keeps its own endpoint ID whatever it is given.
    is_stubborn: bool,
    is_bridge: bool,
    wants: u8,
    pool: Option<(u8, u8)>,
    rejects_pool: bool,
    is_absent: bool,
    /// Answers nonsense.
    is_mad: bool,
    informed: Vec<u8>,
    uuid: u8,
}

impl Device {
    /// The response to a request, both with message type; `None` without one.
    fn answer(&mut self, destination: u8, request: &[u8], page: Option<u8>) -> Option<Vec<u8>> {
        let is_for_it = [0, self.endpoint_id].contains(&destination) || self.endpoint_id == 0;
        if !is_for_it && !self.is_mad {
            return None;
        }
        let mut response = vec![0, request[1] & 0x1F, request[2], 0];
        if self.is_mad {
            response.extend([0xFF; 40].iter().take(usize::from(request[1] & 0x1F)));
            return Some(response);
        }
        match request[2] {
            1 if self.is_stubborn => response.extend([0x10, self.endpoint_id, 0]),
            1 => {
                self.endpoint_id = request[4];
                response.extend([u8::from(self.wants > 0), request[4], self.wants]);
            }
            2 => response.extend([self.endpoint_id, u8::from(self.is_bridge) << 4, 0]),
            3 if self.uuid == 0 => response[3] = 5,
            3 => response.extend([self.uuid; 16]),
            8 if self.rejects_pool => {
                let (first, size) = self.pool.unwrap_or_default();
                response.extend([1, size, first]);
            }
            8 => {
                assert_eq!(request[3], 0);
                self.pool = Some((request[5], request[4]));
                response.extend([0, request[4], request[5]]);
            }
            9 => self.informed.push(page.expect("a page")),
            other => panic!("command {other}"),
        }
        Some(response)
    }
}

/// Buses with devices, and their owner; a virtual clock.
struct World {
    owner: BusOwner<'static>,
    devices: BTreeMap<(u8, u8), Device>,
    now: u64,
    /// Responses on their way.
    late: Vec<(u64, PortId, PhysicalAddress, u8, Vec<u8>)>,
    /// Ports with a request on its way, as the owner's requests and responses say.
    reachable: BTreeMap<u8, (u8, u8)>,
    ranges: BTreeMap<u8, (u8, u8)>,
    requests: usize,
    random: u32,
    /// Of 256: how many requests and responses are lost, come twice, come late.
    loss: u32,
}

fn address(byte: u8) -> PhysicalAddress {
    PhysicalAddress::from_byte(byte)
}

fn byte(address: PhysicalAddress) -> u8 {
    address.as_bytes()[0]
}

impl World {
    fn new(places: usize, pool: (u8, u8)) -> Self {
        let mut owner = BusOwner::new(Box::leak(vec![None; places].into_boxed_slice()));
        owner.set_own_endpoint_id(Eid(OWN));
        owner.set_pool(Range::new(Eid(pool.0), Eid(pool.1)), false);
        owner.link_up(BUS);
        owner.link_up(OTHER_BUS);
        Self {
            owner,
            devices: BTreeMap::new(),
            now: 0,
            late: Vec::new(),
            reachable: BTreeMap::new(),
            ranges: BTreeMap::new(),
            requests: 0,
            random: 1,
            loss: 0,
        }
    }

    fn with(mut self, at: u8, device: Device) -> Self {
        self.add(BUS, at, device);
        self
    }

    fn add(&mut self, port: PortId, at: u8, device: Device) {
        assert!(self.owner.expect(port, address(at)));
        self.devices.insert((port.0, at), device);
    }

    fn device(&mut self, at: u8) -> &mut Device {
        self.devices.get_mut(&(BUS.0, at)).unwrap()
    }

    fn random(&mut self) -> u32 {
        self.random = self.random.wrapping_mul(0x9E37_79B1).wrapping_add(12345);
        self.random >> 8
    }

    fn is_unlucky(&mut self) -> bool {
        self.random() & 0xFF < self.loss
    }

    /// Lets time pass.
    fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        loop {
            self.step();
            let next = self.owner.deadline().as_millis();
            let next = self
                .late
                .iter()
                .map(|late| late.0)
                .min()
                .unwrap_or(u64::MAX)
                .min(next);
            assert!(
                next >= self.now || next == 0 || self.now == 0,
                "a deadline in the past"
            );
            if next > end {
                break;
            }
            self.now = next.max(self.now);
        }
        self.now = end;
        self.check();
    }

    fn step(&mut self) {
        let now = Instant::from_millis(self.now);
        for round in 0.. {
            assert!(round < 1_000, "bounded work");
            let late = self.late.iter().position(|late| late.0 <= self.now);
            if let Some((_, port, from, source, message)) = late.map(|late| self.late.remove(late))
            {
                self.owner
                    .receive_response(now, port, from, Eid(source), &message);
            }
            self.follow();
            let Some(request) = self.owner.poll_request(now) else {
                if late.is_none() {
                    break;
                }
                continue;
            };
            self.requests += 1;
            let (port, at) = (request.port, request.address);
            let (to, message, page) = (
                request.destination.0,
                request.payload.to_vec(),
                request.page,
            );
            assert_eq!(&message[..1], [0]);
            if self.is_unlucky() {
                continue;
            }
            let device = self.devices.get_mut(&(port.0, byte(at)));
            let Some(device) = device.filter(|device| !device.is_absent) else {
                self.owner.refused(now, port, at);
                continue;
            };
            let source = if to == 0 { 0 } else { device.endpoint_id };
            let Some(response) = device.answer(to, &message, page) else {
                continue;
            };
            if self.is_unlucky() {
                continue;
            }
            let delay = if self.is_unlucky() {
                u64::from(self.random() % 700)
            } else {
                1
            };
            self.late
                .push((self.now + delay, port, at, source, response.clone()));
            if self.is_unlucky() {
                self.late.push((self.now + 3, port, at, source, response));
            }
        }
    }

    /// Follows the changes, as a router's table does.
    fn follow(&mut self) {
        while let Some(change) = self.owner.poll_change() {
            match change {
                Change::Present {
                    port,
                    address,
                    endpoint_id,
                    range,
                } => {
                    let place = (port.0, byte(address));
                    assert_eq!(self.reachable.insert(endpoint_id.0, place), None, "twice");
                    let range = range.map(|range| (range.first().0, range.last().0));
                    range.map(|range| self.ranges.insert(endpoint_id.0, range));
                }
                Change::Gone { endpoint_id, range } => {
                    assert!(self.reachable.remove(&endpoint_id.0).is_some());
                    let known = self.ranges.remove(&endpoint_id.0);
                    assert_eq!(known, range.map(|range| (range.first().0, range.last().0)));
                }
            }
        }
        // No endpoint ID is reached in two ways.
        let mut all: Vec<u8> = self.reachable.keys().copied().collect();
        all.extend(
            self.ranges
                .values()
                .flat_map(|(first, last)| *first..=*last),
        );
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "{:?} {:?}", self.reachable, self.ranges);
        assert!(!all.contains(&OWN) && all.iter().all(|id| (8..=254).contains(id)));
    }

    fn check(&self) {
        for neighbour in self
            .owner
            .neighbours()
            .filter(|neighbour| neighbour.is_present())
        {
            let id = neighbour.endpoint_id().expect("who is present has one").0;
            let (port, at) = neighbour.place();
            assert_eq!(self.reachable.get(&id), Some(&(port.0, byte(at))));
        }
    }

    fn at(&self, at: u8) -> Option<u8> {
        let is_there = |place: &&(u8, u8)| **place == (BUS.0, at);
        let found = self.reachable.iter().find(|(_, place)| is_there(place));
        found.map(|(id, _)| *id)
    }
}

#[test]
fn every_endpoint_is_given_one_of_the_pool_in_order() {
    let mut world = World::new(8, (10, 17));
    for at in 0x20..0x28 {
        world.add(
            BUS,
            at,
            Device {
                uuid: at,
                ..Device::default()
            },
        );
    }
    world.run(100);
    for at in 0x20..0x28 {
        assert_eq!(world.at(at), Some(at - 0x20 + 10));
        assert_eq!(world.device(at).endpoint_id, at - 0x20 + 10);
    }
    let uuids: Vec<_> = world
        .owner
        .neighbours()
        .map(|neighbour| neighbour.uuid().unwrap()[3])
        .collect();
    assert_eq!(uuids, (0x20..0x28).collect::<Vec<u8>>());
    assert_eq!(world.requests, 24, "three each");
    assert!(
        !world.owner.expect(BUS, address(0x50)),
        "there is no room for more"
    );
}

#[test]
fn an_endpoint_that_has_the_right_endpoint_id_is_not_given_it_again() {
    let mut world = World::new(4, (10, 13)).with(0x20, Device::default());
    world.run(100);
    let before = world.requests;
    world.run(20_000);
    let requests = world.requests - before;
    assert!(
        (8..=12).contains(&requests),
        "one in two seconds: {requests}"
    );
    world.owner.link_down(BUS);
    world.follow();
    assert_eq!(world.at(0x20), None);
    world.owner.link_up(BUS);
    world.run(50);
    assert_eq!(world.at(0x20), Some(10));
}

#[test]
fn who_is_gone_keeps_its_endpoint_id_for_when_it_is_back() {
    let mut world = World::new(4, (10, 13))
        .with(0x20, Device::default())
        .with(0x21, Device::default());
    world.run(100);
    world.device(0x20).is_absent = true;
    world.run(3_000);
    assert_eq!((world.at(0x20), world.at(0x21)), (None, Some(11)));
    world.add(BUS, 0x22, Device::default());
    world.run(1_000);
    assert_eq!(world.at(0x22), Some(12));
    // It comes back as after power-on.
    *world.device(0x20) = Device::default();
    world.run(1_500);
    assert_eq!(world.at(0x20), Some(10));
    assert_eq!(world.device(0x20).endpoint_id, 10);
}

#[test]
fn who_was_reset_is_assigned_anew_within_the_interval_and_at_once_when_it_says_so() {
    let mut world = World::new(4, (10, 13)).with(0x20, Device::default());
    world.run(100);
    world.device(0x20).endpoint_id = 0;
    world.run(2_100);
    assert_eq!(world.device(0x20).endpoint_id, 10);
    world.device(0x20).endpoint_id = 0;
    assert!(world.owner.notify(BUS, address(0x20)));
    world.run(10);
    assert_eq!(world.device(0x20).endpoint_id, 10);
    // Somebody unexpected says that it is there.
    world.devices.insert((BUS.0, 0x33), Device::default());
    assert!(world.owner.notify(BUS, address(0x33)));
    world.run(10);
    assert_eq!(world.at(0x33), Some(11));
}

#[test]
fn a_pool_that_is_too_small_serves_who_is_present() {
    let mut world = World::new(4, (10, 11));
    for at in 0x20..0x23 {
        world.add(BUS, at, Device::default());
    }
    world.run(5_000);
    assert_eq!(
        [0x20, 0x21, 0x22].map(|at| world.at(at)),
        [Some(10), Some(11), None]
    );
    world.device(0x20).is_absent = true;
    // Until it is missed, and five seconds longer.
    world.run(10_000);
    assert_eq!(
        [0x20, 0x21, 0x22].map(|at| world.at(at)),
        [None, Some(11), Some(10)]
    );
}

#[test]
fn without_a_pool_nobody_is_given_anything_and_a_new_one_is_given_at_once() {
    let mut world = World::new(4, (10, 13))
        .with(0x20, Device::default())
        .with(0x21, Device::default());
    world.owner.set_pool(None, false);
    world.run(2_500);
    assert!(world.reachable.is_empty());
    world.owner.set_pool(Range::new(Eid(30), Eid(33)), false);
    world.run(1_100);
    assert_eq!([0x20, 0x21].map(|at| world.at(at)), [Some(30), Some(31)]);
    world.owner.set_pool(Range::new(Eid(31), Eid(40)), false);
    world.run(100);
    assert_eq!(
        [0x20, 0x21].map(|at| world.at(at)),
        [Some(32), Some(31)],
        "one is kept"
    );
    world.owner.set_pool(Range::new(Eid(31), Eid(40)), true);
    world.run(100);
    assert_eq!(
        [0x20, 0x21].map(|at| world.at(at)),
        [Some(31), Some(32)],
        "by force, none"
    );
    world.owner.set_own_endpoint_id(Eid(31));
    world.run(100);
    assert_eq!(world.at(0x21), Some(32));
    assert_eq!(
        world.at(0x20),
        Some(33),
        "the bus owner's own is nobody else's"
    );
}

#[test]
fn who_rejects_its_endpoint_id_keeps_one_that_nobody_else_has() {
    let own = |endpoint_id| Device {
        endpoint_id,
        is_stubborn: true,
        ..Device::default()
    };
    let mut world = World::new(8, (10, 13));
    world.add(BUS, 0x20, own(50));
    world.add(BUS, 0x21, own(50));
    world.add(BUS, 0x22, own(OWN));
    world.add(BUS, 0x23, own(3));
    world.add(BUS, 0x24, Device::default());
    world.run(5_000);
    let found = [0x20, 0x21, 0x22, 0x23].map(|at| world.at(at));
    assert_eq!(found, [Some(50), None, None, None]);
    assert!(world.at(0x24).is_some());
    let kept = world
        .owner
        .neighbours()
        .find(|neighbour| neighbour.keeps_its_own());
    assert_eq!(kept.unwrap().endpoint_id(), Some(Eid(50)));
}

fn bridge(wants: u8) -> Device {
    Device {
        is_bridge: true,
        wants,
        uuid: 7,
        ..Device::default()
    }
}

#[test]
fn a_bridge_is_allocated_what_it_wants_behind_its_own_endpoint_id() {
    let mut world = World::new(4, (10, 30))
        .with(0x20, bridge(4))
        .with(0x21, Device::default());
    world.run(100);
    assert_eq!(world.at(0x20), Some(10));
    assert_eq!(world.device(0x20).pool, Some((11, 4)));
    assert_eq!(world.ranges, BTreeMap::from([(10, (11, 14))]));
    assert_eq!(world.at(0x21), Some(15));
    // After a reset it gets the same.
    *world.device(0x20) = bridge(4);
    world.run(2_100);
    assert_eq!(world.device(0x20).pool, Some((11, 4)));
}

#[test]
fn a_bridge_that_wants_more_than_there_is_leaves_one_for_each_other_place() {
    let mut world = World::new(4, (10, 14)).with(0x20, bridge(100));
    world.add(
        BUS,
        0x21,
        Device {
            is_absent: true,
            ..Device::default()
        },
    );
    world.run(100);
    assert_eq!(world.device(0x20).pool, Some((11, 3)));
    world.device(0x21).is_absent = false;
    world.run(1_500);
    assert_eq!(world.at(0x21), Some(14));
}

#[test]
fn a_bridge_that_rejects_its_range_keeps_the_one_it_has_if_that_is_free() {
    for (pool, kept) in [((40, 3), Some((40, 42))), ((OWN, 3), None), ((0, 0), None)] {
        let device = Device {
            rejects_pool: true,
            pool: Some(pool),
            ..bridge(3)
        };
        let mut world = World::new(4, (10, 30)).with(0x20, device);
        world.run(100);
        assert_eq!(
            world.at(0x20),
            Some(10),
            "the bridge alone is reached in any case"
        );
        assert_eq!(world.ranges.get(&10).copied(), kept);
    }
}

#[test]
fn bridges_are_told_each_page_of_what_changed() {
    let mut world = World::new(4, (10, 30))
        .with(0x20, bridge(4))
        .with(0x21, Device::default());
    world.run(100);
    assert_eq!(world.device(0x20).informed, [0; 0]);
    world.owner.inform_bridges(2);
    world.run(100);
    assert_eq!(world.device(0x20).informed, [0, 1]);
    world.run(10_000);
    assert_eq!(world.device(0x20).informed, [0, 1], "once");
    assert_eq!(world.device(0x21).informed, [0; 0], "bridges alone");
}

#[test]
fn silent_and_mad_neighbours_cost_the_others_only_time() {
    let mut world = World::new(8, (10, 20));
    world.add(
        BUS,
        0x20,
        Device {
            is_mad: true,
            ..Device::default()
        },
    );
    world.add(BUS, 0x21, Device::default());
    world.add(OTHER_BUS, 0x20, Device::default());
    world.owner.expect(BUS, address(0x60));
    world.run(10_000);
    assert!(world.at(0x21).is_some());
    let other = world
        .reachable
        .values()
        .any(|place| *place == (OTHER_BUS.0, 0x20));
    assert!(other);
    assert!(world.requests < 200, "{} requests in 10 s", world.requests);
}

#[test]
fn what_was_saved_is_given_again() {
    let mut world = World::new(4, (10, 30))
        .with(0x20, Device::default())
        .with(0x21, bridge(2));
    let reserve =
        |world: &mut World, at, id, range| world.owner.reserve(BUS, address(at), Eid(id), range);
    assert!(reserve(&mut world, 0x20, 15, None));
    assert!(!reserve(&mut world, 0x21, 15, None), "somebody else has it");
    assert!(!reserve(&mut world, 0x21, OWN, None));
    assert!(!reserve(&mut world, 0x21, 16, Range::new(Eid(14), Eid(15))));
    assert!(!reserve(&mut world, 0x21, 16, Range::new(Eid(16), Eid(17))));
    assert!(reserve(&mut world, 0x21, 20, Range::new(Eid(25), Eid(26))));
    world.run(100);
    assert_eq!([0x20, 0x21].map(|at| world.at(at)), [Some(15), Some(20)]);
    assert_eq!(world.device(0x21).pool, Some((25, 2)));
}

#[test]
fn limits_and_intervals_are_as_set() {
    let mut world = World::new(1, (10, 10));
    world.owner.set_limits(Limits {
        tries: 5,
        timeout: 50,
    });
    world
        .owner
        .set_intervals(Duration::from_millis(400), Duration::from_millis(100));
    world.loss = 256;
    world.owner.expect(BUS, address(0x20));
    world.run(6_500);
    assert!(
        (48..=52).contains(&world.requests),
        "5 in 650 ms: {}",
        world.requests
    );
}

/// Whatever is lost, late, reset, unplugged or changed: when all is quiet again, everybody has an
/// endpoint ID of the pool, and nobody has that of another.
#[test]
fn after_any_disturbance_everybody_is_reached_again() {
    for seed in 0..120 {
        let mut world = World::new(12, (10, 60));
        world.random = seed * 7919 + 1;
        for at in 0..10 {
            let port = if at < 6 { BUS } else { OTHER_BUS };
            let device = match at {
                1 | 7 => bridge(3),
                _ => Device {
                    uuid: at + 1,
                    ..Device::default()
                },
            };
            world.add(port, 0x20 + at, device);
        }
        world.loss = 50;
        for _ in 0..150 {
            let at = 0x20 + (world.random() % 10) as u8;
            let port = if at < 0x26 { BUS } else { OTHER_BUS };
            let kind = world.random() % 16;
            let device = world.devices.get_mut(&(port.0, at)).unwrap();
            match kind {
                0..4 => device.is_absent = !device.is_absent,
                4..7 => device.endpoint_id = 0,
                7 => device.endpoint_id = at,
                8 => world.owner.link_down(port),
                9..12 => world.owner.link_up(port),
                12 => world
                    .owner
                    .set_pool(Range::new(Eid(10), Eid(40 + (seed % 20) as u8)), false),
                13 => world.owner.set_pool(None, false),
                14 => world
                    .owner
                    .set_own_endpoint_id(Eid([OWN, 12, 8][seed as usize % 3])),
                _ => world.owner.inform_bridges(1),
            }
            world.owner.set_own_endpoint_id(Eid(OWN));
            let milliseconds = u64::from(world.random() % 500);
            world.run(milliseconds);
        }
        world.loss = 0;
        world
            .devices
            .values_mut()
            .for_each(|device| device.is_absent = false);
        world.owner.set_pool(Range::new(Eid(10), Eid(60)), false);
        world.owner.link_up(BUS);
        world.owner.link_up(OTHER_BUS);
        world.run(20_000);
        assert_eq!(
            world.reachable.len(),
            10,
            "seed {seed}: {:?}",
            world.reachable
        );
        for (id, place) in &world.reachable {
            assert_eq!(world.devices[place].endpoint_id, *id);
            assert!((10..=60).contains(id));
        }
        assert_eq!(world.ranges.len(), 2, "seed {seed}");
        assert!(world.ranges.values().all(|(first, last)| last - first == 2));
    }
}
