//! Services: what they take, in place or as a copy, and how they answer.

use mctp::MsgType;
use mctp_router::{Route, Service};
use mctp_transport::{DropReason, Eid, PhysicalAddress};

use crate::Device;
use crate::support::driver::{Came, Driver, Failure, Taking};
use crate::support::{
    ECHO, HOST, I2C, NETWORK, POINT_TO_POINT, REQUEST, USB, Wire, assemble, echo_message,
};

const PLAIN_TYPE: u8 = 5;
const PLAIN: Service = Service::message_type(MsgType(PLAIN_TYPE));
const NEIGHBOUR: PhysicalAddress = PhysicalAddress::from_byte(0x10);

#[test]
fn echoes_every_size_up_to_the_longest() {
    for taking in [Taking::InPlace, Taking::Copied] {
        let mut device = Device::large();
        device.serve_echo(ECHO, taking);
        for len in (4..300).chain([4096, 65_536, 70_001]) {
            device.assert_echoes((len % 8) as u8, len);
        }
        assert_eq!(device.drop_counters().total(), 0);
    }
}

#[test]
fn a_message_is_taken_with_all_that_is_known_of_it_and_answered_in_parts() {
    for taking in [Taking::InPlace, Taking::Copied] {
        let mut device = Device::large();
        let plain = device.listen(PLAIN).unwrap();
        let request = REQUEST.from(0x30).tag(4);
        let packet = request.packet(&[0x80 | PLAIN_TYPE, 1, 2, 3]);
        assert_eq!(device.receive_at(I2C, NEIGHBOUR, &packet), Came::Accepted);
        let taken = device.take_as(plain, taking).unwrap();
        assert_eq!(taken.message, [PLAIN_TYPE, 1, 2, 3]);
        assert!(taken.integrity_check);
        assert_eq!(taken.source, Eid(0x30));
        let way = (NETWORK, I2C, NEIGHBOUR);
        let is_in_place = taking == Taking::InPlace;
        assert_eq!(taken.came_by, is_in_place.then_some(way));
        let parts = [b"re: ", &taken.bytes()[1..], &taken.bytes()[..1]];
        device.respond(&taken, false, &parts);
        let (to, packets) = device.transfers(I2C).remove(0);
        let (header, payload) = Wire::parse(&packets[0]);
        assert_eq!((to, header.tag), (NEIGHBOUR, 4));
        assert_eq!(payload, [&[PLAIN_TYPE], &b"re: "[..], &[2, 3, 1]].concat());
    }
}

#[test]
fn a_service_receives_while_it_owes_a_response() {
    let mut device = Device::large();
    let plain = device.listen(PLAIN).unwrap();
    let [early, late] = [2, 5].map(|tag| {
        device.receive(&REQUEST.tag(tag).packet(&[PLAIN_TYPE, tag]));
        device.copy(plain)
    });
    device.respond(&late, false, &[late.bytes()]);
    device.respond(&early, false, &[early.bytes()]);
    let sent = assemble(&device.sent());
    let answers = sent.iter().map(|sent| (sent.header.tag, sent.message[1]));
    assert_eq!(answers.collect::<Vec<_>>(), [(5, 5), (2, 2)]);
}

/// A service answers two requests side by side: the first with `lens[0]` bytes and the second with
/// `lens[1]`.
#[test]
fn a_service_answers_by_two_ports_at_once() {
    for lens in [[2000, 5000], [5000, 2000]] {
        for ports in [[USB, I2C], [I2C, USB]] {
            let mut device = Device::large();
            let plain = device.listen(PLAIN).unwrap();
            ports.iter().for_each(|port| device.stop_reading(*port));
            let sendings = [0, 1].map(|index| {
                let request = REQUEST.tag(index as u8).packet(&[PLAIN_TYPE, 1]);
                device.receive_at(ports[index], POINT_TO_POINT, &request);
                let taken = device.copy(plain);
                device.respond(&taken, false, &[&vec![1; lens[index]]])
            });
            assert_eq!(sendings.map(|sending| device.outcome(sending)), [None; 2]);
            ports.iter().for_each(|port| device.read_again(*port));
            let outcomes = sendings.map(|sending| device.outcome(sending));
            assert_eq!(outcomes, [Some(Ok(())); 2], "{lens:?} by {ports:?}");
        }
    }
}

#[test]
fn a_service_answers_in_two_units_at_once() {
    let mut device = Device::large();
    device.set_unit(USB, 100);
    assert!(device.add_route(Route::new(Eid(20), Eid(20), USB, POINT_TO_POINT)));
    let plain = device.listen(PLAIN).unwrap();
    device.stop_reading(USB);
    let sendings = [(HOST, 9000), (20, 500)].map(|(source, len)| {
        device.receive(&REQUEST.from(source).packet(&[PLAIN_TYPE, 1]));
        let taken = device.copy(plain);
        device.respond(&taken, false, &[&vec![1; len]])
    });
    device.read_again(USB);
    let outcomes = sendings.map(|sending| device.outcome(sending));
    assert_eq!(outcomes, [Some(Ok(())); 2]);
    let sent = assemble(&device.sent());
    let sent = sent.iter().map(|sent| (sent.units[0], sent.message.len()));
    assert_eq!(sent.collect::<Vec<_>>(), [(64, 501), (100, 9001)]);
}

#[test]
fn several_services_get_their_own_messages() {
    let mut device = Device::large();
    let bench = Service::vendor_pci(0xCCDE, &[0xF1, 0x01]);
    for service in [ECHO, bench, PLAIN] {
        device.serve_echo(service, Taking::InPlace);
    }
    let messages = [
        &[0x7E, 0xCC, 0xDE, 0xF0, 1][..],
        &[0x7E, 0xCC, 0xDE, 0xF1, 1, 2],
        &[PLAIN_TYPE, 3],
    ];
    for (tag, message) in (0..).zip(&messages) {
        device.receive(&REQUEST.tag(tag).packet(message));
    }
    for stranger in [&[0xF2, 1], &[0xF1, 2]] {
        let payload = [&[0x7E, 0xCC, 0xDE][..], stranger].concat();
        device.receive(&REQUEST.tag(7).packet(&payload));
    }
    let mut sent: Vec<_> = assemble(&device.sent());
    sent.sort_by_key(|message| message.header.tag);
    let sent: Vec<_> = sent.into_iter().map(|message| message.message).collect();
    assert_eq!(sent, messages);
    assert_eq!(device.drops(DropReason::UnsupportedMessageType), 2);
}

#[test]
fn a_closed_service_frees_its_messages_and_its_place() {
    let mut device = Device::large();
    device.set_can_wait(USB, true);
    for _ in 0..100 {
        let echo = device.listen(ECHO).unwrap();
        assert_eq!(device.listen(ECHO), Err(Failure::AddrInUse));
        // More than there are buffers for, whole and unfinished.
        for tag in 0..8 {
            let unfinished = REQUEST.from(0x30).tag(tag).first();
            device.receive_all(&[
                REQUEST.tag(tag).packet(&echo_message(20)),
                unfinished.packet(&echo_message(64)),
            ]);
        }
        // What was held back for it is dropped.
        device.close(echo);
    }
    device.serve_echo(ECHO, Taking::InPlace);
    device.assert_echoes(0, 10_000);
}

#[test]
fn unread_messages_of_one_service_leave_buffers_to_the_others() {
    let mut device = Device::echoing();
    device.set_can_wait(USB, true);
    device.listen(PLAIN).unwrap();
    for round in 0..20 {
        for source in 0x10..0x20 {
            let request = REQUEST.from(source);
            let mut packets = request.tag(1).packets(&[PLAIN_TYPE; 300], 64);
            packets.push(request.packet(&[PLAIN_TYPE, 1]));
            packets.push(request.tag(2).first().packet(&[PLAIN_TYPE; 64]));
            device.receive_all(&packets);
        }
        // The first time, packets for it are held back: it could give a buffer back.
        device.advance(if round == 0 { 300 } else { 0 });
        device.assert_echoes(round % 8, 9);
        device.assert_echoes(round % 8, 900);
    }
}

#[test]
fn no_message_is_lost_to_a_service_that_only_had_no_turn_yet() {
    for length in [10, 1000] {
        let mut device = Device::large();
        device.set_can_wait(USB, true);
        let echo = device.listen(ECHO).unwrap();
        device.listen(PLAIN).unwrap();
        // Far more than there are buffers, and all of them there at once.
        let requests = (0..100).map(|number| REQUEST.tag(number & 7));
        let packets = requests.flat_map(|request| request.packets(&echo_message(length), 64));
        device.receive_all(&packets.collect::<Vec<_>>());
        assert!(device.messages_accepted() < 100);
        let taken = std::iter::from_fn(|| device.take(echo));
        assert_eq!(taken.count(), 100);
        assert_eq!(device.drop_counters().total(), 0);
    }
}

#[test]
fn a_service_that_holds_its_message_for_long_delays_nobody_else() {
    let mut device = Device::echoing();
    let plain = device.listen(PLAIN).unwrap();
    device.receive(&REQUEST.packet(&[PLAIN_TYPE, 9]));
    let taken = device.lend(plain);
    device.advance(100);
    device.assert_echoes(1, 500);
    device.advance(5000);
    assert_eq!(device.sent(), [[0u8; 0]; 0]);
    device.respond(&taken, false, &[taken.bytes()]);
    assert_eq!(assemble(&device.sent())[0].message, [PLAIN_TYPE, 9]);
}

#[test]
fn a_response_abandoned_halfway_lets_the_service_go_on() {
    let mut device = Device::large();
    let echo = device.listen(ECHO).unwrap();
    device.stop_reading(USB);
    for tag in 0..8 {
        device.receive_all(&REQUEST.tag(tag).packets(&echo_message(3000), 64));
        let taken = device.lend(echo);
        let sending = device.respond(&taken, false, &[taken.bytes()]);
        assert_eq!(device.outcome(sending), None);
        device.abandon(sending);
        device.give_back(taken);
    }
    device.close(echo);
    device.read_again(USB);
    device.sent();
    device.serve_echo(ECHO, Taking::InPlace);
    device.assert_echoes(0, 3000);
}

#[test]
fn an_abandoned_response_leaves_its_place_in_the_line() {
    for abandoned in 0..2 {
        let mut device = Device::large();
        let services = [ECHO, PLAIN].map(|service| device.listen(service).unwrap());
        device.stop_reading(USB);
        let requests = [echo_message(9), vec![PLAIN_TYPE, 1]];
        let sendings = [0, 1].map(|index| {
            device.receive(&REQUEST.tag(index as u8).packet(&requests[index]));
            let taken = device.copy(services[index]);
            device.respond(&taken, false, &[&[7; 3000]])
        });
        device.abandon(sendings[abandoned]);
        device.read_again(USB);
        let other = sendings[1 - abandoned];
        assert_eq!(device.outcome(other), Some(Ok(())), "{abandoned}");
    }
}

#[test]
fn over_a_lossy_link_messages_arrive_whole_or_not_at_all() {
    let mut device = Device::echoing();
    let (mut echoed, mut packets) = (0, 0);
    for round in 0..300 {
        let message = echo_message(100 + round * 7);
        for packet in REQUEST.tag((round % 8) as u8).packets(&message, 64) {
            packets += 1;
            // One of 13 is lost.
            if packets % 13 != 0 {
                device.receive(&packet);
            }
        }
        device.receive_broken(USB);
        device.advance(10);
        for answer in assemble(&device.sent()) {
            assert_eq!(answer.message, message);
            echoed += 1;
        }
    }
    assert!((1..300).contains(&echoed), "{echoed}");
    assert_eq!(device.drops(DropReason::BadLinkIntegrity), 300);
    device.advance(250);
    device.assert_echoes(1, 5000);
}
