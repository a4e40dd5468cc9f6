//! The assembly: what the pieces run on.

use core::time::Duration;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_usb::driver::Driver;
use mctp_router::storage::{PortBuffers, Storage};
use mctp_router::{Clock, Config, LINUX_TAG_LIFETIME, NetworkId, PortConfig, PortId, Router};
use mctp_transport::HEADER_LEN;
use mctp_usb::Version;

use crate::identity::Identity;
use crate::link::{Link, LinkMemory};

/// The router's port of the link.
pub const PORT: PortId = PortId(0);
/// The network of the link.
pub const NETWORK: NetworkId = NetworkId(0);

/// How the device is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The version of MCTP over USB. 1.1 needs the feature `v1-1` of `mctp-usb`.
    pub usb_version: Version,
    /// `wMaxPacketSize` of the bulk endpoints: 512 at high speed, 64 at full speed.
    pub usb_max_packet_size: u16,
    /// The longest MCTP packet sent, in bytes, packet header included, as Linux counts its MTU: at
    /// least 68. Until the transmission unit of the subsystem's port is configured over
    /// NVMe-MI.
    pub mtu: u16,
    /// The longest message received, in bytes, message type included. The router's storage limits
    /// it as well.
    pub max_message: usize,
    /// How many milliseconds the host may read nothing before what is being sent to it is given
    /// up.
    pub send_timeout_ms: u32,
}

impl Default for Options {
    /// MCTP over USB 1.0 at high speed, the baseline transmission unit, messages as long as the
    /// memory allows; the host may read nothing for [`LINUX_TAG_LIFETIME`].
    fn default() -> Self {
        Self {
            usb_version: Version::V1_0,
            usb_max_packet_size: 512,
            mtu: 68,
            max_message: usize::MAX,
            send_timeout_ms: LINUX_TAG_LIFETIME.as_millis() as u32,
        }
    }
}

/// The router and the link of a device that has been assembled, for tasks of one or more executors.
pub struct Assembly<'d, D, M: RawMutex, C: Clock> {
    /// What all parts share: borrowed by each, so it needs a place of its own.
    pub router: Router<'d, M, C>,
    /// The USB link.
    pub link: Link<'d, D>,
}

/// Assembles a device; nothing runs yet.
///
/// The device runs while [`Link::run`] and its services run side by side: in one executor, or the
/// link in one of a higher priority, so that the host is served while a service works on a long
/// answer. `M` is [`NoopRawMutex`] for one executor and [`CriticalSectionRawMutex`] for more. Both
/// parts can be sent to another executor (`Send`) where the driver and the clock can.
///
/// `storage` has a port for USB, port 0, and as many channels as [the services](crate#pieces) take
/// together. Its transfer buffers have 512 bytes for one transfer of MCTP over USB 1.0, or a
/// multiple of that. Both memories live as long as the device: in a `static` cell on a
/// microcontroller.
///
/// ```
/// use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
/// use mctp_router::Router;
/// use mctp_router::storage::{PortBuffers, Storage};
/// use reference_device::{Assembly, Clock, Identity, LinkMemory, Options, assemble, echo};
/// # use embassy_usb::driver::Driver;
///
/// async fn device<D: Driver<'static>, C: Clock>(
///     usb: D,
///     clock: C,
///     identity: &Identity<'static>,
///     memory: &'static mut LinkMemory<'static, 512>,
///     transfers: &'static mut PortBuffers<'static, 512>,
///     storage: &'static mut impl Storage<'static>,
///     router_cell: &'static mut Option<Router<'static, CriticalSectionRawMutex, C>>,
/// ) {
///     let Assembly { router, link } =
///         assemble(usb, clock, identity, &Options::default(), (memory, transfers), storage);
///     let router = &*router_cell.insert(router);
///     // On a board, each in a task of the executor that it belongs to.
///     let urgent = link.run(router, &()).expect("512 bytes are enough to receive MCTP over USB 1.0");
///     let patient = echo(router).expect("the storage has a channel for it");
/// #   let _ = (urgent, patient);
/// }
/// ```
///
/// [`NoopRawMutex`]: embassy_sync::blocking_mutex::raw::NoopRawMutex
/// [`CriticalSectionRawMutex`]: embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex
pub fn assemble<
    'd,
    D,
    M,
    C,
    const RECEIVE: usize,
    const CONFIGURATION: usize,
    const TRANSFER: usize,
>(
    driver: D,
    clock: C,
    identity: &Identity<'d>,
    options: &Options,
    (memory, transfers): (
        &'d mut LinkMemory<'d, RECEIVE, CONFIGURATION>,
        &'d mut PortBuffers<'d, TRANSFER>,
    ),
    storage: &'d mut impl Storage<'d>,
) -> Assembly<'d, D, M, C>
where
    D: Driver<'d>,
    M: RawMutex,
    C: Clock,
{
    Assembly {
        router: router(clock, identity, options, transfers, storage),
        link: Link::new(driver, identity, options, TRANSFER, memory),
    }
}

/// The router of a device alone, with a port for a link of another kind than USB: [`PORT`] in
/// [`NETWORK`]. Of the options, those of USB have no effect.
pub fn router<'d, M: RawMutex, C: Clock, const TRANSFER: usize>(
    clock: C,
    identity: &Identity<'d>,
    options: &Options,
    transfers: &'d mut PortBuffers<'d, TRANSFER>,
    storage: &'d mut impl Storage<'d>,
) -> Router<'d, M, C> {
    let mut config = Config::new(identity.uuid);
    // The router counts messages without their type.
    config.max_message_len = options.max_message.saturating_sub(1);
    config.send_timeout = Duration::from_millis(options.send_timeout_ms.into());
    let router = Router::new(storage, clock, &config);
    // Every router has a network, and room for a port.
    let _ = router.add_port(NETWORK, transfers);
    let unit = usize::from(options.mtu).saturating_sub(HEADER_LEN);
    router.configure_port(PORT, PortConfig::new(unit));
    router
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
