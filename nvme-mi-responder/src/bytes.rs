//! Little-endian fields at byte offsets. A field that lies past the end reads as zero, and is not written.

/// The byte at `offset`.
pub(crate) fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    bytes.get(offset).copied().unwrap_or(0)
}

/// The 2-byte field at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([u8_at(bytes, offset), u8_at(bytes, offset.saturating_add(1))])
}

/// The 4-byte field at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) | u32::from(u16_at(bytes, offset.saturating_add(2))) << 16
}

/// The 8-byte field at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset)) | u64::from(u32_at(bytes, offset.saturating_add(4))) << 32
}

/// Writes `data` at `offset`, if it fits.
pub(crate) fn put(bytes: &mut [u8], offset: usize, data: &[u8]) {
    let end = offset.saturating_add(data.len());
    if let Some(field) = bytes.get_mut(offset..end) {
        field.copy_from_slice(data);
    }
}
