//! Firmware Image Download, opcode 11h, and Firmware Commit, opcode 10h (NVM Express Base 2.0).
//!
//! # Firmware Image Download
//!
//! | byte | field |
//! |-|-|
//! | 47:44 | NUMD, dwords of this piece, 0 meaning 1 |
//! | 51:48 | OFST, the first dword of the piece in the image |
//! | 68.. | the piece, at most 4096 bytes |
//!
//! Pieces come in any order. There is one download at a time in the subsystem, whichever controller
//! its commands name. The first piece after a Firmware Commit begins another one, and so does a
//! reset (of the subsystem or of a controller, or a shutdown). So does, in this crate, a piece at
//! offset 0 where there was one already: that is what a requester sends that was interrupted and
//! starts over, as `nvme fw-download` without further options.
//!
//! | error | when |
//! |-|-|
//! | NVMe-MI Invalid Parameter at byte 32 | NUMD is not what DLEN says |
//! | Invalid Field (02h) | the piece ends beyond the longest image; or whole pages are required (FWUG 01h) and it is none |
//! | Overlapping Range (type 1, 14h) | a part of the piece was downloaded before; the download is as it was |
//! | Internal Error (06h), may be tried again | the store failed; or there are more than [`MAX_PIECES`] separate parts with gaps between |
//!
//! # Firmware Commit
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 44 | 2:0 | FS, the slot, 1 to 7; 0: the device chooses |
//! | 44 | 5:3 | CA, the action: 0 store the image, 1 store and activate at the next reset, 2 activate what is stored at the next reset, 3 activate now, with a downloaded image stored before |
//!
//! With FS 0 an image goes to the first slot that is empty, or else to the first that is neither
//! active nor next; what is activated with action 2 is the first image that is not active. A commit
//! that is done, or finds no good image, ends the download. One that names a wrong slot or
//! action leaves it, to be committed elsewhere. What was in the slot stays if it fails.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | actions 4 and 5, and 6 and 7, of boot partitions, which are not supported |
//! | Invalid Firmware Slot (type 1, 06h) | there is no such slot, none to choose, or an image is to be stored in a read-only one |
//! | Invalid Firmware Image (type 1, 07h) | nothing was downloaded; it has gaps; the store does not take it; the slot to activate is empty |
//! | 0Bh, 10h, 11h (type 1) | done, but the image runs only after a conventional, NVM Subsystem, or Controller Level Reset |
//! | 12h, 13h (type 1) | stored but not activated: it would take too long; it is prohibited |
//!
//! Activation sets the Firmware Activated flag of all controllers, and the Asynchronous Event 05h
//! of 2.0. Dword 0 of the completion is 0: the device does not detect overlapping updates (FRMW bit
//! 5 is 0).

use core::task::Poll;

use heapless::Vec;

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{CompletionStatus, Handled, Refusal};
use crate::model::{Change, Model};
use crate::world::{FirmwareError, FirmwareStore, World};

use super::Request;

/// How many parts of an image can be there with gaps between them.
pub const MAX_PIECES: usize = 16;

const PAGE: u32 = 4096;

/// The commands are in the table only if there is a store.
const NO_STORE: CompletionStatus = CompletionStatus::INTERNAL_ERROR;
const INVALID_SLOT: CompletionStatus = CompletionStatus::specific(0x06);
const INVALID_IMAGE: CompletionStatus = CompletionStatus::specific(0x07);
const OVERLAPPING_RANGE: CompletionStatus = CompletionStatus::specific(0x14);

/// The bytes of an image that are there.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    /// In any order. No two touch or overlap.
    pieces: Vec<Piece, MAX_PIECES>,
    /// The next piece begins another download.
    ended: bool,
}

/// Bytes `start..end` of an image.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    /// The piece of `length` bytes at dword `offset`, if the store takes one there.
    fn new(offset: u32, length: u64, store: &dyn FirmwareStore) -> Result<Self, CompletionStatus> {
        let start = u64::from(offset).saturating_mul(4);
        let end = start.saturating_add(length);
        let unit = if store.takes_only_whole_pages() {
            PAGE
        } else {
            4
        };
        if end > u64::from(store.capacity()) {
            return Err(CompletionStatus::INVALID_FIELD);
        }
        // Both are at most the capacity.
        let (start, end) = (start as u32, end as u32);
        if !start.is_multiple_of(unit) || !end.is_multiple_of(unit) {
            return Err(CompletionStatus::INVALID_FIELD);
        }
        Ok(Self { start, end })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn touches(&self, other: &Self) -> bool {
        self.start == other.end || other.start == self.end
    }
}

impl Download {
    pub(crate) const NONE: Self = Self {
        pieces: Vec::new(),
        ended: false,
    };

    /// Makes sure that the piece can be added.
    fn check(&self, piece: Piece) -> Result<(), CompletionStatus> {
        if self.pieces.iter().any(|other| other.overlaps(&piece)) {
            return Err(OVERLAPPING_RANGE);
        }
        let has_room = !self.pieces.is_full();
        if has_room || self.pieces.iter().any(|other| other.touches(&piece)) {
            Ok(())
        } else {
            Err(CompletionStatus::INTERNAL_ERROR)
        }
    }

    /// Adds a piece, joined with those that it touches.
    fn add(&mut self, mut piece: Piece) {
        self.pieces.retain(|other| {
            if other.end == piece.start {
                piece.start = other.start;
                false
            } else if other.start == piece.end {
                piece.end = other.end;
                false
            } else {
                true
            }
        });
        // There is room: it was checked.
        let _ = self.pieces.push(piece);
    }

    fn has_first_piece(&self) -> bool {
        self.pieces.iter().any(|piece| piece.start == 0)
    }

    /// The length of the image, if there is one from its beginning without a gap.
    fn length(&self) -> Option<u32> {
        match self.pieces.as_slice() {
            [Piece { start: 0, end }] => Some(*end),
            _ => None,
        }
    }

    fn discard(&mut self, store: &mut dyn FirmwareStore) {
        self.pieces.clear();
        self.ended = false;
        store.discard();
    }
}

/// Firmware Image Download.
pub(super) fn download<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let length = u64::from(request.dword10)
        .saturating_add(1)
        .saturating_mul(4);
    request.expect_data(exchange, length)?;
    let store = context.world.firmware().ok_or(NO_STORE)?;
    let download = &mut context.model.state.firmware;
    let piece = Piece::new(request.dword11, length, store)?;
    if download.ended || (piece.start == 0 && download.has_first_piece()) {
        download.discard(store);
    }
    download.check(piece)?;
    match store.write(piece.start, exchange.request_data()) {
        Poll::Pending => return Err(Refusal::PENDING),
        Poll::Ready(written) => written.map_err(status_of)?,
    }
    download.add(piece);
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
    fn of(dword10: u32) -> Result<Self, CompletionStatus> {
        match dword10 >> 3 & 7 {
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
    let action = Action::of(request.dword10)?;
    let store = context.world.firmware().ok_or(NO_STORE)?;
    let download = &mut context.model.state.firmware;
    // Action 3 is that of a new image if there is one.
    let stores = match action {
        Action::Store | Action::StoreAndActivateOnReset => true,
        Action::ActivateOnReset => false,
        Action::Activate => !download.pieces.is_empty(),
    };
    download.ended = true;
    let slot = slot_for(store, (request.dword10 & 7) as u8, stores)?;
    if stores {
        let stored = match download.length() {
            Some(length) => store.commit(slot, length),
            None => Poll::Ready(Err(FirmwareError::InvalidImage)),
        };
        let Poll::Ready(stored) = stored else {
            return Err(Refusal::PENDING);
        };
        if stored != Err(FirmwareError::Failed) {
            download.discard(store);
        }
        stored.map_err(status_of)?;
    }
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
    let code = match error {
        FirmwareError::Failed => return CompletionStatus::INTERNAL_ERROR,
        FirmwareError::InvalidImage => return INVALID_IMAGE,
        FirmwareError::NeedsConventionalReset => 0x0B,
        FirmwareError::NeedsSubsystemReset => 0x10,
        FirmwareError::NeedsControllerReset => 0x11,
        FirmwareError::MaximumTimeViolation => 0x12,
        FirmwareError::ActivationProhibited => 0x13,
    };
    CompletionStatus::specific(code)
}

/// The device is reset: the download is lost, and the image that waits for it runs.
pub(crate) fn reset<W: World>(model: &mut Model<'_>, world: &mut W) {
    let Some(store) = world.firmware() else {
        return;
    };
    model.state.firmware.discard(store);
    if store.reset() {
        model.raise_all(Change::FirmwareActivated);
    }
}
