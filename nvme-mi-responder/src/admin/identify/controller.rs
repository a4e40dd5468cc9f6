//! What Identify tells of a controller.
//!
//! # Identify Controller, CNS 01h
//!
//! Of an [`IdentifyController`] (NVM Express Base 2.0, section 5.17.2.1, Figures 275 and 276; bytes
//! 255:253: NVMe-MI 1.2) there are:
//!
//! - who made it: the vendor's numbers, serial number, model number, SUBNQN, and the revision of the
//!   firmware that runs;
//! - where it is: CNTLID, CMIC by how many ports and controllers there are, VER 2.0, CNTRLTYPE an I/O
//!   controller, NVMSR a part of a storage device, MEC by the ports with management endpoints;
//! - what it can do: OACS, LPA, SANICAP, DSTO and FNA by what is dispatched; ONCS the select field of
//!   Get Features and the timestamp; OAES namespace attribute notices, as there is a Changed
//!   Namespace List. FNA has bits 1:0 clear: format and erase work on single namespaces;
//! - limits: ACL and AERL as recommended, 4; ELPE; one power state, of which the power is not
//!   reported; WCTEMP, CCTEMP; TNVMCAP, UNVMCAP; EDSTT; NN and MNAN; VWCI if the VPD store counts;
//! - FRMW and FWUG: without a store one slot that is read only. FWUG is 1, pieces of 4 KiB, or FFh, of
//!   any length; no more, as a requester takes it for the length of its pieces.
//!
//! All other fields are 0: not supported, or not reported.
//!
//! # Primary Controller Capabilities, CNS 14h
//!
//! [`PrimaryControllerCapabilities`] (section 5.17.2.13, Figure 281): the controller and its port; no
//! kind of resource can be shared with secondary controllers, so the rest is zero.
//!
//! # I/O command sets, CNS 1Ch
//!
//! [`CommandSets`] (section 5.17.2.21, Figures 289 and 290): combination 0 is the NVM command set
//! alone, and there is no other.

use core::mem::offset_of;

use crate::admin::log_page;
use crate::context::{Ability, Context};
use crate::exchange::{Page, put};
use crate::model::{ERRORS, Function, Model, PortKind};
use crate::wire::{CommandSets, IdentifyController, PrimaryControllerCapabilities};
use crate::world::{Media, World};
use firmware_store::FirmwareStore;

use super::highest_namespace_id;

/// NVM Express 2.0.
const VERSION: u32 = 0x0002_0000;

/// OAES: the Changed Namespace List.
const NAMESPACE_EVENTS: u32 = 1 << 8;
/// CNTRLTYPE: an I/O controller.
const IO_CONTROLLER: u8 = 1;
/// NVMSR: part of a storage device.
const STORAGE_DEVICE: u8 = 1 << 0;
/// ACL and AERL, less one.
const ABORT_LIMIT: u8 = 3;
const EVENT_REQUEST_LIMIT: u8 = 3;
/// SQES and CQES: powers of two, the least in bits 3:0, the most in bits 7:4.
const QUEUE_ENTRY_SIZES: [u8; 2] = [0x66, 0x44];
/// ONCS: the select field of Get Features, and timestamps.
const OPTIONAL_IO_COMMANDS: u16 = 1 << 4 | 1 << 6;

/// FNA: there is a cryptographic erase.
const CRYPTOGRAPHIC_ERASE: u8 = 1 << 2;
/// A combination of I/O command sets: NVM.
const NVM_ALONE: u64 = 1 << 0;
/// CMIC: several ports, several controllers, an SR-IOV virtual function.
const SEVERAL_PORTS: u8 = 1 << 0;
const SEVERAL_CONTROLLERS: u8 = 1 << 1;
const VIRTUAL_FUNCTION: u8 = 1 << 2;
/// MEC: a management endpoint at a two-wire port, and at a PCIe port.
const TWO_WIRE_ENDPOINT: u8 = 1 << 0;
const PCIE_ENDPOINT: u8 = 1 << 1;
/// VWCI: how often the VPD can be written is known.
const WRITES_KNOWN: u8 = 1 << 7;
/// DSTO: one self-test at a time in the subsystem.
const ONE_SELF_TEST: u8 = 1 << 0;
/// FRMW: slot 1 is read only.
const FIRST_SLOT_READ_ONLY: u8 = 1 << 0;
/// FWUG: pages of 4 KiB, and no restriction.
const WHOLE_PAGES: u8 = 1;
const ANY_LENGTH: u8 = 0xFF;

/// OACS: the optional commands, by their bits.
const OPTIONAL_COMMANDS: [(Ability, u16); 5] = [
    (Ability::Security, IdentifyController::SECURITY),
    (Ability::Format, IdentifyController::FORMAT_NVM),
    (Ability::Firmware, IdentifyController::FIRMWARE),
    (
        Ability::NamespaceManagement,
        IdentifyController::NAMESPACE_MANAGEMENT,
    ),
    (Ability::SelfTest, IdentifyController::DEVICE_SELF_TEST),
];

pub(super) fn put<W: World>(
    context: &mut Context<'_, '_, W>,
    controller: usize,
    page: &mut Page<'_>,
) {
    put_identity(context.model, page);
    put_place(context.model, controller, page);
    put_limits(context, page);
    put_firmware(context.world.firmware(), page);
}

fn put_identity(model: &Model<'_>, page: &mut Page<'_>) {
    let identity = &model.identity;
    put_text!(
        page,
        IdentifyController {
            serial_number: identity.serial_number
        }
    );
    put_text!(
        page,
        IdentifyController {
            model_number: identity.model_number
        }
    );
    put_text!(
        page,
        IdentifyController {
            firmware_revision: identity.firmware_revision
        }
    );
    let name = offset_of!(IdentifyController, qualified_name) as u32;
    page.put(name, identity.qualified_name.as_bytes());
    let [first, second, third] = identity.vendor.ieee_oui;
    put!(
        page,
        IdentifyController {
            pci_vendor_id: identity.vendor.pci_vendor,
            pci_subsystem_vendor_id: identity.vendor.pci_subsystem_vendor,
            version: VERSION,
            optional_asynchronous_events: NAMESPACE_EVENTS,
            controller_type: IO_CONTROLLER,
            subsystem_report: STORAGE_DEVICE,
        }
    );
    put_array!(
        page,
        IdentifyController {
            ieee_oui: &[third, second, first]
        }
    );
    put_wide!(
        page,
        IdentifyController {
            total_capacity: identity.capacity,
            unallocated_capacity: model.unallocated(),
        }
    );
}

/// Where the controller is in the subsystem.
fn put_place(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    let Some(controller) = model.controllers.get(controller) else {
        return;
    };
    let flag = |is_set, bit| if is_set { bit } else { 0 };
    let is_virtual = controller.config.function == Function::Virtual;
    let sharing = flag(model.ports.len() > 1, SEVERAL_PORTS)
        | flag(model.controllers.len() > 1, SEVERAL_CONTROLLERS)
        | flag(is_virtual, VIRTUAL_FUNCTION);
    let endpoints = model.ports.iter().filter(|port| port.endpoint.is_some());
    let capabilities = endpoints.map(|port| match port.config.kind {
        PortKind::TwoWire(_) => TWO_WIRE_ENDPOINT,
        PortKind::Pcie(_) => PCIE_ENDPOINT,
    });
    put!(
        page,
        IdentifyController {
            multi_path: sharing,
            controller_id: controller.id.0,
            endpoint_capabilities: capabilities.fold(0, |all, bit: u8| all | bit),
        }
    );
}

fn put_limits<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let vpd = context.world.vpd();
    if let Some(writes) = vpd.and_then(|vpd| vpd.remaining_writes()) {
        put!(
            page,
            IdentifyController {
                vpd_write_cycles: WRITES_KNOWN | writes.min(0x7F)
            }
        );
    }
    if let Some(media) = context.world.media() {
        put_media(media, page);
    }
    let [submission, completion] = QUEUE_ENTRY_SIZES;
    let namespaces = highest_namespace_id(context.model);
    put!(
        page,
        IdentifyController {
            optional_admin_commands: optional_commands(context),
            abort_command_limit: ABORT_LIMIT,
            asynchronous_event_request_limit: EVENT_REQUEST_LIMIT,
            log_page_attributes: log_page::attributes(context),
            error_log_page_entries: (ERRORS - 1) as u8,
            warning_temperature: context.world.health().warning_temperature(),
            critical_temperature: context.world.health().critical_temperature(),
            submission_queue_entry_size: submission,
            completion_queue_entry_size: completion,
            number_of_namespaces: namespaces,
            optional_nvm_commands: OPTIONAL_IO_COMMANDS,
            maximum_allowed_namespaces: namespaces,
        }
    );
}

fn optional_commands<W: World>(context: &mut Context<'_, '_, W>) -> u16 {
    let supported = OPTIONAL_COMMANDS
        .iter()
        .filter(|(ability, _)| context.has(*ability));
    supported.fold(0, |bits, (_, bit)| bits | bit)
}

fn put_media(media: &dyn Media, page: &mut Page<'_>) {
    if media.supports_self_test() {
        put!(
            page,
            IdentifyController {
                extended_self_test_time: media.extended_self_test_minutes(),
                self_test_options: ONE_SELF_TEST,
            }
        );
    }
    let erases = media.supports_format() && media.supports_cryptographic_erase();
    put!(
        page,
        IdentifyController {
            sanitize_capabilities: media.sanitize_capabilities(),
            format_attributes: if erases { CRYPTOGRAPHIC_ERASE } else { 0 },
        }
    );
}

fn put_firmware(store: Option<&mut dyn FirmwareStore>, page: &mut Page<'_>) {
    let Some(store) = store else {
        put!(
            page,
            IdentifyController {
                firmware_updates: FIRST_SLOT_READ_ONLY | 1 << 1
            }
        );
        return;
    };
    if let Some(revision) = store.running_revision() {
        put_array!(
            page,
            IdentifyController {
                firmware_revision: &revision
            }
        );
    }
    let updates = u8::from(store.is_first_slot_read_only())
        | store.slots().min(7) << 1
        | u8::from(store.activates_without_reset()) << 4;
    let granularity = if store.takes_only_whole_pages() {
        WHOLE_PAGES
    } else {
        ANY_LENGTH
    };
    put!(
        page,
        IdentifyController {
            firmware_updates: updates,
            firmware_update_granularity: granularity,
        }
    );
}

pub(super) fn put_primary_capabilities(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    if let Some(controller) = model.controllers.get(controller) {
        put!(
            page,
            PrimaryControllerCapabilities {
                controller_id: controller.id.0,
                port_id: u16::from(controller.port.0),
            }
        );
    }
}

pub(super) fn put_command_sets(page: &mut Page<'_>) {
    page.put_u64(offset_of!(CommandSets, combinations) as u32, NVM_ALONE);
}
