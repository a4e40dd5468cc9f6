//! Copying a checked program to its memories, and starting it. `qemu-an500-boot` is built with this
//! very file, so that it runs in CI.

use core::arch::asm;
use core::ops::Range;

use cortex_m::Peripherals;
use cortex_m::peripheral::SCB;
use elf_loader::{Program, Start};

/// Copies `program` to where it belongs.
///
/// # Safety
///
/// Nothing that is in use may be in the memories for which `program` was checked, and these have to
/// begin and end at multiples of 8.
pub unsafe fn load(program: &Program<'_>) {
    // All zeros first, in words of 64 bits: a memory with error correction has to be written so
    // before smaller parts of it are, and the words at both ends of a segment may be shared
    // with other segments.
    for segment in program.segments() {
        // SAFETY: the program was checked for these addresses; rounded, they are still inside the
        // same memory.
        unsafe { clear(segment.addresses()) };
    }
    for segment in program.segments() {
        for (address, byte) in (segment.destination..).zip(segment.bytes) {
            // SAFETY: the program was checked for these addresses.
            unsafe { write(address, *byte) };
        }
    }
}

// Both are assembly since address 0, the beginning of ITCM, is a legal one here, where Rust's
// pointers are never valid.

unsafe fn clear(addresses: Range<u32>) {
    for address in (addresses.start & !7..addresses.end).step_by(8) {
        // SAFETY: of the caller.
        unsafe {
            asm!("strd {0}, {0}, [{1}]", in(reg) 0, in(reg) address, options(nostack, preserves_flags))
        };
    }
}

unsafe fn write(address: u32, byte: u8) {
    // SAFETY: of the caller.
    unsafe {
        asm!("strb {0}, [{1}]", in(reg) u32::from(byte), in(reg) address, options(nostack, preserves_flags))
    };
}

/// Starts what was loaded, as if by a reset: no interrupt enabled or pending, SysTick off.
///
/// # Safety
///
/// `start` has to be that of a program that was loaded.
pub unsafe fn jump(start: Start) -> ! {
    // SAFETY: nobody else is left to use them.
    let mut core = unsafe { Peripherals::steal() };
    core.SYST.disable_interrupt();
    core.SYST.disable_counter();
    SCB::clear_pendst();
    SCB::clear_pendsv();
    for (enabled, pending) in core.NVIC.icer.iter().zip(&core.NVIC.icpr) {
        // SAFETY: no interrupt is needed any more.
        unsafe {
            enabled.write(u32::MAX);
            pending.write(u32::MAX);
        }
    }
    // SAFETY: the vector table is there, by the contract of this function. The barriers let the
    // copied code be seen.
    unsafe {
        core.SCB.vtor.write(start.vector_table);
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        cortex_m::asm::bootstrap(start.stack_pointer as *const u32, start.entry as *const u32)
    }
}
