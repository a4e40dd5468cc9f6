//! The NVM subsystem that the board pretends to be, in RAM.

use core::cell::RefCell;

use nvme_mi_responder::world::FirmwareStore;
use nvme_mi_responder::{Device, ManagementEndpoint, MessageBuffer, Server, SoftwareCrc32c};
use reference_device::{
    DefaultSubsystem, DefaultWorld, Identity, LoggedFirmware, MANAGEMENT_PORT, ManagementLink,
    SerialNumber, default_firmware, default_subsystem, default_vpd, default_world,
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::fault;

/// The longest firmware image that can be downloaded to the subsystem: an area of so many bytes for
/// each slot, and one for the download. Nothing runs them.
const LONGEST_IMAGE: usize = 3 << 20;
const AREAS: usize = 4;

type World = DefaultWorld<'static, LoggedFirmware<'static, 3>>;

static SERIAL_NUMBER: StaticCell<SerialNumber> = StaticCell::new();
static SUBSYSTEM: StaticCell<DefaultSubsystem<'static>> = StaticCell::new();
static DEVICE: StaticCell<RefCell<Device<'static, World>>> = StaticCell::new();
static IMAGES: ConstStaticCell<[u8; AREAS * LONGEST_IMAGE]> =
    ConstStaticCell::new([0; AREAS * LONGEST_IMAGE]);
static LINK: ConstStaticCell<ManagementLink> = ConstStaticCell::new(ManagementLink::new());
static BUFFERS: ConstStaticCell<[MessageBuffer; 2]> =
    ConstStaticCell::new([MessageBuffer::new(), MessageBuffer::new()]);

/// What [`manage`](reference_device::manage) serves.
pub struct Management {
    pub server: Server<'static, 'static, 'static, World>,
    pub link: &'static ManagementLink,
}

/// The default model, with the USB serial number. Call it once.
pub fn start(identity: &Identity<'_>) -> Management {
    let serial_number = SERIAL_NUMBER.init(identity.serial_number());
    let subsystem = default_subsystem(serial_number).unwrap_or_else(|error| fault::end(&error));
    let link = &*LINK.take();
    let store = default_firmware(IMAGES.take());
    let slots = store.slots();
    let vpd = default_vpd(serial_number).unwrap_or_else(|error| fault::end(&error));
    let world = DefaultWorld {
        vpd,
        ..default_world(LoggedFirmware { store, slots }, link, SoftwareCrc32c)
    };
    let device = Device::new(SUBSYSTEM.init(subsystem).model(), world);
    let device = DEVICE.init(RefCell::new(device));
    let buffers = BUFFERS.take().each_mut();
    let endpoint = ManagementEndpoint::new(device.get_mut(), MANAGEMENT_PORT, buffers);
    let endpoint = endpoint.unwrap_or_else(|error| fault::end(&error));
    Management {
        server: Server::new(device, endpoint),
        link,
    }
}
