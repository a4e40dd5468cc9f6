//! To the guest.

use embassy_usb_driver::EndpointType;

use super::{Usbredir, announcement};
use crate::engine::{Answer, ControlRequest, Engine, Form, Outcome, Received};
use crate::protocol::{Protocol, ProtocolError};
use crate::usbredir::wire::{
    BulkHeader, Capabilities, ControlHeader, Hello, InterruptHeader, MAX_MESSAGE_LENGTH, Message,
    Status,
};

/// Messages that are sent before the next answer.
pub(super) struct Pending {
    hello: bool,
    interface_info: bool,
    device_connect: bool,
}

impl Pending {
    /// A connection begins with our hello.
    pub(super) const HELLO: Self = Self {
        hello: true,
        interface_info: false,
        device_connect: false,
    };

    fn next(&mut self, engine: &Engine<'_>) -> Option<Message> {
        if core::mem::take(&mut self.hello) {
            return Some(Message::Hello(hello()));
        }
        if core::mem::take(&mut self.interface_info) {
            let info = announcement::interface_info(engine.descriptors());
            return Some(Message::InterfaceInfo(info));
        }
        core::mem::take(&mut self.device_connect)
            .then(|| Message::DeviceConnect(announcement::device_connect(engine)))
    }
}

impl Protocol for Usbredir {
    const LONGEST_MESSAGE: usize = MAX_MESSAGE_LENGTH;

    fn open(&mut self, _engine: &mut Engine<'_>) {}

    fn receive(
        &mut self,
        engine: &mut Engine<'_>,
        input: &[u8],
    ) -> Result<Received, ProtocolError> {
        self.receive(engine, input)
    }

    fn emit_pending(&mut self, engine: &Engine<'_>, out: &mut [u8]) -> usize {
        match self.pending.next(engine) {
            Some(message) => self.write(&message, 0, 0, out),
            None => 0,
        }
    }

    fn emit(
        &mut self,
        engine: &Engine<'_>,
        answer: &Answer,
        data_length: usize,
        out: &mut [u8],
    ) -> usize {
        match self.message(engine, answer) {
            Some((id, message)) => self.write(&message, id, data_length, out),
            None => 0,
        }
    }
}

impl Usbredir {
    fn write(&self, message: &Message, id: u64, data_length: usize, out: &mut [u8]) -> usize {
        let caps = self.caps.unwrap_or(Capabilities::NONE);
        let data_length = u32::try_from(data_length).unwrap_or(u32::MAX);
        message.emit(caps, id, data_length, out).unwrap_or(0)
    }

    fn message(&mut self, engine: &Engine<'_>, answer: &Answer) -> Option<(u64, Message)> {
        Some(match *answer {
            Answer::Attached | Answer::EndpointsChanged => {
                self.pending.interface_info = true;
                self.pending.device_connect |= *answer == Answer::Attached;
                (
                    0,
                    Message::EndpointInfo(announcement::endpoint_info(engine)),
                )
            }
            Answer::Detached => (0, Message::DeviceDisconnect),
            Answer::Control {
                request,
                outcome,
                length,
                value,
            } => {
                let message = match request.form {
                    Form::Setup => control(&request, status(outcome), length),
                    Form::Message => standard_answer(&request, outcome, value),
                };
                (request.id, message)
            }
            Answer::Transfer {
                id,
                kind,
                endpoint,
                outcome,
                length,
            } => (id, transfer(kind, endpoint, status(outcome), length)),
            Answer::Receiving {
                id,
                endpoint,
                outcome,
            } => {
                let status = status(outcome);
                (id, Message::InterruptReceivingStatus { status, endpoint })
            }
            // Nothing is taken back in this way here.
            Answer::Withdrawn { .. } => return None,
        })
    }
}

/// Our hello.
fn hello() -> Hello {
    Hello::new(
        concat!("remote-usb-device ", env!("CARGO_PKG_VERSION")),
        Capabilities::DEVICE,
    )
}

fn status(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Done => Status::SUCCESS,
        Outcome::Cancelled => Status::CANCELLED,
        Outcome::Invalid | Outcome::Unsupported => Status::INVALID,
        Outcome::Failed => Status::IO_ERROR,
        Outcome::Stall => Status::STALL,
        Outcome::Babble => Status::BABBLE,
    }
}

fn control(request: &ControlRequest, status: Status, length: u16) -> Message {
    let [request_type, number, v0, v1, i0, i1, ..] = request.setup;
    Message::Control(ControlHeader {
        endpoint: request_type & 0x80,
        request: number,
        request_type,
        status,
        value: u16::from_le_bytes([v0, v1]),
        index: u16::from_le_bytes([i0, i1]),
        length,
    })
}

/// The answer to a message for configurations (requests 8 and 9) or alternate settings (10 and 11).
fn standard_answer(request: &ControlRequest, outcome: Outcome, value: u8) -> Message {
    let [_, number, wanted, _, interface, ..] = request.setup;
    let status = status(outcome);
    let alt_setting = match number {
        8 | 9 => {
            let configuration = value;
            return Message::ConfigurationStatus {
                status,
                configuration,
            };
        }
        11 => wanted,
        _ if outcome == Outcome::Done => value,
        _ => 0,
    };
    Message::AltSettingStatus {
        status,
        interface,
        alt_setting,
    }
}

fn transfer(kind: EndpointType, endpoint: u8, status: Status, length: usize) -> Message {
    if kind == EndpointType::Interrupt {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        return Message::Interrupt(InterruptHeader {
            endpoint,
            status,
            length,
        });
    }
    Message::Bulk(BulkHeader {
        endpoint,
        status,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        stream_id: 0,
    })
}
