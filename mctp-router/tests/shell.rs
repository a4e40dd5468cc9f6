//! The async router in a virtual world: the traits of the `mctp` crate, time limits without
//! traffic, futures that are dropped, hosts that do not read. Tasks are polled only when they were
//! woken, so a missing wake fails a test.

mod support;

use core::time::Duration;

use embassy_futures::join::join;
use mctp::{AsyncListener, AsyncReqChannel, AsyncRespChannel, Error, MsgIC, MsgType};
use mctp_router::{Config, Event, PortConfig, PortId, Route, RouteOrigin, Service, Target};
use mctp_transport::{DropReason, Eid, PhysicalAddress};
use support::shell::{Outcome, Running, TestRouter};
use support::{
    Assembled, DEVICE, ECHO, HOST, I2C, NETWORK, POINT_TO_POINT, REQUEST, USB, Wire, assemble,
    config, echo_message,
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

fn set_usb_unit(device: &Running, unit: usize) {
    let config = PortConfig {
        unit,
        ..PortConfig::default()
    };
    device.router.configure_port(USB, config);
}

fn control_request(tag: u8) -> Vec<u8> {
    REQUEST.tag(tag).packet(&[0, 0x80 | tag, 2])
}

fn is_control(packet: &[u8]) -> bool {
    let (header, payload) = Wire::parse(packet);
    header.start && payload[0] == 0
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

// Serving.

#[test]
fn echoes_every_size_up_to_the_longest() {
    let mut device = echo_device();
    for len in (4..300).chain([4096, 65_536, 70_001]) {
        assert_echoes(&mut device, (len % 8) as u8, len);
    }
    assert_eq!(device.router.drop_counters().total(), 0);
}

#[test]
fn serves_through_the_listener_trait() {
    let mut device = running();
    let mut listener = device.router.listener(PLAIN).unwrap();
    let served = device.world.spawn(async move {
        let mut buffer = [0; 200];
        let (message_type, integrity_check, request, mut response) =
            listener.recv(&mut buffer).await.unwrap();
        assert_eq!(
            (message_type, integrity_check),
            (MsgType(PLAIN_TYPE), MsgIC(false))
        );
        assert_eq!(response.remote_eid(), Eid(HOST));
        response
            .send_vectored(MsgIC(true), &[b"re: ", request])
            .await
            .unwrap();
        request.to_vec()
    });
    device
        .usb
        .packets(&REQUEST.tag(4).packets(&[PLAIN_TYPE; 101], 64));
    device.world.run();
    assert_eq!(served.take(), [PLAIN_TYPE; 100]);
    let sent = assemble(&device.usb.sent());
    let expected = [&[0x85][..], b"re: ", &[PLAIN_TYPE; 100]].concat();
    assert_eq!((sent[0].header.tag, &sent[0].message), (4, &expected));
}

#[test]
fn a_shared_listener_receives_while_it_owes_a_response() {
    let mut device = running();
    let listener = device.router.listener(PLAIN).unwrap();
    device.world.spawn(async move {
        let (mut first, mut second) = (&listener, &listener);
        let (mut early, mut late) = ([0; 100], [0; 100]);
        let (_, _, early, mut answer_early) = first.recv(&mut early).await.unwrap();
        let (_, _, late, mut answer_late) = second.recv(&mut late).await.unwrap();
        answer_late.send(late).await.unwrap();
        answer_early.send(early).await.unwrap();
    });
    for tag in [2, 5] {
        let request = REQUEST.tag(tag).packets(&[PLAIN_TYPE, tag], 64);
        device.usb.packets(&request);
    }
    device.world.run();
    let sent = assemble(&device.usb.sent());
    let answers = sent.iter().map(|sent| (sent.header.tag, sent.message[1]));
    assert_eq!(answers.collect::<Vec<_>>(), [(5, 5), (2, 2)]);
}

/// A task that answers two requests side by side, the first with `lens[0]` bytes and the second
/// with `lens[1]`.
fn answer_two(device: &mut Running, lens: [usize; 2]) -> Outcome<()> {
    let listener = device.router.listener(PLAIN).unwrap();
    device.world.spawn(async move {
        let (mut first, mut second) = (&listener, &listener);
        let (_, _, _, mut first) = first.recv(&mut [0; 10]).await.unwrap();
        let (_, _, _, mut second) = second.recv(&mut [0; 10]).await.unwrap();
        let messages = lens.map(|len| vec![1; len]);
        let sends = join(first.send(&messages[0]), second.send(&messages[1]));
        assert!(matches!(sends.await, (Ok(()), Ok(()))));
    })
}

#[test]
fn a_shared_listener_answers_by_two_ports_at_once() {
    for lens in [[2000, 5000], [5000, 2000]] {
        for ports in [[USB, I2C], [I2C, USB]] {
            let mut device = running();
            let answered = answer_two(&mut device, lens);
            for port in ports {
                let link = if port == USB {
                    &device.usb
                } else {
                    &device.i2c
                };
                let request = REQUEST.tag(port.0);
                link.packet(&request.packet(&[PLAIN_TYPE, 1]));
                device.world.run();
            }
            assert!(answered.is_done(), "{lens:?} by {ports:?}");
        }
    }
}

#[test]
fn a_shared_listener_answers_in_two_units_at_once() {
    let mut device = running();
    set_usb_unit(&device, 100);
    assert!(device.router.add_route(Route {
        first: Eid(20),
        last: Eid(20),
        port: USB,
        address: POINT_TO_POINT,
        unit: 64,
        origin: RouteOrigin::Static,
    }));
    let answered = answer_two(&mut device, [9000, 500]);
    for source in [HOST, 20] {
        device
            .usb
            .packet(&REQUEST.from(source).packet(&[PLAIN_TYPE, 1]));
    }
    device.world.run();
    assert!(answered.is_done());
    let sent = assemble(&device.usb.sent());
    let sent = sent.iter().map(|sent| (sent.units[0], sent.message.len()));
    assert_eq!(sent.collect::<Vec<_>>(), [(64, 501), (100, 9001)]);
}

#[test]
fn a_service_may_be_written_over_the_traits_alone() {
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
    for len in [4, 64, 65, 301] {
        assert_echoes(&mut device, 1, len);
    }
    // Too long for the service's own buffer: lost, and the next one is served.
    device.usb.packets(&REQUEST.packets(&echo_message(302), 64));
    device.world.run();
    assert_eq!(device.usb.sent(), [[0u8; 0]; 0]);
    assert_echoes(&mut device, 2, 301);
}

#[test]
fn a_message_is_lent_in_place_with_all_that_is_known_of_it() {
    let mut device = running();
    let mut listener = device.router.listener(PLAIN).unwrap();
    let served = device.world.spawn(async move {
        let message = listener.receive().await;
        assert_eq!(
            (message.message_type(), message.integrity_check()),
            (MsgType(PLAIN_TYPE), MsgIC(true))
        );
        assert_eq!(message.source(), Eid(0x30));
        assert_eq!(message.neighbour(), (I2C, PhysicalAddress::from_byte(0x10)));
        let parts = [&message.bytes()[1..], &message.bytes()[..1]];
        message.respond(MsgIC(false), &parts).await.unwrap();
        drop(message);
        let message = listener.receive().await;
        message.discard_bad_integrity_check();
    });
    for tag in 0..2 {
        let request = REQUEST.from(0x30).tag(tag);
        device.i2c.packet_from(
            PhysicalAddress::from_byte(0x10),
            &request.packet(&[0x80 | PLAIN_TYPE, 1, 2, 3]),
        );
    }
    device.world.run();
    served.take();
    let (_, (to, packets)) = device.i2c.timed_transfers().remove(0);
    assert_eq!(to, PhysicalAddress::from_byte(0x10));
    assert_eq!(Wire::parse(&packets[0]).1, [PLAIN_TYPE, 2, 3, 1]);
    assert_eq!(device.drops(DropReason::BadIntegrityCheck), 1);
    assert_eq!(device.router.drop_counters().total(), 1);
}

#[test]
fn several_services_get_their_own_messages() {
    let mut device = running();
    let bench = Service::vendor_pci(0xCCDE, &[0xF1]);
    for service in [ECHO, bench, PLAIN] {
        device.serve_echo(service);
    }
    let messages = [
        &[0x7E, 0xCC, 0xDE, 0xF0, 1][..],
        &[0x7E, 0xCC, 0xDE, 0xF1, 2],
        &[PLAIN_TYPE, 3],
    ];
    for (tag, message) in messages.iter().enumerate() {
        device.usb.packet(&REQUEST.tag(tag as u8).packet(message));
    }
    device
        .usb
        .packet(&REQUEST.tag(7).packet(&[0x7E, 0xCC, 0xDE, 0xF2]));
    device.world.run();
    let mut sent: Vec<_> = assemble(&device.usb.sent());
    sent.sort_by_key(|message| message.header.tag);
    let sent: Vec<_> = sent.into_iter().map(|message| message.message).collect();
    assert_eq!(sent, messages);
    assert_eq!(device.drops(DropReason::UnsupportedMessageType), 1);
}

#[test]
fn a_dropped_listener_frees_its_messages_and_its_place() {
    let mut device = running();
    for _ in 0..100 {
        let listener = device.router.listener(ECHO).unwrap();
        assert!(matches!(
            device.router.listener(ECHO),
            Err(Error::AddrInUse)
        ));
        // More than there are buffers for, whole and unfinished.
        for tag in 0..8 {
            device
                .usb
                .packet(&REQUEST.tag(tag).packet(&echo_message(20)));
            device.usb.packet(
                &REQUEST
                    .from(0x30)
                    .tag(tag)
                    .first()
                    .packet(&echo_message(64)),
            );
        }
        device.world.run();
        drop(listener);
        // What was held back for it is dropped.
        device.world.run();
    }
    device.serve_echo(ECHO);
    assert_echoes(&mut device, 0, 10_000);
}

#[test]
fn unread_messages_of_one_service_leave_buffers_to_the_others() {
    let mut device = running();
    let _unread = device.router.listener(PLAIN).unwrap();
    device.serve_echo(ECHO);
    for round in 0..20 {
        for source in 0x10..0x20 {
            device
                .usb
                .packet(&REQUEST.from(source).packet(&[PLAIN_TYPE, 1]));
            device
                .usb
                .packets(&REQUEST.from(source).tag(1).packets(&[PLAIN_TYPE; 300], 64));
            device.usb.packet(
                &REQUEST
                    .from(source)
                    .tag(2)
                    .first()
                    .packet(&[PLAIN_TYPE; 64]),
            );
        }
        // The first time, packets for it are held back: it could give a buffer back.
        device.world.advance(if round == 0 { 300 } else { 0 });
        assert_echoes(&mut device, round % 8, 9);
        assert_echoes(&mut device, round % 8, 900);
    }
}

#[test]
fn no_message_is_lost_to_a_service_that_only_had_no_turn_yet() {
    for length in [10, 1000] {
        let mut device = running();
        let router = device.router;
        let mut listener = router.listener(ECHO).unwrap();
        let _unread = router.listener(PLAIN).unwrap();
        // Far more than there are buffers, and all of them there at once.
        for number in 0..100 {
            let request = REQUEST.tag(number & 7);
            device
                .usb
                .packets(&request.packets(&echo_message(length), 64));
        }
        device.world.spawn(async move {
            loop {
                listener.receive().await;
            }
        });
        device.world.run();
        assert_eq!(router.messages_accepted(), 100);
        assert_eq!(device.drops(DropReason::NoMessageBuffer), 0);
    }
}

#[test]
fn a_service_that_holds_its_message_for_long_delays_nobody_else() {
    let mut device = echo_device();
    let mut listener = device.router.listener(PLAIN).unwrap();
    let clock = device.world.clock.clone();
    device.world.spawn(async move {
        let message = listener.receive().await;
        mctp_router::Clock::wait_until(&clock, mctp_router::Instant::from_millis(5000)).await;
        message
            .respond(MsgIC(false), &[message.bytes()])
            .await
            .unwrap();
    });
    device.usb.packet(&REQUEST.packet(&[PLAIN_TYPE, 9]));
    device.world.advance(100);
    assert_echoes(&mut device, 1, 500);
    assert_eq!(device.usb.sent(), [[0u8; 0]; 0]);
    device.world.advance(5000);
    assert_eq!(assemble(&device.usb.sent())[0].message, [PLAIN_TYPE, 9]);
}

// Requests.

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
fn a_request_gets_its_response() {
    let mut device = running();
    for len in [0, 1, 63, 64, 500] {
        let asked = spawn_ask(&mut device, 1000, 500);
        let sent = assemble(&device.usb.sent());
        assert_eq!(sent[0].message, [PLAIN_TYPE, b'?']);
        assert!(sent[0].header.tag_owner);
        device.usb.packets(&answer_to(&sent[0], &vec![7; len]));
        device.world.run();
        assert_eq!(asked.take().unwrap(), vec![7; len]);
    }
}

#[test]
fn a_request_times_out_on_time_with_no_traffic_at_all() {
    let mut device = running();
    let asked = spawn_ask(&mut device, 700, 100);
    let slower = spawn_ask(&mut device, 900, 100);
    device.world.advance(699);
    assert!(!asked.is_done());
    device.world.advance(1);
    assert!(matches!(asked.take(), Err(Error::TimedOut)));
    assert!(!slower.is_done());
    device.world.advance(200);
    assert!(matches!(slower.take(), Err(Error::TimedOut)));
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

#[test]
fn the_default_time_limit_is_the_configured_one() {
    let mut device = Running::new(&Config {
        response_timeout: Duration::from_millis(50),
        ..config()
    });
    let router = device.router;
    let asked = device.world.spawn(async move {
        let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
        assert_eq!(channel.remote_eid(), Eid(HOST));
        channel.send(MsgType(PLAIN_TYPE), b"?").await.unwrap();
        channel.recv(&mut [0; 10]).await.map(|_| ())
    });
    device.world.advance(49);
    assert!(!asked.is_done());
    device.world.advance(1);
    assert!(matches!(asked.take(), Err(Error::TimedOut)));
}

#[test]
fn a_late_response_is_not_taken_for_the_next_ones() {
    let mut device = running();
    let asked = spawn_ask(&mut device, 100, 100);
    let first = assemble(&device.usb.sent()).remove(0);
    device.world.advance(100);
    assert!(matches!(asked.take(), Err(Error::TimedOut)));
    let asked = spawn_ask(&mut device, 100, 100);
    device.usb.packets(&answer_to(&first, b"late"));
    device.world.run();
    assert!(!asked.is_done());
    assert_eq!(device.drops(DropReason::UnexpectedResponse), 1);
    let second = assemble(&device.usb.sent()).remove(0);
    device.usb.packets(&answer_to(&second, b"on time"));
    device.world.run();
    assert_eq!(asked.take().unwrap(), b"on time");
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
fn receiving_without_having_sent_is_an_error() {
    let mut device = running();
    let router = device.router;
    let (result, _) = device.world.complete(0, async move {
        let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
        channel.recv(&mut [0; 10]).await.map(|_| ())
    });
    assert!(matches!(result, Err(Error::BadArgument)));
}

#[test]
fn nine_requests_to_one_peer_are_one_too_many() {
    let mut device = running();
    let mut asked: Vec<_> = (0..9).map(|_| spawn_ask(&mut device, 1000, 100)).collect();
    assert!(matches!(
        asked.pop().unwrap().take(),
        Err(Error::TagUnavailable)
    ));
    let sent = assemble(&device.usb.sent());
    let mut tags: Vec<u8> = sent.iter().map(|message| message.header.tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7]);
    // Answered in the other order, each gets its own; more than there are buffers for, one after
    // the other.
    for (asked, sent) in asked.iter().zip(&sent).rev() {
        device
            .usb
            .packets(&answer_to(sent, &[sent.header.tag; 100]));
        device.world.run();
        assert_eq!(asked.take().unwrap(), [sent.header.tag; 100]);
    }
    spawn_ask(&mut device, 1000, 100);
    assert_eq!(device.usb.sent().len(), 1);
}

#[test]
fn a_server_may_ask_who_asked_it() {
    let mut device = running();
    let mut listener = device.router.listener(PLAIN).unwrap();
    let served = device.world.spawn(async move {
        let mut buffer = [0; 10];
        let (_, _, _, response) = listener.recv(&mut buffer).await.unwrap();
        let mut back = response.req_channel().unwrap();
        back.send(MsgType(PLAIN_TYPE), b"who?").await.unwrap();
        back.recv(&mut [0; 10]).await.unwrap().2.to_vec()
    });
    let from = PhysicalAddress::from_byte(0x44);
    device
        .i2c
        .packet_from(from, &REQUEST.from(0x30).packet(&[PLAIN_TYPE, 1]));
    device.world.run();
    let (_, (to, packets)) = device.i2c.timed_transfers().remove(0);
    let (header, _) = Wire::parse(&packets[0]);
    assert_eq!(
        (to, header.destination, header.tag_owner),
        (from, 0x30, true)
    );
    let answer = Wire {
        tag_owner: false,
        ..REQUEST.tag(header.tag).from(0x30)
    };
    device
        .i2c
        .packet_from(from, &answer.packet(&[PLAIN_TYPE, b'I']));
    device.world.run();
    assert_eq!(served.take(), b"I");
}

#[test]
fn one_request_may_have_several_responses() {
    let mut device = running();
    let router = device.router;
    let asked = device.world.spawn(async move {
        let mut channel = router
            .request_channel(Target::Endpoint(NETWORK, Eid(HOST)))
            .with_timeout(Duration::from_millis(100));
        channel.send(MsgType(PLAIN_TYPE), b"?").await.unwrap();
        let mut answers = Vec::new();
        while let Ok((_, _, answer)) = channel.recv(&mut [0; 10]).await {
            answers.push(answer.to_vec());
        }
        answers
    });
    device.world.run();
    let sent = assemble(&device.usb.sent());
    for answer in 0..5 {
        device.world.advance(99);
        device.usb.packets(&answer_to(&sent[0], &[answer]));
    }
    device.world.advance(100);
    assert_eq!(asked.take(), [[0], [1], [2], [3], [4]]);
}

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
    let mut listener = polled.take();
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
    let mut listener = device.router.listener(ECHO).unwrap();
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
fn dropped_requests_leak_no_tag_channel_or_buffer() {
    let mut device = running();
    for round in 0..1000 {
        let asked = spawn_ask(&mut device, 1000, 100);
        let sent = assemble(&device.usb.sent());
        // Dropped while it waits, with half of its response here, or with all of it.
        let answer = answer_to(&sent[0], &[7; 100]);
        let arrived = round % 3;
        device.usb.packets(&answer[..arrived.min(1)]);
        device.world.run();
        if arrived == 2 {
            // Delivered, but not looked at.
            device.usb.packets(&answer[1..]);
            device.world.cancel(asked);
        } else {
            device.world.cancel(asked);
        }
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
fn dropped_senders_leak_no_tag_channel_or_place_in_the_line() {
    let mut device = running();
    device.usb.stop_reading();
    for _ in 0..1000 {
        let router = device.router;
        let senders: Vec<_> = (0..3)
            .map(|_| {
                device.world.spawn(async move {
                    let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
                    channel.send(MsgType(PLAIN_TYPE), &[1; 3000]).await
                })
            })
            .collect();
        device.world.run();
        for sender in senders {
            assert!(!sender.is_done());
            device.world.cancel(sender);
        }
    }
    device.usb.read_again();
    device.world.run();
    device.usb.sent();
    let asked: Vec<_> = (0..8).map(|_| spawn_ask(&mut device, 1000, 100)).collect();
    assert!(asked.iter().all(|asked| !asked.is_done()));
    assert_eq!(assemble(&device.usb.sent()).len(), 8);
}

#[test]
fn a_sender_dropped_in_its_turn_passes_the_turn_on() {
    let mut device = running();
    device.usb.stop_reading();
    let router = device.router;
    let mut send = |message_type: u8| {
        device.world.spawn(async move {
            let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
            channel
                .send(MsgType(message_type), &[message_type; 2000])
                .await
                .unwrap();
            channel
        })
    };
    let [first, second, third] = [1, 2, 3].map(&mut send);
    device.world.run();
    device.world.cancel(first);
    device.world.run();
    device.usb.read_again();
    device.world.run();
    assert!(second.is_done() && third.is_done());
}

#[test]
fn senders_dropped_anywhere_in_the_line_leave_the_others_their_places() {
    for dropped in 0..5 {
        let mut device = running();
        device.usb.stop_reading();
        let router = device.router;
        let mut sends: Vec<_> = (1..=5)
            .map(|message_type| {
                let send = device.world.spawn(async move {
                    let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
                    channel
                        .send(MsgType(message_type), &[message_type; 3000])
                        .await
                        .unwrap();
                    core::future::pending::<()>().await;
                });
                device.world.run();
                send
            })
            .collect();
        device.world.cancel(sends.remove(dropped));
        device.world.run();
        device.usb.read_again();
        device.world.run();
        let ends = device
            .usb
            .sent()
            .iter()
            .filter(|packet| Wire::parse(packet).0.end)
            .count();
        assert_eq!(ends, 4, "without number {dropped}");
    }
}

#[test]
fn a_finished_sender_that_is_kept_holds_no_place_in_the_line() {
    let mut device = echo_device();
    device.usb.set_speed(512);
    let mut listener = device.router.listener(PLAIN).unwrap();
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
fn a_response_dropped_halfway_lets_the_service_go_on() {
    let mut device = running();
    let mut listener = device.router.listener(ECHO).unwrap();
    device.usb.stop_reading();
    for tag in 0..8 {
        device
            .usb
            .packets(&REQUEST.tag(tag).packets(&echo_message(3000), 64));
        device.world.run();
        let half = async {
            let message = listener.receive().await;
            message.respond(MsgIC(false), &[message.bytes()]).await
        };
        assert!(embassy_futures::poll_once(half).is_pending());
    }
    drop(listener);
    device.usb.read_again();
    device.world.run();
    device.usb.sent();
    device.serve_echo(ECHO);
    assert_echoes(&mut device, 0, 3000);
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

// Hosts that do not read.

#[test]
fn a_host_that_stops_reading_makes_senders_fail_after_the_time_limit() {
    let mut device = running();
    device.usb.stop_reading();
    let router = device.router;
    let sends: Vec<_> = (0..3)
        .map(|_| {
            device.world.spawn(async move {
                let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
                channel.send(MsgType(PLAIN_TYPE), &[1; 3000]).await
            })
        })
        .collect();
    device.world.advance(5999);
    assert!(sends.iter().all(|send| !send.is_done()));
    device.world.advance(1);
    for send in sends {
        assert!(matches!(send.take(), Err(Error::TxFailure)));
    }
    assert_eq!(device.drops(DropReason::SendTimeout), 3);
    let asked = spawn_ask(&mut device, 1000, 10);
    assert!(
        matches!(asked.take(), Err(Error::TxFailure)),
        "at once, until it reads again"
    );
    device.usb.read_again();
    device.world.run();
    device.usb.sent();
    let asked = spawn_ask(&mut device, 1000, 10);
    assert!(!asked.is_done());
    assert_eq!(assemble(&device.usb.sent()).len(), 1);
}

#[test]
fn a_process_that_was_stopped_gives_up_nobody_who_reads() {
    for stopped in [1500, 3000, 5000, 60_000] {
        let mut device = running();
        device.usb.stop_reading();
        let router = device.router;
        let send = device.world.spawn(async move {
            let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
            channel.send(MsgType(PLAIN_TYPE), &[1; 3000]).await?;
            channel.recv(&mut [0; 10]).await.map(|_| ())
        });
        device.world.advance(5999);
        device.world.stop(stopped);
        device.world.run();
        device.usb.read_again();
        device.world.run();
        let message = assemble(&device.usb.sent()).remove(0);
        assert_eq!(message.message.len(), 3001);
        // The response waited in the transport all the time.
        device.world.advance(5999);
        device.world.stop(stopped);
        let response = Wire {
            tag: message.header.tag,
            tag_owner: false,
            ..REQUEST
        };
        device.world.run();
        device.usb.packet(&response.packet(&[PLAIN_TYPE, 9]));
        device.world.run();
        assert!(send.take().is_ok(), "stopped for {stopped} ms");
        assert_eq!(device.router.drop_counters().total(), 0);
    }
}

/// An echo request of one full packet, on its own.
fn ask_for_echo(device: &mut Running) {
    device.usb.packet(&REQUEST.packet(&echo_message(64)));
    device.world.run();
}

#[test]
fn a_message_of_one_packet_that_is_not_taken_is_timed_although_nothing_else_happens() {
    let mut device = echo_device();
    device.usb.stop_reading();
    ask_for_echo(&mut device);
    // The transport keeps what it has; nothing waits any more, and no time limit runs.
    device.usb.down();
    device.usb.up();
    device.world.advance(60_000);
    ask_for_echo(&mut device);
    device.world.advance(60_000);
    ask_for_echo(&mut device);
    assert_eq!(device.drops(DropReason::SendTimeout), 1);
}

#[test]
fn a_host_that_stops_reading_once_more_is_timed_once_more() {
    let mut device = echo_device();
    device.usb.set_speed(1);
    device.usb.stop_reading();
    ask_for_echo(&mut device);
    ask_for_echo(&mut device);
    device.world.advance(60_000);
    // It takes the first of the two.
    device.usb.read_again();
    device.world.run();
    device.usb.stop_reading();
    device.world.advance(1000);
    assert_eq!(device.usb.sent().len(), 1);
    device.world.advance(60_000);
    ask_for_echo(&mut device);
    assert_eq!(device.drops(DropReason::SendTimeout), 1);
}

#[test]
fn a_host_that_stops_reading_blocks_no_other_port_and_no_service() {
    let mut device = echo_device();
    device.serve_echo(PLAIN);
    device.usb.stop_reading();
    let from = PhysicalAddress::from_byte(0x10);
    for round in 0..200 {
        device
            .usb
            .packets(&REQUEST.tag(round % 8).packets(&echo_message(1000), 64));
        device.usb.packet(&control_request(round % 8));
        device.i2c.packet_from(
            from,
            &REQUEST
                .from(0x30)
                .tag(round % 8)
                .packet(&[PLAIN_TYPE, round]),
        );
        device
            .i2c
            .packet_from(from, &REQUEST.from(0x31).packet(&[0, 0x80, 2]));
        device.world.advance(30);
        let sent = device.i2c.sent();
        assert_eq!(sent.len(), 2, "round {round}");
    }
    device.usb.read_again();
    device.world.run();
    device.usb.sent();
    assert_echoes(&mut device, 3, 5000);
}

#[test]
fn a_host_that_reads_again_gets_its_control_answer_at_once() {
    let mut device = echo_device();
    device.usb.stop_reading();
    device
        .usb
        .packets(&REQUEST.packets(&echo_message(20_000), 64));
    device.world.advance(5000);
    device.usb.packet(&control_request(5));
    device.world.run();
    device.usb.read_again();
    device.world.run();
    let transfers = device.usb.timed_transfers();
    // One transfer was with the transport; the answer is the next.
    assert!(is_control(&transfers[1].1.1[0]));
    assert_echoes(&mut device, 1, 300);
}

#[test]
fn the_link_goes_down_and_up_ten_times_under_load() {
    let mut device = echo_device();
    for cycle in 0..10 {
        device.usb.set_speed(40);
        device
            .usb
            .packets(&REQUEST.packets(&echo_message(20_000), 64));
        device
            .usb
            .packets(&REQUEST.tag(1).packets(&echo_message(700), 64)[..5]);
        device.world.advance(50 + cycle);
        device.usb.down();
        device.world.advance(20);
        device.usb.sent();
        device.usb.set_speed(usize::MAX);
        device.usb.up();
        device.world.run();
        assert_eq!(device.usb.sent(), [[0u8; 0]; 0], "nothing from before");
        assert_echoes(&mut device, cycle as u8 % 8, 3000);
    }
    assert_eq!(device.router.endpoint_id(NETWORK), Eid(DEVICE));
}

#[test]
fn sending_without_a_link_is_unreachable() {
    let mut device = running();
    device.usb.down();
    device.world.run();
    let asked = spawn_ask(&mut device, 1000, 10);
    assert!(matches!(asked.take(), Err(Error::Unreachable)));
}

// Fairness and priority.

#[test]
fn several_bulk_messages_proceed_together() {
    let mut device = running();
    device.usb.set_speed(512);
    let router = device.router;
    for message_type in [1, 2, 3, 4] {
        device.world.spawn(async move {
            let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
            channel
                .send(MsgType(message_type), &[message_type; 10_000])
                .await
                .unwrap();
            core::future::pending::<()>().await;
        });
    }
    device.world.advance(60);
    let transfers = device.usb.timed_transfers();
    let tag = |packets: &[Vec<u8>]| Wire::parse(&packets[0]).0.tag;
    let turns: Vec<u8> = transfers[..40]
        .iter()
        .map(|(_, (_, packets))| tag(packets))
        .collect();
    // The first to come found both transfers empty.
    for round in turns[4..].windows(4) {
        let mut round = round.to_vec();
        round.sort_unstable();
        round.dedup();
        assert_eq!(
            round.len(),
            4,
            "everybody has a turn in each round: {turns:?}"
        );
    }
    device.world.advance(1000);
    let rest = device.usb.timed_transfers();
    let packets: Vec<_> = transfers
        .into_iter()
        .chain(rest)
        .flat_map(|(_, (_, packets))| packets)
        .collect();
    assert_eq!(assemble(&packets).len(), 4);
}

#[test]
fn a_short_message_does_not_wait_for_the_end_of_a_bulk_message() {
    let mut device = echo_device();
    device.usb.set_speed(512);
    let router = device.router;
    device.world.spawn(async move {
        let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
        channel.send(MsgType(1), &[1; 65_535]).await.unwrap();
        core::future::pending::<()>().await;
    });
    device.world.advance(20);
    device.usb.packet(&REQUEST.packet(&echo_message(30)));
    device.usb.sent();
    // Behind the transfer on its way, the one that is full, and one turn of the bulk message; each
    // takes a millisecond.
    device.world.advance(4);
    let echoed = device
        .usb
        .sent()
        .into_iter()
        .any(|packet| !Wire::parse(&packet).0.tag_owner);
    assert!(echoed);
}

#[test]
fn a_short_message_does_not_overtake_who_waits_in_line() {
    let mut device = running();
    set_usb_unit(&device, 100);
    device.usb.stop_reading();
    let router = device.router;
    // The long one leaves room for the short one in each transfer.
    let sends = [5000, 1].map(|len| {
        let send = device.world.spawn(async move {
            let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
            channel.send(MsgType(PLAIN_TYPE), &vec![1; len]).await
        });
        device.world.run();
        send
    });
    assert!(sends.iter().all(|send| !send.is_done()));
    device.usb.read_again();
    device.world.run();
    assert!(sends.iter().all(Outcome::is_done));
}

/// A link of 8 KB a second, slower than any of MCTP's: a transfer of 512 bytes takes 64 ms by
/// itself. What waits for the wire is then told from what waits in the device: the answer goes out
/// with the next transfer after the one on its way.
#[test]
fn control_is_answered_with_the_next_transfer_while_64_kib_are_being_sent() {
    for unit in [64, 247] {
        let mut device = running();
        set_usb_unit(&device, unit);
        device.usb.set_speed(8);
        let router = device.router;
        device.world.spawn(async move {
            let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
            channel.send(MsgType(1), &[1; 65_535]).await.unwrap();
            core::future::pending::<()>().await;
        });
        device.world.advance(1000);
        for round in 0..20 {
            device.usb.timed_transfers();
            device.usb.packet(&control_request(round % 8));
            let asked = device.world.clock.millis();
            device.world.advance(150);
            let transfers = device.usb.timed_transfers();
            assert!(
                transfers[..2]
                    .iter()
                    .any(|(_, (_, packets))| is_control(&packets[0]))
            );
            let answered = transfers
                .iter()
                .find(|(_, (_, packets))| is_control(&packets[0]));
            assert!(
                answered.unwrap().0 - asked <= 64 + 2,
                "one transfer and the answer itself"
            );
        }
    }
}

/// USB at full speed carries about 1,000 bytes a millisecond.
#[test]
fn control_is_answered_within_30_ms_while_64_kib_are_being_sent_at_full_speed() {
    let mut device = running();
    device.usb.set_speed(1000);
    let router = device.router;
    for message_type in [1, 2, 3] {
        device.world.spawn(async move {
            let mut channel = router.request_channel(Target::Endpoint(NETWORK, Eid(HOST)));
            channel
                .send(MsgType(message_type), &[1; 65_535])
                .await
                .unwrap();
            core::future::pending::<()>().await;
        });
    }
    for round in 0..20 {
        device.usb.packet(&control_request(round % 8));
        let asked = device.world.clock.millis();
        device.world.advance(5);
        let transfers = device.usb.timed_transfers();
        let answered = transfers
            .iter()
            .find(|(_, (_, packets))| is_control(&packets[0]));
        assert!(answered.expect("an answer").0 - asked <= 2);
    }
}

#[test]
fn four_forty_or_four_hundred_unfinished_messages_never_delay_get_endpoint_id() {
    for unfinished in [4_u32, 40, 400] {
        let mut device = echo_device();
        device.serve_echo(PLAIN);
        device.usb.set_speed(8);
        for index in 0..unfinished {
            let header = REQUEST.tag((index % 8) as u8).from(8 + (index / 8) as u8);
            let message = if index % 2 == 0 {
                echo_message(64)
            } else {
                vec![PLAIN_TYPE; 64]
            };
            device.usb.packet(&header.first().packet(&message));
        }
        for round in 0..10 {
            // They go on, too.
            let header = REQUEST.tag(round % 8).from(0xF0 + round);
            device.usb.packet(&header.first().packet(&echo_message(64)));
            device.usb.packet(
                &REQUEST
                    .to(0)
                    .from(0xFE)
                    .tag(round % 8)
                    .packet(&[0, 0x80, 2]),
            );
            let asked = device.world.clock.millis();
            device.world.advance(30);
            let transfers = device.usb.timed_transfers();
            assert_eq!(transfers.len(), 1, "{unfinished} unfinished messages");
            assert!(is_control(&transfers[0].1.1[0]));
            // The frame itself takes 2 ms at this speed.
            assert!(transfers[0].0 - asked <= 2);
        }
        // Whole messages get through as well, once the others have stood still for a while.
        device.usb.set_speed(usize::MAX);
        device.world.advance(250);
        assert_echoes(&mut device, 0, 500);
    }
}

// A link that loses packets.

#[test]
fn over_a_lossy_link_messages_arrive_whole_or_not_at_all() {
    let mut device = echo_device();
    device.usb.lose_one_in(13);
    let mut echoed = 0;
    for round in 0..300 {
        let message = echo_message(100 + round * 7);
        device
            .usb
            .packets(&REQUEST.tag((round % 8) as u8).packets(&message, 64));
        device.usb.broken_packet();
        device.world.advance(10);
        for answer in assemble(&device.usb.sent()) {
            assert_eq!(answer.message, message);
            echoed += 1;
        }
    }
    assert!((1..300).contains(&echoed), "{echoed}");
    assert_eq!(device.drops(DropReason::BadLinkIntegrity), 300);
    device.usb.lose_one_in(0);
    device.world.advance(250);
    assert_echoes(&mut device, 1, 5000);
}

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
fn unfinished_messages_time_out_with_no_traffic_at_all() {
    let mut device = echo_device();
    device
        .usb
        .packet(&REQUEST.first().packet(&echo_message(64)));
    device.world.advance(3000);
    device
        .usb
        .packet(&REQUEST.tag(1).first().packet(&echo_message(64)));
    device.world.advance(2999);
    assert_eq!(device.drops(DropReason::AssemblyTimeout), 0);
    device.world.advance(1);
    assert_eq!(device.drops(DropReason::AssemblyTimeout), 1);
    device.world.advance(3000);
    assert_eq!(device.drops(DropReason::AssemblyTimeout), 2);
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
