//! Serves the byte stream.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Error as _, ErrorKind, Read, Write};

use crate::State;
use crate::engine::{Blocked, Engine};
use crate::protocol::{Protocol, ProtocolError};
use crate::usbip::Usbip;
use crate::usbredir::Usbredir;

/// Bytes moved in one call of the stream.
const CHUNK: usize = 1024;
/// How often [`Runner::run_usbredir`] lets other tasks run before it gives an OUT endpoint up.
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
    /// What came is not the protocol: of usbredir no hello first, or a length that cannot be; of
    /// USB/IP an unknown command, or numbers that cannot be.
    #[error("the peer does not speak this protocol")]
    Protocol,
}

/// How many bytes were taken, and what the rest has to wait for; without the latter, all were
/// taken.
type Progress = (usize, Option<Blocked>);

/// Lets all other tasks run so many times.
async fn yield_times(times: u32) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// Writes all bytes. False when the stream takes no more.
pub(crate) async fn write_whole(write: &mut impl Write, mut bytes: &[u8]) -> Result<bool, Error> {
    while !bytes.is_empty() {
        let written = write
            .write(bytes)
            .await
            .map_err(|error| Error::Write(error.kind()))?;
        if written == 0 {
            return Ok(false);
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(true)
}

/// Serves the connection to a guest; without it, nothing of the driver moves.
pub struct Runner<'d, M: RawMutex> {
    pub(crate) state: &'d State<'d, M>,
}

impl<M: RawMutex> Runner<'_, M> {
    /// Serves the connection to one usbredir guest: from hello until the stream ends (`Ok`) or fails, or the future is
    /// dropped.
    ///
    /// Then the device sees that its power was removed, and this can be called again with the next
    /// stream. On a serial line, where no end can be seen, a guest that says hello again counts
    /// as a new connection too.
    ///
    /// # Errors
    ///
    /// The stream's own errors, and [`Error::Protocol`].
    pub async fn run_usbredir(&mut self, read: impl Read, write: impl Write) -> Result<(), Error> {
        self.run_usbredir_with_patience(read, write, async || yield_times(YIELDS).await)
            .await
    }

    /// Like [`run_usbredir`](Self::run_usbredir), with a clock.
    ///
    /// All endpoints share the stream. When an OUT endpoint's queue is full, the stream waits for
    /// the device to read it, but not longer than `patience()` takes: then the transfer fails
    /// with an I/O error, and so does each later one that does not fit, until the device reads
    /// again. Without a clock, `run_usbredir` lets all other tasks run 10,000 times. After `patience()`
    /// they run 100 times more, as a clock goes on while the whole process stands still.
    ///
    /// # Errors
    ///
    /// As [`run_usbredir`](Self::run_usbredir).
    pub async fn run_usbredir_with_patience(
        &mut self,
        read: impl Read,
        write: impl Write,
        patience: impl AsyncFnMut(),
    ) -> Result<(), Error> {
        self.serve(Usbredir::new(), read, write, patience).await
    }

    /// Serves the connection to one USB/IP host: from the first request for the device until the
    /// stream ends (`Ok`) or fails, the device is unplugged (`Ok`), or the future is dropped.
    ///
    /// Then the device sees that its power was removed, and this can be called again with the next
    /// stream. What comes before the first request over TCP is for
    /// [`Operations::serve`](crate::usbip::Operations::serve). The writer should send at once what
    /// it is given (TCP_NODELAY).
    ///
    /// # Errors
    ///
    /// The stream's own errors, and [`Error::Protocol`].
    pub async fn run_usbip(&mut self, read: impl Read, write: impl Write) -> Result<(), Error> {
        self.run_usbip_with_patience(read, write, async || yield_times(YIELDS).await)
            .await
    }

    /// Like [`run_usbip`](Self::run_usbip), with a clock, as
    /// [`run_usbredir_with_patience`](Self::run_usbredir_with_patience). `patience()` is also how long the stream
    /// waits for one control request when the next one has come; then that one fails.
    ///
    /// # Errors
    ///
    /// As [`run_usbip`](Self::run_usbip).
    pub async fn run_usbip_with_patience(
        &mut self,
        read: impl Read,
        write: impl Write,
        patience: impl AsyncFnMut(),
    ) -> Result<(), Error> {
        self.serve(Usbip::new(), read, write, patience).await
    }

    async fn serve<P: Protocol>(
        &mut self,
        protocol: P,
        read: impl Read,
        write: impl Write,
        patience: impl AsyncFnMut(),
    ) -> Result<(), Error> {
        let connection = Connection::open(self.state, protocol);
        let receive = connection.receive(read, patience);
        match select(receive, connection.transmit(write)).await {
            Either::First(result) | Either::Second(result) => result,
        }
    }
}

/// A connection, which ends however the future of it ends.
struct Connection<'a, 'd, M: RawMutex, P> {
    state: &'a State<'d, M>,
    /// Borrowed after the state only, so that it is free whenever it is asked for.
    protocol: Mutex<M, RefCell<P>>,
}

impl<M: RawMutex, P> Drop for Connection<'_, '_, M, P> {
    fn drop(&mut self) {
        self.state.with(|engine| engine.link_down());
    }
}

impl<'a, 'd, M: RawMutex, P: Protocol> Connection<'a, 'd, M, P> {
    fn open(state: &'a State<'d, M>, protocol: P) -> Self {
        let connection = Self {
            state,
            protocol: Mutex::new(RefCell::new(protocol)),
        };
        connection.with(|engine, protocol| {
            engine.link_up();
            protocol.open(engine);
        });
        connection
    }

    /// Works on both. `None` would mean that `f` came back here.
    fn with<R>(&self, f: impl FnOnce(&mut Engine<'d>, &mut P) -> R) -> Option<R> {
        self.state.with(|engine| {
            self.protocol.lock(|protocol| {
                let mut protocol = protocol.try_borrow_mut().ok()?;
                Some(f(engine, &mut protocol))
            })
        })
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
        let Some(given_up) = self.state.with(|engine| engine.has_given_up(blocked)) else {
            return self.receive_soon(bytes, blocked).await;
        };
        if !given_up
            && let Either::First(result) = select(self.receive_soon(bytes, blocked), async {
                patience().await;
                yield_times(YIELDS_AFTER_PATIENCE).await;
            })
            .await
        {
            return result;
        }
        self.state.with(|engine| engine.give_up(blocked));
        Ok((0, Some(blocked)))
    }

    fn receive_now(&self, bytes: &[u8]) -> Result<Progress, Error> {
        let received = self.with(|engine, protocol| match protocol.receive(engine, bytes) {
            Ok(received) => Ok((received.used, received.blocked)),
            Err(ProtocolError) => {
                engine.counters.protocol_errors = engine.counters.protocol_errors.wrapping_add(1);
                Err(Error::Protocol)
            }
        });
        received.unwrap_or(Ok((0, Some(Blocked::Answers))))
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
            let mut length = self.transmit_now(&mut chunk);
            if length == 0 {
                write
                    .flush()
                    .await
                    .map_err(|error| Error::Write(error.kind()))?;
                let Some(waited_for) = self.wait_for_output(&mut chunk).await else {
                    return Ok(());
                };
                length = waited_for;
            }
            if !write_whole(&mut write, chunk.get(..length).unwrap_or_default()).await? {
                return Ok(());
            }
        }
    }

    /// `None` when our side has ended.
    async fn wait_for_output(&self, chunk: &mut [u8]) -> Option<usize> {
        poll_fn(|cx| {
            self.state
                .with(|engine| engine.writer_waker().register(cx.waker()));
            match self.transmit_now(chunk) {
                0 if self.with(|_, protocol| protocol.has_ended()) == Some(true) => {
                    Poll::Ready(None)
                }
                0 => Poll::Pending,
                length => Poll::Ready(Some(length)),
            }
        })
        .await
    }

    fn transmit_now(&self, chunk: &mut [u8]) -> usize {
        self.with(|engine, protocol| engine.transmit(protocol, chunk))
            .unwrap_or(0)
    }
}
