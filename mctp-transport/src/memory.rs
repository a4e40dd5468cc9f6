//! A link of two ends in memory, for tests of whatever uses a transport.
//!
//! What one end sends, the other receives, in order and at once, until a test says otherwise: each
//! direction has a rule that decides the [`Fate`] of each packet, and time passes only when the
//! test says so.
//!
//! ```
//! use core::time::Duration;
//! use mctp_transport::memory::{Fate, Link, Side};
//! use mctp_transport::{PhysicalAddress, TransferLayout};
//!
//! let layout = TransferLayout::new(2, 68, 70);
//! let link = Link::new(layout, [PhysicalAddress::from_byte(0x10), PhysicalAddress::from_byte(0x1D)]);
//! let (device, host) = (link.end(Side::Left), link.end(Side::Right));
//! // The third packet of the device is lost, the fourth overtaken.
//! link.decide(Side::Left, |number, _| match number {
//!     2 => Fate::Lost,
//!     3 => Fate::Late(Duration::from_millis(5)),
//!     _ => Fate::Delivered,
//! });
//! link.up();
//! # let _ = (device, host);
//! ```

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::mem;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use crate::{
    PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx, TransportTx,
};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at once.
    Delivered,
    /// It arrives this much later; those behind it overtake it unless they are as late.
    Late(Duration),
    /// It arrives twice, at once.
    Twice,
    /// It does not arrive, and nobody knows.
    Lost,
    /// The neighbour does not acknowledge it: sending fails with [`SendError::NotAccepted`], and the
    /// rest of the transfer is not sent.
    NotAccepted,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A link of two ends. It begins with the link down, and with both ends reading.
#[derive(Clone, Debug)]
pub struct Link(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    layout: TransferLayout,
    is_up: bool,
    now: Duration,
    /// From the left end, and from the right one.
    left: Direction,
    right: Direction,
}

/// What decides the fate of each packet: it gets how many were sent before, and the packet.
type Rule = Box<dyn FnMut(u64, &[u8]) -> Fate>;

/// From one end to the other.
struct Direction {
    source: PhysicalAddress,
    rule: Rule,
    /// How many packets were sent.
    sent: u64,
    /// Those on their way, in the order in which they arrive, each with when.
    on_its_way: Vec<(Duration, Vec<u8>)>,
    /// The far end takes what is sent.
    is_read: bool,
    /// The task that waits to receive, or to send.
    waiting: Vec<Waker>,
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direction")
            .field("sent", &self.sent)
            .field("on_its_way", &self.on_its_way)
            .field("is_read", &self.is_read)
            .finish_non_exhaustive()
    }
}

impl Direction {
    fn new(source: PhysicalAddress) -> Self {
        Self {
            source,
            rule: Box::new(|_, _| Fate::Delivered),
            sent: 0,
            on_its_way: Vec::new(),
            is_read: true,
            waiting: Vec::new(),
        }
    }

    fn send(&mut self, now: Duration, packet: &[u8]) -> Result<(), SendError> {
        let fate = (self.rule)(self.sent, packet);
        self.sent = self.sent.wrapping_add(1);
        match fate {
            Fate::Delivered => self.put(now, packet),
            Fate::Late(by) => self.put(now.saturating_add(by), packet),
            Fate::Twice => {
                self.put(now, packet);
                self.put(now, packet);
            }
            Fate::Lost => {}
            Fate::NotAccepted => return Err(SendError::NotAccepted),
        }
        self.wake();
        Ok(())
    }

    /// Behind those that arrive as early.
    fn put(&mut self, due: Duration, packet: &[u8]) {
        let index = self.on_its_way.partition_point(|(other, _)| *other <= due);
        self.on_its_way.insert(index, (due, packet.to_vec()));
    }

    /// How many packets have arrived and were not received yet.
    fn arrived(&self, now: Duration) -> usize {
        self.on_its_way.partition_point(|(due, _)| *due <= now)
    }

    fn wait(&mut self, context: &Context<'_>) {
        self.waiting.push(context.waker().clone());
    }

    fn wake(&mut self) {
        for waker in mem::take(&mut self.waiting) {
            waker.wake();
        }
    }
}

impl State {
    fn from(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    fn set_up(&mut self, is_up: bool) {
        self.is_up = is_up;
        for side in [Side::Left, Side::Right] {
            self.from(side).on_its_way.clear();
            self.from(side).wake();
        }
    }
}

impl Link {
    /// A link whose ends have these addresses, the left one's first, and send transfers of this
    /// layout.
    pub fn new(layout: TransferLayout, [left, right]: [PhysicalAddress; 2]) -> Self {
        Self(Rc::new(RefCell::new(State {
            layout,
            is_up: false,
            now: Duration::ZERO,
            left: Direction::new(left),
            right: Direction::new(right),
        })))
    }

    /// Both halves of a transport at one end. To be called once for each.
    pub fn end(&self, side: Side) -> (Receiver, Sender) {
        let link = self.clone();
        let sender = Sender { link, side };
        let receiver = Receiver {
            link: self.clone(),
            side,
            was_up: false,
            packet: Vec::new(),
            is_put_back: false,
        };
        (receiver, sender)
    }

    /// The link can carry packets.
    pub fn up(&self) {
        self.0.borrow_mut().set_up(true);
    }

    /// The link is lost, and with it what is on its way.
    pub fn down(&self) {
        self.0.borrow_mut().set_up(false);
    }

    /// From now on `rule` decides what becomes of each packet from this end: it gets how many were
    /// sent before, and the packet.
    pub fn decide(&self, from: Side, rule: impl FnMut(u64, &[u8]) -> Fate + 'static) {
        self.0.borrow_mut().from(from).rule = Box::new(rule);
    }

    /// Whether this end takes what is sent to it: while it does not, the other end's
    /// [`send`](TransportTx::send) waits.
    pub fn set_reading(&self, side: Side, is_reading: bool) {
        let mut state = self.0.borrow_mut();
        let direction = state.from(side.other());
        direction.is_read = is_reading;
        direction.wake();
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        let mut state = self.0.borrow_mut();
        state.now = state.now.saturating_add(time);
        state.left.wake();
        state.right.wake();
    }
}

/// The receive half of an end.
#[derive(Debug)]
pub struct Receiver {
    link: Link,
    side: Side,
    /// The stack was told that the link is up.
    was_up: bool,
    /// The last packet received.
    packet: Vec<u8>,
    is_put_back: bool,
}

impl Receiver {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Received<'static>>> {
        let mut state = self.link.0.borrow_mut();
        let (is_up, now) = (state.is_up, state.now);
        let direction = state.from(self.side.other());
        if mem::replace(&mut self.was_up, is_up) != is_up {
            self.is_put_back = false;
            return Poll::Ready(Some(match is_up {
                true => Received::LinkUp,
                false => Received::LinkDown,
            }));
        }
        if mem::take(&mut self.is_put_back) {
            return Poll::Ready(None);
        }
        if direction.arrived(now) == 0 {
            direction.wait(context);
            return Poll::Pending;
        }
        (_, self.packet) = direction.on_its_way.remove(0);
        Poll::Ready(None)
    }
}

impl TransportRx for Receiver {
    fn can_wait(&self) -> bool {
        true
    }

    fn put_back(&mut self) {
        self.is_put_back = self.was_up;
    }

    fn take_out_of_turn(&mut self, mut take: impl FnMut(PhysicalAddress, &[u8]) -> bool) {
        let mut state = self.link.0.borrow_mut();
        let now = state.now;
        let direction = state.from(self.side.other());
        let (source, mut left) = (direction.source, direction.arrived(now));
        direction.on_its_way.retain(|(_, packet)| {
            let has_arrived = left > 0;
            left = left.saturating_sub(1);
            !(has_arrived && take(source, packet))
        });
    }

    async fn receive(&mut self) -> Received<'_> {
        if let Some(event) = poll_fn(|context| self.poll(context)).await {
            return event;
        }
        let source = self.link.0.borrow_mut().from(self.side.other()).source;
        Received::Packet {
            source,
            bytes: &self.packet,
        }
    }
}

/// The send half of an end.
#[derive(Debug)]
pub struct Sender {
    link: Link,
    side: Side,
}

impl TransportTx for Sender {
    fn layout(&self) -> TransferLayout {
        self.link.0.borrow().layout
    }

    async fn send(&mut self, transfer: &mut Transfer<'_>) -> Result<(), SendError> {
        poll_fn(|context| {
            let mut state = self.link.0.borrow_mut();
            let (is_up, now) = (state.is_up, state.now);
            let direction = state.from(self.side);
            if !is_up {
                return Poll::Ready(Err(SendError::LinkDown));
            }
            if !direction.is_read {
                direction.wait(context);
                return Poll::Pending;
            }
            let mut packets = transfer.packets();
            Poll::Ready(packets.try_for_each(|packet| direction.send(now, packet)))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use std::vec;

    use super::*;
    use crate::conformance::{Act, Neighbour, Subject, check};
    use crate::{Eid, MessageTag, PacketHeader, SequenceNumber};

    const LAYOUT: TransferLayout = TransferLayout::new(2, 68, 512).with_packs(true);
    const ADDRESSES: [PhysicalAddress; 2] = [
        PhysicalAddress::from_byte(0x10),
        PhysicalAddress::from_byte(0x1D),
    ];

    fn poll<F: Future>(future: F) -> Option<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// The next that is received: a packet's payload and source.
    fn next(receiver: &mut Receiver) -> Option<Result<(Vec<u8>, PhysicalAddress), Received<'_>>> {
        Some(match poll(receiver.receive())? {
            Received::Packet { source, bytes } => Ok((bytes[4..].to_vec(), source)),
            event => Err(event),
        })
    }

    /// The payloads that are received without waiting.
    fn all(receiver: &mut Receiver) -> Vec<u8> {
        core::iter::from_fn(|| Some(next(receiver)?.unwrap().0[0])).collect()
    }

    /// Sends packets of one byte each in one transfer.
    fn send(sender: &mut Sender, payloads: &[u8]) -> Option<Result<(), SendError>> {
        let mut buffer = [0; 512];
        let mut transfer = Transfer::new(&mut buffer, sender.layout());
        let header = PacketHeader {
            destination: Eid(9),
            source: Eid(8),
            start: true,
            end: true,
            sequence: SequenceNumber::default(),
            tag_owner: true,
            tag: MessageTag::default(),
        };
        for payload in payloads {
            let place = transfer.push(PhysicalAddress::POINT_TO_POINT, header, 1);
            place.unwrap().copy_from_slice(&[*payload]);
        }
        poll(sender.send(&mut transfer))
    }

    fn up() -> (Link, Sender, Receiver) {
        let link = Link::new(LAYOUT, ADDRESSES);
        let (_, sender) = link.end(Side::Left);
        let (mut receiver, _) = link.end(Side::Right);
        link.up();
        assert_eq!(next(&mut receiver), Some(Err(Received::LinkUp)));
        (link, sender, receiver)
    }

    #[test]
    fn packets_arrive_in_order_with_the_address_of_their_sender() {
        let (_link, mut sender, mut receiver) = up();
        assert_eq!(send(&mut sender, &[1, 2]), Some(Ok(())));
        assert_eq!(next(&mut receiver), Some(Ok((vec![1], ADDRESSES[0]))));
        assert_eq!(all(&mut receiver), [2]);
    }

    #[test]
    fn the_rule_decides_what_becomes_of_each_packet() {
        let (link, mut sender, mut receiver) = up();
        link.decide(Side::Left, |number, _| match number {
            0 => Fate::Late(Duration::from_millis(5)),
            1 => Fate::Twice,
            2 => Fate::Lost,
            4 => Fate::NotAccepted,
            _ => Fate::Delivered,
        });
        let sent = send(&mut sender, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(sent, Some(Err(SendError::NotAccepted)));
        assert_eq!(all(&mut receiver), [2, 2, 4]);
        link.pass(Duration::from_millis(4));
        assert_eq!(all(&mut receiver), []);
        link.pass(Duration::from_millis(1));
        assert_eq!(all(&mut receiver), [1]);
    }

    #[test]
    fn a_link_that_is_lost_loses_what_is_on_its_way_and_says_so_once() {
        let (link, mut sender, mut receiver) = up();
        assert_eq!(send(&mut sender, &[1]), Some(Ok(())));
        link.down();
        assert_eq!(send(&mut sender, &[2]), Some(Err(SendError::LinkDown)));
        assert_eq!(next(&mut receiver), Some(Err(Received::LinkDown)));
        assert_eq!(next(&mut receiver), None);
        link.up();
        assert_eq!(next(&mut receiver), Some(Err(Received::LinkUp)));
        assert_eq!(next(&mut receiver), None);
    }

    #[test]
    fn an_end_that_does_not_read_lets_the_other_wait() {
        let (link, mut sender, mut receiver) = up();
        link.set_reading(Side::Right, false);
        assert_eq!(send(&mut sender, &[1]), None);
        link.set_reading(Side::Right, true);
        assert_eq!(send(&mut sender, &[2]), Some(Ok(())));
        assert_eq!(all(&mut receiver), [2]);
    }

    #[test]
    fn a_packet_that_was_put_back_comes_again_behind_those_taken_out_of_turn() {
        let (_link, mut sender, mut receiver) = up();
        assert_eq!(send(&mut sender, &[1, 2, 3]), Some(Ok(())));
        assert_eq!(next(&mut receiver), Some(Ok((vec![1], ADDRESSES[0]))));
        receiver.put_back();
        receiver.take_out_of_turn(|source, packet| source == ADDRESSES[0] && packet[4] == 3);
        assert_eq!(all(&mut receiver), [1, 2]);
    }

    /// The right end, played by the conformance checks.
    struct RightEnd {
        link: Link,
        receiver: Receiver,
        sender: Sender,
    }

    impl Neighbour for RightEnd {
        fn act(&mut self, act: Act) {
            match act {
                Act::LinkUp => self.link.up(),
                Act::LinkDown => self.link.down(),
                Act::Send(packets) => {
                    for packet in packets {
                        let mut buffer = [0; 512];
                        let mut transfer = Transfer::new(&mut buffer, LAYOUT);
                        let (header, payload) = packet.split_first_chunk().unwrap();
                        let header = crate::RawHeader::from_bytes(*header);
                        let place = transfer.push(ADDRESSES[0], header, payload.len());
                        place.unwrap().copy_from_slice(payload);
                        assert_eq!(poll(self.sender.send(&mut transfer)), Some(Ok(())));
                    }
                }
                // It is lost.
                Act::SendCut(_) | Act::SendPart(_) => {}
                Act::Read(is_reading) => self.link.set_reading(Side::Right, is_reading),
                Act::RefuseNext => {
                    let mut is_first = true;
                    self.link.decide(Side::Left, move |_, _| {
                        match mem::replace(&mut is_first, false) {
                            true => Fate::NotAccepted,
                            false => Fate::Delivered,
                        }
                    });
                }
            }
        }

        fn address(&self) -> PhysicalAddress {
            ADDRESSES[1]
        }

        fn taken(&mut self) -> Vec<Vec<u8>> {
            let mut taken = Vec::new();
            while let Some(received) = poll(self.receiver.receive()) {
                if let Received::Packet { bytes, .. } = received {
                    taken.push(bytes.to_vec());
                }
            }
            taken
        }

        fn can_cut(&self) -> bool {
            false
        }

        fn can_refuse(&self) -> bool {
            true
        }
    }

    #[test]
    fn it_is_a_transport_by_all_checks() {
        for packs in [false, true] {
            let layout = LAYOUT.with_packs(packs);
            check(|| {
                let link = Link::new(layout, ADDRESSES);
                let (receiver, sender) = link.end(Side::Left);
                let (right_receiver, right_sender) = link.end(Side::Right);
                let neighbour = RightEnd {
                    link,
                    receiver: right_receiver,
                    sender: right_sender,
                };
                Subject {
                    receiver,
                    sender,
                    neighbour,
                }
            });
        }
    }
}
