//! `mctp-router`. All messages on their way may be long; or two, and the others have a packet each.

#![no_std]
#![no_main]

use embassy_executor::{Executor, Spawner};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::{Clock, Config, Instant, NetworkId, PortId, Router, RouterStorage, Service};
use mctp_transport::{
    Eid, PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx, TransportTx,
};
use static_cell::{ConstStaticCell, StaticCell};
use two_port_router::{LONG_MESSAGE, MESSAGES, PACKET, PORTS, QUEUE, REQUESTS, now};

two_port_router::entry!(run);

const LONG_MESSAGES: usize = if cfg!(feature = "two-long") {
    2
} else {
    MESSAGES
};
/// With the four bytes that USB has before each packet. There are two.
const TRANSFER: usize = (4 + PACKET) * QUEUE / 2;
/// The echo service and requests.
const CHANNELS: usize = 1 + REQUESTS;
const ROUTES: usize = 4;

type Storage = RouterStorage<
    Ports<'static, PORTS>,
    Networks<PORTS>,
    ShortMessages<'static, { MESSAGES - LONG_MESSAGES }>,
    LongMessages<'static, LONG_MESSAGES, LONG_MESSAGE>,
    Channels<'static, CHANNELS>,
    Routes<ROUTES, PORTS>,
>;
type OurRouter = Router<'static, CriticalSectionRawMutex, Hardware>;

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static STORAGE: ConstStaticCell<Storage> = ConstStaticCell::new(Storage::new());
static BUFFERS: ConstStaticCell<[PortBuffers<'static, TRANSFER>; PORTS]> =
    ConstStaticCell::new([const { PortBuffers::new() }; PORTS]);
static ROUTER: StaticCell<OurRouter> = StaticCell::new();

fn run() -> ! {
    let router = Router::new(STORAGE.take(), Hardware, &Config::new([1; 16]));
    let router = &*ROUTER.init(router);
    for (network, buffers) in (0..).map(NetworkId).zip(BUFFERS.take()) {
        // There is a network and room for each.
        let _ = router.add_port(network, buffers);
    }
    router.set_endpoint_id(NetworkId(0), Eid(9));
    EXECUTOR
        .init(Executor::new())
        .run(|spawner| spawn(spawner, router))
}

fn spawn(spawner: Spawner, router: &'static OurRouter) {
    for port in [PortId(0), PortId(1)] {
        spawner.spawn(receive(router, port).unwrap());
        spawner.spawn(send(router, port).unwrap());
    }
    spawner.spawn(keep_time(router).unwrap());
    spawner.spawn(echo(router).unwrap());
}

#[embassy_executor::task(pool_size = PORTS)]
async fn receive(router: &'static OurRouter, port: PortId) {
    router.run_receive(port, &mut Hardware).await;
}

#[embassy_executor::task(pool_size = PORTS)]
async fn send(router: &'static OurRouter, port: PortId) {
    router.run_send(port, &mut Hardware).await;
}

#[embassy_executor::task]
async fn keep_time(router: &'static OurRouter) {
    router.run_timers().await;
}

/// Answers from the buffer that the request was assembled in.
#[embassy_executor::task]
async fn echo(router: &'static OurRouter) {
    let service = Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE]);
    let Ok(listener) = router.listener(service) else {
        return;
    };
    loop {
        let message = listener.receive().await;
        // The requester asks again if it did not get it.
        let _ = message
            .respond(message.origin().integrity_check(), &[message.bytes()])
            .await;
    }
}

#[derive(Clone, Copy)]
struct Hardware;

impl Clock for Hardware {
    fn now(&self) -> Instant {
        Instant::from_millis(now())
    }

    async fn wait_until(&self, deadline: Instant) {
        two_port_router::wait_until(deadline.as_millis()).await;
    }
}

impl TransportRx for Hardware {
    async fn receive(&mut self) -> Received<'_> {
        Received::Packet {
            source: PhysicalAddress::POINT_TO_POINT,
            bytes: two_port_router::receive().await,
        }
    }
}

impl TransportTx for Hardware {
    fn layout(&self) -> TransferLayout {
        TransferLayout::new(4, PACKET as u16, TRANSFER as u16).with_packs(true)
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        two_port_router::send(transfer.as_bytes()).await;
        Ok(())
    }
}
