//! The NVM subsystem that the board pretends to be.

use nvme_mi_responder::world::StreamedFirmware;
use nvme_mi_responder::{MessageBuffers, Responder};
use reference_device::{
    DefaultSubsystem, DefaultWorld, Identity, MANAGEMENT_BUFFER, MANAGEMENT_PORT, Management,
    SerialNumber, UnitChanges, default_subsystem, default_world_with_crc,
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::board::Crc;
use crate::fault;

/// Firmware images may have any length: they are checked while they come, and not kept. Nothing
/// would run them.
pub type World = DefaultWorld<'static, StreamedFirmware<3, Crc>, Crc>;

static SUBSYSTEM: StaticCell<DefaultSubsystem<'static>> = StaticCell::new();
static MANAGEMENT: StaticCell<Management<'static, World>> = StaticCell::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    serial_number: SerialNumber::new(),
    unit_changes: UnitChanges::new(),
    messages: MessageBuffers::new(),
    request: [0; MANAGEMENT_BUFFER],
});

struct Memory {
    serial_number: SerialNumber,
    unit_changes: UnitChanges,
    messages: MessageBuffers,
    request: [u8; MANAGEMENT_BUFFER],
}

/// The default model, with the USB serial number. Call it once.
pub fn start(identity: &Identity<'_>, crc: Crc) -> &'static mut Management<'static, World> {
    let Memory {
        serial_number,
        unit_changes,
        messages,
        request,
    } = MEMORY.take();
    *serial_number = identity.serial_number();
    // Neither fails: the default model breaks no rule, and has the port.
    let subsystem = default_subsystem(serial_number).ok();
    let subsystem = SUBSYSTEM.init(subsystem.unwrap_or_else(|| fault::stop()));
    let slots = [Some(*b"REF00001"), Some(*b"REF00002"), None];
    let firmware = StreamedFirmware::checked_by(crc.clone(), slots)
        .with_read_only_first_slot()
        .with_immediate_activation();
    let world = default_world_with_crc(firmware, unit_changes, crc);
    let responder = Responder::new(subsystem.model(), MANAGEMENT_PORT, world, messages);
    MANAGEMENT.init(Management {
        responder: responder.ok().unwrap_or_else(|| fault::stop()),
        port: MANAGEMENT_PORT,
        unit_changes,
        buffer: request,
    })
}
