//! First-stage loader of the STM32H7S3L8 Nucleo board: checks the image in the external flash,
//! copies it to SRAM and starts it.
//!
//! What an image has to be is decided by [`elf_loader`]. When there is nothing to start, the loader
//! says why on RTT, blinks, and waits for a debugger.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use elf_loader::{Program, Refusal, Start};
use nucleo_h7s3_boot::flash::{Flash, FlashError, Pins};
use nucleo_h7s3_boot::{Board, MEMORY, forget_log, give_up, has_all_sram, start};
use rtt_target::rprintln;
use thiserror::Error;

use embassy_stm32::Peri;
use embassy_stm32::peripherals::XSPI2;

/// Why nothing is started.
#[derive(Debug, Error)]
enum Failure {
    #[error(
        "nothing is started: the option bytes give AXI SRAM to ITCM, DTCM or error correction; set both shares and ECC_ON_SRAM of OBW2SR to 0"
    )]
    SharedSram,
    #[error("nothing is started: {0}")]
    Flash(#[from] FlashError),
    #[error("nothing is started: {0}")]
    Image(#[from] Refusal),
}

#[entry]
fn main() -> ! {
    let board = Board::start("nucleo-h7s3-boot");
    match load(board.xspi, board.pins) {
        Ok(start) => run(start),
        Err(failure) => give_up(&failure, board.light),
    }
}

fn load(xspi: Peri<'static, XSPI2>, pins: Pins) -> Result<Start, Failure> {
    if !has_all_sram() {
        return Err(Failure::SharedSram);
    }
    let flash = Flash::find(xspi, pins)?.map()?;
    let program = Program::check(flash.bytes(), &MEMORY)?;
    // SAFETY: this program has its flash, and RAM that is not in `MEMORY.segments`. The D-cache is
    // off.
    unsafe { start::load(&program) };
    Ok(program.start())
}

fn run(start: Start) -> ! {
    rprintln!("starting the program at {:08X}h", start.entry & !1);
    forget_log();
    // SAFETY: it was loaded.
    unsafe { start::jump(start) }
}
