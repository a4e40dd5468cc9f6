//! The NVM subsystem that the board pretends to be.

use core::cell::RefCell;

use nvme_mi_responder::world::StreamedFirmware;
use nvme_mi_responder::{Device, ManagementEndpoint, MessageBuffer, Server};
use reference_device::{
    DefaultSubsystem, DefaultWorld, MANAGEMENT_PORT, ManagementLink, SerialNumber,
    default_subsystem, default_vpd, default_world,
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::board::Crc;
use crate::fault;

/// Firmware images may have any length: they are checked while they come, and not kept. Nothing
/// would run them.
pub type World = DefaultWorld<'static, StreamedFirmware<3, Crc>, Crc>;

static SUBSYSTEM: StaticCell<DefaultSubsystem<'static>> = StaticCell::new();
static DEVICE: StaticCell<RefCell<Device<'static, World>>> = StaticCell::new();
static SERVER: StaticCell<Server<'static, 'static, 'static, World>> = StaticCell::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    serial_number: SerialNumber::new(),
    link: ManagementLink::new(),
    messages: [MessageBuffer::new(), MessageBuffer::new()],
});

struct Memory {
    serial_number: SerialNumber,
    link: ManagementLink,
    messages: [MessageBuffer; 2],
}

/// What [`manage`](reference_device::manage) serves.
#[derive(Clone, Copy)]
pub struct Management {
    pub server: &'static Server<'static, 'static, 'static, World>,
    pub link: &'static ManagementLink,
}

/// The default model, with the USB serial number. Call it once.
pub fn start(usb_serial_number: SerialNumber, crc: Crc) -> Management {
    let Memory {
        serial_number,
        link,
        messages,
    } = MEMORY.take();
    let link = &*link;
    *serial_number = usb_serial_number;
    // Neither fails: the default model breaks no rule, and has the port.
    let subsystem = default_subsystem(serial_number).ok();
    let subsystem = SUBSYSTEM.init(subsystem.unwrap_or_else(|| fault::stop()));
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let firmware = StreamedFirmware::checked_by(crc.clone(), slots)
        .with_read_only_first_slot()
        .with_immediate_activation();
    let mut world = default_world(firmware, link, crc);
    let vpd = default_vpd(serial_number).ok();
    world.vpd = vpd.unwrap_or_else(|| fault::stop());
    let device = DEVICE.init(RefCell::new(Device::new(subsystem.model(), world)));
    let buffers = messages.each_mut();
    let endpoint = ManagementEndpoint::new(device.get_mut(), MANAGEMENT_PORT, buffers);
    let endpoint = endpoint.ok().unwrap_or_else(|| fault::stop());
    let server = SERVER.init(Server::new(device, endpoint));
    Management { server, link }
}
