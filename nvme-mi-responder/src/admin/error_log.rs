//! The Error Information log, LID 01h (NVM Express Base 2.0, section 5.16.1.2, Figure 206).
//!
//! 16 entries, [`ErrorInformation`], the newest first, of the Admin commands that ended with a
//! completion status other than success. A command that gets an NVMe-MI status instead was never a
//! command of the controller, and is not recorded. Each controller has its own log, which stays as
//! long as the subsystem does.
//!
//! An entry has the number of the error, the status field of the completion, and the NSID and the
//! opcode (2.1) of the command. SQID is 0, the Admin queue; CID is 0, as in all completions of
//! commands that come this way; the Parameter Error Location is FFFFh, not reported. Other bytes
//! are 0.

use crate::exchange::{Page, put};
use crate::failure::CompletionStatus;
use crate::model::{ERRORS, FailedCommand, Model};
use crate::wire::ErrorInformation;

use super::Request;

/// Bytes of an entry.
const ENTRY: usize = size_of::<ErrorInformation>();
/// The location of the wrong parameter is not reported.
const NO_LOCATION: u16 = 0xFFFF;
/// The opcode of the command is in the entry.
const HAS_OPCODE: u8 = 1;
/// Bytes of the log.
pub(super) const LENGTH: usize = ENTRY * ERRORS;

/// The command failed.
pub(super) fn record(model: &mut Model<'_>, request: &Request, status: CompletionStatus) {
    if let Some(controller) = model.controllers.get_mut(request.controller) {
        controller.errors.add(FailedCommand {
            namespace_id: request.namespace_id(),
            status: status.to_bits(),
            opcode: request.opcode().0,
        });
    }
}

pub(super) fn put(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    let Some(controller) = model.controllers.get(controller) else {
        return;
    };
    let entries = (0u32..).step_by(ENTRY);
    for (start, (number, command)) in entries.zip(controller.errors.newest_first()) {
        put!(
            page,
            start,
            ErrorInformation {
                error_count: number,
                status: command.status << 1,
                parameter_error_location: NO_LOCATION,
                namespace_id: command.namespace_id,
                opcode: command.opcode,
                version: HAS_OPCODE,
            }
        );
    }
}
