//! The reference device on QEMU's `mps2-an500`, an emulated Cortex-M7. Its USB port is UART0, on
//! which it speaks usbredir; its log is UART1.
//!
//! The device is `reference_device`. Here are the clock, memory, NVM subsystem, log and priorities
//! that it asks for; the library beside this program has the hardware.

#![no_std]
#![no_main]

mod clock;
mod fault;
mod log;
mod management;
mod settings;

use cortex_m_rt::entry;
use embassy_executor::{SendSpawner, SpawnError, SpawnToken};
use embassy_futures::join::join;
#[cfg(not(feature = "bench"))]
use embassy_futures::join::join3;
#[cfg(feature = "bench")]
use embassy_futures::join::join4;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::Timer;
use mctp_usb::RECEIVE_BUFFER_LEN_1_0;
use qemu_an500::uart::{UART0, UART1};
use qemu_an500::{interrupts, stack, time};
use reference_device::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use reference_device::{
    Assembly, ECHO_CHANNELS, Identity, Link, LinkMemory, MANAGE_CHANNELS, MCTP_DESCRIPTORS,
    Options, RouterStorage, SERIAL_DESCRIPTORS, SerialMemory, SerialPort, assemble, echo, manage,
    report_events, uuid_from_unique_id,
};
#[cfg(feature = "bench")]
use reference_device::{BENCH_CHANNELS, Benchmark, NETWORK};
use static_cell::{ConstStaticCell, StaticCell};
use usbredir_device::{Buffers, Driver, Runner, State};

use clock::SystemClock;
use log::{EVENTS, LOG};
use settings::Settings;

/// The parts of the device are in executors that preempt each other.
type RawMutex = CriticalSectionRawMutex;
type Router = mctp_router::Router<'static, RawMutex, SystemClock>;
type UsbDriver = Driver<'static, RawMutex>;
/// For MCTP over USB 1.0.
type UsbMemory =
    LinkMemory<'static, RECEIVE_BUFFER_LEN_1_0, { MCTP_DESCRIPTORS + SERIAL_DESCRIPTORS }>;
/// What the services take of the router together.
const CHANNELS: usize = ECHO_CHANNELS + MANAGE_CHANNELS + BENCH_CHANNELS;
#[cfg(not(feature = "bench"))]
const BENCH_CHANNELS: usize = 0;
/// Long messages have at most the size that an NVMe-MI host expects.
type Storage = RouterStorage<
    Ports<'static, 1>,
    Networks<1>,
    ShortMessages<'static, 4>,
    LongMessages<'static, MESSAGES, 4224>,
    Channels<'static, CHANNELS>,
    Routes<2>,
>;
/// One endpoint for MCTP and two for the serial port with the log, in each direction; and more than
/// the longest transfers of MCTP over USB 1.0.
type UsbBuffers = Buffers<3, 4096, 4096, 512>;

/// How many messages of several packets can wait for the services, or be incomplete, at once.
const MESSAGES: usize = 2;
/// How long a bulk OUT endpoint may leave its queue full before the rest of the bus goes on without
/// it.
const PATIENCE_MS: u64 = 100;
/// How often a timer rings.
const LOOK_MS: u64 = 4;

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
    let core = cortex_m::Peripherals::take();
    let mut core = core.unwrap_or_else(|| fault::end(&"somebody has taken the peripherals"));
    stack::guard(&mut core);
    interrupts::start(&mut core);
    time::start();
    UART0.start();
    UART1.start();
    let settings = Settings::read().unwrap_or_else(|error| fault::end(&error));
    log::start(settings.log);
    let identity = Identity::from_build(uuid_from_unique_id(&settings.unique_id));
    announce(&identity);

    let state = USB_STATE.init(State::new(USB_BUFFERS.take()));
    let (driver, cable, _) = usbredir_device::new(state, usbredir_device::Config::default());
    let options = Options {
        mtu: settings.mtu,
        ..Options::default()
    };
    let (memory, storage) = ((USB_MEMORY.take(), TRANSFERS.take()), STORAGE.take());
    let Assembly { router, link } =
        assemble(driver, SystemClock, &identity, &options, memory, storage);
    let router = ROUTER.init(router);

    let urgent = interrupts::start_link_executor();
    spawn(urgent, usb_cable(cable));
    spawn(urgent, usb_link(link, router));
    let patient = interrupts::start_service_executor();
    spawn(patient, services(router, identity));
    if let Some(end) = settings.end {
        spawn(patient, fault::end_when_asked(end));
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Each task is spawned once, which is as often as there is room for it.
fn spawn<S: Send>(executor: SendSpawner, task: Result<SpawnToken<S>, SpawnError>) {
    match task {
        Ok(task) => executor.spawn(task),
        Err(error) => fault::end(&format_args!("{error:?}")),
    }
}

fn announce(identity: &Identity<'_>) {
    let uuid = u128::from_be_bytes(identity.uuid);
    ::log::info!("reference device on mps2-an500, UUID {uuid:032x}");
    ::log::info!(
        "USB {:04x}:{:04x}, serial number {}",
        identity.vendor_id,
        identity.product_id,
        identity.serial_number()
    );
}

/// Joins the device to the guest of another QEMU, which is at the other end of UART0.
#[embassy_executor::task]
async fn usb_cable(mut cable: Runner<'static, RawMutex>) {
    // QEMU may look for what its peer has sent only when a timer rings.
    let look = async {
        loop {
            Timer::after_millis(LOOK_MS).await;
        }
    };
    let plug = async {
        loop {
            let patience = async || Timer::after_millis(PATIENCE_MS).await;
            let ended = cable.run_with_patience(&UART0, &UART0, patience).await;
            ::log::warn!("the guest is gone: {ended:?}");
        }
    };
    join(look, plug).await;
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

#[embassy_executor::task]
async fn services(router: &'static Router, identity: Identity<'static>) {
    let management = management::start(&identity);
    // They fail only with fewer channels than above.
    let echo = echo(router).unwrap_or_else(|error| fault::end(&error));
    let manage = manage(router, &management.server, management.link, SystemClock);
    let manage = manage.unwrap_or_else(|error| fault::end(&error));
    #[cfg(not(feature = "bench"))]
    join3(
        echo,
        manage,
        report_events(router, management.link.watched_by(&EVENTS)),
    )
    .await;
    #[cfg(feature = "bench")]
    {
        let benchmark = Benchmark::new(router.endpoint_id(NETWORK), &EVENTS);
        let bench = benchmark.serve(router, SystemClock);
        let bench = bench.unwrap_or_else(|error| fault::end(&error));
        let events = report_events(router, management.link.watched_by(&benchmark));
        join4(echo, manage, bench, events).await;
    }
}
