//! NVMe-MI messages (NVMe-MI 1.2, section 3), as a management controller makes and reads them.
//!
//! | bytes | request | response |
//! |-|-|-|
//! | 0 | 84h: type 04h with integrity check | 84h |
//! | 1 | 08h MI command, 10h Admin command, slot 0 | the same with bit 7 set |
//! | 3:2 | 0 | 0 |
//! | 4 | opcode | status, 0 for success |
//! | last 4 | CRC-32C of all before | the same |
//!
//! Nothing here is taken from the responder, so that it is a check of it.

use crc::{CRC_32_ISCSI, Crc};

use super::control::DEVICE;
use super::exchange::Exchanger;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

const MESSAGE_TYPE: u8 = 0x84;
const MI: u8 = 0x08;
const ADMIN: u8 = 0x10;
const RESPONSE: u8 = 0x80;

/// Bytes of Admin command header and submission queue entry.
const ADMIN_REQUEST: usize = 68;
/// Bytes before the data of an Admin command's response.
const ADMIN_RESPONSE: usize = 20;

/// Bytes of the longest request: an Admin command with 4096 bytes of data.
pub(super) const LONGEST_REQUEST: usize = ADMIN_REQUEST + 4096 + 4;

/// A command of the Management Interface.
#[derive(Clone, Copy)]
pub(super) struct MiCommand {
    pub(super) opcode: u8,
    /// NVMe Management Dwords 0 and 1.
    pub(super) dwords: [u32; 2],
}

/// What a successful MI command returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// NVMe Management Response, 24 bits.
    pub(super) value: u32,
    pub(super) data: Vec<u8>,
}

/// An Admin command.
#[derive(Clone, Copy, Default)]
pub(super) struct AdminCommand<'d> {
    pub(super) opcode: u8,
    pub(super) controller: u16,
    pub(super) namespace: u32,
    /// Dwords 10 and 11 of the submission queue entry.
    pub(super) dwords: [u32; 2],
    pub(super) data: &'d [u8],
    /// How many bytes it returns.
    pub(super) returns: usize,
}

/// How an Admin command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Completion {
    /// Dword 0 of the completion queue entry: what the command returns beside data.
    pub(super) value: u32,
    /// Status code type in bits 10:8, status code in 7:0; 0 is success.
    pub(super) status: u16,
    pub(super) data: Vec<u8>,
}

impl MiCommand {
    pub(super) fn message(self) -> Vec<u8> {
        let mut message = vec![MESSAGE_TYPE, MI, 0, 0, self.opcode, 0, 0, 0];
        for dword in self.dwords {
            message.extend(dword.to_le_bytes());
        }
        seal(message)
    }

    /// Runs it. It must succeed and return `length` bytes.
    pub(super) async fn run(
        self,
        exchanger: &Exchanger<'_, '_, '_>,
        length: usize,
    ) -> Result<Answer, String> {
        let exchange = exchanger.ask(DEVICE, &self.message()).await?;
        answer(&exchange.response, length)
    }
}

impl AdminCommand<'_> {
    fn message(&self) -> Vec<u8> {
        let length = self.data.len().max(self.returns);
        // An offset of 0 is valid too, but 1.2 ignores that flag.
        let has_length = u8::from(length != 0);
        let mut message = vec![MESSAGE_TYPE, ADMIN, 0, 0, self.opcode, has_length];
        message.extend(self.controller.to_le_bytes());
        message.extend(self.namespace.to_le_bytes());
        message.resize(32, 0);
        message.extend((length as u32).to_le_bytes());
        message.resize(44, 0);
        for dword in self.dwords {
            message.extend(dword.to_le_bytes());
        }
        message.resize(ADMIN_REQUEST, 0);
        message.extend_from_slice(self.data);
        seal(message)
    }

    /// Runs it, with success or without.
    pub(super) async fn complete(
        &self,
        exchanger: &Exchanger<'_, '_, '_>,
    ) -> Result<Completion, String> {
        let exchange = exchanger.ask(DEVICE, &self.message()).await?;
        completion(&exchange.response, self.returns)
    }

    /// Runs it. It must succeed; returns its data.
    pub(super) async fn run(&self, exchanger: &Exchanger<'_, '_, '_>) -> Result<Vec<u8>, String> {
        let completion = self.succeed(exchanger).await?;
        Ok(completion.data)
    }

    /// Runs it. It must succeed.
    pub(super) async fn succeed(
        &self,
        exchanger: &Exchanger<'_, '_, '_>,
    ) -> Result<Completion, String> {
        match self.complete(exchanger).await? {
            completion @ Completion { status: 0, .. } => Ok(completion),
            Completion { status, .. } => Err(format!(
                "Admin command {:02x}h: status type {}, {:02x}h",
                self.opcode,
                status >> 8,
                status & 0xFF
            )),
        }
    }
}

fn seal(mut message: Vec<u8>) -> Vec<u8> {
    let check = CRC32C.checksum(&message);
    message.extend(check.to_le_bytes());
    message
}

/// Checks what all responses have in common, and returns the message without its integrity check.
fn open(response: &[u8], kind: u8) -> Result<&[u8], String> {
    // Old clients refuse responses that are no multiple of four bytes.
    if response.len() < 12 || !response.len().is_multiple_of(4) {
        return Err(format!("a response of {} bytes", response.len()));
    }
    let (message, check) = response.split_at(response.len() - 4);
    if check != CRC32C.checksum(message).to_le_bytes() {
        return Err("the integrity check of the response is wrong".into());
    }
    let header = [MESSAGE_TYPE, kind | RESPONSE, 0, 0];
    if message[..4] != header {
        return Err(format!(
            "the response starts with {:02x?}, should be {header:02x?}",
            &message[..4]
        ));
    }
    match message[4] {
        0x00 => Ok(message),
        status => Err(format!("NVMe-MI status {status:02x}h")),
    }
}

fn answer(response: &[u8], length: usize) -> Result<Answer, String> {
    let message = open(response, MI)?;
    let value = u32::from_le_bytes([message[5], message[6], message[7], 0]);
    let data = data_of(&message[8..], length)?;
    Ok(Answer { value, data })
}

fn completion(response: &[u8], length: usize) -> Result<Completion, String> {
    let message = open(response, ADMIN)?;
    if message.len() < ADMIN_RESPONSE || message[5..8] != [0; 3] {
        return Err("the response has no completion queue entry".into());
    }
    let dword = |at: usize| {
        u32::from_le_bytes([
            message[at],
            message[at + 1],
            message[at + 2],
            message[at + 3],
        ])
    };
    let dword3 = dword(16);
    if dword3 & 0xFFFF != 0 {
        return Err("the completion has a command identifier".into());
    }
    let status = (dword3 >> 17) as u16 & 0x7FF;
    let length = if status == 0 { length } else { 0 };
    let data = data_of(&message[ADMIN_RESPONSE..], length)?;
    Ok(Completion {
        value: dword(8),
        status,
        data,
    })
}

/// The first `length` bytes; all that may be behind them are the zeros that fill a dword.
fn data_of(data: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let (data, padding) = data
        .split_at_checked(length)
        .ok_or_else(|| format!("{} bytes of data, should be {length}", data.len()))?;
    if padding.len() >= 4 || padding.iter().any(|byte| *byte != 0) {
        return Err(format!(
            "{} bytes of data, should be {length}",
            length + padding.len()
        ));
    }
    Ok(data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the vectors of the device's specification notes. Do not change.
    #[test]
    fn requests_have_their_frozen_form() {
        let subsystem_information = MiCommand {
            opcode: 0x00,
            dwords: [0, 0],
        };
        assert_eq!(
            subsystem_information.message(),
            b"\x84\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe2\x00\x06\x07"
        );
        let poll = MiCommand {
            opcode: 0x01,
            dwords: [0, 1 << 31],
        };
        assert_eq!(
            poll.message(),
            b"\x84\x08\0\0\x01\0\0\0\0\0\0\0\0\0\0\x80\xaa\xef\x81\xb4"
        );
    }

    #[test]
    fn an_admin_request_has_every_field_in_its_place() {
        let command = AdminCommand {
            opcode: 0x11,
            controller: 0x0201,
            namespace: 0x0605_0403,
            dwords: [0x0A09_0807, 0x0E0D_0C0B],
            data: &[0xDD; 8],
            returns: 0,
        };
        let mut expected = vec![0; 80];
        expected[..6].copy_from_slice(&[0x84, 0x10, 0, 0, 0x11, 1]);
        expected[6..12].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        expected[32] = 8;
        expected[44..52].copy_from_slice(&[7, 8, 9, 10, 11, 12, 13, 14]);
        expected[68..76].fill(0xDD);
        expected.truncate(76);
        assert_eq!(command.message(), seal(expected));
    }

    #[test]
    fn a_response_is_read() {
        let success = b"\x84\x88\0\0\0\x20\0\0\x01\x01\x02\0";
        let response = seal(success.to_vec());
        let expected = Answer {
            value: 0x20,
            data: vec![1, 1, 2],
        };
        assert_eq!(answer(&response, 3).unwrap(), expected);
        let mut failed = vec![0; 20];
        failed[..2].copy_from_slice(&[0x84, 0x90]);
        failed[16..].copy_from_slice(&[0, 0, 0x04, 0x80]);
        let completion = completion(&seal(failed), 4096).unwrap();
        assert_eq!((completion.status, completion.data.len()), (0x02, 0));
    }

    #[test]
    fn a_wrong_response_is_seen() {
        let good = b"\x84\x88\0\0\0\x20\0\0\x01\x01\x02\0";
        for (at, words) in [
            (0, "starts with"),
            (1, "starts with"),
            (2, "starts with"),
            (4, "status 01h"),
            (11, "4 bytes of data"),
        ] {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            let sentence = answer(&seal(bad), 3).unwrap_err();
            assert!(sentence.contains(words), "{at}: {sentence}");
        }
        let response = seal(good.to_vec());
        for length in [0, 5, 8] {
            let sentence = answer(&response, length).unwrap_err();
            assert!(sentence.contains("bytes of data"), "{sentence}");
        }
        for bit in 0..response.len() * 8 {
            let mut damaged = response.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            answer(&damaged, 3).unwrap_err();
        }
        for length in 0..response.len() {
            answer(&response[..length], 3).unwrap_err();
        }
    }
}
