//! Resets and shutdowns.

/// How the subsystem is shut down (SHDNTYP, NVMe-MI 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ShutdownKind {
    /// 00h: in order.
    Normal,
    /// 01h: at once.
    Abrupt,
}

/// Told when the subsystem is reset or shut down. The model has followed already.
pub trait ResetHook {
    /// Whether the Reset command is supported.
    fn supports_reset(&self) -> bool {
        false
    }

    /// An NVM Subsystem Reset.
    fn reset_subsystem(&mut self) {}

    /// Whether the Shutdown command is supported.
    fn supports_shutdown(&self) -> bool {
        false
    }

    /// A shutdown of the subsystem.
    fn shut_down(&mut self, kind: ShutdownKind) {
        let _ = kind;
    }
}

/// Supports both, and remembers what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryReset {
    /// How often the subsystem was reset.
    pub resets: u32,
    /// How it was shut down last.
    pub last_shutdown: Option<ShutdownKind>,
}

impl ResetHook for MemoryReset {
    fn supports_reset(&self) -> bool {
        true
    }

    fn reset_subsystem(&mut self) {
        self.resets = self.resets.saturating_add(1);
    }

    fn supports_shutdown(&self) -> bool {
        true
    }

    fn shut_down(&mut self, kind: ShutdownKind) {
        self.last_shutdown = Some(kind);
    }
}
