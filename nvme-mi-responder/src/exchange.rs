//! A request and its response while the command is carried out.
//!
//! The request is read where the transport has it; one that is pending was copied into the buffer
//! of its command slot, and its response is written over it: no command has both much Request Data
//! and much Response Data. Response data are *pages* of which only a window is written: a partial
//! read of a 4096-byte structure costs no full copy of it.
//!
//! Offsets into messages count from behind the message type byte, where the bodies of the `mctp`
//! traits begin: one less than the standard's.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::bytes;
use crate::failure::{Failure, Status};
use crate::wire::{RequestHeader, location};

/// A request, and the buffer of its command slot.
///
/// A handler first reads the Request Data with [`request_data`](Self::request_data), then calls
/// [`answer`](Self::answer) at most once, which ends the request. One that returns an error has not
/// called it.
pub(crate) struct Exchange<'b> {
    /// Where Request Data start.
    request_start: usize,
    /// Where the Message Integrity Check was.
    request_end: usize,
    /// The request, unless it is in the buffer.
    in_place: Option<&'b [u8]>,
    /// Where Response Data start.
    response_start: usize,
    /// Bytes of the response without Message Integrity Check.
    response_end: usize,
    /// The request says how many bytes the Response Data have: they are not padded.
    is_exact: bool,
    /// Until the request is ended; then a part of it is the page's.
    buffer: &'b mut [u8],
    page: Page<'b>,
}

impl<'b> Exchange<'b> {
    /// For a request without Message Integrity Check, which is where it came in or, in
    /// `Stored(length)`, at the start of `buffer`.
    pub(crate) fn new(buffer: &'b mut [u8], request: Request<'b>, starts: Starts) -> Self {
        let (in_place, request_end) = match request {
            Request::InPlace(bytes) => (Some(bytes), bytes.len()),
            Request::Stored(length) => (None, length),
        };
        let Starts {
            request_start,
            response_start,
        } = starts;
        Self {
            request_start,
            request_end,
            in_place,
            response_start,
            response_end: response_start,
            is_exact: false,
            buffer,
            page: Page {
                window: &mut [],
                start: 0,
            },
        }
    }

    /// The request from behind the message type byte on, without Message Integrity Check.
    pub(crate) fn request(&self) -> &[u8] {
        let stored = || self.buffer.get(..self.request_end).unwrap_or_default();
        self.in_place.unwrap_or_else(stored)
    }

    /// The first `LENGTH` bytes of the request: the fixed part, which a command cannot do without.
    pub(crate) fn fixed_part<const LENGTH: usize>(&self) -> Result<&[u8; LENGTH], Failure> {
        self.request()
            .first_chunk()
            .ok_or(Failure::new(Status::InvalidCommandSize))
    }

    /// What follows the fixed part of the request.
    pub(crate) fn request_data(&self) -> &[u8] {
        self.request().get(self.request_start..).unwrap_or_default()
    }

    /// Refuses Request Data of another length than `length`.
    pub(crate) fn expect_request_data(&self, length: usize) -> Result<(), Failure> {
        if self.request_data().len() == length {
            Ok(())
        } else {
            Err(Failure::new(Status::InvalidInputDataSize))
        }
    }

    /// Refuses a request whose data are to be in the Management Endpoint Buffer (MEB, bit 0 of byte
    /// 2): no command here uses it, and to answer in the message instead would not be what the
    /// requester waits for.
    pub(crate) fn refuse_endpoint_buffer(&self) -> Result<(), Failure> {
        let header = RequestHeader::ref_from_prefix(self.request());
        if header.is_ok_and(|(header, _)| header.uses_endpoint_buffer()) {
            return Err(Failure::parameter(location!(RequestHeader, flags), 0));
        }
        Ok(())
    }

    /// Ends the request. The Response Data are the `length` bytes from `start` of the page that the
    /// caller now writes; they are zero where it writes nothing.
    pub(crate) fn answer(&mut self, start: u32, length: usize) -> &mut Page<'b> {
        let buffer = core::mem::take(&mut self.buffer);
        let limit = buffer.len().saturating_sub(crate::message::CHECK_LENGTH);
        self.response_end = self.response_start.saturating_add(length).min(limit);
        let window = buffer.get_mut(self.response_start..self.response_end);
        self.page = Page {
            window: window.unwrap_or_default(),
            start,
        };
        self.page.window.fill(0);
        &mut self.page
    }

    /// Ends the request with all of a short structure as Response Data.
    pub(crate) fn answer_with(&mut self, structure: &(impl IntoBytes + Immutable)) {
        let buffer = core::mem::take(&mut self.buffer);
        let data = structure.as_bytes();
        let rest = buffer.get_mut(self.response_start..).unwrap_or_default();
        if let Some(into) = rest.get_mut(..data.len()) {
            into.copy_from_slice(data);
            self.response_end = self.response_start.saturating_add(data.len());
        }
    }

    /// [`answer`](Self::answer) for a request that says how many bytes it wants: the response is not padded to a
    /// multiple of 4 bytes, and ends with these and the Message Integrity Check.
    pub(crate) fn answer_exactly(&mut self, start: u32, length: usize) -> &mut Page<'b> {
        self.is_exact = true;
        self.answer(start, length)
    }

    /// What [`answer`](Self::answer) returned.
    pub(crate) fn page(&mut self) -> &mut Page<'b> {
        &mut self.page
    }

    /// Makes the Response Data shorter than [`answer`](Self::answer) made them.
    pub(crate) fn shorten(&mut self, length: usize) {
        let end = self.response_start.saturating_add(length);
        self.response_end = self.response_end.min(end);
    }

    /// Bytes of the response without Message Integrity Check.
    pub(crate) fn response_end(&self) -> usize {
        self.response_end
    }

    /// Whether the response is not to be padded: [`answer_exactly`](Self::answer_exactly).
    pub(crate) fn is_exact(&self) -> bool {
        self.is_exact
    }
}

/// Where the request of a command is.
#[derive(Clone, Copy)]
pub(crate) enum Request<'b> {
    InPlace(&'b [u8]),
    Stored(usize),
}

/// Where the data of a kind of command start, in its request and in its response.
#[derive(Clone, Copy)]
pub(crate) struct Starts {
    pub(crate) request_start: usize,
    pub(crate) response_start: usize,
}

/// A data structure of which the bytes from `start` are wanted. What is put outside the window is
/// not kept.
pub(crate) struct Page<'b> {
    window: &'b mut [u8],
    start: u32,
}

impl Page<'_> {
    /// Puts `data` at `offset` of the structure.
    pub(crate) fn put(&mut self, offset: u32, data: &[u8]) {
        if offset >= self.start {
            let into = offset.saturating_sub(self.start) as usize;
            copy_what_fits(self.window.get_mut(into..).unwrap_or_default(), data);
        } else {
            let skipped = self.start.saturating_sub(offset) as usize;
            copy_what_fits(self.window, data.get(skipped..).unwrap_or_default());
        }
    }

    // Not inlined: structures have many fields, and each call would take twice as much code.

    /// Puts a 2-byte field.
    #[inline(never)]
    pub(crate) fn put_u16(&mut self, offset: u32, value: u16) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Puts a 4-byte field.
    #[inline(never)]
    pub(crate) fn put_u32(&mut self, offset: u32, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Puts an 8-byte field.
    #[inline(never)]
    pub(crate) fn put_u64(&mut self, offset: u32, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Puts the value of a field. Not inlined, like those above.
    #[inline(never)]
    pub(crate) fn put_value<T: IntoBytes + Immutable>(&mut self, offset: u32, value: T) {
        self.put(offset, value.as_bytes());
    }

    /// Puts ASCII text, with spaces up to `length` bytes.
    pub(crate) fn put_text(&mut self, offset: u32, length: u8, text: &str) {
        self.part(offset, u32::from(length)).1.fill(b' ');
        let text = text.as_bytes();
        self.put(offset, text.get(..usize::from(length)).unwrap_or(text));
    }

    /// What the window has of the `length` bytes from `start` of the structure, and where in these
    /// bytes it begins.
    pub(crate) fn part(&mut self, start: u32, length: u32) -> (u32, &mut [u8]) {
        let skipped = self.start.saturating_sub(start);
        let before = start.saturating_sub(self.start) as usize;
        let left = length.saturating_sub(skipped) as usize;
        let window = self.window.get_mut(before..).unwrap_or_default();
        let shorter = window.len().min(left);
        (skipped, window.get_mut(..shorter).unwrap_or_default())
    }

    /// The bytes that are wanted.
    pub(crate) fn window(&mut self) -> &mut [u8] {
        self.window
    }
}

/// Puts fields of a structure, by name, into the page that has it: whole, or from byte `start` of
/// the page on. A value converts into the type of its field. What is not named stays as it is.
macro_rules! put {
    ($page:expr, $structure:ty { $($field:ident: $value:expr),* $(,)? }) => {
        $crate::exchange::put!($page, 0, $structure { $($field: $value),* })
    };
    ($page:expr, $start:expr, $structure:ty { $($field:ident: $value:expr),* $(,)? }) => {{
        let (page, start): (&mut $crate::exchange::Page<'_>, u32) = (&mut *$page, $start);
        $(
            let offset = start.wrapping_add(::core::mem::offset_of!($structure, $field) as u32);
            let value = $value.into();
            // The value is of the type of the field.
            let _ = |structure: &mut $structure| structure.$field = value;
            page.put_value(offset, value);
        )*
    }};
}
pub(crate) use put;

fn copy_what_fits(into: &mut [u8], data: &[u8]) {
    let length = into.len().min(data.len());
    bytes::put(into, 0, data.get(..length).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTS: Starts = Starts {
        request_start: 16,
        response_start: 8,
    };

    fn page_of(start: u32, length: usize) -> Vec<u8> {
        let mut buffer = [0xEE; 32];
        let mut exchange = Exchange::new(&mut buffer, Request::Stored(16), STARTS);
        let page = exchange.answer(start, length);
        page.put_u32(2, 0x0403_0201);
        page.put_text(8, 4, "ab");
        page.window().to_vec()
    }

    #[test]
    fn every_window_is_the_same_part_of_the_same_page() {
        let whole = page_of(0, 16);
        assert_eq!(
            whole,
            [0, 0, 1, 2, 3, 4, 0, 0, b'a', b'b', b' ', b' ', 0, 0, 0, 0]
        );
        for start in 0..16 {
            for end in start..=16 {
                assert_eq!(page_of(start as u32, end - start), whole[start..end]);
            }
        }
    }

    #[test]
    fn a_window_beyond_the_page_is_zero() {
        assert_eq!(page_of(u32::MAX, 4), [0; 4]);
    }

    #[test]
    fn request_data_of_another_length_are_refused() {
        let mut buffer = [0; 32];
        for request in [Request::Stored(20), Request::InPlace(&[0; 20])] {
            let exchange = Exchange::new(&mut buffer, request, STARTS);
            assert!(exchange.expect_request_data(4).is_ok());
            assert_eq!(
                exchange.expect_request_data(3),
                Err(Failure::new(Status::InvalidInputDataSize))
            );
        }
    }
}
