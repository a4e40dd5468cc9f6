//! Read NVMe-MI Data Structure, opcode 00h (NVMe-MI 1.2, section 5.7, Figures 90 to 101).
//!
//! The request is [`ReadDataStructure`], the result [`ReadDataStructureResult`].
//!
//! | DTYP | structure | |
//! |-|-|-|
//! | 00h | [`SubsystemInformation`] | CTRLID and PORTID are ignored |
//! | 01h | [`PortInformation`] of PORTID | PRTCAP and MEBS of a port with a management endpoint only |
//! | 02h | Controller List, [`ControllerListHeader`] | of the controllers from CTRLID on. libnvme puts its first ID, always 0, into PORTID: PORTID is ignored |
//! | 03h | [`ControllerInformation`] of CTRLID | |
//! | 04h | Optionally Supported Command List, [`CommandListHeader`] | CTRLID says for which controller; all support the same |
//! | 05h | Management Endpoint Buffer Supported Command List, [`CommandListHeader`], of PORTID | empty: no command but Management Endpoint Buffer Read and Write, which are not listed, uses the buffer |
//!
//! IOCSI is ignored: all lists here are the same for each I/O command set. NNSC and PCIESN (2.0)
//! are 0, and so is bit 7 of the frequency of a two-wire management endpoint (2.0: I3C), which
//! OpenBMC reads as a part of the number.
//!
//! Errors: Invalid Parameter at DTYP for one that is not listed here, and for 05h of a port without
//! a Management Endpoint Buffer, for which that value is reserved (Figure 92); at PORTID for a port
//! and at CTRLID for a controller that is not there; Invalid Command Input Data Size for any
//! Request Data.
//!
//! **Reading.** The version: 2.0, which is followed where it differs from 1.2, as other
//! readings say.
//!
//! **Reading.** PRTCAP bit 1, Asynchronous Events: there; in 1.2 reserved.
//!
//! **Reading.** The response length of a padded structure: without the padding.
//!
//! **Reading.** The buffer's command list without a buffer: a reserved DTYP: Invalid Parameter; no
//! client reads that list.

use crate::commands::{ADMIN, Entry, MANAGEMENT, PCIE};
use crate::context::Context;
use crate::exchange::{Exchange, Page, put};
use crate::failure::{Failure, Handled};
use crate::model::{ControllerId, PciePort, PortId, PortKind, TwoWirePort};
use crate::wire::{
    self, CommandListHeader, ControllerInformation, ControllerListHeader, DataStructureType,
    ManagementRequest, MessageKind, PortInformation, PortType, ReadDataStructure,
    ReadDataStructureResult, SubsystemInformation, SupportedCommand, TwoWireFrequency, Wire,
    location,
};
use crate::world::World;

/// Bytes of the longest list.
const LIST_LIMIT: usize = 4096;

/// Bytes of an entry of a list: a controller identifier, or a command.
const ENTRY_LENGTH: usize = size_of::<SupportedCommand>();

/// NVMe-MI version that is reported, major and minor. Where 1.2 and 2.0 differ, this crate follows
/// 2.0.
const VERSION: (u8, u8) = (2, 0);

/// Capabilities of a port with a management endpoint.
const PORT_CAPABILITIES: u8 =
    PortInformation::AUTO_PAUSE_SUPPORTED | PortInformation::EVENT_MESSAGES_SUPPORTED;

/// All commands by the kind of message that carries them.
const COMMANDS: &[(MessageKind, &[Entry])] = &[
    (MessageKind::MANAGEMENT, MANAGEMENT),
    (MessageKind::ADMIN, ADMIN),
    (MessageKind::PCIE, PCIE),
];

/// What Read NVMe-MI Data Structure asks for has no such controller.
const WRONG_CONTROLLER: Failure =
    Failure::parameter(location!(ReadDataStructure, controller_id), 0);
/// It has no such port.
const WRONG_PORT: Failure = Failure::parameter(location!(ReadDataStructure, port_id), 0);
/// There is no such structure.
const WRONG_TYPE: Failure =
    Failure::parameter(location!(ReadDataStructure, data_structure_type), 0);

pub(super) fn run<W: World>(
    context: &mut Context<'_, '_, W>,
    request: &ManagementRequest,
    exchange: &mut Exchange<'_>,
) -> Handled {
    let command: ReadDataStructure = request.command();
    let controller = ControllerId(command.controller_id.get());
    let port = PortId(command.port_id);
    let length = match command.data_structure_type {
        DataStructureType::SUBSYSTEM_INFORMATION => subsystem(context, exchange),
        DataStructureType::PORT_INFORMATION => port_information(context, port, exchange),
        DataStructureType::CONTROLLER_LIST => controllers(context, controller, exchange),
        DataStructureType::CONTROLLER_INFORMATION => {
            controller_information(context, controller, exchange)
        }
        DataStructureType::OPTIONALLY_SUPPORTED_COMMANDS => {
            optional_commands(context, controller, exchange)
        }
        DataStructureType::ENDPOINT_BUFFER_COMMANDS => buffer_commands(context, port, exchange),
        _ => Err(WRONG_TYPE),
    }?;
    let mut result = ReadDataStructureResult::default();
    result.length.set(u16::try_from(length).unwrap_or(u16::MAX));
    Ok(super::result(result.into()))
}

/// Bytes of the structure that the exchange now has.
type Written = Result<usize, Failure>;

/// Ends the request with a structure or list of `length` bytes.
fn structure<'e, 'b>(
    exchange: &'e mut Exchange<'b>,
    length: usize,
) -> Result<&'e mut Page<'b>, Failure> {
    exchange.expect_request_data(0)?;
    Ok(exchange.answer(0, length))
}

/// NVM Subsystem Information, DTYP 00h.
fn subsystem<W: World>(context: &mut Context<'_, '_, W>, exchange: &mut Exchange<'_>) -> Written {
    const LENGTH: usize = size_of::<SubsystemInformation>();
    let page = structure(exchange, LENGTH)?;
    let ports = context.model.ports.len();
    put!(
        page,
        SubsystemInformation {
            number_of_ports: u8::try_from(ports.saturating_sub(1)).unwrap_or(u8::MAX),
            major_version: VERSION.0,
            minor_version: VERSION.1,
        }
    );
    Ok(LENGTH)
}

/// Port Information, DTYP 01h.
fn port_information<W: World>(
    context: &mut Context<'_, '_, W>,
    id: PortId,
    exchange: &mut Exchange<'_>,
) -> Written {
    const LENGTH: usize = size_of::<PortInformation>();
    let port = context.model.port(id).ok_or(WRONG_PORT)?;
    let page = structure(exchange, LENGTH)?;
    if let Some(buffer_length) = port.endpoint {
        put!(
            page,
            PortInformation {
                capabilities: PORT_CAPABILITIES,
                endpoint_buffer_size: buffer_length,
            }
        );
    }
    let port_type = match port.config.kind {
        PortKind::Pcie(pcie) => pcie_port(pcie, page),
        PortKind::TwoWire(two_wire) => two_wire_port(two_wire, page),
    };
    put!(
        page,
        PortInformation {
            port_type: port_type,
            maximum_transmission_unit: port.config.max_transmission_unit,
        }
    );
    Ok(LENGTH)
}

/// The part of Port Information that PCIe ports have.
fn pcie_port(port: PciePort, page: &mut Page<'_>) -> PortType {
    let width = port.width as u8;
    let speeds = !u8::MAX.unbounded_shl(u32::from(port.generation));
    let (speed, negotiated) = port.link.map_or((0, 0), |generation| (generation, width));
    put!(
        page,
        wire::PciePort::BYTE_TABLE.first as u32,
        wire::PciePort {
            maximum_payload_size: port.payload_exponent,
            supported_link_speeds: speeds,
            current_link_speed: speed,
            maximum_link_width: width,
            negotiated_link_width: negotiated,
            port_number: port.number,
        }
    );
    PortType::PCIE
}

/// The part of Port Information that two-wire ports have.
fn two_wire_port(port: TwoWirePort, page: &mut Page<'_>) -> PortType {
    let vpd_frequency = port
        .vpd_frequency
        .map_or(TwoWireFrequency::NOT_SUPPORTED, |frequency| {
            TwoWireFrequency(frequency as u8)
        });
    put!(
        page,
        wire::TwoWirePort::BYTE_TABLE.first as u32,
        wire::TwoWirePort {
            vpd_address: port.vpd_address,
            vpd_frequency: vpd_frequency,
            endpoint_address: port.endpoint_address,
            endpoint_frequency: TwoWireFrequency(port.frequency as u8),
            basic_management: port.basic_management,
        }
    );
    PortType::TWO_WIRE
}

/// Controller List, DTYP 02h.
fn controllers<W: World>(
    context: &mut Context<'_, '_, W>,
    first: ControllerId,
    exchange: &mut Exchange<'_>,
) -> Written {
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
) -> Written {
    const LENGTH: usize = size_of::<ControllerInformation>();
    let index = context.model.controller_index(id);
    let controller = index
        .and_then(|index| context.model.controllers.get(index))
        .ok_or(WRONG_CONTROLLER)?;
    let page = structure(exchange, LENGTH)?;
    let vendor = context.model.identity.vendor;
    if let Some(address) = controller.config.address {
        put!(
            page,
            ControllerInformation {
                routing_id_information: ControllerInformation::ROUTING_ID_VALID,
                routing_id: address.routing_id(),
            }
        );
    }
    put!(
        page,
        ControllerInformation {
            port_id: controller.port.0,
            vendor_id: vendor.pci_vendor,
            device_id: vendor.pci_device,
            subsystem_vendor_id: vendor.pci_subsystem_vendor,
            subsystem_id: vendor.pci_subsystem,
        }
    );
    Ok(LENGTH)
}

/// Optionally Supported Command List, DTYP 04h.
fn optional_commands<W: World>(
    context: &mut Context<'_, '_, W>,
    id: ControllerId,
    exchange: &mut Exchange<'_>,
) -> Written {
    context.model.controller_index(id).ok_or(WRONG_CONTROLLER)?;
    let mut list = List::new(exchange)?;
    for (kind, commands) in COMMANDS {
        for entry in *commands {
            if entry.optional && context.has(entry.needs) {
                list.add(zerocopy::transmute!(SupportedCommand::new(
                    *kind,
                    entry.opcode
                )));
            }
        }
    }
    Ok(list.finish())
}

/// Management Endpoint Buffer Supported Command List, DTYP 05h.
fn buffer_commands<W: World>(
    context: &mut Context<'_, '_, W>,
    port: PortId,
    exchange: &mut Exchange<'_>,
) -> Written {
    let port = context.model.port(port).ok_or(WRONG_PORT)?;
    if port.endpoint.unwrap_or(0) == 0 {
        return Err(WRONG_TYPE);
    }
    Ok(List::new(exchange)?.finish())
}

/// A list being written: how many, in 2 bytes, then the entries.
struct List<'e, 'b> {
    exchange: &'e mut Exchange<'b>,
    count: u16,
}

/// Bytes before the entries of a list, of controllers or of commands.
const LIST_HEADER_LENGTH: usize = size_of::<CommandListHeader>();
const _: () = assert!(size_of::<ControllerListHeader>() == LIST_HEADER_LENGTH);

impl<'e, 'b> List<'e, 'b> {
    /// Ends the request with a list.
    fn new(exchange: &'e mut Exchange<'b>) -> Result<Self, Failure> {
        structure(exchange, LIST_LIMIT)?;
        Ok(Self { exchange, count: 0 })
    }

    fn length(&self) -> usize {
        ENTRY_LENGTH
            .wrapping_mul(usize::from(self.count))
            .wrapping_add(LIST_HEADER_LENGTH)
    }

    fn add(&mut self, entry: [u8; ENTRY_LENGTH]) {
        let offset = self.length() as u32;
        self.exchange.page().put(offset, &entry);
        self.count = self.count.wrapping_add(1);
    }

    /// Returns the length of the list.
    fn finish(self) -> usize {
        let (length, count) = (self.length(), self.count);
        put!(self.exchange.page(), CommandListHeader { count: count });
        self.exchange.shorten(length);
        length
    }
}
