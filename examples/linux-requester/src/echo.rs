//! The echo service of the Linux MCTP tools: message type 7Eh, body `CC DE F0` and a payload,
//! answered by the same body.
//!
//! `CC DE` is a PCI vendor ID, `F0` the service. The largest payload is 65,532 bytes: Linux
//! assembles 64 KiB, less the type byte and the three bytes of prefix.

use std::io;
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::exchange::{Ask, Exchange, Request};

/// Vendor defined, PCI.
pub const MESSAGE_TYPE: u8 = 0x7e;
/// Vendor ID and service.
pub const PREFIX: [u8; 3] = [0xcc, 0xde, 0xf0];
/// The largest payload that Linux can receive, in bytes.
pub const LARGEST_PAYLOAD: usize = 65536 - 1 - PREFIX.len();

/// Why an echo failed.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// The payload would not fit into a message.
    #[error("an echo of {0} bytes is larger than the largest possible one, {LARGEST_PAYLOAD}")]
    TooLarge(usize),
    /// No answer.
    #[error("no answer to an echo of {size} bytes within {} ms", wait.as_millis())]
    NoAnswer {
        /// Payload bytes.
        size: usize,
        /// How long the answer was waited for.
        wait: Duration,
    },
    /// Nothing was sent: as many requests to the endpoint as Linux has tags wait for answers.
    #[error("the kernel has no tag for an echo of {0} bytes: eight requests wait for answers")]
    NoTag(usize),
    /// An answer with other content.
    #[error("the answer to an echo of {size} bytes is wrong: {reason}")]
    Wrong {
        /// Payload bytes.
        size: usize,
        /// What is wrong, for people.
        reason: String,
    },
    /// The kernel could not send or receive.
    #[error("cannot send an echo of {size} bytes: {source}")]
    Socket {
        /// Payload bytes.
        size: usize,
        /// What the kernel says.
        source: io::Error,
    },
}

/// A request body whose payload counts up from `start`, so that neighbouring requests differ in
/// every byte.
pub fn encode(size: usize, start: u8) -> Vec<u8> {
    let payload = (0..size).map(|index| (index as u8).wrapping_add(start));
    PREFIX.into_iter().chain(payload).collect()
}

/// What differs between a request and its answer; `None` if nothing does.
pub fn difference(request: &[u8], answer: &[u8]) -> Option<String> {
    if request.len() != answer.len() {
        return Some(format!(
            "{} bytes instead of {}",
            answer.len(),
            request.len()
        ));
    }
    let offset = request
        .iter()
        .zip(answer)
        .position(|(sent, got)| sent != got)?;
    Some(format!(
        "byte {offset} is {:02x}h instead of {:02x}h",
        answer[offset], request[offset]
    ))
}

/// Sends one echo of `size` payload bytes and checks the answer byte by byte.
pub fn echo(
    socket: &mut impl Exchange,
    destination: Destination,
    size: usize,
    start: u8,
    wait: Duration,
) -> Result<(), EchoError> {
    if size > LARGEST_PAYLOAD {
        return Err(EchoError::TooLarge(size));
    }
    let body = encode(size, start);
    let request = Request {
        destination,
        message_type: MESSAGE_TYPE,
        body: &body,
    };
    let answer = socket
        .exchange(request, wait, &mut |_| true)
        .map_err(|source| EchoError::Socket { size, source })?
        .ok_or(EchoError::NoAnswer { size, wait })?;
    check(&body, &answer)
}

fn check(body: &[u8], answer: &[u8]) -> Result<(), EchoError> {
    let size = body.len() - PREFIX.len();
    match difference(body, answer) {
        Some(reason) => Err(EchoError::Wrong { size, reason }),
        None => Ok(()),
    }
}

/// Sends an echo of `size` payload bytes from each socket before it looks for the first answer, and
/// checks all answers byte by byte. Returns how many were sent, at least one: Linux has eight tags
/// for an endpoint, and refuses whoever finds none.
pub fn echo_at_once(
    sockets: &mut [impl Ask],
    destination: Destination,
    size: usize,
    wait: Duration,
) -> Result<usize, EchoError> {
    if size > LARGEST_PAYLOAD {
        return Err(EchoError::TooLarge(size));
    }
    let failed = |source| EchoError::Socket { size, source };
    let mut asked = Vec::new();
    for (start, socket) in (0..).zip(sockets) {
        let body = encode(size, start);
        let request = Request {
            destination,
            message_type: MESSAGE_TYPE,
            body: &body,
        };
        if socket.ask(request).map_err(failed)? {
            asked.push((socket, body));
        }
    }
    if asked.is_empty() {
        return Err(EchoError::NoTag(size));
    }
    let deadline = Instant::now() + wait;
    for (socket, body) in &mut asked {
        let answer = socket.answer(MESSAGE_TYPE, deadline).map_err(failed)?;
        check(body, &answer.ok_or(EchoError::NoAnswer { size, wait })?)?;
    }
    Ok(asked.len())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Peer(fn(&[u8]) -> Option<Vec<u8>>);

    impl Exchange for Peer {
        fn exchange(
            &mut self,
            request: Request<'_>,
            _wait: Duration,
            accept: &mut dyn FnMut(&[u8]) -> bool,
        ) -> io::Result<Option<Vec<u8>>> {
            assert_eq!(request.message_type, 0x7e);
            Ok((self.0)(request.body).filter(|answer| accept(answer)))
        }
    }

    /// A socket of a kernel that has this many tags left.
    struct Asker<'t>(&'t Cell<u8>, Vec<u8>);

    impl Ask for Asker<'_> {
        fn ask(&mut self, request: Request<'_>) -> io::Result<bool> {
            let has_tag = self.0.get() > 0;
            if has_tag {
                self.0.update(|left| left - 1);
                self.1 = request.body.to_vec();
            }
            Ok(has_tag)
        }

        fn answer(&mut self, _type: u8, _deadline: Instant) -> io::Result<Option<Vec<u8>>> {
            Ok(Some(self.1.clone()).filter(|body| !body.is_empty()))
        }
    }

    #[test]
    fn of_echoes_at_once_those_are_sent_that_have_a_tag_and_each_is_checked() {
        let tags = Cell::new(8);
        let mut sockets: Vec<_> = (0..12).map(|_| Asker(&tags, Vec::new())).collect();
        let wait = Duration::from_millis(1);
        let mut at_once = |size| echo_at_once(&mut sockets, Destination::EndpointId(9), size, wait);
        assert_eq!(at_once(3000).unwrap(), 8);
        let failed = at_once(3000).unwrap_err();
        assert!(matches!(failed, EchoError::NoTag(3000)), "{failed}");
        assert_ne!(sockets[0].1, sockets[1].1, "each has its own content");
    }

    #[test]
    fn an_echo_at_once_without_an_answer_or_with_a_wrong_one_fails() {
        struct Silent(Option<Vec<u8>>);
        impl Ask for Silent {
            fn ask(&mut self, _request: Request<'_>) -> io::Result<bool> {
                Ok(true)
            }

            fn answer(&mut self, _type: u8, _deadline: Instant) -> io::Result<Option<Vec<u8>>> {
                Ok(self.0.take())
            }
        }
        let outcome = |answer: Option<&[u8]>| {
            let mut sockets = [Silent(answer.map(<[u8]>::to_vec))];
            let to = Destination::EndpointId(9);
            let failed = echo_at_once(&mut sockets, to, 2, Duration::ZERO).unwrap_err();
            failed.to_string()
        };
        assert_eq!(outcome(None), "no answer to an echo of 2 bytes within 0 ms");
        assert_eq!(
            outcome(Some(&[0xcc, 0xde, 0xf0, 0, 2])),
            "the answer to an echo of 2 bytes is wrong: byte 4 is 02h instead of 01h"
        );
    }

    fn outcome(peer: fn(&[u8]) -> Option<Vec<u8>>, size: usize) -> Result<(), String> {
        let to = Destination::EndpointId(9);
        let wait = Duration::from_millis(1);
        echo(&mut Peer(peer), to, size, 7, wait).map_err(|error| error.to_string())
    }

    #[test]
    fn body_is_the_prefix_and_a_counting_payload() {
        assert_eq!(encode(3, 0xfe), [0xcc, 0xde, 0xf0, 0xfe, 0xff, 0x00]);
        assert_eq!(encode(0, 1), PREFIX);
    }

    #[test]
    fn the_same_body_is_accepted_at_both_ends_of_the_range() {
        assert_eq!(outcome(|body| Some(body.to_vec()), 0), Ok(()));
        assert_eq!(outcome(|body| Some(body.to_vec()), LARGEST_PAYLOAD), Ok(()));
        assert!(outcome(|body| Some(body.to_vec()), LARGEST_PAYLOAD + 1).is_err());
    }

    #[test]
    fn a_short_a_changed_and_a_missing_answer_are_told_apart() {
        let short = outcome(|body| Some(body[1..].to_vec()), 10).unwrap_err();
        assert!(short.ends_with("12 bytes instead of 13"), "{short}");
        let changed = outcome(
            |body| {
                let mut answer = body.to_vec();
                answer[5] ^= 0x80;
                Some(answer)
            },
            10,
        )
        .unwrap_err();
        assert!(
            changed.ends_with("byte 5 is 89h instead of 09h"),
            "{changed}"
        );
        assert_eq!(
            outcome(|_| None, 10).unwrap_err(),
            "no answer to an echo of 10 bytes within 1 ms"
        );
    }
}
