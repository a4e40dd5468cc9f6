//! Asynchronous Events (NVMe-MI 2.0, sections 4.1.3, 4.4 and 5.2.4): Configuration Set and Get of
//! identifier 04h, and Asynchronous Event Messages.
//!
//! | ID | event | scope | information, 1 byte |
//! |-|-|-|-|
//! | 00h | controller ready | controller | |
//! | 01h | controller fatal status | controller | |
//! | 02h | shutdown status | controller | 1:0, CSTS.SHST; 2, CSTS.ST: a shutdown of the subsystem |
//! | 03h | controller enable | controller | |
//! | 04h | namespace attribute changed | controller | |
//! | 05h | firmware activated | controller | 2:0 the active slot, 6:4 the one after the next reset |
//! | 06h | composite temperature | subsystem | CTEMP of the [health poll](crate::mi::health) |
//! | 07h | percentage used | subsystem | PDLU there |
//! | 08h | available spare | subsystem | the lowest of all controllers, in percent |
//! | 09h | SMART warnings | subsystem | SW there |
//! | 0Ah | telemetry data available | controller | |
//! | 0Bh | PCIe link up or down | subsystem | |
//! | 0Ch | a sanitize operation failed | subsystem | |
//!
//! That the events have these scopes is our reading: the text was not at hand, and libnvme takes
//! any. Clients disagree on whether 00h has information; here it has none.
//!
//! # Configuration Get
//!
//! The response has the AE Supported List: an [`EventListHeader`] with an [`EventEntry`] for each
//! event.
//!
//! # Configuration Set
//!
//! The request is [`SetAsynchronousEvents`] with an AE Enable List of the same form. AERD 0 is
//! taken as 1.
//!
//! With entries it is a *Sync*: the endpoint that sent it, the subscriber, gets the messages from
//! now on; events that are not named stay as they are; AERD, AEMD and the functions are set, and
//! events are armed. The response has an occurrence list, here always one without occurrences: what
//! happened before is in the health polls. (A draft of a client takes that for an error; libnvme
//! does not.) When nothing is enabled any more, the subscription ends. A Sync from another endpoint
//! takes the subscription over, and ends a message that is out. One from the subscriber itself,
//! perhaps sent again since its response was lost, leaves that message out.
//!
//! Without entries it is an *Ack* of the message that was sent, and arms events again. The response
//! has an occurrence list of what happened since that message; that counts as reported, so a
//! requester that did not get the response gets it again with [Replay](crate::control), not with a
//! second Ack. An Ack with no message out succeeds, since libnvme sends one to disable nothing; it
//! and one from another endpoint acknowledge nothing, and the list is without occurrences.
//!
//! Errors: Invalid Command Input Data Size if the Request Data are shorter than a header, or not as
//! long as AEETL; Invalid Parameter at AEELVER, at AEETL if it is not that of so many entries, at
//! AEELHL, at AEEL of an entry, at AEEI for an event that does not exist. Then nothing is changed.
//!
//! # Asynchronous Event Message
//!
//! [`EventMessage`](crate::wire::EventMessage) with an [`Occurrence`](crate::wire::Occurrence) for
//! each event, without padding. It goes to the endpoint that sent the last Sync, with a message tag
//! that the device owns.
//!
//! - *Armed*: the Delay Interval, AEMD, begins with the Sync or the Ack. Events that happen in it
//!   are in one message, which is sent at its end; an event after it is sent at once.
//! - *Transmission Interval*: there is one message until it is acknowledged. It is sent again 7
//!   times after AERD each, with the same generation and a retry count from 1 to 7; events that
//!   happen meanwhile are not added to it.
//! - *Given up*: after the last AERD the health poll says so (NSS.ATF), nothing is sent, and events
//!   are not kept, until an Ack or a Sync.
//!
//! The first list with occurrences has generation 0, and each list with occurrences, in a message
//! or in the response to an Ack, the next one: libnvme ignores one with the generation of the last.
//! A list without occurrences has the last generation, which libnvme does not look at. A reset
//! disables all events.
//!
//! **Reading.** How often an event message is sent, and what then: 8 times; then nothing is sent,
//! and events are not kept, until an Ack or a Sync.
//!
//! **Reading.** What the response to a Sync has: a list without occurrences, which libnvme takes; a
//! draft client wants the present state.
//!
//! **Reading.** What the response to an Ack has: what happened since the message, as a list with
//! the next generation; it counts as reported.
//!
//! **Reading.** The first generation: 0; libnvme starts without one.
//!
//! **Reading.** A Sync while a message is out: the message stays out, unless the subscriber is
//! another or nothing is enabled any more.
//!
//! **Reading.** Whether event 00h has information: it has none: clients disagree.

use zerocopy::{FromBytes, IntoBytes};

use crate::admin;
use crate::context::Context;
use crate::device::observe;
use crate::events::{EVENTS, bit};
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
use crate::wire::{
    EventEntry, EventId, EventListHeader, ManagementRequest, SetAsynchronousEvents, Wire, location,
};
use crate::world::World;

/// Configuration Get. The version of the AE Enable List, which is the result, is 0.
pub(crate) fn get<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    exchange.expect_request_data(0)?;
    let enabled = context.endpoint.events.enabled;
    let header = EventListHeader::new(EVENTS);
    let page = exchange.answer(0, usize::from(header.total_length.get()));
    page.put(0, header.as_bytes());
    let mut offset = size_of::<EventListHeader>() as u32;
    for event in (0..EVENTS).map(EventId) {
        let entry = EventEntry::new(event, enabled & bit(event) != 0);
        page.put(offset, entry.as_bytes());
        offset = offset.wrapping_add(size_of::<EventEntry>() as u32);
    }
    Ok(0)
}

/// Configuration Set.
pub(crate) fn set<W: World>(
    context: &mut Context<'_, '_, W>,
    command: SetAsynchronousEvents,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let change = Enabling::parse(exchange.request_data())?;
    // What the device sees only now was before.
    admin::observe(context.model, context.world, context.now);
    observe(context.model, context.world);
    let has_occurrences = if change.count == 0 {
        acknowledge(context)
    } else {
        synchronize(context, command, &change);
        false
    };
    let events = &context.endpoint.events;
    let empty = events.empty_list();
    let list = if has_occurrences {
        events.list()
    } else {
        empty.as_bytes()
    };
    exchange.answer(0, list.len()).put(0, list);
    Ok(0)
}

/// Returns whether the list of events has occurrences for the response.
fn acknowledge<W: World>(context: &mut Context<'_, '_, W>) -> bool {
    let (port, now) = (context.endpoint.port, context.now);
    let events = &mut context.endpoint.events;
    context.requester == events.subscriber
        && events.acknowledge(port, now, context.model, context.world)
}

fn synchronize<W: World>(
    context: &mut Context<'_, '_, W>,
    command: SetAsynchronousEvents,
    change: &Enabling,
) {
    let requester = context.requester;
    let events = &mut context.endpoint.events;
    events.retry_delay = u32::from(command.retry_delay.max(1)).wrapping_mul(100);
    events.delay = u32::from(command.delay).wrapping_mul(1000);
    events.functions = command.functions;
    // What was before is not reported, nor is what happened while nothing was sent.
    let forgotten = if events.has_failed() {
        u16::MAX
    } else {
        change.enabled & !events.enabled
    };
    for flags in context.model.flags(context.endpoint.port) {
        flags.events &= !forgotten;
    }
    events.enabled = events.enabled & !change.disabled | change.enabled;
    if events.enabled == 0 || events.subscriber != requester || !events.is_transmitting() {
        // What another subscriber was told nobody acknowledges any more.
        events.arm(context.now);
    }
    events.subscriber = requester;
}

/// An AE Enable List.
struct Enabling {
    count: u8,
    /// Events to enable, a bit for each ID.
    enabled: u16,
    /// All events that are named.
    disabled: u16,
}

/// Where the list begins in the message.
const START: u16 = {
    let request = ManagementRequest::BYTE_TABLE;
    request.first.wrapping_add(request.length) as u16
};

impl Enabling {
    fn parse(data: &[u8]) -> Result<Self, Failure> {
        const WRONG_SIZE: Failure = Failure::new(Status::InvalidInputDataSize);
        let (header, entries) = EventListHeader::ref_from_prefix(data).map_err(|_| WRONG_SIZE)?;
        if data.len() != usize::from(header.total_length.get()) {
            return Err(WRONG_SIZE);
        }
        let expected = EventListHeader::new(header.count);
        if header.version != expected.version {
            return Err(wrong(START, location!(EventListHeader, version)));
        }
        if header.total_length != expected.total_length {
            return Err(wrong(START, location!(EventListHeader, total_length)));
        }
        if header.header_length != expected.header_length {
            return Err(wrong(START, location!(EventListHeader, header_length)));
        }
        let mut change = Self {
            count: header.count,
            enabled: 0,
            disabled: 0,
        };
        let entries = <[EventEntry]>::ref_from_bytes(entries).map_err(|_| WRONG_SIZE)?;
        let mut start = START.wrapping_add(size_of::<EventListHeader>() as u16);
        for entry in entries {
            change.take(*entry, start)?;
            start = start.wrapping_add(size_of::<EventEntry>() as u16);
        }
        Ok(change)
    }

    /// Takes the entry at byte `start` of the message. The last one of an event holds.
    fn take(&mut self, entry: EventEntry, start: u16) -> Result<(), Failure> {
        if usize::from(entry.length) != size_of::<EventEntry>() {
            return Err(wrong(start, location!(EventEntry, length)));
        }
        if entry.id().0 >= EVENTS {
            return Err(wrong(start, location!(EventEntry, event)));
        }
        let bit = bit(entry.id());
        self.enabled &= !bit;
        self.disabled |= bit;
        if entry.is_enabled() {
            self.enabled |= bit;
        }
        Ok(())
    }
}

/// The field at `location` of what begins at byte `start` of the message is wrong.
fn wrong(start: u16, location: u16) -> Failure {
    Failure::parameter(start.wrapping_add(location), 0)
}
