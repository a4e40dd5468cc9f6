//! `elf-loader`: checking any image for any memories.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::ops::Range;

use elf_loader::{MemoryMap, Program};
use panic_free::{any_bytes, any_number};

panic_free::entry!(run);

fn run() {
    let memories = [any_range(), any_range()];
    let memory = black_box(MemoryMap {
        segments: &memories,
        stack: &memories,
        vector_table_alignment: any_number() as u32,
    });
    match Program::check(any_bytes(), &memory) {
        Ok(program) => {
            black_box(program.start());
            for segment in program.segments() {
                black_box((segment.addresses(), segment));
            }
        }
        Err(refusal) => {
            black_box(refusal);
        }
    }
}

fn any_range() -> Range<u32> {
    any_number() as u32..any_number() as u32
}
