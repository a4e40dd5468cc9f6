//! Fields at byte offsets. A field that lies past the end, wholly or in part, reads as zero and is
//! not written.

use zerocopy::IntoBytes;

/// The 4-byte field at `offset`, least significant byte first.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    u32::from_le_bytes(field.copied().unwrap_or([0; 4]))
}

/// Writes `data` at `offset`, if all of it fits.
pub(crate) fn put(bytes: &mut [u8], offset: usize, data: &[u8]) {
    // Unlike `copy_from_slice` this has no panic for the compiler to leave out, which takes
    // inlining that opt-level z does not do.
    let _ = data.write_to_prefix(bytes.get_mut(offset..).unwrap_or_default());
}
