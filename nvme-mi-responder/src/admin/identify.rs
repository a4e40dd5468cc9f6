//! Identify, opcode 06h (NVM Express Base 2.0, section 5.17, Figures 269 to 273).
//!
//! Dwords 10 to 15 are an [`Identify`]. CSI is 00h (NVM), the only one, where the table says so.
//! Every structure has 4096 bytes, of which the requester gets the window that it asks for. Other
//! fields are ignored; among them CNTID where the table does not name it, above all for CNS 01h.
//!
//! | CNS | structure | NSID |
//! |-|-|-|
//! | 00h | [Identify Namespace](namespace) | a namespace; FFFFFFFFh for what all have in common, if namespaces can be managed |
//! | 01h | [Identify Controller](controller) | ignored. Every libnvme asks for the first 72 bytes of controller 0 first |
//! | 02h | IDs of the active namespaces above NSID ([`NamespaceList`]) | less than FFFFFFFEh |
//! | 03h | [identification descriptors](namespace) | an active namespace |
//! | 05h | Identify Namespace of the I/O command set CSI: zero, as all of its optional features | a namespace |
//! | 06h | Identify Controller of CSI: zero, likewise | ignored |
//! | 07h | as 02h, for CSI | |
//! | 08h | [Identify Namespace independent of the I/O command set](namespace) | a namespace |
//! | 10h | IDs of the allocated namespaces above NSID | less than FFFFFFFEh |
//! | 11h | Identify Namespace of an allocated namespace, attached or not | a namespace |
//! | 12h | controllers to which NSID is attached, from CNTID on ([`ControllerList`]) | an allocated namespace |
//! | 13h | controllers of the subsystem from CNTID on, likewise | ignored |
//! | 14h | [primary controller capabilities](controller): no resources to share | ignored |
//! | 15h | secondary controllers: none | ignored |
//! | 17h | UUID list: empty | ignored |
//! | 1Ah, 1Bh | as 10h, and as 05h for an allocated namespace, for CSI | |
//! | 1Ch | [I/O command sets](controller) of controller CNTID; FFFFh is the one that is asked | ignored |
//!
//! A namespace is *active* if it is attached to the controller that is asked, and *allocated* if it
//! exists. IDs go up to NN of Identify Controller, which is how many namespaces the subsystem has
//! room for. The structure of an ID that is not active (00h, 05h, 08h) or not allocated (11h, 1Bh)
//! is zero.
//!
//! | error | when |
//! |-|-|
//! | Invalid Field (02h) | another CNS; another CSI; a CNTID that CNS 1Ch does not find; an ID that is not active (03h) or not allocated (12h); NSID is FFFFFFFFh (03h, 08h and 12h), or 0 (12h) |
//! | Invalid Namespace or Format (0Bh) | NSID is 0 or above NN where a namespace is asked for; FFFFFFFFh where a namespace is asked for with another CNS than those above; above FFFFFFFDh where a list is |
//!
//! That CNS 03h and 12h fail for an ID without a namespace, and 03h and 08h for all of them, is the
//! rule for all commands (section 3.2.1.5, Figure 87), to which the other structures are exceptions.
//! By the same rule an NSID should be 0 where the table ignores it; `nvme list-secondary` sends the
//! one of its user, and gets an answer.
//!
//! **Reading.** An NSID that a command does not use: ignored: `nvme list-secondary` and `nvme
//! security-recv` send one.
//!
//! **Reading.** NSID FFFFFFFFh where it has no meaning: Invalid Field; Invalid Namespace or Format
//! for Identify 00h, 05h, 11h and 1Bh, and for lists.
//!
//! **Reading.** The controllers of namespace 0: Invalid Field.

pub mod controller;
pub mod namespace;

use core::mem::offset_of;

use crate::context::{Ability, Context};
use crate::exchange::{Exchange, Page, put};
use crate::failure::{CompletionStatus, Handled};
use crate::model::{ControllerId, Model, Namespace, NamespaceId};
use crate::wire::{ControllerList, Identify, IdentifyStructure, NamespaceList};
use crate::world::World;

use super::Request;

/// Bytes of every structure.
const STRUCTURE_LENGTH: u32 = 4096;
/// NSID: all namespaces.
pub(super) const ALL_NAMESPACES: u32 = 0xFFFF_FFFF;
/// NSID: the lowest that no list can start after.
const FIRST_NOT_LISTED: u32 = 0xFFFF_FFFE;
/// CSI: the NVM command set.
pub(super) const NVM_COMMAND_SET: u8 = 0x00;
/// CNTID: the controller that is asked.
const THIS_CONTROLLER: u16 = 0xFFFF;

/// What is asked for. Namespaces are places in [`Model::namespaces`].
enum Structure {
    /// A structure of zeros.
    Empty,
    Controller,
    PrimaryCapabilities,
    CommandSets,
    CommonNamespace,
    Namespace(usize),
    IndependentNamespace(usize),
    Descriptors(usize),
    /// IDs above this one, of all namespaces or of those that are active.
    Namespaces(u32, Scope),
    /// IDs from this one on, of the controllers with these bits of [`Namespace::attached`].
    Controllers(u16, u32),
}

/// Which namespaces a command sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Active,
    Allocated,
}

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let manages = context.has(Ability::NamespaceManagement);
    let structure = wanted(context.model, request, manages)?;
    let page = request.return_data(exchange, STRUCTURE_LENGTH)?;
    match structure {
        Structure::Empty => {}
        Structure::Controller => controller::put(context, request.controller, page),
        Structure::PrimaryCapabilities => {
            controller::put_primary_capabilities(context.model, request.controller, page);
        }
        Structure::CommandSets => controller::put_command_sets(page),
        Structure::CommonNamespace => namespace::put_common(page),
        Structure::Namespace(index) => namespace::put(context, index, page),
        Structure::IndependentNamespace(index) => {
            namespace::put_independent(context.model, index, page);
        }
        Structure::Descriptors(index) => namespace::put_descriptors(context, index, page),
        Structure::Namespaces(after, scope) => {
            put_namespaces(context.model, request.controller, after, scope, page);
        }
        Structure::Controllers(first, attached) => {
            put_controllers(context.model, first, attached, page);
        }
    }
    Ok(0)
}

/// Finds out what is asked for.
fn wanted(
    model: &Model<'_>,
    request: &Request,
    manages_namespaces: bool,
) -> Result<Structure, CompletionStatus> {
    use IdentifyStructure as Cns;
    let command: Identify = request.command();
    let (cns, id) = (command.structure, request.namespace_id());
    let first = command.controller_id.get();
    if is_of_command_set(cns) && command.command_set != NVM_COMMAND_SET {
        return Err(CompletionStatus::INVALID_FIELD);
    }
    match cns {
        Cns::NAMESPACE
        | Cns::COMMAND_SET_NAMESPACE
        | Cns::ALLOCATED_NAMESPACE
        | Cns::COMMAND_SET_ALLOCATED_NAMESPACE
            if id == ALL_NAMESPACES =>
        {
            of_all_namespaces(cns, manages_namespaces)
        }
        Cns::NAMESPACE_CONTROLLERS if id == 0 => Err(CompletionStatus::INVALID_FIELD),
        Cns::NAMESPACE
        | Cns::NAMESPACE_DESCRIPTORS
        | Cns::COMMAND_SET_NAMESPACE
        | Cns::INDEPENDENT_NAMESPACE
        | Cns::ALLOCATED_NAMESPACE
        | Cns::NAMESPACE_CONTROLLERS
        | Cns::COMMAND_SET_ALLOCATED_NAMESPACE => of_namespace(model, request, cns, first),
        Cns::ACTIVE_NAMESPACES
        | Cns::COMMAND_SET_ACTIVE_NAMESPACES
        | Cns::ALLOCATED_NAMESPACES
        | Cns::COMMAND_SET_ALLOCATED_NAMESPACES => {
            if id < FIRST_NOT_LISTED {
                Ok(Structure::Namespaces(id, scope_of(cns)))
            } else {
                Err(CompletionStatus::INVALID_NAMESPACE)
            }
        }
        Cns::CONTROLLERS => Ok(Structure::Controllers(first, u32::MAX)),
        Cns::CONTROLLER => Ok(Structure::Controller),
        Cns::PRIMARY_CONTROLLER_CAPABILITIES => Ok(Structure::PrimaryCapabilities),
        Cns::COMMAND_SET_CONTROLLER | Cns::SECONDARY_CONTROLLERS | Cns::UUIDS => {
            Ok(Structure::Empty)
        }
        Cns::COMMAND_SETS if is_controller(model, first) => Ok(Structure::CommandSets),
        _ => Err(CompletionStatus::INVALID_FIELD),
    }
}

/// Whether CSI says which structure it is.
const fn is_of_command_set(cns: IdentifyStructure) -> bool {
    matches!(
        cns,
        IdentifyStructure::COMMAND_SET_NAMESPACE
            | IdentifyStructure::COMMAND_SET_CONTROLLER
            | IdentifyStructure::COMMAND_SET_ACTIVE_NAMESPACES
            | IdentifyStructure::COMMAND_SET_ALLOCATED_NAMESPACES
            | IdentifyStructure::COMMAND_SET_ALLOCATED_NAMESPACE
    )
}

/// The same for what all namespaces have in common.
fn of_all_namespaces(
    cns: IdentifyStructure,
    manages_namespaces: bool,
) -> Result<Structure, CompletionStatus> {
    match cns {
        IdentifyStructure::NAMESPACE if manages_namespaces => Ok(Structure::CommonNamespace),
        IdentifyStructure::COMMAND_SET_NAMESPACE if manages_namespaces => Ok(Structure::Empty),
        _ => Err(CompletionStatus::INVALID_NAMESPACE),
    }
}

/// The same for what there is of one namespace.
fn of_namespace(
    model: &Model<'_>,
    request: &Request,
    cns: IdentifyStructure,
    first: u16,
) -> Result<Structure, CompletionStatus> {
    use IdentifyStructure as Cns;
    let Some(index) = find(model, request, scope_of(cns))? else {
        return match cns {
            Cns::NAMESPACE_DESCRIPTORS | Cns::NAMESPACE_CONTROLLERS => {
                Err(CompletionStatus::INVALID_FIELD)
            }
            _ => Ok(Structure::Empty),
        };
    };
    let attached = |namespace: &Namespace| namespace.attached;
    Ok(match cns {
        Cns::NAMESPACE | Cns::ALLOCATED_NAMESPACE => Structure::Namespace(index),
        Cns::NAMESPACE_DESCRIPTORS => Structure::Descriptors(index),
        Cns::INDEPENDENT_NAMESPACE => Structure::IndependentNamespace(index),
        Cns::NAMESPACE_CONTROLLERS => {
            Structure::Controllers(first, model.namespaces.get(index).map_or(0, attached))
        }
        _ => Structure::Empty,
    })
}

/// Which namespaces a structure is of.
const fn scope_of(cns: IdentifyStructure) -> Scope {
    if cns.0 < IdentifyStructure::ALLOCATED_NAMESPACES.0 {
        Scope::Active
    } else {
        Scope::Allocated
    }
}

fn is_controller(model: &Model<'_>, id: u16) -> bool {
    id == THIS_CONTROLLER || model.controller_index(ControllerId(id)).is_some()
}

/// Where the namespace is that the request names; `None`: its ID is not active or not allocated.
pub(super) fn find(
    model: &Model<'_>,
    request: &Request,
    scope: Scope,
) -> Result<Option<usize>, CompletionStatus> {
    let id = request.namespace_id();
    check_one(model, id)?;
    let is_meant =
        |namespace: &Namespace| namespace.id.0 == id && sees(scope, request.controller, namespace);
    Ok(model.namespaces.iter().position(is_meant))
}

/// Refuses an ID that is none of a single namespace that could be.
pub(super) fn check_one(model: &Model<'_>, id: u32) -> Result<(), CompletionStatus> {
    match id {
        ALL_NAMESPACES => Err(CompletionStatus::INVALID_FIELD),
        id if id == 0 || id > highest_namespace_id(model) => {
            Err(CompletionStatus::INVALID_NAMESPACE)
        }
        _ => Ok(()),
    }
}

fn sees(scope: Scope, controller: usize, namespace: &Namespace) -> bool {
    let bit = 1u32.unbounded_shl(controller as u32);
    scope == Scope::Allocated || namespace.attached & bit != 0
}

/// NN: as IDs are given out from the lowest, there is none above the number of namespaces there is
/// room for.
pub(super) fn highest_namespace_id(model: &Model<'_>) -> u32 {
    u32::try_from(model.namespaces.capacity()).unwrap_or(u32::MAX)
}

fn put_namespaces(
    model: &Model<'_>,
    controller: usize,
    after: u32,
    scope: Scope,
    page: &mut Page<'_>,
) {
    let listed = |namespace: &&Namespace| {
        namespace.id > NamespaceId(after) && sees(scope, controller, namespace)
    };
    let first = offset_of!(NamespaceList, namespace_ids) as u32;
    let starts = (first..).step_by(size_of::<u32>());
    for (start, namespace) in starts.zip(model.namespaces.iter().filter(listed)) {
        page.put_u32(start, namespace.id.0);
    }
}

fn put_controllers(model: &Model<'_>, first: u16, attached: u32, page: &mut Page<'_>) {
    let mut count = 0u16;
    let mut start = offset_of!(ControllerList, controller_ids) as u32;
    for (index, controller) in (0u32..).zip(model.controllers.iter()) {
        if controller.id.0 >= first && attached & 1u32.unbounded_shl(index) != 0 {
            page.put_u16(start, controller.id.0);
            start = start.wrapping_add(size_of::<u16>() as u32);
            count = count.wrapping_add(1);
        }
    }
    put!(page, ControllerList { count: count });
}
