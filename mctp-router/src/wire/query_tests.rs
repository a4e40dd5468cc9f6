//! Discovery, queries of bridges, and transport specific commands. Vectors are written by hand
//! after DSP0236 1.3.3; each names its section and table.

use zerocopy::IntoBytes;

use super::*;

const UUID: [u8; 16] = [0xF0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x0F];

/// Request and response data have these lengths and no others, and every bit survives.
fn assert_lengths<R: Request + core::fmt::Debug>(request: usize, response: usize) {
    for len in 0..64 {
        let data = &[0xA5; 64][..len];
        match len == request {
            true => assert_eq!(R::parse(data).unwrap().as_bytes(), data),
            false => assert_eq!(R::parse(data).unwrap_err(), CompletionCode::INVALID_LENGTH),
        }
        let error = R::parse_response(data).err();
        let expected = (len != response).then_some(InvalidResponse::Length(len));
        assert_eq!(error, expected);
    }
}

#[test]
fn requests_and_responses_of_another_length_are_refused() {
    assert_lengths::<AllocateEndpointIdsRequest>(3, 3);
    // 0Bh, 0Ch, 0Dh: sections 12.14 to 12.16, tables 28 to 30.
    assert_lengths::<PrepareForEndpointDiscoveryRequest>(0, 0);
    assert_lengths::<EndpointDiscoveryRequest>(0, 0);
    assert_lengths::<DiscoveryNotifyRequest>(0, 0);
    // 0Eh, 0Fh: sections 12.17 and 12.18, tables 31 and 32.
    assert_lengths::<GetNetworkIdRequest>(0, 16);
    assert_lengths::<QueryHopRequest>(2, 6);
}

#[test]
fn each_request_has_its_command() {
    let commands = [
        (ResolveEndpointIdRequest::COMMAND, 0x07),
        (AllocateEndpointIdsRequest::COMMAND, 0x08),
        (RoutingInformationUpdateRequest::COMMAND, 0x09),
        (GetRoutingTableEntriesRequest::COMMAND, 0x0A),
        (PrepareForEndpointDiscoveryRequest::COMMAND, 0x0B),
        (EndpointDiscoveryRequest::COMMAND, 0x0C),
        (DiscoveryNotifyRequest::COMMAND, 0x0D),
        (GetNetworkIdRequest::COMMAND, 0x0E),
        (QueryHopRequest::COMMAND, 0x0F),
        (ResolveUuidRequest::COMMAND, 0x10),
    ];
    for (command, number) in commands {
        assert_eq!(command, Command(number));
    }
}

// 0Eh, Get Network ID: section 12.17, table 31.

#[test]
fn the_answer_to_get_network_id_is_a_uuid() {
    let response = GetNetworkIdRequest::parse_response(&UUID);
    assert_eq!(response, Ok(&GetNetworkIdResponse { network_id: UUID }));
}

// 0Fh, Query Hop: section 12.18, table 32.

#[test]
fn query_hop_has_target_and_message_type() {
    let request = QueryHopRequest {
        endpoint_id: 12,
        message_type: 0x7E,
    };
    assert_eq!(request.as_bytes(), [0x0C, 0x7E]);
    assert_eq!(QueryHopRequest::parse(&[0x0C, 0x7E]), Ok(&request));
}

#[test]
fn the_answer_to_query_hop_has_next_bridge_and_two_units_in_steps_of_16_bytes() {
    let response = QueryHopResponse {
        next_bridge: 9,
        message_type: QueryHopResponse::ANY_MESSAGE_TYPE,
        max_incoming: TransmissionUnit::of_bytes(64),
        max_outgoing: TransmissionUnit::of_bytes(64 + 0x0102 * 16),
    };
    let bytes = [0x09, 0xFF, 0x00, 0x00, 0x01, 0x02];
    assert_eq!(response.as_bytes(), bytes);
    assert_eq!(QueryHopRequest::parse_response(&bytes), Ok(&response));
}

#[test]
fn a_transmission_unit_is_the_baseline_unit_and_steps_of_16_bytes() {
    let units = [
        (0, 64),
        (64, 64),
        (79, 64),
        (80, 80),
        (255, 240),
        (4224, 4224),
        (1_048_624, 1_048_624),
        (usize::MAX, 1_048_624),
    ];
    for (bytes, longest) in units {
        let unit = TransmissionUnit::of_bytes(bytes);
        assert_eq!(unit.bytes(), longest, "{bytes}");
    }
    assert_eq!(TransmissionUnit::of_bytes(80).as_bytes(), [0x00, 0x01]);
    assert_eq!(TransmissionUnit::of_bytes(240).to_string(), "240 bytes");
}

// 10h, Resolve UUID: section 12.19, tables 33 and 34.

/// A response with header `00 03 10 00`.
fn success() -> Response {
    Response::to(&Header::request(3, Command::RESOLVE_UUID))
}

/// Endpoint 8 on USB, the same device as endpoint 9 at I2C address 1Dh.
const UUID_PAGE: [u8; 11] = [
    0xFF, 2, //
    8, 0x03, 0x11, 0, //
    9, 0x01, 0x04, 1, 0x3A,
];

const UUID_ENTRIES: [UuidEntry<'static>; 2] = [
    UuidEntry {
        endpoint_id: 8,
        binding: BindingId::USB,
        medium: MediumId::USB_2_0,
        address: &[],
    },
    UuidEntry {
        endpoint_id: 9,
        binding: BindingId::SMBUS,
        medium: MediumId::I2C_400_KHZ,
        address: &[0x3A],
    },
];

#[test]
fn resolve_uuid_has_uuid_and_handle() {
    let request = ResolveUuidRequest {
        uuid: UUID,
        handle: ResolveUuidRequest::FIRST,
    };
    let bytes = [&UUID[..], &[0x00]].concat();
    assert_eq!(request.as_bytes(), bytes);
    assert_eq!(ResolveUuidRequest::parse(&bytes), Ok(&request));
    for len in (0..62).filter(|len| *len != 17) {
        let parsed = ResolveUuidRequest::parse(&[0; 62][..len]);
        assert_eq!(parsed, Err(CompletionCode::INVALID_LENGTH));
    }
}

#[test]
fn the_answer_to_resolve_uuid_counts_its_entries() {
    let mut emitted = success();
    let mut page = ResolveUuidResponse::page(&mut emitted);
    for entry in &UUID_ENTRIES {
        assert!(page.push(entry));
    }
    assert_eq!(page.count(), 2);
    assert_eq!(emitted.as_bytes()[4..], UUID_PAGE);

    let parsed = ResolveUuidRequest::parse_response(&UUID_PAGE).unwrap();
    let last = ResolveUuidResponse::LAST;
    assert_eq!((parsed.next_handle, parsed.count), (last, 2));
    assert!(parsed.entries().eq(UUID_ENTRIES));
}

#[test]
fn a_uuid_that_nobody_has_gets_a_page_without_entries() {
    let mut emitted = success();
    let mut page = ResolveUuidResponse::page(&mut emitted);
    assert_eq!(page.count(), 0);
    assert_eq!(emitted.as_bytes()[4..], [0xFF, 0]);
    let parsed = ResolveUuidRequest::parse_response(&[0xFF, 0]).unwrap();
    assert_eq!(parsed.entries().next(), None);
}

#[test]
fn a_page_of_uuid_entries_of_another_length_is_refused() {
    // Lengths after which a whole number of entries ends, with that number.
    let whole = [(2, 0), (6, 1), (11, 2), (15, 3)];
    let longer = [&UUID_PAGE[..], &[0; 4]].concat();
    for len in 0..=longer.len() {
        let expected = match whole.iter().find(|(end, _)| *end == len) {
            Some((_, 2)) => None,
            Some((_, sent)) => Some(InvalidResponse::Count {
                announced: 2,
                sent: *sent,
            }),
            None => Some(InvalidResponse::Length(len)),
        };
        let error = ResolveUuidRequest::parse_response(&longer[..len]).err();
        assert_eq!(error, expected, "{len} bytes");
    }
}

#[test]
fn a_uuid_entry_without_room_is_left_out_whole() {
    for (entry, fits) in UUID_ENTRIES.into_iter().zip([14, 11]) {
        let mut emitted = success();
        let mut page = ResolveUuidResponse::page(&mut emitted);
        let pushed = (0..20).take_while(|_| page.push(&entry)).count();
        assert_eq!((pushed, page.count()), (fits, fits as u8));
        page.set_next_handle(1);
        let data = &emitted.as_bytes()[4..];
        let parsed = ResolveUuidRequest::parse_response(data).unwrap();
        assert_eq!(parsed.next_handle, 1);
        assert!(parsed.entries().all(|it| it == entry));
    }
    let mut emitted = success();
    let mut page = ResolveUuidResponse::page(&mut emitted);
    let too_long = UuidEntry {
        address: &[0; 256],
        ..UUID_ENTRIES[0]
    };
    assert!(!page.push(&too_long), "its size has 8 bits");
}

// F0h to FFh: section 12.24, table 39.

#[test]
fn transport_specific_data_begin_with_binding_and_medium() {
    let (start, data) = TransportSpecific::parse(&[0x01, 0x04, 7, 8]).unwrap();
    let expected = TransportSpecific {
        binding: BindingId::SMBUS,
        medium: MediumId::I2C_400_KHZ,
    };
    assert_eq!((start, data), (&expected, &[7, 8][..]));
    assert_eq!(expected.as_bytes(), [0x01, 0x04]);
    for len in 0..2 {
        let parsed = TransportSpecific::parse(&[0; 2][..len]);
        assert_eq!(parsed, Err(CompletionCode::INVALID_LENGTH));
    }
}

#[test]
fn only_the_binding_of_a_vendor_has_a_vendor() {
    let data = [0x00, 0x00, 0xA0, 0x15, 7];
    for number in 0..=0xFF {
        let start = TransportSpecific {
            binding: BindingId(number),
            medium: MediumId::UNSPECIFIED,
        };
        let vendor = (number == 0xFF).then_some((Vendor::Iana(40981), &[7][..]));
        assert_eq!(start.vendor(&data), vendor);
        assert_eq!(start.vendor(&data[..3]), None, "4 bytes are missing");
    }
}
