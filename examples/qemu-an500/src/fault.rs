//! The end: what went wrong is written to UART1, then QEMU exits with an error code.

use core::arch::naked_asm;
use core::fmt::Write;
use core::panic::PanicInfo;

use semihosting::process;

use crate::uart::UART1;

/// QEMU's exit code after a panic.
pub const PANIC: i32 = 101;
/// QEMU's exit code after a fault, such as a stack overflow.
pub const FAULT: i32 = 102;
/// Where the stack ends, in all of the files in `memory`.
const STACK_END: u32 = 0x2000_0000;
/// What the core stores at least when it takes an exception.
const FRAME: u32 = 32;

struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        UART1.send_now(text.as_bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    // It does not fail.
    let _ = writeln!(LastWords, "\n{info}");
    process::exit(PANIC)
}

/// The exception handler of the core for every fault. The stack may be used up, so that it starts at the top again; what was there is not
/// needed any more.
// SAFETY: cortex-m-rt asks for a handler under this name. It is entered with nothing in registers that it needs, and does not return.
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
    let overflow = stack_pointer.wrapping_sub(STACK_END) as i32;
    if overflow < FRAME as i32 {
        let _ = writeln!(
            LastWords,
            "\nstack overflow: the stack pointer is {stack_pointer:08x}h"
        );
    } else {
        let _ = writeln!(
            LastWords,
            "\nfault: the stack pointer is {stack_pointer:08x}h"
        );
    }
    process::exit(FAULT)
}
