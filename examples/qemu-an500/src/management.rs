//! The NVM subsystem that the board pretends to be, in RAM.

use nvme_mi_responder::world::FirmwareStore;
use nvme_mi_responder::{MessageBuffers, Responder};
use reference_device::{
    DefaultSubsystem, DefaultWorld, Identity, LoggedFirmware, MANAGEMENT_BUFFER, MANAGEMENT_PORT,
    Management, SerialNumber, UnitChanges, default_firmware, default_subsystem, default_world,
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
static IMAGES: ConstStaticCell<[u8; AREAS * LONGEST_IMAGE]> =
    ConstStaticCell::new([0; AREAS * LONGEST_IMAGE]);
static UNIT_CHANGES: ConstStaticCell<UnitChanges> = ConstStaticCell::new(UnitChanges::new());
static BUFFERS: ConstStaticCell<MessageBuffers> = ConstStaticCell::new(MessageBuffers::new());
static REQUEST: ConstStaticCell<[u8; MANAGEMENT_BUFFER]> =
    ConstStaticCell::new([0; MANAGEMENT_BUFFER]);

/// The default model, with the USB serial number. Call it once.
pub fn start(identity: &Identity<'_>) -> Management<'static, World> {
    let serial_number = SERIAL_NUMBER.init(identity.serial_number());
    let subsystem = default_subsystem(serial_number).unwrap_or_else(|error| fault::end(&error));
    let unit_changes = UNIT_CHANGES.take();
    let store = default_firmware(IMAGES.take());
    let slots = store.slots();
    let firmware = LoggedFirmware { store, slots };
    let responder = Responder::new(
        SUBSYSTEM.init(subsystem).model(),
        MANAGEMENT_PORT,
        default_world(firmware, unit_changes),
        BUFFERS.take(),
    );
    Management {
        responder: responder.unwrap_or_else(|error| fault::end(&error)),
        port: MANAGEMENT_PORT,
        unit_changes,
        buffer: REQUEST.take(),
    }
}
