//! To the guest: turns what waits into bytes of the stream.

use embassy_usb_driver::EndpointType;

use super::{Engine, Outgoing};
use crate::copy::copy;
use crate::queue::{InAnswer, OutAnswer};
use crate::wire::{BulkHeader, Capabilities, InterruptHeader, MAX_MESSAGE_LENGTH, Message, Status};

/// Where the data of a message come from.
#[derive(Clone, Copy)]
enum Source {
    /// The control buffer, from this offset.
    Control(usize),
    /// The queue of this IN endpoint.
    Input(usize),
    /// They are gone; zeros keep the stream in step.
    Nowhere,
}

/// A message whose data are not all sent.
pub(super) struct Sending {
    source: Source,
    remaining: usize,
}

impl Engine<'_> {
    /// Fills `out` with as much as waits, and returns its length; 0 when nothing waits.
    ///
    /// `out` must hold at least [`MAX_MESSAGE_LENGTH`] bytes.
    pub(crate) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let mut used = 0usize;
        while let Some(room) = out.get_mut(used..).filter(|room| !room.is_empty()) {
            let count = if self.link.sending.is_some() {
                self.send_data(room)
            } else {
                self.send_message(room)
            };
            if count == 0 {
                break;
            }
            used = used.saturating_add(count);
        }
        used
    }

    fn send_data(&mut self, out: &mut [u8]) -> usize {
        let Some(Sending { source, remaining }) = self.link.sending.take() else {
            return 0;
        };
        let out = out.get_mut(..remaining.min(out.len())).unwrap_or_default();
        let next = self.copy_data(source, out);
        let remaining = remaining.saturating_sub(out.len());
        if remaining > 0 {
            self.link.sending = Some(Sending {
                source: next,
                remaining,
            });
        } else if let Source::Control(_) = source {
            self.control.forget_reply();
            self.link.reader.wake();
        }
        out.len()
    }

    fn copy_data(&mut self, source: Source, out: &mut [u8]) -> Source {
        match source {
            Source::Control(offset) => {
                let end = offset.saturating_add(out.len());
                if let Some(data) = self.control_bytes.get(offset..end) {
                    copy(data, out);
                }
                Source::Control(end)
            }
            Source::Input(index) => {
                if let Some((queue, storage)) = self.input(index) {
                    queue.bytes.pop(storage, out);
                    queue.port.waker.wake();
                }
                source
            }
            Source::Nowhere => {
                out.fill(0);
                source
            }
        }
    }

    /// The queues of the endpoints were cleared while a message with their data was being sent.
    pub(super) fn forget_endpoint_data(&mut self) {
        if let Some(Sending {
            source: source @ Source::Input(_),
            ..
        }) = &mut self.link.sending
        {
            *source = Source::Nowhere;
        }
    }

    fn send_message(&mut self, out: &mut [u8]) -> usize {
        if out.len() < MAX_MESSAGE_LENGTH {
            return 0;
        }
        if let Some(outgoing) = self.link.outbox.pop_front() {
            let (id, message, length) = self.message(outgoing);
            self.link.reader.wake();
            self.bus.waker.wake();
            self.control.waker.wake();
            return self.emit(id, &message, Source::Control(0), length, out);
        }
        self.send_answer(out)
    }

    /// The next answer of an endpoint, each endpoint in turn.
    fn send_answer(&mut self, out: &mut [u8]) -> usize {
        let count = self.ins.len().saturating_add(self.outs.len());
        for _ in 0..count {
            let turn = self.turn;
            let next = turn.saturating_add(1);
            self.turn = if next < count { next } else { 0 };
            let sent = match turn.checked_sub(self.ins.len()) {
                None => self.send_in_answer(turn, out),
                Some(index) => self.send_out_answer(index, out),
            };
            if let Some(length) = sent {
                self.link.reader.wake();
                return length;
            }
        }
        0
    }

    fn send_in_answer(&mut self, index: usize, out: &mut [u8]) -> Option<usize> {
        let queue = self.ins.get_mut(index)?;
        let info = queue.port.info?;
        let InAnswer { id, status, length } = queue.next_answer()?;
        let message = transfer_message(info.ep_type, info.addr.into(), status, length);
        Some(self.emit(id, &message, Source::Input(index), length, out))
    }

    fn send_out_answer(&mut self, index: usize, out: &mut [u8]) -> Option<usize> {
        let queue = self.outs.get_mut(index)?;
        let info = queue.port.info?;
        let OutAnswer { id, status, length } = queue.next_answer()?;
        let message = transfer_message(info.ep_type, info.addr.into(), status, length);
        Some(self.emit(id, &message, Source::Nowhere, 0, out))
    }

    fn emit(
        &mut self,
        id: u64,
        message: &Message,
        source: Source,
        length: usize,
        out: &mut [u8],
    ) -> usize {
        if length > 0 {
            self.link.sending = Some(Sending {
                source,
                remaining: length,
            });
        }
        let caps = self.link.caps.unwrap_or(Capabilities::NONE);
        let data_length = u32::try_from(length).unwrap_or(u32::MAX);
        message.emit(caps, id, data_length, out).unwrap_or(0)
    }

    /// Refuses a transfer at once.
    pub(super) fn refuse(&mut self, kind: EndpointType, id: u64, endpoint: u8, status: Status) {
        self.counters.refused_transfers = self.counters.refused_transfers.wrapping_add(1);
        self.push(match transfer_message(kind, endpoint, status, 0) {
            Message::Interrupt(header) => Outgoing::Interrupt { id, header },
            _ => Outgoing::Bulk {
                id,
                header: bulk_header(endpoint, status, 0),
            },
        });
    }
}

fn transfer_message(kind: EndpointType, endpoint: u8, status: Status, length: usize) -> Message {
    if kind == EndpointType::Interrupt {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        return Message::Interrupt(InterruptHeader {
            endpoint,
            status,
            length,
        });
    }
    Message::Bulk(bulk_header(endpoint, status, length))
}

fn bulk_header(endpoint: u8, status: Status, length: usize) -> BulkHeader {
    BulkHeader {
        endpoint,
        status,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        stream_id: 0,
    }
}
