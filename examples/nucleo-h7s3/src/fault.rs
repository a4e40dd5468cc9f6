//! The end: what went wrong is logged, then the device stops where a debugger finds it. The watchdog, if there is one, starts it again.

use core::arch::naked_asm;
use core::panic::PanicInfo;

use cortex_m::asm;
use cortex_m::peripheral::DCB;

/// Where the stack ends, in both files in `link`.
const STACK_END: u32 = 0x2000_0000;
/// Bytes that the core stores at least when it takes an exception.
const FRAME: i32 = 32;

/// Stops for good. A debugger shows where.
pub fn stop() -> ! {
    cortex_m::interrupt::disable();
    if DCB::is_debugger_attached() {
        asm::bkpt();
    }
    loop {
        asm::wfi();
    }
}

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    #[cfg(feature = "text-log")]
    crate::log::TEXT.panic(information);
    // File, line and message would take 7 KB of flash, for what the debugger knows from the call stack.
    #[cfg(not(feature = "text-log"))]
    let _ = information;
    #[cfg(feature = "defmt")]
    defmt::error!("panicked; the call stack says where");
    stop()
}

/// A panic of defmt's, which has logged why.
#[cfg(feature = "defmt")]
#[defmt::panic_handler]
fn panicked() -> ! {
    stop()
}

/// The core's exception for every fault. The stack may be used up, so it begins at its top again: what is there is not needed any more.
// SAFETY: cortex-m-rt asks for a handler under this name. It needs nothing of what the registers have but the stack pointer, and does not return.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn HardFault() -> ! {
    naked_asm!(
        "mrs r0, msp",
        "ldr r1, =_stack_start",
        "msr msp, r1",
        "b {report}",
        report = sym report,
    )
}

extern "C" fn report(stack_pointer: u32) -> ! {
    // Below the end, or so little above it that what the core stored did not fit.
    let overflow = (stack_pointer.wrapping_sub(STACK_END) as i32) < FRAME;
    #[cfg(feature = "text-log")]
    {
        let what = if overflow { "stack overflow" } else { "fault" };
        let text = format_args!("{what}: the stack pointer is {stack_pointer:08x}h");
        crate::log::TEXT.last_words(&text);
    }
    #[cfg(feature = "defmt")]
    if overflow {
        defmt::error!(
            "stack overflow: the stack pointer is {=u32:08x}h",
            stack_pointer
        );
    } else {
        defmt::error!("fault: the stack pointer is {=u32:08x}h", stack_pointer);
    }
    #[cfg(not(any(feature = "text-log", feature = "defmt")))]
    let _ = overflow;
    stop()
}
