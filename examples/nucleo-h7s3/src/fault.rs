//! The end: what went wrong is logged, then the device stops where a debugger finds it. The
//! watchdog, if there is one, starts it again.

use core::arch::naked_asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::asm;
use cortex_m::peripheral::DCB;

/// Bytes of stack that logging the end may take.
const SPARE: usize = 1024;

/// The end has come.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Whether what goes wrong now is the first, which is logged. What goes wrong while that is logged
/// would not end: defmt, for one, panics when it is within a frame already.
fn is_first() -> bool {
    cortex_m::interrupt::disable();
    // Not an atomic exchange: nothing else runs.
    let is_first = !IS_ENDING.load(Ordering::Relaxed);
    IS_ENDING.store(true, Ordering::Relaxed);
    is_first
}

/// Stops for good. A debugger shows where.
pub fn stop() -> ! {
    cortex_m::interrupt::disable();
    #[cfg(feature = "two-wire")]
    crate::two_wire::let_go();
    if DCB::is_debugger_attached() {
        asm::bkpt();
    }
    loop {
        asm::wfi();
    }
}

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    // File, line and message would take 7 KB of flash, for what the debugger knows from the call
    // stack.
    #[cfg(not(feature = "text-log"))]
    let _ = information;
    if is_first() {
        #[cfg(feature = "text-log")]
        crate::log::TEXT.panic(information);
        #[cfg(feature = "defmt")]
        defmt::error!("panicked; the call stack says where");
    }
    stop()
}

/// A panic of defmt's, which has logged why.
#[cfg(feature = "defmt")]
#[defmt::panic_handler]
fn panicked() -> ! {
    stop()
}

/// The core's exception for every fault. It goes on with the stack as it is, so that a debugger
/// finds what called what. When that is used up, or nearly, it begins with the stack at its top
/// again.
// SAFETY: cortex-m-rt asks for a handler under this name, and has the core call it. It needs
// nothing of what the registers have but the stack pointer, which is the main one in every
// exception, and does not return.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn HardFault() -> ! {
    naked_asm!(
        "mov r0, sp",
        "ldr r1, =_stack_end + {spare}",
        "cmp r0, r1",
        "itt lo",
        "ldrlo r2, =_stack_start",
        "movlo sp, r2",
        "b {report}",
        spare = const SPARE,
        report = sym report,
    )
}

/// `limit` is the lowest stack pointer with which the stack is not used up.
extern "C" fn report(stack_pointer: u32, limit: u32) -> ! {
    #[cfg(not(any(feature = "text-log", feature = "defmt")))]
    let _ = (stack_pointer, limit);
    if is_first() {
        #[cfg(feature = "text-log")]
        {
            let overflow = stack_pointer < limit;
            let what = if overflow { "stack overflow" } else { "fault" };
            crate::log::TEXT.last_words(&format_args!(
                "{what}: the stack pointer is {stack_pointer:08x}h"
            ));
        }
        #[cfg(feature = "defmt")]
        defmt::error!(
            "fault: the stack pointer is {=u32:08x}h, a stack overflow if below {=u32:08x}h",
            stack_pointer,
            limit
        );
    }
    stop()
}
