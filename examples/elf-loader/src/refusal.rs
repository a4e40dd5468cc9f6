//! Why an image is refused.

use thiserror::Error;

use crate::MAX_PROGRAM_HEADERS;

/// Why an image is refused: each variant is one sentence for who looks at the log. Segments are
/// numbered as in the program header table, from 0 (as `readelf -l` lists them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not even a file header.
    #[error("the image is shorter than an ELF file header, 52 bytes")]
    TooShort,
    /// Something else, or nothing: erased flash.
    #[error("there is no ELF file: it would begin with 7Fh 'E' 'L' 'F' (erased flash reads FFh)")]
    NotElf,
    /// EI_CLASS.
    #[error("the image is not for a 32-bit processor")]
    Not32Bit,
    /// EI_DATA.
    #[error("the image is not little-endian")]
    NotLittleEndian,
    /// EI_VERSION or e_version.
    #[error("the image has another version of ELF than 1")]
    UnknownVersion,
    /// e_type: an object file, a library, or a program that wants to be relocated.
    #[error("the image is not an executable with final addresses (its ELF type is {kind}, not 2)")]
    NotExecutable {
        /// e_type
        kind: u16,
    },
    /// e_machine.
    #[error("the image is for another processor than Arm (its ELF machine is {machine}, not 40)")]
    NotArm {
        /// e_machine
        machine: u16,
    },
    /// e_ehsize.
    #[error("the ELF file header claims {size} bytes, not 52")]
    HeaderSize {
        /// e_ehsize
        size: u16,
    },
    /// e_phentsize.
    #[error("a program header claims {size} bytes, not 32")]
    ProgramHeaderSize {
        /// e_phentsize
        size: u16,
    },
    /// e_phnum.
    #[error("the image has {count} program headers, more than {MAX_PROGRAM_HEADERS}")]
    TooManyProgramHeaders {
        /// e_phnum
        count: u16,
    },
    /// e_phoff.
    #[error("the program header table is not inside the image, behind its file header")]
    ProgramHeadersOutside,
    /// PT_INTERP.
    #[error("the image is linked dynamically: it asks for an interpreter")]
    NeedsInterpreter,
    /// p_offset and p_filesz.
    #[error("the bytes of segment {segment} are not inside the image, behind its file header")]
    SegmentOutside {
        /// Its number
        segment: u8,
    },
    /// p_filesz and p_memsz.
    #[error("segment {segment} has more bytes in the image than in memory")]
    LargerThanItsMemory {
        /// Its number
        segment: u8,
    },
    /// p_paddr and p_memsz.
    #[error("segment {segment} reaches beyond the last address")]
    AddressOverflow {
        /// Its number
        segment: u8,
    },
    /// No PT_LOAD with anything to load.
    #[error("the image has no segment to load")]
    NothingToLoad,
    /// Not wholly inside one range of [`MemoryMap::segments`](crate::MemoryMap::segments).
    #[error(
        "segment {segment}, {start:08X}h up to {end:08X}h, is not wholly inside one memory for programs"
    )]
    Misplaced {
        /// Its number
        segment: u8,
        /// Its first address
        start: u32,
        /// The address behind it
        end: u32,
    },
    /// Two segments share an address.
    #[error("segments {first} and {second} overlap in memory")]
    Overlap {
        /// The number of one
        first: u8,
        /// The number of the other
        second: u8,
    },
    /// The marker is not there.
    #[error("the image is not sealed: run `cargo xtask seal FILE` and write the file it makes")]
    NotSealed,
    /// The checksum is another.
    #[error(
        "the image is damaged: its checksum is {found:08X}h, sealed with {sealed:08X}h; write it again"
    )]
    Damaged {
        /// Of the image as it is
        found: u32,
        /// Of the image as it was
        sealed: u32,
    },
    /// e_entry is even, which would be an Arm instruction.
    #[error("the entry point {entry:08X}h is even, so not of Thumb instructions")]
    EntryNotThumb {
        /// e_entry
        entry: u32,
    },
    /// e_entry is elsewhere.
    #[error("the entry point {entry:08X}h is not inside the bytes of an executable segment")]
    EntryOutside {
        /// e_entry
        entry: u32,
    },
    /// No segment begins with one.
    #[error(
        "no segment begins, at a multiple of {alignment}, with a vector table: a stack pointer, then the entry point {entry:08X}h"
    )]
    NoVectorTable {
        /// e_entry
        entry: u32,
        /// [`MemoryMap::vector_table_alignment`](crate::MemoryMap::vector_table_alignment)
        alignment: u32,
    },
    /// The first vector is no multiple of 8.
    #[error("the initial stack pointer {stack_pointer:08X}h is not a multiple of 8")]
    StackMisaligned {
        /// The first vector
        stack_pointer: u32,
    },
    /// The first vector is not inside, or at the end, of a range of
    /// [`MemoryMap::stack`](crate::MemoryMap::stack).
    #[error("the initial stack pointer {stack_pointer:08X}h is not in a memory for stacks")]
    StackOutside {
        /// The first vector
        stack_pointer: u32,
    },
    /// The first push would change what was loaded.
    #[error("the stack, from {stack_pointer:08X}h down, would overwrite segment {segment}")]
    StackOverSegment {
        /// The first vector
        stack_pointer: u32,
        /// Its number
        segment: u8,
    },
}
