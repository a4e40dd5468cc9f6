//! Our stack: `mctp-router`, with a transport shaped like MCTP over USB 1.0.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp_router::{Clock, Config, Instant, PortConfig, PortId, Router, RouterStorage, Service};
use mctp_transport::{PhysicalAddress, Received, SendError, Transfer};
use mctp_transport::{TransferLayout, TransportRx, TransportTx};

use crate::link::{DEVICE, Link};
use crate::{Case, LONGEST_MESSAGE, run};

/// Four transfers of MCTP over USB 1.0.
const TRANSFER_LEN: usize = 2048;
type Storage<'b> = RouterStorage<'b, 1, TRANSFER_LEN, 4, 2, LONGEST_MESSAGE, 4, 2>;
type OurRouter<'b> = Router<'b, NoopRawMutex, StoppedClock>;
const PORT: PortId = PortId(0);
const ECHO: Service = Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE]);

/// Reading a clock is the board's cost, not the stack's.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        Instant::from_millis(1)
    }

    fn wait_until(&self, _: Instant) -> impl Future<Output = ()> {
        pending()
    }
}

struct Receiver<'l> {
    link: &'l Link,
    up: bool,
}

impl TransportRx for Receiver<'_> {
    fn receive(&mut self) -> impl Future<Output = Received<'_>> {
        poll_fn(|_| {
            if !self.up {
                self.up = true;
                return Poll::Ready(Received::LinkUp);
            }
            match self.link.next_packet() {
                Some(bytes) => Poll::Ready(Received::Packet {
                    source: PhysicalAddress::POINT_TO_POINT,
                    bytes,
                }),
                None => Poll::Pending,
            }
        })
    }
}

struct Sender<'l>(&'l Link);

impl TransportTx for Sender<'_> {
    fn layout(&self) -> TransferLayout {
        TransferLayout {
            headroom: 4,
            tailroom: 0,
            max_packet: 251,
            max_transfer: u16::MAX,
            transfers_at_once: 1,
            packs: true,
        }
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        for frame in transfer.frames() {
            self.0.send(frame.packet);
        }
        Ok(())
    }
}

fn router<'b>(case: &Case, storage: &'b mut Storage<'b>) -> OurRouter<'b> {
    let router = Router::new(storage, StoppedClock, &Config::new([1; 16]));
    assert!(router.set_endpoint_id(DEVICE));
    router.configure_port(PORT, port_config(case));
    router
}

fn port_config(case: &Case) -> PortConfig {
    PortConfig {
        unit: case.unit,
        ..PortConfig::default()
    }
}

/// Runs `service` between the two halves of the transport.
fn serve(
    case: &Case,
    link: &Link,
    router: &OurRouter<'_>,
    service: impl Future<Output = Infallible>,
) {
    let (mut receiver, mut sender) = (Receiver { link, up: false }, Sender(link));
    let receive = pin!(router.run_receive(PORT, &mut receiver));
    let send = pin!(router.run_send(PORT, &mut sender));
    run(case, link, &mut [receive, pin!(service), send]);
    assert_eq!(router.drop_counters().total(), 0);
}

/// The echo service on the message in place: one copy in, one copy out.
pub fn echo_in_place(case: &Case) {
    let link = case.link();
    let mut storage = Storage::new();
    let router = router(case, &mut storage);
    let mut listener = router.listener(ECHO).expect("a free channel");
    serve(case, &link, &router, async {
        loop {
            let message = listener.receive().await;
            let sent = message
                .respond(message.integrity_check(), &[message.bytes()])
                .await;
            sent.expect("the link is up");
        }
    });
}

/// The echo service through the `mctp` traits, which copy the message to the service's buffer.
pub fn echo_through_traits(case: &Case) {
    let link = case.link();
    let mut storage = Storage::new();
    let router = router(case, &mut storage);
    let mut listener = router.listener(ECHO).expect("a free channel");
    let mut buffer = vec![0; LONGEST_MESSAGE];
    serve(case, &link, &router, async {
        panic!("{}", mctp_echo::serve(&mut listener, &mut buffer).await)
    });
}

/// Only takes messages.
pub fn assemble(case: &Case) {
    let link = case.link();
    let mut storage = Storage::new();
    let router = router(case, &mut storage);
    let mut listener = router.listener(ECHO).expect("a free channel");
    serve(case, &link, &router, async {
        loop {
            listener.receive().await;
            link.end();
        }
    });
}

/// Only sends responses, again and again to the same message.
pub fn packetise(case: &Case) {
    let link = case.link();
    let mut storage = Storage::new();
    let router = router(case, &mut storage);
    let mut listener = router.listener(ECHO).expect("a free channel");
    let service = async {
        let message = listener.receive().await;
        loop {
            let sent = message
                .respond(message.integrity_check(), &[message.bytes()])
                .await;
            sent.expect("the link is up");
            // Before the receive side sees the request that it starts with.
            link.wait_for_request().await;
        }
    };
    let (mut receiver, mut sender) = (
        Receiver {
            link: &link,
            up: false,
        },
        Sender(&link),
    );
    let receive = pin!(router.run_receive(PORT, &mut receiver));
    let send = pin!(router.run_send(PORT, &mut sender));
    run(case, &link, &mut [pin!(service), receive, send]);
    assert_eq!(router.messages_accepted(), 1);
}

/// The sans-IO core by hand: what the router costs without tasks and wakers.
pub fn echo_by_core(case: &Case) {
    use mctp_router::{Progress, Receipt, RouterCore};

    let link = case.link();
    let mut storage = Storage::new();
    let mut core = RouterCore::new(&mut storage, &Config::new([1; 16]));
    assert!(core.set_endpoint_id(DEVICE));
    core.set_layout(PORT, Sender(&link).layout());
    core.configure_port(PORT, port_config(case));
    core.link_up(PORT);
    let echo = core.open_listener(ECHO).expect("a free channel");
    let now = Instant::from_millis(1);
    let service = pin!(async {
        loop {
            let packet = poll_fn(|_| link.next_packet().map_or(Poll::Pending, Poll::Ready)).await;
            let receipt = core.receive(now, PORT, PhysicalAddress::POINT_TO_POINT, packet);
            if receipt != Receipt::Delivered(echo) {
                continue;
            }
            let Some(message) = core.take_message(echo) else {
                continue;
            };
            let mut response = core.response_to(&message, message.integrity_check());
            loop {
                let progress = core.send(now, &mut response, &[message.bytes()]);
                while let Some(outbound) = core.poll_transmit(PORT) {
                    for frame in outbound.transfer.frames() {
                        link.send(frame.packet);
                    }
                    core.transmit_done(now, PORT, outbound, Ok(()));
                }
                if progress == Ok(Progress::Done) {
                    break;
                }
            }
            core.give_back(message);
        }
    });
    run(case, &link, &mut [service]);
}
