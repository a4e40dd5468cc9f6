//! The external flash of the board: a Macronix MX25UW25645G on XSPI2, used over one data line in
//! each direction.

use core::slice;

use embassy_stm32::mode::Blocking;
use embassy_stm32::peripherals::{PN1, PN2, PN3, PN6, XSPI2};
use embassy_stm32::xspi::{
    AddressSize, ChipSelectHighTime, Config, DummyCycles, FIFOThresholdLevel, MemorySize,
    MemoryType, TransferConfig, Xspi, XspiError, XspiWidth,
};
use embassy_stm32::{Peri, xspi};
use thiserror::Error;

use crate::pause_1_ms;

/// Where XSPI2 maps it.
const ADDRESS: usize = 0x7000_0000;
/// As much as addresses of 24 bits reach, the lower half of the flash.
const LEN: usize = 16 << 20;
/// What is erased at once.
pub const SECTOR_LEN: usize = 4096;
/// What is written at once, at a multiple of it.
pub const PAGE_LEN: usize = 256;

/// What [`READ_IDENTIFICATION`] answers: Macronix, octal at 1.8 V, 2^25 bytes.
const IDENTIFICATION: [u8; 3] = [0xC2, 0x81, 0x39];
/// Bit of the status register: a write or an erasure is going on.
const WRITE_IN_PROGRESS: u8 = 1;
/// How often to ask, once a millisecond: an erasure, or a reset that ends one, takes up to some 100
/// ms.
const ATTEMPTS: usize = 1000;

const WRITE_PAGE: u32 = 0x02;
const READ_STATUS: u32 = 0x05;
const ENABLE_WRITE: u32 = 0x06;
const FAST_READ: u32 = 0x0B;
const ERASE_SECTOR: u32 = 0x20;
const ENABLE_RESET: u32 = 0x66;
const RESET: u32 = 0x99;
const READ_IDENTIFICATION: u32 = 0x9F;

/// Why the flash cannot be used.
#[derive(Debug, Error)]
pub enum FlashError {
    /// It does not say that it is the flash of this board.
    #[error(
        "the external flash does not answer (it identifies as {0:02X?}); switch the board off and on, another program may have left it in another mode"
    )]
    Silent([u8; 3]),
    /// It does not end what it does.
    #[error("the external flash stays busy")]
    Busy,
    /// The driver does not take a command.
    #[error("the external flash cannot be used: {0:?}")]
    Driver(XspiError),
}

impl From<XspiError> for FlashError {
    fn from(error: XspiError) -> Self {
        Self::Driver(error)
    }
}

/// The pins it is on. D2 to D7, which it has too, are not used.
pub struct Pins {
    /// CLK.
    pub clock: Peri<'static, PN6>,
    /// D0, to the flash.
    pub d0: Peri<'static, PN2>,
    /// D1, from the flash.
    pub d1: Peri<'static, PN3>,
    /// NCS.
    pub select: Peri<'static, PN1>,
}

/// The flash, which takes commands.
pub struct Flash(Xspi<'static, XSPI2, Blocking>);

impl Flash {
    /// Resets it, and waits until it is itself and has nothing else to do.
    pub fn find(peripheral: Peri<'static, XSPI2>, pins: Pins) -> Result<Self, FlashError> {
        let Pins {
            clock,
            d0,
            d1,
            select,
        } = pins;
        let xspi = Xspi::new_blocking_singlespi(peripheral, clock, d0, d1, select, config());
        let mut flash = Self(xspi);
        flash.0.blocking_command(&command(ENABLE_RESET))?;
        flash.0.blocking_command(&command(RESET))?;
        flash.wait_for_itself()?;
        flash.wait()?;
        Ok(flash)
    }

    /// Makes what is in it memory that can be read.
    pub fn map(mut self) -> Result<Mapped, FlashError> {
        let fast_read = TransferConfig {
            dummy: DummyCycles::_8,
            dwidth: XspiWidth::SING,
            ..addressed(FAST_READ)
        };
        // Nothing ever writes to it there, so there is no command for that.
        let no_write = TransferConfig::default();
        self.0.enable_memory_mapped_mode(fast_read, no_write)?;
        Ok(Mapped(self.0))
    }

    /// Erases the sector that begins at `address`.
    pub fn erase_sector(&mut self, address: u32) -> Result<(), FlashError> {
        self.0.blocking_command(&command(ENABLE_WRITE))?;
        self.0.blocking_command(&TransferConfig {
            address: Some(address),
            ..addressed(ERASE_SECTOR)
        })?;
        self.wait()
    }

    /// Writes at most [`PAGE_LEN`] `bytes` to the erased page that begins at `address`.
    pub fn write_page(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.blocking_command(&command(ENABLE_WRITE))?;
        let write = TransferConfig {
            address: Some(address),
            dwidth: XspiWidth::SING,
            ..addressed(WRITE_PAGE)
        };
        self.0.blocking_write(bytes, write)?;
        self.wait()
    }

    fn wait_for_itself(&mut self) -> Result<(), FlashError> {
        let mut found = [0; 3];
        for _ in 0..ATTEMPTS {
            // First of all: it cannot be asked immediately after a reset.
            pause_1_ms();
            found = self.ask(READ_IDENTIFICATION)?;
            if found == IDENTIFICATION {
                return Ok(());
            }
        }
        Err(FlashError::Silent(found))
    }

    fn wait(&mut self) -> Result<(), FlashError> {
        for _ in 0..ATTEMPTS {
            let [status] = self.ask(READ_STATUS)?;
            if status & WRITE_IN_PROGRESS == 0 {
                return Ok(());
            }
            pause_1_ms();
        }
        Err(FlashError::Busy)
    }

    fn ask<const N: usize>(&mut self, instruction: u32) -> Result<[u8; N], FlashError> {
        let mut answer = [0; N];
        let question = TransferConfig {
            dwidth: XspiWidth::SING,
            ..command(instruction)
        };
        self.0.blocking_read(&mut answer, question)?;
        Ok(answer)
    }
}

/// The flash as memory. When it is dropped, the peripheral is off.
pub struct Mapped(Xspi<'static, XSPI2, Blocking>);

impl Mapped {
    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, and written by nobody, for as long as there is a `Mapped`.
        unsafe { slice::from_raw_parts(ADDRESS as *const u8, LEN) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.0.disable_memory_mapped_mode();
    }
}

/// The kernel clock of XSPI2 is the bus clock, here the 64 MHz of HSI. The flash gets half of it,
/// since an even divisor keeps a clock symmetric, and since at 32 MHz neither the sampling nor the
/// pads need adjusting: 128 KiB take 33 ms.
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

fn addressed(instruction: u32) -> TransferConfig {
    TransferConfig {
        adwidth: XspiWidth::SING,
        adsize: AddressSize::_24bit,
        ..command(instruction)
    }
}
