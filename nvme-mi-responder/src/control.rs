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
//! | 5 to 13 | as [`TransportError`](crate::TransportError) has them, if the transport [says so](crate::ManagementEndpoint::note) |
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
use crate::device::Device;
use crate::endpoint::ManagementEndpoint;
use crate::failure::Status;
use crate::message::{self, Header};
use crate::requester::Requester;
use crate::slots::{Notice, SHORT_LENGTH, SlotState};
use crate::transport_errors::flag;
use crate::world::World;

/// Bytes of a primitive behind the message type byte, without Message Integrity Check.
const CONTENT_LENGTH: usize = 7;

const PAUSE: u8 = 0x00;
const RESUME: u8 = 0x01;
const ABORT: u8 = 0x02;
const GET_STATE: u8 = 0x03;
const REPLAY: u8 = 0x04;

impl ManagementEndpoint<'_> {
    /// Carries out a control primitive and gets the response to it ready.
    pub(crate) fn control<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        requester: Requester,
        header: Header,
        content: &[u8],
    ) {
        let (status, parameter) = if content.len() == CONTENT_LENGTH {
            self.carry_out_control(device, requester, header.slot, content)
        } else {
            (Status::InvalidCommandSize, 0)
        };
        let [low, high] = parameter.to_le_bytes();
        let mut message = [0; SHORT_LENGTH];
        put(&mut message, 0, &header.response());
        put(
            &mut message,
            3,
            &[status as u8, u8_at(content, 4), low, high],
        );
        message::seal(&mut device.world, &mut message, CONTENT_LENGTH);
        if let Some(slot) = self.slots.get_mut(header.slot) {
            slot.primitives = slot.primitives.wrapping_add(1);
            slot.primitive = Some(Notice { requester, message });
        }
    }

    /// Returns status and CPSR. `content` starts at offset 1.
    fn carry_out_control<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        requester: Requester,
        slot: usize,
        content: &[u8],
    ) -> (Status, u16) {
        let parameter = u16_at(content, 5);
        match u8_at(content, 3) {
            PAUSE => {
                self.state.paused = true;
                (Status::Success, 3)
            }
            RESUME => {
                self.state.paused = false;
                (Status::Success, 0)
            }
            ABORT => (Status::Success, self.abort(device, slot)),
            GET_STATE => (Status::Success, self.get_state(slot, parameter & 1 != 0)),
            REPLAY if parameter & 0xFF != 0 => (Status::InvalidParameter, 0),
            REPLAY => {
                self.state.paused = false;
                let slot = self.slots.get_mut(slot);
                let replays = slot.is_some_and(|slot| slot.replay(requester));
                (Status::Success, u16::from(replays))
            }
            _ => (Status::InvalidOpcode, 0),
        }
    }

    pub(crate) fn abort<W: World>(&mut self, device: &mut Device<'_, W>, index: usize) -> u16 {
        self.state.paused = false;
        // Nobody waits for it any more.
        device.end_exclusive(self.state.port, index as u8);
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
                if let Some(effect) = effect {
                    self.apply(device, effect);
                }
                0
            }
        }
    }

    fn get_state(&mut self, slot: usize, clears: bool) -> u16 {
        let state = self.slots.get(slot).map_or(0, |slot| slot.state as u16);
        let paused = if self.state.paused { flag::PAUSED } else { 0 };
        let errors = self.state.errors;
        if clears {
            self.state.errors = 0;
        }
        state | errors | paused
    }
}
