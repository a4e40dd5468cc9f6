//! Sanitize, opcode 84h (NVM Express Base 2.0, sections 5.24 and 8.21, Figures 303 to 305; NVMe-MI
//! 1.2, section 6.4, Figure 122), what it does to other commands, and what its log says.
//!
//! Dwords 10 and 11 are a [`wire::Sanitize`]. Media verification (EMVS, of 2.1) is not supported.
//!
//! The operation runs in the background, through resets too. The Management Endpoint Buffer is
//! empty from then on, which its next access is told, and a self-test ends. Until it is done the
//! other Admin commands than Get Log Page, Identify, Get Features and Set Features fail. They also
//! do in *failure mode*, into which an operation that failed leads; only Sanitize leads out. NVM
//! Subsystem Health Status says so (SFM), and the [Asynchronous Event](crate::aem) 0Ch.
//!
//! A command that is repeated finds the operation under way, which its status says; after the end
//! of that one it begins another. To leave failure mode again is a success.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | SANACT is another, or one that SANICAP does not offer; EMVS is set; NDAS is, and SANICAP says that blocks are always deallocated |
//! | Internal Error (06h), may be tried again | the media did not begin |
//! | Sanitize Failed (1Ch) | in failure mode: another command; or, if it failed without AUSE, to leave it, and a new operation with AUSE |
//! | Sanitize In Progress (1Dh) | an operation is under way |
//! | Firmware Activation Requires Controller Level Reset (type 1, 11h) | an image waits for a reset |
//!
//! # Sanitize Status log, LID 81h
//!
//! A [`SanitizeStatus`] (section 5.16.1.25, Figure 267). Passes count those that are done, or all
//! of an operation that is. GDE is set if nobody has written since. No estimate is reported.
//!
//! **Reading.** What goes on while sanitizing, and in failure mode: Get Log Page, Identify, Get and
//! Set Features, all MI commands.

use mctp_time::Instant;

use crate::context::Context;
use crate::exchange::{Exchange, Page, put};
use crate::failure::{CompletionStatus, Handled};
use crate::model::{Model, Outcome, Sanitize, SanitizeState, event};
use crate::wire::{self, AdminOpcode, CommandSpecificStatus, GenericStatus, SanitizeStatus};
use crate::world::{SanitizeAction, SanitizeProgress, World};

use super::self_test;
use super::{Request, specific};

/// The commands that go on during an operation and in failure mode.
const ALWAYS_ALLOWED: [AdminOpcode; 4] = [
    AdminOpcode::GET_LOG_PAGE,
    AdminOpcode::IDENTIFY,
    AdminOpcode::SET_FEATURES,
    AdminOpcode::GET_FEATURES,
];

/// SANACT.
const LEAVE_FAILURE_MODE: u8 = 1;
const BLOCK_ERASE: u8 = 2;
const OVERWRITE: u8 = 3;
const CRYPTO_ERASE: u8 = 4;

/// SANICAP: what there is.
const CAN_CRYPTO_ERASE: u32 = 1 << 0;
const CAN_BLOCK_ERASE: u32 = 1 << 1;
const CAN_OVERWRITE: u32 = 1 << 2;
/// SANICAP: blocks are always deallocated.
const ALWAYS_DEALLOCATES: u32 = 1 << 29;

/// An estimate that is not reported.
const NO_ESTIMATE: u32 = u32::MAX;
/// SPROG while no operation is under way.
const NOT_RUNNING: u16 = u16::MAX;

const SANITIZE_FAILED: CompletionStatus =
    CompletionStatus::generic(GenericStatus::SANITIZE_FAILED.0);
const SANITIZE_IN_PROGRESS: CompletionStatus =
    CompletionStatus::generic(GenericStatus::SANITIZE_IN_PROGRESS.0).retryable();
const NEEDS_RESET: CompletionStatus =
    specific(CommandSpecificStatus::FIRMWARE_NEEDS_CONTROLLER_LEVEL_RESET);

/// Whether a command can be carried out now.
pub(super) fn check(sanitize: &Sanitize, opcode: AdminOpcode) -> Result<(), CompletionStatus> {
    if ALWAYS_ALLOWED.contains(&opcode) {
        return Ok(());
    }
    if sanitize.state == SanitizeState::Running {
        return Err(SANITIZE_IN_PROGRESS);
    }
    if sanitize.failure_mode && opcode != AdminOpcode::SANITIZE {
        return Err(SANITIZE_FAILED);
    }
    Ok(())
}

/// The command that began the last operation, without its pattern.
fn command_of(sanitize: &Sanitize) -> wire::Sanitize {
    let [action, options, ..] = sanitize.dword10.to_le_bytes();
    wire::Sanitize {
        action,
        options,
        ..wire::Sanitize::default()
    }
}

/// SANACT.
const fn action(command: wire::Sanitize) -> u8 {
    command.action & 7
}

/// How often blocks are overwritten: OWPASS.
const fn passes(command: wire::Sanitize) -> u8 {
    match command.action >> 4 {
        0 => 16,
        passes => passes,
    }
}

const fn is_unrestricted(command: wire::Sanitize) -> bool {
    command.action & wire::Sanitize::ALLOW_UNRESTRICTED_EXIT != 0
}

const fn deallocates(command: wire::Sanitize) -> bool {
    command.options & wire::Sanitize::NO_DEALLOCATE == 0
}

/// Whether the operation that failed lets nothing but another operation like it out of failure
/// mode.
fn is_restricted(sanitize: &Sanitize) -> bool {
    sanitize.failure_mode && !is_unrestricted(command_of(sanitize))
}

/// How many passes of overwriting are done.
fn passes_done(sanitize: &Sanitize) -> u8 {
    let command = command_of(sanitize);
    if action(command) != OVERWRITE {
        return 0;
    }
    let passes = passes(command);
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
    let command: wire::Sanitize = request.command();
    let sanitize = &mut context.model.state.sanitize;
    if action(command) == LEAVE_FAILURE_MODE {
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
    let action = action_of(command, capabilities)?;
    if is_restricted(sanitize) && is_unrestricted(command) {
        return Err(SANITIZE_FAILED.into());
    }
    let firmware = context.world.firmware();
    if firmware.is_some_and(|store| store.next_slot().is_some()) {
        return Err(NEEDS_RESET.into());
    }
    let begun = context.world.media().is_some_and(|media| {
        media
            .start_sanitize(context.now, action, deallocates(command))
            .is_ok()
    });
    if !begun {
        return Err(CompletionStatus::INTERNAL_ERROR.into());
    }
    *sanitize = Sanitize {
        state: SanitizeState::Running,
        failure_mode: false,
        progress: 0,
        dword10: request.dword10(),
    };
    self_test::stop(context.model, context.world, Outcome::Sanitized);
    let emptied = &mut context.model.state.buffers_emptied;
    *emptied = emptied.wrapping_add(1);
    Ok(0)
}

fn action_of(
    command: wire::Sanitize,
    capabilities: u32,
) -> Result<SanitizeAction, CompletionStatus> {
    use wire::Sanitize;
    let inhibited = !deallocates(command) && capabilities & ALWAYS_DEALLOCATES != 0;
    if inhibited || command.options & Sanitize::ENTER_MEDIA_VERIFICATION != 0 {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    match action(command) {
        CRYPTO_ERASE if capabilities & CAN_CRYPTO_ERASE != 0 => Ok(SanitizeAction::CryptoErase),
        BLOCK_ERASE if capabilities & CAN_BLOCK_ERASE != 0 => Ok(SanitizeAction::BlockErase),
        OVERWRITE if capabilities & CAN_OVERWRITE != 0 => Ok(SanitizeAction::Overwrite {
            passes: passes(command),
            pattern: command.overwrite_pattern.get(),
            invert: command.options & Sanitize::INVERT_PATTERN != 0,
        }),
        _ => Err(CompletionStatus::INVALID_FIELD),
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
        SanitizeProgress::Done if !deallocates(command_of(sanitize)) => {
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
        | if is_erased {
            SanitizeStatus::GLOBAL_DATA_ERASED
        } else {
            0
        };
    let progress = if is_running {
        sanitize.progress
    } else {
        NOT_RUNNING
    };
    put!(
        page,
        SanitizeStatus {
            progress: progress,
            status: status,
            command_dword10: sanitize.dword10,
            overwrite_time: NO_ESTIMATE,
            block_erase_time: NO_ESTIMATE,
            crypto_erase_time: NO_ESTIMATE,
            overwrite_no_deallocate_time: NO_ESTIMATE,
            block_erase_no_deallocate_time: NO_ESTIMATE,
            crypto_erase_no_deallocate_time: NO_ESTIMATE,
        }
    );
}
