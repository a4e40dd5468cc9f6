//! Little-endian fields at byte offsets. A field that lies past the end, wholly or in part, reads
//! as zero and is not written.

use zerocopy::IntoBytes;

/// The byte at `offset`.
pub(crate) fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    u8::from_le_bytes(array_at(bytes, offset))
}

/// The 4-byte field at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

/// The 8-byte field at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let field = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    field.copied().unwrap_or([0; N])
}

/// Writes a 4-byte field at `offset`, if it fits.
pub(crate) fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
    put(bytes, offset, &value.to_le_bytes());
}

/// Writes `data` at `offset`, if it fits.
pub(crate) fn put(bytes: &mut [u8], offset: usize, data: &[u8]) {
    // Unlike `copy_from_slice` this has no panic for the compiler to leave out, which takes
    // inlining that opt-level z does not do.
    let _ = data.write_to_prefix(bytes.get_mut(offset..).unwrap_or_default());
}
