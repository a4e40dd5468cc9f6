//! The vector table of peripheral interrupts, and who preempts whom.
//!
//! | priority | has |
//! |-|-|
//! | 20h | UARTs and timers: their handlers move a byte, or wake a task |
//! | 80h | the executor of the link |
//! | C0h | the executor of the services |
//!
//! Outside of interrupts there is nothing to do but to sleep. That is `wfi`: QEMU skips the `wfe`
//! of embassy's thread executor, and would be busy for ever.

use cortex_m::Peripherals;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embassy_executor::{InterruptExecutor, SendSpawner};

use semihosting::{eprintln, process};

use crate::{time, uart};

/// Interrupts of AN500, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Interrupt {
    /// UART0 has received a byte.
    Uart0Receive = 0,
    /// UART0 has sent a byte.
    Uart0Transmit = 1,
    /// UART1 has received a byte.
    Uart1Receive = 2,
    /// UART1 has sent a byte.
    Uart1Transmit = 3,
    /// TIMER0 has reached zero.
    Timer0 = 8,
    /// TIMER1 has reached zero.
    Timer1 = 9,
    /// Belongs to the Ethernet controller, which is not used: the executor of the link.
    Link = 13,
    /// Belongs to the audio interface, which is not used: the executor of the services.
    Services = 14,
}

// SAFETY: the numbers are those of the board, each is there once, and they never change.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

static LINK: InterruptExecutor = InterruptExecutor::new();
static SERVICES: InterruptExecutor = InterruptExecutor::new();

const PERIPHERAL_PRIORITY: u8 = 0x20;
const LINK_PRIORITY: u8 = 0x80;
const SERVICES_PRIORITY: u8 = 0xC0;

/// Entries of the vector table.
type Handler = extern "C" fn();

extern "C" fn unexpected() {
    eprintln!("an interrupt that nobody has enabled");
    process::exit(101)
}

extern "C" fn link() {
    // SAFETY: this is the executor's interrupt, which is enabled only by its start.
    unsafe { LINK.on_interrupt() }
}

extern "C" fn services() {
    // SAFETY: as for the link.
    unsafe { SERVICES.on_interrupt() }
}

extern "C" fn uart0_receive() {
    uart::UART0.on_receive();
}

extern "C" fn uart0_transmit() {
    uart::UART0.on_transmit();
}

extern "C" fn uart1_receive() {
    uart::UART1.on_receive();
}

extern "C" fn uart1_transmit() {
    uart::UART1.on_transmit();
}

/// cortex-m-rt takes it by this name, for the place behind the exceptions of the core.
// SAFETY: cortex-m-rt asks for a table of handlers, one for each interrupt, in this section and
// under this name.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
#[used]
static __INTERRUPTS: [Handler; 32] = {
    let mut table: [Handler; 32] = [unexpected; 32];
    table[Interrupt::Uart0Receive as usize] = uart0_receive;
    table[Interrupt::Uart0Transmit as usize] = uart0_transmit;
    table[Interrupt::Uart1Receive as usize] = uart1_receive;
    table[Interrupt::Uart1Transmit as usize] = uart1_transmit;
    table[Interrupt::Timer0 as usize] = time::on_wrap;
    table[Interrupt::Timer1 as usize] = time::on_alarm;
    table[Interrupt::Link as usize] = link;
    table[Interrupt::Services as usize] = services;
    table
};

/// Sets priorities, and enables the interrupts of peripherals. Each can still be disabled in its
/// peripheral.
pub fn start(core: &mut Peripherals) {
    for interrupt in [
        Interrupt::Uart0Receive,
        Interrupt::Uart0Transmit,
        Interrupt::Uart1Receive,
        Interrupt::Uart1Transmit,
        Interrupt::Timer0,
        Interrupt::Timer1,
    ] {
        set_priority(core, interrupt, PERIPHERAL_PRIORITY);
        // SAFETY: no critical section here depends on interrupts that are masked one by one.
        unsafe { NVIC::unmask(interrupt) };
    }
    set_priority(core, Interrupt::Link, LINK_PRIORITY);
    set_priority(core, Interrupt::Services, SERVICES_PRIORITY);
}

fn set_priority(core: &mut Peripherals, interrupt: Interrupt, priority: u8) {
    // SAFETY: no critical section here depends on priorities.
    unsafe { core.NVIC.set_priority(interrupt, priority) };
}

/// Starts the executor of the link. Once, after [`start`].
pub fn start_link_executor() -> SendSpawner {
    LINK.start(Interrupt::Link)
}

/// Starts the executor of the services. Once, after [`start`].
pub fn start_service_executor() -> SendSpawner {
    SERVICES.start(Interrupt::Services)
}
