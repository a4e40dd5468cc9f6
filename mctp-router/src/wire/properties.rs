//! What holds for any bytes: no parser panics, and what is parsed is emitted again.

use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;

/// Data of a request or response, and a few bytes more than one packet has room for.
fn data() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..70)
}

/// A page: its next handle, its count and its entries, which have `fields` bytes, the size of an
/// address and the address each.
fn page(fields: usize) -> impl Strategy<Value = Vec<u8>> {
    let entry = (vec(any::<u8>(), fields), vec(any::<u8>(), 0..5));
    (any::<u8>(), vec(entry, 0..16)).prop_map(|(next_handle, entries)| {
        let mut page = vec![next_handle, entries.len() as u8];
        for (fields, address) in entries {
            page.extend(fields);
            page.push(address.len() as u8);
            page.extend(address);
        }
        page
    })
}

fn success() -> Response {
    Response::to(&Header::request(0, Command::GET_ROUTING_TABLE_ENTRIES))
}

fn assert_request_survives<R: Request + ?Sized>(data: &[u8]) {
    if let Ok(request) = R::parse(data) {
        assert_eq!(request.as_bytes(), data);
    }
}

proptest! {
    #[test]
    fn a_request_that_parses_is_emitted_again(data in data()) {
        assert_request_survives::<SetEndpointIdRequest>(&data);
        assert_request_survives::<ResolveEndpointIdRequest>(&data);
        assert_request_survives::<AllocateEndpointIdsRequest>(&data);
        assert_request_survives::<RoutingInformationUpdateRequest>(&data);
        assert_request_survives::<GetRoutingTableEntriesRequest>(&data);
        assert_request_survives::<DiscoveryNotifyRequest>(&data);
        assert_request_survives::<QueryHopRequest>(&data);
        assert_request_survives::<ResolveUuidRequest>(&data);
        if let Ok((start, rest)) = TransportSpecific::parse(&data) {
            let _ = start.vendor(rest);
            prop_assert_eq!([start.as_bytes(), rest].concat(), data);
        }
    }

    #[test]
    fn a_response_that_parses_is_emitted_again(data in data()) {
        if let Ok(response) = SetEndpointIdRequest::parse_response(&data) {
            prop_assert_eq!(response.as_bytes(), &data);
        }
        if let Ok(response) = AllocateEndpointIdsRequest::parse_response(&data) {
            prop_assert_eq!(response.as_bytes(), &data);
        }
        if let Ok(response) = GetNetworkIdRequest::parse_response(&data) {
            prop_assert_eq!(response.as_bytes(), &data);
        }
        if let Ok(response) = QueryHopRequest::parse_response(&data) {
            let [incoming, outgoing] = [response.max_incoming, response.max_outgoing]
                .map(|unit| TransmissionUnit::of_bytes(unit.bytes()));
            prop_assert_eq!((incoming, outgoing), (response.max_incoming, response.max_outgoing));
            prop_assert_eq!(response.as_bytes(), &data);
        }
        if let Ok(response) = ResolveEndpointIdRequest::parse_response(&data)
            && data.len() <= 60
        {
            let mut emitted = success();
            ResolveEndpointIdResponse::emit(response.bridge, &response.address, &mut emitted);
            prop_assert_eq!(&emitted.as_bytes()[4..], &data);
        }
    }

    #[test]
    fn update_entries_that_parse_are_emitted_again(
        kinds in vec(0..16u8, 0..8),
        address_len in 0..5usize,
        other_len in 0..5usize,
        bytes in vec(any::<u8>(), 6),
    ) {
        let mut update = RoutingUpdate::new();
        for kind in &kinds {
            let entry = RoutingUpdateEntry {
                kind: RoutingEntryKind(*kind),
                range_size: bytes[0],
                first: bytes[1],
                address: &bytes[2..][..address_len],
            };
            prop_assert!(update.push(&entry));
        }
        let request = RoutingInformationUpdateRequest::parse(update.as_bytes()).unwrap();
        let mut again = RoutingUpdate::new();
        for entry in request.entries(address_len).unwrap() {
            prop_assert!(again.push(&entry));
        }
        prop_assert_eq!(&again, &update);
        let fits_other = other_len == address_len || kinds.is_empty();
        prop_assert_eq!(request.entries(other_len).is_ok(), fits_other);
    }

    #[test]
    fn update_entries_of_any_bytes_are_as_many_as_stated(
        data in data(),
        address_len in 0..9usize,
    ) {
        if let Ok(request) = RoutingInformationUpdateRequest::parse(&data)
            && let Ok(entries) = request.entries(address_len)
        {
            prop_assert_eq!(entries.len(), usize::from(request.count));
            prop_assert_eq!(entries.count(), usize::from(request.count));
        }
    }

    #[test]
    fn a_table_page_is_emitted_again_if_a_packet_has_room(data in page(5)) {
        let parsed = GetRoutingTableEntriesRequest::parse_response(&data).unwrap();
        prop_assert_eq!(parsed.entries().count(), usize::from(parsed.count));
        let mut emitted = success();
        let mut page = GetRoutingTableEntriesResponse::page(&mut emitted);
        let all_fit = parsed.entries().all(|entry| page.push(&entry));
        page.set_next_handle(parsed.next_handle);
        prop_assert_eq!(all_fit, data.len() <= 60);
        if all_fit {
            prop_assert_eq!(&emitted.as_bytes()[4..], &data);
        }
    }

    #[test]
    fn a_uuid_page_is_emitted_again_if_a_packet_has_room(data in page(3)) {
        let parsed = ResolveUuidRequest::parse_response(&data).unwrap();
        prop_assert_eq!(parsed.entries().count(), usize::from(parsed.count));
        let mut emitted = success();
        let mut page = ResolveUuidResponse::page(&mut emitted);
        let all_fit = parsed.entries().all(|entry| page.push(&entry));
        page.set_next_handle(parsed.next_handle);
        prop_assert_eq!(all_fit, data.len() <= 60);
        if all_fit {
            prop_assert_eq!(&emitted.as_bytes()[4..], &data);
        }
    }

    #[test]
    fn a_page_of_any_bytes_has_as_many_entries_as_it_states(data in data()) {
        if let Ok(parsed) = GetRoutingTableEntriesRequest::parse_response(&data) {
            prop_assert_eq!(parsed.entries().count(), usize::from(parsed.count));
        }
        if let Ok(parsed) = ResolveUuidRequest::parse_response(&data) {
            prop_assert_eq!(parsed.entries().count(), usize::from(parsed.count));
        }
    }

    #[test]
    fn an_address_survives_its_binding(bytes in vec(any::<u8>(), 0..9), binding: u8) {
        let binding = BindingId(binding);
        if let Some(address) = binding.decode_address(&bytes) {
            let sent = binding.encode_address(address);
            prop_assert_eq!(binding.decode_address(sent.as_bytes()), Some(address));
        }
    }
}
