//! What resets and a shutdown do to a device, whoever asked for them.

use crate::admin::{firmware, self_test};
use crate::device::{Device, observe};
use crate::model::{
    BASELINE_TRANSMISSION_UNIT, Change, ControllerId, ModelError, PortId, Settings, SmbusFrequency,
    status,
};
use crate::world::{ShutdownKind, World};

/// CSTS.SHST: shutdown processing complete.
const SHUTDOWN_COMPLETE: u16 = 2 << 2;

impl<W: World> Device<'_, W> {
    /// An NVM Subsystem Reset (NVMe-MI 1.2, section 8.3.1), from wherever it comes: as the Reset
    /// command does it.
    ///
    /// Commands and responses of all endpoints are discarded, ports are back at the smallest
    /// transmission unit and 100 kHz, Management Endpoint Buffers are zero, and all that is reported
    /// as changed is the reset and what it changed. An endpoint follows with its next input.
    ///
    /// The host is taken to enable the controllers again, which then become ready: what remains of
    /// the reset is that it is reported as a change of each.
    pub fn reset_subsystem(&mut self) {
        self.resets = self.resets.wrapping_add(1);
        self.exclusive = None;
        let model = &mut self.model;
        model.forget_changes();
        for index in 0..model.controllers.len() {
            let Some(controller) = model.controllers.get_mut(index) else {
                continue;
            };
            controller.enabled = true;
            controller.settings = Settings::DEFAULT;
            let was_shut_down = controller.status & status::SHUTDOWN != 0;
            controller.status = status::READY;
            if was_shut_down {
                model.raise(index, Change::Shutdown);
            }
        }
        model.raise_all(Change::Ready);
        model.raise_all(Change::Enabled);
        model.raise_all(Change::SubsystemReset);
        for port in 0..u8::try_from(model.ports.len()).unwrap_or(u8::MAX) {
            self.reset_port(PortId(port));
        }
        let (model, world) = (&mut self.model, &mut self.world);
        firmware::reset(model, world);
        self_test::reset(model, world, None);
        if let Some(hook) = world.reset() {
            hook.reset_subsystem();
        }
        observe(model, world);
    }

    /// A Controller Level Reset (NVMe-MI 1.2, section 8.3.2), which the host of `controller` makes
    /// by disabling it and enabling it again, after which it becomes ready.
    ///
    /// What was downloaded and not committed is lost, firmware that waits for a reset runs,
    /// features of the controller have their defaults, and a short self-test of it ends. All
    /// this is reported as changed; commands, ports and other controllers go on.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`].
    pub fn reset_controller(&mut self, controller: ControllerId) -> Result<(), ModelError> {
        let (model, world) = (&mut self.model, &mut self.world);
        model.set_ready(controller, false)?;
        model.set_fatal(controller, false)?;
        model.set_shutdown_status(controller, 0)?;
        for enabled in [false, true] {
            model.set_enabled(controller, enabled)?;
        }
        model.set_ready(controller, true)?;
        let index = model.controller_index(controller);
        if let Some(found) = index.and_then(|index| model.controllers.get_mut(index)) {
            found.settings = Settings::DEFAULT;
        }
        firmware::reset(model, world);
        self_test::reset(model, world, index);
        observe(model, world);
        Ok(())
    }

    /// The port is back at its smallest transmission unit and at 100 kHz.
    pub(crate) fn reset_port(&mut self, id: PortId) {
        let Some(port) = self.model.port_mut(id) else {
            return;
        };
        let unit_changes = port.transmission_unit != BASELINE_TRANSMISSION_UNIT;
        let frequency_changes = port.frequency != SmbusFrequency::Khz100;
        port.transmission_unit = BASELINE_TRANSMISSION_UNIT;
        port.frequency = SmbusFrequency::Khz100;
        let Some(effects) = self.world.effects() else {
            return;
        };
        if unit_changes {
            effects.transmission_unit_changed(id, BASELINE_TRANSMISSION_UNIT);
        }
        if frequency_changes {
            effects.smbus_frequency_changed(id, SmbusFrequency::Khz100);
        }
    }

    /// A shutdown of the subsystem, after which it is complete in all controllers. It is a
    /// Controller Level Reset of them, too: what was downloaded and not committed is lost, firmware
    /// that waits for a reset is active, and a short self-test ends.
    pub(crate) fn shut_down(&mut self, kind: ShutdownKind) {
        let (model, world) = (&mut self.model, &mut self.world);
        for index in 0..model.controllers.len() {
            let found = model.controllers.get_mut(index);
            if found.is_some_and(|controller| {
                let mask = status::SHUTDOWN | status::SUBSYSTEM_SHUTDOWN;
                controller.set_status(mask, SHUTDOWN_COMPLETE | status::SUBSYSTEM_SHUTDOWN)
            }) {
                model.raise(index, Change::Shutdown);
            }
        }
        firmware::reset(model, world);
        self_test::reset(model, world, None);
        if let Some(hook) = world.reset() {
            hook.shut_down(kind);
        }
    }
}
