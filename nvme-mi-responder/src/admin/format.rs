//! Format NVM, opcode 80h (NVM Express Base 2.0, section 5.14, Figures 188 to 190).
//!
//! Dword 10 is a [`FormatNvm`]. NSID FFFFFFFFh formats all namespaces that are attached to the
//! controller. LBA formats: 0 has blocks of 512 bytes, 1 of 4096. PI is 0, none, as there are no
//! metadata. SES 2, a cryptographic erase, is there where FNA bit 2 says so.
//!
//! MSET and PIL are without meaning as there are no metadata, and ignored. A namespace keeps its
//! bytes: with larger blocks it has fewer of them. It can take long; the requester is told that
//! more processing is required. If the format is another than before, the controllers to
//! which the namespace is attached are told that it changed. A self-test of the namespace ends.
//! Until it is done, a command of the other command slot that changes the device waits, rather than
//! fail with Format In Progress (84h). One that is repeated formats again and succeeds: what it
//! leaves is the same.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | SES is another; NSID is not attached to the controller |
//! | Invalid Namespace or Format (0Bh) | NSID is 0 or above NN; FFFFFFFFh and none is attached |
//! | Invalid Format (type 1, 0Ah) | there is no such LBA format, it cannot have protection information, or no block of it fits into the namespace |
//! | Internal Error (06h), may be tried again | the media failed |
//! | Sanitize In Progress (1Dh), Sanitize Failed (1Ch) | see [Sanitize](super::sanitize) |
//!
//! **Reading.** All namespaces, as Format names them: those attached to the controller.

use core::task::Poll;

use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{CompletionStatus, Handled, Refusal};
use crate::model::{ControllerId, LBA_FORMATS, Model, Namespace, NamespaceId, Outcome};
use crate::wire::FormatNvm;
use crate::world::{Format, SecureErase, World};

use super::Request;
use super::identify::ALL_NAMESPACES;
use super::namespace::{INVALID_FORMAT, find_active, format_of};
use super::self_test;

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    _: &mut Exchange<'_>,
) -> Handled {
    let command: FormatNvm = request.command();
    let erase = erase_of(command.secure_erase(), context.world)?;
    let format = format_of(command.format_index(), command.protection_information())?;
    let targets = Targets::new(context.model, request)?;
    targets.check(context.model, format)?;
    if !context.resumed {
        targets.end_self_test(context.model, context.world);
    }
    let order = Format {
        controller: targets.controller,
        namespace: targets.namespace,
        block_length: 1u32.unbounded_shl(u32::from(shift_of(format))),
        erase,
    };
    // The command is in the table only if there are any.
    let Some(media) = context.world.media() else {
        return Err(CompletionStatus::INTERNAL_ERROR.into());
    };
    match media.format(context.now, order) {
        Poll::Pending => return Err(Refusal::PENDING),
        Poll::Ready(done) => done.map_err(|_| CompletionStatus::INTERNAL_ERROR)?,
    }
    targets.change(context.model, format);
    Ok(0)
}

/// What SES asks for.
fn erase_of<W: World>(settings: u8, world: &mut W) -> Result<SecureErase, CompletionStatus> {
    match settings {
        0 => Ok(SecureErase::None),
        1 => Ok(SecureErase::UserData),
        2 if world
            .media()
            .is_some_and(|media| media.supports_cryptographic_erase()) =>
        {
            Ok(SecureErase::Cryptographic)
        }
        _ => Err(CompletionStatus::INVALID_FIELD),
    }
}

fn shift_of(format: u8) -> u8 {
    LBA_FORMATS.get(usize::from(format)).copied().unwrap_or(9)
}

/// The blocks that the namespace has in another format.
fn blocks_in(namespace: &Namespace, format: u8) -> u64 {
    namespace.bytes().unbounded_shr(u32::from(shift_of(format)))
}

/// What is formatted.
struct Targets {
    controller: ControllerId,
    /// The bit of the controller in the attachments.
    bit: u32,
    /// `None`: all of the controller.
    namespace: Option<NamespaceId>,
}

impl Targets {
    fn new(model: &Model<'_>, request: &Request) -> Result<Self, CompletionStatus> {
        let id = request.namespace_id();
        let all = id == ALL_NAMESPACES;
        if !all {
            find_active(model, id, request.controller)?;
        }
        let controller = model.controllers.get(request.controller);
        Ok(Self {
            controller: controller.map_or(ControllerId(0), |controller| controller.id),
            bit: 1u32.unbounded_shl(request.controller as u32),
            namespace: (!all).then_some(NamespaceId(id)),
        })
    }

    fn include(&self, namespace: &Namespace) -> bool {
        match self.namespace {
            Some(id) => namespace.id == id,
            None => namespace.attached & self.bit != 0,
        }
    }

    /// Makes sure that there are any, and that each has room for a block.
    fn check(&self, model: &Model<'_>, format: u8) -> Result<(), CompletionStatus> {
        let mut exist = false;
        for target in model.namespaces.iter().filter(|found| self.include(found)) {
            exist = true;
            if blocks_in(target, format) == 0 {
                return Err(INVALID_FORMAT);
            }
        }
        if exist {
            Ok(())
        } else {
            Err(CompletionStatus::INVALID_NAMESPACE)
        }
    }

    /// Ends a self-test of one of them.
    fn end_self_test<W: World>(&self, model: &mut Model<'_>, world: &mut W) {
        for index in 0..model.namespaces.len() {
            let found = model.namespaces.get(index);
            if let Some(id) = found
                .filter(|found| self.include(found))
                .map(|found| found.id)
            {
                self_test::stop_of_namespace(model, world, id.0, Outcome::Formatted);
            }
        }
    }

    fn change(&self, model: &mut Model<'_>, format: u8) {
        for index in 0..model.namespaces.len() {
            let found = model.namespaces.get_mut(index);
            let Some(target) = found.filter(|found| self.include(found)) else {
                continue;
            };
            if target.format != format {
                target.blocks = blocks_in(target, format);
                target.format = format;
                let (attached, id) = (target.attached, target.id);
                model.namespace_changed_in(attached, id);
            }
        }
    }
}
