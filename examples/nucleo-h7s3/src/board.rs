//! What only this board knows: its clock tree, its USB port and its light.

use core::convert::Infallible;

use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::rcc::{self, mux};
use embassy_stm32::time::Hertz;
use embassy_stm32::usb::{self, Driver};
#[cfg(feature = "watchdog")]
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Config, Peri, Peripherals, bind_interrupts, pac, peripherals};
use embassy_time::Timer;
use embassy_usb_guard::SynopsysOtg;
use embassy_usb_synopsys_otg::otg_v1::Otg;

use crate::fault;
#[cfg(feature = "two-wire")]
use crate::two_wire::TwoWires;

bind_interrupts!(struct Interrupts {
    OTG_HS => usb::InterruptHandler<peripherals::USB_OTG_HS>;
});

/// The CRC unit of the chip.
pub type Crc = stm32_crc::CrcUnit<crate::crc::CrcRegisters>;

/// The USB driver of port CN2: high speed, with the PHY inside the chip.
pub type UsbDriver = SynopsysOtg<Driver<'static, peripherals::USB_OTG_HS>>;

/// Functions with a bulk OUT endpoint: MCTP and the serial port.
const BULK_FUNCTIONS: usize = 1 + cfg!(feature = "serial-log") as usize;
/// One packet of every OUT endpoint: the control endpoint's 64 bytes, a bulk endpoint's 512.
pub const USB_OUT_BUFFER: usize = 64 + BULK_FUNCTIONS * 512;

/// How long the device may be stuck.
#[cfg(feature = "watchdog")]
const WATCHDOG_MICROSECONDS: u32 = 8_000_000;

/// The board after its clocks have been set up.
pub struct Board {
    /// MCTP's port.
    pub usb: UsbPort,
    /// The second port.
    #[cfg(feature = "two-wire")]
    pub two_wires: TwoWires,
    /// What shows that the device runs.
    pub life: Life,
    /// Computes the integrity checks of NVMe-MI and of firmware images.
    pub crc: Crc,
    /// 96 bits that no other chip of this family has.
    pub unique_id: [u8; 12],
}

impl Board {
    /// Starts the clocks and takes the pins.
    pub fn start() -> Self {
        let mut core = cortex_m::Peripherals::take().unwrap_or_else(|| fault::stop());
        // The code stands in SRAM behind a bus of half this speed. The data cache stays off: it
        // would keep the debugger from seeing the log.
        core.SCB.enable_icache();
        let Peripherals {
            USB_OTG_HS,
            PM5,
            PM6,
            PD13,
            CRC,
            #[cfg(feature = "two-wire")]
            I2C1,
            #[cfg(feature = "two-wire")]
            PB8,
            #[cfg(feature = "two-wire")]
            PB9,
            #[cfg(feature = "watchdog")]
            IWDG,
            ..
        } = embassy_stm32::init(clocks());
        Self {
            usb: UsbPort {
                otg: USB_OTG_HS,
                plus: PM6,
                minus: PM5,
            },
            #[cfg(feature = "two-wire")]
            two_wires: TwoWires::new(I2C1, PB8, PB9),
            life: Life {
                led: Output::new(PD13, Level::Low, Speed::Low),
                #[cfg(feature = "watchdog")]
                watchdog: IndependentWatchdog::new(IWDG, WATCHDOG_MICROSECONDS),
            },
            crc: crate::crc::start(CRC),
            unique_id: embassy_stm32::uid::uid(),
        }
    }
}

/// Port CN2 before its driver starts.
pub struct UsbPort {
    otg: Peri<'static, peripherals::USB_OTG_HS>,
    plus: Peri<'static, peripherals::PM6>,
    minus: Peri<'static, peripherals::PM5>,
}

impl UsbPort {
    /// Starts the driver. `out_buffer` holds what the host sends until it is read.
    pub fn start(self, out_buffer: &'static mut [u8; USB_OUT_BUFFER]) -> UsbDriver {
        let Self { otg, plus, minus } = self;
        let driver = Driver::new_hs(otg, Interrupts, plus, minus, out_buffer, usb_config());
        // SAFETY: these are the registers of the peripheral that the driver has. What both change is
        // changed in one executor, or in a critical section, and the interrupt handler leaves it alone.
        let registers = unsafe { Otg::from_ptr(pac::USB_OTG_HS.as_ptr()) };
        SynopsysOtg::new(driver, registers)
    }
}

/// 600 MHz for the core, 300 MHz for the buses, 150 MHz for the peripherals, each the most the chip
/// allows at its higher core voltage; the 24 MHz crystal itself for the USB PHY.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.voltage_scale = rcc::VoltageScale::HIGH;
    config.rcc.hse = Some(rcc::Hse {
        freq: Hertz::mhz(24),
        mode: rcc::HseMode::Oscillator,
    });
    config.rcc.pll1 = Some(rcc::Pll {
        source: rcc::PllSource::HSE,
        prediv: rcc::PllPreDiv::DIV12, // 2 MHz
        mul: rcc::PllMul::MUL300,      // 600 MHz
        divp: Some(rcc::PllDiv::DIV1),
        divq: None,
        divr: None,
        divs: None,
        divt: None,
    });
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb5_pre = rcc::APBPrescaler::DIV2;
    config.rcc.mux.usbphycsel = mux::Usbphycsel::HSE;
    config
}

/// A connected host is assumed rather than sensed: the board is also powered by the other port.
fn usb_config() -> usb::Config {
    let mut config = usb::Config::default();
    config.vbus_detection = false;
    config
}

/// The orange LED LD2, and the watchdog.
pub struct Life {
    led: Output<'static>,
    #[cfg(feature = "watchdog")]
    watchdog: IndependentWatchdog<'static, peripherals::IWDG>,
}

impl Life {
    /// Changes the light every second, and keeps the watchdog quiet, for as long as this gets its
    /// turn.
    pub async fn show(mut self) -> Infallible {
        #[cfg(feature = "watchdog")]
        self.watchdog.unleash();
        loop {
            self.led.toggle();
            #[cfg(feature = "watchdog")]
            self.watchdog.pet();
            Timer::after_secs(1).await;
        }
    }
}
