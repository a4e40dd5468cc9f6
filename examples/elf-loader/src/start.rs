//! How a loaded image is started: through its vector table.

use crate::image::Image;
use crate::{MemoryMap, Refusal, Segment};

/// The stack is aligned to so much when a procedure is called (Procedure Call Standard for the Arm
/// Architecture, section 6.2.1.2).
const STACK_ALIGNMENT: u32 = 8;

/// What a processor needs to start a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The address of the vector table, for VTOR.
    pub vector_table: u32,
    /// The first vector, for the main stack pointer.
    pub stack_pointer: u32,
    /// The second vector: where to jump to, with bit 0 set for Thumb.
    pub entry: u32,
}

/// The start of `image`, if it is one that works.
pub(crate) fn find(image: &Image<'_>, memory: &MemoryMap<'_>) -> Result<Start, Refusal> {
    let entry = image.header.entry.get();
    check_entry(entry, image)?;
    let alignment = memory.vector_table_alignment;
    let mut aligned = image
        .segments
        .iter()
        .filter(|segment| segment.destination.is_multiple_of(alignment));
    let start = aligned.find_map(|segment| vectors(segment, entry));
    let start = start.ok_or(Refusal::NoVectorTable { entry, alignment })?;
    check_stack(start.stack_pointer, image, memory)?;
    Ok(start)
}

fn check_entry(entry: u32, image: &Image<'_>) -> Result<(), Refusal> {
    let address = entry & !1;
    if address == entry {
        return Err(Refusal::EntryNotThumb { entry });
    }
    let holds =
        |segment: &Segment<'_>| segment.executable && segment.initialized().contains(&address);
    match image.segments.iter().any(holds) {
        true => Ok(()),
        false => Err(Refusal::EntryOutside { entry }),
    }
}

/// The start by `segment`, if it begins with the vector table of the program that starts at
/// `entry`.
fn vectors(segment: &Segment<'_>, entry: u32) -> Option<Start> {
    let (stack_pointer, rest) = segment.bytes.split_first_chunk()?;
    let reset = u32::from_le_bytes(*rest.first_chunk()?);
    (reset == entry).then_some(Start {
        vector_table: segment.destination,
        stack_pointer: u32::from_le_bytes(*stack_pointer),
        entry,
    })
}

fn check_stack(
    stack_pointer: u32,
    image: &Image<'_>,
    memory: &MemoryMap<'_>,
) -> Result<(), Refusal> {
    if !stack_pointer.is_multiple_of(STACK_ALIGNMENT) {
        return Err(Refusal::StackMisaligned { stack_pointer });
    }
    // A push goes below the stack pointer.
    let Some(below) = stack_pointer.checked_sub(1) else {
        return Err(Refusal::StackOutside { stack_pointer });
    };
    if !memory.stack.iter().any(|range| range.contains(&below)) {
        return Err(Refusal::StackOutside { stack_pointer });
    }
    let holds = |segment: &&Segment<'_>| segment.initialized().contains(&below);
    match image.segments.iter().find(holds) {
        None => Ok(()),
        Some(segment) => Err(Refusal::StackOverSegment {
            stack_pointer,
            segment: segment.number,
        }),
    }
}
