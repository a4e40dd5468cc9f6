//! The NVMe-MI responder with the default model: all of it is reachable from here, and next to
//! nothing else is.
//!
//! Messages come from nowhere and go nowhere. What else is in this program (the model's
//! description, `memcpy`) a device needs as well, so nothing is subtracted from its size.

#![no_std]
#![no_main]

use core::hint::black_box;

use nvme_mi_responder::world::MemoryFirmware;
use nvme_mi_responder::{
    Device, Instant, ManagementEndpoint, MessageBuffer, Requester, SoftwareCrc32c,
};
use panic_free::any_number;
use reference_device::{
    DefaultSubsystem, DefaultWorld, MANAGEMENT_PORT, ManagementLink, default_firmware,
    default_subsystem, default_world,
};
use static_cell::{ConstStaticCell, StaticCell};

panic_free::entry!(run);

type World = DefaultWorld<'static, MemoryFirmware<'static, 3>>;

// What a device has in its RAM. The linker tells the size of each.
static SUBSYSTEM: StaticCell<DefaultSubsystem<'static>> = StaticCell::new();
static DEVICE: StaticCell<Device<'static, World>> = StaticCell::new();
static ENDPOINT: StaticCell<ManagementEndpoint<'static>> = StaticCell::new();
static FIRST_BUFFER: ConstStaticCell<MessageBuffer> = ConstStaticCell::new(MessageBuffer::new());
static SECOND_BUFFER: ConstStaticCell<MessageBuffer> = ConstStaticCell::new(MessageBuffer::new());
static LINK: ConstStaticCell<ManagementLink> = ConstStaticCell::new(ManagementLink::new());

fn run() {
    let Some((device, endpoint)) = set_up() else {
        return;
    };
    for message in black_box::<&[&[u8]]>(&[]) {
        exchange(device, endpoint, message);
    }
}

fn set_up() -> Option<(
    &'static mut Device<'static, World>,
    &'static mut ManagementEndpoint<'static>,
)> {
    let subsystem = default_subsystem("0123456789ab").ok()?;
    let subsystem = black_box(SUBSYSTEM.try_init(subsystem)?);
    // The images of the firmware slots are the device's, wherever it has room for them.
    let images = black_box::<&mut [u8]>(&mut []);
    let world = default_world(default_firmware(images), LINK.try_take()?, SoftwareCrc32c);
    let device = DEVICE.try_init(Device::new(subsystem.model(), world))?;
    let buffers = [FIRST_BUFFER.try_take()?, SECOND_BUFFER.try_take()?];
    let endpoint = ManagementEndpoint::new(device, MANAGEMENT_PORT, buffers).ok()?;
    Some(black_box((device, ENDPOINT.try_init(endpoint)?)))
}

/// All inputs and outputs.
fn exchange(
    device: &mut Device<'static, World>,
    endpoint: &mut ManagementEndpoint<'static>,
    message: &[u8],
) {
    let now = Instant::from_millis(any_number() as u64);
    let requester = Requester {
        endpoint_id: mctp::Eid(any_number() as u8),
        exchange: any_number() as u16,
    };
    // A dropped message is counted.
    let _ = endpoint.receive(device, now, requester, black_box(true), message);
    if endpoint.next_deadline() <= now {
        endpoint.advance(device, now);
    }
    while let Some(transmission) = endpoint.transmission() {
        black_box(transmission.body);
        let source = transmission.source;
        endpoint.sent(device, source);
    }
    if let Some(event) = endpoint.event_message() {
        black_box(event.body);
        endpoint.event_sent(now);
    }
}
