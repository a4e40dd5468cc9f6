//! The simulated core with the driver's interrupt handler, and the host's end of the cable.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use embassy_usb_synopsys_otg::otg_v1::Otg;
use embassy_usb_synopsys_otg::{Config, Driver, OtgInstance, PhyType, State, on_interrupt};

use crate::core::{Core, InAnswer};
use crate::{Acknowledge, Handshake, InResponse, Speed, Toggle, window};

/// Endpoints of each direction, with endpoint 0: those of the STM32H7RS.
pub const ENDPOINT_COUNT: usize = 9;
/// Words of the FIFO memory, as in the STM32H7RS.
pub const FIFO_DEPTH_WORDS: u16 = 1024;
/// Words that embassy-stm32 adds to the receive FIFO.
const EXTRA_RX_FIFO_WORDS: u16 = 30;
/// The longest packet of USB 2.0.
const MAX_PACKET_LEN: usize = 1024;
/// Interrupts in a row, without an event on the bus, that mean that the handler does not serve its
/// cause.
const MAX_INTERRUPTS: usize = 1000;

/// A Synopsys OTG core in memory, and the cable to it.
///
/// Its methods are what happens on the bus: a USB transaction, or a change of the bus's state. Each
/// runs the driver's interrupt handler before it, for what the device did since, and after it. The
/// device itself is polled by the caller, in between.
pub struct Simulator {
    core: Box<UnsafeCell<Core>>,
    registers: Otg,
    state: State<ENDPOINT_COUNT>,
    /// The registers are those of one thread.
    _not_send: PhantomData<*mut ()>,
}

impl Simulator {
    /// A core that is plugged into a port of this speed.
    ///
    /// # Panics
    ///
    /// If the thread has a simulator already.
    pub fn new(speed: Speed) -> Self {
        let core = Box::new(UnsafeCell::new(Core::new(speed)));
        // SAFETY: `core` lives until `drop`, which releases the window. References to it exist in
        // `with_core` only, which calls no code of the driver.
        let base = unsafe { window::claim(NonNull::new_unchecked(core.get())) };
        Self {
            core,
            // SAFETY: the window supplies a register for each offset of the driver.
            registers: unsafe { Otg::from_ptr(base.as_ptr().cast()) },
            state: State::new(),
            _not_send: PhantomData,
        }
    }

    /// What the driver needs to know about the core: the values of embassy-stm32 for an STM32H7RS.
    pub fn instance(&self) -> OtgInstance<'_, ENDPOINT_COUNT> {
        OtgInstance {
            regs: self.registers,
            state: &self.state,
            fifo_depth_words: FIFO_DEPTH_WORDS,
            endpoint_count: ENDPOINT_COUNT,
            phy_type: PhyType::InternalHighSpeed,
            extra_rx_fifo_words: EXTRA_RX_FIFO_WORDS,
            calculate_trdt_fn: |_| 9,
        }
    }

    /// The driver of this core. `out_buffer` has room for a packet of each OUT endpoint.
    pub fn driver<'d>(&'d self, out_buffer: &'d mut [u8]) -> Driver<'d, ENDPOINT_COUNT> {
        Driver::new(out_buffer, self.instance(), Config::default())
    }

    /// Whether the device has connected itself to the bus.
    pub fn is_connected(&self) -> bool {
        self.with_core(|core| core.is_connected())
    }

    /// Runs the interrupt handler while the core asks for it.
    ///
    /// # Panics
    ///
    /// If the driver panics, uses the core in a way that it does not define, or does not serve an
    /// interrupt.
    pub fn run_interrupts(&self) {
        for _ in 0..MAX_INTERRUPTS {
            if let Some(misuse) = self.with_core(|core| core.misuse()) {
                panic!("{misuse}");
            }
            if !self.with_core(|core| core.interrupt()) {
                return;
            }
            // SAFETY: registers, state and endpoint count belong together, and no driver code is
            // running.
            unsafe { on_interrupt(self.registers, &self.state, ENDPOINT_COUNT) };
        }
        panic!("the interrupt handler does not serve the interrupt");
    }

    /// The host begins to drive reset.
    pub fn begin_reset(&self) {
        self.event(Core::begin_reset);
    }

    /// The host ends reset; the speed is known.
    pub fn end_reset(&self) {
        self.event(Core::end_reset);
    }

    /// The bus becomes idle.
    pub fn suspend(&self) {
        self.event(Core::suspend);
    }

    /// The host resumes the bus.
    pub fn resume(&self) {
        self.event(Core::resume);
    }

    /// A SETUP transaction.
    pub fn setup(&self, address: u8, packet: [u8; 8]) -> Handshake {
        self.event(|core| core.setup(address, packet))
    }

    /// An OUT transaction.
    pub fn out(&self, address: u8, endpoint: u8, toggle: Toggle, bytes: &[u8]) -> Handshake {
        self.event(|core| core.out(address, endpoint.into(), toggle, bytes))
    }

    /// An IN transaction, with the host's handshake.
    pub fn in_token(&self, address: u8, endpoint: u8, acknowledge: Acknowledge) -> InResponse {
        let mut buffer = [0; MAX_PACKET_LEN];
        let answer =
            self.event(|core| core.in_token(address, endpoint.into(), acknowledge, &mut buffer));
        match answer {
            InAnswer::Packet { toggle, len } => InResponse::Data {
                toggle,
                bytes: buffer[..len].to_vec(),
            },
            InAnswer::NoPacket(Handshake::Stall) => InResponse::Stall,
            InAnswer::NoPacket(Handshake::NoResponse) => InResponse::NoResponse,
            InAnswer::NoPacket(_) => InResponse::Nak,
        }
    }

    fn event<T>(&self, event: impl FnOnce(&mut Core) -> T) -> T {
        self.run_interrupts();
        let result = self.with_core(event);
        self.run_interrupts();
        result
    }

    /// `action` must not touch the registers.
    fn with_core<T>(&self, action: impl FnOnce(&mut Core) -> T) -> T {
        // SAFETY: this is the only place outside the window that borrows the model; `Simulator` is
        // not `Sync`, the callers in this file pass methods of `Core` only, and those reach
        // neither this function nor the window.
        action(unsafe { &mut *self.core.get() })
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        window::release();
    }
}
