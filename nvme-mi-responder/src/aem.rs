//! Asynchronous Events (NVMe-MI 2.0): Configuration Set and Get of identifier 04h, and Asynchronous
//! Event Messages.
//!
//! | ID | event | scope | information, 1 byte |
//! |-|-|-|-|
//! | 00h | controller ready | controller | |
//! | 01h | controller fatal status | controller | |
//! | 02h | shutdown status | controller | 1:0, CSTS.SHST |
//! | 03h | controller enable | controller | |
//! | 04h | namespace attribute changed | controller | |
//! | 05h | firmware activated | controller | 2:0 the active slot, 6:4 the one after the next reset |
//! | 06h | composite temperature | subsystem | as byte 2 of the [health poll](crate::mi::health) |
//! | 07h | percentage used | subsystem | as byte 3 there |
//! | 08h | available spare | subsystem | the lowest of all controllers, in percent |
//! | 09h | SMART warnings | subsystem | as byte 1 there |
//! | 0Ah | telemetry data available | controller | |
//! | 0Bh | PCIe link up or down | subsystem | |
//! | 0Ch | a sanitize operation failed | subsystem | |
//!
//! That the scopes are these, and the information of 07h to 09h, the sources for this crate do not
//! say; libnvme takes any.
//!
//! # Configuration Get
//!
//! The response has the AE Supported List from byte 8, and the version of the enable list, 0, in
//! byte 5.
//!
//! | byte | field |
//! |-|-|
//! | 0 | NUMAES, how many events there are |
//! | 1 | AESLVER, 0 |
//! | 3:2 | AEST, bytes of the list |
//! | 4 | AESLHL, bytes of this header, 5 |
//! | 5.. | for each: a byte with the length of the entry, 3, and 2 bytes with its ID in bits 7:0 and, in bit 15, whether it is enabled |
//!
//! # Configuration Set
//!
//! | byte | field |
//! |-|-|
//! | 9 | AERD, after how many units of 100 ms a message is sent again. 0 is taken as 1 |
//! | 10 | AEMD, how many seconds events are collected for one message |
//! | 11 | bits 0 to 2, ENCFA, ENPFA, ENVFA: controller events of plain functions, SR-IOV physical and virtual functions are wanted |
//! | 16 | NUMAEE, how many entries |
//! | 17 | AEELVER, 0 |
//! | 19:18 | AEETL, bytes of the list |
//! | 20 | AEELHL, bytes of this header, 5 |
//! | 21.. | for each: a byte with the length of the entry, 3, and 2 bytes with the ID and, in bit 15, whether it is to be enabled |
//!
//! With entries it is a *Sync*: whoever sent it gets the messages from now on; events that are not
//! named stay as they are; AERD, AEMD and the functions are set. The response has an occurrence
//! list, here always one without occurrences: what happened before is in the health polls. When
//! nothing is enabled any more, the subscription ends. A Sync from somebody else takes the
//! subscription over.
//!
//! Without entries it is an *Ack* of the message that was sent. It succeeds when there is none,
//! since libnvme sends one to disable nothing. The response has no data. One from somebody else
//! acknowledges nothing.
//!
//! Errors: Invalid Command Input Data Size if the Request Data are shorter than a header, or not as
//! long as AEETL; Invalid Parameter at byte 17 for AEELVER, at 18 if AEETL is not that of so many
//! entries, at 20 for AEELHL, at its first byte for the length of an entry, at its second for an
//! event that does not exist. Then nothing is changed.
//!
//! # Asynchronous Event Message
//!
//! Message kind 5 with the response bit 0, slot 0: `84 28 00 00`, then the occurrence list, and the
//! Message Integrity Check without padding. It goes to the endpoint that sent the last Sync, with a
//! message tag that the device owns.
//!
//! | byte | field |
//! |-|-|
//! | 0 | NUMAEO, how many occurrences |
//! | 1 | AELVER, 0 |
//! | 4:2 | 22:0 AEOLTL, bytes of the list; 23, there were more |
//! | 5 | AEOLHL, bytes of this header, 7 |
//! | 6 | 2:0 how many times it was sent before, 7:3 AEMGN, the generation |
//!
//! and for each occurrence:
//!
//! | byte | field |
//! |-|-|
//! | 0 | AELHLEN, bytes before the information, 9 |
//! | 1 | AEOSIL, bytes of information |
//! | 2 | AEOVSIL, bytes of vendor's information, 0 |
//! | 3 | ID |
//! | 7:4 | the controller ID if the scope is that of a controller, else 0 |
//! | 8 | scope: 1 controller, 2 subsystem |
//! | 9.. | information |
//!
//! There is one message until it is acknowledged; events that happen meanwhile are in the next one,
//! which has the next generation. A message that is not acknowledged is sent again 3 times, with
//! the same generation. Then it is given up, the health poll says so (NSS.ATF), and nothing is sent
//! until an Ack or a Sync. How many times, the sources for this crate do not say. A reset disables
//! all events.

use mctp::Eid;
use mctp_time::Instant;

use crate::Crc32c;
use crate::bytes::{put, put_u32, u8_at, u16_at};
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
use crate::message::{CHECK_LENGTH, HEADER_LENGTH, MESSAGE_TYPE};
use crate::mi;
use crate::model::{Controller, Function, Model, status};
use crate::world::{FirmwareStore, World};

/// How many events there are: their IDs are those below.
const EVENTS: u8 = 0x0D;
/// Events whose scope is the subsystem, as bits.
const OF_SUBSYSTEM: u16 = 1 << TEMPERATURE
    | 1 << PERCENTAGE_USED
    | 1 << SPARE
    | 1 << WARNINGS
    | LINK_CHANGED
    | SANITIZE_FAILED;
/// The events that no flag of the health polls stands for, as bits.
pub(crate) const LINK_CHANGED: u16 = 1 << 0x0B;
pub(crate) const SANITIZE_FAILED: u16 = 1 << 0x0C;

const SHUTDOWN: u8 = 0x02;
const FIRMWARE: u8 = 0x05;
const TEMPERATURE: u8 = 0x06;
const PERCENTAGE_USED: u8 = 0x07;
const SPARE: u8 = 0x08;
const WARNINGS: u8 = 0x09;

/// Bytes of the header of the lists of supported and of enabled events.
const LIST_HEADER: usize = 5;
/// Bytes of an entry of these.
const ENTRY: usize = 3;
/// Bytes of the header of an occurrence list.
const OCCURRENCES_HEADER: usize = 7;
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
enum State {
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
    enabled: u16,
    subscriber: Eid,
    /// AERD and AEMD in milliseconds.
    retry_delay: u32,
    delay: u32,
    /// ENCFA, ENPFA and ENVFA in bits 0 to 2.
    functions: u8,
    state: State,
    /// Bits 4:0 are sent.
    generation: u8,
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
        let body = self.message.get(1..self.length)?;
        (self.state == State::Sending).then_some((self.subscriber, body))
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        if self.state == State::Sending {
            self.state = State::Sent(now.after(self.retry_delay));
        }
    }

    /// Takes the events that happened, and lets time pass.
    pub(crate) fn advance<W: World>(&mut self, now: Instant, model: &mut Model<'_>, world: &mut W) {
        let any = self.forget_unwanted(model);
        if self.state == State::Armed && any {
            self.state = State::Collecting(now.after(self.delay));
        }
        match self.state {
            State::Collecting(until) if now >= until => {
                self.generation = self.generation.wrapping_add(1);
                self.retries = 0;
                self.compose(model, world);
                self.seal(world.crc());
            }
            State::Sent(until) if now >= until && self.retries >= RETRIES => {
                self.state = State::GivenUp;
            }
            State::Sent(until) if now >= until => {
                self.retries = self.retries.wrapping_add(1);
                self.seal(world.crc());
            }
            _ => {}
        }
    }

    /// Whether the subscriber wants to know of the events in `events` of a controller: which of
    /// them.
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
        self.enabled & of_this & controller.events
    }

    /// Returns whether there are others.
    fn forget_unwanted(&self, model: &mut Model<'_>) -> bool {
        let mut any = 0;
        for controller in model.controllers.iter_mut() {
            controller.events = self.wanted(controller);
            any |= controller.events;
        }
        any != 0
    }

    /// Writes the occurrences of all events that wait, which are then taken.
    fn compose<W: World>(&mut self, model: &mut Model<'_>, world: &mut W) {
        let mut list = Occurrences {
            message: &mut self.message,
            end: HEADER_LENGTH + OCCURRENCES_HEADER,
            count: 0,
            overflow: false,
        };
        let health = mi::health::subsystem_health(model, world);
        let firmware = world.firmware();
        let slots = firmware.active_slot() & 7 | (firmware.next_slot().unwrap_or(0) & 7) << 4;
        let mut of_subsystem = 0;
        let mut controllers = model.controllers.iter_mut();
        loop {
            // What is the subsystem's comes last.
            let controller = controllers.next();
            let is_last = controller.is_none();
            let (scope, events, shutdown) = match controller {
                Some(controller) => {
                    let events = core::mem::take(&mut controller.events);
                    of_subsystem |= events & OF_SUBSYSTEM;
                    let scope = (SCOPE_CONTROLLER, controller.id.0);
                    let shutdown = (controller.status & status::SHUTDOWN) >> 2;
                    (scope, events & !OF_SUBSYSTEM, shutdown)
                }
                None => ((SCOPE_SUBSYSTEM, 0), of_subsystem, 0),
            };
            for event in (0..EVENTS).filter(|event| events & 1 << event != 0) {
                let information = match event {
                    SHUTDOWN => Some(shutdown.to_le_bytes()[0]),
                    FIRMWARE => Some(slots),
                    TEMPERATURE => Some(health.temperature),
                    PERCENTAGE_USED => Some(health.percentage_used),
                    SPARE => Some(health.available_spare),
                    WARNINGS => Some(health.warnings),
                    _ => None,
                };
                list.add(event, scope, information);
            }
            if is_last {
                break;
            }
        }
        self.length = list.finish();
    }

    /// Gets the message ready to be sent with its retry count.
    fn seal(&mut self, crc: &mut impl Crc32c) {
        let generation = self.generation << 3 | self.retries & 7;
        put(&mut self.message, GENERATION, &[generation]);
        let end = self.length.saturating_sub(CHECK_LENGTH);
        let check = crc.crc32c(&[self.message.get(..end).unwrap_or_default()]);
        put_u32(&mut self.message, end, check);
        self.state = State::Sending;
    }
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
        put(self.message, 0, &[MESSAGE_TYPE, 0x28, 0, 0]);
        let header = OCCURRENCES_HEADER as u8;
        put(
            self.message,
            HEADER_LENGTH,
            &[self.count, 0, low, high, overflow, header],
        );
        self.end.wrapping_add(CHECK_LENGTH)
    }
}

/// Configuration Get.
pub(crate) fn get<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    exchange.expect_request_data(0)?;
    let enabled = context.endpoint.events.enabled;
    let length = LIST_HEADER.wrapping_add(ENTRY.wrapping_mul(usize::from(EVENTS)));
    let page = exchange.answer(0, length);
    let [low, high, ..] = length.to_le_bytes();
    let mut offset = LIST_HEADER as u32;
    page.put(0, &[EVENTS, 0, low, high, LIST_HEADER as u8]);
    for event in 0..EVENTS {
        let is_enabled = u8::from(enabled & 1 << event != 0) << 7;
        page.put(offset, &[ENTRY as u8, event, is_enabled]);
        offset = offset.wrapping_add(ENTRY as u32);
    }
    Ok(0)
}

/// Configuration Set. `dword0` is NMD0.
pub(crate) fn set<W: World>(
    context: &mut Context<'_, '_, W>,
    dword0: u32,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let change = Enabling::parse(exchange.request_data())?;
    let requester = context.requester;
    let events = &mut context.endpoint.events;
    if change.count == 0 {
        if requester == events.subscriber {
            events.acknowledge();
        }
        return Ok(0);
    }
    let [_, retry_delay, delay, functions] = dword0.to_le_bytes();
    events.retry_delay = u32::from(retry_delay.max(1)).wrapping_mul(100);
    events.delay = u32::from(delay).wrapping_mul(1000);
    events.functions = functions;
    let added = change.enabled & !events.enabled;
    for controller in context.model.controllers.iter_mut() {
        // That was before.
        controller.events &= !added;
    }
    events.enabled = events.enabled & !change.disabled | change.enabled;
    if events.enabled == 0 || events.subscriber != requester || events.has_failed() {
        // What the last subscriber was told nobody acknowledges any more.
        events.state = State::Armed;
    }
    events.subscriber = requester;
    let generation = events.generation << 3;
    let page = exchange.answer(0, OCCURRENCES_HEADER);
    let header = OCCURRENCES_HEADER as u8;
    page.put(0, &[0, 0, header, 0, 0, header, generation]);
    Ok(0)
}

impl Events {
    fn acknowledge(&mut self) {
        if matches!(self.state, State::Sending | State::Sent(_) | State::GivenUp) {
            self.state = State::Armed;
        }
    }
}

/// An AE Enable List.
struct Enabling {
    count: u8,
    /// Events to enable, a bit for each ID.
    enabled: u16,
    /// All events that are named.
    disabled: u16,
}

impl Enabling {
    fn parse(data: &[u8]) -> Result<Self, Failure> {
        /// Where Request Data are in the message.
        const START: u16 = mi::REQUEST_LENGTH as u16;
        let total = u16_at(data, 2);
        if data.len() < LIST_HEADER || data.len() != usize::from(total) {
            return Err(Failure::new(Status::InvalidInputDataSize));
        }
        let count = u8_at(data, 0);
        let expected = ENTRY.wrapping_mul(usize::from(count));
        if u8_at(data, 1) != 0 {
            return Err(Failure::parameter(START + 1, 0));
        }
        if data.len() != LIST_HEADER.wrapping_add(expected) {
            return Err(Failure::parameter(START + 2, 0));
        }
        if usize::from(u8_at(data, 4)) != LIST_HEADER {
            return Err(Failure::parameter(START + 4, 0));
        }
        let mut change = Self {
            count,
            enabled: 0,
            disabled: 0,
        };
        let (entries, _) = data
            .get(LIST_HEADER..)
            .unwrap_or_default()
            .as_chunks::<ENTRY>();
        let mut at = START.wrapping_add(LIST_HEADER as u16);
        for &entry in entries {
            change.take(entry, at)?;
            at = at.wrapping_add(ENTRY as u16);
        }
        Ok(change)
    }

    /// Takes the entry at byte `at` of the message. The last one of an event holds.
    fn take(&mut self, entry: [u8; ENTRY], at: u16) -> Result<(), Failure> {
        let [len, event, enable] = entry;
        if usize::from(len) != ENTRY {
            return Err(Failure::parameter(at, 0));
        }
        if event >= EVENTS {
            return Err(Failure::parameter(at.wrapping_add(1), 0));
        }
        let bit = 1 << event;
        self.enabled &= !bit;
        self.disabled |= bit;
        if enable & 0x80 != 0 {
            self.enabled |= bit;
        }
        Ok(())
    }
}
