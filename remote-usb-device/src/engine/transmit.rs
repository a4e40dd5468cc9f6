//! To the host: turns what waits into bytes of the stream.

use super::{Answer, Engine, Outcome};
use crate::copy::copy;
use crate::protocol::Protocol;

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
    /// `out` must hold at least the longest message of the protocol.
    pub(crate) fn transmit<P: Protocol>(&mut self, protocol: &mut P, out: &mut [u8]) -> usize {
        let mut used = 0usize;
        while let Some(room) = out.get_mut(used..).filter(|room| !room.is_empty()) {
            let count = if self.link.sending.is_some() {
                self.send_data(room)
            } else {
                self.send_message(protocol, room)
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

    fn send_message<P: Protocol>(&mut self, protocol: &mut P, out: &mut [u8]) -> usize {
        if out.len() < P::LONGEST_MESSAGE {
            return 0;
        }
        loop {
            let pending = protocol.emit_pending(self, out);
            if pending > 0 {
                return pending;
            }
            let Some((answer, source, length)) = self.next_answer() else {
                return 0;
            };
            let count = protocol.emit(self, &answer, length, out);
            if count > 0 {
                if length > 0 {
                    let remaining = length;
                    self.link.sending = Some(Sending { source, remaining });
                }
                return count;
            }
        }
    }

    /// The next answer, where its data are, and how many bytes of them.
    fn next_answer(&mut self) -> Option<(Answer, Source, usize)> {
        if let Some(Answer::Withdrawn {
            target,
            found: false,
            ..
        }) = self.link.outbox.front()
            && let Some(turn) = self.answered_at(*target)
        {
            return self.answer_of(turn);
        }
        if let Some(answer) = self.link.outbox.pop_front() {
            self.link.reader.wake();
            self.bus.waker.wake();
            self.control.waker.wake();
            let length = match answer {
                Answer::Control {
                    request,
                    outcome: Outcome::Done,
                    length,
                    ..
                } if request.has_data() => length.into(),
                _ => 0,
            };
            return Some((answer, Source::Control(0), length));
        }
        let (answer, source, length) = self.next_transfer()?;
        self.link.reader.wake();
        Some((answer, source, length))
    }

    /// The next answer of an endpoint, each endpoint in turn.
    fn next_transfer(&mut self) -> Option<(Answer, Source, usize)> {
        let count = self.ins.len().saturating_add(self.outs.len());
        for _ in 0..count {
            let turn = self.turn;
            let next = turn.saturating_add(1);
            self.turn = if next < count { next } else { 0 };
            let answer = self.answer_of(turn);
            if answer.is_some() {
                return answer;
            }
        }
        None
    }

    /// The endpoint where an answer to this request waits.
    fn answered_at(&self, id: u64) -> Option<usize> {
        let ins = self.ins.iter().map(|queue| queue.has_answer(id));
        let outs = self.outs.iter().map(|queue| queue.has_answer(id));
        ins.chain(outs).position(|has_answer| has_answer)
    }

    /// The next answer of one endpoint: IN endpoints first, then OUT endpoints.
    fn answer_of(&mut self, turn: usize) -> Option<(Answer, Source, usize)> {
        let (info, id, outcome, length, source) = match turn.checked_sub(self.ins.len()) {
            None => {
                let queue = self.ins.get_mut(turn)?;
                let info = queue.port.info?;
                let answer = queue.next_answer()?;
                let source = (Source::Input(turn), answer.length);
                (info, answer.id, answer.outcome, answer.length, source)
            }
            Some(index) => {
                let queue = self.outs.get_mut(index)?;
                let info = queue.port.info?;
                let answer = queue.next_answer()?;
                let source = (Source::Nowhere, 0);
                (info, answer.id, answer.outcome, answer.length, source)
            }
        };
        let answer = Answer::Transfer {
            id,
            kind: info.ep_type,
            endpoint: info.addr.into(),
            outcome,
            length,
        };
        let (source, data_length) = source;
        Some((answer, source, data_length))
    }
}
