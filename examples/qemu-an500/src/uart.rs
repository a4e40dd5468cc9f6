//! UARTs as byte streams, interrupt driven.
//!
//! A received byte goes from the interrupt to a queue. When the queue is full, bytes are left where
//! they are until there is room: QEMU holds back what it was sent, so that nothing is lost.
//!
//! There are two ways to send, for a UART to be used in one of them: as a byte stream, which waits
//! for whoever reads too slowly, and by [`Uart::post`], which does not.

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

/// Bytes that may wait, in each direction.
const QUEUE: usize = 4096;
/// Bytes sent before other tasks get a turn.
const TURN: usize = 256;
/// How often the last words ask for room before they give up: more than a second.
const LAST_TRIES: u32 = 10_000_000;
/// QEMU sends as fast as it can whatever this is; 16 is the least allowed.
const BAUD_DIVISOR: u32 = 16;

/// The first UART.
pub static UART0: Uart = Uart::new(registers::uart0, Interrupt::Uart0Receive);
/// The second UART.
pub static UART1: Uart = Uart::new(registers::uart1, Interrupt::Uart1Receive);

/// A UART. Its `&'static` is the byte stream, in both directions; use each direction in one task
/// only.
pub struct Uart {
    registers: fn() -> &'static registers::Uart,
    receive_interrupt: Interrupt,
    received: Pipe<CriticalSectionRawMutex, QUEUE>,
    posted: Pipe<CriticalSectionRawMutex, QUEUE>,
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
            posted: Pipe::new(),
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

    /// Sends all of `bytes` or, when they do not fit behind those that still wait, nothing. Never
    /// waits; from any context.
    pub fn post(&self, bytes: &[u8]) {
        critical_section::with(|_| {
            if self.posted.free_capacity() < bytes.len() {
                return;
            }
            // What fits may still be taken in two parts, at the end of the queue's memory and at
            // its start.
            let mut rest = bytes;
            while let Ok(taken @ 1..) = self.posted.try_write(rest) {
                rest = rest.get(taken..).unwrap_or_default();
            }
        });
        self.send_posted();
    }

    /// Sends what was posted, then `bytes`, and waits for it, but not for ever: for the last words,
    /// when nothing else runs any more.
    pub fn send_last(&self, bytes: &[u8]) {
        let mut byte = [0];
        while self.posted.try_read(&mut byte).is_ok() {
            self.send_now(byte[0]);
        }
        bytes.iter().for_each(|byte| self.send_now(*byte));
    }

    fn send_now(&self, byte: u8) {
        let registers = (self.registers)();
        for _ in 0..LAST_TRIES {
            if !registers.state.is_set(UartState::TRANSMIT_FULL) {
                registers.data.set(u32::from(byte));
                return;
            }
        }
    }

    /// Sends what was posted, as far as there is room now; the rest when there is.
    fn send_posted(&self) {
        let registers = (self.registers)();
        let mut byte = [0];
        critical_section::with(|_| {
            loop {
                while !registers.state.is_set(UartState::TRANSMIT_FULL) {
                    if self.posted.try_read(&mut byte).is_err() {
                        return;
                    }
                    registers.data.set(u32::from(byte[0]));
                }
                registers
                    .control
                    .modify(UartControl::TRANSMIT_INTERRUPT::SET);
                // It may have been sent before the interrupt was enabled.
                if registers.state.is_set(UartState::TRANSMIT_FULL) {
                    return;
                }
            }
        });
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
        self.send_posted();
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
