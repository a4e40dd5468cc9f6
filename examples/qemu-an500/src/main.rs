//! The reference device on QEMU's `mps2-an500`, an emulated Cortex-M7. Its USB port is UART0, on
//! which it speaks usbredir; its log is UART1.
//!
//! The device is `reference_device`. Here are the clock, memory, NVM subsystem, log and priorities
//! that it asks for; the library beside this program has the hardware.

#![no_std]
#![no_main]

mod clock;
mod device;
mod fault;
mod log;
mod management;
mod settings;

use cortex_m_rt::entry;
use embassy_futures::join::join;
use embassy_time::Timer;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
use qemu_an500::interrupts;
use qemu_an500::uart::UART0;
use reference_device::storage::PortBuffers;
use reference_device::{
    Assembly, Link, LinkMemory, MCTP_DESCRIPTORS, RouterStorage, SERIAL_DESCRIPTORS, SerialMemory,
    SerialPort, assemble,
};
use remote_usb_device::{Buffers, Driver, Runner, State};
use static_cell::{ConstStaticCell, StaticCell};

use clock::SystemClock;
use device::{RawMutex, Router, Storage, spawn};
use log::{EVENTS, LOG};

type UsbDriver = Driver<'static, RawMutex>;
/// For MCTP over USB 1.0.
type UsbMemory =
    LinkMemory<'static, RECEIVE_BUFFER_LEN_1_0, { MCTP_DESCRIPTORS + SERIAL_DESCRIPTORS }>;
/// One endpoint for MCTP and two for the serial port with the log, in each direction; and more than
/// the longest transfers of MCTP over USB 1.0.
type UsbBuffers = Buffers<3, 4096, 4096, 512>;

/// How long a bulk OUT endpoint may leave its queue full before the rest of the bus goes on without
/// it.
const PATIENCE_MS: u64 = 100;

static STORAGE: ConstStaticCell<Storage> = ConstStaticCell::new(RouterStorage::new());
static TRANSFERS: ConstStaticCell<PortBuffers<'static, 512>> =
    ConstStaticCell::new(PortBuffers::new());
static USB_MEMORY: ConstStaticCell<UsbMemory> = ConstStaticCell::new(LinkMemory::new());
static ROUTER: StaticCell<Router> = StaticCell::new();
static SERIAL: StaticCell<SerialMemory<'static>> = StaticCell::new();
static USB_BUFFERS: ConstStaticCell<UsbBuffers> = ConstStaticCell::new(Buffers::new());
static USB_STATE: StaticCell<State<'static, RawMutex>> = StaticCell::new();

#[entry]
fn start() -> ! {
    let (settings, identity) = device::start();
    ::log::info!(
        "USB {:04x}:{:04x}, serial number {}",
        identity.vendor_id,
        identity.product_id,
        identity.serial_number()
    );

    let state = USB_STATE.init(State::new(USB_BUFFERS.take()));
    let (driver, cable, _) = remote_usb_device::new(state, remote_usb_device::Config::default());
    let options = device::options(&settings);
    let (memory, storage) = ((USB_MEMORY.take(), TRANSFERS.take()), STORAGE.take());
    let Assembly { router, link } =
        assemble(driver, SystemClock, &identity, &options, memory, storage);
    let router = ROUTER.init(router);

    let urgent = interrupts::start_link_executor();
    spawn(urgent, usb_cable(cable));
    spawn(urgent, usb_link(link, router));
    device::serve(router, identity, &settings)
}

/// Joins the device to the guest of another QEMU, which is at the other end of UART0.
#[embassy_executor::task]
async fn usb_cable(mut cable: Runner<'static, RawMutex>) {
    let plug = async {
        loop {
            let patience = async || Timer::after_millis(PATIENCE_MS).await;
            let ended = cable
                .run_usbredir_with_patience(&UART0, &UART0, patience)
                .await;
            ::log::warn!("the guest is gone: {ended:?}");
        }
    };
    join(device::keep_looking(), plug).await;
}

#[embassy_executor::task]
async fn usb_link(link: Link<'static, UsbDriver>, router: &'static Router) {
    let memory = SERIAL.init_with(SerialMemory::new);
    let functions = link.run_with(router, &EVENTS, |builder| {
        SerialPort::new(builder, memory, 512)
    });
    // It fails only with buffers that are shorter than those above.
    let (link, serial) = functions.unwrap_or_else(|_| fault::end(&"a buffer is too short"));
    join(link, serial.show(LOG.reader())).await;
}
