//! Device Self-test, opcode 14h (NVM Express Base 2.0, sections 5.9 and 8.6, Figures 170 to 173),
//! and what its log says.
//!
//! Dword 10 is a [`DeviceSelfTest`]. NSID is 0 for the controller alone, FFFFFFFFh for all
//! namespaces attached to it too, or one of those.
//!
//! The test runs in the background. There is one at a time in the subsystem (DSTO bit 0), whichever
//! controller it is of. To abort when there is none is a success, and so is to abort again. A
//! command that starts a test and is repeated finds that test in progress.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | STC is another; NSID is a namespace that is not attached to the controller |
//! | Invalid Namespace or Format (0Bh) | NSID is above NN |
//! | Sanitize In Progress (1Dh) | it is |
//! | Device Self-test In Progress (type 1, 1Dh) | it is |
//!
//! # Device Self-test log, LID 06h
//!
//! A [`SelfTestLog`] (section 5.16.1.7, Figures 212 and 213). Of a result it has the code, how it
//! ended, the segment that failed, the hours powered on, and NSID. The rest is zero. A short test
//! ends with a reset of the subsystem or of its controller, an extended one goes on.

use core::mem::offset_of;

use mctp_time::Instant;

use crate::context::Context;
use crate::exchange::{Exchange, Page, put};
use crate::failure::{CompletionStatus, Handled};
use crate::model::{Model, Outcome, RunningTest, TestResult};
use crate::wire::{CommandSpecificStatus, DeviceSelfTest, SelfTestLog, SelfTestResult};
use crate::world::{SelfTest, SelfTestProgress, World, report_of};

use super::identify::ALL_NAMESPACES;
use super::namespace;
use super::{Request, specific};

/// STC.
const SHORT: u8 = 1;
const EXTENDED: u8 = 2;
const ABORT: u8 = 0xF;
/// Bits of STC in its byte.
const CODE: u8 = 0xF;

/// In the log: there is no such result.
const NO_RESULT: u8 = 0xF;
/// In the log: NSID is valid.
const NAMESPACE_VALID: u8 = 1 << 0;

const TEST_IN_PROGRESS: CompletionStatus =
    specific(CommandSpecificStatus::DEVICE_SELF_TEST_IN_PROGRESS).retryable();

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    _: &mut Exchange<'_>,
) -> Handled {
    let command: DeviceSelfTest = request.command();
    let code = command.code & CODE;
    match code {
        SHORT | EXTENDED => start(context, request, code)?,
        ABORT => stop(context.model, context.world, Outcome::Aborted),
        _ => return Err(CompletionStatus::INVALID_FIELD.into()),
    }
    Ok(0)
}

fn start<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    code: u8,
) -> Result<(), CompletionStatus> {
    let namespace = request.namespace_id();
    if namespace != 0 && namespace != ALL_NAMESPACES {
        namespace::find_active(context.model, namespace, request.controller)?;
    }
    if context.model.state.self_tests.running.is_some() {
        return Err(TEST_IN_PROGRESS);
    }
    let Some(controller) = context.model.controllers.get(request.controller) else {
        return Ok(());
    };
    let test = SelfTest {
        controller: controller.id,
        namespace,
        extended: code == EXTENDED,
    };
    if let Some(media) = context.world.media() {
        media.start_self_test(context.now, test);
    }
    context.model.state.self_tests.running = Some(RunningTest {
        code,
        controller: request.controller,
        namespace,
        percent: 0,
    });
    Ok(())
}

/// Ends the test under way, if there is one.
pub(crate) fn stop<W: World>(model: &mut Model<'_>, world: &mut W, outcome: Outcome) {
    if model.state.self_tests.running.is_some() {
        if let Some(media) = world.media() {
            media.stop_self_test();
        }
        end(model, world, outcome, 0);
    }
}

/// The namespace `id` is going to be deleted, or formatted: ends the test if it is of that one or
/// of all.
pub(super) fn stop_of_namespace<W: World>(
    model: &mut Model<'_>,
    world: &mut W,
    id: u32,
    outcome: Outcome,
) {
    let running = model.state.self_tests.running;
    let concerns = |test: RunningTest| test.namespace == id || test.namespace == ALL_NAMESPACES;
    if running.is_some_and(concerns) {
        stop(model, world, outcome);
    }
}

/// All controllers are reset, or the one at that place.
pub(crate) fn reset<W: World>(model: &mut Model<'_>, world: &mut W, only: Option<usize>) {
    let running = model.state.self_tests.running;
    let ends = |test: RunningTest| {
        test.code == SHORT && only.is_none_or(|controller| controller == test.controller)
    };
    if running.is_some_and(ends) {
        stop(model, world, Outcome::Reset);
    }
}

/// Looks how far the test is.
pub(super) fn observe<W: World>(model: &mut Model<'_>, world: &mut W, now: Instant) {
    let Some(running) = &mut model.state.self_tests.running else {
        return;
    };
    let Some(media) = world.media() else {
        return;
    };
    let (outcome, segment) = match media.self_test_progress(now) {
        SelfTestProgress::Running(percent) => {
            running.percent = percent.min(99);
            return;
        }
        SelfTestProgress::Passed => (Outcome::Passed, 0),
        SelfTestProgress::Failed(None) => (Outcome::FailedSomewhere, 0),
        SelfTestProgress::Failed(Some(segment)) => (Outcome::Failed, segment),
        SelfTestProgress::Incomplete => (Outcome::Incomplete, 0),
    };
    end(model, world, outcome, segment);
}

fn end<W: World>(model: &mut Model<'_>, world: &mut W, outcome: Outcome, segment: u8) {
    let Some(test) = model.state.self_tests.running.take() else {
        return;
    };
    let Some(controller) = model.controllers.get(test.controller) else {
        return;
    };
    let hours = report_of(controller, world.health()).power_on_hours;
    model.state.self_tests.add(TestResult {
        status: test.code << 4 | outcome as u8,
        segment,
        namespace: test.namespace,
        hours: u32::try_from(hours).unwrap_or(u32::MAX),
    });
}

/// Writes the log.
pub(super) fn put_log(model: &Model<'_>, page: &mut Page<'_>) {
    let tests = &model.state.self_tests;
    if let Some(running) = tests.running {
        put!(
            page,
            SelfTestLog {
                current_operation: running.code,
                completion: running.percent,
            }
        );
    }
    let first = offset_of!(SelfTestLog, results) as u32;
    let starts = (first..).step_by(size_of::<SelfTestResult>());
    for (start, result) in starts.zip(&tests.results) {
        if result.status == 0 {
            put!(page, start, SelfTestResult { status: NO_RESULT });
            continue;
        }
        put!(
            page,
            start,
            SelfTestResult {
                status: result.status,
                segment: result.segment,
                valid: if result.namespace != 0 {
                    NAMESPACE_VALID
                } else {
                    0
                },
                power_on_hours: u64::from(result.hours),
                namespace_id: result.namespace,
            }
        );
    }
}
