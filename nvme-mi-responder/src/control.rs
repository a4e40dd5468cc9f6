//! Control primitives (NVMe-MI 1.2): what a requester does to command slots, message kind 0.
//!
//! | byte | request | response |
//! |-|-|-|
//! | 3:0 | message header; byte 1, bit 0 is the slot | the same, with the response bit |
//! | 4 | CPO, which primitive | [status](crate::Status) |
//! | 5 | TAG | the same |
//! | 7:6 | CPSP | CPSR |
//!
//! | CPO | primitive | CPSP | CPSR of a success |
//! |-|-|-|-|
//! | 00h | Pause | 0 | bits 1:0, which 1.2 made obsolete: 3 |
//! | 01h | Resume | 0 | 0 |
//! | 02h | Abort | 0 | bits 1:0: 0 there was nothing to abort, 1 nothing of the command was done, 2 some of it |
//! | 03h | Get State | bit 0, CESF: clear the error flags after they are copied | see below |
//! | 04h | Replay | bits 7:0, RRO: from which packet of the response on | bit 0, RR: the response will be sent again |
//!
//! A primitive is carried out as soon as it comes, whatever its slot does, and takes no slot. A
//! second one for the same slot before the response to the first was sent takes its place, and only
//! the second gets a response.
//!
//! - **Pause** holds back the responses of both slots, and More Processing Required with them,
//!   until Resume, Replay, Abort or a reset. Commands are still carried out. A command with the
//!   CIAP bit in its header pauses when it comes; that has no response of its own. Whether CIAP
//!   pauses then or when the response is ready the sources for this crate do not say; what it does
//!   to that response is the same.
//! - **Abort** ends the command of its slot alone, or discards its response, and ends a pause. What
//!   a command whose response is discarded has done stays done. A command here begins when it
//!   comes, unless it waits for one in the other slot: one that is aborted is one that takes long,
//!   of which some was done, or one that waits, of which nothing was.
//! - **Replay** ends a pause, and sends the last response of its slot once more, to whoever sent
//!   the Replay, behind the response to it. RRO other than 0 would need the help of whatever makes
//!   packets of messages, which the MCTP traits do not give: it is refused.
//!
//! Get State:
//!
//! | bit | field |
//! |-|-|
//! | 1:0 | the slot: 0 Idle, 2 Process, 3 Transmit |
//! | 3 | CMNICS: a command came to a slot that was not idle |
//! | 4 | BMICE: a Message Integrity Check was wrong |
//! | 5 to 13 | as [`TransportError`] has them, if the transport [says so](crate::world::Effects::take_errors) |
//! | 14 | NSSRO: the subsystem was reset |
//! | 15 | PFLG: paused |
//!
//! The error flags, bits 14:3, are those of the endpoint: which slot a broken message was meant for
//! cannot be known.
//!
//! Errors: Invalid Command Size for a primitive of another length than 12 bytes, Message Integrity
//! Check included; Invalid Command Opcode for another CPO; Invalid Parameter, without its location,
//! for a Replay from within a response.

use crate::bytes::{put, u8_at, u16_at};
use crate::failure::Status;
use crate::message::{self, Header};
use crate::responder::{Requester, Responder};
use crate::slots::{Notice, SHORT_LENGTH, SlotState};
use crate::world::{Effects, World};

/// Bytes of a primitive behind the message type byte, without Message Integrity Check.
const CONTENT_LENGTH: usize = 7;

const PAUSE: u8 = 0x00;
const RESUME: u8 = 0x01;
const ABORT: u8 = 0x02;
const GET_STATE: u8 = 0x03;
const REPLAY: u8 = 0x04;

/// Flags of Get State that are the endpoint's own. The rest of 13:5 are [`TransportError`]s.
pub(crate) mod flag {
    pub(crate) const SLOT_BUSY: u16 = 1 << 3;
    pub(crate) const BAD_INTEGRITY_CHECK: u16 = 1 << 4;
    pub(crate) const SUBSYSTEM_RESET: u16 = 1 << 14;
    pub(crate) const PAUSED: u16 = 1 << 15;
}

/// What went wrong below messages, in packets for this endpoint: a bit of Get State each, with that
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum TransportError {
    /// The next packet of a message did not come in time. Of 1.x.
    Timeout = 5,
    /// A packet is longer than the transmission unit that is supported (UTUNT).
    UnsupportedUnit = 6,
    /// The packet header has another version (BHVS).
    HeaderVersion = 7,
    /// The destination is an endpoint that is not here (UDSTID).
    UnknownDestination = 8,
    /// A packet is not of the transmission unit of its message (ITU).
    IncorrectUnit = 9,
    /// A packet from the middle or the end of a message came without its start (UMEP).
    UnexpectedMiddle = 10,
    /// A packet is out of sequence (OSPSN).
    OutOfSequence = 11,
    /// A message tag is bad, unexpected or expired (BUEMT).
    MessageTag = 12,
    /// A packet is bad, or something else went wrong in the medium (BPOPL).
    PhysicalLayer = 13,
}

/// A set of [`TransportError`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransportErrors(u16);

impl TransportErrors {
    /// Nothing went wrong.
    pub const NONE: Self = Self(0);

    /// These and `error`.
    #[must_use]
    pub const fn with(self, error: TransportError) -> Self {
        Self(self.0 | 1 << error as u8)
    }
}

impl<W: World> Responder<'_, W> {
    /// Something was wrong with a packet: Get State will say so.
    pub fn note(&mut self, error: TransportError) {
        self.endpoint.errors |= TransportErrors::NONE.with(error).0;
    }

    /// Carries out a control primitive and gets the response to it ready.
    pub(crate) fn control(&mut self, requester: Requester, header: Header, content: &[u8]) {
        let (status, parameter) = if content.len() == CONTENT_LENGTH {
            self.carry_out_control(requester, header.slot, content)
        } else {
            (Status::InvalidCommandSize, 0)
        };
        let [low, high] = parameter.to_le_bytes();
        let mut message = [0; SHORT_LENGTH];
        put(&mut message, 0, &header.response());
        put(
            &mut message,
            4,
            &[status as u8, u8_at(content, 4), low, high],
        );
        message::seal(self.world.crc(), &mut message, 8);
        if let Some(slot) = self.slots.get_mut(header.slot) {
            slot.primitives = slot.primitives.wrapping_add(1);
            slot.primitive = Some(Notice { requester, message });
        }
    }

    /// Returns status and CPSR. `content` starts at offset 1.
    fn carry_out_control(
        &mut self,
        requester: Requester,
        slot: usize,
        content: &[u8],
    ) -> (Status, u16) {
        let parameter = u16_at(content, 5);
        match u8_at(content, 3) {
            PAUSE => {
                self.endpoint.paused = true;
                (Status::Success, 3)
            }
            RESUME => {
                self.endpoint.paused = false;
                (Status::Success, 0)
            }
            ABORT => (Status::Success, self.abort(slot)),
            GET_STATE => (Status::Success, self.state(slot, parameter & 1 != 0)),
            REPLAY if parameter & 0xFF != 0 => (Status::InvalidParameter, 0),
            REPLAY => {
                self.endpoint.paused = false;
                let slot = self.slots.get_mut(slot);
                let replays = slot.is_some_and(|slot| slot.replay(requester));
                (Status::Success, u16::from(replays))
            }
            _ => (Status::InvalidOpcode, 0),
        }
    }

    pub(crate) fn abort(&mut self, index: usize) -> u16 {
        self.endpoint.paused = false;
        // Nobody waits for it any more.
        self.model.state.turn = self
            .model
            .state
            .turn
            .filter(|owner| usize::from(*owner) != index);
        let Some(slot) = self.slots.get_mut(index) else {
            return 0;
        };
        let (state, begun) = (slot.state, slot.begun);
        let effect = slot.effect.take();
        slot.discard();
        match state {
            SlotState::Idle => 0,
            SlotState::Process if begun => 2,
            SlotState::Process => 1,
            SlotState::Transmit => {
                // The command was carried out: what it does afterwards belongs to it.
                self.apply(effect);
                0
            }
        }
    }

    fn state(&mut self, slot: usize, clears: bool) -> u16 {
        let state = self.slots.get(slot).map_or(0, |slot| slot.state as u16);
        let paused = if self.endpoint.paused {
            flag::PAUSED
        } else {
            0
        };
        self.endpoint.errors |= self.world.effects().take_errors().0;
        let errors = self.endpoint.errors;
        if clears {
            self.endpoint.errors = 0;
        }
        state | errors | paused
    }
}
