//! The managed device: what exists once, however many management endpoints it has.

use crate::model::{Model, Observed, PortId};
use crate::world::World;

/// An NVM subsystem: its [`Model`], and the [`World`] around it. It exists once.
/// [`ManagementEndpoint`](crate::ManagementEndpoint)s, one for each port at which requesters reach
/// it, take it for each call.
///
/// The device and its endpoints belong to one thread or executor. Where several tasks serve, they
/// share the device in a [`RefCell`](core::cell::RefCell), which is borrowed for one call and never
/// across an `await`.
#[derive(Debug)]
pub struct Device<'d, W> {
    pub(crate) model: Model<'d>,
    pub(crate) world: W,
    /// The command that is pending, if nothing else may be done to the device meanwhile.
    pub(crate) exclusive: Option<Exclusive>,
    /// How often the subsystem was reset: an endpoint that knows of fewer follows.
    pub(crate) resets: u32,
}

/// A command that is pending and that must be alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exclusive {
    /// The port of its management endpoint.
    pub(crate) port: PortId,
    /// Its command slot.
    pub(crate) slot: u8,
    /// How long it may take, in milliseconds.
    pub(crate) longest: u32,
}

impl<'d, W: World> Device<'d, W> {
    /// A device that was just switched on.
    pub fn new(mut model: Model<'d>, mut world: W) -> Self {
        model.forget_changes();
        observe(&mut model, &mut world);
        Self {
            model,
            world,
            exclusive: None,
            resets: 0,
        }
    }

    /// The model. What is changed here is reported as a change by every endpoint.
    pub fn model(&mut self) -> &mut Model<'d> {
        &mut self.model
    }

    /// What the device plugged in.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// The command in that slot ended, or was given up: others may begin.
    pub(crate) fn end_exclusive(&mut self, port: PortId, slot: u8) {
        self.exclusive = self
            .exclusive
            .filter(|owner| owner.port != port || owner.slot != slot);
    }
}

/// The health of the subsystem, as its health data structure (NVMe-MI 1.2, section 5.6, Figure 89)
/// and Asynchronous Events have it.
pub(crate) struct SubsystemHealth {
    /// Critical warnings of all controllers, not inverted.
    pub(crate) critical_warning: u8,
    /// CTEMP: the highest composite temperature.
    pub(crate) temperature: u8,
    pub(crate) percentage_used: u8,
    pub(crate) available_spare: u8,
}

impl SubsystemHealth {
    /// SW: the critical warnings, inverted. Bits 7:6, which no warning has, are 1.
    pub(crate) const fn smart_warnings(&self) -> u8 {
        !self.critical_warning
    }
}

/// Looks at the health of every controller, raises what changed since the last look, and returns
/// all warnings and the worst of each value.
pub(crate) fn observe<W: World>(model: &mut Model<'_>, world: &mut W) -> SubsystemHealth {
    let health = world.health();
    let warning_temperature = health.warning_temperature();
    let mut worst = Observed {
        available_spare: u8::MAX,
        ..Observed::default()
    };
    for index in 0..model.controllers.len() {
        let Some(controller) = model.controllers.get(index) else {
            continue;
        };
        let mut report = health.report(controller.id);
        let thresholds = &controller.settings.thresholds;
        thresholds.apply(&mut report, warning_temperature);
        let seen = Observed::of(&report);
        if controller.observed != Some(seen) {
            model.observe(index, seen);
        }
        worst.critical_warning |= seen.critical_warning;
        worst.temperature = worst.temperature.max(seen.temperature);
        worst.percentage_used = worst.percentage_used.max(seen.percentage_used);
        worst.available_spare = worst.available_spare.min(seen.available_spare);
    }
    SubsystemHealth {
        critical_warning: worst.critical_warning,
        temperature: celsius(worst.temperature),
        percentage_used: worst.percentage_used,
        available_spare: worst.available_spare,
    }
}

/// A temperature in kelvins as CTEMP has it.
fn celsius(kelvins: u16) -> u8 {
    if kelvins == 0 {
        return 0x80;
    }
    let degrees = i32::from(kelvins).saturating_sub(273).clamp(-60, 127);
    degrees.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::celsius;

    #[test]
    fn temperatures_are_celsius_with_marks_at_both_ends() {
        assert_eq!(
            [273, 303, 399, 400, 1000].map(celsius),
            [0, 30, 0x7E, 0x7F, 0x7F]
        );
        assert_eq!([272, 214, 213, 1].map(celsius), [0xFF, 0xC5, 0xC4, 0xC4]);
        assert_eq!(celsius(0), 0x80);
    }
}
