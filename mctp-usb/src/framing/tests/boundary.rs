//! What a 1.1 transfer begins with when the one before it ended inside a packet.

use super::*;

const SPANNING: &[Version] = &[Version::V1_1];

/// A frame around a packet that begins with header version 1, filled with 1.
fn good(packet_len: usize) -> Vec<u8> {
    frame(Version::V1_1, 1, packet_len)
}

/// The start of a packet that is never finished. The whole has `length` bytes, header included;
/// `start` of them are there.
fn abandoned(first_byte: u8, length: u16, start: usize) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x1A, 0xB4, high, low, first_byte];
    bytes.resize(start.max(5), 0x55);
    bytes.truncate(start);
    bytes
}

/// A frame of which the payload is nothing but frames, `shift` bytes after its packet header.
fn frame_of_frames(packet_len: usize, shift: usize) -> Vec<u8> {
    let mut bytes = good(HEADER_LEN + shift);
    bytes.extend(
        GET_ENDPOINT_ID
            .iter()
            .cycle()
            .take(packet_len - HEADER_LEN - shift),
    );
    bytes[..HEADER_LEN].copy_from_slice(&Version::V1_1.encode(packet_len).unwrap());
    bytes
}

#[test]
fn the_next_request_after_an_abandoned_packet_is_answered_at_once() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        for start in [1, 2, 3, 4, 5, 20, 63, 100] {
            for packet_len in 8..=68 {
                let bytes = abandoned(1, 8191, start);
                assert_eq!(transfer(reassembler, &bytes), [], "{start}");
                let outputs = transfer(reassembler, &good(packet_len));
                assert_eq!(
                    outputs,
                    [BAD, packet(1, packet_len)],
                    "{start} {packet_len}"
                );
            }
        }
    });
}

#[test]
fn any_claimed_length_but_that_of_the_next_request_is_seen_through() {
    on_each(SPANNING, &[HIGH_SPEED], |_, reassembler| {
        for missing in (1..=8171).filter(|missing| *missing != 72) {
            assert_eq!(transfer(reassembler, &abandoned(1, 20 + missing, 20)), []);
            let outputs = transfer(reassembler, &good(68));
            assert_eq!(outputs, [BAD, packet(1, 68)], "{missing}");
        }
    });
}

#[test]
fn an_abandoned_packet_that_no_host_would_send_takes_nothing() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        let mut reserved_bits = abandoned(1, 20 + 16, 20);
        reserved_bits[2] |= 0x20;
        for bytes in [reserved_bits, abandoned(0x55, 20 + 16, 20)] {
            assert_eq!(transfer(reassembler, &bytes), []);
            assert_eq!(transfer(reassembler, &good(12)), [BAD, packet(1, 12)]);
        }
    });
}

#[test]
fn an_abandoned_packet_takes_one_transfer_of_exactly_what_it_lacks() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        let bytes = abandoned(1, 20 + 16, 20);
        assert_eq!(transfer(reassembler, &bytes), []);
        let mixed = [&bytes[4..], &good(12)].concat();
        let outputs = transfer(reassembler, &[good(12), good(30)].concat());
        assert_eq!(outputs, [Ok(mixed), packet(1, 30)]);
        assert_eq!(transfer(reassembler, &good(12)), [packet(1, 12)]);
    });
}

#[test]
fn all_packets_of_the_transfer_after_an_abandoned_packet_arrive() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        for lengths in [
            [4, 4, 4],
            [20, 30, 40],
            [8, 200, 8],
            [600, 8, 700],
            [47, 5, 60],
        ] {
            assert_eq!(transfer(reassembler, &abandoned(1, 8191, 20)), []);
            let outputs = transfer(reassembler, &lengths.map(good).concat());
            let expected = lengths.map(|len| packet(1, len));
            assert_eq!(outputs, [&[BAD], &expected[..]].concat());
        }
    });
}

#[test]
fn a_packet_that_spans_full_transfers_arrives_after_an_abandoned_one() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        assert_eq!(transfer(reassembler, &abandoned(1, 8191, 20)), []);
        let mut outputs = Vec::new();
        for part in good(8187).chunks(4096) {
            outputs.extend(transfer(reassembler, part));
        }
        assert_eq!(outputs, [BAD, packet(1, 8187)]);
    });
}

#[test]
fn abandoned_packets_in_a_row_and_empty_transfers_between_cost_one_count() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        for first_byte in [1, 0x55] {
            for _ in 0..20 {
                assert_eq!(transfer(reassembler, &abandoned(first_byte, 8191, 20)), []);
                assert_eq!(transfer(reassembler, &[]), []);
            }
            assert_eq!(transfer(reassembler, &good(12)), [BAD, packet(1, 12)]);
        }
    });
}

#[test]
fn an_abandoned_packet_too_long_for_the_buffer_is_told_once() {
    for speed in SPEEDS {
        let mut buffer = [0; 700];
        let mut reassembler = Reassembler::new(Version::V1_1, *speed, &mut buffer).unwrap();
        for start in [5, 20, 100] {
            let bytes = abandoned(1, 8191, start);
            assert_eq!(transfer(&mut reassembler, &bytes), [TOO_LONG]);
            assert_eq!(transfer(&mut reassembler, &good(12)), [packet(1, 12)]);
        }
    }
}

#[test]
fn a_packet_full_of_frames_survives_any_cut_when_one_usb_packet_ends_it() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        for shift in 0..GET_ENDPOINT_ID.len() {
            let bytes = frame_of_frames(400, shift);
            // Alone, and with a good packet behind it; the rest of the spanning packet fills a USB
            // packet at most.
            for behind in [vec![], good(30)] {
                for missing in 1..bytes
                    .len()
                    .min(reassembler.max_packet_size - behind.len().min(5))
                {
                    let (start, rest) = bytes.split_at(bytes.len() - missing);
                    let mut outputs = transfer(reassembler, start);
                    outputs.extend(transfer(reassembler, &[rest, &behind].concat()));
                    let mut expected = vec![Ok(bytes[4..].to_vec())];
                    expected.extend((!behind.is_empty()).then(|| packet(1, 30)));
                    assert_eq!(outputs, expected, "{missing} bytes missing");
                }
            }
        }
    });
}

#[test]
fn a_full_transfer_that_is_exactly_the_rest_is_taken_as_the_rest() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        let usb_packet = reassembler.max_packet_size;
        // The rest begins with a whole frame, and fills one USB packet.
        let bytes = frame_of_frames(96 + usb_packet, 92);
        let (start, rest) = bytes.split_at(100);
        assert_eq!(rest[..4], GET_ENDPOINT_ID[..4]);
        assert_eq!(rest.len(), usb_packet);
        assert_eq!(transfer(reassembler, start), []);
        assert_eq!(transfer(reassembler, rest), [Ok(bytes[4..].to_vec())]);
    });
}

#[test]
fn a_span_with_full_transfers_in_the_middle_needs_frames_only_not_to_begin_there() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        for shift in 0..GET_ENDPOINT_ID.len() {
            let bytes = frame_of_frames(8187, shift);
            for first in [512, 1024, 4096] {
                let cuts = [first, (2 * first).min(bytes.len() - 1)];
                if cuts
                    .iter()
                    .any(|cut| bytes[*cut..].starts_with(&GET_ENDPOINT_ID))
                {
                    continue;
                }
                let parts = [
                    &bytes[..cuts[0]],
                    &bytes[cuts[0]..cuts[1]],
                    &bytes[cuts[1]..],
                ];
                let outputs = parts.map(|part| transfer(reassembler, part));
                assert_eq!(outputs.concat(), [Ok(bytes[4..].to_vec())]);
            }
        }
    });
}

/// The residue: what the documentation of [`Reassembler`] says is lost, and that it is no more.
#[test]
fn a_middle_transfer_that_is_frames_from_its_first_byte_is_taken_for_packets() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        let bytes = frame_of_frames(2000, 504);
        let (start, rest) = bytes.split_at(512);
        let (middle, end) = rest.split_at(55);
        assert_eq!(transfer(reassembler, start), []);
        let outputs = transfer(reassembler, middle);
        let forged: Output = Ok(GET_ENDPOINT_ID[4..].to_vec());
        assert_eq!(outputs, [&[BAD], &vec![forged; 5][..]].concat());
        // One byte later there is nothing to be taken for a packet.
        assert_eq!(transfer(reassembler, &end[1..]), [BAD]);
        assert_eq!(transfer(reassembler, &good(12)), [packet(1, 12)]);
    });
}

#[test]
fn what_is_not_a_whole_run_of_packets_goes_on_with_the_unfinished_packet() {
    on_each(SPANNING, SPEEDS, |_, reassembler| {
        let mut version_2 = good(20);
        version_2[4] = 2;
        let mut reserved_nibble = good(20);
        reserved_nibble[4] = 0x11;
        let mut reserved_bits = good(20);
        reserved_bits[2] = 0x80;
        let cut_off = good(20)[..23].to_vec();
        let padded = [good(20), vec![0]].concat();
        for rest in [version_2, reserved_nibble, reserved_bits, cut_off, padded] {
            let bytes = [&abandoned(1, 100, 20), &rest[..], &[7; 80][rest.len()..]].concat();
            let (start, end) = (&bytes[..20], &bytes[20 + rest.len()..]);
            let outputs = [start, &rest, end].map(|part| transfer(reassembler, part));
            assert_eq!(outputs.concat(), [Ok(bytes[4..].to_vec())]);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// After any transfers the next good one comes through, but for a length that makes it exactly
    /// the rest; then the one behind it does.
    #[test]
    fn after_any_1_1_transfers_the_next_is_good(
        transfers in prop::collection::vec(nearly_frames(), 0..6),
        high_speed: bool,
        small_buffer: bool,
        lengths in prop::collection::vec(4usize..=124, 1..=4),
    ) {
        let speed = if high_speed { HIGH_SPEED } else { FULL_SPEED };
        // 128 bytes of frame, at high speed.
        let len = if small_buffer { 640 } else { RECEIVE_BUFFER_LEN_1_1 };
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
        let mut reassembler = Reassembler::new(Version::V1_1, speed, &mut buffer[..len]).unwrap();
        for bytes in transfers {
            transfer(&mut reassembler, &bytes);
        }
        let bytes = lengths.iter().flat_map(|len| good(*len)).collect::<Vec<_>>();
        let expected: Vec<Output> = lengths.iter().map(|len| packet(1, *len)).collect();
        let missing = match reassembler.position {
            Position::InLongPacket(missing) => Some(missing),
            _ => reassembler.missing(),
        };
        let mut end = 0;
        let is_exactly_the_rest = lengths.iter().any(|len| {
            end += HEADER_LEN + len;
            missing == Some(end)
        });
        let fills_the_usb_packet = bytes.len() >= usize::from(speed) && missing == Some(usize::from(speed));

        let mut outputs = transfer(&mut reassembler, &bytes);
        if !is_exactly_the_rest && !fills_the_usb_packet {
            outputs.retain(|output| *output != BAD);
            prop_assert_eq!(outputs, expected.clone());
        }
        prop_assert_eq!(transfer(&mut reassembler, &bytes), expected);
    }

    /// No payload can take a packet from a host that ends it in the first USB packet of the next transfer.
    #[test]
    fn any_packet_survives_when_the_next_usb_packet_ends_it(
        payload in nearly_frames(),
        rest_begins in nearly_frames(),
        cut: prop::sample::Index,
        high_speed: bool,
    ) {
        let speed = if high_speed { HIGH_SPEED } else { FULL_SPEED };
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
        let mut reassembler = Reassembler::new(Version::V1_1, speed, &mut buffer).unwrap();
        let rest = &rest_begins[..rest_begins.len().min(usize::from(speed))];
        let packet = [&[1, 0, 8, 0xC8, 0][..], &payload[..payload.len().min(7000)], rest].concat();
        let bytes = [&Version::V1_1.encode(packet.len()).unwrap()[..], &packet].concat();
        let first = bytes.len() - rest.len();
        // A cut before the rest, too: it has to be one without a frame behind it.
        let cut = 5 + cut.index(first - 4);
        let cut = if bytes[cut..].starts_with(&IDENTIFIER) { first } else { cut };
        let parts = [&bytes[..cut], &bytes[cut..first], &bytes[first..]];
        let outputs = parts.map(|part| transfer(&mut reassembler, part));
        prop_assert_eq!(outputs.concat(), [Ok(packet)]);
    }
}
