//! The endpoint on a link in memory.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use mctp_transport::memory::{Fate, Link, Side};
use mctp_transport::{
    DropReason, PhysicalAddress, RawHeader, Received, Transfer, TransferLayout, TransportRx,
    TransportTx,
};

const LAYOUT: TransferLayout = TransferLayout::new(2, 68, 70);

fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn answers_echo_requests_and_counts_the_rest() {
    let link = Link::new(LAYOUT, [0x10, 0x1D].map(PhysicalAddress::from_byte));
    let (mut host_receiver, mut host_sender) = link.end(Side::Left);
    let (mut receiver, mut sender) = link.end(Side::Right);
    link.decide(Side::Right, |number, _| match number {
        1 => Fate::NotAccepted,
        _ => Fate::Delivered,
    });
    let mut buffer = [0; 70];
    let mut device = pin!(tiny_endpoint::serve(
        &mut receiver,
        &mut sender,
        &mut buffer
    ));
    let mut context = Context::from_waker(Waker::noop());
    link.up();
    assert_eq!(poll(host_receiver.receive()), Some(Received::LinkUp));
    let mut ask = |message_type| {
        let mut buffer = [0; 70];
        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
        let header = RawHeader::from_bytes([1, 0, 8, 0xCB]);
        let place = transfer.push(PhysicalAddress::POINT_TO_POINT, header, 5);
        place
            .unwrap()
            .copy_from_slice(&[message_type, 0xCC, 0xDE, 0xF0, 9]);
        poll(host_sender.send(&mut transfer)).unwrap().unwrap();
    };
    for message_type in [0x7E, 0x7E, 0x05] {
        ask(message_type);
        assert!(device.as_mut().poll(&mut context).is_pending());
    }
    let Some(Received::Packet { bytes, source }) = poll(host_receiver.receive()) else {
        panic!("there is an answer");
    };
    assert_eq!(bytes, [1, 8, 0, 0xC3, 0x7E, 0xCC, 0xDE, 0xF0, 9]);
    assert_eq!(source, PhysicalAddress::from_byte(0x1D));
    assert!(poll(host_receiver.receive()).is_none());
    link.down();
    let Poll::Ready(drops) = device.as_mut().poll(&mut context) else {
        panic!("the link is down");
    };
    assert_eq!(drops.of(DropReason::NotAccepted), 1);
    assert_eq!(drops.of(DropReason::UnsupportedMessageType), 1);
}
