//! Get Routing Table Entries (0Ah) (DSP0236 1.3.3, section 12.13).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page::{Entries, EntryStart};
use super::{
    BindingId, Command, InvalidResponse, MediumId, Page, Request, Response, RoutingEntryKind,
    exactly,
};

/// Get Routing Table Entries: which routes does this bridge have? (DSP0236 1.3.3, section 12.13,
/// table 26).
///
/// | byte | field |
/// |-|-|
/// | 0 | `handle`: entry handle: 0 first, then what the last response says |
///
/// Sent by anybody to a bus owner or bridge. ERROR_INVALID_DATA: there is no such handle. A simple
/// endpoint answers ERROR_UNSUPPORTED_CMD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct GetRoutingTableEntriesRequest {
    /// Entry handle.
    pub handle: u8,
}

impl GetRoutingTableEntriesRequest {
    /// The handle of the first page. What other handles mean, only the responder knows.
    pub const FIRST: u8 = 0x00;
}

impl Request for GetRoutingTableEntriesRequest {
    const COMMAND: Command = Command::GET_ROUTING_TABLE_ENTRIES;
    type Response<'d> = &'d GetRoutingTableEntriesResponse;

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        let response: &GetRoutingTableEntriesResponse = exactly(data)?;
        Entries::<TableEntryStart>::new(&response.entries).check(response.count, data.len())?;
        Ok(response)
    }
}

/// Response data of Get Routing Table Entries, a page of the table (DSP0236 1.3.3, section 12.13,
/// table 26).
///
/// | byte | field |
/// |-|-|
/// | 0 | `next_handle`: next entry handle, FFh after the last page |
/// | 1 | `count`: number of routing table entries in this response |
/// | 2 on | [`RoutingTableEntry`]s, 6 bytes and a physical address each |
///
/// A page has at most 60 bytes: 9 entries without address, or 8 with one of 1 byte.
///
/// ```
/// use mctp_router::wire::{
///     BindingId, Command, GetRoutingTableEntriesResponse, Header, MediumId, Response,
///     RoutingEntryFlags, RoutingEntryKind, RoutingTableEntry,
/// };
///
/// let request = Header::request(1, Command::GET_ROUTING_TABLE_ENTRIES);
/// let mut response = Response::to(&request);
/// let mut page = GetRoutingTableEntriesResponse::page(&mut response);
/// for endpoint_id in 8..20 {
///     let entry = RoutingTableEntry {
///         range_size: 1,
///         first: endpoint_id,
///         flags: RoutingEntryFlags::new(RoutingEntryKind::ENDPOINT, false, 0),
///         binding: BindingId::USB,
///         medium: MediumId::USB_2_0,
///         address: &[],
///     };
///     if !page.push(&entry) {
///         page.set_next_handle(endpoint_id);
///         break;
///     }
/// }
/// assert_eq!(response.as_bytes()[4..6], [17, 9]);
/// ```
#[derive(Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct GetRoutingTableEntriesResponse {
    /// Next entry handle.
    pub next_handle: u8,
    /// Number of routing table entries.
    pub count: u8,
    /// Routing table entries: read by [`entries`](Self::entries).
    pub entries: [u8],
}

impl GetRoutingTableEntriesResponse {
    /// The handle that says that no further page follows.
    pub const LAST: u8 = Page::<Self>::LAST;

    /// The routing table entries.
    pub fn entries(&self) -> impl Iterator<Item = RoutingTableEntry<'_>> {
        let entries = Entries::<TableEntryStart>::new(&self.entries);
        entries.map(|(start, address)| RoutingTableEntry {
            range_size: start.range_size,
            first: start.first,
            flags: start.flags,
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

impl Page<'_, GetRoutingTableEntriesResponse> {
    /// Appends an entry and returns whether there was room for it.
    ///
    /// An entry without room is left out whole: it is the first one of the next page.
    #[must_use]
    pub fn push(&mut self, entry: &RoutingTableEntry<'_>) -> bool {
        let Ok(address_size) = entry.address.len().try_into() else {
            return false;
        };
        let start = TableEntryStart {
            range_size: entry.range_size,
            first: entry.first,
            flags: entry.flags,
            binding: entry.binding,
            medium: entry.medium,
            address_size,
        };
        self.append(start.as_bytes(), entry.address)
    }
}

/// A routing table entry (DSP0236 1.3.3, section 12.13, table 27).
///
/// | byte | field |
/// |-|-|
/// | 0 | `range_size`: size of the endpoint ID range |
/// | 1 | `first`: starting endpoint ID |
/// | 2 | `flags`: entry type and port number |
/// | 3 | `binding`: physical transport binding identifier |
/// | 4 | `medium`: physical medium identifier |
/// | 5 | physical address size |
/// | 6 on | `address`: physical address, most significant byte first |
///
/// An I2C address is in bits 7:1 of its byte: see [`BindingId::encode_address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RoutingTableEntry<'d> {
    /// Size of the endpoint ID range.
    pub range_size: u8,
    /// Starting endpoint ID.
    pub first: u8,
    /// Entry type, static or dynamic, port number.
    pub flags: RoutingEntryFlags,
    /// Physical transport binding identifier.
    pub binding: BindingId,
    /// Physical medium identifier.
    pub medium: MediumId,
    /// Physical address of the endpoint or bridge that packets for the range go to.
    pub address: &'d [u8],
}

/// The third byte of a routing table entry.
///
/// | bits | field |
/// |-|-|
/// | 7:6 | entry type: [`RoutingEntryKind`] |
/// | 5 | 1 static, 0 dynamic |
/// | 4:0 | port number |
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct RoutingEntryFlags(pub u8);

impl RoutingEntryFlags {
    const STATIC: u8 = 0x20;
    const PORT: u8 = 0x1F;

    /// Flags of these; bits 1:0 of `kind` and bits 4:0 of `port` count.
    #[inline]
    pub const fn new(kind: RoutingEntryKind, is_static: bool, port: u8) -> Self {
        let static_bit = if is_static { Self::STATIC } else { 0 };
        Self(kind.0 << 6 | static_bit | port & Self::PORT)
    }

    /// Entry type.
    pub const fn kind(self) -> RoutingEntryKind {
        RoutingEntryKind(self.0 >> 6)
    }

    /// Whether the entry was configured. A dynamic one was learned or assigned.
    pub const fn is_static(self) -> bool {
        self.0 & Self::STATIC != 0
    }

    /// Port number, 0 to 31: which port of the bridge the range is reached by.
    pub const fn port(self) -> u8 {
        self.0 & Self::PORT
    }
}

/// What stands before the physical address.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TableEntryStart {
    range_size: u8,
    first: u8,
    flags: RoutingEntryFlags,
    binding: BindingId,
    medium: MediumId,
    address_size: u8,
}

impl EntryStart for TableEntryStart {
    fn address_size(&self) -> u8 {
        self.address_size
    }
}
