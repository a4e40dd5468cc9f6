//! The echo service of the Linux MCTP tools: message type 7Eh, body `CC DE F0` and a payload,
//! answered by the same body.
//!
//! `CC DE` is a PCI vendor ID, `F0` the service. The largest payload is 65,532 bytes: Linux
//! assembles 64 KiB, less the type byte and the three bytes of prefix.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::exchange::{Ask, Exchange, Request};

/// Vendor defined, PCI.
pub const MESSAGE_TYPE: u8 = 0x7e;
/// Vendor ID and service.
pub const PREFIX: [u8; 3] = [0xcc, 0xde, 0xf0];
/// The largest payload that Linux can receive, in bytes.
pub const LARGEST_PAYLOAD: usize = 65536 - 1 - PREFIX.len();

/// Threads that are to send at once begin this long after the first of them was started.
const HEAD_START: Duration = Duration::from_millis(10);
/// Between two looks at several sockets.
const PAUSE: Duration = Duration::from_millis(1);

/// What became of echoes that were asked for at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtOnce {
    /// Those that Linux sent.
    pub sent: usize,
    /// Those that Linux refused with `EBUSY`: all eight tags for the endpoint wait for answers.
    pub refused: usize,
    /// Which of them were sent and not answered, counted from 0.
    pub unanswered: Vec<usize>,
}

impl AtOnce {
    /// Those that were answered with the right content.
    pub fn answered(&self) -> usize {
        self.sent - self.unanswered.len()
    }
}

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
    /// An answer with other content.
    #[error("the answer to an echo of {size} bytes is wrong: {reason}")]
    Wrong {
        /// Payload bytes.
        size: usize,
        /// What is wrong, for people.
        reason: String,
    },
    /// The kernel could not send or receive.
    #[error("cannot send an echo of {size} bytes")]
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

/// Sends so many echoes of `size` payload bytes from one socket before the first answer, and checks
/// the answers byte by byte, in whatever order they come. `start` is as in [`encode`], for the first
/// of them.
///
/// The socket has to take the answers to all of them, as one with a tag of its own does.
pub fn echo_ahead(
    socket: &mut impl Ask,
    destination: Destination,
    at_once: u8,
    size: usize,
    start: u8,
    wait: Duration,
) -> Result<(), EchoError> {
    if size > LARGEST_PAYLOAD {
        return Err(EchoError::TooLarge(size));
    }
    let failed = |source| EchoError::Socket { size, source };
    let bodies = (0..at_once).map(|number| encode(size, start.wrapping_add(number)));
    let mut unanswered: Vec<_> = bodies.collect();
    for body in &unanswered {
        let request = Request {
            destination,
            message_type: MESSAGE_TYPE,
            body,
        };
        if !socket.ask(request).map_err(failed)? {
            return Err(failed(io::ErrorKind::ResourceBusy.into()));
        }
    }
    let deadline = Instant::now() + wait;
    while let Some(oldest) = unanswered.first() {
        let answer = socket.answer(MESSAGE_TYPE, deadline).map_err(failed)?;
        let answer = answer.ok_or(EchoError::NoAnswer { size, wait })?;
        match unanswered.iter().position(|body| *body == answer) {
            Some(answered) => drop(unanswered.remove(answered)),
            None => check(oldest, &answer)?,
        }
    }
    Ok(())
}

fn check(body: &[u8], answer: &[u8]) -> Result<(), EchoError> {
    let size = body.len() - PREFIX.len();
    match difference(body, answer) {
        Some(reason) => Err(EchoError::Wrong { size, reason }),
        None => Ok(()),
    }
}

/// Sends an echo of `size` payload bytes from each socket at once, each from a thread of its own,
/// and checks the answers byte by byte. `start` is as in [`encode`], for the first of them.
///
/// When the first answer has come, its socket sends another, empty echo. A device that answers in
/// the order in which requests become complete answers that one last: what is not answered then is
/// lost, and is not waited for. Nothing is waited for longer than `wait`.
pub fn echo_at_once(
    sockets: Vec<impl Ask + Send>,
    destination: Destination,
    size: usize,
    start: u8,
    wait: Duration,
) -> Result<AtOnce, EchoError> {
    if size > LARGEST_PAYLOAD {
        return Err(EchoError::TooLarge(size));
    }
    let begin = Instant::now() + HEAD_START;
    let outcomes: Vec<_> = thread::scope(|scope| {
        let start_thread = |(number, socket): (u8, _)| {
            let body = encode(size, start.wrapping_add(number));
            scope.spawn(move || {
                thread::sleep(begin.saturating_duration_since(Instant::now()));
                Echo::ask(socket, destination, body)
            })
        };
        let threads: Vec<_> = (0..).zip(sockets).map(start_thread).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let asked = outcomes.len();
    let mut echoes = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        echoes.extend(outcome?.map(|echo| (number, echo)));
    }
    let sent = echoes.len();
    Ok(AtOnce {
        sent,
        refused: asked - sent,
        unanswered: without_answer(echoes, destination, wait)?,
    })
}

/// An echo that was sent.
struct Echo<S> {
    socket: S,
    body: Vec<u8>,
}

impl<S: Ask> Echo<S> {
    /// `None` when the kernel has no tag for it.
    fn ask(
        mut socket: S,
        destination: Destination,
        body: Vec<u8>,
    ) -> Result<Option<Self>, EchoError> {
        let request = Request {
            destination,
            message_type: MESSAGE_TYPE,
            body: &body,
        };
        match socket.ask(request) {
            Ok(true) => Ok(Some(Self { socket, body })),
            Ok(false) => Ok(None),
            Err(source) => Err(EchoError::Socket {
                size: body.len() - PREFIX.len(),
                source,
            }),
        }
    }

    /// Whether the right answer comes before `deadline`.
    fn is_answered(&mut self, deadline: Instant) -> Result<bool, EchoError> {
        let answer = self.socket.answer(MESSAGE_TYPE, deadline);
        let answer = answer.map_err(|source| EchoError::Socket {
            size: self.body.len() - PREFIX.len(),
            source,
        })?;
        answer.map_or(Ok(false), |answer| {
            check(&self.body, &answer).map(|()| true)
        })
    }
}

/// The numbers of the echoes that are not answered.
fn without_answer<S: Ask>(
    mut echoes: Vec<(usize, Echo<S>)>,
    destination: Destination,
    wait: Duration,
) -> Result<Vec<usize>, EchoError> {
    let deadline = Instant::now() + wait;
    if let Some(place) = first_answered(&mut echoes, deadline)? {
        let (_, first) = echoes.swap_remove(place);
        if !ask_last(first.socket, destination, deadline)? {
            return Err(EchoError::NoAnswer { size: 0, wait });
        }
    }
    let mut unanswered = Vec::new();
    for (number, echo) in &mut echoes {
        if !echo.is_answered(Instant::now())? {
            unanswered.push(*number);
        }
    }
    unanswered.sort_unstable();
    Ok(unanswered)
}

/// Which one is answered first.
fn first_answered<S: Ask>(
    echoes: &mut [(usize, Echo<S>)],
    deadline: Instant,
) -> Result<Option<usize>, EchoError> {
    loop {
        for (place, (_, echo)) in echoes.iter_mut().enumerate() {
            if echo.is_answered(Instant::now())? {
                return Ok(Some(place));
            }
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// Sends an empty echo behind all others; whether it is answered. The kernel gives the tag of an
/// answered request back a moment after the answer.
fn ask_last<S: Ask>(
    mut socket: S,
    destination: Destination,
    deadline: Instant,
) -> Result<bool, EchoError> {
    let body = encode(0, 0);
    let request = Request {
        destination,
        message_type: MESSAGE_TYPE,
        body: &body,
    };
    let failed = |source| EchoError::Socket { size: 0, source };
    while !socket.ask(request).map_err(failed)? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
    Echo { socket, body }.is_answered(deadline)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU8;
    use std::sync::atomic::Ordering::Relaxed;

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

    /// A socket of a kernel that has this many tags left, for a device that loses what `is_lost`
    /// says.
    struct Asker<'t> {
        tags: &'t AtomicU8,
        is_lost: fn(&[u8]) -> bool,
        answer: Option<Vec<u8>>,
    }

    impl<'t> Asker<'t> {
        fn twelve(tags: &'t AtomicU8, is_lost: fn(&[u8]) -> bool) -> Vec<Self> {
            let one = |_| Self {
                tags,
                is_lost,
                answer: None,
            };
            (0..12).map(one).collect()
        }
    }

    impl Ask for Asker<'_> {
        fn ask(&mut self, request: Request<'_>) -> io::Result<bool> {
            let take = |left: u8| left.checked_sub(1);
            let has_tag = self.tags.fetch_update(Relaxed, Relaxed, take).is_ok();
            let is_answered = has_tag && !(self.is_lost)(request.body);
            self.answer = is_answered.then(|| request.body.to_vec());
            Ok(has_tag)
        }

        fn answer(&mut self, _type: u8, _deadline: Instant) -> io::Result<Option<Vec<u8>>> {
            let answer = self.answer.take();
            if answer.is_some() {
                self.tags.fetch_add(1, Relaxed);
            }
            Ok(answer)
        }
    }

    fn at_once(sockets: Vec<impl Ask + Send>) -> Result<AtOnce, EchoError> {
        let wait = Duration::from_millis(1);
        echo_at_once(sockets, Destination::EndpointId(9), 3000, 250, wait)
    }

    #[test]
    fn of_echoes_at_once_those_are_sent_that_have_a_tag() {
        let tags = AtomicU8::new(8);
        let outcome = at_once(Asker::twelve(&tags, |_| false)).unwrap();
        assert_eq!((outcome.sent, outcome.refused), (8, 4));
        assert_eq!(outcome.answered(), 8);
    }

    #[test]
    fn those_without_an_answer_are_named_when_a_later_echo_is_answered() {
        let tags = AtomicU8::new(12);
        // The contents of these begin with their numbers and 250.
        let is_lost = |body: &[u8]| matches!(body.get(3), Some(253 | 5));
        let outcome = at_once(Asker::twelve(&tags, is_lost)).unwrap();
        assert_eq!(outcome.unanswered, [3, 11]);
        assert_eq!((outcome.sent, outcome.answered()), (12, 10));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_device_that_answers_nothing() {
        let tags = AtomicU8::new(2);
        let outcome = at_once(Asker::twelve(&tags, |_| true)).unwrap();
        assert_eq!((outcome.unanswered.len(), outcome.answered()), (2, 0));
        let tags = AtomicU8::new(1);
        let is_last = |body: &[u8]| body.len() == PREFIX.len();
        let failed = at_once(Asker::twelve(&tags, is_last)).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "no answer to an echo of 0 bytes within 1 ms"
        );
    }

    #[test]
    fn an_echo_at_once_with_a_wrong_answer_fails() {
        struct Wrong;
        impl Ask for Wrong {
            fn ask(&mut self, _request: Request<'_>) -> io::Result<bool> {
                Ok(true)
            }

            fn answer(&mut self, _type: u8, _deadline: Instant) -> io::Result<Option<Vec<u8>>> {
                Ok(Some(vec![0xcc, 0xde, 0xf0, 0, 2]))
            }
        }
        let failed = at_once(vec![Wrong, Wrong]).unwrap_err().to_string();
        assert!(failed.ends_with("5 bytes instead of 3003"), "{failed}");
    }

    /// Answers that come one after the other, whatever was asked.
    struct Answers(Vec<Vec<u8>>);

    impl Ask for Answers {
        fn ask(&mut self, _request: Request<'_>) -> io::Result<bool> {
            Ok(true)
        }

        fn answer(&mut self, _type: u8, _deadline: Instant) -> io::Result<Option<Vec<u8>>> {
            Ok(self.0.pop())
        }
    }

    fn ahead(answers: Vec<Vec<u8>>) -> Result<(), String> {
        let to = Destination::EndpointId(9);
        let wait = Duration::from_millis(1);
        let outcome = echo_ahead(&mut Answers(answers), to, 3, 10, 5, wait);
        outcome.map_err(|error| error.to_string())
    }

    #[test]
    fn echoes_ahead_of_their_answers_are_each_answered_once_in_any_order() {
        let in_order = |numbers: [u8; 3]| numbers.map(|number| encode(10, number)).to_vec();
        assert_eq!(ahead(in_order([7, 6, 5])), Ok(()));
        assert_eq!(ahead(in_order([5, 7, 6])), Ok(()));
        let twice = ahead(in_order([6, 7, 7])).unwrap_err();
        assert!(twice.ends_with("byte 3 is 07h instead of 05h"), "{twice}");
        let missing = ahead(in_order([7, 6, 5])[1..].to_vec()).unwrap_err();
        assert_eq!(missing, "no answer to an echo of 10 bytes within 1 ms");
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
