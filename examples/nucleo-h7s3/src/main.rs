//! The reference device on the STM32H7S3L8 Nucleo board.
//!
//! The device is `reference_device`. Here are the memory, clock, NVM subsystem and log it asks for,
//! and the priorities of its parts:
//!
//! | executor | priority | runs |
//! |-|-|-|
//! | of interrupt `UART5` | high | the links: hosts, router, control protocol, sending |
//! | of interrupt `UART4` | low | the services: echo, NVMe-MI; the light and the watchdog |
//!
//! [`board`] has the hardware, and `link/` says what is where in memory.

#![no_std]
#![no_main]

mod board;
mod clock;
mod crc;
mod fault;
mod log;
mod management;
mod memory_functions;
#[cfg(feature = "two-wire")]
mod two_wire;

use cortex_m_rt::entry;
use embassy_executor::{InterruptExecutor, SendSpawner};
#[cfg(feature = "serial-log")]
use embassy_futures::join::join;
#[cfg(feature = "two-wire")]
use embassy_futures::join::join_array;
#[cfg(feature = "bench")]
use embassy_futures::select::select;
use embassy_futures::select::select4;
use embassy_stm32::interrupt;
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
use reference_device::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use reference_device::{
    Assembly, ECHO_CHANNELS, Identity, Link, LinkMemory, MANAGE_CHANNELS, MCTP_DESCRIPTORS,
    Options, RouterStorage, SerialNumber, assemble, echo, manage, report_events,
    uuid_from_unique_id,
};
#[cfg(feature = "bench")]
use reference_device::{BENCH_CHANNELS, Benchmark, NETWORK};
#[cfg(feature = "serial-log")]
use reference_device::{SERIAL_DESCRIPTORS, SerialMemory, SerialPort};
use static_cell::{ConstStaticCell, StaticCell};

use board::{Board, Crc, Life, USB_OUT_BUFFER, UsbDriver};
use clock::SystemClock;
use management::ENDPOINTS;

/// What the services take of the router together: echo is one service in all networks.
const CHANNELS: usize = ECHO_CHANNELS + ENDPOINTS * MANAGE_CHANNELS + BENCH_CHANNELS;
#[cfg(not(feature = "bench"))]
const BENCH_CHANNELS: usize = 0;
/// USB functions beside MCTP.
#[cfg(not(feature = "serial-log"))]
const SERIAL_DESCRIPTORS: usize = 0;

/// For MCTP over USB 1.0.
type UsbMemory =
    LinkMemory<'static, RECEIVE_BUFFER_LEN_1_0, { MCTP_DESCRIPTORS + SERIAL_DESCRIPTORS }>;
/// Long messages have at most the size that an NVMe-MI host expects.
type Storage = RouterStorage<
    Ports<'static, ENDPOINTS>,
    Networks<ENDPOINTS>,
    ShortMessages<'static, 3>,
    LongMessages<'static, 2, 4224>,
    Channels<'static, CHANNELS>,
    Routes<0, 0>,
>;
type Transfers = PortBuffers<'static, 512>;
type Router = mctp_router::Router<'static, CriticalSectionRawMutex, SystemClock>;

static MEMORY: ConstStaticCell<(Storage, Transfers, UsbMemory, [u8; USB_OUT_BUFFER])> =
    ConstStaticCell::new((
        RouterStorage::new(),
        PortBuffers::new(),
        LinkMemory::new(),
        [0; USB_OUT_BUFFER],
    ));
static ROUTER: StaticCell<Router> = StaticCell::new();

#[cfg(feature = "serial-log")]
static SERIAL: StaticCell<SerialMemory<'static>> = StaticCell::new();

static LINK: InterruptExecutor = InterruptExecutor::new();
static SERVICES: InterruptExecutor = InterruptExecutor::new();

#[entry]
fn main() -> ! {
    log::start();
    let board = Board::start();
    interrupt::UART5.set_priority(Priority::P6);
    let executor = LINK.start(interrupt::UART5);
    // Spawned once, which is as often as there is room for it.
    executor.spawn(run_device(board, executor).unwrap_or_else(|_| fault::stop()));
    loop {
        cortex_m::asm::wfi();
    }
}

/// Makes the device, starts its services, and runs its USB link: the functions that the host sees.
/// Not made in `main`: a task keeps what it is given beside what it makes of it.
#[embassy_executor::task]
async fn run_device(board: Board, executor: SendSpawner) {
    let (router, link) = make_device(board, executor);
    #[cfg(feature = "serial-log")]
    let running = {
        let memory = SERIAL.init_with(SerialMemory::new);
        let running = link.run_with(router, &log::EVENTS, |builder| {
            SerialPort::new(builder, memory, 512)
        });
        running.map(|(link, serial)| join(link, serial.show(log::TEXT.reader())))
    };
    #[cfg(not(feature = "serial-log"))]
    let running = link.run(router, &log::EVENTS);
    // It fails only with buffers that are shorter than those above.
    running.unwrap_or_else(|_| fault::stop()).await;
}

/// The device, whose services run from here on, and its two-wire link, in the executor of links.
fn make_device(board: Board, links: SendSpawner) -> (&'static Router, Link<'static, UsbDriver>) {
    let (storage, transfers, usb, usb_out) = MEMORY.take();
    let identity = Identity::from_build(uuid_from_unique_id(&board.unique_id));
    log::identity(&identity);

    let options = Options::default();
    let Assembly { router, link } = assemble(
        board.usb.start(usb_out),
        SystemClock,
        &identity,
        &options,
        (usb, transfers),
        storage,
    );
    let router = &*ROUTER.init(router);
    #[cfg(feature = "two-wire")]
    links.spawn(run_two_wire(router, board.two_wires).unwrap_or_else(|_| fault::stop()));
    #[cfg(not(feature = "two-wire"))]
    let _ = links;

    interrupt::UART4.set_priority(Priority::P7);
    let executor = SERVICES.start(interrupt::UART4);
    let services = run_services(router, identity.serial_number(), board.crc, board.life);
    // Spawned once, which is as often as there is room for it.
    executor.spawn(services.unwrap_or_else(|_| fault::stop()));
    (router, link)
}

/// Runs the two-wire link.
#[cfg(feature = "two-wire")]
#[embassy_executor::task]
async fn run_two_wire(router: &'static Router, wires: two_wire::TwoWires) {
    two_wire::Link::start(router, wires).run(router).await;
}

#[embassy_executor::task]
async fn run_services(router: &'static Router, serial_number: SerialNumber, crc: Crc, life: Life) {
    // Made here because it must stay with one executor.
    let endpoints = management::start(serial_number, crc);
    // They fail only with fewer channels than above.
    let echo = echo(router).unwrap_or_else(|_| fault::stop());
    let services = endpoints.map(|endpoint| {
        let manage = manage(router, endpoint.server, endpoint.link, SystemClock);
        manage.unwrap_or_else(|_| fault::stop())
    });
    #[cfg(not(feature = "two-wire"))]
    let [manage] = services;
    // As an array, so that the code is there once.
    #[cfg(feature = "two-wire")]
    let manage = join_array(services);
    #[cfg(feature = "bench")]
    let benchmark = Benchmark::new(router.endpoint_id(NETWORK), &log::EVENTS);
    #[cfg(feature = "bench")]
    let observer = &benchmark;
    #[cfg(not(feature = "bench"))]
    let observer = &log::EVENTS;
    let observer = endpoints[0].link.watched_by(observer);
    #[cfg(feature = "two-wire")]
    let observer = endpoints[1].link.watched_by(&observer);
    let services = select4(echo, manage, report_events(router, observer), life.show());
    #[cfg(not(feature = "bench"))]
    services.await;
    #[cfg(feature = "bench")]
    {
        let bench = benchmark.serve(router, SystemClock);
        select(services, bench.unwrap_or_else(|_| fault::stop())).await;
    }
}

#[interrupt]
unsafe fn UART5() {
    // SAFETY: this is the interrupt that the executor was started with.
    unsafe { LINK.on_interrupt() }
}

#[interrupt]
unsafe fn UART4() {
    // SAFETY: this is the interrupt that the executor was started with.
    unsafe { SERVICES.on_interrupt() }
}
