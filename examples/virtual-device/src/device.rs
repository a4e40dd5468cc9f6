//! The reference device, assembled for a PC: its USB driver speaks usbredir and USB/IP, its clock is
//! tokio's.

use std::cell::RefCell;
use std::time::Duration;

use embassy_futures::join::{join, join4};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_adapters::tokio_1::FromTokio;
use nvme_mi_responder::world::{MemoryMedia, MemoryPcie, MemoryReset, SecurityInformation};
use nvme_mi_responder::{Device, ManagementEndpoint, MessageBuffer, Server, SoftwareCrc32c};
use reference_device::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use reference_device::{
    BENCH_CHANNELS, Benchmark, DefaultWorld, ECHO_CHANNELS, Identity, Link, LinkMemory,
    LoggedFirmware, MANAGE_CHANNELS, MCTP_DESCRIPTORS, ManagementLink, NETWORK, Observer, Options,
    Router, RouterStorage, SERIAL_DESCRIPTORS, SerialMemory, SerialPort, TextTelemetry, echo,
    manage, report_events,
};
use remote_usb_device::{Buffers, State};
use tokio::io::{AsyncRead, AsyncWrite};
use virtual_host::clock::TokioClock;
use virtual_host::waker::with_one_waker;

use crate::bridge;
use crate::logger::LogReader;
use crate::model_file::{CONTROLLERS, FIRMWARE_SLOTS, ModelVpd};
use crate::settings::{BufferCount, DeviceSettings, LARGEST_MAX_MESSAGE};
use crate::slow_firmware::SlowFirmware;
use crate::two_wire_bus::Devices;

/// Bytes of a transfer to the guest, and of those from it that may wait: more than the longest that
/// Linux asks for.
const TRANSFER_BUFFER: usize = 16 * 1024;

/// The longest MCTP over USB transfer of any version.
pub(crate) const LONGEST_TRANSFER: usize = 8191;

/// How long a bulk OUT endpoint may leave its queue full before the rest of the bus goes on without
/// it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest firmware image, in bytes.
const FIRMWARE_SLOT: usize = 8 << 20;

/// Three endpoints in, two out: MCTP's, and the serial port's.
type UsbBuffers = Buffers<3, TRANSFER_BUFFER, TRANSFER_BUFFER, 4096>;

type UsbMemory<'d> =
    LinkMemory<'d, { mctp_usb::RECEIVE_BUFFER_LEN_1_1 }, { MCTP_DESCRIPTORS + SERIAL_DESCRIPTORS }>;

/// What the services take of the router together.
const CHANNELS: usize = ECHO_CHANNELS + MANAGE_CHANNELS + BENCH_CHANNELS;

type Storage<'d, const LONG_MESSAGES: usize> = RouterStorage<
    Ports<'d, 1>,
    Networks<1>,
    ShortMessages<'d, 4>,
    LongMessages<'d, LONG_MESSAGES, { LARGEST_MAX_MESSAGE - 1 }>,
    Channels<'d, CHANNELS>,
    Routes<2>,
>;

/// The device's USB cable: joins it to a host for as long as a byte stream lasts.
pub struct Cable<'d> {
    runner: remote_usb_device::Runner<'d, NoopRawMutex>,
    handle: remote_usb_device::Handle<'d, NoopRawMutex>,
}

/// Answers the clients that list or import the device.
pub type UsbipOperations<'d> = remote_usb_device::usbip::Operations<'d, NoopRawMutex>;

impl<'d> Cable<'d> {
    /// Serves one connection to its end, and returns why it ended if the peer did not just close
    /// it.
    ///
    /// Then the device is unplugged, until this is called again.
    ///
    /// # Errors
    ///
    /// When the stream fails, or the peer does not speak usbredir.
    pub async fn plug_into(
        &mut self,
        stream: impl AsyncRead + AsyncWrite,
    ) -> Result<(), remote_usb_device::Error> {
        let (read, write) = tokio::io::split(stream);
        self.runner
            .run_usbredir_with_patience(FromTokio::new(read), FromTokio::new(write), async || {
                tokio::time::sleep(PATIENCE).await;
            })
            .await
    }

    /// As [`plug_into`](Self::plug_into), with a USB/IP host that has the device.
    ///
    /// # Errors
    ///
    /// When the stream fails, or the peer does not speak USB/IP.
    pub async fn plug_into_usbip(
        &mut self,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin,
    ) -> Result<(), remote_usb_device::Error> {
        self.runner
            .run_usbip_with_patience(FromTokio::new(read), FromTokio::new(write), async || {
                tokio::time::sleep(PATIENCE).await;
            })
            .await
    }

    /// Answers what USB/IP clients ask before one of them has the device.
    pub fn usbip_operations(&self) -> UsbipOperations<'d> {
        self.handle.usbip()
    }
}

/// Switches the device on, for as long as `world` runs: it gets the device's cable.
///
/// # Panics
///
/// Never, but for an error in [`run_with_log`].
pub async fn run<T>(
    settings: &DeviceSettings,
    observer: &impl Observer,
    world: impl AsyncFnOnce(Cable<'_>) -> T,
) -> T {
    run_with_log(settings, observer, None, world).await
}

/// As [`run`]. With `log`, the device has a serial port beside MCTP, which shows it.
///
/// # Panics
///
/// Never, but for an error in this function: its buffers are made for every setting.
pub async fn run_with_log<T>(
    settings: &DeviceSettings,
    observer: &impl Observer,
    log: Option<LogReader>,
    world: impl AsyncFnOnce(Cable<'_>) -> T,
) -> T {
    let devices = settings.devices();
    run_on_usb(settings, devices.as_ref(), observer, log, world).await
}

/// As [`run_with_log`]. With `devices`, it is the bridge in front of them.
pub(crate) async fn run_on_usb<T>(
    settings: &DeviceSettings,
    devices: Option<&Devices>,
    observer: &impl Observer,
    log: Option<LogReader>,
    world: impl AsyncFnOnce(Cable<'_>) -> T,
) -> T {
    let mut buffers = Box::new(UsbBuffers::new());
    let state = State::<NoopRawMutex>::new(&mut buffers);
    let mut port = remote_usb_device::Config::default();
    port.speed = settings.speed;
    let (driver, runner, handle) = remote_usb_device::new(&state, port);
    let (mut memory, mut serial_memory) =
        (Box::new(UsbMemory::new()), Box::new(SerialMemory::new()));
    let serial_memory = &mut *serial_memory;
    let (identity, options) = (identity(settings), options(settings));
    let link = Link::new(driver, &identity, &options, LONGEST_TRANSFER, &mut memory);
    let fits = "the memory's buffers are made for every setting";
    run_as(
        settings,
        devices,
        observer,
        async move |router: &DeviceRouter<'_>, _: &ManagementLink| {
            let link = async {
                match log {
                    Some(log) => {
                        let functions = link.run_with(router, observer, |builder| {
                            SerialPort::new(builder, serial_memory, options.usb_max_packet_size)
                        });
                        let (link, serial) = functions.expect(fits);
                        join(link, serial.show(log)).await.0
                    }
                    None => link.run(router, observer).expect(fits).await,
                }
            };
            tokio::select! {
                never = link => match never {},
                value = world(Cable { runner, handle }) => value,
            }
        },
    )
    .await
}

/// The router of the device.
pub type DeviceRouter<'d> = Router<'d, NoopRawMutex, &'d TokioClock>;

/// Switches on a device with another link than USB, for as long as `link` runs: it gets the router,
/// whose port is [`reference_device::PORT`], and what NVMe-MI configures of the link.
///
/// # Panics
///
/// Never, but for an error in this function.
pub async fn run_with_link<T>(
    settings: &DeviceSettings,
    observer: &impl Observer,
    link: impl AsyncFnOnce(&DeviceRouter<'_>, &ManagementLink) -> T,
) -> T {
    let devices = settings.devices();
    run_as(settings, devices.as_ref(), observer, link).await
}

/// The bridge in front of these devices, or an NVMe device.
async fn run_as<T>(
    settings: &DeviceSettings,
    devices: Option<&Devices>,
    observer: &impl Observer,
    link: impl AsyncFnOnce(&DeviceRouter<'_>, &ManagementLink) -> T,
) -> T {
    match devices {
        Some(devices) => bridge::run_with_link(settings, devices, observer, link).await,
        None => run_nvme_device(settings, observer, link).await,
    }
}

/// An NVMe device, whatever the settings say of devices behind it.
pub(crate) async fn run_nvme_device<T>(
    settings: &DeviceSettings,
    observer: &impl Observer,
    link: impl AsyncFnOnce(&DeviceRouter<'_>, &ManagementLink) -> T,
) -> T {
    let (identity, options) = (identity(settings), options(settings));
    let mut transfers = Box::new(PortBuffers::<LONGEST_TRANSFER>::new());
    let (mut two, mut eight) = (None, None);
    let serial_number = settings.serial_number();
    let model = &settings.model;
    let revision = model.revision();
    let mut subsystem = model
        .build(&serial_number, &revision)
        .expect("a model that was read from a file breaks no rule");
    let management_link = ManagementLink::new();
    let clock = TokioClock::start();
    let mut images = vec![0; (FIRMWARE_SLOTS + 1) * FIRMWARE_SLOT];
    let slots = model.firmware.slots.len().try_into().unwrap_or(u8::MAX);
    let firmware = LoggedFirmware {
        store: model.firmware.build(&mut images),
        slots,
    };
    let surroundings = DefaultWorld {
        health: model.health,
        firmware: (slots > 0).then(|| SlowFirmware::new(firmware, clock, model.firmware.times)),
        vpd: ModelVpd::new(model, &serial_number),
        reset: MemoryReset::default(),
        link: &management_link,
        further_links: [],
        security: SecurityInformation,
        media: MemoryMedia::new(),
        pcie: MemoryPcie::<CONTROLLERS>::new(&model.vendor),
        telemetry: TextTelemetry,
        crc: SoftwareCrc32c,
    };
    let mut device = Device::new(subsystem.model(), surroundings);
    let mut buffers = Box::new([MessageBuffer::new(), MessageBuffer::new()]);
    let endpoint = ManagementEndpoint::new(&mut device, model.management_port, buffers.each_mut())
        .expect("a model that was read from a file has the port of its management endpoint");
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint);
    // The number of buffers is part of the storage's type.
    macro_rules! router_in {
        ($place:expr, $long_messages:literal) => {{
            let storage = &mut **$place.insert(new_storage::<$long_messages>());
            reference_device::router(&clock, &identity, &options, &mut *transfers, storage)
        }};
    }
    let router: DeviceRouter<'_> = match settings.message_buffers {
        BufferCount::Two => router_in!(two, 2),
        BufferCount::Eight => router_in!(eight, 8),
    };
    let benchmark = Benchmark::new(router.endpoint_id(NETWORK), observer);
    let counted = "the storage has a channel for each service";
    let services = join4(
        echo(&router).expect(counted),
        manage(&router, &server, &management_link, &clock).expect(counted),
        benchmark.serve(&router, &clock).expect(counted),
        report_events(&router, management_link.watched_by(&benchmark)),
    );
    // The device is large, and moved no more often than need be.
    let device = Box::pin(async {
        tokio::select! {
            value = link(&router, &management_link) => value,
            (never, ..) = services => match never {},
        }
    });
    with_one_waker(device).await
}

pub(crate) fn identity(settings: &DeviceSettings) -> Identity<'static> {
    Identity::for_development(settings.uuid.into_bytes())
}

pub(crate) fn options(settings: &DeviceSettings) -> Options {
    Options {
        usb_version: settings.usb,
        usb_max_packet_size: settings.bulk_packet(),
        mtu: settings.mtu.try_into().unwrap_or(u16::MAX),
        max_message: settings.max_message,
        send_timeout_ms: settings
            .send_timeout
            .as_millis()
            .try_into()
            .unwrap_or(u32::MAX),
    }
}

/// A storage on the heap. Here, so that without optimisation the stack has room for one at a time.
fn new_storage<'d, const LONG_MESSAGES: usize>() -> Box<Storage<'d, LONG_MESSAGES>> {
    Box::new(Storage::new())
}
