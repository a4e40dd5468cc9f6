//! The assembly.

use core::convert::Infallible;

use embassy_futures::join::{join, join4};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_usb::driver::Driver;
use mctp::{AsyncListener, MsgIC, MsgType};
use mctp_router::{Clock, Config, PortConfig, PortId, Router, RouterStorage, Service};
use mctp_transport::HEADER_LEN;
use mctp_usb::{BufferTooSmall, MctpUsbClass, SendLimits, Version};

use nvme_mi_responder::world::World;

use crate::identity::{Identity, SERIAL_NUMBER_LEN};
use crate::management::{Management, UnitChanges};
use crate::observer::{Observed, Observer};
use nvme_mi_responder::Responder;

const USB: PortId = PortId(0);
/// The longest packet after a Configuration Set: that of a two-wire port with a transmission unit of 250.
const LARGEST_CONFIGURED_PACKET: u16 = 250 + HEADER_LEN as u16;
/// Of NVMe-MI over MCTP: DSP0235 1.0.1, encoded as in DSP0236 section 12.7.2. For a message type the version is that of its binding.
const NVME_MI_VERSIONS: &[[u8; 4]] = &[[0xF1, 0xF0, 0xF1, 0x00]];
/// One for each command slot, one for control primitives.
const NVME_MI_LISTENERS: usize = 3;
/// The longest NVMe-MI message, in bytes, message type not counted.
const NVME_MI_MESSAGE: usize = nvme_mi_responder::MAX_MESSAGE_LENGTH - 1;
const PORTS: usize = 1;
const SHORT_MESSAGES: usize = 4;
/// The echo service, NVMe-MI, and a request of NVMe-MI's own.
const CHANNELS: usize = 3;
const ROUTES: usize = 2;

/// How the device is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The version of MCTP over USB.
    pub usb_version: Version,
    /// `wMaxPacketSize` of the bulk endpoints: 512 at high speed, 64 at full speed.
    pub usb_max_packet_size: u16,
    /// The longest MCTP packet sent, in bytes, packet header included, as Linux counts its MTU: at least 68. Until the transmission unit of the
    /// subsystem's port is configured over NVMe-MI.
    pub mtu: u16,
    /// The longest message received, in bytes, message type included. [`Memory`] limits it as well.
    pub max_message: usize,
}

impl Default for Options {
    /// MCTP over USB 1.0 at high speed, the baseline transmission unit, messages as long as the memory allows.
    fn default() -> Self {
        Self {
            usb_version: Version::V1_0,
            usb_max_packet_size: 512,
            mtu: 68,
            max_message: usize::MAX,
        }
    }
}

/// All memory of the device, for [`run`]. Its lifetime is that of the device: a `static` cell on a microcontroller.
///
/// | parameter | meaning |
/// |-|-|
/// | `RECEIVE` | bytes of the receive buffer: [`mctp_usb::RECEIVE_BUFFER_LEN_1_0`] or [`mctp_usb::RECEIVE_BUFFER_LEN_1_1`] |
/// | `TRANSFER` | bytes of each of the two send buffers: 512, one transfer of MCTP over USB 1.0, or a multiple of it |
/// | `MESSAGES` | how many messages of several packets can be received at once |
/// | `MESSAGE` | the longest of them, in bytes, message type not counted |
pub struct Memory<
    'd,
    const RECEIVE: usize,
    const TRANSFER: usize,
    const MESSAGES: usize,
    const MESSAGE: usize,
> {
    config_descriptor: [u8; 64],
    bos_descriptor: [u8; 16],
    control: [u8; 128],
    serial_number: [u8; SERIAL_NUMBER_LEN],
    class: mctp_usb::State<'d>,
    receive: [u8; RECEIVE],
    nvme_mi_message: [u8; NVME_MI_MESSAGE],
    router: RouterStorage<'d, PORTS, TRANSFER, SHORT_MESSAGES, MESSAGES, MESSAGE, CHANNELS, ROUTES>,
}

impl<const RECEIVE: usize, const TRANSFER: usize, const MESSAGES: usize, const MESSAGE: usize>
    Memory<'_, RECEIVE, TRANSFER, MESSAGES, MESSAGE>
{
    /// Memory for one device.
    pub const fn new() -> Self {
        Self {
            config_descriptor: [0; 64],
            bos_descriptor: [0; 16],
            control: [0; 128],
            serial_number: [0; SERIAL_NUMBER_LEN],
            class: mctp_usb::State::new(),
            receive: [0; RECEIVE],
            nvme_mi_message: [0; NVME_MI_MESSAGE],
            router: RouterStorage::new(),
        }
    }
}

impl<const RECEIVE: usize, const TRANSFER: usize, const MESSAGES: usize, const MESSAGE: usize>
    Default for Memory<'_, RECEIVE, TRANSFER, MESSAGES, MESSAGE>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the device for ever.
///
/// # Errors
///
/// Only at the start: when the memory's receive buffer is too short for the USB version.
pub async fn run<
    'd,
    D,
    C,
    W,
    const RECEIVE: usize,
    const TRANSFER: usize,
    const MESSAGES: usize,
    const MESSAGE: usize,
>(
    driver: D,
    clock: C,
    identity: &Identity<'d>,
    options: &Options,
    memory: &'d mut Memory<'d, RECEIVE, TRANSFER, MESSAGES, MESSAGE>,
    management: Management<'_, W>,
    observer: &impl Observer,
) -> Result<Infallible, BufferTooSmall>
where
    D: Driver<'d>,
    C: Clock,
    W: World,
{
    let Memory {
        config_descriptor,
        bos_descriptor,
        control,
        serial_number,
        class,
        receive,
        nvme_mi_message,
        router,
    } = memory;
    let usb_config = identity.usb_config(serial_number);
    let mut builder = embassy_usb::Builder::new(
        driver,
        usb_config,
        config_descriptor,
        bos_descriptor,
        &mut [],
        control,
    );
    let class = MctpUsbClass::new(&mut builder, class, class_config::<TRANSFER>(options));
    let mut usb = builder.build();
    let (receiver, sender) = class.split(receive)?;

    let config = Config {
        // The router counts messages without their type.
        max_message_len: options.max_message.saturating_sub(1),
        ..Config::new(identity.uuid)
    };
    let router = Router::<NoopRawMutex, &C>::new(router, &clock, &config);
    let unit = usize::from(options.mtu).saturating_sub(HEADER_LEN);
    router.configure_port(
        USB,
        PortConfig {
            unit,
            ..PortConfig::default()
        },
    );

    let mut receiver = Observed {
        transport: receiver,
        observer,
    };
    let mut sender = Observed {
        transport: sender,
        observer,
    };
    let link = join(
        router.run_receive(USB, &mut receiver),
        router.run_send(USB, &mut sender),
    );
    let mut responder = management.responder;
    management.unit_changes.follow(management.port);
    let services = join4(
        echo(&router),
        manage(
            &router,
            &mut responder,
            &clock,
            nvme_mi_message,
            management.unit_changes,
        ),
        follow_unit(&router, management.unit_changes),
        report_events(&router, observer),
    );
    join4(usb.run(), link, router.run_timers(), services)
        .await
        .0
}

fn class_config<const TRANSFER: usize>(options: &Options) -> mctp_usb::Config<'static> {
    let mut config = mctp_usb::Config::new(options.usb_version);
    config.max_packet_size = options.usb_max_packet_size;
    config.interface_name = Some("MCTP");
    config.send = SendLimits {
        // What a Configuration Set may ask for later; the router keeps to the unit that is set.
        max_packet: options.mtu.max(LARGEST_CONFIGURED_PACKET),
        ..SendLimits::new(options.usb_version)
    };
    config.send.max_transfer = config
        .send
        .max_transfer
        .min(TRANSFER.try_into().unwrap_or(u16::MAX));
    config
}

/// Serves echo in place: the response is sent from where the request was received.
async fn echo<C: Clock>(router: &Router<'_, NoopRawMutex, C>) {
    let service = Service::vendor_pci(mctp_echo::VENDOR_ID, &[mctp_echo::SUBTYPE]);
    let Ok(mut listener) = router.listener(service) else {
        return;
    };
    loop {
        let message = listener.receive().await;
        if mctp_echo::is_request(message.bytes()) {
            // A host that does not read is counted by the router; it asks again if it wants to.
            let _ = message
                .respond(message.integrity_check(), &[message.bytes()])
                .await;
        }
    }
}

/// Serves NVMe-MI: both command slots and control primitives at once.
async fn manage<C: Clock, W: World>(
    router: &Router<'_, NoopRawMutex, C>,
    responder: &mut Responder<'_, W>,
    clock: C,
    buffer: &mut [u8],
    changes: &UnitChanges,
) {
    let service = Service::message_type(mctp::MCTP_TYPE_NVME).with_versions(NVME_MI_VERSIONS);
    let Ok(listener) = router.listener(service) else {
        return;
    };
    // A Get State says what was dropped before it came.
    let listeners = [(); NVME_MI_LISTENERS].map(|()| Watched {
        listener: &listener,
        received: || changes.note_drops(router.drop_counters()),
    });
    let event_channel = |endpoint_id| router.request_channel(endpoint_id);
    // It ends only if the listener does, which this one does not.
    nvme_mi_responder::serve(
        responder,
        listeners,
        event_channel,
        &ManagementClock(clock),
        buffer,
    )
    .await;
}

/// A listener that says when it has received something.
struct Watched<L, F> {
    listener: L,
    received: F,
}

impl<L: AsyncListener, F: Fn()> AsyncListener for Watched<L, F> {
    type RespChannel<'a>
        = L::RespChannel<'a>
    where
        Self: 'a;

    async fn recv<'f>(
        &mut self,
        buffer: &'f mut [u8],
    ) -> mctp::Result<(MsgType, MsgIC, &'f mut [u8], Self::RespChannel<'_>)> {
        let message = self.listener.recv(buffer).await;
        (self.received)();
        message
    }
}

/// The router's clock, for the responder.
struct ManagementClock<C>(C);

impl<C: Clock> nvme_mi_responder::Clock for ManagementClock<C> {
    fn now(&self) -> nvme_mi_responder::Instant {
        nvme_mi_responder::Instant::from_millis(self.0.now().as_millis())
    }

    async fn wait_until(&self, deadline: nvme_mi_responder::Instant) {
        let deadline = mctp_router::Instant::from_millis(deadline.as_millis());
        self.0.wait_until(deadline).await;
    }
}

/// Lets the link follow the transmission unit of the subsystem's port.
async fn follow_unit<C: Clock>(router: &Router<'_, NoopRawMutex, C>, changes: &UnitChanges) {
    loop {
        let unit = changes.next().await.into();
        router.configure_port(
            USB,
            PortConfig {
                unit,
                ..PortConfig::default()
            },
        );
    }
}

async fn report_events<C: Clock>(router: &Router<'_, NoopRawMutex, C>, observer: &impl Observer) {
    loop {
        let event = router.next_event().await;
        observer.event(event, &router.drop_counters());
    }
}
