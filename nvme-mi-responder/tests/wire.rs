//! A requester that knows messages by their types alone, and the reference device.

mod support;

use nvme_mi_responder::location;
use nvme_mi_responder::wire::*;
use support::{Device, Everything, IDENTITY, everything, sealed};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Sends a request; returns the response, without message type byte and Message Integrity Check.
fn exchange(device: &mut Device<Everything>, request: &[u8], data: &[u8]) -> Vec<u8> {
    let message = [&[0x84], request, data].concat();
    let response = device.raw(&sealed(&message)).expect("no response");
    response[1..response.len() - 4].to_vec()
}

/// Carries out a Management Interface command; returns the response and what follows it.
fn manage(
    device: &mut Device<Everything>,
    command: impl ManagementCommand,
) -> (ManagementResponse, Vec<u8>) {
    let request = ManagementRequest::new(0, command);
    let bytes = exchange(device, request.as_bytes(), &[]);
    let (response, data) = ManagementResponse::read_from_prefix(&bytes).unwrap();
    assert_eq!(response.status, ResponseStatus::SUCCESS);
    assert!(response.header.is_response());
    assert_eq!(response.header.kind(), MessageKind::MANAGEMENT);
    (response, data.to_vec())
}

/// Carries out an Admin command of controller 1 that returns a `T`, or its beginning.
fn administer<T>(device: &mut Device<Everything>, namespace: u32, command: impl AdminCommand) -> T
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    let mut request = AdminRequest::new(0, 1, command);
    request.flags = AdminRequest::DATA_LENGTH_VALID;
    request.namespace_id.set(namespace);
    request.data_length.set(size_of::<T>() as u32);
    let bytes = exchange(device, request.as_bytes(), &[]);
    let (response, data) = AdminResponse::read_from_prefix(&bytes).unwrap();
    assert_eq!(response.status, ResponseStatus::SUCCESS);
    assert_eq!(response.completion_status(), 0);
    T::read_from_bytes(data).unwrap()
}

fn structure(data_structure_type: DataStructureType) -> ReadDataStructure {
    let mut command = ReadDataStructure::default();
    command.data_structure_type = data_structure_type;
    command
}

fn log<T>(device: &mut Device<Everything>, log_page_id: LogPageId) -> T
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    let mut command = GetLogPage::default();
    command.log_page_id = log_page_id;
    command
        .number_of_dwords_lower
        .set((size_of::<T>() / 4 - 1) as u16);
    administer(device, 0xFFFF_FFFF, command)
}

fn identify<T>(device: &mut Device<Everything>, namespace: u32, structure: IdentifyStructure) -> T
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    let mut command = Identify::default();
    command.structure = structure;
    administer(device, namespace, command)
}

#[test]
fn reads_what_the_subsystem_consists_of() {
    let device = &mut everything();
    let command = structure(DataStructureType::SUBSYSTEM_INFORMATION);
    let (response, data) = manage(device, command);
    assert_eq!(response.result::<ReadDataStructureResult>().length, 32);
    let subsystem = SubsystemInformation::read_from_bytes(&data).unwrap();
    assert_eq!(subsystem.number_of_ports, 1);
    assert_eq!((subsystem.major_version, subsystem.minor_version), (2, 0));

    let mut command = structure(DataStructureType::PORT_INFORMATION);
    let (_, data) = manage(device, command);
    let port = PortInformation::read_from_bytes(&data).unwrap();
    assert_eq!(port.port_type, PortType::PCIE);
    let pcie = PciePort::from(port.specific);
    assert_eq!((pcie.maximum_link_width, pcie.current_link_speed), (4, 4));

    command.port_id = 1;
    let (_, data) = manage(device, command);
    let port = PortInformation::read_from_bytes(&data).unwrap();
    assert_eq!(port.port_type, PortType::TWO_WIRE);
    assert_eq!(port.maximum_transmission_unit, 250);
    assert_eq!(port.endpoint_buffer_size, 512);
    let two_wire = TwoWirePort::from(port.specific);
    assert_eq!(two_wire.endpoint_address, 0x1D);
    assert_eq!(two_wire.endpoint_frequency, TwoWireFrequency::MHZ_1);

    let (_, data) = manage(device, structure(DataStructureType::CONTROLLER_LIST));
    let (list, _) = ControllerListHeader::read_from_prefix(&data).unwrap();
    assert_eq!(list.count, 2);

    let mut command = structure(DataStructureType::CONTROLLER_INFORMATION);
    command.controller_id.set(1);
    let (_, data) = manage(device, command);
    let controller = ControllerInformation::read_from_bytes(&data).unwrap();
    assert_eq!(
        controller.routing_id_information,
        ControllerInformation::ROUTING_ID_VALID
    );
    assert_eq!(controller.routing_id, 1 << 8 | 2 << 3 | 1);
    assert_eq!(controller.vendor_id, IDENTITY.vendor.pci_vendor);
}

#[test]
fn the_list_of_optional_commands_names_no_command_without_a_type() {
    let device = &mut everything();
    let command = structure(DataStructureType::OPTIONALLY_SUPPORTED_COMMANDS);
    let (_, data) = manage(device, command);
    let (list, rest) = CommandListHeader::read_from_prefix(&data).unwrap();
    let count = usize::from(list.count.get());
    assert_ne!(count, 0);
    let (listed, _) = <[SupportedCommand]>::ref_from_prefix_with_elems(rest, count).unwrap();
    for command in listed {
        let has_type = COMMANDS
            .iter()
            .any(|known| (known.kind, known.opcode) == (command.kind(), command.opcode));
        assert!(has_type, "{command:?}");
    }
}

#[test]
fn polls_health() {
    let device = &mut everything();
    let (_, data) = manage(device, SubsystemHealthPoll::default());
    let health = SubsystemHealth::read_from_bytes(&data).unwrap();
    assert_ne!(health.status & SubsystemHealth::DRIVE_FUNCTIONAL, 0);
    assert_eq!(health.smart_warnings & 0x3F, 0x3F);
    assert_eq!(
        (health.composite_temperature, health.percentage_used),
        (30, 3)
    );

    let mut command = ControllerHealthPoll::default();
    command.functions = ControllerHealthPoll::ALL | ControllerHealthPoll::INCLUDE_FUNCTIONS;
    command.maximum_entries = 254;
    let (response, data) = manage(device, command);
    let entries = response.result::<ControllerHealthPollResult>().entries;
    let controllers = <[ControllerHealth]>::ref_from_bytes(&data).unwrap();
    assert_eq!(controllers.len(), usize::from(entries));
    assert_eq!(controllers[1].controller_id, 1);
    assert_eq!(controllers[1].composite_temperature, 303);
    assert_eq!(controllers[1].available_spare, 100);
}

#[test]
fn sets_and_gets_configuration() {
    let device = &mut everything();
    let mut set = SetTransmissionUnitSize::default();
    set.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
    set.port_id = 1;
    set.size.set(128);
    manage(device, set);
    let mut get = ConfigurationGet::default();
    get.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
    get.port_id = 1;
    let (response, _) = manage(device, get);
    assert_eq!(response.result::<TransmissionUnitSizeResult>().size, 128);

    let mut set = SetSmbusFrequency::default();
    set.identifier = ConfigurationIdentifier::SMBUS_FREQUENCY;
    set.port_id = 1;
    set.frequency = TwoWireFrequency::KHZ_400.0;
    manage(device, set);
    get.identifier = ConfigurationIdentifier::SMBUS_FREQUENCY;
    let (response, _) = manage(device, get);
    assert_eq!(response.result::<SmbusFrequencyResult>().frequency, 2);

    get.identifier = ConfigurationIdentifier::ASYNCHRONOUS_EVENT;
    let (_, data) = manage(device, get);
    let (list, rest) = EventListHeader::read_from_prefix(&data).unwrap();
    assert_eq!(list, EventListHeader::new(list.count));
    let count = usize::from(list.count);
    let (entries, _) = <[EventEntry]>::ref_from_prefix_with_elems(rest, count).unwrap();
    for entry in entries {
        assert_eq!(*entry, EventEntry::new(entry.id(), false));
    }
}

#[test]
fn a_wrong_field_is_where_the_type_says() {
    let device = &mut everything();
    let mut command = SetTransmissionUnitSize::default();
    command.identifier = ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE;
    command.port_id = 1;
    command.size.set(63);
    let request = ManagementRequest::new(1, command);
    let bytes = exchange(device, request.as_bytes(), &[]);
    let response = InvalidParameterResponse::read_from_bytes(&bytes).unwrap();
    let size = location!(SetTransmissionUnitSize, size);
    let expected = InvalidParameterResponse::new(MessageKind::MANAGEMENT, 1, size, 0);
    assert_eq!(response, expected);
}

#[test]
fn identifies_a_controller_and_a_namespace() {
    let device = &mut everything();
    let controller: IdentifyController = identify(device, 0, IdentifyStructure::CONTROLLER);
    assert_eq!(controller.controller_id, 1);
    assert_eq!(
        controller.serial_number.trim_ascii(),
        IDENTITY.serial_number.as_bytes()
    );
    assert_eq!(
        controller.model_number.trim_ascii(),
        IDENTITY.model_number.as_bytes()
    );
    assert_eq!(controller.firmware_revision, *b"REF00001");
    assert_eq!(controller.version, 0x0002_0000);
    assert_eq!(controller.total_capacity, u128::from(IDENTITY.capacity));
    assert_eq!(controller.number_of_namespaces, 4);
    assert!(
        controller
            .qualified_name
            .starts_with(IDENTITY.qualified_name.as_bytes())
    );
    let commands = controller.optional_admin_commands.get();
    assert_ne!(commands & IdentifyController::FIRMWARE, 0);
    assert_eq!(
        controller.reserved_fields_of(IdentifyController::BYTE_TABLE),
        0
    );

    let namespace: IdentifyNamespace = identify(device, 1, IdentifyStructure::NAMESPACE);
    assert_eq!(namespace.size, 2_097_152);
    assert_eq!(namespace.formats[0].data_size, 9);
    assert_eq!(namespace.formats[1].data_size, 12);

    let list: NamespaceList = identify(device, 0, IdentifyStructure::ACTIVE_NAMESPACES);
    assert_eq!(
        [list.namespace_ids[0].get(), list.namespace_ids[1].get()],
        [1, 0]
    );
    let list: ControllerList = identify(device, 0, IdentifyStructure::CONTROLLERS);
    assert_eq!((list.count.get(), list.controller_ids[1].get()), (2, 1));
}

/// The bytes that are not 0 in what a structure reserves.
trait ReservedFields: IntoBytes + Immutable {
    fn reserved_fields_of(&self, layout: Layout) -> usize {
        let reserved = layout
            .fields
            .iter()
            .filter(|field| field.name.starts_with("reserved_"));
        reserved
            .flat_map(|field| &self.as_bytes()[field.first - layout.first..][..field.length])
            .filter(|byte| **byte != 0)
            .count()
    }
}

impl<T: IntoBytes + Immutable> ReservedFields for T {}

#[test]
fn reads_log_pages() {
    let device = &mut everything();
    let health: SmartHealth = log(device, LogPageId::SMART_HEALTH);
    assert_eq!(health.composite_temperature, 303);
    assert_eq!((health.available_spare, health.percentage_used), (100, 3));
    assert_eq!(health.power_cycles, 1);
    assert_eq!(health.reserved_fields_of(SmartHealth::BYTE_TABLE), 0);

    let firmware: FirmwareSlotInformation = log(device, LogPageId::FIRMWARE_SLOT_INFORMATION);
    assert_eq!(firmware.active_firmware & 7, 1);
    assert_eq!(firmware.revisions[1], *b"REF00002");

    let logs: SupportedLogPages = log(device, LogPageId::SUPPORTED_LOG_PAGES);
    for log_page_id in [LogPageId::SMART_HEALTH, LogPageId::SANITIZE_STATUS] {
        let supported = logs.log_pages[usize::from(log_page_id.0)].get();
        assert_eq!(supported & 1, 1);
    }

    let tests: SelfTestLog = log(device, LogPageId::DEVICE_SELF_TEST);
    assert!(tests.results.iter().all(|result| result.status == 0x0F));

    let sanitize: SanitizeStatus = log(device, LogPageId::SANITIZE_STATUS);
    assert_eq!(sanitize.progress, 0xFFFF);
    assert_eq!(sanitize.overwrite_time, SanitizeStatus::NOT_REPORTED);

    let effects: CommandEffects = log(device, LogPageId::COMMAND_EFFECTS);
    assert_eq!(
        effects.admin_commands[usize::from(AdminOpcode::IDENTIFY.0)],
        1
    );
}

#[test]
fn a_failed_command_is_in_the_error_log() {
    let device = &mut everything();
    let mut command = Identify::default();
    command.structure = IdentifyStructure(0xFF);
    let request = AdminRequest::new(0, 1, command);
    let bytes = exchange(device, request.as_bytes(), &[]);
    let response = AdminResponse::read_from_bytes(&bytes).unwrap();
    let code = GenericStatus(response.status_code());
    assert_eq!(code, GenericStatus::INVALID_FIELD_IN_COMMAND);

    let errors: [ErrorInformation; 16] = log(device, LogPageId::ERROR_INFORMATION);
    assert_eq!(errors[0].error_count, 1);
    assert_eq!(errors[0].status, response.completion_status() << 1);
    assert_eq!(
        (errors[0].opcode, errors[0].version),
        (AdminOpcode::IDENTIFY.0, 1)
    );
    assert_eq!(errors[1], ErrorInformation::default());
}

#[test]
fn asks_for_the_state_of_a_slot() {
    let device = &mut everything();
    let request = ControlPrimitiveRequest::new(1, ControlPrimitive::GET_STATE, 0x5A);
    let bytes = exchange(device, request.as_bytes(), &[]);
    let response = ControlPrimitiveResponse::read_from_bytes(&bytes).unwrap();
    let expected = ControlPrimitiveResponse::new(1, ResponseStatus::SUCCESS, 0x5A);
    assert_eq!(response, expected);
}
