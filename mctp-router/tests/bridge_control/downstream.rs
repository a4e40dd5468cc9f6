//! The endpoints behind a bridge: found, assigned from the pool, and routed to while they are present
//! (DSP0236 1.3.3, sections 8.18.5 and 9.1).

use mctp_router::{BridgeConfig, Event, PortId, RouteOrigin, Target};
use mctp_transport::{DropReason, PhysicalAddress};

use crate::device::{BRIDGE, Device, FIRST, I2C, PORTS, SECOND, SERIAL, UPSTREAM, eid};
use crate::neighbour::Neighbour;
use crate::support::{HOST, NETWORK, POINT_TO_POINT, REQUEST, Wire};

const UNSUPPORTED: u8 = 5;

/// Longer than it takes to find out that a neighbour came or went.
const LONG: u64 = 60_000;

const BEHIND_I2C: (PortId, PhysicalAddress) = (I2C, FIRST);
const BEHIND_SERIAL: (PortId, PhysicalAddress) = (SERIAL, POINT_TO_POINT);

/// An endpoint at [`FIRST`], one at [`SECOND`], and one on the serial link.
fn three() -> [Neighbour; 3] {
    [
        Neighbour::new(I2C, FIRST, 0xA1),
        Neighbour::new(I2C, SECOND, 0xA2),
        Neighbour::new(SERIAL, POINT_TO_POINT, 0xA3),
    ]
}

/// The bridge with endpoint ID 9 and pool 10 to 13 that expects endpoints at both I2C addresses.
fn expecting() -> Device {
    let mut device = Device::assigned();
    assert!(device.core.expect_endpoint(I2C, FIRST));
    assert!(device.core.expect_endpoint(I2C, SECOND));
    device
}

fn ids(neighbours: &[Neighbour]) -> Vec<u8> {
    let mut ids: Vec<u8> = neighbours.iter().map(|one| one.endpoint_id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn endpoints_are_assigned_from_the_pool_and_have_routes() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    assert_eq!(ids(&neighbours), [10, 11, 12]);
    for one in &neighbours {
        let way = device.way_to(one.endpoint_id);
        assert_eq!(way, Some((one.port, one.address)));
        assert_eq!(one.count(1), 1, "assigned once");
    }
    assert_eq!(device.way_to(13), None, "nobody has it");
    let mut routes = device.core.routes(NETWORK);
    assert!(routes.all(|route| route.origin == RouteOrigin::Dynamic));
}

#[test]
fn the_application_is_told_who_comes_and_goes() {
    let mut device = Device::assigned();
    let mut neighbours = [Neighbour::new(SERIAL, POINT_TO_POINT, 0xA3)];
    device.run(LONG, &mut neighbours);
    let present = Event::NeighbourPresent {
        network: NETWORK,
        endpoint_id: eid(10),
        port: SERIAL,
        address: POINT_TO_POINT,
    };
    assert_eq!(device.events(), [present]);
    device.run(LONG, &mut neighbours);
    assert_eq!(device.events(), []);
    neighbours[0].is_present = false;
    device.run(LONG, &mut neighbours);
    let gone = Event::NeighbourGone {
        network: NETWORK,
        endpoint_id: eid(10),
    };
    assert_eq!(device.events(), [gone]);
}

#[test]
fn nobody_is_assigned_before_the_bridge_has_a_pool() {
    let (mut device, mut neighbours) = (Device::bridge(), three());
    assert!(device.core.expect_endpoint(I2C, FIRST));
    device.run(LONG, &mut neighbours);
    assert_eq!(ids(&neighbours), [0, 0, 0]);
    assert_eq!(device.core.routes(NETWORK).count(), 0);
    device.ask(&[1, 0, 9]);
    device.ask(&[8, 0, 4, 10]);
    device.run(LONG, &mut neighbours);
    assert_eq!(ids(&neighbours), [0, 10, 11]);
}

#[test]
fn an_absent_endpoint_has_no_route_and_comes_back_with_its_endpoint_id() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    let before = ids(&neighbours);
    let lost = neighbours[0].endpoint_id;
    for is_acknowledged in [false, true] {
        neighbours[0].is_present = false;
        neighbours[0].is_acknowledged = is_acknowledged;
        device.run(LONG, &mut neighbours);
        assert_eq!(device.way_to(lost), None);
        // It was reset meanwhile.
        neighbours[0].is_present = true;
        neighbours[0].endpoint_id = 0;
        device.run(LONG, &mut neighbours);
        assert_eq!(ids(&neighbours), before);
        assert_eq!(device.way_to(lost), Some(BEHIND_I2C));
    }
}

#[test]
fn a_bridge_behind_the_bridge_gets_a_part_of_the_pool() {
    let mut device = Device::assigned();
    let mut neighbours = [Neighbour::new(SERIAL, POINT_TO_POINT, 0xB1).bridge(2)];
    device.run(LONG, &mut neighbours);
    assert_eq!(
        (neighbours[0].endpoint_id, neighbours[0].pool),
        (10, (11, 2))
    );
    for endpoint_id in [10, 11, 12] {
        assert_eq!(device.way_to(endpoint_id), Some(BEHIND_SERIAL));
    }
    assert_eq!(device.way_to(13), None);
    let table = device.ask(&[0x0A, 0]);
    let entry = [3, 10, 0x42, 5, 0x24, 0];
    assert!(table[3..].chunks(6).any(|one| one == entry), "{table:02x?}");
    assert_eq!(device.ask(&[0x0F, 12, 0])[..2], [0, 10], "the next bridge");
    neighbours[0].is_present = false;
    device.run(LONG, &mut neighbours);
    for endpoint_id in [10, 11, 12] {
        assert_eq!(device.way_to(endpoint_id), None);
    }
}

#[test]
fn another_pool_moves_everybody_and_a_smaller_one_has_room_for_some() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    assert_eq!(device.ask(&[8, 0, 4, 40]), [0, 0, 4, 40]);
    device.run(LONG, &mut neighbours);
    assert_eq!(ids(&neighbours), [40, 41, 42]);
    assert_eq!(device.way_to(10), None);
    assert_eq!(device.ask(&[8, 1, 2, 50]), [0, 0, 2, 50]);
    device.run(LONG, &mut neighbours);
    let routed = [50, 51, 40, 41, 42, 10, 11].map(|id| device.way_to(id).is_some());
    assert_eq!(routed, [true, true, false, false, false, false, false]);
}

#[test]
fn the_same_pool_again_disturbs_nobody_and_by_force_assigns_all_anew() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    device.ask(&[1, 0, 9]);
    device.ask(&[8, 0, 4, 10]);
    device.run(1_000, &mut neighbours);
    assert!(neighbours.iter().all(|one| one.count(1) == 1));
    device.ask(&[8, 1, 4, 10]);
    device.run(LONG, &mut neighbours);
    assert!(neighbours.iter().all(|one| one.count(1) == 2));
    assert_eq!(ids(&neighbours), [10, 11, 12]);
    assert!(
        neighbours
            .iter()
            .all(|one| device.way_to(one.endpoint_id).is_some())
    );
}

#[test]
fn a_lost_link_takes_the_routes_of_its_port_and_no_other() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    let before = ids(&neighbours);
    device.core.link_down(I2C);
    device.run(1_000, &mut []);
    let on_serial = neighbours[2].endpoint_id;
    for one in &neighbours {
        let is_there = one.endpoint_id == on_serial;
        assert_eq!(device.way_to(one.endpoint_id).is_some(), is_there);
    }
    device.core.link_up(I2C);
    device.run(LONG, &mut neighbours);
    assert_eq!(ids(&neighbours), before);
    assert!(before.iter().all(|id| device.way_to(*id).is_some()));
}

#[test]
fn a_lost_link_upstream_changes_nothing_downstream() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    device.core.link_down(UPSTREAM);
    device.run(LONG, &mut neighbours);
    device.core.link_up(UPSTREAM);
    device.run(LONG, &mut neighbours);
    assert!(neighbours.iter().all(|one| one.count(1) == 1));
    assert!(
        neighbours
            .iter()
            .all(|one| device.way_to(one.endpoint_id).is_some())
    );
}

#[test]
fn discovery_notify_has_an_endpoint_asked_at_once() {
    let (mut device, mut neighbours) = (expecting(), three());
    neighbours[0].is_present = false;
    device.run(LONG, &mut neighbours);
    neighbours[0].is_present = true;
    let header = REQUEST.to(0).from(0);
    let answer = device.notify(BEHIND_I2C, header, &mut neighbours);
    assert_eq!(answer, Some(vec![0]));
    assert!(neighbours[0].endpoint_id != 0, "without waiting");
    assert_eq!(device.way_to(neighbours[0].endpoint_id), Some(BEHIND_I2C));
    assert_eq!(
        device.ask(&[0x0D]),
        [UNSUPPORTED],
        "its bus owner is elsewhere"
    );
}

#[test]
fn requests_have_the_own_endpoint_id_and_a_tag_that_no_other_request_has() {
    let mut device = Device::assigned();
    device.now += 1_000;
    device.core.expire(device.now());
    let sent = device.sent();
    assert!(!sent.is_empty());
    for (port, _, packet) in sent {
        let (header, _) = Wire::parse(&packet);
        assert_eq!((port, header.source, header.tag), (SERIAL, 9, 7));
        assert!(header.tag_owner && header.start && header.end);
    }
    let mut tags: Vec<u8> = Vec::new();
    let target = Target::Neighbour(SERIAL, POINT_TO_POINT, eid(30));
    for _ in 0..20 {
        let now = device.now();
        let opened = device
            .core
            .open_request(&target, mctp::MsgType(5), mctp::MsgIC(false));
        let (channel, mut outgoing) = opened.unwrap();
        device.core.send(now, &mut outgoing, &[&[1]]).unwrap();
        tags.extend(device.sent().iter().map(|(_, _, packet)| packet[3] & 7));
        device.core.close(channel);
    }
    assert_eq!(tags.len(), 20);
    assert!(!tags.contains(&7), "{tags:?}");
}

#[test]
fn a_response_that_the_bridge_does_not_wait_for_is_unexpected() {
    let mut device = Device::assigned();
    device.now += 1_000;
    device.core.expire(device.now());
    let (_, _, request) = device.sent().pop().unwrap();
    let (header, message) = Wire::parse(&request);
    let response = |tag, flags, command| {
        let back = Wire {
            destination: 9,
            source: 0,
            tag_owner: false,
            tag,
            ..header
        };
        back.packet(&[0, flags, command, 0, 0, 0, 0])
    };
    let (flags, command) = (message[1] & 0x1F, message[2]);
    let unexpected = mctp_router::Receipt::Dropped(DropReason::UnexpectedResponse);
    for wrong in [
        (SERIAL, response(6, flags, command)),
        (SERIAL, response(7, flags ^ 1, command)),
        (SERIAL, response(7, flags, command ^ 1)),
        (I2C, response(7, flags, command)),
        (UPSTREAM, response(7, flags, command)),
    ] {
        assert_eq!(
            device.receive((wrong.0, POINT_TO_POINT), &wrong.1),
            unexpected
        );
    }
    let right = response(7, flags, command);
    let control = mctp_router::Receipt::Control;
    assert_eq!(device.receive(BEHIND_SERIAL, &right), control);
    assert_eq!(
        device.receive(BEHIND_SERIAL, &right),
        unexpected,
        "only once"
    );
}

#[test]
fn a_topmost_bus_owner_assigns_from_its_own_pool_on_every_bus() {
    let mut device = Device::new(&BridgeConfig::bus_owner(eid(20), eid(29), &PORTS));
    assert!(device.core.set_static_endpoint_id(NETWORK, eid(8)));
    assert!(device.core.expect_endpoint(I2C, FIRST));
    let mut neighbours = [
        Neighbour::new(UPSTREAM, POINT_TO_POINT, 0xB1).bridge(3),
        Neighbour::new(I2C, FIRST, 0xA1),
    ];
    device.run(LONG, &mut neighbours);
    assert!((20..=29).contains(&neighbours[0].endpoint_id));
    assert!((20..=29).contains(&neighbours[1].endpoint_id));
    assert_eq!(neighbours[0].pool.1, 3);
    let behind = neighbours[0].pool.0;
    assert_eq!(device.way_to(behind), Some((UPSTREAM, POINT_TO_POINT)));
}

#[test]
fn uuids_are_resolved_to_endpoint_ids() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    for one in &neighbours {
        let request = [&[0x10], &one.uuid[..], &[0]].concat();
        let (binding, medium, address): (u8, u8, &[u8]) = match one.port {
            I2C => (1, 3, &[one.address.as_bytes()[0] << 1]),
            _ => (5, 0x24, &[]),
        };
        let entry = [one.endpoint_id, binding, medium, address.len() as u8];
        let expected = [&[0, 0xFF, 1], &entry[..], address].concat();
        assert_eq!(device.ask(&request), expected);
    }
    let own = [&[0x10], &crate::support::UUID[..], &[0]].concat();
    assert_eq!(device.ask(&own), [0, 0xFF, 1, 9, 3, 0x11, 0]);
    let nobody = [&[0x10], &[0xEE; 16][..], &[0]].concat();
    assert_eq!(device.ask(&nobody), [0, 0xFF, 0]);
    assert_eq!(device.ask(&nobody[..17]), [3], "another length");
}

#[test]
fn no_endpoint_is_expected_on_a_bus_of_another_owner() {
    let mut device = Device::bridge();
    assert!(!device.core.expect_endpoint(UPSTREAM, POINT_TO_POINT));
    assert!(!device.core.expect_endpoint(PortId(3), FIRST));
    assert!(!Device::simple().core.expect_endpoint(I2C, FIRST));
    let added = (0x20..0x40)
        .map(PhysicalAddress::from_byte)
        .take_while(|address| device.core.expect_endpoint(I2C, *address));
    assert_eq!(
        added.count(),
        7,
        "eight places, one of them for the serial link"
    );
}

#[test]
fn the_bridge_answers_its_bus_owner_while_it_asks_its_neighbours() {
    let mut device = Device::new(&BRIDGE);
    for address in 0x20..0x26 {
        device
            .core
            .expect_endpoint(I2C, PhysicalAddress::from_byte(address));
    }
    for step in 0..200 {
        device.now += 50;
        device.core.expire(device.now());
        let packet = REQUEST.to(0).tag(step % 8).packet(&[0, 0x81, 2]);
        device.receive(BEHIND_I2C, &packet);
        let sent = device.sent();
        let is_answer = |packet: &Vec<u8>| packet[1] == HOST && packet[3] & 8 == 0;
        let answers = sent.iter().filter(|(_, _, packet)| is_answer(packet));
        assert_eq!(answers.count(), 1);
    }
    assert_eq!(
        device.core.drop_counters().of(DropReason::ResponseNotTaken),
        0
    );
}

#[test]
fn a_bus_that_forces_its_way_is_owned_no_longer() {
    let (mut device, mut neighbours) = (expecting(), three());
    device.run(LONG, &mut neighbours);
    let (on_i2c, on_serial) = (neighbours[0].endpoint_id, neighbours[2].endpoint_id);
    let answer = device.ask_from(BEHIND_SERIAL, 0x30, &[1, 1, 60]);
    assert_eq!(answer, [0, 2, 60, 4]);
    assert_eq!(device.way_to(on_serial), None);
    assert_eq!(
        device.way_to(0x30),
        Some(BEHIND_SERIAL),
        "the new bus owner"
    );
    let asked = neighbours[2].asked.len();
    device.run(LONG, &mut neighbours);
    assert_eq!(neighbours[2].asked.len(), asked, "it is not asked any more");
    assert_eq!(device.way_to(on_i2c), Some(BEHIND_I2C));
    // The bus owner upstream takes it back.
    assert_eq!(device.ask(&[1, 1, 9]), [0, 2, 9, 4]);
    device.run(LONG, &mut neighbours);
    assert_eq!(device.way_to(on_serial), Some(BEHIND_SERIAL));
}

#[test]
fn a_bridge_behind_the_bridge_is_told_the_routes_and_their_changes() {
    let mut device = Device::assigned();
    assert!(device.core.expect_endpoint(I2C, FIRST));
    assert!(device.core.expect_endpoint(I2C, SECOND));
    let mut neighbours = [
        Neighbour::new(I2C, FIRST, 0xB1).bridge(1),
        Neighbour::new(I2C, SECOND, 0xA1),
    ];
    device.run(LONG, &mut neighbours);
    let told = |one: &Neighbour| {
        let mut updates = one.asked.iter().filter(|asked| asked[0] == 9);
        updates.next_back().cloned().unwrap_or_default()
    };
    let other = neighbours[1].endpoint_id;
    let update = told(&neighbours[0]);
    // The bridge at 10h, the bus owner behind it, and the endpoint at 1Eh; in what order is open.
    let mut entries: Vec<&[u8]> = update[2..].chunks(4).collect();
    entries.sort_unstable();
    assert_eq!(update[1], 3);
    let expected: [&[u8]; 3] = [&[0, 1, other, 0x3C], &[2, 1, 9, 0x20], &[3, 1, HOST, 0x20]];
    assert_eq!(entries, expected);
    assert_eq!(neighbours[1].count(9), 0, "it is no bridge");
    let updates = neighbours[0].count(9);
    device.run(LONG, &mut neighbours);
    assert_eq!(neighbours[0].count(9), updates, "nothing changed");
    let route = mctp_router::Route::new(eid(100), eid(120), SERIAL, POINT_TO_POINT);
    assert!(device.core.add_route(route));
    device.run(1_000, &mut neighbours);
    assert!(told(&neighbours[0]).ends_with(&[3, 21, 100, 0x20]));
    assert!(device.core.remove_route(NETWORK, eid(100), eid(120)));
    device.run(1_000, &mut neighbours);
    assert_eq!(told(&neighbours[0])[1], 3);
}

/// Random control messages of every kind, by every port.
#[test]
fn no_control_message_stops_the_bridge() {
    let (mut device, mut neighbours) = (expecting(), three());
    let mut number = 0x2545_F491_u32;
    let mut next = |below: u32| {
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        number % below
    };
    for round in 0..30_000 {
        let port = PortId(next(3) as u8);
        let address = match port {
            I2C => [FIRST, SECOND][next(2) as usize],
            _ => POINT_TO_POINT,
        };
        let is_request = next(4) > 0;
        let flags = (u8::from(is_request) << 7) | next(32) as u8;
        let command = [next(0x15) as u8, 1, 2, 8, 9, next(256) as u8][next(6) as usize];
        let len = next(20) as usize;
        let mut message = vec![0, flags, command];
        message
            .extend((0..len).map(|_| [0, 1, 2, next(256) as u8, next(20) as u8][next(5) as usize]));
        let header = Wire {
            destination: [0, device.own(), 0xFF, next(256) as u8][next(4) as usize],
            source: [0, HOST, 10, 8 + next(246) as u8][next(4) as usize],
            tag_owner: is_request,
            ..REQUEST
        };
        device.receive((port, address), &header.tag(next(8) as u8).packet(&message));
        device.now += u64::from(next(20));
        if round % 64 == 0 {
            device.run(50, &mut neighbours);
        }
    }
    device.core.link_down(I2C);
    device.core.link_up(I2C);
    device.sent();
    // Whatever happened, force sets it right.
    assert_eq!(device.ask(&[1, 1, 9])[..1], [0]);
    assert_eq!(device.ask(&[8, 1, 4, 10]), [0, 0, 4, 10]);
    device.run(LONG, &mut neighbours);
    for one in &neighbours {
        assert!((10..=13).contains(&one.endpoint_id), "{one:?}");
        assert_eq!(
            device.way_to(one.endpoint_id),
            Some((one.port, one.address))
        );
    }
}
