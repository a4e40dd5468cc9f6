//! NVM Express Admin commands over NVMe-MI (NVMe-MI 1.2, chapter 6), to controller 0.
//!
//! The message is an `AdminRequest` of `nvme_mi_responder::wire`, then data, then the integrity check;
//! its answer an `AdminResponse`, data, and the check. A command that NVMe-MI itself refuses has no
//! completion. Not supported: data that need several commands, and the command flags of 2.0.

use std::time::Duration;

use nvme_mi_responder::wire::{
    AdminCommand, AdminRequest, AdminResponse, GenericResponse, MessageKind, RequestHeader,
    ResponseStatus,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::address::Destination;
use crate::exchange::Exchange;
use crate::nvme_mi::{self, ManagementError};

/// Of every command: there is one at a time.
const SLOT: u8 = 0;
const CONTROLLER: u16 = 0;

/// A command of the Admin command set.
#[derive(Clone, Debug)]
pub struct Command {
    request: AdminRequest,
    /// Request Data.
    data: Vec<u8>,
    /// Bytes of Response Data that a success has.
    returns: usize,
}

/// How a command ended, and what it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Status code type in bits 10:8, status code in bits 7:0; 0 is success.
    pub status: u16,
    /// Response Data; none without success.
    pub data: Vec<u8>,
}

impl Command {
    /// A command without data.
    pub fn new<C: AdminCommand>(command: C) -> Self {
        Self {
            request: AdminRequest::new(SLOT, CONTROLLER, command),
            data: Vec::new(),
            returns: 0,
        }
    }

    /// The same with Request Data: at most 4096 bytes, a multiple of four.
    pub fn with_data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self.with_length(data.len())
    }

    /// The same, which returns so many bytes: at most 4096, a multiple of four.
    pub fn returning(mut self, length: usize) -> Self {
        self.returns = length;
        self.with_length(length)
    }

    fn with_length(mut self, length: usize) -> Self {
        self.request.flags |= AdminRequest::DATA_LENGTH_VALID;
        self.request.data_length.set(length as u32);
        self
    }

    /// The message behind its type byte.
    fn encode(&self) -> Vec<u8> {
        nvme_mi::sealed(&[self.request.as_bytes(), &self.data])
    }

    /// Sends the command and waits for its final response: More Processing Required is none.
    pub fn send(
        &self,
        socket: &mut impl Exchange,
        destination: Destination,
        wait: Duration,
    ) -> Result<Completion, ManagementError> {
        let opcode = self.request.opcode.0;
        let body = self.encode();
        let answer = nvme_mi::final_answer(socket, destination, opcode, &body, wait)?;
        decode(&answer, self.returns)
            .map_err(|reason| ManagementError::BadAnswer { opcode, reason })
    }
}

/// Reads a response, without its message type byte.
fn decode(answer: &[u8], returns: usize) -> Result<Completion, &'static str> {
    let content = nvme_mi::checked(answer)?;
    let (start, _) = GenericResponse::ref_from_prefix(content).map_err(|_| "it is too short")?;
    let expected = RequestHeader::response(MessageKind::ADMIN, SLOT);
    if start.header.kind_and_slot != expected.kind_and_slot {
        return Err("it is no response of that slot to an Admin command");
    }
    if start.status != ResponseStatus::SUCCESS {
        return Err("NVMe-MI refuses the command");
    }
    let (response, data) =
        AdminResponse::ref_from_prefix(content).map_err(|_| "it has no completion")?;
    let status = u16::from(response.status_code_type()) << 8 | u16::from(response.status_code());
    let expected = if status == 0 { returns } else { 0 };
    if data.len() != expected {
        return Err("it has more or less data than the command returns");
    }
    Ok(Completion {
        status,
        data: data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use nvme_mi_responder::wire::{FirmwareCommit, FirmwareImageDownload};

    use super::*;

    #[test]
    fn length_and_data_stand_where_the_standard_has_them() {
        let mut download = FirmwareImageDownload::default();
        download.number_of_dwords.set(1);
        download.offset.set(0x400);
        let message = Command::new(download).with_data(&[7; 8]).encode();
        // Header, opcode, DLENV; DLEN; NUMD and OFST; data (NVMe-MI 1.2, Figure 116, numbered with
        // the message type byte).
        assert_eq!(message[..5], [0x10, 0, 0, 0x11, 0x01]);
        assert_eq!(message[31..35], [8, 0, 0, 0]);
        assert_eq!(message[43..51], [1, 0, 0, 0, 0, 4, 0, 0]);
        assert_eq!(message[67..75], [7; 8]);
        assert_eq!(message.len(), 79);
    }

    fn answer(status: u8, dword3: u32, data: &[u8]) -> Vec<u8> {
        let mut content = vec![0x90, 0, 0, status, 0, 0, 0];
        content.extend([0; 8]);
        content.extend(dword3.to_le_bytes());
        content.extend(data);
        nvme_mi::sealed(&[&content])
    }

    #[test]
    fn completion_is_read_with_status_and_data() {
        let completion = decode(&answer(0, 0, &[1, 2, 3, 4]), 4).unwrap();
        assert_eq!(
            (completion.status, &completion.data[..]),
            (0, &[1, 2, 3, 4][..])
        );
        // Status code type 1, code 07h.
        let refused = decode(&answer(0, 0x107 << 17, &[]), 4).unwrap();
        assert_eq!((refused.status, refused.data.len()), (0x107, 0));
    }

    #[test]
    fn answers_of_another_kind_or_length_are_no_completions() {
        assert!(decode(&answer(0, 0, &[0; 4]), 8).is_err());
        assert!(decode(&answer(0, 0, &[0; 4]), 0).is_err());
        assert!(decode(&answer(4, 0, &[]), 0).is_err());
        let of_management = nvme_mi::sealed(&[&[0x88, 0, 0, 0, 0, 0, 0]]);
        assert!(decode(&of_management, 0).is_err());
        let good = answer(0, 0, &[]);
        for length in 0..good.len() {
            assert!(decode(&good[..length], 0).is_err(), "{length}");
        }
    }

    #[test]
    fn commit_has_slot_and_action_in_one_byte() {
        let message = Command::new(FirmwareCommit::new(3, 1)).encode();
        assert_eq!(message[3..5], [0x10, 0]);
        assert_eq!(message[43], 0x0b);
    }
}
