//! The NVMe-MI responder with the default model: all of it is reachable from here, and next to
//! nothing else is.
//!
//! Messages come from nowhere and go nowhere. What else is in this program (the model's
//! description, `memcpy`) a device needs as well, so nothing is subtracted from its size.

#![no_std]
#![no_main]

use core::hint::black_box;

use nvme_mi_responder::world::MemoryFirmware;
use nvme_mi_responder::{Instant, MessageBuffers, Requester, Responder};
use panic_free::any_number;
use reference_device::{
    DefaultSubsystem, DefaultWorld, MANAGEMENT_PORT, UnitChanges, default_firmware,
    default_subsystem, default_world,
};
use static_cell::{ConstStaticCell, StaticCell};

panic_free::entry!(run);

type World = DefaultWorld<'static, MemoryFirmware<'static, 3>>;

// What a device has in its RAM. The linker tells the size of each.
static SUBSYSTEM: StaticCell<DefaultSubsystem<'static>> = StaticCell::new();
static RESPONDER: StaticCell<Responder<'static, World>> = StaticCell::new();
static MESSAGE_BUFFERS: ConstStaticCell<MessageBuffers> =
    ConstStaticCell::new(MessageBuffers::new());
static UNIT_CHANGES: ConstStaticCell<UnitChanges> = ConstStaticCell::new(UnitChanges::new());

fn run() {
    let Some(responder) = set_up() else {
        return;
    };
    for message in black_box::<&[&[u8]]>(&[]) {
        exchange(responder, message);
    }
}

fn set_up() -> Option<&'static mut Responder<'static, World>> {
    let subsystem = default_subsystem("0123456789ab").ok()?;
    let subsystem = black_box(SUBSYSTEM.try_init(subsystem)?);
    // The images of the firmware slots are the device's, wherever it has room for them.
    let images = black_box::<&mut [u8]>(&mut []);
    let world = default_world(default_firmware(images), UNIT_CHANGES.try_take()?);
    let buffers = MESSAGE_BUFFERS.try_take()?;
    let responder = Responder::new(subsystem.model(), MANAGEMENT_PORT, world, buffers).ok()?;
    Some(black_box(RESPONDER.try_init(responder)?))
}

/// All inputs and outputs.
fn exchange(responder: &mut Responder<'static, World>, message: &[u8]) {
    let now = Instant::from_millis(any_number() as u64);
    let requester = Requester {
        endpoint_id: mctp::Eid(any_number() as u8),
        exchange: any_number() as u16,
    };
    // A dropped message is counted.
    let _ = responder.receive(now, requester, black_box(true), message);
    if responder.next_deadline() <= now {
        responder.advance(now);
    }
    while let Some(transmission) = responder.transmission() {
        black_box(transmission.body);
        let source = transmission.source;
        responder.sent(source);
    }
    if let Some(event) = responder.event_message() {
        black_box(event.body);
        responder.event_sent(now);
    }
}
