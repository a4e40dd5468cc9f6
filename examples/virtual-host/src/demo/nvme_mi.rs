//! NVMe-MI messages (NVMe-MI 1.2, section 3), as a management controller makes and reads them: of the
//! types of `nvme_mi_responder::wire`, with data behind them, then the CRC-32C of all of it.
//!
//! No number of a byte is here. That the types have each field where it belongs is for the tests,
//! whose messages are bytes.

use crc::{CRC_32_ISCSI, Crc};
use nvme_mi_responder::wire::{
    self, AdminRequest, AdminResponse, GenericResponse, ManagementRequest, ManagementResponse,
    RequestHeader, ResponseStatus,
};
use zerocopy::{FromBytes, IntoBytes};

use super::control::DEVICE;
use super::exchange::Exchanger;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// NVMe-MI with integrity check.
const MESSAGE_TYPE: u8 = 0x84;

/// Bytes of a message's integrity check.
const CHECK: usize = size_of::<u32>();

/// Bytes of the longest request: an Admin command with 4096 bytes of data.
pub(super) const LONGEST_REQUEST: usize =
    size_of_val(&MESSAGE_TYPE) + size_of::<AdminRequest>() + 4096 + CHECK;

/// A command of the Management Interface.
#[derive(Clone, Copy)]
pub(super) struct MiCommand(ManagementRequest);

/// What a successful MI command returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// NVMe Management Response.
    pub(super) result: [u8; 3],
    pub(super) data: Vec<u8>,
}

/// An Admin command.
#[derive(Clone, Copy)]
pub(super) struct AdminCommand<'d> {
    request: AdminRequest,
    data: &'d [u8],
    /// How many bytes it returns.
    returns: usize,
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
    pub(super) fn new(command: impl wire::ManagementCommand) -> Self {
        Self(ManagementRequest::new(0, command))
    }

    pub(super) fn message(self) -> Vec<u8> {
        sealed(&[self.0.as_bytes()])
    }

    /// Runs it. It must succeed and return `length` bytes.
    pub(super) async fn run(
        self,
        exchanger: &Exchanger<'_, '_, '_>,
        length: usize,
    ) -> Result<Answer, String> {
        let exchange = exchanger.ask(DEVICE, &self.message()).await?;
        answer(&exchange.response, self.0.header, length)
    }
}

impl<'d> AdminCommand<'d> {
    /// A command for this controller, without data.
    pub(super) fn new(controller: u16, command: impl wire::AdminCommand) -> Self {
        Self {
            request: AdminRequest::new(0, controller, command),
            data: &[],
            returns: 0,
        }
    }

    pub(super) fn of_namespace(mut self, id: u32) -> Self {
        self.request.namespace_id.set(id);
        self
    }

    pub(super) fn with_data(mut self, data: &'d [u8]) -> Self {
        self.data = data;
        self.with_length(data.len())
    }

    pub(super) fn returning(mut self, length: usize) -> Self {
        self.returns = length;
        self.with_length(length)
    }

    /// An offset of 0 is valid too, but 1.2 ignores that flag.
    fn with_length(mut self, length: usize) -> Self {
        if length != 0 {
            self.request.flags |= AdminRequest::DATA_LENGTH_VALID;
        }
        self.request.data_length.set(length as u32);
        self
    }

    fn message(&self) -> Vec<u8> {
        sealed(&[self.request.as_bytes(), self.data])
    }

    /// Runs it, with success or without.
    pub(super) async fn complete(
        &self,
        exchanger: &Exchanger<'_, '_, '_>,
    ) -> Result<Completion, String> {
        let exchange = exchanger.ask(DEVICE, &self.message()).await?;
        completion(&exchange.response, self.request.header, self.returns)
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
                self.request.opcode.0,
                status >> 8,
                status & 0xFF
            )),
        }
    }
}

/// A message of these parts behind its message type byte, with its integrity check.
fn sealed(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![MESSAGE_TYPE];
    message.extend(parts.concat());
    let check = CRC32C.checksum(&message);
    message.extend(check.to_le_bytes());
    message
}

/// Checks what all responses have in common, and returns what is between the message type byte and
/// the integrity check.
fn open(response: &[u8], asked: RequestHeader) -> Result<&[u8], String> {
    // Old clients refuse responses that are no multiple of four bytes.
    if !response.len().is_multiple_of(4) {
        return Err(format!("a response of {} bytes", response.len()));
    }
    let (message, check) = response.split_last_chunk::<CHECK>().ok_or("no response")?;
    if *check != CRC32C.checksum(message).to_le_bytes() {
        return Err("the integrity check of the response is wrong".into());
    }
    let (message_type, body) = message.split_first().ok_or("no message type")?;
    let (start, _) = GenericResponse::ref_from_prefix(body)
        .map_err(|_| format!("a response of {} bytes", response.len()))?;
    let header = RequestHeader::response(asked.kind(), asked.slot());
    if *message_type != MESSAGE_TYPE || start.header != header {
        return Err(format!(
            "the response starts with {message_type:02x}h and {:02x?}, should with {MESSAGE_TYPE:02x}h and {:02x?}",
            start.header.as_bytes(),
            header.as_bytes()
        ));
    }
    match start.status {
        ResponseStatus::SUCCESS => Ok(body),
        ResponseStatus(status) => Err(format!("NVMe-MI status {status:02x}h")),
    }
}

fn answer(response: &[u8], asked: RequestHeader, length: usize) -> Result<Answer, String> {
    let body = open(response, asked)?;
    let (response, data) = read_prefix::<ManagementResponse>("the response", body)?;
    Ok(Answer {
        result: response.result,
        data: data_of(data, length)?,
    })
}

fn completion(response: &[u8], asked: RequestHeader, length: usize) -> Result<Completion, String> {
    let body = open(response, asked)?;
    let (response, data) = read_prefix::<AdminResponse>("the completion", body)?;
    let mut expected = AdminResponse::new(
        asked.slot(),
        response.dword0.get(),
        response.completion_status(),
    );
    expected.dword1 = response.dword1;
    if response != expected {
        return Err("the completion has a command identifier, or reserved bytes".into());
    }
    let status_code = u16::from(response.status_code());
    let status = u16::from(response.status_code_type()) << 8 | status_code;
    let length = if status == 0 { length } else { 0 };
    Ok(Completion {
        value: response.dword0.get(),
        status,
        data: data_of(data, length)?,
    })
}

/// A structure, and what is behind it.
fn read_prefix<'b, T: FromBytes>(what: &str, bytes: &'b [u8]) -> Result<(T, &'b [u8]), String> {
    T::read_from_prefix(bytes).map_err(|_| format!("{what} has {} bytes", bytes.len()))
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
    use nvme_mi_responder::wire::{
        FirmwareImageDownload, MessageKind, ReadDataStructure, SubsystemHealthPoll,
    };

    use super::*;

    const MI: RequestHeader = RequestHeader::request(MessageKind::MANAGEMENT, 0);
    const ADMIN: RequestHeader = RequestHeader::request(MessageKind::ADMIN, 0);

    fn seal(message: &[u8]) -> Vec<u8> {
        let check = CRC32C.checksum(message).to_le_bytes();
        [message, &check].concat()
    }

    /// From the vectors of the device's specification notes. Do not change.
    #[test]
    fn requests_have_their_frozen_form() {
        let subsystem_information = MiCommand::new(ReadDataStructure::default());
        assert_eq!(
            subsystem_information.message(),
            b"\x84\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe2\x00\x06\x07"
        );
        let mut poll = SubsystemHealthPoll::default();
        poll.flags = SubsystemHealthPoll::CLEAR_STATUS;
        assert_eq!(
            MiCommand::new(poll).message(),
            b"\x84\x08\0\0\x01\0\0\0\0\0\0\0\0\0\0\x80\xaa\xef\x81\xb4"
        );
    }

    #[test]
    fn an_admin_request_has_every_field_in_its_place() {
        let mut piece = FirmwareImageDownload::default();
        piece.number_of_dwords.set(0x0A09_0807);
        piece.offset.set(0x0E0D_0C0B);
        let command = AdminCommand::new(0x0201, piece)
            .of_namespace(0x0605_0403)
            .with_data(&[0xDD; 8]);
        let mut expected = vec![0; 80];
        expected[..6].copy_from_slice(&[0x84, 0x10, 0, 0, 0x11, 1]);
        expected[6..12].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        expected[32] = 8;
        expected[44..52].copy_from_slice(&[7, 8, 9, 10, 11, 12, 13, 14]);
        expected[68..76].fill(0xDD);
        expected.truncate(76);
        assert_eq!(command.message(), seal(&expected));
    }

    #[test]
    fn a_response_is_read() {
        let success = b"\x84\x88\0\0\0\x20\0\0\x01\x01\x02\0";
        let response = seal(success);
        let expected = Answer {
            result: [0x20, 0, 0],
            data: vec![1, 1, 2],
        };
        assert_eq!(answer(&response, MI, 3).unwrap(), expected);
        let mut failed = vec![0; 20];
        failed[..2].copy_from_slice(&[0x84, 0x90]);
        failed[16..].copy_from_slice(&[0, 0, 0x04, 0x80]);
        let completion = completion(&seal(&failed), ADMIN, 4096).unwrap();
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
            let sentence = answer(&seal(&bad), MI, 3).unwrap_err();
            assert!(sentence.contains(words), "{at}: {sentence}");
        }
        let response = seal(good);
        for length in [0, 5, 8] {
            let sentence = answer(&response, MI, length).unwrap_err();
            assert!(sentence.contains("bytes of data"), "{sentence}");
        }
        for bit in 0..response.len() * 8 {
            let mut damaged = response.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            answer(&damaged, MI, 3).unwrap_err();
        }
        for length in 0..response.len() {
            answer(&response[..length], MI, 3).unwrap_err();
        }
    }
}
