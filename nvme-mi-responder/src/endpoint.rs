//! A management endpoint: messages in, messages out.

use mctp::Eid;
use mctp_time::Instant;
use zerocopy::IntoBytes;

use crate::bytes::put;
use crate::context::{Context, Effect, EndpointState};
use crate::device::{self, Device};
use crate::exchange::{Exchange, Request, Starts};
use crate::failure::{Handled, Refusal};
use crate::message::{self, DropReason, Drops, Header, Kind, Opened};
use crate::model::{ModelError, PortId};
use crate::requester::Requester;
use crate::slots::{MessageBuffer, Notice, SHORT_LENGTH, Slot, SlotState};
use crate::transport_errors::{TransportErrors, flag};
use crate::wire::{
    AdminResponse, ManagementResponse, MoreProcessingRequiredResponse, ResponseStatus,
};
use crate::world::World;
use crate::{admin, mi, pcie};

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmission<'a> {
    /// To whom: as it came with the request.
    pub requester: Requester,
    /// Which message it is, for [`ManagementEndpoint::sent`].
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
    MoreProcessing,
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

/// How many milliseconds a command takes before its requester is told (NVMe-MI 1.2, section
/// 4.1.2.3): well under the 1 s after which OpenBMC gives up.
const TELL_AFTER: u32 = 100;
/// How often a pending command is looked at, in milliseconds.
const LOOK_INTERVAL: u32 = 10;
/// How often health is looked at while somebody wants to know of events, in milliseconds.
const OBSERVE_INTERVAL: u32 = 500;

/// A management endpoint at one port of a [`Device`], which every call takes. No clock, no
/// executor: time is an argument.
///
/// - Inputs: [`receive`](Self::receive), [`sent`](Self::sent), [`event_sent`](Self::event_sent),
///   [`note`](Self::note), [`reset`](Self::reset) when the link was lost, and
///   [`advance`](Self::advance) when the [`next_deadline`](Self::next_deadline) comes.
/// - Outputs: [`transmission`](Self::transmission) and [`event_message`](Self::event_message),
///   until there is none, after every input.
/// - Getters: [`next_deadline`](Self::next_deadline), [`serves`](Self::serves),
///   [`drops`](Self::drops).
///
/// [`Server`](crate::Server) does all of that for the traits of the `mctp` crate.
///
/// A command is carried out when it comes, and read where it is: the endpoint keeps a request only
/// if it is pending. A command whose world takes longer than 100 ms gets one More Processing
/// Required (NVMe-MI 1.2, section 4.1.2.3), which says how long the world may take; its response
/// then has the same message tag.
///
/// # What survives
///
/// | | link lost: [`reset`](Self::reset) | [NVM Subsystem Reset](Device::reset_subsystem) | Controller Level Reset |
/// |-|-|-|-|
/// | commands, responses, Replay | no | no, at every endpoint | yes |
/// | Pause, error flags of Get State | no, but NSSRO | no; NSSRO is set | yes |
/// | subscription to events | no | no | yes |
/// | changed flags (CCS, CHSCF) | no | only what the reset changed | yes |
/// | transmission unit and frequency of the port | 64 bytes, 100 kHz | the same, of all ports | yes |
/// | Management Endpoint Buffer | zero | zero | yes |
/// | firmware that was downloaded and not committed | yes | no | no |
/// | model, firmware slots, VPD, logs, operations in the background | yes | yes, but a short self-test | yes, but a short self-test of the controller |
///
/// A host that suspends, or whose own link goes down, changes nothing here. (NVMe-MI 1.2, sections
/// 8.3.1 to 8.3.3; that a lost USB link is a Management Endpoint Reset is our reading, as no text
/// says what a lost link is.)
///
/// **Reading.** How long More Processing Required asks for, and how often: as long as the world may
/// take, once, after 100 ms.
///
/// **Reading.** What a lost link is: a Management Endpoint Reset.
#[derive(Debug)]
pub struct ManagementEndpoint<'e> {
    pub(crate) state: EndpointState,
    /// The Management Endpoint Buffer.
    pub(crate) buffer: &'e mut [u8],
    pub(crate) slots: [Slot<'e>; 2],
    observe_at: Instant,
    drops: Drops,
    /// Of the resets and emptied buffers of the device, those that it followed.
    followed: Followed,
}

/// What happened to the device, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Followed {
    resets: u32,
    buffers_emptied: u32,
}

impl Followed {
    fn of<W>(device: &Device<'_, W>) -> Self {
        Self {
            resets: device.resets,
            buffers_emptied: device.model.state.buffers_emptied,
        }
    }
}

impl<'e> ManagementEndpoint<'e> {
    /// The management endpoint at `port` of the device. Each command slot has one of the `buffers`.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchPort`]; [`ModelError::HasEndpoint`].
    // Not inlined: in its caller's frame all is far from the stack pointer, and each access twice
    // as much code.
    #[inline(never)]
    pub fn new<W: World>(
        device: &mut Device<'_, W>,
        port: PortId,
        buffers: [&'e mut MessageBuffer; 2],
    ) -> Result<Self, ModelError> {
        let found = device.model.port_mut(port);
        let found = found.ok_or(ModelError::NoSuchPort(port))?;
        if found.endpoint.is_some() {
            return Err(ModelError::HasEndpoint(port));
        }
        found.endpoint = Some(0);
        device.model.forget_changes_of(port);
        Ok(Self {
            state: EndpointState::new(port),
            buffer: &mut [],
            observe_at: Instant::NEVER,
            slots: buffers.map(Slot::new),
            drops: Drops::default(),
            followed: Followed::of(device),
        })
    }

    /// With a Management Endpoint Buffer: Management Endpoint Buffer Read and Write are supported.
    #[must_use]
    pub fn with_endpoint_buffer<W: World>(
        mut self,
        device: &mut Device<'_, W>,
        buffer: &'e mut [u8],
    ) -> Self {
        if let Some(port) = device.model.port_mut(self.state.port) {
            port.endpoint = Some(u32::try_from(buffer.len()).unwrap_or(u32::MAX));
        }
        self.buffer = buffer;
        self
    }

    /// The port it is at.
    pub fn port(&self) -> PortId {
        self.state.port
    }

    /// The messages that were dropped.
    pub fn drops(&self) -> Drops {
        self.drops
    }

    /// Something was wrong with packets for this endpoint: Get State will say so.
    pub fn note(&mut self, errors: TransportErrors) {
        self.state.errors |= errors.to_bits();
    }

    /// Takes a request in and carries it out. `body` is what follows its message type byte,
    /// `integrity_check` the bit beside the type.
    ///
    /// # Errors
    ///
    /// The message is dropped, and counted.
    pub fn receive<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        now: Instant,
        requester: Requester,
        integrity_check: bool,
        body: &[u8],
    ) -> Result<(), DropReason> {
        self.follow(device);
        let taken = self.take(device, now, requester, integrity_check, body);
        if let Err(reason) = taken {
            self.drops.add(reason);
            self.state.errors |= match reason {
                DropReason::BadIntegrityCheck => flag::BAD_INTEGRITY_CHECK,
                DropReason::SlotBusy => flag::SLOT_BUSY,
                _ => 0,
            };
        }
        taken
    }

    fn take<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        now: Instant,
        requester: Requester,
        integrity_check: bool,
        body: &[u8],
    ) -> Result<(), DropReason> {
        let opened = message::open(&mut device.world, integrity_check, body)?;
        let Opened {
            header, content, ..
        } = opened;
        if header.kind == Kind::ControlPrimitive {
            self.control(device, now, requester, header, content);
            return Ok(());
        }
        let Some(slot) = self.slots.get_mut(header.slot) else {
            return Ok(());
        };
        if slot.state != SlotState::Idle {
            return Err(DropReason::SlotBusy);
        }
        slot.accept(now, requester, &opened);
        self.state.paused |= header.auto_pause;
        self.process(device, now, header.slot, Some(content));
        self.advance_events(device, now);
        Ok(())
    }

    /// Time has passed: goes on with commands that are pending, and with events.
    pub fn advance<W: World>(&mut self, device: &mut Device<'_, W>, now: Instant) {
        self.follow(device);
        // A command that waits for the other slot comes second: it begins as soon as that is done.
        let [first, _] = &self.slots;
        let order = if first.begun { [0, 1] } else { [1, 0] };
        for index in order {
            self.process(device, now, index, None);
        }
        if self.state.events.is_subscribed() {
            admin::observe(&mut device.model, &mut device.world, now);
            device::observe(&mut device.model, &mut device.world);
            self.observe_at = Instant::NEVER;
        }
        self.advance_events(device, now);
    }

    fn advance_events<W: World>(&mut self, device: &mut Device<'_, W>, now: Instant) {
        if self.state.events.is_subscribed() {
            let (port, events) = (self.state.port, &mut self.state.events);
            events.advance(port, now, &mut device.model, &mut device.world);
            // A command does not put off the next look, which only `advance` does.
            self.observe_at = self.observe_at.min(now.after(OBSERVE_INTERVAL));
        } else {
            self.observe_at = Instant::NEVER;
        }
    }

    /// When to call [`advance`](Self::advance), if nothing else happens before.
    pub fn next_deadline(&self) -> Instant {
        let looks = self
            .slots
            .iter()
            .filter(|slot| slot.state == SlotState::Process)
            .map(|slot| slot.next_look);
        let events = self.state.events.next_deadline().min(self.observe_at);
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
        self.state.paused && self.slots.iter().any(is_held)
    }

    /// Takes the response for that exchange as sent.
    pub(crate) fn give_up<W: World>(&mut self, device: &mut Device<'_, W>, exchange: u16) {
        while let Some(source) = self.response_for(exchange) {
            self.sent(device, source);
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
    pub(crate) fn abort_all<W: World>(&mut self, device: &mut Device<'_, W>) {
        for index in 0..self.slots.len() {
            self.abort(device, index);
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
        for part in &[Part::Primitive, Part::MoreProcessing, Part::Response] {
            if self.state.paused && *part != Part::Primitive {
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
    pub fn sent<W: World>(&mut self, device: &mut Device<'_, W>, source: Source) {
        let Some(slot) = self.slots.get_mut(usize::from(source.slot)) else {
            return;
        };
        let current = output(source.part, source.slot, slot).map(|found| found.source);
        if current != Some(source) {
            return;
        }
        match source.part {
            Part::Primitive => slot.primitive = None,
            Part::MoreProcessing => slot.more_processing = None,
            Part::Response => {
                slot.state = SlotState::Idle;
                if let Some(effect) = slot.effect.take() {
                    self.apply(device, effect);
                }
            }
        }
    }

    /// The Asynchronous Event Message to send, if there is one.
    pub fn event_message(&self) -> Option<EventMessage<'_>> {
        let (endpoint_id, body) = self.state.events.message()?;
        Some(EventMessage { endpoint_id, body })
    }

    /// The [`event_message`](Self::event_message) has been sent, or cannot be. It is sent again
    /// until it is acknowledged.
    pub fn event_sent(&mut self, now: Instant) {
        self.state.events.sent(now);
    }

    pub(crate) fn apply<W: World>(&mut self, device: &mut Device<'_, W>, effect: Effect) {
        if device.resets != self.followed.resets {
            // A reset that this endpoint follows only later discarded the command.
            return;
        }
        match effect {
            // What the port has by now: the command may not have been the last to set it.
            Effect::TransmissionUnit(id) => {
                if let (Some(effects), Some(port)) = (device.world.effects(), device.model.port(id))
                {
                    effects.transmission_unit_changed(id, port.transmission_unit);
                }
            }
            Effect::Frequency(id) => {
                if let (Some(effects), Some(port)) = (device.world.effects(), device.model.port(id))
                {
                    effects.smbus_frequency_changed(id, port.frequency);
                }
            }
            Effect::Shutdown(kind) => device.shut_down(kind),
            Effect::Reset => {
                device.reset_subsystem();
                self.follow(device);
            }
        }
    }

    /// A Management Endpoint Reset (NVMe-MI 1.2, section 8.3.3): call it when the link over which
    /// requesters reach this endpoint was lost. Commands are aborted, and what one requester set up
    /// is not there for the next: see [What survives](Self#what-survives). A command of which only
    /// the response was left is done: what it does after its response happens now.
    pub fn reset<W: World>(&mut self, device: &mut Device<'_, W>) {
        self.follow(device);
        // What commands that were carried out do after their responses, they do now.
        self.abort_all(device);
        // That the subsystem was reset, only Get State clears.
        let errors = self.state.errors & flag::SUBSYSTEM_RESET;
        self.forget(device);
        self.state.errors = errors;
        device.model.forget_changes_of(self.state.port);
        device.reset_port(self.state.port);
    }

    /// Goes back to how it was made.
    fn forget<W: World>(&mut self, device: &mut Device<'_, W>) {
        for (index, slot) in (0u8..).zip(&mut self.slots) {
            slot.discard();
            slot.primitive = None;
            device.end_exclusive(self.state.port, index);
        }
        self.buffer.fill(0);
        self.state = EndpointState::new(self.state.port);
        self.observe_at = Instant::NEVER;
        self.followed = Followed::of(device);
    }

    /// Follows what happened to the device by another endpoint, or by itself.
    pub(crate) fn follow<W: World>(&mut self, device: &mut Device<'_, W>) {
        let happened = Followed::of(device);
        if happened == self.followed {
            return;
        }
        if happened.resets != self.followed.resets {
            self.forget(device);
            self.state.errors = flag::SUBSYSTEM_RESET;
        } else {
            self.buffer.fill(0);
            self.state.buffer_lost = !self.buffer.is_empty();
        }
        self.followed = happened;
    }

    /// Carries out, or goes on with, the command in slot `index`: `received`, or the one that is
    /// pending there.
    fn process<W: World>(
        &mut self,
        device: &mut Device<'_, W>,
        now: Instant,
        index: usize,
        received: Option<&[u8]>,
    ) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.state != SlotState::Process {
            return;
        }
        let mut context = Context {
            now,
            requester: slot.requester.endpoint_id,
            resumed: slot.begun,
            slot: index as u8,
            check: slot.check,
            longest: 0,
            model: &mut device.model,
            world: &mut device.world,
            exclusive: &mut device.exclusive,
            endpoint: &mut self.state,
            endpoint_buffer: &mut *self.buffer,
            effect: &mut slot.effect,
        };
        let request = received.map_or(Request::Stored(slot.length), Request::InPlace);
        let carried = carry_out(&mut context, slot.header.kind, slot.buffer, request);
        let handled = carried.handled;
        let longest = context.longest;
        match handled {
            Err(Refusal::PENDING | Refusal::WAITING) => {
                if !slot.begun {
                    slot.begun = handled == Err(Refusal::PENDING);
                    // It counts from when the command came, which may have waited before it began.
                    let waited = if slot.begun {
                        now.since(slot.received)
                    } else {
                        0
                    };
                    slot.longest = longest.saturating_add(waited as u32);
                }
                if let Some(request) = received {
                    slot.keep(request);
                }
                slot.next_look = now.after(LOOK_INTERVAL);
                slot.tell_if_late(now, &mut device.world);
            }
            Err(Refusal::SILENCE) => {
                let effect = slot.effect.take();
                slot.discard();
                if let Some(effect) = effect {
                    self.apply(device, effect);
                }
            }
            _ => {
                slot.more_processing = None;
                let world = &mut device.world;
                let end = write_status(slot.header, handled, slot.buffer, carried.end);
                slot.length = if carried.is_exact {
                    message::seal_exactly(world, slot.buffer, end)
                } else {
                    message::seal(world, slot.buffer, end)
                };
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
            (notice.requester, slot.primitives, &notice.message[..])
        }
        Part::MoreProcessing => {
            let notice = slot.more_processing.as_ref()?;
            (notice.requester, slot.serial, &notice.message[..])
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
    fn tell_if_late(&mut self, now: Instant, world: &mut impl World) {
        if !self.told && now >= self.received.after(TELL_AFTER) {
            self.tell(now, world);
        }
    }

    /// Gets More Processing Required ready, with what remains of the longest time.
    pub(crate) fn tell(&mut self, now: Instant, world: &mut impl World) {
        let elapsed = now.since(self.received);
        let further = u64::from(self.longest)
            .saturating_sub(elapsed)
            .div_ceil(100);
        // 0 would be no time, and FFFFh is that much or more.
        let further = u16::try_from(further).unwrap_or(u16::MAX).max(1);
        let Header { kind, slot, .. } = self.header;
        let response = MoreProcessingRequiredResponse::new(kind.into(), slot as u8, further);
        let mut message = [0; SHORT_LENGTH];
        put(&mut message, 0, response.as_bytes());
        message::seal(world, &mut message, mi::STARTS.response_start);
        self.told = true;
        self.more_processing = Some(Notice {
            requester: self.requester,
            message,
        });
    }
}

/// How a command ended.
struct Carried {
    handled: Handled,
    /// Where Response Data end in the buffer.
    end: usize,
    /// Whether the response is not padded: the request says how many data bytes it wants.
    is_exact: bool,
}

/// Carries out the command of `request`, and writes Response Data to `buffer`.
fn carry_out<W: World>(
    context: &mut Context<'_, '_, W>,
    kind: Kind,
    buffer: &mut [u8],
    request: Request<'_>,
) -> Carried {
    type Run<W> = fn(&mut Context<'_, '_, W>, &mut Exchange<'_>) -> Handled;
    let (run, starts): (Run<W>, Starts) = match kind {
        Kind::Admin => (admin::run, admin::STARTS),
        Kind::Pcie => (pcie::run, pcie::STARTS),
        // Control primitives never get into a slot.
        Kind::Management | Kind::ControlPrimitive => (mi::run, mi::STARTS),
    };
    let mut exchange = Exchange::new(buffer, request, starts);
    let handled = run(context, &mut exchange);
    Carried {
        handled,
        end: exchange.response_end(),
        is_exact: exchange.is_exact(),
    }
}

/// Writes what comes before Response Data, which end at `data_end`: a [`ManagementResponse`], which
/// is also what a command gets that no controller refused, or an [`AdminResponse`]. Returns where
/// the response ends. A command that was refused has no data.
fn write_status(header: Header, handled: Handled, buffer: &mut [u8], data_end: usize) -> usize {
    let is_admin = header.kind == Kind::Admin;
    let (status, completion, end) = match handled {
        Ok(dword0) if is_admin => (0, Some((dword0, 0)), data_end),
        Ok(management_response) => (management_response << 8, None, data_end),
        Err(refusal) => match refusal.completion() {
            Some(status) => (
                0,
                Some((0, status.to_dword3())),
                admin::STARTS.response_start,
            ),
            None => (refusal.to_dword(), None, mi::STARTS.response_start),
        },
    };
    let header = header.response();
    match completion {
        Some((dword0, dword3)) => {
            let response = AdminResponse {
                header,
                dword0: dword0.into(),
                dword3: dword3.into(),
                ..AdminResponse::default()
            };
            put(buffer, 0, response.as_bytes());
        }
        None => {
            let [status, a, b, c] = status.to_le_bytes();
            let response = ManagementResponse {
                header,
                status: ResponseStatus(status),
                result: [a, b, c],
            };
            put(buffer, 0, response.as_bytes());
        }
    }
    end
}
