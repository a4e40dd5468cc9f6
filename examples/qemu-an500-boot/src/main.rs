//! The loader on QEMU's `mps2-an500`: checks the image at 60E0_0000h, where QEMU puts a file,
//! copies it to RAM and starts it.
//!
//! The checks ([`elf_loader`]), the copying and the start are those of `nucleo-h7s3-boot`. What is
//! refused goes to the standard output of QEMU, which then ends with status [`REFUSED`].

#![no_std]
#![no_main]

// The only files of the Nucleo's loader that are not about its hardware: built here as well, so
// that they run in CI.
mod memory;
#[path = "../../nucleo-h7s3-boot/src/start.rs"]
mod start;

use core::panic::PanicInfo;
use core::slice;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use elf_loader::Program;
use semihosting::{eprintln, println, process};

use memory::{IMAGE_ADDRESS, IMAGE_LEN, MEMORY, REFUSED};

/// Status of QEMU when the loader itself fails, which no image may bring about.
const FAILED: i32 = 4;

#[entry]
fn main() -> ! {
    // SAFETY: RAM, which nothing writes: it is neither this program's nor in `MEMORY.segments`.
    let image = unsafe { slice::from_raw_parts(IMAGE_ADDRESS as *const u8, IMAGE_LEN) };
    let program = match Program::check(image, &MEMORY) {
        Ok(program) => program,
        Err(refusal) => {
            println!("nothing is started: {refusal}");
            process::exit(REFUSED)
        }
    };
    let start = program.start();
    println!("starting the program at {:08X}h", start.entry & !1);
    // SAFETY: this program has the memories of `memory.x`, which are not in `MEMORY.segments`; the
    // start is that of what was loaded.
    unsafe {
        start::load(&program);
        start::jump(start)
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    eprintln!("the loader failed: fault at {:08X}h", frame.pc());
    process::exit(FAILED)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("the loader failed: {info}");
    process::exit(FAILED)
}
