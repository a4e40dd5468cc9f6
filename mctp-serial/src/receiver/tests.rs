use embedded_io_async::ErrorKind;
use mctp_transport::DropReason::BadLinkIntegrity;

use super::*;
use crate::FrameCheckSequence::Raw;
use crate::framing::frame;
use crate::mock::{MockRead, Step, poll_times};

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Packet(Vec<u8>),
    Dropped(DropReason),
    LinkUp,
    LinkDown,
}
use Seen::{Dropped, LinkDown, LinkUp, Packet};

fn next<L: Line>(receiver: &mut Receiver<'_, L>) -> Option<Seen> {
    Some(match poll_times(100, receiver.receive())? {
        Received::Packet { source, bytes } => {
            assert_eq!(source, PhysicalAddress::POINT_TO_POINT);
            Packet(bytes.to_vec())
        }
        Received::Broadcast { .. } => unreachable!("serial is point to point"),
        Received::Dropped(reason) => Dropped(reason),
        Received::LinkUp => LinkUp,
        Received::LinkDown => LinkDown,
    })
}

/// Everything that is received until only waiting is left.
fn seen<L: Line>(receiver: &mut Receiver<'_, L>) -> Vec<Seen> {
    core::iter::from_fn(|| next(receiver)).take(100).collect()
}

/// On a link that does not come back.
fn seen_of(script: impl IntoIterator<Item = Step>) -> Vec<Seen> {
    let (resync, mut buffer) = (Resync::new(), [0; 68]);
    let mut receiver = Receiver::new(MockRead::new(script), &resync, &mut buffer).unwrap();
    seen(&mut receiver)
}

/// On a link that comes back at once.
fn seen_on_line(script: impl IntoIterator<Item = Step>) -> Vec<Seen> {
    let (resync, mut buffer) = (Resync::new(), [0; 68]);
    let mut receiver = Receiver::on_line(MockRead::new(script), &resync, &mut buffer).unwrap();
    seen(&mut receiver)
}

fn packet(number: u8, len: usize) -> Vec<u8> {
    let mut packet = vec![0x01, 0x08, 0x09, 0xC8];
    packet.resize(len, number);
    packet
}

fn sent(packet: &[u8]) -> Vec<u8> {
    frame(packet, Raw).unwrap().collect()
}

const LOST: [ErrorKind; 4] = [
    ErrorKind::NotConnected,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];

#[test]
fn several_frames_in_a_read_and_a_frame_in_several_reads_are_received() {
    let frames = [
        sent(&packet(1, 5)),
        sent(&packet(2, 4)),
        sent(&packet(3, 68)),
    ]
    .concat();
    let expected = [
        LinkUp,
        Packet(packet(1, 5)),
        Packet(packet(2, 4)),
        Packet(packet(3, 68)),
    ];
    assert_eq!(seen_of([Step::Bytes(frames.clone())]), expected);
    for len in 1..40 {
        let reads = frames.chunks(len).map(|read| Step::Bytes(read.to_vec()));
        assert_eq!(seen_of(reads), expected, "{len} at a time");
    }
}

#[test]
fn a_buffer_without_room_for_the_baseline_unit_is_refused() {
    let (resync, mut buffer) = (Resync::new(), [0; 67]);
    let error = Receiver::new(MockRead::new([]), &resync, &mut buffer).map(|_| ());
    assert_eq!(error, Err(BufferTooSmall { len: 67 }));
}

#[test]
fn a_receive_that_is_dropped_loses_nothing() {
    let (resync, mut buffer) = (Resync::new(), [0; 68]);
    let stream = MockRead::new([]);
    let mut receiver = Receiver::new(stream.clone(), &resync, &mut buffer).unwrap();
    assert_eq!(next(&mut receiver), Some(LinkUp));
    for byte in sent(&packet(7, 20)) {
        assert_eq!(next(&mut receiver), None, "dropped while it waits");
        stream.push(&[byte]);
    }
    assert_eq!(next(&mut receiver), Some(Packet(packet(7, 20))));
}

#[test]
fn read_errors_cost_the_frame_that_they_hit() {
    let frame = sent(&packet(1, 30));
    let overrun = Step::Error(ErrorKind::Other);
    let script = [
        Step::Bytes(frame[..10].to_vec()),
        overrun.clone(),
        overrun.clone(),
        Step::Bytes(frame[20..].to_vec()),
        Step::Bytes(frame.clone()),
    ];
    let expected = [LinkUp, Dropped(BadLinkIntegrity), Packet(packet(1, 30))];
    assert_eq!(seen_of(script), expected);
}

#[test]
fn a_driver_that_always_fails_and_noise_without_end_leave_others_their_turns() {
    for step in [
        Step::Error(ErrorKind::Other),
        Step::Bytes(vec![0xFF]),
        Step::Bytes(vec![0x7E]),
    ] {
        let script = core::iter::repeat_n(step, 10_000);
        let (resync, mut buffer) = (Resync::new(), [0; 68]);
        let stream = MockRead::new(script);
        let mut receiver = Receiver::new(stream.clone(), &resync, &mut buffer).unwrap();
        assert_eq!(next(&mut receiver), Some(LinkUp));
        // The first bad byte is told.
        let _ = poll_times(1, receiver.receive());
        assert!(poll_times(1, receiver.receive()).is_none());
        assert!(stream.0.borrow().len() > 9_000);
    }
}

#[test]
fn a_link_that_does_not_come_back_is_down_once() {
    let frame = Step::Bytes(sent(&packet(1, 9)));
    for end in LOST.map(Step::Error).into_iter().chain([Step::End]) {
        let script = [frame.clone(), end, frame.clone()];
        assert_eq!(seen_of(script), [LinkUp, Packet(packet(1, 9)), LinkDown]);
    }
}

#[test]
fn a_link_that_comes_back_starts_afresh() {
    let frame = sent(&packet(1, 30));
    for end in LOST.map(Step::Error).into_iter().chain([Step::End]) {
        let script = [
            Step::Bytes(frame[..20].to_vec()),
            end.clone(),
            Step::Bytes(frame.clone()),
            end,
        ];
        let expected = [
            LinkUp,
            Dropped(DropReason::LinkDown),
            LinkDown,
            LinkUp,
            Packet(packet(1, 30)),
            LinkDown,
            LinkUp,
        ];
        assert_eq!(seen_on_line(script), expected);
    }
}

#[test]
fn each_link_up_asks_for_the_preamble() {
    let (resync, mut buffer) = (Resync::new(), [0; 68]);
    let mut receiver = Receiver::on_line(MockRead::new([Step::End]), &resync, &mut buffer).unwrap();
    for expected in [LinkUp, LinkDown, LinkUp] {
        assert!(!resync.take());
        assert_eq!(next(&mut receiver), Some(expected.clone()));
        assert_eq!(resync.take(), expected == LinkUp);
    }
}

#[test]
fn only_a_neighbour_that_is_said_to_wait_can_wait_and_then_a_packet_can_be_put_back() {
    let (resync, mut buffer) = (Resync::new(), [0; 68]);
    let receiver = Receiver::new(MockRead::new([]), &resync, &mut buffer).unwrap();
    assert!(!receiver.can_wait());

    let frames = [sent(&packet(1, 5)), sent(&packet(2, 5))].concat();
    let line = MockRead::new([Step::Bytes(frames)]);
    let receiver = Receiver::new(line, &resync, &mut buffer).unwrap();
    let mut receiver = receiver.with_flow_control();
    assert!(receiver.can_wait());
    assert_eq!(next(&mut receiver), Some(LinkUp));
    for number in [1, 2] {
        assert_eq!(next(&mut receiver), Some(Packet(packet(number, 5))));
        receiver.put_back();
        assert_eq!(next(&mut receiver), Some(Packet(packet(number, 5))));
    }
    assert_eq!(next(&mut receiver), None);
}
