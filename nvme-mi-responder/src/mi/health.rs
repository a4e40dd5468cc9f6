//! NVM Subsystem Health Status Poll, opcode 01h (NVMe-MI 1.2, section 5.6, Figures 88 and 89), and
//! Controller Health Status Poll, opcode 02h (NVMe-MI 1.2, section 5.3, Figures 76 to 81).
//!
//! # NVM Subsystem Health Status Poll
//!
//! The request is [`SubsystemHealthPoll`], the response has a [`SubsystemHealth`].
//!
//! | field | here |
//! |-|-|
//! | NSS, ATF (2.0) | an [Asynchronous Event Message](crate::aem) was given up |
//! | NSS, SFM (2.0) | in [failure mode](crate::admin::sanitize) of a sanitize operation |
//! | NSS, DF | not all of the controllers have failed |
//! | NSS, RNR | no controller has failed |
//! | SW | the critical warnings of all controllers, inverted; bits without a warning are inverted, too, so that FFh is no warning (Figure 89 and Appendix A) |
//! | CTEMP | the highest composite temperature |
//! | PDLU | the highest percentage used |
//!
//! A flag of CCS is set when what it stands for changes in any controller, and stays until it is
//! cleared here or with [Configuration Set 02h](super::configuration). It is set by each change,
//! also while the controller's own flag is still set: the text sets it when that flag goes from 0
//! to 1 (Figure 89), but OpenBMC clears the composite flags only, and would then be told of one
//! change. What holds when the endpoint starts is no change, nor is RDY, CFS or a warning that ends
//! (section 5.3.2, Figures 80 and 81).
//!
//! # Controller Health Status Poll
//!
//! The request is [`ControllerHealthPoll`], the result [`ControllerHealthPollResult`]; a
//! [`ControllerHealth`] for each controller follows, in ascending order.
//!
//! All fields of a controller are returned, not only those that were asked for, among them CHSCF in
//! bytes 10:9, which are reserved in 1.2. What CCF clears besides CHSCF are the bits of CSTS that
//! record an event: NSSRO, CECO, NAC, FA and TCIDA; the text does not say what clears CECO, NAC and
//! FA. It leaves CCS as it is.
//!
//! A requester that did not get the response to a poll that clears has lost what was cleared: it
//! gets the response again with [Replay](crate::control), not with a second poll.
//!
//! Errors: Invalid Parameter at MAXRENT for 255; Invalid Command Input Data Size for any Request
//! Data.
//!
//! **Reading.** Reserved bits of the inverted smart warnings: 1, as the text has them: no warning
//! is FFh; clients look at bits 5:0.
//!
//! **Reading.** The changed flags of a controller: bytes 10:9, reserved in 1.2.
//!
//! **Reading.** When a composite flag is set: with each change, as OpenBMC clears these flags only;
//! the text: when the controller's own flag goes from 0 to 1.
//!
//! **Reading.** What CCF clears of a controller's status: NSSRO, CECO, NAC, FA, TCIDA.

use crate::admin;
use crate::context::Context;
use crate::device::observe;
use crate::exchange::{Exchange, Page, put};
use crate::failure::{Failure, Handled};
use crate::model::{Controller, Flags, Function, PortId, PortKind, WARNINGS, status};
use crate::wire::{
    ControllerHealth, ControllerHealthPoll, ControllerHealthPollResult, ManagementRequest,
    SubsystemHealth, SubsystemHealthPoll, location,
};
use crate::world::{HealthReport, World, report_of};

/// Bytes of a Controller Health Data Structure.
const CONTROLLER_LENGTH: usize = size_of::<ControllerHealth>();

/// NVM Subsystem Health Status Poll.
pub(super) fn poll_subsystem<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: SubsystemHealthPoll = request.command();
    exchange.expect_request_data(0)?;
    admin::observe(context.model, context.world, context.now);
    let worst = observe(context.model, context.world);
    let status = subsystem_status(context);
    let Some(port) = context.model.port_mut(context.endpoint.port) else {
        return Ok(0);
    };
    let composite = port.composite;
    if command.flags & SubsystemHealthPoll::CLEAR_STATUS != 0 {
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
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    flag(
        SubsystemHealth::EVENT_TRANSMISSION_FAILED,
        context.endpoint.events.has_failed(),
    ) | flag(
        SubsystemHealth::SANITIZE_FAILURE_MODE,
        context.model.state.sanitize.failure_mode,
    ) | flag(SubsystemHealth::DRIVE_FUNCTIONAL, works)
        | flag(SubsystemHealth::RESET_NOT_REQUIRED, needs_no_reset)
        | flag(
            SubsystemHealth::PORT_0_LINK_ACTIVE,
            is_linked(context, PortId(0)),
        )
        | flag(
            SubsystemHealth::PORT_1_LINK_ACTIVE,
            is_linked(context, PortId(1)),
        )
}

fn is_linked<W>(context: &Context<'_, '_, W>, port: PortId) -> bool {
    let kind = context.model.port(port).map(|port| port.config.kind);
    matches!(kind, Some(PortKind::Pcie(pcie)) if pcie.link.is_some())
}

/// Controller Health Status Poll.
pub(super) fn poll_controllers<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let selection = Selection::parse(request.command())?;
    exchange.expect_request_data(0)?;
    observe(context.model, context.world);
    let port = context.endpoint.port;
    let controllers = context.model.controllers.len();
    let page = exchange.answer(0, controllers.wrapping_mul(CONTROLLER_LENGTH));
    let mut count = 0u8;
    for index in 0..controllers {
        let flags = context.model.flags(port).get(index).copied();
        let flags = flags.unwrap_or_default();
        let Some(controller) = context.model.controllers.get(index) else {
            continue;
        };
        if !selection.includes(controller, flags) {
            continue;
        }
        if usize::from(count) == selection.limit {
            break;
        }
        let report = report_of(controller, context.world.health());
        let offset = u32::from(count).wrapping_mul(CONTROLLER_LENGTH as u32);
        put_controller(page, offset, controller, flags, &report);
        if selection.clears
            && let Some(flags) = context.model.flags(port).get_mut(index)
        {
            flags.changed = 0;
        }
        count = count.wrapping_add(1);
    }
    exchange.shorten(usize::from(count).wrapping_mul(CONTROLLER_LENGTH));
    let result = ControllerHealthPollResult {
        entries: count,
        ..ControllerHealthPollResult::default()
    };
    Ok(super::result(result.into()))
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
            status: controller.status & !status::SUBSYSTEM_SHUTDOWN | flags.status(),
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
    /// INCF, INCPF, INCVF and ALL.
    functions: u8,
    /// The changed flags of which one makes a controller wanted.
    flags: u16,
    clears: bool,
}

impl Selection {
    fn parse(command: ControllerHealthPoll) -> Result<Self, Failure> {
        if command.maximum_entries == u8::MAX {
            return Err(Failure::parameter(
                location!(ControllerHealthPoll, maximum_entries),
                0,
            ));
        }
        Ok(Self {
            first: command.starting_controller_id.get(),
            limit: usize::from(command.maximum_entries).wrapping_add(1),
            functions: command.functions,
            // CSTS, CTEMP, PDLU, SPARE and CWARN have the same order there, from bit 8.
            flags: u16::from(command.changes & 0x1F) << 8,
            clears: command.flags & ControllerHealthPoll::CLEAR_CHANGED_FLAGS != 0,
        })
    }

    fn includes(&self, controller: &Controller, flags: Flags) -> bool {
        let function = match controller.config.function {
            Function::Plain => ControllerHealthPoll::INCLUDE_FUNCTIONS,
            Function::Physical => ControllerHealthPoll::INCLUDE_PHYSICAL_FUNCTIONS,
            Function::Virtual => ControllerHealthPoll::INCLUDE_VIRTUAL_FUNCTIONS,
        };
        let all = self.functions & ControllerHealthPoll::ALL != 0;
        controller.id.0 >= self.first
            && self.functions & function != 0
            && (all || flags.changed & self.flags != 0)
    }
}
