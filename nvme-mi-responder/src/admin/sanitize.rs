//! Sanitize, opcode 84h (NVM Express Base 2.0), what it does to other commands, and what its log
//! says.
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 44 | 2:0 | SANACT: 1 leave failure mode, 2 block erase, 3 overwrite, 4 crypto erase |
//! | 44 | 3 | AUSE: if it fails, failure mode can be left without sanitizing again |
//! | 44 | 7:4 | OWPASS, how often to overwrite, 0 meaning 16 |
//! | 45 | 0 | OIPBP, invert the pattern between passes |
//! | 45 | 1 | NDAS, do not deallocate afterwards |
//! | 45 | 2 | EMVS, media verification (2.1): not supported |
//! | 51:48 | | OVRPAT, the pattern |
//!
//! The operation runs in the background, through resets too. The Management Endpoint Buffer is
//! empty from then on, which its next access is told, and a self-test ends. Until it is done the
//! other Admin commands than Get Log Page, Identify, Get Features and Set Features fail. They also
//! do in *failure mode*, into which an operation that failed leads; only Sanitize leads out. NVM
//! Subsystem Health Status says so (SFM), and the [Asynchronous Event](crate::aem) 0Ch.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | SANACT is another, or one that SANICAP does not offer; EMVS is set; NDAS is, and SANICAP says that blocks are always deallocated |
//! | Internal Error (06h), may be tried again | the media did not begin |
//! | Sanitize Failed (1Ch) | in failure mode: another command; or, if it failed without AUSE, to leave it, and a new operation with AUSE |
//! | Sanitize In Progress (1Dh) | an operation is under way |
//! | Firmware Activation Requires Controller Level Reset (type 1, 11h) | an image waits for a reset |
//!
//! # Sanitize Status log, LID 81h, 512 bytes
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 1:0 | | SPROG: the part that is done, of 65536; FFFFh if none is under way |
//! | 3:2 | 2:0 | the last operation: 0 there was none, 1 done, 2 under way, 3 failed, 4 done without deallocating |
//! | 3:2 | 7:3 | passes of overwriting that are done |
//! | 3:2 | 8 | GDE: nobody has written since |
//! | 7:4 | | dword 10 of the command |
//! | 31:8 | | estimates of six kinds of operations in seconds: FFFFFFFFh, not reported |

use mctp_time::Instant;

use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{CompletionStatus, Handled};
use crate::model::{Model, Outcome, Sanitize, SanitizeState, event};
use crate::world::{SanitizeAction, SanitizeProgress, World};

use super::Request;
use super::self_test;

/// Bytes of the log.
pub(super) const LOG_LENGTH: u32 = 512;

const OPCODE: u8 = 0x84;
/// The commands that go on during an operation and in failure mode.
const ALWAYS_ALLOWED: [u8; 4] = [0x02, 0x06, 0x09, 0x0A];

const LEAVE_FAILURE_MODE: u32 = 1;
const BLOCK_ERASE: u32 = 2;
const OVERWRITE: u32 = 3;
const CRYPTO_ERASE: u32 = 4;

/// Fields of dword 10.
const UNRESTRICTED: u32 = 1 << 3;
const INVERT: u32 = 1 << 8;
const NO_DEALLOCATE: u32 = 1 << 9;
const VERIFY: u32 = 1 << 10;

/// SANICAP: blocks are always deallocated.
const ALWAYS_DEALLOCATES: u32 = 1 << 29;

const SANITIZE_FAILED: CompletionStatus = CompletionStatus::generic(0x1C);
const SANITIZE_IN_PROGRESS: CompletionStatus = CompletionStatus::generic(0x1D).retryable();
const NEEDS_RESET: CompletionStatus = CompletionStatus::specific(0x11);

/// Whether a command can be carried out now.
pub(super) fn check(sanitize: &Sanitize, opcode: u8) -> Result<(), CompletionStatus> {
    if ALWAYS_ALLOWED.contains(&opcode) {
        return Ok(());
    }
    if sanitize.state == SanitizeState::Running {
        return Err(SANITIZE_IN_PROGRESS);
    }
    if sanitize.failure_mode && opcode != OPCODE {
        return Err(SANITIZE_FAILED);
    }
    Ok(())
}

/// Whether the operation that failed lets nothing but another operation like it out of failure
/// mode.
fn is_restricted(sanitize: &Sanitize) -> bool {
    sanitize.failure_mode && sanitize.dword10 & UNRESTRICTED == 0
}

/// How many passes of overwriting are done.
fn passes_done(sanitize: &Sanitize) -> u8 {
    if sanitize.dword10 & 7 != OVERWRITE {
        return 0;
    }
    let passes = passes_of(sanitize.dword10);
    match sanitize.state {
        SanitizeState::Running => {
            let done = u32::from(sanitize.progress).saturating_mul(u32::from(passes)) >> 16;
            done as u8
        }
        SanitizeState::Done | SanitizeState::DoneWithoutDeallocating => passes,
        SanitizeState::Never | SanitizeState::Failed => 0,
    }
}

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    _: &mut Exchange<'_>,
) -> Handled {
    let sanitize = &mut context.model.state.sanitize;
    if request.dword10 & 7 == LEAVE_FAILURE_MODE {
        if is_restricted(sanitize) {
            return Err(SANITIZE_FAILED.into());
        }
        sanitize.failure_mode = false;
        return Ok(0);
    }
    let Some(media) = context.world.media() else {
        return Err(CompletionStatus::INVALID_FIELD.into());
    };
    let capabilities = media.sanitize_capabilities();
    let action = action_of(request, capabilities)?;
    if is_restricted(sanitize) && request.dword10 & UNRESTRICTED != 0 {
        return Err(SANITIZE_FAILED.into());
    }
    let firmware = context.world.firmware();
    if firmware.is_some_and(|store| store.next_slot().is_some()) {
        return Err(NEEDS_RESET.into());
    }
    let deallocate = request.dword10 & NO_DEALLOCATE == 0;
    let begun = context.world.media().is_some_and(|media| {
        media
            .start_sanitize(context.now, action, deallocate)
            .is_ok()
    });
    if !begun {
        return Err(CompletionStatus::INTERNAL_ERROR.into());
    }
    *sanitize = Sanitize {
        state: SanitizeState::Running,
        failure_mode: false,
        progress: 0,
        dword10: request.dword10,
    };
    self_test::stop(context.model, context.world, Outcome::Sanitized);
    let emptied = &mut context.model.state.buffers_emptied;
    *emptied = emptied.wrapping_add(1);
    Ok(0)
}

fn action_of(request: &Request, capabilities: u32) -> Result<SanitizeAction, CompletionStatus> {
    let dword10 = request.dword10;
    let inhibited = dword10 & NO_DEALLOCATE != 0 && capabilities & ALWAYS_DEALLOCATES != 0;
    if inhibited || dword10 & VERIFY != 0 {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    match dword10 & 7 {
        CRYPTO_ERASE if capabilities & 1 != 0 => Ok(SanitizeAction::CryptoErase),
        BLOCK_ERASE if capabilities & 2 != 0 => Ok(SanitizeAction::BlockErase),
        OVERWRITE if capabilities & 4 != 0 => Ok(SanitizeAction::Overwrite {
            passes: passes_of(dword10),
            pattern: request.dword11,
            invert: dword10 & INVERT != 0,
        }),
        _ => Err(CompletionStatus::INVALID_FIELD),
    }
}

/// How often blocks are overwritten: OWPASS.
const fn passes_of(dword10: u32) -> u8 {
    match (dword10 >> 4 & 0xF) as u8 {
        0 => 16,
        passes => passes,
    }
}

/// Looks how far the operation is.
pub(super) fn observe<W: World>(model: &mut Model<'_>, world: &mut W, now: Instant) {
    let sanitize = &mut model.state.sanitize;
    if sanitize.state != SanitizeState::Running {
        return;
    }
    let Some(media) = world.media() else {
        return;
    };
    match media.sanitize_progress(now) {
        SanitizeProgress::Running(progress) => sanitize.progress = progress.min(u16::MAX - 1),
        SanitizeProgress::Done if sanitize.dword10 & NO_DEALLOCATE != 0 => {
            sanitize.state = SanitizeState::DoneWithoutDeallocating;
        }
        SanitizeProgress::Done => sanitize.state = SanitizeState::Done,
        SanitizeProgress::Failed => {
            sanitize.state = SanitizeState::Failed;
            sanitize.failure_mode = true;
            model.raise_events(event::SANITIZE_FAILED);
        }
    }
}

/// Writes the log.
pub(super) fn put_log<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let sanitize = context.model.state.sanitize;
    let is_running = sanitize.state == SanitizeState::Running;
    let is_erased = !is_running && context.world.media().is_some_and(|media| media.is_erased());
    let status = u16::from(sanitize.state as u8)
        | u16::from(passes_done(&sanitize)) << 3
        | u16::from(is_erased) << 8;
    page.put_u16(
        0,
        if is_running {
            sanitize.progress
        } else {
            u16::MAX
        },
    );
    page.put_u16(2, status);
    page.put_u32(4, sanitize.dword10);
    page.put(8, &[0xFF; 24]);
}
