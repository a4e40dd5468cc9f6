//! The NVM subsystem that the board pretends to be: one drive, with a management endpoint for each
//! network.

use core::cell::RefCell;

use nvme_mi_responder::world::{MemoryVpd, StreamedFirmware};
use nvme_mi_responder::{Device, ManagementEndpoint, MessageBuffer, PortId, Server};
use reference_device::{
    DefaultWorld, MANAGEMENT_PORT, ManagementLink, SerialNumber, default_vpd, default_world,
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::board::Crc;
use crate::fault;

/// Firmware images may have any length: they are checked while they come, and not kept. Nothing
/// would run them.
pub type World =
    DefaultWorld<'static, StreamedFirmware<3, Crc>, Crc, 2, MemoryVpd<256>, { ENDPOINTS - 1 }>;

#[cfg(not(feature = "two-wire"))]
mod model {
    use reference_device::{DefaultSubsystem, default_subsystem};

    use super::*;

    pub type Subsystem = DefaultSubsystem<'static>;

    pub const fn links() -> [ManagementLink; 1] {
        [ManagementLink::new()]
    }

    pub fn subsystem(serial_number: &'static SerialNumber) -> Option<Subsystem> {
        default_subsystem(serial_number).ok()
    }

    pub fn endpoints(
        device: &mut Device<'_, World>,
        [usb]: &'static mut [Messages; 1],
    ) -> [ManagementEndpoint<'static>; 1] {
        [endpoint(device, MANAGEMENT_PORT, usb)]
    }
}

#[cfg(feature = "two-wire")]
mod model {
    use reference_device::{TWO_WIRE_PORT, TwoNetworkSubsystem, two_network_subsystem};

    use super::*;
    use crate::two_wire;

    pub type Subsystem = TwoNetworkSubsystem<'static>;

    pub const fn links() -> [ManagementLink; 2] {
        let two_wire = ManagementLink::at(two_wire::NETWORK, two_wire::PORT);
        [ManagementLink::new(), two_wire]
    }

    pub fn subsystem(serial_number: &'static SerialNumber) -> Option<Subsystem> {
        two_network_subsystem(serial_number, two_wire::ADDRESS.as_byte()).ok()
    }

    pub fn endpoints(
        device: &mut Device<'_, World>,
        [usb, two_wire]: &'static mut [Messages; 2],
    ) -> [ManagementEndpoint<'static>; 2] {
        [
            endpoint(device, MANAGEMENT_PORT, usb),
            endpoint(device, TWO_WIRE_PORT, two_wire),
        ]
    }
}

/// Management endpoints: USB first.
pub const ENDPOINTS: usize = 1 + cfg!(feature = "two-wire") as usize;

/// Of a management endpoint: a buffer for each command slot.
type Messages = [MessageBuffer; 2];

type Servers = [Server<'static, 'static, 'static, World>; ENDPOINTS];

static SUBSYSTEM: StaticCell<model::Subsystem> = StaticCell::new();
static DEVICE: StaticCell<RefCell<Device<'static, World>>> = StaticCell::new();
static SERVERS: StaticCell<Servers> = StaticCell::new();
// Not in `MEMORY`: not all of their bytes are zero, and flash would have all of it.
static LINKS: ConstStaticCell<[ManagementLink; ENDPOINTS]> = ConstStaticCell::new(model::links());
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    serial_number: SerialNumber::new(),
    messages: [const { [MessageBuffer::new(), MessageBuffer::new()] }; ENDPOINTS],
});

struct Memory {
    serial_number: SerialNumber,
    messages: [Messages; ENDPOINTS],
}

/// What [`manage`](reference_device::manage) serves.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub server: &'static Server<'static, 'static, 'static, World>,
    pub link: &'static ManagementLink,
}

/// The endpoints of the default model, with the USB serial number. Call it once.
pub fn start(usb_serial_number: SerialNumber, crc: Crc) -> [Endpoint; ENDPOINTS] {
    let Memory {
        serial_number,
        messages,
    } = MEMORY.take();
    let links = &*LINKS.take();
    *serial_number = usb_serial_number;
    // None fails: the default model breaks no rule, and has the ports.
    let subsystem = model::subsystem(serial_number);
    let subsystem = SUBSYSTEM.init(subsystem.unwrap_or_else(|| fault::stop()));
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let firmware = StreamedFirmware::checked_by(crc.clone(), slots)
        .with_read_only_first_slot()
        .with_immediate_activation();
    let [first_link, further_links @ ..] = links;
    let mut world = default_world(firmware, first_link, crc);
    let vpd = default_vpd(serial_number).ok();
    world.vpd = vpd.unwrap_or_else(|| fault::stop());
    let world = world.with_further_links(further_links.each_ref());
    let device = DEVICE.init(RefCell::new(Device::new(subsystem.model(), world)));
    let endpoints = model::endpoints(device.get_mut(), messages);
    let device = &*device;
    let servers = SERVERS.init(endpoints.map(|endpoint| Server::new(device, endpoint)));
    core::array::from_fn(|at| Endpoint {
        server: &servers[at],
        link: &links[at],
    })
}

fn endpoint(
    device: &mut Device<'_, World>,
    port: PortId,
    messages: &'static mut Messages,
) -> ManagementEndpoint<'static> {
    let endpoint = ManagementEndpoint::new(device, port, messages.each_mut());
    // The model has the port.
    endpoint.ok().unwrap_or_else(|| fault::stop())
}
