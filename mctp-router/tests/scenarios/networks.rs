//! Ports of different networks are different endpoints: nothing of one network is matched with
//! anything of another, though both use the same numbers, as two bus owners that never heard of
//! each other do.

use mctp_router::{Event, NetworkId, PortId, Route, RouteOrigin, Service, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use crate::Device;
use crate::support::driver::{Came, Driver, Failure, Question, Served, Setup, Taking};
use crate::support::{
    DEVICE, ECHO, HOST, I2C, POINT_TO_POINT, REQUEST, USB, Wire, assemble, config, echo_message,
};

const UPPER: NetworkId = NetworkId(0);
const LOWER: NetworkId = NetworkId(1);
/// The bus owner on the I2C port.
const OWNER: PhysicalAddress = PhysicalAddress::from_byte(0x10);

/// A device with an echo service, each of whose ports is in a network of its own.
fn device() -> (Device, Served) {
    let mut device = Device::new(&Setup {
        config: config(),
        networks: [UPPER, LOWER],
        is_large: false,
    });
    let echo = device.listen(ECHO).unwrap();
    (device, echo)
}

/// A message with bytes that say which it is.
fn message(number: u8) -> Vec<u8> {
    let mut message = echo_message(150);
    message[4..].fill(number);
    message
}

fn set_endpoint_id(instance_id: u8, endpoint_id: u8) -> Vec<u8> {
    REQUEST
        .to(0)
        .packet(&[0, 0x80 | instance_id, 1, 0, endpoint_id])
}

#[test]
fn each_bus_owner_gives_the_device_an_endpoint_id_of_its_own() {
    let (mut device, _) = device();
    assert_eq!(device.receive(&set_endpoint_id(0, 9)), Came::Accepted);
    let came = device.receive_at(I2C, OWNER, &set_endpoint_id(0, 20));
    assert_eq!(came, Came::Accepted);
    let ids = [UPPER, LOWER].map(|network| device.endpoint_id(network));
    assert_eq!(ids, [Eid(9), Eid(20)]);
    let owners = [UPPER, LOWER].map(|network| device.bus_owner(network).unwrap());
    assert_eq!(owners.map(|owner| owner.port), [USB, I2C]);
    assert_eq!(owners.map(|owner| owner.address), [POINT_TO_POINT, OWNER]);
    let events = device.events();
    let networks = events.iter().map(|event| match event {
        Event::EndpointIdSet { network, .. } => *network,
        other => panic!("{other:?}"),
    });
    assert_eq!(networks.collect::<Vec<_>>(), [UPPER, LOWER]);
    // Each answers for itself, and only there.
    for (port, address, own, other) in [(USB, POINT_TO_POINT, 9, 20), (I2C, OWNER, 20, 9)] {
        let get = |to| REQUEST.to(to).packet(&[0, 0x81, 2]);
        device.transfers(port);
        device.receive_at(port, address, &get(own));
        let sent = device.transfers(port);
        let answer = Wire::parse(&sent[0].1[0]).1;
        assert_eq!(answer[..6], [0, 1, 2, 0, own, 0]);
        let came = device.receive_at(port, address, &get(other));
        assert_eq!(came, Came::Dropped(DropReason::NotOurDestination));
    }
}

#[test]
fn a_set_endpoint_id_in_one_network_is_no_retransmission_of_one_in_another() {
    let (mut device, _) = device();
    device.receive(&set_endpoint_id(3, 9));
    device.receive_at(I2C, OWNER, &set_endpoint_id(3, 9));
    assert_eq!(device.events().len(), 2);
    device.receive(&set_endpoint_id(3, 9));
    assert_eq!(device.events(), [], "this is one");
}

#[test]
fn an_endpoint_id_that_the_device_has_of_itself_belongs_to_one_network() {
    let (mut device, _) = device();
    assert!(device.set_static_endpoint_id(LOWER, Eid(30)));
    assert!(!device.set_static_endpoint_id(LOWER, Eid(7)));
    assert!(!device.set_static_endpoint_id(NetworkId(2), Eid(30)));
    device.receive(&REQUEST.to(0).packet(&[0, 0x80, 2]));
    device.receive_at(I2C, OWNER, &REQUEST.to(0).packet(&[0, 0x80, 2]));
    let answers = [USB, I2C].map(|port| device.transfers(port).remove(0).1.remove(0));
    let data = answers.map(|answer| answer[8..10].to_vec());
    assert_eq!(data, [[0, 0], [30, 2]]);
}

#[test]
fn messages_of_two_networks_with_the_same_numbers_do_not_mix() {
    let (mut device, echo) = device();
    for network in [UPPER, LOWER] {
        assert!(device.set_endpoint_id(network, Eid(DEVICE)));
    }
    let [upper, lower] = [1, 2].map(|number| REQUEST.packets(&message(number), 64));
    for (upper, lower) in upper.iter().zip(&lower) {
        device.receive(upper);
        device.receive_at(I2C, OWNER, lower);
    }
    for (number, network, port) in [(1, UPPER, USB), (2, LOWER, I2C)] {
        let taken = device.lend(echo);
        assert_eq!(taken.message, message(number));
        let (by_network, by_port, _) = taken.came_by.unwrap();
        assert_eq!((by_network, by_port), (network, port));
        let sending = device.respond(&taken, false, &[taken.bytes()]);
        assert_eq!(device.outcome(sending), Some(Ok(())));
        device.give_back(taken);
        let transfers = device.transfers(port).into_iter();
        let packets: Vec<_> = transfers.flat_map(|(_, packets)| packets).collect();
        assert_eq!(assemble(&packets)[0].message, message(number));
    }
}

#[test]
fn a_message_goes_on_only_by_the_neighbour_that_began_it_or_by_the_way_to_its_source() {
    let (mut device, echo) = Device::echo();
    let other = PhysicalAddress::from_byte(0x22);
    let packets = REQUEST.packets(&message(1), 64);
    device.receive_at(I2C, OWNER, &packets[0]);
    // Neither another neighbour of the bus, nor the other port, ends it, replaces it or breaks it.
    for (port, address) in [(I2C, other), (USB, POINT_TO_POINT)] {
        for packet in [
            &packets[1],
            &packets[2],
            &REQUEST.middle(3).packet(&[0; 64]),
        ] {
            let came = device.receive_at(port, address, packet);
            assert_eq!(came, Came::Dropped(DropReason::MiddleWithoutStart));
        }
        device.receive_at(port, address, &REQUEST.packet(&echo_message(9)));
        assert_eq!(device.take(echo), Some(echo_message(9)));
    }
    let route = Route::new(Eid(HOST), Eid(HOST), I2C, other).with_origin(RouteOrigin::Dynamic);
    assert!(device.add_route(route));
    let came = device.receive_at(I2C, other, &packets[1]);
    assert_eq!(came, Came::Stored);
    let came = device.receive_at(I2C, OWNER, &packets[2]);
    assert_eq!(came, Came::Accepted);
    assert_eq!(device.take(echo), Some(message(1)));
}

#[test]
fn two_neighbours_without_an_endpoint_id_are_two_senders() {
    let (mut device, echo) = Device::echo();
    let addresses = [0x10, 0x11].map(PhysicalAddress::from_byte);
    let messages = [1, 2].map(|number| REQUEST.from(0).to(0).packets(&message(number), 64));
    for index in 0..3 {
        for (address, packets) in addresses.iter().zip(&messages) {
            device.receive_at(I2C, *address, &packets[index]);
        }
    }
    assert_eq!(device.take(echo), Some(message(1)));
    assert_eq!(device.take(echo), Some(message(2)));
}

#[test]
fn requests_to_the_same_peer_in_two_networks_are_told_apart() {
    let (mut device, _) = device();
    for network in [UPPER, LOWER] {
        assert!(device.set_endpoint_id(network, Eid(DEVICE)));
    }
    assert!(device.add_route(Route::new(Eid(HOST), Eid(HOST), I2C, OWNER)));
    let mut ask = |network, port| {
        let asked = device.ask(Question::new(Target::Endpoint(network, Eid(HOST)), &[5, 1]));
        let (address, packets) = device.transfers(port).remove(0);
        (asked, address, Wire::parse(&packets[0]).0)
    };
    let [upper, lower] = [ask(UPPER, USB), ask(LOWER, I2C)];
    assert_eq!([upper.1, lower.1], [POINT_TO_POINT, OWNER]);
    // Both answered under the tag of the first.
    let answer = Wire {
        tag_owner: false,
        ..REQUEST.tag(upper.2.tag)
    };
    let came = device.receive_at(I2C, OWNER, &answer.packet(&[5, 7]));
    assert_eq!(came, Came::Dropped(DropReason::UnexpectedResponse));
    assert_eq!(device.receive(&answer.packet(&[5, 7])), Came::Accepted);
    assert_eq!(device.answers(upper.0), [Ok(vec![5, 7])]);
    let nowhere = Target::Endpoint(NetworkId(7), Eid(HOST));
    let asked = device.ask(Question::new(nowhere, &[5]));
    let outcome = device.request_outcome(asked);
    assert_eq!(outcome, Some(Err(Failure::Unreachable)));
}

#[test]
fn a_service_of_one_network_is_neither_served_nor_reported_in_another() {
    let (mut device, echo) = device();
    let plain = Service::message_type(mctp::MsgType(5));
    let lower = device.listen(plain.at(LOWER)).unwrap();
    assert_eq!(device.listen(plain), Err(Failure::AddrInUse), "it overlaps");
    let upper = device.listen(plain.at(UPPER)).unwrap();
    let request = REQUEST.to(0).packet(&[5, 1]);
    for (port, service, other) in [(USB, upper, lower), (I2C, lower, upper)] {
        assert_eq!(device.receive_at(port, OWNER, &request), Came::Accepted);
        assert_eq!(device.take(other), None);
        assert_eq!(device.take(service), Some(vec![5, 1]));
    }
    device.close(upper);
    device.assert_drops(&request, DropReason::UnsupportedMessageType);
    device.receive(&REQUEST.to(0).packet(&[0, 0x80, 5]));
    device.receive_at(I2C, OWNER, &REQUEST.to(0).packet(&[0, 0x80, 5]));
    let types = [USB, I2C].map(|port| device.transfers(port).remove(0).1[0][8..].to_vec());
    assert_eq!(types, [vec![2, 0, 0x7E], vec![3, 0, 5, 0x7E]]);
    device.receive(&REQUEST.to(0).packet(&echo_message(9)));
    assert_eq!(device.take(echo), Some(echo_message(9)));
}

/// What mctpd does when it finds a device (`setup_endpoint`, then the properties), by a port.
fn bus_owner_finds(device: &mut Device, port: PortId) -> usize {
    let requests: [(u8, &[u8]); 6] = [
        (0, &[0, 0x80, 2]),
        (0, &[0, 0x81, 1, 0, DEVICE]),
        (DEVICE, &[0, 0x82, 5]),
        (DEVICE, &[0, 0x83, 6, 0]),
        (DEVICE, &[0, 0x84, 3]),
        (DEVICE, &[0, 0x85, 2]),
    ];
    let mut answered = 0;
    for (to, payload) in requests {
        device.receive_at(port, OWNER, &REQUEST.to(to).packet(payload));
        let answers = device.transfers(port);
        let (_, answer) = Wire::parse(&answers[0].1[0]);
        assert_eq!(answer[1..4], [payload[1] & 0x1F, payload[2], 0]);
        answered += 1;
    }
    answered
}

/// A drive on USB and on SMBus: each bus owner has the number 8, gives the device the number 9, and
/// uses tag 0 for all it asks.
#[test]
fn two_bus_owners_with_the_same_numbers_get_100_000_answers_each_and_none_of_the_others() {
    let mut device = Device::in_two_networks();
    device.serve_echo(ECHO, Taking::InPlace);
    for port in [USB, I2C] {
        assert_eq!(bus_owner_finds(&mut device, port), 6);
    }
    for round in 0..100_000_u32 {
        // Two packets, that of one port between those of the other.
        let messages = [0xA0, 0xB0].map(|port| {
            let mut message = echo_message(70);
            message[4] = port;
            message[5..9].copy_from_slice(&round.to_be_bytes());
            message
        });
        let packets = [0, 1].map(|port: usize| REQUEST.packets(&messages[port], 64));
        for (usb, i2c) in packets[0].iter().zip(&packets[1]) {
            device.receive(usb);
            device.receive_at(I2C, OWNER, i2c);
        }
        for (port, message) in [USB, I2C].into_iter().zip(&messages) {
            let transfers = device.transfers(port).into_iter();
            let packets: Vec<_> = transfers.flat_map(|(_, packets)| packets).collect();
            let answers = assemble(&packets);
            assert_eq!(answers.len(), 1, "round {round}");
            assert_eq!(&answers[0].message, message, "round {round}");
        }
    }
    assert_eq!(device.drop_counters().total(), 0);
}

#[test]
fn a_device_has_an_endpoint_id_and_routes_in_each_network() {
    let mut device = Device::in_two_networks();
    assert!(device.set_static_endpoint_id(UPPER, Eid(30)));
    assert!(device.set_endpoint_id(LOWER, Eid(31)));
    assert!(!device.set_endpoint_id(NetworkId(2), Eid(31)));
    let ids = [UPPER, LOWER].map(|network| device.endpoint_id(network));
    assert_eq!(ids, [Eid(30), Eid(31)]);
    let route = Route::new(Eid(0x40), Eid(0x4F), I2C, OWNER).with_origin(RouteOrigin::Dynamic);
    assert!(device.add_route(route));
    assert!(!device.remove_route(UPPER, Eid(0x40), Eid(0x4F)));
    assert!(device.remove_route(LOWER, Eid(0x40), Eid(0x4F)));
    assert_eq!(device.bus_owner(UPPER), None);
    assert_eq!(device.messages_accepted(), 0);
}
