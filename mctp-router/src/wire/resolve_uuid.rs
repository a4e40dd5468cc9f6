//! Resolve UUID (10h) (DSP0236 1.3.3, section 12.19).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page::{Entries, EntryStart};
use super::{BindingId, Command, InvalidResponse, MediumId, Page, Request, Response, exactly};

/// Resolve UUID: which endpoint IDs does the device with this UUID have? (DSP0236 1.3.3, section
/// 12.19, table 33).
///
/// | byte | field |
/// |-|-|
/// | 0 to 15 | `uuid`: requested UUID, most significant byte first |
/// | 16 | `handle`: entry handle: 0 first, then what the last response says |
///
/// Sent by anybody to a bus owner or bridge. A UUID that no endpoint has is answered with SUCCESS
/// and no entries. A simple endpoint answers ERROR_UNSUPPORTED_CMD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct ResolveUuidRequest {
    /// Requested UUID.
    pub uuid: [u8; 16],
    /// Entry handle.
    pub handle: u8,
}

impl ResolveUuidRequest {
    /// The handle of the first page. What other handles mean, only the responder knows.
    pub const FIRST: u8 = 0x00;
}

impl Request for ResolveUuidRequest {
    const COMMAND: Command = Command::RESOLVE_UUID;
    type Response<'d> = &'d ResolveUuidResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        let response: &ResolveUuidResponse = exactly(data)?;
        Entries::<UuidEntryStart>::new(&response.entries).check(response.count, data.len())?;
        Ok(response)
    }
}

/// Response data of Resolve UUID, a page of the matching endpoint IDs (DSP0236 1.3.3, section
/// 12.19, table 33).
///
/// | byte | field |
/// |-|-|
/// | 0 | `next_handle`: next entry handle, FFh after the last page |
/// | 1 | `count`: number of matching entries in this response |
/// | 2 on | [`UuidEntry`]s, 4 bytes and a physical address each |
///
/// A page has at most 60 bytes: 14 entries without address, or 11 with one of 1 byte.
#[derive(Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ResolveUuidResponse {
    /// Next entry handle.
    pub next_handle: u8,
    /// Number of matching entries.
    pub count: u8,
    /// Matching entries: read by [`entries`](Self::entries).
    pub entries: [u8],
}

impl ResolveUuidResponse {
    /// The handle that says that no further page follows.
    pub const LAST: u8 = Page::<Self>::LAST;

    /// The matching entries.
    pub fn entries(&self) -> impl Iterator<Item = UuidEntry<'_>> {
        let entries = Entries::<UuidEntryStart>::new(&self.entries);
        entries.map(|(start, address)| UuidEntry {
            endpoint_id: start.endpoint_id,
            binding: start.binding,
            medium: start.medium,
            address,
        })
    }

    /// Begins the data of a response, which has none so far.
    pub fn page(response: &mut Response) -> Page<'_, Self> {
        Page::new(response)
    }
}

impl Page<'_, ResolveUuidResponse> {
    /// Appends an entry and returns whether there was room for it.
    ///
    /// An entry without room is left out whole: it is the first one of the next page.
    #[must_use]
    pub fn push(&mut self, entry: &UuidEntry<'_>) -> bool {
        let Ok(address_size) = entry.address.len().try_into() else {
            return false;
        };
        let start = UuidEntryStart {
            endpoint_id: entry.endpoint_id,
            binding: entry.binding,
            medium: entry.medium,
            address_size,
        };
        self.append(start.as_bytes(), entry.address)
    }
}

/// An endpoint ID of the device (DSP0236 1.3.3, section 12.19, table 34).
///
/// | byte | field |
/// |-|-|
/// | 0 | `endpoint_id` |
/// | 1 | `binding`: physical transport binding identifier |
/// | 2 | `medium`: physical medium identifier |
/// | 3 | physical address size |
/// | 4 on | `address`: physical address, most significant byte first |
///
/// An I2C address is in bits 7:1 of its byte: see [`BindingId::encode_address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UuidEntry<'d> {
    /// Endpoint ID.
    pub endpoint_id: u8,
    /// Physical transport binding identifier.
    pub binding: BindingId,
    /// Physical medium identifier.
    pub medium: MediumId,
    /// Physical address.
    pub address: &'d [u8],
}

/// What stands before the physical address.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct UuidEntryStart {
    endpoint_id: u8,
    binding: BindingId,
    medium: MediumId,
    address_size: u8,
}

impl EntryStart for UuidEntryStart {
    fn address_size(&self) -> u8 {
        self.address_size
    }
}
