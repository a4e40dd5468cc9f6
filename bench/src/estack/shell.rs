//! Through its async router: tasks that receive, serve and send.

use std::convert::Infallible;
use std::future::{Future, poll_fn};

use mctp::{AsyncListener, AsyncRespChannel, Eid};
use mctp_estack::router::{
    PortBottom, PortBuilder, PortId, PortLookup, PortStorage, RouterAsyncListener,
};
use mctp_estack::{Router, Stack};

use super::{check_room, mtu};
use crate::case::Case;
use crate::executor::{Task, measure};
use crate::leak;
use crate::link::{DEVICE, Link, peer};

/// The way to each peer: the port that its requests come from.
struct Ways([PortId; 256]);

impl Ways {
    fn new(case: &Case) -> Self {
        let mut ways = [PortId(0); 256];
        for index in 0..case.peers {
            ways[usize::from(peer(index).0)] = PortId((index % case.ports) as u8);
        }
        Self(ways)
    }
}

impl PortLookup for Ways {
    fn by_eid(&mut self, eid: Eid, _: Option<PortId>) -> Option<PortId> {
        Some(self.0[usize::from(eid.0)])
    }
}

#[inline]
pub fn router(case: &Case) -> (&'static Router<'static>, Vec<PortBottom<'static>>) {
    check_room(case);
    let (mut tops, mut bottoms) = (Vec::new(), Vec::new());
    for _ in 0..case.ports {
        let builder = leak(PortBuilder::new(leak(PortStorage::<4>::new())));
        let (top, bottom) = builder.build(mtu(case)).expect("a valid unit");
        tops.push(top);
        bottoms.push(bottom);
    }
    let stack = Stack::new(DEVICE, mtu(case), 0);
    let router = Router::new(stack, leak(tops), leak(Ways::new(case)));
    (leak(router), bottoms)
}

/// Measures `service` between the two sides of the ports.
#[inline]
fn serve<S: Future<Output = Infallible> + 'static>(
    case: &Case,
    service: impl FnOnce(RouterAsyncListener<'static>, &'static Link) -> S,
) {
    let link = Link::of_echo(case);
    let (router, bottoms) = router(case);
    let listener = router.listener(case.message_type());
    let mut tasks: Vec<Task> = Vec::new();
    for port in 0..case.ports {
        tasks.push(Box::pin(receive(router, link, port)));
    }
    tasks.push(Box::pin(service(listener.expect("a free listener"), link)));
    for (port, bottom) in bottoms.into_iter().enumerate() {
        tasks.push(Box::pin(send(bottom, link, port)));
    }
    #[cfg(feature = "board")]
    tasks.push(Box::pin(keep_time(router)));
    measure(case, link, tasks);
}

#[inline]
pub async fn receive(router: &Router<'_>, link: &Link, port: usize) -> Infallible {
    loop {
        let packet = poll_fn(|context| link.poll_packet(port, context)).await;
        router.inbound(packet, PortId(port as u8)).await;
    }
}

/// At the intervals that the router asks for.
#[cfg(feature = "board")]
#[inline]
pub async fn keep_time(router: &Router<'_>) -> Infallible {
    loop {
        let now = crate::clock::now();
        let next = router.update_time(now).await.unwrap_or(100);
        crate::clock::wait_until(now.saturating_add(next)).await;
    }
}

#[inline]
async fn send(mut bottom: PortBottom<'_>, link: &Link, port: usize) -> Infallible {
    loop {
        let (packet, _) = bottom.outbound().await;
        link.send(port, [packet]);
        bottom.outbound_done();
    }
}

/// The echo service through the `mctp` traits, the only way there is.
#[inline]
pub fn echo_through_traits(case: &Case) {
    let buffer = leak(vec![0; case.longest_message()]);
    serve(case, |mut listener, _| async move {
        panic!(
            "{}",
            crate::echo_through_traits(&mut listener, buffer).await
        )
    });
}

/// Only takes messages, each into the service's buffer.
#[inline]
pub fn assemble(case: &Case) {
    let buffer = leak(vec![0; case.longest_message()]);
    serve(case, |mut listener, link| async move {
        loop {
            listener.recv(buffer).await.expect("a message");
            link.end_message();
        }
    });
}

/// Only sends responses, again and again to the same message.
#[inline]
pub fn packetise(case: &Case) {
    let buffer = leak(vec![0; case.longest_message()]);
    serve(case, |mut listener, link| async move {
        let received = listener.recv(buffer).await;
        let (_, integrity_check, body, mut response) = received.expect("a message");
        loop {
            let sent = response.send_vectored(integrity_check, &[body]).await;
            sent.expect("a free port");
            link.wait_for_start().await;
        }
    });
}
