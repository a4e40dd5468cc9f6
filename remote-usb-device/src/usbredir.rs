//! usbredir 0.7: the device side, for QEMU's `usb-redir`.
//!
//! [`Runner::run_usbredir`](crate::Runner::run_usbredir) serves a connection, from hello on. Unlike USB/IP, the
//! protocol has messages for a bus reset, for configurations and alternate settings, and for a device
//! that is plugged out while the connection stays.

mod announcement;
mod emit;
pub mod wire;

use embassy_usb_driver::EndpointType;

use crate::collector::Collector;
use crate::engine::{
    Act, Answer, Blocked, ControlRequest, Engine, Form, Outcome, Output, Received, Sink,
};
use crate::protocol::ProtocolError;
use emit::Pending;
use wire::{
    BulkHeader, Capabilities, ControlHeader, Header, Hello, InterruptHeader, MAX_HEADER_LENGTH,
    MAX_LENGTH, Message, fixed_length, kind,
};

/// The longest fixed part that a guest sends: hello with one capability word.
const MAX_FIXED: usize = 68;
/// A hello with more capability words than anybody has is not a hello.
const MAX_HELLO: u32 = 1024;

#[derive(Clone, Copy)]
enum Stage {
    Header,
    /// The fixed part of this many bytes.
    Fixed(Header, usize),
    /// This many bytes of data are to come.
    Data(Sink, u32),
}

/// One connection.
pub(crate) struct Usbredir {
    /// What is in force, once the guest said hello.
    caps: Option<Capabilities>,
    stage: Stage,
    head: Collector<MAX_FIXED>,
    pending: Pending,
}

impl Usbredir {
    pub(crate) const fn new() -> Self {
        Self {
            caps: None,
            stage: Stage::Header,
            head: Collector::new(),
            pending: Pending::HELLO,
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.head.clear();
    }

    /// Takes bytes of the stream; call it again with what it did not use.
    fn receive(
        &mut self,
        engine: &mut Engine<'_>,
        input: &[u8],
    ) -> Result<Received, ProtocolError> {
        let mut used = 0usize;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let received = match self.stage {
                Stage::Header => self.receive_header(rest)?,
                Stage::Fixed(header, length) => self.receive_fixed(engine, header, length, rest)?,
                Stage::Data(sink, remaining) => self.receive_data(engine, sink, remaining, rest),
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
        match self.stage {
            Stage::Header => true,
            Stage::Fixed(_, length) => self.head.filled() < length,
            Stage::Data(_, remaining) => remaining > 0,
        }
    }

    fn receive_header(&mut self, input: &[u8]) -> Result<Received, ProtocolError> {
        let mut used = self.head.collect(4, input);
        let Some(message_kind) = self
            .head
            .bytes()
            .first_chunk()
            .copied()
            .map(u32::from_le_bytes)
        else {
            return Err(ProtocolError);
        };
        let caps = match self.caps {
            Some(caps) if message_kind != kind::HELLO => caps,
            _ => Capabilities::NONE,
        };
        let length = Header::encoded_length(caps).min(MAX_HEADER_LENGTH);
        if self.head.filled() >= 4 {
            let rest = input.get(used..).unwrap_or_default();
            used = used.saturating_add(self.head.collect(length, rest));
        }
        if self.head.filled() < length {
            return Ok(Received::used(used));
        }
        let (header, _) = Header::parse(self.head.bytes(), caps).ok_or(ProtocolError)?;
        let fixed = self.check_header(&header)?;
        self.enter(Stage::Fixed(header, fixed));
        Ok(Received::used(used))
    }

    /// The length of the fixed part to collect.
    fn check_header(&self, header: &Header) -> Result<usize, ProtocolError> {
        let length = usize::try_from(header.length).map_err(|_| ProtocolError)?;
        let Some(caps) = self.caps else {
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
        engine: &mut Engine<'_>,
        header: Header,
        length: usize,
        input: &[u8],
    ) -> Result<Received, ProtocolError> {
        let used = self.head.collect(length, input);
        if self.head.filled() < length {
            return Ok(Received::used(used));
        }
        if !engine.has_room_for_message() {
            return Ok(Received {
                used,
                blocked: Some(Blocked::Answers),
            });
        }
        let caps = self.caps.unwrap_or(Capabilities::NONE);
        let body = self.head.bytes().get(..length).unwrap_or_default();
        let message = Message::parse(header.kind, caps, body);
        let data = header
            .length
            .saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
        match self.act(engine, header, message, data)? {
            Act::Wait(blocked) => Ok(Received {
                used,
                blocked: Some(blocked),
            }),
            Act::Done(sink) => {
                self.enter(Stage::Data(sink, data));
                Ok(Received::used(used))
            }
        }
    }

    fn receive_data(
        &mut self,
        engine: &mut Engine<'_>,
        mut sink: Sink,
        mut remaining: u32,
        input: &[u8],
    ) -> Received {
        let received = engine.receive_data(&mut sink, &mut remaining, input);
        if remaining > 0 || received.blocked.is_some() {
            self.stage = Stage::Data(sink, remaining);
        } else {
            self.enter(Stage::Header);
        }
        received
    }

    fn act(
        &mut self,
        engine: &mut Engine<'_>,
        header: Header,
        message: Option<Message>,
        data: u32,
    ) -> Result<Act, ProtocolError> {
        if let Some(Message::Hello(hello)) = message {
            self.hello(engine, &hello);
            return Ok(Act::DISCARD);
        }
        let Some(message) = message.filter(|_| engine.is_announced() && is_acted_on(header.kind))
        else {
            engine.counters.skipped_messages = engine.counters.skipped_messages.wrapping_add(1);
            return Ok(Act::DISCARD);
        };
        let id = header.id;
        match message {
            Message::Control(control) => return control_packet(engine, id, control, data),
            Message::Bulk(bulk) => return bulk_packet(engine, id, bulk, data),
            Message::Interrupt(interrupt) => return interrupt_packet(engine, id, interrupt, data),
            Message::Reset => engine.reset(),
            Message::StartInterruptReceiving { endpoint } => {
                interrupt_receiving(engine, id, endpoint, true);
            }
            Message::StopInterruptReceiving { endpoint } => {
                interrupt_receiving(engine, id, endpoint, false);
            }
            Message::CancelDataPacket => engine.cancel(id),
            _ => {
                if let Some(setup) = standard_request(&message) {
                    let form = Form::Message;
                    engine.submit(ControlRequest { id, setup, form });
                }
            }
        }
        Ok(Act::DISCARD)
    }

    /// The guest is there. A second hello is a new guest on a stream that cannot be closed, such as
    /// a serial line.
    fn hello(&mut self, engine: &mut Engine<'_>, hello: &Hello) {
        if self.caps.is_some() {
            engine.link_up();
            self.pending = Pending::HELLO;
        }
        self.caps = Some(Capabilities::DEVICE.common(hello.capabilities));
        engine.connect();
    }
}

/// The SETUP packet that one of the messages for configurations and alternate settings stands for
/// (USB 2.0, section 9.4).
fn standard_request(message: &Message) -> Option<[u8; 8]> {
    match *message {
        Message::SetConfiguration { configuration } => Some([0, 9, configuration, 0, 0, 0, 0, 0]),
        Message::GetConfiguration => Some([0x80, 8, 0, 0, 0, 0, 1, 0]),
        Message::SetAltSetting {
            interface,
            alt_setting,
        } => Some([1, 11, alt_setting, 0, interface, 0, 0, 0]),
        Message::GetAltSetting { interface } => Some([0x81, 10, 0, 0, interface, 0, 1, 0]),
        _ => None,
    }
}

fn control_packet(
    engine: &mut Engine<'_>,
    id: u64,
    header: ControlHeader,
    data: u32,
) -> Result<Act, ProtocolError> {
    let is_in = header.request_type & 0x80 != 0;
    if data != if is_in { 0 } else { header.length.into() } {
        return Err(ProtocolError);
    }
    if engine.control_reply_waits() {
        return Ok(Act::Wait(Blocked::Answers));
    }
    let [v0, v1] = header.value.to_le_bytes();
    let [i0, i1] = header.index.to_le_bytes();
    let [l0, l1] = header.length.to_le_bytes();
    let request = ControlRequest {
        id,
        setup: [header.request_type, header.request, v0, v1, i0, i1, l0, l1],
        form: Form::Setup,
    };
    if is_in {
        engine.submit(request);
        return Ok(Act::DISCARD);
    }
    engine.cancel_control();
    if usize::from(header.length) > engine.control_capacity() {
        let answer = request.refused(Outcome::Stall);
        return Ok(Act::Done(Sink::Refused(answer)));
    }
    Ok(Act::Done(Sink::Control(request, 0)))
}

fn bulk_packet(
    engine: &mut Engine<'_>,
    id: u64,
    header: BulkHeader,
    data: u32,
) -> Result<Act, ProtocolError> {
    let is_in = header.endpoint & 0x80 != 0;
    if data != if is_in { 0 } else { header.length } {
        return Err(ProtocolError);
    }
    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
    let (kind, endpoint) = (EndpointType::Bulk, header.endpoint);
    if is_in {
        return Ok(engine.request_input(kind, id, endpoint, length));
    }
    Ok(engine.begin_output(&Output {
        kind,
        id,
        endpoint,
        length,
        empty_packet: false,
    }))
}

fn interrupt_packet(
    engine: &mut Engine<'_>,
    id: u64,
    header: InterruptHeader,
    data: u32,
) -> Result<Act, ProtocolError> {
    let is_in = header.endpoint & 0x80 != 0;
    if is_in || data != u32::from(header.length) {
        return Err(ProtocolError);
    }
    Ok(engine.begin_output(&Output {
        kind: EndpointType::Interrupt,
        id,
        endpoint: header.endpoint,
        length: header.length.into(),
        empty_packet: false,
    }))
}

fn interrupt_receiving(engine: &mut Engine<'_>, id: u64, endpoint: u8, start: bool) {
    let outcome = engine.set_receiving(endpoint, start);
    engine.push(Answer::Receiving {
        id,
        endpoint,
        outcome,
    });
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
