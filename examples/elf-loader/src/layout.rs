//! Where the fields of an ELF32 file are (System V ABI, edition 4.1, chapters 4 and 5; Arm: "ELF
//! for the Arm Architecture").

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What every ELF file begins with.
pub(crate) const MAGIC: [u8; 4] = [0x7F, b'E', b'L', b'F'];
/// EI_CLASS: 32-bit addresses.
pub(crate) const CLASS_32: u8 = 1;
/// EI_DATA: the least significant byte first.
pub(crate) const LITTLE_ENDIAN: u8 = 1;
/// EI_VERSION and e_version: the only version there is.
pub(crate) const VERSION: u8 = 1;
/// e_type: addresses are final.
pub(crate) const EXECUTABLE: u16 = 2;
/// e_machine.
pub(crate) const ARM: u16 = 40;
/// p_type: a segment to be loaded.
pub(crate) const LOAD: u32 = 1;
/// p_type: the name of a program that does the loading (and linking).
pub(crate) const INTERPRETER: u32 = 3;
/// Bit of p_flags: the segment holds instructions.
pub(crate) const FLAG_EXECUTE: u32 = 1;

/// The file header, at offset 0.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FileHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) class: u8,
    pub(crate) data: u8,
    pub(crate) ident_version: u8,
    pub(crate) abi: [u8; 2],
    /// Padding to the ELF specification.
    pub(crate) seal: Seal,
    pub(crate) kind: U16,
    pub(crate) machine: U16,
    pub(crate) version: U32,
    pub(crate) entry: U32,
    pub(crate) program_headers_offset: U32,
    pub(crate) section_headers_offset: U32,
    pub(crate) flags: U32,
    pub(crate) header_size: U16,
    pub(crate) program_header_size: U16,
    pub(crate) program_header_count: U16,
    pub(crate) section_header_size: U16,
    pub(crate) section_header_count: U16,
    pub(crate) section_names: U16,
}

/// Bytes 9 to 15 of the file.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Seal {
    pub(crate) marker: [u8; 3],
    pub(crate) checksum: U32,
}

/// One entry of the program header table: a part of the file and where it belongs.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ProgramHeader {
    pub(crate) kind: U32,
    pub(crate) offset: U32,
    /// Where the program uses it.
    pub(crate) virtual_address: U32,
    /// Where it has to be when the program starts.
    pub(crate) physical_address: U32,
    pub(crate) file_size: U32,
    pub(crate) memory_size: U32,
    pub(crate) flags: U32,
    pub(crate) align: U32,
}

pub(crate) const FILE_HEADER_LEN: usize = size_of::<FileHeader>();
pub(crate) const PROGRAM_HEADER_LEN: usize = size_of::<ProgramHeader>();
