//! The responder: messages in, messages out.

use mctp::Eid;

use crate::bytes::put;
use crate::clock::Instant;
use crate::context::{Context, Effect, Endpoint};
use crate::exchange::Exchange;
use crate::failure::{Answer, Failure, Handled, Refusal, Status};
use crate::message::{self, DropReason, Drops, HEADER_LENGTH, Kind};
use crate::model::{Model, ModelError, PortId};
use crate::slots::{Slot, SlotState};
use crate::world::{Effects, World};
use crate::{admin, mi, reset};

/// Who sent a request, and which: what the caller needs to send the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requester {
    /// Where it came from.
    pub endpoint_id: Eid,
    /// Any number by which the caller finds the message tag, or the response channel. The responder only gives it back.
    pub exchange: u16,
}

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmission<'a> {
    /// To whom: as it came with the request.
    pub requester: Requester,
    /// Which command slot it comes from, for [`Responder::sent`].
    pub slot: u8,
    /// The message after its message type byte, Message Integrity Check included. The integrity check bit of the type is set.
    pub body: &'a [u8],
}

/// A management endpoint that answers for a subsystem. No clock, no executor: time is an argument.
///
/// - Inputs: [`receive`](Self::receive), [`sent`](Self::sent), [`advance`](Self::advance), and changes of the
///   [`model`](Self::model) and the [`world`](Self::world).
/// - Outputs: [`transmission`](Self::transmission), until there is none, after every input.
/// - Getters: [`drops`](Self::drops).
#[derive(Debug)]
pub struct Responder<'m, W> {
    model: Model<'m>,
    world: W,
    endpoint: Endpoint<'m>,
    slots: [Slot; 2],
    drops: Drops,
}

impl<'m, W: World> Responder<'m, W> {
    /// A management endpoint at `port` of the subsystem.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchPort`].
    pub fn new(mut model: Model<'m>, port: PortId, mut world: W) -> Result<Self, ModelError> {
        model.port(port).ok_or(ModelError::NoSuchPort(port))?;
        model.forget_changes();
        model.observe(world.health());
        Ok(Self {
            model,
            world,
            endpoint: Endpoint {
                port,
                buffer: &mut [],
                buffer_lost: false,
            },
            slots: [const { Slot::new() }; 2],
            drops: Drops::default(),
        })
    }

    /// With a Management Endpoint Buffer: MEB Read and Write are supported.
    #[must_use]
    pub fn with_endpoint_buffer(mut self, buffer: &'m mut [u8]) -> Self {
        self.endpoint.buffer = buffer;
        self
    }

    /// The subsystem. What is changed here is reported as a change.
    pub fn model(&mut self) -> &mut Model<'m> {
        &mut self.model
    }

    /// What the device plugged in.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// The messages that were dropped.
    pub fn drops(&self) -> Drops {
        self.drops
    }

    /// Takes a request in and carries it out. `body` is what follows its message type byte, `integrity_check` the bit beside the type.
    ///
    /// # Errors
    ///
    /// The message is dropped, and counted.
    pub fn receive(
        &mut self,
        now: Instant,
        requester: Requester,
        integrity_check: bool,
        body: &[u8],
    ) -> Result<(), DropReason> {
        let taken = self.take(now, requester, integrity_check, body);
        if let Err(reason) = taken {
            self.drops.add(reason);
        }
        taken
    }

    fn take(
        &mut self,
        now: Instant,
        requester: Requester,
        integrity_check: bool,
        body: &[u8],
    ) -> Result<(), DropReason> {
        let (header, content) = message::open(self.world.crc(), integrity_check, body)?;
        let Some(slot) = self.slots.get_mut(header.slot) else {
            return Ok(());
        };
        if slot.state != SlotState::Idle {
            return Err(DropReason::SlotBusy);
        }
        slot.accept(now, requester, header, content);
        self.model.observe(self.world.health());
        self.process(now, header.slot);
        Ok(())
    }

    /// Time has passed: goes on with commands that are pending.
    pub fn advance(&mut self, now: Instant) {
        self.model.observe(self.world.health());
        for index in 0..self.slots.len() {
            self.process(now, index);
        }
    }

    /// The next message to send, if there is one. It stays the next one until [`sent`](Self::sent).
    pub fn transmission(&self) -> Option<Transmission<'_>> {
        let (index, slot) = (0u8..)
            .zip(&self.slots)
            .find(|(_, slot)| slot.state == SlotState::Transmit)?;
        Some(Transmission {
            requester: slot.requester,
            slot: index,
            body: slot.body(),
        })
    }

    /// The message from `slot` has been sent, or cannot be. What its command does after the response happens now.
    pub fn sent(&mut self, slot: u8) {
        let Some(slot) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        if slot.state != SlotState::Transmit {
            return;
        }
        slot.state = SlotState::Idle;
        let effect = slot.effect.take();
        self.apply(effect);
    }

    fn apply(&mut self, effect: Option<Effect>) {
        match effect {
            None => {}
            Some(Effect::TransmissionUnit(port, unit)) => {
                self.world.effects().transmission_unit_changed(port, unit)
            }
            Some(Effect::Frequency(port, frequency)) => self
                .world
                .effects()
                .smbus_frequency_changed(port, frequency),
            Some(Effect::Shutdown(kind)) => {
                reset::shut_down(&mut self.model, &mut self.world, kind)
            }
            Some(Effect::Reset) => self.reset_subsystem(),
        }
    }

    /// An NVM Subsystem Reset, from wherever it comes: as the Reset command does it.
    ///
    /// Commands and responses are discarded, ports are back at the smallest transmission unit and 100 kHz, the Management Endpoint Buffer
    /// is empty, and all that is reported as changed is the reset and what it changed.
    pub fn reset_subsystem(&mut self) {
        for slot in &mut self.slots {
            slot.discard();
        }
        self.endpoint.buffer.fill(0);
        self.endpoint.buffer_lost = false;
        reset::reset(&mut self.model, &mut self.world);
    }

    /// Carries out, or goes on with, the command in slot `index`.
    fn process(&mut self, now: Instant, index: usize) {
        let working = self
            .slots
            .iter()
            .filter(|slot| slot.state == SlotState::Process);
        let alone = working.count() == 1;
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.state != SlotState::Process {
            return;
        }
        let mut context = Context {
            now,
            resumed: slot.begun,
            slot: index as u8,
            alone,
            model: &mut self.model,
            world: &mut self.world,
            endpoint: &mut self.endpoint,
            effect: &mut slot.effect,
        };
        let outcome = carry_out(
            &mut context,
            slot.header.kind,
            &mut slot.buffer,
            slot.length,
        );
        slot.begun = true;
        match outcome {
            Outcome::Pending => {}
            Outcome::Silence => {
                slot.state = SlotState::Idle;
                let effect = slot.effect.take();
                self.apply(effect);
            }
            Outcome::Response(end) => {
                put(&mut slot.buffer, 0, &slot.header.response());
                slot.length = message::seal(self.world.crc(), &mut slot.buffer, end);
                slot.state = SlotState::Transmit;
            }
        }
    }
}

/// What became of a command.
enum Outcome {
    Pending,
    Silence,
    /// The response is in the buffer from byte 4 to this one.
    Response(usize),
}

/// Carries out the command of `request_end` bytes in `buffer`, and writes the response in its place.
fn carry_out<W: World>(
    context: &mut Context<'_, '_, W>,
    kind: Kind,
    buffer: &mut [u8],
    request_end: usize,
) -> Outcome {
    let (handled, end) = match kind {
        Kind::Management => {
            let mut exchange =
                Exchange::new(buffer, request_end, mi::REQUEST_LENGTH, mi::RESPONSE_LENGTH);
            (mi::run(context, &mut exchange), exchange.response_end())
        }
        Kind::Admin => {
            let mut exchange = Exchange::new(
                buffer,
                request_end,
                admin::REQUEST_LENGTH,
                admin::RESPONSE_LENGTH,
            );
            (admin::run(context, &mut exchange), exchange.response_end())
        }
        Kind::ControlPrimitive | Kind::Pcie => (Err(Failure::new(Status::InvalidOpcode).into()), 0),
    };
    let end = match write_status(kind, handled, buffer) {
        Written::Nothing(outcome) => return outcome,
        Written::Status(status_end) => status_end,
        Written::StatusBeforeData => end,
    };
    Outcome::Response(end)
}

/// What of a response was written.
enum Written {
    Nothing(Outcome),
    /// All of it, up to here.
    Status(usize),
    StatusBeforeData,
}

fn write_status(kind: Kind, handled: Handled, buffer: &mut [u8]) -> Written {
    match handled {
        Ok(Answer::Pending) => Written::Nothing(Outcome::Pending),
        Ok(Answer::Silence) => Written::Nothing(Outcome::Silence),
        Ok(Answer::Done(dword0)) if kind == Kind::Admin => {
            put(buffer, HEADER_LENGTH, &admin::completion(Ok(dword0)));
            Written::StatusBeforeData
        }
        Ok(Answer::Done(management_response)) => {
            put(
                buffer,
                HEADER_LENGTH,
                &(management_response << 8).to_le_bytes(),
            );
            Written::StatusBeforeData
        }
        Err(Refusal::Command(status)) => {
            put(buffer, HEADER_LENGTH, &admin::completion(Err(status)));
            Written::Status(admin::RESPONSE_LENGTH)
        }
        Err(Refusal::Management(failure)) => {
            put(buffer, HEADER_LENGTH, &failure.to_bytes());
            Written::Status(mi::RESPONSE_LENGTH)
        }
    }
}
