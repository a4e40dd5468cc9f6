//! A send that is dropped behind any of its USB packets: what the host finds on the wire.

use super::*;

/// `wMaxPacketSize` of bulk endpoints at full and at high speed (USB 2.0, 5.8.3).
const MAX_PACKET_SIZES: [u16; 5] = [8, 16, 32, 64, 512];

/// A send of packets with these lengths, dropped once the endpoint has taken so many USB packets.
struct Cut<'a> {
    packet_lens: &'a [usize],
    usb_packets: usize,
}

/// The packet that is sent behind all that was dropped.
const LAST: &[usize] = &[77];

/// The frames of packets with these lengths, as they are on the wire when nothing is dropped.
#[cfg(feature = "v1-1")]
fn frames_of(version: Version, packet_lens: &[usize]) -> Vec<Vec<u8>> {
    let frame = |len: &usize| {
        let mut sender = sender(version, 512);
        send(&mut sender, &[*len]).unwrap();
        sender.endpoint.written.concat()
    };
    packet_lens.iter().map(frame).collect()
}

/// Drops each of the sends, then sends [`LAST`]. Returns the USB packets.
fn wire(version: Version, speed: u16, cuts: &[Cut<'_>]) -> Vec<Vec<u8>> {
    let mut sender = sender(version, speed);
    for cut in cuts {
        sender.endpoint.accepts = cut.usb_packets;
        let mut buffer = [0; 9000];
        let mut transfer = transfer(&mut buffer, sender.layout(), cut.packet_lens);
        let _ = poll_times(1, sender.send(&mut transfer));
    }
    sender.endpoint.accepts = usize::MAX;
    send(&mut sender, LAST).unwrap();
    sender.endpoint.written
}

/// Splits the bytes of 1.1 transfers into frames, by nothing but the header: 1Ah B4h, 3 reserved
/// bits, 13 bits of length (DSP0283 1.1).
#[cfg(feature = "v1-1")]
fn split_1_1(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let header = bytes.first_chunk().expect("a whole header");
        let [0x1A, 0xB4, high @ 0..=0x1F, low] = *header else {
            panic!("a malformed header: {header:02X?}");
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        assert!(length >= 8, "a frame of {length} bytes");
        let frame;
        (frame, bytes) = bytes.split_at_checked(length).expect("a whole frame");
        frames.push(frame);
    }
    frames
}

/// Whether `found` is what the host may get of a frame that broke off: its first bytes, then zeros.
#[cfg(feature = "v1-1")]
fn is_completed(found: &[u8], frame: &[u8]) -> bool {
    let pairs = found.iter().zip(frame);
    let begun = pairs.take_while(|(found, sent)| found == sent).count();
    let begun = begun.max(HEADER_LEN);
    let zeros = found.iter().skip(begun).all(|byte| *byte == 0);
    // With its header on the wire, the frame keeps its length.
    zeros && found.len() <= frame.len() && (begun == HEADER_LEN || found.len() == frame.len())
}

/// Checks that the frames on the wire are, of each send: whole frames from its first, then at most
/// one that broke off; and in the end [`LAST`].
#[cfg(feature = "v1-1")]
fn check_1_1(speed: u16, cuts: &[Cut<'_>]) {
    let wire = wire(Version::V1_1, speed, cuts);
    let bytes = wire.concat();
    let found = split_1_1(&bytes);
    let (last, mut rest) = found.split_last().unwrap();
    assert_eq!([*last], *frames_of(Version::V1_1, LAST));
    for cut in cuts {
        let sent = frames_of(Version::V1_1, cut.packet_lens);
        let whole = rest
            .iter()
            .zip(&sent)
            .take_while(|(found, sent)| found == sent);
        let whole = whole.count();
        rest = &rest[whole..];
        if let (Some(broken_off), Some(next)) = (sent.get(whole), rest.first())
            && is_completed(next, broken_off)
        {
            rest = &rest[1..];
        }
    }
    assert!(rest.is_empty(), "{rest:?}");
    // The last packet has a transfer of its own.
    let mut transfers = wire.split_inclusive(|packet| packet.len() < usize::from(speed));
    assert_eq!(transfers.next_back().unwrap().concat(), *last);
    assert!(wire.last().unwrap().len() < usize::from(speed));

    let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
    let mut host = Reassembler::new(Version::V1_1, speed, &mut buffer).unwrap();
    let packets = found.iter().map(|frame| Ok(frame.len() - HEADER_LEN));
    assert_eq!(received(&mut host, &wire), packets.collect::<Vec<_>>());
}

/// USB packets of a send that is not dropped.
fn usb_packets(version: Version, speed: u16, packet_lens: &[usize]) -> usize {
    let mut sender = sender(version, speed);
    send(&mut sender, packet_lens).unwrap();
    sender.endpoint.written.len()
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_transfer_cut_off_inside_a_header_is_whole_packets_to_the_host() {
    // Frames of 13, 72, 72 and 72 bytes, of which the host has 160: the fourth begins at 157.
    let cut = Cut {
        packet_lens: &[9, 68, 68, 68],
        usb_packets: 5,
    };
    let wire = wire(Version::V1_1, 32, &[cut]);
    let shortest = [0x1A, 0xB4, 0x00, 0x08, 0, 0, 0, 0];
    assert_eq!(wire.concat()[157..165], shortest);
    assert_eq!(wire[5], shortest[3..]);
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_transfer_cut_off_anywhere_is_whole_packets_to_the_host() {
    for speed in MAX_PACKET_SIZES {
        let usb_packet = usize::from(speed);
        // The second frame begins at every place of a USB packet, and its length has an upper byte
        // of zero and of others.
        for first in 4..4 + usb_packet {
            for second in [4, 68, 252, 255, 300, 1300] {
                let packet_lens = [first, second, 4, 68];
                for usb_packets in 0..=usb_packets(Version::V1_1, speed, &packet_lens) {
                    let cut = Cut {
                        packet_lens: &packet_lens,
                        usb_packets,
                    };
                    check_1_1(speed, &[cut]);
                }
            }
        }
    }
}

#[cfg(feature = "v1-1")]
#[test]
fn the_longest_1_1_packet_is_completed_wherever_it_was_cut_off() {
    for speed in MAX_PACKET_SIZES {
        for usb_packets in 0..=usb_packets(Version::V1_1, speed, &[8187]) {
            let cut = Cut {
                packet_lens: &[8187],
                usb_packets,
            };
            check_1_1(speed, &[cut]);
        }
    }
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_transfer_cut_off_again_while_the_one_before_is_completed_is_whole_packets_to_the_host() {
    for speed in MAX_PACKET_SIZES {
        for first in [4, 61, 62, 63, 64, 508, 509, 510, 511] {
            let packet_lens = [first, 600, 68];
            for usb_packets in 0..=usb_packets(Version::V1_1, speed, &packet_lens) {
                for more in 0..14 {
                    let cuts = [usb_packets, more, 1].map(|usb_packets| Cut {
                        packet_lens: &packet_lens,
                        usb_packets,
                    });
                    check_1_1(speed, &cuts);
                }
            }
        }
    }
}

#[test]
fn a_1_0_transfer_cut_off_anywhere_costs_only_the_packet_it_broke_off_in() {
    for speed in MAX_PACKET_SIZES {
        for first in 4..=251 {
            let packet_lens = [first, 100, 4, 68, 251, 251];
            for usb_packets in 0..=usb_packets(Version::V1_0, speed, &packet_lens) {
                let cut = Cut {
                    packet_lens: &packet_lens,
                    usb_packets,
                };
                let wire = wire(Version::V1_0, speed, &[cut]);
                let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
                let mut host = Reassembler::new(Version::V1_0, speed, &mut buffer).unwrap();
                let found = received(&mut host, &wire);
                let sent = packet_lens.map(Ok);
                let (last, before) = found.split_last().unwrap();
                assert_eq!(*last, Ok(77));
                let whole = before.iter().zip(&sent).take_while(|(a, b)| a == b).count();
                match &before[whole..] {
                    [] | [Err(DropReason::BadLinkIntegrity)] => {}
                    others => panic!("{speed} {first} {usb_packets}: {others:?}"),
                }
            }
        }
    }
}
