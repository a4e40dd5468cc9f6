//! Through the async router: tasks that receive, serve and send.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::task::Poll;

use mctp_router::{Listener, PortId, Router};
use mctp_transport::{
    PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx, TransportTx,
};

use super::{
    NETWORK, add_ports, config, echo, in_storage, layout, others, port_config, ports, routes,
};
use crate::case::Case;
use crate::executor::{Task, measure};
use crate::leak;
use crate::link::{DEVICE, Link};
use crate::stack_clock::StackClock;

#[cfg(not(feature = "board"))]
type RawMutex = embassy_sync::blocking_mutex::raw::NoopRawMutex;
#[cfg(feature = "board")]
type RawMutex = embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

pub type OurRouter = Router<'static, RawMutex, StackClock>;
type OurListener = Listener<'static, 'static, RawMutex, StackClock>;

/// Takes packets from the link without a copy.
pub struct Receiver {
    pub link: &'static Link,
    pub port: PortId,
    pub up: bool,
}

impl TransportRx for Receiver {
    fn can_wait(&self) -> bool {
        true
    }

    fn put_back(&mut self) {
        self.link.put_back();
    }

    fn receive(&mut self) -> impl Future<Output = Received<'_>> {
        poll_fn(|context| {
            if !self.up {
                self.up = true;
                return Poll::Ready(Received::LinkUp);
            }
            let packet = self.link.poll_packet(self.port.0.into(), context);
            packet.map(|bytes| Received::Packet {
                source: PhysicalAddress::POINT_TO_POINT,
                bytes,
            })
        })
    }
}

struct Sender {
    link: &'static Link,
    port: PortId,
    layout: TransferLayout,
}

impl TransportTx for Sender {
    fn layout(&self) -> TransferLayout {
        self.layout
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        self.link.send(self.port.0.into(), transfer.packets());
        Ok(())
    }
}

#[inline]
pub fn router(case: &Case) -> &'static OurRouter {
    let router = in_storage!(case, Router::new, StackClock, &config());
    add_ports!(router, case);
    assert!(router.set_endpoint_id(NETWORK, DEVICE));
    ports(case).for_each(|port| router.configure_port(port, port_config(case)));
    assert!(routes(case).all(|route| router.add_route(route)));
    leak(router)
}

/// Measures `service` between the two halves of the transports.
#[inline]
fn serve<S: Future<Output = Infallible> + 'static>(
    case: &Case,
    service: impl FnOnce(OurListener, &'static Link) -> S,
) {
    let link = Link::of_echo(case);
    let router = router(case);
    let listener = router.listener(echo(case)).expect("a free channel");
    for other in others(case) {
        leak(router.listener(other).expect("a free channel"));
    }
    let mut tasks: Vec<Task> = Vec::new();
    for port in ports(case) {
        let receiver = leak(Receiver {
            link,
            port,
            up: false,
        });
        tasks.push(Box::pin(router.run_receive(port, receiver)));
    }
    tasks.push(Box::pin(service(listener, link)));
    for port in ports(case) {
        let layout = layout(case);
        let sender = leak(Sender { link, port, layout });
        tasks.push(Box::pin(router.run_send(port, sender)));
    }
    if cfg!(feature = "board") {
        tasks.push(Box::pin(router.run_timers()));
    }
    measure(case, link, tasks);
    assert_eq!(router.drop_counters().total(), 0);
}

/// The echo service on the message in place: one copy in, one copy out.
#[inline]
pub fn echo_in_place(case: &Case) {
    serve(case, async |listener: OurListener, _| {
        loop {
            let message = listener.receive().await;
            let sent = message
                .respond(message.origin().integrity_check(), &[message.bytes()])
                .await;
            sent.expect("the link is up");
        }
    });
}

/// The echo service through the `mctp` traits, which copy the message to the service's buffer.
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

/// Only takes messages.
#[inline]
pub fn assemble(case: &Case) {
    serve(case, |listener, link| async move {
        loop {
            listener.receive().await;
            link.end_message();
        }
    });
}

/// Only sends responses, again and again to the same message.
#[inline]
pub fn packetise(case: &Case) {
    serve(case, |listener, link| async move {
        let message = listener.receive().await;
        loop {
            let sent = message
                .respond(message.origin().integrity_check(), &[message.bytes()])
                .await;
            sent.expect("the link is up");
            link.wait_for_start().await;
        }
    });
}
