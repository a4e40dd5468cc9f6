//! What only the async router has: its wakers and its futures, wherever they are dropped, and the
//! buffers of the traits of the `mctp` crate. Tasks are polled only when they were woken, so a
//! missing wake fails a test.

mod support;

use core::time::Duration;

use embassy_futures::yield_now;
use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, Error, MsgIC, MsgType};
use mctp_router::storage::{
    Channels, ForwardingBuffer, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Event, PortId, Route, RouterStorage, Service, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress, memory};
use support::shell::{
    Executor, Link, LinkRx, LinkTx, Outcome, Running, TestRouter, VirtualClock, World,
};
use support::{
    Assembled, DEVICE, ECHO, HOST, I2C, I2C_LAYOUT, NETWORK, POINT_TO_POINT, REQUEST, USB,
    USB_LAYOUT, Wire, assemble, config, echo_message,
};

const PLAIN_TYPE: u8 = 5;
const PLAIN: Service = Service::message_type(MsgType(PLAIN_TYPE));

fn running() -> Running {
    Running::new(&config())
}

fn echo_device() -> Running {
    let mut device = running();
    device.serve_echo(ECHO);
    device
}

fn control_request(tag: u8) -> Vec<u8> {
    REQUEST.tag(tag).packet(&[0, 0x80 | tag, 2])
}

/// One message and its echo.
#[track_caller]
fn assert_echoes(device: &mut Running, tag: u8, len: usize) {
    let message = echo_message(len);
    device.usb.packets(&REQUEST.tag(tag).packets(&message, 64));
    device.world.run();
    let sent = assemble(&device.usb.sent());
    assert_eq!(sent.len(), 1, "one echo of {len} bytes");
    assert_eq!((sent[0].header.tag, &sent[0].message), (tag, &message));
}

// Buffers that are too short.

#[test]
fn a_message_too_long_for_the_buffer_of_its_service_costs_nothing_else() {
    let mut device = running();
    let mut listener = device.router.listener(ECHO).unwrap();
    device.world.spawn(async move {
        let mut buffer = [0; 300];
        loop {
            if let Ok((_, integrity_check, request, mut response)) =
                listener.recv(&mut buffer).await
            {
                response
                    .send_vectored(integrity_check, &[request])
                    .await
                    .unwrap();
            }
        }
    });
    device.world.run();
    assert_echoes(&mut device, 1, 301);
    // Too long for the service's own buffer: lost, and the next one is served.
    device.usb.packets(&REQUEST.packets(&echo_message(302), 64));
    device.world.run();
    assert_eq!(device.usb.sent(), [[0u8; 0]; 0]);
    assert_echoes(&mut device, 2, 301);
}

type Answer = Result<Vec<u8>, Error>;

async fn ask(router: &'static TestRouter, timeout: u64, buffer_len: usize) -> Answer {
    let channel = router.request_channel(Target::Neighbour(USB, POINT_TO_POINT, Eid(HOST)));
    let mut channel = channel.with_timeout(Duration::from_millis(timeout));
    channel.send(MsgType(PLAIN_TYPE), b"?").await?;
    let mut buffer = vec![0; buffer_len];
    let (message_type, _, answer) = channel.recv(&mut buffer).await?;
    assert_eq!(message_type, MsgType(PLAIN_TYPE));
    Ok(answer.to_vec())
}

fn spawn_ask(device: &mut Running, timeout: u64, buffer_len: usize) -> Outcome<Answer> {
    let router = device.router;
    let asked = device.world.spawn(ask(router, timeout, buffer_len));
    device.world.run();
    asked
}

/// The host's answer to what it was asked last.
fn answer_to(asked: &Assembled, answer: &[u8]) -> Vec<Vec<u8>> {
    let header = Wire {
        tag_owner: false,
        ..REQUEST.tag(asked.header.tag)
    };
    header.packets(&[&[PLAIN_TYPE], answer].concat(), 64)
}

#[test]
fn a_response_too_long_for_the_buffer_is_an_error_and_costs_nothing_else() {
    let mut device = running();
    for _ in 0..50 {
        let asked = spawn_ask(&mut device, 100, 10);
        let sent = assemble(&device.usb.sent());
        device.usb.packets(&answer_to(&sent[0], &[7; 300]));
        device.world.run();
        assert!(matches!(asked.take(), Err(Error::NoSpace)));
    }
    let asked = spawn_ask(&mut device, 100, 10);
    let sent = assemble(&device.usb.sent());
    device.usb.packets(&answer_to(&sent[0], b"fits"));
    device.world.run();
    assert_eq!(asked.take().unwrap(), b"fits");
}

#[test]
fn a_port_that_is_run_whole_needs_no_other_task() {
    let mut device = echo_device();
    device.run_ports_whole();
    assert_echoes(&mut device, 1, 300);
    device.i2c.packets(&REQUEST.packets(&echo_message(300), 64));
    device.world.run();
    assert_eq!(assemble(&device.i2c.sent()).len(), 1);
    let asked = spawn_ask(&mut device, 100, 10);
    device.world.advance(99);
    assert!(!asked.is_done());
    device.world.advance(101);
    assert!(matches!(asked.take(), Err(Error::TimedOut)));
}

#[test]
fn receiving_without_having_sent_is_an_error() {
    let mut device = running();
    let router = device.router;
    let received = device.world.spawn(async move {
        let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
        channel.recv(&mut [0; 10]).await.map(|_| ())
    });
    device.world.run();
    assert!(matches!(received.take(), Err(Error::BadArgument)));
}

#[test]
fn a_request_that_timed_out_gives_its_tag_back_although_its_channel_is_kept() {
    let mut device = running();
    let router = device.router;
    for _ in 0..3 {
        let asked: Vec<_> = (0..8)
            .map(|_| {
                device.world.spawn(async move {
                    let channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
                    let mut channel = channel.with_timeout(Duration::from_millis(100));
                    channel.send(MsgType(PLAIN_TYPE), b"?").await.unwrap();
                    assert!(matches!(
                        channel.recv(&mut [0; 10]).await,
                        Err(Error::TimedOut)
                    ));
                    assert!(matches!(
                        channel.recv(&mut [0; 10]).await,
                        Err(Error::BadArgument)
                    ));
                    // Kept for good.
                    core::mem::forget(channel);
                })
            })
            .collect();
        device.world.advance(100);
        assert!(asked.iter().all(Outcome::is_done));
    }
}

// Futures that are dropped.

// Futures that are dropped.

#[test]
fn dropped_receive_futures_leak_nothing_and_lose_no_message() {
    let mut device = running();
    let mut listener = device.router.listener(ECHO).unwrap();
    let polled = device.world.spawn(async move {
        for _ in 0..1000 {
            // Polled once, then dropped.
            let _ = embassy_futures::poll_once(listener.receive());
            let mut buffer = [0; 4];
            let _ = embassy_futures::poll_once(listener.recv(&mut buffer));
        }
        listener
    });
    device.world.run();
    let listener = polled.take();
    device.usb.packet(&REQUEST.packet(&echo_message(5)));
    let received = device
        .world
        .spawn(async move { listener.receive().await.bytes().to_vec() });
    device.world.run();
    assert_eq!(received.take(), echo_message(5)[1..]);
}

#[test]
fn a_message_that_came_after_its_receiver_was_dropped_is_there_for_the_next_one() {
    let mut device = running();
    let listener = device.router.listener(ECHO).unwrap();
    for tag in 0..8 {
        assert!(embassy_futures::poll_once(listener.receive()).is_pending());
        device
            .usb
            .packet(&REQUEST.tag(tag).packet(&echo_message(40)));
        device.world.run();
        let polled =
            embassy_futures::poll_once(async { listener.receive().await.bytes().to_vec() });
        assert!(matches!(polled, core::task::Poll::Ready(bytes) if bytes == echo_message(40)[1..]));
    }
}

#[test]
fn requests_dropped_before_they_look_at_their_response_leak_no_tag_channel_or_buffer() {
    let mut device = running();
    for _ in 0..1000 {
        let asked = spawn_ask(&mut device, 1000, 100);
        let sent = assemble(&device.usb.sent());
        device.usb.packets(&answer_to(&sent[0], &[7; 100]));
        device.world.cancel(asked);
        device.world.run();
    }
    // All eight tags and all four long buffers are free.
    let asked: Vec<_> = (0..8).map(|_| spawn_ask(&mut device, 1000, 100)).collect();
    let sent = assemble(&device.usb.sent());
    assert_eq!(sent.len(), 8);
    for four in sent.chunks(4) {
        let answers: Vec<_> = four.iter().map(|sent| answer_to(sent, &[8; 100])).collect();
        for packet in 0..2 {
            answers
                .iter()
                .for_each(|answer| device.usb.packet(&answer[packet]));
        }
        device.world.run();
    }
    for asked in asked {
        assert_eq!(asked.take().unwrap(), [8; 100]);
    }
}

#[test]
fn a_finished_sender_that_is_kept_holds_no_place_in_the_line() {
    let mut device = echo_device();
    device.usb.set_speed(512);
    let listener = device.router.listener(PLAIN).unwrap();
    device.world.spawn(async move {
        let message = listener.receive().await;
        let parts: [&[u8]; 1] = [&[7; 5000]];
        let mut sending = core::pin::pin!(message.respond(MsgIC(false), &parts));
        sending.as_mut().await.unwrap();
        core::future::pending::<()>().await;
    });
    device.usb.packet(&REQUEST.packet(&[PLAIN_TYPE, 1]));
    device.world.advance(100);
    assert_eq!(assemble(&device.usb.sent())[0].message.len(), 5001);
    device.usb.set_speed(usize::MAX);
    assert_echoes(&mut device, 1, 300);
}

#[test]
fn a_send_half_that_is_dropped_and_run_again_leaves_nobody_waiting() {
    let mut device = echo_device();
    for round in 0..20 {
        device.usb.stop_reading();
        let router = device.router;
        let sends: Vec<_> = (0..3)
            .map(|_| {
                device.world.spawn(async move {
                    let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
                    channel.send(MsgType(PLAIN_TYPE), &[1; 5000]).await
                })
            })
            .collect();
        device.world.run();
        device.restart_usb_sender(round % 2 * 10);
        device.usb.read_again();
        device.world.run();
        // What was begun is cut; what was not goes through.
        for send in sends {
            assert!(matches!(send.take(), Ok(()) | Err(Error::Unreachable)));
        }
        assemble(&device.usb.sent());
        assert_echoes(&mut device, 1, 3000);
    }
}

#[test]
fn a_transfer_that_was_dropped_on_its_way_is_counted() {
    let mut device = echo_device();
    // One that is taken, then one that is not.
    assert_echoes(&mut device, 1, 20);
    device.usb.stop_reading();
    device.usb.packet(&REQUEST.packet(&echo_message(20)));
    device.world.run();
    device.restart_usb_sender(0);
    assert_eq!(device.drops(DropReason::LinkDown), 1);
    device.usb.read_again();
    device.world.run();
    assert_eq!(device.usb.sent(), [[0u8; 0]; 0]);
    assert_echoes(&mut device, 1, 20);
}

// Who is woken, and who else has a turn.

// Events and state.

#[test]
fn events_wake_whoever_waits_for_them() {
    let mut device = running();
    let router = device.router;
    let mut events = Vec::new();
    for _ in 0..2 {
        let next = device.world.spawn(router.next_event());
        device.world.run();
        events.push(next.take());
    }
    assert_eq!(events, [Event::LinkUp(USB), Event::LinkUp(I2C)]);
    let next = device.world.spawn(router.next_event());
    device.world.run();
    assert!(!next.is_done());
    device.usb.packet(&REQUEST.packet(&[0, 0x81, 1, 0, 0x40]));
    device.world.run();
    assert!(matches!(
        next.take(),
        Event::EndpointIdSet {
            endpoint_id: Eid(0x40),
            ..
        }
    ));
    assert_eq!(router.endpoint_id(NETWORK), Eid(0x40));
    assert_eq!(
        router.bus_owner(NETWORK).map(|owner| owner.endpoint_id),
        Some(Eid(HOST))
    );
    let next = device.world.spawn(async move { router.next_event().await });
    device.usb.down();
    device.world.run();
    assert_eq!(next.take(), Event::LinkDown(PortId(0)));
}

#[test]
fn a_host_that_never_pauses_leaves_the_others_their_turns() {
    let mut device = running();
    for number in 0..600_u32 {
        device.usb.packet(&control_request((number & 7) as u8));
    }
    let router = device.router;
    let seen = device
        .world
        .spawn(async move { router.messages_accepted() });
    device.world.run();
    assert!(seen.take() < 600);
    assert_eq!(router.messages_accepted(), 600);
}

#[test]
fn a_host_that_begins_a_message_again_and_again_leaves_the_others_their_turns() {
    let mut device = running();
    let _listener = device.router.listener(ECHO).unwrap();
    // A start packet and two that continue the message, which the next start packet replaces.
    let header = |flags: u8| [1, 0, 8, flags | 0x08];
    for _ in 0..200 {
        let vendor = [0x7E, 0xCC, 0xDE, 0xF0];
        device
            .usb
            .packet(&[&header(0x80)[..], &vendor, &[0; 60]].concat());
        device.usb.packet(&[&header(0x10)[..], &[0; 64]].concat());
        device.usb.packet(&[&header(0x20)[..], &[0; 64]].concat());
    }
    let router = device.router;
    let replaced = move || router.drop_counters().of(DropReason::ReplacedByNewStart);
    let seen = device.world.spawn(async move { replaced() });
    device.world.run();
    // As many as there are in a turn.
    assert!(seen.take() <= 255 / 3);
    assert_eq!(replaced(), 199);
}

/// The response wakes the link, whose executor interrupts the service: the response leaves, and the
/// host's next request is there before the service gives back the buffer of the last one.
#[test]
fn a_request_right_behind_the_answer_to_the_last_waits_for_the_buffer_that_a_service_still_has() {
    let mut running = Running::with_one_long_buffer(&config());
    let listener = running.router.listener(ECHO).unwrap();
    running.world.spawn_in(Executor::Low, async move {
        loop {
            let message = listener.receive().await;
            let echo = [message.bytes()];
            let sent = message
                .respond(message.origin().integrity_check(), &echo)
                .await;
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

// Packets that wait when a port starts.

/// A router that does not run.
fn router_of_two_ports(world: &World) -> &'static TestRouter {
    let storage = RouterStorage::<
        Ports<2>,
        Networks<1>,
        ShortMessages<1>,
        LongMessages<1, 4096>,
        Channels<2>,
        Routes<2>,
    >::new();
    let clock: &VirtualClock = Box::leak(Box::new(world.clock.clone()));
    let router = TestRouter::new(Box::leak(Box::new(storage)), clock, &config());
    for port in [USB, I2C] {
        let buffers = Box::leak(Box::new(PortBuffers::<512>::new()));
        assert_eq!(router.add_port(NETWORK, buffers), Ok(port));
    }
    Box::leak(Box::new(router))
}

#[test]
fn a_control_request_that_waits_when_a_port_starts_is_answered_however_its_halves_run() {
    for whole in [true, false] {
        let mut world = World::new();
        let router = router_of_two_ports(&world);
        let link = Link::new(USB_LAYOUT);
        link.up();
        link.packet(&REQUEST.to(0).packet(&[0, 0x80, 2]));
        let mut receiver = LinkRx::new(link.clone());
        let mut sender = LinkTx::new(link.clone(), world.clock.clone());
        if whole {
            world.spawn(async move { router.run(USB, &mut receiver, &mut sender).await });
        } else {
            world.spawn(async move { router.run_receive(USB, &mut receiver).await });
            world.run();
            world.spawn(async move { router.run_send(USB, &mut sender).await });
        }
        world.run();
        assert_eq!(link.sent().len(), 1, "one run: {whole}");
        assert_eq!(router.drop_counters().total(), 0);
    }
}

// Forwarding.

#[test]
fn a_router_forwards_between_two_others() {
    let mut world = World::new();
    let layouts = [USB_LAYOUT, I2C_LAYOUT.with_packs(false)];
    let addresses = [0x10, 0x20].map(PhysicalAddress::from_byte);
    let links = layouts.map(|layout| memory::Link::new(layout, addresses));
    let [asks, answers, bridge] = [0, 1, 2].map(|_| router_of_two_ports(&world));
    for (port, link) in [USB, I2C].into_iter().zip(&links) {
        link.up();
        // The bridge is the left end of both links.
        let buffer = Box::leak(Box::new(ForwardingBuffer::<512>::new()));
        assert_eq!(bridge.forward_by(port, buffer), Ok(()));
        let (mut receiver, mut sender) = link.end(memory::Side::Left);
        world.spawn(async move { bridge.run(port, &mut receiver, &mut sender).await });
    }
    for (router, link) in [(asks, &links[0]), (answers, &links[1])] {
        let (mut receiver, mut sender) = link.end(memory::Side::Right);
        world.spawn(async move { router.run(USB, &mut receiver, &mut sender).await });
    }
    for (router, own, other) in [(asks, 20, 30), (answers, 30, 20)] {
        assert!(router.set_endpoint_id(NETWORK, Eid(own)));
        let (own, other, to) = (Eid(own), Eid(other), addresses[0]);
        assert!(router.add_route(Route::new(other, other, USB, to)));
        let port = if std::ptr::eq(router, asks) { USB } else { I2C };
        assert!(bridge.add_route(Route::new(own, own, port, addresses[1])));
    }
    assert!(bridge.set_endpoint_id(NETWORK, Eid(DEVICE)));
    let listener = answers.listener(PLAIN).unwrap();
    world.spawn(async move {
        loop {
            let message = listener.receive().await;
            let sent = message.respond(MsgIC(false), &[message.bytes()]).await;
            sent.expect("the bridge takes it");
        }
    });
    let question: Vec<u8> = (0..4000).map(|index| (index % 251) as u8).collect();
    let asked = question.clone();
    let answer = world.spawn(async move {
        let mut channel = asks.request_channel(Target::Endpoint(NETWORK, Eid(30)));
        channel.send(MsgType(PLAIN_TYPE), &asked).await?;
        let mut buffer = vec![0; 4096];
        let (_, _, answer) = channel.recv(&mut buffer).await?;
        Ok::<_, Error>(answer.to_vec())
    });
    world.run();
    assert_eq!(answer.take().unwrap(), question);
    let counters = bridge.packet_counters();
    assert_eq!(counters.forwarded, 2 * 4001_u32.div_ceil(64));
    assert_eq!(counters.received, counters.forwarded);
    for router in [asks, answers, bridge] {
        assert_eq!(router.drop_counters().total(), 0);
    }
}
