//! What holds for a bus owner whatever its neighbours do (DSP0236 1.3.3, sections 8.18, 12.4 and
//! 12.11).

use mctp_router::bus_owner::{BusOwner, Neighbour, Range};
use mctp_router::{Instant, PortId};
use mctp_transport::{Eid, PhysicalAddress};
use proptest::prelude::*;

const PORTS: usize = 3;
const PER_PORT: usize = 3;
const OWN: u8 = 9;
const SET_ENDPOINT_ID: u8 = 1;
const GET_ENDPOINT_ID: u8 = 2;
const GET_ENDPOINT_UUID: u8 = 3;
const ALLOCATE_ENDPOINT_IDS: u8 = 8;

fn address(index: usize) -> PhysicalAddress {
    PhysicalAddress::from_byte(0x10 + index as u8)
}

fn owner(neighbours: &mut [Option<Neighbour>], first: u8, last: u8) -> BusOwner<'_> {
    let mut owner = BusOwner::new(neighbours);
    owner.set_own_endpoint_id(Eid(OWN));
    owner.set_pool(Range::new(Eid(first), Eid(last)), false);
    owner
}

/// A request that was sent: port, address and message.
type Sent = (PortId, PhysicalAddress, Vec<u8>);

fn poll(owner: &mut BusOwner<'_>, now: Instant) -> Option<Sent> {
    let request = owner.poll_request(now)?;
    Some((request.port, request.address, request.payload.to_vec()))
}

/// The response to a request, with these data.
fn response(request: &[u8], data: &[u8]) -> Vec<u8> {
    [&[0, request[1] & 0x1F, request[2], 0], data].concat()
}

fn answer(owner: &mut BusOwner<'_>, sent: &Sent, source: u8, data: &[u8]) {
    let (port, address, request) = sent;
    let message = response(request, data);
    assert!(owner.receive_response(Instant::START, *port, *address, Eid(source), &message));
}

#[test]
fn an_endpoint_id_that_is_being_assigned_is_not_taken_away() {
    let mut neighbours = [const { None }; 2];
    let mut owner = owner(&mut neighbours, 10, 10);
    for port in [PortId(0), PortId(1)] {
        assert!(owner.expect(port, address(0)));
        owner.link_up(port);
    }
    let now = Instant::START;
    let probes = [(); 2].map(|()| poll(&mut owner, now).unwrap());
    for probe in &probes {
        answer(&mut owner, probe, 0, &[0, 0, 0]);
    }
    let set = poll(&mut owner, now).unwrap();
    assert_eq!(set.2[2..], [SET_ENDPOINT_ID, 0, 10]);
    assert_eq!((set.0, poll(&mut owner, now)), (probes[0].0, None));
    answer(&mut owner, &set, 0, &[0, 10, 0]);
    let present: Vec<_> = owner.neighbours().filter(|it| it.is_present()).collect();
    assert_eq!((present.len(), present[0].place().0), (1, probes[0].0));
}

/// Finds a bridge that wants four endpoint IDs, which answers Allocate Endpoint IDs with `allocated`
/// and Get Endpoint UUID with `uuid`.
fn bridge(neighbours: &mut [Option<Neighbour>], allocated: [u8; 3], uuid: [u8; 16]) {
    let mut owner = owner(neighbours, 10, 20);
    assert!(owner.expect(PortId(0), address(0)));
    owner.link_up(PortId(0));
    while let Some(sent) = poll(&mut owner, Instant::START) {
        match sent.2[2] {
            GET_ENDPOINT_ID => answer(&mut owner, &sent, 0, &[0, 0x10, 0]),
            SET_ENDPOINT_ID => answer(&mut owner, &sent, 0, &[1, sent.2[4], 4]),
            ALLOCATE_ENDPOINT_IDS => {
                assert_eq!(sent.2[3..], [0, 4, 11]);
                answer(&mut owner, &sent, 10, &allocated);
            }
            GET_ENDPOINT_UUID => answer(&mut owner, &sent, 10, &uuid),
            command => panic!("command {command}"),
        }
    }
}

#[test]
fn a_bridge_that_accepts_a_part_of_its_range_has_that_part() {
    let range = |allocated| {
        let mut neighbours = [None];
        bridge(&mut neighbours, allocated, [1; 16]);
        neighbours[0].as_ref().unwrap().range()
    };
    assert_eq!(range([0, 4, 11]), Range::of_size(Eid(11), 4));
    assert_eq!(range([0, 2, 11]), Range::of_size(Eid(11), 2));
    assert_eq!(range([0, 2, 13]), Range::of_size(Eid(13), 2));
    assert_eq!(range([0, 5, 11]), None, "more than it was given");
    assert_eq!(range([0, 0, 0]), None);
}

#[test]
fn the_nil_uuid_is_none() {
    let uuid = |byte| {
        let mut neighbours = [None];
        bridge(&mut neighbours, [0, 4, 11], [byte; 16]);
        neighbours[0].as_ref().unwrap().uuid().copied()
    };
    assert_eq!((uuid(7), uuid(0)), (Some([7; 16]), None));
}

#[test]
fn who_notifies_all_the_time_does_not_keep_the_others_from_being_asked() {
    let mut neighbours = [const { None }; 3];
    let mut owner = owner(&mut neighbours, 10, 20);
    for index in 0..3 {
        assert!(owner.expect(PortId(0), address(index)));
    }
    owner.link_up(PortId(0));
    let mut devices = [0; 3];
    for _ in 0..20 {
        assert!(owner.notify(PortId(0), address(0)));
        let Some(sent) = poll(&mut owner, Instant::START) else {
            continue;
        };
        let device = &mut devices[usize::from(sent.1.as_bytes()[0] - 0x10)];
        let (source, message) = obey(device, &sent.2);
        assert!(owner.receive_response(Instant::START, sent.0, sent.1, Eid(source), &message));
    }
    assert!(owner.neighbours().all(Neighbour::is_present), "{devices:?}");
}

#[test]
fn a_bridge_that_is_being_told_a_page_is_told_all_of_them_when_they_change() {
    let mut neighbours = [None];
    bridge(&mut neighbours, [0, 4, 11], [1; 16]);
    let mut owner = BusOwner::new(&mut neighbours);
    owner.link_up(PortId(0));
    let page = |owner: &mut BusOwner<'_>| {
        let request = owner.poll_request(Instant::START)?;
        let sent = (request.port, request.address, request.payload.to_vec());
        Some((request.page?, sent))
    };
    let probe = poll(&mut owner, Instant::START).unwrap();
    answer(&mut owner, &probe, 10, &[10, 0x10, 0]);
    owner.inform_bridges(2);
    let (first, sent) = page(&mut owner).unwrap();
    assert_eq!(first, 0);
    // The routes change while page 0 as it was is on its way.
    owner.inform_bridges(2);
    answer(&mut owner, &sent, 10, &[]);
    let mut told = Vec::new();
    while let Some((number, sent)) = page(&mut owner) {
        told.push(number);
        answer(&mut owner, &sent, 10, &[]);
    }
    assert_eq!(told, [0, 1]);
}

#[test]
fn an_endpoint_id_is_given_to_another_five_seconds_after_its_endpoint_was_lost_at_the_earliest() {
    let mut neighbours = [const { None }; 2];
    let mut owner = owner(&mut neighbours, 10, 10);
    assert!(owner.expect(PortId(0), address(0)));
    owner.link_up(PortId(0));
    let mut endpoint_id = 0;
    while let Some(sent) = poll(&mut owner, Instant::START) {
        let (source, message) = obey(&mut endpoint_id, &sent.2);
        assert!(owner.receive_response(Instant::START, sent.0, sent.1, Eid(source), &message));
    }
    assert_eq!(endpoint_id, 10);
    owner.link_down(PortId(0));
    assert!(owner.expect(PortId(1), address(0)));
    owner.link_up(PortId(1));
    let mut other = 0;
    for now in (0..10_000).step_by(100) {
        let at = Instant::from_millis(now);
        while let Some(sent) = poll(&mut owner, at) {
            let (source, message) = obey(&mut other, &sent.2);
            assert!(owner.receive_response(at, sent.0, sent.1, Eid(source), &message));
        }
        assert!(other == 0 || now >= 5_000, "given at {now} ms");
    }
    assert_eq!(other, 10);
}

/// What a neighbour does with the request that it has got, or what else happens.
#[derive(Clone, Debug)]
enum Event {
    /// It answers as it should.
    Answers,
    /// It answers with a message of these data.
    Garbage(Vec<u8>),
    /// It keeps the endpoint ID that it has.
    Rejects,
    /// It does not acknowledge.
    Refuses,
    /// Time passes.
    Waits(u64),
    /// It loses its endpoint ID.
    Reset,
    /// It has this endpoint ID.
    Has(u8),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Answers),
        1 => proptest::collection::vec(any::<u8>(), 0..8).prop_map(Event::Garbage),
        1 => Just(Event::Rejects),
        1 => Just(Event::Refuses),
        2 => (0u64..1500).prop_map(Event::Waits),
        1 => Just(Event::Reset),
        1 => any::<u8>().prop_map(Event::Has),
    ]
}

/// What a device that follows the standard answers: its source endpoint ID and the response.
fn obey(endpoint_id: &mut u8, request: &[u8]) -> (u8, Vec<u8>) {
    let data = match request[2] {
        GET_ENDPOINT_ID => vec![*endpoint_id, 0, 0],
        SET_ENDPOINT_ID => {
            *endpoint_id = request[4];
            vec![0, request[4], 0]
        }
        GET_ENDPOINT_UUID => vec![1; 16],
        _ => vec![0, 0, 0],
    };
    (*endpoint_id, response(request, &data))
}

/// Present neighbours have endpoint IDs of their own, of the pool unless they keep theirs.
fn check(owner: &BusOwner<'_>) {
    let mut given = Vec::new();
    for neighbour in owner.neighbours().filter(|it| it.is_present()) {
        let endpoint_id = neighbour.endpoint_id().expect("who is present has one").0;
        assert!((10..=20).contains(&endpoint_id) || neighbour.keeps_its_own());
        assert!((8..=254).contains(&endpoint_id) && endpoint_id != OWN);
        given.push(endpoint_id);
        let range = neighbour.range();
        given.extend(range.into_iter().flat_map(|it| it.first().0..=it.last().0));
    }
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count, "an endpoint ID twice");
}

proptest! {
    #[test]
    fn endpoint_ids_are_unique_and_a_port_has_one_request_and_everybody_is_found_in_the_end(
        events in proptest::collection::vec((0..PORTS, events()), 0..200)
    ) {
        let mut neighbours = [const { None }; PORTS * PER_PORT];
        let mut owner = owner(&mut neighbours, 10, 20);
        let mut devices = [[0u8; PER_PORT]; PORTS];
        for port in 0..PORTS {
            for at in 0..PER_PORT {
                prop_assert!(owner.expect(PortId(port as u8), address(at)));
            }
            owner.link_up(PortId(port as u8));
        }
        let mut now = 0;
        let mut on_its_way: [Option<(Sent, u64)>; PORTS] = [const { None }; PORTS];
        // In the end, everybody answers for ten seconds.
        let calm = (0..500).flat_map(|_| {
            (0..PORTS).map(|port| (port, Event::Answers)).chain([(0, Event::Waits(20))])
        });
        for (port, event) in events.into_iter().chain(calm) {
            let at = Instant::from_millis(now);
            let mut polled = 0;
            while let Some(sent) = poll(&mut owner, at) {
                polled += 1;
                prop_assert!(polled <= PORTS, "a request for each port");
                let place = &mut on_its_way[usize::from(sent.0.0)];
                if let Some((before, since)) = place {
                    // The same once more, or another after its last try.
                    prop_assert!(*before == sent || now - *since >= 300, "{before:x?} {sent:x?}");
                }
                *place = Some((sent, now));
            }
            check(&owner);
            prop_assert!(owner.deadline() > at || owner.deadline() == Instant::NEVER);
            let device = |sent: &Sent| usize::from(sent.1.as_bytes()[0] - 0x10);
            match (event, on_its_way[port].clone()) {
                (Event::Waits(time), _) => now += time,
                (Event::Reset, _) => devices[port][now as usize % PER_PORT] = 0,
                (Event::Has(id), _) => devices[port][now as usize % PER_PORT] = id,
                (_, None) => {}
                (Event::Answers, Some((sent, _))) => {
                    let (source, message) = obey(&mut devices[port][device(&sent)], &sent.2);
                    owner.receive_response(at, sent.0, sent.1, Eid(source), &message);
                    on_its_way[port] = None;
                }
                (Event::Garbage(data), Some((sent, _))) => {
                    let message = response(&sent.2, &data);
                    let source = Eid(devices[port][device(&sent)]);
                    if owner.receive_response(at, sent.0, sent.1, source, &message) {
                        on_its_way[port] = None;
                    }
                }
                (Event::Rejects, Some((sent, _))) if sent.2[2] == SET_ENDPOINT_ID => {
                    let kept = devices[port][device(&sent)];
                    let message = response(&sent.2, &[0x10, kept, 0]);
                    owner.receive_response(at, sent.0, sent.1, Eid(kept), &message);
                    on_its_way[port] = None;
                }
                (Event::Rejects, _) => {}
                (Event::Refuses, Some((sent, _))) => {
                    owner.refused(at, sent.0, sent.1);
                    on_its_way[port] = None;
                }
            }
            check(&owner);
        }
        for neighbour in owner.neighbours() {
            prop_assert!(neighbour.is_present(), "{neighbour:?}");
            let (port, address) = neighbour.place();
            let device = devices[usize::from(port.0)][usize::from(address.as_bytes()[0] - 0x10)];
            prop_assert_eq!(neighbour.endpoint_id(), Some(Eid(device)));
        }
    }
}
