//! What Identify tells of a controller.
//!
//! # Identify Controller, CNS 01h
//!
//! | byte | field |
//! |-|-|
//! | 1:0, 3:2 | PCI vendor ID, PCI subsystem vendor ID |
//! | 23:4, 63:24, 71:64 | serial number, model number, revision of the firmware that runs: ASCII, padded with spaces |
//! | 75:73 | IEEE OUI, least significant byte first |
//! | 76 | CMIC: bit 0 several ports, bit 1 several controllers, bit 2 this is an SR-IOV virtual function |
//! | 77 | MDTS: 0 |
//! | 79:78 | CNTLID, the controller ID |
//! | 83:80 | VER: 00020000h, 2.0 |
//! | 95:92 | OAES: bit 8, as there is a Changed Namespace List |
//! | 111 | CNTRLTYPE: 1, an I/O controller |
//! | 253 | NVMSR: bit 0, part of a storage device |
//! | 254 | VWCI: bits 6:0 how often the VPD can still be written, bit 7 that is known |
//! | 255 | MEC: a management endpoint at bit 0 a two-wire port, bit 1 a PCIe port |
//! | 257:256 | OACS: 0 security, 1 format, 2 firmware, 3 namespace management, 4 self-test: the opcodes that are dispatched |
//! | 258, 259 | ACL, AERL: 3, as recommended |
//! | 260 | FRMW: bit 0 slot 1 is read-only, 3:1 number of slots, 4 activation without reset. One read-only slot if there is no store |
//! | 261 | LPA: 1 Commands Supported and Effects, 2 partial reads, 3 telemetry, 5 supported logs: the log pages that there are |
//! | 262 | ELPE: entries of the error log less one |
//! | 263 | NPSS: 0, one power state |
//! | 267:266, 269:268 | WCTEMP, CCTEMP: warning and critical temperature in kelvins |
//! | 295:280, 311:296 | TNVMCAP, UNVMCAP: bytes in all, bytes in no namespace |
//! | 317:316 | EDSTT: minutes of an extended self-test |
//! | 318 | DSTO: 1 if there are self-tests, one at a time in the subsystem |
//! | 319 | FWUG: 1, pieces of 4 KiB, or FFh, of any length. No more, as a requester takes it for the length of its pieces |
//! | 331:328 | SANICAP: as the world says |
//! | 512, 513 | SQES, CQES: 66h, 44h, entries of 64 and 16 bytes |
//! | 519:516 | NN, the highest namespace ID |
//! | 521:520 | ONCS: bit 4 the select field of Get Features, bit 6 timestamp |
//! | 524 | FNA: format and erase work on single namespaces, bits 1:0 are 0; bit 2 cryptographic erase |
//! | 543:540 | MNAN: as NN |
//! | 1023:768 | SUBNQN, ended by a zero |
//! | 2079:2048 | power state 0, of which the power is not reported: 0 |
//!
//! All other fields are 0: not supported, or not reported.
//!
//! # Primary Controller Capabilities, CNS 14h
//!
//! CNTLID in bytes 1:0 and the port in bytes 3:2; no kind of resource can be shared with secondary
//! controllers, so the rest is zero.
//!
//! # I/O command sets, CNS 1Ch
//!
//! 512 combinations of 8 bytes: combination 0 is the NVM command set alone (bit 0), and there is no
//! other.

use crate::admin::log_page;
use crate::context::{Ability, Context};
use crate::exchange::Page;
use crate::model::{ERRORS, Function, Model, PortKind};
use crate::world::{Media, World};

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

/// OACS: the optional commands, by their bits.
const OPTIONAL_COMMANDS: [(Ability, u16); 5] = [
    (Ability::Security, 1 << 0),
    (Ability::Format, 1 << 1),
    (Ability::Firmware, 1 << 2),
    (Ability::NamespaceManagement, 1 << 3),
    (Ability::SelfTest, 1 << 4),
];

pub(super) fn put<W: World>(
    context: &mut Context<'_, '_, W>,
    controller: usize,
    page: &mut Page<'_>,
) {
    put_identity(context, page);
    put_place(context, controller, page);
    put_limits(context, page);
    put_firmware(context, page);
}

fn put_identity<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let identity = &context.model.identity;
    page.put_u16(0, identity.vendor.pci_vendor);
    page.put_u16(2, identity.vendor.pci_subsystem_vendor);
    page.put_text(4, 20, identity.serial_number);
    page.put_text(24, 40, identity.model_number);
    page.put_text(64, 8, identity.firmware_revision);
    let [first, second, third] = identity.vendor.ieee_oui;
    page.put(73, &[third, second, first]);
    page.put_u32(80, VERSION);
    page.put_u32(92, NAMESPACE_EVENTS);
    page.put_u8(111, IO_CONTROLLER);
    page.put_u8(253, STORAGE_DEVICE);
    page.put(768, identity.qualified_name.as_bytes());
    page.put_u64(280, identity.capacity);
    page.put_u64(296, context.model.unallocated());
}

/// Where the controller is in the subsystem.
fn put_place<W: World>(context: &mut Context<'_, '_, W>, controller: usize, page: &mut Page<'_>) {
    let model = &context.model;
    let Some(controller) = model.controllers.get(controller) else {
        return;
    };
    let is_virtual = controller.config.function == Function::Virtual;
    let sharing = u8::from(model.ports.len() > 1)
        | u8::from(model.controllers.len() > 1) << 1
        | u8::from(is_virtual) << 2;
    page.put_u8(76, sharing);
    page.put_u16(78, controller.id.0);
    let endpoints = model.ports.iter().filter(|port| port.endpoint.is_some());
    let capabilities = endpoints.map(|port| match port.config.kind {
        PortKind::TwoWire(_) => 1 << 0,
        PortKind::Pcie(_) => 1 << 1,
    });
    page.put_u8(255, capabilities.fold(0, |all, bit: u8| all | bit));
}

fn put_limits<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let vpd = context.world.vpd();
    if let Some(writes) = vpd.and_then(|vpd| vpd.remaining_writes()) {
        page.put_u8(254, 1 << 7 | writes.min(0x7F));
    }
    page.put_u16(256, optional_commands(context));
    page.put(258, &[ABORT_LIMIT, EVENT_REQUEST_LIMIT]);
    page.put(261, &[log_page::attributes(context), (ERRORS - 1) as u8]);
    page.put_u16(266, context.world.health().warning_temperature());
    page.put_u16(268, context.world.health().critical_temperature());
    if let Some(media) = context.world.media() {
        put_media(media, page);
    }
    let namespaces = highest_namespace_id(context.model);
    page.put(512, &QUEUE_ENTRY_SIZES);
    page.put_u32(516, namespaces);
    page.put_u16(520, OPTIONAL_IO_COMMANDS);
    page.put_u32(540, namespaces);
}

fn optional_commands<W: World>(context: &mut Context<'_, '_, W>) -> u16 {
    let supported = OPTIONAL_COMMANDS
        .iter()
        .filter(|(ability, _)| context.has(*ability));
    supported.fold(0, |bits, (_, bit)| bits | bit)
}

fn put_media(media: &dyn Media, page: &mut Page<'_>) {
    if media.supports_self_test() {
        page.put_u16(316, media.extended_self_test_minutes());
        page.put_u8(318, 1);
    }
    page.put_u32(328, media.sanitize_capabilities());
    if media.supports_format() {
        page.put_u8(524, u8::from(media.supports_cryptographic_erase()) << 2);
    }
}

fn put_firmware<W: World>(context: &mut Context<'_, '_, W>, page: &mut Page<'_>) {
    let Some(store) = context.world.firmware() else {
        page.put_u8(260, 1 | 1 << 1);
        return;
    };
    let slots = store.slots();
    if let Some(revision) = store.running_revision() {
        page.put(64, &revision);
    }
    let updates = u8::from(store.is_first_slot_read_only())
        | slots.min(7) << 1
        | u8::from(store.activates_without_reset()) << 4;
    page.put_u8(260, updates);
    let granularity = if store.takes_only_whole_pages() {
        1
    } else {
        0xFF
    };
    page.put_u8(319, granularity);
}

pub(super) fn put_primary_capabilities(model: &Model<'_>, controller: usize, page: &mut Page<'_>) {
    if let Some(controller) = model.controllers.get(controller) {
        page.put_u16(0, controller.id.0);
        page.put_u16(2, u16::from(controller.port.0));
    }
}

pub(super) fn put_command_sets(page: &mut Page<'_>) {
    page.put_u64(0, 1);
}
