//! `memcpy`, `memmove` and `memset` under all the names that the compiler calls them by, and
//! `memcmp`, in 464 bytes. Those of `compiler_builtins` take 3.5 KB of the 64 KiB of flash.
//!
//! | function | instructions a byte, long | short |
//! |-|-|-|
//! | `memset` | 0.25 | 4, below 16 bytes |
//! | `memcpy`, `memmove`, both sides at the same place in a word | 0.25 | 0.63, below 128 bytes |
//! | the same, at different places in a word | 0.30; 0.44, below 176 bytes | 0.63, below 128 bytes |
//! | `memmove` to a higher address that overlaps, which is rare | 5 | 5 |
//! | `memcmp`, while the bytes are equal | 2 | 2 |
//!
//! Instructions that store several words fault at unaligned addresses, so the functions align the
//! destination where that pays. All other words may be unaligned, which the core allows in all
//! memory that is not a peripheral's. With different places, each word is a load of its own: a
//! quarter of an instruction a byte for the loads alone. So the loop that stores them is long.

use core::arch::global_asm;

/// Names of a function, which begins here.
macro_rules! names {
    ($($name:literal),+) => {
        concat!($(".global ", $name, "\n.type ", $name, ", %function\n.thumb_func\n", $name, ":\n"),+)
    };
}

/// Loads ten words, the first of which is `$at` bytes behind r1.
macro_rules! ten_words {
    ($at:literal) => {
        concat!(
            ".irp word, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12\n",
            "ldr r\\word, [r1, #",
            $at,
            " + 4 * (\\word - 3)]\n",
            ".endr\n"
        )
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
    "blo 90f",
    // Aligning takes 13 instructions and saves 3 in 16 bytes.
    "cmp r2, #128",
    "blo 50f",
    "push {{r4-r6}}",
    "b 11f",
    // Bytes, until the destination is aligned.
    "10: ldrb r3, [r1], #1",
    "strb r3, [r0], #1",
    "subs r2, #1",
    "11: lsls r3, r0, #30",
    "bne 10b",
    // 16 bytes at a time, as long as r2 does not go below 0.
    "subs r2, #16",
    "lsls r3, r1, #30",
    "bne 30f",
    "20: ldmia r1!, {{r3-r6}}",
    "stmia r0!, {{r3-r6}}",
    "subs r2, #16",
    "bhs 20b",
    "b 40f",
    // The same from a source that is not aligned, 176 bytes at a time and then 16. r1 is a word
    // before the source in the long loop, as its last load moves r1 to what it loads.
    "30: subs r2, #160",
    "blo 32f",
    "push {{r7-r12, lr}}",
    "subs r1, #4",
    "31:",
    ".irp at, 4, 48, 92",
    ten_words!("\\at"),
    "ldr lr, [r1, #\\at + 40]",
    "stmia r0!, {{r3-r12, lr}}",
    ".endr",
    ten_words!("136"),
    "ldr lr, [r1, #136 + 40]!",
    "stmia r0!, {{r3-r12, lr}}",
    "subs r2, #176",
    "bhs 31b",
    "adds r1, #4",
    "pop {{r7-r12, lr}}",
    "32: adds r2, #160",
    "blo 40f",
    "33: ldr r3, [r1], #4",
    "ldr r4, [r1], #4",
    "ldr r5, [r1], #4",
    "ldr r6, [r1], #4",
    "stmia r0!, {{r3-r6}}",
    "subs r2, #16",
    "bhs 33b",
    "40: adds r2, #16",
    "pop {{r4-r6}}",
    // Aligned or not: 16 bytes at a time, 4, 1.
    "50: subs r2, #16",
    "blo 61f",
    "60:",
    ".rept 4",
    "ldr r3, [r1], #4",
    "str r3, [r0], #4",
    ".endr",
    "subs r2, #16",
    "bhs 60b",
    "61: adds r2, #12",
    "blo 71f",
    "70: ldr r3, [r1], #4",
    "str r3, [r0], #4",
    "subs r2, #4",
    "bhs 70b",
    "71: adds r2, #3",
    "blo 81f",
    "80: ldrb r3, [r1], #1",
    "strb r3, [r0], #1",
    "subs r2, #1",
    "bhs 80b",
    "81: mov r0, r12",
    "82: bx lr",
    "90: subs r2, #1",
    "blo 82b",
    "ldrb r3, [r1, r2]",
    "strb r3, [r0, r2]",
    "b 90b",
    // r0: destination; r1: bytes; r2: value, but for memset, which has the latter two the other
    // way round.
    names!("__aeabi_memclr", "__aeabi_memclr4", "__aeabi_memclr8"),
    "movs r2, #0",
    names!("__aeabi_memset", "__aeabi_memset4", "__aeabi_memset8"),
    "mov r3, r1",
    "mov r1, r2",
    "mov r2, r3",
    names!("memset"),
    // The value in every byte of r1, and the place in r3.
    "uxtb r1, r1",
    "mov r3, #0x01010101",
    "muls r1, r3, r1",
    "mov r3, r0",
    "cmp r2, #16",
    "blo 30f",
    // A word wherever it begins, 16 bytes at a time from the next aligned word on, and the last 16
    // bytes wherever they begin.
    "str r1, [r3]",
    "adds r3, #4",
    "bic r3, #3",
    "adds r2, r0",
    "subs r2, #16",
    "b 20f",
    "10: strd r1, r1, [r3], #8",
    "strd r1, r1, [r3], #8",
    "20: cmp r3, r2",
    "blo 10b",
    "str r1, [r2]",
    "str r1, [r2, #4]",
    "str r1, [r2, #8]",
    "str r1, [r2, #12]",
    "bx lr",
    "30: subs r2, #1",
    "blo 31f",
    "strb r1, [r3], #1",
    "b 30b",
    "31: bx lr",
    // r0, r1: what is compared; r2: bytes. r0: the difference of the first bytes that differ.
    names!("memcmp"),
    "mov r12, r0",
    // Words, until two differ.
    "subs r2, #4",
    "blo 20f",
    "10: ldr r0, [r12]",
    "ldr r3, [r1]",
    "cmp r0, r3",
    "bne 20f",
    "add r12, #4",
    "adds r1, #4",
    "subs r2, #4",
    "bhs 10b",
    "20: movs r0, #0",
    "adds r2, #4",
    "30: subs r2, #1",
    "blo 31b",
    "ldrb r0, [r12], #1",
    "ldrb r3, [r1], #1",
    "subs r0, r3",
    "beq 30b",
    "bx lr",
);
