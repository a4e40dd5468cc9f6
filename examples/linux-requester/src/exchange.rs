//! Requests and their answers: what the protocols need from a socket, so that they can be tested
//! without one.

use std::io;
use std::time::{Duration, Instant};

use crate::address::Destination;

/// A message to be sent as a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who shall answer.
    pub destination: Destination,
    /// Message type, such as 00h for control.
    pub message_type: u8,
    /// Everything behind the message type byte.
    pub body: &'a [u8],
}

/// Sends requests and receives their answers.
pub trait Exchange {
    /// Sends `request` once and returns the first answer for which `accept` holds, without its
    /// message type byte.
    ///
    /// `None` when `wait` has passed. Answers that `accept` refuses, such as a late answer to an
    /// earlier try, are skipped.
    fn exchange(
        &mut self,
        request: Request<'_>,
        wait: Duration,
        accept: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>>;
}

/// One request at a time whose answer is awaited later, so that several sockets can ask at once.
pub trait Ask {
    /// Sends `request` once; `false` if the kernel has no tag for it.
    fn ask(&mut self, request: Request<'_>) -> io::Result<bool>;

    /// The answer, without its message type byte; `None` when `deadline` has passed.
    fn answer(&mut self, message_type: u8, deadline: Instant) -> io::Result<Option<Vec<u8>>>;
}
