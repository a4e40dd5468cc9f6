//! The receive half: a bulk OUT endpoint.

use core::future::poll_fn;
use core::task::Poll;

use embassy_usb_driver::{EndpointError, EndpointOut};
use mctp_transport::{DropReason, PhysicalAddress, Received, TransportRx};

use crate::framing::Reassembler;
use crate::{BufferTooSmall, BusEvents, Version};

/// Where the link is, and what of it the stack still has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up,
    /// Down, to be told.
    Lost,
    /// Down and up again, both to be told before the USB packet that is in the buffer is taken.
    Restarted {
        usb_packet: usize,
    },
    /// Up again, to be told before the USB packet that is in the buffer is taken.
    Back {
        usb_packet: usize,
    },
}

/// Receives MCTP packets from a bulk OUT endpoint, in place.
///
/// - Packets stay in the receive buffer until they are taken, one by one; only then is the endpoint
///   read again. So take them at once.
/// - The endpoint is never stalled: what is malformed is read and dropped. See
///   [`framing::Reassembler`](crate::framing::Reassembler) for what that costs.
/// - The future of [`receive`](TransportRx::receive) may be dropped at any time, as far as the
///   endpoint's `read` may: a USB packet must be gone from the driver only when `read` has returned
///   it.
/// - A bus reset, a new configuration and an unplugged cable are [`Received::LinkDown`] (with some
///   drivers only once the host is back: when they do not end the pending read). Suspend is not:
///   the endpoint ID survives it. Each of them costs a packet of which only a part had arrived,
///   counted as [`DropReason::LinkDown`].
#[derive(Debug)]
pub struct Receiver<'d, E> {
    endpoint: E,
    events: &'d BusEvents,
    reassembler: Reassembler<'d>,
    link: Link,
    /// USB packets that were read outside of the fast path.
    reads: u8,
}

impl<'d, E: EndpointOut> Receiver<'d, E> {
    /// Receives from `endpoint` into `buffer`.
    ///
    /// # Errors
    ///
    /// When `buffer` is shorter than [`Version::min_receive_buffer_len`].
    pub fn new(
        endpoint: E,
        version: Version,
        events: &'d BusEvents,
        buffer: &'d mut [u8],
    ) -> Result<Self, BufferTooSmall> {
        let reassembler = Reassembler::new(version, endpoint.info().max_packet_size, buffer)?;
        Ok(Self {
            endpoint,
            events,
            reassembler,
            link: Link::Down,
            reads: 0,
        })
    }

    fn packet(&mut self, length: usize) -> Received<'_> {
        Received::Packet {
            source: PhysicalAddress::POINT_TO_POINT,
            bytes: self.reassembler.hand_out(length),
        }
    }

    /// Takes what came of reading a USB packet, and returns why that costs a packet.
    fn take(&mut self, read: Result<usize, EndpointError>) -> Option<DropReason> {
        match read {
            Ok(len) => self.take_usb_packet(len),
            Err(EndpointError::Disabled) => {
                self.link = Link::Lost;
                self.cut_off()
            }
            Err(EndpointError::BufferOverflow) => {
                // A driver that keeps such a packet fails again at once.
                self.reads = u8::MAX;
                self.reassembler.lost()
            }
        }
    }

    fn take_usb_packet(&mut self, len: usize) -> Option<DropReason> {
        if !self.events.receiver_interrupted() {
            return self.reassembler.received(len);
        }
        let cut_off = self.cut_off();
        if self.events.take_receiver_restarted() {
            self.link = Link::Restarted { usb_packet: len };
            return cut_off;
        }
        cut_off.or(self.reassembler.received(len))
    }

    /// The link was interrupted: that costs the unfinished packet, if any.
    fn cut_off(&mut self) -> Option<DropReason> {
        self.reassembler.flush().then_some(DropReason::LinkDown)
    }

    /// What the stack is to be told about the link before the next packet.
    #[cold]
    fn link_change(&mut self) -> Option<Received<'static>> {
        let (next, event) = match self.link {
            Link::Up | Link::Down => return None,
            Link::Lost => (Link::Down, Received::LinkDown),
            Link::Restarted { usb_packet } => (Link::Back { usb_packet }, Received::LinkDown),
            Link::Back { usb_packet } => {
                // Nothing was unfinished that could be given up for it.
                let _ = self.reassembler.received(usb_packet);
                (Link::Up, Received::LinkUp)
            }
        };
        self.link = next;
        Some(event)
    }
}

impl<E: EndpointOut> TransportRx for Receiver<'_, E> {
    /// The host tries again until the endpoint is read.
    fn can_wait(&self) -> bool {
        true
    }

    fn put_back(&mut self) {
        self.reassembler.put_back();
    }

    fn take_out_of_turn(&mut self, mut take: impl FnMut(PhysicalAddress, &[u8]) -> bool) {
        self.reassembler
            .take_out_of_turn(|packet| take(PhysicalAddress::POINT_TO_POINT, packet));
    }

    async fn receive(&mut self) -> Received<'_> {
        loop {
            match self.reassembler.next_length() {
                Some(Ok(length)) => return self.packet(length),
                Some(Err(reason)) => return Received::Dropped(reason),
                None => {}
            }
            if self.link != Link::Up {
                if let Some(event) = self.link_change() {
                    return event;
                }
                self.endpoint.wait_enabled().await;
                self.events.take_receiver_restarted();
                self.link = Link::Up;
                return Received::LinkUp;
            }
            let read = self.endpoint.read(self.reassembler.buffer()).await;
            if let Ok(len) = read
                && !self.events.receiver_interrupted()
                && let Some(length) = self.reassembler.first_length(len)
            {
                return self.packet(length);
            }
            if let Some(reason) = self.take(read) {
                return Received::Dropped(reason);
            }
            self.reads = self.reads.wrapping_add(1);
            if self.reads.is_multiple_of(READS_BEFORE_PAUSE) {
                // Zero-length packets, pieces of what is dropped: a host can send them without end.
                let_others_run().await;
            }
        }
    }
}

/// After how many USB packets outside of the fast path other tasks get a turn: more than three
/// packets of 1.1 take.
const READS_BEFORE_PAUSE: u8 = 64;

async fn let_others_run() {
    let mut waited = false;
    poll_fn(|context| {
        if core::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RECEIVE_BUFFER_LEN_1_0;
    use crate::mock::{MockOut, Out, block_on, poll_times};

    fn frame(number: u8, packet_len: usize) -> Vec<u8> {
        let mut bytes = Version::V1_0.encode(packet_len).unwrap().to_vec();
        bytes.resize(4 + packet_len, number);
        bytes
    }

    /// What was received, with the packets' lengths only.
    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Packet(u8, usize),
        Dropped(DropReason),
        LinkUp,
        LinkDown,
    }
    use Seen::{Dropped, LinkDown, LinkUp, Packet};
    const BAD: Seen = Dropped(DropReason::BadLinkIntegrity);
    const CUT_OFF: Seen = Dropped(DropReason::LinkDown);

    fn see(received: Received<'_>) -> Seen {
        match received {
            Received::Packet { source, bytes } => {
                assert_eq!(source, PhysicalAddress::POINT_TO_POINT);
                Packet(bytes[0], bytes.len())
            }
            Received::Broadcast { .. } => unreachable!("USB is point to point"),
            Received::Dropped(reason) => Dropped(reason),
            Received::LinkUp => LinkUp,
            Received::LinkDown => LinkDown,
        }
    }

    /// Everything received until only waiting is left.
    fn receive_all(
        max_packet_size: u16,
        events: &BusEvents,
        script: impl IntoIterator<Item = Out<'static>>,
    ) -> Vec<Seen> {
        receive(max_packet_size, events, script.into_iter().collect())
    }

    fn receive(max_packet_size: u16, events: &BusEvents, script: Vec<Out<'_>>) -> Vec<Seen> {
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_0];
        let endpoint = MockOut::new(max_packet_size, script);
        let mut receiver = Receiver::new(endpoint, Version::V1_0, events, &mut buffer).unwrap();
        let mut seen = Vec::new();
        while let Some(received) = poll_times(20, receiver.receive()) {
            seen.push(see(received));
        }
        seen
    }

    #[test]
    fn a_host_that_sends_nothing_but_zero_length_packets_leaves_others_their_turns() {
        let endpoint = MockOut::new(512, (0..1000).map(|_| Out::Data(Vec::new())));
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_0];
        let events = BusEvents::new();
        let mut receiver = Receiver::new(endpoint, Version::V1_0, &events, &mut buffer).unwrap();
        assert_eq!(block_on(receiver.receive()), Received::LinkUp);
        assert!(poll_times(1, receiver.receive()).is_none());
        assert!(receiver.endpoint.script.len() > 900);
        assert!(poll_times(100, receiver.receive()).is_none());
        assert!(receiver.endpoint.script.is_empty());
    }

    #[test]
    fn begins_with_the_link_down_and_says_when_it_is_up() {
        assert_eq!(receive_all(512, &BusEvents::new(), []), [LinkUp]);
    }

    #[test]
    fn hands_out_every_packet_of_a_transfer() {
        let bytes = [frame(1, 5), frame(2, 251), frame(3, 68)].concat();
        assert_eq!(
            receive_all(512, &BusEvents::new(), [Out::Data(bytes)]),
            [LinkUp, Packet(1, 5), Packet(2, 251), Packet(3, 68)]
        );
    }

    #[test]
    fn a_malformed_transfer_is_one_drop_and_the_next_is_good() {
        let script = [
            Out::Data([frame(1, 5), vec![0x55; 100]].concat()),
            Out::Data(frame(2, 6)),
        ];
        assert_eq!(
            receive_all(512, &BusEvents::new(), script),
            [LinkUp, Packet(1, 5), BAD, Packet(2, 6)]
        );
    }

    #[test]
    fn says_once_that_the_link_is_down_and_starts_afresh() {
        let half = frame(1, 200)[..64].to_vec();
        let script = [
            Out::Data(half),
            Out::Disabled,
            Out::Data(frame(2, 5)),
            Out::Disabled,
        ];
        assert_eq!(
            receive_all(64, &BusEvents::new(), script),
            [
                LinkUp,
                CUT_OFF,
                LinkDown,
                LinkUp,
                Packet(2, 5),
                LinkDown,
                LinkUp
            ]
        );
    }

    #[test]
    fn a_reset_that_the_driver_hides_leaves_no_partial_packet() {
        let events = BusEvents::new();
        let script = vec![
            Out::Data(frame(1, 200)[..64].to_vec()),
            Out::Event(Box::new(|| events.restarted())),
            Out::Data(frame(2, 5)),
            Out::Data(frame(3, 5)),
        ];
        assert_eq!(
            receive(64, &events, script),
            [
                LinkUp,
                CUT_OFF,
                LinkDown,
                LinkUp,
                Packet(2, 5),
                Packet(3, 5)
            ]
        );
    }

    #[test]
    fn suspend_leaves_no_partial_packet_and_keeps_the_link() {
        let events = BusEvents::new();
        let script = vec![
            Out::Data(frame(1, 200)[..64].to_vec()),
            Out::Event(Box::new(|| events.paused())),
            Out::Data(frame(2, 5)),
        ];
        assert_eq!(
            receive(64, &events, script),
            [LinkUp, CUT_OFF, Packet(2, 5)]
        );
    }

    #[test]
    fn events_from_before_the_link_was_up_are_not_told() {
        let events = BusEvents::new();
        events.restarted();
        events.paused();
        assert_eq!(
            receive_all(512, &events, [Out::Data(frame(1, 5))]),
            [LinkUp, Packet(1, 5)]
        );
    }

    #[test]
    fn a_usb_packet_that_is_too_long_is_one_drop() {
        let script = [
            Out::Data(frame(1, 200)[..64].to_vec()),
            Out::TooLong,
            Out::Data(frame(2, 5)),
            Out::TooLong,
            Out::Data(frame(3, 5)),
        ];
        assert_eq!(
            receive_all(64, &BusEvents::new(), script),
            [LinkUp, BAD, Packet(2, 5), BAD, Packet(3, 5)]
        );
    }

    #[test]
    fn a_read_that_fails_for_ever_is_one_drop_and_lets_others_run() {
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_0];
        let events = BusEvents::new();
        let endpoint = MockOut::new(512, (0..1000).map(|_| Out::TooLong));
        let mut receiver = Receiver::new(endpoint, Version::V1_0, &events, &mut buffer).unwrap();
        assert_eq!(see(block_on(receiver.receive())), LinkUp);
        assert_eq!(see(block_on(receiver.receive())), BAD);
        assert!(poll_times(100, receiver.receive()).is_none());
        assert!(receiver.endpoint.script.len() >= 1000 - 102);
    }

    #[test]
    fn a_dropped_receive_loses_nothing() {
        let bytes = [frame(1, 100), frame(2, 100)].concat();
        let mut script = vec![Out::Nothing];
        for chunk in bytes.chunks(64) {
            script.extend([Out::Nothing, Out::Data(chunk.to_vec()), Out::Nothing]);
        }
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_0];
        let events = BusEvents::new();
        let mut receiver = Receiver::new(
            MockOut::new(64, script),
            Version::V1_0,
            &events,
            &mut buffer,
        )
        .unwrap();
        let mut seen = Vec::new();
        for _ in 0..100 {
            // One poll each: whatever is not ready at once is dropped, and asked for again.
            seen.extend(poll_times(1, receiver.receive()).map(see));
            receiver.endpoint.wait_enabled_at_once();
        }
        assert_eq!(seen, [LinkUp, Packet(1, 100), Packet(2, 100)]);
    }

    #[test]
    fn the_neighbour_waits_behind_a_packet_that_is_put_back() {
        let bytes = [frame(1, 5), frame(2, 9), frame(3, 5)].concat();
        let script = [Out::Data(bytes), Out::Data(frame(4, 5))];
        let endpoint = MockOut::new(512, script);
        let mut buffer = [0; RECEIVE_BUFFER_LEN_1_0];
        let events = BusEvents::new();
        let mut receiver = Receiver::new(endpoint, Version::V1_0, &events, &mut buffer).unwrap();
        assert!(receiver.can_wait());
        assert_eq!(see(block_on(receiver.receive())), LinkUp);
        for _ in 0..10 {
            assert_eq!(see(block_on(receiver.receive())), Packet(1, 5));
            receiver.put_back();
            assert_eq!(receiver.endpoint.script.len(), 1, "nothing is read");
        }
        receiver.take_out_of_turn(|source, packet| {
            source == PhysicalAddress::POINT_TO_POINT && packet.len() == 9
        });
        for number in [1, 3, 4] {
            assert_eq!(see(block_on(receiver.receive())), Packet(number, 5));
        }
    }

    proptest! {
        /// After any USB packets and interruptions that end with a short packet, the next packet arrives.
        #[test]
        fn after_anything_the_next_packet_arrives(
            steps in prop::collection::vec((0u8..8, prop::collection::vec(any::<u8>(), 0..=64)), 0..40),
            high_speed: bool,
        ) {
            let events = BusEvents::new();
            let mut script: Vec<Out<'_>> = steps
                .into_iter()
                .map(|(step, bytes)| match step {
                    0 => Out::Disabled,
                    1 => Out::TooLong,
                    2 => Out::Nothing,
                    3 => Out::Event(Box::new(|| events.restarted())),
                    4 => Out::Event(Box::new(|| events.paused())),
                    5 => Out::Data([&frame(1, 200)[..40], &[0; 24]].concat()),
                    _ => Out::Data(bytes),
                })
                .collect();
            script.push(Out::Data(Vec::new()));
            script.push(Out::Data(frame(0xAA, 60)));
            let seen = receive(if high_speed { 512 } else { 64 }, &events, script);
            prop_assert_eq!(seen.last(), Some(&Packet(0xAA, 60)));
        }
    }
}
