//! A panic handler that cannot be linked.
//!
//! Every program of this crate calls the entry points of one sans-IO core with values the optimiser
//! knows nothing about. The handler calls a function that no object file defines, so the linker
//! refuses the program as soon as one panic (an index, a division, an `unwrap`) is left that the
//! optimiser could not prove impossible.
//!
//! # Where is the panic?
//!
//! Link it all the same, and look at what calls `core::panicking`; the source line stands above the
//! call:
//!
//! ```console
//! $ cargo rustc --release --bin mctp_usb -- -C debuginfo=1 -C link-arg=--unresolved-symbols=ignore-all
//! $ llvm-objdump --disassemble --demangle --line-numbers target/thumbv7em-none-eabihf/release/mctp_usb
//! ```

#![no_std]

use core::panic::PanicInfo;

#[allow(unsafe_code)] // A declaration only; nothing defines it, and a program that links does not call it.
mod undefined {
    unsafe extern "C" {
        pub(crate) safe fn a_panic_can_be_reached() -> !;
    }
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    undefined::a_panic_can_be_reached()
}

/// Makes `$function` the entry point of a program.
#[macro_export]
macro_rules! entry {
    ($function:path) => {
        #[allow(unsafe_code)] // The name is the linker's, and nothing else in the program has it.
        #[unsafe(export_name = "_start")]
        extern "C" fn start() {
            $function();
        }
    };
}

/// Any bytes, of any length up to 4096, as far as the optimiser can tell.
pub fn any_bytes() -> &'static [u8] {
    static BYTES: [u8; 4096] = [0; 4096];
    core::hint::black_box(&BYTES)
}

/// Any number, as far as the optimiser can tell.
pub fn any_number() -> usize {
    core::hint::black_box(0)
}

/// A value in any state its type can have, as far as the optimiser can tell.
pub fn any_state<T: ?Sized>(value: &mut T) -> &mut T {
    core::hint::black_box(value)
}

/// One panic that can be reached: the proof that this crate finds them.
#[cfg(feature = "panic-on-purpose")]
pub fn panic_on_purpose() -> u8 {
    any_bytes()[any_number()]
}
