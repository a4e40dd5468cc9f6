//! What this device can do: what makes an entry of a command table exist.

use crate::context::Endpoint;
use crate::model::Model;
use crate::world::{
    FirmwareStore, Media, PcieAccess, ResetHook, SecurityProtocols, VpdStore, World,
};

/// A set of abilities. A table entry names what it needs; one that needs more than there is exists
/// neither for the dispatcher nor for the lists of what is supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities(u16);

impl Abilities {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const SECURITY: Self = Self(1 << 0);
    pub(crate) const FORMAT: Self = Self(1 << 1);
    pub(crate) const FIRMWARE: Self = Self(1 << 2);
    pub(crate) const NAMESPACE_MANAGEMENT: Self = Self(1 << 3);
    pub(crate) const SELF_TEST: Self = Self(1 << 4);
    pub(crate) const SANITIZE: Self = Self(1 << 5);
    pub(crate) const VPD_WRITE: Self = Self(1 << 6);
    pub(crate) const RESET: Self = Self(1 << 7);
    pub(crate) const SHUTDOWN: Self = Self(1 << 8);
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

    /// Those of a device.
    pub(crate) fn of<W: World>(model: &Model<'_>, world: &mut W, endpoint: &Endpoint<'_>) -> Self {
        let pcie = world.pcie().supports_configuration();
        Self::NONE
            .with(Self::FIRMWARE, world.firmware().slots() > 0)
            .with(Self::VPD_WRITE, world.vpd().is_writable())
            .with(Self::RESET, world.reset().supports_reset())
            .with(Self::SHUTDOWN, world.reset().supports_shutdown())
            .with(Self::SECURITY, !world.security().protocols().is_empty())
            .with(Self::FORMAT, world.media().supports_format())
            .with(Self::SANITIZE, world.media().sanitize_capabilities() != 0)
            .with(Self::SELF_TEST, world.media().supports_self_test())
            .with(Self::NAMESPACE_MANAGEMENT, model.state.namespace_management)
            .with(Self::PCIE, pcie)
            .with(Self::PCIE_MEMORY, pcie && world.pcie().supports_memory())
            .with(Self::PCIE_IO, pcie && world.pcie().supports_io())
            .with(Self::BUFFER, !endpoint.buffer.is_empty())
    }
}
