//! The ports' other side: packets of requesters, and what comes back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use mctp::Eid;
use mctp_bench::{Message as BenchMessage, Request};
use mctp_transport::{MessageTag, Packet, PacketHeader, SequenceNumber};

use crate::case::Case;
use crate::leak;
use crate::meter::uncounted;

pub const DEVICE: Eid = Eid(0xFE);
const FIRST_PEER: u8 = 8;
const END: u8 = 0x40;
const TAG_BITS: u8 = 0x07;
/// Messages of a stream that make a round.
const STREAM_ROUND: usize = 16;

/// The endpoint ID of a requester.
pub fn peer(index: usize) -> Eid {
    Eid(FIRST_PEER + index as u8)
}

/// The message from `peer` on its port.
struct Message {
    port: usize,
    peer: Eid,
    tag: MessageTag,
}

/// A packet that comes by `port`.
struct Incoming {
    port: usize,
    bytes: Vec<u8>,
}

/// What comes of the messages that come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    /// Each is sent back, or nothing is sent.
    Echo,
    /// A single one, for which a stream of others is sent.
    Stream,
}

/// The mock below both stacks. What it does in their tasks is not counted.
pub struct Link {
    service: Service,
    /// The packets of messages that come interleaved, by group.
    groups: Vec<Vec<Incoming>>,
    group: Cell<usize>,
    /// How many packets of the group were taken.
    taken: Cell<usize>,
    /// How many messages must be sent for a group.
    awaited: usize,
    /// How many were.
    ended: Cell<usize>,
    /// Who waits for packets, by port.
    receivers: Vec<Cell<Option<Waker>>>,
    /// Who waits for the beginning of a round in the place of packets.
    starter: Cell<Option<Waker>>,
    sent_bytes: Cell<usize>,
    /// Whether what is sent is kept, to be checked.
    keeps: Cell<bool>,
    kept: RefCell<Vec<(usize, Vec<u8>)>>,
}

impl Link {
    /// Requesters of the echo service.
    pub fn of_echo(case: &Case) -> &'static Self {
        let message = [&[case.message_type().0], &case.body()[..]].concat();
        Self::new(case, &message, Service::Echo, case.in_flight)
    }

    /// A requester of the bench service.
    pub fn of_stream(case: &Case) -> &'static Self {
        let request = Request {
            instance_id: 1,
            length: case.payload as u16,
            count: u64::MAX,
        };
        let message = [&[mctp::MCTP_TYPE_VENDOR_PCIE.0], &request.encode()[..]].concat();
        Self::new(case, &message, Service::Stream, STREAM_ROUND)
    }

    /// Lives for good, as do all parts of a measurement.
    fn new(case: &Case, message: &[u8], service: Service, awaited: usize) -> &'static Self {
        let groups: Vec<_> = groups(case)
            .map(|messages| interleaved(case, &messages, message))
            .collect();
        leak(Self {
            service,
            group: Cell::new(groups.len() - 1),
            taken: Cell::new(usize::MAX),
            awaited,
            ended: Cell::new(awaited),
            groups,
            receivers: (0..case.ports).map(|_| Cell::new(None)).collect(),
            starter: Cell::new(None),
            sent_bytes: Cell::new(0),
            keeps: Cell::new(false),
            kept: RefCell::new(Vec::new()),
        })
    }

    /// How many groups of messages there are, to be sent in turn.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Messages whose end makes a round.
    pub fn messages_of_round(&self) -> usize {
        self.awaited
    }

    /// The requesters send their next group of messages. A stream goes on.
    pub fn begin(&self) {
        assert!(self.has_ended(), "the last round");
        self.ended.set(self.ended.get() - self.awaited);
        if self.service == Service::Stream && self.taken.get() != usize::MAX {
            return;
        }
        if let Some(starter) = self.starter.take() {
            return starter.wake();
        }
        self.group.set(match self.group.get() + 1 {
            group if group == self.groups.len() => 0,
            group => group,
        });
        self.taken.set(0);
        self.wake_next_receiver();
    }

    /// Waits for the beginning of a round, in which there are then no requests.
    pub async fn wait_for_start(&self) {
        let mut waits = false;
        poll_fn(|context| {
            if waits {
                return Poll::Ready(());
            }
            waits = true;
            uncounted(|| self.starter.set(Some(context.waker().clone())));
            Poll::Pending
        })
        .await;
    }

    /// A message was taken to which there is no response to come.
    #[inline]
    pub fn end_message(&self) {
        uncounted(|| self.ended.set(self.ended.get() + 1));
    }

    /// Whether all messages of the group came to their end.
    pub fn has_ended(&self) -> bool {
        self.ended.get() >= self.awaited
    }

    /// Packet bytes that came out so far.
    pub fn sent_bytes(&self) -> usize {
        self.sent_bytes.get()
    }

    /// The packets of the group that were not taken yet.
    fn coming(&self) -> Option<&Incoming> {
        self.groups[self.group.get()].get(self.taken.get())
    }

    fn wake_next_receiver(&self) {
        if let Some(next) = self.coming()
            && let Some(receiver) = self.receivers[next.port].take()
        {
            receiver.wake();
        }
    }

    /// The next packet, and its port.
    #[inline]
    pub fn next_packet(&self) -> Option<(usize, &[u8])> {
        uncounted(|| {
            let next = self.coming()?;
            self.taken.set(self.taken.get() + 1);
            Some((next.port, &next.bytes[..]))
        })
    }

    /// The packet that was taken last comes once more.
    pub fn put_back(&self) {
        self.taken.set(self.taken.get() - 1);
    }

    /// The next packet, if it comes by `port`.
    #[inline]
    pub fn poll_packet(&self, port: usize, context: &Context<'_>) -> Poll<&[u8]> {
        uncounted(|| match self.coming() {
            Some(next) if next.port == port => {
                self.taken.set(self.taken.get() + 1);
                Poll::Ready(&next.bytes[..])
            }
            _ => {
                self.receivers[port].set(Some(context.waker().clone()));
                self.wake_next_receiver();
                Poll::Pending
            }
        })
    }

    /// Takes so many bytes without a look at them.
    #[inline]
    pub fn sent(&self, bytes: usize) {
        uncounted(|| self.sent_bytes.set(self.sent_bytes.get() + bytes));
    }

    /// Takes packets that are sent by `port`.
    #[inline]
    pub fn send<'p>(&self, port: usize, packets: impl IntoIterator<Item = &'p [u8]>) {
        uncounted(|| {
            for packet in packets {
                self.take(port, packet);
            }
        });
    }

    fn take(&self, port: usize, packet: &[u8]) {
        self.sent_bytes.set(self.sent_bytes.get() + packet.len());
        let end = packet.get(3).is_some_and(|flags| flags & END != 0);
        self.ended.set(self.ended.get() + usize::from(end));
        if self.keeps.get() {
            self.keep(port, packet);
        }
    }

    /// Takes a USB transfer of packets, each behind its header of MCTP over USB.
    #[inline]
    pub fn send_usb_transfer(&self, mut bytes: &[u8]) {
        uncounted(|| {
            while let [_, _, _, len, ..] = *bytes {
                let (packet, rest) = bytes.split_at(len.into());
                self.take(0, &packet[4..]);
                bytes = rest;
            }
        });
    }

    #[cold]
    fn keep(&self, port: usize, packet: &[u8]) {
        self.kept.borrow_mut().push((port, packet.to_vec()));
    }

    /// Keeps what is sent from now on.
    pub fn start_capture(&self) {
        self.keeps.set(true);
    }

    /// Stops keeping packets, and panics unless those kept, if any, are what was to be sent.
    pub fn check_capture(&self, case: &Case) {
        self.keeps.set(false);
        let kept = self.kept.take();
        match self.service {
            _ if kept.is_empty() => {}
            Service::Echo => self.check_responses(case, &kept),
            Service::Stream => check_stream(case, &kept),
        }
    }

    /// The group's messages are sent back to where they came from.
    fn check_responses(&self, case: &Case, packets: &[(usize, Vec<u8>)]) {
        let mut expected: Vec<_> = groups(case).nth(self.group.get()).expect("the group");
        let body = [&[case.message_type().0], &case.body()[..]].concat();
        let mut messages = HashMap::<_, Vec<u8>>::new();
        for (port, bytes) in packets {
            let Packet { header, payload } = Packet::parse(bytes).expect("a packet");
            assert_eq!((header.source, header.tag_owner), (DEVICE, false));
            let key = (header.destination, bytes[3] & TAG_BITS);
            let message = messages.entry(key).or_default();
            assert_eq!(header.start, message.is_empty());
            assert!(header.end || payload.len() == case.unit);
            message.extend_from_slice(payload);
            assert_eq!(header.end, message.len() == body.len());
            if header.end {
                assert_eq!(*message, body);
                let sent = expected.iter().position(|expected| {
                    (expected.port, expected.peer, expected.tag)
                        == (*port, header.destination, header.tag)
                });
                expected.remove(sent.expect("a response to a request"));
            }
        }
        assert!(expected.is_empty(), "all requests were answered");
    }
}

/// Data messages of the length asked for. The first packets may be the end of one, and the last
/// ones a beginning.
fn check_stream(case: &Case, packets: &[(usize, Vec<u8>)]) {
    let mut message = Vec::new();
    let mut messages = 0;
    for (_, bytes) in packets {
        let Packet { header, payload } = Packet::parse(bytes).expect("a packet");
        if header.start {
            message.clear();
        } else if message.is_empty() {
            continue;
        }
        message.extend_from_slice(payload);
        if header.end && header.tag_owner {
            assert_eq!(message.len() - 1, case.payload);
            let data = BenchMessage::parse(&message[1..]);
            assert!(matches!(data, Some(BenchMessage::Data(_))));
            messages += 1;
        }
    }
    assert!(messages >= STREAM_ROUND - 2, "{messages} messages");
}

/// The messages of each group. All peers have their turn, and no two messages of a group have both
/// peer and tag in common.
fn groups(case: &Case) -> impl Iterator<Item = Vec<Message>> {
    let &Case {
        peers,
        ports,
        in_flight,
        ..
    } = case;
    assert!(
        in_flight <= 8 * peers && ports <= peers,
        "peers have 8 tags"
    );
    let count = (1..=peers).find(|count| count * in_flight % peers == 0);
    (0..count.expect("at the latest after as many as there are peers")).map(move |group| {
        let mut messages: Vec<_> = (0..in_flight)
            .map(|index| {
                let sender = (group * in_flight + index) % peers;
                Message {
                    port: sender % ports,
                    peer: peer(sender),
                    tag: MessageTag::from_low_bits((3 + index / peers) as u8),
                }
            })
            .collect();
        messages.sort_by_key(|message| message.port);
        messages
    })
}

/// The first packets of all messages, then their second ones.
fn interleaved(case: &Case, messages: &[Message], body: &[u8]) -> Vec<Incoming> {
    let count = body.len().div_ceil(case.unit);
    let mut sequence = SequenceNumber::default();
    let mut packets = Vec::new();
    for (index, payload) in body.chunks(case.unit).enumerate() {
        for message in messages {
            let header = PacketHeader {
                destination: DEVICE,
                source: message.peer,
                start: index == 0,
                end: index + 1 == count,
                sequence,
                tag_owner: true,
                tag: message.tag,
            };
            packets.push(Incoming {
                port: message.port,
                bytes: [&header.to_bytes(), payload].concat(),
            });
        }
        sequence = sequence.next();
    }
    packets
}
