//! Serves the byte stream.

use core::future::poll_fn;
use core::task::Poll;

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Error as _, ErrorKind, Read, Write};

use crate::State;
use crate::engine::Blocked;

/// Bytes moved in one call of the stream.
const CHUNK: usize = 1024;
/// How often [`Runner::run`] lets other tasks run before it gives an OUT endpoint up.
const YIELDS: u32 = 10_000;
/// How often other tasks run after the patience is over: one that was not scheduled either has its
/// chance to read.
const YIELDS_AFTER_PATIENCE: u32 = 100;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// Reading the stream failed.
    #[error("cannot read from the guest: {0:?}")]
    Read(ErrorKind),
    /// Writing the stream failed.
    #[error("cannot write to the guest: {0:?}")]
    Write(ErrorKind),
    /// What came is not the usbredir protocol: no hello first, or a length that cannot be.
    #[error("the peer does not speak the usbredir protocol")]
    Protocol,
}

/// What came is not this protocol.
#[derive(Debug)]
pub(crate) struct ProtocolError;

/// How many bytes were taken, and what the rest has to wait for; without the latter, all were
/// taken.
type Progress = (usize, Option<Blocked>);

/// Lets all other tasks run so many times.
async fn yield_times(times: u32) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// Serves the connection to a guest; without it, nothing of the driver moves.
pub struct Runner<'d, M: RawMutex> {
    pub(crate) state: &'d State<'d, M>,
}

/// Makes the connection end however the future ends.
struct Connection<'a, 'd, M: RawMutex>(&'a State<'d, M>);

impl<M: RawMutex> Drop for Connection<'_, '_, M> {
    fn drop(&mut self) {
        self.0.with(|engine| engine.link_down());
    }
}

impl<M: RawMutex> Runner<'_, M> {
    /// Serves one connection: from hello until the stream ends (`Ok`) or fails, or the future is
    /// dropped.
    ///
    /// Then the device sees that its power was removed, and this can be called again with the next
    /// stream. On a serial line, where no end can be seen, a guest that says hello again counts
    /// as a new connection too.
    ///
    /// # Errors
    ///
    /// The stream's own errors, and [`Error::Protocol`].
    pub async fn run(&mut self, read: impl Read, write: impl Write) -> Result<(), Error> {
        self.run_with_patience(read, write, async || yield_times(YIELDS).await)
            .await
    }

    /// Like [`run`](Self::run), with a clock.
    ///
    /// All endpoints share the stream. When an OUT endpoint's queue is full, the stream waits for
    /// the device to read it, but not longer than `patience()` takes: then the transfer fails
    /// with an I/O error, and so does each later one that does not fit, until the device reads
    /// again. Without a clock, `run` lets all other tasks run 10,000 times. After `patience()`
    /// they run 100 times more, as a clock goes on while the whole process stands still.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_with_patience(
        &mut self,
        read: impl Read,
        write: impl Write,
        patience: impl AsyncFnMut(),
    ) -> Result<(), Error> {
        self.state.with(|engine| engine.link_up());
        let _connection = Connection(self.state);
        match select(self.receive(read, patience), self.transmit(write)).await {
            Either::First(result) | Either::Second(result) => result,
        }
    }

    async fn receive(
        &self,
        mut read: impl Read,
        mut patience: impl AsyncFnMut(),
    ) -> Result<(), Error> {
        let mut chunk = [0; CHUNK];
        loop {
            let length = read
                .read(&mut chunk)
                .await
                .map_err(|error| Error::Read(error.kind()))?;
            if length == 0 {
                return Ok(());
            }
            self.feed(chunk.get(..length).unwrap_or_default(), &mut patience)
                .await?;
        }
    }

    /// Hands bytes to the engine until it has taken all, and waits where it has to.
    async fn feed(&self, mut bytes: &[u8], patience: &mut impl AsyncFnMut()) -> Result<(), Error> {
        loop {
            let mut received = self.receive_now(bytes)?;
            if let (0, Some(blocked)) = received {
                received = self.wait(bytes, blocked, patience).await?;
            }
            let (used, blocked) = received;
            bytes = bytes.get(used..).unwrap_or_default();
            if blocked.is_none() {
                return Ok(());
            }
        }
    }

    /// Waits until something changed, or gives up the endpoint that is waited for.
    async fn wait(
        &self,
        bytes: &[u8],
        blocked: Blocked,
        patience: &mut impl AsyncFnMut(),
    ) -> Result<Progress, Error> {
        let Blocked::Endpoint(index) = blocked else {
            return self.receive_soon(bytes, blocked).await;
        };
        if !self.state.with(|engine| engine.has_given_up(index))
            && let Either::First(result) = select(self.receive_soon(bytes, blocked), async {
                patience().await;
                yield_times(YIELDS_AFTER_PATIENCE).await;
            })
            .await
        {
            return result;
        }
        self.state.with(|engine| engine.give_up(index));
        Ok((0, Some(blocked)))
    }

    fn receive_now(&self, bytes: &[u8]) -> Result<Progress, Error> {
        self.state.with(|engine| match engine.receive(bytes) {
            Ok(received) => Ok((received.used, received.blocked)),
            Err(ProtocolError) => {
                engine.counters.protocol_errors = engine.counters.protocol_errors.wrapping_add(1);
                Err(Error::Protocol)
            }
        })
    }

    /// Tries again whenever the state changes, until it is not `blocked` in the same way.
    async fn receive_soon(&self, bytes: &[u8], blocked: Blocked) -> Result<Progress, Error> {
        poll_fn(|cx| {
            self.state
                .with(|engine| engine.reader_waker().register(cx.waker()));
            match self.receive_now(bytes) {
                Ok((0, Some(still))) if still == blocked => Poll::Pending,
                other => Poll::Ready(other),
            }
        })
        .await
    }

    async fn transmit(&self, mut write: impl Write) -> Result<(), Error> {
        let mut chunk = [0; CHUNK];
        loop {
            let mut length = self.state.with(|engine| engine.transmit(&mut chunk));
            if length == 0 {
                write
                    .flush()
                    .await
                    .map_err(|error| Error::Write(error.kind()))?;
                length = self.wait_for_output(&mut chunk).await;
            }
            let mut rest = chunk.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                let written = write
                    .write(rest)
                    .await
                    .map_err(|error| Error::Write(error.kind()))?;
                if written == 0 {
                    return Ok(());
                }
                rest = rest.get(written..).unwrap_or_default();
            }
        }
    }

    async fn wait_for_output(&self, chunk: &mut [u8]) -> usize {
        poll_fn(|cx| {
            self.state.with(|engine| match engine.transmit(chunk) {
                0 => {
                    engine.writer_waker().register(cx.waker());
                    Poll::Pending
                }
                length => Poll::Ready(length),
            })
        })
        .await
    }
}
