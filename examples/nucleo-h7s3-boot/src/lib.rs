//! What the two programs for the STM32H7S3L8 Nucleo board have in common: `nucleo-h7s3-boot`, the
//! first-stage loader, and `write-flash`, which writes the image that the loader loads.

#![no_std]
#![warn(missing_docs)]

pub mod flash;
mod memory;
pub mod start;

use core::fmt::Display;
use core::panic::PanicInfo;

use cortex_m::asm;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::XSPI2;
use embassy_stm32::{Config, Peri, pac};
use rtt_target::{ChannelMode, rprintln, rtt_init_print};

use flash::Pins;
pub use memory::MEMORY;

/// The core runs from HSI, as after a reset.
const CLOCK_HZ: u32 = 64_000_000;

/// What the programs use of the board.
pub struct Board {
    /// The peripheral that the external flash is on,
    pub xspi: Peri<'static, XSPI2>,
    /// and its pins.
    pub pins: Pins,
    /// The orange LED, off.
    pub light: Output<'static>,
}

impl Board {
    /// Starts the log, and says who is there. The clocks stay as a reset leaves them.
    pub fn start(name: &str) -> Self {
        rtt_init_print!(ChannelMode::NoBlockTrim, 1024);
        rprintln!("{} {}", name, env!("CARGO_PKG_VERSION"));
        let peripherals = embassy_stm32::init(Config::default());
        Self {
            xspi: peripherals.XSPI2,
            pins: Pins {
                clock: peripherals.PN6,
                d0: peripherals.PN2,
                d1: peripherals.PN3,
                select: peripherals.PN1,
            },
            light: Output::new(peripherals.PD13, Level::Low, Speed::Low),
        }
    }
}

/// Whether the option bytes leave all of AXI SRAM to programs, as [`MEMORY`] has it: none to ITCM
/// and DTCM, for which there are the values 0 and 3, and none to error correction, which takes AXI
/// SRAM4.
pub fn has_all_sram() -> bool {
    let options = pac::FLASH.obw2sr().read();
    let shares = (options.itcm_axi_share(), options.dtcm_axi_share());
    matches!(shares, (0 | 3, 0 | 3)) && !options.ecc_on_sram()
}

/// Says why nothing goes on, and leaves the processor to a debugger, with the light blinking fast.
pub fn give_up(reason: &impl Display, mut light: Output<'static>) -> ! {
    rprintln!("{}", reason);
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

fn pause_1_ms() {
    asm::delay(CLOCK_HZ / 1000);
}

/// Removes the mark by which a debugger finds the log of this program, so that it finds that of the
/// next one.
pub fn forget_log() {
    unsafe extern "C" {
        /// The control block of `rtt-target`, which begins with 16 bytes of text.
        static mut _SEGGER_RTT: [u32; 4];
    }
    // SAFETY: nothing is logged at the same time, as this is the only thread; the control block is
    // aligned, having words behind the text.
    unsafe { (&raw mut _SEGGER_RTT).write_volatile([0; 4]) };
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    rprintln!("failed: {}", info);
    loop {
        asm::wfi();
    }
}
