//! Control primitives (NVMe-MI 1.2, section 4.2.1, Figures 33 to 43): what a requester does to
//! command slots, message kind 0.
//!
//! The request is [`ControlPrimitiveRequest`], the response [`ControlPrimitiveResponse`]. A
//! primitive is carried out as soon as it comes, whatever its slot does, and takes no slot. A
//! second one for the same slot before the response to the first was sent takes its place, and only
//! the second gets a response.
//!
//! - **Pause** (section 4.2.1.1, Figure 38) holds back the responses of both slots, and More
//!   Processing Required with them, until Resume, Replay, Abort or a reset. Commands are still
//!   carried out. This is 2.0's pause, one for the endpoint, and its response is 11b; in 1.2 each
//!   slot has a pause of its own, and the response says of each whether it is paused. So the slot
//!   of Pause and Resume does not matter, and a Pause for slot 1, which 1.2 would rather refuse, is
//!   taken: libnvme sends every request in the slot that it was set to.
//! - A command with CIAP in its header pauses when it comes; that has no response of its own.
//! - **Resume** (section 4.2.1.2) ends a pause. More Processing Required that fell due meanwhile is
//!   sent at once; the text lets its time begin anew.
//! - **Abort** (section 4.2.1.3, Figure 39) ends the command of its slot alone, or discards its
//!   response, and ends a pause. What a command whose response is discarded has done stays done. A
//!   command here begins when it comes, unless it waits for one in the other slot: one that is
//!   aborted is one that takes long, of which some was done, or one that waits, of which nothing
//!   was.
//! - **Get State** (section 4.2.1.4, Figures 40 and 41) says of a slot whether it is Idle (0),
//!   processes (2) or has a response to send (3), never that it receives. The error flags, bits
//!   14:3, are those of the endpoint: which slot a broken message was meant for cannot be known.
//!   Bits 13:5 are as [`TransportError`](crate::TransportError) has them, if the transport [says
//!   so](crate::ManagementEndpoint::note).
//! - **Replay** (section 4.2.1.5, Figures 42 and 43) ends a pause, and sends the last response of
//!   its slot once more, to the requester that sent the Replay, behind the response to it: RR is 1.
//!   While the slot processes, what was sent is More Processing Required, which is sent once more
//!   with the time that then remains; the response follows it, to the same requester. RR is 0 if
//!   nothing was sent: the slot processes and said nothing yet, or a command was aborted, or a
//!   reset came.
//!
//! Replay from within a response, RRO other than 0, would need the help of the code that makes
//! packets of messages, which the MCTP traits do not give: it is refused as if the response ended
//! there.
//!
//! Get State, Pause, Resume and Replay can be sent again by a requester that did not get the
//! response, but that error flags which were cleared are gone; an Abort that is sent again finds
//! nothing to abort.
//!
//! Errors: Invalid Command Size for a primitive of another length than 12 bytes, Message Integrity
//! Check included; Invalid Parameter at CIAP or MEB, which only commands can have, and at RRO;
//! Invalid Command Opcode for another CPO. The location of an invalid parameter stands in place of
//! TAG and CPSR, as in every [`InvalidParameterResponse`](crate::wire::InvalidParameterResponse).
//!
//! **Reading.** What Pause pauses: the endpoint, both slots with one flag; in 1.2 each slot has its
//! flag, and an idle one is not paused.
//!
//! **Reading.** The response to Pause: 11b, obsolete; in 1.2 whether each slot is paused.
//!
//! **Reading.** What a command to a busy slot does: it is dropped, and Get State says so.
//!
//! **Reading.** When CIAP pauses: when the command comes, which is when it is processed.
//!
//! **Reading.** More Processing Required that falls due in a pause: sent at the Resume; the text
//! lets its time begin anew.
//!
//! **Reading.** Pause for slot 1: taken, though it should be refused: libnvme sends every primitive
//! in the slot that it was set to.
//!
//! **Reading.** CIAP or MEB in a control primitive: Invalid Parameter at that bit.
//!
//! **Reading.** Replay from within a response: Invalid Parameter at RRO, as past its end.
//!
//! **Reading.** Replay of a command that said More Processing Required: that again, with the time
//! that remains, and then the response, both to the Replay.
//!
//! **Reading.** Where a refused control primitive has the location: in place of TAG and CPSR, as
//! every Invalid Parameter.
//!
//! **Reading.** Whose the error flags of Get State are: the endpoint's.

use mctp_time::Instant;
use zerocopy::IntoBytes;

use crate::bytes::put;
use crate::device::Device;
use crate::endpoint::ManagementEndpoint;
use crate::failure::{Failure, Status};
use crate::message::{self, Header};
use crate::requester::Requester;
use crate::slots::{Notice, SHORT_LENGTH, SlotState};
use crate::transport_errors::flag;
use crate::wire::{
    ControlPrimitive, ControlPrimitiveRequest, ControlPrimitiveResponse, RequestHeader,
    ResponseStatus, location,
};
use crate::world::World;

/// CPSR of Pause in 2.0.
const BOTH_SLOTS: u16 = 0b11;

/// RRO in the parameter of Replay.
const REPLAY_OFFSET: u16 = 0x00FF;

/// CPSR, or why the primitive is refused.
type Controlled = Result<u16, Failure>;

impl ManagementEndpoint<'_> {
    /// Carries out a control primitive and gets the response to it ready.
    pub(crate) fn control<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        now: Instant,
        requester: Requester,
        header: Header,
        content: &[u8],
    ) {
        // What a primitive that is too short does not have is 0.
        let mut request = ControlPrimitiveRequest::default();
        let length = content.len().min(size_of::<ControlPrimitiveRequest>());
        put(
            request.as_mut_bytes(),
            0,
            content.get(..length).unwrap_or_default(),
        );
        let controlled = if content.len() == size_of::<ControlPrimitiveRequest>() {
            self.carry_out_control(device, now, requester, header.slot, &request)
        } else {
            Err(Failure::new(Status::InvalidCommandSize))
        };
        let response = response_to(&request, header.slot as u8, controlled);
        let mut message = [0; SHORT_LENGTH];
        put(&mut message, 0, response.as_bytes());
        message::seal(&mut device.world, &mut message, size_of_val(&response));
        if let Some(slot) = self.slots.get_mut(header.slot) {
            slot.primitives = slot.primitives.wrapping_add(1);
            slot.primitive = Some(Notice { requester, message });
        }
    }

    fn carry_out_control<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        now: Instant,
        requester: Requester,
        slot: usize,
        request: &ControlPrimitiveRequest,
    ) -> Controlled {
        check_header(request.header)?;
        let parameter = request.parameter.get();
        match request.opcode {
            ControlPrimitive::PAUSE => {
                self.state.paused = true;
                Ok(BOTH_SLOTS)
            }
            ControlPrimitive::RESUME => {
                self.state.paused = false;
                Ok(0)
            }
            ControlPrimitive::ABORT => Ok(self.abort(device, slot)),
            ControlPrimitive::GET_STATE => {
                let clears = parameter & ControlPrimitiveRequest::CLEAR_ERROR_FLAGS != 0;
                Ok(self.get_state(slot, clears))
            }
            ControlPrimitive::REPLAY if parameter & REPLAY_OFFSET != 0 => Err(Failure::parameter(
                location!(ControlPrimitiveRequest, parameter),
                0,
            )),
            ControlPrimitive::REPLAY => {
                self.state.paused = false;
                let slot = self.slots.get_mut(slot);
                let replays =
                    slot.is_some_and(|slot| slot.replay(now, requester, &mut device.world));
                Ok(u16::from(replays))
            }
            _ => Err(Failure::new(Status::InvalidOpcode)),
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

/// Refuses what only commands can have in their header (section 3.1.1).
fn check_header(header: RequestHeader) -> Result<(), Failure> {
    let bit = if header.uses_endpoint_buffer() {
        RequestHeader::ENDPOINT_BUFFER
    } else if header.pauses() {
        RequestHeader::AUTO_PAUSE
    } else {
        return Ok(());
    };
    let location = location!(RequestHeader, flags);
    Err(Failure::parameter(location, bit.trailing_zeros() as u8))
}

fn response_to(
    request: &ControlPrimitiveRequest,
    slot: u8,
    controlled: Controlled,
) -> ControlPrimitiveResponse {
    let success = ControlPrimitiveResponse::new(slot, ResponseStatus::SUCCESS, request.tag);
    let failure = match controlled {
        Ok(parameter) => {
            return ControlPrimitiveResponse {
                parameter: parameter.into(),
                ..success
            };
        }
        Err(failure) => failure,
    };
    let [status, bit, byte @ ..] = failure.to_bytes();
    let status = ResponseStatus(status);
    let has_location = status == ResponseStatus::INVALID_PARAMETER;
    ControlPrimitiveResponse {
        status,
        tag: if has_location { bit } else { request.tag },
        parameter: u16::from_le_bytes(byte).into(),
        ..success
    }
}
