mod cut_off;

use mctp_transport::{DropReason, Eid, MessageTag, PacketHeader, PhysicalAddress, SequenceNumber};

use super::*;
use crate::RECEIVE_BUFFER_LEN_1_1;
use crate::framing::Reassembler;
use crate::mock::{MockIn, VERSIONS, block_on, poll_times};

const HEADER: PacketHeader = PacketHeader {
    destination: Eid(8),
    source: Eid(9),
    start: true,
    end: true,
    sequence: SequenceNumber::from_low_bits(0),
    tag_owner: false,
    tag: MessageTag::from_low_bits(1),
};
static EVENTS: BusEvents = BusEvents::new();

fn sender(version: Version, max_packet_size: u16) -> Sender<'static, MockIn<'static>> {
    let limits = SendLimits::new(version);
    Sender::new(MockIn::new(max_packet_size), version, &EVENTS, limits)
}

/// A transfer of packets with these lengths, filled with AAh.
fn transfer<'b>(
    buffer: &'b mut [u8],
    layout: TransferLayout,
    packet_lens: &[usize],
) -> Transfer<'b> {
    let mut transfer = Transfer::new(buffer, layout);
    for packet_len in packet_lens {
        assert!(push(&mut transfer, *packet_len));
    }
    transfer
}

fn push(transfer: &mut Transfer<'_>, packet_len: usize) -> bool {
    let place = transfer.push(PhysicalAddress::POINT_TO_POINT, HEADER, packet_len - 4);
    place.map(|place| place.fill(0xAA)).is_some()
}

fn send(sender: &mut Sender<'_, MockIn<'_>>, packet_lens: &[usize]) -> Result<(), SendError> {
    let mut buffer = [0; 9000];
    let mut transfer = transfer(&mut buffer, sender.layout(), packet_lens);
    block_on(sender.send(&mut transfer))
}

/// Lets so many USB packets through, then drops the send.
fn send_cut_off(sender: &mut Sender<'_, MockIn<'_>>, packet_lens: &[usize], usb_packets: usize) {
    sender.endpoint.accepts = usb_packets;
    let mut buffer = [0; 9000];
    let mut transfer = transfer(&mut buffer, sender.layout(), packet_lens);
    assert!(poll_times(10, sender.send(&mut transfer)).is_none());
    sender.endpoint.accepts = usize::MAX;
}

fn written_lens(sender: &Sender<'_, MockIn<'_>>) -> Vec<usize> {
    sender.endpoint.written.iter().map(Vec::len).collect()
}

#[test]
fn writes_a_header_before_each_packet() {
    let mut sender = sender(Version::V1_0, 512);
    send(&mut sender, &[7, 5]).unwrap();
    assert_eq!(
        sender.endpoint.written,
        [[
            0x1A, 0xB4, 0x00, 11, 0x01, 8, 9, 0xC1, 0xAA, 0xAA, 0xAA, // seven bytes
            0x1A, 0xB4, 0x00, 9, 0x01, 8, 9, 0xC1, 0xAA, // five bytes
        ]]
    );
}

#[test]
fn a_1_0_transfer_takes_two_packets_of_251_bytes_and_ends_by_itself() {
    let mut sender = sender(Version::V1_0, 512);
    let layout = sender.layout();
    assert_eq!((layout.max_packet, layout.max_transfer), (251, 511));
    assert_eq!(layout.transfers_at_once, TRANSFERS_AT_ONCE);
    send(&mut sender, &[251, 251]).unwrap();
    assert_eq!(written_lens(&sender), [510]);
    assert_eq!((layout.headroom, layout.tailroom), (4, 0));
    assert!(layout.packs);
}

#[test]
fn more_than_a_1_0_transfer_takes_goes_out_in_several_of_whole_packets() {
    let mut high_speed = sender(Version::V1_0, 512);
    send(&mut high_speed, &[251; 5]).unwrap();
    send(&mut high_speed, &[200, 200, 200, 60, 4, 4]).unwrap();
    // Eight times four of 109 bytes.
    send(&mut high_speed, &[105; 32]).unwrap();
    let expected = [&[510, 510, 255, 408, 284][..], &[436; 8]].concat();
    assert_eq!(written_lens(&high_speed), expected);
    let mut full_speed = sender(Version::V1_0, 64);
    send(&mut full_speed, &[200, 200, 200]).unwrap();
    let two = [&[64; 6][..], &[24]].concat();
    let one = [64, 64, 64, 12];
    assert_eq!(written_lens(&full_speed), [&two[..], &one].concat());
}

#[test]
fn a_host_that_starts_anew_between_two_transfers_gets_nothing_of_the_rest() {
    let events = BusEvents::new();
    let limits = SendLimits::new(Version::V1_0);
    let mut sender = Sender::new(MockIn::new(512), Version::V1_0, &events, limits);
    for (written, expected) in [(1, Err(SendError::LinkDown)), (4, Ok(()))] {
        sender.endpoint.written.clear();
        sender.endpoint.reset_at = Some((written, &events));
        assert_eq!(send(&mut sender, &[251; 8]), expected);
        assert_eq!(written_lens(&sender), vec![510; written]);
    }
}

#[test]
fn a_transfer_that_is_sent_again_goes_on_behind_what_was_taken_of_it() {
    let mut sender = sender(Version::V1_0, 512);
    let mut buffer = [0; 9000];
    let mut transfer = transfer(&mut buffer, sender.layout(), &[251, 251, 247, 247, 100]);
    sender.endpoint.accepts = 1;
    assert!(poll_times(10, sender.send(&mut transfer)).is_none());
    sender.endpoint.accepts = usize::MAX;
    assert_eq!(block_on(sender.send(&mut transfer)), Ok(()));
    let mut host_buffer = [0; RECEIVE_BUFFER_LEN_1_1];
    let mut host = Reassembler::new(Version::V1_0, 512, &mut host_buffer).unwrap();
    let lens = found(&mut host, &mut sender);
    // The second USB transfer was cut off before its first USB packet.
    assert_eq!(lens, [Ok(251), Ok(251), Ok(100)]);
}

#[test]
fn limits_out_of_range_are_taken_as_the_nearest() {
    let limits = |max_packet, max_transfer| SendLimits {
        max_packet,
        max_transfer,
        zlp_after_full_transfer: false,
    };
    let of = |version, limits| {
        let layout = layout(version, limits);
        (layout.max_packet, layout.max_transfer)
    };
    assert_eq!(of(Version::V1_0, limits(0, 0)), (68, 72));
    assert_eq!(of(Version::V1_0, limits(9000, 9000)), (251, 512));
    #[cfg(feature = "v1-1")]
    {
        assert_eq!(of(Version::V1_1, limits(0, 0)), (68, 72));
        assert_eq!(of(Version::V1_1, limits(9000, 0)), (8187, 8191));
        assert_eq!(of(Version::V1_1, limits(1000, 16000)), (1000, 16000));
    }
}

#[test]
fn a_transfer_that_is_too_long_or_laid_out_for_others_is_not_sent() {
    let mut sender = sender(Version::V1_0, 512);
    let mut buffer = [0; 9000];
    let good = sender.layout();
    let bad = |change: fn(&mut TransferLayout)| {
        let mut layout = good;
        change(&mut layout);
        layout
    };
    for (layout, packet_lens) in [
        (bad(|layout| layout.max_transfer = 3000), &[251; 17][..]),
        (bad(|layout| layout.max_packet = 252), &[252]),
        (bad(|layout| layout.headroom = 5), &[68]),
        (bad(|layout| layout.tailroom = 1), &[68]),
    ] {
        let mut transfer = transfer(&mut buffer, layout, packet_lens);
        assert_eq!(
            block_on(sender.send(&mut transfer)),
            Err(SendError::NotAccepted)
        );
    }
    assert_eq!(written_lens(&sender), []);
}

#[test]
fn a_full_1_0_transfer_has_no_zero_length_packet_unless_asked_for() {
    for (speed, asked, expected) in [
        (512, false, vec![512]),
        (512, true, vec![512, 0]),
        (64, false, vec![64; 8]),
        (64, true, [vec![64; 8], vec![0]].concat()),
    ] {
        let limits = SendLimits {
            max_transfer: 512,
            zlp_after_full_transfer: asked,
            ..SendLimits::new(Version::V1_0)
        };
        let mut sender = Sender::new(MockIn::new(speed), Version::V1_0, &EVENTS, limits);
        send(&mut sender, &[251, 240, 9]).unwrap();
        assert_eq!(written_lens(&sender), expected);
    }
}

#[test]
fn other_transfers_of_whole_usb_packets_end_with_a_zero_length_packet() {
    let mut full_speed = sender(Version::V1_0, 64);
    send(&mut full_speed, &[60]).unwrap();
    send(&mut full_speed, &[124]).unwrap();
    assert_eq!(written_lens(&full_speed), [64, 0, 64, 64, 0]);
    #[cfg(feature = "v1-1")]
    {
        let mut spanning = sender(Version::V1_1, 512);
        send(&mut spanning, &[508]).unwrap();
        send(&mut spanning, &[1020]).unwrap();
        send(&mut spanning, &[1021]).unwrap();
        assert_eq!(written_lens(&spanning), [512, 0, 512, 512, 0, 512, 512, 1]);
    }
}

#[test]
fn an_empty_transfer_sends_nothing() {
    for version in VERSIONS {
        let mut sender = sender(*version, 512);
        send(&mut sender, &[]).unwrap();
        assert_eq!(written_lens(&sender), []);
    }
}

#[test]
fn what_is_sent_is_what_a_receiver_finds() {
    for version in VERSIONS {
        let max_packet = usize::from(version.max_packet());
        for speed in [64, 512] {
            let mut sender = sender(*version, speed);
            let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
            let mut host = Reassembler::new(*version, speed, &mut buffer).unwrap();
            for packet_len in (4..=max_packet).step_by(13).chain([max_packet]) {
                send(&mut sender, &[packet_len]).unwrap();
                assert_eq!(found(&mut host, &mut sender), [Ok(packet_len)]);
            }
        }
    }
}

#[test]
fn a_disabled_endpoint_is_a_link_that_is_down() {
    for version in VERSIONS {
        let mut sender = sender(*version, 64);
        sender.endpoint.then = Some(EndpointError::Disabled);
        sender.endpoint.accepts = 1;
        assert_eq!(send(&mut sender, &[200]), Err(SendError::LinkDown));
        sender.endpoint.accepts = usize::MAX;
        sender.endpoint.written.clear();
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [9]);
    }
}

#[test]
fn a_1_0_transfer_cut_off_at_full_speed_is_ended_first() {
    let mut sender = sender(Version::V1_0, 64);
    send_cut_off(&mut sender, &[200], 0);
    send_cut_off(&mut sender, &[200], 2);
    send(&mut sender, &[5]).unwrap();
    assert_eq!(written_lens(&sender), [64, 64, 0, 9]);
}

#[test]
fn a_zero_length_packet_that_was_cut_off_is_sent_first() {
    let mut sender = sender(Version::V1_0, 64);
    send_cut_off(&mut sender, &[60], 1);
    send(&mut sender, &[5]).unwrap();
    assert_eq!(written_lens(&sender), [64, 0, 9]);
}

#[test]
fn a_full_1_0_transfer_behind_which_the_next_was_cut_off_has_ended() {
    let limits = SendLimits {
        max_transfer: 512,
        ..SendLimits::new(Version::V1_0)
    };
    let mut sender = Sender::new(MockIn::new(512), Version::V1_0, &EVENTS, limits);
    send_cut_off(&mut sender, &[251, 240, 9, 251, 240, 9], 1);
    send(&mut sender, &[5]).unwrap();
    assert_eq!(written_lens(&sender), [512, 9]);
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_transfer_cut_off_anywhere_costs_at_most_one_packet_at_the_host() {
    for speed in [64, 512] {
        for usb_packets in 0..=2000 / usize::from(speed) {
            let mut sender = sender(Version::V1_1, speed);
            let mut buffer = [0; RECEIVE_BUFFER_LEN_1_1];
            let mut host = Reassembler::new(Version::V1_1, speed, &mut buffer).unwrap();
            send_cut_off(&mut sender, &[300, 1000, 688], usb_packets);
            // Cut off again, while it ends the first.
            send_cut_off(&mut sender, &[100], 0);
            send(&mut sender, &[77]).unwrap();
            let sent = usb_packets * usize::from(speed);
            let begun = [0, 304, 304 + 1004]
                .iter()
                .filter(|start| sent > **start)
                .count();
            let mut expected = [Ok(300), Ok(1000), Ok(688)][..begun].to_vec();
            expected.push(Ok(77));
            assert_eq!(found(&mut host, &mut sender), expected, "{usb_packets}");
        }
    }
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_packet_cut_off_is_completed_with_its_own_length_and_no_more() {
    for (speed, packet_len, usb_packets, expected) in [
        (64, 300, 2, vec![64, 64, /* zeros */ 64, 64, 48, 9]),
        (64, 252, 2, vec![64, 64, /* zeros */ 64, 64, 0, 9]),
        (512, 600, 1, vec![512, /* zeros */ 64, 28, 9]),
        (512, 572, 1, vec![512, /* zeros */ 64, 9]),
    ] {
        let mut sender = sender(Version::V1_1, speed);
        send_cut_off(&mut sender, &[packet_len], usb_packets);
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), expected);
        let zeros = &sender.endpoint.written[usb_packets..expected.len() - 1];
        assert!(zeros.concat().iter().all(|byte| *byte == 0));
    }
}

#[cfg(feature = "v1-1")]
#[test]
fn a_1_1_transfer_cut_off_between_packets_is_only_ended() {
    let mut sender = sender(Version::V1_1, 64);
    send_cut_off(&mut sender, &[60, 252], 1);
    send(&mut sender, &[5]).unwrap();
    assert_eq!(written_lens(&sender), [64, 0, 9]);
}

#[test]
fn nothing_of_before_a_reset_is_ended_after_it() {
    for version in VERSIONS {
        let events = BusEvents::new();
        let limits = SendLimits::new(*version);
        let mut sender = Sender::new(MockIn::new(64), *version, &events, limits);
        send_cut_off(&mut sender, &[200], 2);
        events.restarted();
        sender.endpoint.written.clear();
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [9]);
    }
}

#[test]
fn a_reset_that_the_driver_hides_ends_the_send() {
    for version in VERSIONS {
        let events = BusEvents::new();
        let limits = SendLimits::new(*version);
        let mut sender = Sender::new(MockIn::new(64), *version, &events, limits);
        sender.endpoint.reset_at = Some((2, &events));
        assert_eq!(send(&mut sender, &[200]), Err(SendError::LinkDown));
        send(&mut sender, &[5]).unwrap();
        assert_eq!(written_lens(&sender), [64, 64, 9]);
    }
}

/// The packets that a host finds in what was written.
fn found(
    host: &mut Reassembler<'_>,
    sender: &mut Sender<'_, MockIn<'_>>,
) -> Vec<Result<usize, DropReason>> {
    received(host, &std::mem::take(&mut sender.endpoint.written))
}

/// The packets that a host finds in USB packets.
fn received(host: &mut Reassembler<'_>, usb_packets: &[Vec<u8>]) -> Vec<Result<usize, DropReason>> {
    let mut found = Vec::new();
    for bytes in usb_packets {
        host.buffer()[..bytes.len()].copy_from_slice(bytes);
        assert_eq!(host.received(bytes.len()), None);
        while let Some(packet) = host.next_packet() {
            found.push(packet.map(<[u8]>::len));
        }
    }
    found
}
