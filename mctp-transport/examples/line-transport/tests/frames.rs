//! The transport on bytes in memory.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use line_transport::{LineReceiver, LineSender};
use mctp_transport::{
    DropReason, PhysicalAddress, RawHeader, Received, Transfer, TransportRx, TransportTx,
};

fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn what_is_sent_is_received_packet_by_packet_until_the_stream_ends() {
    let mut wire = [0; 64];
    let mut sender = LineSender(&mut wire[..]);
    let mut buffer = [0; 64];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    let header = RawHeader::from_bytes([1, 9, 8, 0xC8]);
    for payload in [&[1, 2, 3][..], &[4]] {
        let place = transfer.push(PhysicalAddress::POINT_TO_POINT, header, payload.len());
        place.unwrap().copy_from_slice(payload);
    }
    assert_eq!(poll(sender.send(&mut transfer)), Some(Ok(())));

    let mut receiver = LineReceiver::new(&wire[..16]);
    assert_eq!(poll(receiver.receive()), Some(Received::LinkUp));
    for packet in [&[1, 9, 8, 0xC8, 1, 2, 3][..], &[1, 9, 8, 0xC8, 4]] {
        let source = PhysicalAddress::POINT_TO_POINT;
        let expected = Received::Packet {
            source,
            bytes: packet,
        };
        assert_eq!(poll(receiver.receive()), Some(expected));
    }
    assert_eq!(poll(receiver.receive()), Some(Received::LinkDown));
    assert_eq!(poll(receiver.receive()), None);
}

#[test]
fn a_length_that_no_packet_has_ends_the_link() {
    let mut receiver = LineReceiver::new(&[0xFF, 0xFF, 1][..]);
    assert_eq!(poll(receiver.receive()), Some(Received::LinkUp));
    let dropped = Received::Dropped(DropReason::BadLinkIntegrity);
    assert_eq!(poll(receiver.receive()), Some(dropped));
    assert_eq!(poll(receiver.receive()), Some(Received::LinkDown));
    assert_eq!(poll(receiver.receive()), None);
}
