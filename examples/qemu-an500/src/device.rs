//! The device behind its link, which is another one in each program: what it is made of, and the
//! task of its services.

use embassy_executor::{SendSpawner, SpawnError, SpawnToken};
#[cfg(not(feature = "bench"))]
use embassy_futures::join::join3;
#[cfg(feature = "bench")]
use embassy_futures::join::join4;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::Timer;
use qemu_an500::uart::{UART0, UART1};
use qemu_an500::{interrupts, stack, time};
use reference_device::storage::{Channels, LongMessages, Networks, Ports, Routes, ShortMessages};
#[cfg(feature = "bench")]
use reference_device::{BENCH_CHANNELS, Benchmark, NETWORK};
use reference_device::{
    ECHO_CHANNELS, Identity, MANAGE_CHANNELS, Options, RouterStorage, echo, manage, report_events,
    uuid_from_unique_id,
};

use crate::clock::SystemClock;
use crate::log::EVENTS;
use crate::settings::Settings;
use crate::{fault, log, management};

/// The parts of the device are in executors that preempt each other.
pub type RawMutex = CriticalSectionRawMutex;
pub type Router = mctp_router::Router<'static, RawMutex, SystemClock>;
/// What the services take of the router together.
const CHANNELS: usize = ECHO_CHANNELS + MANAGE_CHANNELS + BENCH_CHANNELS;
#[cfg(not(feature = "bench"))]
const BENCH_CHANNELS: usize = 0;
/// Long messages have at most the size that an NVMe-MI host expects.
pub type Storage = RouterStorage<
    Ports<'static, 1>,
    Networks<1>,
    ShortMessages<'static, 4>,
    LongMessages<'static, MESSAGES, 4224>,
    Channels<'static, CHANNELS>,
    Routes<2>,
>;

/// How many messages of several packets can wait for the services, or be incomplete, at once.
const MESSAGES: usize = 2;
/// How often a timer rings.
const LOOK_MS: u64 = 4;

/// Starts the hardware and the log.
pub fn start() -> (Settings, Identity<'static>) {
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
    let uuid = u128::from_be_bytes(identity.uuid);
    ::log::info!("reference device on mps2-an500, UUID {uuid:032x}");
    (settings, identity)
}

/// What the settings say of the router.
pub fn options(settings: &Settings) -> Options {
    Options {
        mtu: settings.mtu,
        ..Options::default()
    }
}

/// Each task is spawned once, which is as often as there is room for it.
pub fn spawn<S: Send>(executor: SendSpawner, task: Result<SpawnToken<S>, SpawnError>) {
    match task {
        Ok(task) => executor.spawn(task),
        Err(error) => fault::end(&format_args!("{error:?}")),
    }
}

/// Starts the services, and sleeps for ever outside of interrupts.
pub fn serve(router: &'static Router, identity: Identity<'static>, settings: &Settings) -> ! {
    let patient = interrupts::start_service_executor();
    spawn(patient, services(router, identity));
    if let Some(end) = settings.end {
        spawn(patient, fault::end_when_asked(end));
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Runs beside whatever reads UART0: QEMU may look for what its peer has sent only when a timer
/// rings.
pub async fn keep_looking() {
    loop {
        Timer::after_millis(LOOK_MS).await;
    }
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
