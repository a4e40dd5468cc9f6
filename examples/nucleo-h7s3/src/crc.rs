//! The CRC unit of the chip, for the integrity checks of NVMe-MI.

use embassy_stm32::pac::crc::regs::Cr;
use embassy_stm32::pac::{CRC, RCC};
use embassy_stm32::{Peri, peripherals};
use stm32_crc::{CrcUnit, Registers};

/// The registers of the CRC unit. Its users are all in the executor of the services, so that they
/// compute one CRC at a time.
#[derive(Clone)]
pub struct CrcRegisters(());

/// Starts the clock of the unit.
pub fn start(_unit: Peri<'static, peripherals::CRC>) -> CrcUnit<CrcRegisters> {
    RCC.ahb4enr().modify(|enabled| enabled.set_crcen(true));
    // The clock needs two cycles to start (RM0477, peripheral clock enabling): the register is read
    // again.
    RCC.ahb4enr().read();
    CrcUnit::new(CrcRegisters(()))
}

impl Registers for CrcRegisters {
    fn write_data_word(&mut self, word: u32) {
        CRC.dr32().write_value(word);
    }

    fn write_data_byte(&mut self, byte: u8) {
        CRC.dr8().write_value(byte);
    }

    fn data(&mut self) -> u32 {
        CRC.dr32().read()
    }

    fn write_control(&mut self, value: u32) {
        CRC.cr().write_value(Cr(value));
    }

    fn write_initial_value(&mut self, value: u32) {
        CRC.init().write_value(value);
    }

    fn write_polynomial(&mut self, value: u32) {
        CRC.pol().write_value(value);
    }
}
