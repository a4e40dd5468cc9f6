//! What the structures of NVMe-MI and NVM Express must be for a model, byte for byte.

use nvme_mi_responder::{Function, NamespaceId, PortKind};

use crate::cli::DeviceSettings;
use crate::model_file::{ControllerModel, DeviceModel};

/// From which temperature on, in kelvins, controllers warn.
const WARNING_TEMPERATURE: u16 = 343;

/// Bytes at an offset of a structure.
pub(super) type Field = (usize, Vec<u8>);

/// A structure of zeros with these fields.
fn structure(length: usize, fields: &[Field]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (offset, field) in fields {
        bytes[*offset..][..field.len()].copy_from_slice(field);
    }
    bytes
}

/// How many, then each of them, in 2 bytes.
pub(super) fn controller_list(ids: impl Iterator<Item = u16>) -> Vec<u8> {
    let ids: Vec<_> = ids.flat_map(u16::to_le_bytes).collect();
    [&(ids.len() as u16 / 2).to_le_bytes()[..], &ids].concat()
}

/// NVM Subsystem Information.
pub(super) fn subsystem(model: &DeviceModel) -> Vec<u8> {
    structure(32, &[(0, vec![model.ports.len() as u8 - 1, 2, 0])])
}

/// Port Information. Of a management endpoint, what it can do and how long its buffer is are as
/// `found`: they are not in the model.
pub(super) fn port(model: &DeviceModel, index: usize, found: &[u8]) -> Vec<u8> {
    let port = &model.ports[index];
    let unit = port.max_transmission_unit.to_le_bytes().to_vec();
    let mut fields = vec![(2, unit)];
    if index == usize::from(model.management_port.0) {
        fields.push((1, vec![found[1]]));
        fields.push((4, found[4..8].to_vec()));
    }
    match port.kind {
        PortKind::Pcie(pcie) => {
            let speeds = (1u16 << pcie.generation) - 1;
            let width = pcie.width as u8;
            let (link, negotiated) = pcie.link.map_or((0, 0), |link| (link, width));
            fields.push((0, vec![1]));
            fields.push((8, vec![pcie.payload_exponent, speeds as u8, link]));
            fields.push((11, vec![width, negotiated, pcie.number]));
        }
        PortKind::TwoWire(two_wire) => {
            let vpd_frequency = two_wire
                .vpd_frequency
                .map_or(0, |frequency| frequency as u8);
            fields.push((0, vec![2]));
            fields.push((8, vec![two_wire.vpd_address, vpd_frequency]));
            fields.push((
                10,
                vec![two_wire.endpoint_address, two_wire.frequency as u8],
            ));
            fields.push((12, vec![two_wire.basic_management.into()]));
        }
    }
    structure(32, &fields)
}

/// Controller Information.
pub(super) fn controller(model: &DeviceModel, controller: &ControllerModel) -> Vec<u8> {
    let mut fields = vec![(0, vec![controller.port.0])];
    if let Some(address) = controller.config.address {
        let routing_id = [address.device << 3 | address.function, address.bus];
        fields.push((5, vec![1]));
        fields.push((6, routing_id.to_vec()));
    }
    let vendor = &model.vendor;
    let ids = [
        vendor.pci_vendor,
        vendor.pci_device,
        vendor.pci_subsystem_vendor,
        vendor.pci_subsystem,
    ];
    fields.push((8, ids.into_iter().flat_map(u16::to_le_bytes).collect()));
    structure(32, &fields)
}

/// Serial number of the subsystem.
pub(super) fn serial_number(settings: &DeviceSettings) -> String {
    let given = settings.model.serial_number.clone();
    given.unwrap_or_else(|| settings.serial_number())
}

/// What Identify Controller says of the model.
pub(super) fn identify_controller(settings: &DeviceSettings, id: u16) -> Vec<Field> {
    let model = &settings.model;
    let (vendor, firmware) = (&model.vendor, &model.firmware);
    let [a, b, c] = vendor.ieee_oui;
    let is_virtual = model.controllers[usize::from(id)].config.function == Function::Virtual;
    let sharing = u8::from(model.ports.len() > 1)
        | u8::from(model.controllers.len() > 1) << 1
        | u8::from(is_virtual) << 2;
    let updates = u8::from(firmware.first_slot_read_only)
        | (firmware.slots.len() as u8) << 1
        | u8::from(firmware.activates_without_reset) << 4;
    let used: u64 = model.namespaces.iter().map(|blocks| blocks * 512).sum();
    vec![
        (0, vendor.pci_vendor.to_le_bytes().to_vec()),
        (2, vendor.pci_subsystem_vendor.to_le_bytes().to_vec()),
        (4, padded(&serial_number(settings), 20)),
        (24, padded(&model.model_number, 40)),
        (64, padded(&model.revision(), 8)),
        (73, vec![c, b, a]),
        (76, vec![sharing]),
        (78, id.to_le_bytes().to_vec()),
        (80, 0x0002_0000u32.to_le_bytes().to_vec()),
        (260, vec![updates]),
        (280, u128::from(model.capacity).to_le_bytes().to_vec()),
        (
            296,
            u128::from(model.capacity - used).to_le_bytes().to_vec(),
        ),
        (
            516,
            (model.room_for_namespaces as u32).to_le_bytes().to_vec(),
        ),
        (768, model.qualified_name.clone().into_bytes()),
    ]
}

/// ASCII, padded with spaces.
pub(super) fn padded(text: &str, length: usize) -> Vec<u8> {
    format!("{text:<length$}").into_bytes()
}

/// Critical warnings, with that of the temperature threshold.
pub(super) fn warnings(model: &DeviceModel) -> u8 {
    let is_hot = model.health.temperature >= WARNING_TEMPERATURE;
    model.health.critical_warning | u8::from(is_hot) << 1
}

/// NVM Subsystem Health Data Structure, with these Composite Controller Status Flags.
pub(super) fn subsystem_health(model: &DeviceModel, flags: u16) -> Vec<u8> {
    let is_linked = |index: usize| {
        let port = model.ports.get(index);
        matches!(port.map(|port| port.kind), Some(PortKind::Pcie(pcie)) if pcie.link.is_some())
    };
    let has_controllers = !model.controllers.is_empty();
    let health = &model.health;
    let works = 0b11 << 4 | u8::from(is_linked(0)) << 3 | u8::from(is_linked(1)) << 2;
    let temperature = match health.temperature {
        0 => 0x80,
        kelvins => (i32::from(kelvins) - 273).clamp(-60, 127) as u8,
    };
    let (warnings, temperature, used) = if has_controllers {
        (!warnings(model), temperature, health.percentage_used)
    } else {
        (0xFF, 0x80, 0)
    };
    let [low, high] = flags.to_le_bytes();
    vec![works, warnings, temperature, used, low, high, 0, 0]
}

/// Controller Health Data Structure of a controller that is ready and in which nothing changed.
pub(super) fn controller_health(model: &DeviceModel, id: u16) -> Vec<u8> {
    let health = &model.health;
    structure(
        16,
        &[
            (0, id.to_le_bytes().to_vec()),
            (2, vec![1]),
            (4, health.temperature.to_le_bytes().to_vec()),
            (6, vec![health.percentage_used, health.available_spare]),
            (8, vec![warnings(model)]),
        ],
    )
}

/// The SMART / Health Information log page.
pub(super) fn smart_log(model: &DeviceModel) -> Vec<u8> {
    let health = &model.health;
    let spare = [health.available_spare, health.spare_threshold];
    let counters = [
        health.data_units_read,
        health.data_units_written,
        health.host_reads,
        health.host_writes,
        health.busy_minutes,
        health.power_cycles,
        health.power_on_hours,
        health.unsafe_shutdowns,
        health.media_errors,
    ];
    let minutes = [health.warning_minutes, health.critical_minutes];
    let counters = counters.into_iter().map(u128::from);
    structure(
        512,
        &[
            (0, vec![warnings(model)]),
            (1, health.temperature.to_le_bytes().to_vec()),
            (3, spare.to_vec()),
            (5, vec![health.percentage_used]),
            (32, counters.flat_map(u128::to_le_bytes).collect()),
            (
                192,
                minutes.into_iter().flat_map(u32::to_le_bytes).collect(),
            ),
            (
                200,
                health
                    .sensors
                    .into_iter()
                    .flat_map(u16::to_le_bytes)
                    .collect(),
            ),
        ],
    )
}

/// A page of namespace IDs.
pub(super) fn namespace_list(ids: impl Iterator<Item = u32>) -> Vec<u8> {
    structure(4096, &[(0, ids.flat_map(u32::to_le_bytes).collect())])
}

/// What Identify Namespace says of the model.
pub(super) fn identify_namespace(blocks: u64) -> Vec<Field> {
    let size = blocks.to_le_bytes();
    vec![
        (0, [size, size, size].concat()),
        // LBA format 0: no metadata, blocks of 2 to the power of 9 bytes.
        (26, vec![0]),
        (128, vec![0, 0, 9]),
    ]
}

/// The controllers that a namespace is attached to.
pub(super) fn attached_to(model: &DeviceModel, id: NamespaceId) -> impl Iterator<Item = u16> {
    (0..)
        .zip(&model.controllers)
        .filter(move |(_, controller)| controller.namespaces.contains(&id))
        .map(|(id, _)| id)
}

/// The whole must be the same.
pub(super) fn same(what: &str, found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "{what} has {} bytes, should have {}",
            found.len(),
            expected.len()
        ));
    }
    same_fields(what, found, &[(0, expected.to_vec())])
}

/// These fields must be the same.
pub(super) fn same_fields(what: &str, found: &[u8], expected: &[Field]) -> Result<(), String> {
    for (offset, field) in expected {
        for (at, byte) in (*offset..).zip(field) {
            let found = found.get(at).copied();
            if found != Some(*byte) {
                let found = found.map_or("missing".into(), |found| format!("{found:02x}"));
                return Err(format!(
                    "byte {at} of {what} is {found}, should be {byte:02x}"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        assert!(same_fields("it", &[1, 2], &[(1, vec![2, 3])]).is_err());
        same_fields("it", &[1, 2], &[(1, vec![2])]).unwrap();
    }

    #[test]
    fn a_healthy_drive_has_inverted_warnings_and_degrees_celsius() {
        let model = DeviceModel::default();
        let health = subsystem_health(&model, 0);
        assert_eq!(health, [0x38, 0xFF, 30, 3, 0, 0, 0, 0]);
    }
}
