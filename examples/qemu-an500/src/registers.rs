//! Registers of the peripherals (ARM DDI 0479D, sections 4.2 and 4.3), at the addresses of AN500.

// The macros make much that is not ours to document.
#![allow(missing_docs)]

use tock_registers::registers::ReadWrite;
use tock_registers::{register_bitfields, register_structs};

register_structs! {
    /// APB UART.
    pub Uart {
        /// The byte received last; the byte to send.
        (0x00 => pub data: ReadWrite<u32>),
        /// What the buffers hold.
        (0x04 => pub state: ReadWrite<u32, UartState::Register>),
        /// What is enabled.
        (0x08 => pub control: ReadWrite<u32, UartControl::Register>),
        /// Pending interrupts; ones clear.
        (0x0C => pub interrupt_status: ReadWrite<u32, UartInterrupt::Register>),
        /// Clock cycles of a bit, at least 16.
        (0x10 => pub baud_divisor: ReadWrite<u32>),
        (0x14 => @END),
    },
    /// APB timer: counts down to zero and starts again from RELOAD.
    pub Timer {
        /// What is enabled.
        (0x00 => pub control: ReadWrite<u32, TimerControl::Register>),
        /// The count.
        (0x04 => pub value: ReadWrite<u32>),
        /// Where it starts again.
        (0x08 => pub reload: ReadWrite<u32>),
        /// 1 when zero was reached; a one clears.
        (0x0C => pub interrupt_status: ReadWrite<u32>),
        (0x10 => @END),
    }
}

register_bitfields![u32,
    /// STATE of a UART.
    pub UartState [
        /// A byte waits to be sent.
        TRANSMIT_FULL OFFSET(0) NUMBITS(1) [],
        /// A byte was received and not read.
        RECEIVE_FULL OFFSET(1) NUMBITS(1) [],
    ],
    /// CTRL of a UART.
    pub UartControl [
        /// Sends.
        TRANSMIT OFFSET(0) NUMBITS(1) [],
        /// Receives.
        RECEIVE OFFSET(1) NUMBITS(1) [],
        /// An interrupt for each byte that was sent.
        TRANSMIT_INTERRUPT OFFSET(2) NUMBITS(1) [],
        /// An interrupt for each byte received.
        RECEIVE_INTERRUPT OFFSET(3) NUMBITS(1) [],
    ],
    /// INTSTATUS of a UART.
    pub UartInterrupt [
        /// A byte was sent.
        TRANSMIT OFFSET(0) NUMBITS(1) [],
        /// A byte was received.
        RECEIVE OFFSET(1) NUMBITS(1) [],
    ],
    /// CTRL of a timer.
    pub TimerControl [
        /// Counts.
        ENABLE OFFSET(0) NUMBITS(1) [],
        /// An interrupt at zero.
        INTERRUPT OFFSET(3) NUMBITS(1) [],
    ],
];

/// The first UART.
pub fn uart0() -> &'static Uart {
    // SAFETY: a UART with these registers is at this address for ever. Reading and writing them in
    // any order is no memory access of the program's.
    unsafe { &*(0x4000_4000 as *const Uart) }
}

/// The second UART.
pub fn uart1() -> &'static Uart {
    // SAFETY: as for the first.
    unsafe { &*(0x4000_5000 as *const Uart) }
}

/// The first timer.
pub fn timer0() -> &'static Timer {
    // SAFETY: as for the UARTs: a timer is at this address.
    unsafe { &*(0x4000_0000 as *const Timer) }
}

/// The second timer.
pub fn timer1() -> &'static Timer {
    // SAFETY: as for the first.
    unsafe { &*(0x4000_1000 as *const Timer) }
}
