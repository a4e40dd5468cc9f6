//! What catches a stack overflow.
//!
//! The stack is at the bottom of its memory. On a chip, whoever goes on below it gets a fault.
//! QEMU's board has "reserved" addresses there that read as zero and forget what is written, so
//! that the memory protection unit has to forbid them (ARMv7-M Architecture Reference Manual,
//! section B3.5).

use cortex_m::Peripherals;
use cortex_m::asm::{dsb, isb};

/// Where the stack ends, in all of the files in `memory`.
pub const END: u32 = 0x2000_0000;

/// The 256 MiB below the stack.
const GUARD: u32 = 0x1000_0000;
/// MPU_RBAR: the number of the region in this register is valid, and is 0.
const VALID: u32 = 1 << 4;
/// MPU_RASR: enabled, 2 to the power of 27 + 1 bytes, no access (AP 000), execute never.
const NO_ACCESS: u32 = 1 << 28 | 27 << 1 | 1;
/// MPU_CTRL: enabled, everything else as without it.
const ENABLE: u32 = 1 << 2 | 1;

/// Makes every access below the stack a fault.
pub fn guard(core: &mut Peripherals) {
    // SAFETY: it takes away memory in which nothing is, and changes nothing else.
    unsafe {
        core.MPU.rbar.write(GUARD | VALID);
        core.MPU.rasr.write(NO_ACCESS);
        core.MPU.ctrl.write(ENABLE);
    }
    dsb();
    isb();
}
