//! NVMe-MI requests (message type 04h) of the Management Interface command set.
//!
//! The messages are made of the types of `nvme_mi_responder::wire`, which have a byte table each; a
//! message is one of them, then data, then the CRC-32C of all of it.

use std::io;
use std::time::Duration;

use crc::{CRC_32_ISCSI, Crc};
use nvme_mi_responder::wire::{
    ControlPrimitive, ControlPrimitiveRequest, ControlPrimitiveResponse, GenericResponse,
    ManagementCommand, ManagementOpcode, ManagementRequest, ManagementResponse, MessageKind,
    RequestHeader, ResponseStatus,
};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

use crate::address::Destination;
use crate::exchange::{Exchange, Request};

/// NVMe-MI with integrity check.
pub const MESSAGE_TYPE: u8 = 0x84;

/// Of every control primitive: there is one at a time.
const TAG: u8 = 0xA5;

/// Bytes of a message's integrity check.
const CHECK: usize = size_of::<u32>();

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A command of the Management Interface command set.
#[derive(Clone, Debug)]
pub struct Command {
    /// What is asked, and in which command slot.
    pub request: ManagementRequest,
    /// Request Data.
    pub data: Vec<u8>,
}

/// A response that is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// What became of the command.
    pub status: ResponseStatus,
    /// NVMe Management Response: bytes 5 to 7, little-endian.
    pub management_response: u32,
    /// Everything behind it.
    pub data: Vec<u8>,
}

/// Why there is no response to show.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// No answer in time.
    #[error("no answer to NVMe-MI command {opcode:02x}h within {} ms", wait.as_millis())]
    NoAnswer {
        /// Of the command.
        opcode: u8,
        /// How long it was waited for.
        wait: Duration,
    },
    /// An answer that breaks the layout.
    #[error("bad answer to NVMe-MI command {opcode:02x}h: {reason}")]
    BadAnswer {
        /// Of the command.
        opcode: u8,
        /// What is wrong, for people.
        reason: &'static str,
    },
    /// The kernel could not send or receive.
    #[error("cannot send NVMe-MI command {opcode:02x}h")]
    Socket {
        /// Of the command.
        opcode: u8,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Command {
    /// A command without data in command slot `slot`.
    pub fn new<C: ManagementCommand>(slot: u8, command: C) -> Self {
        Self {
            request: ManagementRequest::new(slot, command),
            data: Vec::new(),
        }
    }

    /// Any command in command slot 0, also one that the standard does not have.
    pub fn from_dwords(opcode: u8, [dword0, dword1]: [u32; 2], data: Vec<u8>) -> Self {
        let mut request = ManagementRequest::default();
        request.header = RequestHeader::request(MessageKind::MANAGEMENT, 0);
        request.opcode = ManagementOpcode(opcode);
        request.dword0 = U32::new(dword0);
        request.dword1 = U32::new(dword1);
        Self { request, data }
    }

    /// The message behind its type byte.
    pub fn encode(&self) -> Vec<u8> {
        sealed(&[self.request.as_bytes(), &self.data])
    }

    /// Sends the command and waits for its final response: More Processing Required is none.
    pub fn send(
        &self,
        socket: &mut impl Exchange,
        destination: Destination,
        wait: Duration,
    ) -> Result<Response, ManagementError> {
        let opcode = self.request.opcode.0;
        let answer = final_answer(socket, destination, opcode, &self.encode(), wait)?;
        decode(&answer, self.request.header.slot())
            .map_err(|reason| ManagementError::BadAnswer { opcode, reason })
    }
}

/// Sends a control primitive to a command slot, and returns the parameter of the response.
pub fn send_primitive(
    socket: &mut impl Exchange,
    destination: Destination,
    slot: u8,
    primitive: ControlPrimitive,
    wait: Duration,
) -> Result<u16, ManagementError> {
    let opcode = primitive.0;
    let asked = ControlPrimitiveRequest::new(slot, primitive, TAG);
    let body = sealed(&[asked.as_bytes()]);
    let request = Request {
        destination,
        message_type: MESSAGE_TYPE,
        body: &body,
    };
    let answer = socket
        .exchange(request, wait, &mut |_| true)
        .map_err(|source| ManagementError::Socket { opcode, source })?
        .ok_or(ManagementError::NoAnswer { opcode, wait })?;
    let mut expected = ControlPrimitiveResponse::new(slot, ResponseStatus::SUCCESS, TAG);
    let found = checked(&answer).and_then(|content| {
        ControlPrimitiveResponse::read_from_bytes(content).map_err(|_| "it has another length")
    });
    let bad = |reason| ManagementError::BadAnswer { opcode, reason };
    let found = found.map_err(bad)?;
    expected.parameter = found.parameter;
    if found != expected {
        return Err(bad("it is no success of that slot and tag"));
    }
    Ok(found.parameter.get())
}

/// Sends a command and waits for its final response: More Processing Required is none.
pub(crate) fn final_answer(
    socket: &mut impl Exchange,
    destination: Destination,
    opcode: u8,
    body: &[u8],
    wait: Duration,
) -> Result<Vec<u8>, ManagementError> {
    let request = Request {
        destination,
        message_type: MESSAGE_TYPE,
        body,
    };
    let is_final = &mut |answer: &[u8]| {
        let response = GenericResponse::ref_from_prefix(answer);
        !response
            .is_ok_and(|(response, _)| response.status == ResponseStatus::MORE_PROCESSING_REQUIRED)
    };
    socket
        .exchange(request, wait, is_final)
        .map_err(|source| ManagementError::Socket { opcode, source })?
        .ok_or(ManagementError::NoAnswer { opcode, wait })
}

/// A message of these parts behind its type byte, with its integrity check.
pub(crate) fn sealed(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = parts.concat();
    message.extend(check_of(&message).to_le_bytes());
    message
}

/// The integrity check of a message, which is without its type byte here.
fn check_of(message: &[u8]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&[MESSAGE_TYPE]);
    digest.update(message);
    digest.finalize()
}

/// A message without its integrity check, which is right.
pub(crate) fn checked(answer: &[u8]) -> Result<&[u8], &'static str> {
    let (content, check) = answer
        .split_last_chunk::<CHECK>()
        .ok_or("it is too short")?;
    match check_of(content) == u32::from_le_bytes(*check) {
        true => Ok(content),
        false => Err("its integrity check is wrong"),
    }
}

/// Reads a response from this command slot, without its message type byte.
fn decode(answer: &[u8], slot: u8) -> Result<Response, &'static str> {
    let content = checked(answer)?;
    let (response, data) =
        ManagementResponse::ref_from_prefix(content).map_err(|_| "it is too short")?;
    let expected = RequestHeader::response(MessageKind::MANAGEMENT, slot);
    if response.header.kind_and_slot != expected.kind_and_slot {
        return Err("it is no response of that slot to an MI command");
    }
    let [low, middle, high] = response.result;
    Ok(Response {
        status: response.status,
        management_response: u32::from_le_bytes([low, middle, high, 0]),
        data: data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use nvme_mi_responder::wire::ReadDataStructure;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len())
            .step_by(2)
            .map(|index| u8::from_str_radix(&digits[index..index + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn requests_are_those_of_other_clients() {
        let command =
            |opcode, dword0, dword1| Command::from_dwords(opcode, [dword0, dword1], Vec::new());
        assert_eq!(
            command(0x00, 0x0101_0000, 0).encode(),
            bytes("08 00 00 00 00 00 00 00 00 01 01 00 00 00 00 57 04 27 d0")
        );
        assert_eq!(
            command(0x03, 0x0100_0003, 256).encode(),
            bytes("08 00 00 03 00 00 00 03 00 00 01 00 01 00 00 09 06 80 12")
        );
    }

    #[test]
    fn response_is_read_and_its_check_is_checked() {
        let good = bytes("88 00 00 04 00 08 00 6f a7 41 c4");
        let response = decode(&good, 0).unwrap();
        assert_eq!(response.status, ResponseStatus::INVALID_PARAMETER);
        assert_eq!(response.management_response, 0x0800);
        assert_eq!(response.data, [0u8; 0]);
        for length in 0..good.len() {
            assert!(decode(&good[..length], 0).is_err(), "{length}");
        }
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 0x10;
            assert!(decode(&bad, 0).is_err(), "{byte}");
        }
        assert!(decode(&good, 1).is_err(), "of the other command slot");
    }

    struct Peer(Vec<Vec<u8>>);

    impl Exchange for Peer {
        fn exchange(
            &mut self,
            request: Request<'_>,
            _wait: Duration,
            accept: &mut dyn FnMut(&[u8]) -> bool,
        ) -> io::Result<Option<Vec<u8>>> {
            assert_eq!(request.message_type, 0x84);
            Ok(self.0.drain(..).find(|answer| accept(answer)))
        }
    }

    #[test]
    fn more_processing_required_is_waited_out() {
        let command = Command::new(0, ReadDataStructure::default());
        let to = Destination::EndpointId(9);
        let more = bytes("88 00 00 01 00 32 00 f1 dd 39 98");
        let last = bytes("88 00 00 00 00 00 00 24 55 77 22");
        let mut peer = Peer(vec![more.clone(), last]);
        let response = command.send(&mut peer, to, Duration::ZERO).unwrap();
        assert_eq!(response.status, ResponseStatus::SUCCESS);
        let error = command.send(&mut Peer(vec![more]), to, Duration::ZERO);
        assert!(matches!(error, Err(ManagementError::NoAnswer { .. })));
    }
}
