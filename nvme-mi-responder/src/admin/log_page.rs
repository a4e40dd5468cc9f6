//! Get Log Page, opcode 02h (NVM Express Base 2.0, section 5.16, Figures 196 to 202; NVMe-MI 1.2,
//! section 6.3, Figure 121).
//!
//! Dwords 10 to 15 are a [`GetLogPage`]. NSID is 0 or FFFFFFFFh, as no log is of a single namespace.
//! OT, an index as offset, is not supported; CSI counts with LID 05h, where 00h (NVM) is the only
//! one.
//!
//! LPO and NUMD name a part of the log, DOFST and DLEN (see [Admin commands](super)) a part of that
//! part, which is the response. What lies beyond the end of the log is zero.
//!
//! | LID | log | bytes |
//! |-|-|-|
//! | 00h | [Supported Log Pages](SupportedLogPages) | 1024 |
//! | 01h | [Error Information](super::error_log) | 64 for each of 16 entries |
//! | 02h | [SMART / Health Information](SmartHealth) | 512 |
//! | 03h | [Firmware Slot Information](FirmwareSlotInformation) | 512 |
//! | 04h | Changed Namespace List, a [`NamespaceList`] | 4096 |
//! | 05h | [Commands Supported and Effects](CommandEffects) | 4096 |
//! | 06h | [Device Self-test](super::self_test) | 564 |
//! | 07h, 08h | Telemetry, initiated by a host and by the controller: a [`TelemetryHeader`] and blocks | 512 and a multiple of 512 |
//! | 12h | [Feature Identifiers Supported and Effects](FeatureEffects) | 1024 |
//! | 13h | [NVMe-MI Commands Supported and Effects](ManagementEffects) | 4096 |
//! | 81h | [Sanitize Status](super::sanitize) | 512 |
//!
//! Two answers are not those of the text, as clients would not bear them. RAE 0 is accepted, where
//! NVMe-MI 1.2 (Figure 114, note 2) has the command end with an Invalid Field: nvme-cli clears RAE
//! in the command for its last part. And a log that there is not is an Invalid Log Page, a status
//! that clients know, where Base 2.0 (section 5.16) asks for an Invalid Field.
//!
//! What RAE 0 clears is cleared when the command is carried out. A requester whose response may be
//! lost reads with RAE 1 first.
//!
//! | error | when |
//! |-|-|
//! | Invalid Log Page (type 1, 09h) | LID is another |
//! | Invalid Field (02h) | LPO is beyond the end of the log, or not a multiple of 4; OT is set; NSID is a namespace; CSI is another |
//! | Invalid Namespace or Format (0Bh) | NSID is none that can be |
//!
//! # SMART / Health Information
//!
//! The values of a [`HealthReport`](crate::world::HealthReport), which the health polls of the
//! Management Interface report too: one source. Bit 1 of the critical warning is set also by
//! feature 04h.
//!
//! # Firmware Slot Information
//!
//! Without a firmware store, slot 1 has the firmware that runs. The slot that is active after the
//! next reset is 0 if that is the same.
//!
//! # Changed Namespace List
//!
//! IDs of the namespaces that were attached, detached or changed since the log was last read with
//! RAE 0, or since a reset of the subsystem (section 5.16.1.5). The first is FFFFFFFFh, alone, if
//! the controller lost count: it has room for the IDs up to 31.
//!
//! # Commands Supported and Effects
//!
//! The Admin commands are those that are dispatched. The I/O commands are those that a controller
//! must have: Flush, Write and Read. The NVMe-MI commands, LID 13h, have the same bits.
//!
//! # Telemetry
//!
//! All is in data area 1: areas 2 and 3 end where it ends. Each capture that a host asks for (LSP
//! bit 0 with LID 07h) increases the generation, a repeated one too. Reading LID 08h with RAE 0
//! clears that there is telemetry of the controller that was not read. Parts need not be multiples
//! of 512 bytes here, which the specification asks of requesters.
//!
//! **Reading.** A log that there is not, for which the text asks for Invalid Field: Invalid Log
//! Page, as clients know it.
//!
//! **Reading.** Get Log Page with RAE 0, which 1.2 refuses: carried out: nvme-cli clears RAE for
//! the last part.

use core::mem::offset_of;

use zerocopy::little_endian::U16;

use crate::commands::{self, ADMIN, MANAGEMENT};
use crate::context::{Ability, Context};
use crate::exchange::{Exchange, Page, put};
use crate::failure::{CompletionStatus, Handled};
use crate::model::{ControllerId, Model};
use crate::wire::{
    CommandEffects, CommandSpecificStatus, FeatureEffects, FirmwareSlotInformation, GetLogPage,
    LogPageId, ManagementEffects, NamespaceList, SanitizeStatus, SelfTestLog, SmartHealth,
    SupportedLogPages, TelemetryHeader,
};
use crate::world::{Initiator, World, report_of};

use super::identify::{ALL_NAMESPACES, NVM_COMMAND_SET, highest_namespace_id};
use super::{Request, error_log, features, sanitize, self_test, specific};

/// There is no such log.
const INVALID_LOG_PAGE: CompletionStatus = specific(CommandSpecificStatus::INVALID_LOG_PAGE);

/// Bytes of a firmware revision.
const REVISION_LENGTH: usize = 8;
/// Bytes of a block, and of the header, of a telemetry log.
const BLOCK: u32 = size_of::<TelemetryHeader>() as u32;

/// In a log of what there is: supported.
const SUPPORTED: u32 = 1 << 0;
/// In a log of commands: the command changes logical blocks.
const BLOCKS_CHANGE: u32 = 1 << 1;

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
    id: LogPageId,
    log: Log,
    length: u32,
    needs: Ability,
}

impl Entry {
    const fn new(id: LogPageId, log: Log, length: usize) -> Self {
        Self {
            id,
            log,
            length: length as u32,
            needs: Ability::Nothing,
        }
    }

    const fn that_needs(self, needs: Ability) -> Self {
        Self { needs, ..self }
    }
}

/// All logs: the one source of what can be read and of what is reported as supported.
const LOGS: &[Entry] = &[
    Entry::new(
        LogPageId::SUPPORTED_LOG_PAGES,
        Log::SupportedLogs,
        size_of::<SupportedLogPages>(),
    ),
    Entry::new(LogPageId::ERROR_INFORMATION, Log::Errors, error_log::LENGTH),
    Entry::new(
        LogPageId::SMART_HEALTH,
        Log::Health,
        size_of::<SmartHealth>(),
    ),
    Entry::new(
        LogPageId::FIRMWARE_SLOT_INFORMATION,
        Log::Firmware,
        size_of::<FirmwareSlotInformation>(),
    ),
    Entry::new(
        LogPageId::CHANGED_NAMESPACE_LIST,
        Log::ChangedNamespaces,
        size_of::<NamespaceList>(),
    ),
    Entry::new(
        LogPageId::COMMAND_EFFECTS,
        Log::CommandEffects,
        size_of::<CommandEffects>(),
    ),
    Entry::new(
        LogPageId::DEVICE_SELF_TEST,
        Log::SelfTests,
        size_of::<SelfTestLog>(),
    )
    .that_needs(Ability::SelfTest),
    Entry::new(
        LogPageId::TELEMETRY_HOST_INITIATED,
        Log::Telemetry(Initiator::Host),
        size_of::<TelemetryHeader>(),
    )
    .that_needs(Ability::Telemetry),
    Entry::new(
        LogPageId::TELEMETRY_CONTROLLER_INITIATED,
        Log::Telemetry(Initiator::Controller),
        size_of::<TelemetryHeader>(),
    )
    .that_needs(Ability::Telemetry),
    Entry::new(
        LogPageId::FEATURE_EFFECTS,
        Log::FeatureEffects,
        size_of::<FeatureEffects>(),
    ),
    Entry::new(
        LogPageId::MANAGEMENT_EFFECTS,
        Log::ManagementEffects,
        size_of::<ManagementEffects>(),
    ),
    Entry::new(
        LogPageId::SANITIZE_STATUS,
        Log::Sanitize,
        size_of::<SanitizeStatus>(),
    )
    .that_needs(Ability::Sanitize),
];

/// LPA: Commands Supported and Effects, partial reads, telemetry, and LID 00h, 12h and 13h.
const EFFECTS: u8 = 1 << 1;
const PARTS: u8 = 1 << 2;
const TELEMETRY: u8 = 1 << 3;
const SUPPORTED_LOGS: u8 = 1 << 5;

/// LPA of Identify Controller.
pub(super) fn attributes<W: World>(context: &mut Context<'_, '_, W>) -> u8 {
    let has_telemetry = context.has(Ability::Telemetry);
    EFFECTS | PARTS | SUPPORTED_LOGS | if has_telemetry { TELEMETRY } else { 0 }
}

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: GetLogPage = request.command();
    let found = LOGS.iter().find(|entry| entry.id == command.log_page_id);
    let entry = found.filter(|entry| context.has(entry.needs));
    let entry = entry.ok_or(INVALID_LOG_PAGE)?;
    let part = Part::of(&command);
    check(&command, entry.log)?;
    check_namespace(context.model, request.namespace_id())?;
    request.window_length(part.length)?;
    if command.parameter & GetLogPage::CREATE_TELEMETRY != 0
        && matches!(entry.log, Log::Telemetry(Initiator::Host))
    {
        capture_telemetry(context, request.controller);
    }
    if part.offset > length_of(context, request.controller, entry) {
        return Err(CompletionStatus::INVALID_FIELD.into());
    }
    let page = request.return_part(exchange, part.offset, part.length)?;
    put(context, request.controller, entry.log, page);
    if command.parameter & GetLogPage::RETAIN_ASYNCHRONOUS_EVENT == 0 {
        forget(context, request.controller, entry.log);
    }
    Ok(0)
}

/// The part of a log that is asked for.
struct Part {
    /// No log is as long as 32 bits can say: an offset of more is the highest of these.
    offset: u32,
    length: u32,
}

impl Part {
    fn of(command: &GetLogPage) -> Self {
        Self {
            offset: u32::try_from(command.log_page_offset.get()).unwrap_or(HIGHEST_OFFSET),
            length: u32::try_from(command.length()).unwrap_or(u32::MAX),
        }
    }
}

/// The highest offset that is a multiple of 4.
const HIGHEST_OFFSET: u32 = !3;

/// Checks the fields that say how to read the log.
fn check(command: &GetLogPage, log: Log) -> Result<(), CompletionStatus> {
    let offset_is_index = command.offset_type & GetLogPage::OFFSET_IS_INDEX != 0;
    let other_command_set =
        matches!(log, Log::CommandEffects) && command.command_set != NVM_COMMAND_SET;
    if offset_is_index || other_command_set || !command.log_page_offset.get().is_multiple_of(4) {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    Ok(())
}

/// No log is of a single namespace.
fn check_namespace(model: &Model<'_>, id: u32) -> Result<(), CompletionStatus> {
    match id {
        0 | ALL_NAMESPACES => Ok(()),
        id if id <= highest_namespace_id(model) => Err(CompletionStatus::INVALID_FIELD),
        _ => Err(CompletionStatus::INVALID_NAMESPACE),
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
                    put_dword(page, SUPPORTED_LOG_PAGES, entry.id.0, SUPPORTED);
                }
            }
        }
        Log::Errors => error_log::put(context.model, controller, page),
        Log::Health => put_health(context, controller, page),
        Log::Firmware => put_firmware(context, page),
        Log::ChangedNamespaces => put_changed_namespaces(context.model, controller, page),
        Log::CommandEffects => {
            put_effects(context, ADMIN, ADMIN_COMMANDS, page);
            for (opcode, effects) in IO_COMMANDS {
                put_dword(page, IO_COMMANDS_START, opcode, effects);
            }
        }
        Log::SelfTests => self_test::put_log(context.model, page),
        Log::Sanitize => sanitize::put_log(context, page),
        Log::Telemetry(initiator) => put_telemetry(context, controller, initiator, page),
        Log::FeatureEffects => {
            for (id, effects) in features::effects() {
                put_dword(page, FEATURES, id, effects);
            }
        }
        Log::ManagementEffects => put_effects(context, MANAGEMENT, MANAGEMENT_COMMANDS, page),
    }
}

// Where the logs that have a dword for each of 256 numbers begin with these.
const SUPPORTED_LOG_PAGES: u32 = offset_of!(SupportedLogPages, log_pages) as u32;
const ADMIN_COMMANDS: u32 = offset_of!(CommandEffects, admin_commands) as u32;
const IO_COMMANDS_START: u32 = offset_of!(CommandEffects, io_commands) as u32;
const FEATURES: u32 = offset_of!(FeatureEffects, features) as u32;
const MANAGEMENT_COMMANDS: u32 = offset_of!(ManagementEffects, commands) as u32;

/// Puts the effects of the commands that are supported into a table that starts at `start`.
fn put_effects<W: World>(
    context: &mut Context<'_, '_, W>,
    commands: &[commands::Entry],
    start: u32,
    page: &mut Page<'_>,
) {
    for entry in commands {
        if context.has(entry.needs) {
            put_dword(page, start, entry.opcode, entry.effects);
        }
    }
}

/// Opcodes of Flush, Write and Read, with their effects.
const IO_COMMANDS: [(u8, u32); 3] = [
    (0x00, SUPPORTED),
    (0x01, SUPPORTED | BLOCKS_CHANGE),
    (0x02, SUPPORTED),
];

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
    put!(
        page,
        SmartHealth {
            critical_warning: report.critical_warning,
            composite_temperature: report.temperature,
            available_spare: report.available_spare,
            available_spare_threshold: report.spare_threshold,
            percentage_used: report.percentage_used,
            warning_temperature_time: report.warning_minutes,
            critical_temperature_time: report.critical_minutes,
        }
    );
    put_array!(
        page,
        SmartHealth {
            temperature_sensors: &report.sensors.map(U16::new)
        }
    );
    put_wide!(
        page,
        SmartHealth {
            data_units_read: report.data_units_read,
            data_units_written: report.data_units_written,
            host_read_commands: report.host_reads,
            host_write_commands: report.host_writes,
            controller_busy_time: report.busy_minutes,
            power_cycles: report.power_cycles,
            power_on_hours: report.power_on_hours,
            unsafe_shutdowns: report.unsafe_shutdowns,
            media_errors: report.media_errors,
            error_log_entries: controller.errors.count,
        }
    );
}

fn put_firmware<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let Some(store) = context.world.firmware() else {
        put!(page, FirmwareSlotInformation { active_firmware: 1 });
        let revision = context.model.identity.firmware_revision;
        page.put_text(
            offset_of!(FirmwareSlotInformation, revisions) as u32,
            REVISION_LENGTH as u8,
            revision,
        );
        return;
    };
    let slots = store.slots().min(7);
    let next = store.next_slot().unwrap_or(0);
    put!(
        page,
        FirmwareSlotInformation {
            active_firmware: store.active_slot() & 7 | (next & 7) << 4,
        }
    );
    let first = offset_of!(FirmwareSlotInformation, revisions) as u32;
    let starts = (first..).step_by(REVISION_LENGTH);
    for (start, slot) in starts.zip((1..8).take(usize::from(slots))) {
        if let Some(revision) = store.revision(slot) {
            page.put(start, &revision);
        }
    }
}

fn put_changed_namespaces(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    let Some(controller) = model.controllers.get(controller) else {
        return;
    };
    let first = offset_of!(NamespaceList, namespace_ids) as u32;
    match controller.changed_namespaces.ids() {
        Some(ids) => {
            for (start, id) in (first..).step_by(size_of::<u32>()).zip(ids) {
                page.put_u32(start, id);
            }
        }
        None => page.put_u32(first, ALL_NAMESPACES),
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
    let (id, host_generation) = match initiator {
        Initiator::Host => (
            LogPageId::TELEMETRY_HOST_INITIATED,
            generations.host_generation,
        ),
        Initiator::Controller => (LogPageId::TELEMETRY_CONTROLLER_INITIATED, 0),
    };
    put!(
        page,
        TelemetryHeader {
            log_page_id: id,
            data_area_1_last_block: blocks,
            data_area_2_last_block: blocks,
            data_area_3_last_block: blocks,
            host_generation: host_generation,
            controller_data_available: u8::from(generations.available),
            controller_generation: generations.controller_generation,
        }
    );
    put_array!(
        page,
        TelemetryHeader {
            ieee_oui: &[third, second, first]
        }
    );
    let length = u32::from(blocks).wrapping_mul(BLOCK);
    let (offset, window) = page.part(BLOCK, length);
    if !window.is_empty() {
        telemetry.read(controller.id, initiator, offset, window);
    }
}
