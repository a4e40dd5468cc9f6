//! The USB host that sends packets to a receiver, which is polled for one after the other.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use crate::leak;
use crate::meter::{counted, start};

/// What is measured: the same transfer again and again.
pub struct Case {
    /// Whether the receiver is one of version 1.1.
    pub version_1_1: bool,
    /// Payload bytes of a packet, packet header not counted.
    pub unit: usize,
    /// Packets of a transfer.
    pub packets: usize,
    pub transfers: usize,
}

impl Case {
    /// The case of `1.0|1.1 UNIT PACKETS TRANSFERS`.
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let [version, numbers @ ..] = arguments else {
            return None;
        };
        let numbers: Result<Vec<usize>, _> = numbers.iter().map(|word| word.parse()).collect();
        let [unit, packets, transfers] = numbers.ok()?[..] else {
            return None;
        };
        Some(Self {
            version_1_1: version == "1.1",
            unit,
            packets,
            transfers,
        })
    }
}

/// The other side of a mock endpoint. What the endpoint does is counted: a copy for each transfer.
pub struct Host {
    transfer: Vec<u8>,
    /// Transfers that are still to be sent.
    left: Cell<usize>,
    /// Packet bytes that were taken.
    taken: Cell<usize>,
}

impl Host {
    /// A host with nothing to send before the measurement begins.
    pub fn of(case: &Case) -> &'static Self {
        let packet_len = case.unit + mctp_transport::HEADER_LEN;
        let [high, low] = (packet_len as u16 + 4).to_be_bytes();
        let mut frame = vec![0x1A, 0xB4, high, low, 0x01];
        frame.resize(packet_len + 4, 0);
        let transfer = frame.repeat(case.packets);
        assert!(transfer.len() < 512, "a transfer is one short USB packet");
        leak(Self {
            transfer,
            left: Cell::new(0),
            taken: Cell::new(0),
        })
    }

    /// Reads a USB packet as a driver does: into `buffer`.
    #[inline]
    pub async fn read(&self, buffer: &mut [u8]) -> usize {
        poll_fn(|_| match self.left.get() {
            0 => Poll::Pending,
            left => {
                self.left.set(left - 1);
                buffer[..self.transfer.len()].copy_from_slice(&self.transfer);
                Poll::Ready(self.transfer.len())
            }
        })
        .await
    }

    /// Takes a packet.
    #[inline]
    pub fn take(&self, packet: &[u8]) {
        self.taken.set(self.taken.get() + black_box(packet).len());
    }
}

/// Measures `receive`, which polls for a packet and takes it, and prints how many these were.
///
/// The first time nothing is sent, so that the link comes up, and the second time two transfers.
#[inline]
pub fn measure(case: &Case, host: &Host, mut receive: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let mut context = Context::from_waker(Waker::noop());
    let mut send = |transfers| {
        host.left.set(transfers);
        host.taken.set(0);
        counted(|| while receive(&mut context).is_ready() {});
        let packet_len = case.unit + mctp_transport::HEADER_LEN;
        assert_eq!(host.taken.get(), transfers * case.packets * packet_len);
    };
    send(0);
    send(2);
    start();
    send(case.transfers);
    println!("{} messages", case.transfers * case.packets);
}
