//! The reference device on the STM32H7S3L8 Nucleo board.
//!
//! The device is `reference_device`. Here are the memory, clock, NVM subsystem and log it asks for, and the priorities of its parts:
//!
//! | executor | priority | runs |
//! |-|-|-|
//! | of interrupt `UART5` | high | the USB link: host, router, control protocol, sending |
//! | of interrupt `UART4` | low | the services: echo, NVMe-MI; the light and the watchdog |
//!
//! [`board`] has the hardware, and `link/` says what is where in memory.

#![no_std]
#![no_main]

mod board;
mod clock;
mod fault;
mod log;
mod management;
mod memory_functions;

use cortex_m_rt::entry;
use embassy_executor::InterruptExecutor;
use embassy_stm32::interrupt;
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
#[cfg(feature = "serial-log")]
use reference_device::SerialMemory;
use reference_device::{
    Assembly, Identity, Link, Memory, Options, assemble, serve, uuid_from_unique_id,
};
use static_cell::{ConstStaticCell, StaticCell};

use board::{Board, Life, USB_OUT_BUFFER, UsbDriver};
use clock::SystemClock;

/// MCTP over USB 1.0, and two long messages at once, each of at most the size that an NVMe-MI host expects.
type DeviceMemory = Memory<'static, RECEIVE_BUFFER_LEN_1_0, 512, 2, 4224>;
type Router = mctp_router::Router<'static, CriticalSectionRawMutex, SystemClock>;

static MEMORY: ConstStaticCell<(DeviceMemory, [u8; USB_OUT_BUFFER])> =
    ConstStaticCell::new((Memory::new(), [0; USB_OUT_BUFFER]));
static ROUTER: StaticCell<Router> = StaticCell::new();

#[cfg(feature = "serial-log")]
static SERIAL: StaticCell<SerialMemory<'static>> = StaticCell::new();

static LINK: InterruptExecutor = InterruptExecutor::new();
static SERVICES: InterruptExecutor = InterruptExecutor::new();

#[entry]
fn main() -> ! {
    log::start();
    let (memory, usb_out) = MEMORY.take();
    let board = Board::start(usb_out);
    let identity = Identity::from_build(uuid_from_unique_id(&board.unique_id));
    log::identity(&identity);

    let options = Options::default();
    let Assembly {
        router,
        link,
        buffer,
    } = assemble(board.usb, SystemClock, &identity, &options, memory);
    let router = ROUTER.init(router);

    interrupt::UART5.set_priority(Priority::P6);
    let executor = LINK.start(interrupt::UART5);
    executor.spawn(run_link(link, router).unwrap());
    interrupt::UART4.set_priority(Priority::P7);
    let executor = SERVICES.start(interrupt::UART4);
    executor.spawn(run_services(router, identity, buffer).unwrap());
    executor.spawn(show_life(board.life).unwrap());
    loop {
        cortex_m::asm::wfi();
    }
}

/// The USB link: the functions that the host sees.
#[embassy_executor::task]
async fn run_link(link: Link<'static, UsbDriver>, router: &'static Router) {
    #[cfg(feature = "serial-log")]
    let running = {
        let memory = SERIAL.init_with(SerialMemory::new);
        link.run_with_log(router, &log::EVENTS, memory, log::TEXT.reader())
    };
    #[cfg(not(feature = "serial-log"))]
    let running = link.run(router, &log::EVENTS);
    // It fails only with buffers that are shorter than those above.
    match running.unwrap_or_else(|_| fault::stop()).await {}
}

#[embassy_executor::task]
async fn run_services(
    router: &'static Router,
    identity: Identity<'static>,
    buffer: &'static mut [u8],
) {
    // Made here because it must stay with one executor.
    let management = management::start(&identity);
    match serve(router, management, SystemClock, buffer, &log::EVENTS).await {}
}

/// In the executor of the lowest priority: it is the first to get no turn.
#[embassy_executor::task]
async fn show_life(life: Life) {
    match life.show().await {}
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
