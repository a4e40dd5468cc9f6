//! The bridge of a topology: an MCTP bridge between the bus owner upstream and the two-wire bus with
//! the devices (DSP0236 1.3.3, section 9).
//!
//! It is one router with two ports in one network, which forward. Its own services are echo and the
//! control protocol.

use std::future::Future;

use embassy_futures::join::join3;
use mctp::Eid;
use mctp_i2c::{
    BusFrequency, Config, RECEIVE_BUFFER_LEN, Receiver, Role, Sender, TargetAddress, Timing,
};
use mctp_router::storage::{
    Channels, ForwardingBuffer, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_router::wire::{BindingId, MediumId};
use mctp_router::{BridgeConfig, BridgePort, BridgeStorage, PortId, RouterStorage};
use reference_device::{ECHO_CHANNELS, ManagementLink, NETWORK, Observer, PORT, echo, report_events};
use virtual_host::clock::TokioClock;
use virtual_host::waker::with_one_waker;

use crate::device::{self, Cable, DeviceRouter, LONGEST_TRANSFER};
use crate::settings::{DeviceSettings, LARGEST_MAX_MESSAGE};
use crate::topology::{MOST_DEVICES, Upstream};
use crate::two_wire_bus::{Devices, RETRIES};

/// The router's port to the devices. That to the bus owner is [`PORT`].
pub const TWO_WIRE: PortId = PortId(1);

/// The longest write on a two-wire bus: the largest packet of 254 bytes, and what is around it.
const TWO_WIRE_TRANSFER: usize = 259;

/// Of the bus owner, of each device, and as many as the bus owner may tell of its other endpoints.
const ROUTES: usize = 1 + MOST_DEVICES + 31;

/// Each port that forwards takes a channel.
const CHANNELS: usize = ECHO_CHANNELS + 2;

type Storage<'d> = RouterStorage<
    Ports<'d, 2>,
    Networks<1>,
    ShortMessages<'d, 8>,
    LongMessages<'d, 8, { LARGEST_MAX_MESSAGE - 1 }>,
    Channels<'d, CHANNELS>,
    Routes<ROUTES>,
>;

/// Switches the bridge in front of these devices on, and the devices that are plugged in, for as
/// long as `world` runs: it gets the cable of the bridge, which is on USB.
///
/// # Panics
///
/// Never, but for an error in this function.
pub async fn run<T>(
    settings: &DeviceSettings,
    devices: &Devices,
    observer: &impl Observer,
    world: impl AsyncFnOnce(Cable<'_>) -> T,
) -> T {
    device::run_on_usb(settings, Some(devices), observer, None, world).await
}

/// The same with another link upstream, for as long as `link` runs: it gets the router, whose port
/// is [`PORT`]. `observer` sees what happens in the bridge; `link` decides what it sees of packets.
///
/// # Panics
///
/// Never, but for an error in this function.
pub async fn run_with_link<T>(
    settings: &DeviceSettings,
    devices: &Devices,
    observer: &impl Observer,
    link: impl AsyncFnOnce(&DeviceRouter<'_>, &ManagementLink) -> T,
) -> T {
    let topology = devices.topology();
    let (identity, options) = (device::identity(settings), device::options(settings));
    let mut transfers = Box::new(PortBuffers::<LONGEST_TRANSFER>::new());
    let mut two_wire_transfers = Box::new(PortBuffers::<TWO_WIRE_TRANSFER>::new());
    let mut upward = Box::new(ForwardingBuffer::<LONGEST_TRANSFER>::new());
    let mut downward = Box::new(ForwardingBuffer::<TWO_WIRE_TRANSFER>::new());
    let mut bridge = Box::new(BridgeStorage::<MOST_DEVICES>::new());
    let mut storage = new_storage();
    let clock = TokioClock::start();
    let (binding, medium) = match topology.bridge.upstream {
        Upstream::Usb => (BindingId::USB, MediumId::USB_2_0),
        Upstream::Serial => (BindingId::SERIAL, MediumId::SERIAL),
    };
    let ports = [
        BridgePort::new(PORT, binding, medium),
        BridgePort::new(TWO_WIRE, BindingId::SMBUS, medium_of(topology.bus.frequency))
            .with_address(topology.bus.address.into()),
    ];

    let router: DeviceRouter<'_> =
        reference_device::router(&clock, &identity, &options, &mut *transfers, &mut *storage);
    let fits = "the storage is made for this bridge";
    let two_wire = router.add_port(NETWORK, &mut two_wire_transfers);
    assert_eq!(two_wire, Ok(TWO_WIRE), "{fits}");
    router.forward_by(PORT, &mut upward).expect(fits);
    router.forward_by(TWO_WIRE, &mut downward).expect(fits);
    let config = BridgeConfig::bridge(PORT, topology.bridge.pool_size, &ports);
    router.add_bridge(NETWORK, &mut bridge, &config).expect(fits);
    if let Some(endpoint_id) = topology.bridge.endpoint_id {
        router.set_static_endpoint_id(NETWORK, Eid(endpoint_id));
    }
    for device in &topology.devices {
        let is_expected = router.expect_endpoint(TWO_WIRE, device.address.into());
        assert!(is_expected, "{fits}");
    }

    let services = join3(
        echo(&router).expect(fits),
        report_events(&router, observer),
        run_bus(&router, devices),
    );
    let management_link = ManagementLink::new();
    let all = Box::pin(async {
        tokio::select! {
            value = link(&router, &management_link) => value,
            (never, ..) = services => match never {},
        }
    });
    with_one_waker(all).await
}

/// The devices, and the bridge's port to them. The timers of the router run with the link upstream.
fn run_bus(router: &DeviceRouter<'_>, devices: &Devices) -> impl Future<Output = ()> {
    async {
        let topology = devices.topology();
        let (bus, own): (_, TargetAddress) = (devices.bus(), topology.bus.address);
        let mut buffer = [0; RECEIVE_BUFFER_LEN];
        let receiver = Receiver::new(bus.target(own), own, &mut buffer);
        let mut receiver = receiver.expect("the receive buffer is long enough for every packet");
        let controller = bus.controller(|| topology.bus.frequency);
        let config = Config::new(own)
            .with_role(Role::BusOwner)
            .with_timing(Timing::new().with_retries(RETRIES));
        let mut sender = Sender::with_status(controller, bus.delay(), bus.status(), config);
        join3(
            router.run_receive(TWO_WIRE, &mut receiver),
            router.run_send(TWO_WIRE, &mut sender),
            devices.run(&()),
        )
        .await;
    }
}

fn medium_of(frequency: BusFrequency) -> MediumId {
    match frequency {
        BusFrequency::Khz100 => MediumId::I2C_100_KHZ,
        BusFrequency::Khz400 => MediumId::I2C_400_KHZ,
        BusFrequency::Mhz1 => MediumId::I2C_1_MHZ,
    }
}

/// A storage on the heap. Here, so that without optimisation the stack has room for it.
fn new_storage<'d>() -> Box<Storage<'d>> {
    Box::new(Storage::new())
}
