use mctp_transport::{PhysicalAddress, RawHeader};

use super::*;
use crate::framing::PREAMBLE;
use crate::mock::{MockWrite, Outcome, poll_times};

const PACKET: [u8; 7] = [0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02];
const FRAME: [u8; 13] = [
    0x7E, 0x01, 0x07, 0x01, 0x08, 0x09, 0xC8, 0x00, 0x80, 0x02, 0x01, 0xDD, 0x7E,
];

fn with_preamble() -> Vec<u8> {
    [&PREAMBLE[..], &FRAME].concat()
}

/// Sends [`PACKET`] in a transfer of this layout.
fn send_in(
    layout: TransferLayout,
    sender: &mut Sender<'_, MockWrite>,
) -> Option<Result<(), SendError>> {
    send_packet(layout, sender, &PACKET)
}

fn send_packet(
    layout: TransferLayout,
    sender: &mut Sender<'_, MockWrite>,
    packet: &[u8],
) -> Option<Result<(), SendError>> {
    let mut buffer = [0; 300];
    let mut transfer = Transfer::new(&mut buffer, layout);
    let (header, payload) = packet.split_first_chunk().unwrap();
    let header = RawHeader::from_bytes(*header);
    let place = transfer.push(PhysicalAddress::POINT_TO_POINT, header, payload.len());
    place.expect("has room").copy_from_slice(payload);
    poll_times(3, sender.send(&mut transfer))
}

fn send(sender: &mut Sender<'_, MockWrite>) -> Option<Result<(), SendError>> {
    send_in(sender.layout(), sender)
}

#[test]
fn the_preamble_comes_before_the_first_frame_only() {
    let (resync, stream) = (Resync::new(), MockWrite::default());
    let mut sender = Sender::new(stream.clone(), &resync);
    assert_eq!(send(&mut sender), Some(Ok(())));
    assert_eq!(stream.take(), with_preamble());
    for _ in 0..3 {
        assert_eq!(send(&mut sender), Some(Ok(())));
        assert_eq!(stream.take(), FRAME);
    }
    assert_eq!(stream.0.borrow().flushes, 4);
}

#[test]
fn the_preamble_comes_when_it_is_asked_for() {
    let (resync, stream) = (Resync::new(), MockWrite::default());
    let mut sender = Sender::new(stream.clone(), &resync);
    assert_eq!(send(&mut sender), Some(Ok(())));
    stream.take();
    resync.request();
    assert_eq!(stream.take(), [], "not by itself");
    assert_eq!(send(&mut sender), Some(Ok(())));
    assert_eq!(stream.take(), with_preamble());
    assert_eq!(send(&mut sender), Some(Ok(())));
    assert_eq!(stream.take(), FRAME);
}

#[test]
fn a_writer_may_take_a_few_bytes_at_a_time() {
    for at_once in [1, 2, 5, 31] {
        let (resync, stream) = (Resync::new(), MockWrite::default());
        stream.0.borrow_mut().at_once = at_once;
        let mut sender = Sender::new(stream.clone(), &resync);
        assert_eq!(send(&mut sender), Some(Ok(())));
        assert_eq!(stream.take(), with_preamble());
    }
}

#[test]
fn behind_a_send_that_was_dropped_anywhere_comes_the_preamble() {
    for len in 0..FRAME.len() {
        let (resync, stream) = (Resync::new(), MockWrite::default());
        let mut sender = Sender::new(stream.clone(), &resync);
        assert_eq!(send(&mut sender), Some(Ok(())));
        stream.take();
        stream.limit(len, Outcome::Wait);
        assert_eq!(send(&mut sender), None);
        assert_eq!(stream.take(), FRAME[..len]);
        // In the preamble, too.
        stream.limit(len, Outcome::Wait);
        assert_eq!(send(&mut sender), None);
        assert_eq!(stream.take(), PREAMBLE[..len]);
        stream.no_limit();
        assert_eq!(send(&mut sender), Some(Ok(())));
        assert_eq!(stream.take(), with_preamble());
        assert_eq!(send(&mut sender), Some(Ok(())));
        assert_eq!(stream.take(), FRAME);
    }
}

#[test]
fn a_request_for_the_preamble_outlives_a_send_that_was_dropped() {
    let (resync, stream) = (Resync::new(), MockWrite::default());
    let mut sender = Sender::new(stream.clone(), &resync);
    assert_eq!(send(&mut sender), Some(Ok(())));
    stream.take();
    resync.request();
    stream.limit(0, Outcome::Wait);
    assert_eq!(send(&mut sender), None);
    stream.no_limit();
    assert_eq!(send(&mut sender), Some(Ok(())));
    assert_eq!(stream.take(), with_preamble());
}

#[test]
fn behind_a_write_that_failed_comes_the_preamble() {
    let failures = [
        (Outcome::Error(ErrorKind::NotConnected), SendError::LinkDown),
        (Outcome::Error(ErrorKind::BrokenPipe), SendError::LinkDown),
        (Outcome::Nothing, SendError::LinkDown),
        (Outcome::Error(ErrorKind::Other), SendError::NotAccepted),
    ];
    for (outcome, error) in failures {
        let (resync, stream) = (Resync::new(), MockWrite::default());
        let mut sender = Sender::new(stream.clone(), &resync);
        assert_eq!(send(&mut sender), Some(Ok(())));
        stream.take();
        stream.limit(6, outcome);
        assert_eq!(send(&mut sender), Some(Err(error)));
        stream.take();
        stream.no_limit();
        assert_eq!(send(&mut sender), Some(Ok(())));
        assert_eq!(stream.take(), with_preamble());
    }
}

#[test]
fn behind_a_flush_that_failed_comes_the_preamble() {
    let (resync, stream) = (Resync::new(), MockWrite::default());
    let mut sender = Sender::new(stream.clone(), &resync);
    stream.0.borrow_mut().flush_error = Some(ErrorKind::NotConnected);
    assert_eq!(send(&mut sender), Some(Err(SendError::LinkDown)));
    stream.take();
    stream.0.borrow_mut().flush_error = None;
    assert_eq!(send(&mut sender), Some(Ok(())));
    assert_eq!(stream.take(), with_preamble());
}

#[test]
fn a_transfer_of_another_layout_is_not_accepted() {
    let (resync, stream) = (Resync::new(), MockWrite::default());
    let mut sender = Sender::new(stream.clone(), &resync);
    let layout = sender.layout();
    let others = [
        layout.with_packs(true),
        layout.with_tailroom(1),
        TransferLayout::new(4, 68, 72),
        TransferLayout::new(2, 69, 71),
    ];
    for other in others {
        assert_eq!(
            send_in(other, &mut sender),
            Some(Err(SendError::NotAccepted))
        );
    }
    assert_eq!(
        send_in(TransferLayout::new(2, 60, 62), &mut sender),
        Some(Ok(()))
    );
    assert_eq!(stream.take(), with_preamble());
}

#[test]
fn the_longest_packet_is_68_bytes_unless_more_are_allowed() {
    let (resync, stream) = (Resync::new(), MockWrite::default());
    let layout = |max_packet| {
        let sender = Sender::new(stream.clone(), &resync);
        sender.with_max_packet(max_packet).layout()
    };
    assert_eq!(Sender::new(stream.clone(), &resync).layout(), layout(68));
    assert_eq!((layout(68).max_packet, layout(68).max_transfer), (68, 70));
    assert_eq!(layout(0), layout(68));
    assert_eq!(
        (layout(255).max_packet, layout(255).max_transfer),
        (255, 257)
    );
    let mut sender = Sender::new(stream.clone(), &resync).with_max_packet(255);
    let sent = send_packet(layout(255), &mut sender, &[0x01; 255]);
    assert_eq!(sent, Some(Ok(())));
    assert_eq!(stream.take().len(), 88 + 3 + 255 + 3);
}

#[test]
fn the_check_is_escaped_when_asked_for() {
    // Its check is 7E47h.
    let packet = [0x01, 0x08, 0x09, 0xC8, 0x7E, 0xCC, 0xDE, 0xF0, 0x00, 0x99];
    let end_of = |form| {
        let (resync, stream) = (Resync::new(), MockWrite::default());
        let sender = Sender::new(stream.clone(), &resync);
        let mut sender = sender.with_frame_check_sequence(form);
        let layout = sender.layout();
        assert_eq!(send_packet(layout, &mut sender, &packet), Some(Ok(())));
        let sent = stream.take();
        sent[sent.len() - 5..].to_vec()
    };
    assert_eq!(
        end_of(FrameCheckSequence::Raw),
        [0x00, 0x99, 0x7E, 0x47, 0x7E]
    );
    assert_eq!(
        end_of(FrameCheckSequence::Escaped),
        [0x99, 0x7D, 0x5E, 0x47, 0x7E]
    );
}
