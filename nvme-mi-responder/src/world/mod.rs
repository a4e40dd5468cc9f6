//! What a real device plugs in: a type of its own that is a [`World`], with a method for each piece.
//! Each piece is a trait with an in-memory implementation beside it. A piece that a device does not
//! have is `None`, and then no command, log or structure speaks of it.

mod effects;
mod fru;
mod health;
mod media;
mod pcie;
mod reset;
mod security;
mod telemetry;
mod vpd;

pub use effects::{Effects, MemoryEffects};
pub use firmware_store::{
    CheckedImages, FirmwareError, FirmwareSlots, FirmwareStore, ImageAreas, Images, MemoryFirmware,
    StreamedFirmware, firmware_image_header,
};
pub use fru::{Fru, FruError, FruText};
pub use health::Health;
pub(crate) use health::report_of;
pub use media::{
    Format, Media, MediaError, MemoryMedia, SanitizeAction, SanitizeProgress, SecureErase,
    SelfTest, SelfTestProgress,
};
pub use pcie::{MemoryPcie, PcieAccess, PcieDirection, PcieError, PcieRange, PcieSpace};
pub use reset::{MemoryReset, ResetHook, ShutdownKind};
pub use security::{SecurityInformation, SecurityProtocols};
pub use telemetry::{Initiator, MemoryTelemetry, Telemetry};
pub use vpd::{MemoryVpd, VpdError, VpdStore};

pub use crate::model::{CriticalWarning, HealthReport};

/// Milliseconds that something takes at most, if a device says nothing else.
const TEN_MINUTES: u32 = 600_000;

/// Everything around the model of a device: the one type that a device's firmware writes for it.
///
/// ```
/// use nvme_mi_responder::world::{Health, HealthReport, MemoryVpd, VpdStore, World};
/// use nvme_mi_responder::{Crc32c, SoftwareCrc32c};
///
/// /// A drive with Vital Product Data, and nothing else that is optional.
/// struct Drive {
///     health: HealthReport,
///     vpd: MemoryVpd<256>,
/// }
///
/// impl World for Drive {
///     fn health(&mut self) -> &mut dyn Health {
///         &mut self.health
///     }
///     fn vpd(&mut self) -> Option<&mut dyn VpdStore> {
///         Some(&mut self.vpd)
///     }
///     fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
///         SoftwareCrc32c.crc32c(parts)
///     }
/// }
/// ```
pub trait World {
    /// Temperature, wear, spare and warnings.
    fn health(&mut self) -> &mut dyn Health;

    /// The CRC-32C of `parts`, as if concatenated: the Message Integrity Check of every message.
    /// By a CRC unit, or by a [`Crc32c`](crate::Crc32c) in software.
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32;

    /// Firmware slots.
    fn firmware(&mut self) -> Option<&mut dyn FirmwareStore> {
        None
    }

    /// Vital Product Data.
    fn vpd(&mut self) -> Option<&mut dyn VpdStore> {
        None
    }

    /// Resets and shutdowns.
    fn reset(&mut self) -> Option<&mut dyn ResetHook> {
        None
    }

    /// What a Configuration Set does to the transports.
    fn effects(&mut self) -> Option<&mut dyn Effects> {
        None
    }

    /// Security Send and Security Receive.
    fn security(&mut self) -> Option<&mut dyn SecurityProtocols> {
        None
    }

    /// Format, sanitize and self-test.
    fn media(&mut self) -> Option<&mut dyn Media> {
        None
    }

    /// PCI configuration space, memory and I/O space.
    fn pcie(&mut self) -> Option<&mut dyn PcieAccess> {
        None
    }

    /// Captured telemetry.
    fn telemetry(&mut self) -> Option<&mut dyn Telemetry> {
        None
    }
}

impl<W: World> World for &mut W {
    fn health(&mut self) -> &mut dyn Health {
        (**self).health()
    }
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        (**self).crc32c(parts)
    }
    fn firmware(&mut self) -> Option<&mut dyn FirmwareStore> {
        (**self).firmware()
    }
    fn vpd(&mut self) -> Option<&mut dyn VpdStore> {
        (**self).vpd()
    }
    fn reset(&mut self) -> Option<&mut dyn ResetHook> {
        (**self).reset()
    }
    fn effects(&mut self) -> Option<&mut dyn Effects> {
        (**self).effects()
    }
    fn security(&mut self) -> Option<&mut dyn SecurityProtocols> {
        (**self).security()
    }
    fn media(&mut self) -> Option<&mut dyn Media> {
        (**self).media()
    }
    fn pcie(&mut self) -> Option<&mut dyn PcieAccess> {
        (**self).pcie()
    }
    fn telemetry(&mut self) -> Option<&mut dyn Telemetry> {
        (**self).telemetry()
    }
}
