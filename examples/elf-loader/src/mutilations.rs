//! Ways to damage an image, and how each is refused.
//!
//! They apply to any sealed image with two segments that have bytes, so that the tests of this
//! crate can use a small one and a board the firmware that it is for.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "of use to tests only, on an image known to be good"
)]

use alloc::vec::Vec;

use crate::layout::{
    FILE_HEADER_LEN, FLAG_EXECUTE, FileHeader, LOAD, PROGRAM_HEADER_LEN, ProgramHeader,
};
use crate::{Refusal, seal};
use zerocopy::FromBytes;

/// One way to damage an image.
pub struct Mutilation {
    /// What is done to the image.
    pub name: &'static str,
    damage: fn(&mut Image),
    /// Whether the image is sealed with the damage, so that the checksum is right.
    sealed: bool,
    expected: fn(&Refusal) -> bool,
}

impl Mutilation {
    /// A damaged copy of `image`.
    pub fn of(&self, image: &[u8]) -> Vec<u8> {
        let mut image = Image(image.into());
        (self.damage)(&mut image);
        if self.sealed {
            // What is no image any more cannot be sealed, and has to be refused for that.
            let _ = seal(&mut image.0);
        }
        image.0
    }

    /// Whether `refusal` is the one that this damage has to have.
    pub fn explains(&self, refusal: &Refusal) -> bool {
        (self.expected)(refusal)
    }
}

/// The bytes, with names for some of them.
struct Image(Vec<u8>);

impl Image {
    fn header(&mut self) -> &mut FileHeader {
        FileHeader::mut_from_prefix(&mut self.0).unwrap().0
    }

    fn program_headers(&mut self) -> &mut [ProgramHeader] {
        let header = self.header();
        let start = header.program_headers_offset.get() as usize;
        let end = start + usize::from(header.program_header_count.get()) * PROGRAM_HEADER_LEN;
        <[ProgramHeader]>::mut_from_bytes(&mut self.0[start..end]).unwrap()
    }

    /// The n-th segment that has bytes.
    fn segment(&mut self, n: usize) -> &mut ProgramHeader {
        let with_bytes =
            |header: &&mut ProgramHeader| header.kind.get() == LOAD && header.file_size.get() > 0;
        self.program_headers()
            .iter_mut()
            .filter(with_bytes)
            .nth(n)
            .unwrap()
    }

    fn move_segment(&mut self, n: usize, address: u32) {
        let segment = self.segment(n);
        segment.physical_address = address.into();
        segment.virtual_address = address.into();
    }

    fn bytes_of_segment(&mut self, n: usize) -> &mut [u8] {
        let segment = self.segment(n);
        let (start, len) = (
            segment.offset.get() as usize,
            segment.file_size.get() as usize,
        );
        &mut self.0[start..start + len]
    }

    fn vector_table(&mut self) -> &mut [u8] {
        let entry = self.header().entry.get().to_le_bytes();
        let number = (0..)
            .find(|n| self.bytes_of_segment(*n)[4..8] == entry)
            .unwrap();
        self.bytes_of_segment(number)
    }

    fn set_stack_pointer(&mut self, address: u32) {
        self.vector_table()[..4].copy_from_slice(&address.to_le_bytes());
    }

    /// Of the header and of the vector table.
    fn set_entry(&mut self, address: u32) {
        self.vector_table()[4..8].copy_from_slice(&address.to_le_bytes());
        self.header().entry = address.into();
    }
}

macro_rules! mutilations {
    ($( $name:literal, $sealed:ident, |$image:ident| $damage:expr => $($expected:ident)|+, )*) => {
        /// All of them.
        pub const MUTILATIONS: &[Mutilation] = &[$( Mutilation {
            name: $name,
            damage: |$image| { $damage; },
            sealed: mutilations!(@ $sealed),
            expected: |refusal| matches!(refusal, $(Refusal::$expected { .. })|+),
        } ),*];
    };
    (@ sealed) => { true };
    (@ unsealed) => { false };
}

mutilations! {
    "nothing at all", unsealed, |image| image.0.clear() => TooShort | NotElf,
    "cut inside the file header", unsealed, |image| image.0.truncate(51) => TooShort | HeaderSize | NothingToLoad | ProgramHeaderSize,
    "cut behind the file header", unsealed, |image| image.0.truncate(FILE_HEADER_LEN) => ProgramHeadersOutside | NothingToLoad,
    "cut after three quarters", unsealed, |image| image.0.truncate(image.0.len() / 4 * 3) => SegmentOutside | Damaged,
    "erased flash", unsealed, |image| image.0.fill(0xFF) => NotElf,
    "flash full of zeros", unsealed, |image| image.0.fill(0) => NotElf,
    "one bit of the magic number", unsealed, |image| image.0[3] ^= 1 => NotElf,
    "text", unsealed, |image| image.0[..12].copy_from_slice(b"#!/bin/true\n") => NotElf,
    "one byte late", unsealed, |image| image.0.insert(0, 0x7F) => NotElf,
    "64 bit", sealed, |image| image.header().class = 2 => Not32Bit,
    "big-endian", sealed, |image| image.header().data = 2 => NotLittleEndian,
    "version 0 in the identification", sealed, |image| image.header().ident_version = 0 => UnknownVersion,
    "version 2", sealed, |image| image.header().version = 2.into() => UnknownVersion,
    "an object file", sealed, |image| image.header().kind = 1.into() => NotExecutable,
    "position-independent", sealed, |image| image.header().kind = 3.into() => NotExecutable,
    "for x86", sealed, |image| image.header().machine = 3.into() => NotArm,
    "for AArch64", sealed, |image| image.header().machine = 183.into() => NotArm,
    "a file header of 64 bytes", sealed, |image| image.header().header_size = 64.into() => HeaderSize,
    "program headers of 56 bytes", sealed, |image| image.header().program_header_size = 56.into() => ProgramHeaderSize,
    "program headers of no bytes", sealed, |image| image.header().program_header_size = 0.into() => ProgramHeaderSize,
    "no program header", sealed, |image| image.header().program_header_count = 0.into() => NothingToLoad,
    "17 program headers", sealed, |image| image.header().program_header_count = 17.into() => TooManyProgramHeaders,
    "65535 program headers", sealed, |image| image.header().program_header_count = 0xFFFF.into() => TooManyProgramHeaders,
    "program headers behind the image", sealed, |image| image.header().program_headers_offset = 0x4000_0000.into() => ProgramHeadersOutside,
    "program headers at the end of 32 bits", sealed, |image| image.header().program_headers_offset = 0xFFFF_FFF0.into() => ProgramHeadersOutside,
    "program headers over the file header", sealed, |image| image.header().program_headers_offset = 16.into() => ProgramHeadersOutside,
    "no segment to load", sealed, |image| for header in image.program_headers() { header.kind = 0.into() } => NothingToLoad,
    "an interpreter", sealed, |image| image.segment(1).kind = 3.into() => NeedsInterpreter,
    "a segment behind the image", sealed, |image| image.segment(0).offset = 0x4000_0000.into() => SegmentOutside,
    "a segment at the end of 32 bits", sealed, |image| image.segment(0).offset = 0xFFFF_FFFF.into() => SegmentOutside,
    "a segment over the file header", sealed, |image| image.segment(0).offset = 0.into() => SegmentOutside,
    "a segment with 4 GiB in the image", sealed, |image| image.segment(1).file_size = u32::MAX.into() => SegmentOutside,
    "a segment smaller than its bytes", sealed, |image| image.segment(0).memory_size -= 1 => LargerThanItsMemory,
    "a segment of 4 GiB", sealed, |image| image.segment(0).memory_size = u32::MAX.into() => AddressOverflow | Misplaced,
    "a segment at the last address", sealed, |image| image.move_segment(0, 0xFFFF_FFFC) => AddressOverflow,
    "a segment in the registers of the core", sealed, |image| image.move_segment(1, 0xE000_E000) => Misplaced,
    "a segment in the flash of the loader", sealed, |image| image.move_segment(1, 0x0800_0000) => Misplaced,
    "a segment where images are", sealed, |image| image.move_segment(0, 0x7000_0000) => Misplaced,
    "a segment that begins before the memory", sealed, |image| image.move_segment(0, 0x1FFF_FFFC) => Misplaced,
    "zeros beyond the end of the memory", sealed, |image| image.segment(1).memory_size += 0x1000_0000 => Misplaced,
    "two segments at one address", sealed, |image| {
        let address = image.segment(0).physical_address.get();
        image.move_segment(1, address);
    } => Overlap,
    "two segments with one byte in common", sealed, |image| {
        let first = image.segment(0);
        let last_byte = first.physical_address.get() + first.memory_size.get() - 1;
        image.move_segment(1, last_byte);
    } => Overlap,
    "not sealed", unsealed, |image| image.0[9..16].fill(0) => NotSealed,
    "one bit of the seal's marker", unsealed, |image| image.0[11] ^= 0x80 => NotSealed,
    "one bit of the checksum", unsealed, |image| image.0[12] ^= 1 => Damaged,
    "one bit of the entry point", unsealed, |image| image.0[24] ^= 4 => Damaged,
    "one bit of a segment's flags", unsealed, |image| image.segment(0).flags ^= 2 => Damaged,
    "one bit of the first vector", unsealed, |image| image.vector_table()[1] ^= 1 => Damaged,
    "one bit of the code", unsealed, |image| image.bytes_of_segment(1)[20] ^= 0x10 => Damaged,
    "one bit of the last byte", unsealed, |image| *image.bytes_of_segment(1).last_mut().unwrap() ^= 0x80 => Damaged,
    "a segment half erased", unsealed, |image| {
        let bytes = image.bytes_of_segment(1);
        let half = bytes.len() / 2;
        bytes[half..].fill(0xFF);
    } => Damaged,
    "a segment one byte off", unsealed, |image| image.bytes_of_segment(1).rotate_left(1) => Damaged,
    "a segment from four bytes on", unsealed, |image| {
        image.segment(1).offset += 4;
        image.segment(1).file_size -= 4;
    } => Damaged,
    "an even entry point", sealed, |image| {
        let entry = image.header().entry.get();
        image.set_entry(entry & !1);
    } => EntryNotThumb,
    "no entry point", sealed, |image| image.set_entry(0) => EntryNotThumb,
    "an entry point outside of memory", sealed, |image| image.set_entry(0x0800_0001) => EntryOutside,
    "an entry point in the vector table", sealed, |image| {
        let header = image.segment(0);
        header.flags &= !FLAG_EXECUTE;
        let entry = header.physical_address.get() | 1;
        image.set_entry(entry);
    } => EntryOutside,
    "no executable segment", sealed, |image| for header in image.program_headers() { header.flags &= !FLAG_EXECUTE } => EntryOutside,
    "code that runs elsewhere", sealed, |image| for header in image.program_headers() { header.virtual_address += 0x100 } => EntryOutside,
    "no vector table", sealed, |image| image.vector_table()[4] ^= 8 => NoVectorTable,
    "a vector table where its last vectors would be missed", sealed, |image| image.move_segment(0, 0x2000_2080) => NoVectorTable,
    "an odd stack pointer", sealed, |image| image.set_stack_pointer(0x2000_1004) => StackMisaligned,
    "a stack nowhere", sealed, |image| image.set_stack_pointer(0x8000_0000) => StackOutside,
    "a stack at address 0", sealed, |image| image.set_stack_pointer(0) => StackOutside,
    "a stack over the vector table", sealed, |image| {
        let address = image.segment(0).physical_address.get();
        image.set_stack_pointer(address + 8);
    } => StackOverSegment,
}
