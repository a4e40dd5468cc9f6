//! Routing Information Update (09h) (DSP0236 1.3.3, section 12.12).

use core::slice::ChunksExact;

use heapless::Vec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Command, CompletionCode, InvalidResponse, REQUEST_DATA_MAX, Request, empty};

/// What an entry about routes describes (DSP0236 1.3.3, section 12.12, table 25; section 12.13,
/// table 27).
///
/// 4 bits in Routing Information Update, of which the values from 4 on are reserved; 2 bits in Get
/// Routing Table Entries.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct RoutingEntryKind(pub u8);

impl RoutingEntryKind {
    /// One endpoint that is no bridge. The range has size 1.
    pub const ENDPOINT: Self = Self(0);
    /// A bridge, which has the first endpoint ID, and the endpoint IDs behind it, which follow.
    pub const BRIDGE_AND_RANGE: Self = Self(1);
    /// One endpoint that is a bridge, without what is behind it. The range has size 1.
    pub const BRIDGE: Self = Self(2);
    /// Endpoint IDs behind a bridge, without that of the bridge.
    pub const RANGE: Self = Self(3);

    /// The kind without bits 7:4, which are reserved in Routing Information Update.
    #[inline]
    #[must_use]
    pub const fn without_reserved(self) -> Self {
        Self(self.0 & 0x0F)
    }
}

/// Routing Information Update: the bus owner tells a bridge how endpoint IDs are reached on their
/// bus (DSP0236 1.3.3, section 12.12, tables 24 and 25).
///
/// | byte | field |
/// |-|-|
/// | 0 | `count`: count of update entries |
/// | 1 on | [`RoutingUpdateEntry`]s, 3 bytes and a physical address each |
///
/// Sent by a bus owner to the bridges on its bus, when its routing table changes. There are no
/// response data. Completion code 80h,
/// [`INSUFFICIENT_SPACE`](CompletionCode::INSUFFICIENT_SPACE): the bridge has no room for the
/// entries. A simple endpoint may answer ERROR_UNSUPPORTED_CMD.
///
/// No field says how long a physical address is: that follows from the transport binding of the bus
/// that the request came by.
///
/// ```
/// use mctp_router::wire::{
///     Request, RoutingEntryKind, RoutingInformationUpdateRequest, RoutingUpdate,
///     RoutingUpdateEntry,
/// };
///
/// // A bridge with endpoint ID 9 and 10 to 13 behind it, at I2C address 1Dh.
/// let entry = RoutingUpdateEntry {
///     kind: RoutingEntryKind::BRIDGE_AND_RANGE,
///     range_size: 5,
///     first: 9,
///     address: &[0x1D << 1],
/// };
/// let mut update = RoutingUpdate::new();
/// assert!(update.push(&entry));
/// assert_eq!(update.as_bytes(), [1, 0x01, 5, 9, 0x3A]);
///
/// let request = RoutingInformationUpdateRequest::parse(update.as_bytes())?;
/// assert!(request.entries(1)?.eq([entry]));
/// # Ok::<(), mctp_router::wire::CompletionCode>(())
/// ```
#[derive(Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RoutingInformationUpdateRequest {
    /// Count of update entries.
    pub count: u8,
    /// Update entries: read by [`entries`](Self::entries).
    pub entries: [u8],
}

impl RoutingInformationUpdateRequest {
    /// The update entries, on a bus whose physical addresses have `address_len` bytes: 1 over
    /// SMBus/I2C, none over USB and serial.
    ///
    /// # Errors
    ///
    /// [`CompletionCode::INVALID_LENGTH`], which the responder answers, when the data are not as
    /// long as `count` such entries.
    pub fn entries(
        &self,
        address_len: usize,
    ) -> Result<impl ExactSizeIterator<Item = RoutingUpdateEntry<'_>>, CompletionCode> {
        let entry_len = address_len.saturating_add(size_of::<UpdateEntryStart>());
        let expected = entry_len.checked_mul(usize::from(self.count));
        match expected == Some(self.entries.len()) {
            true => Ok(UpdateEntries(self.entries.chunks_exact(entry_len))),
            false => Err(CompletionCode::INVALID_LENGTH),
        }
    }
}

/// Only the number of bytes is checked: how they are divided into entries depends on the bus, see
/// [`entries`](RoutingInformationUpdateRequest::entries).
impl Request for RoutingInformationUpdateRequest {
    const COMMAND: Command = Command::ROUTING_INFORMATION_UPDATE;
    type Response<'d> = ();

    fn parse_response(data: &[u8]) -> Result<Self::Response<'_>, InvalidResponse> {
        empty(data)
    }
}

/// An update entry of Routing Information Update (DSP0236 1.3.3, section 12.12, table 25).
///
/// | byte | bits | field |
/// |-|-|-|
/// | 0 | 7:4 | reserved |
/// | 0 | 3:0 | `kind`: entry type |
/// | 1 | 7:0 | `range_size`: size of the endpoint ID range |
/// | 2 | 7:0 | `first`: first endpoint ID of the range |
/// | 3 on | | `address`: physical address, most significant byte first |
///
/// An I2C address is in bits 7:1 of its byte: see
/// [`BindingId::encode_address`](super::BindingId::encode_address).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RoutingUpdateEntry<'d> {
    /// Entry type.
    pub kind: RoutingEntryKind,
    /// Size of the endpoint ID range.
    pub range_size: u8,
    /// First endpoint ID of the range.
    pub first: u8,
    /// Physical address of the endpoint or bridge that packets for the range go to.
    pub address: &'d [u8],
}

/// What stands before the physical address.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct UpdateEntryStart {
    kind: RoutingEntryKind,
    range_size: u8,
    first: u8,
}

/// The update entries of a request.
struct UpdateEntries<'d>(ChunksExact<'d, u8>);

impl<'d> Iterator for UpdateEntries<'d> {
    type Item = RoutingUpdateEntry<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, address) = UpdateEntryStart::ref_from_prefix(self.0.next()?).ok()?;
        Some(RoutingUpdateEntry {
            kind: start.kind,
            range_size: start.range_size,
            first: start.first,
            address,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for UpdateEntries<'_> {}

/// The data of a [`RoutingInformationUpdateRequest`] while they are built: whole entries, as many
/// as one packet has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingUpdate(Vec<u8, REQUEST_DATA_MAX>);

impl RoutingUpdate {
    /// An update without entries.
    pub fn new() -> Self {
        Self(Vec::from([0]))
    }

    /// Appends an entry, without its reserved bits, and returns whether there was room for it.
    ///
    /// An entry without room is left out whole: the caller sends the update and puts the entry into
    /// the next one.
    #[must_use]
    pub fn push(&mut self, entry: &RoutingUpdateEntry<'_>) -> bool {
        let start = UpdateEntryStart {
            kind: entry.kind.without_reserved(),
            range_size: entry.range_size,
            first: entry.first,
        };
        let before = self.0.len();
        let whole = self.0.extend_from_slice(start.as_bytes()).is_ok()
            && self.0.extend_from_slice(entry.address).is_ok();
        match (whole, self.0.first_mut()) {
            (true, Some(count)) => *count = count.saturating_add(1),
            _ => self.0.truncate(before),
        }
        whole
    }

    /// How many entries there are.
    pub fn count(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The request data.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for RoutingUpdate {
    fn default() -> Self {
        Self::new()
    }
}
