//! The reference device on the bus.

use std::cell::RefCell;
use std::convert::Infallible;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mctp::Eid;
use mctp_crc32c::SoftwareCrc32c;
use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::simulated_bus::SimulatedBus;
use mctp_i2c::{RECEIVE_BUFFER_LEN, TargetAddress};
use mctp_router::RouterStorage;
use mctp_router::storage::{
    Channels, LongMessages, Networks, PortBuffers, Ports, Routes, ShortMessages,
};
use mctp_transport::HEADER_LEN;
use nvme_mi_responder::{Device, ManagementEndpoint, MessageBuffer, Server};
use reference_device::{
    Identity, MANAGE_CHANNELS, MANAGEMENT_PORT, ManagementLink, NETWORK, Options, PORT, Router,
    default_firmware, default_subsystem, default_world, manage,
};

use crate::{IMAGE_LEN, Setting, link};

/// Address of the device on the bus.
pub(crate) const ADDRESS: TargetAddress = TargetAddress::new(0x1D).unwrap();

/// Endpoint ID of the device.
pub(crate) const ENDPOINT_ID: Eid = Eid(9);

/// Areas of the firmware memory: three slots, and what is downloaded.
const FIRMWARE_AREAS: usize = 4;

type Storage<'b> = RouterStorage<
    Ports<'b, 1>,
    Networks<1>,
    ShortMessages<'b, 4>,
    LongMessages<'b, 2, 4224>,
    Channels<'b, MANAGE_CHANNELS>,
    Routes<2>,
>;

/// Runs the device for ever.
pub(crate) async fn run(bus: &SimulatedBus, setting: Setting) -> Infallible {
    let mut storage = Box::new(Storage::new());
    let mut transfers = PortBuffers::<MAX_TRANSACTION>::new();
    let identity = Identity::for_development(*b"the device UUID.");
    let options = Options {
        mtu: setting.transmission_unit + HEADER_LEN as u16,
        ..Options::default()
    };
    let router: Router<'_, NoopRawMutex, _> = reference_device::router(
        bus.clone(),
        &identity,
        &options,
        &mut transfers,
        &mut *storage,
    );
    router.set_endpoint_id(NETWORK, ENDPOINT_ID);

    let management_link = ManagementLink::new();
    let mut subsystem = default_subsystem("0123456789ab").expect("the serial number is legal");
    let mut images = vec![0; FIRMWARE_AREAS * IMAGE_LEN];
    let firmware = default_firmware(&mut images);
    let world = default_world(firmware, &management_link, SoftwareCrc32c);
    let mut device = Device::new(subsystem.model(), world);
    let mut buffers = [MessageBuffer::new(), MessageBuffer::new()];
    let endpoint = ManagementEndpoint::new(&mut device, MANAGEMENT_PORT, buffers.each_mut())
        .expect("the default model has the port");
    let device = RefCell::new(device);
    let server = Server::new(&device, endpoint);
    let manage = manage(&router, &server, &management_link, bus.clone())
        .expect("the storage has the channels");

    let mut buffer = [0; RECEIVE_BUFFER_LEN];
    let (mut receiver, mut sender) = link::halves(bus, ADDRESS, setting.turnaround, &mut buffer);
    match select(router.run(PORT, &mut receiver, &mut sender), manage).await {
        Either::First(never) | Either::Second(never) => never,
    }
}
