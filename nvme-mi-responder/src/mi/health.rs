//! NVM Subsystem Health Status Poll, opcode 01h, and Controller Health Status Poll, opcode 02h
//! (NVMe-MI 1.2).
//!
//! # NVM Subsystem Health Status Poll
//!
//! Request: byte 15, bit 7, CS: clear the composite flags after they are copied. The response has
//! from byte 8:
//!
//! | byte | bit | field |
//! |-|-|-|
//! | 0 | 7 | ATF (2.0): an [Asynchronous Event Message](crate::aem) was not acknowledged and given up |
//! | 0 | 6 | SFM (2.0): in [failure mode](crate::admin::sanitize) of a sanitize operation |
//! | 0 | 5 | DF, the drive works: not all of its controllers have failed |
//! | 0 | 4 | RNR, no reset is required: no controller has failed |
//! | 0 | 3, 2 | P0LA, P1LA: the PCIe link of port 0, of port 1 is up |
//! | 1 | | SW, the critical warnings of all controllers, inverted: 3Fh is none. Reserved bits stay 0 |
//! | 2 | | CTEMP, the highest composite temperature in degrees Celsius: 00h to 7Eh, 7Fh for 127 and more; C5h to FFh for -59 to -1, C4h for -60 and less; 80h where it is not known |
//! | 3 | | PDLU, the highest percentage used |
//! | 5:4 | | CCS, the composite flags: 0 RDY, 1 CFS, 2 SHST, 4 NSSRO, 5 CECO, 6 NAC, 7 FA, 8 CSTS, 9 CTEMP, 10 PDLU, 11 SPARE, 12 CWARN, 13 TCIDA |
//! | 7:6 | | 0 |
//!
//! A flag of CCS is set when what it stands for changes in any controller, and stays until it is
//! cleared here or with Configuration Set 02h; it does not come back because the controller's own
//! flag is still set. What exactly counts as a change the sources for this crate do not say: any
//! other value does, except that CFS which ends, and whatever is so when the endpoint starts, do
//! not.
//!
//! # Controller Health Status Poll
//!
//! | byte | bit | field |
//! |-|-|-|
//! | 9:8 | | SCTLID, the lowest controller ID wanted |
//! | 10 | | MAXRENT, how many are wanted, less one; 255 is refused |
//! | 11 | 0, 1, 2 | INCF, INCPF, INCVF: include plain functions, SR-IOV physical functions, SR-IOV virtual functions |
//! | 11 | 7 | ALL: include controllers in which nothing changed |
//! | 12 | 0 to 4 | include controllers of which CSTS, CTEMP, PDLU, SPARE, CWARN changed |
//! | 15 | 7 | CCF: clear the changed flags of the controllers returned, after they are copied |
//!
//! The response has the number of entries in byte 7 (RENT) and, from byte 8, for each controller in
//! ascending order:
//!
//! | byte | field |
//! |-|-|
//! | 1:0 | controller ID |
//! | 3:2 | CSTS: 0 RDY, 1 CFS, 3:2 SHST, 4 NSSRO, 5 CECO, 6 NAC, 7 FA, 8 TCIDA |
//! | 5:4 | composite temperature in kelvins |
//! | 6 | percentage used |
//! | 7 | available spare in percent |
//! | 8 | critical warnings, not inverted |
//! | 10:9 | CHSCF, the changed flags, with the bits of CCS. Reserved in 1.2, and filled in nevertheless |
//! | 15:11 | 0 |
//!
//! All fields of a controller are returned, not only those that were asked for. What CCF clears
//! besides CHSCF are the bits of CSTS that record an event: NSSRO, CECO, NAC, FA and TCIDA; the
//! sources for this crate agree on NAC, FA and TCIDA only. It leaves CCS as it is.
//!
//! Errors: Invalid Parameter at byte 10 for MAXRENT 255; Invalid Command Input Data Size for any
//! Request Data.

use crate::admin;
use crate::context::Context;
use crate::device::observe;
use crate::exchange::{Exchange, Page, put};
use crate::failure::{Failure, Handled};
use crate::model::{Controller, Flags, Function, PortId, PortKind, status};
use crate::wire::{ControllerHealth, SubsystemHealth};
use crate::world::{HealthReport, World, report_of};

use super::Request;

/// Bytes of a Controller Health Data Structure.
const CONTROLLER_LENGTH: usize = 16;

/// The warnings that there are: bits 5:0 of the SMART log's critical warning.
const WARNINGS: u8 = 0x3F;

/// NVM Subsystem Health Status Poll.
pub(super) fn poll_subsystem<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    exchange.expect_request_data(0)?;
    admin::observe(context.model, context.world, context.now);
    let worst = observe(context.model, context.world);
    let status = subsystem_status(context);
    let Some(port) = context.model.port_mut(context.endpoint.port) else {
        return Ok(0);
    };
    let composite = port.composite;
    if request.dword1 & 1 << 31 != 0 {
        port.composite = 0;
    }
    exchange.answer_with(&SubsystemHealth {
        status,
        smart_warnings: worst.smart_warnings(),
        composite_temperature: worst.temperature,
        percentage_used: worst.percentage_used,
        composite_controller_status: composite.into(),
        ..SubsystemHealth::default()
    });
    Ok(0)
}

fn subsystem_status<W: World>(context: &Context<'_, '_, W>) -> u8 {
    let failed = |controller: &&Controller| controller.status & status::FATAL != 0;
    let controllers = &context.model.controllers;
    let failed = controllers.iter().filter(failed).count();
    let needs_no_reset = failed == 0;
    let works = needs_no_reset || failed < controllers.len();
    u8::from(context.endpoint.events.has_failed()) << 7
        | u8::from(context.model.state.sanitize.failure_mode) << 6
        | u8::from(works) << 5
        | u8::from(needs_no_reset) << 4
        | u8::from(is_linked(context, PortId(0))) << 3
        | u8::from(is_linked(context, PortId(1))) << 2
}

fn is_linked<W>(context: &Context<'_, '_, W>, port: PortId) -> bool {
    let kind = context.model.port(port).map(|port| port.config.kind);
    matches!(kind, Some(PortKind::Pcie(pcie)) if pcie.link.is_some())
}

/// Controller Health Status Poll.
pub(super) fn poll_controllers<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let selection = Selection::parse(request)?;
    exchange.expect_request_data(0)?;
    observe(context.model, context.world);
    let port = context.endpoint.port;
    let controllers = context.model.controllers.len();
    let page = exchange.answer(0, controllers.wrapping_mul(CONTROLLER_LENGTH));
    let mut count = 0u32;
    for index in 0..controllers {
        let flags = context.model.flags(port).get(index).copied();
        let flags = flags.unwrap_or_default();
        let Some(controller) = context.model.controllers.get(index) else {
            continue;
        };
        if !selection.includes(controller, flags) {
            continue;
        }
        if count as usize == selection.limit {
            break;
        }
        let report = report_of(controller, context.world.health());
        let offset = count.wrapping_mul(CONTROLLER_LENGTH as u32);
        put_controller(page, offset, controller, flags, &report);
        if selection.clears
            && let Some(flags) = context.model.flags(port).get_mut(index)
        {
            flags.changed = 0;
        }
        count = count.wrapping_add(1);
    }
    exchange.shorten((count as usize).wrapping_mul(CONTROLLER_LENGTH));
    Ok(count << 16)
}

fn put_controller(
    page: &mut Page<'_>,
    offset: u32,
    controller: &Controller,
    flags: Flags,
    report: &HealthReport,
) {
    put!(
        page,
        offset,
        ControllerHealth {
            controller_id: controller.id.0,
            status: controller.status | flags.status(),
            composite_temperature: report.temperature,
            percentage_used: report.percentage_used,
            available_spare: report.available_spare,
            critical_warning: report.critical_warning & WARNINGS,
            changed_flags: flags.changed,
        }
    );
}

/// Which controllers a poll returns.
struct Selection {
    first: u16,
    limit: usize,
    /// INCF, INCPF and INCVF in bits 0 to 2.
    functions: u32,
    all: bool,
    /// The changed flags of which one makes a controller wanted.
    flags: u16,
    clears: bool,
}

impl Selection {
    fn parse(request: Request) -> Result<Self, Failure> {
        let [first_low, first_high, most, functions] = request.dword0.to_le_bytes();
        if most == u8::MAX {
            return Err(Failure::parameter(10, 0));
        }
        Ok(Self {
            first: u16::from_le_bytes([first_low, first_high]),
            limit: usize::from(most).wrapping_add(1),
            functions: u32::from(functions),
            all: functions & 0x80 != 0,
            // CSTS, CTEMP, PDLU, SPARE and CWARN have the same order there, from bit 8.
            flags: ((request.dword1 & 0x1F) as u16) << 8,
            clears: request.dword1 & 1 << 31 != 0,
        })
    }

    fn includes(&self, controller: &Controller, flags: Flags) -> bool {
        let function = match controller.config.function {
            Function::Plain => 1 << 0,
            Function::Physical => 1 << 1,
            Function::Virtual => 1 << 2,
        };
        controller.id.0 >= self.first
            && self.functions & function != 0
            && (self.all || flags.changed & self.flags != 0)
    }
}
