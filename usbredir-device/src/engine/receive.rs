//! From the guest: takes the stream apart and acts on each message.

use embassy_usb_driver::EndpointType;

use super::control::Job;
use super::{Engine, Outgoing, ROOM_FOR_MESSAGE};
use crate::copy::copy;
use crate::queue::Begin;
use crate::runner::ProtocolError;
use crate::wire::{
    BulkHeader, Capabilities, ControlHeader, Header, Hello, InterruptHeader, MAX_HEADER_LENGTH,
    MAX_LENGTH, Message, Status, fixed_length, kind,
};

/// The longest fixed part that a guest sends: hello with one capability word.
const MAX_FIXED: usize = 68;
/// A hello with more capability words than anybody has is not a hello.
const MAX_HELLO: u32 = 1024;

/// What the rest of the stream has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Answers must be sent first.
    Answers,
    /// The device must read this OUT endpoint first.
    Endpoint(usize),
}

/// How far [`Engine::receive`] came.
pub(crate) struct Received {
    pub(crate) used: usize,
    pub(crate) blocked: Option<Blocked>,
}

/// Where the data of the message go.
#[derive(Clone, Copy)]
enum Sink {
    Discard,
    /// The control buffer, for this request.
    Control(Job, usize),
    /// The queue of this OUT endpoint.
    Output(usize),
}

#[derive(Clone, Copy)]
enum Stage {
    Header,
    /// The fixed part of this many bytes.
    Fixed(Header, usize),
    /// This many bytes of data are to come.
    Data(Sink, u32),
}

/// Where in a message the stream is.
pub(super) struct Decoder {
    stage: Stage,
    bytes: [u8; MAX_FIXED],
    filled: usize,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self {
            stage: Stage::Header,
            bytes: [0; MAX_FIXED],
            filled: 0,
        }
    }

    /// Collects up to `length` bytes, and returns how many of `input` that took.
    fn collect(&mut self, length: usize, input: &[u8]) -> usize {
        let count = length.saturating_sub(self.filled).min(input.len());
        let end = self.filled.saturating_add(count);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(self.filled..end), input.get(..count)) {
            copy(from, to);
            self.filled = end;
        }
        count
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.filled = 0;
    }
}

impl Engine<'_> {
    /// Takes bytes of the stream; call it again with what it did not use.
    pub(crate) fn receive(&mut self, input: &[u8]) -> Result<Received, ProtocolError> {
        let mut used = 0usize;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let received = match self.link.decoder.stage {
                Stage::Header => self.receive_header(rest)?,
                Stage::Fixed(header, length) => self.receive_fixed(header, length, rest)?,
                Stage::Data(sink, remaining) => self.receive_data(sink, remaining, rest),
            };
            used = used.saturating_add(received.used);
            if received.blocked.is_some() || (used == input.len() && self.needs_input()) {
                return Ok(Received {
                    used,
                    blocked: received.blocked,
                });
            }
        }
    }

    /// False when the next step can be taken without another byte.
    fn needs_input(&self) -> bool {
        match self.link.decoder.stage {
            Stage::Header => true,
            Stage::Fixed(_, length) => self.link.decoder.filled < length,
            Stage::Data(_, remaining) => remaining > 0,
        }
    }

    fn receive_header(&mut self, input: &[u8]) -> Result<Received, ProtocolError> {
        let decoder = &mut self.link.decoder;
        let mut used = decoder.collect(4, input);
        let Some(message_kind) = decoder.bytes.first_chunk().copied().map(u32::from_le_bytes)
        else {
            return Err(ProtocolError);
        };
        let caps = match self.link.caps {
            Some(caps) if message_kind != kind::HELLO => caps,
            _ => Capabilities::NONE,
        };
        let length = Header::encoded_length(caps).min(MAX_HEADER_LENGTH);
        if decoder.filled >= 4 {
            used =
                used.saturating_add(decoder.collect(length, input.get(used..).unwrap_or_default()));
        }
        if decoder.filled < length {
            return Ok(Received {
                used,
                blocked: None,
            });
        }
        let (header, _) = Header::parse(&decoder.bytes, caps).ok_or(ProtocolError)?;
        let fixed = self.check_header(&header)?;
        self.link.decoder.enter(Stage::Fixed(header, fixed));
        Ok(Received {
            used,
            blocked: None,
        })
    }

    /// The length of the fixed part to collect.
    fn check_header(&self, header: &Header) -> Result<usize, ProtocolError> {
        let length = usize::try_from(header.length).map_err(|_| ProtocolError)?;
        let Some(caps) = self.link.caps else {
            let hello = header.kind == kind::HELLO && (64..=MAX_HELLO).contains(&header.length);
            return if hello {
                Ok(length.min(MAX_FIXED))
            } else {
                Err(ProtocolError)
            };
        };
        if header.length > MAX_LENGTH {
            return Err(ProtocolError);
        }
        match header.kind {
            kind::HELLO if (64..=MAX_HELLO).contains(&header.length) => Ok(length.min(MAX_FIXED)),
            kind::HELLO => Err(ProtocolError),
            kind::CONTROL_PACKET | kind::BULK_PACKET | kind::INTERRUPT_PACKET => {
                fixed_length(header.kind, caps)
                    .filter(|fixed| *fixed <= length)
                    .ok_or(ProtocolError)
            }
            _ if is_acted_on(header.kind) => fixed_length(header.kind, caps)
                .filter(|fixed| *fixed == length)
                .ok_or(ProtocolError),
            _ => Ok(0),
        }
    }

    fn receive_fixed(
        &mut self,
        header: Header,
        length: usize,
        input: &[u8],
    ) -> Result<Received, ProtocolError> {
        let used = self.link.decoder.collect(length, input);
        if self.link.decoder.filled < length {
            return Ok(Received {
                used,
                blocked: None,
            });
        }
        if !self.has_room(ROOM_FOR_MESSAGE) {
            return Ok(Received {
                used,
                blocked: Some(Blocked::Answers),
            });
        }
        let body = self.link.decoder.bytes;
        let caps = self.link.caps.unwrap_or(Capabilities::NONE);
        let message = Message::parse(header.kind, caps, body.get(..length).unwrap_or_default());
        let data = header
            .length
            .saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
        match self.act(header, message, data)? {
            Act::Wait(blocked) => Ok(Received {
                used,
                blocked: Some(blocked),
            }),
            Act::Done(sink) => {
                self.link.decoder.enter(Stage::Data(sink, data));
                Ok(Received {
                    used,
                    blocked: None,
                })
            }
        }
    }

    fn receive_data(&mut self, sink: Sink, remaining: u32, input: &[u8]) -> Received {
        let limit = usize::try_from(remaining)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let data = input.get(..limit).unwrap_or_default();
        let used = match sink {
            Sink::Discard => data.len(),
            Sink::Control(_, offset) => {
                self.store_control_data(offset, data);
                data.len()
            }
            Sink::Output(index) => self
                .output(index)
                .map_or(data.len(), |(queue, storage)| queue.push(storage, data)),
        };
        let remaining = remaining.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        let sink = match sink {
            Sink::Control(job, offset) => Sink::Control(job, offset.saturating_add(used)),
            other => other,
        };
        if remaining > 0 {
            self.link.decoder.stage = Stage::Data(sink, remaining);
        } else {
            self.link.decoder.enter(Stage::Header);
            if let Sink::Control(job, _) = sink {
                self.submit(job);
            }
        }
        let blocked = match sink {
            Sink::Output(index) if used < data.len() => Some(Blocked::Endpoint(index)),
            _ => None,
        };
        Received { used, blocked }
    }

    /// The stream has waited long enough for the device to read an OUT endpoint.
    pub(crate) fn give_up(&mut self, index: usize) {
        if self
            .output(index)
            .is_some_and(|(queue, _)| queue.fail_arriving())
        {
            self.counters.unread_transfers = self.counters.unread_transfers.wrapping_add(1);
        }
        self.link.writer.wake();
    }

    /// True when waiting for this OUT endpoint was given up before, and the device has not read it
    /// since.
    pub(crate) fn has_given_up(&mut self, index: usize) -> bool {
        self.output(index).is_none_or(|(queue, _)| queue.given_up)
    }

    fn act(
        &mut self,
        header: Header,
        message: Option<Message>,
        data: u32,
    ) -> Result<Act, ProtocolError> {
        if let Some(Message::Hello(hello)) = message {
            self.hello(&hello);
            return Ok(Act::DISCARD);
        }
        let Some(message) = message.filter(|_| self.link.announced && is_acted_on(header.kind))
        else {
            self.counters.skipped_messages = self.counters.skipped_messages.wrapping_add(1);
            return Ok(Act::DISCARD);
        };
        let id = header.id;
        match message {
            Message::Control(control) => return self.control_packet(id, control, data),
            Message::Bulk(bulk) => return self.bulk_packet(id, bulk, data),
            Message::Interrupt(interrupt) => return self.interrupt_packet(id, interrupt, data),
            Message::Reset => self.reset(),
            Message::SetConfiguration { configuration } => {
                self.submit(Job::SetConfiguration { id, configuration })
            }
            Message::GetConfiguration => self.submit(Job::GetConfiguration { id }),
            Message::SetAltSetting {
                interface,
                alt_setting,
            } => {
                self.submit(Job::SetAltSetting {
                    id,
                    interface,
                    alt_setting,
                });
            }
            Message::GetAltSetting { interface } => {
                self.submit(Job::GetAltSetting { id, interface })
            }
            Message::StartInterruptReceiving { endpoint } => {
                self.interrupt_receiving(id, endpoint, true)
            }
            Message::StopInterruptReceiving { endpoint } => {
                self.interrupt_receiving(id, endpoint, false)
            }
            Message::CancelDataPacket => self.cancel(id),
            _ => {}
        }
        Ok(Act::DISCARD)
    }

    /// The guest is there. A second hello is a new guest on a stream that cannot be closed, such as
    /// a serial line.
    fn hello(&mut self, hello: &Hello) {
        if self.link.caps.is_some() {
            self.link_up();
        }
        self.counters.connections = self.counters.connections.wrapping_add(1);
        self.link.caps = Some(Capabilities::DEVICE.common(hello.capabilities));
        self.bus.waker.wake();
    }

    fn control_packet(
        &mut self,
        id: u64,
        header: ControlHeader,
        data: u32,
    ) -> Result<Act, ProtocolError> {
        let is_in = header.request_type & 0x80 != 0;
        if data != if is_in { 0 } else { header.length.into() } {
            return Err(ProtocolError);
        }
        if self.control.reply_busy() {
            return Ok(Act::Wait(Blocked::Answers));
        }
        let job = Job::Packet { id, header };
        if is_in {
            self.submit(job);
            return Ok(Act::DISCARD);
        }
        self.cancel_control();
        if usize::from(header.length) > self.control_capacity() {
            let header = ControlHeader {
                status: Status::STALL,
                length: 0,
                ..header
            };
            self.push(Outgoing::Control {
                id,
                header,
                data: false,
            });
            return Ok(Act::DISCARD);
        }
        Ok(Act::Done(Sink::Control(job, 0)))
    }

    fn bulk_packet(
        &mut self,
        id: u64,
        header: BulkHeader,
        data: u32,
    ) -> Result<Act, ProtocolError> {
        let is_in = header.endpoint & 0x80 != 0;
        if data != if is_in { 0 } else { header.length } {
            return Err(ProtocolError);
        }
        if is_in {
            return Ok(self.bulk_request(id, header));
        }
        Ok(self.begin_output(EndpointType::Bulk, id, header.endpoint, data))
    }

    fn bulk_request(&mut self, id: u64, header: BulkHeader) -> Act {
        let asked = usize::try_from(header.length).unwrap_or(usize::MAX);
        let result = match self
            .input_index(header.endpoint)
            .and_then(|index| self.ins.get_mut(index))
        {
            Some(queue) if queue.is_full_of_answers() => return Act::Wait(Blocked::Answers),
            Some(queue) => queue.request(id, asked),
            None => Err(Status::INVALID),
        };
        if let Err(status) = result {
            self.refuse(EndpointType::Bulk, id, header.endpoint, status);
        }
        Act::DISCARD
    }

    fn interrupt_packet(
        &mut self,
        id: u64,
        header: InterruptHeader,
        data: u32,
    ) -> Result<Act, ProtocolError> {
        let is_in = header.endpoint & 0x80 != 0;
        if is_in || data != u32::from(header.length) {
            return Err(ProtocolError);
        }
        Ok(self.begin_output(EndpointType::Interrupt, id, header.endpoint, data))
    }

    fn begin_output(&mut self, kind: EndpointType, id: u64, endpoint: u8, length: u32) -> Act {
        let index = self.output_index(endpoint);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((index, queue)) = index.and_then(|index| Some((index, self.outs.get_mut(index)?)))
        else {
            self.refuse(kind, id, endpoint, Status::INVALID);
            return Act::DISCARD;
        };
        if queue.is_full_of_answers() {
            return Act::Wait(Blocked::Answers);
        }
        match queue.begin(kind, id, length) {
            Begin::Accepted => Act::Done(Sink::Output(index)),
            Begin::Refused(status) => {
                self.refuse(kind, id, endpoint, status);
                Act::DISCARD
            }
            Begin::Full if queue.given_up => {
                self.counters.unread_transfers = self.counters.unread_transfers.wrapping_add(1);
                self.refuse(kind, id, endpoint, Status::IO_ERROR);
                Act::DISCARD
            }
            Begin::Full => Act::Wait(Blocked::Endpoint(index)),
        }
    }

    fn interrupt_receiving(&mut self, id: u64, endpoint: u8, start: bool) {
        let queue = self
            .input_index(endpoint)
            .and_then(|index| self.ins.get_mut(index));
        let interrupt =
            |info: embassy_usb_driver::EndpointInfo| info.ep_type == EndpointType::Interrupt;
        let status = match queue.filter(|queue| queue.port.info.is_some_and(interrupt)) {
            None => Status::INVALID,
            Some(queue) if start && !queue.port.enabled => Status::INVALID,
            Some(queue) if start && queue.port.stalled => Status::STALL,
            Some(queue) => {
                queue.receiving = start;
                queue.port.waker.wake();
                Status::SUCCESS
            }
        };
        self.push(Outgoing::InterruptReceivingStatus {
            id,
            status,
            endpoint,
        });
    }

    /// An id that is not outstanding was answered already; that is no error.
    fn cancel(&mut self, id: u64) {
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
}

/// What became of a message.
enum Act {
    /// It was acted on, or is as soon as its data came.
    Done(Sink),
    /// Try again later.
    Wait(Blocked),
}

impl Act {
    const DISCARD: Self = Self::Done(Sink::Discard);
}

/// The messages of a guest that mean something to this device.
fn is_acted_on(message_kind: u32) -> bool {
    matches!(
        message_kind,
        kind::RESET
            | kind::SET_CONFIGURATION
            | kind::GET_CONFIGURATION
            | kind::SET_ALT_SETTING
            | kind::GET_ALT_SETTING
            | kind::START_INTERRUPT_RECEIVING
            | kind::STOP_INTERRUPT_RECEIVING
            | kind::CANCEL_DATA_PACKET
            | kind::CONTROL_PACKET
            | kind::BULK_PACKET
            | kind::INTERRUPT_PACKET
    )
}
