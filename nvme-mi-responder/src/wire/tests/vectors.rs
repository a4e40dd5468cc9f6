//! Messages as they were computed from the standard and from what libnvme sends, without message
//! type byte and Message Integrity Check. Do not change the bytes.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::wire::*;

/// Parses `bytes`, which are as long as the type.
#[track_caller]
fn parse<T: FromBytes + IntoBytes + KnownLayout + Immutable>(bytes: &[u8]) -> T {
    let parsed = T::read_from_bytes(bytes).unwrap();
    assert_eq!(parsed.as_bytes(), bytes);
    parsed
}

const READ_SUBSYSTEM: [u8; 15] = [0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const READ_PORT_1: [u8; 15] = [0x08, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0];
const READ_CONTROLLER_LIST: [u8; 15] = [0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0];
const READ_CONTROLLER_1: [u8; 15] = [0x08, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0, 0];
const POLL_HEALTH_AND_CLEAR: [u8; 15] = [0x08, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80];
const GET_UNIT_OF_PORT_1: [u8; 15] = [0x08, 0, 0, 4, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0];
const SET_UNIT_256_OF_PORT_1: [u8; 15] = [0x08, 0, 0, 3, 0, 0, 0, 3, 0, 0, 1, 0, 1, 0, 0];
const GET_FREQUENCY_OF_PORT_1: [u8; 15] = [0x08, 0, 0, 4, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0];
const SET_400_KHZ_OF_PORT_1: [u8; 15] = [0x08, 0, 0, 3, 0, 0, 0, 1, 2, 0, 1, 0, 0, 0, 0];
const GET_EVENTS: [u8; 15] = [0x08, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
const ACKNOWLEDGE_EVENTS: [u8; 20] = [
    0x08, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 5,
];
const ENABLE_EVENT_6: [u8; 23] = [
    0x08, 0, 0, 3, 0, 0, 0, 4, 0x64, 1, 0, 0, 0, 0, 0, 1, 0, 8, 0, 5, 3, 6, 0x80,
];
const GET_STATE: [u8; 7] = [0, 0, 0, 3, 0, 0, 0];
const GET_STATE_OF_SLOT_1_AND_CLEAR: [u8; 7] = [1, 0, 0, 3, 0xA5, 1, 0];
const SUCCESS_WITHOUT_DATA: [u8; 7] = [0x88, 0, 0, 0, 0, 0, 0];
const MORE_PROCESSING_REQUIRED_5_S: [u8; 7] = [0x88, 0, 0, 1, 0, 0x32, 0];
const INVALID_PARAMETER_8: [u8; 7] = [0x88, 0, 0, 4, 0, 8, 0];
const INVALID_PARAMETER_12: [u8; 7] = [0x88, 0, 0, 4, 0, 0x0C, 0];
const INVALID_OPCODE: [u8; 7] = [0x88, 0, 0, 3, 0, 0, 0];
const SUBSYSTEM_WITH_2_PORTS: [u8; 11] = [0x88, 0, 0, 0, 0x20, 0, 0, 1, 1, 2, 0];
const ADMIN_SUCCESS: [u8; 19] = [0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const ADMIN_INVALID_FIELD: [u8; 19] = [
    0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0x80,
];
const ADMIN_WRONG_CONTROLLER: [u8; 7] = [0x90, 0, 0, 4, 0, 6, 0];
const EVENT_6: [u8; 20] = [
    0x28, 0, 0, 1, 0, 0x11, 0, 0, 7, 8, 9, 1, 0, 6, 0, 0, 0, 0, 2, 0x46,
];

#[test]
fn read_data_structure_requests() {
    let cases = [
        (
            READ_SUBSYSTEM,
            DataStructureType::SUBSYSTEM_INFORMATION,
            0,
            0,
        ),
        (READ_PORT_1, DataStructureType::PORT_INFORMATION, 1, 0),
        (
            READ_CONTROLLER_LIST,
            DataStructureType::CONTROLLER_LIST,
            0,
            0,
        ),
        (
            READ_CONTROLLER_1,
            DataStructureType::CONTROLLER_INFORMATION,
            0,
            1,
        ),
    ];
    for (bytes, data_structure_type, port_id, controller_id) in cases {
        let request: ManagementRequest = parse(&bytes);
        assert_eq!(request.header.kind(), MessageKind::MANAGEMENT);
        assert_eq!(request.opcode, ManagementOpcode::READ_DATA_STRUCTURE);
        let command = ReadDataStructure {
            controller_id: controller_id.into(),
            port_id,
            data_structure_type,
            ..ReadDataStructure::default()
        };
        assert_eq!(request.command::<ReadDataStructure>(), command);
        assert_eq!(ManagementRequest::new(0, command).as_bytes(), bytes);
    }
}

#[test]
fn health_poll_request() {
    let request: ManagementRequest = parse(&POLL_HEALTH_AND_CLEAR);
    let command = SubsystemHealthPoll {
        flags: SubsystemHealthPoll::CLEAR_STATUS,
        ..SubsystemHealthPoll::default()
    };
    assert_eq!(request, ManagementRequest::new(0, command));
    assert_eq!(request.dword1, 1 << 31);
}

#[test]
fn configuration_get_requests() {
    let cases = [
        (
            GET_UNIT_OF_PORT_1,
            ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE,
            1,
        ),
        (
            GET_FREQUENCY_OF_PORT_1,
            ConfigurationIdentifier::SMBUS_FREQUENCY,
            1,
        ),
        (GET_EVENTS, ConfigurationIdentifier::ASYNCHRONOUS_EVENT, 0),
    ];
    for (bytes, identifier, port_id) in cases {
        let request: ManagementRequest = parse(&bytes);
        let command = ConfigurationGet {
            identifier,
            port_id,
            ..ConfigurationGet::default()
        };
        assert_eq!(request, ManagementRequest::new(0, command));
    }
}

#[test]
fn configuration_set_requests() {
    let request: ManagementRequest = parse(&SET_UNIT_256_OF_PORT_1);
    let command = SetTransmissionUnitSize {
        identifier: ConfigurationIdentifier::TRANSMISSION_UNIT_SIZE,
        port_id: 1,
        size: 256.into(),
        ..SetTransmissionUnitSize::default()
    };
    assert_eq!(request, ManagementRequest::new(0, command));

    let request: ManagementRequest = parse(&SET_400_KHZ_OF_PORT_1);
    let identifier = request.command::<ConfigurationSet>().identifier;
    assert_eq!(identifier, ConfigurationIdentifier::SMBUS_FREQUENCY);
    let command = SetSmbusFrequency {
        identifier,
        frequency: TwoWireFrequency::KHZ_400.0,
        port_id: 1,
        ..SetSmbusFrequency::default()
    };
    assert_eq!(request, ManagementRequest::new(0, command));
}

#[test]
fn asynchronous_event_requests() {
    let (request, list) = ManagementRequest::read_from_prefix(&ACKNOWLEDGE_EVENTS).unwrap();
    let command = SetAsynchronousEvents {
        identifier: ConfigurationIdentifier::ASYNCHRONOUS_EVENT,
        ..SetAsynchronousEvents::default()
    };
    assert_eq!(request, ManagementRequest::new(0, command));
    assert_eq!(list, EventListHeader::new(0).as_bytes());

    let (request, list) = ManagementRequest::read_from_prefix(&ENABLE_EVENT_6).unwrap();
    let command = SetAsynchronousEvents {
        retry_delay: 100,
        delay: 1,
        ..command
    };
    assert_eq!(request, ManagementRequest::new(0, command));
    let (header, entry) = EventListHeader::read_from_prefix(list).unwrap();
    assert_eq!(header, EventListHeader::new(1));
    let entry: EventEntry = parse(entry);
    assert_eq!(entry, EventEntry::new(EventId::COMPOSITE_TEMPERATURE, true));
    assert_eq!(entry.id(), EventId::COMPOSITE_TEMPERATURE);
    assert!(entry.is_enabled());
}

#[test]
fn control_primitives() {
    let request: ControlPrimitiveRequest = parse(&GET_STATE);
    let get_state = ControlPrimitive::GET_STATE;
    assert_eq!(request, ControlPrimitiveRequest::new(0, get_state, 0));

    let request: ControlPrimitiveRequest = parse(&GET_STATE_OF_SLOT_1_AND_CLEAR);
    assert_eq!(request.header.slot(), 1);
    let expected = ControlPrimitiveRequest {
        parameter: ControlPrimitiveRequest::CLEAR_ERROR_FLAGS.into(),
        ..ControlPrimitiveRequest::new(1, get_state, 0xA5)
    };
    assert_eq!(request, expected);
}

#[test]
fn management_responses() {
    let response: ManagementResponse = parse(&SUCCESS_WITHOUT_DATA);
    assert_eq!(response, ManagementResponse::success(0, [0; 3]));

    let (response, data) = ManagementResponse::read_from_prefix(&SUBSYSTEM_WITH_2_PORTS).unwrap();
    let result = ReadDataStructureResult {
        length: 32.into(),
        ..ReadDataStructureResult::default()
    };
    assert_eq!(response, ManagementResponse::success(0, result));
    let information = SubsystemInformation {
        number_of_ports: 1,
        major_version: 1,
        minor_version: 2,
        ..SubsystemInformation::default()
    };
    assert_eq!(information.as_bytes()[..4], *data);
    assert_eq!(information.as_bytes()[4..], [0; 28]);
}

#[test]
fn responses_that_are_no_success() {
    let kind = MessageKind::MANAGEMENT;
    let response: MoreProcessingRequiredResponse = parse(&MORE_PROCESSING_REQUIRED_5_S);
    assert_eq!(response, MoreProcessingRequiredResponse::new(kind, 0, 50));
    let response: InvalidParameterResponse = parse(&INVALID_PARAMETER_8);
    assert_eq!(response, InvalidParameterResponse::new(kind, 0, 8, 0));
    let response: InvalidParameterResponse = parse(&INVALID_PARAMETER_12);
    assert_eq!(response, InvalidParameterResponse::new(kind, 0, 12, 0));
    let response: GenericResponse = parse(&INVALID_OPCODE);
    let status = ResponseStatus::INVALID_COMMAND_OPCODE;
    assert_eq!(response, GenericResponse::new(kind, 0, status));
    let response: InvalidParameterResponse = parse(&ADMIN_WRONG_CONTROLLER);
    let controller = location!(AdminRequest, controller_id);
    let expected = InvalidParameterResponse::new(MessageKind::ADMIN, 0, controller, 0);
    assert_eq!(response, expected);
}

#[test]
fn admin_responses() {
    let response: AdminResponse = parse(&ADMIN_SUCCESS);
    assert_eq!(response, AdminResponse::new(0, 0, 0));

    let response: AdminResponse = parse(&ADMIN_INVALID_FIELD);
    assert_eq!(response, AdminResponse::new(0, 0, 0x4002));
    assert_eq!(response.status_code_type(), 0);
    let code = GenericStatus(response.status_code());
    assert_eq!(code, GenericStatus::INVALID_FIELD_IN_COMMAND);
    assert!(response.do_not_retry());
}

#[test]
fn event_message() {
    let (message, rest) = EventMessage::read_from_prefix(&EVENT_6).unwrap();
    assert_eq!(message.header.kind(), MessageKind::ASYNCHRONOUS_EVENT);
    assert!(!message.header.is_response());
    assert_eq!(message.list.count, 1);
    assert_eq!(message.list.total_length(), 17);
    assert_eq!(
        (message.list.generation(), message.list.retry_count()),
        (1, 0)
    );
    assert!(!message.list.has_overflowed());
    let (occurrence, information) = Occurrence::read_from_prefix(rest).unwrap();
    let expected = Occurrence {
        header_length: 9,
        information_length: 1,
        vendor_information_length: 0,
        event: EventId::COMPOSITE_TEMPERATURE,
        scope_id: 0.into(),
        scope: EventScope::SUBSYSTEM.0,
    };
    assert_eq!(occurrence, expected);
    assert_eq!(information, [0x46]);
    let rebuilt = EventMessage {
        header: RequestHeader::request(MessageKind::ASYNCHRONOUS_EVENT, 0),
        list: OccurrenceListHeader {
            transmission_information: 1 << 3,
            ..OccurrenceListHeader::new(1, 17, false)
        },
    };
    assert_eq!(rebuilt, message);
}

/// The probe of libnvme: Identify Controller, the first 72 bytes, controller 0.
#[test]
fn admin_request() {
    let mut bytes = [0; 67];
    bytes[0] = 0x10;
    bytes[3] = 0x06;
    bytes[4] = 0x01;
    bytes[31] = 72;
    bytes[43] = 0x01;
    let request: AdminRequest = parse(&bytes);
    let command = Identify {
        structure: IdentifyStructure::CONTROLLER,
        ..Identify::default()
    };
    let expected = AdminRequest {
        flags: AdminRequest::DATA_LENGTH_VALID,
        data_length: U32::new(72),
        ..AdminRequest::new(0, 0, command)
    };
    assert_eq!(request, expected);
    assert_eq!(request.command::<Identify>(), command);
}

#[test]
fn bits_of_admin_commands() {
    let commit = FirmwareCommit::new(2, 3);
    assert_eq!(
        (commit.slot_and_action, commit.slot(), commit.action()),
        (0x1A, 2, 3)
    );
    let format = FormatNvm::from(*b"\x21\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(format.format_index(), 0x11);
    assert_eq!(
        (format.protection_information(), format.secure_erase()),
        (1, 2)
    );
    let log = GetLogPage {
        number_of_dwords_lower: 0xFFFF.into(),
        number_of_dwords_upper: 1.into(),
        ..GetLogPage::default()
    };
    assert_eq!(log.length(), 0x2_0000 * 4);
}
