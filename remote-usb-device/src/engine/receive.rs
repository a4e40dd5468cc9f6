//! From the host: requests, and the data that come with them.

use embassy_usb_driver::EndpointType;

use super::{Answer, ControlRequest, Engine, Outcome, ROOM_FOR_MESSAGE};
use crate::queue::Begin;

/// What the rest of the stream has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Answers must be sent first.
    Answers,
    /// The device must read this OUT endpoint first.
    Endpoint(usize),
    /// The device must finish a control request first.
    Control,
    /// The device must be there first.
    Device,
}

/// How far a wire came with the bytes of the stream.
pub(crate) struct Received {
    pub(crate) used: usize,
    pub(crate) blocked: Option<Blocked>,
}

impl Received {
    pub(crate) const fn used(used: usize) -> Self {
        Self {
            used,
            blocked: None,
        }
    }
}

/// Where the data of a message go, and what happens when all are there.
#[derive(Clone, Copy)]
pub(crate) enum Sink {
    Discard,
    /// Nowhere; then this is the answer.
    Refused(Answer),
    /// The control buffer, from this offset on, for this request.
    Control(ControlRequest, usize),
    /// The queue of this OUT endpoint.
    Output(usize),
}

/// What became of a message.
pub(crate) enum Act {
    /// It was acted on, or is as soon as its data came.
    Done(Sink),
    /// Try again later.
    Wait(Blocked),
}

impl Act {
    pub(crate) const DISCARD: Self = Self::Done(Sink::Discard);
}

/// An OUT transfer that begins.
pub(crate) struct Output {
    pub(crate) kind: EndpointType,
    pub(crate) id: u64,
    /// Endpoint address.
    pub(crate) endpoint: u8,
    pub(crate) length: usize,
    /// A transfer that is a multiple of the packet size ends with an empty packet.
    pub(crate) empty_packet: bool,
}

impl Engine<'_> {
    /// The host asks an IN endpoint of this type for up to `asked` bytes.
    pub(crate) fn request_input(
        &mut self,
        kind: EndpointType,
        id: u64,
        endpoint: u8,
        asked: usize,
    ) -> Act {
        let queue = self
            .input_index(endpoint)
            .and_then(|index| self.ins.get_mut(index));
        let result = match queue {
            Some(queue) if queue.is_full_of_answers() => return Act::Wait(Blocked::Answers),
            Some(queue) => queue.request(kind, id, asked),
            None => Err(Outcome::Invalid),
        };
        match result {
            Ok(()) => Act::DISCARD,
            Err(outcome) => self.refuse(Answer::refused(kind, id, endpoint, outcome)),
        }
    }

    /// The host starts a transfer to an OUT endpoint; its data follow.
    pub(crate) fn begin_output(&mut self, output: &Output) -> Act {
        let &Output {
            kind,
            id,
            endpoint,
            length,
            empty_packet,
        } = output;
        let refused = |outcome| Answer::refused(kind, id, endpoint, outcome);
        let index = self.output_index(endpoint);
        let Some((index, queue)) = index.and_then(|index| Some((index, self.outs.get_mut(index)?)))
        else {
            return self.refuse(refused(Outcome::Invalid));
        };
        if queue.is_full_of_answers() {
            return Act::Wait(Blocked::Answers);
        }
        match queue.begin(kind, id, length, empty_packet) {
            Begin::Accepted => Act::Done(Sink::Output(index)),
            Begin::Refused(outcome) => self.refuse(refused(outcome)),
            Begin::Full if queue.given_up => {
                self.counters.unread_transfers = self.counters.unread_transfers.wrapping_add(1);
                self.refuse(refused(Outcome::Failed))
            }
            Begin::Full => Act::Wait(Blocked::Endpoint(index)),
        }
    }

    /// Refuses a transfer, as soon as its data were drained.
    pub(crate) fn refuse(&mut self, answer: Answer) -> Act {
        self.counters.refused_transfers = self.counters.refused_transfers.wrapping_add(1);
        Act::Done(Sink::Refused(answer))
    }

    /// Starts or stops that the packets of an interrupt IN endpoint come unasked.
    pub(crate) fn set_receiving(&mut self, endpoint: u8, start: bool) -> Outcome {
        let queue = self
            .input_index(endpoint)
            .and_then(|index| self.ins.get_mut(index));
        let interrupt =
            |info: embassy_usb_driver::EndpointInfo| info.ep_type == EndpointType::Interrupt;
        match queue.filter(|queue| queue.port.info.is_some_and(interrupt)) {
            None => Outcome::Invalid,
            Some(queue) if start && !queue.port.enabled => Outcome::Invalid,
            Some(queue) if start && queue.port.stalled => Outcome::Stall,
            Some(queue) => {
                queue.receiving = start;
                queue.port.waker.wake();
                Outcome::Done
            }
        }
    }

    /// Answers the request with this id as cancelled. One that is not outstanding was answered
    /// already; that is no error.
    pub(crate) fn cancel(&mut self, id: u64) {
        let found = self.ins.iter_mut().any(|queue| queue.cancel(id))
            || (0..self.outs.len()).any(|index| {
                self.output(index)
                    .is_some_and(|(queue, storage)| queue.cancel(storage, id))
            })
            || self.cancel_control_id(id);
        if found {
            self.wake_stream();
        }
    }

    /// Takes the request `target` back, which gets no answer of its own any more, and answers the
    /// request `id` to do so.
    pub(crate) fn withdraw(&mut self, id: u64, target: u64) {
        let found = self.ins.iter_mut().any(|queue| queue.withdraw(target))
            || (0..self.outs.len()).any(|index| {
                self.output(index)
                    .is_some_and(|(queue, storage)| queue.withdraw(storage, target))
            })
            || self.withdraw_control(target);
        self.push(Answer::Withdrawn { id, target, found });
        self.wake_stream();
    }

    /// Takes up to `remaining` bytes of `input` as data of a message, and acts on the message when
    /// none is left.
    pub(crate) fn receive_data(
        &mut self,
        sink: &mut Sink,
        remaining: &mut u32,
        input: &[u8],
    ) -> Received {
        let limit = usize::try_from(*remaining).unwrap_or(usize::MAX);
        let data = input.get(..limit.min(input.len())).unwrap_or_default();
        let used = self.store(sink, data);
        *remaining = remaining.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        let blocked = match *sink {
            Sink::Output(index) if used < data.len() => Some(Blocked::Endpoint(index)),
            _ if *remaining > 0 => None,
            Sink::Refused(_) | Sink::Control(..) if !self.has_room(ROOM_FOR_MESSAGE) => {
                Some(Blocked::Answers)
            }
            Sink::Refused(answer) => {
                self.push(answer);
                *sink = Sink::Discard;
                None
            }
            Sink::Control(request, _) => {
                self.submit(request);
                *sink = Sink::Discard;
                None
            }
            Sink::Discard | Sink::Output(_) => None,
        };
        Received { used, blocked }
    }

    fn store(&mut self, sink: &mut Sink, data: &[u8]) -> usize {
        match sink {
            Sink::Discard | Sink::Refused(_) => data.len(),
            Sink::Control(_, offset) => {
                self.store_control_data(*offset, data);
                *offset = offset.saturating_add(data.len());
                data.len()
            }
            Sink::Output(index) => self
                .output(*index)
                .map_or(data.len(), |(queue, storage)| queue.push(storage, data)),
        }
    }

    /// The stream has waited long enough.
    pub(crate) fn give_up(&mut self, blocked: Blocked) {
        match blocked {
            Blocked::Endpoint(index) => {
                if self
                    .output(index)
                    .is_some_and(|(queue, _)| queue.fail_arriving())
                {
                    self.counters.unread_transfers = self.counters.unread_transfers.wrapping_add(1);
                }
                self.link.writer.wake();
            }
            Blocked::Control => self.give_up_control(),
            Blocked::Answers | Blocked::Device => {}
        }
    }

    /// True when waiting for this was given up before, and the device has done nothing about it
    /// since. `None` for what is waited for as long as it takes.
    pub(crate) fn has_given_up(&mut self, blocked: Blocked) -> Option<bool> {
        match blocked {
            Blocked::Answers | Blocked::Device => None,
            Blocked::Control => Some(self.has_given_up_control()),
            Blocked::Endpoint(index) => {
                Some(self.output(index).is_none_or(|(queue, _)| queue.given_up))
            }
        }
    }
}
