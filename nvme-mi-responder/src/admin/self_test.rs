//! Device Self-test, opcode 14h (NVM Express Base 2.0), and what its log says.
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 11:8 | | NSID: 0 the controller alone, FFFFFFFFh all namespaces attached to it too, or one of those |
//! | 44 | 3:0 | STC: 1 short, 2 extended, Fh abort the test that is under way |
//!
//! The test runs in the background. There is one at a time in the subsystem (DSTO bit 0), whichever
//! controller it is of. To abort when there is none is a success.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | STC is another; NSID is a namespace that is not attached to the controller |
//! | Invalid Namespace or Format (0Bh) | NSID is above NN |
//! | Sanitize In Progress (1Dh) | it is |
//! | Device Self-test In Progress (type 1, 1Dh) | it is |
//!
//! # Device Self-test log, LID 06h, 564 bytes
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 0 | 3:0 | the test under way: 0 none, or STC |
//! | 1 | 6:0 | how far it is, in percent |
//! | 4 + 28 n | 7:4 | result n, newest first, up to 20: STC |
//! | | 3:0 | result: 0 passed, 1 aborted by Device Self-test, 2 by a reset, 3 its namespace was deleted, 4 aborted by Format NVM, 5 not completed, 6 failed in a segment unknown, 7 in that of the next byte, 9 aborted by Sanitize, Fh there is no such result |
//! | 5 + 28 n | | the segment that failed |
//! | 6 + 28 n | 0 | NSID is valid |
//! | 8 + 28 n | | hours powered on, 8 bytes |
//! | 16 + 28 n | | NSID, 4 bytes |
//!
//! The rest is zero. A short test ends with a reset of the subsystem or of its controller, an
//! extended one goes on.

use mctp_time::Instant;

use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{CompletionStatus, Handled};
use crate::model::{Model, Outcome, RunningTest, TestResult};
use crate::world::{SelfTest, SelfTestProgress, World, report_of};

use super::Request;
use super::identify::ALL_NAMESPACES;
use super::namespace;

/// Bytes of the log.
pub(super) const LOG_LENGTH: u32 = 564;
/// Bytes of a result in the log.
const RESULT_LENGTH: usize = 28;

const SHORT: u8 = 1;
const EXTENDED: u8 = 2;
const ABORT: u8 = 0xF;

const TEST_IN_PROGRESS: CompletionStatus = CompletionStatus::specific(0x1D).retryable();

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    _: &mut Exchange<'_>,
) -> Handled {
    let code = (request.dword10 & 0xF) as u8;
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
    let namespace = request.namespace_id;
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
        page.put_u8(0, running.code);
        page.put_u8(1, running.percent);
    }
    for (start, result) in (4u32..).step_by(RESULT_LENGTH).zip(&tests.results) {
        if result.status == 0 {
            page.put_u8(start, 0x0F);
            continue;
        }
        page.put_u8(start, result.status);
        page.put_u8(start.wrapping_add(1), result.segment);
        page.put_u8(start.wrapping_add(2), u8::from(result.namespace != 0));
        page.put_u32(start.wrapping_add(4), result.hours);
        page.put_u32(start.wrapping_add(12), result.namespace);
    }
}
