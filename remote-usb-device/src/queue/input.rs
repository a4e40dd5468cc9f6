//! IN endpoint: requests of the host, and the packets collected for them.

use core::task::Poll;

use embassy_usb_driver::{EndpointError, EndpointType};
use heapless::Vec;

use super::{ByteQueue, MAX_TRANSFERS, Port};
use crate::engine::Outcome;

/// A request of the host. Once it has an answer, its bytes wait in the queue to be sent.
struct Request {
    id: u64,
    asked: usize,
    filled: usize,
    answer: Option<Outcome>,
}

/// What to tell the host; `length` bytes of data are at the front of the byte queue.
pub(crate) struct InAnswer {
    pub(crate) id: u64,
    pub(crate) outcome: Outcome,
    pub(crate) length: usize,
}

/// Requests in order of arrival. Those with collected bytes come before those without, and at most
/// one is unfinished.
pub(crate) struct InQueue {
    pub(crate) port: Port,
    pub(crate) bytes: ByteQueue,
    requests: Vec<Request, MAX_TRANSFERS>,
    /// Interrupt endpoints: packets go to the host without requests.
    pub(crate) receiving: bool,
}

impl InQueue {
    pub(crate) const fn new() -> Self {
        Self {
            port: Port::new(),
            bytes: ByteQueue::new(),
            requests: Vec::new(),
            receiving: false,
        }
    }

    /// True when sending answers would make room for another request.
    pub(crate) fn is_full_of_answers(&self) -> bool {
        self.requests.is_full() && self.requests.iter().any(|request| request.answer.is_some())
    }

    /// The host asks for up to `asked` bytes.
    pub(crate) fn request(
        &mut self,
        kind: EndpointType,
        id: u64,
        asked: usize,
    ) -> Result<(), Outcome> {
        self.port.admit(kind)?;
        self.requests
            .push(Request {
                id,
                asked,
                filled: 0,
                answer: None,
            })
            .map_err(|_| Outcome::Failed)?;
        self.port.waker.wake();
        Ok(())
    }

    /// The device has a packet. `Pending` means that the host does not take it yet.
    pub(crate) fn write(
        &mut self,
        storage: &mut [u8],
        packet: &[u8],
    ) -> Poll<Result<(), EndpointError>> {
        if !self.port.enabled {
            return Poll::Ready(Err(EndpointError::Disabled));
        }
        if packet.len() > self.port.max_packet_size() {
            return Poll::Ready(Err(EndpointError::BufferOverflow));
        }
        if self.port.stalled {
            return Poll::Pending;
        }
        if self.receiving {
            self.write_unasked(storage, packet)
        } else {
            self.write_requested(storage, packet)
        }
    }

    fn write_unasked(
        &mut self,
        storage: &mut [u8],
        packet: &[u8],
    ) -> Poll<Result<(), EndpointError>> {
        if self.requests.is_full() || !self.bytes.push(storage, packet) {
            return Poll::Pending;
        }
        let length = packet.len();
        let answer = Some(Outcome::Done);
        let _ = self.requests.push(Request {
            id: 0,
            asked: length,
            filled: length,
            answer,
        });
        Poll::Ready(Ok(()))
    }

    fn write_requested(
        &mut self,
        storage: &mut [u8],
        packet: &[u8],
    ) -> Poll<Result<(), EndpointError>> {
        let max_packet_size = self.port.max_packet_size();
        let Some(request) = self
            .requests
            .iter_mut()
            .find(|request| request.answer.is_none())
        else {
            return Poll::Pending;
        };
        if packet.len() > request.asked.saturating_sub(request.filled) {
            self.bytes.truncate(request.filled);
            request.filled = 0;
            request.answer = Some(Outcome::Babble);
            return Poll::Ready(Ok(()));
        }
        if !self.bytes.push(storage, packet) {
            return Poll::Pending;
        }
        request.filled = request.filled.saturating_add(packet.len());
        let short = packet.len() < max_packet_size;
        // A request longer than the storage ends early, between packets.
        let no_more_room = request.filled.saturating_add(max_packet_size) > storage.len();
        if short || request.filled == request.asked || no_more_room {
            request.answer = Some(Outcome::Done);
        }
        Poll::Ready(Ok(()))
    }

    /// The host takes a request back. False when it is not outstanding.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        let outstanding = |request: &&mut Request| request.answer.is_none() && request.id == id;
        let Some(request) = self.requests.iter_mut().find(outstanding) else {
            return false;
        };
        self.bytes.truncate(request.filled);
        request.filled = 0;
        request.answer = Some(Outcome::Cancelled);
        true
    }

    /// The host takes a request back, which gets no answer. False when it is not outstanding.
    pub(crate) fn withdraw(&mut self, id: u64) -> bool {
        let outstanding = |request: &Request| request.answer.is_none() && request.id == id;
        let Some(index) = self.requests.iter().position(outstanding) else {
            return false;
        };
        let request = self.requests.remove(index);
        self.bytes.truncate(request.filled);
        true
    }

    /// Whether an answer to this request waits to be sent.
    pub(crate) fn has_answer(&self, id: u64) -> bool {
        let mut requests = self.requests.iter();
        requests.any(|request| request.answer.is_some() && request.id == id)
    }

    /// Ends every outstanding request with `outcome`.
    pub(crate) fn flush(&mut self, outcome: Outcome) {
        for request in self
            .requests
            .iter_mut()
            .filter(|request| request.answer.is_none())
        {
            self.bytes.truncate(request.filled);
            request.filled = 0;
            request.answer = Some(outcome);
        }
    }

    /// The endpoint stops; what was outstanding is answered as cancelled.
    pub(crate) fn stop(&mut self) {
        self.flush(Outcome::Cancelled);
        self.receiving = false;
        self.port.end_session();
    }

    /// The device is gone; nothing more is answered.
    pub(crate) fn clear(&mut self) {
        self.stop();
        self.requests.clear();
        self.bytes.clear();
    }

    /// The next answer to send, removed from the queue.
    pub(crate) fn next_answer(&mut self) -> Option<InAnswer> {
        let index = self
            .requests
            .iter()
            .position(|request| request.answer.is_some())?;
        let request = self.requests.remove(index);
        self.port.waker.wake();
        Some(InAnswer {
            id: request.id,
            outcome: request.answer?,
            length: request.filled,
        })
    }
}
