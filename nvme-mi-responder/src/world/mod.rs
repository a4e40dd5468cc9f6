//! What a real device plugs in. Each piece is a trait whose methods have defaults that say "not
//! supported", with an in-memory implementation beside it; [`NotSupported`] is the piece that a
//! device does not have.

mod effects;
mod firmware;
mod health;
mod media;
mod pcie;
mod reset;
mod security;
mod vpd;

pub use effects::{Effects, MemoryEffects};
pub use firmware_store::{
    CheckedImages, FirmwareError, FirmwareSlots, FirmwareStore, ImageAreas, Images, MemoryFirmware,
    StreamedFirmware, firmware_image_header,
};
pub use health::{CriticalWarning, Health, HealthReport, Initiator, MemoryTelemetry};
pub use media::{
    Format, Media, MediaError, MemoryMedia, SanitizeAction, SanitizeProgress, SecureErase,
    SelfTest, SelfTestProgress,
};
pub use pcie::{MemoryPcie, PcieAccess, PcieDirection, PcieError, PcieRange, PcieSpace};
pub use reset::{MemoryReset, ResetHook, ShutdownKind};
pub use security::{SecurityInformation, SecurityProtocols};
pub use vpd::{MemoryVpd, VpdError, VpdStore};

use crate::{Crc32c, SoftwareCrc32c};

/// A piece of the world that the device does not have.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotSupported;

/// Everything around the model. [`Parts`] is one, made of any pieces.
pub trait World {
    /// Computes the Message Integrity Check.
    type Crc: Crc32c;
    /// Temperature, wear, spare and warnings.
    type Health: Health;
    /// Firmware slots.
    type Firmware: FirmwareStore;
    /// Vital Product Data.
    type Vpd: VpdStore;
    /// Resets and shutdowns.
    type Reset: ResetHook;
    /// What a Configuration Set does to the transports.
    type Effects: Effects;
    /// Security Send and Security Receive.
    type Security: SecurityProtocols;
    /// Format, sanitize and self-test.
    type Media: Media;
    /// PCI configuration space, memory and I/O space.
    type Pcie: PcieAccess;

    /// The piece of that name.
    fn crc(&mut self) -> &mut Self::Crc;
    /// The piece of that name.
    fn health(&mut self) -> &mut Self::Health;
    /// The piece of that name.
    fn firmware(&mut self) -> &mut Self::Firmware;
    /// The piece of that name.
    fn vpd(&mut self) -> &mut Self::Vpd;
    /// The piece of that name.
    fn reset(&mut self) -> &mut Self::Reset;
    /// The piece of that name.
    fn effects(&mut self) -> &mut Self::Effects;
    /// The piece of that name.
    fn security(&mut self) -> &mut Self::Security;
    /// The piece of that name.
    fn media(&mut self) -> &mut Self::Media;
    /// The piece of that name.
    fn pcie(&mut self) -> &mut Self::Pcie;
}

/// A [`World`] made of pieces. Start with [`Parts::new`] and replace what the device has.
///
/// ```
/// use nvme_mi_responder::world::{HealthReport, MemoryVpd, Parts};
///
/// let world = Parts::new(HealthReport::healthy()).with_vpd(MemoryVpd::new([0; 256]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Parts<
    H,
    F = NotSupported,
    V = NotSupported,
    R = NotSupported,
    E = NotSupported,
    S = NotSupported,
    M = NotSupported,
    P = NotSupported,
    C = SoftwareCrc32c,
> {
    /// Temperature, wear, spare and warnings.
    pub health: H,
    /// Firmware slots.
    pub firmware: F,
    /// Vital Product Data.
    pub vpd: V,
    /// Resets and shutdowns.
    pub reset: R,
    /// What a Configuration Set does to the transports.
    pub effects: E,
    /// Security Send and Security Receive.
    pub security: S,
    /// Format, sanitize and self-test.
    pub media: M,
    /// PCI configuration space, memory and I/O space.
    pub pcie: P,
    /// Computes the Message Integrity Check.
    pub crc: C,
}

impl<H: Health> Parts<H> {
    /// A device that has this health, the software CRC and nothing else.
    pub const fn new(health: H) -> Self {
        Self {
            health,
            firmware: NotSupported,
            vpd: NotSupported,
            reset: NotSupported,
            effects: NotSupported,
            security: NotSupported,
            media: NotSupported,
            pcie: NotSupported,
            crc: SoftwareCrc32c,
        }
    }
}

impl<H, F, V, R, E, S, M, P, C> Parts<H, F, V, R, E, S, M, P, C> {
    /// The same with this in place of [`firmware`](Self::firmware).
    pub fn with_firmware<N: FirmwareStore>(self, firmware: N) -> Parts<H, N, V, R, E, S, M, P, C> {
        Parts {
            health: self.health,
            firmware,
            vpd: self.vpd,
            reset: self.reset,
            effects: self.effects,
            security: self.security,
            media: self.media,
            pcie: self.pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`vpd`](Self::vpd).
    pub fn with_vpd<N: VpdStore>(self, vpd: N) -> Parts<H, F, N, R, E, S, M, P, C> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd,
            reset: self.reset,
            effects: self.effects,
            security: self.security,
            media: self.media,
            pcie: self.pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`reset`](Self::reset).
    pub fn with_reset<N: ResetHook>(self, reset: N) -> Parts<H, F, V, N, E, S, M, P, C> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset,
            effects: self.effects,
            security: self.security,
            media: self.media,
            pcie: self.pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`effects`](Self::effects).
    pub fn with_effects<N: Effects>(self, effects: N) -> Parts<H, F, V, R, N, S, M, P, C> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset: self.reset,
            effects,
            security: self.security,
            media: self.media,
            pcie: self.pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`security`](Self::security).
    pub fn with_security<N: SecurityProtocols>(
        self,
        security: N,
    ) -> Parts<H, F, V, R, E, N, M, P, C> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset: self.reset,
            effects: self.effects,
            security,
            media: self.media,
            pcie: self.pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`media`](Self::media).
    pub fn with_media<N: Media>(self, media: N) -> Parts<H, F, V, R, E, S, N, P, C> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset: self.reset,
            effects: self.effects,
            security: self.security,
            media,
            pcie: self.pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`pcie`](Self::pcie).
    pub fn with_pcie<N: PcieAccess>(self, pcie: N) -> Parts<H, F, V, R, E, S, M, N, C> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset: self.reset,
            effects: self.effects,
            security: self.security,
            media: self.media,
            pcie,
            crc: self.crc,
        }
    }

    /// The same with this in place of [`crc`](Self::crc).
    pub fn with_crc<N: Crc32c>(self, crc: N) -> Parts<H, F, V, R, E, S, M, P, N> {
        Parts {
            health: self.health,
            firmware: self.firmware,
            vpd: self.vpd,
            reset: self.reset,
            effects: self.effects,
            security: self.security,
            media: self.media,
            pcie: self.pcie,
            crc,
        }
    }
}

impl<H, F, V, R, E, S, M, P, C> World for Parts<H, F, V, R, E, S, M, P, C>
where
    H: Health,
    F: FirmwareStore,
    V: VpdStore,
    R: ResetHook,
    E: Effects,
    S: SecurityProtocols,
    M: Media,
    P: PcieAccess,
    C: Crc32c,
{
    type Health = H;
    type Firmware = F;
    type Vpd = V;
    type Reset = R;
    type Effects = E;
    type Security = S;
    type Media = M;
    type Pcie = P;
    type Crc = C;

    fn health(&mut self) -> &mut H {
        &mut self.health
    }
    fn firmware(&mut self) -> &mut F {
        &mut self.firmware
    }
    fn vpd(&mut self) -> &mut V {
        &mut self.vpd
    }
    fn reset(&mut self) -> &mut R {
        &mut self.reset
    }
    fn effects(&mut self) -> &mut E {
        &mut self.effects
    }
    fn security(&mut self) -> &mut S {
        &mut self.security
    }
    fn media(&mut self) -> &mut M {
        &mut self.media
    }
    fn pcie(&mut self) -> &mut P {
        &mut self.pcie
    }
    fn crc(&mut self) -> &mut C {
        &mut self.crc
    }
}

impl<W: World> World for &mut W {
    type Health = W::Health;
    type Firmware = W::Firmware;
    type Vpd = W::Vpd;
    type Reset = W::Reset;
    type Effects = W::Effects;
    type Security = W::Security;
    type Media = W::Media;
    type Pcie = W::Pcie;
    type Crc = W::Crc;

    fn health(&mut self) -> &mut W::Health {
        (**self).health()
    }
    fn firmware(&mut self) -> &mut W::Firmware {
        (**self).firmware()
    }
    fn vpd(&mut self) -> &mut W::Vpd {
        (**self).vpd()
    }
    fn reset(&mut self) -> &mut W::Reset {
        (**self).reset()
    }
    fn effects(&mut self) -> &mut W::Effects {
        (**self).effects()
    }
    fn security(&mut self) -> &mut W::Security {
        (**self).security()
    }
    fn media(&mut self) -> &mut W::Media {
        (**self).media()
    }
    fn pcie(&mut self) -> &mut W::Pcie {
        (**self).pcie()
    }
    fn crc(&mut self) -> &mut W::Crc {
        (**self).crc()
    }
}
