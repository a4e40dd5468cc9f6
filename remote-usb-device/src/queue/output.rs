//! OUT endpoint: transfers from the host, and their bytes until the device reads them.

use core::task::Poll;

use embassy_usb_driver::{EndpointError, EndpointType};
use heapless::Vec;

use super::{ByteQueue, MAX_TRANSFERS, Port};
use crate::engine::Outcome;

/// A transfer from the host. `arrived - taken` of its bytes are in the byte queue while it has no
/// answer.
struct Transfer {
    id: u64,
    length: usize,
    arrived: usize,
    taken: usize,
    /// An empty packet comes after the last one, which is as long as a packet can be.
    empty_packet: bool,
    answer: Option<Outcome>,
}

impl Transfer {
    fn queued(&self) -> usize {
        if self.answer.is_some() {
            0
        } else {
            self.arrived.saturating_sub(self.taken)
        }
    }
}

/// What to tell the host: `length` bytes were taken.
pub(crate) struct OutAnswer {
    pub(crate) id: u64,
    pub(crate) outcome: Outcome,
    pub(crate) length: usize,
}

/// What became of a new transfer.
pub(crate) enum Begin {
    Accepted,
    Refused(Outcome),
    /// No slot is free now.
    Full,
}

/// Transfers in order of arrival; only the last may be incomplete.
pub(crate) struct OutQueue {
    pub(crate) port: Port,
    bytes: ByteQueue,
    transfers: Vec<Transfer, MAX_TRANSFERS>,
    /// The runner gave up waiting for room here, and nothing was read since: do not wait again.
    pub(crate) given_up: bool,
}

impl OutQueue {
    pub(crate) const fn new() -> Self {
        Self {
            port: Port::new(),
            bytes: ByteQueue::new(),
            transfers: Vec::new(),
            given_up: false,
        }
    }

    /// The host starts a transfer of `length` bytes. With `empty_packet`, one that is a multiple
    /// of the packet size has an empty packet at its end.
    pub(crate) fn begin(
        &mut self,
        kind: EndpointType,
        id: u64,
        length: usize,
        empty_packet: bool,
    ) -> Begin {
        if let Err(outcome) = self.port.admit(kind) {
            return Begin::Refused(outcome);
        }
        let is_multiple = length > 0 && length.checked_rem(self.port.max_packet_size()) == Some(0);
        if self
            .transfers
            .push(Transfer {
                id,
                length,
                arrived: 0,
                taken: 0,
                empty_packet: empty_packet && is_multiple,
                answer: None,
            })
            .is_err()
        {
            return Begin::Full;
        }
        self.port.waker.wake();
        Begin::Accepted
    }

    /// The transfer that is still arriving.
    fn arriving(&mut self) -> Option<&mut Transfer> {
        self.transfers
            .last_mut()
            .filter(|transfer| transfer.answer.is_none() && transfer.arrived < transfer.length)
    }

    /// Takes bytes of the arriving transfer and returns how many. Bytes of one that has ended
    /// meanwhile are dropped.
    pub(crate) fn push(&mut self, storage: &mut [u8], data: &[u8]) -> usize {
        let room = self.bytes.free(storage);
        let Some(transfer) = self.arriving() else {
            return data.len();
        };
        let Some(data) = data
            .get(..data.len().min(room))
            .filter(|data| !data.is_empty())
        else {
            return 0;
        };
        transfer.arrived = transfer.arrived.saturating_add(data.len());
        self.bytes.push(storage, data);
        self.port.waker.wake();
        data.len()
    }

    /// Ends the arriving transfer with an error, and drops what the device has not read of it.
    /// False when there is none.
    pub(crate) fn fail_arriving(&mut self) -> bool {
        self.given_up = true;
        let Some(transfer) = self.arriving() else {
            return false;
        };
        let queued = transfer.queued();
        transfer.answer = Some(Outcome::Failed);
        self.bytes.truncate(queued);
        true
    }

    /// Gives the device one packet. `Pending` while there is none.
    ///
    /// A packet longer than `packet` is lost, as in a device whose buffer is too small.
    pub(crate) fn read(
        &mut self,
        storage: &[u8],
        packet: &mut [u8],
    ) -> Poll<Result<usize, EndpointError>> {
        if !self.port.enabled {
            return Poll::Ready(Err(EndpointError::Disabled));
        }
        self.given_up = false;
        let max_packet_size = self.port.max_packet_size();
        let Some(transfer) = self
            .transfers
            .iter_mut()
            .find(|transfer| transfer.answer.is_none())
        else {
            return Poll::Pending;
        };
        let length = transfer
            .length
            .saturating_sub(transfer.taken)
            .min(max_packet_size);
        if transfer.queued() < length {
            return Poll::Pending;
        }
        transfer.taken = transfer.taken.saturating_add(length);
        if transfer.taken == transfer.length
            && !(length > 0 && core::mem::take(&mut transfer.empty_packet))
        {
            transfer.answer = Some(Outcome::Done);
        }
        let Some(packet) = packet.get_mut(..length) else {
            self.bytes.skip(length);
            return Poll::Ready(Err(EndpointError::BufferOverflow));
        };
        self.bytes.pop(storage, packet);
        Poll::Ready(Ok(length))
    }

    /// The host takes a transfer back. False when it is not outstanding.
    pub(crate) fn cancel(&mut self, storage: &mut [u8], id: u64) -> bool {
        let Some(index) = self.drop_bytes(storage, id) else {
            return false;
        };
        if let Some(transfer) = self.transfers.get_mut(index) {
            transfer.answer = Some(Outcome::Cancelled);
        }
        true
    }

    /// The host takes a transfer back, which gets no answer. False when it is not outstanding.
    pub(crate) fn withdraw(&mut self, storage: &mut [u8], id: u64) -> bool {
        let Some(index) = self.drop_bytes(storage, id) else {
            return false;
        };
        self.transfers.remove(index);
        true
    }

    /// Drops what the device has not read of an outstanding transfer, and says where it is.
    fn drop_bytes(&mut self, storage: &mut [u8], id: u64) -> Option<usize> {
        let outstanding = |transfer: &Transfer| transfer.answer.is_none() && transfer.id == id;
        let index = self.transfers.iter().position(outstanding)?;
        let before = self.transfers.iter().take(index).map(Transfer::queued);
        let offset = before.fold(0, usize::saturating_add);
        let queued = self.transfers.get(index)?.queued();
        self.bytes.remove(storage, offset, queued);
        Some(index)
    }

    /// Whether an answer to this transfer waits to be sent.
    pub(crate) fn has_answer(&self, id: u64) -> bool {
        let mut transfers = self.transfers.iter();
        transfers.any(|transfer| transfer.answer.is_some() && transfer.id == id)
    }

    /// Ends every outstanding transfer with `outcome`.
    pub(crate) fn flush(&mut self, outcome: Outcome) {
        for transfer in self
            .transfers
            .iter_mut()
            .filter(|transfer| transfer.answer.is_none())
        {
            transfer.answer = Some(outcome);
        }
        self.bytes.clear();
    }

    /// The endpoint stops; what was outstanding is answered as cancelled.
    pub(crate) fn stop(&mut self) {
        self.flush(Outcome::Cancelled);
        self.given_up = false;
        self.port.end_session();
    }

    /// The device is gone; nothing more is answered.
    pub(crate) fn clear(&mut self) {
        self.stop();
        self.transfers.clear();
    }

    /// The next answer to send, removed from the queue.
    pub(crate) fn next_answer(&mut self) -> Option<OutAnswer> {
        let index = self
            .transfers
            .iter()
            .position(|transfer| transfer.answer.is_some())?;
        let transfer = self.transfers.remove(index);
        Some(OutAnswer {
            id: transfer.id,
            outcome: transfer.answer?,
            length: transfer.taken,
        })
    }

    /// True when sending answers would make room for another transfer.
    pub(crate) fn is_full_of_answers(&self) -> bool {
        self.transfers.is_full()
            && self
                .transfers
                .iter()
                .any(|transfer| transfer.answer.is_some())
    }
}
