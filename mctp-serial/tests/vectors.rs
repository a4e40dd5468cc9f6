//! Frames byte for byte. Do not change these tests: what is sent and received must stay the same.
//!
//! The packets are those with which a bus owner on Linux (mctpd) sets up a bridge and an endpoint
//! behind it, and an example that was written down before this crate. The frames were computed bit
//! by bit after RFC 1662 by another program.

use mctp_serial::FrameCheckSequence::{self, Escaped, Raw};
use mctp_serial::framing::{Decoded, Decoder, Encoder, PREAMBLE, frame};

/// Packets in whose frames the check has no special byte, and these frames.
const FRAMES: &[(&[u8], &[u8])] = &[
    // Get Endpoint ID, from endpoint 9 to endpoint 8.
    (
        b"\x01\x08\x09\xC8\x00\x80\x02",
        b"\x7E\x01\x07\x01\x08\x09\xC8\x00\x80\x02\x01\xDD\x7E",
    ),
    // Get Endpoint ID by physical address, and its response.
    (
        b"\x01\x00\x08\xC8\x00\x80\x02",
        b"\x7E\x01\x07\x01\x00\x08\xC8\x00\x80\x02\x2B\xC1\x7E",
    ),
    (
        b"\x01\x08\x00\xC0\x00\x00\x02\x00\x00\x10\x00",
        b"\x7E\x01\x0B\x01\x08\x00\xC0\x00\x00\x02\x00\x00\x10\x00\xA9\x09\x7E",
    ),
    // Set Endpoint ID, and its response.
    (
        b"\x01\x00\x08\xC8\x00\x81\x01\x00\x09",
        b"\x7E\x01\x09\x01\x00\x08\xC8\x00\x81\x01\x00\x09\xA3\x46\x7E",
    ),
    (
        b"\x01\x08\x00\xC0\x00\x01\x01\x00\x01\x09\x04",
        b"\x7E\x01\x0B\x01\x08\x00\xC0\x00\x01\x01\x00\x01\x09\x04\xEE\x9F\x7E",
    ),
    // Get Message Type Support, and its response with message type 7Eh.
    (
        b"\x01\x09\x08\xC8\x00\x82\x05",
        b"\x7E\x01\x07\x01\x09\x08\xC8\x00\x82\x05\x49\xBD\x7E",
    ),
    (
        b"\x01\x08\x09\xC0\x00\x02\x05\x00\x02\x00\x7E",
        b"\x7E\x01\x0B\x01\x08\x09\xC0\x00\x02\x05\x00\x02\x00\x7D\x5E\x19\x64\x7E",
    ),
    // Get Vendor Defined Message Support, and its response.
    (
        b"\x01\x09\x08\xC8\x00\x83\x06\x00",
        b"\x7E\x01\x08\x01\x09\x08\xC8\x00\x83\x06\x00\x88\xBB\x7E",
    ),
    (
        b"\x01\x08\x09\xC0\x00\x03\x06\x00\xFF\x00\xCC\xDE\x00\xF0",
        b"\x7E\x01\x0E\x01\x08\x09\xC0\x00\x03\x06\x00\xFF\x00\xCC\xDE\x00\xF0\x46\x16\x7E",
    ),
    // Get Endpoint ID of an endpoint behind the bridge, and its response.
    (
        b"\x01\x0A\x08\xC8\x00\x86\x02",
        b"\x7E\x01\x07\x01\x0A\x08\xC8\x00\x86\x02\x56\x1F\x7E",
    ),
    (
        b"\x01\x08\x0A\xC0\x00\x06\x02\x00\x0A\x00\x00",
        b"\x7E\x01\x0B\x01\x08\x0A\xC0\x00\x06\x02\x00\x0A\x00\x00\xB3\x28\x7E",
    ),
];

/// The beginning of an echo request, and of its frame. Two bytes that make its check special, the
/// end of its frame as Linux sends it, and with the check escaped.
const ECHO: &[u8] = b"\x01\x08\x09\xC8\x7E\xCC\xDE\xF0";
const ECHO_FRAME: &[u8] = b"\x7E\x01\x0A\x01\x08\x09\xC8\x7D\x5E\xCC\xDE\xF0";
const SPECIAL_CHECKS: &[(&[u8], &[u8], &[u8])] = &[
    (b"\x00\x99", b"\x7E\x47\x7E", b"\x7D\x5E\x47\x7E"),
    (b"\x01\x45", b"\x7B\x7E\x7E", b"\x7B\x7D\x5E\x7E"),
    (b"\x04\xBD", b"\x7E\x01\x7E", b"\x7D\x5E\x01\x7E"),
    (b"\x11\xA2", b"\x7D\x5E\x7E", b"\x7D\x5D\x5E\x7E"),
    (b"\x13\xB0", b"\x7D\x7D\x7E", b"\x7D\x5D\x7D\x5D\x7E"),
    (b"\x20\xA8", b"\x7D\x7E\x7E", b"\x7D\x5D\x7D\x5E\x7E"),
    (b"\x22\xBA", b"\x7D\x5D\x7E", b"\x7D\x5D\x5D\x7E"),
    (b"\x8B\x42", b"\x7E\x7D\x7E", b"\x7D\x5E\x7D\x5D\x7E"),
    (b"\xB8\x5A", b"\x7E\x7E\x7E", b"\x7D\x5E\x7D\x5E\x7E"),
];

/// Packet, form of the check, and frame of all of them.
fn vectors() -> Vec<(Vec<u8>, FrameCheckSequence, Vec<u8>)> {
    let mut vectors = Vec::new();
    for (packet, frame) in FRAMES {
        for form in [Raw, Escaped] {
            vectors.push((packet.to_vec(), form, frame.to_vec()));
        }
    }
    for (special, raw, escaped) in SPECIAL_CHECKS {
        for (form, end) in [(Raw, raw), (Escaped, escaped)] {
            let packet = [ECHO, special].concat();
            vectors.push((packet, form, [ECHO_FRAME, special, end].concat()));
        }
    }
    vectors
}

/// What is found in a stream, at most `read_len` bytes of which are read at once.
fn found(stream: &[u8], read_len: usize) -> Vec<Result<Vec<u8>, mctp_transport::DropReason>> {
    let mut buffer = [0; 68];
    let mut decoder = Decoder::new(&mut buffer).unwrap();
    let mut found = Vec::new();
    for mut read in stream.chunks(read_len) {
        while let Some(decoded) = decoder.decode(&mut read) {
            found.push(match decoded {
                Decoded::Packet => Ok(decoder.packet().to_vec()),
                Decoded::Dropped(reason) => Err(reason),
            });
        }
    }
    found
}

#[test]
fn packets_are_sent_in_these_frames() {
    for (packet, form, expected) in vectors() {
        let bytes: Vec<u8> = frame(&packet, form).unwrap().collect();
        assert_eq!(bytes, expected);
    }
}

#[test]
fn these_frames_are_received_as_these_packets() {
    for (packet, _, frame) in vectors() {
        assert_eq!(found(&frame, 1), [Ok(packet)]);
    }
}

#[test]
fn a_stream_of_these_frames_is_received_with_two_flags_between_frames_and_with_one() {
    let packets: Vec<_> = vectors()
        .into_iter()
        .map(|(packet, ..)| Ok(packet))
        .collect();
    let frames = vectors().into_iter().map(|(_, _, frame)| frame);
    let two_flags: Vec<u8> = frames.clone().flatten().collect();
    let one_flag: Vec<u8> = [0x7E]
        .into_iter()
        .chain(frames.flat_map(|frame| frame[1..].to_vec()))
        .collect();
    for read_len in [1, 2, 3, 7, 13, 64, usize::MAX] {
        assert_eq!(found(&two_flags, read_len), packets);
        assert_eq!(found(&one_flag, read_len), packets);
    }
}

#[test]
fn the_first_frame_stands_behind_the_preamble_that_linux_recovers_by() {
    let (packet, frame) = FRAMES[0];
    let bytes: Vec<u8> = Encoder::new(Raw).begin(packet).unwrap().collect();
    let preamble = [&[0x00; 78][..], b"\x7E\x00\x00\x00\x7E\x01\x00\x00\x00\x7E"].concat();
    assert_eq!(PREAMBLE[..], preamble);
    assert_eq!(bytes, [&preamble, frame].concat());
}
