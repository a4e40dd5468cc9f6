//! The end: what went wrong is the last line on UART1, then QEMU exits with an error code.

use core::arch::naked_asm;
use core::fmt::Display;
use core::hint::black_box;
use core::panic::PanicInfo;

use embassy_time::Timer;
use qemu_an500::stack;
use semihosting::process;

use crate::log::{EVENTS, LOG};
use crate::settings::End;

/// QEMU's exit code after a panic.
const PANIC: i32 = 101;
/// QEMU's exit code after a fault, such as a stack overflow.
const FAULT: i32 = 102;
/// The most that the core stores when it takes an exception: registers, and those of the floating
/// point unit.
const FRAME: u32 = 0x6C;

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    LOG.panic(information);
    process::exit(PANIC)
}

/// The exception handler of the core for every fault. The stack may be used up, so that it starts
/// at the top again: what was there is not needed any more.
// SAFETY: cortex-m-rt asks for a handler under this name. It is entered with nothing in registers
// that it needs, and does not return.
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
    if stack_pointer < stack::END + FRAME {
        LOG.last_words(&format_args!(
            "stack overflow: the stack pointer is {stack_pointer:08x}h"
        ));
    } else {
        LOG.last_words(&format_args!(
            "fault: the stack pointer is {stack_pointer:08x}h"
        ));
    }
    process::exit(FAULT)
}

/// Ends the device because it cannot be set up.
pub fn end(reason: &dyn Display) -> ! {
    cortex_m::interrupt::disable();
    LOG.last_words(&format_args!("{reason}"));
    process::exit(PANIC)
}

/// Ends the device when it is asked to, a moment after it has said yes.
#[embassy_executor::task]
pub async fn end_when_asked(end: End) {
    while !EVENTS.is_asked_to_end() {
        Timer::after_millis(100).await;
    }
    match end {
        End::Panic => panic!("as it was asked to"),
        End::StackOverflow => log::error!("{}", descend(0)),
    }
}

/// Calls itself for ever: more than any stack has room for.
#[inline(never)]
#[expect(unconditional_recursion, reason = "it is the purpose")]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    descend(depth + 1) + black_box(frame)[0]
}
