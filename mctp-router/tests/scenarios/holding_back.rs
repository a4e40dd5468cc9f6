//! A packet that finds no buffer is left with a neighbour that can wait, while a buffer may come
//! free, and not longer.

use mctp::MsgType;
use mctp_router::Service;
use mctp_transport::{DropReason, PhysicalAddress};

use crate::Device;
use crate::support::driver::{Came, Driver, Served, Taken, Taking};
use crate::support::{ECHO, I2C, REQUEST, USB, assemble, echo_message};

const PLAIN_TYPE: u8 = 5;
const PLAIN: Service = Service::message_type(MsgType(PLAIN_TYPE));

/// A device both of whose long buffers are with its services.
struct BothLent {
    device: Device,
    echo: Served,
    lent: [Taken; 2],
}

impl BothLent {
    fn new() -> Self {
        let (mut device, echo) = Device::echo();
        device.set_can_wait(USB, true);
        let plain = device.listen(PLAIN).unwrap();
        let messages = [(echo, echo_message(100)), (plain, vec![PLAIN_TYPE; 100])];
        let lent = messages.map(|(served, message)| {
            device.receive_all(&REQUEST.tag(1).packets(&message, 64));
            device.lend(served)
        });
        Self { device, echo, lent }
    }
}

/// A device both of whose long buffers have a message that is not whole.
fn both_unfinished() -> (Device, Served) {
    let (mut device, echo) = Device::echo();
    device.set_can_wait(USB, true);
    for tag in [1, 2] {
        let packets = REQUEST.tag(tag).packets(&echo_message(100), 64);
        assert_eq!(device.receive(&packets[0]), Came::Stored);
    }
    (device, echo)
}

/// The two packets of an echo request.
fn request(tag: u8) -> [Vec<u8>; 2] {
    let packets = REQUEST.tag(tag).packets(&echo_message(100), 64);
    packets.try_into().expect("two packets")
}

#[test]
fn a_packet_waits_for_the_buffer_of_a_message_that_is_being_answered() {
    let BothLent {
        mut device,
        echo,
        lent: [first, second],
    } = BothLent::new();
    let third = request(3);
    let drops = device.drops_of(|device| {
        assert_eq!(device.receive(&third[0]), Came::HeldBack);
        device.give_back(first);
        assert_eq!(device.receive(&third[1]), Came::Accepted);
        assert_eq!(device.take(echo), Some(echo_message(100)));
        device.give_back(second);
    });
    assert_eq!(drops, []);
    device.assert_serves(echo);
}

#[test]
fn it_waits_for_the_hold_time_and_the_next_one_not_again() {
    let BothLent {
        mut device,
        lent: [first, _second],
        ..
    } = BothLent::new();
    let third = request(3);
    assert_eq!(device.receive(&third[0]), Came::HeldBack);
    assert_eq!(device.drops_of(|device| device.advance(199)), []);
    let drops = device.drops_of(|device| device.advance(1));
    assert_eq!(drops, [(DropReason::NoMessageBuffer, 1)]);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
    device.advance(1_000);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
    device.give_back(first);
    assert_eq!(device.receive(&third[0]), Came::Stored);
    let fourth = request(4);
    assert_eq!(device.receive(&fourth[0]), Came::HeldBack, "a new hold");
}

#[test]
fn time_in_which_the_device_did_not_run_is_no_wait() {
    let BothLent {
        mut device,
        lent: [first, _second],
        ..
    } = BothLent::new();
    let third = request(3);
    let drops = device.drops_of(|device| {
        assert_eq!(device.receive(&third[0]), Came::HeldBack);
        device.advance(50);
        device.oversleep(5_000);
        device.run();
        device.give_back(first);
        assert_eq!(device.receive(&third[1]), Came::Accepted);
    });
    assert_eq!(drops, []);
}

#[test]
fn control_requests_that_came_with_a_packet_that_waits_are_answered_first_and_once() {
    let BothLent {
        mut device,
        echo,
        lent: [first, _second],
    } = BothLent::new();
    let [start, end] = request(3);
    let get_endpoint_id = |tag| REQUEST.to(0).tag(tag).packet(&[0, 0x80 | tag, 2]);
    let drops = device.drops_of(|device| {
        device.receive_all(&[start, get_endpoint_id(4), end, get_endpoint_id(5)]);
        let answers = assemble(&device.sent());
        let instances: Vec<u8> = answers.iter().map(|answer| answer.message[1]).collect();
        assert_eq!(instances, [4, 5]);
        device.give_back(first);
        assert_eq!(device.take(echo), Some(echo_message(100)));
        assert!(device.sent().is_empty(), "they were answered");
    });
    assert_eq!(drops, []);
}

/// A second service is open: the last buffer is kept for it while the first has a whole message.
fn with_another_service() -> (Device, Served, Served) {
    let (mut device, echo) = Device::echo();
    device.set_can_wait(USB, true);
    let plain = device.listen(PLAIN).unwrap();
    (device, echo, plain)
}

#[test]
fn a_service_may_have_as_many_unfinished_messages_as_there_are_buffers() {
    let (mut device, echo, _) = with_another_service();
    let requests = [1, 2].map(request);
    let drops = device.drops_of(|device| {
        for [start, _] in &requests {
            assert_eq!(device.receive(start), Came::Stored);
        }
        for [_, end] in &requests {
            assert_eq!(device.receive(end), Came::Accepted);
        }
        for _ in &requests {
            assert_eq!(device.take(echo), Some(echo_message(100)));
        }
    });
    assert_eq!(drops, []);
}

#[test]
fn a_service_with_a_whole_message_leaves_the_last_buffer_to_others() {
    let (mut device, echo, plain) = with_another_service();
    device.receive_all(&request(1));
    let [start, end] = request(2);
    assert_eq!(device.receive(&start), Came::HeldBack);
    assert_eq!(device.take(echo), Some(echo_message(100)));
    assert_eq!(device.receive(&end), Came::Accepted);
    let message = vec![PLAIN_TYPE; 100];
    device.receive_all(&REQUEST.tag(3).packets(&message, 64));
    assert_eq!(device.take(plain), Some(message));
}

/// Though neither is late: of the two the one that has stood still for longer.
#[test]
fn where_a_service_has_all_buffers_for_unfinished_messages_another_gets_one_of_them() {
    let (mut device, echo, plain) = with_another_service();
    let requests = [1, 2].map(request);
    for [start, _] in &requests {
        device.receive(start);
        device.advance(10);
    }
    let message = vec![PLAIN_TYPE; 100];
    let drops = device.drops_of(|device| {
        device.receive_all(&REQUEST.tag(3).packets(&message, 64));
    });
    assert_eq!(drops, [(DropReason::EvictedUnfinished, 1)]);
    assert_eq!(device.take(plain), Some(message));
    device.assert_drops(&requests[0][1], DropReason::MiddleWithoutStart);
    assert_eq!(device.receive(&requests[1][1]), Came::Accepted);
    assert_eq!(device.take(echo), Some(echo_message(100)));
}

#[test]
fn nothing_waits_for_what_the_world_may_never_send() {
    let (mut device, _) = both_unfinished();
    device.assert_drops(&request(3)[0], DropReason::NoMessageBuffer);
}

#[test]
fn a_neighbour_that_cannot_wait_is_not_made_to() {
    let BothLent {
        mut device,
        lent: _lent,
        ..
    } = BothLent::new();
    device.set_can_wait(USB, false);
    device.assert_drops(&request(3)[0], DropReason::NoMessageBuffer);
}

#[test]
fn a_neighbour_that_cannot_wait_does_not_use_up_the_time_of_one_that_can() {
    let BothLent {
        mut device,
        lent: _lent,
        ..
    } = BothLent::new();
    let third = request(3);
    let address = PhysicalAddress::from_byte(0x10);
    let came = device.receive_at(I2C, address, &third[0]);
    assert_eq!(came, Came::Dropped(DropReason::NoMessageBuffer));
    // Something else waits, so that time is looked at.
    device.stop_reading(USB);
    device.receive(&REQUEST.to(0).packet(&[0, 0x80, 2]));
    device.advance(1_000);
    assert_eq!(device.receive(&third[0]), Came::HeldBack);
}

#[test]
fn a_long_message_does_not_wait_for_short_buffers() {
    let (mut device, echo) = both_unfinished();
    let short = REQUEST.tag(3).packet(&echo_message(20));
    assert_eq!(device.receive(&short), Came::Accepted);
    device.assert_drops(&request(4)[0], DropReason::NoMessageBuffer);
    assert_eq!(device.receive(&short), Came::Accepted);
    assert_eq!(device.receive(&short), Came::HeldBack);
    for _ in 0..3 {
        assert_eq!(device.take(echo), Some(echo_message(20)));
    }
}

/// Forty requests at once, to services that need their time: none is lost.
#[test]
fn all_of_many_requests_are_answered_by_services_that_take_their_time() {
    let mut device = Device::large();
    device.set_can_wait(USB, true);
    let services = [ECHO, Service::vendor_pci(0xCCDE, &[0xF1])];
    let services = services.map(|service| device.listen(service).unwrap());
    let mut message = echo_message(300);
    let mut packets = Vec::new();
    for source in 0x20..0x48 {
        message[3] = 0xF0 | source & 1;
        packets.extend(REQUEST.from(source).packets(&message, 64));
    }
    device.receive_all(&packets);
    for _ in 0..20 {
        let taken = services.map(|served| device.lend(served));
        device.advance(7);
        for taken in taken {
            device.respond(&taken, false, &[taken.bytes()]);
            device.give_back(taken);
        }
    }
    assert_eq!(device.drop_counters().total(), 0);
    assert_eq!(assemble(&device.sent()).len(), 40);
}

/// Yielding to other tasks does not help where they are those of the link's executor.
#[test]
fn all_of_many_requests_at_once_are_answered() {
    for taking in [Taking::InPlace, Taking::Copied] {
        let mut device = Device::large();
        device.set_can_wait(USB, true);
        device.serve_echo(ECHO, taking);
        let requests = (0x20..0x38).map(|source| REQUEST.from(source));
        let packets = requests.map(|request| request.packet(&echo_message(20)));
        device.receive_all(&packets.collect::<Vec<_>>());
        assert_eq!(assemble(&device.sent()).len(), 24);
        assert_eq!(device.drop_counters().total(), 0);
    }
}
