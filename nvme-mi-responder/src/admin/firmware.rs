//! Firmware Image Download, opcode 11h, and Firmware Commit, opcode 10h (NVM Express Base 2.0,
//! sections 5.13, Figures 184 to 187, and 5.12, Figures 181 to 183; the update process: section
//! 3.11).
//!
//! # Firmware Image Download
//!
//! Dwords 10 and 11 are a [`FirmwareImageDownload`]; the piece follows, at most 4096 bytes.
//!
//! Pieces come in any order. There is one download at a time in the subsystem, whichever controller
//! its commands name. The first piece after a Firmware Commit begins another one, and so does a
//! reset (of the subsystem or of a controller, or a shutdown). So does, in this crate, a piece at
//! offset 0 where there was one already: that is what a requester sends that was interrupted and
//! starts over, as `nvme fw-download` without further options.
//!
//! A requester that did not get a response repeats the command. That of the piece that was taken
//! last succeeds again, and the piece is not written twice, at offset 0 too: the same range, and the
//! same Message Integrity Check, which stands for the bytes. After a Firmware Commit no piece is a
//! repetition.
//!
//! | error | when |
//! |-|-|
//! | NVMe-MI Invalid Parameter at DLEN | NUMD is not what DLEN says |
//! | Invalid Field (02h) | the piece ends beyond the longest image; or whole pages are required (FWUG 01h) and it is none |
//! | Overlapping Range (type 1, 14h) | a part of the piece was downloaded before, and it is not the last piece repeated; the download is as it was |
//! | Internal Error (06h), may be tried again | the store failed; or there are more than [`MAX_PIECES`] separate parts with gaps between |
//!
//! # Firmware Commit
//!
//! Dword 10 is a [`FirmwareCommit`]. CA, the action: 0 stores the image; 1 stores it and activates
//! it at the next reset; 2 activates what is stored at the next reset; 3 activates now, with a
//! downloaded image stored before.
//!
//! With FS 0 an image goes to the first slot that is empty, or else to the first that is neither
//! active nor next; what action 2 activates is the first image that is not active. A commit
//! that is done, or finds no good image, ends the download. One that names a wrong slot or
//! action leaves it, to be committed elsewhere. What was in the slot stays if it fails.
//!
//! A commit that is repeated finds no download any more. Actions 0 and 1 get an Invalid Firmware
//! Image; actions 2 and 3 succeed again, as the image is in the slot. With FS 0, action 3 without a
//! download is an Invalid Firmware Image too: repeated, it would activate the first image that does
//! not run, which is the one that ran before.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | actions 4 and 5, and 6 and 7, of boot partitions, which are not supported |
//! | Invalid Firmware Slot (type 1, 06h) | there is no such slot, none to choose, or an image is to be stored in a read-only one |
//! | Invalid Firmware Image (type 1, 07h) | nothing was downloaded, or a reset took it while the commit was pending; it has gaps; the store does not take it; the slot to activate is empty, or not named in action 3 |
//! | 0Bh, 10h, 11h (type 1) | done, but the image runs only after a conventional, NVM Subsystem, or Controller Level Reset |
//! | 12h, 13h (type 1) | stored but not activated: it would take too long; it is prohibited |
//!
//! Activation sets the Firmware Activated flag of all controllers, and the Asynchronous Event 05h
//! of 2.0. Dword 0 of the completion is 0: the device does not detect overlapping updates (FRMW bit
//! 5 is 0).
//!
//! **Reading.** NUMD or TL that is not what DLEN says: Invalid Parameter at DLEN, byte 32.
//!
//! **Reading.** A piece of firmware that repeats the last one taken: succeeds, and is not written
//! again.
//!
//! **Reading.** A piece of firmware at offset 0 where there is one: the download starts over; any
//! other overlap is refused.
//!
//! **Reading.** What a commit to a wrong slot does to the download: it stays, until the next piece.
//!
//! **Reading.** An image stored over the one that runs, without activation: runs after the next
//! reset.

use core::task::Poll;

pub use firmware_store::MAX_PIECES;
use firmware_store::{FirmwareError, FirmwareStore, Piece, PieceError};

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{CompletionStatus, Handled, Refusal};
use crate::model::{Change, FirmwareUpdate, Model};
use crate::wire::{CommandSpecificStatus, FirmwareCommit, FirmwareImageDownload};
use crate::world::World;

use super::{Request, specific};

const PAGE: u32 = 4096;

/// The commands are in the table only if there is a store.
const NO_STORE: CompletionStatus = CompletionStatus::INTERNAL_ERROR;
const INVALID_SLOT: CompletionStatus = specific(CommandSpecificStatus::INVALID_FIRMWARE_SLOT);
const INVALID_IMAGE: CompletionStatus = specific(CommandSpecificStatus::INVALID_FIRMWARE_IMAGE);
const OVERLAPPING_RANGE: CompletionStatus = specific(CommandSpecificStatus::OVERLAPPING_RANGE);

/// The piece with these bytes at dword `offset`, if the store takes one there.
fn piece_at(
    offset: u32,
    data: &[u8],
    store: &dyn FirmwareStore,
) -> Result<Piece, CompletionStatus> {
    let start = offset.checked_mul(4);
    // At most 4096.
    let length = data.len() as u32;
    let piece = start.and_then(|start| Piece::new(start, length));
    let is_whole_pages = |piece: &Piece| (piece.offset() | piece.end()).is_multiple_of(PAGE);
    let fits = |piece: &Piece| {
        let is_aligned = !store.takes_only_whole_pages() || is_whole_pages(piece);
        is_aligned && piece.end() <= store.capacity()
    };
    piece.filter(fits).ok_or(CompletionStatus::INVALID_FIELD)
}

// A call costs less than three copies: 64 bytes of the flash of the reference device.
#[inline(never)]
fn discard(update: &mut FirmwareUpdate, store: &mut dyn FirmwareStore) {
    update.download.clear();
    update.ended = false;
    store.discard();
}

/// Firmware Image Download.
pub(super) fn download<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: FirmwareImageDownload = request.command();
    let dwords = u64::from(command.number_of_dwords.get()).saturating_add(1);
    let length = dwords.saturating_mul(4);
    request.expect_data(exchange, length)?;
    let data = exchange.request_data();
    let store = context.world.firmware().ok_or(NO_STORE)?;
    let update = &mut context.model.state.firmware;
    let piece = piece_at(command.offset.get(), data, store)?;
    // The integrity check of the whole command stands for the bytes of the piece.
    if update.is_repetition(piece, context.check) {
        return Ok(0);
    }
    if update.starts_over_with(piece) {
        discard(update, store);
    }
    update.download.check(piece).map_err(status_of_piece)?;
    match store.write(piece.offset(), data) {
        Poll::Pending => return Err(Refusal::PENDING),
        Poll::Ready(written) => written.map_err(status_of)?,
    }
    update
        .download
        .add(piece, context.check)
        .map_err(status_of_piece)?;
    Ok(0)
}

/// Commit Action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Store,
    StoreAndActivateOnReset,
    ActivateOnReset,
    Activate,
}

impl Action {
    fn of(command: FirmwareCommit) -> Result<Self, CompletionStatus> {
        match command.action() {
            0 => Ok(Self::Store),
            1 => Ok(Self::StoreAndActivateOnReset),
            2 => Ok(Self::ActivateOnReset),
            3 => Ok(Self::Activate),
            _ => Err(CompletionStatus::INVALID_FIELD),
        }
    }
}

/// Firmware Commit.
pub(super) fn commit<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    _: &mut Exchange<'_>,
) -> Handled {
    let command: FirmwareCommit = request.command();
    let action = Action::of(command)?;
    let store = context.world.firmware().ok_or(NO_STORE)?;
    let update = &mut context.model.state.firmware;
    // Action 3 is that of a new image if there is one, and always if the slot is not named. Only a
    // commit that stores is pending, and still means the image that a reset took meanwhile.
    let stores = match action {
        Action::Store | Action::StoreAndActivateOnReset => true,
        Action::ActivateOnReset => false,
        Action::Activate => context.resumed || command.slot() == 0 || !update.download.is_empty(),
    };
    update.ended = true;
    let slot = slot_for(store, command.slot(), stores)?;
    let stored = match update.download.length() {
        _ if !stores => Poll::Ready(Ok(())),
        Some(length) => store.commit(slot, length),
        None => Poll::Ready(Err(FirmwareError::InvalidImage)),
    };
    let Poll::Ready(stored) = stored else {
        return Err(Refusal::PENDING);
    };
    if stored != Err(FirmwareError::Failed) {
        discard(update, store);
    }
    stored.map_err(status_of)?;
    activate(context, action, slot)
}

fn activate<W: World>(context: &mut Context<'_, '_, W>, action: Action, slot: u8) -> Handled {
    let store = context.world.firmware().ok_or(NO_STORE)?;
    if action != Action::Store && store.revision(slot).is_none() {
        return Err(INVALID_IMAGE.into());
    }
    match action {
        Action::Store => {}
        Action::StoreAndActivateOnReset | Action::ActivateOnReset => {
            store.activate_on_reset(slot).map_err(status_of)?;
        }
        Action::Activate => match store.activate(slot) {
            Ok(()) => context.model.raise_all(Change::FirmwareActivated),
            Err(error) => {
                if needs_reset(error) {
                    store.activate_on_reset(slot).map_err(status_of)?;
                }
                return Err(status_of(error).into());
            }
        },
    }
    Ok(0)
}

/// The slot that a commit is about.
fn slot_for(store: &dyn FirmwareStore, wanted: u8, stores: bool) -> Result<u8, CompletionStatus> {
    let first = if stores && store.is_first_slot_read_only() {
        2
    } else {
        1
    };
    let mut slots = first..store.slots().min(7).wrapping_add(1);
    if wanted != 0 {
        return slots.find(|slot| *slot == wanted).ok_or(INVALID_SLOT);
    }
    let active = store.active_slot();
    let chosen = if stores {
        let is_free = |slot: &u8| *slot != active && Some(*slot) != store.next_slot();
        let empty = slots.clone().find(|slot| store.revision(*slot).is_none());
        empty.or_else(|| slots.find(is_free))
    } else {
        slots.find(|slot| *slot != active && store.revision(*slot).is_some())
    };
    chosen.ok_or(INVALID_SLOT)
}

fn needs_reset(error: FirmwareError) -> bool {
    matches!(
        error,
        FirmwareError::NeedsConventionalReset
            | FirmwareError::NeedsSubsystemReset
            | FirmwareError::NeedsControllerReset
    )
}

fn status_of(error: FirmwareError) -> CompletionStatus {
    use CommandSpecificStatus as Specific;
    specific(match error {
        FirmwareError::Failed => return CompletionStatus::INTERNAL_ERROR,
        FirmwareError::InvalidImage => return INVALID_IMAGE,
        FirmwareError::NeedsConventionalReset => Specific::FIRMWARE_NEEDS_CONVENTIONAL_RESET,
        FirmwareError::NeedsSubsystemReset => Specific::FIRMWARE_NEEDS_SUBSYSTEM_RESET,
        FirmwareError::NeedsControllerReset => Specific::FIRMWARE_NEEDS_CONTROLLER_LEVEL_RESET,
        FirmwareError::MaximumTimeViolation => Specific::FIRMWARE_MAXIMUM_TIME_VIOLATION,
        FirmwareError::ActivationProhibited => Specific::FIRMWARE_ACTIVATION_PROHIBITED,
    })
}

fn status_of_piece(error: PieceError) -> CompletionStatus {
    match error {
        PieceError::Overlap => OVERLAPPING_RANGE,
        PieceError::TooManyPieces => CompletionStatus::INTERNAL_ERROR,
    }
}

/// The device is reset: the download is lost, and the image that waits for it runs.
pub(crate) fn reset<W: World>(model: &mut Model<'_>, world: &mut W) {
    let Some(store) = world.firmware() else {
        return;
    };
    discard(&mut model.state.firmware, store);
    if store.reset() {
        model.raise_all(Change::FirmwareActivated);
    }
}
