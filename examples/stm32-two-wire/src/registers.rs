//! The registers of the I2C peripheral (RM0477, I2C registers), and the bits of them that are used.

/// The registers of the I2C peripheral.
pub trait Registers {
    /// Reads `I2C_CR1`.
    fn control_1(&mut self) -> u32;
    /// Writes `I2C_CR1`.
    fn write_control_1(&mut self, value: u32);
    /// Reads `I2C_CR2`.
    fn control_2(&mut self) -> u32;
    /// Writes `I2C_CR2`.
    fn write_control_2(&mut self, value: u32);
    /// Writes `I2C_OAR1`.
    fn write_own_address_1(&mut self, value: u32);
    /// Writes `I2C_TIMINGR`.
    fn write_timing(&mut self, value: u32);
    /// Writes `I2C_TIMEOUTR`.
    fn write_timeout(&mut self, value: u32);
    /// Reads `I2C_ISR`.
    fn status(&mut self) -> u32;
    /// Writes `I2C_ISR`.
    fn write_status(&mut self, value: u32);
    /// Writes `I2C_ICR`, which clears flags.
    fn clear(&mut self, flags: u32);
    /// Reads `I2C_RXDR`.
    fn received_byte(&mut self) -> u8;
    /// Writes `I2C_TXDR`.
    fn write_byte(&mut self, byte: u8);
}

/// Bits of `I2C_CR1`.
pub mod control_1 {
    /// `PE`: the peripheral is enabled. Clearing it resets all but the configuration.
    pub const ENABLE: u32 = 1;
    /// `ADDRIE`: interrupt on `ADDR`.
    pub const ADDRESSED_INTERRUPT: u32 = 1 << 3;
    /// `TXIE`, `RXIE`, `NACKIE`, `STOPIE`, `TCIE`, `ERRIE`: interrupts on everything else.
    pub const OTHER_INTERRUPTS: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
}

/// Bits of `I2C_CR2`.
pub mod control_2 {
    /// Of `SADD`: bit 0 of a 7-bit address.
    pub const ADDRESS_SHIFT: u32 = 1;
    /// `START`, which the hardware clears. Writing 0 changes nothing.
    pub const START: u32 = 1 << 13;
    /// Of `NBYTES`.
    pub const BYTES_SHIFT: u32 = 16;
    /// `RELOAD`: more bytes than `NBYTES` follow.
    pub const RELOAD: u32 = 1 << 24;
    /// `AUTOEND`: a STOP follows the last byte.
    pub const AUTOMATIC_END: u32 = 1 << 25;
}

/// Bits of `I2C_OAR1`.
pub mod own_address_1 {
    /// Of `OA1`: bit 0 of a 7-bit address.
    pub const ADDRESS_SHIFT: u32 = 1;
    /// `OA1EN`: the address is acknowledged.
    pub const ENABLE: u32 = 1 << 15;
}

/// Bits of `I2C_ISR`, and of `I2C_ICR`, where they clear what they are here.
pub mod status {
    /// `TXE`: the transmit register is empty. Writing 1 empties it.
    pub const TRANSMIT_EMPTY: u32 = 1;
    /// `TXIS`: the hardware waits for the next byte to send.
    pub const TRANSMIT: u32 = 1 << 1;
    /// `RXNE`: a byte was received.
    pub const RECEIVED: u32 = 1 << 2;
    /// `ADDR`: a controller addressed the device. The clock is held until this is cleared.
    pub const ADDRESSED: u32 = 1 << 3;
    /// `NACKF`: a byte that the device sent was not acknowledged.
    pub const NOT_ACKNOWLEDGED: u32 = 1 << 4;
    /// `STOPF`: a transaction that the device took part in has ended.
    pub const STOP: u32 = 1 << 5;
    /// `TC`: all bytes were sent, without `AUTOEND`. Not used.
    pub const COMPLETE: u32 = 1 << 6;
    /// `TCR`: `NBYTES` were sent, and more follow.
    pub const RELOAD: u32 = 1 << 7;
    /// `BERR`: a START or STOP within a byte.
    pub const BUS_ERROR: u32 = 1 << 8;
    /// `ARLO`: another controller has won the bus.
    pub const ARBITRATION_LOST: u32 = 1 << 9;
    /// `TIMEOUT`: the clock was low for too long.
    pub const TIMEOUT: u32 = 1 << 12;
    /// `BUSY`: between START and STOP of anybody.
    pub const BUSY: u32 = 1 << 15;
    /// `DIR`: the controller reads from the device.
    pub const READ: u32 = 1 << 16;
    /// `OVRCF`, `PECCF`, `ALERTCF`: flags of what is not used.
    pub const UNUSED: u32 = 1 << 10 | 1 << 11 | 1 << 13;
}

/// Bits of `I2C_TIMEOUTR`.
pub mod timeout {
    /// `TIMOUTEN`: a clock that is low for too long is noticed.
    pub const ENABLE: u32 = 1 << 15;
}
