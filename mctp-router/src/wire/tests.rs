//! Vectors are written by hand after DSP0236 1.3.3; each names its section and table.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::*;

// Headers: section 11.4, figure 20; section 11.5, table 10.

#[test]
fn a_request_begins_with_type_flags_and_command() {
    let request = Message::new(Header::request(0x15, Command::GET_ENDPOINT_UUID));
    assert_eq!(request.as_bytes(), [0x00, 0x95, 0x03]);
    let (parsed, data) = Message::<Header>::ref_from_prefix(&[0x00, 0x95, 0x03, 7, 8]).unwrap();
    assert_eq!((parsed, data), (&request, &[7, 8][..]));
    assert!(Message::<Header>::ref_from_prefix(&[0x00, 0x95]).is_err());
}

#[test]
fn a_response_has_the_instance_id_and_command_of_its_request_and_a_completion_code() {
    for instance_id in 0..32 {
        // Rq, D and the reserved bit are set; none of them comes back.
        let flags = Flags(0xE0 | instance_id);
        let request = Header {
            flags,
            command: Command(0x14),
        };
        let response = Message::new(ResponseHeader::to(&request, CompletionCode::NOT_READY));
        assert_eq!(response.as_bytes(), [0x00, instance_id, 0x14, 0x04]);
        assert!(response.body.answers(&request));
    }
}

#[test]
fn only_the_same_instance_id_and_command_without_rq_and_d_answer_a_request() {
    let request = Header::request(3, Command::GET_ENDPOINT_ID);
    let answers = |bytes: [u8; 3]| {
        ResponseHeader::read_from_bytes(&bytes)
            .unwrap()
            .answers(&request)
    };
    assert!(answers([0x03, 2, 0]) && answers([0x03, 2, 5]));
    assert!(answers([0x23, 2, 0]), "bit 5 is reserved");
    for other in [[0x83, 2, 0], [0x43, 2, 0], [0x04, 2, 0], [0x03, 3, 0]] {
        assert!(!answers(other), "{other:02X?}");
    }
}

/// Section 11.7, table 11: Rq and D.
#[test]
fn flags_tell_requests_datagrams_and_responses_apart() {
    let classes = [
        (0x80, true, false, false),
        (0xC0, true, true, false),
        (0x00, false, false, true),
    ];
    for (bits, request, datagram, response) in classes {
        for others in 0..0x40 {
            let flags = Flags(bits | others);
            assert_eq!(
                (flags.is_request(), flags.is_datagram(), flags.is_response()),
                (request, datagram, response)
            );
            assert_eq!(flags.instance_id(), others & 0x1F);
        }
    }
    assert!(
        !Flags(0x40).is_request() && !Flags(0x40).is_response(),
        "no class at all"
    );
    assert_eq!(
        Flags::request(0xFF),
        Flags(0x9F),
        "an instance ID has 5 bits"
    );
}

#[test]
fn an_integrity_check_is_seen_whatever_the_type() {
    for type_ic in 0..=0xFF {
        let message = Message { type_ic, body: () };
        assert_eq!(message.has_integrity_check(), type_ic >= 0x80);
    }
}

// Numbers: section 12.2, table 12; section 12.3, table 13; section 12.7, table 18.

#[test]
fn commands_and_completion_codes_have_their_numbers() {
    let commands = [
        (SetEndpointIdRequest::COMMAND, 1, "Set Endpoint ID (01h)"),
        (GetEndpointIdRequest::COMMAND, 2, "Get Endpoint ID (02h)"),
        (
            GetEndpointUuidRequest::COMMAND,
            3,
            "Get Endpoint UUID (03h)",
        ),
        (
            GetVersionSupportRequest::COMMAND,
            4,
            "Get MCTP Version Support (04h)",
        ),
        (
            GetMessageTypeSupportRequest::COMMAND,
            5,
            "Get Message Type Support (05h)",
        ),
        (
            GetVendorSupportRequest::COMMAND,
            6,
            "Get Vendor Defined Message Support (06h)",
        ),
        (Command::RESOLVE_ENDPOINT_ID, 7, "Resolve Endpoint ID (07h)"),
        (
            Command::ALLOCATE_ENDPOINT_IDS,
            0x08,
            "Allocate Endpoint IDs (08h)",
        ),
        (
            Command::ROUTING_INFORMATION_UPDATE,
            0x09,
            "Routing Information Update (09h)",
        ),
        (
            Command::GET_ROUTING_TABLE_ENTRIES,
            0x0A,
            "Get Routing Table Entries (0ah)",
        ),
        (
            Command::PREPARE_FOR_ENDPOINT_DISCOVERY,
            0x0B,
            "Prepare for Endpoint Discovery (0bh)",
        ),
        (
            Command::ENDPOINT_DISCOVERY,
            0x0C,
            "Endpoint Discovery (0ch)",
        ),
        (Command::DISCOVERY_NOTIFY, 0x0D, "Discovery Notify (0dh)"),
        (Command::GET_NETWORK_ID, 0x0E, "Get Network ID (0eh)"),
        (Command::QUERY_HOP, 0x0F, "Query Hop (0fh)"),
        (Command::RESOLVE_UUID, 0x10, "Resolve UUID (10h)"),
        (Command::QUERY_RATE_LIMIT, 0x11, "Query Rate Limit (11h)"),
        (
            Command::REQUEST_TX_RATE_LIMIT,
            0x12,
            "Request TX Rate Limit (12h)",
        ),
        (Command::UPDATE_RATE_LIMIT, 0x13, "Update Rate Limit (13h)"),
        (
            Command::QUERY_SUPPORTED_INTERFACES,
            0x14,
            "Query Supported Interfaces (14h)",
        ),
        (Command(0x00), 0x00, "control request (00h)"),
        (Command(0x15), 0x15, "control request (15h)"),
        (Command(0xEF), 0xEF, "control request (efh)"),
        (Command(0xF0), 0xF0, "Transport Specific (f0h)"),
        (Command(0xFF), 0xFF, "Transport Specific (ffh)"),
    ];
    for (command, number, text) in commands {
        assert_eq!((command.0, command.to_string()), (number, text.to_owned()));
        assert_eq!(command.is_transport_specific(), number >= 0xF0);
    }
    let codes = [
        (CompletionCode::SUCCESS, 0x00, "SUCCESS (00h)"),
        (CompletionCode::ERROR, 0x01, "ERROR (01h)"),
        (
            CompletionCode::INVALID_DATA,
            0x02,
            "ERROR_INVALID_DATA (02h)",
        ),
        (
            CompletionCode::INVALID_LENGTH,
            0x03,
            "ERROR_INVALID_LENGTH (03h)",
        ),
        (CompletionCode::NOT_READY, 0x04, "ERROR_NOT_READY (04h)"),
        (
            CompletionCode::UNSUPPORTED_COMMAND,
            0x05,
            "ERROR_UNSUPPORTED_CMD (05h)",
        ),
        (
            CompletionCode::MESSAGE_TYPE_NOT_SUPPORTED,
            0x80,
            "command specific (80h)",
        ),
        (CompletionCode(0x7F), 0x7F, "reserved (7fh)"),
    ];
    for (code, number, text) in codes {
        assert_eq!((code.0, code.to_string()), (number, text.to_owned()));
    }
    assert!(CompletionCode(0).is_success() && !CompletionCode(1).is_success());
}

#[test]
fn unknown_numbers_survive_parsing() {
    let bytes = [0xFF, 0xFF, 0xFF];
    assert_eq!(
        ResponseHeader::read_from_bytes(&bytes).unwrap().as_bytes(),
        bytes
    );
    let set = SetEndpointIdRequest::parse(&[0xFF, 0xFF]).unwrap();
    assert_eq!(set.as_bytes(), [0xFF, 0xFF]);
}

// 01h, Set Endpoint ID: section 12.4, table 14.

#[test]
fn set_endpoint_id_has_operation_and_endpoint_id() {
    let request = SetEndpointIdRequest {
        operation: Operation::FORCE,
        endpoint_id: 0x1D,
    };
    assert_eq!(request.as_bytes(), [0x01, 0x1D]);
    assert_eq!(SetEndpointIdRequest::parse(&[0x01, 0x1D]), Ok(&request));
    let operations = [
        Operation::SET,
        Operation::FORCE,
        Operation::RESET,
        Operation::SET_DISCOVERED,
    ];
    for (number, operation) in (0..).zip(operations) {
        assert_eq!(Operation(0xFC | number).without_reserved(), operation);
    }
}

#[test]
fn the_answer_to_set_endpoint_id_has_status_setting_and_pool_size() {
    let accepted = SetEndpointIdResponse {
        status: SetEndpointIdStatus::ACCEPTED,
        endpoint_id: 9,
        pool_size: 0,
    };
    assert_eq!(accepted.as_bytes(), [0x00, 9, 0]);
    assert_eq!(
        SetEndpointIdRequest::parse_response(&[0x00, 9, 0]),
        Ok(&accepted)
    );
    let statuses = [
        (0xCC, AssignmentStatus::Accepted, false),
        (0x11, AssignmentStatus::Rejected, true),
        (0x22, AssignmentStatus::Reserved, true),
        (0x30, AssignmentStatus::Reserved, false),
    ];
    for (byte, assignment, has_pool) in statuses {
        let status = SetEndpointIdStatus(byte);
        assert_eq!(
            (status.assignment(), status.has_pool()),
            (assignment, has_pool)
        );
    }
}

// 02h, Get Endpoint ID: section 12.5, table 15.

#[test]
fn the_answer_to_get_endpoint_id_has_id_types_and_a_byte_for_the_medium() {
    let bridge = GetEndpointIdResponse {
        endpoint_id: 0x42,
        endpoint_type: EndpointType::bridge(EndpointIdType::StaticInForce),
        medium_specific: 1,
    };
    assert_eq!(bridge.as_bytes(), [0x42, 0x12, 0x01]);
    assert_eq!(
        GetEndpointIdRequest::parse_response(&[0x42, 0x12, 0x01]),
        Ok(&bridge)
    );
    let id_types = [
        EndpointIdType::Dynamic,
        EndpointIdType::Static,
        EndpointIdType::StaticInForce,
        EndpointIdType::StaticOverridden,
    ];
    for (number, id_type) in (0..).zip(id_types) {
        assert_eq!(EndpointType::simple(id_type), EndpointType(number));
        assert_eq!(EndpointType(0xFC | number).id_type(), id_type);
    }
    for (byte, simple, bridge) in [
        (0xCF, true, false),
        (0xDF, false, true),
        (0x20, false, false),
    ] {
        let kind = EndpointType(byte);
        assert_eq!(
            (kind.is_simple(), kind.is_bus_owner_or_bridge()),
            (simple, bridge)
        );
    }
}

// 03h, Get Endpoint UUID: section 12.6, table 16.

#[test]
fn the_answer_to_get_endpoint_uuid_has_16_bytes() {
    let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let response = GetEndpointUuidRequest::parse_response(&bytes);
    assert_eq!(response, Ok(&GetEndpointUuidResponse { uuid: bytes }));
}

// 04h, Get MCTP Version Support: section 12.7, table 18; encodings and examples of section 12.7.2.

#[test]
fn versions_are_counted() {
    let bytes = [2, 0xF1, 0xF0, 0xFF, 0x00, 0xF1, 0xF3, 0xF3, 0x00];
    let versions = [[0xF1, 0xF0, 0xFF, 0x00], [0xF1, 0xF3, 0xF3, 0x00]].map(Version::from_bytes);
    let response = GetVersionSupportRequest::parse_response(&bytes).unwrap();
    assert_eq!((response.count, &response.versions), (2, &versions[..]));
    let mut emitted = success();
    GetVersionSupportResponse::emit(&versions, &mut emitted);
    assert_eq!(emitted.as_bytes()[4..], bytes);

    let parse = GetVersionSupportRequest::parse_response;
    let count = |announced, sent| Err(InvalidResponse::Count { announced, sent });
    assert_eq!(parse(&[1]), count(1, 0));
    assert_eq!(parse(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), count(1, 2));
    assert_eq!(
        parse(&[1, 0xF1, 0xF3, 0xF3]),
        Err(InvalidResponse::Length(4))
    );
    assert_eq!(parse(&[]), Err(InvalidResponse::Length(0)));
    assert!(parse(&[0]).is_ok());
}

#[test]
fn versions_are_written_as_in_the_specification() {
    let text = |bytes| Version::from_bytes(bytes).to_string();
    assert_eq!(text([0xF1, 0xF1, 0xF0, 0x00]), "1.1.0");
    assert_eq!(text([0xF3, 0xF1, 0xFF, 0x00]), "3.1");
    assert_eq!(text([0xF1, 0xF0, 0xFF, 0x61]), "1.0a");
    assert_eq!(text([0x10, 0x11, 0xF7, 0x00]), "10.11.7");
}

// 05h, Get Message Type Support: section 12.8, table 19.

#[test]
fn message_types_are_counted_and_control_is_the_first() {
    let response = GetMessageTypeSupportRequest::parse_response(&[2, 0x00, 0x7E]).unwrap();
    assert_eq!(
        (response.count, &response.message_types),
        (2, &[0x00, 0x7E][..])
    );
    let mut emitted = success();
    GetMessageTypeSupportResponse::emit([0x04, 0x7E].into_iter(), &mut emitted);
    assert_eq!(emitted.as_bytes()[4..], [3, 0x00, 0x04, 0x7E]);

    let parse = GetMessageTypeSupportRequest::parse_response;
    let count = |announced, sent| Err(InvalidResponse::Count { announced, sent });
    assert_eq!(parse(&[1]), count(1, 0));
    assert_eq!(parse(&[1, 0, 0x7E]), count(1, 2));
    assert_eq!(parse(&[]), Err(InvalidResponse::Length(0)));
}

// 06h, Get Vendor Defined Message Support: section 12.9, tables 20 and 21, figure 21.

#[test]
fn a_vendor_id_has_2_or_4_bytes_by_its_format() {
    let vectors: [(&[u8], VendorSupport); 2] = [
        (
            &[0xFF, 0x00, 0xCC, 0xDE, 0x01, 0x02],
            VendorSupport {
                next_selector: VendorSupport::LAST,
                vendor: Vendor::Pci(0xCCDE),
                command_set: 0x0102,
            },
        ),
        (
            &[0x01, 0x01, 0x00, 0x00, 0xA0, 0x15, 0xFF, 0xFE],
            VendorSupport {
                next_selector: 1,
                vendor: Vendor::Iana(40981),
                command_set: 0xFFFE,
            },
        ),
    ];
    for (bytes, vendor) in vectors {
        assert_eq!(GetVendorSupportRequest::parse_response(bytes), Ok(vendor));
        let mut emitted = success();
        vendor.emit(&mut emitted);
        assert_eq!(&emitted.as_bytes()[4..], bytes);
        for len in 0..12 {
            let other = [bytes, &[0; 6]].concat();
            let is_whole = VendorSupport::parse(&other[..len]).is_ok();
            assert_eq!(is_whole, len == bytes.len(), "{len} bytes");
        }
    }
    let unknown = InvalidResponse::VendorIdFormat(VendorIdFormat(2));
    assert_eq!(
        VendorSupport::parse(&[0xFF, 0x02, 0, 0, 0, 0]),
        Err(unknown)
    );
    assert_eq!(
        unknown.to_string(),
        "vendor ID format 02h is neither PCI nor IANA"
    );
    let pci = GetVendorSupportResponse::<U16>::ref_from_bytes(vectors[0].0).unwrap();
    assert_eq!(
        (pci.format, pci.vendor_id.get()),
        (VendorIdFormat::PCI, 0xCCDE)
    );
    assert_eq!(size_of::<GetVendorSupportResponse<U32>>(), 8);
}

#[test]
fn request_data_of_another_length_are_an_invalid_length() {
    fn assert_takes_only<R: Request + core::fmt::Debug>(len: usize) {
        for given in 0..62 {
            let parsed = R::parse(&[0; 64][..given]).map(IntoBytes::as_bytes);
            match given == len {
                true => assert_eq!(parsed, Ok(&[0; 64][..len])),
                false => assert_eq!(parsed, Err(CompletionCode::INVALID_LENGTH)),
            }
        }
    }
    assert_takes_only::<SetEndpointIdRequest>(2);
    assert_takes_only::<GetEndpointIdRequest>(0);
    assert_takes_only::<GetEndpointUuidRequest>(0);
    assert_takes_only::<GetVersionSupportRequest>(1);
    assert_takes_only::<GetMessageTypeSupportRequest>(0);
    assert_takes_only::<GetVendorSupportRequest>(1);
}

#[test]
fn response_data_of_another_length_are_refused() {
    for len in (0..20).filter(|len| *len != 3) {
        let data = &[0; 20][..len];
        assert_eq!(
            SetEndpointIdRequest::parse_response(data),
            Err(InvalidResponse::Length(len))
        );
        assert_eq!(
            GetEndpointIdRequest::parse_response(data),
            Err(InvalidResponse::Length(len))
        );
    }
    for len in (0..20).filter(|len| *len != 16) {
        let response = GetEndpointUuidRequest::parse_response(&[0; 20][..len]);
        assert_eq!(response, Err(InvalidResponse::Length(len)));
    }
}

// Building a response: section 11.6 for its length.

/// A response with header `00 03 05 00`.
fn success() -> Response {
    Response::to(&Header::request(3, Command::GET_MESSAGE_TYPE_SUPPORT))
}

#[test]
fn a_response_of_more_than_64_bytes_is_one_of_invalid_data() {
    let mut response = success();
    response.put(&[7; 60]);
    assert_eq!(
        response.as_bytes(),
        [&[0x00, 0x03, 0x05, 0x00], &[7; 60][..]].concat()
    );
    response.put(&[]);
    assert_eq!(response.as_bytes().len(), 64);
    response.put(&[8]);
    assert_eq!(response.as_bytes(), [0x00, 0x03, 0x05, 0x02]);

    let mut types = success();
    GetMessageTypeSupportResponse::emit(1..=58, &mut types);
    assert_eq!(types.as_bytes().len(), 64);
    let mut types = success();
    GetMessageTypeSupportResponse::emit(1..=70, &mut types);
    assert_eq!(types.as_bytes(), [0x00, 0x03, 0x05, 0x02]);
}

#[test]
fn a_refused_response_takes_no_data() {
    let mut response = success();
    response.put(&[1, 2, 3]);
    response.refuse(CompletionCode::ERROR);
    response.put(&[1, 2, 3]);
    assert_eq!(response.as_bytes(), [0x00, 0x03, 0x05, 0x01]);
}

#[test]
fn a_list_that_parses_has_as_many_entries_as_it_states() {
    for len in 0..64 {
        for count in 0..=0xFF {
            let mut data = [0; 64];
            data[0] = count;
            let (types, versions) = (
                GetMessageTypeSupportRequest::parse_response(&data[..len]),
                GetVersionSupportRequest::parse_response(&data[..len]),
            );
            let count = usize::from(count);
            assert_eq!(types.is_ok(), len == 1 + count);
            assert_eq!(versions.is_ok(), len == 1 + 4 * count);
        }
    }
}
