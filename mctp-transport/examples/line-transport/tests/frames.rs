//! The transport on bytes in memory.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Write};
use line_transport::{LineReceiver, LineSender};
use mctp_transport::{
    DropReason, PhysicalAddress, RawHeader, Received, SendError, Transfer, TransportRx, TransportTx,
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
    let mut sender = LineSender::new(&mut wire[..]);
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

/// Takes two bytes at once, until it has no room left: then it takes nothing, which is no error.
struct Narrow<'t> {
    room: &'t Cell<usize>,
    taken: &'t RefCell<Vec<u8>>,
}

impl ErrorType for Narrow<'_> {
    type Error = Infallible;
}

impl Write for Narrow<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let len = bytes.len().min(2).min(self.room.get());
        self.room.set(self.room.get() - len);
        self.taken.borrow_mut().extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

const FRAME: [u8; 7] = [5, 0, 1, 9, 8, 0xC8, 3];

/// Sends [`FRAME`].
fn send(sender: &mut LineSender<Narrow<'_>>) -> Option<Result<(), SendError>> {
    let mut buffer = [0; 64];
    let mut transfer = Transfer::new(&mut buffer, sender.layout());
    let header = RawHeader::from_bytes([1, 9, 8, 0xC8]);
    let place = transfer.push(PhysicalAddress::POINT_TO_POINT, header, 1);
    place.unwrap().copy_from_slice(&[3]);
    poll(sender.send(&mut transfer))
}

#[test]
fn a_stream_that_takes_nothing_is_a_link_that_is_down() {
    for len in 0..FRAME.len() {
        let (room, taken) = (Cell::new(len), RefCell::default());
        let (room, taken) = (&room, &taken);
        let mut sender = LineSender::new(Narrow { room, taken });
        assert_eq!(send(&mut sender), Some(Err(SendError::LinkDown)), "{len}");
        assert_eq!(*taken.borrow(), FRAME[..len]);
    }
}

#[test]
fn nothing_is_sent_behind_a_frame_that_was_cut_off() {
    let (room, taken) = (Cell::new(FRAME.len() + 3), RefCell::default());
    let (room, taken) = (&room, &taken);
    let mut sender = LineSender::new(Narrow { room, taken });
    assert_eq!(send(&mut sender), Some(Ok(())));
    assert_eq!(send(&mut sender), Some(Err(SendError::LinkDown)));
    room.set(64);
    assert_eq!(send(&mut sender), Some(Err(SendError::LinkDown)));
    assert_eq!(*taken.borrow(), [&FRAME[..], &FRAME[..3]].concat());
}
