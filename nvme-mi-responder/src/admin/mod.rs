//! Admin commands over NVMe-MI (NVMe-MI 1.2, section 6).

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

use crate::bytes::{u8_at, u16_at, u32_at};
use crate::clock::Instant;
use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{Answer, CompletionStatus, Failure, Handled, Refusal, Status};
use crate::model::{ControllerId, Model};
use crate::support::Abilities;
use crate::world::World;

/// Bytes of a request before Request Data.
pub(crate) const REQUEST_LENGTH: usize = 68;
/// Bytes of a response before Response Data.
pub(crate) const RESPONSE_LENGTH: usize = 20;
/// The most data that a command carries.
const MAX_DATA_LENGTH: u32 = 4096;

/// The fixed part of a request.
///
/// | byte | field |
/// |-|-|
/// | 4 | opcode |
/// | 5 | command flags: bit 0 the data length is valid, bit 1 the data offset is valid (1.1 only, ignored), bit 2 ignore shutdown (2.0) |
/// | 7:6 | controller ID |
/// | 11:8 | dword 1, the namespace ID |
/// | 27:12 | dwords 2 to 5 |
/// | 31:28 | data offset |
/// | 35:32 | data length |
/// | 43:36 | reserved |
/// | 67:44 | dwords 10 to 15 |
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
    /// `None`: the command's natural length, because the request says none. libnvme 1.x sends Get Features and Set Features so.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    GetLogPage,
    Identify,
    SetFeatures,
    GetFeatures,
    FirmwareCommit,
    FirmwareDownload,
    NamespaceManagement,
    NamespaceAttachment,
    SelfTest,
    Format,
    SecuritySend,
    SecurityReceive,
    Sanitize,
}

/// A command that exists if the device has what it needs.
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    command: Command,
    needs: Abilities,
    /// Whether the Optionally Supported Command List names it.
    pub(crate) optional: bool,
    /// Its dword of the Commands Supported and Effects log (NVM Express Base 2.0, figure 210): bit 0 supported, 1 logical block content,
    /// 2 namespace capability, 3 namespace inventory, 4 controller capability change, 18:16 submission.
    pub(crate) effects: u32,
}

impl Entry {
    const fn mandatory(opcode: u8, command: Command) -> Self {
        Self {
            opcode,
            command,
            needs: Abilities::NONE,
            optional: false,
            effects: 1,
        }
    }

    const fn optional(opcode: u8, command: Command, needs: Abilities, effects: u32) -> Self {
        Self {
            opcode,
            command,
            needs,
            optional: true,
            effects: 1 | effects,
        }
    }

    /// Whether the command waits for another of that kind that is pending in the other command slot.
    const fn is_alone(&self) -> bool {
        self.effects & ALONE != 0
    }
}

/// Effects: no other command is to be submitted to the subsystem until this one is done.
const ALONE: u32 = 2 << 16;
/// Effects: the content of logical blocks may change.
const BLOCKS_CHANGE: u32 = 1 << 1;
/// Effects: the capabilities of a namespace may change.
const NAMESPACE_CHANGES: u32 = 1 << 2;
/// Effects: the namespaces of the subsystem may change.
const INVENTORY_CHANGES: u32 = 1 << 3;
/// Effects: the capabilities of controllers may change.
const CONTROLLER_CHANGES: u32 = 1 << 4;

/// All commands, in ascending order: the one source of what is carried out and of what is reported as supported.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::mandatory(0x02, Command::GetLogPage),
    Entry::mandatory(0x06, Command::Identify),
    Entry::optional(0x09, Command::SetFeatures, Abilities::NONE, 0),
    Entry::mandatory(0x0A, Command::GetFeatures),
    Entry::optional(
        0x0D,
        Command::NamespaceManagement,
        Abilities::NAMESPACE_MANAGEMENT,
        ALONE | INVENTORY_CHANGES,
    ),
    Entry::optional(
        0x10,
        Command::FirmwareCommit,
        Abilities::FIRMWARE,
        ALONE | CONTROLLER_CHANGES,
    ),
    Entry::optional(0x11, Command::FirmwareDownload, Abilities::FIRMWARE, ALONE),
    Entry::optional(0x14, Command::SelfTest, Abilities::SELF_TEST, 0),
    Entry::optional(
        0x15,
        Command::NamespaceAttachment,
        Abilities::NAMESPACE_MANAGEMENT,
        ALONE | INVENTORY_CHANGES,
    ),
    Entry::optional(
        0x80,
        Command::Format,
        Abilities::FORMAT,
        ALONE | BLOCKS_CHANGE | NAMESPACE_CHANGES,
    ),
    Entry::optional(0x81, Command::SecuritySend, Abilities::SECURITY, ALONE),
    Entry::optional(0x82, Command::SecurityReceive, Abilities::SECURITY, ALONE),
    Entry::optional(
        0x84,
        Command::Sanitize,
        Abilities::SANITIZE,
        ALONE | BLOCKS_CHANGE,
    ),
];

/// The commands that a device with `abilities` supports.
pub(crate) fn supported(abilities: Abilities) -> impl Iterator<Item = &'static Entry> {
    COMMANDS
        .iter()
        .filter(move |entry| abilities.include(entry.needs))
}

/// The opcodes of the optional commands that a device with `abilities` supports.
pub(crate) fn optional_opcodes(abilities: Abilities) -> impl Iterator<Item = u8> {
    supported(abilities)
        .filter(|entry| entry.optional)
        .map(|entry| entry.opcode)
}

/// Carries out the command in `exchange`.
///
/// Checked in this order: size of the fixed part, opcode, controller, data offset and length, size of the Request Data. These fail with
/// an NVMe-MI status; whatever else is wrong is the command's own completion status.
pub(crate) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    exchange: &mut Exchange<'_>,
) -> Handled {
    if exchange.request().len() < REQUEST_LENGTH {
        return Err(Failure::new(Status::InvalidCommandSize).into());
    }
    let opcode = u8_at(exchange.request(), 4);
    let abilities = context.abilities();
    let entry = supported(abilities)
        .find(|entry| entry.opcode == opcode)
        .ok_or(Failure::new(Status::InvalidOpcode))?;
    exchange.refuse_endpoint_buffer()?;
    let controller = ControllerId(u16_at(exchange.request(), 6));
    let controller = context
        .model
        .controller_index(controller)
        .ok_or(Failure::parameter(6, 0))?;
    let request = Request::parse(exchange.request(), controller);
    request.check_data(exchange)?;
    if !entry.is_alone() {
        return carry_out(entry.command, context, request, exchange);
    }
    let owner = context.model.state.turn;
    if !context.alone && owner.is_some_and(|owner| owner != context.slot) {
        return Ok(Answer::Waiting);
    }
    let handled = carry_out(entry.command, context, request, exchange);
    let is_pending = matches!(handled, Ok(Answer::Pending));
    context.model.state.turn = is_pending.then_some(context.slot);
    handled
}

/// Carries out a command for a controller. That it failed is in the controller's error log.
fn carry_out<W: World>(
    command: Command,
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let allowed = context.model.state.sanitize.check(request.opcode);
    let handled = match allowed {
        Ok(()) => dispatch(command, context, request, exchange),
        Err(status) => Err(status.into()),
    };
    if let Err(Refusal::Command(status)) = handled {
        error_log::record(context.model, exchange.request(), status);
    }
    handled
}

fn dispatch<W: World>(
    command: Command,
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    match command {
        Command::GetLogPage => log_page::run(context, request, exchange),
        Command::SetFeatures => features::set(context, request, exchange),
        Command::GetFeatures => features::get(context, request, exchange),
        Command::Identify => identify::run(context, request, exchange),
        Command::FirmwareCommit => firmware::commit(context, request),
        Command::FirmwareDownload => firmware::download(context, request, exchange),
        Command::NamespaceManagement => namespace::manage(context, request, exchange),
        Command::NamespaceAttachment => namespace::attach(context, request, exchange),
        Command::SelfTest => self_test::run(context, request),
        Command::Format => format::run(context, request),
        Command::SecuritySend => security::send(context, request, exchange),
        Command::SecurityReceive => security::receive(context, request, exchange),
        Command::Sanitize => sanitize::run(context, request),
    }
}

/// Looks how far what runs in the background is.
pub(crate) fn observe<W: World>(model: &mut Model<'_>, world: &mut W, now: Instant) {
    self_test::observe(model, world, now);
    sanitize::observe(model, world, now);
}

impl Request {
    fn parse(message: &[u8], controller: usize) -> Self {
        let data_length = u32_at(message, 32);
        let says_length = u8_at(message, 5) & 1 != 0 || data_length != 0;
        Self {
            opcode: u8_at(message, 4),
            controller,
            namespace_id: u32_at(message, 8),
            dword10: u32_at(message, 44),
            dword11: u32_at(message, 48),
            dword12: u32_at(message, 52),
            dword13: u32_at(message, 56),
            dword14: u32_at(message, 60),
            data_offset: u32_at(message, 28),
            data_length: says_length.then_some(data_length),
        }
    }

    /// Checks data offset and length as far as they do not depend on the command, and the size of the Request Data.
    fn check_data(&self, exchange: &Exchange<'_>) -> Result<(), Failure> {
        let direction = Data::of(self.opcode);
        let length = self.data_length.unwrap_or(0);
        if !self.data_offset.is_multiple_of(4)
            || (direction != Data::FromController && self.data_offset != 0)
        {
            return Err(Failure::parameter(28, 0));
        }
        if !length.is_multiple_of(4)
            || length > MAX_DATA_LENGTH
            || (direction == Data::None && length != 0)
        {
            return Err(Failure::parameter(32, 0));
        }
        let carried = exchange.request_data().len();
        let expected = match (direction, self.data_length) {
            // libnvme before 1.11 sends data without saying how much.
            (Data::ToController, None) if carried <= MAX_DATA_LENGTH as usize => carried,
            (Data::ToController, length) => length.unwrap_or(0) as usize,
            _ => 0,
        };
        exchange.expect_request_data(expected)
    }

    /// Refuses data to the controller of another length than `length`, which the command itself says.
    pub(crate) fn expect_data(&self, exchange: &Exchange<'_>, length: u64) -> Result<(), Failure> {
        if self
            .data_length
            .is_some_and(|said| u64::from(said) != length)
        {
            return Err(Failure::parameter(32, 0));
        }
        exchange.expect_request_data(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Ends the request with the data of its result, of which there are `natural_length` bytes. The page that is returned is that of the
    /// command: its own `offset` in it (as that of Get Log Page) comes before the data offset of the request.
    ///
    /// # Errors
    ///
    /// The data offset or length is outside the result.
    pub(crate) fn return_data<'p>(
        &self,
        exchange: &'p mut Exchange<'_>,
        offset: u64,
        natural_length: u32,
    ) -> Result<Page<'p>, Failure> {
        if self.data_offset > natural_length {
            return Err(Failure::parameter(28, 0));
        }
        let available = natural_length.saturating_sub(self.data_offset);
        let length = match self.data_length {
            Some(length) if length > available => return Err(Failure::parameter(32, 0)),
            Some(length) => length,
            None => available.min(MAX_DATA_LENGTH),
        };
        let start = offset.saturating_add(u64::from(self.data_offset));
        Ok(exchange.answer(start, length as usize))
    }
}

/// Bytes 4 to 19 of a response: the NVMe-MI status and the completion queue entry.
///
/// | byte | field |
/// |-|-|
/// | 4 | status, 0 |
/// | 11:8 | completion dword 0 |
/// | 15:12 | completion dword 1, 0 |
/// | 19:16 | completion dword 3: the status field in bits 31:17, command ID 0 |
pub(crate) fn completion(handled: Result<u32, CompletionStatus>) -> [u8; 16] {
    let (dword0, status) = match handled {
        Ok(dword0) => (dword0, 0),
        Err(status) => (0, status.to_bits()),
    };
    let dword3 = u32::from(status) << 17;
    let mut bytes = [0; 16];
    crate::bytes::put(&mut bytes, 4, &dword0.to_le_bytes());
    crate::bytes::put(&mut bytes, 12, &dword3.to_le_bytes());
    bytes
}
