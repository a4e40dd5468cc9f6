//! What this device can do: what makes an entry of a command table exist.

use crate::context::Context;
use crate::world::{
    FirmwareStore, Media, PcieAccess, ResetHook, SecurityProtocols, VpdStore, World,
};

/// A set of abilities. A table entry names what it needs; one that needs more than there is exists neither for the dispatcher nor for the
/// lists of what is supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities(u16);

impl Abilities {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const FIRMWARE: Self = Self(1 << 0);
    pub(crate) const VPD_WRITE: Self = Self(1 << 1);
    pub(crate) const RESET: Self = Self(1 << 2);
    pub(crate) const SHUTDOWN: Self = Self(1 << 3);
    pub(crate) const SECURITY: Self = Self(1 << 4);
    pub(crate) const FORMAT: Self = Self(1 << 5);
    pub(crate) const SANITIZE: Self = Self(1 << 6);
    pub(crate) const SELF_TEST: Self = Self(1 << 7);
    pub(crate) const NAMESPACE_MANAGEMENT: Self = Self(1 << 8);
    pub(crate) const PCIE: Self = Self(1 << 9);
    pub(crate) const BUFFER: Self = Self(1 << 10);
    pub(crate) const PCIE_MEMORY: Self = Self(1 << 11);
    pub(crate) const PCIE_IO: Self = Self(1 << 12);

    /// Whether everything in `needed` is here.
    pub(crate) const fn include(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    const fn with(self, ability: Self, present: bool) -> Self {
        if present {
            Self(self.0 | ability.0)
        } else {
            self
        }
    }
}

impl<W: World> Context<'_, '_, W> {
    /// What this device can do.
    pub(crate) fn abilities(&mut self) -> Abilities {
        let world = &mut *self.world;
        let pcie = world.pcie().supports_configuration();
        Abilities::NONE
            .with(Abilities::FIRMWARE, world.firmware().slots() > 0)
            .with(Abilities::VPD_WRITE, world.vpd().is_writable())
            .with(Abilities::RESET, world.reset().supports_reset())
            .with(Abilities::SHUTDOWN, world.reset().supports_shutdown())
            .with(
                Abilities::SECURITY,
                !world.security().protocols().is_empty(),
            )
            .with(Abilities::FORMAT, world.media().supports_format())
            .with(
                Abilities::SANITIZE,
                world.media().sanitize_capabilities() != 0,
            )
            .with(Abilities::SELF_TEST, world.media().supports_self_test())
            .with(
                Abilities::NAMESPACE_MANAGEMENT,
                self.model.state.namespace_management,
            )
            .with(Abilities::PCIE, pcie)
            .with(
                Abilities::PCIE_MEMORY,
                pcie && world.pcie().supports_memory(),
            )
            .with(Abilities::PCIE_IO, pcie && world.pcie().supports_io())
            .with(Abilities::BUFFER, !self.endpoint.buffer.is_empty())
    }
}
