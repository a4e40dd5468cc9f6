//! NVMe-MI requests (message type 04h) of the Management Interface command set.
//!
//! Request and response, offsets from the message type byte (NVMe-MI 1.2, section 3.1 and 5):
//!
//! | bytes | request | response |
//! |---|---|---|
//! | 0 | 84h: type 04h with integrity check | 84h |
//! | 1 | 08h: a request, MI command, slot 0 | 88h |
//! | 3:2 | 0 | 0 |
//! | 4 | opcode | status |
//! | 7:5 | 0 | NMRESP |
//! | 11:8, 15:12 | NMD0, NMD1 | data from byte 8 on |
//! | 16.. | data | |
//! | last 4 | CRC-32C of all before | the same |

use std::io;
use std::time::Duration;

use crc::{CRC_32_ISCSI, Crc};

use crate::address::Destination;
use crate::exchange::{Exchange, Request};

/// NVMe-MI with integrity check.
pub const MESSAGE_TYPE: u8 = 0x84;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const MI_REQUEST: u8 = 0x08;
const MI_RESPONSE: u8 = 0x88;
const MORE_PROCESSING_REQUIRED: u8 = 0x01;

/// A command of the Management Interface command set.
#[derive(Clone, Debug)]
pub struct Command {
    /// Such as 07h for Reset.
    pub opcode: u8,
    /// NMD0 and NMD1.
    pub dwords: [u32; 2],
    /// Request Data.
    pub data: Vec<u8>,
}

/// A response that is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 00h: success.
    pub status: u8,
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
    #[error("cannot send NVMe-MI command {opcode:02x}h: {source}")]
    Socket {
        /// Of the command.
        opcode: u8,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Command {
    /// The message behind its type byte.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = vec![MESSAGE_TYPE, MI_REQUEST, 0, 0, self.opcode, 0, 0, 0];
        message.extend(self.dwords.iter().flat_map(|dword| dword.to_le_bytes()));
        message.extend(&self.data);
        message.extend(CRC32C.checksum(&message).to_le_bytes());
        message.split_off(1)
    }

    /// Sends the command and waits for its final response: More Processing Required is none.
    pub fn send(
        &self,
        socket: &mut impl Exchange,
        destination: Destination,
        wait: Duration,
    ) -> Result<Response, ManagementError> {
        let opcode = self.opcode;
        let body = self.encode();
        let request = Request {
            destination,
            message_type: MESSAGE_TYPE,
            body: &body,
        };
        let is_final = &mut |answer: &[u8]| answer.get(3) != Some(&MORE_PROCESSING_REQUIRED);
        let answer = socket
            .exchange(request, wait, is_final)
            .map_err(|source| ManagementError::Socket { opcode, source })?
            .ok_or(ManagementError::NoAnswer { opcode, wait })?;
        decode(&answer).map_err(|reason| ManagementError::BadAnswer { opcode, reason })
    }
}

/// Reads a response, without its message type byte.
fn decode(answer: &[u8]) -> Result<Response, &'static str> {
    let (content, check) = answer.split_last_chunk::<4>().ok_or("it is too short")?;
    let mut digest = CRC32C.digest();
    digest.update(&[MESSAGE_TYPE]);
    digest.update(content);
    if digest.finalize() != u32::from_le_bytes(*check) {
        return Err("its integrity check is wrong");
    }
    let (&[kind, _, _, status, a, b, c], data) =
        content.split_first_chunk::<7>().ok_or("it is too short")?;
    if kind != MI_RESPONSE {
        return Err("it is no response of slot 0 to an MI command");
    }
    Ok(Response {
        status,
        management_response: u32::from_le_bytes([a, b, c, 0]),
        data: data.to_vec(),
    })
}

/// The name of a response status.
pub fn status_name(status: u8) -> &'static str {
    match status {
        0x00 => "Success",
        0x01 => "More Processing Required",
        0x02 => "Internal Error",
        0x03 => "Invalid Command Opcode",
        0x04 => "Invalid Parameter",
        0x05 => "Invalid Command Size",
        0x06 => "Invalid Command Input Data Size",
        0x07 => "Access Denied",
        0x20 => "VPD Updates Exceeded",
        0x21 => "PCIe Inaccessible",
        0x22 => "Management Endpoint Buffer Cleared Due to Sanitize",
        _ => "a status without a name here",
    }
}

#[cfg(test)]
mod tests {
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
        let command = |opcode, dword0, dword1| Command {
            opcode,
            dwords: [dword0, dword1],
            data: Vec::new(),
        };
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
        let response = decode(&good).unwrap();
        assert_eq!(response.status, 4);
        assert_eq!(response.management_response, 0x0800);
        assert_eq!(response.data, [0u8; 0]);
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_err(), "{length}");
        }
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 0x10;
            assert!(decode(&bad).is_err(), "{byte}");
        }
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
        let command = Command {
            opcode: 0,
            dwords: [0; 2],
            data: Vec::new(),
        };
        let to = Destination::EndpointId(9);
        let more = bytes("88 00 00 01 00 32 00 f1 dd 39 98");
        let last = bytes("88 00 00 00 00 00 00 24 55 77 22");
        let mut peer = Peer(vec![more.clone(), last]);
        let response = command.send(&mut peer, to, Duration::ZERO).unwrap();
        assert_eq!(response.status, 0);
        let error = command.send(&mut Peer(vec![more]), to, Duration::ZERO);
        assert!(matches!(error, Err(ManagementError::NoAnswer { .. })));
    }
}
