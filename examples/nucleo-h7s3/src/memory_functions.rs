//! `memcpy`, `memmove` and `memset` under all the names that the compiler calls them by, and `memcmp`, in 162 bytes: those of `compiler_builtins` take 3.5 KB
//! of the 64 KiB of flash.
//!
//! A copy takes 10 instructions for 16 bytes, then 4 for a word and 4 for a byte. One to a higher address that overlaps, and filling, take 4 to 5 for each byte:
//! both are rare. Comparing takes 8 instructions for each word that is the same.
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
    "mov r12, r0",
    // The destination begins inside the source: from the end.
    "blo 8f",
    "subs r2, #16",
    "blo 2f",
    "1:",
    ".rept 4",
    "ldr r3, [r1], #4",
    "str r3, [r0], #4",
    ".endr",
    "subs r2, #16",
    "bhs 1b",
    // Less than 16 bytes are left: 4 at a time, as long as that does not go below 0.
    "2: adds r2, #12",
    "blo 4f",
    "3: ldr r3, [r1], #4",
    "str r3, [r0], #4",
    "subs r2, #4",
    "bhs 3b",
    "4: adds r2, #3",
    "blo 6f",
    "5: ldrb r3, [r1], #1",
    "strb r3, [r0], #1",
    "subs r2, #1",
    "bhs 5b",
    "6: mov r0, r12",
    "7: bx lr",
    "8: subs r2, #1",
    "blo 7b",
    "ldrb r3, [r1, r2]",
    "strb r3, [r0, r2]",
    "b 8b",
    // r0: destination; r1: bytes; r2: value, but for memset, which has the latter two the other way round.
    names!("__aeabi_memclr", "__aeabi_memclr4", "__aeabi_memclr8"),
    "movs r2, #0",
    names!("__aeabi_memset", "__aeabi_memset4", "__aeabi_memset8"),
    "mov r3, r1",
    "mov r1, r2",
    "mov r2, r3",
    names!("memset"),
    "mov r12, r0",
    "9: subs r2, #1",
    "blo 7b",
    "strb r1, [r12], #1",
    "b 9b",
    // r0, r1: what is compared; r2: bytes. r0: the difference of the first bytes that differ.
    names!("memcmp"),
    "mov r12, r0",
    // Words, until two differ.
    "subs r2, #4",
    "blo 11f",
    "10: ldr r0, [r12]",
    "ldr r3, [r1]",
    "cmp r0, r3",
    "bne 11f",
    "add r12, #4",
    "adds r1, #4",
    "subs r2, #4",
    "bhs 10b",
    "11: movs r0, #0",
    "adds r2, #4",
    "12: subs r2, #1",
    "blo 7b",
    "ldrb r0, [r12], #1",
    "ldrb r3, [r1], #1",
    "subs r0, r3",
    "beq 12b",
    "bx lr",
);
