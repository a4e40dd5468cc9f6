//! USB/IP on the engine: takes the stream apart, and writes the answers.

use embassy_usb_driver::EndpointType;

use super::wire::{
    Command, HEADER_LENGTH, NOT_ISOCHRONOUS, PACKET_DESCRIPTOR_LENGTH, Reply, Submit, ZERO_PACKET,
    status,
};
use crate::collector::Collector;
use crate::copy::copy;
use crate::engine::{
    Act, Answer, Blocked, ControlRequest, Engine, Form, Outcome, Output, Received, Sink,
};
use crate::protocol::{Protocol, ProtocolError};

/// The most packets of an isochronous transfer, as in Linux (drivers/usb/usbip/usbip_common.h).
const MAX_PACKETS: u32 = 1024;

/// bmRequestType and bRequest of SET_ADDRESS (USB 2.0, section 9.4.6).
const SET_ADDRESS: [u8; 2] = [0x00, 5];
/// GET_DESCRIPTOR for 64 bytes of the device descriptor: the first request of an enumeration.
const ENUMERATION: [u8; 8] = [0x80, 6, 0, 1, 0, 0, 64, 0];

#[derive(Clone, Copy)]
enum Stage {
    Header,
    Command(Command),
    /// This many bytes of data are to come.
    Data(Sink, u32),
}

/// One connection.
pub(crate) struct Usbip {
    stage: Stage,
    head: Collector<HEADER_LENGTH>,
    /// The device was shown the reset that comes before the first request.
    reset_shown: bool,
    /// The host gave the device another address since, which Linux does not: it would keep that to
    /// itself.
    address_changed: bool,
    /// The device was unplugged.
    ended: bool,
}

impl Usbip {
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Header,
            head: Collector::new(),
            reset_shown: false,
            address_changed: false,
            ended: false,
        }
    }

    /// Acts on a message, and returns how many bytes of data follow it.
    fn act(
        &mut self,
        engine: &mut Engine<'_>,
        command: &Command,
    ) -> Result<(Act, u32), ProtocolError> {
        if !engine.is_announced() {
            if !engine.is_attached() {
                self.ended = true;
                engine.writer_waker().wake();
            }
            return Ok((Act::Wait(Blocked::Device), 0));
        }
        if !core::mem::replace(&mut self.reset_shown, true) {
            engine.reset();
        }
        if !engine.has_room_for_message() {
            return Ok((Act::Wait(Blocked::Answers), 0));
        }
        match command {
            Command::Unlink(unlink) => {
                engine.withdraw(unlink.number.into(), unlink.target.into());
                Ok((Act::DISCARD, 0))
            }
            Command::Submit(submit) if submit.endpoint == 0 => {
                let data = if submit.is_in { 0 } else { submit.length };
                Ok((self.control(engine, submit), data))
            }
            Command::Submit(submit) => transfer(engine, submit),
        }
    }

    fn control(&mut self, engine: &mut Engine<'_>, submit: &Submit) -> Act {
        let [request_type, number, v0, v1, i0, i1, l0, l1] = submit.setup;
        let wanted = u32::from(u16::from_le_bytes([l0, l1]));
        // The device must not answer with more than the host has room for.
        let length = if submit.is_in {
            wanted.min(submit.length)
        } else {
            wanted
        };
        let [l0, l1, ..] = length.to_le_bytes();
        let request = ControlRequest {
            id: submit.number.into(),
            setup: [request_type, number, v0, v1, i0, i1, l0, l1],
            form: Form::Setup,
        };
        let has_data = length > 0;
        if (has_data && request.is_in() != submit.is_in)
            || (!submit.is_in && submit.length != wanted)
        {
            return Act::Done(Sink::Refused(request.refused(Outcome::Unsupported)));
        }
        if engine.control_reply_waits() {
            return Act::Wait(Blocked::Answers);
        }
        if engine.control_is_busy() {
            return match engine.has_given_up(Blocked::Control) {
                Some(true) => Act::Done(Sink::Refused(request.refused(Outcome::Failed))),
                _ => Act::Wait(Blocked::Control),
            };
        }
        if submit.setup == ENUMERATION && (engine.is_configured() || self.address_changed) {
            engine.reset();
            self.address_changed = false;
        }
        self.address_changed |= [request_type, number] == SET_ADDRESS;
        if submit.is_in || !has_data {
            engine.submit(request);
            return Act::DISCARD;
        }
        let fits = usize::try_from(length).is_ok_and(|length| length <= engine.control_capacity());
        Act::Done(if fits {
            Sink::Control(request, 0)
        } else {
            Sink::Refused(request.refused(Outcome::Stall))
        })
    }

    fn step(&mut self, engine: &mut Engine<'_>, input: &[u8]) -> Result<Received, ProtocolError> {
        match self.stage {
            Stage::Header => {
                let used = self.head.collect(HEADER_LENGTH, input);
                if self.head.filled() == HEADER_LENGTH {
                    let command = Command::parse(self.head.bytes()).ok_or(ProtocolError)?;
                    self.head.clear();
                    self.stage = Stage::Command(command);
                }
                Ok(Received::used(used))
            }
            Stage::Command(command) => match self.act(engine, &command)? {
                (Act::Wait(blocked), _) => Ok(Received {
                    used: 0,
                    blocked: Some(blocked),
                }),
                (Act::Done(sink), data) => {
                    self.stage = Stage::Data(sink, data);
                    Ok(Received::used(0))
                }
            },
            Stage::Data(mut sink, mut remaining) => {
                let received = engine.receive_data(&mut sink, &mut remaining, input);
                self.stage = if remaining > 0 || received.blocked.is_some() {
                    Stage::Data(sink, remaining)
                } else {
                    Stage::Header
                };
                Ok(received)
            }
        }
    }

    /// False when the next step can be taken without another byte.
    fn needs_input(&self) -> bool {
        match self.stage {
            Stage::Header => true,
            Stage::Command(_) => false,
            Stage::Data(_, remaining) => remaining > 0,
        }
    }
}

fn transfer(engine: &mut Engine<'_>, submit: &Submit) -> Result<(Act, u32), ProtocolError> {
    let id = submit.number.into();
    let endpoint = submit.endpoint | if submit.is_in { 0x80 } else { 0 };
    let data = if submit.is_in { 0 } else { submit.length };
    let length = usize::try_from(submit.length).unwrap_or(usize::MAX);
    let Some(kind) = engine.endpoint_type(endpoint) else {
        return no_endpoint(engine, submit, endpoint, data);
    };
    if submit.is_in {
        return Ok((engine.request_input(kind, id, endpoint, length), 0));
    }
    let output = Output {
        kind,
        id,
        endpoint,
        length,
        empty_packet: submit.flags & ZERO_PACKET != 0,
    };
    Ok((engine.begin_output(&output), data))
}

/// Refuses a transfer to an endpoint that is not there. Only here can the number of packets mean
/// anything, as no endpoint of this device is isochronous.
fn no_endpoint(
    engine: &mut Engine<'_>,
    submit: &Submit,
    endpoint: u8,
    data: u32,
) -> Result<(Act, u32), ProtocolError> {
    let id = submit.number.into();
    let (kind, outcome, packets) = match submit.packets {
        0 | NOT_ISOCHRONOUS => (EndpointType::Bulk, Outcome::Invalid, 0),
        packets @ 1..=MAX_PACKETS => (EndpointType::Isochronous, Outcome::Unsupported, packets),
        _ => return Err(ProtocolError),
    };
    let descriptors = packets.saturating_mul(PACKET_DESCRIPTOR_LENGTH);
    let act = engine.refuse(Answer::refused(kind, id, endpoint, outcome));
    Ok((act, data.saturating_add(descriptors)))
}

impl Protocol for Usbip {
    const LONGEST_MESSAGE: usize = HEADER_LENGTH;

    fn open(&mut self, engine: &mut Engine<'_>) {
        engine.connect();
        self.ended = !engine.is_attached();
    }

    fn receive(
        &mut self,
        engine: &mut Engine<'_>,
        input: &[u8],
    ) -> Result<Received, ProtocolError> {
        let mut used = 0usize;
        loop {
            let received = self.step(engine, input.get(used..).unwrap_or_default())?;
            used = used.saturating_add(received.used);
            let blocked = received.blocked;
            if blocked.is_some() || (used == input.len() && self.needs_input()) {
                return Ok(Received { used, blocked });
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn emit(
        &mut self,
        _engine: &Engine<'_>,
        answer: &Answer,
        _data_length: usize,
        out: &mut [u8],
    ) -> usize {
        let reply = match *answer {
            Answer::Control {
                request,
                outcome,
                length,
                ..
            } => submit_reply(request.id, outcome, length.into()),
            Answer::Transfer {
                id,
                outcome,
                length,
                ..
            } => submit_reply(id, outcome, u32::try_from(length).unwrap_or(u32::MAX)),
            Answer::Withdrawn { id, found, .. } => Reply::Unlink {
                number: id as u32,
                status: if found { status::UNLINKED } else { 0 },
            },
            Answer::Detached => {
                self.ended = true;
                return 0;
            }
            Answer::Attached | Answer::EndpointsChanged | Answer::Receiving { .. } => return 0,
        };
        let header = reply.emit();
        copy(&header, out);
        header.len()
    }
}

fn submit_reply(id: u64, outcome: Outcome, length: u32) -> Reply {
    Reply::Submit {
        // The numbers of requests are ids here, and so have 32 bits.
        number: id as u32,
        status: match outcome {
            Outcome::Done => status::SUCCESS,
            Outcome::Cancelled => status::SHUT_DOWN,
            Outcome::Invalid => status::NO_ENDPOINT,
            Outcome::Unsupported => status::INVALID,
            Outcome::Failed => status::FAILED,
            Outcome::Stall => status::STALL,
            Outcome::Babble => status::BABBLE,
        },
        length,
    }
}
