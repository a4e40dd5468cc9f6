//! A bus with one requester on it: its packets, and what comes back.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::Poll;

use mctp_transport::{Eid, MessageTag, Packet, PacketHeader, SequenceNumber};

pub const DEVICE: Eid = Eid(9);
pub const REQUESTER: Eid = Eid(8);
/// Vendor defined messages of a PCI vendor, without an integrity check.
pub const MESSAGE_TYPE: u8 = 0x7E;
const TAG: MessageTag = MessageTag::from_low_bits(3);
const END: u8 = 0x40;

/// The mock below both stacks. What it does for each packet is the same for both, and next to nothing.
pub struct Link {
    request: Vec<Vec<u8>>,
    /// How many packets of the request were taken.
    taken: Cell<usize>,
    /// Whether packets of the response are kept, to be checked.
    keeps: Cell<bool>,
    /// The last packet of a response came out.
    ended: Cell<bool>,
    sent_bytes: Cell<usize>,
    kept: RefCell<Vec<Vec<u8>>>,
}

impl Link {
    /// A requester that sends `body`, behind the message type byte, in packets of `unit` bytes of payload.
    pub fn new(body: &[u8], unit: usize) -> Self {
        let request = packets(body, unit);
        Self {
            taken: Cell::new(request.len()),
            request,
            ended: Cell::new(false),
            sent_bytes: Cell::new(0),
            keeps: Cell::new(false),
            kept: RefCell::new(Vec::new()),
        }
    }

    /// The requester sends its request once more.
    pub fn begin(&self) {
        self.taken.set(0);
        self.ended.set(false);
    }

    /// The message was taken, and there is no response to come.
    pub fn end(&self) {
        self.ended.set(true);
    }

    /// Takes the request away, once it is there: for a service that has its message already.
    pub async fn wait_for_request(&self) {
        poll_fn(|_| {
            if self.taken.get() == 0 {
                self.taken.set(self.request.len());
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether the end of a response came out since [`begin`](Self::begin).
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Packet bytes that came out so far.
    pub fn sent_bytes(&self) -> usize {
        self.sent_bytes.get()
    }

    /// The next packet of the request, if it is there.
    #[inline]
    pub fn next_packet(&self) -> Option<&[u8]> {
        let index = self.taken.get();
        let packet = self.request.get(index)?;
        self.taken.set(index + 1);
        Some(packet)
    }

    /// Takes one packet of the response.
    #[inline]
    pub fn send(&self, packet: &[u8]) {
        self.sent_bytes.set(self.sent_bytes.get() + packet.len());
        self.ended
            .set(packet.get(3).is_some_and(|flags| flags & END != 0));
        if self.keeps.get() {
            self.keep(packet);
        }
    }

    #[cold]
    fn keep(&self, packet: &[u8]) {
        self.kept.borrow_mut().push(packet.to_vec());
    }

    /// Keeps the packets of the response from now on.
    pub fn start_capture(&self) {
        self.keeps.set(true);
    }

    /// Stops keeping packets, and panics unless those kept are the answer to the request, in packets of `unit`.
    pub fn check_capture(&self, body: &[u8], unit: usize) {
        self.keeps.set(false);
        let capture = self.kept.take();
        let mut message = Vec::new();
        for (index, bytes) in capture.iter().enumerate() {
            let packet = Packet::parse(bytes).expect("a packet");
            let header = packet.header;
            assert_eq!((header.source, header.destination), (DEVICE, REQUESTER));
            assert_eq!((header.tag, header.tag_owner), (TAG, false));
            assert_eq!(header.start, index == 0);
            assert_eq!(header.end, index + 1 == capture.len());
            assert!(header.end || packet.payload.len() == unit, "packet {index}");
            message.extend_from_slice(packet.payload);
        }
        assert_eq!(message.split_first(), Some((&MESSAGE_TYPE, body)));
    }
}

fn packets(body: &[u8], unit: usize) -> Vec<Vec<u8>> {
    let message = [&[MESSAGE_TYPE], body].concat();
    let mut sequence = SequenceNumber::default();
    let count = message.len().div_ceil(unit);
    let packet = |(index, payload): (usize, &[u8])| {
        let header = PacketHeader {
            destination: DEVICE,
            source: REQUESTER,
            start: index == 0,
            end: index + 1 == count,
            sequence,
            tag_owner: true,
            tag: TAG,
        };
        sequence = sequence.next();
        [&header.to_bytes(), payload].concat()
    };
    message.chunks(unit).enumerate().map(packet).collect()
}
