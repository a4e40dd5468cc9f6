//! What bridges and bus owners say. Vectors are written by hand after DSP0236 1.3.3; each names its
//! section and table.

use mctp_transport::PhysicalAddress;
use zerocopy::IntoBytes;

use super::*;

/// A response with header `00 03 0A 00`.
fn success() -> Response {
    Response::to(&Header::request(3, Command::GET_ROUTING_TABLE_ENTRIES))
}

// 01h, Set Endpoint ID: section 12.4, table 14. 02h, Get Endpoint ID: section 12.5, table 15.

#[test]
fn the_answer_of_a_bridge_to_set_endpoint_id_says_whether_it_needs_a_pool() {
    let pools = [
        PoolStatus::NoPool,
        PoolStatus::NeedsPool,
        PoolStatus::HasPool,
        PoolStatus::Reserved,
    ];
    for (number, pool) in (0..).zip(pools) {
        let (accepted, rejected) = (
            SetEndpointIdStatus::accepted(pool),
            SetEndpointIdStatus::rejected(pool),
        );
        assert_eq!((accepted.0, rejected.0), (number, 0x10 | number));
        assert_eq!(accepted.assignment(), AssignmentStatus::Accepted);
        assert_eq!(rejected.assignment(), AssignmentStatus::Rejected);
        let reserved_bits_set = SetEndpointIdStatus(0xCC | number);
        assert_eq!(reserved_bits_set.pool(), pool);
        assert_eq!(reserved_bits_set.has_pool(), number != 0);
    }
    let accepted = SetEndpointIdStatus::accepted(PoolStatus::NoPool);
    assert_eq!(accepted, SetEndpointIdStatus::ACCEPTED);
    // What a bridge answers that mctpd gives a pool of 4.
    let answer = SetEndpointIdResponse {
        status: SetEndpointIdStatus::accepted(PoolStatus::NeedsPool),
        endpoint_id: 9,
        pool_size: 4,
    };
    assert_eq!(answer.as_bytes(), [0x01, 0x09, 0x04]);
}

#[test]
fn the_endpoint_type_of_a_bridge_has_bit_4() {
    let dynamic = EndpointType::bridge(EndpointIdType::Dynamic);
    assert_eq!(dynamic, EndpointType(0x10));
    assert!(dynamic.is_bus_owner_or_bridge() && !dynamic.is_simple());
    assert_eq!(dynamic.id_type(), EndpointIdType::Dynamic);
}

// 07h, Resolve Endpoint ID: section 12.10, table 22.

#[test]
fn resolve_endpoint_id_asks_for_an_endpoint_id() {
    let request = ResolveEndpointIdRequest { endpoint_id: 12 };
    assert_eq!(request.as_bytes(), [0x0C]);
    assert_eq!(ResolveEndpointIdRequest::parse(&[0x0C]), Ok(&request));
    for len in (0..8).filter(|len| *len != 1) {
        let parsed = ResolveEndpointIdRequest::parse(&[0; 8][..len]);
        assert_eq!(parsed, Err(CompletionCode::INVALID_LENGTH));
    }
}

#[test]
fn the_answer_to_resolve_endpoint_id_has_a_bridge_and_an_address() {
    let vectors: [&[u8]; 3] = [&[9, 0x3A], &[9], &[9, 0x01, 0x08]];
    for bytes in vectors {
        let parsed = ResolveEndpointIdRequest::parse_response(bytes).unwrap();
        assert_eq!((parsed.bridge, &parsed.address), (9, &bytes[1..]));
        let mut emitted = success();
        ResolveEndpointIdResponse::emit(9, &parsed.address, &mut emitted);
        assert_eq!(&emitted.as_bytes()[4..], bytes);
    }
    let nothing = ResolveEndpointIdRequest::parse_response(&[]);
    assert_eq!(nothing, Err(InvalidResponse::Length(0)));
}

// Addresses: DSP0237, section 6.8, table 3. Numbers: DSP0239, tables 2 and 3.

#[test]
fn an_i2c_address_is_in_bits_7_to_1_of_a_control_message() {
    for address in 0..0x80 {
        let sent = BindingId::SMBUS.encode_address(PhysicalAddress::from_byte(address));
        assert_eq!(sent.as_bytes(), [address << 1]);
        for reserved_bit in [0, 1] {
            let received = BindingId::SMBUS.decode_address(&[address << 1 | reserved_bit]);
            assert_eq!(received, Some(PhysicalAddress::from_byte(address)));
        }
    }
}

#[test]
fn addresses_of_other_bindings_are_sent_as_they_are() {
    for (binding, len) in [
        (BindingId::USB, 0),
        (BindingId::SERIAL, 0),
        (BindingId::PCIE_VDM, 2),
    ] {
        let address = PhysicalAddress::new(&[0x81, 0x23][..len]).unwrap();
        let sent = binding.encode_address(address);
        assert_eq!(sent.as_bytes(), address.as_bytes());
        assert_eq!(binding.decode_address(sent.as_bytes()), Some(address));
    }
}

#[test]
fn an_address_of_another_length_is_none_of_the_binding() {
    let lengths = [
        (BindingId::SMBUS, Some(1)),
        (BindingId::PCIE_VDM, Some(2)),
        (BindingId::USB, Some(0)),
        (BindingId::SERIAL, Some(0)),
        (BindingId::I3C, None),
    ];
    for (binding, expected) in lengths {
        assert_eq!(binding.address_len(), expected);
        for len in 0..=8 {
            let address = binding.decode_address(&[0x22; 8][..len]);
            let is_one = expected.map_or(len <= PhysicalAddress::MAX_LEN, |it| it == len);
            assert_eq!(address.is_some(), is_one, "{binding}, {len} bytes");
        }
    }
}

#[test]
fn bindings_and_media_have_their_numbers() {
    let bindings = [
        BindingId::SMBUS,
        BindingId::PCIE_VDM,
        BindingId::USB,
        BindingId::KCS,
        BindingId::SERIAL,
        BindingId::I3C,
        BindingId::MMBI,
        BindingId::PCC,
        BindingId::UCIE,
    ];
    for (number, binding) in (1..).zip(bindings) {
        assert_eq!(binding, BindingId(number));
    }
    assert_eq!(BindingId::VENDOR_DEFINED.to_string(), "binding ffh");
    let media = [
        (MediumId::UNSPECIFIED, 0x00),
        (MediumId::SMBUS_100_KHZ, 0x01),
        (MediumId::SMBUS_I2C_100_KHZ, 0x02),
        (MediumId::I2C_100_KHZ, 0x03),
        (MediumId::I2C_400_KHZ, 0x04),
        (MediumId::I2C_1_MHZ, 0x05),
        (MediumId::I2C_3_4_MHZ, 0x06),
        (MediumId::PCI, 0x0F),
        (MediumId::USB_1_1, 0x10),
        (MediumId::USB_2_0, 0x11),
        (MediumId::USB_3_0, 0x12),
        (MediumId::NCSI_RBT, 0x18),
        (MediumId::UCIE, 0x19),
        (MediumId::PCC, 0x1A),
        (MediumId::SERIAL, 0x24),
        (MediumId::I3C, 0x30),
        (MediumId::PCIE_6_FLIT_MODE, 0x40),
    ];
    for (medium, number) in media {
        assert_eq!(medium, MediumId(number));
    }
    assert_eq!(MediumId::USB_2_0.to_string(), "medium 11h");
}

// 08h, Allocate Endpoint IDs: section 12.11, table 23.

#[test]
fn allocate_endpoint_ids_has_operation_count_and_first_endpoint_id() {
    let request = AllocateEndpointIdsRequest {
        operation: AllocationOperation::ALLOCATE,
        count: 4,
        first: 10,
    };
    assert_eq!(request.as_bytes(), [0x00, 0x04, 0x0A]);
    let parsed = AllocateEndpointIdsRequest::parse(&[0x00, 0x04, 0x0A]);
    assert_eq!(parsed, Ok(&request));
    let operations = [
        AllocationOperation::ALLOCATE,
        AllocationOperation::FORCE,
        AllocationOperation::GET_INFORMATION,
    ];
    for (number, operation) in (0..).zip(operations) {
        assert_eq!(operation.0, number);
        let reserved_bits_set = AllocationOperation(0xFC | number);
        assert_eq!(reserved_bits_set.without_reserved(), operation);
    }
}

#[test]
fn the_answer_to_allocate_endpoint_ids_has_status_size_and_first_endpoint_id() {
    let response = AllocateEndpointIdsResponse {
        status: AllocationStatus::REJECTED,
        pool_size: 4,
        first: 10,
    };
    assert_eq!(response.as_bytes(), [0x01, 0x04, 0x0A]);
    let parsed = AllocateEndpointIdsRequest::parse_response(&[0x01, 0x04, 0x0A]);
    assert_eq!(parsed, Ok(&response));
    let statuses = [AllocationStatus::ACCEPTED, AllocationStatus::REJECTED];
    for (number, status) in (0..).zip(statuses) {
        let reserved_bits_set = AllocationStatus(0xFC | number);
        assert_eq!(reserved_bits_set.without_reserved(), status);
    }
}

// 09h, Routing Information Update: section 12.12, tables 24 and 25.

/// Endpoint 8 at I2C address 10h, bridge 9 with 10 to 13 at 1Dh.
const UPDATE: [u8; 9] = [2, 0x00, 1, 8, 0x20, 0x01, 5, 9, 0x3A];

const UPDATE_ENTRIES: [RoutingUpdateEntry<'static>; 2] = [
    RoutingUpdateEntry {
        kind: RoutingEntryKind::ENDPOINT,
        range_size: 1,
        first: 8,
        address: &[0x20],
    },
    RoutingUpdateEntry {
        kind: RoutingEntryKind::BRIDGE_AND_RANGE,
        range_size: 5,
        first: 9,
        address: &[0x3A],
    },
];

#[test]
fn a_routing_information_update_counts_its_entries() {
    let mut update = RoutingUpdate::new();
    assert_eq!(update.as_bytes(), [0]);
    for entry in &UPDATE_ENTRIES {
        assert!(update.push(entry));
    }
    assert_eq!((update.count(), update.as_bytes()), (2, &UPDATE[..]));

    let request = RoutingInformationUpdateRequest::parse(&UPDATE).unwrap();
    assert_eq!((request.count, request.as_bytes()), (2, &UPDATE[..]));
    let entries = request.entries(1).unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.eq(UPDATE_ENTRIES));
}

#[test]
fn update_entries_on_a_point_to_point_bus_have_no_address() {
    let request = RoutingInformationUpdateRequest::parse(&[1, 0x03, 4, 10]).unwrap();
    let range = RoutingUpdateEntry {
        kind: RoutingEntryKind::RANGE,
        range_size: 4,
        first: 10,
        address: &[],
    };
    assert!(request.entries(0).unwrap().eq([range]));
    let none = RoutingInformationUpdateRequest::parse(&[0]).unwrap();
    assert_eq!(none.entries(0).unwrap().len(), 0);
}

#[test]
fn update_entries_of_another_length_are_an_invalid_length() {
    let parse = RoutingInformationUpdateRequest::parse;
    assert_eq!(parse(&[]).err(), Some(CompletionCode::INVALID_LENGTH));
    let longer = [&UPDATE[..], &[0; 8]].concat();
    for len in 1..longer.len() {
        let entries = parse(&longer[..len]).unwrap().entries(1);
        let error = (len != UPDATE.len()).then_some(CompletionCode::INVALID_LENGTH);
        assert_eq!(entries.err(), error, "{len} bytes");
    }
    for address_len in [0, 2, 3, usize::MAX] {
        let entries = parse(&UPDATE).unwrap().entries(address_len);
        assert_eq!(entries.err(), Some(CompletionCode::INVALID_LENGTH));
    }
}

#[test]
fn an_update_entry_without_room_is_left_out_whole() {
    let entry = &UPDATE_ENTRIES[0];
    let mut update = RoutingUpdate::default();
    let pushed = (0..20).filter(|_| update.push(entry)).count();
    assert_eq!((pushed, update.count()), (15, 15));
    assert_eq!(update.as_bytes().len(), 61, "1 + 15 * 4, all that fits");

    let mut update = RoutingUpdate::new();
    let without_address = RoutingUpdateEntry {
        address: &[],
        ..*entry
    };
    assert!(update.push(&without_address));
    let before = update.clone();
    let too_long = RoutingUpdateEntry {
        address: &[7; 55],
        ..*entry
    };
    assert!(!update.push(&too_long));
    assert_eq!(update, before);
    let just_fits = RoutingUpdateEntry {
        address: &[7; 54],
        ..*entry
    };
    assert!(update.push(&just_fits));
    assert_eq!(update.as_bytes().len(), 61);
}

#[test]
fn reserved_bits_of_an_update_entry_are_ignored_and_not_sent() {
    let data = [1, 0xF2, 1, 9];
    let request = RoutingInformationUpdateRequest::parse(&data).unwrap();
    let entry = request.entries(0).unwrap().next().unwrap();
    assert_eq!(entry.kind.without_reserved(), RoutingEntryKind::BRIDGE);
    let mut update = RoutingUpdate::new();
    assert!(update.push(&entry));
    assert_eq!(update.as_bytes(), [1, 0x02, 1, 9]);
    let kinds = [
        RoutingEntryKind::ENDPOINT,
        RoutingEntryKind::BRIDGE_AND_RANGE,
        RoutingEntryKind::BRIDGE,
        RoutingEntryKind::RANGE,
    ];
    for (number, kind) in (0..).zip(kinds) {
        assert_eq!(kind.0, number);
    }
}

#[test]
fn a_routing_information_update_is_answered_without_data() {
    let parse = RoutingInformationUpdateRequest::parse_response;
    assert_eq!(parse(&[]), Ok(()));
    assert_eq!(parse(&[0]), Err(InvalidResponse::Length(1)));
    assert_eq!(CompletionCode::INSUFFICIENT_SPACE.0, 0x80);
}

// 0Ah, Get Routing Table Entries: section 12.13, tables 26 and 27.

/// Endpoint 8 on USB at port 0; bridge 9 with 10 to 13 at I2C address 1Dh, static, at port 2.
const TABLE_PAGE: [u8; 15] = [
    0xFF, 2, //
    1, 8, 0x00, 0x03, 0x11, 0, //
    5, 9, 0x62, 0x01, 0x04, 1, 0x3A,
];

fn table_entries() -> [RoutingTableEntry<'static>; 2] {
    [
        RoutingTableEntry {
            range_size: 1,
            first: 8,
            flags: RoutingEntryFlags::new(RoutingEntryKind::ENDPOINT, false, 0),
            binding: BindingId::USB,
            medium: MediumId::USB_2_0,
            address: &[],
        },
        RoutingTableEntry {
            range_size: 5,
            first: 9,
            flags: RoutingEntryFlags::new(RoutingEntryKind::BRIDGE_AND_RANGE, true, 2),
            binding: BindingId::SMBUS,
            medium: MediumId::I2C_400_KHZ,
            address: &[0x3A],
        },
    ]
}

#[test]
fn get_routing_table_entries_asks_for_a_handle() {
    let request = GetRoutingTableEntriesRequest {
        handle: GetRoutingTableEntriesRequest::FIRST,
    };
    assert_eq!(request.as_bytes(), [0x00]);
    assert_eq!(GetRoutingTableEntriesRequest::parse(&[0x00]), Ok(&request));
    for len in (0..8).filter(|len| *len != 1) {
        let parsed = GetRoutingTableEntriesRequest::parse(&[0; 8][..len]);
        assert_eq!(parsed, Err(CompletionCode::INVALID_LENGTH));
    }
}

#[test]
fn a_page_of_the_routing_table_counts_its_entries() {
    let mut emitted = success();
    let mut page = GetRoutingTableEntriesResponse::page(&mut emitted);
    for entry in &table_entries() {
        assert!(page.push(entry));
    }
    assert_eq!(page.count(), 2);
    assert_eq!(emitted.as_bytes()[4..], TABLE_PAGE);

    let parsed = GetRoutingTableEntriesRequest::parse_response(&TABLE_PAGE).unwrap();
    let last = GetRoutingTableEntriesResponse::LAST;
    assert_eq!((parsed.next_handle, parsed.count), (last, 2));
    assert!(parsed.entries().eq(table_entries()));

    let empty = GetRoutingTableEntriesRequest::parse_response(&[7, 0]).unwrap();
    assert_eq!((empty.next_handle, empty.entries().count()), (7, 0));
}

#[test]
fn a_page_of_another_length_is_refused() {
    let parse = GetRoutingTableEntriesRequest::parse_response;
    // Lengths after which a whole number of entries ends, with that number.
    let whole = [(2, 0), (8, 1), (15, 2), (21, 3)];
    let longer = [&TABLE_PAGE[..], &[0; 6]].concat();
    for len in 0..=longer.len() {
        let expected = match whole.iter().find(|(end, _)| *end == len) {
            Some((_, 2)) => None,
            Some((_, sent)) => Some(InvalidResponse::Count {
                announced: 2,
                sent: *sent,
            }),
            None => Some(InvalidResponse::Length(len)),
        };
        assert_eq!(parse(&longer[..len]).err(), expected, "{len} bytes");
    }
}

#[test]
fn a_table_entry_without_room_is_left_out_whole() {
    let [without_address, with_one_byte] = table_entries();
    for (entry, fits) in [(without_address, 9), (with_one_byte, 8)] {
        let mut emitted = success();
        let mut page = GetRoutingTableEntriesResponse::page(&mut emitted);
        let pushed = (0..20).take_while(|_| page.push(&entry)).count();
        assert_eq!((pushed, page.count()), (fits, fits as u8));
        assert!(!page.push(&entry));
        page.set_next_handle(5);
        let data = &emitted.as_bytes()[4..];
        assert_eq!(data.len(), 2 + fits * (6 + entry.address.len()));
        let parsed = GetRoutingTableEntriesRequest::parse_response(data).unwrap();
        assert_eq!(
            (parsed.next_handle, usize::from(parsed.count)),
            (5, fits),
            "the next page goes on"
        );
        assert!(parsed.entries().all(|it| it == entry));
    }

    let mut emitted = success();
    let mut page = GetRoutingTableEntriesResponse::page(&mut emitted);
    let too_long = [0; 256];
    for (len, fits) in [(53, false), (255, false), (256, false), (52, true)] {
        let address = &too_long[..len];
        let entry = RoutingTableEntry {
            address,
            ..without_address
        };
        assert_eq!(page.push(&entry), fits, "an address of {len} bytes");
    }
    assert_eq!(emitted.as_bytes().len(), 64);
}

#[test]
fn a_refused_page_takes_no_entries() {
    let mut refused = success();
    refused.refuse(CompletionCode::ERROR);
    let mut page = GetRoutingTableEntriesResponse::page(&mut refused);
    assert!(!page.push(&table_entries()[0]));
    page.set_next_handle(3);
    assert_eq!(page.count(), 0);
    assert_eq!(refused.as_bytes(), [0x00, 0x03, 0x0A, 0x01]);
}

#[test]
fn the_flags_of_a_table_entry_have_kind_static_bit_and_port() {
    for byte in 0..=0xFF {
        let flags = RoutingEntryFlags(byte);
        let (kind, is_static, port) = (flags.kind(), flags.is_static(), flags.port());
        assert_eq!(
            (kind.0, is_static, port),
            (byte / 64, byte & 32 != 0, byte % 32)
        );
        assert_eq!(RoutingEntryFlags::new(kind, is_static, port), flags);
    }
    let wide = RoutingEntryFlags::new(RoutingEntryKind(0xFF), false, 0xFF);
    assert_eq!(wide, RoutingEntryFlags(0xDF), "2 bits of kind, 5 of port");
}
