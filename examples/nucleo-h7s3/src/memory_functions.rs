//! `memcpy`, `memmove` and `memset` under all the names that the compiler calls them by, in 100 bytes: those of `compiler_builtins` take 3.5 KB of
//! the 64 KiB of flash.
//!
//! A copy takes 11 instructions for 16 bytes. One to a higher address that overlaps, and filling, take 4 to 5 for each byte: both are rare.
//!
//! Unaligned words are read and written as such, which the core can in all memory that is not a peripheral's.

use core::arch::global_asm;

/// Names of a function, which begins here.
macro_rules! names {
    ($($name:literal),+) => {
        concat!($(".global ", $name, "\n.type ", $name, ", %function\n.thumb_func\n", $name, ":\n"),+)
    };
}

global_asm!(
    ".syntax unified",
    ".thumb",
    ".section .text.memory_functions, \"ax\", %progbits",
    ".balign 4",
    // r0: destination, which is returned; r1: source; r2: bytes.
    names!("memcpy", "memmove"),
    names!("__aeabi_memcpy", "__aeabi_memcpy4", "__aeabi_memcpy8"),
    names!("__aeabi_memmove", "__aeabi_memmove4", "__aeabi_memmove8"),
    "subs r3, r0, r1",
    "cmp r3, r2",
    // The destination begins inside the source: from the end.
    "blo 5f",
    "mov r12, r0",
    "1: subs r2, #16",
    "blo 2f",
    ".rept 4",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    ".endr",
    "b 1b",
    "2: adds r2, #16",
    "3: subs r2, #1",
    "blo 4f",
    "ldrb r3, [r1], #1",
    "strb r3, [r12], #1",
    "b 3b",
    "4: bx lr",
    "5: subs r2, #1",
    "blo 4b",
    "ldrb r3, [r1, r2]",
    "strb r3, [r0, r2]",
    "b 5b",
    // r0: destination; r1: bytes; r2: value, but for memset, which has the latter two the other way round.
    names!("__aeabi_memclr", "__aeabi_memclr4", "__aeabi_memclr8"),
    "movs r2, #0",
    names!("__aeabi_memset", "__aeabi_memset4", "__aeabi_memset8"),
    "mov r3, r1",
    "mov r1, r2",
    "mov r2, r3",
    names!("memset"),
    "mov r12, r0",
    "6: subs r2, #1",
    "blo 4b",
    "strb r1, [r12], #1",
    "b 6b",
    // r0, r1: what is compared; r2: bytes. r0: the difference of the first bytes that differ.
    names!("memcmp"),
    "mov r12, r0",
    "movs r0, #0",
    "7: subs r2, #1",
    "blo 4b",
    "ldrb r0, [r12], #1",
    "ldrb r3, [r1], #1",
    "subs r0, r3",
    "beq 7b",
    "bx lr",
);
