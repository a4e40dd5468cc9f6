//! What a reset and a shutdown do to the model and the world, whoever asked for them.

use crate::admin::{firmware, self_test};
use crate::model::{
    BASELINE_TRANSMISSION_UNIT, Change, ControllerId, Model, ModelError, PortId, Settings,
    SmbusFrequency, status,
};
use crate::world::{Effects, ResetHook, ShutdownKind, World};

/// CSTS.SHST: shutdown processing complete.
const SHUTDOWN_COMPLETE: u16 = 2 << 2;

/// An NVM Subsystem Reset. The host is taken to enable the controllers again, which then become
/// ready: what remains of the reset is that it is reported as a change of each.
pub(crate) fn reset<W: World>(model: &mut Model<'_>, world: &mut W) {
    model.forget_changes();
    for controller in model.controllers.iter_mut() {
        controller.enabled = true;
        controller.status = status::READY;
        controller.settings = Settings::DEFAULT;
    }
    model.raise_all(Change::Ready);
    model.raise_all(Change::Enabled);
    model.raise_all(Change::SubsystemReset);
    reset_ports(model, world.effects());
    firmware::reset(model, world);
    self_test::reset(model, world, None);
    world.reset().reset_subsystem();
    model.observe(world.health());
}

/// A Controller Level Reset. The host is taken to enable the controller again, which then becomes
/// ready.
pub(crate) fn reset_controller<W: World>(
    model: &mut Model<'_>,
    world: &mut W,
    controller: ControllerId,
) -> Result<(), ModelError> {
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
    model.observe(world.health());
    Ok(())
}

fn reset_ports(model: &mut Model<'_>, effects: &mut impl Effects) {
    for (id, port) in (0..).map(PortId).zip(model.ports.iter_mut()) {
        if port.transmission_unit != BASELINE_TRANSMISSION_UNIT {
            port.transmission_unit = BASELINE_TRANSMISSION_UNIT;
            effects.transmission_unit_changed(id, BASELINE_TRANSMISSION_UNIT);
        }
        if port.frequency != SmbusFrequency::Khz100 {
            port.frequency = SmbusFrequency::Khz100;
            effects.smbus_frequency_changed(id, SmbusFrequency::Khz100);
        }
    }
}

/// A shutdown of the subsystem, after which it is complete in all controllers. It is a Controller
/// Level Reset of them, too: what was downloaded and not committed is lost, firmware that waits for
/// a reset is active, and a short self-test ends.
pub(crate) fn shut_down<W: World>(model: &mut Model<'_>, world: &mut W, kind: ShutdownKind) {
    for index in 0..model.controllers.len() {
        let found = model.controllers.get_mut(index);
        if found
            .is_some_and(|controller| controller.set_status(status::SHUTDOWN, SHUTDOWN_COMPLETE))
        {
            model.raise(index, Change::Shutdown);
        }
    }
    firmware::reset(model, world);
    self_test::reset(model, world, None);
    world.reset().shut_down(kind);
}
