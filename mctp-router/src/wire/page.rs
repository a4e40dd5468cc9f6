//! Lists that a response carries in pages (DSP0236 1.3.3, sections 12.13 and 12.19).

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{InvalidResponse, Response, check_count};

/// A response that carries one page of a list, while it is built: whole entries, as many as one
/// packet has room for. `R` is the response: [`GetRoutingTableEntriesResponse`] or
/// [`ResolveUuidResponse`].
///
/// The page is the last one until [`set_next_handle`](Self::set_next_handle) says otherwise.
///
/// [`GetRoutingTableEntriesResponse`]: super::GetRoutingTableEntriesResponse
/// [`ResolveUuidResponse`]: super::ResolveUuidResponse
#[derive(Debug)]
pub struct Page<'r, R: ?Sized> {
    response: &'r mut Response,
    of: PhantomData<R>,
}

/// What stands before the entries.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PageStart {
    next_handle: u8,
    count: u8,
}

impl<'r, R: ?Sized> Page<'r, R> {
    /// The handle that says that no further page follows.
    pub(super) const LAST: u8 = 0xFF;

    /// A page without entries. The response has no data so far.
    pub(super) fn new(response: &'r mut Response) -> Self {
        let start = PageStart {
            next_handle: Self::LAST,
            count: 0,
        };
        response.put(start.as_bytes());
        let of = PhantomData;
        Self { response, of }
    }

    /// Says by which handle the next page is asked for.
    pub fn set_next_handle(&mut self, handle: u8) {
        if let Some(start) = self.start() {
            start.next_handle = handle;
        }
    }

    /// How many entries there are.
    pub fn count(&mut self) -> u8 {
        self.start().map_or(0, |start| start.count)
    }

    /// Appends an entry and returns whether there was room for the whole of it.
    pub(super) fn append(&mut self, entry_start: &[u8], address: &[u8]) -> bool {
        let appended = self.response.put_whole([entry_start, address]);
        if appended && let Some(start) = self.start() {
            start.count = start.count.saturating_add(1);
        }
        appended
    }

    fn start(&mut self) -> Option<&mut PageStart> {
        let (_, data) = self.response.parts()?;
        let (start, _) = PageStart::mut_from_prefix(data).ok()?;
        Some(start)
    }
}

/// Entries that end with the size of a physical address and the address. `S` is what stands before
/// the address.
#[derive(Clone, Debug)]
pub(super) struct Entries<'d, S> {
    rest: &'d [u8],
    of: PhantomData<S>,
}

/// What stands before the physical address of an entry.
pub(super) trait EntryStart: FromBytes + Immutable + KnownLayout + Unaligned {
    /// The size of the address that follows.
    fn address_size(&self) -> u8;
}

impl<'d, S: EntryStart + 'd> Entries<'d, S> {
    pub(super) fn new(entries: &'d [u8]) -> Self {
        let (rest, of) = (entries, PhantomData);
        Self { rest, of }
    }

    /// That these are exactly `count` entries, in response data of `len` bytes.
    pub(super) fn check(mut self, count: u8, len: usize) -> Result<(), InvalidResponse> {
        let sent = self.by_ref().count();
        match self.rest {
            [] => check_count(count, sent),
            _ => Err(InvalidResponse::Length(len)),
        }
    }
}

impl<'d, S: EntryStart + 'd> Iterator for Entries<'d, S> {
    type Item = (&'d S, &'d [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (start, after) = S::ref_from_prefix(self.rest).ok()?;
        let (address, rest) = after.split_at_checked(usize::from(start.address_size()))?;
        self.rest = rest;
        Some((start, address))
    }
}
