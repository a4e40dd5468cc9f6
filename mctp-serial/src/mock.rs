//! Byte streams that do what a script says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

use crate::Line;

/// Polls so often; `None` when it still waits then.
pub(crate) fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MockError(pub(crate) ErrorKind);

impl core::fmt::Display for MockError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl core::error::Error for MockError {}

impl Error for MockError {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

/// What comes of a read.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Bytes(Vec<u8>),
    Error(ErrorKind),
    /// The end of the stream.
    End,
}

/// Reads what the script says, then waits.
#[derive(Clone, Debug)]
pub(crate) struct MockRead(pub(crate) Rc<RefCell<VecDeque<Step>>>);

impl MockRead {
    pub(crate) fn new(script: impl IntoIterator<Item = Step>) -> Self {
        Self(Rc::new(RefCell::new(script.into_iter().collect())))
    }

    pub(crate) fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().push_back(Step::Bytes(bytes.to_vec()));
    }
}

impl ErrorType for MockRead {
    type Error = MockError;
}

impl Read for MockRead {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, MockError> {
        poll_fn(|_| {
            let mut script = self.0.borrow_mut();
            Poll::Ready(match script.pop_front() {
                Some(Step::Bytes(mut bytes)) => {
                    let rest = bytes.split_off(bytes.len().min(buffer.len()));
                    if !rest.is_empty() {
                        script.push_front(Step::Bytes(rest));
                    }
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                Some(Step::Error(kind)) => Err(MockError(kind)),
                Some(Step::End) => Ok(0),
                None => return Poll::Pending,
            })
        })
        .await
    }
}

/// The link comes back at once.
impl Line for MockRead {
    async fn wait_connected(&mut self) {}
}

/// What was written, and what comes of writing.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) flushes: usize,
    /// So many bytes are taken, then the outcome is this.
    pub(crate) limit: Option<(usize, Outcome)>,
    pub(crate) flush_error: Option<ErrorKind>,
    /// At most so many bytes are taken at once, unless 0.
    pub(crate) at_once: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Wait,
    Error(ErrorKind),
    Nothing,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct MockWrite(pub(crate) Rc<RefCell<Written>>);

impl MockWrite {
    /// What was written since the last call.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().bytes)
    }

    pub(crate) fn limit(&self, len: usize, outcome: Outcome) {
        self.0.borrow_mut().limit = Some((len, outcome));
    }

    pub(crate) fn no_limit(&self) {
        self.0.borrow_mut().limit = None;
    }
}

impl ErrorType for MockWrite {
    type Error = MockError;
}

impl Write for MockWrite {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, MockError> {
        poll_fn(|_| {
            let mut written = self.0.borrow_mut();
            let mut len = bytes.len();
            if written.at_once > 0 {
                len = len.min(written.at_once);
            }
            match &mut written.limit {
                Some((0, Outcome::Wait)) => return Poll::Pending,
                Some((0, Outcome::Error(kind))) => return Poll::Ready(Err(MockError(*kind))),
                Some((0, Outcome::Nothing)) => return Poll::Ready(Ok(0)),
                Some((left, _)) => {
                    len = len.min(*left);
                    *left -= len;
                }
                None => {}
            }
            written.bytes.extend_from_slice(&bytes[..len]);
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), MockError> {
        let mut written = self.0.borrow_mut();
        written.flushes += 1;
        match written.flush_error {
            Some(kind) => Err(MockError(kind)),
            None => Ok(()),
        }
    }
}
