//! Namespace Management, opcode 0Dh, and Namespace Attachment, opcode 15h (NVM Express Base 2.0,
//! sections 5.23, Figures 297 to 302, and 5.22, Figures 294 to 296; section 8.11).
//!
//! # Namespace Management
//!
//! Dwords 10 and 11 are a [`NamespaceManagement`]. To delete one, NSID names it; FFFFFFFFh deletes
//! all of them. To create one, [`NamespaceManagementData`] follow, of which what is not sent is
//! zero. NCAP is the same as NSZE here; DPS is 0, none, as there are no metadata; LBA format 0 has
//! blocks of 512 bytes, 1 of 4096; ANAGRPID is 0. NVMSETID and ENDGID are ignored, and so is NSID.
//!
//! The lowest ID that is free is given to it, which is dword 0 of the completion. It is attached to
//! no controller. Nothing happens if it cannot be created. What is deleted is first detached.
//!
//! A command to create that is repeated creates another namespace. One to delete a namespace that
//! was deleted is an Invalid Field, as the ID is free: not a success, as the ID may have been given
//! out again meanwhile. To delete all of them succeeds again.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | SEL is another; NSZE or NCAP is 0; NCAP is above NSZE; delete: NSID is free |
//! | Invalid Namespace or Format (0Bh) | delete: NSID is 0 or above NN |
//! | Invalid Format (type 1, 0Ah) | there is no such LBA format, or it cannot have protection information |
//! | Namespace Insufficient Capacity (type 1, 15h) | less is left |
//! | Namespace Identifier Unavailable (type 1, 16h) | there are as many namespaces as there can be |
//! | Thin Provisioning Not Supported (type 1, 1Bh) | NCAP is below NSZE |
//! | ANA Group Identifier Invalid (type 1, 24h) | ANAGRPID is not 0 |
//! | I/O Command Set Not Supported (type 1, 29h) | CSI is another |
//!
//! # Namespace Attachment
//!
//! Dword 10 is a [`NamespaceAttachment`]; a [`ControllerList`](crate::wire::ControllerList)
//! follows, as long as it has entries or longer.
//!
//! All of the controllers or, with an error, none. To attach or detach again is refused with the
//! status that says so.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | SEL is another; NSID is free, or FFFFFFFFh |
//! | Invalid Namespace or Format (0Bh) | NSID is 0 or above NN |
//! | Namespace Already Attached (type 1, 18h) | it is, to one of them |
//! | Namespace Is Private (type 1, 19h) | it would be attached to several and is not shared |
//! | Namespace Not Attached (type 1, 1Ah) | detach: to one of them |
//! | Controller List Invalid (type 1, 1Ch) | it is empty, too long, not ascending, or names a controller that there is not |
//!
//! Every controller to which a namespace is attached, or from which it is detached, sets its
//! Namespace Attribute Changed flag and adds it to its Changed Namespace List; the Asynchronous
//! Event of 2.0 is 04h.
//!
//! **Reading.** An ID that no namespace has: Invalid Field up to NN; Invalid Namespace or Format
//! above.
//!
//! **Reading.** An empty list of controllers: Controller List Invalid.

use core::mem::offset_of;

use zerocopy::FromBytes;
use zerocopy::little_endian::U16;

use crate::bytes::{u8_at, u32_at, u64_at};
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{CompletionStatus, Handled};
use crate::model::{ControllerId, LBA_FORMATS, Model, ModelError, Namespace, NamespaceId, Outcome};
use crate::wire::identify::namespace::format_index;
use crate::wire::{
    CommandSpecificStatus, ControllerListHeader, NamespaceAttachment, NamespaceManagement,
    NamespaceManagementData,
};
use crate::world::World;

use super::identify::{ALL_NAMESPACES, NVM_COMMAND_SET, check_one};
use super::self_test;
use super::{Request, specific};

/// The most controllers in a list.
const MAX_CONTROLLERS: usize = 2047;

pub(super) const INVALID_FORMAT: CompletionStatus = specific(CommandSpecificStatus::INVALID_FORMAT);
const INSUFFICIENT_CAPACITY: CompletionStatus =
    specific(CommandSpecificStatus::NAMESPACE_INSUFFICIENT_CAPACITY);
const IDENTIFIER_UNAVAILABLE: CompletionStatus =
    specific(CommandSpecificStatus::NAMESPACE_IDENTIFIER_UNAVAILABLE);
const ALREADY_ATTACHED: CompletionStatus =
    specific(CommandSpecificStatus::NAMESPACE_ALREADY_ATTACHED);
const IS_PRIVATE: CompletionStatus = specific(CommandSpecificStatus::NAMESPACE_IS_PRIVATE);
const NOT_ATTACHED: CompletionStatus = specific(CommandSpecificStatus::NAMESPACE_NOT_ATTACHED);
const NOT_THIN: CompletionStatus = specific(CommandSpecificStatus::THIN_PROVISIONING_NOT_SUPPORTED);
const INVALID_CONTROLLER_LIST: CompletionStatus =
    specific(CommandSpecificStatus::CONTROLLER_LIST_INVALID);
const INVALID_ANA_GROUP: CompletionStatus =
    specific(CommandSpecificStatus::ANA_GROUP_IDENTIFIER_INVALID);
const COMMAND_SET_NOT_SUPPORTED: CompletionStatus =
    specific(CommandSpecificStatus::IO_COMMAND_SET_NOT_SUPPORTED);

/// SEL of Namespace Management.
const CREATE: u8 = 0;
const DELETE: u8 = 1;
/// SEL of Namespace Attachment.
const ATTACH: u8 = 0;
const DETACH: u8 = 1;
/// Bits of SEL in its byte.
const SELECT: u8 = 0xF;
/// Bits of the type of protection information in DPS.
const PROTECTION_TYPE: u8 = 7;
/// NMIC: the namespace can be attached to several controllers.
const SHARED: u8 = 1 << 0;

/// Namespace Management.
pub(super) fn manage<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: NamespaceManagement = request.command();
    match command.select & SELECT {
        CREATE if command.command_set != NVM_COMMAND_SET => Err(COMMAND_SET_NOT_SUPPORTED.into()),
        CREATE => create(context.model, exchange.request_data()),
        DELETE => delete(context, request.namespace_id()),
        _ => Err(CompletionStatus::INVALID_FIELD.into()),
    }
}

/// Creates a namespace by its description, which is a [`NamespaceManagementData`] or the beginning
/// of one.
fn create(model: &mut Model<'_>, description: &[u8]) -> Handled {
    use NamespaceManagementData as Data;
    let byte = |offset| u8_at(description, offset);
    let blocks = blocks_of(description)?;
    let protection = byte(offset_of!(Data, protection_settings)) & PROTECTION_TYPE;
    let format = format_index(byte(offset_of!(Data, formatted_size)));
    let format = format_of(format, protection)?;
    if u32_at(description, offset_of!(Data, ana_group_id)) != 0 {
        return Err(INVALID_ANA_GROUP.into());
    }
    let id = model.create_namespace(blocks, format).map_err(status_of)?;
    if let Some(created) = model.namespace_mut(id) {
        created.shared = byte(offset_of!(Data, sharing)) & SHARED != 0;
    }
    Ok(id.0)
}

/// The size in blocks.
fn blocks_of(description: &[u8]) -> Result<u64, CompletionStatus> {
    let size = u64_at(description, offset_of!(NamespaceManagementData, size));
    let capacity = u64_at(description, offset_of!(NamespaceManagementData, capacity));
    if capacity == 0 || capacity > size {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    if capacity < size {
        return Err(NOT_THIN);
    }
    Ok(size)
}

/// The LBA format with this index, if it can have that kind of protection information.
pub(super) fn format_of(format: u8, protection: u8) -> Result<u8, CompletionStatus> {
    if usize::from(format) < LBA_FORMATS.len() && protection == 0 {
        Ok(format)
    } else {
        Err(INVALID_FORMAT)
    }
}

fn delete<W: World>(context: &mut Context<'_, '_, W>, id: u32) -> Handled {
    if id != ALL_NAMESPACES {
        let id = find(context.model, id)?.id;
        return delete_one(context, id);
    }
    while let Some(id) = context.model.namespaces.last().map(|last| last.id) {
        delete_one(context, id)?;
    }
    Ok(0)
}

fn delete_one<W: World>(context: &mut Context<'_, '_, W>, id: NamespaceId) -> Handled {
    let (model, world) = (&mut *context.model, &mut *context.world);
    self_test::stop_of_namespace(model, world, id.0, Outcome::NamespaceDeleted);
    model.delete_namespace(id).map_err(status_of)?;
    Ok(0)
}

/// Namespace Attachment.
pub(super) fn attach<W>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: NamespaceAttachment = request.command();
    let attaches = match command.select & SELECT {
        ATTACH => true,
        DETACH => false,
        _ => return Err(CompletionStatus::INVALID_FIELD.into()),
    };
    let model = &mut *context.model;
    let found = find(model, request.namespace_id())?;
    let (id, attached, shared) = (found.id, found.attached, found.shared);
    let wanted = controllers_of(model, exchange.request_data())?;
    let attached = if attaches {
        attach_to(attached, wanted, shared)?
    } else {
        detach_from(attached, wanted)?
    };
    model.change_attachment(id, attached);
    Ok(0)
}

/// The namespace with this ID.
fn find<'n>(model: &'n Model<'_>, id: u32) -> Result<&'n Namespace, CompletionStatus> {
    check_one(model, id)?;
    model
        .namespace(NamespaceId(id))
        .ok_or(CompletionStatus::INVALID_FIELD)
}

/// The namespace with this ID, which is attached to the controller at that place.
pub(super) fn find_active<'n>(
    model: &'n Model<'_>,
    id: u32,
    controller: usize,
) -> Result<&'n Namespace, CompletionStatus> {
    let found = find(model, id)?;
    if found.attached & 1u32.unbounded_shl(controller as u32) != 0 {
        Ok(found)
    } else {
        Err(CompletionStatus::INVALID_FIELD)
    }
}

fn attach_to(attached: u32, wanted: u32, shared: bool) -> Result<u32, CompletionStatus> {
    let all = attached | wanted;
    if attached & wanted != 0 {
        return Err(ALREADY_ATTACHED);
    }
    if !shared && all.count_ones() > 1 {
        return Err(IS_PRIVATE);
    }
    Ok(all)
}

fn detach_from(attached: u32, wanted: u32) -> Result<u32, CompletionStatus> {
    if attached & wanted == wanted {
        Ok(attached & !wanted)
    } else {
        Err(NOT_ATTACHED)
    }
}

/// The controllers of a list, as bits.
fn controllers_of(model: &Model<'_>, list: &[u8]) -> Result<u32, CompletionStatus> {
    let (header, ids) =
        ControllerListHeader::ref_from_prefix(list).map_err(|_| INVALID_CONTROLLER_LIST)?;
    let count = usize::from(header.count.get());
    let (ids, _) =
        <[U16]>::ref_from_prefix_with_elems(ids, count).map_err(|_| INVALID_CONTROLLER_LIST)?;
    if count == 0 || count > MAX_CONTROLLERS {
        return Err(INVALID_CONTROLLER_LIST);
    }
    let mut controllers = 0u32;
    for id in ids {
        let id = ControllerId(id.get());
        let index = model.controller_index(id).ok_or(INVALID_CONTROLLER_LIST)?;
        let bit = 1u32.unbounded_shl(index as u32);
        // Bits ascend as the IDs do: one that is not above all before it is out of order.
        if bit <= controllers {
            return Err(INVALID_CONTROLLER_LIST);
        }
        controllers |= bit;
    }
    Ok(controllers)
}

fn status_of(error: ModelError) -> CompletionStatus {
    match error {
        ModelError::InsufficientCapacity => INSUFFICIENT_CAPACITY,
        ModelError::TooManyNamespaces => IDENTIFIER_UNAVAILABLE,
        _ => CompletionStatus::INVALID_FIELD,
    }
}
