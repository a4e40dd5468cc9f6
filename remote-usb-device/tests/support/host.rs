//! What a test can say without regard to the wire.

use remote_usb_device::usbredir::wire::{Message, Status};

use super::{Guest, PipeReader, PipeWriter, UsbipHost, Wire, bulk, control};
use crate::support::usbip::Answer;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    NoEndpoint,
    Failed,
    Stall,
    Babble,
    /// By a reset.
    Stopped,
}

/// The answer to a transfer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    pub id: u64,
    pub outcome: Outcome,
    /// Bytes done.
    pub length: usize,
    /// Of an IN transfer.
    pub data: Vec<u8>,
}

/// A host on one of the wires.
#[allow(async_fn_in_trait, reason = "these futures stay on their thread")]
pub trait Host: Sized + 'static {
    const WIRE: Wire;

    fn new(read: PipeReader, write: PipeWriter) -> Self;
    /// Until the device is configured.
    async fn enumerate(&mut self);
    /// Once more, as after a reset by the host.
    async fn enumerate_again(&mut self);
    async fn bulk_out(&mut self, id: u64, endpoint: u8, data: &[u8]);
    async fn bulk_in(&mut self, id: u64, endpoint: u8, length: usize);
    async fn answer(&mut self) -> Answered;
    /// Takes the request back, and says whether it was outstanding.
    async fn take_back(&mut self, id: u64) -> bool;
    async fn control(&mut self, id: u64, setup: [u8; 8], data: &[u8]) -> (Outcome, Vec<u8>);

    async fn expect(&mut self, id: u64, outcome: Outcome, length: usize, data: &[u8]) {
        let expected = Answered {
            id,
            outcome,
            length,
            data: data.to_vec(),
        };
        assert_eq!(self.answer().await, expected);
    }

    /// Works only if the whole device does.
    async fn expect_echo(&mut self) {
        self.bulk_in(1000, super::BULK_IN, super::MAX_PACKET).await;
        self.bulk_out(1001, super::BULK_OUT, b"are you there?")
            .await;
        let mut answers = [self.answer().await, self.answer().await];
        answers.sort_by_key(|answer| answer.id);
        assert_eq!(answers[0].data, b"are you there?");
        assert_eq!((answers[1].outcome, answers[1].length), (Outcome::Done, 14));
    }
}

impl Host for Guest {
    const WIRE: Wire = Wire::Usbredir;

    fn new(read: PipeReader, write: PipeWriter) -> Self {
        let caps = remote_usb_device::usbredir::wire::Capabilities::NONE;
        Self { read, write, caps }
    }

    async fn enumerate(&mut self) {
        Guest::enumerate(self).await;
    }

    async fn enumerate_again(&mut self) {
        self.send(0, Message::Reset, &[]).await;
        self.configure().await;
    }

    async fn bulk_out(&mut self, id: u64, endpoint: u8, data: &[u8]) {
        Guest::bulk_out(self, id, endpoint, data).await;
    }

    async fn bulk_in(&mut self, id: u64, endpoint: u8, length: usize) {
        self.send(id, bulk(endpoint, Status::SUCCESS, length), &[])
            .await;
    }

    async fn answer(&mut self) -> Answered {
        let incoming = self.receive().await;
        let Message::Bulk(header) = incoming.message else {
            panic!("no answer to a transfer: {incoming:?}")
        };
        Answered {
            id: incoming.id,
            outcome: outcome(header.status),
            length: header.length as usize,
            data: incoming.data,
        }
    }

    async fn take_back(&mut self, id: u64) -> bool {
        self.send(id, Message::CancelDataPacket, &[]).await;
        let incoming = self.receive().await;
        assert_eq!(incoming.id, id);
        matches!(incoming.message, Message::Bulk(header) if header.status == Status::CANCELLED)
    }

    async fn control(&mut self, id: u64, setup: [u8; 8], data: &[u8]) -> (Outcome, Vec<u8>) {
        self.send(id, control(setup), data).await;
        let incoming = self.receive().await;
        let Message::Control(header) = incoming.message else {
            panic!("no control answer: {incoming:?}")
        };
        assert_eq!(incoming.id, id);
        (outcome(header.status), incoming.data)
    }
}

fn outcome(status: Status) -> Outcome {
    match status {
        Status::SUCCESS => Outcome::Done,
        Status::CANCELLED => Outcome::Stopped,
        Status::INVALID => Outcome::NoEndpoint,
        Status::IO_ERROR => Outcome::Failed,
        Status::STALL => Outcome::Stall,
        Status::BABBLE => Outcome::Babble,
        other => panic!("{other:?}"),
    }
}

impl Host for UsbipHost {
    const WIRE: Wire = Wire::Usbip;

    fn new(read: PipeReader, write: PipeWriter) -> Self {
        UsbipHost::new(read, write)
    }

    async fn enumerate(&mut self) {
        UsbipHost::enumerate(self).await;
    }

    async fn enumerate_again(&mut self) {
        UsbipHost::enumerate(self).await;
    }

    async fn bulk_out(&mut self, id: u64, endpoint: u8, data: &[u8]) {
        self.submit_out(id as u32, endpoint, data, 0).await;
    }

    async fn bulk_in(&mut self, id: u64, endpoint: u8, length: usize) {
        self.submit_in(id as u32, endpoint & 0x0F, length as u32)
            .await;
    }

    async fn answer(&mut self) -> Answered {
        let Answer::Submit {
            number,
            status,
            length,
            data,
        } = self.receive().await
        else {
            panic!("no answer to a transfer")
        };
        Answered {
            id: number.into(),
            outcome: usbip_outcome(status),
            length: length as usize,
            data,
        }
    }

    async fn take_back(&mut self, id: u64) -> bool {
        self.unlink(5000, id as u32).await;
        match self.receive().await {
            Answer::Unlink {
                number: 5000,
                status,
            } => status == -104,
            other => panic!("{other:?} instead of the answer to an unlink"),
        }
    }

    async fn control(&mut self, id: u64, setup: [u8; 8], data: &[u8]) -> (Outcome, Vec<u8>) {
        let (status, data) = UsbipHost::control(self, id as u32, setup, data).await;
        (usbip_outcome(status), data)
    }
}

fn usbip_outcome(status: i32) -> Outcome {
    match status {
        0 => Outcome::Done,
        -2 => Outcome::NoEndpoint,
        -32 => Outcome::Stall,
        -71 => Outcome::Failed,
        -75 => Outcome::Babble,
        -108 => Outcome::Stopped,
        other => panic!("status {other}"),
    }
}
