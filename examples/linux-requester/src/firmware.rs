//! A firmware update over NVMe-MI (NVM Express Base 2.0): Firmware Image Download (section 5.13) piece
//! by piece, Firmware Commit (5.12), and the Firmware Slot Information log (5.16.1.4), which says what
//! became of it.

use std::time::Duration;

use nvme_mi_responder::wire::{
    AdminOpcode, FirmwareCommit, FirmwareImageDownload, FirmwareSlotInformation, GetLogPage,
    LogPageId,
};
use zerocopy::FromBytes;

use crate::address::Destination;
use crate::admin::Command;
use crate::exchange::Exchange;
use crate::nvme_mi::ManagementError;

/// Bytes of an image in a command: as many as NVMe-MI takes.
pub const PIECE: usize = 4096;
/// Commit Action: store the image, and activate it at the next reset.
const STORE_AND_ACTIVATE_ON_RESET: u8 = 1;

/// Why an update failed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// A command was not answered well.
    #[error("{step}")]
    Management {
        /// The part of the update.
        step: String,
        /// What went wrong.
        source: ManagementError,
    },
    /// The controller refused a command.
    #[error("{step}: status type {}, code {:02x}h", status >> 8, status & 0xff)]
    Refused {
        /// The part of the update.
        step: String,
        /// Status code type in bits 10:8, status code in bits 7:0.
        status: u16,
    },
}

/// The firmware of a subsystem, behind one of its endpoints.
pub struct Firmware<'s, E> {
    /// By which commands go.
    pub socket: &'s mut E,
    /// The endpoint.
    pub destination: Destination,
    /// How long each command may take.
    pub wait: Duration,
}

impl<E: Exchange> Firmware<'_, E> {
    /// Downloads an image, whose length is a multiple of four.
    pub fn download(&mut self, image: &[u8]) -> Result<(), UpdateError> {
        for (index, piece) in image.chunks(PIECE).enumerate() {
            let offset = index * PIECE;
            let mut download = FirmwareImageDownload::default();
            download.number_of_dwords.set((piece.len() / 4) as u32 - 1);
            download.offset.set((offset / 4) as u32);
            let step = format!("Firmware Image Download at byte {offset}");
            self.run(step, &Command::new(download).with_data(piece))?;
        }
        Ok(())
    }

    /// Stores the image that was downloaded in a slot, to be activated at the next reset.
    pub fn commit(&mut self, slot: u8) -> Result<(), UpdateError> {
        let commit = FirmwareCommit::new(slot, STORE_AND_ACTIVATE_ON_RESET);
        let step = format!("Firmware Commit to slot {slot}");
        self.run(step, &Command::new(commit)).map(drop)
    }

    /// What is in the slots.
    pub fn slots(&mut self) -> Result<FirmwareSlotInformation, UpdateError> {
        const LENGTH: usize = size_of::<FirmwareSlotInformation>();
        let mut log = GetLogPage::default();
        log.log_page_id = LogPageId::FIRMWARE_SLOT_INFORMATION;
        log.number_of_dwords_lower.set((LENGTH / 4) as u16 - 1);
        let step = "Get Log Page, Firmware Slot Information".to_owned();
        let data = self.run(step.clone(), &Command::new(log).returning(LENGTH))?;
        FirmwareSlotInformation::read_from_bytes(&data).map_err(|_| UpdateError::Management {
            step,
            source: ManagementError::BadAnswer {
                opcode: AdminOpcode::GET_LOG_PAGE.0,
                reason: "it is no such page",
            },
        })
    }

    fn run(&mut self, step: String, command: &Command) -> Result<Vec<u8>, UpdateError> {
        match command.send(self.socket, self.destination, self.wait) {
            Ok(completion) if completion.status == 0 => Ok(completion.data),
            Ok(completion) => Err(UpdateError::Refused {
                step,
                status: completion.status,
            }),
            Err(source) => Err(UpdateError::Management { step, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::exchange::Request;
    use crate::nvme_mi;

    /// A controller that takes pieces and refuses a commit unless it has all of them.
    #[derive(Default)]
    struct Controller {
        pieces: Vec<(u32, Vec<u8>)>,
        complete: usize,
    }

    impl Exchange for Controller {
        fn exchange(
            &mut self,
            request: Request<'_>,
            _wait: Duration,
            _accept: &mut dyn FnMut(&[u8]) -> bool,
        ) -> io::Result<Option<Vec<u8>>> {
            let content = nvme_mi::checked(request.body).unwrap();
            let dword = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap());
            let mut answer = vec![0x90, 0, 0, 0, 0, 0, 0];
            answer.resize(19, 0);
            match AdminOpcode(content[3]) {
                AdminOpcode::FIRMWARE_IMAGE_DOWNLOAD => {
                    let data = content[67..].to_vec();
                    assert_eq!(data.len(), 4 * (dword(43) as usize + 1));
                    self.pieces.push((dword(47), data));
                }
                AdminOpcode::FIRMWARE_COMMIT => {
                    assert_eq!(content[43], 0b00_001_011);
                    let taken = self.pieces.iter().map(|(_, piece)| piece.len());
                    let status = if taken.sum::<usize>() == self.complete {
                        0
                    } else {
                        0x107u32
                    };
                    answer[15..].copy_from_slice(&(status << 17).to_le_bytes());
                }
                AdminOpcode::GET_LOG_PAGE => {
                    let mut page = vec![0x31; 512];
                    page[8..16].copy_from_slice(b"REF00001");
                    answer.extend(page);
                }
                other => panic!("{other:?}"),
            }
            Ok(Some(nvme_mi::sealed(&[&answer])))
        }
    }

    fn firmware(controller: &mut Controller) -> Firmware<'_, Controller> {
        Firmware {
            socket: controller,
            destination: Destination::EndpointId(9),
            wait: Duration::ZERO,
        }
    }

    #[test]
    fn an_image_goes_in_pieces_that_are_its_bytes() {
        let image: Vec<u8> = (0..2 * PIECE + 512).map(|at| (at / 7) as u8).collect();
        let mut controller = Controller {
            complete: image.len(),
            ..Controller::default()
        };
        firmware(&mut controller).download(&image).unwrap();
        firmware(&mut controller).commit(3).unwrap();
        let offsets: Vec<_> = controller
            .pieces
            .iter()
            .map(|(offset, _)| *offset)
            .collect();
        assert_eq!(offsets, [0, 1024, 2048]);
        let pieces = controller.pieces.iter().flat_map(|(_, piece)| piece);
        assert!(pieces.eq(&image));
    }

    #[test]
    fn a_refused_commit_is_an_error_with_its_status() {
        let mut controller = Controller {
            complete: 1,
            ..Controller::default()
        };
        let refused = firmware(&mut controller).commit(3).unwrap_err();
        assert!(matches!(
            refused,
            UpdateError::Refused { status: 0x107, .. }
        ));
        assert_eq!(
            refused.to_string(),
            "Firmware Commit to slot 3: status type 1, code 07h"
        );
    }

    #[test]
    fn slots_are_those_of_the_log_page() {
        let slots = firmware(&mut Controller::default()).slots().unwrap();
        assert_eq!(slots.active_firmware, 0x31);
        assert_eq!(slots.revisions[0], *b"REF00001");
    }
}
