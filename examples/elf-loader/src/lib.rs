#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "mutilations")]
extern crate alloc;
#[cfg(all(test, not(feature = "mutilations")))]
extern crate std as alloc;

mod image;
mod layout;
#[cfg(any(test, feature = "mutilations"))]
pub mod mutilations;
mod refusal;
mod seal;
mod start;
#[cfg(test)]
mod tests;

use core::ops::Range;

use heapless::Vec;

use image::Image;
pub use refusal::Refusal;
pub use seal::seal;
pub use start::Start;

/// More program headers than so many are refused; a linker makes about six.
pub const MAX_PROGRAM_HEADERS: usize = 16;

/// Where a program may be, in ranges of addresses, the first inclusive, the last not.
#[derive(Debug, Clone, Copy)]
pub struct MemoryMap<'m> {
    /// Memories to which segments may be copied, without what the loader itself uses. A segment
    /// has to be in one of them.
    pub segments: &'m [Range<u32>],
    /// Memories in which the stack may be. The loader is gone by then, so what it used may be
    /// among them.
    pub stack: &'m [Range<u32>],
    /// Vector tables begin at a multiple of this: the power of two that has room for all vectors
    /// of the processor, 16 and one for each interrupt, and at least 128 (Armv7-M Architecture
    /// Reference Manual, section B1.5.3).
    pub vector_table_alignment: u32,
}

/// What one segment is copied from, and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'i> {
    /// The first address that is written. 0 is a legal one.
    pub destination: u32,
    /// What is written there.
    pub bytes: &'i [u8],
    /// How many zeros are written behind `bytes`.
    pub zeros: u32,
    /// Its index in the program header table.
    number: u8,
    /// Whether it holds instructions that are executed where it is loaded.
    executable: bool,
}

impl Segment<'_> {
    /// All addresses that are written.
    pub fn addresses(&self) -> Range<u32> {
        let bytes = self.initialized();
        // Checked before there was a segment.
        bytes.start..bytes.end.saturating_add(self.zeros)
    }

    /// The addresses to which bytes of the image are written.
    fn initialized(&self) -> Range<u32> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.destination..self.destination.saturating_add(len)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (self.addresses(), other.addresses());
        one.start < other.end && other.start < one.end
    }
}

/// A program that may be loaded and started: every check was made.
#[derive(Debug, Clone)]
pub struct Program<'i> {
    segments: Vec<Segment<'i>, MAX_PROGRAM_HEADERS>,
    start: Start,
}

impl<'i> Program<'i> {
    /// Checks `image`, which may be followed by anything, for a board with `memory`. Reads of it
    /// what the [table of the seal](crate#the-seal) names, and nothing else; writes nothing.
    pub fn check(image: &'i [u8], memory: &MemoryMap<'_>) -> Result<Self, Refusal> {
        let image = Image::find(image)?;
        image.check_places(memory)?;
        // After the places: segments that do not overlap limit how many bytes there are to read.
        seal::check(&image)?;
        let start = start::find(&image, memory)?;
        let segments = image.segments;
        Ok(Self { segments, start })
    }

    /// What has to be copied, each wholly inside one of [`MemoryMap::segments`], none over another.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'i>> {
        self.segments.iter().copied()
    }

    /// How to start it after that.
    pub fn start(&self) -> Start {
        self.start
    }
}
