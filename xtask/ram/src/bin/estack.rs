//! `mctp-estack` 0.1, in the parts that its documentation names. Of the messages on their way each
//! may be long: it has no other buffers. Eight, or two.

#![no_std]
#![no_main]

use embassy_executor::{Executor, Spawner};
use mctp::{Eid, MsgType};
use mctp_estack::config;
use mctp_estack::router::{PortBottom, PortBuilder, PortId, PortLookup, PortStorage, PortTop};
use mctp_estack::{Router, Stack};
use static_cell::{ConstStaticCell, StaticCell};
use two_port_router::{LONG_MESSAGE, MESSAGES, PACKET, PORTS, QUEUE, REQUESTS, now, wait_until};

two_port_router::entry!(run);

const _: () = assert!(config::MAX_PAYLOAD == LONG_MESSAGE);
const RECEIVED: usize = if cfg!(feature = "two-long") {
    2
} else {
    MESSAGES
};
const _: () = assert!(config::NUM_RECEIVE == RECEIVED);
const _: () = assert!(config::FLOWS == REQUESTS);
const _: () = assert!(config::MAX_MTU == PACKET);
const _: () = assert!(PORTS == 2);

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static FIRST: StaticCell<PortStorage<QUEUE>> = StaticCell::new();
static SECOND: StaticCell<PortStorage<QUEUE>> = StaticCell::new();
static BUILDERS: StaticCell<[PortBuilder<'static>; PORTS]> = StaticCell::new();
static TOPS: StaticCell<[PortTop<'static>; PORTS]> = StaticCell::new();
static LOOKUP: ConstStaticCell<ByEndpointId> = ConstStaticCell::new(ByEndpointId);
static ROUTER: StaticCell<Router<'static>> = StaticCell::new();
/// A service has no other way to a message than a copy of it.
static ECHO: ConstStaticCell<[u8; LONG_MESSAGE]> = ConstStaticCell::new([0; LONG_MESSAGE]);

fn run() -> ! {
    let first = PortBuilder::new(FIRST.init_with(PortStorage::new));
    let second = PortBuilder::new(SECOND.init_with(PortStorage::new));
    let builders = BUILDERS.init([first, second]);
    let [first, second] = builders.each_mut().map(|port| port.build(PACKET).unwrap());
    let tops = TOPS.init([first.0, second.0]);
    let stack = Stack::new(Eid(9), PACKET, 0);
    let router = &*ROUTER.init(Router::new(stack, tops, LOOKUP.take()));
    let bottoms = [first.1, second.1];
    EXECUTOR
        .init(Executor::new())
        .run(|spawner| spawn(spawner, router, bottoms))
}

fn spawn(spawner: Spawner, router: &'static Router<'static>, bottoms: [PortBottom<'static>; 2]) {
    for (bottom, port) in bottoms.into_iter().zip([PortId(0), PortId(1)]) {
        spawner.spawn(receive(router, port).unwrap());
        spawner.spawn(send(bottom).unwrap());
    }
    spawner.spawn(keep_time(router).unwrap());
    spawner.spawn(echo(router).unwrap());
}

#[embassy_executor::task(pool_size = PORTS)]
async fn receive(router: &'static Router<'static>, port: PortId) {
    loop {
        let packet = two_port_router::receive().await;
        router.inbound(packet, port).await;
    }
}

#[embassy_executor::task(pool_size = PORTS)]
async fn send(mut bottom: PortBottom<'static>) {
    loop {
        let (packet, _) = bottom.outbound().await;
        two_port_router::send(packet).await;
        bottom.outbound_done();
    }
}

#[embassy_executor::task]
async fn keep_time(router: &'static Router<'static>) {
    loop {
        let next = router.update_time(now()).await.unwrap_or(100);
        wait_until(now() + next).await;
    }
}

#[embassy_executor::task]
async fn echo(router: &'static Router<'static>) {
    let mut listener = router.listener(MsgType(0x7E)).unwrap();
    mctp_echo::serve(&mut listener, ECHO.take()).await;
}

struct ByEndpointId;

impl PortLookup for ByEndpointId {
    fn by_eid(&mut self, endpoint_id: Eid, _: Option<PortId>) -> Option<PortId> {
        Some(PortId(endpoint_id.0 & 1))
    }
}
