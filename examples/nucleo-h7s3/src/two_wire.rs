//! The two wires of the Arduino connector: I2C1, as target and controller at once.
//!
//! | pin | connector | signal |
//! |-|-|-|
//! | PB8 | D15 | SCL |
//! | PB9 | D14 | SDA |
//!
//! [`stm32_two_wire`] drives the peripheral. Its interrupts have the priority of the USB
//! controller's, above both executors.

use core::convert::Infallible;

use embassy_futures::select::{Either, select};
use embassy_stm32::gpio::{AfType, Flex, OutputType, Pin, Speed};
use embassy_stm32::i2c::{SclPin, SdaPin};
use embassy_stm32::interrupt::InterruptExt;
use embassy_stm32::pac::i2c::regs::{Cr1, Cr2, Icr, Isr, Oar1, Timeoutr, Timingr, Txdr};
use embassy_stm32::pac::{I2C1, RCC};
use embassy_stm32::{Peri, interrupt, peripherals};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, Instant, Timer};
use embedded_hal_async::delay::DelayNs;
use mctp_i2c::framing::MAX_TRANSACTION;
use mctp_i2c::{Config, RECEIVE_BUFFER_LEN, Receiver, Sender, TargetAddress};
use mctp_router::{NetworkId, PortId};
use nvme_mi_responder::Vendor;
use reference_device::storage::PortBuffers;
use static_cell::ConstStaticCell;
use stm32_two_wire::{BusTiming, Halves, Registers, TwoWire};

use crate::{Router, fault};

/// The network of the two wires.
pub const NETWORK: NetworkId = NetworkId(1);
/// Their port of the router: the one after USB's.
pub const PORT: PortId = PortId(1);

/// The device's own address: 1Dh, unless the build environment names another.
pub const ADDRESS: TargetAddress = match option_env!("MCTP_TWO_WIRE_ADDRESS") {
    None => TargetAddress::new(0x1D).unwrap(),
    Some(text) => match Vendor::parse_pci_id(text) {
        Some(address @ 0x08..=0x77) => TargetAddress::new(address as u8).unwrap(),
        _ => panic!("MCTP_TWO_WIRE_ADDRESS is not a hexadecimal number from 08 to 77"),
    },
};

/// The clock of I2C1, that of its bus: `board::clocks`.
const CLOCK_HZ: u32 = 150_000_000;
const TIMING: BusTiming = BusTiming::khz_100(CLOCK_HZ).unwrap();

type Peripheral = TwoWire<CriticalSectionRawMutex, I2cRegisters>;

static PERIPHERAL: Peripheral = TwoWire::new(I2cRegisters(()));

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    transfers: PortBuffers::new(),
    receive_buffer: [0; RECEIVE_BUFFER_LEN],
});

struct Memory {
    transfers: PortBuffers<'static, MAX_TRANSACTION>,
    receive_buffer: [u8; RECEIVE_BUFFER_LEN],
}

/// The peripheral before it starts, with its pins.
pub struct TwoWires {
    /// They are given back when this is dropped.
    _pins: [Flex<'static>; 2],
}

impl TwoWires {
    /// Starts the clock of I2C1, and gives it the pins. Only pins that it has compile.
    pub fn new<SCL, SDA>(
        _peripheral: Peri<'static, peripherals::I2C1>,
        scl: Peri<'static, SCL>,
        sda: Peri<'static, SDA>,
    ) -> Self
    where
        SCL: Pin + SclPin<peripherals::I2C1>,
        SDA: Pin + SdaPin<peripherals::I2C1>,
    {
        RCC.apb1enr1()
            .modify(|enabled| enabled.set_i2c1_i3c1en(true));
        // The clock needs two cycles to start (RM0477, peripheral clock enabling): the register is
        // read again.
        RCC.apb1enr1().read();
        let functions = (scl.af_num(), sda.af_num());
        let (mut scl, mut sda) = (Flex::new(scl), Flex::new(sda));
        // The pull-up resistors are on the bus.
        let open_drain = AfType::output(OutputType::OpenDrain, Speed::Low);
        scl.set_as_af_unchecked(functions.0, open_drain);
        sda.set_as_af_unchecked(functions.1, open_drain);
        Self { _pins: [scl, sda] }
    }
}

/// The port of the two wires.
pub struct Link {
    halves: Halves<'static, CriticalSectionRawMutex, I2cRegisters>,
    receive_buffer: &'static mut [u8; RECEIVE_BUFFER_LEN],
    _wires: TwoWires,
}

impl Link {
    /// Adds the port to the router, and starts the peripheral. Call it once.
    pub fn start(router: &Router, wires: TwoWires) -> Self {
        let Memory {
            transfers,
            receive_buffer,
        } = MEMORY.take();
        // Neither fails: the router has room for the port, and nobody else starts the peripheral.
        if router.add_port(NETWORK, transfers) != Ok(PORT) {
            fault::stop();
        }
        let halves = PERIPHERAL.start(ADDRESS, TIMING);
        let halves = halves.unwrap_or_else(|| fault::stop());
        // SAFETY: nothing is done without these interrupts, so that none breaks a critical section.
        unsafe {
            interrupt::I2C1_EV.enable();
            interrupt::I2C1_ER.enable();
        }
        Self {
            halves,
            receive_buffer,
            _wires: wires,
        }
    }

    /// Runs both directions for ever.
    pub async fn run(self, router: &Router) -> Infallible {
        let Halves {
            controller,
            target,
            status,
        } = self.halves;
        let receiver = Receiver::new(target, ADDRESS, self.receive_buffer);
        // It fails only with a shorter buffer.
        let mut receiver = receiver.unwrap_or_else(|_| fault::stop());
        let mut sender = Sender::with_status(controller, BusDelay, status, Config::new(ADDRESS));
        let receive = router.run_receive(PORT, &mut receiver);
        match select(receive, router.run_send(PORT, &mut sender)).await {
            Either::First(never) | Either::Second(never) => never,
        }
    }
}

/// Lets go of the bus: nobody else would, once the device has stopped.
pub fn let_go() {
    I2C1.cr1().write_value(Cr1(0));
}

#[interrupt]
fn I2C1_EV() {
    PERIPHERAL.on_interrupt();
}

#[interrupt]
fn I2C1_ER() {
    PERIPHERAL.on_interrupt();
}

/// Waits for at least so long: the tick that has begun does not count. A tick is 62.5 µs.
struct BusDelay;

impl DelayNs for BusDelay {
    async fn delay_ns(&mut self, nanoseconds: u32) {
        let ticks = Duration::from_nanos(nanoseconds.into()).as_ticks();
        let duration = Duration::from_ticks(ticks.saturating_add(1));
        Timer::at(Instant::now().saturating_add(duration)).await;
    }

    async fn delay_us(&mut self, microseconds: u32) {
        let ticks = Duration::from_micros(microseconds.into()).as_ticks();
        let duration = Duration::from_ticks(ticks.saturating_add(1));
        Timer::at(Instant::now().saturating_add(duration)).await;
    }
}

/// The registers of I2C1. [`PERIPHERAL`] alone has them.
struct I2cRegisters(());

impl Registers for I2cRegisters {
    fn control_1(&mut self) -> u32 {
        I2C1.cr1().read().0
    }
    fn write_control_1(&mut self, value: u32) {
        I2C1.cr1().write_value(Cr1(value));
    }
    fn control_2(&mut self) -> u32 {
        I2C1.cr2().read().0
    }
    fn write_control_2(&mut self, value: u32) {
        I2C1.cr2().write_value(Cr2(value));
    }
    fn write_own_address_1(&mut self, value: u32) {
        I2C1.oar1().write_value(Oar1(value));
    }
    fn write_timing(&mut self, value: u32) {
        I2C1.timingr().write_value(Timingr(value));
    }
    fn write_timeout(&mut self, value: u32) {
        I2C1.timeoutr().write_value(Timeoutr(value));
    }
    fn status(&mut self) -> u32 {
        I2C1.isr().read().0
    }
    fn write_status(&mut self, value: u32) {
        I2C1.isr().write_value(Isr(value));
    }
    fn clear(&mut self, flags: u32) {
        I2C1.icr().write_value(Icr(flags));
    }
    fn received_byte(&mut self) -> u8 {
        I2C1.rxdr().read().rxdata()
    }
    fn write_byte(&mut self, byte: u8) {
        I2C1.txdr().write_value(Txdr(byte.into()));
    }
}
