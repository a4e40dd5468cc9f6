//! The Error Information log, LID 01h (NVM Express Base 2.0).
//!
//! 16 entries, the newest first, of the Admin commands that ended with a completion status other
//! than success. A command that gets an NVMe-MI status instead was never a command of the
//! controller, and is not recorded. Each controller has its own log, which stays as long as the
//! subsystem does.
//!
//! | byte | field |
//! |-|-|
//! | 7:0 | number of the error, from 1; 0: the entry is unused |
//! | 9:8 | SQID: 0, the Admin queue |
//! | 11:10 | CID: 0, as in all completions of commands that come this way |
//! | 13:12 | bits 15:1 the status field of the completion, bit 0 phase tag, 0 |
//! | 15:14 | where the wrong parameter is: FFFFh, not reported |
//! | 23:16 | first logical block: 0 |
//! | 27:24 | NSID of the command |
//! | 31 | opcode of the command |
//! | 63 | version of the entry: 1, byte 31 is valid |
//!
//! Other bytes are 0.

use crate::exchange::Page;
use crate::failure::CompletionStatus;
use crate::model::{ERRORS, FailedCommand, Model};

use super::Request;

/// Bytes of an entry.
const ENTRY: u32 = 64;
/// Bytes of the log.
pub(super) const LENGTH: u32 = ENTRY * ERRORS as u32;

/// The command failed.
pub(super) fn record(model: &mut Model<'_>, request: &Request, status: CompletionStatus) {
    if let Some(controller) = model.controllers.get_mut(request.controller) {
        controller.errors.add(FailedCommand {
            namespace_id: request.namespace_id,
            status: status.to_bits(),
            opcode: request.opcode,
        });
    }
}

pub(super) fn put(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    let Some(controller) = model.controllers.get(controller) else {
        return;
    };
    let entries = (0u32..).step_by(ENTRY as usize);
    for (start, (number, command)) in entries.zip(controller.errors.newest_first()) {
        page.put_u64(start, number);
        page.put_u16(start.wrapping_add(12), command.status << 1);
        page.put_u16(start.wrapping_add(14), u16::MAX);
        page.put_u32(start.wrapping_add(24), command.namespace_id);
        page.put_u8(start.wrapping_add(31), command.opcode);
        page.put_u8(start.wrapping_add(63), 1);
    }
}
