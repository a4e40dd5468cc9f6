//! The external flash of the board: a Macronix MX25UW25645G on XSPI2, read over one data line.

use core::slice;

use embassy_stm32::mode::Blocking;
use embassy_stm32::peripherals::{PN1, PN2, PN3, PN6, XSPI2};
use embassy_stm32::xspi::{
    AddressSize, ChipSelectHighTime, Config, DummyCycles, FIFOThresholdLevel, MemorySize,
    MemoryType, TransferConfig, Xspi, XspiError, XspiWidth,
};
use embassy_stm32::{Peri, xspi};
use thiserror::Error;

/// Where XSPI2 maps it.
const ADDRESS: usize = 0x7000_0000;
/// As much as addresses of 24 bits reach, the lower half of the flash.
const LEN: usize = 16 << 20;

/// What RDID answers: Macronix, octal at 1.8 V, 2^25 bytes.
const IDENTIFICATION: [u8; 3] = [0xC2, 0x81, 0x39];
/// Of the status register: a write or an erasure is going on.
const WRITE_IN_PROGRESS: u8 = 1;
/// How often, once a millisecond, to ask: a reset may have ended an erasure, and then takes up to 100 ms.
const ATTEMPTS: usize = 200;

const READ_STATUS: u32 = 0x05;
const FAST_READ: u32 = 0x0B;
const RESET_ENABLE: u32 = 0x66;
const RESET: u32 = 0x99;
const READ_IDENTIFICATION: u32 = 0x9F;

/// Why the flash cannot be read.
#[derive(Debug, Error)]
pub enum FlashError {
    /// It does not say that it is the flash of this board.
    #[error(
        "the external flash does not answer (it identifies as {0:02X?}); switch the board off and on, other programs may leave it in another mode"
    )]
    Silent([u8; 3]),
    /// It does not end what it does.
    #[error("the external flash stays busy")]
    Busy,
    /// The peripheral's driver does not take the command.
    #[error("the external flash cannot be configured: {0:?}")]
    Driver(XspiError),
}

impl From<XspiError> for FlashError {
    fn from(error: XspiError) -> Self {
        Self::Driver(error)
    }
}

/// The pins it is on. D2 to D7, which it has too, are not used.
pub struct Pins {
    pub clock: Peri<'static, PN6>,
    pub d0: Peri<'static, PN2>,
    pub d1: Peri<'static, PN3>,
    pub select: Peri<'static, PN1>,
}

/// The flash as memory that can be read. When it is dropped, the peripheral is off again.
pub struct Flash(Xspi<'static, XSPI2, Blocking>);

impl Flash {
    /// Resets the flash and maps it. `pause` waits for a millisecond.
    pub fn map(
        peripheral: Peri<'static, XSPI2>,
        pins: Pins,
        pause: impl Fn(),
    ) -> Result<Self, FlashError> {
        let Pins {
            clock,
            d0,
            d1,
            select,
        } = pins;
        let mut xspi = Xspi::new_blocking_singlespi(peripheral, clock, d0, d1, select, config());
        xspi.blocking_command(&command(RESET_ENABLE))?;
        xspi.blocking_command(&command(RESET))?;
        wait_for(&mut xspi, pause)?;
        let fast_read = TransferConfig {
            adwidth: XspiWidth::SING,
            adsize: AddressSize::_24bit,
            dummy: DummyCycles::_8,
            ..answered(FAST_READ)
        };
        // Nothing ever writes, so there is no command for it.
        xspi.enable_memory_mapped_mode(fast_read, TransferConfig::default())?;
        Ok(Self(xspi))
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, and written by nobody, for as long as there is a `Flash`.
        unsafe { slice::from_raw_parts(ADDRESS as *const u8, LEN) }
    }
}

impl Drop for Flash {
    fn drop(&mut self) {
        self.0.disable_memory_mapped_mode();
    }
}

/// After a reset the kernel clock of XSPI2 is the bus clock, here the 64 MHz of HSI. Half of it, since an even divisor keeps the clock symmetric, and
/// since at 32 MHz neither the sampling nor the pads need adjusting: 128 KiB take 33 ms.
fn config() -> xspi::Config {
    Config {
        fifo_threshold: FIFOThresholdLevel::_4Bytes,
        memory_type: MemoryType::Macronix,
        device_size: MemorySize::_32MiB,
        chip_select_high_time: ChipSelectHighTime::_2Cycle,
        clock_prescaler: 1,
        ..Config::default()
    }
}

fn command(instruction: u32) -> TransferConfig {
    TransferConfig {
        iwidth: XspiWidth::SING,
        instruction: Some(instruction),
        ..TransferConfig::default()
    }
}

fn answered(instruction: u32) -> TransferConfig {
    TransferConfig {
        dwidth: XspiWidth::SING,
        ..command(instruction)
    }
}

/// Until the flash is itself and has nothing else to do.
fn wait_for(xspi: &mut Xspi<'static, XSPI2, Blocking>, pause: impl Fn()) -> Result<(), FlashError> {
    let mut error = FlashError::Busy;
    for _ in 0..ATTEMPTS {
        // First of all: after a reset it needs some time before it can be asked.
        pause();
        let mut identification = [0; 3];
        xspi.blocking_read(&mut identification, answered(READ_IDENTIFICATION))?;
        let mut status = [0];
        xspi.blocking_read(&mut status, answered(READ_STATUS))?;
        error = match identification {
            IDENTIFICATION if status[0] & WRITE_IN_PROGRESS == 0 => return Ok(()),
            IDENTIFICATION => FlashError::Busy,
            other => FlashError::Silent(other),
        };
    }
    Err(error)
}
