//! A small image, and what must hold for it and for anything made from it.

use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;
use zerocopy::{FromZeros, IntoBytes};

use crate::layout::{
    ARM, CLASS_32, EXECUTABLE, FILE_HEADER_LEN, FLAG_EXECUTE, FileHeader, LITTLE_ENDIAN, LOAD,
    MAGIC, PROGRAM_HEADER_LEN, ProgramHeader, VERSION,
};
use crate::mutilations::MUTILATIONS;
use crate::{MemoryMap, Program, Refusal, Start, seal};

const MEMORY: MemoryMap<'static> = MemoryMap {
    segments: &[
        0..0x1_0000,
        0x2000_2000..0x2001_0000,
        0x2400_0000..0x2407_2000,
    ],
    stack: &[0x2000_0000..0x2001_0000, 0x2400_0000..0x2407_2000],
    vector_table_alignment: 1024,
};

const VECTORS: u32 = 0x2400_0000;
const CODE: u32 = VECTORS + 64;
const ENTRY: u32 = CODE + 9;
const STACK: u32 = 0x2000_2000;

/// A segment of an image to be built.
#[derive(Clone)]
struct Part {
    physical: u32,
    virt: u32,
    bytes: Vec<u8>,
    memory_size: u32,
    flags: u32,
}

impl Part {
    fn new(address: u32, bytes: Vec<u8>, flags: u32) -> Self {
        Self {
            physical: address,
            virt: address,
            memory_size: u32::try_from(bytes.len()).unwrap(),
            bytes,
            flags,
        }
    }
}

/// Bytes of which none is like its neighbour.
fn pattern(len: u8) -> Vec<u8> {
    (0..len)
        .map(|n| n.wrapping_mul(37).wrapping_add(11))
        .collect()
}

fn vectors(stack_pointer: u32, entry: u32) -> Vec<u8> {
    let mut bytes = pattern(64);
    bytes[..4].copy_from_slice(&stack_pointer.to_le_bytes());
    bytes[4..8].copy_from_slice(&entry.to_le_bytes());
    bytes
}

/// As cortex-m-rt makes it: vector table, code, initial values of variables behind the code,
/// variables.
fn usual_parts() -> Vec<Part> {
    let mut data = Part::new(CODE + 100, pattern(12), 6);
    data.virt = 0x2402_0000;
    let mut bss = Part::new(0x2402_000C, Vec::new(), 6);
    bss.memory_size = 500;
    std::vec![
        Part::new(VECTORS, vectors(STACK, ENTRY), 4),
        Part::new(CODE, pattern(100), 4 | FLAG_EXECUTE),
        data,
        bss,
    ]
}

/// An ELF file with `parts`, and with what a linker puts behind them.
fn link(parts: &[Part], entry: u32) -> Vec<u8> {
    let mut header = FileHeader::new_zeroed();
    header.magic = MAGIC;
    header.class = CLASS_32;
    header.data = LITTLE_ENDIAN;
    header.ident_version = VERSION;
    header.kind = EXECUTABLE.into();
    header.machine = ARM.into();
    header.version = u32::from(VERSION).into();
    header.entry = entry.into();
    header.program_headers_offset = 52.into();
    header.header_size = 52.into();
    header.program_header_size = 32.into();
    header.program_header_count = u16::try_from(parts.len()).unwrap().into();
    header.section_header_count = 3.into();

    let mut offset = FILE_HEADER_LEN + parts.len() * PROGRAM_HEADER_LEN;
    let mut image = header.as_bytes().to_vec();
    for part in parts {
        let mut header = ProgramHeader::new_zeroed();
        header.kind = LOAD.into();
        header.offset = u32::try_from(offset).unwrap().into();
        header.physical_address = part.physical.into();
        header.virtual_address = part.virt.into();
        header.file_size = u32::try_from(part.bytes.len()).unwrap().into();
        header.memory_size = part.memory_size.into();
        header.flags = part.flags.into();
        offset += part.bytes.len();
        image.extend(header.as_bytes());
    }
    image.extend(parts.iter().flat_map(|part| &part.bytes));
    image.extend(b"symbols and debug information");
    image
}

fn sealed(parts: &[Part], entry: u32) -> Vec<u8> {
    let mut image = link(parts, entry);
    let len = seal(&mut image).unwrap();
    image.truncate(len);
    image
}

fn usual_image() -> Vec<u8> {
    sealed(&usual_parts(), ENTRY)
}

fn refusal(parts: &[Part], entry: u32) -> Refusal {
    Program::check(&sealed(parts, entry), &MEMORY).unwrap_err()
}

/// What no image may bring about.
fn keeps_to_its_memory(program: &Program<'_>) {
    let ranges: Vec<_> = program
        .segments()
        .map(|segment| segment.addresses())
        .collect();
    for (n, range) in ranges.iter().enumerate() {
        let allowed = MEMORY.segments.iter();
        assert!(
            allowed
                .clone()
                .any(|a| a.start <= range.start && range.end <= a.end)
        );
        for other in &ranges[..n] {
            assert!(range.end <= other.start || other.end <= range.start);
        }
    }
    let start = program.start();
    let holds = |address: u32| ranges.iter().any(|range| range.contains(&address));
    assert!(holds(start.vector_table) && holds(start.vector_table + 7) && holds(start.entry & !1));
    assert!(start.vector_table.is_multiple_of(1024));
    assert!(
        MEMORY
            .stack
            .iter()
            .any(|range| range.contains(&(start.stack_pointer - 1)))
    );
}

#[test]
fn loads_what_cortex_m_rt_links() {
    let image = usual_image();
    let program = Program::check(&image, &MEMORY).unwrap();
    let plan: Vec<_> = program
        .segments()
        .map(|s| (s.destination, s.bytes.to_vec(), s.zeros))
        .collect();
    let expected = [
        (VECTORS, vectors(STACK, ENTRY), 0),
        (CODE, pattern(100), 0),
        (CODE + 100, pattern(12), 0),
        (0x2402_000C, Vec::new(), 500),
    ];
    assert_eq!(plan, expected);
    let start = Start {
        vector_table: VECTORS,
        stack_pointer: STACK,
        entry: ENTRY,
    };
    assert_eq!(program.start(), start);
}

#[test]
fn ignores_what_follows_the_image() {
    let mut image = usual_image();
    image.resize(4096, 0xFF);
    assert!(Program::check(&image, &MEMORY).is_ok());
}

#[test]
fn sealing_drops_what_loading_does_not_read() {
    let linked = link(&usual_parts(), ENTRY);
    assert_eq!(
        usual_image().len(),
        linked.len() - "symbols and debug information".len()
    );
}

#[test]
fn sealing_again_changes_nothing() {
    let mut image = usual_image();
    let len = seal(&mut image).unwrap();
    assert_eq!((len, image), (usual_image().len(), usual_image()));
}

#[test]
fn the_checksum_is_that_of_zip_over_the_covered_bytes() {
    let mut image = usual_image();
    let found: [u8; 4] = image[12..16].try_into().unwrap();
    image[12..16].fill(0);
    // All of this image is covered, in the order of the file. Bit by bit, as in RFC 1952 section 8,
    // to be independent of the crate.
    let mut crc = u32::MAX;
    for byte in image {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    assert_eq!(found, (!crc).to_le_bytes());
}

#[test]
fn an_image_as_linked_is_refused_with_how_to_seal_it() {
    let image = link(&usual_parts(), ENTRY);
    let refusal = Program::check(&image, &MEMORY).unwrap_err();
    assert_eq!(refusal, Refusal::NotSealed);
    assert!(refusal.to_string().contains("cargo xtask seal FILE"));
}

#[test]
fn every_mutilation_is_refused_for_what_it_is() {
    let image = usual_image();
    for mutilation in MUTILATIONS {
        let mutilated = mutilation.of(&image);
        let Err(refusal) = Program::check(&mutilated, &MEMORY) else {
            panic!("accepted: {}", mutilation.name)
        };
        assert!(
            mutilation.explains(&refusal),
            "{}: {refusal}",
            mutilation.name
        );
    }
}

#[test]
fn every_mutilation_is_refused_with_flash_behind_it_too() {
    let image = usual_image();
    for filler in [0, 0xFF] {
        for mutilation in MUTILATIONS {
            let mut mutilated = mutilation.of(&image);
            mutilated.resize(4096, filler);
            let Err(refusal) = Program::check(&mutilated, &MEMORY) else {
                panic!("accepted: {}", mutilation.name)
            };
            assert!(
                mutilation.explains(&refusal),
                "{}: {refusal}",
                mutilation.name
            );
        }
    }
}

#[test]
fn there_are_many_mutilations_and_each_has_a_name_of_its_own() {
    let mut names: Vec<_> = MUTILATIONS
        .iter()
        .map(|mutilation| mutilation.name)
        .collect();
    assert!(names.len() >= 30);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MUTILATIONS.len());
}

#[test]
fn every_single_bit_flip_is_refused() {
    let image = usual_image();
    for bit in 0..image.len() * 8 {
        let mut flipped = image.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Program::check(&flipped, &MEMORY).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_refused() {
    let image = usual_image();
    for len in 0..image.len() {
        assert!(
            Program::check(&image[..len], &MEMORY).is_err(),
            "{len} bytes"
        );
    }
}

#[test]
fn address_zero_is_a_place_like_any_other() {
    let parts = [Part::new(0, vectors(STACK, 33), 4 | FLAG_EXECUTE)];
    let image = sealed(&parts, 33);
    let program = Program::check(&image, &MEMORY).unwrap();
    assert_eq!(program.start().vector_table, 0);
}

#[test]
fn a_memory_may_be_filled_to_its_last_byte_but_no_further() {
    let mut parts = usual_parts();
    parts[3].physical = 0x2407_1000;
    parts[3].virt = 0x2407_1000;
    parts[3].memory_size = 0x1000;
    assert!(Program::check(&sealed(&parts, ENTRY), &MEMORY).is_ok());
    parts[3].memory_size += 1;
    let misplaced = Refusal::Misplaced {
        segment: 3,
        start: 0x2407_1000,
        end: 0x2407_2001,
    };
    assert_eq!(refusal(&parts, ENTRY), misplaced);
}

#[test]
fn a_segment_may_not_go_from_one_memory_to_the_next() {
    let neighbours = MemoryMap {
        segments: &[0x2400_0000..0x2400_0050, 0x2400_0050..0x2407_2000],
        ..MEMORY
    };
    let image = usual_image();
    let refusal = Program::check(&image, &neighbours).unwrap_err();
    assert!(matches!(refusal, Refusal::Misplaced { segment: 1, .. }));
}

#[test]
fn the_memory_of_the_loader_is_for_stacks_only() {
    let mut parts = usual_parts();
    parts[3].physical = 0x2000_1FFC;
    parts[3].virt = 0x2000_1FFC;
    assert!(matches!(
        refusal(&parts, ENTRY),
        Refusal::Misplaced { segment: 3, .. }
    ));
}

#[test]
fn zeros_belong_to_a_segment_when_segments_are_compared() {
    let mut parts = usual_parts();
    // 500 zeros, and in the middle of them initial values.
    parts[3].physical = CODE + 200;
    parts[3].virt = CODE + 200;
    parts[2].physical = CODE + 600;
    let overlap = Refusal::Overlap {
        first: 2,
        second: 3,
    };
    assert_eq!(refusal(&parts, ENTRY), overlap);
}

#[test]
fn initial_values_are_loaded_without_the_zeros_that_belong_elsewhere() {
    let mut parts = usual_parts();
    parts[2].memory_size = 0x1_0000;
    let image = sealed(&parts, ENTRY);
    let program = Program::check(&image, &MEMORY).unwrap();
    assert_eq!(program.segments().nth(2).unwrap().zeros, 0);
}

#[test]
fn empty_segments_may_be_anywhere() {
    let mut parts = usual_parts();
    parts.push(Part::new(0xF000_0000, Vec::new(), 4));
    assert!(Program::check(&sealed(&parts, ENTRY), &MEMORY).is_ok());
}

#[test]
fn sixteen_segments_are_loaded() {
    let mut parts = usual_parts();
    for n in 4..16 {
        parts.push(Part::new(0x2000_2000 + n * 16, pattern(16), 4));
    }
    let image = sealed(&parts, ENTRY);
    assert_eq!(
        Program::check(&image, &MEMORY).unwrap().segments().count(),
        16
    );
}

#[test]
fn a_vector_table_at_an_odd_place_is_refused() {
    for offset in [4, 64, 128, 512] {
        let entry = VECTORS + offset + 33;
        let parts = [Part::new(
            VECTORS + offset,
            vectors(STACK, entry),
            4 | FLAG_EXECUTE,
        )];
        let alignment = 1024;
        assert_eq!(
            refusal(&parts, entry),
            Refusal::NoVectorTable { entry, alignment }
        );
    }
}

#[test]
fn a_stack_may_end_where_its_memory_ends_or_where_variables_begin() {
    for stack_pointer in [0x2001_0000, 0x2407_2000, 0x2402_0000] {
        let mut parts = usual_parts();
        parts[0].bytes = vectors(stack_pointer, ENTRY);
        assert!(Program::check(&sealed(&parts, ENTRY), &MEMORY).is_ok());
    }
}

#[test]
fn a_stack_at_the_lower_end_of_a_memory_is_refused() {
    for stack_pointer in [0x2000_0000, 0x2400_0000, 8, 0xFFFF_FFF8] {
        let mut parts = usual_parts();
        parts[0].bytes = vectors(stack_pointer, ENTRY);
        assert_eq!(
            refusal(&parts, ENTRY),
            Refusal::StackOutside { stack_pointer }
        );
    }
}

#[test]
fn program_headers_of_other_kinds_are_ignored() {
    let mut parts = usual_parts();
    parts.push(Part::new(0xF000_0000, pattern(8), 4));
    let mut image = link(&parts, ENTRY);
    // PT_ARM_EXIDX
    let kind = FILE_HEADER_LEN + 4 * PROGRAM_HEADER_LEN;
    image[kind..kind + 4].copy_from_slice(&0x7000_0001_u32.to_le_bytes());
    seal(&mut image).unwrap();
    assert!(Program::check(&image, &MEMORY).is_ok());
}

#[test]
fn what_is_no_image_cannot_be_sealed() {
    assert_eq!(seal(&mut [0; 20]), Err(Refusal::TooShort));
    assert_eq!(seal(&mut [0xFF; 200]), Err(Refusal::NotElf));
}

fn bits(bytes: &[(prop::sample::Index, u8)], image: &mut [u8]) {
    for (index, value) in bytes {
        image[index.index(image.len())] = *value;
    }
}

/// Fields of 32 bits with values that are likely to be at the edge of something.
fn edges() -> impl Strategy<Value = u32> {
    const MEMORIES: &[u32] = &[
        0,
        0x1_0000,
        0x2000_0000,
        0x2000_2000,
        0x2001_0000,
        0x2400_0000,
        0x2407_2000,
        u32::MAX,
    ];
    prop_oneof![
        any::<u32>(),
        0..600_u32,
        (prop::sample::select(MEMORIES), -70..70_i32)
            .prop_map(|(base, near)| base.wrapping_add_signed(near)),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_keep_to_their_memory(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Program::check(&bytes, &MEMORY).is_err());
    }

    #[test]
    fn changed_bytes_without_a_new_seal_are_refused(changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..8)) {
        let mut image = usual_image();
        bits(&changes, &mut image);
        prop_assert_eq!(Program::check(&image, &MEMORY).is_ok(), image == usual_image());
    }

    #[test]
    fn changed_and_sealed_images_keep_to_their_memory(
        changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4),
        words in prop::collection::vec((0..45_usize, edges()), 0..4),
    ) {
        let mut image = usual_image();
        for (word, value) in words {
            let at = 16 + word * 4;
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bits(&changes, &mut image);
        let _ = seal(&mut image);
        if let Ok(program) = Program::check(&image, &MEMORY) {
            keeps_to_its_memory(&program);
        }
    }

    #[test]
    fn images_of_any_segments_keep_to_their_memory(
        places in prop::collection::vec((edges(), edges(), any::<bool>(), 0..40_u8, 0..600_u32, 0..8_u32), 0..5),
        stack_pointer in edges(),
    ) {
        let mut parts = usual_parts();
        parts[0].bytes = vectors(stack_pointer & !7, ENTRY);
        for (physical, virt, moved, len, zeros, flags) in places {
            let virt = if moved { virt } else { physical };
            parts.push(Part { physical, virt, bytes: pattern(len), memory_size: u32::from(len) + zeros, flags });
        }
        let mut image = link(&parts, ENTRY);
        let _ = seal(&mut image);
        if let Ok(program) = Program::check(&image, &MEMORY) {
            keeps_to_its_memory(&program);
            prop_assert_eq!(program.start().stack_pointer, stack_pointer & !7);
        }
    }
}
