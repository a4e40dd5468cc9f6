//! Controllers, their status, and what changed since it was last looked at.

use super::health_report::HealthReport;
use super::history::{ChangedNamespaces, ErrorLog, Telemetry};
use super::port::PortId;
use super::settings::{Settings, Timestamp};

/// A controller: CNTLID of Identify, CTLID of NVMe-MI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ControllerId(pub u16);

/// What kind of PCI function a controller is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Function {
    /// One without SR-IOV.
    #[default]
    Plain,
    /// An SR-IOV physical function.
    Physical,
    /// An SR-IOV virtual function.
    Virtual,
}

/// Where a PCI function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PciAddress {
    /// Bus.
    pub bus: u8,
    /// Device, 0 to 31.
    pub device: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

impl PciAddress {
    /// The routing ID: bus in bits 15:8, device in 7:3, function in 2:0.
    pub const fn routing_id(self) -> u16 {
        (self.bus as u16) << 8 | ((self.device & 0x1F) as u16) << 3 | (self.function & 7) as u16
    }
}

/// A controller as it is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ControllerConfig {
    /// What kind of PCI function it is.
    pub function: Function,
    /// Where it is; `None`: that is not known.
    pub address: Option<PciAddress>,
}

/// Controller Status of the Controller Health Data Structure (NVMe-MI 1.2, section 5.3, Figure 79),
/// bytes 3:2: the bits that are the same for every management endpoint.
pub(crate) mod status {
    pub(crate) const READY: u16 = 1 << 0;
    pub(crate) const FATAL: u16 = 1 << 1;
    pub(crate) const SHUTDOWN: u16 = 3 << 2;
    /// Reserved there, and not reported: the shutdown is one of the NVM subsystem (CSTS.ST).
    pub(crate) const SUBSYSTEM_SHUTDOWN: u16 = 1 << 15;
}

/// The events that no flag of the health polls stands for, as bits with the number of their IDs.
pub(crate) mod event {
    pub(crate) const LINK_CHANGED: u16 = 1 << 0x0B;
    pub(crate) const SANITIZE_FAILED: u16 = 1 << 0x0C;
}

/// What can change in a controller: a bit of the Controller Health Status Changed Flags and of the
/// Composite Controller Status Flags. Every change of status (up to `FirmwareActivated`, and
/// `Telemetry`) also sets the flag of the status as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Change {
    Ready = 0,
    Fatal = 1,
    Shutdown = 2,
    SubsystemReset = 4,
    Enabled = 5,
    Namespaces = 6,
    FirmwareActivated = 7,
    Temperature = 9,
    PercentageUsed = 10,
    Spare = 11,
    Warning = 12,
    Telemetry = 13,
}

/// The flag that any change of status sets too.
pub(crate) const STATUS_CHANGED: u16 = 1 << 8;

impl Change {
    const fn flag(self) -> u16 {
        1 << self as u8
    }

    /// The flags that this change sets.
    pub(crate) const fn flags(self) -> u16 {
        const OF_HEALTH: u16 = 0x0F << Change::Temperature as u8;
        if self.flag() & OF_HEALTH == 0 {
            self.flag() | STATUS_CHANGED
        } else {
            self.flag()
        }
    }

    /// The Asynchronous Event of this change, as a bit whose number is the event's ID.
    pub(crate) const fn event(self) -> u16 {
        match self {
            Self::Ready => 1 << 0x00,
            Self::Fatal => 1 << 0x01,
            Self::Shutdown => 1 << 0x02,
            Self::Enabled => 1 << 0x03,
            Self::Namespaces => 1 << 0x04,
            Self::FirmwareActivated => 1 << 0x05,
            Self::Temperature => 1 << 0x06,
            Self::PercentageUsed => 1 << 0x07,
            Self::Spare => 1 << 0x08,
            Self::Warning => 1 << 0x09,
            Self::Telemetry => 1 << 0x0A,
            // No event of its own: it ends all subscriptions.
            Self::SubsystemReset => 0,
        }
    }
}

/// What changed in a controller since the management endpoint at a port was asked for it. Each port
/// has these for each controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Controller Health Status Changed Flags.
    pub(crate) changed: u16,
    /// Asynchronous Events that happened, a bit for each event ID; the event machine takes them.
    pub(crate) events: u16,
}

impl Flags {
    pub(crate) const NONE: Self = Self {
        changed: 0,
        events: 0,
    };

    /// Bits of Controller Status that record that something happened: NSSRO, CECO, NAC, FA with
    /// the numbers of their changed flags, and TCIDA.
    pub(crate) const fn status(self) -> u16 {
        const SAME_BIT: u16 = 0x00F0;
        const TELEMETRY: u16 = 1 << 8;
        let telemetry = if self.changed & Change::Telemetry.flag() == 0 {
            0
        } else {
            TELEMETRY
        };
        self.changed & SAME_BIT | telemetry
    }
}

/// The warnings that there are: bits 5:0 of the SMART log's critical warning.
pub(crate) const WARNINGS: u8 = 0x3F;

/// The health values of which changes are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) temperature: u16,
    pub(crate) percentage_used: u8,
    pub(crate) available_spare: u8,
    pub(crate) critical_warning: u8,
}

impl Observed {
    /// Those of a report.
    pub(crate) const fn of(report: &HealthReport) -> Self {
        Self {
            temperature: report.temperature,
            percentage_used: report.percentage_used,
            available_spare: report.available_spare,
            critical_warning: report.critical_warning & WARNINGS,
        }
    }
}

/// A controller with its state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Controller {
    pub(crate) id: ControllerId,
    pub(crate) port: PortId,
    pub(crate) config: ControllerConfig,
    /// Whether CC.EN is set.
    pub(crate) enabled: bool,
    /// Bits as in [`status`].
    pub(crate) status: u16,
    /// As last seen; `None` before the first look.
    pub(crate) observed: Option<Observed>,
    pub(crate) errors: ErrorLog,
    pub(crate) changed_namespaces: ChangedNamespaces,
    pub(crate) telemetry: Telemetry,
    pub(crate) settings: Settings,
    /// Kept through resets.
    pub(crate) timestamp: Timestamp,
}

impl Controller {
    pub(crate) fn new(id: ControllerId, port: PortId, config: ControllerConfig) -> Self {
        Self {
            id,
            port,
            config,
            enabled: true,
            status: status::READY,
            observed: None,
            errors: ErrorLog::EMPTY,
            changed_namespaces: ChangedNamespaces::default(),
            telemetry: Telemetry::default(),
            settings: Settings::DEFAULT,
            timestamp: Timestamp::default(),
        }
    }

    /// Sets or clears bits of the status. Returns whether that changed it.
    pub(crate) fn set_status(&mut self, mask: u16, value: u16) -> bool {
        let before = self.status;
        self.status = before & !mask | value & mask;
        self.status != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_its_event_and_its_bit_of_the_status() {
        for (change, event, status) in [
            (Change::Ready, 1 << 0x00, 0),
            (Change::Fatal, 1 << 0x01, 0),
            (Change::Shutdown, 1 << 0x02, 0),
            (Change::SubsystemReset, 0, 1 << 4),
            (Change::Enabled, 1 << 0x03, 1 << 5),
            (Change::Namespaces, 1 << 0x04, 1 << 6),
            (Change::FirmwareActivated, 1 << 0x05, 1 << 7),
            (Change::Temperature, 1 << 0x06, 0),
            (Change::PercentageUsed, 1 << 0x07, 0),
            (Change::Spare, 1 << 0x08, 0),
            (Change::Warning, 1 << 0x09, 0),
            (Change::Telemetry, 1 << 0x0A, 1 << 8),
        ] {
            let flags = Flags {
                changed: change.flags(),
                events: 0,
            };
            assert_eq!(change.event(), event, "{change:?}");
            assert_eq!(flags.status(), status, "{change:?}");
        }
    }
}
