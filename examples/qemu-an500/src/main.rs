//! The reference device on QEMU's `mps2-an500`, an emulated Cortex-M7. Its USB port is UART0, on which it speaks usbredir; its log is UART1.

#![no_std]
#![no_main]

mod clock;
mod firmware;
mod log;
mod management;

use cortex_m_rt::entry;
use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Timer;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
use qemu_an500::uart::{UART0, UART1};
use qemu_an500::{interrupts, time};
use reference_device::{Identity, Memory, Options, run, uuid_from_unique_id};
use static_cell::{ConstStaticCell, StaticCell};
use usbredir_device::{Buffers, State};

use clock::SystemClock;
use log::EventLog;

/// MCTP over USB 1.0, and two long messages at once, each of at most the size that an NVMe-MI host expects.
type DeviceMemory = Memory<'static, RECEIVE_BUFFER_LEN_1_0, 512, 2, 4224>;
type UsbBuffers = Buffers<1, 16384, 16384, 4096>;

const UNIQUE_ID: [u8; 12] = *b"\0qemu-an500\0";
/// How long a bulk OUT endpoint may leave its queue full before the rest of the bus goes on without it.
const PATIENCE_MS: u64 = 100;

static MEMORY: ConstStaticCell<DeviceMemory> = ConstStaticCell::new(Memory::new());
static USB_BUFFERS: ConstStaticCell<UsbBuffers> = ConstStaticCell::new(Buffers::new());
static USB_STATE: StaticCell<State<'static, NoopRawMutex>> = StaticCell::new();

#[entry]
fn start() -> ! {
    let mut core = cortex_m::Peripherals::take().expect("nobody has taken them before");
    interrupts::start(&mut core);
    time::start();
    UART1.start();
    UART0.start();
    log::start();
    let services = interrupts::start_service_executor();
    services.spawn(device().expect("it is the first one"));
    loop {
        cortex_m::asm::wfi();
    }
}

#[embassy_executor::task]
async fn device() {
    let state = USB_STATE.init(State::new(USB_BUFFERS.take()));
    let (driver, mut cable, _) = usbredir_device::new(state, usbredir_device::Config::default());
    let identity = Identity::for_development(uuid_from_unique_id(&UNIQUE_ID));
    ::log::info!("UUID {:02x?}", identity.uuid);
    let options = Options::default();
    let device = run(
        driver,
        SystemClock,
        &identity,
        &options,
        MEMORY.take(),
        management::start(&identity),
        &EventLog,
    );
    let plugged = async {
        // QEMU looks for what its peer has sent when a timer rings, not when the receiver is switched on.
        Timer::after_millis(1).await;
        loop {
            let patience = async || Timer::after_millis(PATIENCE_MS).await;
            let ended = cable.run_with_patience(&UART0, &UART0, patience).await;
            ::log::warn!("the guest is gone: {ended:?}");
        }
    };
    let (Err(error), ()) = join(device, plugged).await;
    panic!("the device cannot start: {error}");
}
