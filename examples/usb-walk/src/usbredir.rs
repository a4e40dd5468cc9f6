//! A host that reaches its device by the usbredir protocol, as QEMU 10 does.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use remote_usb_device::usbredir::wire::{
    BulkHeader, Capabilities, ControlHeader, Header, Hello, MAX_HEADER_LENGTH, MAX_MESSAGE_LENGTH,
    Message, Status, fixed_length, kind,
};

use crate::host::{Host, Outcome, Until};

const CAPABILITIES: Capabilities = Capabilities(0xFF);
const IN: u8 = 0x80;

/// A host on a stream. Reads of the stream must end with an error when nothing comes for too long.
pub struct UsbredirHost<S> {
    stream: S,
    capabilities: Capabilities,
    next_id: u64,
}

impl<S: Read + Write> UsbredirHost<S> {
    /// Waits until the device is plugged in.
    ///
    /// # Errors
    ///
    /// When what comes is not the protocol, or nothing comes.
    pub fn attach(stream: S) -> Result<Self> {
        let mut host = Self {
            stream,
            capabilities: Capabilities::NONE,
            next_id: 1,
        };
        host.send(Message::Hello(Hello::new("usb-walk", CAPABILITIES)), 0, &[])?;
        loop {
            let (_, message, _) = host.receive()?;
            match message {
                Message::Hello(theirs) => {
                    host.capabilities = CAPABILITIES.common(theirs.capabilities);
                }
                Message::DeviceConnect(_) => return Ok(host),
                _ => {}
            }
        }
    }

    fn send(&mut self, message: Message, id: u64, data: &[u8]) -> Result<()> {
        let mut bytes = [0; MAX_MESSAGE_LENGTH];
        let length = message
            .emit(self.capabilities, id, data.len().try_into()?, &mut bytes)
            .context("a message that is too long")?;
        self.stream.write_all(&bytes[..length])?;
        self.stream.write_all(data)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<(u64, Message, Vec<u8>)> {
        let mut header = [0; MAX_HEADER_LENGTH];
        let length = Header::encoded_length(self.capabilities);
        self.stream.read_exact(&mut header[..length])?;
        let (header, _) = Header::parse(&header, self.capabilities).context("a short header")?;
        let mut body = vec![0; header.length.try_into()?];
        self.stream.read_exact(&mut body)?;
        let message = Message::parse(header.kind, self.capabilities, &body)
            .with_context(|| format!("a malformed message of type {}", header.kind))?;
        let fixed = fixed_length(header.kind, self.capabilities).unwrap_or(0);
        let data = if header.kind == kind::HELLO {
            Vec::new()
        } else {
            body.split_off(fixed)
        };
        Ok((header.id, message, data))
    }

    fn begin(&mut self, message: Message, data: &[u8]) -> Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(message, id, data)?;
        Ok(id)
    }

    fn end(&mut self, wanted: u64) -> Result<(Message, Vec<u8>)> {
        loop {
            let (id, message, data) = self.receive()?;
            match message {
                Message::EndpointInfo(_) | Message::InterfaceInfo(_) => {}
                Message::DeviceDisconnect => bail!("the device is unplugged"),
                _ => {
                    ensure!(id == wanted, "an answer to {id} instead of {wanted}");
                    return Ok((message, data));
                }
            }
        }
    }

    fn exchange(&mut self, message: Message, data: &[u8]) -> Result<Outcome> {
        let id = self.begin(message, data)?;
        let (message, data) = self.end(id)?;
        match message {
            Message::Control(reply) => outcome(reply.status, data),
            Message::Bulk(reply) => outcome(reply.status, data),
            Message::ConfigurationStatus {
                status,
                configuration,
            } => outcome(status, vec![configuration]),
            Message::AltSettingStatus {
                status,
                alt_setting,
                ..
            } => outcome(status, vec![alt_setting]),
            other => bail!("an answer of type {}", other.kind()),
        }
    }

    /// The messages that QEMU sends in place of these requests.
    fn message(setup: [u8; 8]) -> Message {
        let [request_type, request, v0, v1, i0, i1, l0, l1] = setup;
        let is_short = v1 == 0 && i1 == 0;
        match (request_type, request) {
            (0x00, 9) if is_short && setup[4..] == [0; 4] => {
                Message::SetConfiguration { configuration: v0 }
            }
            (0x80, 8) if setup[2..] == [0, 0, 0, 0, 1, 0] => Message::GetConfiguration,
            (0x01, 11) if is_short && setup[6..] == [0, 0] => Message::SetAltSetting {
                interface: i0,
                alt_setting: v0,
            },
            (0x81, 10) if is_short && v0 == 0 && setup[6..] == [1, 0] => {
                Message::GetAltSetting { interface: i0 }
            }
            _ => Message::Control(ControlHeader {
                endpoint: request_type & IN,
                request,
                request_type,
                status: Status::SUCCESS,
                value: u16::from_le_bytes([v0, v1]),
                index: u16::from_le_bytes([i0, i1]),
                length: u16::from_le_bytes([l0, l1]),
            }),
        }
    }
}

fn outcome(status: Status, data: Vec<u8>) -> Result<Outcome> {
    match status {
        Status::SUCCESS => Ok(Outcome::Done(data)),
        Status::STALL => Ok(Outcome::Stall),
        other => bail!("status {}", other.0),
    }
}

impl<S: Read + Write> Host for UsbredirHost<S> {
    // QEMU's host controller keeps Set Address to itself, and the device assigns itself one.
    const ASSIGNS_ADDRESSES: bool = false;

    fn reset(&mut self) -> Result<()> {
        self.send(Message::Reset, 0, &[])
    }

    fn control(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Outcome> {
        let outcome = self.exchange(Self::message(setup), data)?;
        match (Self::message(setup), outcome) {
            // Those who set it are told what it is, too.
            (
                Message::SetConfiguration {
                    configuration: wanted,
                }
                | Message::SetAltSetting {
                    alt_setting: wanted,
                    ..
                },
                Outcome::Done(is),
            ) => {
                ensure!(
                    is == [wanted],
                    "{is:02x?} is chosen instead of {wanted:02x}"
                );
                Ok(Outcome::Done(Vec::new()))
            }
            (_, outcome) => Ok(outcome),
        }
    }

    /// There is one way to take a request back, however far it is.
    fn abandon(&mut self, setup: [u8; 8], data: &[u8], _: Until) -> Result<()> {
        let id = self.begin(Self::message(setup), data)?;
        self.send(Message::CancelDataPacket, id, &[])?;
        self.end(id).map(drop)
    }

    fn bulk_out(&mut self, endpoint: u8, data: &[u8]) -> Result<Outcome> {
        self.exchange(Message::Bulk(bulk(endpoint, data.len())?), data)
    }

    fn bulk_in(&mut self, endpoint: u8, length: usize) -> Result<Outcome> {
        self.exchange(Message::Bulk(bulk(endpoint, length)?), &[])
    }
}

fn bulk(endpoint: u8, length: usize) -> Result<BulkHeader> {
    Ok(BulkHeader {
        endpoint,
        status: Status::SUCCESS,
        length: length.try_into()?,
        stream_id: 0,
    })
}
