//! What changes in a controller, and who is told (NVMe-MI 1.2).

use super::controller::{Change, Flags, Observed, status};
use super::history::ChangedNamespaces;
use super::{ControllerId, Model, ModelError, PortId};

impl Model<'_> {
    /// What the management endpoint at `port` has to report, for each controller.
    pub(crate) fn flags(&mut self, port: PortId) -> &mut [Flags] {
        let row = self.controllers.capacity();
        let mut rows = self.flags.chunks_exact_mut(row.max(1));
        let flags = rows.nth(usize::from(port.0)).unwrap_or_default();
        flags.get_mut(..self.controllers.len()).unwrap_or_default()
    }

    /// Something changed in the controller at `index`: for every port, its changed flags, the
    /// composite flags and its pending events say so.
    pub(crate) fn raise(&mut self, index: usize, change: Change) {
        let row = self.controllers.capacity();
        let rows = self.flags.chunks_exact_mut(row.max(1));
        for (port, flags) in self.ports.iter_mut().zip(rows) {
            if let Some(flags) = flags.get_mut(index) {
                flags.changed |= change.flags();
                flags.events |= change.event();
                port.composite |= change.flags();
            }
        }
    }

    /// Something changed in all controllers.
    pub(crate) fn raise_all(&mut self, change: Change) {
        for index in 0..self.controllers.len() {
            self.raise(index, change);
        }
    }

    /// Events happened, as bits with the number of their IDs, that no flag stands for.
    pub(crate) fn raise_events(&mut self, events: u16) {
        for flags in self.flags.iter_mut() {
            flags.events |= events;
        }
    }

    /// Nothing has changed for the management endpoint at `port`.
    pub(crate) fn forget_changes_of(&mut self, port: PortId) {
        self.flags(port).fill(Flags::NONE);
        if let Some(port) = self.port_mut(port) {
            port.composite = 0;
        }
    }

    /// Nothing has changed, and nothing was looked at.
    pub(crate) fn forget_changes(&mut self) {
        self.flags.fill(Flags::NONE);
        for port in self.ports.iter_mut() {
            port.composite = 0;
        }
        for controller in self.controllers.iter_mut() {
            controller.observed = None;
            controller.changed_namespaces = ChangedNamespaces::default();
        }
    }

    /// The controller at `index` has another health than at the last look: raises what changed. The
    /// first look changes nothing.
    #[inline(never)]
    pub(crate) fn observe(&mut self, index: usize, seen: Observed) {
        let Some(controller) = self.controllers.get_mut(index) else {
            return;
        };
        let Some(before) = controller.observed.replace(seen) else {
            return;
        };
        let mut raise_if = |changed: bool, change| {
            if changed {
                self.raise(index, change);
            }
        };
        raise_if(before.temperature != seen.temperature, Change::Temperature);
        raise_if(
            before.percentage_used != seen.percentage_used,
            Change::PercentageUsed,
        );
        raise_if(
            before.available_spare != seen.available_spare,
            Change::Spare,
        );
        raise_if(
            seen.critical_warning & !before.critical_warning != 0,
            Change::Warning,
        );
    }

    /// The host enabled or disabled the controller: CC.EN.
    /// [`Device::reset_controller`](crate::Device::reset_controller) is both, with
    /// all that a reset does.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`], as with all of these.
    pub fn set_enabled(
        &mut self,
        controller: ControllerId,
        enabled: bool,
    ) -> Result<(), ModelError> {
        let index = self
            .controller_index(controller)
            .ok_or(ModelError::NoSuchController(controller))?;
        if let Some(found) = self.controllers.get_mut(index)
            && found.enabled != enabled
        {
            found.enabled = enabled;
            self.raise(index, Change::Enabled);
        }
        Ok(())
    }

    /// The controller became ready, or is so no longer: CSTS.RDY.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`].
    pub fn set_ready(&mut self, controller: ControllerId, ready: bool) -> Result<(), ModelError> {
        let value = if ready { status::READY } else { 0 };
        self.change_status(controller, status::READY, value, Change::Ready)
    }

    /// The controller failed fatally, or recovered: CSTS.CFS.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`].
    pub fn set_fatal(&mut self, controller: ControllerId, fatal: bool) -> Result<(), ModelError> {
        let value = if fatal { status::FATAL } else { 0 };
        self.change_status(controller, status::FATAL, value, Change::Fatal)
    }

    /// The shutdown status changed: CSTS.SHST, 0 normal, 1 in progress, 2 complete.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`].
    pub fn set_shutdown_status(
        &mut self,
        controller: ControllerId,
        shutdown: u8,
    ) -> Result<(), ModelError> {
        let value = u16::from(shutdown & 3) << 2;
        let mask = status::SHUTDOWN | status::SUBSYSTEM_SHUTDOWN;
        self.change_status(controller, mask, value, Change::Shutdown)
    }

    fn change_status(
        &mut self,
        controller: ControllerId,
        mask: u16,
        value: u16,
        change: Change,
    ) -> Result<(), ModelError> {
        let index = self
            .controller_index(controller)
            .ok_or(ModelError::NoSuchController(controller))?;
        let changed = self
            .controllers
            .get_mut(index)
            .is_some_and(|found| found.set_status(mask, value));
        // The end of RDY and of CFS is no change (NVMe-MI 1.2, section 5.3.2, Figure 81).
        let ends = value == 0 && mask & (status::READY | status::FATAL) != 0;
        if changed && !ends {
            self.raise(index, change);
        }
        Ok(())
    }
}
