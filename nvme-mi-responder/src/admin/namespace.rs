//! Namespace Management, opcode 0Dh, and Namespace Attachment, opcode 15h (NVM Express Base 2.0).
//!
//! # Namespace Management
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 11:8 | | NSID, the namespace to delete; FFFFFFFFh: all of them |
//! | 44 | 3:0 | SEL: 0 create, 1 delete |
//! | 51 | | CSI, the I/O command set: 00h, NVM |
//!
//! To create one, its description follows as Request Data of 4096 bytes, of which these count; what
//! is not sent is zero:
//!
//! | byte | bits | field |
//! |-|-|-|
//! | 7:0 | | NSZE, size in blocks |
//! | 15:8 | | NCAP, capacity in blocks, which is the same here |
//! | 26 | 3:0, 6:5 | FLBAS, lower and upper bits of the index of the LBA format: 0 blocks of 512 bytes, 1 of 4096 |
//! | 29 | 2:0 | DPS, kind of protection information: none, 0, as there are no metadata |
//! | 30 | 0 | NMIC: it can be attached to several controllers at once |
//! | 95:92 | | ANAGRPID, 0 |
//!
//! The lowest ID that is free is given to it, which is dword 0 of the completion. It is attached to
//! no controller. Nothing happens if it cannot be created. What is deleted is first detached.
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
//! | byte | bits | field |
//! |-|-|-|
//! | 11:8 | | NSID |
//! | 44 | 3:0 | SEL: 0 attach, 1 detach |
//! | 69:68 | | how many controllers |
//! | 70.. | | their IDs, 2 bytes each, ascending |
//!
//! All of the controllers or, with an error, none.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | SEL is another; NSID is free |
//! | Invalid Namespace or Format (0Bh) | NSID is 0 or above NN |
//! | Namespace Already Attached (type 1, 18h) | it is, to one of them |
//! | Namespace Is Private (type 1, 19h) | it would be attached to several and is not shared |
//! | Namespace Not Attached (type 1, 1Ah) | detach: to one of them |
//! | Controller List Invalid (type 1, 1Ch) | it is empty, too long, not ascending, or names a controller that there is not |
//!
//! Every controller to which a namespace is attached, or from which it is detached, sets its
//! Namespace Attribute Changed flag and adds it to its Changed Namespace List; the Asynchronous
//! Event of 2.0 is 04h.

use crate::bytes::{u8_at, u16_at, u32_at, u64_at};
use crate::context::Context;
use crate::exchange::Exchange;
use crate::failure::{CompletionStatus, Handled};
use crate::model::{ControllerId, LBA_FORMATS, Model, ModelError, Namespace, NamespaceId, Outcome};
use crate::world::World;

use super::Request;
use super::identify::{ALL_NAMESPACES, highest_namespace_id};
use super::self_test;

/// The most controllers in a list.
const MAX_CONTROLLERS: usize = 2047;

pub(super) const INVALID_FORMAT: CompletionStatus = CompletionStatus::specific(0x0A);
const INSUFFICIENT_CAPACITY: CompletionStatus = CompletionStatus::specific(0x15);
const IDENTIFIER_UNAVAILABLE: CompletionStatus = CompletionStatus::specific(0x16);
const ALREADY_ATTACHED: CompletionStatus = CompletionStatus::specific(0x18);
const IS_PRIVATE: CompletionStatus = CompletionStatus::specific(0x19);
const NOT_ATTACHED: CompletionStatus = CompletionStatus::specific(0x1A);
const NOT_THIN: CompletionStatus = CompletionStatus::specific(0x1B);
const INVALID_CONTROLLER_LIST: CompletionStatus = CompletionStatus::specific(0x1C);
const INVALID_ANA_GROUP: CompletionStatus = CompletionStatus::specific(0x24);
const COMMAND_SET_NOT_SUPPORTED: CompletionStatus = CompletionStatus::specific(0x29);

/// Namespace Management.
pub(super) fn manage<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    match request.dword10 & 0xF {
        0 => create(context.model, request, exchange.request_data()),
        1 => delete(context, request.namespace_id),
        _ => Err(CompletionStatus::INVALID_FIELD.into()),
    }
}

fn create(model: &mut Model<'_>, request: &Request, description: &[u8]) -> Handled {
    if request.dword11 >> 24 != 0 {
        return Err(COMMAND_SET_NOT_SUPPORTED.into());
    }
    let blocks = size_of(description)?;
    let format = format_of(u8_at(description, 26), u8_at(description, 29) & 7)?;
    if u32_at(description, 92) != 0 {
        return Err(INVALID_ANA_GROUP.into());
    }
    let id = model.create_namespace(blocks, format).map_err(status_of)?;
    if let Some(created) = model.namespace_mut(id) {
        created.shared = u8_at(description, 30) & 1 != 0;
    }
    Ok(id.0)
}

/// The size in blocks.
fn size_of(description: &[u8]) -> Result<u64, CompletionStatus> {
    let (size, capacity) = (u64_at(description, 0), u64_at(description, 8));
    if capacity == 0 || capacity > size {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    if capacity < size {
        return Err(NOT_THIN);
    }
    Ok(size)
}

/// The index of the LBA format. `flbas` is as in the description of a namespace.
pub(super) fn format_of(flbas: u8, protection: u8) -> Result<u8, CompletionStatus> {
    let format = flbas & 0xF | flbas >> 1 & 0x30;
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
    let attaches = match request.dword10 & 0xF {
        0 => true,
        1 => false,
        _ => return Err(CompletionStatus::INVALID_FIELD.into()),
    };
    let model = &mut *context.model;
    let found = find(model, request.namespace_id)?;
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
    if id == 0 || id > highest_namespace_id(model) {
        return Err(CompletionStatus::INVALID_NAMESPACE);
    }
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
    let count = usize::from(u16_at(list, 0));
    let (ids, _) = list.get(2..).unwrap_or_default().as_chunks();
    if count == 0 || count > MAX_CONTROLLERS || count > ids.len() {
        return Err(INVALID_CONTROLLER_LIST);
    }
    let mut controllers = 0u32;
    for id in ids
        .iter()
        .take(count)
        .map(|id| ControllerId(u16::from_le_bytes(*id)))
    {
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
