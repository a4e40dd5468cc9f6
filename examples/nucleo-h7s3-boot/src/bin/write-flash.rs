//! Writes firmware, sealed, to the external flash of the STM32H7S3L8 Nucleo board. The debugger
//! puts this program into SRAM, and the firmware with it.
//!
//! The build script has put the firmware through the checks of the loader. Nothing is said to be
//! written before it was read back.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use nucleo_h7s3_boot::flash::{Flash, FlashError, PAGE_LEN, Pins, SECTOR_LEN};
use nucleo_h7s3_boot::{Board, give_up};
use rtt_target::rprintln;
use thiserror::Error;

use embassy_stm32::Peri;
use embassy_stm32::peripherals::XSPI2;

/// Sealed and checked by `build.rs`.
const IMAGE: &[u8] = include_bytes!(env!("IMAGE"));

/// Why the flash does not have the firmware.
#[derive(Debug, Error)]
enum Failure {
    #[error(
        "nothing is written: this was built without FIRMWARE, the path of the firmware's ELF file"
    )]
    NoFirmware,
    #[error("not written: {0}")]
    Flash(#[from] FlashError),
    #[error("not written: byte {0} reads as {1:02X}h, not {2:02X}h")]
    Different(usize, u8, u8),
}

#[entry]
fn main() -> ! {
    let mut board = Board::start("write-flash");
    match write(board.xspi, board.pins) {
        Ok(()) => {
            rprintln!(
                "{} bytes are written; a reset starts the loader",
                IMAGE.len()
            );
            board.light.set_high();
            loop {
                cortex_m::asm::wfi();
            }
        }
        Err(failure) => give_up(&failure, board.light),
    }
}

fn write(xspi: Peri<'static, XSPI2>, pins: Pins) -> Result<(), Failure> {
    if IMAGE.is_empty() {
        return Err(Failure::NoFirmware);
    }
    let mut flash = Flash::find(xspi, pins)?;
    for (address, sector) in (0..).step_by(SECTOR_LEN).zip(IMAGE.chunks(SECTOR_LEN)) {
        flash.erase_sector(address)?;
        for (page_address, page) in (address..).step_by(PAGE_LEN).zip(sector.chunks(PAGE_LEN)) {
            flash.write_page(page_address, page)?;
        }
    }
    let written = flash.map()?;
    let bytes = IMAGE.iter().zip(written.bytes());
    match bytes.enumerate().find(|(_, (image, flash))| image != flash) {
        None => Ok(()),
        Some((at, (image, flash))) => Err(Failure::Different(at, *flash, *image)),
    }
}
