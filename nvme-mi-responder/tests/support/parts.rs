//! A world of any pieces.

use nvme_mi_responder::world::{
    Effects, FirmwareStore, Health, Media, PcieAccess, ResetHook, SecurityProtocols, Telemetry,
    VpdStore, World,
};
use nvme_mi_responder::{Crc32c, SoftwareCrc32c};

/// A piece that the device does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotSupported;

/// A world of any pieces, which a test can look at.
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
    T = NotSupported,
> {
    pub health: H,
    pub firmware: F,
    pub vpd: V,
    pub reset: R,
    pub effects: E,
    pub security: S,
    pub media: M,
    pub pcie: P,
    pub telemetry: T,
}

impl<H> Parts<H> {
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
            telemetry: NotSupported,
        }
    }
}

macro_rules! with {
    ($($method:ident $piece:ident -> [$($result:ident),*];)*) => {
        impl<H, F, V, R, E, S, M, P, T> Parts<H, F, V, R, E, S, M, P, T> {
            $(pub fn $method<N>(self, piece: N) -> Parts<$($result),*> {
                with!(@rebuild self, $piece, piece)
            })*
        }
    };
    (@rebuild $self:ident, firmware, $new:ident) => { with!(@all $self, firmware: $new, vpd: $self.vpd, reset: $self.reset, effects: $self.effects, security: $self.security, media: $self.media, pcie: $self.pcie, telemetry: $self.telemetry) };
    (@rebuild $self:ident, vpd, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $new, reset: $self.reset, effects: $self.effects, security: $self.security, media: $self.media, pcie: $self.pcie, telemetry: $self.telemetry) };
    (@rebuild $self:ident, reset, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $self.vpd, reset: $new, effects: $self.effects, security: $self.security, media: $self.media, pcie: $self.pcie, telemetry: $self.telemetry) };
    (@rebuild $self:ident, effects, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $self.vpd, reset: $self.reset, effects: $new, security: $self.security, media: $self.media, pcie: $self.pcie, telemetry: $self.telemetry) };
    (@rebuild $self:ident, security, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $self.vpd, reset: $self.reset, effects: $self.effects, security: $new, media: $self.media, pcie: $self.pcie, telemetry: $self.telemetry) };
    (@rebuild $self:ident, media, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $self.vpd, reset: $self.reset, effects: $self.effects, security: $self.security, media: $new, pcie: $self.pcie, telemetry: $self.telemetry) };
    (@rebuild $self:ident, pcie, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $self.vpd, reset: $self.reset, effects: $self.effects, security: $self.security, media: $self.media, pcie: $new, telemetry: $self.telemetry) };
    (@rebuild $self:ident, telemetry, $new:ident) => { with!(@all $self, firmware: $self.firmware, vpd: $self.vpd, reset: $self.reset, effects: $self.effects, security: $self.security, media: $self.media, pcie: $self.pcie, telemetry: $new) };
    (@all $self:ident, $($field:ident: $value:expr),*) => { Parts { health: $self.health, $($field: $value),* } };
}

with! {
    with_firmware firmware -> [H, N, V, R, E, S, M, P, T];
    with_vpd vpd -> [H, F, N, R, E, S, M, P, T];
    with_reset reset -> [H, F, V, N, E, S, M, P, T];
    with_effects effects -> [H, F, V, R, N, S, M, P, T];
    with_security security -> [H, F, V, R, E, N, M, P, T];
    with_media media -> [H, F, V, R, E, S, N, P, T];
    with_pcie pcie -> [H, F, V, R, E, S, M, N, T];
    with_telemetry telemetry -> [H, F, V, R, E, S, M, P, N];
}

/// For each piece: what there is of it, if there is.
macro_rules! piece {
    ($($maybe:ident $piece:ident;)*) => {
        $(pub trait $maybe {
            fn piece(&mut self) -> Option<&mut dyn $piece>;
        }
        impl $maybe for NotSupported {
            fn piece(&mut self) -> Option<&mut dyn $piece> {
                None
            }
        }
        impl<T: $piece> $maybe for T {
            fn piece(&mut self) -> Option<&mut dyn $piece> {
                Some(self)
            }
        })*
    };
}

piece! {
    MaybeFirmware FirmwareStore;
    MaybeVpd VpdStore;
    MaybeReset ResetHook;
    MaybeEffects Effects;
    MaybeSecurity SecurityProtocols;
    MaybeMedia Media;
    MaybePcie PcieAccess;
    MaybeTelemetry Telemetry;
}

impl<H, F, V, R, E, S, M, P, T> World for Parts<H, F, V, R, E, S, M, P, T>
where
    H: Health,
    F: MaybeFirmware,
    V: MaybeVpd,
    R: MaybeReset,
    E: MaybeEffects,
    S: MaybeSecurity,
    M: MaybeMedia,
    P: MaybePcie,
    T: MaybeTelemetry,
{
    fn health(&mut self) -> &mut dyn Health {
        &mut self.health
    }
    fn crc32c(&mut self, parts: &[&[u8]]) -> u32 {
        SoftwareCrc32c.crc32c(parts)
    }
    fn firmware(&mut self) -> Option<&mut dyn FirmwareStore> {
        self.firmware.piece()
    }
    fn vpd(&mut self) -> Option<&mut dyn VpdStore> {
        self.vpd.piece()
    }
    fn reset(&mut self) -> Option<&mut dyn ResetHook> {
        self.reset.piece()
    }
    fn effects(&mut self) -> Option<&mut dyn Effects> {
        self.effects.piece()
    }
    fn security(&mut self) -> Option<&mut dyn SecurityProtocols> {
        self.security.piece()
    }
    fn media(&mut self) -> Option<&mut dyn Media> {
        self.media.piece()
    }
    fn pcie(&mut self) -> Option<&mut dyn PcieAccess> {
        self.pcie.piece()
    }
    fn telemetry(&mut self) -> Option<&mut dyn Telemetry> {
        self.telemetry.piece()
    }
}
