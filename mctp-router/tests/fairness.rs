//! Services share a port fairly, however they are divided among tasks and executors.

mod support;

use embassy_futures::join::join;
use mctp::MsgType;
use mctp_router::Service;
use support::shell::{Executor, Running, TestRouter};
use support::{REQUEST, Wire, config, echo_message};

const PLAIN_TYPE: u8 = 5;
const PLAIN: Service = Service::message_type(MsgType(PLAIN_TYPE));

/// A service that sends back what it gets.
async fn serve_echo(router: &'static TestRouter, service: Service) {
    let listener = router.listener(service).expect("a free channel");
    loop {
        let message = listener.receive().await;
        let echo = [message.bytes()];
        let _ = message
            .respond(message.origin().integrity_check(), &echo)
            .await;
    }
}

/// How the services of a device are divided among tasks. The link is in [`Executor::High`].
#[derive(Clone, Copy, Debug)]
enum Tasks {
    Separate,
    JoinedBulkFirst,
    JoinedShortFirst,
    BulkInLowExecutor,
    ShortInLowExecutor,
    BothInLowExecutor,
    JoinedInLowExecutor,
}

/// The host asks for a short answer while the device sends a bulk echo. Returns with which transfer
/// the host has the answer, counted from the one on its way when the host asked.
fn transfers_until_a_short_answer(tasks: Tasks) -> Option<usize> {
    let mut device = Running::new(&config());
    let router = device.router;
    let bulk = serve_echo(router, support::ECHO);
    let short = serve_echo(router, PLAIN);
    match tasks {
        Tasks::Separate => {
            device.world.spawn(bulk);
            device.world.spawn(short);
        }
        Tasks::JoinedBulkFirst => {
            device.world.spawn(join(bulk, short));
        }
        Tasks::JoinedShortFirst => {
            device.world.spawn(join(short, bulk));
        }
        Tasks::BulkInLowExecutor => {
            device.world.spawn_in(Executor::Low, bulk);
            device.world.spawn(short);
        }
        Tasks::ShortInLowExecutor => {
            device.world.spawn(bulk);
            device.world.spawn_in(Executor::Low, short);
        }
        Tasks::BothInLowExecutor => {
            device.world.spawn_in(Executor::Low, bulk);
            device.world.spawn_in(Executor::Low, short);
        }
        Tasks::JoinedInLowExecutor => {
            device.world.spawn_in(Executor::Low, join(bulk, short));
        }
    }
    device.world.run();
    // A transfer takes a millisecond.
    device.usb.set_speed(512);
    let request = REQUEST.tag(1).packets(&echo_message(60_000), 64);
    device.usb.packets(&request);
    device.world.advance(10);
    assert!(!device.usb.sent().is_empty(), "the bulk echo is being sent");
    device.usb.packet(&REQUEST.tag(2).packet(&[PLAIN_TYPE; 20]));
    device.world.advance(500);
    let transfers = device.usb.timed_transfers();
    let is_answer = |packet: &Vec<u8>| Wire::parse(packet).0.tag == 2;
    let answer = transfers
        .iter()
        .position(|(_, (_, packets))| packets.iter().any(is_answer));
    answer.map(|index| index + 1)
}

#[track_caller]
fn assert_a_short_answer_comes_soon(tasks: &[Tasks]) {
    let wait = |tasks: &Tasks| (*tasks, transfers_until_a_short_answer(*tasks));
    let waits: Vec<_> = tasks.iter().map(wait).collect();
    for (_, wait) in &waits {
        // The one on its way, the one that is full, one or two of the bulk echo's, and its own.
        assert!(wait.is_some_and(|transfers| transfers <= 6), "{waits:?}");
    }
}

#[test]
fn a_short_answer_comes_within_a_few_transfers_of_a_bulk_echo_however_tasks_are_divided() {
    assert_a_short_answer_comes_soon(&[
        Tasks::Separate,
        Tasks::JoinedBulkFirst,
        Tasks::JoinedShortFirst,
    ]);
}

#[test]
fn a_short_answer_comes_within_a_few_transfers_of_a_bulk_echo_whichever_executor_has_which_service()
{
    assert_a_short_answer_comes_soon(&[
        Tasks::BulkInLowExecutor,
        Tasks::ShortInLowExecutor,
        Tasks::BothInLowExecutor,
        Tasks::JoinedInLowExecutor,
    ]);
}
