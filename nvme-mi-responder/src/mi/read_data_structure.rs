//! Read NVMe-MI Data Structure, opcode 00h (NVMe-MI 1.2).
//!
//! | byte | field | |
//! |-|-|-|
//! | 9:8 | CTRLID | the controller, or the first of a list |
//! | 10 | PORTID | the port |
//! | 11 | DTYP | which structure |
//! | 12 | IOCSI | 2.0: the I/O command set; all lists here are the same for each |
//!
//! The response has the length of the structure (RDL, without padding) in bytes 6:5, and the
//! structure from byte 8.
//!
//! Errors: Invalid Parameter at byte 11 for a DTYP that is not listed here, at 10 for a port and at
//! 8 for a controller that is not there; Invalid Command Input Data Size for any Request Data.
//!
//! # NVM Subsystem Information, DTYP 00h
//!
//! | byte | field |
//! |-|-|
//! | 0 | NUMP, ports less one |
//! | 1, 2 | major and minor version |
//! | 3 | NNSC (2.0): 0 |
//! | 31:4 | 0 |
//!
//! # Port Information, DTYP 01h
//!
//! | byte | field |
//! |-|-|
//! | 0 | PRTTYP: 1 PCIe, 2 two-wire |
//! | 1 | PRTCAP of the port of the management endpoint: bit 0 CIAPS, commands can pause by themselves; bit 1 AEMS (2.0), Asynchronous Event Messages |
//! | 3:2 | MMTUS, the largest transmission unit, without the MCTP packet header |
//! | 7:4 | MEBS, bytes of the Management Endpoint Buffer |
//! | 31:8 | depends on the type |
//!
//! Of a PCIe port:
//!
//! | byte | field |
//! |-|-|
//! | 8 | maximum payload size, 0 (128 bytes) to 5 (4 KiB) |
//! | 9 | supported link speeds, bit 0 (2.5 GT/s) to 5 (64 GT/s) |
//! | 10 | current link speed, 1 to 6; 0 when the link is down |
//! | 11 | maximum link width |
//! | 12 | negotiated link width; 0 when the link is down |
//! | 13 | port number |
//!
//! Of a two-wire port:
//!
//! | byte | field |
//! |-|-|
//! | 8 | address of the VPD; 0: none |
//! | 9 | the fastest access to the VPD: 1 100 kHz, 2 400 kHz, 3 1 MHz; 0: none |
//! | 10 | address of the management endpoint; 0: none |
//! | 11 | the fastest access to the management endpoint, as in byte 9. Bit 7 (2.0: I3C) stays 0: OpenBMC reads the byte as a number |
//! | 12 | bit 0, the NVMe Basic Management Command is supported |
//!
//! # Controller List, DTYP 02h
//!
//! How many, in 2 bytes, then the IDs that are at least CTRLID, each in 2 bytes, ascending.
//!
//! libnvme puts its first ID, always 0, into PORTID; PORTID is ignored.
//!
//! # Controller Information, DTYP 03h
//!
//! | byte | field |
//! |-|-|
//! | 0 | the port |
//! | 5 | bit 0, the routing ID is valid |
//! | 7:6 | PCI routing ID: bus 15:8, device 7:3, function 2:0 |
//! | 9:8, 11:10 | PCI vendor and device ID |
//! | 13:12, 15:14 | PCI subsystem vendor and subsystem ID |
//! | 16 | PCI segment number (2.0): 0 |
//!
//! # Optionally Supported Command List, DTYP 04h
//!
//! How many, in 2 bytes, then a command type and an opcode for each. CTRLID says for which
//! controller; all support the same.
//!
//! # Management Endpoint Buffer Command Support List, DTYP 05h
//!
//! Laid out like the list of optional commands: no command but MEB Read and MEB Write, which are
//! not listed, uses the buffer. Whether a port without a buffer has an empty list or an error the
//! sources for this crate do not say; here it has the list.

use crate::commands::{ADMIN, Entry, MANAGEMENT, PCIE};
use crate::context::Context;
use crate::exchange::{Exchange, Page};
use crate::failure::{Failure, Handled};
use crate::model::{ControllerId, PciePort, PortId, PortKind, TwoWirePort};
use crate::world::World;

use super::Request;

/// Bytes of the subsystem, port and controller structures, which is also the value of the answer
/// (RDL).
const STRUCTURE_LENGTH: u32 = 32;

/// Bytes of the longest list.
const LIST_LIMIT: u32 = 4096;

/// NVMe-MI version that is reported, major and minor.
const VERSION: [u8; 2] = [1, 2];

/// Capabilities of the port of the management endpoint (PRTCAP): bit 0, commands can be paused by
/// themselves (CIAPS); bit 1, 2.0: Asynchronous Event Messages (AEMS).
const PORT_CAPABILITIES: u8 = 3;

/// All commands by the command type that lists have: the message type field (NMIMT) in its place in
/// the message header.
const COMMANDS: &[(u8, &[Entry])] = &[(0x08, MANAGEMENT), (0x10, ADMIN), (0x20, PCIE)];

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let [low, high, port, data_type] = request.dword0.to_le_bytes();
    let controller = ControllerId(u16::from_le_bytes([low, high]));
    match data_type {
        0x00 => subsystem(context, exchange),
        0x01 => port_information(context, PortId(port), exchange),
        0x02 => controllers(context, controller, exchange),
        0x03 => controller_information(context, controller, exchange),
        0x04 => optional_commands(context, controller, exchange),
        0x05 => buffer_commands(context, PortId(port), exchange),
        _ => Err(Failure::parameter(11, 0).into()),
    }
}

/// Ends the request with a structure or list of `length` bytes.
fn structure<'e, 'b>(
    exchange: &'e mut Exchange<'b>,
    length: u32,
) -> Result<&'e mut Page<'b>, Failure> {
    exchange.expect_request_data(0)?;
    Ok(exchange.answer(0, length as usize))
}

/// NVM Subsystem Information, DTYP 00h.
fn subsystem<W: World>(context: &mut Context<'_, '_, W>, exchange: &mut Exchange<'_>) -> Handled {
    let page = structure(exchange, STRUCTURE_LENGTH)?;
    let ports = context.model.ports.len();
    page.put_u8(0, u8::try_from(ports.saturating_sub(1)).unwrap_or(u8::MAX));
    page.put(1, &VERSION);
    Ok(STRUCTURE_LENGTH)
}

/// Port Information, DTYP 01h.
fn port_information<W: World>(
    context: &mut Context<'_, '_, W>,
    id: PortId,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let port = context.model.port(id).ok_or(Failure::parameter(10, 0))?;
    let page = structure(exchange, STRUCTURE_LENGTH)?;
    if let Some(buffer_length) = port.endpoint {
        page.put_u8(1, PORT_CAPABILITIES);
        page.put_u32(4, buffer_length);
    }
    page.put_u16(2, port.config.max_transmission_unit);
    match port.config.kind {
        PortKind::Pcie(pcie) => pcie_port(pcie, page),
        PortKind::TwoWire(two_wire) => two_wire_port(two_wire, page),
    }
    Ok(STRUCTURE_LENGTH)
}

/// The part of Port Information that PCIe ports have.
fn pcie_port(port: PciePort, page: &mut Page<'_>) {
    let width = port.width as u8;
    let speeds = !u8::MAX.unbounded_shl(u32::from(port.generation));
    let (speed, negotiated) = port.link.map_or((0, 0), |generation| (generation, width));
    page.put_u8(0, 1);
    page.put(
        8,
        &[
            port.payload_exponent,
            speeds,
            speed,
            width,
            negotiated,
            port.number,
        ],
    );
}

/// The part of Port Information that two-wire ports have.
fn two_wire_port(port: TwoWirePort, page: &mut Page<'_>) {
    let vpd_frequency = port.vpd_frequency.map_or(0, |frequency| frequency as u8);
    page.put_u8(0, 2);
    page.put(
        8,
        &[
            port.vpd_address,
            vpd_frequency,
            port.endpoint_address,
            port.frequency as u8,
            u8::from(port.basic_management),
        ],
    );
}

/// Controller List, DTYP 02h.
fn controllers<W: World>(
    context: &mut Context<'_, '_, W>,
    first: ControllerId,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let mut list = List::new(exchange)?;
    for controller in context.model.controllers.iter() {
        if controller.id >= first {
            list.add(controller.id.0.to_le_bytes());
        }
    }
    Ok(list.finish())
}

/// Controller Information, DTYP 03h.
fn controller_information<W: World>(
    context: &mut Context<'_, '_, W>,
    id: ControllerId,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let index = context.model.controller_index(id);
    let controller = index
        .and_then(|index| context.model.controllers.get(index))
        .ok_or(Failure::parameter(8, 0))?;
    let page = structure(exchange, STRUCTURE_LENGTH)?;
    let vendor = context.model.identity.vendor;
    page.put_u8(0, controller.port.0);
    if let Some(address) = controller.config.address {
        page.put_u8(5, 1);
        page.put_u16(6, address.routing_id());
    }
    page.put_u16(8, vendor.pci_vendor);
    page.put_u16(10, vendor.pci_device);
    page.put_u16(12, vendor.pci_subsystem_vendor);
    page.put_u16(14, vendor.pci_subsystem);
    Ok(STRUCTURE_LENGTH)
}

/// Optionally Supported Command List, DTYP 04h.
fn optional_commands<W: World>(
    context: &mut Context<'_, '_, W>,
    id: ControllerId,
    exchange: &mut Exchange<'_>,
) -> Handled {
    context
        .model
        .controller_index(id)
        .ok_or(Failure::parameter(8, 0))?;
    let mut list = List::new(exchange)?;
    for (command_type, commands) in COMMANDS {
        for entry in *commands {
            if entry.optional && context.has(entry.needs) {
                list.add([*command_type, entry.opcode]);
            }
        }
    }
    Ok(list.finish())
}

/// Management Endpoint Buffer Command Support List, DTYP 05h.
fn buffer_commands<W: World>(
    context: &mut Context<'_, '_, W>,
    port: PortId,
    exchange: &mut Exchange<'_>,
) -> Handled {
    context.model.port(port).ok_or(Failure::parameter(10, 0))?;
    Ok(List::new(exchange)?.finish())
}

/// A list being written: how many, in 2 bytes, then the entries.
struct List<'e, 'b> {
    exchange: &'e mut Exchange<'b>,
    count: u16,
}

impl<'e, 'b> List<'e, 'b> {
    /// Ends the request with a list.
    fn new(exchange: &'e mut Exchange<'b>) -> Result<Self, Failure> {
        structure(exchange, LIST_LIMIT)?;
        Ok(Self { exchange, count: 0 })
    }

    fn add(&mut self, entry: [u8; 2]) {
        self.count = self.count.wrapping_add(1);
        let offset = u32::from(self.count).wrapping_mul(2);
        self.exchange.page().put(offset, &entry);
    }

    /// Returns the length of the list.
    fn finish(self) -> u32 {
        let length = u32::from(self.count).wrapping_mul(2).wrapping_add(2);
        self.exchange.page().put_u16(0, self.count);
        self.exchange.shorten(length as usize);
        length
    }
}
