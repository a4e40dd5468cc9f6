//! A response while it is built (DSP0236 1.3.3, sections 11.4 and 11.6).

use heapless::Vec;
use mctp_transport::BASELINE_TRANSMISSION_UNIT;
use zerocopy::{FromBytes, transmute};

use super::{CompletionCode, Header, Message, ResponseHeader};

/// A response: message type, header and data, in one packet of the baseline unit, 64 bytes
/// (DSP0236 1.3.3, section 11.6).
///
/// ```
/// use mctp_router::wire::{Command, CompletionCode, Header, Response};
///
/// let mut response = Response::to(&Header::request(3, Command::GET_ENDPOINT_ID));
/// response.put(&[9, 0x00, 0x00]);
/// assert_eq!(response.as_bytes(), [0x00, 0x03, 0x02, 0x00, 9, 0x00, 0x00]);
/// response.refuse(CompletionCode::NOT_READY);
/// assert_eq!(response.as_bytes(), [0x00, 0x03, 0x02, 0x04]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response(Vec<u8, BASELINE_TRANSMISSION_UNIT>);

impl Response {
    /// The response of a success, without data so far.
    pub fn to(request: &Header) -> Self {
        let header = ResponseHeader::to(request, CompletionCode::SUCCESS);
        let bytes: [u8; size_of::<Message<ResponseHeader>>()] = transmute!(Message::new(header));
        Self(Vec::from(bytes))
    }

    /// Appends data. What does not fit makes the response one of
    /// [`CompletionCode::INVALID_DATA`]; to one that is no success, nothing is appended.
    #[inline(never)]
    pub fn put(&mut self, data: &[u8]) {
        let is_success = self.is_success();
        if is_success && self.0.extend_from_slice(data).is_err() {
            self.refuse(CompletionCode::INVALID_DATA);
        }
    }

    /// Appends data if there is room for all of them, and returns whether there was. To a response
    /// that is no success, nothing is appended.
    pub(super) fn put_whole(&mut self, parts: [&[u8]; 2]) -> bool {
        let len_before = self.0.len();
        let is_success = self.is_success();
        let appended = is_success
            && parts
                .iter()
                .all(|part| self.0.extend_from_slice(part).is_ok());
        if !appended {
            self.0.truncate(len_before);
        }
        appended
    }

    /// Makes it a response of this completion code, without data.
    pub fn refuse(&mut self, completion_code: CompletionCode) {
        if let Some((header, _)) = self.parts() {
            header.completion_code = completion_code;
        }
        self.0.truncate(size_of::<Message<ResponseHeader>>());
    }

    /// The message, from its message type on.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn is_success(&mut self) -> bool {
        self.parts()
            .is_some_and(|(header, _)| header.completion_code.is_success())
    }

    /// Header and data so far.
    pub(super) fn parts(&mut self) -> Option<(&mut ResponseHeader, &mut [u8])> {
        let (message, data) = Message::mut_from_prefix(&mut self.0).ok()?;
        Some((&mut message.body, data))
    }
}
