//! The responder: messages in, messages out.

use mctp::Eid;
use mctp_time::Instant;

use crate::Crc32c;
use crate::aem::Events;
use crate::bytes::{put, put_u32};
use crate::context::{Context, Effect, Endpoint};
use crate::control::flag;
use crate::exchange::Exchange;
use crate::failure::{Handled, Refusal, Status};
use crate::message::{self, DropReason, Drops, HEADER_LENGTH, Kind};
use crate::model::{ControllerId, Model, ModelError, PortId};
use crate::slots::{MessageBuffer, MessageBuffers, Notice, SHORT_LENGTH, Slot, SlotState};
use crate::support::Abilities;
use crate::world::{Effects, World};
use crate::{admin, mi, pcie, reset};

/// Who sent a request, and which: what the caller needs to send the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requester {
    /// Where it came from.
    pub endpoint_id: Eid,
    /// Any number by which the caller finds the message tag, or the response channel. The
    /// responder only gives it back.
    pub exchange: u16,
}

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmission<'a> {
    /// To whom: as it came with the request.
    pub requester: Requester,
    /// Which message it is, for [`Responder::sent`].
    pub source: Source,
    /// The message after its message type byte, Message Integrity Check included. The integrity
    /// check bit of the type is set.
    pub body: &'a [u8],
}

/// Which message a [`Transmission`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Source {
    slot: u8,
    part: Part,
    serial: u8,
}

/// What comes out of a slot, in the order in which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Part {
    Primitive,
    Excuse,
    Response,
}

/// An Asynchronous Event Message to send: a request of its own, with a message tag that the
/// endpoint owns, to which no response comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMessage<'a> {
    /// To whom.
    pub endpoint_id: Eid,
    /// The message after its message type byte, Message Integrity Check included. The integrity
    /// check bit of the type is set.
    pub body: &'a [u8],
}

/// How long a command takes before its requester is told: well under the 1 s after which OpenBMC
/// gives up.
const EXCUSE_AFTER: u32 = 100;
/// What the requester is then told to wait for the response, in units of 100 ms: 30 s. It is told
/// once.
const EXCUSE_TIME: u16 = 300;
/// How often a pending command is looked at, in milliseconds.
const LOOK_INTERVAL: u32 = 10;
/// How often health is looked at while somebody wants to know of events, in milliseconds.
const OBSERVE_INTERVAL: u32 = 500;

/// A management endpoint that answers for a subsystem. No clock, no executor: time is an argument.
///
/// - Inputs: [`receive`](Self::receive), [`sent`](Self::sent), [`event_sent`](Self::event_sent),
///   [`note`](Self::note), changes of the [`model`](Self::model) and the [`world`](Self::world),
///   and [`advance`](Self::advance) when the [`next_deadline`](Self::next_deadline) comes.
/// - Outputs: [`transmission`](Self::transmission) and [`event_message`](Self::event_message),
///   until there is none, after every input.
/// - Getters: [`next_deadline`](Self::next_deadline), [`serves`](Self::serves),
///   [`drops`](Self::drops).
///
/// [`serve`](crate::serve) does all of that for the traits of the `mctp` crate.
///
/// A command is carried out when it comes. One whose world takes longer than 100 ms gets one More
/// Processing Required (NVMe-MI 1.2), which asks for 30 s; its response then has the same message
/// tag. For how long a requester may be told to wait the specification does not say; libnvme waits
/// for as long as it is told to, and does not mind that the response comes sooner.
///
/// A subsystem reset ends all commands, pauses and subscriptions to events.
#[derive(Debug)]
pub struct Responder<'m, W> {
    pub(crate) model: Model<'m>,
    pub(crate) world: W,
    pub(crate) endpoint: Endpoint<'m>,
    pub(crate) slots: [Slot<'m>; 2],
    observe_at: Instant,
    drops: Drops,
}

impl<'m, W: World> Responder<'m, W> {
    /// A management endpoint at `port` of the subsystem. Its messages are in `buffers`.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchPort`].
    // Not inlined: in its caller's frame all is far from the stack pointer, and each access twice
    // as much code.
    #[inline(never)]
    pub fn new(
        mut model: Model<'m>,
        port: PortId,
        mut world: W,
        buffers: &'m mut MessageBuffers,
    ) -> Result<Self, ModelError> {
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
                paused: false,
                errors: 0,
                events: Events::NONE,
            },
            observe_at: Instant::NEVER,
            slots: buffers.0.each_mut().map(Slot::new),
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

    /// Takes a request in and carries it out. `body` is what follows its message type byte,
    /// `integrity_check` the bit beside the type.
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
            self.endpoint.errors |= match reason {
                DropReason::BadIntegrityCheck => flag::BAD_INTEGRITY_CHECK,
                DropReason::SlotBusy => flag::SLOT_BUSY,
                _ => 0,
            };
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
        if header.kind == Kind::ControlPrimitive {
            self.control(requester, header, content);
            return Ok(());
        }
        let Some(slot) = self.slots.get_mut(header.slot) else {
            return Ok(());
        };
        if slot.state != SlotState::Idle {
            return Err(DropReason::SlotBusy);
        }
        slot.accept(now, requester, header, content);
        self.endpoint.paused |= header.auto_pause;
        self.observe(now);
        self.process(now, header.slot);
        self.advance_events(now);
        Ok(())
    }

    /// Time has passed: goes on with commands that are pending, and with events.
    pub fn advance(&mut self, now: Instant) {
        self.observe(now);
        for index in 0..self.slots.len() {
            self.process(now, index);
        }
        self.advance_events(now);
    }

    /// Looks at the health, and at what runs in the background.
    fn observe(&mut self, now: Instant) {
        admin::observe(&mut self.model, &mut self.world, now);
        self.model.observe(self.world.health());
    }

    fn advance_events(&mut self, now: Instant) {
        self.endpoint
            .events
            .advance(now, &mut self.model, &mut self.world);
        self.observe_at = if self.endpoint.events.is_subscribed() {
            now.after(OBSERVE_INTERVAL)
        } else {
            Instant::NEVER
        };
    }

    /// When to call [`advance`](Self::advance), if nothing else happens before.
    pub fn next_deadline(&self) -> Instant {
        let looks = self
            .slots
            .iter()
            .filter(|slot| slot.state == SlotState::Process)
            .map(|slot| slot.next_look);
        let events = self.endpoint.events.next_deadline().min(self.observe_at);
        looks.fold(events, Instant::min)
    }

    /// Whether something is still to be sent to that [`Requester::exchange`].
    pub fn serves(&self, exchange: u16) -> bool {
        self.slots.iter().any(|slot| slot.serves(exchange))
    }

    /// Whether only a pause keeps the response for that exchange from being sent.
    pub(crate) fn holds_back(&self, exchange: u16) -> bool {
        let is_held = |slot: &Slot<'_>| {
            slot.state == SlotState::Transmit && slot.requester.exchange == exchange
        };
        self.endpoint.paused && self.slots.iter().any(is_held)
    }

    /// Takes the response for that exchange as sent.
    pub(crate) fn give_up(&mut self, exchange: u16) {
        while let Some(source) = self.response_for(exchange) {
            self.sent(source);
        }
    }

    fn response_for(&self, exchange: u16) -> Option<Source> {
        let mut responses = (0u8..)
            .zip(&self.slots)
            .filter_map(|(index, slot)| output(Part::Response, index, slot));
        let found = responses.find(|response| response.requester.exchange == exchange);
        found.map(|response| response.source)
    }

    /// Aborts all commands: nobody waits for their responses.
    pub(crate) fn abort_all(&mut self) {
        for index in 0..self.slots.len() {
            self.abort(index);
            if let Some(slot) = self.slots.get_mut(index) {
                slot.primitive = None;
            }
        }
    }

    /// Counts a message that did not get here.
    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        self.drops.add(reason);
    }

    /// The next message to send, if there is one. It stays the next one until [`sent`](Self::sent),
    /// or another input.
    pub fn transmission(&self) -> Option<Transmission<'_>> {
        self.next_transmission(None)
    }

    /// The next message to send to that [`Requester::exchange`].
    pub fn transmission_for(&self, exchange: u16) -> Option<Transmission<'_>> {
        self.next_transmission(Some(exchange))
    }

    fn next_transmission(&self, exchange: Option<u16>) -> Option<Transmission<'_>> {
        for part in &[Part::Primitive, Part::Excuse, Part::Response] {
            if self.endpoint.paused && *part != Part::Primitive {
                return None;
            }
            for (index, slot) in (0u8..).zip(&self.slots) {
                let found = output(*part, index, slot).filter(|found| {
                    exchange.is_none_or(|exchange| exchange == found.requester.exchange)
                });
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// The message from `source` has been sent, or cannot be. What its command does after the
    /// response happens now.
    pub fn sent(&mut self, source: Source) {
        let Some(slot) = self.slots.get_mut(usize::from(source.slot)) else {
            return;
        };
        let current = output(source.part, source.slot, slot).map(|found| found.source);
        if current != Some(source) {
            return;
        }
        match source.part {
            Part::Primitive => slot.primitive = None,
            Part::Excuse => slot.excuse = None,
            Part::Response => {
                slot.state = SlotState::Idle;
                let effect = slot.effect.take();
                self.apply(effect);
            }
        }
    }

    /// The Asynchronous Event Message to send, if there is one.
    pub fn event_message(&self) -> Option<EventMessage<'_>> {
        let (endpoint_id, body) = self.endpoint.events.message()?;
        Some(EventMessage { endpoint_id, body })
    }

    /// The [`event_message`](Self::event_message) has been sent, or cannot be. It is sent again
    /// until it is acknowledged.
    pub fn event_sent(&mut self, now: Instant) {
        self.endpoint.events.sent(now);
    }

    pub(crate) fn apply(&mut self, effect: Option<Effect>) {
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
    /// Commands and responses are discarded, ports are back at the smallest transmission unit and
    /// 100 kHz, the Management Endpoint Buffer is empty, and all that is reported as changed is
    /// the reset and what it changed.
    pub fn reset_subsystem(&mut self) {
        for slot in &mut self.slots {
            slot.discard();
            slot.primitive = None;
        }
        self.model.state.turn = None;
        self.endpoint.buffer.fill(0);
        self.endpoint.buffer_lost = false;
        self.endpoint.paused = false;
        self.endpoint.errors = flag::SUBSYSTEM_RESET;
        self.endpoint.events = Events::NONE;
        reset::reset(&mut self.model, &mut self.world);
    }

    /// A Controller Level Reset, which the host of `controller` makes by disabling it and enabling
    /// it again.
    ///
    /// What was downloaded and not committed is lost, firmware that waits for a reset runs,
    /// features of the controller have their defaults, and a short self-test of it ends. All
    /// this is reported as changed; commands, ports and other controllers go on.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchController`].
    pub fn reset_controller(&mut self, controller: ControllerId) -> Result<(), ModelError> {
        reset::reset_controller(&mut self.model, &mut self.world, controller)
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
        let abilities = Abilities::of(&self.model, &mut self.world, &self.endpoint);
        let mut context = Context {
            now,
            requester: slot.requester.endpoint_id,
            resumed: slot.begun,
            slot: index as u8,
            alone,
            abilities,
            model: &mut self.model,
            world: &mut self.world,
            endpoint: &mut self.endpoint,
            effect: &mut slot.effect,
        };
        let (handled, end) = carry_out(&mut context, slot.header.kind, slot.buffer, slot.length);
        slot.begun |= handled != Err(Refusal::WAITING);
        match handled {
            Err(Refusal::PENDING | Refusal::WAITING) => {
                slot.next_look = now.after(LOOK_INTERVAL);
                slot.excuse_if_late(now, self.world.crc());
            }
            Err(Refusal::SILENCE) => {
                let effect = slot.effect.take();
                slot.discard();
                self.apply(effect);
            }
            _ => {
                slot.excuse = None;
                put(slot.buffer, 0, &slot.header.response());
                let end = write_status(slot.header.kind, handled, slot.buffer, end);
                slot.length = message::seal(self.world.crc(), slot.buffer, end);
                slot.state = SlotState::Transmit;
            }
        }
    }
}

/// What `part` of a slot has to send.
fn output<'s>(part: Part, index: u8, slot: &'s Slot<'_>) -> Option<Transmission<'s>> {
    let (requester, serial, body) = match part {
        Part::Primitive => {
            let notice = slot.primitive.as_ref()?;
            (notice.requester, slot.primitives, notice.body())
        }
        Part::Excuse => {
            let notice = slot.excuse.as_ref()?;
            (notice.requester, slot.serial, notice.body())
        }
        Part::Response if slot.state == SlotState::Transmit => {
            (slot.requester, slot.serial, slot.body())
        }
        Part::Response => return None,
    };
    let source = Source {
        slot: index,
        part,
        serial,
    };
    Some(Transmission {
        requester,
        source,
        body,
    })
}

impl Slot<'_> {
    /// Gets More Processing Required ready, once, if the command has been taking long.
    fn excuse_if_late(&mut self, now: Instant, crc: &mut impl Crc32c) {
        if self.excused || now < self.received.after(EXCUSE_AFTER) {
            return;
        }
        let [low, high] = EXCUSE_TIME.to_le_bytes();
        let mut message = [0; SHORT_LENGTH];
        put(&mut message, 0, &self.header.response());
        let status = Status::MoreProcessingRequired as u8;
        put(&mut message, HEADER_LENGTH, &[status, 0, low, high]);
        message::seal(crc, &mut message, 8);
        self.excused = true;
        self.excuse = Some(Notice {
            requester: self.requester,
            message,
        });
    }
}

/// Carries out the command of `request_end` bytes in `buffer`, and writes Response Data in its
/// place. They end at the place that is returned.
fn carry_out<W: World>(
    context: &mut Context<'_, '_, W>,
    kind: Kind,
    buffer: &mut MessageBuffer,
    request_end: usize,
) -> (Handled, usize) {
    type Run<W> = fn(&mut Context<'_, '_, W>, &mut Exchange<'_>) -> Handled;
    let (run, request_length, response_length): (Run<W>, usize, usize) = match kind {
        Kind::Admin => (admin::run, admin::REQUEST_LENGTH, admin::RESPONSE_LENGTH),
        Kind::Pcie => (pcie::run, pcie::REQUEST_LENGTH, pcie::RESPONSE_LENGTH),
        // Control primitives never get into a slot.
        Kind::Management | Kind::ControlPrimitive => {
            (mi::run, mi::REQUEST_LENGTH, mi::RESPONSE_LENGTH)
        }
    };
    let mut exchange = Exchange::new(buffer, request_end, request_length, response_length);
    let handled = run(context, &mut exchange);
    (handled, exchange.response_end())
}

/// Writes what comes before Response Data, which end at `data_end`. Returns where the response
/// ends.
///
/// | byte | MI and PCIe commands | Admin commands |
/// |-|-|-|
/// | 4 | status | status |
/// | 7:5 | NMRESP, or where the invalid parameter is | 0, or where the invalid parameter is |
/// | 11:8 | | dword 0 of the completion |
/// | 15:12 | | dword 1, 0 |
/// | 19:16 | | dword 3: [`CompletionStatus`](crate::CompletionStatus) |
///
/// A command that was refused has no data, and one that no controller refused has no completion.
fn write_status(
    kind: Kind,
    handled: Handled,
    buffer: &mut MessageBuffer,
    data_end: usize,
) -> usize {
    let (status, completion, end) = match handled {
        Ok(dword0) if kind == Kind::Admin => (0, Some((dword0, 0)), data_end),
        Ok(management_response) => (management_response << 8, None, data_end),
        Err(refusal) => match refusal.completion() {
            Some(status) => (0, Some((0, status.to_dword3())), admin::RESPONSE_LENGTH),
            None => (refusal.to_dword(), None, mi::RESPONSE_LENGTH),
        },
    };
    put_u32(buffer, 4, status);
    if let Some((dword0, dword3)) = completion {
        put_u32(buffer, 8, dword0);
        put_u32(buffer, 12, 0);
        put_u32(buffer, 16, dword3);
    }
    end
}
