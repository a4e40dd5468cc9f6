//! A packet that finds no buffer is left with a neighbour that can wait, while a buffer may come
//! free, and not longer.

mod support;

use embassy_futures::yield_now;
use mctp_router::{ChannelId, Clock, Instant, LentMessage, Receipt, Service};
use mctp_transport::{DropReason, PhysicalAddress};
use support::shell::{Executor, Running};
use support::{Device, ECHO, I2C, REQUEST, USB, assemble, config, echo_message};

/// A device both of whose long buffers are with its service, and the start of a third message.
fn both_lent() -> (Device, [LentMessage<'static>; 2], Vec<Vec<u8>>) {
    let (mut device, echo) = Device::echo();
    device.core.set_can_wait(USB, true);
    let lent = [1, 2].map(|tag| {
        for packet in REQUEST.tag(tag).packets(&echo_message(100), 64) {
            device.receive(&packet);
        }
        device.core.take_message(echo).unwrap()
    });
    let third = REQUEST.tag(3).packets(&echo_message(100), 64);
    (device, lent, third)
}

/// A device both of whose long buffers have a message that is not whole.
fn both_unfinished() -> (Device, ChannelId) {
    let (mut device, echo) = Device::echo();
    device.core.set_can_wait(USB, true);
    for tag in [1, 2] {
        let packets = REQUEST.tag(tag).packets(&echo_message(100), 64);
        assert_eq!(device.receive(&packets[0]), Receipt::Stored);
    }
    (device, echo)
}

#[test]
fn a_packet_waits_for_the_buffer_of_a_message_that_is_being_answered() {
    let (mut device, [first, second], third) = both_lent();
    let drops = device.drops_of(|device| {
        assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
        assert!(device.core.is_held_back(USB));
        device.core.take_wakes();
        assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
        device.core.give_back(first);
        assert!(device.core.take_wakes().held_back() && !device.core.is_held_back(USB));
        assert_eq!(device.receive(&third[0]), Receipt::Stored);
        assert!(matches!(device.receive(&third[1]), Receipt::Delivered(_)));
        device.core.give_back(second);
        assert!(!device.core.take_wakes().held_back(), "nobody waits");
    });
    assert_eq!(drops, []);
}

#[test]
fn it_waits_for_the_hold_time_and_the_next_one_not_again() {
    let (mut device, [first, second], third) = both_lent();
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
    device.advance(100);
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
    assert_eq!(device.core.next_deadline(), Instant::from_millis(200));
    device.advance(100);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
    device.advance(1_000);
    assert_eq!(device.core.next_deadline(), Instant::NEVER, "nothing waits");
    device.core.give_back(first);
    assert_eq!(device.receive(&third[0]), Receipt::Stored);
    let fourth = REQUEST.tag(4).packets(&echo_message(100), 64);
    assert_eq!(device.receive(&fourth[0]), Receipt::HeldBack, "a new hold");
    device.core.give_back(second);
}

#[test]
fn time_in_which_the_device_did_not_run_is_no_wait() {
    let (mut device, [first, _second], third) = both_lent();
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
    device.advance(50);
    device.oversleep(5_000);
    device.core.expire(device.now());
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
    device.core.give_back(first);
    assert_eq!(device.receive(&third[0]), Receipt::Stored);
}

#[test]
fn nothing_waits_for_what_the_world_may_never_send() {
    let (mut device, _) = both_unfinished();
    let third = REQUEST.tag(3).packets(&echo_message(100), 64);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
}

#[test]
fn a_neighbour_that_cannot_wait_is_not_made_to() {
    let (mut device, _lent, third) = both_lent();
    device.core.set_can_wait(USB, false);
    device.assert_drops(&third[0], DropReason::NoMessageBuffer);
}

#[test]
fn a_neighbour_that_cannot_wait_does_not_use_up_the_time_of_one_that_can() {
    let (mut device, _lent, third) = both_lent();
    let drop = Receipt::Dropped(DropReason::NoMessageBuffer);
    let address = PhysicalAddress::from_byte(0x10);
    assert_eq!(device.receive_at(I2C, address, &third[0]), drop);
    // Something else waits, so that time is looked at.
    assert_eq!(
        device.receive(&REQUEST.to(0).packet(&[0, 0x80, 2])),
        Receipt::Control
    );
    device.advance(1_000);
    assert_eq!(device.receive(&third[0]), Receipt::HeldBack);
}

#[test]
fn a_long_message_does_not_wait_for_short_buffers() {
    let (mut device, echo) = both_unfinished();
    let short = REQUEST.tag(3).packet(&echo_message(20));
    assert_eq!(device.receive(&short), Receipt::Delivered(echo));
    let long = REQUEST.tag(4).packets(&echo_message(100), 64);
    device.assert_drops(&long[0], DropReason::NoMessageBuffer);
    assert_eq!(device.receive(&short), Receipt::Delivered(echo));
    assert_eq!(device.receive(&short), Receipt::HeldBack);
}

/// Forty requests at once, to services that need their time: none is lost. Yielding to other tasks
/// does not help, as nobody is ready.
#[test]
fn all_of_many_requests_are_answered_by_services_that_take_their_time() {
    let mut running = Running::new(&config());
    for service in [ECHO, Service::vendor_pci(0xCCDE, &[0xF1])] {
        let (router, clock) = (running.router, running.world.clock.clone());
        let mut listener = router.listener(service).unwrap();
        running.world.spawn(async move {
            loop {
                let message = listener.receive().await;
                let later = Instant::from_millis(clock.millis() + 7);
                clock.wait_until(later).await;
                message
                    .respond(message.integrity_check(), &[message.bytes()])
                    .await
                    .unwrap();
            }
        });
    }
    running.world.run();
    let mut message = echo_message(300);
    for source in 0x20..0x48 {
        message[3] = 0xF0 | source & 1;
        running
            .usb
            .packets(&REQUEST.from(source).packets(&message, 64));
    }
    running.world.advance(1_000);
    let answers = assemble(&running.usb.sent());
    assert_eq!(running.drops(DropReason::NoMessageBuffer), 0);
    assert_eq!(answers.len(), 0x28);
}

/// The link runs until it has nothing to do, before a service gets the processor. Yielding to other
/// tasks does not help, as they are those of the link's executor.
#[test]
fn all_of_many_requests_at_once_are_answered_by_a_service_of_lower_priority_than_the_link() {
    let mut running = Running::new(&config());
    let mut listener = running.router.listener(ECHO).unwrap();
    running.world.spawn_in(Executor::Low, async move {
        loop {
            let message = listener.receive().await;
            let echo = [message.bytes()];
            let sent = message.respond(message.integrity_check(), &echo).await;
            sent.unwrap();
        }
    });
    running.world.run();
    for source in 0x20..0x38 {
        let request = REQUEST.from(source).packet(&echo_message(20));
        running.usb.packet(&request);
    }
    running.world.run();
    assert_eq!(assemble(&running.usb.sent()).len(), 24);
    assert_eq!(running.router.drop_counters().total(), 0);
}

/// The response wakes the link, whose executor interrupts the service: the response leaves, and the
/// host's next request is there before the service gives back the buffer of the last one.
#[test]
fn a_request_right_behind_the_answer_to_the_last_waits_for_the_buffer_that_a_service_still_has() {
    let mut running = Running::with_one_long_buffer(&config());
    let mut listener = running.router.listener(ECHO).unwrap();
    running.world.spawn_in(Executor::Low, async move {
        loop {
            let message = listener.receive().await;
            let echo = [message.bytes()];
            let sent = message.respond(message.integrity_check(), &echo).await;
            sent.unwrap();
            // Interrupted here.
            yield_now().await;
        }
    });
    let link = running.usb.clone();
    let host = running.world.spawn(async move {
        for tag in (0..8).cycle().take(100) {
            let message = echo_message(100);
            link.packets(&REQUEST.tag(tag).packets(&message, 64));
            link.until_sent().await;
            let answers = assemble(&link.sent());
            assert_eq!(
                (answers[0].header.tag, &answers[0].message),
                (tag, &message)
            );
        }
    });
    running.world.run();
    assert_eq!(running.router.drop_counters().total(), 0);
    assert!(host.is_done(), "a request was not answered");
}
