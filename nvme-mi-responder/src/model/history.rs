//! What happened to a controller, as its logs report it: failed commands, changed namespaces,
//! telemetry (NVM Express Base 2.0, sections 5.16.1.2, 5.16.1.5, 5.16.1.8 and 5.16.1.9).

use super::{ControllerId, Model, ModelError, NamespaceId};
use crate::model::Change;

/// Entries of the error log, a power of two.
pub(crate) const ERRORS: usize = 16;

/// A command that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailedCommand {
    pub(crate) namespace_id: u32,
    /// The status field without phase tag.
    pub(crate) status: u16,
    pub(crate) opcode: u8,
}

impl FailedCommand {
    const NONE: Self = Self {
        namespace_id: 0,
        status: 0,
        opcode: 0,
    };
}

/// The failed commands of a controller, of which the last [`ERRORS`] are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorLog {
    /// How many there were, which is also the number of the last.
    pub(crate) count: u64,
    /// Number n is at n modulo [`ERRORS`].
    ring: [FailedCommand; ERRORS],
}

impl ErrorLog {
    pub(crate) const EMPTY: Self = Self {
        count: 0,
        ring: [FailedCommand::NONE; ERRORS],
    };

    pub(crate) fn add(&mut self, command: FailedCommand) {
        self.count = self.count.saturating_add(1);
        if let Some(oldest) = self.ring.get_mut(place(self.count)) {
            *oldest = command;
        }
    }

    /// The commands with their numbers, the last first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (u64, &FailedCommand)> {
        (0..ERRORS as u32).map_while(|age| {
            let number = self.count.checked_sub(u64::from(age))?;
            let command = self.ring.get(place(number))?;
            (number != 0).then_some((number, command))
        })
    }
}

fn place(number: u64) -> usize {
    number as usize & (ERRORS - 1)
}

/// The namespaces of a controller that changed since the list of them was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChangedNamespaces(u32);

impl ChangedNamespaces {
    /// Stands for namespaces that have no bit of their own.
    const OTHERS: u32 = 1;

    pub(crate) fn add(&mut self, id: NamespaceId) {
        let bit = 1u32.checked_shl(id.0).unwrap_or(Self::OTHERS);
        self.0 |= bit;
    }

    /// The IDs in ascending order, or `None` if not all of them are known.
    pub(crate) fn ids(self) -> Option<impl Iterator<Item = u32>> {
        let changed = move |id: &u32| self.0 & 1u32.unbounded_shl(*id) != 0;
        (self.0 & Self::OTHERS == 0).then(|| (1..u32::BITS).filter(changed))
    }
}

/// Telemetry of a controller: numbers of the last captures, which wrap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Telemetry {
    /// Captures that hosts asked for.
    pub(crate) host_generation: u8,
    /// Captures that the controller made by itself.
    pub(crate) controller_generation: u8,
    /// Whether the last capture of the controller itself was not read yet.
    pub(crate) available: bool,
}

impl Model<'_> {
    /// A namespace of the controller at `index` was attached, detached, or changed.
    pub(crate) fn namespace_changed(&mut self, index: usize, id: NamespaceId) {
        if let Some(controller) = self.controllers.get_mut(index) {
            controller.changed_namespaces.add(id);
        }
        self.raise(index, Change::Namespaces);
    }

    /// The controller captured telemetry by itself: the Telemetry Controller-Initiated log has a
    /// new generation.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`].
    pub fn telemetry_captured(&mut self, controller: ControllerId) -> Result<(), ModelError> {
        let index = self
            .controller_index(controller)
            .ok_or(ModelError::NoSuchController(controller))?;
        if let Some(found) = self.controllers.get_mut(index) {
            let telemetry = &mut found.telemetry;
            telemetry.controller_generation = telemetry.controller_generation.wrapping_add(1);
            telemetry.available = true;
        }
        self.raise(index, Change::Telemetry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_log_keeps_the_last_failures_newest_first() {
        let mut log = ErrorLog::EMPTY;
        assert_eq!(log.newest_first().count(), 0);
        for opcode in 1..=20 {
            log.add(FailedCommand {
                opcode,
                ..FailedCommand::NONE
            });
        }
        let kept: Vec<_> = log
            .newest_first()
            .map(|(number, command)| (number, command.opcode))
            .collect();
        let expected: Vec<_> = (5..=20).rev().map(|n| (n, n as u8)).collect();
        assert_eq!(kept, expected);
    }

    #[test]
    fn changed_namespaces_are_listed_once_and_in_order() {
        let mut changed = ChangedNamespaces::default();
        for id in [31, 2, 1, 2] {
            changed.add(NamespaceId(id));
        }
        assert!(changed.ids().unwrap().eq([1, 2, 31]));
    }

    #[test]
    fn a_namespace_id_without_a_bit_makes_the_list_incomplete() {
        for id in [32, u32::MAX] {
            let mut changed = ChangedNamespaces::default();
            changed.add(NamespaceId(id));
            assert!(changed.ids().is_none());
        }
    }
}
