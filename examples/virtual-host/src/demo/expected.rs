//! What the structures of NVMe-MI and NVM Express must be for a model, byte for byte.

use nvme_mi_responder::wire::{
    ControllerHealth, ControllerInformation, ControllerList, ControllerListHeader,
    FirmwareSlotInformation, IdentifyController, IdentifyNamespace, LbaFormat, NamespaceList,
    PciePort, PortInformation, PortType, SmartHealth, SubsystemHealth, SubsystemInformation,
    TwoWireFrequency, TwoWirePort,
};
use nvme_mi_responder::{Function, NamespaceId, PortKind};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::expectations::{ControllerModel, SubsystemModel};

/// From which temperature on, in kelvins, controllers warn.
const WARNING_TEMPERATURE: u16 = 343;

/// The bit of the critical warning that stands for the temperature.
const TEMPERATURE_WARNING: u8 = 1 << 1;

/// Bytes of a block, as a power of two.
const BLOCK_EXPONENT: u8 = 9;

/// Controller IDs as Identify returns them, and Namespace Attachment takes them.
pub(super) fn controller_list(ids: &[u16]) -> ControllerList {
    let mut list = ControllerList::default();
    list.count.set(ids.len() as u16);
    for (place, id) in list.controller_ids.iter_mut().zip(ids) {
        place.set(*id);
    }
    list
}

/// Controller IDs as Read NVMe-MI Data Structure returns them: without the rest of the list.
pub(super) fn short_controller_list(ids: &[u16]) -> Vec<u8> {
    let length = size_of::<ControllerListHeader>() + size_of_val(ids);
    controller_list(ids).as_bytes()[..length].to_vec()
}

/// NVM Subsystem Information.
pub(super) fn subsystem(model: &SubsystemModel) -> SubsystemInformation {
    let mut information = SubsystemInformation::default();
    information.number_of_ports = model.ports.len() as u8 - 1;
    (information.major_version, information.minor_version) = (2, 0);
    information
}

/// Port Information. Of a management endpoint, what it can do and how long its buffer is are as
/// `found`: they are not in the model.
pub(super) fn port(
    model: &SubsystemModel,
    index: usize,
    found: &PortInformation,
) -> PortInformation {
    let port = &model.ports[index];
    let mut information = PortInformation::default();
    let unit = port.max_transmission_unit;
    information.maximum_transmission_unit.set(unit);
    if index == usize::from(model.management_port.0) {
        information.capabilities = found.capabilities;
        information.endpoint_buffer_size = found.endpoint_buffer_size;
    }
    match port.kind {
        PortKind::Pcie(pcie) => {
            let speeds = (1u16 << pcie.generation) - 1;
            let width = pcie.width as u8;
            let (link, negotiated) = pcie.link.map_or((0, 0), |link| (link, width));
            let mut specific = PciePort::default();
            specific.maximum_payload_size = pcie.payload_exponent;
            specific.supported_link_speeds = speeds as u8;
            specific.current_link_speed = link;
            specific.maximum_link_width = width;
            specific.negotiated_link_width = negotiated;
            specific.port_number = pcie.number;
            information.port_type = PortType::PCIE;
            information.specific = specific.into();
        }
        PortKind::TwoWire(two_wire) => {
            let vpd_frequency = two_wire.vpd_frequency.map(|frequency| frequency as u8);
            let mut specific = TwoWirePort::default();
            specific.vpd_address = two_wire.vpd_address;
            specific.vpd_frequency = TwoWireFrequency(vpd_frequency.unwrap_or(0));
            specific.endpoint_address = two_wire.endpoint_address;
            specific.endpoint_frequency = TwoWireFrequency(two_wire.frequency as u8);
            specific.basic_management = two_wire.basic_management.into();
            information.port_type = PortType::TWO_WIRE;
            information.specific = specific.into();
        }
    }
    information
}

/// Controller Information.
pub(super) fn controller(
    model: &SubsystemModel,
    controller: &ControllerModel,
) -> ControllerInformation {
    let mut information = ControllerInformation::default();
    information.port_id = controller.port.0;
    if let Some(address) = controller.config.address {
        let routing_id = [address.bus, address.device << 3 | address.function];
        information.routing_id_information = ControllerInformation::ROUTING_ID_VALID;
        information.routing_id.set(u16::from_be_bytes(routing_id));
    }
    let vendor = &model.vendor;
    information.vendor_id.set(vendor.pci_vendor);
    information.device_id.set(vendor.pci_device);
    let subsystem_vendor = vendor.pci_subsystem_vendor;
    information.subsystem_vendor_id.set(subsystem_vendor);
    information.subsystem_id.set(vendor.pci_subsystem);
    information
}

/// Identify Controller. What is not in the model is as `found`.
pub(super) fn identify_controller(
    model: &SubsystemModel,
    id: u16,
    found: &IdentifyController,
) -> IdentifyController {
    let (vendor, firmware) = (&model.vendor, &model.firmware);
    let is_virtual = model.controllers[usize::from(id)].config.function == Function::Virtual;
    let used: u64 = model.namespaces.iter().map(|blocks| blocks * 512).sum();
    let mut identity = found.clone();
    identity.pci_vendor_id.set(vendor.pci_vendor);
    let subsystem_vendor = vendor.pci_subsystem_vendor;
    identity.pci_subsystem_vendor_id.set(subsystem_vendor);
    identity.serial_number = padded(&model.serial_number);
    identity.model_number = padded(&model.model_number);
    identity.firmware_revision = padded(&model.revision());
    identity.ieee_oui = vendor.ieee_oui;
    identity.ieee_oui.reverse();
    identity.multi_path = u8::from(model.ports.len() > 1)
        | u8::from(model.controllers.len() > 1) << 1
        | u8::from(is_virtual) << 2;
    identity.controller_id.set(id);
    // NVM Express Base 2.0.
    identity.version.set(0x0002_0000);
    identity.firmware_updates = u8::from(firmware.first_slot_read_only)
        | (firmware.slots.len() as u8) << 1
        | u8::from(firmware.activates_without_reset) << 4;
    identity.total_capacity.set(model.capacity.into());
    let unallocated = model.capacity - used;
    identity.unallocated_capacity.set(unallocated.into());
    let namespaces = model.room_for_namespaces as u32;
    identity.number_of_namespaces.set(namespaces);
    identity.qualified_name = [0; 256];
    let name = model.qualified_name.as_bytes();
    identity.qualified_name[..name.len()].copy_from_slice(name);
    identity
}

/// ASCII, padded with spaces.
pub(super) fn padded<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let mut field = [b' '; LENGTH];
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    field
}

/// Critical warnings, with that of the temperature threshold.
pub(super) fn warnings(model: &SubsystemModel) -> u8 {
    let health = &model.health;
    match health.temperature {
        ..WARNING_TEMPERATURE => health.critical_warning,
        WARNING_TEMPERATURE.. => health.critical_warning | TEMPERATURE_WARNING,
    }
}

/// NVM Subsystem Health Data Structure, with these Composite Controller Status Flags.
pub(super) fn subsystem_health(model: &SubsystemModel, flags: u16) -> SubsystemHealth {
    let is_linked = |index: usize| {
        let port = model.ports.get(index);
        matches!(port.map(|port| port.kind), Some(PortKind::Pcie(pcie)) if pcie.link.is_some())
    };
    let mut expected = SubsystemHealth::default();
    expected.status = SubsystemHealth::DRIVE_FUNCTIONAL | SubsystemHealth::RESET_NOT_REQUIRED;
    for (index, bit) in [
        (0, SubsystemHealth::PORT_0_LINK_ACTIVE),
        (1, SubsystemHealth::PORT_1_LINK_ACTIVE),
    ] {
        if is_linked(index) {
            expected.status |= bit;
        }
    }
    expected.smart_warnings = 0xFF;
    expected.composite_temperature = SubsystemHealth::NO_TEMPERATURE;
    if !model.controllers.is_empty() {
        let health = &model.health;
        expected.smart_warnings = !warnings(model);
        expected.percentage_used = health.percentage_used;
        if health.temperature != 0 {
            let celsius = i32::from(health.temperature) - 273;
            expected.composite_temperature = celsius.clamp(-60, 127) as u8;
        }
    }
    expected.composite_controller_status.set(flags);
    expected
}

/// Controller Health Data Structure of a controller that is ready and in which nothing changed.
pub(super) fn controller_health(model: &SubsystemModel, id: u16) -> ControllerHealth {
    let health = &model.health;
    let mut expected = ControllerHealth::default();
    expected.controller_id.set(id);
    expected.status.set(ControllerHealth::READY);
    expected.composite_temperature.set(health.temperature);
    expected.percentage_used = health.percentage_used;
    expected.available_spare = health.available_spare;
    expected.critical_warning = warnings(model);
    expected
}

/// The SMART / Health Information log page.
pub(super) fn smart_log(model: &SubsystemModel) -> SmartHealth {
    let health = &model.health;
    let mut log = SmartHealth::default();
    log.critical_warning = warnings(model);
    log.composite_temperature.set(health.temperature);
    log.available_spare = health.available_spare;
    log.available_spare_threshold = health.spare_threshold;
    log.percentage_used = health.percentage_used;
    log.data_units_read.set(health.data_units_read.into());
    log.data_units_written.set(health.data_units_written.into());
    log.host_read_commands.set(health.host_reads.into());
    log.host_write_commands.set(health.host_writes.into());
    log.controller_busy_time.set(health.busy_minutes.into());
    log.power_cycles.set(health.power_cycles.into());
    log.power_on_hours.set(health.power_on_hours.into());
    log.unsafe_shutdowns.set(health.unsafe_shutdowns.into());
    log.media_errors.set(health.media_errors.into());
    log.warning_temperature_time.set(health.warning_minutes);
    log.critical_temperature_time.set(health.critical_minutes);
    log.temperature_sensors = health.sensors.map(U16::new);
    log
}

/// The Firmware Slot Information log page: the slot that is active, the one that is next, and the
/// revision of each slot from slot 1, empty if the slot is.
pub(super) fn firmware_slots(
    active: usize,
    next: Option<usize>,
    revisions: &[String],
) -> FirmwareSlotInformation {
    let mut log = FirmwareSlotInformation::default();
    log.active_firmware = (next.unwrap_or(0) << 4 | active) as u8;
    for (place, revision) in log.revisions.iter_mut().zip(revisions) {
        if !revision.is_empty() {
            *place = padded(revision);
        }
    }
    log
}

/// A page of namespace IDs.
pub(super) fn namespace_list(ids: impl Iterator<Item = u32>) -> NamespaceList {
    let mut list = NamespaceList::default();
    for (place, id) in list.namespace_ids.iter_mut().zip(ids) {
        *place = U32::new(id);
    }
    list
}

/// Identify Namespace. What is not in the model is as `found`.
pub(super) fn identify_namespace(blocks: u64, found: &IdentifyNamespace) -> IdentifyNamespace {
    let mut identity = found.clone();
    for size in [
        &mut identity.size,
        &mut identity.capacity,
        &mut identity.utilization,
    ] {
        size.set(blocks);
    }
    // LBA format 0, without metadata.
    identity.formatted_size = 0;
    let format = LbaFormat {
        data_size: BLOCK_EXPONENT,
        ..LbaFormat::default()
    };
    if let Some(first) = identity.formats.first_mut() {
        *first = format;
    }
    identity
}

/// The controllers that a namespace is attached to.
pub(super) fn attached_to(model: &SubsystemModel, id: NamespaceId) -> Vec<u16> {
    (0..)
        .zip(&model.controllers)
        .filter(|(_, controller)| controller.namespaces.contains(&id))
        .map(|(id, _)| id)
        .collect()
}

/// A structure as it was received.
pub(super) fn read<T: FromBytes>(what: &str, bytes: &[u8]) -> Result<T, String> {
    T::read_from_bytes(bytes).map_err(|_| wrong_length(what, bytes.len(), size_of::<T>()))
}

/// The whole must be the same.
pub(super) fn same(what: &str, found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(wrong_length(what, found.len(), expected.len()));
    }
    let mut bytes = (0usize..).zip(found.iter().zip(expected));
    match bytes.find(|(_, (found, expected))| found != expected) {
        None => Ok(()),
        Some((at, (found, expected))) => Err(format!(
            "byte {at} of {what} is {found:02x}, should be {expected:02x}"
        )),
    }
}

fn wrong_length(what: &str, found: usize, expected: usize) -> String {
    format!("{what} has {found} bytes, should have {expected}")
}

#[cfg(test)]
mod tests {
    use super::super::expectations::test_drive;
    use super::*;

    #[test]
    fn a_difference_is_told_by_its_place() {
        same("it", &[1, 2, 3], &[1, 2, 3]).unwrap();
        let wrong = same("it", &[1, 2, 3], &[1, 2, 4]).unwrap_err();
        assert!(
            wrong.contains("byte 2 of it is 03, should be 04"),
            "{wrong}"
        );
        let short = same("it", &[1, 2], &[1, 2, 4]).unwrap_err();
        assert_eq!(short, "it has 2 bytes, should have 3");
        let wrong = read::<[u8; 2]>("it", &[1, 2, 3]).unwrap_err();
        assert_eq!(wrong, "it has 3 bytes, should have 2");
    }

    #[test]
    fn a_healthy_drive_has_inverted_warnings_and_degrees_celsius() {
        let health = subsystem_health(&test_drive(), 0);
        assert_eq!(health.as_bytes(), [0x38, 0xFF, 30, 3, 0, 0, 0, 0]);
    }
}
