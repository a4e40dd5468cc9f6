//! Finding the parts of an image, and that they are where an image may be.

use core::ops::Range;

use heapless::Vec;
use zerocopy::FromBytes;

use crate::layout::{
    ARM, CLASS_32, EXECUTABLE, FILE_HEADER_LEN, FLAG_EXECUTE, FileHeader, INTERPRETER,
    LITTLE_ENDIAN, LOAD, MAGIC, PROGRAM_HEADER_LEN, ProgramHeader, VERSION,
};
use crate::{MAX_PROGRAM_HEADERS, MemoryMap, Refusal, Segment};

/// The parts of an image that loading needs; all of them are inside the image.
pub(crate) struct Image<'i> {
    pub(crate) header: &'i FileHeader,
    pub(crate) program_headers: &'i [ProgramHeader],
    /// Those with something to load.
    pub(crate) segments: Vec<Segment<'i>, MAX_PROGRAM_HEADERS>,
    /// As long as the farthest of the parts.
    pub(crate) len: usize,
}

impl<'i> Image<'i> {
    /// Reads the headers of `bytes`.
    pub(crate) fn find(bytes: &'i [u8]) -> Result<Self, Refusal> {
        let (header, _) = FileHeader::ref_from_prefix(bytes).map_err(|_| Refusal::TooShort)?;
        check_header(header)?;
        let table = table_range(header)?;
        let program_headers = bytes
            .get(table.clone())
            .and_then(|bytes| <[ProgramHeader]>::ref_from_bytes(bytes).ok())
            .ok_or(Refusal::ProgramHeadersOutside)?;
        let mut image = Self {
            header,
            program_headers,
            segments: Vec::new(),
            len: table.end.max(FILE_HEADER_LEN),
        };
        for (number, program_header) in (0..).zip(program_headers) {
            image.add(number, program_header, bytes)?;
        }
        if image.segments.is_empty() {
            return Err(Refusal::NothingToLoad);
        }
        Ok(image)
    }

    fn add(&mut self, number: u8, header: &ProgramHeader, bytes: &'i [u8]) -> Result<(), Refusal> {
        match header.kind.get() {
            LOAD => {}
            INTERPRETER => return Err(Refusal::NeedsInterpreter),
            _ => return Ok(()),
        }
        let file = file_range(header).filter(|range| range.end <= bytes.len());
        let outside = Refusal::SegmentOutside { segment: number };
        let file = file.ok_or(outside)?;
        let segment = segment(number, header, bytes.get(file.clone()).ok_or(outside)?)?;
        if segment.bytes.is_empty() && segment.zeros == 0 {
            return Ok(());
        }
        self.len = self.len.max(file.end);
        // There is room for one of each program header.
        let count = u16::from(number).saturating_add(1);
        let full = Refusal::TooManyProgramHeaders { count };
        self.segments.push(segment).map_err(|_| full)
    }

    /// That every segment has a place of its own in `memory`.
    pub(crate) fn check_places(&self, memory: &MemoryMap<'_>) -> Result<(), Refusal> {
        for (index, segment) in self.segments.iter().enumerate() {
            let Range { start, end } = segment.addresses();
            let fits = |range: &Range<u32>| range.start <= start && end <= range.end;
            if !memory.segments.iter().any(fits) {
                let segment = segment.number;
                return Err(Refusal::Misplaced {
                    segment,
                    start,
                    end,
                });
            }
            let before = self.segments.iter().take(index);
            if let Some(other) = before.into_iter().find(|other| other.overlaps(segment)) {
                return Err(Refusal::Overlap {
                    first: other.number,
                    second: segment.number,
                });
            }
        }
        Ok(())
    }
}

fn check_header(header: &FileHeader) -> Result<(), Refusal> {
    if header.magic != MAGIC {
        return Err(Refusal::NotElf);
    }
    if header.class != CLASS_32 {
        return Err(Refusal::Not32Bit);
    }
    if header.data != LITTLE_ENDIAN {
        return Err(Refusal::NotLittleEndian);
    }
    if header.ident_version != VERSION || header.version.get() != u32::from(VERSION) {
        return Err(Refusal::UnknownVersion);
    }
    let (kind, machine) = (header.kind.get(), header.machine.get());
    if kind != EXECUTABLE {
        return Err(Refusal::NotExecutable { kind });
    }
    if machine != ARM {
        return Err(Refusal::NotArm { machine });
    }
    let size = header.header_size.get();
    if usize::from(size) != FILE_HEADER_LEN {
        return Err(Refusal::HeaderSize { size });
    }
    Ok(())
}

fn table_range(header: &FileHeader) -> Result<Range<usize>, Refusal> {
    let count = header.program_header_count.get();
    if count == 0 {
        return Err(Refusal::NothingToLoad);
    }
    let size = header.program_header_size.get();
    if usize::from(size) != PROGRAM_HEADER_LEN {
        return Err(Refusal::ProgramHeaderSize { size });
    }
    if usize::from(count) > MAX_PROGRAM_HEADERS {
        return Err(Refusal::TooManyProgramHeaders { count });
    }
    let len = usize::from(count).saturating_mul(PROGRAM_HEADER_LEN);
    range(header.program_headers_offset.get(), len).ok_or(Refusal::ProgramHeadersOutside)
}

fn file_range(header: &ProgramHeader) -> Option<Range<usize>> {
    let len = usize::try_from(header.file_size.get()).ok()?;
    match len {
        0 => Some(FILE_HEADER_LEN..FILE_HEADER_LEN),
        _ => range(header.offset.get(), len),
    }
}

/// A part of the image; none of them includes the file header, whose seal is about them.
fn range(offset: u32, len: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(len)?;
    (start >= FILE_HEADER_LEN).then_some(start..end)
}

/// What `header` says of `bytes`, its part of the image.
fn segment<'i>(
    number: u8,
    header: &ProgramHeader,
    bytes: &'i [u8],
) -> Result<Segment<'i>, Refusal> {
    let zeros = header.memory_size.get().checked_sub(header.file_size.get());
    let zeros = zeros.ok_or(Refusal::LargerThanItsMemory { segment: number })?;
    let (destination, used_at) = (header.physical_address.get(), header.virtual_address.get());
    let end = destination.checked_add(header.memory_size.get());
    end.ok_or(Refusal::AddressOverflow { segment: number })?;
    Ok(Segment {
        destination,
        bytes,
        // Elsewhere than where it is used are initial values, which the program itself moves, and
        // zeroes what follows them there.
        zeros: if destination == used_at { zeros } else { 0 },
        number,
        executable: destination == used_at && header.flags.get() & FLAG_EXECUTE != 0,
    })
}
