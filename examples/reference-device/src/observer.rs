//! Looking on: what crosses the wire, and what happens.

use mctp_router::Event;
use mctp_transport::{
    DropCounters, PhysicalAddress, Received, SendError, Transfer, TransferLayout, TransportRx,
    TransportTx,
};

/// Which way a packet went, as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the host.
    Received,
    /// To the host.
    Sent,
}

/// Looks on, for captures and logs. `()` does not look.
pub trait Observer {
    /// Whether [`packet`](Self::packet) is to be called. Not to call it saves a little flash.
    const LOOKS_AT_PACKETS: bool = true;

    /// An MCTP packet, packet header first, was received, or is about to be sent.
    fn packet(&self, direction: Direction, bytes: &[u8]) {
        let _ = (direction, bytes);
    }

    /// Something happened. `drops` counts what has been discarded so far.
    fn event(&self, event: Event, drops: &DropCounters) {
        let _ = (event, drops);
    }

    /// A stream of the benchmark service was sent, or part of it.
    #[cfg(feature = "bench")]
    fn stream_sent(&self, sent: &mctp_bench::Sent) {
        let _ = sent;
    }

    /// What has been received of a stream of the benchmark service: every 2 seconds, and at its
    /// end.
    #[cfg(feature = "bench")]
    fn stream_received(&self, statistics: &mctp_bench::Statistics) {
        let _ = statistics;
    }
}

impl Observer for () {
    const LOOKS_AT_PACKETS: bool = false;
}

impl<O: Observer> Observer for &O {
    const LOOKS_AT_PACKETS: bool = O::LOOKS_AT_PACKETS;

    fn packet(&self, direction: Direction, bytes: &[u8]) {
        (**self).packet(direction, bytes);
    }

    fn event(&self, event: Event, drops: &DropCounters) {
        (**self).event(event, drops);
    }

    #[cfg(feature = "bench")]
    fn stream_sent(&self, sent: &mctp_bench::Sent) {
        (**self).stream_sent(sent);
    }

    #[cfg(feature = "bench")]
    fn stream_received(&self, statistics: &mctp_bench::Statistics) {
        (**self).stream_received(statistics);
    }
}

/// A transport half that is looked at.
pub struct Observed<'o, T, O> {
    transport: T,
    observer: &'o O,
    /// The packet that comes next was looked at before it was put back.
    comes_again: bool,
}

impl<'o, T, O: Observer> Observed<'o, T, O> {
    /// A transport half, and who looks at it.
    pub fn new(transport: T, observer: &'o O) -> Self {
        Self {
            transport,
            observer,
            comes_again: false,
        }
    }
}

impl<T: TransportRx, O: Observer> TransportRx for Observed<'_, T, O> {
    async fn receive(&mut self) -> Received<'_> {
        let received = self.transport.receive().await;
        if O::LOOKS_AT_PACKETS
            && let Received::Packet { bytes, .. } = &received
            && !core::mem::take(&mut self.comes_again)
        {
            self.observer.packet(Direction::Received, bytes);
        }
        received
    }

    fn can_wait(&self) -> bool {
        self.transport.can_wait()
    }

    fn put_back(&mut self) {
        self.comes_again = true;
        self.transport.put_back();
    }

    fn take_out_of_turn(&mut self, mut take: impl FnMut(PhysicalAddress, &[u8]) -> bool) {
        let observer = self.observer;
        self.transport.take_out_of_turn(|source, packet| {
            let is_taken = take(source, packet);
            if O::LOOKS_AT_PACKETS && is_taken {
                observer.packet(Direction::Received, packet);
            }
            is_taken
        });
    }
}

impl<T: TransportTx, O: Observer> TransportTx for Observed<'_, T, O> {
    fn layout(&self) -> TransferLayout {
        self.transport.layout()
    }

    fn medium_specific(&self) -> u8 {
        self.transport.medium_specific()
    }

    fn send(&mut self, transfer: &mut Transfer<'_>) -> impl Future<Output = Result<(), SendError>> {
        if O::LOOKS_AT_PACKETS {
            for packet in transfer.packets() {
                self.observer.packet(Direction::Sent, packet);
            }
        }
        self.transport.send(transfer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transport that says something of itself.
    struct Fair;

    impl TransportTx for Fair {
        fn layout(&self) -> TransferLayout {
            TransferLayout::new(4, 254, 259).with_tailroom(1)
        }

        fn medium_specific(&self) -> u8 {
            1
        }

        async fn send(&mut self, _: &mut Transfer<'_>) -> Result<(), SendError> {
            Ok(())
        }
    }

    #[test]
    fn a_transport_that_is_looked_at_says_what_it_says_alone() {
        let observed = Observed::new(Fair, &());
        assert_eq!(observed.medium_specific(), Fair.medium_specific());
        assert_eq!(observed.layout(), Fair.layout());
    }
}
