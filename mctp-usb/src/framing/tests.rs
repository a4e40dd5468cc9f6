use super::*;
use crate::mock::VERSIONS;
use proptest::prelude::*;
use std::vec::Vec;

#[cfg(feature = "v1-1")]
mod boundary;

const HIGH_SPEED: u16 = 512;
const FULL_SPEED: u16 = 64;

/// Get Endpoint ID from endpoint 8 to the null destination (DSP0236 1.3.3, sections 8.2 and 12.5),
/// 7 bytes, behind the header that DSP0283 and Linux 7.2 (`drivers/net/mctp/mctp-usb.c`) put before
/// it: length 11, its own four bytes included.
const GET_ENDPOINT_ID: [u8; 11] = [
    0x1A, 0xB4, 0x00, 0x0B, 0x01, 0x00, 0x08, 0xC8, 0x00, 0x80, 0x02,
];

type Output = Result<Vec<u8>, DropReason>;
const BAD: Output = Err(DropReason::BadLinkIntegrity);
#[cfg(feature = "v1-1")]
const TOO_LONG: Output = Err(DropReason::UnsupportedTransmissionUnit);

/// A frame around `packet_len` bytes that begin with 1 and a number, as a packet does.
fn frame(version: Version, number: u8, packet_len: usize) -> Vec<u8> {
    let mut bytes = version.encode(packet_len).unwrap().to_vec();
    bytes.resize(HEADER_LEN + packet_len, number);
    bytes
}

fn packet(number: u8, packet_len: usize) -> Output {
    Ok(vec![number; packet_len])
}

fn drain(reassembler: &mut Reassembler<'_>) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = reassembler.next_packet() {
        outputs.push(output.map(<[u8]>::to_vec));
    }
    outputs
}

fn usb_packet(reassembler: &mut Reassembler<'_>, bytes: &[u8]) -> Vec<Output> {
    reassembler.buffer()[..bytes.len()].copy_from_slice(bytes);
    let mut outputs: Vec<Output> = reassembler
        .received(bytes.len())
        .into_iter()
        .map(Err)
        .collect();
    outputs.extend(drain(reassembler));
    outputs
}

/// A transfer as a host sends it, with the zero-length packet where one is due.
fn transfer(reassembler: &mut Reassembler<'_>, bytes: &[u8]) -> Vec<Output> {
    let mut outputs = transfer_without_zlp(reassembler, bytes);
    if bytes.len().is_multiple_of(reassembler.max_packet_size) {
        outputs.extend(usb_packet(reassembler, &[]));
    }
    outputs
}

/// A transfer as Linux 7.2 sends it.
fn transfer_without_zlp(reassembler: &mut Reassembler<'_>, bytes: &[u8]) -> Vec<Output> {
    bytes
        .chunks(reassembler.max_packet_size)
        .flat_map(|chunk| usb_packet(reassembler, chunk))
        .collect()
}

/// Runs a check on each kind of link.
fn on_each(versions: &[Version], speeds: &[u16], check: impl Fn(Version, &mut Reassembler<'_>)) {
    for version in versions {
        for speed in speeds {
            let mut buffer = [0xEE; RECEIVE_BUFFER_LEN_1_1];
            let len = match version {
                Version::V1_0 => RECEIVE_BUFFER_LEN_1_0,
                #[cfg(feature = "v1-1")]
                Version::V1_1 => RECEIVE_BUFFER_LEN_1_1,
            };
            check(
                *version,
                &mut Reassembler::new(*version, *speed, &mut buffer[..len]).unwrap(),
            );
        }
    }
}

const SPEEDS: &[u16] = &[FULL_SPEED, HIGH_SPEED];

#[test]
fn the_length_includes_the_header() {
    assert_eq!(Version::V1_0.encode(68), Some([0x1A, 0xB4, 0x00, 72]));
    assert_eq!(Version::V1_0.decode([0x1A, 0xB4, 0x00, 72]), Some(72));
    assert_eq!(
        Version::V1_0.decode(*GET_ENDPOINT_ID.first_chunk().unwrap()),
        Some(GET_ENDPOINT_ID.len())
    );
}

#[test]
fn the_longest_lengths_are_255_and_8191() {
    assert_eq!(Version::V1_0.encode(251), Some([0x1A, 0xB4, 0x00, 0xFF]));
    assert_eq!(Version::V1_0.encode(252), None);
    assert_eq!(Version::V1_0.encode(usize::MAX), None);
    #[cfg(feature = "v1-1")]
    {
        assert_eq!(Version::V1_1.encode(8187), Some([0x1A, 0xB4, 0x1F, 0xFF]));
        assert_eq!(Version::V1_1.encode(8188), None);
        assert_eq!(Version::V1_1.encode(usize::MAX), None);
    }
}

#[test]
fn the_shortest_length_is_8() {
    for version in VERSIONS {
        assert_eq!(version.encode(3), None);
        assert_eq!(version.encode(4), Some([0x1A, 0xB4, 0x00, 8]));
        for length in 0..8 {
            assert_eq!(version.decode([0x1A, 0xB4, 0x00, length]), None);
        }
        assert_eq!(version.decode([0x1A, 0xB4, 0x00, 8]), Some(8));
    }
}

#[test]
fn reserved_bits_are_zero_on_send_and_ignored_on_receipt() {
    assert_eq!(Version::V1_0.decode([0x1A, 0xB4, 0xFF, 72]), Some(72));
    for packet_len in 4..=251 {
        let [.., reserved, _] = Version::V1_0.encode(packet_len).unwrap();
        assert_eq!(reserved, 0);
    }
    #[cfg(feature = "v1-1")]
    {
        assert_eq!(Version::V1_1.decode([0x1A, 0xB4, 0xE1, 0x02]), Some(0x102));
        for packet_len in 4..=8187 {
            let [.., high, _] = Version::V1_1.encode(packet_len).unwrap();
            assert_eq!(high & 0xE0, 0);
        }
    }
}

#[test]
fn a_header_with_another_identifier_is_malformed() {
    for version in VERSIONS {
        assert_eq!(version.decode([0xB4, 0x1A, 0x00, 72]), None);
        assert_eq!(version.decode([0x1A, 0xB5, 0x00, 72]), None);
    }
}

#[test]
fn hands_out_the_packet_of_a_frozen_frame() {
    on_each(VERSIONS, SPEEDS, |_, reassembler| {
        let packets = transfer(reassembler, &GET_ENDPOINT_ID);
        assert_eq!(packets, [Ok(GET_ENDPOINT_ID[4..].to_vec())]);
    });
}

#[test]
fn hands_out_every_packet_of_a_transfer_in_order() {
    on_each(VERSIONS, SPEEDS, |version, reassembler| {
        let lengths = [68, 5, 4, 251, 100];
        let bytes: Vec<u8> = (1..)
            .zip(lengths)
            .flat_map(|(n, l)| frame(version, n, l))
            .collect();
        let expected: Vec<Output> = (1..).zip(lengths).map(|(n, l)| packet(n, l)).collect();
        assert_eq!(transfer(reassembler, &bytes), expected);
    });
}

#[test]
fn takes_a_full_1_0_transfer_of_512_bytes() {
    on_each(&[Version::V1_0], SPEEDS, |version, reassembler| {
        let bytes = [
            frame(version, 1, 251),
            frame(version, 2, 240),
            frame(version, 3, 9),
        ]
        .concat();
        assert_eq!(bytes.len(), 512);
        let expected = [packet(1, 251), packet(2, 240), packet(3, 9)];
        assert_eq!(transfer_without_zlp(reassembler, &bytes), expected);
    });
}

#[test]
fn each_high_speed_usb_packet_is_a_whole_1_0_transfer() {
    on_each(&[Version::V1_0], &[HIGH_SPEED], |version, reassembler| {
        let cut_off = [
            frame(version, 1, 251),
            frame(version, 2, 240),
            frame(version, 3, 200),
        ]
        .concat();
        for bytes in [&cut_off[..512], &[0x55; 512]] {
            assert_eq!(usb_packet(reassembler, bytes).last(), Some(&BAD));
            assert_eq!(usb_packet(reassembler, &[]), []);
            assert_eq!(usb_packet(reassembler, bytes).last(), Some(&BAD));
            let good = frame(version, 4, 40);
            assert_eq!(usb_packet(reassembler, &good), [packet(4, 40)]);
        }
    });
}

#[cfg(feature = "v1-1")]
#[test]
fn the_first_bytes_of_a_1_1_header_are_malformed_as_soon_as_they_are_wrong() {
    on_each(&[Version::V1_1], SPEEDS, |version, reassembler| {
        for wrong in [&[0x00][..], &[0x1A, 0x55], &[0x1A, 0x00, 0x00]] {
            assert_eq!(transfer(reassembler, wrong), [BAD]);
            assert_eq!(transfer(reassembler, &frame(version, 1, 9)), [packet(1, 9)]);
        }
    });
}

#[test]
fn each_full_speed_length_needs_no_zero_length_packet() {
    on_each(&[Version::V1_0], &[FULL_SPEED], |version, reassembler| {
        for packet_len in 4..=251 {
            assert_eq!(
                transfer_without_zlp(reassembler, &frame(version, 7, packet_len)),
                [packet(7, packet_len)]
            );
        }
    });
}

#[test]
fn zero_length_packets_are_harmless() {
    on_each(VERSIONS, SPEEDS, |version, reassembler| {
        for _ in 0..3 {
            assert_eq!(usb_packet(reassembler, &[]), []);
            assert_eq!(
                transfer(reassembler, &frame(version, 1, 60)),
                [packet(1, 60)]
            );
            assert_eq!(usb_packet(reassembler, &[]), []);
        }
    });
}

#[test]
fn a_bad_identifier_costs_the_rest_of_its_transfer() {
    on_each(VERSIONS, SPEEDS, |version, reassembler| {
        let bytes = [
            frame(version, 1, 40),
            vec![0x55; 300],
            frame(version, 2, 40),
        ]
        .concat();
        assert_eq!(transfer(reassembler, &bytes), [packet(1, 40), BAD]);
        assert_eq!(
            transfer(reassembler, &frame(version, 3, 40)),
            [packet(3, 40)]
        );
    });
}

#[test]
fn a_length_below_8_costs_the_rest_of_its_transfer() {
    on_each(VERSIONS, SPEEDS, |version, reassembler| {
        for length in 0..8 {
            let bytes = [vec![0x1A, 0xB4, 0x00, length], frame(version, 1, 40)].concat();
            assert_eq!(transfer(reassembler, &bytes), [BAD]);
            assert_eq!(
                transfer(reassembler, &frame(version, 2, 40)),
                [packet(2, 40)]
            );
        }
    });
}

#[test]
fn a_1_0_packet_longer_than_its_transfer_is_malformed() {
    on_each(&[Version::V1_0], SPEEDS, |version, reassembler| {
        for len in 1..80 {
            let bytes = &frame(version, 1, 80)[..len];
            assert_eq!(transfer(reassembler, bytes), [BAD]);
            assert_eq!(
                transfer(reassembler, &frame(version, 2, 40)),
                [packet(2, 40)]
            );
        }
    });
}

#[test]
fn padding_after_the_last_packet_costs_only_a_count() {
    on_each(VERSIONS, SPEEDS, |version, reassembler| {
        for padding in 1..=9 {
            let bytes = [frame(version, 1, 30), vec![0; padding]].concat();
            assert_eq!(transfer(reassembler, &bytes), [packet(1, 30), BAD]);
        }
    });
}

#[test]
fn a_malformed_transfer_of_full_speed_packets_ends_at_the_next_header() {
    on_each(&[Version::V1_0], &[FULL_SPEED], |version, reassembler| {
        assert_eq!(transfer_without_zlp(reassembler, &[0x55; 192]), [BAD]);
        assert_eq!(
            transfer_without_zlp(reassembler, &frame(version, 1, 60)),
            [packet(1, 60)]
        );
    });
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_packet_spans_transfers_at_any_cut() {
    on_each(&[Version::V1_1], SPEEDS, |version, reassembler| {
        let bytes = [frame(version, 1, 150), frame(version, 2, 9)].concat();
        for cut in 0..=bytes.len() {
            let mut outputs = transfer(reassembler, &bytes[..cut]);
            outputs.extend(transfer(reassembler, &bytes[cut..]));
            assert_eq!(outputs, [packet(1, 150), packet(2, 9)], "cut at {cut}");
        }
    });
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_packet_of_8187_bytes_arrives_at_every_place_in_the_buffer() {
    on_each(&[Version::V1_1], SPEEDS, |version, reassembler| {
        for before in 4..700 {
            let bytes = [frame(version, 1, before), frame(version, 2, 8187)].concat();
            assert_eq!(
                transfer(reassembler, &bytes),
                [packet(1, before), packet(2, 8187)]
            );
        }
    });
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_packet_too_long_for_the_buffer_costs_only_itself() {
    for speed in SPEEDS {
        let mut buffer = [0; 1000];
        let mut reassembler = Reassembler::new(Version::V1_1, *speed, &mut buffer).unwrap();
        let limit = 1000 - usize::from(*speed) - HEADER_LEN;
        for packet_len in [limit + 1, limit + 2, 5000, 8187] {
            let bytes = [
                frame(Version::V1_1, 1, limit),
                frame(Version::V1_1, 2, packet_len),
                frame(Version::V1_1, 3, 20),
            ]
            .concat();
            assert_eq!(
                transfer(&mut reassembler, &bytes),
                [packet(1, limit), TOO_LONG, packet(3, 20)]
            );
        }
    }
}

#[cfg(feature = "v1-1")]
#[test]
fn a_malformed_1_1_transfer_ends_at_its_boundary_only() {
    on_each(&[Version::V1_1], &[FULL_SPEED], |version, reassembler| {
        let mut bytes = vec![0x55; 64];
        bytes.extend(frame(version, 1, 60));
        assert_eq!(transfer(reassembler, &bytes), [BAD]);
        assert_eq!(
            transfer(reassembler, &frame(version, 2, 60)),
            [packet(2, 60)]
        );
    });
}

#[test]
fn flush_forgets_what_is_unfinished_and_says_so() {
    on_each(VERSIONS, &[FULL_SPEED], |version, reassembler| {
        assert!(!reassembler.flush());
        assert_eq!(usb_packet(reassembler, &frame(version, 1, 200)[..64]), []);
        assert!(reassembler.flush());
        assert_eq!(
            transfer(reassembler, &frame(version, 2, 200)),
            [packet(2, 200)]
        );
        assert_eq!(usb_packet(reassembler, &[0x55; 64]), [BAD]);
        assert!(!reassembler.flush());
        assert_eq!(
            transfer(reassembler, &frame(version, 3, 200)),
            [packet(3, 200)]
        );
    });
}

#[test]
fn flush_keeps_the_usb_packet_that_is_being_received() {
    on_each(VERSIONS, &[FULL_SPEED], |version, reassembler| {
        assert_eq!(usb_packet(reassembler, &frame(version, 1, 200)[..64]), []);
        let bytes = frame(version, 2, 40);
        reassembler.buffer()[..bytes.len()].copy_from_slice(&bytes);
        assert!(reassembler.flush());
        assert_eq!(reassembler.received(bytes.len()), None);
        assert_eq!(drain(reassembler), [packet(2, 40)]);
    });
}

/// Fills the reassembler with one transfer of frames, and takes nothing out.
fn fill(reassembler: &mut Reassembler<'_>, frames: &[Vec<u8>]) {
    let bytes = frames.concat();
    reassembler.buffer()[..bytes.len()].copy_from_slice(&bytes);
    assert_eq!(reassembler.received(bytes.len()), None);
}

#[test]
fn a_packet_that_is_put_back_comes_again_and_those_behind_it_after() {
    on_each(VERSIONS, &[HIGH_SPEED], |version, reassembler| {
        fill(
            reassembler,
            &[1, 2].map(|number| frame(version, number, 60)),
        );
        for _ in 0..3 {
            let again = reassembler.next_packet().unwrap().map(<[u8]>::to_vec);
            assert_eq!(again, packet(1, 60));
            reassembler.put_back();
        }
        assert_eq!(drain(reassembler), [packet(1, 60), packet(2, 60)]);
        reassembler.put_back();
        assert_eq!(drain(reassembler), [packet(2, 60)]);
        fill(reassembler, &[frame(version, 3, 60)]);
        reassembler.put_back();
        assert_eq!(drain(reassembler), [packet(3, 60)], "not one from before");
    });
}

#[test]
fn packets_taken_out_of_turn_leave_the_others_in_order() {
    on_each(VERSIONS, &[HIGH_SPEED], |version, reassembler| {
        let lengths = [60, 9, 70, 8, 30];
        let frames = [1, 2, 3, 4, 5].map(|number| (number, lengths[usize::from(number) - 1]));
        for taken in 0..32_u8 {
            let is_taken = |number: u8| taken & 1 << (number - 1) != 0;
            fill(
                reassembler,
                &frames.map(|(number, len)| frame(version, number, len)),
            );
            reassembler.next_packet();
            reassembler.put_back();
            let mut offered = Vec::new();
            reassembler.take_out_of_turn(|packet| {
                offered.push(Ok(packet.to_vec()));
                is_taken(packet[0])
            });
            assert_eq!(offered, frames.map(|(number, len)| packet(number, len)));
            let left = frames.iter().filter(|(number, _)| !is_taken(*number));
            let left: Vec<_> = left.map(|(number, len)| packet(*number, *len)).collect();
            reassembler.put_back();
            assert_eq!(drain(reassembler), left);
        }
    });
}

#[test]
fn a_packet_is_not_put_back_once_others_were_taken_out_of_turn() {
    on_each(VERSIONS, &[HIGH_SPEED], |version, reassembler| {
        fill(
            reassembler,
            &[1, 2, 3].map(|number| frame(version, number, 20)),
        );
        reassembler.next_packet();
        reassembler.take_out_of_turn(|packet| packet[0] == 3);
        reassembler.put_back();
        assert_eq!(drain(reassembler), [packet(2, 20)]);
    });
}

#[test]
fn what_is_malformed_or_not_all_there_is_not_taken_out_of_turn() {
    let half = Version::V1_0.encode(100).unwrap().to_vec();
    for (last, outputs) in [(vec![0x55; 20], vec![BAD]), (half, vec![BAD])] {
        on_each(&[Version::V1_0], &[HIGH_SPEED], |version, reassembler| {
            fill(reassembler, &[frame(version, 1, 60), last.clone()]);
            let mut count = 0;
            reassembler.take_out_of_turn(|_| {
                count += 1;
                true
            });
            assert_eq!(count, 1);
            assert_eq!(drain(reassembler), outputs);
        });
    }
}

#[test]
fn a_lost_usb_packet_costs_its_transfer() {
    on_each(VERSIONS, &[FULL_SPEED], |version, reassembler| {
        assert_eq!(usb_packet(reassembler, &frame(version, 1, 200)[..64]), []);
        assert_eq!(reassembler.lost(), Some(DropReason::BadLinkIntegrity));
        assert_eq!(reassembler.lost(), None, "once for several in a row");
        assert_eq!(
            transfer(reassembler, &frame(version, 2, 200)),
            [packet(2, 200)]
        );
    });
}

#[test]
fn refuses_a_buffer_that_is_too_small() {
    let mut buffer = [0; 600];
    for (version, speed, needed) in [
        (Version::V1_0, HIGH_SPEED, 512),
        (Version::V1_0, FULL_SPEED, 319),
        #[cfg(feature = "v1-1")]
        (Version::V1_1, HIGH_SPEED, 584),
        #[cfg(feature = "v1-1")]
        (Version::V1_1, FULL_SPEED, 136),
    ] {
        let len = needed - 1;
        assert_eq!(
            Reassembler::new(version, speed, &mut buffer[..len]).err(),
            Some(BufferTooSmall { len, needed })
        );
        assert!(Reassembler::new(version, speed, &mut buffer[..needed]).is_ok());
    }
}

#[cfg(feature = "v1-1")]
#[test]
fn the_smallest_1_1_buffer_takes_the_baseline_transmission_unit() {
    let mut buffer = [0; 584];
    let mut reassembler = Reassembler::new(Version::V1_1, HIGH_SPEED, &mut buffer).unwrap();
    let bytes = [frame(Version::V1_1, 1, 68), frame(Version::V1_1, 2, 69)].concat();
    assert_eq!(
        transfer(&mut reassembler, &bytes),
        [packet(1, 68), TOO_LONG]
    );
}

/// Bytes that are often nearly right.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        (4usize..=251).prop_map(|len| frame(Version::V1_0, 1, len)),
        (1u8..=2, 4usize..=2000)
            .prop_map(|(number, len)| [&header(len)[..], &vec![number; len]].concat()),
        any::<[u8; 2]>().prop_map(|[a, b]| vec![0x1A, 0xB4, a, b]),
        (0usize..20).prop_map(|len| vec![0; len]),
    ];
    (
        prop::collection::vec(piece, 0..5),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(pieces, cut)| {
            let mut bytes = pieces.concat();
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// After any transfers, the next good one comes through, and each transfer was at most one drop.
    #[test]
    fn after_any_1_0_transfers_the_next_is_good(
        transfers in prop::collection::vec(nearly_frames(), 0..6),
        high_speed: bool,
        lengths in prop::collection::vec(4usize..=124, 1..=4),
    ) {
        let speed = if high_speed { HIGH_SPEED } else { FULL_SPEED };
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_0];
        let mut reassembler = Reassembler::new(Version::V1_0, speed, &mut buffer).unwrap();
        for bytes in transfers {
            let bytes = &bytes[..bytes.len().min(512)];
            let outputs = transfer(&mut reassembler, bytes);
            let drops = outputs.iter().filter(|output| output.is_err()).count();
            if high_speed {
                prop_assert!(drops <= 1);
            }
        }
        let good: Vec<u8> = lengths.iter().flat_map(|len| frame(Version::V1_0, 9, *len)).collect();
        let expected: Vec<Output> = lengths.iter().map(|len| packet(9, *len)).collect();
        prop_assert_eq!(transfer(&mut reassembler, &good), expected);
    }

    /// Any cut of good packets into 1.1 transfers, with any buffer that is long enough, gives the same packets.
    #[cfg(feature = "v1-1")]
    #[test]
    fn any_cut_into_1_1_transfers_gives_the_same_packets(
        lengths in prop::collection::vec(4usize..=900, 1..=12),
        cuts in prop::collection::vec(1usize..1500, 1..40),
        high_speed: bool,
        more in 0usize..700,
    ) {
        let speed = if high_speed { HIGH_SPEED } else { FULL_SPEED };
        let mut buffer = vec![0; 904 + usize::from(speed) + more];
        let mut reassembler = Reassembler::new(Version::V1_1, speed, &mut buffer).unwrap();
        let bytes: Vec<u8> = lengths.iter().flat_map(|len| frame(Version::V1_1, 9, *len)).collect();
        let mut rest = &bytes[..];
        let mut outputs = Vec::new();
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, after) = rest.split_at(cut.min(rest.len()));
            outputs.extend(transfer(&mut reassembler, now));
            rest = after;
        }
        let expected: Vec<Output> = lengths.iter().map(|len| packet(9, *len)).collect();
        prop_assert_eq!(outputs, expected);
    }

    /// No order of calls and no length panics.
    #[test]
    fn any_order_of_calls_is_harmless(
        calls in prop::collection::vec((0u8..8, 0usize..9000, nearly_frames()), 0..60),
        version in prop::sample::select(VERSIONS),
        len in 584usize..1200,
    ) {
        let mut buffer = vec![0; len];
        let mut reassembler = Reassembler::new(version, HIGH_SPEED, &mut buffer).unwrap();
        for (call, received, bytes) in calls {
            match call {
                0 | 1 => {
                    let room = reassembler.buffer();
                    prop_assert_eq!(room.len(), 512);
                    let fill = bytes.len().min(room.len());
                    room[..fill].copy_from_slice(&bytes[..fill]);
                }
                2 => { let _ = reassembler.received(received); }
                3 => { drain(&mut reassembler); }
                4 => { reassembler.next_packet(); }
                5 => reassembler.put_back(),
                6 => reassembler.take_out_of_turn(|packet| packet.len() & 1 == 0),
                _ => { reassembler.flush(); }
            }
        }
    }
}
