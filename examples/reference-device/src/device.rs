//! The assembly: what the parts are made of.

use core::convert::Infallible;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::{NoopRawMutex, RawMutex};
use embassy_usb::driver::Driver;
use mctp_router::{Clock, Config, PortConfig, PortId, Router, RouterStorage};
use mctp_transport::HEADER_LEN;
use mctp_usb::{BufferTooSmall, Version};
use nvme_mi_responder::world::World;

use crate::identity::Identity;
use crate::link::{Link, LinkMemory};
use crate::management::Management;
use crate::observer::Observer;
use crate::services::serve;

/// The router's port of the USB link.
pub(crate) const USB: PortId = PortId(0);
/// The longest NVMe-MI message, in bytes, message type not counted.
const NVME_MI_MESSAGE: usize = nvme_mi_responder::MAX_MESSAGE_LENGTH - 1;
const PORTS: usize = 1;
const SHORT_MESSAGES: usize = 4;
/// The echo service, NVMe-MI, and a request of NVMe-MI's own; what the benchmark service takes.
const CHANNELS: usize = 3 + BENCH_CHANNELS;
#[cfg(feature = "bench")]
const BENCH_CHANNELS: usize = crate::bench::CHANNELS;
#[cfg(not(feature = "bench"))]
const BENCH_CHANNELS: usize = 0;
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

/// All memory of the device, for [`run`] or [`assemble`]. Its lifetime is that of the device: a `static` cell on a microcontroller.
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
    link: LinkMemory<'d>,
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
            link: LinkMemory::new(),
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

/// The parts of a device that has been assembled, for tasks of one or more executors.
pub struct Assembly<'d, D, M: RawMutex, C: Clock> {
    /// What crosses from one part to the other: borrowed by both, so it needs a place of its own.
    pub router: Router<'d, M, C>,
    /// The USB link.
    pub link: Link<'d, D>,
    /// The message that [`serve`] is about to answer.
    pub buffer: &'d mut [u8],
}

/// Assembles the device; nothing runs yet.
///
/// The device runs while [`Link::run`] and [`serve`] run side by side: in one executor, as [`run`] does, or the link in one of a higher
/// priority, so that the host is served while a service works on a long answer. `M` is [`NoopRawMutex`] for one executor and
/// [`CriticalSectionRawMutex`] for more. All parts can be sent to another executor (`Send`) where the driver and the clock can.
///
/// ```
/// use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
/// use reference_device::{Assembly, Clock, Identity, Management, Memory, Options, assemble, serve};
/// # use embassy_usb::driver::Driver;
/// # use nvme_mi_responder::world::World;
/// # use mctp_router::Router;
///
/// async fn device<D: Driver<'static>, C: Clock + Copy, W: World>(
///     usb: D,
///     clock: C,
///     identity: &Identity<'static>,
///     memory: &'static mut Memory<'static, 512, 512, 2, 4224>,
///     router_cell: &'static mut Option<Router<'static, CriticalSectionRawMutex, C>>,
///     management: &'static mut Management<'static, W>,
/// ) {
///     let Assembly { router, link, buffer } =
///         assemble(usb, clock, identity, &Options::default(), memory);
///     let router = &*router_cell.insert(router);
///     // On a board, each in a task of the executor that it belongs to.
///     let urgent = link.run(router, &()).expect("512 bytes are enough to receive MCTP over USB 1.0");
///     let patient = serve(router, management, clock, buffer, &());
/// #   let _ = (urgent, patient);
/// }
/// ```
///
/// [`CriticalSectionRawMutex`]: embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex
pub fn assemble<
    'd,
    D,
    M,
    C,
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
) -> Assembly<'d, D, M, C>
where
    D: Driver<'d>,
    M: RawMutex,
    C: Clock,
{
    let config = Config {
        // The router counts messages without their type.
        max_message_len: options.max_message.saturating_sub(1),
        ..Config::new(identity.uuid)
    };
    let router = Router::new(&mut memory.router, clock, &config);
    let unit = usize::from(options.mtu).saturating_sub(HEADER_LEN);
    router.configure_port(
        USB,
        PortConfig {
            unit,
            ..PortConfig::default()
        },
    );
    Assembly {
        router,
        link: Link {
            driver,
            identity: *identity,
            options: *options,
            max_transfer: TRANSFER.try_into().unwrap_or(u16::MAX),
            receive: &mut memory.receive,
            memory: &mut memory.link,
        },
        buffer: &mut memory.nvme_mi_message,
    }
}

/// Runs the device for ever.
///
/// # Errors
///
/// Only at the start: when the memory's receive buffer is too short for the USB version.
#[expect(
    clippy::manual_async_fn,
    reason = "the future of an `async fn` has `management` twice, as argument and as variable"
)]
pub fn run<
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
    mut management: Management<'_, W>,
    observer: &impl Observer,
) -> impl Future<Output = Result<Infallible, BufferTooSmall>>
where
    D: Driver<'d>,
    C: Clock,
    W: World,
{
    async move {
        let Assembly {
            router,
            link,
            buffer,
        } = assemble::<_, NoopRawMutex, _, RECEIVE, TRANSFER, MESSAGES, MESSAGE>(
            driver, &clock, identity, options, memory,
        );
        let link = link.run(&router, observer)?;
        let services = serve(&router, &mut management, &clock, buffer, observer);
        Ok(join(link, services).await.0)
    }
}

#[cfg(test)]
mod tests {
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

    use super::*;

    fn can_be_sent<T: Send>() {}

    /// Compiles, or not.
    #[allow(dead_code)]
    fn executors_can_share_the_parts<
        D: Driver<'static> + Send,
        C: Clock + Send + Sync + 'static,
    >() {
        can_be_sent::<&'static Router<'static, CriticalSectionRawMutex, C>>();
        can_be_sent::<Assembly<'static, D, CriticalSectionRawMutex, C>>();
    }
}
