//! Admin commands over NVMe-MI (NVMe-MI 1.2, section 6.2 and figure 114): message kind 2.
//!
//! | byte | request |
//! |-|-|
//! | 3:0 | message header, kind 2 |
//! | 4 | opcode; its bits 1:0 say which way data go: 0 none, 1 to the controller, 2 from the controller |
//! | 5 | command flags: bit 0 (DLENV) the data length is valid, bit 1 (DOFSTV) the data offset is valid, of 1.1 only, ignored; bit 2 (ISH) ignore shutdown, of 2.0, ignored as commands are carried out after a shutdown too |
//! | 7:6 | CTLID, the controller |
//! | 11:8 | dword 1, NSID |
//! | 27:12 | dwords 2 to 5 |
//! | 31:28 | DOFST, data offset: where in the result the bytes to return begin |
//! | 35:32 | DLEN, data length: bytes to return, or bytes of Request Data; at most 4096 |
//! | 43:36 | 0 |
//! | 67:44 | dwords 10 to 15 |
//! | 68.. | Request Data |
//!
//! | byte | response to a command that a controller carried out or refused |
//! |-|-|
//! | 4, 7:5 | status 0, 0 |
//! | 11:8, 15:12 | dwords 0 and 1 of the completion |
//! | 19:16 | dword 3: bit 31 Do Not Retry, 27:25 status code type, 24:17 status code, the rest 0, command ID too |
//! | 20.. | Response Data: DLEN bytes, or none if the command failed |
//!
//! Any other status is a response of 8 bytes, without a completion. These are the only reasons for
//! one, in the order in which they are looked at; all else that is wrong with a command is a status
//! in its completion.
//!
//! | status | when |
//! |-|-|
//! | Invalid Command Size | the fixed part is not whole |
//! | Invalid Command Opcode | the opcode is none of the table below |
//! | Invalid Parameter at byte 2 | data in the Management Endpoint Buffer: no command uses it |
//! | Invalid Parameter at byte 6 | there is no such controller |
//! | Invalid Parameter at byte 28 | DOFST is no multiple of 4, or not 0 though no data are returned |
//! | Invalid Parameter at byte 32 | DLEN is above 4096, not 0 for a command without data, or no multiple of 4 for data to the controller |
//! | Invalid Command Input Data Size | Request Data are not DLEN bytes; there are any for a command that takes none |
//! | Invalid Parameter at byte 28 or 32 | DOFST or DLEN is outside the result, or DLEN no multiple of 4. Only a command that has a result gets this: `nvme get-feature` of nvme-cli 3.0 asks for 510 bytes of FID 1Eh, and goes on with the next only if that is an Invalid Field |
//!
//! DLEN 0 has three meanings. With DLENV no data are returned. Without, the whole result is, up to
//! 4096 bytes: libnvme 1.x asks so for features. And as the length of Request Data it says nothing,
//! with DLENV or without: libnvme 1.x sets features so, and before 1.11 `nvme_mi_admin_xfer`
//! sends all data so.
//!
//! | opcode | command | supported |
//! |-|-|-|
//! | 02h | [Get Log Page](log_page) | always |
//! | 06h | [Identify](identify) | always |
//! | 09h, 0Ah | [Set Features](features), which is optional, and [Get Features](features) | always |
//! | 0Dh, 15h | [Namespace Management, Namespace Attachment](namespace) | if the model allows it |
//! | 10h, 11h | [Firmware Commit, Firmware Image Download](firmware) | if there is a firmware store |
//! | 14h | [Device Self-test](self_test) | if the media say so |
//! | 80h | [Format NVM](format) | if the media say so |
//! | 81h, 82h | [Security Send, Security Receive](security) | if there are security protocols |
//! | 84h | [Sanitize](sanitize) | if the media say so |
//!
//! Every other opcode is an Invalid Command Opcode. Among them are the optional 1Ch, 20h, 24h and
//! 86h, and those that a storage device must not support: 00h, 01h, 04h, 05h, 08h, 0Ch, 18h, 19h,
//! 1Ah, 1Dh, 1Eh, 7Ch, 7Fh, and by 2.0 also 21h, 22h, 25h, 29h, 39h, 3Dh, 3Eh, 41h, 42h,
//! 45h, 85h, 88h and 89h. (1.2 can be read so that these are an Invalid Parameter at byte 4;
//! requesters print either.)

pub mod error_log;
pub mod features;
pub mod firmware;
pub mod format;
pub mod identify;
pub mod log_page;
pub mod namespace;
pub mod sanitize;
pub mod security;
pub mod self_test;

use mctp_time::Instant;

use crate::bytes::{u8_at, u16_at, u32_at};
use crate::commands::admin_opcode::*;
use crate::commands::{self, ADMIN};
use crate::context::Context;
use crate::device::Exclusive;
use crate::exchange::{Exchange, Page, Starts};
use crate::failure::{Failure, Handled, Refusal, Status};
use crate::model::{ControllerId, Model};
use crate::world::World;

/// Where data start in requests and responses, the message type byte not counted.
pub(crate) const STARTS: Starts = Starts {
    request_start: REQUEST_LENGTH,
    response_start: 19,
};

/// Bytes of a request before Request Data, the message type byte not counted.
const REQUEST_LENGTH: usize = 67;
/// The most data that a command carries.
const MAX_DATA_LENGTH: u32 = 4096;

/// The fixed part of a request: see the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) opcode: u8,
    /// Where in `Model::controllers` the controller is.
    pub(crate) controller: usize,
    pub(crate) namespace_id: u32,
    pub(crate) dword10: u32,
    pub(crate) dword11: u32,
    pub(crate) dword12: u32,
    pub(crate) dword13: u32,
    pub(crate) dword14: u32,
    data_offset: u32,
    /// `None`: as much as there is, because the request says nothing.
    data_length: Option<u32>,
}

/// Which way the data of a command go: bits 1:0 of its opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    None,
    ToController,
    FromController,
}

impl Data {
    const fn of(opcode: u8) -> Self {
        match opcode & 3 {
            1 => Self::ToController,
            2 => Self::FromController,
            _ => Self::None,
        }
    }
}

/// Carries out the command in `exchange`.
///
/// Checked in this order: size of the fixed part, opcode, controller, data offset and length, size
/// of the Request Data. These fail with an NVMe-MI status; whatever else is wrong is the command's
/// own completion status.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let message: &[u8; REQUEST_LENGTH] = exchange.fixed_part()?;
    let entry = commands::find(ADMIN, context, exchange)?;
    let controller = ControllerId(u16_at(message, 5));
    let controller = context
        .model
        .controller_index(controller)
        .ok_or(Failure::parameter(6, 0))?;
    let request = Request::parse(message, controller);
    request.check_data(exchange)?;
    observe(context.model, context.world, context.now);
    if !entry.is_exclusive() {
        return carry_out(context, &request, exchange);
    }
    let longest = longest(context.world, request.opcode);
    let (port, slot) = (context.endpoint.port, context.slot);
    match *context.exclusive {
        Some(owner) if (owner.port, owner.slot) != (port, slot) => {
            context.longest = owner.longest.saturating_add(longest);
            return Err(Refusal::WAITING);
        }
        _ => context.longest = longest,
    }
    let handled = carry_out(context, &request, exchange);
    let is_pending = handled == Err(Refusal::PENDING);
    *context.exclusive = is_pending.then_some(Exclusive {
        port,
        slot,
        longest,
    });
    handled
}

/// How long a command may be pending, in milliseconds, as the world says.
fn longest<W: World>(world: &mut W, opcode: u8) -> u32 {
    let longest = match opcode {
        FORMAT => world.media().map(|media| media.longest_format()),
        FIRMWARE_DOWNLOAD => world.firmware().map(|store| store.longest_write()),
        FIRMWARE_COMMIT => world.firmware().map(|store| store.longest_commit()),
        _ => None,
    };
    // The others are never pending.
    longest.unwrap_or(0)
}

/// Carries out a command for a controller. That it failed is in the controller's error log.
fn carry_out<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let allowed = sanitize::check(&context.model.state.sanitize, request.opcode);
    let handled = match allowed {
        Ok(()) => dispatch(context, request, exchange),
        Err(status) => Err(status.into()),
    };
    if let Err(refusal) = handled
        && let Some(status) = refusal.completion()
    {
        error_log::record(context.model, request, status);
    }
    handled
}

// The handler is called through a pointer, here as for the other kinds of commands: inlined in one
// function, all handlers would have the stack frame of the largest.
fn dispatch<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let handler: Handler<W> = match request.opcode {
        GET_LOG_PAGE => log_page::run,
        SET_FEATURES => features::set,
        GET_FEATURES => features::get,
        IDENTIFY => identify::run,
        FIRMWARE_COMMIT => firmware::commit,
        FIRMWARE_DOWNLOAD => firmware::download,
        NAMESPACE_MANAGEMENT => namespace::manage,
        NAMESPACE_ATTACHMENT => namespace::attach,
        SELF_TEST => self_test::run,
        FORMAT => format::run,
        SECURITY_SEND => security::send,
        SECURITY_RECEIVE => security::receive,
        SANITIZE => sanitize::run,
        // It is not in the table.
        _ => return Err(Failure::new(Status::InvalidOpcode).into()),
    };
    handler(context, request, exchange)
}

/// Carries out one of the commands.
type Handler<W> = fn(&mut Context<'_, '_, W>, &Request, &mut Exchange<'_>) -> Handled;

/// Looks how far what runs in the background is.
pub(crate) fn observe<W: World>(model: &mut Model<'_>, world: &mut W, now: Instant) {
    self_test::observe(model, world, now);
    sanitize::observe(model, world, now);
}

impl Request {
    fn parse(message: &[u8; REQUEST_LENGTH], controller: usize) -> Self {
        let opcode = u8_at(message, 3);
        let data_length = u32_at(message, 31);
        // Before 1.11 libnvme sends data with a length that it calls valid and leaves 0.
        let is_valid = u8_at(message, 4) & 1 != 0 && Data::of(opcode) != Data::ToController;
        let says_length = is_valid || data_length != 0;
        Self {
            opcode,
            controller,
            namespace_id: u32_at(message, 7),
            dword10: u32_at(message, 43),
            dword11: u32_at(message, 47),
            dword12: u32_at(message, 51),
            dword13: u32_at(message, 55),
            dword14: u32_at(message, 59),
            data_offset: u32_at(message, 27),
            data_length: says_length.then_some(data_length),
        }
    }

    /// Checks data offset and length as far as they do not depend on the command, and the size of
    /// the Request Data.
    fn check_data(&self, exchange: &Exchange<'_>) -> Result<(), Failure> {
        let direction = Data::of(self.opcode);
        let returns = direction == Data::FromController;
        if !self.data_offset.is_multiple_of(4) || (!returns && self.data_offset != 0) {
            return Err(Failure::parameter(28, 0));
        }
        let length = self.data_length.unwrap_or(0);
        let limit = match direction {
            Data::None => 0,
            _ => MAX_DATA_LENGTH,
        };
        // What is returned is looked at when there is something to return: see the module.
        if length > limit || !(returns || length.is_multiple_of(4)) {
            return Err(Failure::parameter(32, 0));
        }
        let carried = exchange.request_data().len();
        exchange.expect_request_data(match (direction, self.data_length) {
            (Data::ToController, None) if carried <= limit as usize => carried,
            (Data::ToController, _) => length as usize,
            _ => 0,
        })
    }

    /// Refuses data to the controller of another length than `length`, which the command itself
    /// says.
    pub(crate) fn expect_data(&self, exchange: &Exchange<'_>, length: u64) -> Result<(), Failure> {
        if self
            .data_length
            .is_some_and(|said| u64::from(said) != length)
        {
            return Err(Failure::parameter(32, 0));
        }
        exchange.expect_request_data(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Ends the request with the data of its result, of which there are `natural_length` bytes.
    ///
    /// # Errors
    ///
    /// As [`window_length`](Self::window_length).
    pub(crate) fn return_data<'e, 'b>(
        &self,
        exchange: &'e mut Exchange<'b>,
        natural_length: u32,
    ) -> Result<&'e mut Page<'b>, Failure> {
        self.return_part(exchange, 0, natural_length)
    }

    /// The same for a result that is a part of a page: the page that is returned is whole, and the
    /// `offset` of the part in it comes before the data offset of the request.
    pub(crate) fn return_part<'e, 'b>(
        &self,
        exchange: &'e mut Exchange<'b>,
        offset: u32,
        natural_length: u32,
    ) -> Result<&'e mut Page<'b>, Failure> {
        let length = self.window_length(natural_length)?;
        let start = offset.saturating_add(self.data_offset);
        Ok(exchange.answer(start, length as usize))
    }

    /// How much of a result of `natural_length` bytes is wanted.
    ///
    /// # Errors
    ///
    /// The data offset or length is outside the result, or the length no multiple of 4.
    pub(crate) fn window_length(&self, natural_length: u32) -> Result<u32, Failure> {
        if self.data_offset > natural_length {
            return Err(Failure::parameter(28, 0));
        }
        let available = natural_length
            .saturating_sub(self.data_offset)
            .min(MAX_DATA_LENGTH);
        match self.data_length {
            Some(length) if !length.is_multiple_of(4) || length > available => {
                Err(Failure::parameter(32, 0))
            }
            length => Ok(length.unwrap_or(available)),
        }
    }
}
