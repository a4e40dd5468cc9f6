//! The Asynchronous Event machine of a management endpoint: who has subscribed to what, and the
//! message that is out. See [`aem`](crate::aem).

use mctp::Eid;
use mctp_time::Instant;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use crate::bytes::put;
use crate::device::observe;
use crate::message::{self, CHECK_LENGTH};
use crate::model::{Controller, Flags, Function, Model, PortId, status};
use crate::wire::{
    EventId, EventMessage, EventScope, MessageKind, Occurrence, OccurrenceListHeader,
    RequestHeader, SetAsynchronousEvents,
};
use crate::world::World;

/// How many events there are: their IDs are those up to Sanitize Failure Mode.
pub(crate) const EVENTS: u8 = EventId::SANITIZE_FAILURE.0 + 1;

/// Events whose scope is the subsystem, as bits.
const OF_SUBSYSTEM: u16 = bit(EventId::COMPOSITE_TEMPERATURE)
    | bit(EventId::PERCENTAGE_USED)
    | bit(EventId::AVAILABLE_SPARE)
    | bit(EventId::SMART_WARNINGS)
    | bit(EventId::PCIE_LINK_ACTIVE)
    | bit(EventId::SANITIZE_FAILURE);

/// Events are kept as bits with the number of their IDs.
pub(crate) const fn bit(event: EventId) -> u16 {
    1u16.unbounded_shl(event.0 as u32)
}

/// How many times a message is sent again: the retry count has three bits.
const RETRIES: u8 = 7;
/// Where retry count and generation are in a message.
const TRANSMISSION_INFORMATION: usize = core::mem::offset_of!(EventMessage, list)
    + core::mem::offset_of!(OccurrenceListHeader, transmission_information);
/// Bytes of the longest message: room for 20 occurrences with a byte of information, which is all
/// that can happen to a subsystem of two controllers.
const MESSAGE_LENGTH: usize =
    size_of::<EventMessage>() + 20 * (size_of::<Occurrence>() + 1) + CHECK_LENGTH;

/// What the message is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// An event. The message does not go out before the end of the Delay Interval.
    Armed(Instant),
    /// The end of the Delay Interval.
    Collecting(Instant),
    /// To be sent.
    Sending,
    /// To be acknowledged, or sent again.
    Sent(Instant),
    /// A Configuration Set: the message was given up, and events are not kept.
    GivenUp,
}

/// A subscription to events, and the message that is out.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    /// A bit for each ID.
    pub(crate) enabled: u16,
    pub(crate) subscriber: Eid,
    /// AERD and AEMD in milliseconds.
    pub(crate) retry_delay: u32,
    pub(crate) delay: u32,
    /// ENCFA, ENPFA and ENVFA, as in Configuration Set.
    pub(crate) functions: u8,
    state: State,
    /// Of the last list with occurrences, if there was one.
    generation: Option<u8>,
    retries: u8,
    length: usize,
    message: [u8; MESSAGE_LENGTH],
}

impl Events {
    /// No subscription.
    pub(crate) const NONE: Self = Self {
        enabled: 0,
        subscriber: mctp::MCTP_ADDR_NULL,
        retry_delay: 0,
        delay: 0,
        functions: 0,
        state: State::Armed(Instant::START),
        generation: None,
        retries: 0,
        length: 0,
        message: [0; MESSAGE_LENGTH],
    };

    pub(crate) fn is_subscribed(&self) -> bool {
        self.enabled != 0
    }

    /// Whether a message was given up: NSS.ATF.
    pub(crate) fn has_failed(&self) -> bool {
        self.state == State::GivenUp
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        match self.state {
            State::Collecting(until) | State::Sent(until) => until,
            State::Armed(_) | State::Sending | State::GivenUp => Instant::NEVER,
        }
    }

    /// The message to send, without its message type byte, and to whom.
    pub(crate) fn message(&self) -> Option<(Eid, &[u8])> {
        let body = self.message.get(..self.length)?;
        (self.state == State::Sending).then_some((self.subscriber, body))
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        if self.state == State::Sending {
            self.state = State::Sent(now.after(self.retry_delay));
        }
    }

    /// Takes the events that happened, as the endpoint at `port` has them, and lets time pass.
    pub(crate) fn advance<W: World>(
        &mut self,
        port: PortId,
        now: Instant,
        model: &mut Model<'_>,
        world: &mut W,
    ) {
        let any = self.forget_unwanted(port, model);
        if let State::Armed(until) = self.state
            && any
        {
            self.state = State::Collecting(until);
        }
        match self.state {
            State::Collecting(until) if now >= until => {
                self.retries = 0;
                self.compose(port, model, world);
                self.seal(world);
            }
            State::Sent(until) if now >= until && self.retries >= RETRIES => {
                self.state = State::GivenUp;
            }
            State::Sent(until) if now >= until => {
                self.retries = self.retries.wrapping_add(1);
                self.seal(world);
            }
            _ => {}
        }
    }

    /// Which events of a controller the subscriber wants to know of.
    fn wanted(&self, controller: &Controller) -> u16 {
        if self.has_failed() {
            return 0;
        }
        let function = match controller.config.function {
            Function::Plain => SetAsynchronousEvents::FUNCTIONS,
            Function::Physical => SetAsynchronousEvents::PHYSICAL_FUNCTIONS,
            Function::Virtual => SetAsynchronousEvents::VIRTUAL_FUNCTIONS,
        };
        let of_this = if self.functions & function != 0 {
            u16::MAX
        } else {
            OF_SUBSYSTEM
        };
        self.enabled & of_this
    }

    /// Returns whether there are others.
    fn forget_unwanted(&self, port: PortId, model: &mut Model<'_>) -> bool {
        let mut any = 0;
        for index in 0..model.controllers.len() {
            let wanted = model
                .controllers
                .get(index)
                .map_or(0, |found| self.wanted(found));
            if let Some(flags) = model.flags(port).get_mut(index) {
                flags.events &= wanted;
                any |= flags.events;
            }
        }
        any != 0
    }

    /// Writes a list of the occurrences of all events that wait, which are then taken, with the
    /// next generation.
    fn compose<W: World>(&mut self, port: PortId, model: &mut Model<'_>, world: &mut W) {
        let health = observe(model, world);
        // What was seen only now may be none of the events that are enabled.
        self.forget_unwanted(port, model);
        let firmware = world.firmware();
        let slots = firmware.map_or(1, |store| {
            store.active_slot() & 7 | (store.next_slot().unwrap_or(0) & 7) << 4
        });
        let mut list = Occurrences {
            message: &mut self.message,
            end: size_of::<EventMessage>(),
            count: 0,
            overflow: false,
        };
        let mut of_subsystem = 0;
        for index in 0..model.controllers.len() {
            let taken = model.flags(port).get_mut(index).map(take_events);
            let events = taken.unwrap_or(0);
            of_subsystem |= events & OF_SUBSYSTEM;
            let Some(controller) = model.controllers.get(index) else {
                continue;
            };
            let scope = (EventScope::CONTROLLER, controller.id.0);
            for event in ids(events & !OF_SUBSYSTEM) {
                let information = match event {
                    EventId::SHUTDOWN_STATUS => Some(shutdown_of(controller)),
                    EventId::FIRMWARE_ACTIVATED => Some(slots),
                    _ => None,
                };
                list.add(event, scope, information);
            }
        }
        for event in ids(of_subsystem) {
            let information = match event {
                EventId::COMPOSITE_TEMPERATURE => Some(health.temperature),
                EventId::PERCENTAGE_USED => Some(health.percentage_used),
                EventId::AVAILABLE_SPARE => Some(health.available_spare),
                EventId::SMART_WARNINGS => Some(health.smart_warnings()),
                _ => None,
            };
            list.add(event, (EventScope::SUBSYSTEM, 0), information);
        }
        let generation = self
            .generation
            .map_or(0, |last| last.wrapping_add(1) & 0x1F);
        self.generation = Some(generation);
        self.length = list.finish(transmission_information(generation, 0));
    }

    /// Gets the message ready to be sent with its retry count.
    fn seal<W: World>(&mut self, world: &mut W) {
        let information = transmission_information(self.generation.unwrap_or(0), self.retries);
        put(&mut self.message, TRANSMISSION_INFORMATION, &[information]);
        let end = self.length.saturating_sub(CHECK_LENGTH);
        message::seal_exactly(world, &mut self.message, end);
        self.state = State::Sending;
    }

    /// Whether a message is out that was not acknowledged yet: the Transmission Interval.
    pub(crate) fn is_transmitting(&self) -> bool {
        matches!(self.state, State::Sending | State::Sent(_))
    }

    /// Arms: the Delay Interval begins. A message that is out is not sent again.
    pub(crate) fn arm(&mut self, now: Instant) {
        self.state = State::Armed(now.after(self.delay));
    }

    /// The subscriber has the message. Returns whether events happened since, which are in the
    /// [`list`](Self::list) and count as reported.
    pub(crate) fn acknowledge<W: World>(
        &mut self,
        port: PortId,
        now: Instant,
        model: &mut Model<'_>,
        world: &mut W,
    ) -> bool {
        if !self.is_transmitting() && !self.has_failed() {
            return false;
        }
        let any = self.forget_unwanted(port, model);
        if any {
            self.compose(port, model, world);
        }
        self.arm(now);
        any
    }

    /// The occurrence list that was composed last.
    pub(crate) fn list(&self) -> &[u8] {
        let end = self.length.saturating_sub(CHECK_LENGTH);
        self.message
            .get(size_of::<RequestHeader>()..end)
            .unwrap_or_default()
    }

    /// A list without occurrences.
    pub(crate) fn empty_list(&self) -> OccurrenceListHeader {
        let mut list =
            OccurrenceListHeader::new(0, size_of::<OccurrenceListHeader>() as u16, false);
        list.transmission_information = transmission_information(self.generation.unwrap_or(0), 0);
        list
    }
}

const fn transmission_information(generation: u8, retries: u8) -> u8 {
    generation << 3 | retries & 7
}

fn take_events(flags: &mut Flags) -> u16 {
    core::mem::take(&mut flags.events)
}

/// The information of a shutdown status event: shutdown status and shutdown type.
fn shutdown_of(controller: &Controller) -> u8 {
    let status = (controller.status & status::SHUTDOWN) >> 2;
    let is_of_subsystem = controller.status & status::SUBSYSTEM_SHUTDOWN != 0;
    (status & 3) as u8 | u8::from(is_of_subsystem) << 2
}

/// The events in `events`, ascending.
fn ids(events: u16) -> impl Iterator<Item = EventId> {
    (0..EVENTS)
        .map(EventId)
        .filter(move |event| events & bit(*event) != 0)
}

/// An occurrence list being written.
struct Occurrences<'m> {
    message: &'m mut [u8; MESSAGE_LENGTH],
    end: usize,
    count: u8,
    overflow: bool,
}

impl Occurrences<'_> {
    fn add(&mut self, event: EventId, scope: (EventScope, u16), information: Option<u8>) {
        let has_information = u8::from(information.is_some());
        let information_start = self.end.wrapping_add(size_of::<Occurrence>());
        let end = information_start.wrapping_add(usize::from(has_information));
        if end.wrapping_add(CHECK_LENGTH) > MESSAGE_LENGTH {
            self.overflow = true;
            return;
        }
        let (scope, id) = scope;
        let occurrence = Occurrence {
            header_length: size_of::<Occurrence>() as u8,
            information_length: has_information,
            vendor_information_length: 0,
            event,
            scope_id: U32::new(u32::from(id)),
            scope: scope.0,
        };
        put(self.message, self.end, occurrence.as_bytes());
        // Where there is no information, what comes next overwrites this byte.
        put(self.message, information_start, &[information.unwrap_or(0)]);
        self.end = end;
        self.count = self.count.wrapping_add(1);
    }

    /// Writes what comes before the occurrences. Returns the length of the message, Message
    /// Integrity Check included.
    fn finish(self, transmission_information: u8) -> usize {
        let total = self.end.saturating_sub(size_of::<RequestHeader>()) as u16;
        let mut list = OccurrenceListHeader::new(self.count, total, self.overflow);
        list.transmission_information = transmission_information;
        let header = RequestHeader::request(MessageKind::ASYNCHRONOUS_EVENT, 0);
        put(self.message, 0, EventMessage { header, list }.as_bytes());
        self.end.wrapping_add(CHECK_LENGTH)
    }
}
