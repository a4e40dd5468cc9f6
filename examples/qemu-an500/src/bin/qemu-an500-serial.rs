//! The reference device on QEMU's `mps2-an500` with MCTP over serial (DSP0253) on UART0 in place of
//! USB; its log is UART1. Everything but the link is that of the program `qemu-an500`.

#![no_std]
#![no_main]

#[path = "../clock.rs"]
mod clock;
#[path = "../device.rs"]
mod device;
#[path = "../fault.rs"]
mod fault;
#[path = "../log.rs"]
mod log;
#[path = "../management.rs"]
mod management;
#[path = "../settings.rs"]
mod settings;

use cortex_m_rt::entry;
use embassy_futures::join::join;
use mctp_serial::framing::MAX_PACKET;
use mctp_serial::{Receiver, Resync, Sender};
use mctp_transport::TransferLayout;
use qemu_an500::interrupts;
use qemu_an500::uart::UART0;
use reference_device::storage::PortBuffers;
use reference_device::{Observed, PORT, RouterStorage};
use static_cell::{ConstStaticCell, StaticCell};

use clock::SystemClock;
use device::{Router, Storage, spawn};
use log::EVENTS;

/// A transfer is one packet.
const TRANSFER_LEN: usize = MAX_PACKET + TransferLayout::MIN_HEADROOM as usize;

static STORAGE: ConstStaticCell<Storage> = ConstStaticCell::new(RouterStorage::new());
static TRANSFERS: ConstStaticCell<PortBuffers<'static, TRANSFER_LEN>> =
    ConstStaticCell::new(PortBuffers::new());
static RECEIVED: ConstStaticCell<[u8; MAX_PACKET]> = ConstStaticCell::new([0; MAX_PACKET]);
static RESYNC: Resync = Resync::new();
static ROUTER: StaticCell<Router> = StaticCell::new();

#[entry]
fn start() -> ! {
    let (settings, identity) = device::start();
    ::log::info!("MCTP over serial on UART0");
    let options = device::options(&settings);
    let (transfers, storage) = (TRANSFERS.take(), STORAGE.take());
    let router = reference_device::router(SystemClock, &identity, &options, transfers, storage);
    let router = ROUTER.init(router);

    let urgent = interrupts::start_link_executor();
    spawn(urgent, serial_link(router));
    device::serve(router, identity, &settings)
}

/// The UART has no lines for flow control. So the receiver does not say that the neighbour can
/// wait: what the router has no buffer for is dropped and counted.
#[embassy_executor::task]
async fn serial_link(router: &'static Router) {
    let receiver = Receiver::new(&UART0, &RESYNC, RECEIVED.take());
    // It fails only with a buffer that is shorter than the one above.
    let receiver = receiver.unwrap_or_else(|error| fault::end(&error));
    // The router keeps to the transmission unit that is set.
    let sender = Sender::new(&UART0, &RESYNC).with_max_packet(u8::MAX);
    let mut receiver = Observed::new(receiver, &EVENTS);
    let mut sender = Observed::new(sender, &EVENTS);
    let link = router.run(PORT, &mut receiver, &mut sender);
    join(device::keep_looking(), link).await;
}
