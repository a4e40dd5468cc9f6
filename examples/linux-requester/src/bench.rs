//! The benchmark service of the Linux MCTP tools, from the receiver's side: message type 7Eh,
//! numbers little-endian.
//!
//! | offset | request | response | data message |
//! |---|---|---|---|
//! | 0 | `CC DE F1` | `CC DE F1` | `CC DE F1` |
//! | 3 | `DD 22` | `DD 22` | `CA BE` |
//! | 5 | version, 1 | version, 1 | sequence number, 4 bytes, from FFFFFFFAh |
//! | 6 | command, 1 | 0 | |
//! | 7 | instance ID, 4 bytes | instance ID, 4 bytes | |
//! | 9 | | | payload: each byte is its offset modulo 256 |
//! | 11 | flags, 4 bytes, 0 | status, 1 byte | |
//! | 15 | bytes of a data message, 2 bytes | | |
//! | 17 | number of data messages, 8 bytes | | |

use std::io;
use std::time::Duration;

use crate::address::Destination;
use crate::exchange::{Exchange, Request};

/// Vendor defined, PCI.
pub const MESSAGE_TYPE: u8 = 0x7e;
/// The shortest data message in bytes.
pub const SHORTEST: u16 = 9;

const PREFIX: [u8; 5] = [0xcc, 0xde, 0xf1, 0xca, 0xbe];
const COMMAND_PREFIX: [u8; 6] = [0xcc, 0xde, 0xf1, 0xdd, 0x22, 1];
const REQUEST_BENCH: u8 = 1;
const RESPONSE: u8 = 0;
const FIRST_NUMBER: u32 = 0xffff_fffa;
const INSTANCE_ID: u32 = 0x1122_3344;
/// Longer than a slow emulated machine takes.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The kernel did not take the request.
    #[error("cannot send the request for a stream")]
    Socket(#[from] io::Error),
    /// There was no answer.
    #[error("no answer to the request for a stream")]
    NoAnswer,
    /// The answer has another status than 0.
    #[error("the request for a stream was refused: {}", status_name(*.0))]
    Refused(u8),
}

/// Asks an endpoint for a stream of `count` messages of `length` bytes, in place of the one that
/// it may be sending.
pub fn request(
    socket: &mut impl Exchange,
    destination: Destination,
    length: u16,
    count: u64,
) -> Result<(), RequestError> {
    let body = encode_request(INSTANCE_ID, length, count);
    let request = Request {
        destination,
        message_type: MESSAGE_TYPE,
        body: &body,
    };
    let is_response = &mut |answer: &[u8]| response_status(answer, INSTANCE_ID).is_some();
    let answer = socket.exchange(request, ANSWER_TIME, is_response)?;
    match answer.and_then(|answer| response_status(&answer, INSTANCE_ID)) {
        Some(0) => Ok(()),
        Some(status) => Err(RequestError::Refused(status)),
        None => Err(RequestError::NoAnswer),
    }
}

/// The body of a request for `count` messages of `length` bytes.
pub fn encode_request(instance_id: u32, length: u16, count: u64) -> Vec<u8> {
    let mut body = COMMAND_PREFIX.to_vec();
    body.push(REQUEST_BENCH);
    body.extend(instance_id.to_le_bytes());
    body.extend([0; 4]);
    body.extend(length.to_le_bytes());
    body.extend(count.to_le_bytes());
    body
}

/// The status in the response to a request; `None` if it is none.
pub fn response_status(body: &[u8], instance_id: u32) -> Option<u8> {
    match body.strip_prefix(&COMMAND_PREFIX)? {
        [RESPONSE, answered @ .., status] if *answered == instance_id.to_le_bytes() => {
            Some(*status)
        }
        _ => None,
    }
}

/// Asks for a stream, as [`request`] does, and runs `receive`. If that fails, the endpoint is asked
/// to end the stream; `report` gets a line if it does not.
pub fn with_stream<T, E: From<RequestError>>(
    socket: &mut impl Exchange,
    destination: Destination,
    (length, count): (u16, u64),
    report: &mut dyn FnMut(&str),
    receive: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    request(socket, destination, length, count)?;
    let received = receive();
    if received.is_err()
        && let Err(error) = request(socket, destination, length, 0)
    {
        report(&format!("cannot undo: end the stream: {error}"));
    }
    received
}

/// A status for people.
pub fn status_name(status: u8) -> &'static str {
    match status {
        0 => "success",
        2 => "unknown command",
        3 => "bad argument",
        _ => "error",
    }
}

/// What came of a stream, or of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that came.
    pub received: u64,
    /// Messages missing, by the gaps in their numbers.
    pub dropped: u64,
    /// Messages with another length or content than asked for, or a number that was there before.
    pub invalid: u64,
}

impl Counts {
    /// What came after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            received: self.received - before.received,
            dropped: self.dropped - before.dropped,
            invalid: self.invalid - before.invalid,
        }
    }

    /// The line that `mctp-bench recv` prints, to be compared with; its kB has 1024 bytes. All
    /// messages have `length` bytes.
    pub fn line(&self, length: u16, time: Duration) -> String {
        let Self {
            received,
            dropped,
            invalid,
        } = self;
        let kilobytes = (received * u64::from(length)) as f64 / 1024.0;
        // Not nothing, to divide by.
        let seconds = time.as_secs_f64().max(0.001);
        format!(
            "Throughput: {:.2} kB/s | Received: {received} msgs | Dropped: {dropped} msgs | Invalid: {invalid} msgs",
            kilobytes / seconds
        )
    }
}

/// Follows a stream of messages that have to be all alike but for their numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What came so far.
    pub counts: Counts,
    /// The next message, but for its number.
    expected: Vec<u8>,
    number: u32,
}

impl Stream {
    /// A stream of messages of `length` bytes.
    pub fn new(length: u16) -> Self {
        let mut expected: Vec<_> = (0..length).map(|offset| offset as u8).collect();
        let prefix = PREFIX.len().min(expected.len());
        expected[..prefix].copy_from_slice(&PREFIX[..prefix]);
        Self {
            counts: Counts::default(),
            expected,
            number: FIRST_NUMBER,
        }
    }

    /// Messages of the stream up to the last one that came.
    pub fn position(&self) -> u64 {
        self.counts.received + self.counts.dropped
    }

    /// Counts a message.
    pub fn receive(&mut self, body: &[u8]) {
        self.counts.received += 1;
        let number = body.get(5..9).and_then(|bytes| bytes.try_into().ok());
        let Some(number) = number.map(u32::from_le_bytes) else {
            self.counts.invalid += 1;
            return;
        };
        let ahead = number.wrapping_sub(self.number);
        let is_ahead = ahead < 1 << 31;
        if is_ahead {
            self.counts.dropped += u64::from(ahead);
        }
        let is_right = body.len() == self.expected.len()
            && body[..5] == self.expected[..5]
            && body[9..] == self.expected[9..];
        if !is_ahead || !is_right {
            self.counts.invalid += 1;
        }
        self.number = number.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes note of the count of each request, and answers with this status, or not; a request to
    /// end the stream only if it `ends`.
    struct Sender {
        counts: Vec<u64>,
        status: Option<u8>,
        ends: bool,
    }

    fn sender(status: Option<u8>) -> Sender {
        Sender {
            counts: Vec::new(),
            status,
            ends: true,
        }
    }

    impl Exchange for Sender {
        fn exchange(
            &mut self,
            request: Request<'_>,
            _wait: Duration,
            accept: &mut dyn FnMut(&[u8]) -> bool,
        ) -> io::Result<Option<Vec<u8>>> {
            let count = u64::from_le_bytes(*request.body.last_chunk().unwrap());
            self.counts.push(count);
            if count == 0 && !self.ends {
                return Ok(None);
            }
            let mut answer = COMMAND_PREFIX.to_vec();
            answer.push(RESPONSE);
            answer.extend(INSTANCE_ID.to_le_bytes());
            answer.extend(self.status);
            Ok(self.status.map(|_| answer).filter(|answer| accept(answer)))
        }
    }

    const PEER: Destination = Destination::EndpointId(9);

    #[test]
    fn a_stream_that_cannot_be_received_is_ended() {
        let mut sender = sender(Some(0));
        let mut lines = Vec::new();
        let report = &mut |line: &str| lines.push(line.to_owned());
        let mut run = |received: Result<(), RequestError>| {
            with_stream(&mut sender, PEER, (100, 5), report, || received)
        };
        assert!(run(Ok(())).is_ok());
        assert!(run(Err(RequestError::NoAnswer)).is_err());
        assert_eq!(sender.counts, [5, 5, 0]);
        assert!(lines.is_empty());
    }

    #[test]
    fn a_stream_that_cannot_be_ended_is_reported() {
        let mut lines = Vec::new();
        let report = &mut |line: &str| lines.push(line.to_owned());
        let mut sender = sender(Some(0));
        sender.ends = false;
        let result = with_stream(&mut sender, PEER, (100, 5), report, || {
            Err::<(), _>(RequestError::Refused(1))
        });
        assert!(matches!(result, Err(RequestError::Refused(1))));
        assert_eq!(
            lines,
            ["cannot undo: end the stream: no answer to the request for a stream"]
        );
    }

    #[test]
    fn a_stream_that_is_refused_is_not_received() {
        for (status, text) in [
            (
                Some(3),
                "the request for a stream was refused: bad argument",
            ),
            (None, "no answer to the request for a stream"),
        ] {
            let mut sender = sender(status);
            let receive = || -> Result<(), RequestError> { panic!("there is no stream") };
            let result = with_stream(&mut sender, PEER, (100, 5), &mut |_| {}, receive);
            assert_eq!(result.unwrap_err().to_string(), text);
        }
    }

    fn message(number: u32, length: u8) -> Vec<u8> {
        let payload = 9..length;
        let number = number.to_le_bytes();
        PREFIX.into_iter().chain(number).chain(payload).collect()
    }

    fn counts(received: u64, dropped: u64, invalid: u64) -> Counts {
        Counts {
            received,
            dropped,
            invalid,
        }
    }

    #[test]
    fn line_is_that_of_the_tools() {
        let counts = counts(2048, 3, 1).since(&counts(1024, 1, 0));
        assert_eq!(
            counts.line(100, Duration::from_secs(2)),
            "Throughput: 50.00 kB/s | Received: 1024 msgs | Dropped: 2 msgs | Invalid: 1 msgs"
        );
        assert!(
            counts
                .line(100, Duration::ZERO)
                .starts_with("Throughput: 100000.00 kB/s")
        );
    }

    #[test]
    fn request_is_that_of_the_tools() {
        let body = encode_request(0x1122_3344, 100, 18_000_000_000_000_000_000);
        let expected = [
            0xcc, 0xde, 0xf1, 0xdd, 0x22, 1, 1, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0x64, 0, 0, 0,
            0x08, 0xc5, 0xa1, 0xd8, 0xcc, 0xf9,
        ];
        assert_eq!(body, expected);
    }

    #[test]
    fn response_has_the_instance_id_of_the_request() {
        let body = [0xcc, 0xde, 0xf1, 0xdd, 0x22, 1, 0, 4, 3, 2, 1, 3];
        assert_eq!(response_status(&body, 0x0102_0304), Some(3));
        assert_eq!(response_status(&body, 0x0102_0305), None);
        assert_eq!(response_status(&body[..11], 0x0102_0304), None);
        assert_eq!(response_status(&encode_request(1, 100, 1), 1), None);
    }

    #[test]
    fn messages_that_are_as_asked_for_are_good_even_where_their_numbers_wrap() {
        let mut stream = Stream::new(20);
        for place in 0..20 {
            stream.receive(&message(FIRST_NUMBER.wrapping_add(place), 20));
        }
        assert_eq!(stream.counts, counts(20, 0, 0));
    }

    #[test]
    fn gaps_are_dropped_messages_and_repetitions_are_invalid() {
        let mut stream = Stream::new(9);
        for place in [1, 2, 5, 5, 6] {
            stream.receive(&message(FIRST_NUMBER.wrapping_add(place), 9));
        }
        assert_eq!(stream.counts, counts(5, 3, 1));
    }

    #[test]
    fn other_lengths_and_contents_are_invalid() {
        let good = message(FIRST_NUMBER, 20);
        let mut wrong: Vec<_> = [0, 4, 9, 19]
            .map(|place| {
                let mut body = good.clone();
                body[place] ^= 1;
                body
            })
            .into();
        wrong.extend([
            good[..19].to_vec(),
            good[..8].to_vec(),
            message(FIRST_NUMBER, 21),
        ]);
        for body in wrong {
            let mut stream = Stream::new(20);
            stream.receive(&body);
            assert_eq!(stream.counts, counts(1, 0, 1), "{body:?}");
        }
    }
}
