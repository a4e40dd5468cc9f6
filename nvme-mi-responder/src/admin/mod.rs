//! Admin commands over NVMe-MI (NVMe-MI 1.2, chapter 6): message kind 2.
//!
//! A request is an [`AdminRequest`], of which dwords 10 to 15 are the command's own, and Request
//! Data. Bits 1:0 of the opcode say which way data go: 0 none, 1 to the controller, 2 from the
//! controller. The flag DOFSTV is of 1.1 only and ignored; ISH is ignored too, as commands are
//! carried out after a shutdown as well. A controller that carried out the command, or refused it,
//! answers with an [`AdminResponse`] and Response Data: DLEN bytes, or none if the command failed.
//!
//! Any other status is a response without a completion (section 6.2). These are the only reasons
//! for one, in the order in which they are looked at; all else that is wrong with a command is a
//! status in its completion.
//!
//! | status | when |
//! |-|-|
//! | Invalid Command Size | the fixed part is not whole |
//! | Invalid Command Opcode | the opcode is none of the table below |
//! | Invalid Parameter at byte 2 | data in the Management Endpoint Buffer: no command uses it |
//! | Invalid Parameter at CTLID | there is no such controller |
//! | Invalid Parameter at DOFST | DOFST is no multiple of 4, or not 0 though no data are returned |
//! | Invalid Parameter at DLEN | DLEN is above 4096, not 0 for a command without data, or no multiple of 4 for data to the controller |
//! | Invalid Command Input Data Size | Request Data are not DLEN bytes; there are any for a command that takes none |
//! | Invalid Parameter at DOFST or DLEN | DOFST or DLEN is outside the result, or DLEN no multiple of 4. Only a command that has a result gets this: `nvme get-feature` of nvme-cli 3.0 asks for 510 bytes of FID 1Eh, and goes on with the next only if that is an Invalid Field |
//!
//! DLEN 0 has three meanings. With DLENV no data are returned. Without, the whole result is, up to
//! 4096 bytes: libnvme 1.x asks so for features. And as the length of Request Data it says nothing,
//! with DLENV or without: libnvme 1.x sets features so, and before 1.11 `nvme_mi_admin_xfer`
//! sends all data so. (The text, section 6.1, would have an Invalid Parameter at DLEN for each
//! command that moves data.)
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
//! 45h, 85h, 88h and 89h. That is the answer of 2.0. In 1.2 an opcode that Figure 114 prohibits is
//! an Invalid Parameter at the opcode, byte 4; requesters print either.
//!
//! # Repeated commands
//!
//! A requester that lost a response repeats its command. It succeeds again only if it cannot be
//! meant twice: the same piece of firmware, the same value of a feature, the same format. What the
//! device would do twice it does twice (create a namespace), and what is already as the command
//! wants it is refused with the status that says so (attach, delete). The page of each command has
//! its own answer.
//!
//! **Reading.** DLEN 0 where data move, which the text refuses: as libnvme 1.x means it.
//!
//! **Reading.** A command that is repeated as its response was lost: succeeds again if it cannot be
//! meant twice.

/// Puts text into a field of a structure, by name, with spaces up to the length of the field.
macro_rules! put_text {
    ($page:expr, $structure:ty { $field:ident: $text:expr }) => {{
        const fn length<const LENGTH: usize>(_: fn(&$structure) -> &[u8; LENGTH]) -> u8 {
            LENGTH as u8
        }
        $page.put_text(
            ::core::mem::offset_of!($structure, $field) as u32,
            const { length(|structure| &structure.$field) },
            $text,
        );
    }};
}
/// Puts arrays into fields of a structure, by name. They are lent: by value, as `put!` takes them,
/// they would be copied for each call: 80 bytes of flash.
macro_rules! put_array {
    ($page:expr, $structure:ty { $($field:ident: $array:expr),* $(,)? }) => {
        $(
            let array = $array;
            // The array is of the type of the field.
            let _ = |structure: &mut $structure| structure.$field = *array;
            $page.put(
                ::core::mem::offset_of!($structure, $field) as u32,
                ::zerocopy::IntoBytes::as_bytes(array),
            );
        )*
    };
}

/// Puts numbers of 64 bits into fields of 128 bits of a structure, by name. The upper half stays
/// zero: to put it as well would take 108 bytes more of flash.
macro_rules! put_wide {
    ($page:expr, $structure:ty { $($field:ident: $value:expr),* $(,)? }) => {
        $(
            let _: fn(&$structure) -> &::zerocopy::little_endian::U128 =
                |structure| &structure.$field;
            $page.put_u64(::core::mem::offset_of!($structure, $field) as u32, $value);
        )*
    };
}

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
use zerocopy::FromBytes;

use crate::commands::{self, ADMIN};
use crate::context::Context;
use crate::device::Exclusive;
use crate::exchange::{Exchange, Page, Starts};
use crate::failure::{CompletionStatus, Failure, Handled, Refusal, Status};
use crate::model::{ControllerId, Model};
use crate::wire::{
    AdminCommand, AdminOpcode, AdminRequest, AdminResponse, CommandSpecificStatus, location,
};
use crate::world::World;

/// Where data start in requests and responses, the message type byte not counted.
pub(crate) const STARTS: Starts = Starts {
    request_start: size_of::<AdminRequest>(),
    response_start: size_of::<AdminResponse>(),
};

/// The most data that a command carries.
const MAX_DATA_LENGTH: u32 = 4096;

/// DOFST is refused.
const DATA_OFFSET: Failure = Failure::parameter(location!(AdminRequest, data_offset), 0);
/// DLEN is refused.
const DATA_LENGTH: Failure = Failure::parameter(location!(AdminRequest, data_length), 0);

/// A command specific status that the same command would get again.
const fn specific(status: CommandSpecificStatus) -> CompletionStatus {
    CompletionStatus::specific(status.0)
}

/// The fixed part of a request, and what was checked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    fixed: AdminRequest,
    /// Where in `Model::controllers` the controller is.
    pub(crate) controller: usize,
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
    const fn of(opcode: AdminOpcode) -> Self {
        match opcode.0 & 3 {
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
    if context.resumed {
        // Only what must be alone is pending. However it ends now, others may begin.
        *context.exclusive = None;
    }
    let (fixed, _) = AdminRequest::ref_from_prefix(exchange.request())
        .map_err(|_| Failure::new(Status::InvalidCommandSize))?;
    let entry = commands::find(ADMIN, context, exchange)?;
    let controller = context
        .model
        .controller_index(ControllerId(fixed.controller_id.get()))
        .ok_or(Failure::parameter(
            location!(AdminRequest, controller_id),
            0,
        ))?;
    let request = Request::new(fixed, controller);
    request.check_data(exchange)?;
    observe(context.model, context.world, context.now);
    if !entry.is_exclusive() {
        return carry_out(context, &request, exchange);
    }
    let longest = longest(context.world, request.opcode());
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
fn longest<W: World>(world: &mut W, opcode: AdminOpcode) -> u32 {
    let longest = match opcode {
        AdminOpcode::FORMAT_NVM => world.media().map(|media| media.longest_format()),
        AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD => world.firmware().map(|store| store.longest_write()),
        AdminOpcode::FIRMWARE_COMMIT => world.firmware().map(|store| store.longest_commit()),
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
    let allowed = sanitize::check(&context.model.state.sanitize, request.opcode());
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
    let handler: Handler<W> = match request.opcode() {
        AdminOpcode::GET_LOG_PAGE => log_page::run,
        AdminOpcode::SET_FEATURES => features::set,
        AdminOpcode::GET_FEATURES => features::get,
        AdminOpcode::IDENTIFY => identify::run,
        AdminOpcode::FIRMWARE_COMMIT => firmware::commit,
        AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD => firmware::download,
        AdminOpcode::NAMESPACE_MANAGEMENT => namespace::manage,
        AdminOpcode::NAMESPACE_ATTACHMENT => namespace::attach,
        AdminOpcode::DEVICE_SELF_TEST => self_test::run,
        AdminOpcode::FORMAT_NVM => format::run,
        AdminOpcode::SECURITY_SEND => security::send,
        AdminOpcode::SECURITY_RECEIVE => security::receive,
        AdminOpcode::SANITIZE => sanitize::run,
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
    fn new(fixed: &AdminRequest, controller: usize) -> Self {
        let data_length = fixed.data_length.get();
        // Before 1.11 libnvme sends data with a length that it calls valid and leaves 0.
        let is_valid = fixed.flags & AdminRequest::DATA_LENGTH_VALID != 0
            && Data::of(fixed.opcode) != Data::ToController;
        let says_length = is_valid || data_length != 0;
        Self {
            fixed: *fixed,
            controller,
            data_length: says_length.then_some(data_length),
        }
    }

    pub(crate) const fn opcode(&self) -> AdminOpcode {
        self.fixed.opcode
    }

    /// NSID.
    pub(crate) fn namespace_id(&self) -> u32 {
        self.fixed.namespace_id.get()
    }

    /// What the command has in dwords 10 to 15.
    fn command<C: AdminCommand>(&self) -> C {
        self.fixed.command()
    }

    /// Dword 10, as logs repeat it.
    fn dword10(&self) -> u32 {
        let [dword10, ..] = self.fixed.dwords_10_to_15;
        dword10.get()
    }

    fn data_offset(&self) -> u32 {
        self.fixed.data_offset.get()
    }

    /// Checks data offset and length as far as they do not depend on the command, and the size of
    /// the Request Data.
    fn check_data(&self, exchange: &Exchange<'_>) -> Result<(), Failure> {
        let direction = Data::of(self.opcode());
        let returns = direction == Data::FromController;
        if !self.data_offset().is_multiple_of(4) || (!returns && self.data_offset() != 0) {
            return Err(DATA_OFFSET);
        }
        let length = self.data_length.unwrap_or(0);
        let limit = match direction {
            Data::None => 0,
            _ => MAX_DATA_LENGTH,
        };
        // What is returned is looked at when there is something to return: see the module.
        if length > limit || !(returns || length.is_multiple_of(4)) {
            return Err(DATA_LENGTH);
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
            return Err(DATA_LENGTH);
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
        let start = offset.saturating_add(self.data_offset());
        Ok(exchange.answer(start, length as usize))
    }

    /// How much of a result of `natural_length` bytes is wanted.
    ///
    /// # Errors
    ///
    /// The data offset or length is outside the result, or the length no multiple of 4.
    pub(crate) fn window_length(&self, natural_length: u32) -> Result<u32, Failure> {
        if self.data_offset() > natural_length {
            return Err(DATA_OFFSET);
        }
        let available = natural_length
            .saturating_sub(self.data_offset())
            .min(MAX_DATA_LENGTH);
        match self.data_length {
            Some(length) if !length.is_multiple_of(4) || length > available => Err(DATA_LENGTH),
            length => Ok(length.unwrap_or(available)),
        }
    }
}
