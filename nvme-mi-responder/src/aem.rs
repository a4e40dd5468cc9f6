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

use crate::bytes::{u8_at, u16_at};
use crate::context::Context;
use crate::device::observe;
use crate::events::{EVENTS, OCCURRENCES_HEADER, State};
use crate::exchange::Exchange;
use crate::failure::{Failure, Handled, Status};
use crate::world::World;

/// Bytes of the header of the lists of supported and of enabled events.
const LIST_HEADER: usize = 5;
/// Bytes of an entry of these.
const ENTRY: usize = 3;
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
    // What the device sees only now was before.
    observe(context.model, context.world);
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
    for flags in context.model.flags(context.endpoint.port) {
        // That was before.
        flags.events &= !added;
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
        const START: u16 = 16;
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
