//! First-stage loader of the STM32H7S3L8 Nucleo board: checks the image in the external flash, copies it to SRAM and starts it.
//!
//! What an image has to be is decided by [`elf_loader`]. Here is what only the board knows: the flash, the memories, and what to do when there is nothing to
//! start: say why on RTT, blink, and wait for a debugger.

#![no_std]
#![no_main]

mod flash;
mod start;

use core::fmt::Display;
use core::panic::PanicInfo;

use cortex_m::asm;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::entry;
use elf_loader::{MemoryMap, Program, Refusal, Start};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::{Config, pac};
use rtt_target::{ChannelMode, rprintln, rtt_init_print};
use thiserror::Error;

use flash::{Flash, FlashError, Pins};

/// Where programs may be: ITCM, DTCM and AXI SRAM as they are with the option bytes of a new chip. `memory.x` has what is not theirs until
/// they run.
const MEMORY: MemoryMap<'static> = MemoryMap {
    segments: &[
        0x0000_0000..0x0001_0000,
        0x2000_2000..0x2001_0000,
        0x2400_0000..0x2407_2000,
    ],
    stack: &[0x2000_0000..0x2001_0000, 0x2400_0000..0x2407_2000],
};

/// The core runs from HSI, as after a reset.
const CLOCK_HZ: u32 = 64_000_000;

/// Why there is nothing to start.
#[derive(Debug, Error)]
enum Failure {
    #[error(
        "the option bytes give AXI SRAM to ITCM (share {itcm}) or DTCM (share {dtcm}); set both shares of OBW2SR to 0"
    )]
    Shares { itcm: u8, dtcm: u8 },
    #[error("{0}")]
    Flash(#[from] FlashError),
    #[error("{0}")]
    Image(#[from] Refusal),
}

#[entry]
fn main() -> ! {
    rtt_init_print!(ChannelMode::NoBlockTrim, 1024);
    rprintln!("nucleo-h7s3-boot {}", env!("CARGO_PKG_VERSION"));
    // No PLL: the clocks stay as a reset leaves them, and the program finds them so.
    let peripherals = embassy_stm32::init(Config::default());
    let pins = Pins {
        clock: peripherals.PN6,
        d0: peripherals.PN2,
        d1: peripherals.PN3,
        select: peripherals.PN1,
    };
    let loaded = check_shares().and_then(|()| {
        let flash = Flash::map(peripherals.XSPI2, pins, || asm::delay(CLOCK_HZ / 1000))?;
        load(flash.bytes())
    });
    match loaded {
        Ok(start) => run(start),
        Err(failure) => {
            let light = Output::new(peripherals.PD13, Level::Low, Speed::Low);
            refuse(&failure, light)
        }
    }
}

/// That the memories are where [`MEMORY`] says. Of the shares, 0 and 3 leave AXI SRAM as it is.
fn check_shares() -> Result<(), Failure> {
    let options = pac::FLASH.obw2sr().read();
    let (itcm, dtcm) = (options.itcm_axi_share(), options.dtcm_axi_share());
    match (itcm, dtcm) {
        (0 | 3, 0 | 3) => Ok(()),
        _ => Err(Failure::Shares { itcm, dtcm }),
    }
}

fn load(image: &[u8]) -> Result<Start, Failure> {
    let program = Program::check(image, &MEMORY)?;
    // SAFETY: this program has its flash and the memories of `memory.x`, which are not in `MEMORY.segments`. The D-cache is off.
    unsafe { start::load(&program) };
    Ok(program.start())
}

fn run(start: Start) -> ! {
    rprintln!("starting the program at {:08X}h", start.entry & !1);
    forget_log();
    // SAFETY: it was loaded.
    unsafe { start::jump(start) }
}

/// Removes the mark by which a debugger finds the log of this program, so that it finds that of the next one.
fn forget_log() {
    unsafe extern "C" {
        /// The control block of `rtt-target`, which begins with 16 bytes of text.
        static mut _SEGGER_RTT: [u32; 4];
    }
    // SAFETY: nothing is logged any more; the control block is larger and aligned, since it begins with words and pointers behind the text.
    unsafe { (&raw mut _SEGGER_RTT).write_volatile([0; 4]) };
}

/// Says why, and leaves the processor to a debugger, with the light blinking fast.
fn refuse(reason: &impl Display, mut light: Output<'static>) -> ! {
    rprintln!("nothing is started: {}", reason);
    wake_every(CLOCK_HZ / 10);
    loop {
        asm::wfi();
        SCB::clear_pendst();
        light.toggle();
    }
}

/// SysTick ends `wfi` every so many cycles. Interrupts are masked for good: it needs no handler.
fn wake_every(cycles: u32) {
    cortex_m::interrupt::disable();
    // SAFETY: nobody else uses SysTick.
    let mut timer: SYST = unsafe { cortex_m::Peripherals::steal() }.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(cycles - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    rprintln!("the loader failed: {}", info);
    loop {
        asm::wfi();
    }
}
