//! The Asynchronous Event machine of a management endpoint: who has subscribed to what, and the
//! message that is out. See [`aem`](crate::aem).

use mctp::Eid;
use mctp_time::Instant;

use crate::bytes::put;
use crate::device::observe;
use crate::message::{self, CHECK_LENGTH, HEADER_LENGTH};
use crate::model::{Controller, Flags, Function, Model, PortId, event, status};
use crate::world::World;

/// How many events there are: their IDs are those below.
pub(crate) const EVENTS: u8 = 0x0D;
/// Events whose scope is the subsystem, as bits.
const OF_SUBSYSTEM: u16 = 1 << TEMPERATURE
    | 1 << PERCENTAGE_USED
    | 1 << SPARE
    | 1 << WARNINGS
    | event::LINK_CHANGED
    | event::SANITIZE_FAILED;

const SHUTDOWN: u8 = 0x02;
const FIRMWARE: u8 = 0x05;
const TEMPERATURE: u8 = 0x06;
const PERCENTAGE_USED: u8 = 0x07;
const SPARE: u8 = 0x08;
const WARNINGS: u8 = 0x09;

/// Bytes of the header of an occurrence list.
pub(crate) const OCCURRENCES_HEADER: usize = 7;
/// Bytes of an occurrence without information.
const OCCURRENCE: usize = 9;

const SCOPE_CONTROLLER: u8 = 1;
const SCOPE_SUBSYSTEM: u8 = 2;

/// How many times a message is sent again.
const RETRIES: u8 = 3;
/// Where retry count and generation are in a message.
const GENERATION: usize = HEADER_LENGTH + 6;
/// Bytes of the longest message: room for 20 occurrences, which is all that can happen to a
/// subsystem of two controllers.
const MESSAGE_LENGTH: usize = HEADER_LENGTH + OCCURRENCES_HEADER + 20 * 10 + CHECK_LENGTH;

/// What the message is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// An event.
    Armed,
    /// The end of AEMD.
    Collecting(Instant),
    /// To be sent.
    Sending,
    /// To be acknowledged, or sent again.
    Sent(Instant),
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
    /// ENCFA, ENPFA and ENVFA in bits 0 to 2.
    pub(crate) functions: u8,
    pub(crate) state: State,
    /// Bits 4:0 are sent.
    pub(crate) generation: u8,
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
        state: State::Armed,
        generation: 0,
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
            State::Armed | State::Sending | State::GivenUp => Instant::NEVER,
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
        if self.state == State::Armed && any {
            self.state = State::Collecting(now.after(self.delay));
        }
        match self.state {
            State::Collecting(until) if now >= until => {
                self.generation = self.generation.wrapping_add(1);
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
        let function = match controller.config.function {
            Function::Plain => 1 << 0,
            Function::Physical => 1 << 1,
            Function::Virtual => 1 << 2,
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

    /// Writes the occurrences of all events that wait, which are then taken.
    fn compose<W: World>(&mut self, port: PortId, model: &mut Model<'_>, world: &mut W) {
        let health = observe(model, world);
        let firmware = world.firmware();
        let slots = firmware.map_or(1, |store| {
            store.active_slot() & 7 | (store.next_slot().unwrap_or(0) & 7) << 4
        });
        let mut list = Occurrences {
            message: &mut self.message,
            end: HEADER_LENGTH + OCCURRENCES_HEADER,
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
            let shutdown = (controller.status & status::SHUTDOWN) >> 2;
            let scope = (SCOPE_CONTROLLER, controller.id.0);
            for event in ids(events & !OF_SUBSYSTEM) {
                let information = match event {
                    SHUTDOWN => Some(shutdown.to_le_bytes()[0]),
                    FIRMWARE => Some(slots),
                    _ => None,
                };
                list.add(event, scope, information);
            }
        }
        for event in ids(of_subsystem) {
            let information = match event {
                TEMPERATURE => Some(health.temperature),
                PERCENTAGE_USED => Some(health.percentage_used),
                SPARE => Some(health.available_spare),
                WARNINGS => Some(health.smart_warnings()),
                _ => None,
            };
            list.add(event, (SCOPE_SUBSYSTEM, 0), information);
        }
        self.length = list.finish();
    }

    /// Gets the message ready to be sent with its retry count.
    fn seal<W: World>(&mut self, world: &mut W) {
        let generation = self.generation << 3 | self.retries & 7;
        put(&mut self.message, GENERATION, &[generation]);
        let end = self.length.saturating_sub(CHECK_LENGTH);
        message::seal_exactly(world, &mut self.message, end);
        self.state = State::Sending;
    }

    /// The subscriber has the message.
    pub(crate) fn acknowledge(&mut self) {
        if matches!(self.state, State::Sending | State::Sent(_) | State::GivenUp) {
            self.state = State::Armed;
        }
    }
}

fn take_events(flags: &mut Flags) -> u16 {
    core::mem::take(&mut flags.events)
}

/// The IDs of the events in `events`, ascending.
fn ids(events: u16) -> impl Iterator<Item = u8> {
    (0..EVENTS).filter(move |event| events & 1 << event != 0)
}

/// An occurrence list being written.
struct Occurrences<'m> {
    message: &'m mut [u8; MESSAGE_LENGTH],
    end: usize,
    count: u8,
    overflow: bool,
}

impl Occurrences<'_> {
    fn add(&mut self, event: u8, scope: (u8, u16), information: Option<u8>) {
        let has_information = u8::from(information.is_some());
        let length = OCCURRENCE.wrapping_add(usize::from(has_information));
        let end = self.end.wrapping_add(length);
        if end.wrapping_add(CHECK_LENGTH) > MESSAGE_LENGTH {
            self.overflow = true;
            return;
        }
        let (scope, id) = scope;
        let [id_low, id_high] = id.to_le_bytes();
        let occurrence = [
            OCCURRENCE as u8,
            has_information,
            0,
            event,
            id_low,
            id_high,
            0,
            0,
            scope,
            information.unwrap_or(0),
        ];
        // The last byte is overwritten where there is no information.
        put(self.message, self.end, &occurrence);
        self.end = end;
        self.count = self.count.wrapping_add(1);
    }

    /// Writes what comes before the occurrences. Returns the length of the message, Message
    /// Integrity Check included.
    fn finish(self) -> usize {
        let [low, high, ..] = self.end.saturating_sub(HEADER_LENGTH).to_le_bytes();
        let overflow = u8::from(self.overflow) << 7;
        put(self.message, 0, &[0x28, 0, 0]);
        let header = OCCURRENCES_HEADER as u8;
        put(
            self.message,
            HEADER_LENGTH,
            &[self.count, 0, low, high, overflow, header],
        );
        self.end.wrapping_add(CHECK_LENGTH)
    }
}
