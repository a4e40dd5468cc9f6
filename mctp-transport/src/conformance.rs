//! What every transport must do, as checks that any transport can run: see [`check`].
//!
//! A transport joins in with a [`Neighbour`], which plays the other end of its bus: it sends whole
//! packets and cut ones, takes what it is sent or does not, and says what it took.

#![allow(clippy::panic, clippy::expect_used, clippy::arithmetic_side_effects)]

use alloc::vec;
use alloc::vec::Vec;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use crate::{
    DropReason, Eid, HEADER_LEN, MessageTag, PacketHeader, PhysicalAddress, Received, SendError,
    SequenceNumber, Transfer, TransportRx, TransportTx,
};

/// What the neighbour, or the link, does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The link can carry packets. What was on its way is gone.
    LinkUp,
    /// The link is lost.
    LinkDown,
    /// The neighbour sends these MCTP packets, with whatever the binding puts around them.
    Send(Vec<Vec<u8>>),
    /// The neighbour sends a part of this MCTP packet, and ends the transfer there.
    SendCut(Vec<u8>),
    /// The neighbour has begun to send this MCTP packet, and nothing says that the rest will not
    /// come. Nothing at all where a packet comes whole or not at all.
    SendPart(Vec<u8>),
    /// The neighbour takes what it is sent from now on, or does not.
    Read(bool),
    /// The neighbour does not acknowledge the next transfer.
    RefuseNext,
}

/// The other end of the bus.
pub trait Neighbour {
    /// Does something.
    fn act(&mut self, act: Act);

    /// Where it is on its bus: packets are sent there, and come from there.
    fn address(&self) -> PhysicalAddress {
        PhysicalAddress::POINT_TO_POINT
    }

    /// What it took since the last call of this: MCTP packets, in their order.
    fn taken(&mut self) -> Vec<Vec<u8>>;

    /// Whether a packet can be cut on this bus so that the transport notices.
    fn can_cut(&self) -> bool;

    /// Whether the sender learns that the neighbour did not acknowledge a transfer.
    fn can_refuse(&self) -> bool;
}

/// A transport with its link down, and the other end of its bus.
#[derive(Debug)]
pub struct Subject<R, T, N> {
    /// The receive half.
    pub receiver: R,
    /// The send half.
    pub sender: T,
    /// The other end.
    pub neighbour: N,
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Packet(Vec<u8>),
    Dropped(DropReason),
    LinkUp,
    LinkDown,
}
use Seen::{Dropped, LinkDown, LinkUp, Packet};

/// Polls before a future counts as one that waits: a transport may let others run now and then.
const POLLS: usize = 1_000;

fn poll<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..POLLS).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// A packet of `len` bytes that begins and ends its message; its last bytes are `number`.
fn packet(number: u8, len: usize) -> Vec<u8> {
    let mut packet = header().to_bytes().to_vec();
    packet.resize(len, number);
    packet
}

fn header() -> PacketHeader {
    PacketHeader {
        destination: Eid(9),
        source: Eid(8),
        start: true,
        end: true,
        sequence: SequenceNumber::default(),
        tag_owner: true,
        tag: MessageTag::default(),
    }
}

impl<R: TransportRx, T: TransportTx, N: Neighbour> Subject<R, T, N> {
    fn next(&mut self) -> Option<Seen> {
        Some(match poll(self.receiver.receive())? {
            Received::Packet { source, bytes } | Received::Broadcast { source, bytes } => {
                assert_eq!(source, self.neighbour.address(), "the neighbour sent it");
                Packet(bytes.to_vec())
            }
            Received::Dropped(reason) => Dropped(reason),
            Received::LinkUp => LinkUp,
            Received::LinkDown => LinkDown,
        })
    }

    /// Everything that is received until only waiting is left.
    fn seen(&mut self) -> Vec<Seen> {
        core::iter::from_fn(|| self.next()).collect()
    }

    fn packets_seen(&mut self) -> Vec<Vec<u8>> {
        let packets = self.seen().into_iter().filter_map(|seen| match seen {
            Packet(bytes) => Some(bytes),
            _ => None,
        });
        packets.collect()
    }

    fn up(mut self) -> Self {
        self.neighbour.act(Act::LinkUp);
        assert_eq!(self.seen(), [LinkUp], "a link that comes up is told once");
        self
    }

    fn neighbour_sends(&mut self, packets: &[Vec<u8>]) {
        self.neighbour.act(Act::Send(packets.to_vec()));
    }

    /// Fills a transfer with as many of these packets as fit, at least one, and sends it; how many.
    fn send(&mut self, packets: &[Vec<u8>]) -> (Option<Result<(), SendError>>, usize) {
        let layout = self.sender.layout();
        let mut buffer = vec![0; layout.max_transfer.into()];
        let mut transfer = Transfer::new(&mut buffer, layout);
        let mut count = 0;
        for packet in packets {
            let payload = packet.get(HEADER_LEN..).expect("longer than a header");
            let destination = self.neighbour.address();
            let Some(place) = transfer.push(destination, header(), payload.len()) else {
                break;
            };
            place.copy_from_slice(payload);
            count += 1;
        }
        assert!(count > 0, "a transfer has room for the first packet");
        (poll(self.sender.send(&mut transfer)), count)
    }

    /// The next good packets come through, both ways.
    fn check_works(&mut self) {
        let packets = [packet(0xA1, 68), packet(0xA2, 5)];
        self.neighbour_sends(&packets);
        assert_eq!(self.packets_seen(), packets);
        let (sent, count) = self.send(&packets);
        assert_eq!(sent, Some(Ok(())));
        assert_eq!(
            self.neighbour.taken(),
            packets.get(..count).expect("no more than there are")
        );
    }
}

/// Checks a transport. `subject` makes one, with its link down, for each check.
///
/// # Panics
///
/// When the transport does something else than the contract says.
pub fn check<R: TransportRx, T: TransportTx, N: Neighbour>(subject: impl Fn() -> Subject<R, T, N>) {
    link_changes_are_told_once(subject());
    packets_of_every_length_come_whole_and_in_order(subject());
    a_lost_packet_and_a_doubled_one_harm_no_other(subject());
    a_cut_packet_costs_itself_only(subject());
    a_flood_loses_nothing_while_somebody_receives(subject());
    a_receive_that_is_dropped_loses_nothing(subject());
    a_packet_that_is_put_back_comes_again(subject());
    the_link_is_lost_between_and_within_packets(subject());
    a_transfer_arrives_whole(subject());
    a_neighbour_that_takes_nothing_is_waited_for(subject());
    a_transfer_that_is_not_acknowledged_fails_alone(subject());
    nothing_is_sent_while_the_link_is_down(subject());
}

fn link_changes_are_told_once<R: TransportRx, T: TransportTx, N: Neighbour>(
    mut subject: Subject<R, T, N>,
) {
    assert_eq!(
        subject.seen(),
        [],
        "the link is down at first, which is not told"
    );
    let mut subject = subject.up();
    subject.neighbour.act(Act::LinkDown);
    assert_eq!(subject.seen(), [LinkDown]);
    subject.up().check_works();
}

fn packets_of_every_length_come_whole_and_in_order<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    let longest = usize::from(subject.sender.layout().max_packet);
    let lengths = (HEADER_LEN + 1..=longest.min(300)).chain([longest]);
    for (number, len) in (0..=u8::MAX).cycle().zip(lengths) {
        let packets = [packet(number, len)];
        subject.neighbour_sends(&packets);
        assert_eq!(subject.packets_seen(), packets, "of {len} bytes");
    }
}

fn a_lost_packet_and_a_doubled_one_harm_no_other<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    // Packet 2 is lost, packet 3 doubled, packet 5 overtaken.
    let packets = [1, 3, 3, 4, 6, 5].map(|number| packet(number, 20));
    for packet in &packets {
        subject.neighbour_sends(core::slice::from_ref(packet));
    }
    assert_eq!(subject.packets_seen(), packets);
}

fn a_cut_packet_costs_itself_only<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    if !subject.neighbour.can_cut() {
        return;
    }
    subject.neighbour_sends(&[packet(1, 30)]);
    subject.neighbour.act(Act::SendCut(packet(2, 60)));
    subject.neighbour_sends(&[packet(3, 30)]);
    let seen = subject.seen();
    let packets = seen.iter().filter(|seen| matches!(seen, Packet(_)));
    assert!(
        packets.eq(&[Packet(packet(1, 30)), Packet(packet(3, 30))]),
        "{seen:?}"
    );
    let drops = seen.iter().filter(|seen| matches!(seen, Dropped(_)));
    assert_eq!(drops.count(), 1, "what is discarded is told once: {seen:?}");
    subject.check_works();
}

fn a_flood_loses_nothing_while_somebody_receives<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    for number in (0..=u8::MAX).cycle().take(10_000) {
        let packets = [packet(number, 9), packet(number, 68)];
        subject.neighbour_sends(&packets);
        assert_eq!(subject.packets_seen(), packets);
    }
}

fn a_receive_that_is_dropped_loses_nothing<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    for number in 0..20 {
        assert_eq!(subject.next(), None, "dropped while it waits");
        subject.neighbour_sends(&[packet(number, 40)]);
        assert_eq!(subject.next(), Some(Packet(packet(number, 40))));
    }
}

fn a_packet_that_is_put_back_comes_again<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    if !subject.receiver.can_wait() {
        return;
    }
    let packets = [1, 2].map(|number| packet(number, 30));
    subject.neighbour_sends(&packets);
    for expected in packets {
        for _ in 0..3 {
            assert_eq!(subject.next(), Some(Packet(expected.clone())));
            subject.receiver.put_back();
        }
        assert_eq!(subject.next(), Some(Packet(expected)));
    }
    assert_eq!(subject.next(), None);
    subject.neighbour_sends(&[packet(3, 30)]);
    assert_eq!(subject.next(), Some(Packet(packet(3, 30))));
    subject.receiver.put_back();
    subject.neighbour.act(Act::LinkDown);
    subject.neighbour.act(Act::LinkUp);
    let changes = subject.seen();
    let packets = changes.iter().filter(|seen| matches!(seen, Packet(_)));
    assert!(packets.count() <= 1, "{changes:?}");
    subject.check_works();
}

fn the_link_is_lost_between_and_within_packets<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    let long = usize::from(subject.sender.layout().max_packet).min(600);
    let acts = [
        Act::Send(vec![packet(1, 30)]),
        Act::SendCut(packet(2, 60)),
        Act::SendPart(packet(3, long)),
    ];
    for act in acts {
        subject.neighbour.act(act);
        let _ = subject.next();
        subject.neighbour.act(Act::LinkDown);
        let seen = subject.seen();
        assert_eq!(
            seen.iter().filter(|seen| **seen == LinkDown).count(),
            1,
            "{seen:?}"
        );
        assert_eq!(seen.last(), Some(&LinkDown), "nothing comes behind it");
        subject.neighbour.act(Act::LinkUp);
        assert_eq!(subject.seen(), [LinkUp], "nothing from before");
        subject.check_works();
    }
}

fn a_transfer_arrives_whole<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    let longest = usize::from(subject.sender.layout().max_packet);
    let lengths = [5, 68, 6, longest, 64, 5, 5, 68, 68, 67, 66, longest];
    let packets: Vec<_> = (1..)
        .zip(lengths)
        .map(|(number, len)| packet(number, len))
        .collect();
    let mut rest = &packets[..];
    while !rest.is_empty() {
        let (sent, count) = subject.send(rest);
        assert_eq!(sent, Some(Ok(())));
        let (now, later) = rest.split_at(count);
        assert_eq!(subject.neighbour.taken(), now);
        rest = later;
    }
}

fn a_neighbour_that_takes_nothing_is_waited_for<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    subject.neighbour.act(Act::Read(false));
    let (sent, _) = subject.send(&[packet(1, 30)]);
    assert_eq!(sent, None);
    assert_eq!(subject.neighbour.taken(), Vec::<Vec<u8>>::new());
    subject.neighbour_sends(&[packet(2, 30)]);
    assert_eq!(
        subject.packets_seen(),
        [packet(2, 30)],
        "it can be heard meanwhile"
    );
    subject.neighbour.act(Act::Read(true));
    subject.check_works();
}

fn a_transfer_that_is_not_acknowledged_fails_alone<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    if !subject.neighbour.can_refuse() {
        return;
    }
    subject.neighbour.act(Act::RefuseNext);
    let (sent, _) = subject.send(&[packet(1, 30)]);
    assert_eq!(sent, Some(Err(SendError::NotAccepted)));
    assert_eq!(subject.neighbour.taken(), Vec::<Vec<u8>>::new());
    subject.check_works();
}

fn nothing_is_sent_while_the_link_is_down<R: TransportRx, T: TransportTx, N: Neighbour>(
    subject: Subject<R, T, N>,
) {
    let mut subject = subject.up();
    subject.neighbour.act(Act::LinkDown);
    let (sent, _) = subject.send(&[packet(1, 30)]);
    assert_eq!(sent, Some(Err(SendError::LinkDown)));
    let _ = subject.seen();
    let mut subject = subject.up();
    assert_eq!(
        subject.neighbour.taken(),
        Vec::<Vec<u8>>::new(),
        "nothing from before"
    );
    subject.check_works();
}
