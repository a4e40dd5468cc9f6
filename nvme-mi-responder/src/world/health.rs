//! Temperature, wear, spare and warnings.

use crate::model::{Controller, ControllerId, HealthReport};

/// Where the health of controllers comes from. It is asked by the commands that report health, and
/// twice a second while somebody has subscribed to events.
///
/// A [`HealthReport`] is one: the same for all controllers until it is changed.
pub trait Health {
    /// The health of `controller` now.
    fn report(&mut self, controller: ControllerId) -> HealthReport;

    /// The composite temperature in kelvins from which on the device is too hot to perform well
    /// (WCTEMP), and from which on feature 04h warns by default. 0: that is not reported, and
    /// nothing warns by default.
    fn warning_temperature(&self) -> u16 {
        343
    }

    /// The composite temperature in kelvins from which on the device may fail (CCTEMP).
    fn critical_temperature(&self) -> u16 {
        353
    }
}

impl Health for HealthReport {
    fn report(&mut self, _: ControllerId) -> HealthReport {
        *self
    }
}

/// The health of a controller as every structure and log reports it: with a warning if a
/// temperature is beyond one of the thresholds of feature 04h.
pub(crate) fn report_of(controller: &Controller, health: &mut dyn Health) -> HealthReport {
    let mut report = health.report(controller.id);
    let thresholds = &controller.settings.thresholds;
    thresholds.apply(&mut report, health.warning_temperature());
    report
}
