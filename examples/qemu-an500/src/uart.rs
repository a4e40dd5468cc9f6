//! UARTs as byte streams, interrupt driven.
//!
//! A received byte goes from the interrupt to a queue. When the queue is full, bytes are left where they are until there is room: QEMU holds back
//! what it was sent, so that nothing is lost.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use cortex_m::peripheral::NVIC;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorType, Read, Write};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

use crate::interrupts::Interrupt;
use crate::registers::{self, UartControl, UartInterrupt, UartState};

/// Received bytes that may wait.
const QUEUE: usize = 4096;
/// Bytes sent before other tasks get a turn.
const TURN: usize = 256;
/// QEMU sends as fast as it can whatever this is; 16 is the least allowed.
const BAUD_DIVISOR: u32 = 16;

/// The first UART.
pub static UART0: Uart = Uart::new(registers::uart0, Interrupt::Uart0Receive);
/// The second UART.
pub static UART1: Uart = Uart::new(registers::uart1, Interrupt::Uart1Receive);

/// A UART. Its `&'static` is the byte stream, in both directions; use each direction in one task only.
pub struct Uart {
    registers: fn() -> &'static registers::Uart,
    receive_interrupt: Interrupt,
    received: Pipe<CriticalSectionRawMutex, QUEUE>,
    sent: AtomicWaker,
}

impl Uart {
    const fn new(
        registers: fn() -> &'static registers::Uart,
        receive_interrupt: Interrupt,
    ) -> Self {
        Self {
            registers,
            receive_interrupt,
            received: Pipe::new(),
            sent: AtomicWaker::new(),
        }
    }

    /// Switches it on.
    pub fn start(&self) {
        let registers = (self.registers)();
        registers.baud_divisor.set(BAUD_DIVISOR);
        registers.control.write(
            UartControl::TRANSMIT::SET
                + UartControl::RECEIVE::SET
                + UartControl::RECEIVE_INTERRUPT::SET,
        );
    }

    /// Sends without interrupts: for what cannot wait to be scheduled, such as the last words of a panic.
    pub fn send_now(&self, bytes: &[u8]) {
        let registers = (self.registers)();
        for byte in bytes {
            while registers.state.is_set(UartState::TRANSMIT_FULL) {}
            registers.data.set(u32::from(*byte));
        }
    }

    /// The interrupt handler for received bytes.
    pub(crate) fn on_receive(&self) {
        let registers = (self.registers)();
        registers
            .interrupt_status
            .write(UartInterrupt::RECEIVE::SET);
        while registers.state.is_set(UartState::RECEIVE_FULL) {
            if self.received.is_full() {
                // Until somebody reads.
                registers
                    .control
                    .modify(UartControl::RECEIVE_INTERRUPT::CLEAR);
                return;
            }
            let byte = registers.data.get() as u8;
            // There is room, and this is the only writer.
            let _ = self.received.try_write(&[byte]);
        }
    }

    /// The interrupt handler for sent bytes.
    pub(crate) fn on_transmit(&self) {
        let registers = (self.registers)();
        registers
            .interrupt_status
            .write(UartInterrupt::TRANSMIT::SET);
        registers
            .control
            .modify(UartControl::TRANSMIT_INTERRUPT::CLEAR);
        self.sent.wake();
    }

    /// After bytes were read: takes those that had no room.
    fn resume_receiving(&self) {
        let registers = (self.registers)();
        critical_section::with(|_| {
            if !registers.control.is_set(UartControl::RECEIVE_INTERRUPT) {
                registers
                    .control
                    .modify(UartControl::RECEIVE_INTERRUPT::SET);
                // The byte that waits came while its interrupt was disabled.
                NVIC::pend(self.receive_interrupt);
            }
        });
    }

    async fn wait_for_room(&self) {
        let registers = (self.registers)();
        poll_fn(|context| {
            if !registers.state.is_set(UartState::TRANSMIT_FULL) {
                return Poll::Ready(());
            }
            self.sent.register(context.waker());
            critical_section::with(|_| {
                registers
                    .control
                    .modify(UartControl::TRANSMIT_INTERRUPT::SET);
            });
            // It may have been sent before the interrupt was enabled.
            if registers.state.is_set(UartState::TRANSMIT_FULL) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

impl ErrorType for &'static Uart {
    type Error = Infallible;
}

impl Read for &'static Uart {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let length = self.received.read(buffer).await;
        self.resume_receiving();
        Ok(length)
    }
}

impl Write for &'static Uart {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let registers = (self.registers)();
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait_for_room().await;
        let mut sent = 0;
        for byte in bytes.iter().take(TURN) {
            if registers.state.is_set(UartState::TRANSMIT_FULL) {
                break;
            }
            registers.data.set(u32::from(*byte));
            sent += 1;
        }
        Ok(sent)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        self.wait_for_room().await;
        Ok(())
    }
}
