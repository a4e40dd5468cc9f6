//! Where programs may be. The build script has this file too, so that the firmware it is given is
//! checked with the very same ranges.

use elf_loader::MemoryMap;

/// ITCM, DTCM and AXI SRAM as they are with the option bytes of a new chip. The lowest 8 KiB of
/// DTCM are the loader's (`memory/loader/memory.x`), and free for anything but segments.
pub const MEMORY: MemoryMap<'static> = MemoryMap {
    segments: &[
        0x0000_0000..0x0001_0000,
        0x2000_2000..0x2001_0000,
        0x2400_0000..0x2407_2000,
    ],
    stack: &[0x2000_0000..0x2001_0000, 0x2400_0000..0x2407_2000],
    // 16 + 156 vectors.
    vector_table_alignment: 1024,
};
