//! Where images and programs are on this board. `cargo xtask` has this file too, so that both
//! agree.

use elf_loader::MemoryMap;

/// The last 2 MiB of PSRAM.
pub(crate) const IMAGE_ADDRESS: usize = 0x60E0_0000;
/// What is not written of them stays as it is.
pub(crate) const IMAGE_LEN: usize = 2 << 20;

/// SSRAM2 and 3, and PSRAM without the image. SSRAM1 is the loader's.
pub(crate) const MEMORY: MemoryMap<'static> = MemoryMap {
    segments: &[0x2000_0000..0x2040_0000, 0x6000_0000..0x60E0_0000],
    stack: &[0x2000_0000..0x2040_0000, 0x6000_0000..0x60E0_0000],
    // 16 + 32 vectors.
    vector_table_alignment: 256,
};

/// Status with which QEMU ends when the image is refused.
pub(crate) const REFUSED: i32 = 3;
