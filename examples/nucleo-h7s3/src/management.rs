//! The NVM subsystem that the board pretends to be, in RAM.

use nvme_mi_responder::world::MemoryFirmware;
use nvme_mi_responder::{MessageBuffers, Responder};
use reference_device::{
    DefaultSubsystem, DefaultWorld, Identity, MANAGEMENT_PORT, Management, UnitChanges,
    default_firmware, default_subsystem, default_world,
};
use static_cell::{ConstStaticCell, StaticCell};

/// The longest firmware image that can be downloaded to the subsystem: an area of so many bytes for each slot, and one for the download. Nothing
/// runs them; they are forgotten when the board is switched off.
const LONGEST_IMAGE: usize = 32 * 1024;
const AREAS: usize = 4;

type World = DefaultWorld<'static, MemoryFirmware<'static, 3>>;

static SERIAL_NUMBER: StaticCell<[u8; 12]> = StaticCell::new();
static SUBSYSTEM: StaticCell<DefaultSubsystem<'static>> = StaticCell::new();
static IMAGES: ConstStaticCell<[u8; AREAS * LONGEST_IMAGE]> =
    ConstStaticCell::new([0; AREAS * LONGEST_IMAGE]);
static UNIT_CHANGES: ConstStaticCell<UnitChanges> = ConstStaticCell::new(UnitChanges::new());
static BUFFERS: ConstStaticCell<MessageBuffers> = ConstStaticCell::new(MessageBuffers::new());

/// The default model, with the USB serial number. Call it once.
pub fn start(identity: &Identity<'_>) -> Management<'static, World> {
    let serial_number = SERIAL_NUMBER.init(identity.serial_number());
    let serial_number = defmt::unwrap!(str::from_utf8(serial_number).ok());
    let subsystem = SUBSYSTEM.init(defmt::unwrap!(default_subsystem(serial_number).ok()));
    let unit_changes = UNIT_CHANGES.take();
    let world = default_world(default_firmware(IMAGES.take()), unit_changes);
    let responder = Responder::new(subsystem.model(), MANAGEMENT_PORT, world, BUFFERS.take());
    Management {
        responder: defmt::unwrap!(responder.ok()),
        port: MANAGEMENT_PORT,
        unit_changes,
    }
}
