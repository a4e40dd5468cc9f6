//! Get Log Page, opcode 02h (NVM Express Base 2.0).
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 11:8 | | NSID: 0 or FFFFFFFFh, as no log is of a single namespace |
//! | 44 | | LID, which log |
//! | 45 | 6:0 | LSP: bit 0 with LID 07h, capture telemetry |
//! | 45 | 7 | RAE: what the log reports remains to be reported |
//! | 49:46 | | NUMD, dwords wanted, less one |
//! | 59:52 | | LPO, the first byte wanted, a multiple of 4 |
//! | 62 | 7 | OT: LPO is an index. Not supported |
//! | 63 | | CSI, the I/O command set, with LID 05h: 00h (NVM) is the only one |
//!
//! LPO and NUMD name a part of the log, DOFST and DLEN (see [Admin commands](super)) a part of that
//! part, which is the response. What lies beyond the end of the log is zero.
//!
//! | LID | log | bytes |
//! |-|-|-|
//! | 00h | Supported Log Pages: for each LID 4 bytes, bit 0 it is supported | 1024 |
//! | 01h | [Error Information](super::error_log) | 64 for each of 16 entries |
//! | 02h | SMART / Health Information | 512 |
//! | 03h | Firmware Slot Information | 512 |
//! | 04h | Changed Namespace List | 4096 |
//! | 05h | Commands Supported and Effects | 4096 |
//! | 06h | [Device Self-test](super::self_test) | 564 |
//! | 07h, 08h | Telemetry, initiated by a host and by the controller | 512 and a multiple of 512 |
//! | 12h | Feature Identifiers Supported and Effects | 1024 |
//! | 13h | NVMe-MI Commands Supported and Effects | 4096 |
//! | 81h | [Sanitize Status](super::sanitize) | 512 |
//!
//! | error | when |
//! |-|-|
//! | Invalid Log Page (type 1, 09h) | LID is another |
//! | Invalid Field (02h) | LPO is beyond the end of the log, or not a multiple of 4; OT is set; NSID is a namespace; CSI is another |
//! | Invalid Namespace or Format (0Bh) | NSID is none that can be |
//!
//! # SMART / Health Information
//!
//! | byte | field |
//! |-|-|
//! | 0 | [critical warning](crate::world::CriticalWarning); bit 1 also by feature 04h |
//! | 2:1 | composite temperature in kelvins |
//! | 3, 4, 5 | available spare, its threshold, and percentage used |
//! | 32, 48 | thousands of 512-byte units read, written. These and the following have 16 bytes |
//! | 64, 80, 96 | read commands, write commands, minutes busy |
//! | 112, 128, 144 | power cycles, hours powered on, unsafe shutdowns |
//! | 160, 176 | media errors, entries of the error log ever |
//! | 195:192, 199:196 | minutes above the warning and the critical temperature |
//! | 215:200 | 8 sensors in kelvins, 2 bytes each, 0 for none |
//!
//! These are the values that the health polls of the Management Interface report: one source.
//!
//! # Firmware Slot Information
//!
//! | byte | field |
//! |-|-|
//! | 0 | bits 2:0 active slot, 6:4 slot that is active after the next reset, 0: the same |
//! | 8 n .. | revision of slot n, 1 to 7: 8 bytes of ASCII; zero if the slot is empty |
//!
//! # Changed Namespace List
//!
//! IDs of the namespaces that were attached, detached or changed since the log was last read with
//! RAE 0, or since a reset of the subsystem, ascending, 4 bytes each. The first is FFFFFFFFh,
//! alone, if the controller lost count: it has room for the IDs up to 31.
//!
//! # Commands Supported and Effects
//!
//! For each Admin opcode, and from byte 1024 for each I/O opcode, 4 bytes: 0 supported, 1 changes
//! logical blocks, 2 changes capabilities of namespaces, 3 changes which namespaces there are, 4
//! changes capabilities of controllers, 18:16 restrictions on other commands. The I/O commands are
//! those that a controller must have: Flush, Write and Read. The NVMe-MI commands, LID 13h, have
//! the same bits.
//!
//! # Feature Identifiers Supported and Effects
//!
//! For each FID 4 bytes: 0 supported, 4 changes capabilities of the controller, and the scope: 20
//! namespace, 21 controller.
//!
//! # Telemetry
//!
//! | byte | field |
//! |-|-|
//! | 0 | LID |
//! | 7:5 | IEEE OUI, least significant byte first |
//! | 9:8, 11:10, 13:12 | last block of data areas 1, 2 and 3: the same, as all is in area 1 |
//! | 381 | LID 07h: generation, which each capture that a host asks for increases |
//! | 382 | bit 0, there is telemetry of the controller that was not read. Reading LID 08h with RAE 0 clears it |
//! | 383 | generation of the telemetry of the controller |
//! | 512.. | blocks of 512 bytes |
//!
//! Parts need not be multiples of 512 bytes here, which the specification asks of requesters.

use crate::commands::{self, ADMIN, MANAGEMENT};
use crate::context::{Ability, Context};
use crate::exchange::{Exchange, Page};
use crate::failure::{CompletionStatus, Failure, Handled};
use crate::model::{ControllerId, Model};
use crate::world::{Initiator, World, report_of};

use super::identify::{ALL_NAMESPACES, highest_namespace_id};
use super::{Request, error_log, features, sanitize, self_test};

/// There is no such log.
const INVALID_LOG_PAGE: CompletionStatus = CompletionStatus::specific(0x09);

/// Bytes of a block, and of the header, of a telemetry log.
const BLOCK: u32 = 512;

#[derive(Clone, Copy)]
enum Log {
    SupportedLogs,
    Errors,
    Health,
    Firmware,
    ChangedNamespaces,
    CommandEffects,
    SelfTests,
    Sanitize,
    Telemetry(Initiator),
    FeatureEffects,
    ManagementEffects,
}

/// A log that exists if the device has what it needs.
struct Entry {
    id: u8,
    log: Log,
    length: u32,
    needs: Ability,
}

impl Entry {
    const fn new(id: u8, log: Log, length: u32) -> Self {
        Self {
            id,
            log,
            length,
            needs: Ability::Nothing,
        }
    }

    const fn that_needs(self, needs: Ability) -> Self {
        Self { needs, ..self }
    }
}

/// All logs: the one source of what can be read and of what is reported as supported.
const LOGS: &[Entry] = &[
    Entry::new(0x00, Log::SupportedLogs, 1024),
    Entry::new(0x01, Log::Errors, error_log::LENGTH),
    Entry::new(0x02, Log::Health, 512),
    Entry::new(0x03, Log::Firmware, 512),
    Entry::new(0x04, Log::ChangedNamespaces, 4096),
    Entry::new(0x05, Log::CommandEffects, 4096),
    Entry::new(0x06, Log::SelfTests, self_test::LOG_LENGTH).that_needs(Ability::SelfTest),
    Entry::new(0x07, Log::Telemetry(Initiator::Host), BLOCK).that_needs(Ability::Telemetry),
    Entry::new(0x08, Log::Telemetry(Initiator::Controller), BLOCK).that_needs(Ability::Telemetry),
    Entry::new(0x12, Log::FeatureEffects, 1024),
    Entry::new(0x13, Log::ManagementEffects, 4096),
    Entry::new(0x81, Log::Sanitize, sanitize::LOG_LENGTH).that_needs(Ability::Sanitize),
];

/// LPA of Identify Controller: 1 Commands Supported and Effects, 2 partial reads, 3 telemetry, 5
/// supported logs.
pub(super) fn attributes<W: World>(context: &mut Context<'_, '_, W>) -> u8 {
    let telemetry = u8::from(context.has(Ability::Telemetry)) << 3;
    1 << 1 | 1 << 2 | telemetry | 1 << 5
}

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let part = Part::parse(request);
    let found = LOGS.iter().find(|entry| entry.id == part.id);
    let entry = found.filter(|entry| context.has(entry.needs));
    let entry = entry.ok_or(INVALID_LOG_PAGE)?;
    part.check(request, entry.log, context.model)?;
    request.window_length(part.length)?;
    if part.captures && matches!(entry.log, Log::Telemetry(Initiator::Host)) {
        capture_telemetry(context, request.controller);
    }
    if part.offset > length_of(context, request.controller, entry) {
        return Err(CompletionStatus::INVALID_FIELD.into());
    }
    let page = part.answer(request, exchange)?;
    put(context, request.controller, entry.log, page);
    if !part.retains {
        forget(context, request.controller, entry.log);
    }
    Ok(0)
}

/// The part of a log that is asked for.
struct Part {
    id: u8,
    /// No log is as long as 32 bits can say: an offset of more is the highest of these.
    offset: u32,
    length: u32,
    retains: bool,
    captures: bool,
}

impl Part {
    fn parse(request: &Request) -> Self {
        let [id, specific, low, high] = request.dword10.to_le_bytes();
        let [upper_low, upper_high, ..] = request.dword11.to_le_bytes();
        let dwords = u32::from_le_bytes([low, high, upper_low, upper_high]);
        Self {
            id,
            offset: match request.dword13 {
                0 => request.dword12,
                _ => !3 | request.dword12 & 3,
            },
            length: dwords.saturating_add(1).saturating_mul(4),
            retains: specific & 0x80 != 0,
            captures: specific & 1 != 0,
        }
    }

    fn check(
        &self,
        request: &Request,
        log: Log,
        model: &Model<'_>,
    ) -> Result<(), CompletionStatus> {
        let offset_is_index = request.dword14 & 1 << 23 != 0;
        let other_command_set = matches!(log, Log::CommandEffects) && request.dword14 >> 24 != 0;
        if offset_is_index || other_command_set || !self.offset.is_multiple_of(4) {
            return Err(CompletionStatus::INVALID_FIELD);
        }
        match request.namespace_id {
            0 | ALL_NAMESPACES => Ok(()),
            id if id <= highest_namespace_id(model) => Err(CompletionStatus::INVALID_FIELD),
            _ => Err(CompletionStatus::INVALID_NAMESPACE),
        }
    }

    fn answer<'e, 'b>(
        &self,
        request: &Request,
        exchange: &'e mut Exchange<'b>,
    ) -> Result<&'e mut Page<'b>, Failure> {
        request.return_part(exchange, self.offset, self.length)
    }
}

fn id_of(model: &Model<'_>, controller: usize) -> ControllerId {
    model
        .controllers
        .get(controller)
        .map_or(ControllerId(0), |controller| controller.id)
}

fn capture_telemetry<W: World>(context: &mut Context<'_, '_, W>, controller: usize) {
    if let Some(controller) = context.model.controllers.get_mut(controller) {
        let generation = &mut controller.telemetry.host_generation;
        *generation = generation.wrapping_add(1);
        if let Some(telemetry) = context.world.telemetry() {
            telemetry.capture(controller.id);
        }
    }
}

/// Bytes of a log.
fn length_of<W: World>(context: &mut Context<'_, '_, W>, controller: usize, entry: &Entry) -> u32 {
    let id = id_of(context.model, controller);
    let blocks = match entry.log {
        Log::Telemetry(initiator) => context
            .world
            .telemetry()
            .map_or(0, |telemetry| telemetry.blocks(id, initiator)),
        _ => 0,
    };
    u32::from(blocks)
        .wrapping_mul(BLOCK)
        .wrapping_add(entry.length)
}

/// The log was read for good.
fn forget<W: World>(context: &mut Context<'_, '_, W>, controller: usize, log: Log) {
    let Some(controller) = context.model.controllers.get_mut(controller) else {
        return;
    };
    match log {
        Log::ChangedNamespaces => controller.changed_namespaces = Default::default(),
        Log::Telemetry(Initiator::Controller) => controller.telemetry.available = false,
        _ => {}
    }
}

fn put<W: World>(
    context: &mut Context<'_, '_, W>,
    controller: usize,
    log: Log,
    page: &mut Page<'_>,
) {
    match log {
        Log::SupportedLogs => {
            for entry in LOGS {
                if context.has(entry.needs) {
                    put_dword(page, 0, entry.id, 1);
                }
            }
        }
        Log::Errors => error_log::put(context.model, controller, page),
        Log::Health => put_health(context, controller, page),
        Log::Firmware => put_firmware(context, page),
        Log::ChangedNamespaces => put_changed_namespaces(context.model, controller, page),
        Log::CommandEffects => {
            put_effects(context, ADMIN, page);
            for (opcode, effects) in IO_COMMANDS {
                put_dword(page, 1024, opcode, effects);
            }
        }
        Log::SelfTests => self_test::put_log(context.model, page),
        Log::Sanitize => sanitize::put_log(context, page),
        Log::Telemetry(initiator) => put_telemetry(context, controller, initiator, page),
        Log::FeatureEffects => {
            for (id, effects) in features::effects() {
                put_dword(page, 0, id, effects);
            }
        }
        Log::ManagementEffects => put_effects(context, MANAGEMENT, page),
    }
}

/// Puts the effects of the commands that are supported.
fn put_effects<W: World>(
    context: &mut Context<'_, '_, W>,
    commands: &[commands::Entry],
    page: &mut Page<'_>,
) {
    for entry in commands {
        if context.has(entry.needs) {
            put_dword(page, 0, entry.opcode, entry.effects);
        }
    }
}

/// Flush, Write, which changes logical blocks, and Read.
const IO_COMMANDS: [(u8, u32); 3] = [(0x00, 1), (0x01, 3), (0x02, 1)];

/// Puts a dword into the place with that number of a table that starts at `offset`.
fn put_dword(page: &mut Page<'_>, offset: u32, number: u8, dword: u32) {
    let place = u32::from(number).wrapping_mul(4);
    page.put_u32(place.wrapping_add(offset), dword);
}

fn put_health<W: World>(context: &mut Context<'_, '_, W>, controller: usize, page: &mut Page<'_>) {
    let Some(controller) = context.model.controllers.get(controller) else {
        return;
    };
    let report = report_of(controller, context.world.health());
    page.put_u8(0, report.critical_warning);
    page.put_u16(1, report.temperature);
    page.put_u8(3, report.available_spare);
    page.put_u8(4, report.spare_threshold);
    page.put_u8(5, report.percentage_used);
    page.put_u64(32, report.data_units_read);
    page.put_u64(48, report.data_units_written);
    page.put_u64(64, report.host_reads);
    page.put_u64(80, report.host_writes);
    page.put_u64(96, report.busy_minutes);
    page.put_u64(112, report.power_cycles);
    page.put_u64(128, report.power_on_hours);
    page.put_u64(144, report.unsafe_shutdowns);
    page.put_u64(160, report.media_errors);
    page.put_u64(176, controller.errors.count);
    page.put_u32(192, report.warning_minutes);
    page.put_u32(196, report.critical_minutes);
    for (index, kelvins) in (0u32..).zip(&report.sensors) {
        page.put_u16(index.wrapping_mul(2).wrapping_add(200), *kelvins);
    }
}

fn put_firmware<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let Some(store) = context.world.firmware() else {
        page.put_u8(0, 1);
        page.put_text(8, 8, context.model.identity.firmware_revision);
        return;
    };
    let slots = store.slots().min(7);
    let next = store.next_slot().unwrap_or(0);
    page.put_u8(0, store.active_slot() & 7 | (next & 7) << 4);
    for slot in (1..8).take(usize::from(slots)) {
        if let Some(revision) = store.revision(slot) {
            page.put(u32::from(slot).wrapping_mul(8), &revision);
        }
    }
}

fn put_changed_namespaces(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    let Some(controller) = model.controllers.get(controller) else {
        return;
    };
    match controller.changed_namespaces.ids() {
        Some(ids) => {
            for (offset, id) in (0..).step_by(4).zip(ids) {
                page.put_u32(offset, id);
            }
        }
        None => page.put_u32(0, ALL_NAMESPACES),
    }
}

fn put_telemetry<W: World>(
    context: &mut Context<'_, '_, W>,
    controller: usize,
    initiator: Initiator,
    page: &mut Page<'_>,
) {
    let Some(controller) = context.model.controllers.get(controller) else {
        return;
    };
    let generations = controller.telemetry;
    let Some(telemetry) = context.world.telemetry() else {
        return;
    };
    let blocks = telemetry.blocks(controller.id, initiator);
    let [first, second, third] = context.model.identity.vendor.ieee_oui;
    page.put(5, &[third, second, first]);
    page.put_u16(8, blocks);
    page.put_u16(10, blocks);
    page.put_u16(12, blocks);
    match initiator {
        Initiator::Host => {
            page.put_u8(0, 0x07);
            page.put_u8(381, generations.host_generation);
        }
        Initiator::Controller => page.put_u8(0, 0x08),
    }
    page.put_u8(382, u8::from(generations.available));
    page.put_u8(383, generations.controller_generation);
    let length = u32::from(blocks).wrapping_mul(BLOCK);
    let (offset, window) = page.part(BLOCK, length);
    if !window.is_empty() {
        telemetry.read(controller.id, initiator, offset, window);
    }
}
